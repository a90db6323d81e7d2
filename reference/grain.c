// SPDX-License-Identifier: Apache-2.0
// Which elements share an amax, and max |x| over them (numerics 1.4).
#include <string.h>

#include "ref_internal.h"

ref_grain ref_grain_of(qp_grain kind, int64_t cols, int64_t block_rows, int64_t block_cols) {
    ref_grain g = {kind, cols, 1, 1};
    if (kind == QP_GRAIN_BLOCK) g.width = block_cols > 0 ? block_cols : 16;
    if (kind == QP_GRAIN_BLOCK2D) {
        g.width = block_cols > 0 ? block_cols : 128;
        g.height = block_rows > 0 ? block_rows : 128;
    }
    if (kind == QP_GRAIN_BLOCK || kind == QP_GRAIN_BLOCK2D) g.n_segs = (cols + g.width - 1) / g.width;
    return g;
}

ref_grain ref_grain_of_spec(const ref_spec *s) {
    const qp_format_row *row = qp_format_get(s->format);
    if (row == NULL) return ref_grain_of(QP_GRAIN_TENSOR, s->cols, 0, 0);
    return ref_grain_of(row->grain, s->cols, s->block_rows > 0 ? s->block_rows : row->block_rows,
                        s->block_cols > 0 ? s->block_cols : row->block_cols);
}

int64_t ref_amax_index(const ref_grain *g, int64_t row, int64_t seg) {
    switch (g->kind) {
    case QP_GRAIN_AXIS0:
        return row;
    case QP_GRAIN_BLOCK:
        return row * g->n_segs + seg;
    case QP_GRAIN_BLOCK2D:
        return row / g->height * g->n_segs + seg;
    default:
        return 0;
    }
}

int64_t ref_grain_count(const ref_grain *g, int64_t n_rows) {
    return n_rows > 0 ? ref_amax_index(g, n_rows - 1, g->n_segs - 1) + 1 : g->kind == QP_GRAIN_TENSOR;
}

bool ref_grain_starts(const ref_grain *g, int64_t row) {
    switch (g->kind) {
    case QP_GRAIN_TENSOR:
        return row == 0;
    case QP_GRAIN_BLOCK2D:
        return row % g->height == 0;
    default:
        return true;
    }
}

// Magnitudes of one type order as integers, NaN above Inf; only the largest is widened.
static uint32_t run_max(qp_dtype dtype, const void *x, int64_t first, int64_t n) {
    const char *at = (const char *)x + (size_t)first * qp_dtype_bytes(dtype);
    if (dtype == QP_FP32) {
        uint32_t max = 0;
        for (int64_t i = 0; i < n; i++) {
            uint32_t v;
            memcpy(&v, at + 4 * i, 4);
            v &= 0x7fffffff;
            max = v > max ? v : max;
        }
        return ref_abs(ref_to_f32(dtype, max));
    }
    uint16_t lanes[REF_RUN] = {0}, max = 0; // a maximum has no order: sixteen side by side
    for (int64_t i = 0; i < n; i += REF_RUN) {
        uint16_t v[REF_RUN] = {0};
        if (n - i >= REF_RUN)
            memcpy(v, at + 2 * i, sizeof v);
        else
            memcpy(v, at + 2 * i, 2 * (size_t)(n - i));
        for (int k = 0; k < REF_RUN; k++) v[k] &= 0x7fff;
        for (int k = 0; k < REF_RUN; k++) lanes[k] = v[k] > lanes[k] ? v[k] : lanes[k];
    }
    for (int k = 0; k < REF_RUN; k++) max = lanes[k] > max ? lanes[k] : max;
    return ref_abs(ref_to_f32(dtype, max));
}

float ref_block_amax(qp_dtype dtype, const void *x, int64_t first, int64_t n, bool nan_wins) {
    uint32_t max = 0;
    if (nan_wins) return ref_float(run_max(dtype, x, first, n));
    for (int64_t i = first; i < first + n; i++) {
        const uint32_t a = ref_abs(ref_load_f32(dtype, x, i));
        if (a > max && a <= REF_F32_INF) max = a;
    }
    return ref_float(max);
}

void ref_amax(qp_grain grain, qp_dtype dtype, int64_t rows, int64_t cols, int64_t block_rows,
              int64_t block_cols, const void *x, uint32_t *out) {
    const ref_grain g = ref_grain_of(grain, cols, block_rows, block_cols);
    // Images of |x| order like the values, with NaN above Inf; an exact maximum needs no rounding to the type
    // of x.
    const int64_t n_out = ref_grain_count(&g, rows);
    for (int64_t i = 0; i < n_out; i++) out[i] = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            uint32_t *max = &out[ref_amax_index(&g, r, seg)];
            const int64_t begin = seg * g.width, end = begin + g.width < cols ? begin + g.width : cols;
            const uint32_t a = run_max(dtype, x, r * cols + begin, end - begin);
            if (a > *max) *max = a;
        }
    }
}
