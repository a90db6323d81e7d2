// SPDX-License-Identifier: Apache-2.0
// Straight-through backward: the gradient as it is, or only where |x| <= amax, compared in fp32
// (numerics 1.5, 4.4). MX formats always pass.
#include <string.h>

#include "cpu/work.h"
#include "kernels.h"

static void clip(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    const bool dynamic = qp_format_is_dynamic(l->format);
    const int run = dynamic ? K_TILE : k_scale_run(l->format);
    const k_cpu_ops *ops = k_cpu_now();
    ops->load(l->dtype, k_at(l->dtype, t->x, s->row * t->ld + s->col), s->n, tile);
    for (int i = 0; i < s->n; i += run) {
        int64_t at = s->row * t->cols + s->col + i;
        float amax = dynamic ? t->global_amax[0] : t->amax[k_scale_at(l->format, t, s->row, s->col + i)];
        ops->clip(tile + i, k_at(l->dtype, t->grad, at), k_at_mut(l->dtype, t->y, at),
                  s->n - i < run ? s->n - i : run, qp_dtype_bytes(l->dtype), amax);
    }
}

static void clip_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, clip);
}

static void pass_box(const qp_launch *l, const k_box *b) {
    for (int64_t r = b->row0; r < b->row1; r++) {
        int64_t i = r * b->t->cols + b->col0;
        memcpy(k_at_mut(l->dtype, b->t->y, i), k_at(l->dtype, b->t->grad, i),
               (size_t)(b->col1 - b->col0) * qp_dtype_bytes(l->dtype));
    }
}

qp_status k_cpu_backward(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_BACKWARD, k_cpu_backward, err));
    bool pass = l->bwd == QP_BWD_PASS || qp_format_get(l->format)->scale == QP_SCALE_E8M0;
    k_cpu_for_boxes(l, pass ? pass_box : clip_box);
    return QP_OK;
}
