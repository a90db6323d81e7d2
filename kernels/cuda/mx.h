// SPDX-License-Identifier: Apache-2.0
// The MX formats: element codes of all six by one rule (mantissa bits and the exponent of the lowest binade;
// INT8 is the one that has no other binade), and the exponent of the scale of a block (numerics 5.0-5.3).
#ifndef CUDA_MX_H
#define CUDA_MX_H

#include "cuda/tiles.h"

enum { K_MX_SHIFT = 5, K_MX_BLOCK = 1 << K_MX_SHIFT, K_E8M0_BIAS = 127 };

typedef struct k_mx {
    int mantissa, lowest; // bits; exponent of the smallest normal number
    uint32_t most, nan;   // magnitude codes: the largest number, and what a NaN becomes
    uint32_t sign;        // bit of the sign, 0: two's complement
    float largest;        // the number behind 'most'
} k_mx;

DEVICE k_mx k_mx_row(int mantissa, int lowest, uint32_t most, uint32_t nan, uint32_t sign, float largest) {
    k_mx f = {mantissa, lowest, most, nan, sign, largest};
    return f;
}

DEVICE k_mx k_mx_of(int element) {
    switch (element) {
    case QP_ELEM_E2M1:
        return k_mx_row(1, 0, 0x07, 0x07, 0x08, 6.0f);
    case QP_ELEM_E3M2:
        return k_mx_row(2, -2, 0x1f, 0x1f, 0x20, 28.0f);
    case QP_ELEM_E2M3:
        return k_mx_row(3, 0, 0x1f, 0x1f, 0x20, 7.5f);
    case QP_ELEM_E4M3:
        return k_mx_row(3, -6, 0x7e, 0x7f, 0x80, 448.0f);
    case QP_ELEM_E5M2:
        return k_mx_row(2, -14, 0x7b, 0x7f, 0x80, 57344.0f);
    default:
        return k_mx_row(7, 7, 0x7f, 0x00, 0, 127.0f);
    }
}

// Magnitude code of |z|: RNE, saturating.
DEVICE uint32_t k_mx_code(const k_mx *f, float z) {
    uint32_t a = k_bits(z) & 0x7fffffffu;
    if (a > 0x7f800000u) return f->nan;
    int own = (int)(a >> 23), e = own < 127 + f->lowest ? 127 + f->lowest : own;
    int shift = 23 - f->mantissa + e - own;
    if (shift > 24) return 0;
    uint32_t code = k_shift_rne((a & 0x7fffffu) | 0x800000u, (unsigned)shift) +
                    ((uint32_t)(e - 127 - f->lowest) << f->mantissa);
    return code > f->most ? f->most : code;
}

// The number behind a magnitude code.
DEVICE float k_mx_value(const k_mx *f, uint32_t code) {
    if (code > f->most) return k_f32(code == 0x7cu ? 0x7f800000u : 0x7fc00000u); // E5M2 has an Inf
    uint32_t e = code >> f->mantissa, m = code & ((1u << f->mantissa) - 1);
    if (e == 0) return (float)m * k_pow2(f->lowest - f->mantissa);
    return k_f32((e + 126 + (uint32_t)f->lowest) << 23 | m << (23 - f->mantissa));
}

DEVICE uint32_t k_mx_join(const k_mx *f, uint32_t code, bool negative) {
    if (f->sign == 0) return (negative ? 0u - code : code) & 0xffu;
    return negative ? code | f->sign : code;
}

// max |x| of a block as bits. A NaN either wins or is passed over, and then Inf counts as the largest finite.
DEVICE uint32_t k_mx_amax(const float *v, bool nan_wins) {
    uint32_t m = 0;
    UNROLL for (int j = 0; j < K_MX_BLOCK; j++) {
        uint32_t a = k_bits(v[j]) & 0x7fffffffu;
        if (!nan_wins) a = a > 0x7f800000u ? 0 : a;
        m = a > m ? a : m;
    }
    return nan_wins || m < 0x7f7fffffu ? m : 0x7f7fffffu;
}

// The smallest k >= -127 with amax / largest <= 2^k, from the bits of the rounded quotient; a zero block has
// k = 0. The largest of the fields, 254, which would not go up, is out of reach of a finite amax.
DEVICE int k_mx_exponent(uint32_t amax, float largest) {
    if (amax == 0) return 0;
    uint32_t r = k_bits(k_f32(amax) / largest), e = r >> 23, m = r & 0x7fffffu;
    bool up = m > 0 && !(e == 0 && m <= 0x400000u);
    return (int)e - (up ? 126 : 127);
}

// ceil(log2(d)) for 0 < d < Inf as torch has it, at least -127: log2 is rounded to fp32 first, so that a d by
// no more than a few steps above 2^e still gives e; how many depends on the size of log2 (numerics 5.0).
DEVICE int k_mx_ceil_log2(uint32_t d) {
    int e = (int)(d >> 23) - 127;
    uint32_t m = d & 0x7fffffu;
    if (e == -127) {
        if (m < 0x400000u) return -127;
        m = (m - 0x400000u) * 2; // now a number in [2^-127, 2^-126) like the others
    }
    int size = e >= 0 ? e : -1 - e;
    uint32_t kept = size >= 64 ? 22 : size >= 32 ? 11 : size >= 16 ? 5 : size >= 8 ? 2 : size >= 4 ? 1 : 0;
    return m <= kept ? e : e + 1;
}

DEVICE k_unit k_mx_block_of(const k_table *p, unsigned block, unsigned thread) {
    return k_block_of(p, block, thread, K_MX_SHIFT);
}

DEVICE void k_mx_load(int dtype, const k_unit *u, float *v) {
    UNROLL for (int at = 0; at < K_MX_BLOCK; at += K_UNIT) {
        k_unit part = k_part(u, at);
        k_load_x(dtype, &part, v + at);
    }
}

#endif
