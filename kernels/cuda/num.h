// SPDX-License-Identifier: Apache-2.0
// Numbers for the CUDA kernels: storage types to fp32 and back, and the element codes, all by integer code of
// our own, so that one source gives the same bits on every architecture and under simt. The dialect (DEVICE,
// UNROLL) comes first.
#ifndef CUDA_NUM_H
#define CUDA_NUM_H

#include <string.h>

#include "qp/dtype.h"

enum { K_UNIT_SHIFT = 4, K_UNIT = 1 << K_UNIT_SHIFT }; // elements of one thread

DEVICE uint32_t k_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

DEVICE float k_f32(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

DEVICE bool k_is_nan(uint32_t u) {
    return (u & 0x7fffffffu) > 0x7f800000u;
}

// Right shift with round to nearest, ties to even; 1 <= shift <= 31.
DEVICE uint32_t k_shift_rne(uint32_t v, unsigned shift) {
    uint32_t q = v >> shift, rest = v & ((1u << shift) - 1), half = 1u << (shift - 1);
    return q + (rest > half || (rest == half && (q & 1)) ? 1 : 0);
}

DEVICE float k_widen(int dtype, uint32_t h) {
    if (dtype == QP_FP32) return k_f32(h);
    if (dtype == QP_BF16) return k_f32(h << 16);
    uint32_t sign = (h & 0x8000u) << 16, e = (h >> 10) & 31, m = h & 0x3ffu;
    if (e == 31) return k_f32(sign | 0x7f800000u | m << 13);
    if (e == 0) return k_f32(sign | k_bits((float)m * k_f32(0x33800000u))); // m * 2^-24, exact
    return k_f32(sign | (e + 112) << 23 | m << 13);
}

// RNE to the storage type; NaN becomes the one quiet NaN of the type.
DEVICE uint32_t k_narrow(int dtype, float f) {
    uint32_t u = k_bits(f), a = u & 0x7fffffffu, sign = (u >> 16) & 0x8000u;
    if (dtype == QP_FP32) return k_is_nan(u) ? 0x7fc00000u : u;
    if (dtype == QP_BF16) return k_is_nan(u) ? 0x7fc0u : k_shift_rne(u, 16);
    if (k_is_nan(u)) return 0x7e00u;
    if (a >= 0x47800000u) return sign | 0x7c00u; // 65536 and above; 65520 carries into Inf below
    if (a >= 0x38800000u) return sign | (k_shift_rne(a, 13) - (112u << 10));
    unsigned shift = 126 - (a >> 23); // subnormal: the ulp is 2^-24
    return shift > 24 ? sign : sign | k_shift_rne((a & 0x7fffffu) | 0x800000u, shift);
}

// One rounding to the storage type, as every single operation of a torch tensor of that type has (numerics
// 0).
DEVICE float k_round(int dtype, float f) {
    return k_widen(dtype, k_narrow(dtype, f));
}

// 2^k, -149 <= k <= 127. A product with it has one rounding, so it is also the quotient by 2^-k.
DEVICE float k_pow2(int k) {
    return k_f32(k >= -126 ? (uint32_t)(k + 127) << 23 : 1u << (k + 149));
}

DEVICE float k_abs(float f) {
    return k_f32(k_bits(f) & 0x7fffffffu);
}

// E4M3 byte: RNE, saturating at 448 (7e), NaN 7f (numerics 2.2).
DEVICE uint32_t k_e4m3_encode(float f) {
    uint32_t u = k_bits(f), a = u & 0x7fffffffu, sign = (u >> 24) & 0x80u;
    if (k_is_nan(u)) return 0x7fu;
    if (a >= 0x43e00000u) return sign | 0x7eu;
    if (a >= 0x3c800000u) return sign | (k_shift_rne(a, 20) - (120u << 3)); // 2^-6 and above
    unsigned shift = 141 - (a >> 23);                                       // subnormal: the step is 2^-9
    return shift > 24 ? sign : sign | k_shift_rne((a & 0x7fffffu) | 0x800000u, shift);
}

DEVICE float k_e4m3_decode(uint32_t code) {
    uint32_t sign = (code & 0x80u) << 24, e = (code >> 3) & 15, m = code & 7;
    if ((code & 0x7fu) == 0x7fu) return k_f32(0x7fc00000u);
    if (e == 0) return k_f32(sign | k_bits((float)m * k_f32(0x3b000000u))); // m * 2^-9, exact
    return k_f32(sign | (e + 120) << 23 | m << 20);
}

// E2M1 magnitude code of a quotient, by the boundary table of numerics 4.1; NaN gives 7.
DEVICE uint32_t k_e2m1_code(float a) {
    if (a <= 0.25f) return 0;
    if (a < 0.75f) return 1;
    if (a <= 1.25f) return 2;
    if (a < 1.75f) return 3;
    if (a <= 2.5f) return 4;
    if (a < 3.5f) return 5;
    return a <= 5.0f ? 6 : 7;
}

// 0 .5 1 1.5 2 3 4 6; from code 2 on the bits are those of an fp32 with one mantissa bit.
DEVICE float k_e2m1_value(uint32_t code) {
    if (code < 2) return (float)code * 0.5f;
    return k_f32(((code >> 1) + 126) << 23 | (code & 1) << 22);
}

// Two's complement code of a quotient already clamped to at most 8 bits; NaN gives 0.
DEVICE uint32_t k_int_code(float r) {
    return r == r ? (uint32_t)(int)r & 0xffu : 0;
}

DEVICE float k_clamp(float v, float lo, float hi) { // NaN passes both
    v = v > hi ? hi : v;
    return v < lo ? lo : v;
}

// Sixteen elements of a row (the last one of a row: n < 16, the rest zero). Whole and aligned ones go 16
// bytes at a time.
typedef struct K_ALIGNED(16) k_vec {
    uint32_t w[4];
} k_vec;

typedef struct K_ALIGNED(8) k_half { // eight bytes of codes
    uint32_t w[2];
} k_half;

DEVICE bool k_aligned(const void *p, int to) {
    return ((uintptr_t)p & (uintptr_t)(to - 1)) == 0;
}

DEVICE uint32_t k_word(const uint32_t *byte) {
    return byte[0] | byte[1] << 8 | byte[2] << 16 | byte[3] << 24;
}

DEVICE void k_load_raw(int dtype, const void *base, int64_t i, int n, uint32_t *v) {
    bool wide = dtype == QP_FP32;
    const void *p = (const char *)base + i * (wide ? 4 : 2);
    if (n < K_UNIT || !k_aligned(p, 16)) {
        UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = j >= n ? 0
                                                       : wide ? ((const uint32_t *)p)[j]
                                                              : ((const uint16_t *)p)[j];
    } else if (wide) {
        UNROLL for (int q = 0; q < 4; q++) {
            k_vec a = ((const k_vec *)p)[q];
            UNROLL for (int j = 0; j < 4; j++) v[4 * q + j] = a.w[j];
        }
    } else {
        UNROLL for (int q = 0; q < 2; q++) {
            k_vec a = ((const k_vec *)p)[q];
            UNROLL for (int j = 0; j < 4; j++) {
                v[8 * q + 2 * j] = a.w[j] & 0xffffu;
                v[8 * q + 2 * j + 1] = a.w[j] >> 16;
            }
        }
    }
}

DEVICE void k_store_raw(int dtype, void *base, int64_t i, int n, const uint32_t *v) {
    bool wide = dtype == QP_FP32;
    void *p = (char *)base + i * (wide ? 4 : 2);
    if (n < K_UNIT || !k_aligned(p, 16)) {
        UNROLL for (int j = 0; j < K_UNIT; j++) {
            if (j < n && wide) ((uint32_t *)p)[j] = v[j];
            if (j < n && !wide) ((uint16_t *)p)[j] = (uint16_t)v[j];
        }
    } else if (wide) {
        UNROLL for (int q = 0; q < 4; q++) {
            k_vec a;
            UNROLL for (int j = 0; j < 4; j++) a.w[j] = v[4 * q + j];
            ((k_vec *)p)[q] = a;
        }
    } else {
        UNROLL for (int q = 0; q < 2; q++) {
            k_vec a;
            UNROLL for (int j = 0; j < 4; j++) a.w[j] = v[8 * q + 2 * j] | v[8 * q + 2 * j + 1] << 16;
            ((k_vec *)p)[q] = a;
        }
    }
}

// n of 'most' bytes (8 or 16), as numbers; behind the end 0 is read and nothing written.
DEVICE void k_load_bytes(const uint8_t *p, int n, int most, uint32_t *v) {
    if (n < most || !k_aligned(p, most)) {
        UNROLL for (int j = 0; j < most; j++) v[j] = j < n ? p[j] : 0;
    } else if (most == 16) {
        k_vec a = *(const k_vec *)(const void *)p;
        UNROLL for (int j = 0; j < 16; j++) v[j] = a.w[j / 4] >> (j % 4 * 8) & 0xffu;
    } else {
        k_half a = *(const k_half *)(const void *)p;
        UNROLL for (int j = 0; j < 8; j++) v[j] = a.w[j / 4] >> (j % 4 * 8) & 0xffu;
    }
}

DEVICE void k_store_bytes(uint8_t *p, int n, int most, const uint32_t *v) {
    if (n < most || !k_aligned(p, most)) {
        UNROLL for (int j = 0; j < most; j++) {
            if (j < n) p[j] = (uint8_t)v[j];
        }
    } else if (most == 16) {
        k_vec a;
        UNROLL for (int j = 0; j < 4; j++) a.w[j] = k_word(v + 4 * j);
        *(k_vec *)(void *)p = a;
    } else {
        k_half a;
        UNROLL for (int j = 0; j < 2; j++) a.w[j] = k_word(v + 4 * j);
        *(k_half *)(void *)p = a;
    }
}

DEVICE void k_load(int dtype, const void *base, int64_t i, int n, float *v) {
    uint32_t raw[K_UNIT];
    k_load_raw(dtype, base, i, n, raw);
    UNROLL for (int j = 0; j < K_UNIT; j++) v[j] = k_widen(dtype, raw[j]);
}

DEVICE void k_store(int dtype, void *base, int64_t i, int n, const float *v) {
    uint32_t raw[K_UNIT];
    UNROLL for (int j = 0; j < K_UNIT; j++) raw[j] = k_narrow(dtype, v[j]);
    k_store_raw(dtype, base, i, n, raw);
}

#endif
