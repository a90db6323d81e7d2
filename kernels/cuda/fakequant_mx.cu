// SPDX-License-Identifier: Apache-2.0
// MX fake-quant over N tensors, a thread per block of 32: by 2^-k to an element code and by 2^k back, k from
// the largest of the block (numerics 5.0, IEEE division, ties to even).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/mx.h"

KERNEL(mx_blocks, k_table, p) {
    k_unit u = k_mx_block_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float v[K_MX_BLOCK];
    k_mx_load(p->dtype, &u, v);
    const k_mx f = k_mx_of(p->element);
    const int k = k_mx_exponent(k_mx_amax(v, false), f.largest);
    const float down = k_pow2(-k), up = k_pow2(k);
    UNROLL for (int at = 0; at < K_MX_BLOCK; at += K_UNIT) {
        k_unit part = k_part(&u, at);
        UNROLL for (int j = at; j < at + K_UNIT; j++) {
            float y = k_mx_value(&f, k_mx_code(&f, v[j] * down)) * up;
            v[j] = v[j] > 0.0f ? y : -y; // a zero is -0, a NaN that became a number negative (4.7)
        }
        k_store_y(p->dtype, &part, v + at);
    }
}

QP_ENTRY(fakequant_mx) {
    QP_TRY(k_launch_check_own(launch, QP_OP_FAKEQUANT, QP_SELF(fakequant_mx), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_BLOCKS);
        QP_TRY(LAUNCH(mx_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
