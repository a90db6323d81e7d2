// SPDX-License-Identifier: Apache-2.0
// The element codecs: E4M3 and E5M2 (numerics 2.2, 9), E3M2 and E2M3 (5.0, 9), E2M1 (4.1). OCP 8-, 6- and
// 4-bit floats, ties to even. A NaN keeps its sign; a type without NaN makes it the largest magnitude.
#include "ref_internal.h"

// Magnitude code, not above max; Inf is the one above it.
static uint32_t encode_magnitude(uint32_t f32, int mant, int bias, uint32_t max) {
    if (ref_is_inf(f32)) return max + 1;
    const uint32_t code = ref_round_magnitude(ref_abs(f32), mant, bias);
    return code > max ? max + 1 : code;
}

static uint32_t decode_magnitude(uint32_t code, int mant, int bias) {
    const uint32_t e = code >> mant, m = code & ((1u << mant) - 1);
    if (e == 0) return ref_image((float)m * ref_float((uint32_t)(128 - bias - mant) << 23)); // exact
    return (e + 127 - (uint32_t)bias) << 23 | m << (23 - mant);
}

uint8_t ref_e4m3_encode(uint32_t f32, bool saturate) {
    const uint8_t sign = (uint8_t)((f32 >> 24) & 0x80);
    if (ref_is_nan(f32)) return sign | REF_E4M3_NAN;
    uint32_t code = encode_magnitude(f32, REF_E4M3_MANT, REF_E4M3_BIAS, REF_E4M3_MAX);
    if (code > REF_E4M3_MAX) code = saturate ? REF_E4M3_MAX : REF_E4M3_NAN;
    return (uint8_t)(sign | code);
}

float ref_e4m3_value(uint8_t code) {
    return ref_float(ref_e4m3_decode(code));
}

uint32_t ref_e4m3_decode(uint8_t code) {
    const uint32_t sign = (uint32_t)(code & 0x80) << 24;
    if ((code & 0x7f) == REF_E4M3_NAN) return REF_F32_NAN;
    return sign | decode_magnitude(code & 0x7f, REF_E4M3_MANT, REF_E4M3_BIAS);
}

uint8_t ref_e5m2_encode(uint32_t f32, bool saturate) {
    const uint8_t sign = (uint8_t)((f32 >> 24) & 0x80);
    if (ref_is_nan(f32)) return sign | REF_E5M2_NAN;
    uint32_t code = encode_magnitude(f32, REF_E5M2_MANT, REF_E5M2_BIAS, REF_E5M2_MAX);
    if (code > REF_E5M2_MAX) code = saturate ? REF_E5M2_MAX : REF_E5M2_INF;
    return (uint8_t)(sign | code);
}

uint32_t ref_e5m2_decode(uint8_t code) {
    const uint32_t sign = (uint32_t)(code & 0x80) << 24, magnitude = code & 0x7f;
    if (magnitude > REF_E5M2_INF) return REF_F32_NAN;
    if (magnitude == REF_E5M2_INF) return sign | REF_F32_INF;
    return sign | decode_magnitude(magnitude, REF_E5M2_MANT, REF_E5M2_BIAS);
}

static uint8_t encode_fp6(uint32_t f32, int mant, int bias) {
    const uint8_t sign = (uint8_t)((f32 >> 26) & 0x20);
    if (ref_is_nan(f32)) return sign | REF_FP6_MAX;
    const uint32_t code = encode_magnitude(f32, mant, bias, REF_FP6_MAX);
    return (uint8_t)(sign | (code > REF_FP6_MAX ? REF_FP6_MAX : code));
}

static uint32_t decode_fp6(uint8_t code, int mant, int bias) {
    return (uint32_t)(code & 0x20) << 26 | decode_magnitude(code & 0x1f, mant, bias);
}

uint8_t ref_e3m2_encode(uint32_t f32) {
    return encode_fp6(f32, REF_E3M2_MANT, REF_E3M2_BIAS);
}

uint32_t ref_e3m2_decode(uint8_t code) {
    return decode_fp6(code, REF_E3M2_MANT, REF_E3M2_BIAS);
}

uint8_t ref_e2m3_encode(uint32_t f32) {
    return encode_fp6(f32, REF_E2M3_MANT, REF_E2M3_BIAS);
}

uint32_t ref_e2m3_decode(uint8_t code) {
    return decode_fp6(code, REF_E2M3_MANT, REF_E2M3_BIAS);
}

uint8_t ref_e2m1_encode(uint32_t f32) {
    const uint8_t sign = (uint8_t)((f32 >> 28) & 8);
    if (ref_is_nan(f32)) return sign | REF_E2M1_MAX; // the type has no NaN
    return (uint8_t)(sign | ref_e2m1_chain(ref_float(ref_abs(f32))));
}

uint32_t ref_e2m1_decode(uint8_t nibble) {
    return (uint32_t)(nibble & 8) << 28 | ref_image(ref_e2m1_magnitude(nibble));
}
