// SPDX-License-Identifier: Apache-2.0
// Storage types and E4M3 in plain scalar code, by frexp and rint.
#include <math.h>
#include <string.h>

#include "steps.h"

static float from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t to_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

// RNE to the multiple of 2^(e - n_mantissa), where 2^e is the binade of v but not below 2^least.
static float nearest(float v, int n_mantissa, int least) {
    if (v == 0.0f || !isfinite(v)) return v;
    int e;
    frexpf(v, &e);
    e = e - 1 < least ? least : e - 1;
    double step = ldexp(1.0, e - n_mantissa);
    return (float)(rint(v / step) * step);
}

float load(qp_dtype t, const void *base, int64_t i) {
    if (t == QP_FP32) return ((const float *)base)[i];
    uint16_t h = ((const uint16_t *)base)[i];
    if (t == QP_BF16) return from_bits((uint32_t)h << 16);
    int e = h >> 10 & 31, m = h & 1023;
    float v = e == 31  ? (m ? NAN : INFINITY)
              : e == 0 ? ldexpf((float)m, -24)
                       : ldexpf((float)(m + 1024), e - 25);
    return h & 0x8000 ? -v : v;
}

static uint16_t fp16_of(float v) {
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    float a = nearest(fabsf(v), 10, -14);
    if (a > 65504.0f) return (uint16_t)(sign | 0x7c00);
    if (a < 0x1p-14f) return (uint16_t)(sign | (uint16_t)(a * 0x1p24f));
    int e;
    float m = frexpf(a, &e);
    return (uint16_t)(sign | (uint16_t)(e + 14) << 10 | (uint16_t)((m * 2.0f - 1.0f) * 1024.0f));
}

void store(qp_dtype t, void *base, int64_t i, float v) {
    if (t == QP_FP32)
        ((uint32_t *)base)[i] = isnan(v) ? 0x7fc00000u : to_bits(v);
    else if (isnan(v))
        ((uint16_t *)base)[i] = t == QP_BF16 ? 0x7fc0 : 0x7e00;
    else if (t == QP_BF16)
        ((uint16_t *)base)[i] = (uint16_t)((to_bits(v) + 0x7fff + (to_bits(v) >> 16 & 1)) >> 16);
    else
        ((uint16_t *)base)[i] = fp16_of(v);
}

float e4m3_nearest(float v) {
    return nearest(v, 3, -6);
}

uint8_t e4m3_byte(float v) {
    float a = fabsf(v);
    uint8_t sign = signbit(v) && !isnan(v) ? 0x80 : 0;
    if (!(a <= 448.0f)) return (uint8_t)(sign | 0x7f);
    if (a < 0x1p-6f) return (uint8_t)(sign | (uint8_t)(a * 512.0f));
    int e;
    float m = frexpf(a, &e);
    return (uint8_t)(sign | (e + 6) << 3 | (uint8_t)((m * 2.0f - 1.0f) * 8.0f));
}

float e4m3_value(uint8_t byte) {
    int e = byte >> 3 & 15, m = byte & 7;
    float v = e == 15 && m == 7 ? NAN : e == 0 ? ldexpf((float)m, -9) : ldexpf((float)(m + 8), e - 10);
    return byte & 0x80 ? -v : v;
}
