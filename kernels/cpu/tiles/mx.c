// SPDX-License-Identifier: Apache-2.0
// MX formats under ieee, blocks of 32 (numerics 5.0): the power of two by the ceil rule from the bits of
// amax / fmax, elements to nearest even, saturating; NaN stays one in E4M3 and E5M2, is the largest magnitude
// of E2M1, E3M2 and E2M3 and 0 in INT8. The sign of a value is + where x > 0, else - (4.7, trap 15), and so
// is that of its code.
#include "cpu/tiles/isa.h"

enum { BLOCK = 32 };

// Runs body with the element as a constant, so that every loop is compiled for its own element.
#define FOR_ELEMENT(e, body)                                                                                 \
    do {                                                                                                     \
        if ((e) == QP_ELEM_E2M1)                                                                             \
            body(QP_ELEM_E2M1);                                                                              \
        else if ((e) == QP_ELEM_E3M2)                                                                        \
            body(QP_ELEM_E3M2);                                                                              \
        else if ((e) == QP_ELEM_E2M3)                                                                        \
            body(QP_ELEM_E2M3);                                                                              \
        else if ((e) == QP_ELEM_E4M3)                                                                        \
            body(QP_ELEM_E4M3);                                                                              \
        else if ((e) == QP_ELEM_E5M2)                                                                        \
            body(QP_ELEM_E5M2);                                                                              \
        else                                                                                                 \
            body(QP_ELEM_INT8);                                                                              \
    } while (0)

K_INLINE mini mini_of(qp_element e) {
    return e == QP_ELEM_E2M1   ? MINI_E2M1
           : e == QP_ELEM_E3M2 ? MINI_E3M2
           : e == QP_ELEM_E2M3 ? MINI_E2M3
           : e == QP_ELEM_E4M3 ? MINI_E4M3
                               : MINI_E5M2;
}

K_INLINE float largest_of(qp_element e) {
    return e == QP_ELEM_INT8 ? 127.0f : mini_of(e).largest;
}

void K_FN(mx_scales)(const float *block_max, int n, qp_element e, uint8_t *bytes) {
    const float largest = largest_of(e);
    for (int b = 0; b < n; b++) {
        float m = block_max[b] > f32(0x7f7fffffu) ? f32(0x7f7fffffu) : block_max[b]; // Inf counts as FLT_MAX
        uint32_t r = bits(m / largest), exponent = r >> 23, fraction = r & 0x7fffffu;
        // Up to the next power of two; below 2^-126 the half 2^-127 is the last one.
        uint32_t up = fraction > (exponent == 0 ? 0x400000u : 0u) ? 1 : 0;
        bytes[b] = (uint8_t)(m == 0.0f ? 127u : exponent + up); // a zero block has scale 1
    }
}

// most: what byte ff means, NaN in the format, 2^128 = Inf where torch computes it.
void K_FN(mx_powers)(const uint8_t *bytes, int n, float most, float *up, float *down) {
    for (int b = 0; b < n; b++) {
        uint32_t e = bytes[b], not_e = e < 254u ? 254u - e : 0u;
        up[b] = f32(e == 0 ? 0x00400000u : e << 23); // 2^-127 is subnormal
        up[b] = e == 255u ? most : up[b];
        down[b] = f32(not_e == 0 ? 0x00400000u : not_e << 23);
    }
}

// a >= 0 or NaN to the nearest magnitude of the element.
K_INLINE float round_element(float a, qp_element e) {
    if (e == QP_ELEM_E2M1) return e2m1_round(a);
    if (e != QP_ELEM_INT8) {
        float r = mini_round(a, mini_of(e));
        return e == QP_ELEM_E3M2 || e == QP_ELEM_E2M3 ? (r == r ? r : largest_of(e)) : r;
    }
    float r = small_rint(a);
    r = r > 127.0f ? 127.0f : r;
    return r == r ? r : 0.0f;
}

K_INLINE void fake_blocks(float *tile, int n_blocks, qp_element e, const float *up, const float *down) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < BLOCK; j++) {
            float x = tile[b * BLOCK + j];
            float y = round_element(f32_abs(x) * down[b], e) * up[b];
            tile[b * BLOCK + j] = f32(bits(y) | (x > 0.0f ? 0 : 0x80000000u));
        }
}

void K_FN(mx_fake)(float *tile, int n_blocks, qp_element e, const float *up, const float *down) {
#define BODY(constant) fake_blocks(tile, n_blocks, constant, up, down)
    FOR_ELEMENT(e, BODY);
#undef BODY
}

// Bits of the magnitude's code; the sign stands above them. INT8 is two's complement instead.
K_INLINE uint32_t width_of(qp_element e) {
    return e == QP_ELEM_E2M1 ? 3 : e == QP_ELEM_E3M2 || e == QP_ELEM_E2M3 ? 5 : 7;
}

K_INLINE uint8_t element_code(float x, float down, qp_element e) {
    float r = round_element(f32_abs(x) * down, e);
    uint32_t negative = x > 0.0f ? 0 : 1; // as fake-quant has it
    if (e == QP_ELEM_INT8) {
        int32_t v = (int32_t)r;
        return (uint8_t)(negative ? -v : v);
    }
    uint32_t c = mini_code(r, mini_of(e));
    c = r == r ? c : 0x7fu;
    return (uint8_t)(negative << width_of(e) | c);
}

K_INLINE void code_blocks(const float *tile, int n_blocks, qp_element e, const float *down, uint8_t *codes) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < BLOCK; j++) codes[b * BLOCK + j] = element_code(tile[b * BLOCK + j], down[b], e);
}

void K_FN(mx_codes)(const float *tile, int n_blocks, qp_element e, const float *down, uint8_t *codes) {
#define BODY(constant) code_blocks(tile, n_blocks, constant, down, codes)
    FOR_ELEMENT(e, BODY);
#undef BODY
}

K_INLINE float element_value(uint8_t code, qp_element e) {
    if (e == QP_ELEM_INT8) return (float)(int8_t)code;
    const uint32_t width = width_of(e), magnitude = code & ((1u << width) - 1);
    float v = mini_value(magnitude, mini_of(e));
    // E4M3 has one NaN; E5M2 has Inf and NaN above it, as IEEE types do.
    if (e == QP_ELEM_E4M3) v = magnitude == 0x7fu ? f32(0x7fc00000u) : v;
    if (e == QP_ELEM_E5M2) v = magnitude >= 0x7cu ? f32(magnitude == 0x7cu ? 0x7f800000u : 0x7fc00000u) : v;
    return f32(bits(v) | (uint32_t)(code >> width & 1) << 31);
}

K_INLINE void value_blocks(const uint8_t *codes, int n_blocks, qp_element e, const float *up, float *tile) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < BLOCK; j++) tile[b * BLOCK + j] = element_value(codes[b * BLOCK + j], e) * up[b];
}

void K_FN(mx_values)(const uint8_t *codes, int n_blocks, qp_element e, const float *up, float *tile) {
#define BODY(constant) value_blocks(codes, n_blocks, constant, up, tile)
    FOR_ELEMENT(e, BODY);
#undef BODY
}
