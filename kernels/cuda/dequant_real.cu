// SPDX-License-Identifier: Apache-2.0
// INT8 and FP8 codes back to values over N tensors: code * scale, one rounding to the type of y. The scale is
// of that type (numerics 2.6, 5.5), or for exports the given fp32 one.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

DEVICE float value_of(int element, uint32_t code) {
    return element == QP_ELEM_INT8 ? (float)(int)(int8_t)code : k_e4m3_decode(code);
}

KERNEL(dequantize_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const int64_t i = k_grain_index(p, &u);
    const float s = p->scale == QP_SCALE_GIVEN ? u.t->scale[i] : k_scale_load(p, u.t, i);
    uint32_t code[K_UNIT];
    float v[K_UNIT];
    k_load_codes(&u, code);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = value_of(p->element, code[j]) * s;
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(dequant_real) {
    QP_TRY(k_launch_check_own(launch, QP_OP_DEQUANT, QP_SELF(dequant_real), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(dequantize_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
