// SPDX-License-Identifier: Apache-2.0
// MX fake-quant against a second, dumber computation: the smallest power of two that holds the block, then a
// search over all codes, in exact arithmetic. Traps 14 and 15, specials, block lengths, padding, coverage.
#include <float.h>

#include "tests/mx_kit.h"

// The one amax of each format whose quotient rounds to 2^-127 from above: max * 2^-127 and one step. It takes
// the smaller exponent; everywhere else the bit rule is the smallest k with amax <= max * 2^k (numerics 5.0).
static const uint32_t rounds_down[] = {0x01400001, 0x02600001, 0x01700001,
                                       0x04600001, 0x07e00001, 0x037e0001};

static int smallest_k(const mx_kit *k, double amax) {
    int e = -127;
    while (ldexp(k->max, e) < amax) e++;
    return mx_image((float)amax) == rounds_down[k - mx_kits] ? e - 1 : e;
}

static double flushed(double v, bool flush) {
    return flush && fabs(v) < FLT_MIN ? 0 : v;
}

// One block; the answers as fp32 images, NaN canonical.
static void second(const mx_kit *k, bool flush, const uint32_t *x, int n, uint32_t *y) {
    double amax = 0;
    for (int i = 0; i < n; i++) {
        const double a = flushed(fabs(mx_double(x[i])), flush);
        if (a > amax) amax = a; // NaN is not
    }
    amax = amax > FLT_MAX ? FLT_MAX : amax;
    const int e = amax == 0 ? 0 : smallest_k(k, amax);
    const bool gone = flush && amax != 0 && (float)(amax / k->max) < FLT_MIN; // 2^k became 0
    for (int i = 0; i < n; i++) {
        const double v = flushed(mx_double(x[i]), flush), t = flushed(ldexp(fabs(v), -e), flush);
        double q = isinf(v) ? k->max : k->value[mx_nearest(k, t, 0)];
        if (isnan(v)) q = k->has_nan ? NAN : k->format == QP_MXINT8 ? 0 : k->max;
        const double back = gone ? q * 0 : flushed(ldexp(q, e), flush);
        y[i] = mx_image((float)(v > 0 ? back : -back));
        if (isnan(back)) y[i] = 0x7fc00000;
    }
}

enum { ROWS = 60, COLS = 77 };

static void one_tensor(const mx_kit *k, qp_engine engine, qp_dtype t, int width, uint64_t seed) {
    static uint32_t x[ROWS * COLS], y[ROWS * COLS], want[ROWS * COLS];
    const int nb = (COLS + width - 1) / width;
    for (int i = 0; i < ROWS * COLS; i++) {
        const int block = i / COLS * nb + i % COLS / width;
        ref_store_f32(t, x, i, mx_sample(k, seed * 10000 + (uint64_t)block, (uint64_t)(i % COLS % width)));
    }
    const ref_spec s = {
        .format = k->format, .engine = engine, .dtype = t, .rows = ROWS, .cols = COLS, .block_cols = width};
    ref_fakequant(&s, 0, ROWS, x, y, NULL, NULL);
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLS; c += width) {
            uint32_t in[32], out[32];
            const int n = c + width < COLS ? width : COLS - c;
            for (int i = 0; i < n; i++) in[i] = ref_load_f32(t, x, r * COLS + c + i);
            second(k, engine == QP_ENGINE_MX_EXT, in, n, out);
            for (int i = 0; i < n; i++) ref_store_f32(t, want, r * COLS + c + i, out[i]);
            for (int i = 0; i < n; i++)
                must(ref_load_f32(t, y, r * COLS + c + i) == ref_load_f32(t, want, r * COLS + c + i),
                     "not the answer of the search", qp_format_get(k->format)->name, in[i]);
        }
    }
}

START_TEST(a_search_over_all_codes_gives_the_same_bits) {
    static const qp_engine engines[] = {QP_ENGINE_IEEE, QP_ENGINE_MX_EXT};
    int64_t n = 0;
    for (int e = 0; e < QP_COUNT(engines); e++)
        for (qp_dtype t = QP_BF16; t <= QP_FP32; t++)
            for (int width = 8; width <= 32; width *= 2) {
                one_tensor(&mx_kits[_i], engines[e], t, width, (uint64_t)t * 40 + (uint64_t)width);
                n += ROWS * COLS;
            }
    printf("%s: %lld elements\n", qp_format_get(mx_kits[_i].format)->name, (long long)n);
}
END_TEST

