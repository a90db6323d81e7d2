// SPDX-License-Identifier: Apache-2.0
// NF4 with double quantization (numerics 5.7): the nearest of 16 table values by a difference in the type of
// x (torch-cpu) or in fp32 (torch-cuda), the even column in the high nibble; block scales as int8 around
// their given mean.
#include "ref_internal.h"

// As both the Python and the CUDA source write them: four digits.
static const float table[16] = {-1.0f,   -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0.0f,
                                0.0796f, 0.1609f,  0.2461f,  0.3379f,  0.4407f,  0.5626f,  0.7230f,  1.0f};

static const float LEVELS = 127.0f;

static float bf16(float v) {
    return ref_as(QP_BF16, v);
}

// On a CPU the table is bf16, turned into T, and the difference is rounded to T. (No quotient of bf16 or fp16
// changes its index by that last rounding: all of them tried.)
static float distance(const ref_spec *s, float u, int index) {
    if (s->engine == QP_ENGINE_TORCH_CUDA) {
        const float d = table[index] - u;
        return ref_float(ref_abs(ref_image(d)));
    }
    const float entry = ref_as(s->dtype, bf16(table[index]));
    const float d = u - entry;
    return ref_float(ref_abs(ref_image(ref_as(s->dtype, d))));
}

// A tie goes to the lower index; NaN, as in a block of zeros, is index 0.
static uint8_t nearest(const ref_spec *s, float u, qp_coverage *cov) {
    if (u != u) return 0;
    int best = 0;
    float least = distance(s, u, 0);
    bool tie = false;
    for (int i = 1; i < 16; i++) {
        const float d = distance(s, u, i);
        if (d <= least) tie = d == least;
        if (d < least) {
            best = i;
            least = d;
        }
    }
    if (cov != NULL) {
        cov->codes[0] |= UINT64_C(1) << best;
        cov->n_code_ties += tie;
    }
    return (uint8_t)best;
}

// ---- the second level: scales as int8
// ---------------------------------------------------------------------------------------------

// T(s - z)
static float centred(const ref_spec *s, float scale) {
    return ref_as(s->dtype, scale - ref_float(s->scale_zero));
}

static float double_scale_of(const ref_spec *s, int64_t n_blocks) {
    uint32_t max = 0;
    for (int64_t b = 0; b < n_blocks; b++) {
        const uint32_t magnitude = ref_abs(ref_image(centred(s, ref_float(s->amax[b]))));
        if (magnitude > max) max = magnitude; // NaN wins
    }
    return ref_number_over(s->dtype, LEVELS, ref_float(max));
}

// Scales that are all equal: 0 * Inf is NaN, and the cast to int8 makes that 0.
static int8_t scale_code(const ref_spec *s, float scale, float double_scale) {
    const float c = centred(s, scale);
    const float product = ref_as(s->dtype, c * double_scale);
    float level = ref_rint(product);
    level = level > LEVELS ? LEVELS : level;
    level = level < -LEVELS ? -LEVELS : level;
    return level != level ? 0 : (int8_t)level;
}

// The scale that dequantize uses, in the target type; the 0-dim z is cast to it before the sum.
static float decoded_scale(const ref_spec *s, qp_dtype out, int8_t code, float double_scale) {
    const float quotient = ref_as(s->dtype, (float)code / double_scale);
    const float z = ref_as(out, ref_float(s->scale_zero));
    const float sum = ref_as(out, quotient) + z;
    return ref_as(out, sum);
}

// The CUDA kernel multiplies and answers in bf16 whatever is asked for.
static float decode(const ref_spec *s, uint8_t index, float scale) {
    const float entry = bf16(table[index]);
    if (s->engine != QP_ENGINE_TORCH_CUDA) return entry * scale;
    return bf16(entry * bf16(scale));
}

// ---- the whole tensor
// ------------------------------------------------------------------------------------------------------------

void ref_dequant_nf4(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                     const void *scales, uint32_t weight_scale_2, void *values) {
    const ref_grain g = ref_grain_of_spec(s);
    const uint8_t *scales_i8 = scales;
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const int8_t code = (int8_t)scales_i8[ref_amax_index(&g, r, c / g.width)];
            const float scale = decoded_scale(s, out, code, ref_float(weight_scale_2));
            const uint8_t index = ref_get_nibble(codes + r * ((s->cols + 1) / 2), c, true);
            ref_store_f32(out, values, r * s->cols + c, ref_image(decode(s, index, scale)));
        }
    }
}

void ref_quant_nf4(const ref_spec *s, const void *x, uint8_t *codes, void *scales, uint8_t *scales_i8,
                   void *double_scale, void *values, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    const float ds = double_scale_of(s, ref_grain_count(&g, s->rows));
    ref_store_f32(s->dtype, double_scale, 0, ref_image(ds));
    for (int64_t r = 0; r < s->rows; r++) {
        uint8_t *row = codes + r * ((s->cols + 1) / 2);
        for (int64_t c = 0; c < s->cols; c++) {
            const int64_t block = ref_amax_index(&g, r, c / g.width);
            const float amax = ref_float(s->amax[block]);
            if (c % g.width == 0) {
                ref_store_f32(s->dtype, scales, block, ref_image(amax));
                scales_i8[block] = (uint8_t)scale_code(s, amax, ds);
                if (cov != NULL) cov->n_zero_blocks += amax == 0.0f;
            }
            const uint32_t in = ref_load_f32(s->dtype, x, r * s->cols + c);
            const float quotient = ref_float(in) / amax;
            ref_cover_input(cov, in);
            ref_put_nibble(row, c, nearest(s, ref_as(s->dtype, quotient), cov), true);
            // An odd row ends in a nibble of padding, which is quantized like any zero.
            if (c == s->cols - 1 && c % 2 == 0)
                ref_put_nibble(row, c + 1, nearest(s, 0.0f / amax, NULL), true);
        }
    }
    if (values != NULL) ref_dequant_nf4(s, s->dtype, s->rows, codes, scales_i8, ref_image(ds), values);
}
