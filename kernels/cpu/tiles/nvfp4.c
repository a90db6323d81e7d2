// SPDX-License-Identifier: Apache-2.0
// NVFP4: block scales and elements of fake-quant (numerics 4.3, 4.4) and of pack and dequantize (4.5).
#include "cpu/tiles/isa.h"

void K_FN(nvfp4_dynamic)(const float *block_max, int n, float g, float *divide, float *multiply) {
    float six_g = 6.0f * g;
    for (int b = 0; b < n; b++) {
        float t = block_max[b] / six_g;
        t = t < 448.0f ? t : 448.0f; // drops NaN
        float s = e4m3_round(t) * g;
        s = s >= 1e-5f ? s : 1.0f;
        divide[b] = s;
        multiply[b] = s;
    }
}

// a: the sixth of the global amax by the rules of 2.3. A zero scale divides by 1 and multiplies by 0.
void K_FN(nvfp4_static)(const float *block_amax, int n, float a, float *divide, float *multiply) {
    float s = 448.0f / a, inverse = 1.0f / s;
    for (int b = 0; b < n; b++) {
        float t = block_amax[b] / 6.0f * s;
        float scale = f32_signed(e4m3_round(t), t) * inverse;
        bool usable = f32_abs(scale) < f32(0x7f800000u); // neither NaN nor Inf
        float d = usable ? scale : 1.0f;
        multiply[b] = d == 0.0f ? 0.0f : d;
        divide[b] = d == 0.0f ? 1.0f : d;
    }
}

void K_FN(nvfp4_fake)(float *tile, int n_blocks, const float *divide, const float *multiply) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < 16; j++) {
            float x = tile[b * 16 + j];
            float y = e2m1_round(f32_abs(x) / divide[b]) * multiply[b];
            tile[b * 16 + j] = x >= 0.0f ? y : 0.0f - y; // 0 - y, so that a zero is +0 and a NaN is -6 scales
        }
}

// p = the wanted scale before the clamp; out: byte, and the fp32 divisor of the elements.
K_INLINE void finish_scale(float p, float ws2, uint8_t *code, float *divisor) {
    p = p < 0.001953125f ? 0.001953125f : p; // 2^-9, the smallest E4M3; NaN passes both
    p = p > 448.0f ? 448.0f : p;
    float r = e4m3_round(p);
    *code = e4m3_code(r);
    *divisor = r * ws2;
}

void K_FN(nvfp4_pack_dynamic)(const float *b, int n, float ws2, uint8_t *codes, float *divisors) {
    float six_ws2 = 6.0f * ws2;
    for (int i = 0; i < n; i++) {
        float p = b[i] / six_ws2;
        p = p == 0.0f ? 1.0f : p;
        finish_scale(p, ws2, &codes[i], &divisors[i]);
    }
}

// m: 448, or 256 for four-over-six. reciprocal: torch on CUDA multiplies by fl(1/6) (numerics 0).
void K_FN(nvfp4_pack_static)(const float *b, int n, float m, float sixth, bool reciprocal, float ws2,
                             uint8_t *codes, float *divisors) {
    for (int i = 0; i < n; i++) {
        float p = reciprocal ? b[i] * f32(0x3e2aaaabu) : b[i] / 6.0f;
        p = p == 0.0f ? 1.0f : p;
        finish_scale(p * m / sixth, ws2, &codes[i], &divisors[i]);
    }
}

K_INLINE void code_blocks(const float *x, int n_blocks, int block, const float *divisors, uint8_t *nibbles) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < block; j++) {
            float z = x[b * block + j] / divisors[b];
            uint8_t sign = z < 0.0f ? 8 : 0; // -0 and NaN are positive
            nibbles[b * block + j] = (uint8_t)(sign | e2m1_code(e2m1_round(f32_abs(z))));
        }
}

void K_FN(nvfp4_codes)(const float *tile, int n_blocks, int block, const float *divisors, uint8_t *nibbles) {
    if (block == 16)
        code_blocks(tile, n_blocks, 16, divisors, nibbles);
    else
        code_blocks(tile, n_blocks, block, divisors, nibbles);
}

// The standard order, (scale byte x weight_scale_2) x code. Entry 8 of the table is +0.
K_INLINE void value_blocks(const uint8_t *nibbles, int n_blocks, int block, const uint8_t *scales, float ws2,
                           float *tile) {
    for (int b = 0; b < n_blocks; b++) {
        float s = e4m3_value(scales[b]) * ws2;
        for (int j = 0; j < block; j++) {
            uint32_t c = nibbles[b * block + j];
            uint32_t v = bits(mini_value(c & 7u, MINI_E2M1)) | (c > 8u ? 0x80000000u : 0u);
            tile[b * block + j] = s * f32(v);
        }
    }
}

void K_FN(nvfp4_values)(const uint8_t *nibbles, int n_blocks, int block, const uint8_t *scales, float ws2,
                        float *tile) {
    if (block == 16)
        value_blocks(nibbles, n_blocks, 16, scales, ws2, tile);
    else
        value_blocks(nibbles, n_blocks, block, scales, ws2, tile);
}
