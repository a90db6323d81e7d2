// SPDX-License-Identifier: Apache-2.0
// INT8 and FP8 tensors, a byte per code, over N tensors: the real tensors, whose scale amax / largest and
// whose quotients are of the type of x, and the exports, which divide by a given fp32 scale and keep the
// quotient in fp32 (numerics 2.6, 5.5, 5.6; casts to E4M3 saturate as in torch 2.12 and later).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include <math.h>

// A number divides a tensor on a CPU; on CUDA its rounded reciprocal multiplies it (numerics 0).
DEVICE float scale_of_amax(const k_table *p, float amax) {
    const bool times = p->engine == QP_ENGINE_TORCH_CUDA;
    float a = k_round(p->dtype, amax), s;
    if (p->element == QP_ELEM_INT8)
        s = times ? a * (1.0f / 127.0f) : a / 127.0f;
    else
        s = times ? a * (1.0f / 448.0f) : a / 448.0f;
    return k_round(p->dtype, s);
}

DEVICE uint32_t code_of(int element, float q) {
    if (element == QP_ELEM_INT8) return k_int_code(k_clamp(rintf(q), -128.0f, 127.0f));
    return k_e4m3_encode(q);
}

KERNEL(quantize_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const int64_t i = k_grain_index(p, &u);
    const bool given = p->scale == QP_SCALE_GIVEN;
    const float s = given ? u.t->scale[i] : scale_of_amax(p, u.t->amax[i]);
    float v[K_UNIT];
    uint32_t code[K_UNIT];
    k_load_x(p->dtype, &u, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float q = v[j] / s;
        code[j] = code_of(p->element, given ? q : k_round(p->dtype, q));
    }
    k_store_codes(&u, code);
    if (!given && k_grain_begins(p, &u)) k_scale_store(p, u.t, i, s);
}

QP_ENTRY(quant_real) {
    QP_TRY(k_launch_check_own(launch, QP_OP_QUANT, QP_SELF(quant_real), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(quantize_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
