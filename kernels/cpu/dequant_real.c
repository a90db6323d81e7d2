// SPDX-License-Identifier: Apache-2.0
// INT8 and FP8 codes times their scale, one rounding to the type of y (numerics 2.6, 5.5, 5.6).
#include "cpu/work.h"
#include "kernels.h"

static float scale_of(const qp_launch *l, const qp_ktensor *t, int64_t i) {
    float scale;
    if (qp_format_get(l->format)->scale == QP_SCALE_GIVEN) return t->scale[i];
    k_cpu_now()->load(l->dtype, k_at(l->dtype, t->scales, i), 1, &scale);
    return scale;
}

static void dequant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    const int run = k_scale_run(l->format);
    const k_cpu_ops *ops = k_cpu_now();
    for (int i = 0; i < s->n; i += run) {
        int n = s->n - i < run ? s->n - i : run;
        float scale = scale_of(l, t, k_scale_at(l->format, t, s->row, s->col + i));
        const uint8_t *codes = &t->codes[s->row * t->cols + s->col + i];
        if (qp_format_get(l->format)->element == QP_ELEM_INT8)
            ops->values_int8(codes, n, scale, tile + i);
        else
            ops->values_fp8(codes, n, scale, tile + i);
    }
    k_cpu_store(l, t, s, tile);
}

static void dequant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, dequant_stretch);
}

qp_status k_cpu_dequant_real(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_DEQUANT, k_cpu_dequant_real, err));
    k_cpu_for_boxes(l, dequant_box);
    return QP_OK;
}
