// SPDX-License-Identifier: Apache-2.0
// Formats whose scale follows from the amax of its tile and whose codes follow from the scale: MX (numerics
// 5.1, 5.2), Model Optimizer's FP8, INT8 and INT4 (2.6, 5.4; shapes spec 2.2), DeepSeek (2.4),
// compressed-tensors (2.3).
#include <string.h>

#include "audit/derive.h"

// The reference packs +0 as its fake quantizer answers it, as -0 (numerics 5.1). Files of gpt-oss have the
// sign of the weight.
static void keep_plus_zeros(const qp_ag_window *w) {
    const int64_t n = w->n_rows * w->view->m->in; // rows of whole blocks: even
    const size_t width = qp_dtype_bytes(w->dtype);
    static const uint8_t zero[8];
    for (int64_t i = 0; i < n; i++)
        if (memcmp((const uint8_t *)w->x + (size_t)i * width, zero, width) == 0)
            w->codes[i / 2] &= i % 2 == 0 ? 0xf7 : 0x7f;
}

void qp_ag_derive_mx(const qp_ag_window *w) {
    const ref_spec s = qp_ag_spec(w);
    const int64_t n = qp_ag_tiles(w);
    uint8_t *bytes = (uint8_t *)w->scales;
    ref_quant(&s, 0, w->n_rows, w->x, w->codes, bytes, NULL, NULL);
    for (int64_t i = n - 1; i >= 0; i--) w->scales[i] = bytes[i];
    if (w->view->m->scheme->dialect == QP_CK_GPT_OSS) keep_plus_zeros(w);
}

// ---- fp32 scales
// ---------------------------------------------------------------------------------------------------------------

static uint32_t stored_scale(const qp_ag_window *w, int64_t tile) {
    const qp_ag_view *v = w->view;
    return qp_ag_scale(v, w->e, w->row0 / v->tile_rows + tile / v->scale_cols, tile % v->scale_cols);
}

// 448 / amax as torch divides a number by a tensor (numerics 0); a tile of zeros counts as 1.
static uint32_t inverse_factor(uint32_t amax) {
    const uint32_t largest = 0x43e00000; // 448
    return ref_mul(ref_div(QP_AG_ONE, amax != 0 ? amax : QP_AG_ONE), largest);
}

// A tile of zeros: releases differ between 0 and 1 (numerics 2.6); DeepSeek writes 0, INT4 1 (5.4).
static uint32_t scale_of(const qp_ag_window *w, int64_t tile, uint32_t amax) {
    if (w->rule->how == QP_AG_INVERSE) return ref_div(QP_AG_ONE, inverse_factor(amax));
    if (amax != 0 || w->rule->engine == QP_ENGINE_DEEPSEEK_FP8)
        return qp_ag_over(w->rule->engine, amax, w->view->divisor);
    if (w->view->family == QP_AG_INT4_PAIRS) return QP_AG_ONE;
    return stored_scale(w, tile) == QP_AG_ONE ? QP_AG_ONE : 0;
}

// The quotient rounded to the type of the weights first (2.2).
static void narrow_codes(const qp_ag_window *w, int64_t first, int64_t n, uint32_t scale) {
    for (int64_t i = first; i < first + n; i++) {
        const uint32_t wide = ref_div(ref_load_f32(w->dtype, w->x, i), scale);
        const uint32_t q = ref_to_f32(w->dtype, ref_from_f32(w->dtype, wide));
        w->codes[i] = ref_e4m3_encode(q, true);
    }
}

// x times the factor whose reciprocal is stored.
static void inverse_codes(const qp_ag_window *w, int64_t first, int64_t n, uint32_t amax) {
    const uint32_t factor = inverse_factor(amax);
    for (int64_t i = first; i < first + n; i++)
        w->codes[i] = ref_e4m3_encode(ref_mul(ref_load_f32(w->dtype, w->x, i), factor), true);
}

