// SPDX-License-Identifier: Apache-2.0
// NVFP4 codes and scales back to values over N tensors, in the standard order: (scale byte x weight_scale_2)
// x code (numerics 4.5). Entry 8 of the table is +0.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include "kernels.h"

DEVICE float value_of(uint32_t nibble) {
    float v = k_e2m1_value(nibble & 7);
    return nibble > 8 ? -v : v;
}

KERNEL(unpack_blocks, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const qp_ktensor *t = u.t;
    const uint8_t *codes = t->codes + u.row * ((t->cols + 1) / 2) + u.col / 2;
    float s = k_e4m3_decode(((const uint8_t *)t->scales)[u.block]) * t->weight_scale_2[0], v[K_UNIT];
    UNROLL for (int j = 0; j < K_UNIT; j += 2) {
        uint32_t pair = j < u.n ? codes[j / 2] : 0;
        v[j] = s * value_of(pair & 15);
        v[j + 1] = s * value_of(pair >> 4);
    }
    k_store(p->dtype, t->y, u.row * t->cols + u.col, u.n, v);
}

QP_ENTRY(dequant_nvfp4) {
    QP_TRY(k_launch_check(launch, QP_OP_DEQUANT, err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(unpack_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
