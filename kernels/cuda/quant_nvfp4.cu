// SPDX-License-Identifier: Apache-2.0
// NVFP4 quantize and pack over N tensors, a thread per block of 16: E4M3 scale byte, two codes a byte with
// the even column low, and the fp32 second-level scale (numerics 4.5, true divisions).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include "kernels.h"

DEVICE float dynamic_ratio(const float *v, float ws2) {
    uint32_t m = 0;
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        uint32_t a = k_bits(v[j]) & 0x7fffffffu;
        m = a > m ? a : m; // as integers a NaN wins
    }
    float r = k_f32(m) / (6.0f * ws2);
    return r == 0.0f ? 1.0f : r;
}

DEVICE float static_ratio(float block_amax, float global_amax) {
    float r = block_amax / 6.0f;
    r = r == 0.0f ? 1.0f : r;
    return r * 448.0f / (global_amax / 6.0f);
}

// Tensors without an element have no tile, but they have this scale.
KERNEL(second_level_scales, k_table, p) {
    unsigned i = blockIdx.x * K_THREADS + threadIdx.x;
    if (i >= (unsigned)p->n) return;
    p->t[i].weight_scale_2[0] = k_f32(k_narrow(QP_FP32, p->t[i].global_amax[0] / 2688.0f));
}

KERNEL(pack_blocks, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const qp_ktensor *t = u.t;
    float v[K_UNIT], ws2 = t->global_amax[0] / 2688.0f;
    k_load(p->dtype, t->x, u.row * t->ld + u.col, u.n, v);
    float r =
        p->format == QP_NVFP4 ? dynamic_ratio(v, ws2) : static_ratio(t->amax[u.block], t->global_amax[0]);
    r = r < 0.001953125f ? 0.001953125f : r; // 2^-9, the smallest E4M3; NaN passes both
    r = r > 448.0f ? 448.0f : r;
    uint32_t scale = k_e4m3_encode(r);
    ((uint8_t *)t->scales)[u.block] = (uint8_t)scale;
    float d = k_e4m3_decode(scale) * ws2;
    uint8_t *out = t->codes + u.row * ((t->cols + 1) / 2) + u.col / 2;
    UNROLL for (int j = 0; j < K_UNIT; j += 2) {
        uint32_t pair = 0;
        UNROLL for (int k = 0; k < 2; k++) {
            float z = v[j + k] / d;
            uint32_t sign = z < 0.0f ? 8 : 0; // -0 and NaN are positive
            pair |= (sign | k_e2m1_code(k_f32(k_bits(z) & 0x7fffffffu))) << (4 * k);
        }
        if (j < u.n) out[j / 2] = (uint8_t)pair;
    }
}

QP_ENTRY(quant_nvfp4) {
    QP_TRY(k_launch_check(launch, QP_OP_QUANT, err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(second_level_scales, (p.n + K_THREADS - 1) / K_THREADS, K_THREADS, launch, &p));
        QP_TRY(LAUNCH(pack_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