static void codes_of_run(const qp_ag_window *w, int64_t first, int64_t n, uint32_t scale) {
    ref_spec s = qp_ag_spec(w);
    const char *x = (const char *)w->x + first * (int64_t)qp_dtype_bytes(w->dtype);
    if (w->rule->how == QP_AG_NARROW) {
        narrow_codes(w, first, n, scale);
        return;
    }
    if (scale == 0 && w->rule->engine == QP_ENGINE_DEEPSEEK_FP8) { // 0/0 has no code worth keeping
        memset(w->codes + first, 0, (size_t)n);
        return;
    }
    if (s.engine == QP_ENGINE_DEEPSEEK_FP8) s.engine = QP_ENGINE_TORCH_CPU; // a given scale: one division
    s.rows = 1;
    s.cols = n;
    s.scale = &scale;
    ref_quant(&s, 0, 1, x, w->codes + first, NULL, NULL, NULL);
}

void qp_ag_derive_given(const qp_ag_window *w) {
    const qp_ag_view *v = w->view;
    const int64_t in = v->m->in;
    uint32_t *amax = w->scratch;
    if (w->given == NULL) qp_ag_tile_amax(w, amax);
    for (int64_t i = 0; i < qp_ag_tiles(w); i++)
        w->scales[i] = w->given != NULL ? w->given[i] : scale_of(w, i, amax[i]);
    if (v->family == QP_AG_INT4_PAIRS) {
        ref_spec s = qp_ag_spec(w);
        s.scale = w->scales;
        ref_quant(&s, 0, w->n_rows, w->x, w->codes, NULL, NULL, NULL);
        return;
    }
    for (int64_t r = 0; r < w->n_rows; r++) {
        for (int64_t seg = 0; seg < v->scale_cols; seg++) {
            const int64_t left = in - seg * v->tile_cols, n = left < v->tile_cols ? left : v->tile_cols;
            const int64_t tile = r / v->tile_rows * v->scale_cols + seg;
            if (w->rule->how == QP_AG_INVERSE) {
                inverse_codes(w, r * in + seg * v->tile_cols, n, amax[tile]);
                continue;
            }
            codes_of_run(w, r * in + seg * v->tile_cols, n, w->scales[tile]);
        }
    }
}

// ---- compressed-tensors: scales in the type of the weights
// ------------------------------------------------------------------------

// One tile of one element says what the reference makes of an amax.
uint32_t qp_ag_ct_scale(const qp_ag_view *v, qp_dtype dtype, uint32_t amax) {
    const ref_spec s = {.format = v->format,
                        .engine = QP_ENGINE_COMPRESSED_TENSORS,
                        .dtype = dtype,
                        .rows = 1,
                        .cols = 1,
                        .block_cols = 1,
                        .amax = &amax};
    const uint32_t x = 0;
    uint32_t scale;
    uint8_t code;
    ref_quant(&s, 0, 1, &x, &code, &scale, NULL, NULL);
    return ref_load_f32(dtype, &scale, 0);
}

// An amax that becomes this scale: scales have no more bits than the type of the weights, so the product
// leads back.
static uint32_t amax_behind(const qp_ag_view *v, uint32_t scale) {
    uint32_t d;
    memcpy(&d, &v->divisor, sizeof d);
    return ref_mul(scale, d);
}

static void ct_codes(const qp_ag_window *w, const uint32_t *amax) {
    const qp_ag_view *v = w->view;
    const int64_t in = v->m->in;
    uint32_t *each = (uint32_t *)w->scratch + qp_ag_tiles(w); // an amax per row and tile column
    uint32_t scale; // not looked at: the images are in w->scales already
    ref_spec s = qp_ag_spec(w);
    s.rows = 1;
    for (int64_t r = 0; r < w->n_rows; r++) {
        const char *x = (const char *)w->x + r * in * (int64_t)qp_dtype_bytes(w->dtype);
        const uint32_t *of_row = amax + r / v->tile_rows * v->scale_cols;
        if (v->format == QP_INT4_BLOCK) {
            s.amax = of_row;
            ref_quant(&s, 0, 1, x, w->codes + r * qp_ag_row_bytes(v, 1), each, NULL, NULL);
            continue;
        }
        for (int64_t seg = 0; seg < v->scale_cols; seg++) {
            const int64_t first = seg * v->tile_cols, left = in - first;
            s.cols = left < v->tile_cols ? left : v->tile_cols;
            s.amax = of_row + seg;
            ref_quant(&s, 0, 1, x + first * (int64_t)qp_dtype_bytes(w->dtype), w->codes + r * in + first,
                      &scale, NULL, NULL);
        }
    }
}

