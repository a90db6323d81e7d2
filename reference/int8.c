// SPDX-License-Identifier: Apache-2.0
// INT8 and INT4 fake quantization: numerics 1.2 (ieee: the CUDA extension) and 1.3 (torch). The two differ at
// tiny amax, in the lowest level of unsigned, and where one amax of several is NaN.
// torch-cuda answers as torch-cpu: levels / amax is tensor / tensor, every other step has fp32 tensors on
// both sides, and no 0-dim operand is cast (numerics 0, 1.3).
#include "ref_internal.h"

typedef struct int_rule {
    float hi, lo;
    float mul, div; // t = fl(x * mul), y = fl(r / div)
    bool flush;     // ieee, tiny amax: the answer is +0 whatever x is
    uint8_t mask;   // the bits of a code
} int_rule;

static bool is_int4(const ref_spec *s) {
    return qp_format_get(s->format)->element == QP_ELEM_INT4;
}

// The whole amax tensor decides whether torch's tiny rule is on: one NaN makes its minimum NaN (numerics 1.3,
// point 5).
static bool torch_tiny_rule(const ref_spec *s, const ref_grain *g) {
    const int64_t n = ref_grain_count(g, s->rows);
    for (int64_t i = 0; i < n; i++)
        if (ref_is_nan(s->amax[i])) return false;
    return true;
}

static int_rule rule_of(const ref_spec *s, float amax, bool torch_tiny) {
    // 2^(bits - 1 + unsigned) - 1
    const float hi = is_int4(s) ? s->is_unsigned ? 15.0f : 7.0f : s->is_unsigned ? 255.0f : 127.0f;
    const float scale = hi / amax;
    int_rule r = {hi, -(hi + (s->narrow_range ? 0.0f : 1.0f)), scale, scale, false, is_int4(s) ? 0x0f : 0xff};
    if (!ref_is_torch(s->engine)) {
        r.flush = amax < REF_TWO_POW_M24;
        return r;
    }
    if (s->is_unsigned) r.lo = 0.0f;
    if (torch_tiny && amax <= REF_TWO_POW_M24) {
        r.mul = 0.0f;
        r.div = 1.0f;
    }
    return r;
}

static float answer(const int_rule *rule, float x, qp_coverage *cov) {
    if (rule->flush) {
        ref_cover_int(cov, 0.0f, 0.0f, rule->lo, rule->hi, rule->mask);
        return 0.0f;
    }
    const float t = x * rule->mul;
    float r = ref_rint(t);
    r = r > rule->hi ? rule->hi : r; // NaN passes through both
    r = r < rule->lo ? rule->lo : r;
    ref_cover_int(cov, t, r, rule->lo, rule->hi, rule->mask);
    return r / rule->div;
}

void ref_fakequant_int(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                       uint32_t *block_scale, qp_coverage *cov) {
    (void)block_scale; // NVFP4 only
    const ref_grain g = ref_grain_of_spec(s);
    const bool torch_tiny = ref_is_torch(s->engine) && torch_tiny_rule(s, &g);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const float amax = ref_float(s->amax[ref_amax_index(&g, row0 + r, seg)]);
            const int_rule rule = rule_of(s, amax, torch_tiny);
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
