// SPDX-License-Identifier: Apache-2.0
// Packed INT4 (numerics 5.4): blocks along the row with the inverse scale 7/amax in the type of x, offset by
// 8, the even column in the high nibble; and the AWQ export, two's complement in pairs of rows, with a given
// fp32 scale.
#include "ref_internal.h"

static const float LEVELS = 7.0f, LOWEST = -8.0f;

static float clamp(float v) {
    v = v > LEVELS ? LEVELS : v; // NaN passes through both
    return v < LOWEST ? LOWEST : v;
}

// Nearest integer, ties away from zero; v in 0..15.
static float round_half_away(float v) {
    const float whole = (float)(int32_t)v, rest = v - whole; // exact
    return rest >= 0.5f ? whole + 1.0f : whole;
}

// The code 0..15 of u = T(x * s). torch-cpu rounds u, half to even; NaN becomes the byte 0. The CUDA kernel
// adds 8 in T and rounds half away; its min and max drop NaN, so that NaN is the highest level.
static uint8_t encode(const ref_spec *s, float u, qp_coverage *cov) {
    const bool nan = u != u, cuda = s->engine == QP_ENGINE_TORCH_CUDA;
    if (nan) return cuda ? 15 : 0;
    float n;
    if (cuda) {
        const float shifted = ref_as(s->dtype, clamp(u) + 8.0f);
        n = round_half_away(shifted);
    } else {
        n = clamp(ref_rint(u)) + 8.0f; // exact
    }
    ref_cover_int(cov, u, n - 8.0f, LOWEST, LEVELS, 0x0f);
    return (uint8_t)n;
}

// T((n - 8) / s): in the type of the scale, then as asked.
static float decode(qp_dtype t, uint8_t n, float inverse_scale) {
    const float quotient = ((float)n - 8.0f) / inverse_scale;
    return ref_as(t, quotient);
}

void ref_quant_int4(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                    void *scales, void *values, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        uint8_t *row = codes + r * ((s->cols + 1) / 2);
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const float amax = ref_float(s->amax[ref_amax_index(&g, row0 + r, seg)]);
            const float scale = ref_number_over(s->dtype, LEVELS, amax);
            ref_store_f32(s->dtype, scales, r * g.n_segs + seg, ref_image(scale));
            if (cov != NULL) cov->n_zero_blocks += amax == 0.0f;
            for (int64_t c = seg * g.width; c < s->cols && c < (seg + 1) * g.width; c++) {
                const int64_t i = r * s->cols + c;
                const uint32_t in = ref_load_f32(s->dtype, x, i);
                const float product = ref_float(in) * scale;
                ref_cover_input(cov, in);
                const uint8_t n = encode(s, ref_as(s->dtype, product), cov);
                ref_put_nibble(row, c, n, true);
                if (values != NULL) ref_store_f32(s->dtype, values, i, ref_image(decode(s->dtype, n, scale)));
            }
            // An odd row ends in a nibble of padding, which is quantized like any zero.
            if (seg == g.n_segs - 1 && s->cols % 2 == 1)
                ref_put_nibble(row, s->cols, encode(s, 0.0f * scale, NULL), true);
        }
    }
}

void ref_dequant_int4(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                      const void *scales, uint32_t weight_scale_2, void *values) {
    (void)weight_scale_2; // one level of scales
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const uint8_t n = ref_get_nibble(codes + r * ((s->cols + 1) / 2), c, true);
            const float scale = ref_float(ref_load_f32(s->dtype, scales, ref_amax_index(&g, r, c / g.width)));
            ref_store_f32(out, values, r * s->cols + c, ref_image(decode(s->dtype, n, scale)));
        }
    }
}

// ---- AWQ
// ---------------------------------------------------------------------------------------------------------------------

// The low nibble of an even row, the high one of an odd row.
static void put_in_pair(uint8_t *byte, int64_t row, uint8_t nibble) {
    *byte = row % 2 == 0 ? nibble : (uint8_t)(*byte | nibble << 4);
}

// Two's complement, so that no level is -0.
static float level_of(uint8_t nibble) {
    return (float)(nibble >= 8 ? (int)nibble - 16 : (int)nibble);
}

void ref_quant_awq(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes,
                   void *scales, void *values, qp_coverage *cov) {
    (void)scales; // given
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const int64_t i = r * s->cols + c;
            const float scale = ref_float(s->scale[ref_amax_index(&g, row0 + r, c / g.width)]);
            const uint32_t in = ref_load_f32(s->dtype, x, i);
            const float q = ref_float(in) / scale;
            const float level = clamp(ref_rint(q));
            ref_cover_input(cov, in);
            ref_cover_int(cov, q, level, LOWEST, LEVELS, 0x0f);
            const uint8_t nibble = level != level ? 0 : (uint8_t)((int32_t)level & 15);
            put_in_pair(&codes[r / 2 * s->cols + c], r, nibble);
            if (cov != NULL) cov->n_zero_blocks += scale == 0.0f && c % g.width == 0;
            if (values == NULL) continue;
            const float v = level_of(nibble) * scale;
            ref_store_f32(s->dtype, values, i, ref_image(v));
        }
    }
}

// No package dequantizes this layout on a CPU: the loaders' code * scale in fp32, rounded once.
void ref_dequant_awq(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes,
                     const void *scales, uint32_t weight_scale_2, void *values) {
    (void)scales, (void)weight_scale_2; // the scale is given, fp32
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t c = 0; c < s->cols; c++) {
            const uint8_t byte = codes[r / 2 * s->cols + c], nibble = r % 2 == 0 ? byte & 15 : byte >> 4;
            const float v = level_of(nibble) * ref_float(s->scale[ref_amax_index(&g, r, c / g.width)]);
            ref_store_f32(out, values, r * s->cols + c, ref_image(v));
        }
    }
}
