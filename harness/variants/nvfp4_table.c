// SPDX-License-Identifier: Apache-2.0
// Variants of NVFP4 fake-quant (numerics 4): dynamic, static, and what only four-over-six has.
#include "variants/nvfp4.h"

#define V(name, sin, ...)                                                                                    \
    {                                                                                                        \
        name, sin, VG_RIGHT, &(const vv_rule) {                                                              \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define A(name, sin, how)                                                                                    \
    { name, sin, how, NULL }

// Elements, codes and stores: the same in both.
#define COMMON                                                                                               \
    V("tie-away", "4.1: element ties away from zero", .tie = VN_AWAY),                                       \
        V("tie-to-zero", "5.1: element ties down, as MXFP4QTensor", .tie = VN_TO_ZERO),                      \
        V("tie-odd", "4.1: element ties to the odd code", .tie = VN_ODD),                                    \
        V("element-cut", "4.1: elements cut, not rounded", .tie = VN_TRUNCATE),                              \
        V("element-outward", "4.1: any rest rounds up", .tie = VN_OUTWARD),                                  \
        V("scale-tie-away", "2.2: scale ties away from zero", .scale_tie = VN_AWAY),                         \
        V("scale-tie-to-zero", "2.2: scale ties towards zero", .scale_tie = VN_TO_ZERO),                     \
        V("scale-tie-odd", "2.2: scale ties to the odd code", .scale_tie = VN_ODD),                          \
        V("scale-cut", "2.2: scale byte cut, not rounded", .scale_tie = VN_TRUNCATE),                        \
        V("scale-outward", "2.2: scale byte rounded up", .scale_tie = VN_OUTWARD),                           \
        V("scale-via-bf16", "4.3: scale quotient through bf16, double rounding", .via_q = VN_BF16),          \
        V("scale-via-fp16", "4.3: scale quotient through fp16, double rounding", .via_q = VN_FP16),          \
        V("scale-via-fp16-cut", "0, extra 16: scale quotient cut to fp16, as on cc 8.9",                     \
          .via_q = VN_FP16_CUT),                                                                             \
        V("scale-subnormals-flushed", "4.8: scale codes 01..07 become 0", .codec = SC_FLUSHED),              \
        V("scale-read-as-normal", "4.8: scale codes 01..07 decoded with a hidden bit",                       \
          .codec = SC_READ_AS_NORMAL),                                                                       \
        V("scale-normal-floor", "4.8: scale codes 01..07 lifted to 08", .codec = SC_NORMAL_FLOOR),           \
        V("scale-max-240", "2.2: scale saturates at 240", .codec = SC_MAX_240),                              \
        V("scale-e5m2", "2.2: scale in the other 8-bit type", .codec = SC_E5M2),                             \
        V("scale-e8m0", "5.0: scale a power of two, rounded up", .codec = SC_E8M0_UP),                       \
        V("scale-unquantized", "4.4: scale not rounded to E4M3", .codec = SC_UNQUANTIZED),                   \
        V("scale-lifted", "4.5: scale quotient at least 2^-9", .cap = CAP_LIFTED),                           \
        V("scale-bf16", "4.3: fp32 block scale rounded to bf16", .via_s = VN_BF16),                          \
        V("scale-fp16", "4.3: fp32 block scale rounded to fp16", .via_s = VN_FP16),                          \
        V("element-by-inverse", "trap 10: |x| * fl(1/S)", .div = DIV_INVERSE),                               \
        V("element-in-double", "4.3: |x|/S in double, then fp32", .div = DIV_EXACT),                         \
        V("element-via-bf16", "4.3: element quotient through bf16", .via_e = VN_BF16),                       \
        V("element-via-fp16", "4.3: element quotient through fp16", .via_e = VN_FP16),                       \
        V("element-max-4", "4.1: saturates at 4", .element = EL_MAX_4),                                      \
        V("element-to-8", "4.1: saturates at 8", .element = EL_TO_EIGHT),                                    \
        V("element-int", "4.1: whole numbers up to 6", .element = EL_INT),                                   \
        V("element-no-half", "4.1: no code 0.5, below 1 only 0 and 1", .element = EL_NO_HALF),               \
        V("element-half-flushed", "4.1: subnormal code becomes 0", .element = EL_HALF_FLUSHED),              \
        V("back-by-division", "4.3: q / fl(1/S)", .back = BACK_DIVIDE),                                      \
        V("back-in-bf16", "4.3: q times S rounded to bf16", .back = BACK_BF16),                              \
        V("store-away", "0: store with ties away from zero", .out_tie = VN_AWAY),                            \
        V("store-cut", "0: store cut, not rounded", .out_tie = VN_TRUNCATE),                                 \
        V("zero-keeps-sign", "4.3: zeros of negative x are -0", .zero = VV_ZERO_SIGN_BIT),                   \
        V("zero-of-negative", "4.3: x < 0 gives -0", .zero = VV_ZERO_NEGATIVE),                              \
        V("zero-minus", "4.7: zeros are -0", .zero = VV_ZERO_MINUS),                                         \
        V("nan-plus", "4.3: NaN gives +6*S", .nan = VV_NAN_PLUS),                                            \
        V("nan-kept", "4.3: NaN stays NaN", .nan = VV_NAN_KEPT),                                             \
        V("nan-to-zero", "4.3: NaN gives 0", .nan = VV_NAN_ZERO),                                            \
        V("quotient-over-ga", "4.4: fl(b/ga)*448", .q = Q_OVER_GA),                                          \
        V("quotient-448-over-ga", "4.3: b * fl(448/ga)", .q = Q_448_OVER_GA),                                \
        V("quotient-exact", "4.3: b*448/ga in double", .q = Q_EXACT),                                        \
        V("quotient-of-four", "4.4: block amax mapped to 4", .q = Q_OF_FOUR),                                \
        V("scale-exact", "4.3: code*ga/2688 in double", .s = S_EXACT),                                       \
        V("scale-other-spelling", "trap 12: scale in the spelling of the other path",                        \
          .s = S_OTHER_SPELLING),                                                                            \
        V("subnormal-x-flushed", "0: subnormal x read as 0", .flush = true),                                 \
        V("global-amax-bf16", "1.4: global amax rounded to bf16", .via_ga = VN_BF16),                        \
        A("amax-of-first-half", "4.3: second half of the block not looked at", VG_FIRST_HALF),               \
        A("amax-last-missed", "4.3: last element of the block not looked at", VG_LAST_MISSED),               \
        A("amax-positive-only", "4.3: max x in the place of max |x|", VG_POSITIVE),                          \
        A("amax-stale-binade", "4.3: block amax a power of two, stale", VG_BINADE_DOWN)

static const qp_variant dynamic_rows[] = {
    {"clean", "no deviation: numerics 4.3", VG_RIGHT, NULL},
    COMMON,
    V("global-times", "trap 8: ga * fl(1/2688)", .gs = GS_TIMES),
    V("global-sixth-first", "4.3: fl(ga/6)/448", .gs = GS_SIXTH_FIRST),
    V("global-448-first", "4.3: fl(ga/448)/6", .gs = GS_448_FIRST),
    V("global-bf16", "4.3: g rounded to bf16", .gs = GS_BF16),
    V("global-power", "4.3: g a power of two", .gs = GS_POWER),
    V("global-1536", "4.4: normaliser 256 in the place of 448", .gs = GS_1536),
    V("global-over-448", "4.5: ga/448, as in W4A8", .gs = GS_448),
    V("global-cut", "4.3: ga/2688 rounded towards zero", .gs = GS_CUT),
    V("global-stale", "4.3: global amax a power of two, stale", .gs = GS_BINADE),
    V("quotient-static", "trap 12: fl(b/6) * fl(448/fl(ga/6))", .q = Q_STATIC),
    V("quotient-sixth-first", "4.3: fl(b/6)/g", .q = Q_SIXTH_FIRST),
    V("quotient-by-inverse", "4.3: b * fl(1/fl(6g))", .q = Q_INVERSE),
    V("quotient-g-first", "4.3: fl(b/g)/6", .q = Q_G_FIRST),
    V("quotient-2688", "10: E4M3 of b*fl(fl(2688/ga)*fl(1/6))", .q = Q_TIMES_2688),
    V("quotient-pack", "4.5: fl(fl(b/6)*448)/fl(ga/6)", .q = Q_PACK),
    V("scale-ga-first", "4.3: fl(code*ga)/2688", .s = S_GA_FIRST),
    V("scale-over-448", "4.3: fl(code/448)*fl(ga/6)", .s = S_OVER_448),
    V("threshold-none", "4.3: no 1e-5 rule", .threshold = TH_NONE),
    V("threshold-strict", "4.3: S > 1e-5", .threshold = TH_STRICT),
    V("threshold-1e-4", "4.3: threshold 1e-4", .threshold = TH_1E4),
    V("threshold-1e-6", "4.3: threshold 1e-6", .threshold = TH_1E6),
    V("threshold-zero-only", "trap 11: only a scale of 0 becomes 1", .threshold = TH_ZERO_ONLY),
    V("threshold-floor", "4.3: small scales become 1e-5", .threshold = TH_FLOOR),
    V("threshold-of-code", "4.3: rule asked of the E4M3 value", .threshold = TH_CODE),
    V("threshold-zeroes", "4.4: small scales give zeros", .threshold = TH_ZEROES),
    V("cap-missing", "4.3: no min with 448 and no saturation", .cap = CAP_NONE, .codec = SC_OVERFLOW_NAN),
    V("element-two-divisions", "4.3: |x| / code / g", .div = DIV_TWICE),
    V("element-g-first", "4.3: |x| / g / code", .div = DIV_G_FIRST),
    V("element-times-one-over-g", "4.3: |x| * fl(1/g) / code", .div = DIV_ONE_OVER),
    V("back-code-first", "trap 13: (q*code)*g", .back = BACK_CODE_FIRST),
    V("back-g-first", "trap 13: (q*g)*code", .back = BACK_G_FIRST),
    V("fallback-one", "4.3: g = 1 where ga is 0", .fallback = 1.0f),
    A("nan-wins-amax", "1.4: NaN element makes the block amax NaN", VG_NAN_WINS),
    A("nan-drops-amax", "4.3: NaN element makes max forget what it had", VG_NAN_DROPS),
    A("inf-skipped", "1.4: Inf not counted in the block amax", VG_INF_SKIPPED),
};

static const qp_variant static_rows[] = {
    {"clean", "no deviation: numerics 4.4", VG_RIGHT, NULL},
    COMMON,
    V("sixth-by-times", "trap 8: division by 6 as times fl(1/6)", .sixth = SIXTH_TIMES),
    V("sc-reciprocal", "2.4: fl(fl(1/a)*448)", .sc = SC_RECIPROCAL),
    V("sc-cut", "4.4: 448/a rounded towards zero", .sc = SC_CUT),
    V("sc-bf16", "4.4: 448/a in bf16", .via_sc = VN_BF16),
    V("quotient-dynamic", "trap 12: b / fl(6g)", .q = Q_SIX_G),
    V("quotient-sixth-first", "4.4: fl(b/6)/g", .q = Q_SIXTH_FIRST),
    V("quotient-step", "4.4: fl(b/6) / fl(a/448)", .q = Q_STEP),
    V("quotient-pack", "4.5: fl(fl(b/6)*m)/fl(ga/6)", .q = Q_PACK),
    V("scale-by-division", "4.4: code / sc", .s = S_DIVIDE),
    V("scale-by-step", "4.4: code * fl(a/448)", .s = S_STEP),
    V("tiny-a-strict", "2.3: a < 2^-24", .tiny = TINY_A_STRICT),
    V("tiny-a-none", "2.3: no rule for tiny a", .tiny = TINY_A_NONE),
    V("threshold-dynamic", "trap 11: the 1e-5 rule of 4.3", .threshold = TH_1E5),
    V("threshold-zero-to-one", "4.4: a scale of 0 becomes 1", .threshold = TH_ZERO_ONLY),
};

// Four-over-six only.
const qp_variant vv_46_rows[] = {
    V("m-of-448", "4.4: 448 in the place of 256", .m46 = M46_MISSED),
    V("m-after-division", "4.4: fl(ga/6)*1.75, not fl(ga*1.75)/6", .m46 = M46_AFTER),
};
const int vv_n_46_rows = QP_COUNT(vv_46_rows);

const vf_family vf_nvfp4 = {dynamic_rows, QP_COUNT(dynamic_rows), vv_answer_dynamic, vv_out_tie};
const vf_family vf_nvfp4_static = {static_rows, QP_COUNT(static_rows), vv_answer_static, vv_out_tie};
