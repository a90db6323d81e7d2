// SPDX-License-Identifier: Apache-2.0
// The sins: one function each, doing what a real bug did (catalogue numbers: pipeline spec, section E), the
// table of variants, and the one exported symbol. "good" is the control: the same kernel without a sin.
#include <math.h>

#include "steps.h"

// ---- values
// ------------------------------------------------------------------------------------------------------------

static float int8_step(float x, float amax, bool narrow_range) {
    if (amax < 0x1p-24f) return 0.0f;
    float step = amax / 127.0f, inverse = 1.0f / step, lo = narrow_range ? -127.0f : -128.0f;
    float r = rintf(x * inverse);
    r = r > 127.0f ? 127.0f : r;
    r = r < lo ? lo : r;
    return r * step;
}

static float quotient_ulp_up(float x, float scale) {
    return nextafterf(x / scale, INFINITY);
}

static float quotient_of_10_bits(float x, float scale) {
    return x / scale * (1.0f + 0x1p-10f);
}

static float int8_half_away(float x, float amax, bool narrow_range) {
    if (amax < 0x1p-24f) return 0.0f;
    float s = 127.0f / amax, lo = narrow_range ? -127.0f : -128.0f;
    float r = roundf(x * s);
    r = r > 127.0f ? 127.0f : r;
    r = r < lo ? lo : r;
    return r / s;
}

static float int8_half_up(float x, float amax, bool narrow_range) {
    if (amax < 0x1p-24f) return 0.0f;
    float s = 127.0f / amax, lo = narrow_range ? -127.0f : -128.0f;
    float r = floorf(x * s + 0.5f);
    r = r > 127.0f ? 127.0f : r;
    r = r < lo ? lo : r;
    return r / s;
}

static float int8_wraps(float x, float amax, bool narrow_range) {
    (void)narrow_range;
    if (amax < 0x1p-24f) return 0.0f;
    float s = 127.0f / amax, r = rintf(x * s);
    return (r - 256.0f * floorf((r + 128.0f) / 256.0f)) / s; // what is left of an integer in 8 bits
}

static float int8_plus_epsilon(float x, float amax, bool narrow_range) {
    return good_steps.int8(x, amax + 1e-5f, narrow_range);
}

static float int8_zero_amax_passes(float x, float amax, bool narrow_range) {
    return amax == 0.0f ? x : good_steps.int8(x, amax, narrow_range);
}

static float int8_qmax_128(float x, float amax, bool narrow_range) {
    if (amax < 0x1p-24f) return 0.0f;
    float qmax = narrow_range ? 127.0f : 128.0f, s = qmax / amax;
    float r = rintf(x * s);
    r = r > qmax ? qmax : r;
    r = r < -qmax ? -qmax : r;
    return r / s;
}

static float fp8_reciprocal(float x, float amax) {
    float a = amax <= 0x1p-24f ? 1.0f : amax;
    float s = 1.0f / a * 448.0f, t = x * s;
    t = t > 448.0f ? 448.0f : t < -448.0f ? -448.0f : t;
    return e4m3_nearest(t) * (1.0f / s);
}

static float fp8_read_as_fnuz(float x, float amax) {
    return good_steps.fp8(x, amax) * 0.5f; // the same byte under a bias of 8
}

