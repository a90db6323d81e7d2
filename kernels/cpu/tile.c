// SPDX-License-Identifier: Apache-2.0
// Memory to tile and back, and the maxima; one cloned loop per storage type.
#include "cpu/tile.h"

#include "cpu/clones.h"
#include "cpu/num.h"

K_CLONES void k_cpu_tile_load(qp_dtype t, const void *src, int n, float *tile) {
    const uint16_t *h = src;
    if (t == QP_BF16) {
        for (int i = 0; i < n; i++) tile[i] = bf16_to_f32(h[i]);
    } else if (t == QP_FP16) {
        for (int i = 0; i < n; i++) tile[i] = fp16_to_f32(h[i]);
    } else {
        memcpy(tile, src, (size_t)n * sizeof *tile);
    }
}

K_CLONES void k_cpu_tile_store(qp_dtype t, void *dst, int n, const float *tile) {
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

K_CLONES uint32_t k_cpu_tile_amax(qp_dtype t, const void *src, int n) {
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

K_CLONES void k_cpu_tile_block_max(const float *tile, int n, float *block_max) {
    int n_full = n / K_BLOCK;
    for (int b = 0; b < n_full; b++) {
        uint32_t m = 0;
        for (int j = 0; j < K_BLOCK; j++) {
            uint32_t a = bits(tile[b * K_BLOCK + j]) & 0x7fffffffu;
            a = a > 0x7f800000u ? 0 : a;
            m = a > m ? a : m;
        }
        block_max[b] = f32(m);
    }
    if (n > n_full * K_BLOCK) {
        uint32_t m = 0;
        for (int i = n_full * K_BLOCK; i < n; i++) {
            uint32_t a = bits(tile[i]) & 0x7fffffffu;
            a = a > 0x7f800000u ? 0 : a;
            m = a > m ? a : m;
        }
        block_max[n_full] = f32(m);
    }
}