// ---- the scale
// --------------------------------------------------------------------------------------------------------------

// 2^k of a block with that one element, 0 where it was flushed.
static double unscale_of(qp_format f, qp_engine engine, uint32_t amax) {
    uint32_t x[1] = {amax}, y[1], scale;
    const ref_spec s = {.format = f, .engine = engine, .dtype = QP_FP32, .rows = 1, .cols = 1};
    ref_fakequant(&s, 0, 1, x, y, &scale, NULL);
    return mx_double(scale);
}

START_TEST(the_scale_is_the_smallest_power_that_holds_the_block) {
    const mx_kit *k = &mx_kits[_i];
    for (int e = -127; ldexp(k->max, e) <= FLT_MAX; e++)
        for (uint32_t d = 0; d < 80; d++) {
            const uint32_t amax = mx_image((float)ldexp(k->max, e)) + d - 16;
            if (amax > 0x7f7fffff) continue;
            must(unscale_of(k->format, QP_ENGINE_IEEE, amax) == ldexp(1, smallest_k(k, mx_double(amax))),
                 "another power of two", qp_format_get(k->format)->name, amax);
        }
    for (uint32_t amax = 1; amax <= 0x7f7fffff; amax += 99991)
        must(unscale_of(k->format, QP_ENGINE_IEEE, amax) == ldexp(1, smallest_k(k, mx_double(amax))),
             "another power of two", qp_format_get(k->format)->name, amax);
    ck_assert(unscale_of(k->format, QP_ENGINE_IEEE, rounds_down[_i]) == ldexp(1, -127));
    ck_assert(unscale_of(k->format, QP_ENGINE_IEEE, rounds_down[_i] + 1) == ldexp(1, -126));
}
END_TEST

START_TEST(trap_14_the_scale_is_a_ceiling_from_the_bits) {
    ck_assert(unscale_of(QP_MXFP4, QP_ENGINE_IEEE, 0x3bc00001) == ldexp(1, -9));
    ck_assert(unscale_of(QP_MXFP4, QP_ENGINE_MX_EXT, 0x3bc00001) == ldexp(1, -9));
    ck_assert(unscale_of(QP_MXFP4, QP_ENGINE_MX_EXT, 0x007fffff) == 1); // flushed: a block of zeros
    ck_assert(unscale_of(QP_MXFP4, QP_ENGINE_MX_EXT, 0x00800000) == 0); // its 2^-127 is flushed
    ck_assert(unscale_of(QP_MXFP4, QP_ENGINE_IEEE, 0x40d00000) == 2);   // 6.5: OCP's floor would give 1
    ck_assert(unscale_of(QP_MXFP4, QP_ENGINE_IEEE, 0x40c00000) == 1);   // 6 itself fits
}
END_TEST

START_TEST(for_every_16_bit_amax_the_bit_rule_is_the_ceiling_of_log2) {
    static const qp_format formats[] = {QP_MXFP4, QP_MXFP8_E4M3};
    static const qp_engine engines[] = {QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA};
    for (int f = 0; f < 2; f++)
        for (int e = 0; e < 2; e++)
            for (qp_dtype t = QP_BF16; t <= QP_FP16; t++)
                for (uint32_t h = 1; h < (t == QP_BF16 ? 0x7f80 : 0x7c00); h++) {
                    const uint16_t x = (uint16_t)h;
                    uint8_t codes[1], ieee, torch;
                    ref_spec s = {.format = formats[f], .dtype = t, .rows = 1, .cols = 1};
                    ref_quant(&s, 0, 1, &x, codes, &ieee, NULL, NULL);
                    s.engine = engines[e];
                    ref_quant(&s, 0, 1, &x, codes, &torch, NULL, NULL);
                    must(ieee == torch, "the two rules differ", qp_format_get(formats[f])->name, h);
                }
}
END_TEST

// ---- specials
// ---------------------------------------------------------------------------------------------------------------

typedef struct special {
    const char *what;
    qp_format format;
    qp_engine engine;
    uint32_t x[8], y[8];
} special;

#define IEEE QP_ENGINE_IEEE
#define EXT QP_ENGINE_MX_EXT
#define NEG_ZEROS                                                                                            \
    { 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000 }

