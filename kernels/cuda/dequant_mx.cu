// SPDX-License-Identifier: Apache-2.0
// MX codes and E8M0 bytes back to values over N tensors, one product each (numerics 5.0-5.2). Byte ff is NaN
// in the format; torch computes 2^128 and has Inf.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/mx.h"

DEVICE float scale_of(const k_table *p, uint32_t byte) {
    if (byte == 0xff) return k_f32(p->engine == QP_ENGINE_IEEE ? 0x7fc00000u : 0x7f800000u);
    return k_pow2((int)byte - K_E8M0_BIAS);
}

DEVICE float signed_value(const k_mx *f, uint32_t code) {
    if (f->sign == 0) return (float)(int)(int8_t)code;
    float v = k_mx_value(f, code & (f->sign - 1));
    return (code & f->sign) != 0 ? -v : v;
}

KERNEL(dequantize_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const k_mx f = k_mx_of(p->element);
    const float s = scale_of(p, ((const uint8_t *)u.t->scales)[k_block_index(p, &u)]);
    uint32_t code[K_UNIT];
    float v[K_UNIT];
    if (p->element == QP_ELEM_E2M1)
        k_load_nibbles(&u, false, code);
    else
        k_load_codes(&u, code);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = signed_value(&f, code[j]) * s;
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(dequant_mx) {
    QP_TRY(k_launch_check_own(launch, QP_OP_DEQUANT, QP_SELF(dequant_mx), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(dequantize_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
