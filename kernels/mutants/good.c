// SPDX-License-Identifier: Apache-2.0
// The good steps: each the rule of the numerics spec it names.
#include <math.h>
#include <string.h>

#include "steps.h"

static int64_t x_index(const qp_ktensor *t, int64_t row, int64_t col) {
    return row * t->ld + col;
}

static float magnitude(float x) {
    return fabsf(x);
}

static float int8(float x, float amax, bool narrow_range) {
    if (amax < 0x1p-24f) return 0.0f;
    float s = 127.0f / amax, lo = narrow_range ? -127.0f : -128.0f;
    float r = rintf(x * s);
    r = r > 127.0f ? 127.0f : r;
    r = r < lo ? lo : r;
    return r / s;
}

static float fp8(float x, float amax) {
    float a = amax <= 0x1p-24f ? 1.0f : amax;
    float s = 448.0f / a, t = x * s;
    t = t > 448.0f ? 448.0f : t < -448.0f ? -448.0f : t;
    return e4m3_nearest(t) * (1.0f / s);
}

static float global(float global_amax) {
    return global_amax;
}

static float quotient(float x, float scale) {
    return x / scale;
}

static float e2m1(float a) {
    static const float value[] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f};
    static const float bound[] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    for (int i = 0; i < QP_COUNT(bound); i++)
        if (i % 2 == 0 ? a <= bound[i] : a < bound[i]) return value[i]; // a tie goes to the even code
    return 6.0f;
}

static uint8_t scale_byte(float p) {
    p = p < 0x1p-9f ? 0x1p-9f : p;
    p = p > 448.0f ? 448.0f : p;
    return e4m3_byte(e4m3_nearest(p));
}

static float second_level(float weight_scale_2) {
    return weight_scale_2;
}

static bool keeps(qp_dtype t, float x, float amax) {
    (void)t;
    return fabsf(x) <= amax;
}

static int64_t all_of(int64_t n) {
    return n;
}

static bool never(const float *x, int n) {
    (void)x;
    (void)n;
    return false;
}

static void nothing(const qp_launch *l, const qp_ktensor *t, int64_t row, int64_t col, int n,
                    const float *y) {
    (void)l;
    (void)t;
    (void)row;
    (void)col;
    (void)n;
    (void)y;
}

static float element_scale(uint8_t byte, float p) {
    (void)p;
    return e4m3_value(byte);
}

static float from_zero(float in_output) {
    (void)in_output;
    return 0.0f;
}

static int64_t row_end(const qp_ktensor *t, int64_t row) {
    (void)row;
    return t->cols;
}

const steps good_steps = {
    .x_index = x_index,
    .magnitude = magnitude,
    .int8 = int8,
    .fp8 = fp8,
    .quotient = quotient,
    .global = global,
    .e2m1 = e2m1,
    .scale_byte = scale_byte,
    .second_level = second_level,
    .keeps = keeps,
    .cols_written = all_of,
    .scale_rows = all_of,
    .skips = never,
    .after_block = nothing,
    .element_scale = element_scale,
    .amax_begin = from_zero,
    .scale_width = BLOCK,
    .lanes_seen = BLOCK,
    .row_end = row_end,
};
