// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 fake-quant per tensor, per row and per two-dimensional block over N tensors: times 448/amax, to an
// E4M3 code and back, times the reciprocal (numerics 2.3).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

KERNEL(fp8_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float amax = u.t->amax[k_grain_index(p, &u)];
    float a = amax <= 5.9604644775390625e-8f ? 1.0f : amax; // 2^-24: a tiny amax behaves as 1
    float s = 448.0f / a, inverse = 1.0f / s;
    float v[K_UNIT];
    k_load_x(p->dtype, &u, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = k_e4m3_decode(k_e4m3_encode(v[j] * s)) * inverse;
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(fakequant_fp8) {
    QP_TRY(k_launch_check_own(launch, QP_OP_FAKEQUANT, QP_SELF(fakequant_fp8), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(fp8_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
