// SPDX-License-Identifier: Apache-2.0
// Variants of FP8 E4M3 fake-quant (numerics 2): a table.
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
    {"clean", "no deviation: numerics 2.3", VG_RIGHT, NULL},
    V("tie-away", "2.2: ties away from zero", .tie = VN_AWAY),
    V("tie-to-zero", "2.2: ties towards zero", .tie = VN_TO_ZERO),
    V("tie-up", "2.2: ties towards plus infinity", .tie = VN_UP),
    V("tie-down", "2.2: ties towards minus infinity", .tie = VN_DOWN),
    V("tie-odd", "2.2: ties to the odd code", .tie = VN_ODD),
    V("truncate", "2.2: mantissa cut, not rounded", .tie = VN_TRUNCATE),
    V("outward", "2.2: any rest rounds up", .tie = VN_OUTWARD),
    V("reciprocal-scale", "2.4, trap 6: scale fl(fl(1/amax)*448)", .up = UP_RECIPROCAL),
    V("step-both", "2.5: x/(amax/448), back by times that step", .up = UP_STEP, .down = DOWN_STEP),
    V("step-up", "2.6: x/(amax/448)", .up = UP_STEP),
    V("step-up-times", "2.6 on CUDA: x/(amax*fl(1/448))", .up = UP_STEP_TIMES),
    V("approximate-division", "2.5: x times the reciprocal of the step", .up = UP_APPROX),
    V("ratio-first", "2.3: fl(x/amax)*448", .up = UP_RATIO),
    V("product-first", "2.3: fl(x*448)/amax", .up = UP_PRODUCT),
    V("exact-quotient", "2.3: x*448/amax in double, one rounding", .up = UP_EXACT),
    V("scale-cut", "2.3: scale rounded towards zero", .up = UP_CUT),
    V("scale-power", "2.3: scale a power of two", .up = UP_POWER),
    V("scale-bf16", "2.6: scale rounded to bf16", .via_scale = VN_BF16),
    V("scale-fp16", "2.6: scale rounded to fp16", .via_scale = VN_FP16),
    V("quotient-bf16", "2.6: quotient through bf16, double rounding", .via_quotient = VN_BF16),
    V("quotient-fp16", "2.6: quotient through fp16, double rounding", .via_quotient = VN_FP16),
    V("quotient-fp16-cut", "0: quotient cut to fp16, as on cc 8.9", .via_quotient = VN_FP16_CUT),
    V("quotient-bf16-cut", "2.6: quotient cut to bf16", .via_quotient = VN_BF16_CUT),
    V("back-by-division", "2.3: code / s", .down = DOWN_DIVIDE),
    V("back-by-step", "2.3: code * (amax/448)", .down = DOWN_STEP),
    V("back-by-step-times", "2.6: code * (amax*fl(1/448))", .down = DOWN_STEP_TIMES),
    V("back-by-ratio", "2.3: fl(code/448)*amax", .down = DOWN_RATIO),
    V("back-by-product", "2.3: fl(code*amax)/448", .down = DOWN_PRODUCT),
    V("back-exact", "2.3: code*amax/448 in double", .down = DOWN_EXACT),
    V("back-in-bf16", "2.6: code times a step rounded to bf16", .down = DOWN_BF16),
    V("store-away", "0: store with ties away from zero", .out_tie = VN_AWAY),
    V("store-cut", "0: store cut, not rounded", .out_tie = VN_TRUNCATE),
    V("answer-through-fp16", "0: answer through fp16 before the store", .via_answer = VN_FP16),
    V("subnormal-codes-flushed", "2.2: codes 01..07 become 0", .codec = CODEC_FLUSHED),
    V("no-subnormal-codes", "2.2: below 2^-6 only 0 and 2^-6", .codec = CODEC_NO_SUBNORMALS),
    V("subnormal-read-as-normal", "4.8: codes 01..07 decoded with a hidden bit",
      .codec = CODEC_READ_AS_NORMAL),
    V("fnuz", "2.2: E4M3 of bias 8", .codec = CODEC_BIAS_8),
    V("max-240", "2.2: saturates at 240", .codec = CODEC_MAX_240),
    V("max-416", "2.2: largest code not used", .codec = CODEC_TOP_UNUSED),
    V("max-480", "2.2: NaN's code used as a number", .codec = CODEC_TOP_TAKEN),
    V("e5m2", "2.2: the other 8-bit type", .codec = CODEC_E5M2),
    V("e3m4", "2.2: one exponent bit given to the mantissa", .codec = CODEC_E3M4),
    V("overflow-to-nan", "2.3: encode without saturation", .clip = CLIP_NONE),
    V("scale-of-240", "2.3: amax mapped to 240", .hi = 240.0f),
    V("tiny-strict", "2.3: amax < 2^-24", .tiny = TINY_OTHER_END),
    V("tiny-none", "2.3: no rule for tiny amax", .tiny = TINY_NONE),
    V("tiny-zero-only", "2.3: rule for amax 0 only", .tiny = TINY_ZERO_ONLY),
    V("tiny-larger", "2.3: threshold 2^-20", .tiny = TINY_LARGER),
    V("tiny-zero", "1.2 in the place of 2.3, trap 5: tiny amax gives +0", .tiny = TINY_ZERO),
    V("tiny-signed", "1.3 in the place of 2.3: x*0", .tiny = TINY_SIGNED_ZERO),
    V("tiny-pass", "3.2: tiny amax passes x through", .tiny = TINY_PASS),
    V("zero-pass", "3.2: amax 0 passes x through, no other rule", .tiny = TINY_ZERO_PASS),
    V("amax-plus-epsilon", "2.3: 2^-24 added to amax", .tiny = TINY_EPSILON),
    V("negative-zero-lost", "2.2: -0 becomes +0", .zero_lost = true),
    V("nan-to-zero", "2.2: NaN becomes 0", .nan = NAN_TO_ZERO),
    V("nan-to-max", "2.5: clamp swallows NaN, 448", .nan = NAN_TO_MAX),
    V("nan-to-min", "2.5: clamp swallows NaN, -448", .nan = NAN_TO_MIN),
    V("inf-to-nan", "2.2: Inf becomes NaN", .clip = CLIP_NAN_AT_INF),
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
    (void)t;
    static const vs_kind k = {448.0f, -448.0f, true};
    return vs_answer(rule, &k, x, amax);
}

const vf_family vf_fp8 = {rows, QP_COUNT(rows), answer, vs_out_tie};
