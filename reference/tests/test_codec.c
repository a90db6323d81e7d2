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

typedef uint32_t decode_fn(uint8_t code);

static const struct {
    decode_fn *ours, *witness;
    int n_codes;
} decoders[] = {{ref_e4m3_decode, witness_e4m3_decode, 256}, {ref_e5m2_decode, witness_e5m2_decode, 256},
                {ref_e3m2_decode, witness_e3m2_decode, 64},  {ref_e2m3_decode, witness_e2m3_decode, 64},
                {ref_e2m1_decode, witness_e2m1_decode, 16},  {ref_e8m0_decode, witness_e8m0_decode, 256}};

START_TEST(every_code_decodes_as_the_witness_does) {
    for (int d = 0; d < QP_COUNT(decoders); d++) {
        for (int c = 0; c < decoders[d].n_codes; c++) {
            const uint32_t want = decoders[d].witness((uint8_t)c), got = decoders[d].ours((uint8_t)c);
            ck_assert_msg(got == want || (is_nan(got) && is_nan(want)), "codec %d code %02x", d, c);
        }
    }
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

// Every float codec by its definition: bits of the sign, codes up to the largest finite one and what follows
// it.
typedef struct float_codec {
    const char *name;
    int mant_bits, bias, n;        // n finite magnitudes
    int sign_shift, overflow, nan; // overflow: magnitude code of what lies beyond
    uint8_t (*encode)(uint32_t f32);
} float_codec;

static uint8_t e4m3_sat(uint32_t f32) {
    return ref_e4m3_encode(f32, true);
}

static uint8_t e4m3_nosat(uint32_t f32) {
    return ref_e4m3_encode(f32, false);
}

static uint8_t e5m2_sat(uint32_t f32) {
    return ref_e5m2_encode(f32, true);
}

static uint8_t e5m2_nosat(uint32_t f32) {
    return ref_e5m2_encode(f32, false);
}

static const float_codec float_codecs[] = {
    {"e4m3 saturating", 3, 7, 127, 7, 126, 0x7f, e4m3_sat},
    {"e4m3", 3, 7, 127, 7, 127, 0x7f, e4m3_nosat},
    {"e5m2 saturating", 2, 15, 124, 7, 123, 0x7f, e5m2_sat},
    {"e5m2", 2, 15, 124, 7, 124, 0x7f, e5m2_nosat},
    {"e3m2", 2, 3, 32, 5, 31, 0x1f, ref_e3m2_encode},
    {"e2m3", 3, 1, 32, 5, 31, 0x1f, ref_e2m3_encode},
    {"e2m1", 1, 1, 8, 3, 7, 7, ref_e2m1_encode},
};

static void search_one(uint32_t f32) {
    static table tables[QP_COUNT(float_codecs)];
    const double v = fabs(value_of(f32));
    for (int k = 0; k < QP_COUNT(float_codecs); k++) {
        const float_codec *c = &float_codecs[k];
        // The code after the last finite one stands for the value it would have.
        if (tables[k].n == 0) tables[k] = small_float(c->mant_bits, c->bias, c->n + 1);
        const int code = isinf(v) ? c->n : nearest(&tables[k], v);
        const int want = is_nan(f32) ? c->nan : code == c->n ? c->overflow : code;
        const uint32_t sign = f32 >> 31 << c->sign_shift;
        must(c->encode(f32) == (sign | (uint32_t)want), c->name, f32);
    }
}

START_TEST(a_search_over_all_codes_agrees_on_every_16_bit_input) {
    for (uint32_t h = 0; h < 65536; h++) {
        search_one(h << 16);
        search_one(ref_to_f32(QP_FP16, h));
    }
}
END_TEST

START_TEST(a_search_over_all_codes_agrees_on_strided_fp32_and_around_every_bound) {
    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 54983) search_one((uint32_t)u);
    for (int k = 0; k < QP_COUNT(float_codecs); k++) {
        const table t = small_float(float_codecs[k].mant_bits, float_codecs[k].bias, float_codecs[k].n + 1);
        for (int c = 0; c + 1 < t.n; c++) {
            const float middle = (float)((t.value[c] + t.value[c + 1]) / 2); // exact in fp32
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
        const uint8_t code = (uint8_t)c;
        if (!is_nan(ref_e4m3_decode(code)))
            ck_assert_uint_eq(ref_e4m3_encode(ref_e4m3_decode(code), false), c);
        if (!is_nan(ref_e5m2_decode(code)))
            ck_assert_uint_eq(ref_e5m2_encode(ref_e5m2_decode(code), false), c);
        for (int round = REF_E8M0_DOWN; round <= REF_E8M0_NEAREST; round++)
            ck_assert_uint_eq(ref_e8m0_encode(ref_e8m0_decode(code), (ref_e8m0_round)round, false), c);
    }
    for (uint32_t c = 0; c < 64; c++) {
        ck_assert_uint_eq(ref_e3m2_encode(ref_e3m2_decode((uint8_t)c)), c);
        ck_assert_uint_eq(ref_e2m3_encode(ref_e2m3_decode((uint8_t)c)), c);
    }
    for (uint32_t c = 0; c < 16; c++) ck_assert_uint_eq(ref_e2m1_encode(ref_e2m1_decode((uint8_t)c)), c);
}
END_TEST

// The byte by its definition: a search over the powers of two. Below 2^-126 the cast to nearest rounds up, as
// the recordings of ml_dtypes and torch do (cases/golden/codec.txt: 0041 is 01).
static int power_of_two(double v, ref_e8m0_round round) {
    int up = 0;
    while (up < 255 && ldexp(1, up - 127) < v) up++;
    const bool exact = up < 255 && ldexp(1, up - 127) == v;
    const int down = exact || up == 0 ? up : up - 1;
    if (round == REF_E8M0_DOWN) return down;
    if (round == REF_E8M0_UP || exact || v < ldexp(1, -126)) return up;
    return v - ldexp(1, down - 127) >= ldexp(1, up - 127) - v ? up : down; // a tie goes up
}

static void power_one(uint32_t f32) {
    const double v = fabs(value_of(f32));
    for (int k = REF_E8M0_DOWN; k <= REF_E8M0_NEAREST; k++) {
        const ref_e8m0_round round = (ref_e8m0_round)k;
        const int want = is_nan(f32) || isinf(v) ? 255 : power_of_two(v, round);
        const int saturated = is_nan(f32) ? 255 : want == 255 ? 254 : want;
        must(ref_e8m0_encode(f32, round, false) == want, "e8m0 is another power of two", f32);
        must(ref_e8m0_encode(f32, round, true) == saturated, "e8m0 saturates otherwise", f32);
    }
}

START_TEST(e8m0_is_the_power_of_two_below_above_or_nearest) {
    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 149983) power_one((uint32_t)u);
    for (uint32_t e = 0; e < 256; e++) {
        static const uint32_t fractions[] = {0, 1, 0x3fffff, 0x400000, 0x400001, 0x7fffff};
        for (int i = 0; i < QP_COUNT(fractions); i++) {
            power_one(e << 23 | fractions[i]);
            power_one(0x80000000u | e << 23 | fractions[i]);
        }
    }
}
END_TEST

// Numerics 5.0: the ceiling of a log2 that was rounded to fp32 first, computed here by rounding a double.
START_TEST(the_ceiling_of_a_rounded_log2_equals_its_table) {
    for (uint32_t e = 0; e < 255; e++) {
        for (uint32_t n = 0; n < 400; n++) {
            const uint32_t u = e << 23 | (n < 200 ? n : 0x800000 + 199 - n);
            if (u == 0) continue;
            const float rounded = (float)log2(value_of(u));
            must(ref_ceil_log2f(u) == (int)ceil(rounded), "ceil(log2f) differs", u);
        }
    }
    for (uint32_t u = 1; u < 0x7f800000; u += 9973)
        must(ref_ceil_log2f(u) == (int)ceil((float)log2(value_of(u))), "ceil(log2f) differs", u);
    ck_assert_int_lt(ref_ceil_log2f(0), -149);
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
    tcase_add_test(t, e8m0_is_the_power_of_two_below_above_or_nearest);
    tcase_add_test(t, the_ceiling_of_a_rounded_log2_equals_its_table);
    tcase_add_test(t, load_and_store_reach_the_right_element_at_any_alignment);
    tcase_add_test(t, multiplication_and_division_keep_subnormals_and_have_one_nan);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
