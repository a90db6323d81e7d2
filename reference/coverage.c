// SPDX-License-Identifier: Apache-2.0
// Which decisions an answer took: marks for qp_coverage. Looks at quotients and codes, never changes one.
#include "ref_internal.h"

void ref_cover_input(qp_coverage *cov, uint32_t x) {
    if (cov == NULL) return;
    cov->n_elems++;
    cov->n_nan += ref_is_nan(x);
    cov->n_inf += ref_is_inf(x);
}

void ref_cover_int(qp_coverage *cov, float t, float level, float lo, float hi, uint8_t mask) {
    if (cov == NULL || t != t) return;
    const uint8_t code = (uint8_t)(int32_t)level & mask;
    cov->codes[code >> 6] |= UINT64_C(1) << (code & 63);
    cov->n_saturated += t > hi || t < lo;
    const float magnitude = ref_float(ref_abs(ref_image(t)));
    if (t > lo && t < hi) {
        const float whole = (float)(int32_t)magnitude;
        cov->n_code_ties += magnitude - whole == 0.5f; // exact below 2^23
    }
}

void ref_cover_e4m3(qp_coverage *cov, uint32_t quotient, uint8_t code) {
    if (cov == NULL) return;
    cov->codes[code >> 6] |= UINT64_C(1) << (code & 63);
    if (ref_is_nan(quotient)) return;
    cov->n_saturated += ref_float(ref_abs(quotient)) > 448.0f;
    cov->n_subnormal += (code & 0x7f) >= 1 && (code & 0x7f) <= 7;
    cov->n_code_ties += ref_magnitude_is_tie(ref_abs(quotient), REF_E4M3_MANT, REF_E4M3_BIAS, REF_E4M3_MAX);
}

void ref_cover_e2m1(qp_coverage *cov, uint32_t quotient, uint8_t nibble) {
    if (cov == NULL) return;
    cov->codes[0] |= UINT64_C(1) << (nibble & 15);
    if (ref_is_nan(quotient)) return;
    cov->n_saturated += ref_float(ref_abs(quotient)) > 6.0f;
    cov->n_subnormal += (nibble & 7) == 1;
    cov->n_code_ties += ref_magnitude_is_tie(ref_abs(quotient), REF_E2M1_MANT, REF_E2M1_BIAS, REF_E2M1_MAX);
}

void ref_cover_scale(qp_coverage *cov, uint32_t quotient, uint8_t code, bool zero_block) {
    if (cov == NULL) return;
    cov->scale_bytes[code >> 6] |= UINT64_C(1) << (code & 63);
    cov->n_zero_blocks += zero_block;
    if (ref_is_nan(quotient)) return;
    cov->n_scale_ties += ref_magnitude_is_tie(ref_abs(quotient), REF_E4M3_MANT, REF_E4M3_BIAS, REF_E4M3_MAX);
}