void qp_ag_derive_ct(const qp_ag_window *w) {
    const int64_t n = qp_ag_tiles(w);
    uint32_t *amax = w->scratch;
    if (w->given == NULL) qp_ag_tile_amax(w, amax);
    for (int64_t i = 0; i < n; i++) {
        if (w->given != NULL) amax[i] = amax_behind(w->view, w->given[i]);
        w->scales[i] = qp_ag_ct_scale(w->view, w->dtype, amax[i]);
    }
    ct_codes(w, amax);
}

// ---- compressed-tensors with zero points, or of a width that the reference does not have
// --------------------------------------------------------------------------------------

// Every step in the type of the weights: scale = (max - min) / levels, zero = round(lowest - min / scale),
// code = round(clamp(x / scale + zero)). Symmetric: scale = amax / (levels / 2), zero 0.
static uint32_t in_type(const qp_ag_window *w, float v) {
    uint32_t image;
    memcpy(&image, &v, sizeof image);
    return ref_to_f32(w->dtype, ref_from_f32(w->dtype, image));
}

static float round_even(float v) { // |v| < 2^22
    const float big = 0x1.8p23f;
    const volatile float up = v + big;
    return up - big;
}

static float clamped(float v, float lo, float hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

static void range_of(const qp_ag_window *w, int64_t tile, float *lo, float *hi) {
    const qp_ag_view *v = w->view;
    const int64_t in = v->m->in, r0 = tile / v->scale_cols * v->tile_rows,
                  c0 = tile % v->scale_cols * v->tile_cols;
    *lo = *hi = 0;
    for (int64_t r = r0; r < r0 + v->tile_rows && r < w->n_rows; r++) {
        for (int64_t c = c0; c < c0 + v->tile_cols && c < in; c++) {
            const float x = qp_ag_number(ref_load_f32(w->dtype, w->x, r * in + c));
            *lo = x < *lo ? x : *lo;
            *hi = x > *hi ? x : *hi;
        }
    }
}

static void put_asym(const qp_ag_window *w, int64_t r, int64_t c, float level) {
    const qp_ag_view *v = w->view;
    if (v->layout == QP_AG_CODE_BYTES) {
        w->codes[r * v->m->in + c] = (uint8_t)(int8_t)level;
        return;
    }
    const uint8_t code = (uint8_t)((int)level + 8) & 15; // INT4
    uint8_t *byte = &w->codes[r * qp_ag_row_bytes(v, 1) + c / 2];
    *byte = c % 2 == 0 ? code : (uint8_t)(*byte | code << 4);
}

void qp_ag_derive_ct_asym(const qp_ag_window *w) {
    const qp_ag_view *v = w->view;
    const int bits = v->m->scheme->bits > 0 ? v->m->scheme->bits : v->format == QP_INT4_BLOCK ? 4 : 8;
    const float lowest = -(float)(1 << (bits - 1)), highest = -lowest - 1;
    const bool symmetric = v->m->part[QP_CK_ZERO] == NULL;
    for (int64_t i = 0; i < qp_ag_tiles(w); i++) {
        float lo, hi;
        range_of(w, i, &lo, &hi);
        if (symmetric) {
            const float amax = -lo > hi ? -lo : hi;
            w->scales[i] = in_type(w, amax / ((highest - lowest) / 2));
            w->zeros[i] = 0;
            continue;
        }
        const float spread = qp_ag_number(in_type(w, hi - lo));
        w->scales[i] = in_type(w, spread / (highest - lowest));
        const float back = qp_ag_number(in_type(w, lo / qp_ag_number(w->scales[i])));
        const float zero = qp_ag_number(in_type(w, lowest - back));
        w->zeros[i] = (int32_t)round_even(clamped(zero, lowest, highest));
    }
    for (int64_t r = 0; r < w->n_rows; r++) {
        for (int64_t c = 0; c < v->m->in; c++) {
            const int64_t tile = r / v->tile_rows * v->scale_cols + c / v->tile_cols;
            const float x = qp_ag_number(ref_load_f32(w->dtype, w->x, r * v->m->in + c));
            const float q = qp_ag_number(in_type(w, x / qp_ag_number(w->scales[tile])));
            const float z = qp_ag_number(in_type(w, q + (float)w->zeros[tile]));
            put_asym(w, r, c, round_even(clamped(z, lowest, highest)));
        }
    }
}
