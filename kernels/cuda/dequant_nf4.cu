// SPDX-License-Identifier: Apache-2.0
// NF4 back to values over N tensors (numerics 5.7): the block scale from its int8 code, the double scale and
// the mean, each step in the type of y; times the bf16 table. The CUDA kernel multiplies in bf16 whatever
// the type.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/nf4.h"

DEVICE float scale_of(const k_table *p, const qp_ktensor *t, int64_t i) {
    float code = (float)(int)((const int8_t *)t->scales_i8)[i];
    float s = k_round(p->dtype, code / k_round(p->dtype, t->weight_scale_2[0]));
    return k_round(p->dtype, s + k_round(p->dtype, t->global_amax[0]));
}

DEVICE float value_of(uint32_t code) {
    float v = 0.0f;
    UNROLL for (int i = 0; i < K_NF4_CODES; i++) v = code == (uint32_t)i ? k_nf4_bf16(i) : v;
    return v;
}

KERNEL(unpack_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const bool in_bf16 = p->engine == QP_ENGINE_TORCH_CUDA;
    float s = scale_of(p, u.t, k_grain_index(p, &u)), v[K_UNIT];
    if (in_bf16) s = k_round(QP_BF16, s);
    uint32_t code[K_UNIT];
    k_load_nibbles(&u, true, code);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        v[j] = value_of(code[j]) * s;
        if (in_bf16) v[j] = k_round(QP_BF16, v[j]);
    }
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(dequant_nf4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_DEQUANT, QP_SELF(dequant_nf4), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(unpack_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
