// SPDX-License-Identifier: Apache-2.0
// INT8 fake-quant per tensor and per row over N tensors: rint(x * (127 / amax)), clamped, divided by the
// scale again (numerics 1.2).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include "kernels.h"

#include <math.h>

KERNEL(int8_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float amax = u.t->amax[p->format == QP_INT8_AXIS0 ? u.row : 0];
    bool tiny = amax < 5.9604644775390625e-8f; // 2^-24, strict: then the answer is +0 whatever x is
    float lo = p->narrow_range ? -127.0f : -128.0f;
    float s = 127.0f / amax;
    float v[K_UNIT];
    k_load(p->dtype, u.t->x, u.row * u.t->ld + u.col, u.n, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float r = rintf(v[j] * s);
        r = r > 127.0f ? 127.0f : r; // NaN passes both
        r = r < lo ? lo : r;
        v[j] = tiny ? 0.0f : r / s;
    }
    k_store(p->dtype, u.t->y, u.row * u.t->cols + u.col, u.n, v);
}

QP_ENTRY(fakequant_int8) {
    QP_TRY(k_launch_check(launch, QP_OP_FAKEQUANT, err));
    if (launch->format != QP_INT8 && launch->format != QP_INT8_AXIS0)
        QP_FAIL(QP_REFUSED, "fakequant_int8: wanted int8 or int8-axis0, got %s",
                qp_format_get(launch->format)->name);
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(int8_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
