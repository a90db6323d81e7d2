// SPDX-License-Identifier: Apache-2.0
// INT4 tensors (numerics 5.4): offset-binary codes with the scale 7/amax, every step rounded to the type of
// x, and the export in two's complement with an fp32 step.
#include "cpu/tiles/isa.h"

// torch-cpu: rounded to even, clamped, moved by 8.
K_INLINE uint8_t code_to_even(float x, float s, qp_dtype t) {
    float r = small_rint(f32_through(t, x * s));
    r = r > 7.0f ? 7.0f : r;
    r = r < -8.0f ? -8.0f : r;
    return (uint8_t)(int32_t)(r == r ? r + 8.0f : 0.0f); // a NaN packs as 0
}

// The CUDA kernel: clamped, moved by 8 in the type itself, rounded half away from zero. What is rounded lies
// in 0..15, where the fraction is exact.
K_INLINE uint8_t code_half_away(float x, float s, qp_dtype t) {
    float u = f32_through(t, x * s);
    u = u < 7.0f ? u : 7.0f; // its min drops a NaN, which becomes the highest level
    u = u < -8.0f ? -8.0f : u;
    u = f32_through(t, u + 8.0f);
    int32_t whole = (int32_t)u;
    return (uint8_t)(whole + (u - (float)whole >= 0.5f ? 1 : 0));
}

void K_FN(codes_int4)(const float *tile, int n, float s, qp_dtype t, bool half_away, uint8_t *nibbles) {
    if (half_away && t == QP_BF16) {
        for (int i = 0; i < n; i++) nibbles[i] = code_half_away(tile[i], s, QP_BF16);
    } else if (half_away && t == QP_FP16) {
        for (int i = 0; i < n; i++) nibbles[i] = code_half_away(tile[i], s, QP_FP16);
    } else if (half_away) {
        for (int i = 0; i < n; i++) nibbles[i] = code_half_away(tile[i], s, QP_FP32);
    } else if (t == QP_BF16) {
        for (int i = 0; i < n; i++) nibbles[i] = code_to_even(tile[i], s, QP_BF16);
    } else if (t == QP_FP16) {
        for (int i = 0; i < n; i++) nibbles[i] = code_to_even(tile[i], s, QP_FP16);
    } else {
        for (int i = 0; i < n; i++) nibbles[i] = code_to_even(tile[i], s, QP_FP32);
    }
}

void K_FN(codes_awq)(const float *tile, int n, float scale, uint8_t *nibbles) {
    for (int i = 0; i < n; i++) {
        float r = small_rint(tile[i] / scale);
        r = r > 7.0f ? 7.0f : r;
        r = r < -8.0f ? -8.0f : r;
        nibbles[i] = (uint8_t)((uint32_t)(int32_t)(r == r ? r : 0.0f) & 15u);
    }
}

void K_FN(values_int4)(const uint8_t *nibbles, int n, float s, float *tile) {
    for (int i = 0; i < n; i++) tile[i] = (float)((int32_t)nibbles[i] - 8) / s;
}

void K_FN(values_awq)(const uint8_t *nibbles, int n, float scale, float *tile) {
    for (int i = 0; i < n; i++) tile[i] = (float)((int32_t)(nibbles[i] ^ 8) - 8) * scale;
}
