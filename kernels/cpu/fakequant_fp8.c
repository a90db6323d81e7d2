// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 fake-quant per tensor, per row and per two-dimensional block: times 448/amax, rounded to E4M3,
// times the reciprocal (numerics 2.3).
#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

static void fp8_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    const int run = k_scale_run(l->format);
    k_cpu_now()->load(l->dtype, k_at(l->dtype, t->x, s->row * t->ld + s->col), s->n, tile);
    for (int i = 0; i < s->n; i += run) {
        float amax = t->amax[k_scale_at(l->format, t, s->row, s->col + i)];
        float a = amax <= f32(0x33800000u) ? 1.0f : amax; // tiny behaves as 1, it does not zero the output
        float scale = 448.0f / a, inverse = 1.0f / scale;
        k_cpu_now()->fake_fp8(tile + i, s->n - i < run ? s->n - i : run, scale, inverse);
    }
    k_cpu_store(l, t, s, tile);
}

static void fp8_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, fp8_stretch);
}

qp_status k_cpu_fakequant_fp8(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_FAKEQUANT, k_cpu_fakequant_fp8, err));
    k_cpu_for_boxes(l, fp8_box);
    return QP_OK;
}
