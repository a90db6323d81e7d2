// SPDX-License-Identifier: Apache-2.0
// The conversions: a strided run against NVIDIA's host functions, and a second, dumber answer found by
// searching all codes for the nearest value in exact arithmetic. All 2^32 inputs: make exhaustive.
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "qp/ref.h"
#if QP_HAVE_WITNESS
#include "tests/codecs.h"
#endif

static double value_of(uint32_t f32) {
    float f;
    memcpy(&f, &f32, sizeof f);
    return f;
}

static bool is_nan(uint32_t f32) {
    return (f32 & 0x7fffffff) > 0x7f800000;
}

// ck_assert writes a mark at every call; the inner loops here run millions of times.
static void must(bool good, const char *what, uint32_t input) {
    if (!good) ck_abort_msg("%s: input %08x", what, input);
}

#if QP_HAVE_WITNESS
enum { STRIDE = 199 };

START_TEST(a_stride_through_all_floats_equals_the_witness) {
    codec_result r = {0};
    codec_compare(&codecs[_i], 0, STRIDE, (UINT64_C(1) << 32) / STRIDE, NULL, &r);
    ck_assert_msg(r.wrong == 0, "%s: input %08x want %x got %x", codecs[_i].name, r.input, r.want, r.got);
    printf("%s: %llu of 2^32 floats equal\n", codecs[_i].name, (unsigned long long)r.compared);
}
END_TEST

START_TEST(one_wrong_code_is_reported_with_its_input) {
    const uint32_t planted = 1000 * STRIDE;
    codec_result r = {0};
    codec_compare(&codecs[_i], 0, STRIDE, 100000, &planted, &r);
    ck_assert_uint_eq(r.wrong, 1);
    ck_assert_uint_eq(r.input, planted);
}
END_TEST

START_TEST(every_code_decodes_as_the_witness_does) {
    for (int c = 0; c < 256; c++) {
        const uint32_t want = witness_e4m3_decode((uint8_t)c), got = ref_e4m3_decode((uint8_t)c);
        ck_assert(got == want || (is_nan(got) && is_nan(want)));
    }
    for (int c = 0; c < 16; c++)
        ck_assert_uint_eq(ref_e2m1_decode((uint8_t)c), witness_e2m1_decode((uint8_t)c));
    for (uint32_t h = 0; h < 65536; h++) {
        const uint32_t bf = ref_to_f32(QP_BF16, h), fp = ref_to_f32(QP_FP16, h);
        const uint32_t want_bf = witness_bf16_decode((uint16_t)h), want_fp = witness_fp16_decode((uint16_t)h);
        must(bf == want_bf || (bf == 0x7fc00000 && is_nan(want_bf)), "bf16 decodes otherwise", h);
        must(fp == want_fp || (fp == 0x7fc00000 && is_nan(want_fp)), "fp16 decodes otherwise", h);
    }
}
END_TEST
#else
START_TEST(a_stride_through_all_floats_equals_the_witness) {
    printf("SKIP a_stride_through_all_floats_equals_the_witness: no CUDA toolkit headers\n");
}
END_TEST
#endif

// Values of a small float by its definition, not by its bits in fp32. n codes from zero up; the last may
// stand for "beyond".
typedef struct table {
    int n;
    double value[128];
} table;

static table small_float(int mant_bits, int bias, int n) {
    table t = {.n = n};
    for (int c = 0; c < n; c++) {
        const int e = c >> mant_bits, m = c & ((1 << mant_bits) - 1), one = 1 << mant_bits;
        t.value[c] = e == 0 ? ldexp(m, 1 - bias - mant_bits) : ldexp(one + m, e - bias - mant_bits);
    }
    return t;
}

// For a < b: v is nearer to b where 2v > a + b, and both sides of that comparison are exact.
static int nearest(const table *t, double v) {
    int best = 0;
    for (int c = 1; c < t->n; c++) {
        const double twice = 2 * v, sum = t->value[best] + t->value[c];
        if (twice > sum || (twice == sum && c % 2 == 0)) best = c;
    }
    return best;
}

