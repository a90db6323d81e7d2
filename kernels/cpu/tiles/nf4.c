// SPDX-License-Identifier: Apache-2.0
// NF4 codes and values, blocks of 64 (numerics 5.7): the nearest of 16 levels, the first of equals. torch on
// a CPU rounds the levels to bf16 and every difference to the type of x; on CUDA both stay fp32.
#include "cpu/tiles/isa.h"

enum { BLOCK = 64 };

static const float exact[16] = {-1.0f,   -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0.0f,
                                0.0796f, 0.1609f,  0.2461f,  0.3379f,  0.4407f,  0.5626f,  0.7230f,  1.0f};

K_INLINE float rounded_level(int k) {
    return bf16_to_f32(bf16_from_f32(exact[k])); // exact in fp16 too
}

// t: of x. d: what the differences are rounded to. Level by level over a block: loops without branches.
K_INLINE void code_blocks(const float *x, int n_blocks, const float *amax, const float *level, qp_dtype t,
                          qp_dtype d, uint8_t *nibbles) {
    for (int b = 0; b < n_blocks; b++) {
        float u[BLOCK];
        int32_t best[BLOCK], code[BLOCK]; // distances compare as their images; a NaN is the farthest
        for (int j = 0; j < BLOCK; j++) {
            u[j] = f32_through(t, x[b * BLOCK + j] / amax[b]);
            best[j] = (int32_t)bits(f32_through(d, f32_abs(u[j] - level[0])));
            code[j] = 0;
        }
        for (int k = 1; k < 16; k++)
            for (int j = 0; j < BLOCK; j++) {
                int32_t far = (int32_t)bits(f32_through(d, f32_abs(u[j] - level[k])));
                int32_t nearer = -(far < best[j]);
                code[j] = (code[j] & ~nearer) | (k & nearer);
                best[j] = (best[j] & ~nearer) | (far & nearer);
            }
        for (int j = 0; j < BLOCK; j++) nibbles[b * BLOCK + j] = (uint8_t)code[j];
    }
}

void K_FN(codes_nf4)(const float *tile, int n_blocks, const float *amax, qp_dtype t, bool cuda,
                     uint8_t *nibbles) {
    float level[16];
    for (int k = 0; k < 16; k++) level[k] = cuda ? exact[k] : rounded_level(k);
    if (t == QP_BF16 && cuda)
        code_blocks(tile, n_blocks, amax, level, QP_BF16, QP_FP32, nibbles);
    else if (t == QP_BF16)
        code_blocks(tile, n_blocks, amax, level, QP_BF16, QP_BF16, nibbles);
    else if (t == QP_FP16 && cuda)
        code_blocks(tile, n_blocks, amax, level, QP_FP16, QP_FP32, nibbles);
    else if (t == QP_FP16)
        code_blocks(tile, n_blocks, amax, level, QP_FP16, QP_FP16, nibbles);
    else
        code_blocks(tile, n_blocks, amax, level, QP_FP32, QP_FP32, nibbles);
}

// Dequantize takes the rounded levels everywhere; on CUDA it multiplies and answers in bf16.
void K_FN(values_nf4)(const uint8_t *nibbles, int n_blocks, const float *scales, bool cuda, float *tile) {
    float level[16];
    for (int k = 0; k < 16; k++) level[k] = rounded_level(k);
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < BLOCK; j++) {
            float v = level[nibbles[b * BLOCK + j] & 15] * scales[b];
            tile[b * BLOCK + j] = cuda ? f32_through(QP_BF16, v) : v;
        }
}
