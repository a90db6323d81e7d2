// SPDX-License-Identifier: Apache-2.0
// INT8 and INT4 fake-quant per tensor, per row and per block over N tensors: rint(x * (127 / amax)), clamped,
// divided by the scale again (numerics 1.2; INT4 with 7, 5.4).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

#include <math.h>

KERNEL(int8_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float amax = u.t->amax[k_grain_index(p, &u)];
    bool tiny = amax < 5.9604644775390625e-8f; // 2^-24, strict: then the answer is +0 whatever x is
    float hi = p->element == QP_ELEM_INT4 ? 7.0f : 127.0f;
    float lo = p->narrow_range ? -hi : -hi - 1.0f;
    float s = hi / amax;
    float v[K_UNIT];
    k_load_x(p->dtype, &u, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float r = k_clamp(rintf(v[j] * s), lo, hi);
        v[j] = tiny ? 0.0f : r / s;
    }
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(fakequant_int8) {
    QP_TRY(k_launch_check_own(launch, QP_OP_FAKEQUANT, QP_SELF(fakequant_int8), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(int8_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
