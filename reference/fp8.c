// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 fake quantization: numerics 2.3 (ieee: one division for the scale) and 2.4 (torch: reciprocal,
// then multiply). Per tensor, per row and per 2-D block alike. torch-cuda answers as torch-cpu: 448/a and 1/s
// are number / tensor, which torch spells alike on both devices (numerics 0, 2.4).
#include "ref_internal.h"

typedef struct fp8_rule {
    float scale, inverse;
} fp8_rule;

static fp8_rule rule_of(qp_engine engine, float amax) {
    const float a = amax <= REF_TWO_POW_M24 ? 1.0f : amax; // NaN stays, a negative amax becomes 1
    fp8_rule r;
    if (ref_is_torch(engine)) {
        const float reciprocal = 1.0f / a;
        r.scale = reciprocal * 448.0f;
    } else {
        r.scale = 448.0f / a;
    }
    r.inverse = 1.0f / r.scale;
    return r;
}

static float answer(const fp8_rule *rule, float x, qp_coverage *cov) {
    const float t = x * rule->scale;
    // Saturating here equals torch's clamp to 448 before a cast that does not saturate.
    const uint8_t code = ref_e4m3_encode(ref_image(t), true);
    ref_cover_e4m3(cov, ref_image(t), code);
    return ref_e4m3_value(code) * rule->inverse;
}

void ref_fakequant_fp8(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                       uint32_t *block_scale, qp_coverage *cov) {
    (void)block_scale; // NVFP4 only
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const float amax = ref_float(s->amax[ref_amax_index(&g, row0 + r, seg)]);
            const fp8_rule rule = rule_of(s->engine, amax);
            if (cov != NULL) cov->n_zero_blocks += amax == 0.0f && ref_grain_starts(&g, row0 + r);
            for (int64_t c = seg * g.width; c < s->cols && c < (seg + 1) * g.width; c++) {
                const uint32_t in = ref_load_f32(s->dtype, x, r * s->cols + c);
                ref_cover_input(cov, in);
                const float out = answer(&rule, ref_float(in), cov);
                ref_store_f32(s->dtype, y, r * s->cols + c, ref_image(out));
            }
        }
    }
}
