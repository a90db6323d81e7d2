// SPDX-License-Identifier: Apache-2.0
// Storage types as fp32 images: bf16, fp16, fp32 and E4M3 in, RNE out; single binary32 operations.
// Integers do the rounding; nothing here knows a quantization format.
#include "ref_internal.h"

static uint32_t from_fp16(uint32_t h) {
    uint32_t sign = (h & 0x8000u) << 16, e = (h >> 10) & 31, m = h & 0x3ffu;
    if (e == 31) return m != 0 ? REF_F32_NAN : sign | REF_F32_INF;
    if (e == 0) return sign | ref_image((float)m * 0x1p-24f); // exact: 10 bits times a power of two
    return sign | (e + 112) << 23 | m << 13;
}

uint32_t ref_to_f32(qp_dtype from, uint32_t bits) {
    uint32_t image = REF_F32_NAN; // integer types have no fp32 image
    switch (from) {
    case QP_BF16:
        image = bits << 16;
        break;
    case QP_FP16:
        image = from_fp16(bits & 0xffffu);
        break;
    case QP_FP32:
        image = bits;
        break;
    case QP_E4M3:
        image = ref_e4m3_decode((uint8_t)bits);
        break;
    default:
        break;
    }
    return ref_is_nan(image) ? REF_F32_NAN : image;
}

uint32_t ref_from_f32(qp_dtype to, uint32_t f32) {
    const uint32_t sign16 = (f32 >> 16) & 0x8000u, magnitude = ref_abs(f32);
    const bool nan = ref_is_nan(f32), inf = ref_is_inf(f32);
    if (to == QP_BF16) return nan ? 0x7fc0u : sign16 | ref_round_magnitude(magnitude, 7, 127);
    if (to == QP_FP16) {
        if (nan) return 0x7e00u;
        uint32_t code = inf ? 0x7c00u : ref_round_magnitude(magnitude, 10, 15);
        return sign16 | (code > 0x7c00u ? 0x7c00u : code);
    }
    if (to == QP_E4M3) return ref_e4m3_encode(f32, true);
    return nan ? REF_F32_NAN : f32;
}

uint32_t ref_load_f32(qp_dtype t, const void *base, int64_t i) {
    const unsigned char *at = (const unsigned char *)base + i * (int64_t)qp_dtype_bytes(t);
    uint16_t half = 0;
    uint32_t word = 0;
    switch (t) {
    case QP_BF16:
    case QP_FP16:
        memcpy(&half, at, sizeof half);
        return ref_to_f32(t, half);
    case QP_FP32:
        memcpy(&word, at, sizeof word);
        return ref_to_f32(t, word);
    case QP_E4M3:
        return ref_e4m3_decode(*at);
    default:
        return REF_F32_NAN;
    }
}

static uint32_t bf16_at(const unsigned char *at) {
    uint16_t half;
    memcpy(&half, at, sizeof half);
    const uint32_t image = (uint32_t)half << 16;
    return ref_is_nan(image) ? REF_F32_NAN : image;
}

void ref_load_run(qp_dtype t, const void *base, int64_t first, int64_t n, uint32_t out[REF_RUN]) {
    const unsigned char *at = (const unsigned char *)base + first * (int64_t)qp_dtype_bytes(t);
    if (t == QP_BF16 && n == REF_RUN) {
        for (int i = 0; i < REF_RUN; i++) out[i] = bf16_at(at + 2 * i);
        return;
    }
    for (int i = 0; i < REF_RUN; i++) out[i] = i < n ? ref_load_f32(t, at, i) : 0;
}

void ref_store_f32(qp_dtype t, void *base, int64_t i, uint32_t f32) {
    unsigned char *at = (unsigned char *)base + i * (int64_t)qp_dtype_bytes(t);
    uint32_t word = ref_from_f32(t, f32);
    uint16_t half = (uint16_t)word;
    switch (t) {
    case QP_BF16:
    case QP_FP16:
        memcpy(at, &half, sizeof half);
        return;
    case QP_FP32:
        memcpy(at, &word, sizeof word);
        return;
    case QP_E4M3:
        *at = (unsigned char)word;
        return;
    default:
        return; // no fp32 image, nothing to store
    }
}

uint32_t ref_mul(uint32_t a, uint32_t b) {
    float r = ref_float(a) * ref_float(b);
    return ref_canonical(r);
}

uint32_t ref_div(uint32_t a, uint32_t b) {
    float r = ref_float(a) / ref_float(b);
    return ref_canonical(r);
}

float ref_rint(float f) {
    uint32_t sign = ref_image(f) & 0x80000000u;
    float magnitude = ref_float(ref_abs(ref_image(f)));
    if (!(magnitude < 0x1p23f)) return f; // already an integer, Inf or NaN
    float shifted = magnitude + 0x1p23f;  // one rounding, to an integer: the ulp here is 1
    float integer = shifted - 0x1p23f;    // exact
    return ref_float(sign | ref_image(integer));
}