static const special specials[] = {
    {"trap 15: a zero block has scale 1 and comes out as -0", QP_MXFP4, IEEE, {0, 0x80000000}, NEG_ZEROS},
    {"trap 15, mx-ext", QP_MXFP4, EXT, {0, 0x80000000}, NEG_ZEROS},
    {"a block of NaN acts as one of zeros, and NaN is -6 times 1",
     QP_MXFP4,
     IEEE,
     {0x7fc00000, 0xffc00000},
     {0xc0c00000, 0xc0c00000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    // amax 12: k = 1. The ties .5, 1.5, 2.5, 3.5, 5, 7, 10 of that scale go to the even code
    {"ties to even, NaN is the largest code, negative",
     QP_MXFP4,
     IEEE,
     {0x41400000, 0x3f000000, 0x3fc00000, 0xc0200000, 0x40600000, 0x40a00000, 0xc0e00000, 0x7fc00000},
     {0x41400000, 0x00000000, 0x40000000, 0xc0000000, 0x40800000, 0x40800000, 0xc1000000, 0xc1400000}},
    {"NaN stays NaN in E4M3",
     QP_MXFP8_E4M3,
     IEEE,
     {0x3f800000, 0x7fc00000},
     {0x3f800000, 0x7fc00000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"NaN stays NaN in E5M2",
     QP_MXFP8_E5M2,
     EXT,
     {0x3f800000, 0x7fc00000},
     {0x3f800000, 0x7fc00000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"NaN is 0 in INT8",
     QP_MXINT8,
     EXT,
     {0x42fe0000, 0x7fc00000, 0xc2fe0000, 0x3f000000, 0x3fc00000},
     {0x42fe0000, 0x80000000, 0xc2fe0000, 0x00000000, 0x40000000, 0x80000000, 0x80000000, 0x80000000}},
    {"NaN is -28 times the scale in E3M2",
     QP_MXFP6_E3M2,
     EXT,
     {0x41e00000, 0xffc00000},
     {0x41e00000, 0xc1e00000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"NaN is -7.5 times the scale in E2M3",
     QP_MXFP6_E2M3,
     IEEE,
     {0x40f00000, 0xffc00000},
     {0x40f00000, 0xc0f00000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    // Inf counts as FLT_MAX: k = 120 of E4M3, 448 * 2^120 is the largest fp32 that is one
    {"Inf saturates at the scale of FLT_MAX",
     QP_MXFP8_E4M3,
     IEEE,
     {0xff800000, 0x7f7fffff, 0x7b800000},
     {0xff800000, 0x7f800000, 0x7b800000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"Inf of INT8: 127 * 2^122 is too large for fp32",
     QP_MXINT8,
     IEEE,
     {0xff800000, 0x7c800000},
     {0xff800000, 0x7c800000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    // 3 * 2^-149 over 6 * 2^-127 is below the first tie, with either sign kept
    {"a subnormal block has the smallest scale",
     QP_MXFP4,
     IEEE,
     {0x00600000, 0x80200000, 0x00000003, 0x80000003},
     {0x00600000, 0x80200000, 0x00000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"mx-ext sees a subnormal block as zeros",
     QP_MXFP4,
     EXT,
     {0x00600000, 0x80200000, 0x00000003, 0x80000003},
     NEG_ZEROS},
    // 3 * 2^-126: the quotient .5 * 2^-126 is subnormal, 2^-127 is flushed; a positive x gives +0
    {"ieee keeps the block whose scale is 2^-127",
     QP_MXFP4,
     IEEE,
     {0x01400000, 0x81000000},
     {0x01400000, 0x81000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"mx-ext loses the block whose scale is 2^-127",
     QP_MXFP4,
     EXT,
     {0x01400000, 0x81000000},
     {0x00000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    // 9 * 2^-127: the quotient lies between 2^-127 and 2^-126, so ieee takes k = -126
    {"ieee rounds a subnormal quotient up",
     QP_MXFP4,
     IEEE,
     {0x01900000, 0x80800000},
     {0x01800000, 0x80800000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"mx-ext takes a subnormal quotient for 0",
     QP_MXFP4,
     EXT,
     {0x01900000, 0x80800000},
     {0x00000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    // amax 6 * 2^-126: k = -126; 2^-126 is kept, 2^-127 is a zero before it is looked at
    {"ieee keeps a subnormal element",
     QP_MXFP4,
     IEEE,
     {0x01c00000, 0x80800000, 0x00400000},
     {0x01c00000, 0x80800000, 0x00400000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
    {"mx-ext flushes a subnormal element",
     QP_MXFP4,
     EXT,
     {0x01c00000, 0x80800000, 0x00400000},
     {0x01c00000, 0x80800000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000, 0x80000000}},
};

START_TEST(specials_have_the_bits_of_their_rule) {
    const special *p = &specials[_i];
    uint32_t y[8];
    const ref_spec s = {.format = p->format, .engine = p->engine, .dtype = QP_FP32, .rows = 1, .cols = 8};
    ref_fakequant(&s, 0, 1, p->x, y, NULL, NULL);
    for (int i = 0; i < 8; i++)
        ck_assert_msg(y[i] == p->y[i], "%s: element %d: want %08x, got %08x", p->what, i, p->y[i], y[i]);
}
END_TEST

// ---- shapes
// -----------------------------------------------------------------------------------------------------------------

START_TEST(a_partial_block_is_padded_with_zeros_and_rows_may_come_alone) {
    const mx_kit *k = &mx_kits[_i];
    for (int width = 8; width <= 32; width *= 2) {
        enum { N = 3, W = 45, FULL = 64 };
        uint16_t x[N * W], y[N * W], padded[N * FULL] = {0}, py[N * FULL], row[W];
        for (int i = 0; i < N * W; i++) {
            ref_store_f32(QP_BF16, x, i, mx_sample(k, 1, (uint64_t)i));
            padded[i / W * FULL + i % W] = x[i];
        }
        ref_spec s = {.format = k->format, .dtype = QP_BF16, .rows = N, .cols = W, .block_cols = width};
        ref_fakequant(&s, 0, N, x, y, NULL, NULL);
        ref_fakequant(&s, 1, 1, x + W, row, NULL, NULL);
        s.cols = FULL;
        ref_fakequant(&s, 0, N, padded, py, NULL, NULL);
        for (int r = 0; r < N; r++) ck_assert_mem_eq(y + r * W, py + r * FULL, sizeof row);
        ck_assert_mem_eq(row, y + W, sizeof row);
    }
}
END_TEST

START_TEST(each_block_length_has_its_own_scales) {
    enum { W = 64 };
    for (int width = 8; width <= 32; width *= 2) {
        uint32_t x[W], y[W], scales[W / 8];
        for (int i = 0; i < W; i++) x[i] = (uint32_t)(119 + i / 8) << 23; // every 8 columns twice as large
        const ref_spec s = {.format = QP_MXFP4, .dtype = QP_FP32, .rows = 1, .cols = W, .block_cols = width};
        ref_fakequant(&s, 0, 1, x, y, scales, NULL);
        for (int b = 0; b < W / width; b++) // 2^e is 4 * 2^(e-2), the e of the block's last 8 columns
            ck_assert_uint_eq(scales[b] >> 23, 119 + (uint32_t)((b + 1) * width / 8 - 1) - 2);
    }
}
END_TEST

START_TEST(the_gradient_always_passes) {
    const uint16_t x[4] = {0x3f80, 0x7f80, 0x7fc0, 0xc2c8}, grad[4] = {0x3f80, 0xbf80, 0x7fc1, 0x8000};
    const uint32_t amax = 0x3c000000;
    uint16_t g[4] = {0};
    const ref_spec s = {.format = mx_kits[_i].format, .dtype = QP_BF16, .rows = 1, .cols = 4, .amax = &amax};
    ref_backward(&s, QP_BWD_CLIP, 0, 1, x, grad, g);
    ck_assert_mem_eq(g, grad, sizeof g);
}
END_TEST

// ---- coverage
// ---------------------------------------------------------------------------------------------------------------

static bool has(const uint64_t set[4], int bit) {
    return set[bit >> 6] >> (bit & 63) & 1;
}

START_TEST(coverage_counts_the_decisions_of_mx) {
    // Blocks of 8. E2M1, amax 6, a scale tie: 5 and -.25 are ties, .5 is subnormal. Inf: above 6 in its
    // scale.
    const uint32_t x[24] = {0x40c00000, 0x40a00000, 0xbe800000, 0x3f000000, 0, 0, 0, 0, // k = 0
                            0x7f800000, 0x7fc00000};
    uint32_t y[24];
    uint8_t codes[12], bytes[3];
    qp_coverage fake = {0}, pack = {0};
    const ref_spec s = {.format = QP_MXFP4, .dtype = QP_FP32, .rows = 1, .cols = 24, .block_cols = 8};
    ref_fakequant(&s, 0, 1, x, y, NULL, &fake);
    ref_quant(&s, 0, 1, x, codes, bytes, NULL, &pack);
    ck_assert_mem_eq(&fake, &pack, sizeof fake);
    ck_assert_uint_eq(fake.n_elems, 24);
    ck_assert_uint_eq(fake.n_code_ties, 2);
    ck_assert_uint_eq(fake.n_scale_ties, 1);
    ck_assert_uint_eq(fake.n_saturated, 1);
    ck_assert_uint_eq(fake.n_subnormal, 1);
    ck_assert_uint_eq(fake.n_zero_blocks, 1);
    ck_assert_uint_eq(fake.n_nan, 1);
    ck_assert_uint_eq(fake.n_inf, 1);
    ck_assert_int_eq(qp_coverage_bits(fake.codes), 5); // 6, 4, -0, .5, -6 of the NaN
    ck_assert(has(fake.codes, 7) && has(fake.codes, 6) && has(fake.codes, 8) && has(fake.codes, 1) &&
              has(fake.codes, 15));
    ck_assert(has(fake.scale_bytes, 127) && has(fake.scale_bytes, 253)); // FLT_MAX / 6 is above 2^125
    ck_assert_int_eq(qp_coverage_bits(fake.scale_bytes), 2);
}
END_TEST

START_TEST(coverage_knows_the_subnormals_and_the_twos_complement_of_each_type) {
    // Scale 1 in each: the largest element first, then the smallest one and its negative, then a tie.
    static const struct {
        uint32_t x[4];
        uint8_t codes[4];
        uint64_t subnormal;
    } rows[] = {{{0x40c00000, 0x3f000000, 0xbf000000, 0x3e800000}, {7, 1, 9, 0}, 2},
                {{0x41e00000, 0x3d800000, 0xbd800000, 0x3d000000}, {0x1f, 1, 0x21, 0}, 2},
                {{0x40f00000, 0x3e000000, 0xbe000000, 0x3d800000}, {0x1f, 1, 0x21, 0}, 2},
                {{0x43e00000, 0x3b000000, 0xbb000000, 0x3a800000}, {0x7e, 1, 0x81, 0}, 2},
                {{0x47600000, 0x37800000, 0xb7800000, 0x37000000}, {0x7b, 1, 0x81, 0}, 2},
                {{0x42fe0000, 0x3f800000, 0xbf800000, 0x3f000000}, {0x7f, 1, 0xff, 0}, 0}};
    uint32_t y[4];
    qp_coverage c = {0};
    const ref_spec s = {.format = mx_kits[_i].format, .dtype = QP_FP32, .rows = 1, .cols = 4};
    ref_fakequant(&s, 0, 1, rows[_i].x, y, NULL, &c);
    ck_assert_int_eq(qp_coverage_bits(c.codes), 4);
    for (int i = 0; i < 4; i++) ck_assert(has(c.codes, rows[_i].codes[i]));
    ck_assert_uint_eq(c.n_subnormal, rows[_i].subnormal);
    ck_assert_uint_eq(c.n_code_ties, 1);
    ck_assert_uint_eq(c.n_scale_ties, 1);
    ck_assert_uint_eq(c.n_saturated, 0);
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    mx_kit_fill();
    const int formats = QP_COUNT(mx_kits);
    Suite *s = suite_create("reference mx");
    TCase *t = tcase_create("mx");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_search_over_all_codes_gives_the_same_bits, 0, formats);
    tcase_add_loop_test(t, the_scale_is_the_smallest_power_that_holds_the_block, 0, formats);
    tcase_add_test(t, trap_14_the_scale_is_a_ceiling_from_the_bits);
    tcase_add_test(t, for_every_16_bit_amax_the_bit_rule_is_the_ceiling_of_log2);
    tcase_add_loop_test(t, specials_have_the_bits_of_their_rule, 0, QP_COUNT(specials));
    tcase_add_loop_test(t, a_partial_block_is_padded_with_zeros_and_rows_may_come_alone, 0, formats);
    tcase_add_test(t, each_block_length_has_its_own_scales);
    tcase_add_loop_test(t, the_gradient_always_passes, 0, formats);
    tcase_add_test(t, coverage_counts_the_decisions_of_mx);
    tcase_add_loop_test(t, coverage_knows_the_subnormals_and_the_twos_complement_of_each_type, 0, formats);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
