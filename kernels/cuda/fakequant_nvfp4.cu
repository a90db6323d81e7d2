// SPDX-License-Identifier: Apache-2.0
// NVFP4 fake-quant over N tensors, a thread per block of 16: dynamic (scale from the data and the global
// amax, numerics 4.3) and static (from the calibrated block amax, 4.4), also with 256 in the place of 448.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

DEVICE float dynamic_scale(const float *v, float global_amax) {
    float gs = global_amax / 2688.0f;
    float g = gs > 0.0f ? gs : 1e-12f;
    float b = 0.0f;
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float a = k_abs(v[j]);
        b = a > b ? a : b; // a NaN never wins
    }
    float t = b / (6.0f * g);
    float s = k_e4m3_decode(k_e4m3_encode(t < 448.0f ? t : 448.0f)) * g;
    return s >= 1e-5f ? s : 1.0f; // an absolute threshold
}

// headroom: 448 over the normaliser, 1 or 1.75 exactly.
DEVICE float static_scale(float block_amax, float global_amax, float headroom) {
    float sixth = global_amax * headroom / 6.0f;
    float a = sixth <= 5.9604644775390625e-8f ? 1.0f : sixth;
    float s = 448.0f / a;
    float scale = k_e4m3_decode(k_e4m3_encode(block_amax / 6.0f * s)) * (1.0f / s);
    return (k_bits(scale) & 0x7fffffffu) < 0x7f800000u ? scale : 1.0f; // NaN and Inf
}

KERNEL(nvfp4_blocks, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float v[K_UNIT];
    k_load_x(p->dtype, &u, v);
    float s = p->dynamic ? dynamic_scale(v, u.t->global_amax[0])
                         : static_scale(u.t->amax[k_block_index(p, &u)], u.t->global_amax[0],
                                        p->format == QP_NVFP4_46 ? 1.75f : 1.0f);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float x = v[j], q = k_abs(x) / s;
        float y = k_e2m1_value(k_e2m1_code(q)) * s;
        v[j] = s == 0.0f ? 0.0f : x >= 0.0f ? y : 0.0f - y; // 0 - y: a zero is +0, a NaN is -6 scales
    }
    k_store_y(p->dtype, &u, v);
}

QP_ENTRY(fakequant_nvfp4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_FAKEQUANT, QP_SELF(fakequant_nvfp4), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(nvfp4_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
