// SPDX-License-Identifier: Apache-2.0
// Straight-through backward: the gradient as it is, or only where |x| <= amax, compared in fp32
// (numerics 1.5, 4.4). The gradient's bits are copied, never computed with.
#include "cpu/clones.h"
#include "cpu/num.h"
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

K_CLONES static void clip_16(const float *x, const uint16_t *grad, uint16_t *y, int n, float amax) {
    for (int i = 0; i < n; i++) {
        uint16_t g = grad[i]; // read whatever the mask says: a loop without branches
        y[i] = f32_abs(x[i]) <= amax ? g : 0;
    }
}

K_CLONES static void clip_32(const float *x, const uint32_t *grad, uint32_t *y, int n, float amax) {
    for (int i = 0; i < n; i++) {
        uint32_t g = grad[i]; // read whatever the mask says: a loop without branches
        y[i] = f32_abs(x[i]) <= amax ? g : 0;
    }
}

// n elements of one row that share one amax.
static void clip_run(const qp_launch *l, const qp_ktensor *t, int64_t row, int64_t col, int64_t n_elems,
                     float amax) {
    float tile[K_TILE];
    for (int64_t c = col; c < col + n_elems; c += K_TILE) {
        int n = (int)(col + n_elems - c < K_TILE ? col + n_elems - c : K_TILE);
        k_cpu_tile_load(l->dtype, k_at(l->dtype, t->x, row * t->ld + c), n, tile);
        const void *grad = k_at(l->dtype, t->grad, row * t->cols + c);
        void *y = k_at_mut(l->dtype, t->y, row * t->cols + c);
        if (l->dtype == QP_FP32)
            clip_32(tile, grad, y, n, amax);
        else
            clip_16(tile, grad, y, n, amax);
    }
}

static void clip_box(const qp_launch *l, const k_box *b) {
    const qp_ktensor *t = b->t;
    int64_t nb = (t->cols + K_BLOCK - 1) / K_BLOCK;
    bool per_row = qp_format_get(l->format)->grain == QP_GRAIN_AXIS0;
    for (int64_t r = b->row0; r < b->row1; r++) {
        if (l->format == QP_NVFP4_STATIC) {
            for (int64_t c = b->col0; c < b->col1; c += K_BLOCK)
                clip_run(l, t, r, c, b->col1 - c < K_BLOCK ? b->col1 - c : K_BLOCK,
                         t->amax[r * nb + c / K_BLOCK]);
        } else {
            float amax = l->format == QP_NVFP4 ? t->global_amax[0] : t->amax[per_row ? r : 0];
            clip_run(l, t, r, b->col0, b->col1 - b->col0, amax);
        }
    }
}

static void pass_box(const qp_launch *l, const k_box *b) {
    for (int64_t r = b->row0; r < b->row1; r++) {
        int64_t i = r * b->t->cols + b->col0;
        memcpy(k_at_mut(l->dtype, b->t->y, i), k_at(l->dtype, b->t->grad, i),
               (size_t)(b->col1 - b->col0) * qp_dtype_bytes(l->dtype));
    }
}

qp_status k_cpu_backward(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_BACKWARD, err));
    k_cpu_for_boxes(l, l->bwd == QP_BWD_PASS ? pass_box : clip_box);
    return QP_OK;
}
