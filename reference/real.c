// SPDX-License-Identifier: Apache-2.0
// Real INT8 and FP8 tensors, a byte per code: scales from the data in the type of x (numerics 2.6, 5.5, 5.6),
// and exports that divide by a given fp32 scale and keep the quotient in fp32 (2.6).
#include "ref_internal.h"

typedef struct real_rule {
    bool int8;     // else E4M3
    bool given;    // the scale is an input, fp32
    qp_dtype type; // of x, and of the scale and the quotient when the scale is not given
} real_rule;

static real_rule rule_of(const ref_spec *s) {
    const qp_format_row *f = qp_format_get(s->format);
    return (real_rule){f->element == QP_ELEM_INT8, f->scale == QP_SCALE_GIVEN, s->dtype};
}

static float scale_of(const ref_spec *s, const real_rule *rule, int64_t index) {
    if (rule->given) return ref_float(s->scale[index]);
    const float amax = ref_float(s->amax[index]);
    return ref_as(rule->type, ref_over(s->engine, amax, rule->int8 ? 127.0f : 448.0f));
}

// NaN is the code 0 in INT8, which has none, and 7f in E4M3: the sign that torch leaves there depends on
// where in the tensor the element stands.
static uint8_t encode(const real_rule *rule, float q, qp_coverage *cov) {
    if (!rule->int8) {
        // torch 2.12 and later saturate, Inf included; what is divided by its own amax stays below 464 anyway
        const uint8_t code = ref_e4m3_encode(ref_canonical(q), true);
        ref_cover_e4m3(cov, ref_image(q), code);
        return code;
    }
    float level = ref_rint(q);
    level = level > 127.0f ? 127.0f : level;
    level = level < -128.0f ? -128.0f : level;
    ref_cover_int(cov, q, level, -128.0f, 127.0f, 0xff);
    return level != level ? 0 : (uint8_t)(int32_t)level;
}

static float decode(const real_rule *rule, uint8_t code) {
    return rule->int8 ? (float)(int8_t)code : ref_e4m3_value(code);
}

// Both factors in the target type, then one rounding (2.6); with a given scale the product of fp32.
static float value_of(const real_rule *rule, qp_dtype out, uint8_t code, float scale) {
    const float s = rule->given ? scale : ref_as(out, scale);
    return decode(rule, code) * s;
}

void ref_quant_real(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                    void *scales, void *values, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    const real_rule rule = rule_of(s);
    const int64_t first = ref_amax_index(&g, row0, 0);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t index = ref_amax_index(&g, row0 + r, seg);
            const float scale = scale_of(s, &rule, index);
            if (!rule.given) ref_store_f32(s->dtype, scales, index - first, ref_image(scale));
            if (cov != NULL) cov->n_zero_blocks += scale == 0.0f && ref_grain_starts(&g, row0 + r);
            for (int64_t c = seg * g.width; c < s->cols && c < (seg + 1) * g.width; c++) {
                const int64_t i = r * s->cols + c;
                const uint32_t in = ref_load_f32(s->dtype, x, i);
                float q = ref_float(in) / scale;
                if (!rule.given) q = ref_as(rule.type, q);
                ref_cover_input(cov, in);
                codes[i] = encode(&rule, q, cov);
                if (values == NULL) continue;
                const float v = value_of(&rule, s->dtype, codes[i], scale);
                ref_store_f32(s->dtype, values, i, ref_image(v));
            }
        }
    }
}

void ref_dequant_real(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                      const void *scales, uint32_t weight_scale_2, void *values) {
    (void)weight_scale_2; // one level of scales
    const ref_grain g = ref_grain_of_spec(s);
    const real_rule rule = rule_of(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const int64_t index = ref_amax_index(&g, r, c / g.width), i = r * s->cols + c;
            const float scale =
                ref_float(rule.given ? s->scale[index] : ref_load_f32(s->dtype, scales, index));
            const float v = value_of(&rule, out, codes[i], scale);
            ref_store_f32(out, values, i, ref_image(v));
        }
    }
}
