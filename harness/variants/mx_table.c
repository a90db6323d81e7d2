// SPDX-License-Identifier: Apache-2.0
// Variants of MX fake-quant (numerics 5): what all have, what only float elements have, and the NaN rules.
#include "variants/mx.h"

#define V(name, sin, ...)                                                                                    \
    {                                                                                                        \
        name, sin, VG_RIGHT, &(const vx_rule) {                                                              \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define A(name, sin, how)                                                                                    \
    { name, sin, how, NULL }

static const qp_variant rows[] = {
    {"clean", "no deviation: numerics 5.0-5.3", VG_RIGHT, NULL},
    V("scale-floor", "5.0: exponent of the ratio rounded down", .round = ROUND_FLOOR),
    V("scale-ocp", "5.0: OCP's floor(log2 amax) - emax", .round = ROUND_OCP),
    V("scale-nearest", "9: exponent to nearest, at 1.5", .round = ROUND_NEAREST),
    V("scale-log-nearest", "5.0: round(log2 ratio)", .round = ROUND_LOG_NEAREST),
    V("scale-carry", "10: floor with carry at 1.75, compressed-tensors", .round = ROUND_CARRY),
    V("scale-next", "5.0: exponent + 1 also at a power of two", .round = ROUND_NEXT),
    V("scale-one-more", "5.0: one exponent too high", .round = ROUND_ONE_MORE),
    V("scale-log2f", "5.0, trap 14: ceil(log2f(ratio))", .round = ROUND_LOG2F),
    V("scale-loose", "5.0: a power of two within 2^-20 counts as reached", .round = ROUND_LOOSE),
    V("ratio-times", "5.0: amax * fl(1/max), TransformerEngine", .ratio = RATIO_TIMES),
    V("ratio-bf16", "5.0: ratio rounded to bf16", .ratio = RATIO_BF16),
    V("ratio-cut", "5.0: ratio rounded towards zero", .ratio = RATIO_CUT),
    V("ratio-flushed", "5.0: subnormal ratio becomes 0", .ratio = RATIO_FLUSHED),
    V("max-power-below", "5.0: power of two below the largest value", .ratio = RATIO_POWER),
    V("max-power-above", "5.0: power of two above the largest value", .ratio = RATIO_NEXT_POWER),
    V("max-second-largest", "5.0: second largest value", .ratio = RATIO_SECOND_LARGEST),
    V("exponent-from-minus-126", "5.0: no scale 2^-127", .lowest = -126),
    V("exponent-from-minus-64", "5.0: scales below 2^-64 lifted", .lowest = -64),
    V("zero-block-smallest", "5.1: a block of zeros gets byte 0", .zero_block = ZERO_BLOCK_SMALLEST),
    V("inf-scale-one", "5.0: Inf in a block makes the scale 1", .inf = INF_SCALE_ONE),
    V("inf-scale-nan", "5.0: Inf in a block makes the scale NaN", .inf = INF_SCALE_NAN),
    V("amax-flushed", "5.0: subnormal amax counts as 0, .ftz", .flush_amax = true),
    V("scale-flushed", "5.0: 2^-127 flushed to 0, .ftz", .flush_scale = true),
    V("subnormal-x-flushed", "5.0: subnormal x read as 0, .ftz", .flush_x = true),
    V("subnormal-answer-flushed", "5.0: subnormal answers become 0, .ftz", .flush_answer = true),
    V("all-flushed", "5.0: .ftz everywhere, as mx-ext", .flush_x = true, .flush_amax = true,
      .flush_scale = true, .flush_answer = true, .ratio = RATIO_FLUSHED),
    V("tie-away", "5.3: ties away from zero", .tie = VN_AWAY),
    V("tie-to-zero", "5.1: ties down, as MXFP4QTensor", .tie = VN_TO_ZERO),
    V("tie-up", "5.3: ties towards plus infinity", .tie = VN_UP),
    V("tie-down", "5.3: ties towards minus infinity", .tie = VN_DOWN),
    V("tie-odd", "5.3: ties to the odd code", .tie = VN_ODD),
    V("element-cut", "5.3: elements cut, not rounded", .tie = VN_TRUNCATE),
    V("element-floor", "5.3: elements rounded down", .tie = VN_FLOOR),
    V("element-outward", "5.3: any rest rounds up", .tie = VN_OUTWARD),
    V("divide-by-scale", "5.0: |x| / 2^k", .divide = true),
    V("element-via-bf16", "5.0: scaled element through bf16", .via = VN_BF16),
    V("element-via-fp16", "5.0: scaled element through fp16", .via = VN_FP16),
    V("overflow-to-nan", "5.0: Inf becomes NaN", .overflow = OVERFLOW_NAN),
    V("store-away", "0: store with ties away from zero", .out_tie = VN_AWAY),
    V("store-cut", "0: store cut, not rounded", .out_tie = VN_TRUNCATE),
    V("zero-keeps-sign", "4.7: zeros have the sign of x", .sign = SIGN_OF_X),
    V("zero-plus", "4.7: zeros are +0, small negative x gives -0", .sign = SIGN_BELOW),
    V("every-zero-plus", "4.3 in the place of 4.7: every zero is +0", .sign = SIGN_OF_LEVEL),
    A("amax-of-first-half", "5.0: second half of the block not looked at", VG_FIRST_HALF),
    A("amax-last-missed", "5.0: last element of the block not looked at", VG_LAST_MISSED),
    A("amax-positive-only", "5.0: max x in the place of max |x|", VG_POSITIVE),
    A("nan-wins-amax", "1.4: NaN element makes the block amax NaN", VG_NAN_WINS),
    A("nan-drops-amax", "5.0: NaN element makes max forget what it had", VG_NAN_DROPS),
    A("inf-skipped", "1.4: Inf not counted in the block amax", VG_INF_SKIPPED),
    A("amax-stale-binade", "5.0: block amax a power of two, stale", VG_BINADE_DOWN),
    A("amax-ulp-up", "5.0: amax one ulp too large", VG_ONE_ULP_UP),
    A("amax-ulp-down", "5.0: amax one ulp too small", VG_ONE_ULP_DOWN),
};

const qp_variant vx_float_rows[] = {
    V("subnormal-codes-flushed", "5.0: subnormal codes become 0", .subnormal = SUB_FLUSHED),
    V("no-subnormal-codes", "5.0: only 0 and the smallest normal below it", .subnormal = SUB_NONE),
    V("subnormal-read-as-normal", "4.8: subnormal codes decoded with a hidden bit",
      .subnormal = SUB_READ_AS_NORMAL),
};
const int vx_n_float_rows = QP_COUNT(vx_float_rows);

const qp_variant vx_has_nan_rows[] = {
    V("nan-to-zero", "5.2: NaN becomes 0", .nan = VX_NAN_ZERO),
    V("nan-to-max", "5.2: NaN becomes minus the largest value", .nan = VX_NAN_MAX),
};
const int vx_n_has_nan_rows = QP_COUNT(vx_has_nan_rows);

const qp_variant vx_no_nan_rows[] = {
    V("nan-kept", "4.1: NaN stays NaN", .nan = VX_NAN_KEPT),
    V("nan-to-zero", "4.1: NaN becomes 0", .nan = VX_NAN_ZERO),
    V("nan-plus", "4.7: NaN becomes plus the largest value", .nan = VX_NAN_PLUS),
};
const int vx_n_no_nan_rows = QP_COUNT(vx_no_nan_rows);

const qp_variant vx_int_rows[] = {
    V("nan-kept", "5.3: NaN stays NaN", .nan = VX_NAN_KEPT),
    V("nan-to-max", "5.3: NaN becomes minus 127 steps", .nan = VX_NAN_MAX),
    V("clip-128", "5.3: clamped at 128", .overflow = OVERFLOW_ONE_MORE),
    V("add-half", "5.3: trunc(t + 0.5), the sum rounded", .tie = VN_ADD_HALF),
};
const int vx_n_int_rows = QP_COUNT(vx_int_rows);

const vf_family vf_mx = {rows, QP_COUNT(rows), vx_answer, vx_out_tie};
