// SPDX-License-Identifier: Apache-2.0
// The same formats as others write them: compressed-tensors (shapes and checkpoints 2.3) and DeepSeek FP8
// blocks (2.4).
#include "ref_internal.h"

// ---- compressed-tensors: scales from the data in the type of x, never zero
// -------------------------------------------------------

typedef struct ct_rule {
    qp_element element;
    float half_range; // what amax is divided by: half of highest - lowest
    float lo, hi;
    uint8_t mask;
} ct_rule;

static ct_rule ct_rule_of(const ref_spec *s) {
    const qp_element e = qp_format_get(s->format)->element;
    if (e == QP_ELEM_INT8) return (ct_rule){e, 127.5f, -128.0f, 127.0f, 0xff};
    if (e == QP_ELEM_INT4) return (ct_rule){e, 7.5f, -8.0f, 7.0f, 0x0f};
    return (ct_rule){e, 448.0f, -448.0f, 448.0f, 0xff};
}

// The machine epsilon of the type stands in for a scale of zero.
static float epsilon_of(qp_dtype t) {
    return t == QP_BF16 ? 0x1p-7f : t == QP_FP16 ? 0x1p-10f : 0x1p-23f;
}

static float ct_scale_of(const ref_spec *s, const ct_rule *rule, int64_t index) {
    const float quotient = ref_float(s->amax[index]) / rule->half_range;
    const float scale = ref_as(s->dtype, quotient);
    return scale == 0.0f ? epsilon_of(s->dtype) : scale;
}

// INT: the level as two's complement; E4M3: its code. The zero point of a symmetric scheme is added as a
// zero, so that no quotient is -0.
static uint8_t ct_encode(const ct_rule *rule, float u, qp_coverage *cov) {
    const float shifted = u + 0.0f;
    float t = shifted > rule->hi ? rule->hi : shifted; // NaN passes through both
    t = t < rule->lo ? rule->lo : t;
    if (rule->element == QP_ELEM_E4M3) {
        const uint8_t code = ref_e4m3_encode(ref_canonical(t), true);
        ref_cover_e4m3(cov, ref_image(u), code);
        return code;
    }
    const float level = ref_rint(t);
    ref_cover_int(cov, u, level, rule->lo, rule->hi, rule->mask);
    return level != level ? 0 : (uint8_t)(int32_t)level;
}

static float ct_decode(const ct_rule *rule, uint8_t code) {
    return rule->element == QP_ELEM_E4M3 ? ref_e4m3_value(code) : (float)(int8_t)code;
}

// INT4: words of 32 bits, the first column in the lowest bits, the level plus 8: in a little-endian file the
// even column is the low nibble.
static void ct_put(const ref_spec *s, const ct_rule *rule, uint8_t *codes, int64_t row, int64_t col,
                   uint8_t code) {
    if (rule->element == QP_ELEM_INT4)
        ref_put_nibble(codes + row * ((s->cols + 1) / 2), col, (uint8_t)(code + 8) & 15, false);
    else
        codes[row * s->cols + col] = code;
}

static uint8_t ct_get(const ref_spec *s, const ct_rule *rule, const uint8_t *codes, int64_t row,
                      int64_t col) {
    if (rule->element != QP_ELEM_INT4) return codes[row * s->cols + col];
    return (uint8_t)(ref_get_nibble(codes + row * ((s->cols + 1) / 2), col, false) - 8);
}

void ref_quant_ct(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                  void *scales, void *values, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    const ct_rule rule = ct_rule_of(s);
    const int64_t first = ref_amax_index(&g, row0, 0);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t index = ref_amax_index(&g, row0 + r, seg);
            const float scale = ct_scale_of(s, &rule, index);
            ref_store_f32(s->dtype, scales, index - first, ref_image(scale));
            if (cov != NULL)
                cov->n_zero_blocks += ref_abs(s->amax[index]) == 0 && ref_grain_starts(&g, row0 + r);
            for (int64_t c = seg * g.width; c < s->cols && c < (seg + 1) * g.width; c++) {
                const int64_t i = r * s->cols + c;
                const uint32_t in = ref_load_f32(s->dtype, x, i);
                const float quotient = ref_float(in) / scale;
                ref_cover_input(cov, in);
                const uint8_t code = ct_encode(&rule, ref_as(s->dtype, quotient), cov);
                ct_put(s, &rule, codes, r, c, code);
                const float v = ct_decode(&rule, code) * scale;
                if (values != NULL) ref_store_f32(s->dtype, values, i, ref_image(v));
            }
        }
    }
}

// One rounding in the type of the scale, then as asked.
void ref_dequant_ct(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes, const void *scales,
                    uint32_t weight_scale_2, void *values) {
    (void)weight_scale_2; // one level of scales
    const ref_grain g = ref_grain_of_spec(s);
    const ct_rule rule = ct_rule_of(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const float scale = ref_float(ref_load_f32(s->dtype, scales, ref_amax_index(&g, r, c / g.width)));
            const float v = ct_decode(&rule, ct_get(s, &rule, codes, r, c)) * scale;
            ref_store_f32(out, values, r * s->cols + c, ref_image(ref_as(s->dtype, v)));
        }
    }
}

// ---- compressed-tensors NVFP4: the global scale divides
// --------------------------------------------------------------------------

static const float SMALLEST_NORMAL_BF16 = 0x1p-126f, SMALLEST_NORMAL_FP16 = 0x1p-14f;

