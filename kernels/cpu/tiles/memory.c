// SPDX-License-Identifier: Apache-2.0
// Memory to tile and back, and the maxima; one loop per storage type.
#include "cpu/tiles/isa.h"

void K_FN(load)(qp_dtype t, const void *src, int n, float *tile) {
    const uint16_t *h = src;
    if (t == QP_BF16) {
        for (int i = 0; i < n; i++) tile[i] = bf16_to_f32(h[i]);
    } else if (t == QP_FP16) {
        for (int i = 0; i < n; i++) tile[i] = fp16_to_f32(h[i]);
    } else {
        memcpy(tile, src, (size_t)n * sizeof *tile);
    }
}

void K_FN(store)(qp_dtype t, void *dst, int n, const float *tile) {
    uint16_t *h = dst;
    uint32_t *w = dst;
    if (t == QP_BF16) {
        for (int i = 0; i < n; i++) h[i] = bf16_from_f32(tile[i]);
    } else if (t == QP_FP16) {
        for (int i = 0; i < n; i++) h[i] = fp16_from_f32(tile[i]);
    } else {
        for (int i = 0; i < n; i++) w[i] = f32_canonical(tile[i]);
    }
}

uint32_t K_FN(amax)(qp_dtype t, const void *src, int n) {
    const uint16_t *h = src;
    const uint32_t *w = src;
    uint32_t m = 0;
    if (t == QP_FP32) {
        for (int i = 0; i < n; i++) {
            uint32_t a = w[i] & 0x7fffffffu;
            m = a > m ? a : m;
        }
    } else {
        uint16_t m16 = 0;
        for (int i = 0; i < n; i++) {
            uint16_t a = h[i] & 0x7fffu;
            m16 = a > m16 ? a : m16;
        }
        m = bits(t == QP_BF16 ? bf16_to_f32(m16) : fp16_to_f32(m16));
    }
    return m > 0x7f800000u ? 0x7fc00000u : m;
}

K_INLINE void maxima(const float *tile, int n_blocks, int block, bool nan_wins, float *out) {
    for (int b = 0; b < n_blocks; b++) {
        uint32_t m = 0;
        for (int j = 0; j < block; j++) {
            uint32_t a = bits(tile[b * block + j]) & 0x7fffffffu;
            if (!nan_wins) a &= (uint32_t)((int32_t)(a - 0x7f800001u) >> 31); // all ones up to Inf
            m = a > m ? a : m;
        }
        out[b] = f32(m);
    }
}

// With the length as a constant the loops have no tail.
K_INLINE void maxima_of(const float *tile, int n_blocks, int block, bool nan_wins, float *out) {
    if (block == 16)
        maxima(tile, n_blocks, 16, nan_wins, out);
    else if (block == 32)
        maxima(tile, n_blocks, 32, nan_wins, out);
    else if (block == 64)
        maxima(tile, n_blocks, 64, nan_wins, out);
    else
        maxima(tile, n_blocks, 128, nan_wins, out);
}

void K_FN(block_max)(const float *tile, int n_blocks, int block, bool nan_wins, float *out) {
    if (nan_wins)
        maxima_of(tile, n_blocks, block, true, out);
    else
        maxima_of(tile, n_blocks, block, false, out);
}
