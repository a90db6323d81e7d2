// SPDX-License-Identifier: Apache-2.0
// The element codecs: E4M3 (numerics 2.2) and E2M1 (numerics 4.1). OCP 8-bit and 4-bit floats, ties to even.
#include "ref_internal.h"

uint8_t ref_e4m3_encode(uint32_t f32, bool saturate) {
    const uint8_t sign = (uint8_t)((f32 >> 24) & 0x80);
    if (ref_is_nan(f32)) return sign | REF_E4M3_NAN;
    uint32_t code =
        ref_is_inf(f32) ? REF_E4M3_NAN : ref_round_magnitude(ref_abs(f32), REF_E4M3_MANT, REF_E4M3_BIAS);
    if (code > REF_E4M3_MAX) code = saturate ? REF_E4M3_MAX : REF_E4M3_NAN;
    return (uint8_t)(sign | code);
}

float ref_e4m3_value(uint8_t code) {
    return ref_float(ref_e4m3_decode(code));
}

uint32_t ref_e4m3_decode(uint8_t code) {
    const uint32_t sign = (uint32_t)(code & 0x80) << 24, e = (code >> 3) & 15, m = code & 7;
    if ((code & 0x7f) == REF_E4M3_NAN) return REF_F32_NAN;
    if (e == 0) return sign | ref_image((float)m * 0x1p-9f); // exact: 3 bits times a power of two
    return sign | (e + 127 - REF_E4M3_BIAS) << 23 | m << 20;
}

uint8_t ref_e2m1_encode(uint32_t f32) {
    const uint8_t sign = (uint8_t)((f32 >> 28) & 8);
    if (ref_abs(f32) >= REF_F32_INF) return sign | REF_E2M1_MAX; // Inf saturates; the type has no NaN
    // The table of numerics 4.1: how many bounds a has passed; a tie goes to the even code.
    const float a = ref_float(ref_abs(f32));
    const int code =
        (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) + (a > 5.0f);
    return (uint8_t)(sign | code);
}

float ref_e2m1_magnitude(uint32_t code) {
    static const float values[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    return values[code & 7];
}

uint32_t ref_e2m1_decode(uint8_t nibble) {
    return (uint32_t)(nibble & 8) << 28 | ref_image(ref_e2m1_magnitude(nibble));
}
