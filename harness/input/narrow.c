// SPDX-License-Identifier: Apache-2.0
// fp32 to bf16 and fp16 by integers, and back. NaN stays NaN (quiet, payload cut).
#include "input/narrow.h"

#include <string.h>

bool narrow_is_float(qp_dtype t) {
    return t == QP_BF16 || t == QP_FP16 || t == QP_FP32;
}

static inline uint32_t to_bf16(uint32_t u) {
    if ((u & 0x7fffffffu) > 0x7f800000u) return u >> 16 | 0x40u;
    return (u + 0x7fffu + (u >> 16 & 1)) >> 16;
}

// Rounds m / 2^shift to nearest even; shift 1 .. 31.
static inline uint32_t shift_even(uint32_t m, int shift) {
    uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
    return q + (rest > half || (rest == half && (q & 1) != 0));
}

static inline uint32_t to_fp16(uint32_t u) {
    uint32_t sign = u >> 16 & 0x8000u, mag = u & 0x7fffffffu;
    if (mag > 0x7f800000u) return sign | 0x7e00u;
    if (mag == 0x7f800000u) return sign | 0x7c00u;
    int e = (int)(mag >> 23) - 127;
    uint32_t r;
    if (e >= -14) // the carry of a rounding runs into the exponent, as it should
        r = shift_even(mag, 13) - (112u << 10);
    else if (e >= -26)
        r = shift_even((mag & 0x7fffffu) | 0x800000u, -e - 1);
    else
        r = 0;
    return sign | (r > 0x7bffu ? 0x7bffu : r);
}

QP_CLONES static void all_bf16(const uint32_t *f32, int n, uint16_t *out) {
#pragma omp simd
    for (int i = 0; i < n; i++) {
        uint32_t u = f32[i], nan = (u & 0x7fffffffu) > 0x7f800000u ? 0x40u : 0;
        out[i] = (uint16_t)((u + (nan != 0 ? 0 : 0x7fffu + (u >> 16 & 1))) >> 16 | nan);
    }
}

void narrow_all(qp_dtype t, const uint32_t *f32, int n, void *out) {
    uint16_t *half = out;
    if (t == QP_FP32)
        memcpy(out, f32, sizeof *f32 * (size_t)n);
    else if (t == QP_BF16)
        all_bf16(f32, n, out);
    else
        for (int i = 0; i < n; i++) half[i] = (uint16_t)to_fp16(f32[i]);
}

uint32_t narrow_one(qp_dtype t, uint32_t f32) {
    return t == QP_FP32 ? f32 : t == QP_BF16 ? to_bf16(f32) : to_fp16(f32);
}

static uint32_t from_fp16(uint32_t h) {
    uint32_t sign = (h & 0x8000u) << 16, mag = h & 0x7fffu;
    if (mag >= 0x7c00u) return sign | 0x7f800000u | (mag & 0x3ffu) << 13;
    if (mag >= 0x0400u) return sign | ((mag << 13) + (112u << 23));
    return sign | image_of((float)mag * pow2(-24));
}

uint32_t widen_one(qp_dtype t, uint32_t bits) {
    return t == QP_FP32 ? bits : t == QP_BF16 ? bits << 16 : from_fp16(bits);
}

uint32_t bits_load(qp_dtype t, const void *base, int64_t i) {
    uint64_t v = 0;
    size_t n = qp_dtype_bytes(t);
    memcpy(&v, (const char *)base + (size_t)i * n, n);
    return (uint32_t)v;
}

void bits_store(qp_dtype t, void *base, int64_t i, uint32_t bits) {
    uint64_t v = bits;
    size_t n = qp_dtype_bytes(t);
    memcpy((char *)base + (size_t)i * n, &v, n);
}
