// SPDX-License-Identifier: Apache-2.0
// INT8 and FP8 tensors: a byte a code, the quotient rounded to the type of x first, or, for exports with an
// fp32 scale, not at all (numerics 2.6, 5.5).
#include "cpu/tiles/isa.h"

K_INLINE uint8_t int8_code(float x, float scale, qp_dtype t) {
    float r = small_rint(f32_through(t, x / scale));
    r = r > 127.0f ? 127.0f : r;
    r = r < -128.0f ? -128.0f : r;
    return (uint8_t)(int8_t)(int32_t)(r == r ? r : 0.0f); // a NaN is 0, as torch converts it
}

K_INLINE uint8_t fp8_code(float x, float scale, qp_dtype t) {
    float z = f32_through(t, x / scale);
    uint8_t sign = (uint8_t)(bits(z) >> 24 & 0x80u);
    return (uint8_t)(z == z ? sign | e4m3_code(e4m3_round(z)) : 0x7f); // Inf saturates (numerics 0)
}

void K_FN(codes_int8)(const float *tile, int n, float scale, qp_dtype t, uint8_t *codes) {
    if (t == QP_BF16) {
        for (int i = 0; i < n; i++) codes[i] = int8_code(tile[i], scale, QP_BF16);
    } else if (t == QP_FP16) {
        for (int i = 0; i < n; i++) codes[i] = int8_code(tile[i], scale, QP_FP16);
    } else {
        for (int i = 0; i < n; i++) codes[i] = int8_code(tile[i], scale, QP_FP32);
    }
}

void K_FN(codes_fp8)(const float *tile, int n, float scale, qp_dtype t, uint8_t *codes) {
    if (t == QP_BF16) {
        for (int i = 0; i < n; i++) codes[i] = fp8_code(tile[i], scale, QP_BF16);
    } else if (t == QP_FP16) {
        for (int i = 0; i < n; i++) codes[i] = fp8_code(tile[i], scale, QP_FP16);
    } else {
        for (int i = 0; i < n; i++) codes[i] = fp8_code(tile[i], scale, QP_FP32);
    }
}

void K_FN(values_int8)(const uint8_t *codes, int n, float scale, float *tile) {
    for (int i = 0; i < n; i++) tile[i] = (float)(int8_t)codes[i] * scale;
}

void K_FN(values_fp8)(const uint8_t *codes, int n, float scale, float *tile) {
    for (int i = 0; i < n; i++) tile[i] = e4m3_value(codes[i]) * scale;
}
