// SPDX-License-Identifier: Apache-2.0
// Straight-through backward over N tensors: the gradient's bits as they are, or only where |x| <= amax,
// compared in fp32 (numerics 1.5; static NVFP4 by block, 4.4). MX formats have no amax: always as they are.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

KERNEL(pass_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    uint32_t g[K_UNIT];
    k_load_raw(p->dtype, u.t->grad, u.row * u.t->cols + u.col, u.n, g);
    k_store_raw(p->dtype, u.t->y, u.row * u.t->cols + u.col, u.n, g);
}

DEVICE float amax_of(const k_table *p, const k_unit *u) {
    return p->dynamic ? u->t->global_amax[0] : u->t->amax[k_grain_index(p, u)];
}

KERNEL(clip_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float amax = amax_of(p, &u), x[K_UNIT];
    uint32_t g[K_UNIT];
    k_load_x(p->dtype, &u, x);
    k_load_raw(p->dtype, u.t->grad, u.row * u.t->cols + u.col, u.n, g);
    UNROLL for (int j = 0; j < K_UNIT; j++) g[j] = k_abs(x[j]) <= amax ? g[j] : 0;
    k_store_raw(p->dtype, u.t->y, u.row * u.t->cols + u.col, u.n, g);
}

QP_ENTRY(backward) {
    QP_TRY(k_launch_check_own(launch, QP_OP_BACKWARD, QP_SELF(backward), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        if (launch->bwd == QP_BWD_PASS || p.scale == QP_SCALE_E8M0)
            QP_TRY(LAUNCH(pass_units, p.first_tile[p.n], K_THREADS, launch, &p));
        else
            QP_TRY(LAUNCH(clip_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
