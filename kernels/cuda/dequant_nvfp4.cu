// SPDX-License-Identifier: Apache-2.0
// NVFP4 codes and scales back to values over N tensors, in the standard order: (scale byte x weight_scale_2)
// x code (numerics 4.5). Entry 8 of the table is +0.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

DEVICE float value_of(uint32_t nibble) {
    float v = k_e2m1_value(nibble & 7);
    return nibble > 8 ? -v : v;
}

KERNEL(unpack_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    uint32_t byte = ((const uint8_t *)u.t->scales)[k_block_index(p, &u)], code[K_UNIT];
    float s = k_e4m3_decode(byte) * u.t->weight_scale_2[0], v[K_UNIT];
    k_load_nibbles(&u, false, code);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = s * value_of(code[j]);
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(dequant_nvfp4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_DEQUANT, QP_SELF(dequant_nvfp4), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(unpack_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
