// SPDX-License-Identifier: Apache-2.0
// Variants of INT fake-quant (numerics 1, 5.4): a table.
#include "variants/scaled.h"

#define V(name, sin, ...)                                                                                    \
    {                                                                                                        \
        name, sin, VG_RIGHT, &(const vs_rule) {                                                              \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define A(name, sin, how)                                                                                    \
    { name, sin, how, NULL }

static const qp_variant rows[] = {
    {"clean", "no deviation: numerics 1.2", VG_RIGHT, NULL},
    V("tie-away", "1.2: ties away from zero, as roundf", .tie = VN_AWAY),
    V("tie-to-zero", "1.2: ties towards zero", .tie = VN_TO_ZERO),
    V("tie-up", "1.2: floor(t + 0.5)", .tie = VN_UP),
    V("tie-down", "1.2: ceil(t - 0.5)", .tie = VN_DOWN),
    V("tie-odd", "1.2: ties to the odd level", .tie = VN_ODD),
    V("truncate", "1.2: conversion to integer without rounding", .tie = VN_TRUNCATE),
    V("floor", "1.2: rounding towards minus infinity", .tie = VN_FLOOR),
    V("add-half", "1.2: trunc(|t| + 0.5), the sum rounded", .tie = VN_ADD_HALF),
    V("step-both", "3.2: x/(amax/hi), back by times that step", .up = UP_STEP, .down = DOWN_STEP),
    V("step-up", "trap 3: x/(amax/hi)", .up = UP_STEP),
    V("step-up-times", "0: x/(amax*fl(1/hi))", .up = UP_STEP_TIMES),
    V("reciprocal-scale", "0: scale fl(fl(1/amax)*hi), python's spelling", .up = UP_RECIPROCAL),
    V("approximate-division", "3.2: x times the reciprocal of the step", .up = UP_APPROX),
    V("ratio-first", "1.2: fl(x/amax)*hi", .up = UP_RATIO),
    V("product-first", "1.2: fl(x*hi)/amax", .up = UP_PRODUCT),
    V("exact-quotient", "1.2: x*hi/amax in double, one rounding", .up = UP_EXACT),
    V("scale-cut", "1.2: scale rounded towards zero", .up = UP_CUT),
    V("scale-power", "1.2: scale a power of two", .up = UP_POWER),
    V("scale-bf16", "5.5: scale rounded to bf16", .via_scale = VN_BF16),
    V("scale-fp16", "5.5: scale rounded to fp16", .via_scale = VN_FP16),
    V("quotient-bf16", "5.5: quotient through bf16, double rounding", .via_quotient = VN_BF16),
    V("quotient-fp16", "5.5: quotient through fp16, double rounding", .via_quotient = VN_FP16),
    V("quotient-bf16-cut", "5.5: quotient cut to bf16", .via_quotient = VN_BF16_CUT),
    V("back-by-inverse", "1.2: level * fl(1/s)", .down = DOWN_INVERSE),
    V("back-by-step", "trap 2: level * (amax/hi)", .down = DOWN_STEP),
    V("back-by-ratio", "1.2: fl(level/hi)*amax", .down = DOWN_RATIO),
    V("back-by-product", "1.2: fl(level*amax)/hi", .down = DOWN_PRODUCT),
    V("back-exact", "1.2: level*amax/hi in double", .down = DOWN_EXACT),
    V("back-in-bf16", "5.5: level times a step rounded to bf16", .down = DOWN_BF16),
    V("store-away", "0: store with ties away from zero", .out_tie = VN_AWAY),
    V("store-cut", "0: store cut, not rounded", .out_tie = VN_TRUNCATE),
    V("answer-through-fp16", "0: answer through fp16 before the store", .via_answer = VN_FP16),
    V("narrow-range", "trap 4: lowest level -hi", .clip = CLIP_NARROW),
    V("clip-one-wider", "1.2: clamped one level too late", .clip = CLIP_WIDE),
    V("clip-wraps", "1.2: low bits of the integer, no clamp", .clip = CLIP_WRAP),
    V("clip-none", "1.2: no clamp", .clip = CLIP_NONE),
    V("clip-first", "3.2: clamp before rounding", .clip = CLIP_BEFORE),
    V("inf-to-nan", "1.2: Inf becomes NaN", .clip = CLIP_NAN_AT_INF),
    V("range-one-more", "3.2: 2^(n-1) levels in the place of 2^(n-1)-1", .one_more = true),
    V("tiny-inclusive", "1.3: amax <= 2^-24, trap 1", .tiny = TINY_OTHER_END),
    V("tiny-none", "1.2: no rule for tiny amax", .tiny = TINY_NONE),
    V("tiny-zero-only", "1.2: rule for amax 0 only", .tiny = TINY_ZERO_ONLY),
    V("tiny-larger", "1.2: threshold 2^-20", .tiny = TINY_LARGER),
    V("tiny-signed", "1.3: tiny amax keeps the sign of x, NaN and Inf", .tiny = TINY_SIGNED_ZERO),
    V("tiny-one", "2.3 in the place of 1.2: tiny amax becomes 1", .tiny = TINY_ONE),
    V("tiny-pass", "3.2: tiny amax passes x through", .tiny = TINY_PASS),
    V("zero-pass", "3.2: amax 0 passes x through, no other rule", .tiny = TINY_ZERO_PASS),
    V("amax-plus-epsilon", "1.2: 2^-24 added to amax", .tiny = TINY_EPSILON),
    V("negative-zero-lost", "1.2: level through an integer, -0 becomes +0", .zero_lost = true),
    V("nan-to-zero", "1.2: NaN becomes 0", .nan = NAN_TO_ZERO),
    V("nan-to-max", "1.2: clamp by min and max swallows NaN", .nan = NAN_TO_MAX),
    V("nan-to-min", "1.2: clamp by max and min swallows NaN", .nan = NAN_TO_MIN),
    V("subnormal-x-flushed", "0: subnormal x read as +0", .flush_x = true),
    V("subnormal-answer-flushed", "0: subnormal answers become 0", .flush_answer = true),
    V("amax-bf16", "1.4: amax rounded to bf16", .via_amax = VN_BF16),
    A("amax-of-first-half", "1.4: second half of the grain not looked at", VG_FIRST_HALF),
    A("amax-last-missed", "1.4: last element of the grain not looked at", VG_LAST_MISSED),
    A("amax-positive-only", "1.4: max x in the place of max |x|", VG_POSITIVE),
    A("amax-stale-binade", "1.4: amax of an earlier batch, power of two below", VG_BINADE_DOWN),
    A("amax-next-binade", "1.4: amax rounded up to a power of two", VG_BINADE_UP),
    A("amax-ulp-up", "1.4: amax one ulp too large", VG_ONE_ULP_UP),
    A("amax-ulp-down", "1.4: amax one ulp too small", VG_ONE_ULP_DOWN),
};

static float answer(const void *rule, const qp_vtensor *t, float x, float amax) {
    const bool four = qp_format_get(t->format)->element == QP_ELEM_INT4;
    vs_kind k = {four ? 7.0f : 127.0f, four ? -8.0f : -128.0f, false};
    if (rule != NULL && ((const vs_rule *)rule)->one_more) k.hi = -k.lo;
    return vs_answer(rule, &k, x, amax);
}

const vf_family vf_int = {rows, QP_COUNT(rows), answer, vs_out_tie};