static float e2m1_ties_down(float a) {
    static const float value[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f};
    static const float bound[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    for (int i = 0; i < QP_COUNT(bound); i++)
        if (a <= bound[i]) return value[i];
    return 6.0f;
}

static float global_is_one(float global_amax) {
    (void)global_amax;
    return 2688.0f; // second-level scale 1
}

static uint8_t scale_byte_unclamped(float p) {
    return e4m3_byte(e4m3_nearest(p));
}

static float second_level_reciprocal(float weight_scale_2) {
    return 1.0f / weight_scale_2;
}

static float signed_value(float x) {
    return x;
}

static float unrounded_scale(uint8_t byte, float p) {
    (void)byte;
    return p;
}

static float what_was_there(float in_output) {
    return in_output;
}

// ---- masks
// -------------------------------------------------------------------------------------------------------------

static float as_bf16(float v) {
    uint16_t h;
    store(QP_BF16, &h, 0, v);
    return load(QP_BF16, &h, 0);
}

static bool keeps_in_bf16(qp_dtype t, float x, float amax) {
    (void)t;
    return fabsf(as_bf16(x)) <= as_bf16(amax);
}

// ---- memory
// ------------------------------------------------------------------------------------------------------------

static int64_t x_index_contiguous(const qp_ktensor *t, int64_t row, int64_t col) {
    return row * t->cols + col;
}

static int64_t tensor_end(const qp_ktensor *t, int64_t row) {
    return (t->rows - row) * t->cols;
}

static int64_t whole_blocks(int64_t cols) {
    return cols / BLOCK * BLOCK;
}

static int64_t one_more(int64_t cols) {
    return cols + 1;
}

static int64_t whole_tiles(int64_t rows) {
    return rows / 4 * 4;
}

static bool skips_zeros(const float *x, int n) {
    for (int j = 0; j < n; j++)
        if (x[j] != 0.0f) return false;
    return true;
}

static void writes_back(const qp_launch *l, const qp_ktensor *t, int64_t row, int64_t col, int n,
                        const float *y) {
    void *x = (void *)(uintptr_t)t->x; // the kernel worked in place
    for (int j = 0; j < n; j++) store(l->dtype, x, row * t->ld + col + j, y[j]);
}

// ---- variants
// ----------------------------------------------------------------------------------------------------------

#define VARIANT(fn, field, value)                                                                            \
    static qp_status fn(const qp_launch *l, char *msg, size_t msg_bytes) {                                   \
        steps s = good_steps;                                                                                \
        s.field = value;                                                                                     \
        return run_steps(&s, l, msg, msg_bytes);                                                             \
    }

static qp_status good(const qp_launch *l, char *msg, size_t msg_bytes) {
    return run_steps(&good_steps, l, msg, msg_bytes);
}
VARIANT(run_step_form, int8, int8_step)
VARIANT(run_half_away, int8, int8_half_away)
VARIANT(run_zero_amax, int8, int8_zero_amax_passes)
VARIANT(run_qmax_128, int8, int8_qmax_128)
VARIANT(run_bf16_mask, keeps, keeps_in_bf16)
VARIANT(run_ignores_ld, x_index, x_index_contiguous)
VARIANT(run_tail, cols_written, whole_blocks)
VARIANT(run_past_end, cols_written, one_more)
VARIANT(run_clobber, after_block, writes_back)
VARIANT(run_stale, skips, skips_zeros)
VARIANT(run_scale_rows, scale_rows, whole_tiles)
VARIANT(run_unclamped, scale_byte, scale_byte_unclamped)
VARIANT(run_no_abs, magnitude, signed_value)
VARIANT(run_fp8_reciprocal, fp8, fp8_reciprocal)
VARIANT(run_half_up, int8, int8_half_up)
VARIANT(run_ulp_up, quotient, quotient_ulp_up)
VARIANT(run_10_bits, quotient, quotient_of_10_bits)
VARIANT(run_wraps, int8, int8_wraps)
VARIANT(run_plus_epsilon, int8, int8_plus_epsilon)
VARIANT(run_fnuz, fp8, fp8_read_as_fnuz)
VARIANT(run_half_block, lanes_seen, BLOCK / 2)
VARIANT(run_through_rows, row_end, tensor_end)
static qp_status run_per_32(const qp_launch *l, char *msg, size_t msg_bytes) {
    steps s = good_steps;
    s.scale_width = s.lanes_seen = 2 * BLOCK;
    return run_steps(&s, l, msg, msg_bytes);
}
VARIANT(run_ties_down, e2m1, e2m1_ties_down)
VARIANT(run_global_one, global, global_is_one)
VARIANT(run_ws2_reciprocal, second_level, second_level_reciprocal)
VARIANT(run_unrounded_scale, element_scale, unrounded_scale)
VARIANT(run_not_zeroed, amax_begin, what_was_there)

static const qp_plugin_variant variants[] = {
    {"good", "control: no sin", good},
    {"int8-step-form", "E-31: x * (1/(amax/127)), dequantized by the step, in the place of 127/amax",
     run_step_form},
    {"int8-half-away", "E-32: rounds half away from zero", run_half_away},
    {"int8-half-up", "numerics 4.8: floor(t + 0.5)", run_half_up},
    {"int8-wraps", "the conversion to 8 bits is left to wrap around", run_wraps},
    {"int8-amax-plus-epsilon", "amax + 1e-5 against a division by zero", run_plus_epsilon},
    {"int8-zero-amax-passes", "E-35: amax == 0 passes the input through", run_zero_amax},
    {"int8-qmax-128", "E-36: narrow_range=false takes 128 as the largest level", run_qmax_128},
    {"clip-mask-bf16", "E-37: the clip mask compares in bf16", run_bf16_mask},
    {"ignores-ld", "E-38: takes strided rows for contiguous ones", run_ignores_ld},
    {"tail-not-written", "E-133: only whole vectors of 16 columns are written", run_tail},
    {"write-past-end", "E-98: the bounds test of the last vector is missing", run_past_end},
    {"input-clobbered", "I28: works in place, the input is gone afterwards", run_clobber},
    {"stale-output", "E-121: all-zero blocks are left as the output buffer was", run_stale},
    {"scale-rows-rounded-down", "E-126: block scales of the last rows % 4 rows are not written",
     run_scale_rows},
    {"scale-cast-unclamped", "E-99: E4M3 cast of the block scale without clamp: NaN bytes", run_unclamped},
    {"amax-without-abs", "E-128: max(x) in the place of max(|x|)", run_no_abs},
    {"fp8-reciprocal", "E-123: (1/amax) * 448 in the place of 448/amax", run_fp8_reciprocal},
    {"fp8-read-as-fnuz", "bytes of E4M3 dequantized with the bias of its fnuz form", run_fnuz},
    {"block-max-of-half", "E-124: the maximum of a block misses its last half", run_half_block},
    {"blocks-through-rows", "blocks of 16 counted through the ends of rows", run_through_rows},
    {"nvfp4-scale-per-32", "E-120: one dynamic scale for 32 elements", run_per_32},
    {"e2m1-ties-down", "numerics trap 9: every tie goes down", run_ties_down},
    {"division-ulp-up", "numerics trap 10: quotients an ulp too large, as div.full may answer", run_ulp_up},
    {"division-of-10-bits", "quotients up to 2^-10 too large, as a reciprocal table without a step answers",
     run_10_bits},
    {"global-scale-one", "E-127: the second-level scale is taken as 1", run_global_one},
    {"dequant-reciprocal-scale", "E-119: dequantizes with 1/weight_scale_2", run_ws2_reciprocal},
    {"packs-with-unrounded-scale", "E-109: codes from the fp32 scale, the E4M3 scale is what is stored",
     run_unrounded_scale},
    {"amax-not-zeroed", "E-122: the kernel that zeroes the running maximum is not launched", run_not_zeroed},
    {"barrier-in-branch", "a barrier inside the branch that only half of the threads take (CUDA source)",
     run_barrier_in_branch},
};

static const qp_plugin plugin = {
    .abi = QP_PLUGIN_ABI,
    .launch_bytes = sizeof(qp_launch),
    .tensor_bytes = sizeof(qp_ktensor),
    .name = "mutants",
    .version = "1",
    .device = QP_DEVICE_CPU,
    .variants = variants,
    .n_variants = QP_COUNT(variants),
};

__attribute__((visibility("default"))) const qp_plugin *qp_plugin_v1(void) {
    return &plugin;
}
