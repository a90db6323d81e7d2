// SPDX-License-Identifier: Apache-2.0
// What no bf16 input can tell from the reference: a list of claims, each with its reason. 'quantproof mine
// FORMAT --prove' searches every input for a counter-example.
#include <string.h>

#include "variants/variants.h"

typedef struct claim {
    unsigned formats; // bit per qp_format
    const char *name, *why;
} claim;

#define F(name) (1u << QP_##name)
#define INTS (F(INT8) | F(INT8_AXIS0) | F(INT4) | F(INT4_AXIS0) | F(INT4_BLOCK))
#define FP8S (F(FP8_E4M3) | F(FP8_AXIS0) | F(FP8_BLOCK2D))
#define NVFP4S (F(NVFP4) | F(NVFP4_STATIC) | F(NVFP4_46))
#define MXFP8S (F(MXFP8_E4M3) | F(MXFP8_E5M2))
#define MXS (MXFP8S | F(MXFP4) | F(MXFP6_E3M2) | F(MXFP6_E2M3) | F(MXINT8))

static const claim claims[] = {
    {INTS, "back-by-inverse", "level*amax/hi is never within 2^-20 of half-way between two bf16"},
    {INTS, "back-by-step", "level*amax/hi is never within 2^-20 of half-way between two bf16"},
    {INTS, "back-by-ratio", "level*amax/hi is never within 2^-20 of half-way between two bf16"},
    {INTS, "back-exact", "level*amax/hi is never within 2^-20 of half-way between two bf16"},
    {INTS, "store-away", "level*amax/hi is never half-way between two bf16"},
    {INTS, "clip-first", "the ends are whole numbers: clamping and rounding commute"},
    {INTS, "subnormal-answer-flushed", "amax of 2^-24 and more has no subnormal step"},
    {INTS | FP8S, "amax-bf16", "the amax of bf16 values is one of them"},
    {FP8S, "back-by-division",
     "half-way between two bf16 only where amax/448 is exact, and so is every one of these spellings"},
    {FP8S, "back-by-step",
     "half-way between two bf16 only where amax/448 is exact, and so is every one of these spellings"},
    {FP8S, "back-exact",
     "half-way between two bf16 only where amax/448 is exact, and so is every one of these spellings"},
    {FP8S, "subnormal-answer-flushed", "amax above 2^-24 has no subnormal step"},
    {NVFP4S, "element-in-double", "53 bits are enough for two roundings of a quotient to be one"},
    {NVFP4S, "subnormal-x-flushed", "no block scale is so small: x rounds to zero either way"},
    {NVFP4S, "global-amax-bf16", "the amax of bf16 values is one of them"},
    {F(NVFP4), "threshold-strict", "no code and no global amax make a scale of exactly 1e-5"},
    {F(NVFP4_46), "tiny-a-strict", "no global amax makes an a of exactly 2^-24"},
    {MXS, "scale-log2f", "no ratio is that near above a power of two"},
    {MXS, "scale-loose", "no ratio is that near above a power of two"},
    {MXS, "ratio-times", "a ratio is a power of two exactly, or far from it"},
    {MXFP8S, "ratio-bf16", "the nearest ratio above a power of two rounds away from it"},
    {MXS, "ratio-cut", "a ratio is a power of two exactly, or far from it"},
    {MXS, "amax-ulp-down", "an ulp below max*2^k the exponent is the same"},
    {MXS, "divide-by-scale", "a power of two, and no step leaves fp32"},
    {MXS, "element-via-bf16", "x times a power of two is a bf16"},
    {MXS, "element-via-fp16", "fp16 has the bits of bf16 where the element has codes"},
    {MXS, "store-away", "every level times a power of two is a bf16, or below its half-way points"},
    {MXS, "store-cut", "every level times a power of two is a bf16, or rounds down"},
    {MXFP8S, "exponent-from-minus-126", "bf16 subnormals have too few bits for the difference"},
    {MXFP8S | F(MXINT8), "zero-block-smallest", "a block of zeros has no answer but zero and NaN"},
    {F(MXINT8), "clip-128", "only Inf gets there, and 127 steps are Inf as well"},
};

const char *qp_variant_equal(qp_format f, qp_dtype t, const char *name) {
    for (int i = 0; i < QP_COUNT(claims) && t == QP_BF16; i++)
        if ((claims[i].formats >> f & 1) && strcmp(claims[i].name, name) == 0) return claims[i].why;
    return NULL;
}

int qp_n_variant_claims(void) {
    return QP_COUNT(claims);
}

const char *qp_variant_claim(int i, unsigned *formats) {
    *formats = claims[i].formats;
    return claims[i].name;
}
