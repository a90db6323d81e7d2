// SPDX-License-Identifier: Apache-2.0
// Numbers of the variants: rounding of a magnitude to a grid of powers of two with any rule for ties, storage
// types, subnormals flushed. In double, where every step below is exact.
#ifndef VARIANTS_NUM_H
#define VARIANTS_NUM_H

#include <math.h>
#include <string.h>

#include "qp/dtype.h"

typedef enum vn_tie {
    VN_EVEN, // to nearest, ties to even: the rule everywhere
    VN_AWAY,
    VN_TO_ZERO,
    VN_UP,   // half towards +Inf: floor(x + 0.5)
    VN_DOWN, // half towards -Inf
    VN_ODD,
    VN_TRUNCATE, // no rounding: towards zero
    VN_OUTWARD,  // away from zero, whatever the rest
    VN_FLOOR,    // towards -Inf, whatever the rest
    VN_ADD_HALF, // trunc(|x| + 0.5) with the sum rounded in fp32
} vn_tie;

// A value on its way through a narrower type.
typedef enum vn_via { VN_DIRECT, VN_BF16, VN_FP16, VN_BF16_CUT, VN_FP16_CUT } vn_via;

// Magnitudes m * 2^(e - mant), e >= emin, up to max.
typedef struct vn_grid {
    int mant, emin;
    float max;
} vn_grid;

static inline double vn_pow2(int k) { // -1022 .. 1023
    const uint64_t image = (uint64_t)(k + 1023) << 52;
    double d;
    memcpy(&d, &image, sizeof d);
    return d;
}

static inline int vn_exponent(double magnitude) { // of a normal double
    uint64_t image;
    memcpy(&image, &magnitude, sizeof image);
    return (int)(image >> 52 & 2047) - 1023;
}

// A non-negative number of steps to a whole one. negative: the sign that the value has.
static inline double vn_whole(double steps, vn_tie tie, bool negative) {
    if (!(steps < 0x1p53)) return steps; // whole already
    const int64_t n = (int64_t)steps;
    const double below = (double)n, rest = steps - below;
    const bool odd = (n & 1) != 0;
    if (tie == VN_ADD_HALF) return (double)floorf((float)steps + 0.5f);
    if (tie == VN_TRUNCATE) return below;
    if (tie == VN_OUTWARD) return below + (rest > 0.0);
    if (tie == VN_FLOOR) return below + (negative && rest > 0.0);
    if (rest != 0.5) return below + (rest > 0.5);
    const bool up = tie == VN_EVEN   ? odd
                    : tie == VN_ODD  ? !odd
                    : tie == VN_UP   ? !negative
                    : tie == VN_DOWN ? negative
                                     : tie == VN_AWAY;
    return below + up;
}

// A finite magnitude to the grid, without its upper end.
static inline double vn_to_grid(double magnitude, const vn_grid *g, vn_tie tie, bool negative) {
    int e = magnitude > 0.0 ? vn_exponent(magnitude) : g->emin;
    if (e < g->emin) e = g->emin;
    const int k = e - g->mant; // two exact multiplications
    return vn_whole(magnitude * vn_pow2(-k), tie, negative) * vn_pow2(k);
}

static inline float vn_store(float v, const vn_grid *g, vn_tie tie) {
    if (!(fabsf(v) <= 3.402823466e38f)) return v; // NaN and Inf stay
    const double m = vn_to_grid(fabs((double)v), g, tie, signbit(v) != 0);
    const bool over = m > (double)g->max;
    return copysignf(!over ? (float)m : tie == VN_TRUNCATE ? g->max : INFINITY, v);
}

static const vn_grid vn_bf16 = {7, -126, 0x1.fep127f}, vn_fp16 = {10, -14, 65504.0f};

static inline float vn_pass(float v, vn_via via) {
    switch (via) {
    case VN_BF16:
        return vn_store(v, &vn_bf16, VN_EVEN);
    case VN_FP16:
        return vn_store(v, &vn_fp16, VN_EVEN);
    case VN_BF16_CUT:
        return vn_store(v, &vn_bf16, VN_TRUNCATE);
    case VN_FP16_CUT:
        return vn_store(v, &vn_fp16, VN_TRUNCATE);
    default:
        return v;
    }
}

static inline float vn_narrow(qp_dtype t, float v, vn_tie tie) {
    if (t == QP_BF16) return vn_store(v, &vn_bf16, tie);
    if (t == QP_FP16) return vn_store(v, &vn_fp16, tie);
    return v;
}

// Subnormals to zero of their sign, as .ftz does.
static inline float vn_flush(float v) {
    return fabsf(v) < 0x1p-126f ? copysignf(0.0f, v) : v;
}

// Towards zero where the division would round up.
static inline float vn_divide_cut(float a, float b) {
    const float q = a / b;
    return (double)q * (double)b > (double)a ? nextafterf(q, 0.0f) : q;
}

// 2^floor(log2 v) of a positive finite v.
static inline float vn_binade(float v) {
    return v > 0.0f && v <= 3.402823466e38f ? (float)vn_pow2(vn_exponent((double)v)) : v;
}

#endif
