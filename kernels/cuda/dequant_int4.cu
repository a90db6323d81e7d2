// SPDX-License-Identifier: Apache-2.0
// INT4 packs back to values over N tensors (numerics 5.4). Blocks of 128: (code - 8) / s, the inverse scale s
// in the type of y. AWQ: code * the given fp32 scale.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

KERNEL(unpack_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const float s = k_scale_load(p, u.t, k_grain_index(p, &u));
    uint32_t code[K_UNIT];
    float v[K_UNIT];
    k_load_nibbles(&u, true, code);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = (float)((int)code[j] - 8) / s;
    k_store_y(p->dtype, &u, v);
}

DEVICE void awq_values(const k_table *p, const k_unit *u, const uint32_t *byte, int shift) {
    const float s = u->t->scale[k_grain_index(p, u)];
    float v[K_UNIT];
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = (float)(((int)(byte[j] >> shift & 15) ^ 8) - 8) * s;
    k_store_y(p->dtype, u, v);
}

KERNEL(unpack_row_pairs, k_table, p) {
    k_unit u = k_pair_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    uint32_t byte[K_UNIT];
    k_load_bytes(u.t->codes + (u.row >> 1) * u.t->cols + u.col, u.n, K_UNIT, byte);
    awq_values(p, &u, byte, 0);
    k_unit next = {u.t, u.row + 1, u.col, u.n};
    if (next.row < u.t->rows) awq_values(p, &next, byte, 4);
}

QP_ENTRY(dequant_int4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_DEQUANT, QP_SELF(dequant_int4), err));
    const bool awq = launch->format == QP_INT4_AWQ;
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, awq ? K_CUT_ROW_PAIRS : K_CUT_UNITS);
        if (awq)
            QP_TRY(LAUNCH(unpack_row_pairs, p.first_tile[p.n], K_THREADS, launch, &p));
        else
            QP_TRY(LAUNCH(unpack_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
