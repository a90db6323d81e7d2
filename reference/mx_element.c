// SPDX-License-Identifier: Apache-2.0
// The six MX formats as one table: the largest element, its codec, where the sign stands (numerics 5.0-5.3);
// and which decisions an answer took.
#include "ref_internal.h"

static uint8_t e4m3_encode(uint32_t f32) {
    return ref_e4m3_encode(f32, true);
}

static uint8_t e5m2_encode(uint32_t f32) {
    return ref_e5m2_encode(f32, true);
}

// A magnitude, rounded, then clamped. A NaN becomes 0, as a conversion to integer does on the device whose
// rule this is (numerics 5.3).
static uint8_t int8_encode(uint32_t f32) {
    if (ref_is_nan(f32)) return 0;
    const float r = ref_rint(ref_float(f32));
    return r > 127.0f ? 127 : (uint8_t)r;
}

static uint32_t int8_decode(uint8_t code) {
    return ref_image((float)(int8_t)code);
}

static const ref_mx table[] = {
    {QP_MXFP4, 6.0f, ref_e2m1_encode, ref_e2m1_decode, 0x08, REF_E2M1_MANT, REF_E2M1_BIAS, REF_E2M1_MAX},
    {QP_MXFP6_E3M2, 28.0f, ref_e3m2_encode, ref_e3m2_decode, 0x20, REF_E3M2_MANT, REF_E3M2_BIAS, REF_FP6_MAX},
    {QP_MXFP6_E2M3, 7.5f, ref_e2m3_encode, ref_e2m3_decode, 0x20, REF_E2M3_MANT, REF_E2M3_BIAS, REF_FP6_MAX},
    {QP_MXFP8_E4M3, 448.0f, e4m3_encode, ref_e4m3_decode, 0x80, REF_E4M3_MANT, REF_E4M3_BIAS, REF_E4M3_MAX},
    {QP_MXFP8_E5M2, 57344.0f, e5m2_encode, ref_e5m2_decode, 0x80, REF_E5M2_MANT, REF_E5M2_BIAS, REF_E5M2_MAX},
    {QP_MXINT8, 127.0f, int8_encode, int8_decode, 0, 0, 0, 127},
};

const ref_mx *ref_mx_of(qp_format format) {
    for (int i = 0; i < QP_COUNT(table); i++)
        if (table[i].format == format) return &table[i];
    return &table[0];
}

// ---- coverage
// --------------------------------------------------------------------------------------------------------------

static bool is_tie(const ref_mx *mx, uint32_t magnitude) {
    if (mx->sign != 0) return ref_magnitude_is_tie(magnitude, mx->mant, mx->bias, mx->max_code);
    const float t = ref_float(magnitude);
    return t < mx->max && t - (float)(int32_t)t == 0.5f; // exact below 2^23
}

void ref_cover_mx(qp_coverage *cov, const ref_mx *mx, uint32_t quotient, uint8_t code) {
    if (cov == NULL) return;
    cov->codes[code >> 6] |= UINT64_C(1) << (code & 63);
    if (ref_is_nan(quotient)) return;
    const uint32_t magnitude = ref_abs(quotient), bits = code & (mx->sign - 1u);
    cov->n_saturated += ref_float(magnitude) > mx->max;
    cov->n_subnormal += mx->sign != 0 && bits != 0 && bits >> mx->mant == 0;
    cov->n_code_ties += is_tie(mx, magnitude);
}

void ref_cover_mx_scale(qp_coverage *cov, uint8_t byte, bool tie, bool zero_block) {
    if (cov == NULL) return;
    cov->scale_bytes[byte >> 6] |= UINT64_C(1) << (byte & 63);
    cov->n_scale_ties += tie;
    cov->n_zero_blocks += zero_block;
}
