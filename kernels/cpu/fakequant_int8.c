// SPDX-License-Identifier: Apache-2.0
// INT8 and INT4 fake-quant per tensor, per row and per block: r = rint(x * (hi / amax)), clamped, divided by
// the scale again (numerics 1.2, 5.4).
#include <string.h>

#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

static void int_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    const int run = k_scale_run(l->format);
    const float hi = qp_format_get(l->format)->element == QP_ELEM_INT4 ? 7.0f : 127.0f;
    const float lo = l->narrow_range ? -hi : -hi - 1.0f;
    k_cpu_load(l, t, s, tile);
    for (int i = 0; i < s->n; i += run) {
        int n = s->n - i < run ? s->n - i : run;
        float amax = t->amax[k_scale_at(l->format, t, s->row, s->col + i)];
        if (amax < f32(0x33800000u)) // 2^-24; strict: numerics 1.2
            memset(tile + i, 0, (size_t)n * sizeof *tile);
        else
            k_cpu_now()->fake_int(tile + i, n, hi / amax, lo, hi);
    }
    k_cpu_store(l, t, s, tile);
}

static void int_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, int_stretch);
}

qp_status k_cpu_fakequant_int8(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_FAKEQUANT, k_cpu_fakequant_int8, err));
    k_cpu_for_boxes(l, int_box);
    return QP_OK;
}
