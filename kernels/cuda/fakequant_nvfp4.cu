// SPDX-License-Identifier: Apache-2.0
// NVFP4 fake-quant over N tensors, a thread per block of 16: dynamic (scale from the data and the global
// amax, numerics 4.3) and static (from the calibrated block amax, numerics 4.4).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include "kernels.h"

DEVICE float dynamic_scale(const float *v, float global_amax) {
    float gs = global_amax / 2688.0f;
    float g = gs > 0.0f ? gs : 1e-12f;
    float b = 0.0f;
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float a = k_f32(k_bits(v[j]) & 0x7fffffffu);
        b = a > b ? a : b; // a NaN never wins
    }
    float t = b / (6.0f * g);
    float s = k_e4m3_decode(k_e4m3_encode(t < 448.0f ? t : 448.0f)) * g;
    return s >= 1e-5f ? s : 1.0f; // an absolute threshold
}

DEVICE float static_scale(float block_amax, float global_amax) {
    float sixth = global_amax / 6.0f;
    float a = sixth <= 5.9604644775390625e-8f ? 1.0f : sixth;
    float s = 448.0f / a;
    float scale = k_e4m3_decode(k_e4m3_encode(block_amax / 6.0f * s)) * (1.0f / s);
    return (k_bits(scale) & 0x7fffffffu) < 0x7f800000u ? scale : 1.0f; // NaN and Inf
}

KERNEL(nvfp4_blocks, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float v[K_UNIT];
    k_load(p->dtype, u.t->x, u.row * u.t->ld + u.col, u.n, v);
    float s = p->format == QP_NVFP4 ? dynamic_scale(v, u.t->global_amax[0])
                                    : static_scale(u.t->amax[u.block], u.t->global_amax[0]);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float x = v[j], q = k_f32(k_bits(x) & 0x7fffffffu) / s;
        float y = k_e2m1_value(k_e2m1_code(q)) * s;
        v[j] = s == 0.0f ? 0.0f : x >= 0.0f ? y : 0.0f - y; // 0 - y: a zero is +0, a NaN is -6 scales
    }
    k_store(p->dtype, u.t->y, u.row * u.t->cols + u.col, u.n, v);
}

QP_ENTRY(fakequant_nvfp4) {
    QP_TRY(k_launch_check(launch, QP_OP_FAKEQUANT, err));
    if (launch->format != QP_NVFP4 && launch->format != QP_NVFP4_STATIC)
        QP_FAIL(QP_REFUSED, "fakequant_nvfp4: wanted nvfp4 or nvfp4-static, got %s",
                qp_format_get(launch->format)->name);
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(nvfp4_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
