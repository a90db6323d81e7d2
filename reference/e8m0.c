// SPDX-License-Identifier: Apache-2.0
// E8M0, a power of two in a byte: 00 is 2^-127, fe is 2^127, ff is NaN. The sign of the input is ignored
// (numerics 9). Rounding up is the rule of the quantizers (5.0), to nearest that of ml_dtypes and torch
// casts; torch's real MX tensors take the ceiling of a log2 that was itself rounded (5.0).
#include "ref_internal.h"

uint8_t ref_e8m0_encode(uint32_t f32, ref_e8m0_round round, bool saturate) {
    const uint32_t magnitude = ref_abs(f32), fraction = magnitude & 0x7fffffu;
    uint32_t e = magnitude >> 23;
    if (ref_is_nan(f32)) return REF_E8M0_NAN;
    if (ref_is_inf(f32)) return saturate ? REF_E8M0_MAX : REF_E8M0_NAN;
    // In field 0 the value at hand is 2^-127, fraction 0x400000, and nothing below it is representable; to
    // nearest takes the rule of c10 there, which is the one of rounding up.
    const bool above = e == 0 ? fraction > 0x400000u : fraction > 0;
    const bool far_above = e == 0 ? above : fraction >= 0x400000u; // a tie goes up
    e += (round == REF_E8M0_UP && above) || (round == REF_E8M0_NEAREST && far_above);
    return (uint8_t)(e > REF_E8M0_MAX && saturate ? REF_E8M0_MAX : e);
}

uint32_t ref_e8m0_decode(uint8_t byte) {
    if (byte == REF_E8M0_NAN) return REF_F32_NAN;
    return byte == 0 ? 0x00400000u : (uint32_t)byte << 23;
}

// How many steps of fp32 above 2^e still have a log2 that rounds to e, for e from `from` up (numerics 5.0).
typedef struct log2_row {
    int from;
    uint32_t steps;
} log2_row;

static uint32_t steps_above(int e) {
    static const log2_row rows[] = {{64, 22}, {32, 11}, {16, 5},  {8, 2},   {4, 1},
                                    {-4, 0},  {-8, 1},  {-16, 2}, {-32, 5}, {-64, 11}};
    for (int i = 0; i < QP_COUNT(rows); i++)
        if (e >= rows[i].from) return rows[i].steps;
    return 22;
}

int ref_ceil_log2f(uint32_t f32) {
    uint32_t m = ref_abs(f32) & 0x7fffffu;
    int e = (int)(ref_abs(f32) >> 23);
    if (e == 0 && m == 0) return -150; // log2 is -Inf: below that of every subnormal
    if (e == 0) {
        for (e = 1; m < 0x800000u; e--) m <<= 1; // the leading bit of a subnormal becomes the hidden one
        m &= 0x7fffffu;
    }
    e -= 127;
    return m <= steps_above(e) ? e : e + 1;
}
