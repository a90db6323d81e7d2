// SPDX-License-Identifier: Apache-2.0
// Numbers for the vector kernels: branch-free conversions and roundings that gcc turns into SIMD. Rounding is
// done ON THE VALUE (add and subtract a power of two, or an integer carry), so no code is ever formed where
// none is needed. Each inline below is one element; the loops that call it are in tiles/, compiled once per
// instruction set.
#ifndef CPU_NUM_H
#define CPU_NUM_H

#include <string.h>

#include "qp/dtype.h"

#define K_INLINE static inline __attribute__((always_inline))

K_INLINE float f32(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

K_INLINE uint32_t bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

K_INLINE float f32_abs(float f) {
    return f32(bits(f) & 0x7fffffffu);
}

// |value| with the sign of another one.
K_INLINE float f32_signed(float magnitude, float sign_of) {
    return f32((bits(magnitude) & 0x7fffffffu) | (bits(sign_of) & 0x80000000u));
}

// NaN results differ in sign and payload between instruction sets: one image for all.
K_INLINE uint32_t f32_canonical(float f) {
    return f == f ? bits(f) : 0x7fc00000u;
}

K_INLINE float bf16_to_f32(uint16_t h) {
    return f32((uint32_t)h << 16);
}

K_INLINE uint16_t bf16_from_f32(float f) {
    uint32_t u = bits(f);
    uint32_t r = (u + 0x7fffu + ((u >> 16) & 1)) >> 16; // RNE; carries into Inf by itself
    return (uint16_t)(f == f ? r : 0x7fc0u);
}

K_INLINE float fp16_to_f32(uint16_t h) {
    // The 15 magnitude bits moved to fp32's place are the value times 2^-112; the product is exact,
    // subnormals included.
    uint32_t m = h & 0x7fffu;
    uint32_t u = bits(f32(m << 13) * f32(0x77800000u));
    u |= m >= 0x7c00u ? 0x7f800000u : 0u; // Inf and NaN keep their exponent
    return f32(u | (uint32_t)(h & 0x8000u) << 16);
}

K_INLINE uint16_t fp16_from_f32(float f) {
    uint32_t u = bits(f), a = u & 0x7fffffffu;
    uint32_t small = bits(f32(a) + 0.5f) - 0x3f000000u; // below 2^-14: the ulp of 0.5 is 2^-24
    uint32_t normal = (a + 0xfffu + ((a >> 13) & 1) - (112u << 23)) >> 13; // RNE
    uint32_t r = a < 0x38800000u ? small : normal;
    r = a >= 0x477ff000u ? 0x7c00u : r; // 65520 and above
    r |= (u >> 16) & 0x8000u;
    return (uint16_t)(a > 0x7f800000u ? 0x7e00u : r);
}

// A small float: mantissa bits, exponent of the smallest normal, largest magnitude (numerics 10).
typedef struct mini {
    int mantissa, least;
    float largest;
} mini;

#define MINI_E4M3 ((mini){3, -6, 448.0f})
#define MINI_E5M2 ((mini){2, -14, 57344.0f})
#define MINI_E3M2 ((mini){2, -2, 28.0f})
#define MINI_E2M3 ((mini){3, 0, 7.5f})
#define MINI_E2M1 ((mini){1, 0, 6.0f})

// |v| to the nearest magnitude of f, ties to the even code, saturating; NaN stays NaN (numerics 2.2, 4.1).
K_INLINE float mini_round(float v, mini f) {
    const int drop = 23 - f.mantissa;
    uint32_t a = bits(v) & 0x7fffffffu;
    float magic = f32((uint32_t)(f.least + drop + 127) << 23); // its ulp is the step below the normals
    float sub = (f32(a) + magic) - magic;
    uint32_t half = (1u << (drop - 1)) - 1;
    float nor = f32((a + half + ((a >> drop) & 1)) >> drop << drop);
    float r = a < (uint32_t)(f.least + 127) << 23 ? sub : nor;
    r = r > f.largest ? f.largest : r;
    return a > 0x7f800000u ? f32(0x7fc00000u) : r;
}

// The code of a magnitude that mini_round returned; not for NaN.
K_INLINE uint32_t mini_code(float rounded, mini f) {
    uint32_t a = bits(rounded);
    bool normal = a >= (uint32_t)(f.least + 127) << 23;
    float per_step = f32((uint32_t)(f.mantissa - f.least + 127) << 23);
    uint32_t sub = (uint32_t)(int32_t)((normal ? 0.0f : rounded) * per_step);
    uint32_t nor = (a >> (23 - f.mantissa)) - ((uint32_t)(f.least + 126) << f.mantissa);
    return normal ? nor : sub;
}

// The magnitude of a code. No subnormal fp32 on the way.
K_INLINE float mini_value(uint32_t code, mini f) {
    float step = f32((uint32_t)(f.least - f.mantissa + 127) << 23);
    float sub = (float)(int32_t)code * step;
    float nor = f32((code << (23 - f.mantissa)) + ((uint32_t)(f.least + 126) << 23));
    return code >> f.mantissa ? nor : sub;
}

K_INLINE float e4m3_round(float v) {
    return mini_round(v, MINI_E4M3);
}

// The code of a magnitude that e4m3_round returned. NaN -> 7f.
K_INLINE uint8_t e4m3_code(float rounded) {
    uint32_t c = mini_code(rounded, MINI_E4M3);
    return (uint8_t)(rounded == rounded ? c : 0x7fu);
}

K_INLINE float e4m3_value(uint8_t code) {
    float v = mini_value(code & 0x7fu, MINI_E4M3);
    v = (code & 0x7fu) == 0x7fu ? f32(0x7fc00000u) : v;
    return f32(bits(v) | (uint32_t)(code & 0x80u) << 24);
}

// a >= 0 to the nearest of 0 .5 1 1.5 2 3 4 6, ties to the even code; NaN and all above 5 give 6; negative a
// gives 0 (numerics 4.1). The steps .5, 1, 2 are the ulps of 2^22, 2^23, 2^24.
K_INLINE float e2m1_round(float a) {
    float m = a < 6.0f ? a : 6.0f;
    m = m > 0.0f ? m : 0.0f;
    float c = m < 2.0f ? 4194304.0f : 8388608.0f;
    c = m < 4.0f ? c : 16777216.0f;
    return (m + c) - c;
}

// v to the nearest integer, ties to even, the sign kept; |v| is first held to 200, beyond every clamp to an
// 8-bit integer. NaN stays. The step 1 is the ulp of 2^23.
K_INLINE float small_rint(float v) {
    float a = f32_abs(v);
    a = a > 200.0f ? 200.0f : a;
    return f32_signed((a + 8388608.0f) - 8388608.0f, v);
}

// One rounding to the storage type, as a value: there and back, but without leaving 32 bits, which is what
// loops vectorize.
K_INLINE float bf16_value(float f) {
    uint32_t u = bits(f), r = (u + 0x7fffu + ((u >> 16) & 1)) & 0xffff0000u;
    return f32(f == f ? r : 0x7fc00000u);
}

K_INLINE float fp16_value(float f) {
    uint32_t a = bits(f) & 0x7fffffffu;
    float small = (f32(a) + 0.5f) - 0.5f; // below 2^-14: the ulp of 0.5 is 2^-24
    float normal = f32((a + 0xfffu + ((a >> 13) & 1)) & 0xffffe000u);
    float r = a < 0x38800000u ? small : normal;
    r = a >= 0x477ff000u ? f32(0x7f800000u) : r; // 65520 and above
    r = a > 0x7f800000u ? f32(0x7fc00000u) : r;
    return f32(bits(r) | (bits(f) & 0x80000000u));
}

// t is a constant where this is inlined.
K_INLINE float f32_through(qp_dtype t, float v) {
    return t == QP_BF16 ? bf16_value(v) : t == QP_FP16 ? fp16_value(v) : v;
}

// The code 0..7 of a magnitude that e2m1_round returned.
K_INLINE uint8_t e2m1_code(float rounded) {
    int32_t twice = (int32_t)(rounded * 2.0f); // 0 1 2 3 4 6 8 12
    return (uint8_t)(twice <= 4 ? twice : 4 + (twice >> 2));
}

#endif
