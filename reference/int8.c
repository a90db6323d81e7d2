// SPDX-License-Identifier: Apache-2.0
// INT8 fake quantization: numerics 1.2 (ieee: the CUDA extension) and 1.3 (torch-cpu).
// The two differ at tiny amax, in the lowest level of unsigned, and where one amax of several is NaN.
#include "ref_internal.h"

typedef struct int8_rule {
    float hi, lo;
    float mul, div; // t = fl(x * mul), y = fl(r / div)
    bool flush;     // ieee, tiny amax: the answer is +0 whatever x is
} int8_rule;

static bool any_nan(const uint32_t *images, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (ref_is_nan(images[i])) return true;
    return false;
}

// The whole amax tensor decides whether torch's tiny rule is on: one NaN makes its minimum NaN (numerics 1.3,
// point 5).
static bool torch_tiny_rule(const ref_spec *s, const ref_grain *g) {
    return !any_nan(s->amax, g->kind == QP_GRAIN_AXIS0 ? s->rows : 1);
}

static int8_rule rule_of(const ref_spec *s, float amax, bool torch_tiny) {
    const float hi = s->is_unsigned ? 255.0f : 127.0f;
    const float scale = hi / amax;
    int8_rule r = {hi, -(hi + (s->narrow_range ? 0.0f : 1.0f)), scale, scale, false};
    if (s->engine != QP_ENGINE_TORCH_CPU) {
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

static void cover(qp_coverage *cov, const int8_rule *rule, float t, float level) {
    if (cov == NULL || t != t) return;
    const uint8_t code = (uint8_t)(int32_t)level;
    cov->codes[code >> 6] |= UINT64_C(1) << (code & 63);
    cov->n_saturated += t > rule->hi || t < rule->lo;
    const float magnitude = ref_float(ref_abs(ref_image(t)));
    if (t > rule->lo && t < rule->hi) {
        const float whole = (float)(int32_t)magnitude;
        cov->n_code_ties += magnitude - whole == 0.5f; // exact below 2^23
    }
}

static float answer(const int8_rule *rule, float x, qp_coverage *cov) {
    if (rule->flush) {
        cover(cov, rule, 0.0f, 0.0f);
        return 0.0f;
    }
    const float t = x * rule->mul;
    float r = ref_rint(t);
    r = r > rule->hi ? rule->hi : r; // NaN passes through both
    r = r < rule->lo ? rule->lo : r;
    cover(cov, rule, t, r);
    return r / rule->div;
}

void ref_fakequant_int8(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                        uint32_t *block_scale, qp_coverage *cov) {
    (void)block_scale; // NVFP4 only
    const ref_grain g = ref_grain_of_spec(s);
    const bool torch_tiny = s->engine == QP_ENGINE_TORCH_CPU && torch_tiny_rule(s, &g);
    for (int64_t r = 0; r < n_rows; r++) {
        const float amax = ref_float(s->amax[ref_amax_index(&g, row0 + r, 0)]);
        const int8_rule rule = rule_of(s, amax, torch_tiny);
        if (cov != NULL) cov->n_zero_blocks += amax == 0.0f && ref_grain_starts(&g, row0 + r);
        for (int64_t c = 0; c < s->cols; c++) {
            const uint32_t in = ref_load_f32(s->dtype, x, r * s->cols + c);
            ref_cover_input(cov, in);
            const float out = answer(&rule, ref_float(in), cov);
            ref_store_f32(s->dtype, y, r * s->cols + c, ref_image(out));
        }
    }
}