static void search_one(uint32_t f32) {
    static table e4m3, e4m3_beyond, e2m1;
    if (e4m3.n == 0) {
        e4m3 = small_float(3, 7, 127);
        e4m3_beyond = small_float(3, 7, 128); // 480, the value 7f would have
        e2m1 = small_float(1, 1, 8);
    }
    const uint8_t sign = (uint8_t)(f32 >> 31);
    const double v = fabs(value_of(f32));
    const int sat = nearest(&e4m3, v), nosat = isinf(v) ? 127 : nearest(&e4m3_beyond, v),
              fp4 = nearest(&e2m1, v);
    const bool nan = is_nan(f32);
    must(ref_e4m3_encode(f32, true) == (sign << 7 | (nan ? 0x7f : sat)),
         "e4m3 saturating is not the nearest code", f32);
    must(ref_e4m3_encode(f32, false) == (sign << 7 | (nan ? 0x7f : nosat)), "e4m3 is not the nearest code",
         f32);
    must(ref_e2m1_encode(f32) == (sign << 3 | (nan ? 7 : fp4)), "e2m1 is not the nearest code", f32);
}

START_TEST(a_search_over_all_codes_agrees_on_every_16_bit_input) {
    for (uint32_t h = 0; h < 65536; h++) {
        search_one(h << 16);
        search_one(ref_to_f32(QP_FP16, h));
    }
}
END_TEST

START_TEST(a_search_over_all_codes_agrees_on_strided_fp32_and_around_every_bound) {
    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 14983) search_one((uint32_t)u);
    const table t[] = {small_float(3, 7, 127), small_float(1, 1, 8)};
    for (int k = 0; k < 2; k++) {
        for (int c = 0; c + 1 < t[k].n; c++) {
            const float middle = (float)((t[k].value[c] + t[k].value[c + 1]) / 2); // exact in fp32
            uint32_t u;
            memcpy(&u, &middle, sizeof u);
            for (uint32_t d = 0; d < 5; d++) {
                search_one(u + d - 2);
                search_one((u + d - 2) | 0x80000000u);
            }
        }
    }
}
END_TEST

// Nearest among the answer and its two neighbours; decoding is monotone, so nothing further away can be
// nearer.
static void half_is_nearest(qp_dtype t, uint32_t f32, uint32_t inf_code) {
    const uint32_t got = ref_from_f32(t, f32), code = got & 0x7fff;
    must(got >> 15 == f32 >> 31, "sign", f32);
    if ((f32 & 0x7fffffff) == 0x7f800000) {
        must(code == inf_code, "infinity", f32);
        return;
    }
    const double v = fabs(value_of(f32)), beyond = t == QP_BF16 ? ldexp(1, 128) : 65536.0;
    const double mine = code == inf_code ? beyond : value_of(ref_to_f32(t, code));
    if (code > 0) {
        const double below = value_of(ref_to_f32(t, code - 1));
        must(2 * v > below + mine || (2 * v == below + mine && code % 2 == 0), "the code below is nearer",
             f32);
    }
    if (code < inf_code) {
        const double above = code + 1 == inf_code ? beyond : value_of(ref_to_f32(t, code + 1));
        must(2 * v < mine + above || (2 * v == mine + above && code % 2 == 0), "the code above is nearer",
             f32);
    }
}

START_TEST(bf16_and_fp16_round_to_the_nearest_and_ties_to_even) {
    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 3989) {
        const uint32_t f32 = (uint32_t)u;
        if (is_nan(f32)) {
            must(ref_from_f32(QP_BF16, f32) == 0x7fc0 && ref_from_f32(QP_FP16, f32) == 0x7e00,
                 "NaN is not canonical", f32);
            continue;
        }
        half_is_nearest(QP_BF16, f32, 0x7f80);
        half_is_nearest(QP_FP16, f32, 0x7c00);
    }
    for (uint32_t h = 0; h < 0x7f80; h++) // exact ties of bf16
        half_is_nearest(QP_BF16, h << 16 | 0x8000, 0x7f80);
    for (uint32_t h = 0; h < 0x7c00; h++) { // exact ties of fp16
        const double above = h + 1 == 0x7c00 ? 65536.0 : value_of(ref_to_f32(QP_FP16, h + 1));
        const float middle = (float)((value_of(ref_to_f32(QP_FP16, h)) + above) / 2);
        uint32_t u;
        memcpy(&u, &middle, sizeof u);
        half_is_nearest(QP_FP16, u, 0x7c00);
    }
}
END_TEST