// 2688 / amax as number / tensor in the type of x; NaN and Inf become 1.
static float global_scale(const ref_spec *s) {
    const float least = s->dtype == QP_FP16 ? SMALLEST_NORMAL_FP16 : SMALLEST_NORMAL_BF16;
    const float amax = ref_float(s->global_amax);
    const float g = ref_number_over(s->dtype, 2688.0f, amax < least ? least : amax);
    return ref_abs(ref_image(g)) >= REF_F32_INF ? 1.0f : g;
}

uint32_t ref_ct_global_scale(const ref_spec *s) {
    return ref_image(global_scale(s));
}

enum { CT_SCALE_FOR_ZERO = 0x20 }; // 0.125

static uint8_t ct_block_scale(const ref_spec *s, float amax, float g, float *quotient) {
    const float sixth = ref_as(s->dtype, amax / 6.0f);
    *quotient = g * sixth;
    const uint8_t code = ref_e4m3_encode(ref_canonical(*quotient), true);
    return code == 0 ? CT_SCALE_FOR_ZERO : code;
}

// NaN has no nibble and no sign here; -0 loses its sign, a negative value that rounds to zero keeps it.
static uint8_t ct_nibble(float z) {
    if (z != z) return 0;
    return (uint8_t)((z < 0.0f ? 8 : 0) | (ref_e2m1_encode(ref_image(z)) & 7));
}

void ref_quant_ct_nvfp4(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                        void *scales, void *values, qp_coverage *cov) {
    (void)row0; // every block scale comes from the block
    const ref_grain grain = ref_grain_of_spec(s);
    const float g = global_scale(s);
    for (int64_t r = 0; r < n_rows; r++) {
        uint8_t *row = codes + r * ((s->cols + 1) / 2);
        for (int64_t seg = 0; seg < grain.n_segs; seg++) {
            const int64_t col0 = seg * grain.width, left = s->cols - col0;
            const int64_t n = left < grain.width ? left : grain.width;
            const float amax = ref_block_amax(s->dtype, x, r * s->cols + col0, n, true);
            float quotient;
            const uint8_t code = ct_block_scale(s, amax, g, &quotient);
            const float scale = ref_e4m3_value(code) / g;
            ((uint8_t *)scales)[r * grain.n_segs + seg] = code;
            ref_cover_scale(cov, ref_image(quotient), code, amax == 0.0f);
            for (int64_t c = col0; c < col0 + n; c++) {
                const uint32_t in = ref_load_f32(s->dtype, x, r * s->cols + c);
                const float z = ref_float(in) / scale;
                const uint8_t nibble = ct_nibble(z);
                ref_cover_input(cov, in);
                ref_cover_e2m1(cov, ref_image(z), nibble);
                ref_put_nibble(row, c, nibble, false);
                const float v = ref_float(ref_e2m1_decode(nibble)) * scale;
                if (values != NULL) ref_store_f32(s->dtype, values, r * s->cols + c, ref_image(v));
            }
        }
    }
}

// weight_scale_2 is the stored global scale. The package itself always answers in bf16.
void ref_dequant_ct_nvfp4(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                          const void *scales, uint32_t weight_scale_2, void *values) {
    const ref_grain grain = ref_grain_of_spec(s);
    const uint8_t *bytes = scales;
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const float sf = ref_e4m3_value(bytes[ref_amax_index(&grain, r, c / grain.width)]);
            const float scale = sf / ref_float(weight_scale_2);
            const uint8_t nibble = ref_get_nibble(codes + r * ((s->cols + 1) / 2), c, false);
            const float v = ref_float(ref_e2m1_decode(nibble)) * scale;
            ref_store_f32(out, values, r * s->cols + c, ref_image(v));
        }
    }
}

// ---- DeepSeek FP8: fp32 scales that multiply, whatever the type of x
// ---------------------------------------------------------------

// A tile of zeros has the scale 0 and, where 0/0 has no code worth keeping, the codes 0.
void ref_quant_deepseek(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                        void *scales, void *values, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const int64_t i = r * s->cols + c, index = ref_amax_index(&g, row0 + r, c / g.width);
            const float scale = ref_float(s->amax[index]) / 448.0f;
            const uint32_t in = ref_load_f32(s->dtype, x, i);
            const float quotient = ref_float(in) / scale;
            const float q = scale == 0.0f ? 0.0f : quotient;
            codes[i] = ref_e4m3_encode(ref_canonical(q), true);
            ref_cover_input(cov, in);
            ref_cover_e4m3(cov, ref_image(q), codes[i]);
            if (c % g.width == 0) {
                ref_store_f32(QP_FP32, scales, index, ref_image(scale));
                if (cov != NULL) cov->n_zero_blocks += scale == 0.0f && ref_grain_starts(&g, row0 + r);
            }
            const float v = ref_e4m3_value(codes[i]) * scale;
            if (values != NULL) ref_store_f32(s->dtype, values, i, ref_image(v));
        }
    }
}

void ref_dequant_deepseek(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                          const void *scales, uint32_t weight_scale_2, void *values) {
    (void)weight_scale_2; // one level of scales
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const uint32_t scale = ref_load_f32(QP_FP32, scales, ref_amax_index(&g, r, c / g.width));
            const float v = ref_e4m3_value(codes[r * s->cols + c]) * ref_float(scale);
            ref_store_f32(out, values, r * s->cols + c, ref_image(v));
        }
    }
}
