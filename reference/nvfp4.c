// SPDX-License-Identifier: Apache-2.0
// NVFP4 fake quantization: dynamic (numerics 4.3), static and four-over-six (4.4), and with block scales
// given. One block at a time: scale first, then every element by itself.
#include "ref_internal.h"

// E2M1 value of a quotient by the chain of numerics 4.1: a negative quotient is below the first bound, NaN
// above the last.
static uint32_t round_quotient(float q) {
    const uint32_t image = ref_image(q);
    if (ref_is_nan(image)) return REF_E2M1_MAX;
    if (image >> 31) return 0;
    return ref_e2m1_encode(image);
}

static bool is_negative(float x) {
    return !(x >= 0.0f); // NaN too; -0 not
}

float ref_nv_answer(float x, float q, float scale) {
    const float y = ref_e2m1_magnitude(round_quotient(q)) * scale;
    const float minus_y = 0.0f - y; // Triton's unary minus: -(+0) is +0
    return ref_float(is_negative(x) ? ref_image(minus_y) : ref_image(y));
}

static float element(float x, float scale, qp_coverage *cov) {
    const float magnitude = ref_float(ref_abs(ref_image(x)));
    const float q = magnitude / scale;
    const uint32_t code = round_quotient(q);
    ref_cover_e2m1(cov, ref_image(q), (uint8_t)(code | (is_negative(x) && code != 0 ? 8u : 0u)));
    return ref_nv_answer(x, q, scale);
}

float ref_nv_divisor(const ref_nv *nv, float scale) {
    return nv->dynamic || ref_abs(ref_image(scale)) < REF_F32_INF ? scale : 1.0f;
}

static float static_element(const ref_nv *nv, float x, float scale, qp_coverage *cov) {
    if (scale == 0.0f) {
        ref_cover_e2m1(cov, 0, 0);
        return 0.0f;
    }
    return element(x, ref_nv_divisor(nv, scale), cov);
}

void ref_fakequant_nvfp4(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                         uint32_t *block_scale, qp_coverage *cov) {
    const ref_grain g = ref_grain_of_spec(s);
    const ref_nv nv = ref_nv_of(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t first = r * s->cols + seg * g.width;
            const int64_t left = s->cols - seg * g.width, n = left < g.width ? left : g.width;
            const float b = nv.dynamic ? ref_block_amax(s->dtype, x, first, n, false)
                                       : ref_float(s->amax[ref_amax_index(&g, row0 + r, seg)]);
            const ref_nv_scale scale = ref_nv_fake_scale(&nv, b);
            if (block_scale != NULL) block_scale[r * g.n_segs + seg] = ref_canonical(scale.scale);
            ref_cover_scale(cov, ref_image(scale.quotient), scale.code, b == 0.0f);
            for (int64_t i = first; i < first + n; i++) {
                const uint32_t in = ref_load_f32(s->dtype, x, i);
                ref_cover_input(cov, in);
                const float out = nv.dynamic ? element(ref_float(in), scale.scale, cov)
                                             : static_element(&nv, ref_float(in), scale.scale, cov);
                ref_store_f32(s->dtype, y, i, ref_image(out));
            }
        }
    }
}

void ref_fakequant_given_scale(qp_dtype dtype, int64_t rows, int64_t cols, const uint32_t *block_scale,
                               const void *x, void *y) {
    const ref_grain g = ref_grain_of(QP_GRAIN_BLOCK, cols, 0, 0);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            const float scale = ref_float(block_scale[ref_amax_index(&g, r, c / g.width)]);
            const float in = ref_float(ref_load_f32(dtype, x, r * cols + c));
            const float out =
                element(in, scale, NULL); // like dequantize, no guard for scales that cannot divide
            ref_store_f32(dtype, y, r * cols + c, ref_image(out));
        }
    }
}