START_TEST(every_value_of_a_small_type_survives_the_way_to_fp32_and_back) {
    for (uint32_t h = 0; h < 65536; h++) {
        const uint32_t bf = ref_to_f32(QP_BF16, h), fp = ref_to_f32(QP_FP16, h);
        must(ref_from_f32(QP_BF16, bf) == (is_nan(bf) ? 0x7fc0 : h), "bf16 does not survive", h);
        must(ref_from_f32(QP_FP16, fp) == (is_nan(fp) ? 0x7e00 : h), "fp16 does not survive", h);
    }
    for (uint32_t c = 0; c < 256; c++) {
        if ((c & 0x7f) == 0x7f) continue;
        ck_assert_uint_eq(ref_e4m3_encode(ref_e4m3_decode((uint8_t)c), false), c);
    }
    for (uint32_t c = 0; c < 16; c++) ck_assert_uint_eq(ref_e2m1_encode(ref_e2m1_decode((uint8_t)c)), c);
}
END_TEST

START_TEST(load_and_store_reach_the_right_element_at_any_alignment) {
    unsigned char bytes[32] = {0};
    for (int shift = 0; shift < 3; shift++) {
        ref_store_f32(QP_FP32, bytes + shift, 2, 0x3f81cccd);
        ck_assert_uint_eq(ref_load_f32(QP_FP32, bytes + shift, 2), 0x3f81cccd);
        ref_store_f32(QP_BF16, bytes + shift, 3, 0xbf808000);
        ck_assert_uint_eq(ref_load_f32(QP_BF16, bytes + shift, 3), 0xbf800000);
        ref_store_f32(QP_FP16, bytes + shift, 1, 0x477ff000);
        ck_assert_uint_eq(ref_load_f32(QP_FP16, bytes + shift, 1), 0x7f800000);
    }
}
END_TEST

START_TEST(multiplication_and_division_keep_subnormals_and_have_one_nan) {
    ck_assert_uint_eq(ref_mul(0x00800000, 0x3f000000), 0x00400000);
    ck_assert_uint_eq(ref_div(0x00800000, 0x40000000), 0x00400000);
    ck_assert_uint_eq(ref_mul(0x7f800000, 0), 0x7fc00000);
    ck_assert_uint_eq(ref_div(0, 0), 0x7fc00000);
    ck_assert_uint_eq(ref_div(0xffc12345, 0x3f800000), 0x7fc00000);
    ck_assert_uint_eq(ref_div(0x3f800000, 0x40c00000), 0x3e2aaaab); // 1/6
    ck_assert_uint_eq(ref_div(0x3f800000, 0x45280000), 0x39c30c31); // 1/2688
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    Suite *s = suite_create("reference codecs");
    TCase *t = tcase_create("codecs");
    tcase_set_timeout(t, 300);
#if QP_HAVE_WITNESS
    tcase_add_loop_test(t, a_stride_through_all_floats_equals_the_witness, 0, QP_COUNT(codecs));
    tcase_add_loop_test(t, one_wrong_code_is_reported_with_its_input, 0, QP_COUNT(codecs));
    tcase_add_test(t, every_code_decodes_as_the_witness_does);
#else
    tcase_add_test(t, a_stride_through_all_floats_equals_the_witness);
#endif
    tcase_add_test(t, a_search_over_all_codes_agrees_on_every_16_bit_input);
    tcase_add_test(t, a_search_over_all_codes_agrees_on_strided_fp32_and_around_every_bound);
    tcase_add_test(t, bf16_and_fp16_round_to_the_nearest_and_ties_to_even);
    tcase_add_test(t, every_value_of_a_small_type_survives_the_way_to_fp32_and_back);
    tcase_add_test(t, load_and_store_reach_the_right_element_at_any_alignment);
    tcase_add_test(t, multiplication_and_division_keep_subnormals_and_have_one_nan);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
