// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 fake-quant per tensor and per row over N tensors: times 448/amax, to an E4M3 code and back, times
// the reciprocal (numerics 2.3).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include "kernels.h"

KERNEL(fp8_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float amax = u.t->amax[p->format == QP_FP8_AXIS0 ? u.row : 0];
    float a = amax <= 5.9604644775390625e-8f ? 1.0f : amax; // 2^-24: a tiny amax behaves as 1
    float s = 448.0f / a, inverse = 1.0f / s;
    float v[K_UNIT];
    k_load(p->dtype, u.t->x, u.row * u.t->ld + u.col, u.n, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = k_e4m3_decode(k_e4m3_encode(v[j] * s)) * inverse;
    k_store(p->dtype, u.t->y, u.row * u.t->cols + u.col, u.n, v);
}

QP_ENTRY(fakequant_fp8) {
    QP_TRY(k_launch_check(launch, QP_OP_FAKEQUANT, err));
    if (launch->format != QP_FP8_E4M3 && launch->format != QP_FP8_AXIS0)
        QP_FAIL(QP_REFUSED, "fakequant_fp8: wanted fp8-e4m3 or fp8-axis0, got %s",
                qp_format_get(launch->format)->name);
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(fp8_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
