// SPDX-License-Identifier: Apache-2.0
// NVFP4 quantize and pack over N tensors, a thread per block of 16 (W4A8: 32): E4M3 scale byte, two codes a
// byte with the even column low, and the fp32 second-level scale (numerics 4.5). Where a number divides a
// tensor, torch on CUDA multiplies by its rounded reciprocal; every other engine divides (numerics 0).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

enum { PLAIN_SHIFT = 4, W4A8_SHIFT = 5, WIDEST = 1 << W4A8_SHIFT };

DEVICE float a_sixth(const k_table *p, float v) {
    return p->engine == QP_ENGINE_TORCH_CUDA ? v * (1.0f / 6.0f) : v / 6.0f;
}

// ga / (6 * 448), with 256 for four-over-six; W4A8 has ga / 448.
DEVICE float second_level(const k_table *p, float global_amax) {
    const bool times = p->engine == QP_ENGINE_TORCH_CUDA;
    if (p->format == QP_NVFP4_46) return times ? global_amax * (1.0f / 1536.0f) : global_amax / 1536.0f;
    if (p->format == QP_NVFP4_W4A8) return times ? global_amax * (1.0f / 448.0f) : global_amax / 448.0f;
    return times ? global_amax * (1.0f / 2688.0f) : global_amax / 2688.0f;
}

DEVICE float dynamic_ratio(const float *v, int width, float ws2) {
    uint32_t m = 0;
    UNROLL for (int j = 0; j < width; j++) {
        uint32_t a = k_bits(v[j]) & 0x7fffffffu;
        m = a > m ? a : m; // as integers a NaN wins
    }
    float r = k_f32(m) / (6.0f * ws2);
    return r == 0.0f ? 1.0f : r;
}

DEVICE float static_ratio(const k_table *p, float block_amax, float global_amax) {
    float r = a_sixth(p, block_amax), normaliser = p->format == QP_NVFP4_46 ? 256.0f : 448.0f;
    r = r == 0.0f ? 1.0f : r;
    return r * normaliser / a_sixth(p, global_amax);
}

// Tensors without an element have no tile, but they have this scale.
KERNEL(second_level_scales, k_table, p) {
    unsigned i = blockIdx.x * K_THREADS + threadIdx.x;
    if (i >= (unsigned)p->n) return;
    p->t[i].weight_scale_2[0] = k_f32(k_narrow(QP_FP32, second_level(p, p->t[i].global_amax[0])));
}

DEVICE uint32_t code_of(float z) {
    uint32_t sign = z < 0.0f ? 8 : 0; // -0 and NaN are positive
    return sign | k_e2m1_code(k_abs(z));
}

// shift: log2 of the block, a constant.
DEVICE void pack_block(const k_table *p, const k_unit *u, int shift) {
    const qp_ktensor *t = u->t;
    const int width = 1 << shift;
    const int64_t block = k_block_index(p, u);
    const float ga = t->global_amax[0], ws2 = second_level(p, ga);
    float v[WIDEST];
    UNROLL for (int at = 0; at < width; at += K_UNIT) {
        k_unit part = k_part(u, at);
        k_load_x(p->dtype, &part, v + at);
    }
    float r = p->dynamic ? dynamic_ratio(v, width, ws2) : static_ratio(p, t->amax[block], ga);
    // 2^-9 is the smallest E4M3.
    const uint32_t scale = k_e4m3_encode(k_clamp(r, 0.001953125f, 448.0f));
    ((uint8_t *)t->scales)[block] = (uint8_t)scale;
    const float d = k_e4m3_decode(scale) * ws2;
    UNROLL for (int at = 0; at < width; at += K_UNIT) {
        k_unit part = k_part(u, at);
        uint32_t code[K_UNIT];
        UNROLL for (int j = 0; j < K_UNIT; j++) code[j] = code_of(v[at + j] / d);
        k_store_nibbles(&part, false, code);
    }
}

KERNEL(pack_blocks, k_table, p) {
    k_unit u = k_block_of(p, blockIdx.x, threadIdx.x, PLAIN_SHIFT);
    if (u.n > 0) pack_block(p, &u, PLAIN_SHIFT);
}

KERNEL(pack_w4a8_blocks, k_table, p) {
    k_unit u = k_block_of(p, blockIdx.x, threadIdx.x, W4A8_SHIFT);
    if (u.n > 0) pack_block(p, &u, W4A8_SHIFT);
}

QP_ENTRY(quant_nvfp4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_QUANT, QP_SELF(quant_nvfp4), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_BLOCKS);
        QP_TRY(LAUNCH(second_level_scales, (p.n + K_THREADS - 1) / K_THREADS, K_THREADS, launch, &p));
        if (p.col_shift == PLAIN_SHIFT)
            QP_TRY(LAUNCH(pack_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
        else
            QP_TRY(LAUNCH(pack_w4a8_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
