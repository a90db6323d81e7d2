// SPDX-License-Identifier: Apache-2.0
// What the tests of the MX formats share: each format by its definition (values, not bits), the nearest code
// by search in exact arithmetic, and rows that meet ties, saturation, power-of-two boundaries, zeros and
// specials.
#ifndef REF_TESTS_MX_KIT_H
#define REF_TESTS_MX_KIT_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "qp/ref.h"

typedef struct mx_kit {
    qp_format format;
    int mant_bits, bias, n; // n finite magnitudes; INT8: 0..127
    bool has_nan;
    double max;
    double value[128];
} mx_kit;

static mx_kit mx_kits[] = {
    {QP_MXFP4, 1, 1, 8, false, 0, {0}},        {QP_MXFP6_E3M2, 2, 3, 32, false, 0, {0}},
    {QP_MXFP6_E2M3, 3, 1, 32, false, 0, {0}},  {QP_MXFP8_E4M3, 3, 7, 127, true, 0, {0}},
    {QP_MXFP8_E5M2, 2, 15, 124, true, 0, {0}}, {QP_MXINT8, 0, 0, 128, false, 0, {0}},
};

static void mx_kit_fill(void) {
    for (int i = 0; i < QP_COUNT(mx_kits); i++) {
        mx_kit *k = &mx_kits[i];
        for (int c = 0; c < k->n; c++) {
            const int one = 1 << k->mant_bits, e = c >> k->mant_bits, m = c & (one - 1);
            k->value[c] =
                e == 0 ? ldexp(m, 1 - k->bias - k->mant_bits) : ldexp(one + m, e - k->bias - k->mant_bits);
            if (k->format == QP_MXINT8) k->value[c] = c;
        }
        k->max = k->value[k->n - 1];
    }
}

// Doubled, both sides of the comparison are exact. ties: 0 to the even code, -1 down.
static int mx_nearest(const mx_kit *k, double v, int ties) {
    int best = 0;
    for (int c = 1; c < k->n; c++) {
        const double sum = k->value[best] + k->value[c];
        if (2 * v > sum || (2 * v == sum && ties == 0 && c % 2 == 0)) best = c;
    }
    return best;
}

static double mx_double(uint32_t f32) {
    float f;
    memcpy(&f, &f32, sizeof f);
    return f;
}

static uint32_t mx_image(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

// ck_assert writes a mark at every call; the inner loops run millions of times.
static void must(bool good, const char *what, const char *format, uint32_t input) {
    if (!good) ck_abort_msg("%s: %s: %08x", format, what, input);
}

static uint64_t mix(uint64_t i) {
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

// Element i of block b as an fp32 image. Families by block: any bits; a narrow range of exponents; quarters
// of a power of two (ties); amax within some steps of max * 2^e; subnormals; zeros with a few specials.
static uint32_t mx_sample(const mx_kit *k, uint64_t b, uint64_t i) {
    const uint64_t block = mix(b * 7919), r = mix(b << 20 | i);
    const uint32_t sign = (uint32_t)(r >> 32) & 0x80000000u, low = (uint32_t)r & 0x7fffffu;
    const int low_end = -130 + (int)(block >> 8 & 7); // where scales end
    const int e = block >> 61 == 0 ? low_end : (int)(block >> 8 & 0xff) - 128;
    switch (b % 6) {
    case 0:
        return (uint32_t)r;
    case 1:
        return sign | (uint32_t)(60 + (block >> 8) % 100 + (r >> 40) % 12) << 23 | low;
    case 2:
        return sign | mx_image((float)ldexp((double)(r % 64), e / 4));
    case 3:
        if (i == 0) return mx_image((float)ldexp(k->max, e)) + (uint32_t)(block >> 40) % 48 - 16;
        return sign | mx_image((float)ldexp(k->max * (double)(r % 4096) / 4096, e));
    case 4:
        return sign | low >> block % 24;
    default: {
        static const uint32_t specials[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff,
                                            0x00000001, 0x80000001, 0x3f800000, 0x80000000};
        return (r >> 8) % 16 == 0 && block % 4 != 0 ? specials[r >> 16 & 7] : sign;
    }
    }
}

#endif
