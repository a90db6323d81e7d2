// SPDX-License-Identifier: Apache-2.0
// The two sets of number code, that of cpu/ (rounds on the value) and that of cuda/ (makes codes), against
// each other over all 16-bit images and a stride of the 32-bit ones, and against definitions written out
// here.
#include "simt/shim.h"

#include "cpu/num.h"
#include "cuda/num.h"
#include "tests/kit.h"

enum { STRIDE = 977 }; // odd: all low bit patterns come up

// Check's own assertion costs a system call: the long loops count and remember instead.
typedef struct tally {
    int64_t n_wrong;
    uint32_t first;
} tally;

static void expect(tally *t, bool good, uint32_t input) {
    if (good) return;
    if (t->n_wrong++ == 0) t->first = input;
}

static void none_wrong(const tally *t) {
    ck_assert_msg(t->n_wrong == 0, "%lld images differ, first %08x", (long long)t->n_wrong,
                  (unsigned)t->first);
}

START_TEST(all_16_bit_images_widen_alike_and_return) {
    tally t = {0, 0};
    for (uint32_t h = 0; h < 65536; h++) {
        uint32_t fp = bits(fp16_to_f32((uint16_t)h)), bf = bits(bf16_to_f32((uint16_t)h));
        bool fp_nan = (h & 0x7fff) > 0x7c00, bf_nan = (h & 0x7fff) > 0x7f80;
        expect(&t, fp == k_bits(k_widen(QP_FP16, h)) && bf == k_bits(k_widen(QP_BF16, h)), h);
        expect(&t, fp16_from_f32(f32(fp)) == (fp_nan ? 0x7e00 : h), h);
        expect(&t, bf16_from_f32(f32(bf)) == (bf_nan ? 0x7fc0 : h), h);
    }
    none_wrong(&t);
}
END_TEST

START_TEST(fp32_narrows_alike_by_both) {
    tally t = {0, 0};
    for (uint64_t i = 0; i < 0x100000000u; i += STRIDE) {
        float f = f32((uint32_t)i);
        expect(&t, fp16_from_f32(f) == k_narrow(QP_FP16, f), (uint32_t)i);
        expect(&t, bf16_from_f32(f) == k_narrow(QP_BF16, f), (uint32_t)i);
        expect(&t, f32_canonical(f) == k_narrow(QP_FP32, f), (uint32_t)i);
        expect(&t, bits(bf16_value(f)) == bits(bf16_to_f32(bf16_from_f32(f))), (uint32_t)i);
        uint32_t fp = bits(fp16_value(f)) & (f == f ? 0xffffffffu : 0x7fffffffu); // the sign of a NaN is lost
        expect(&t, fp == bits(fp16_to_f32(fp16_from_f32(f))), (uint32_t)i);
    }
    none_wrong(&t);
}
END_TEST

START_TEST(e4m3_rounds_on_the_value_as_by_code) {
    tally t = {0, 0};
    for (uint64_t i = 0; i < 0x100000000u; i += STRIDE) {
        float f = f32((uint32_t)i);
        uint32_t code = k_e4m3_encode(f);
        float by_code = k_e4m3_decode(code), by_value = e4m3_round(f);
        bool same = bits(by_value) == (bits(by_code) & 0x7fffffffu);
        if (by_code != by_code) same = by_value != by_value;
        expect(&t, same && e4m3_code(by_value) == (code & 0x7fu), (uint32_t)i);
    }
    for (uint32_t c = 0; c < 256; c++) {
        float a = e4m3_value((uint8_t)c), b = k_e4m3_decode(c);
        expect(&t, (a != a && b != b) || (bits(a) == bits(b) && k_e4m3_encode(a) == c), c);
    }
    none_wrong(&t);
}
END_TEST

START_TEST(e2m1_rounds_on_the_value_as_by_code) {
    tally t = {0, 0};
    for (uint64_t i = 0; i < 0x100000000u; i += STRIDE) {
        float f = f32((uint32_t)i);
        uint32_t code = k_e2m1_code(f);
        float r = e2m1_round(f);
        expect(&t, bits(r) == bits(k_e2m1_value(code)) && e2m1_code(r) == code, (uint32_t)i);
    }
    none_wrong(&t);
}
END_TEST

// By definition: the value of every code in exact arithmetic, and the nearest of them with ties to the even
// code, found by looking at all.
static double value_of(uint32_t code, mini f) {
    uint32_t e = code >> f.mantissa, m = code & ((1u << f.mantissa) - 1);
    double unit = 1.0; // of the last place
    for (int i = f.least - f.mantissa + (e > 1 ? (int)e - 1 : 0); i != 0; i += i < 0 ? 1 : -1)
        unit *= i < 0 ? 0.5 : 2.0;
    return ((e > 0 ? (double)(1u << f.mantissa) : 0.0) + m) * unit;
}

static uint32_t nearest(double a, mini f, uint32_t largest) {
    uint32_t best = 0;
    if (a >= value_of(largest, f)) return largest;
    for (uint32_t c = 1; c <= largest; c++) {
        double d = a - value_of(c, f), b = a - value_of(best, f);
        d = d < 0 ? -d : d;
        b = b < 0 ? -b : b;
        if (d < b || (d == b && c % 2 == 0)) best = c;
    }
    return best;
}

START_TEST(every_small_float_rounds_to_the_nearest_code_with_ties_to_even) {
    const struct {
        mini f;
        uint32_t largest;
    } rows[] = {{MINI_E2M1, 7}, {MINI_E3M2, 31}, {MINI_E2M3, 31}, {MINI_E4M3, 0x7e}, {MINI_E5M2, 0x7b}};
    for (int r = 0; r < QP_COUNT(rows); r++) {
        mini f = rows[r].f;
        tally t = {0, 0};
        ck_assert((double)f.largest == value_of(rows[r].largest, f));
        // All codes, the middles between them, a step beside those, and a stride over all floats.
        for (uint32_t c = 0; c <= rows[r].largest; c++) {
            double v = value_of(c, f), next = c < rows[r].largest ? value_of(c + 1, f) : 2 * v;
            expect(&t, (double)mini_value(c, f) == v && mini_code((float)v, f) == c, c);
            uint32_t middle = bits((float)((v + next) / 2));
            for (uint32_t u = middle - 1; u != middle + 2; u++) {
                double a = (double)f32(u);
                uint32_t want = nearest(a, f, rows[r].largest);
                expect(&t, mini_code(mini_round(f32(u | 0x80000000u), f), f) == want, u);
            }
        }
        for (uint64_t u = 0; u < 0x7f800000u; u += STRIDE * 331u) {
            uint32_t want = nearest((double)f32((uint32_t)u), f, rows[r].largest);
            expect(&t, mini_code(mini_round(f32((uint32_t)u), f), f) == want, (uint32_t)u);
        }
        expect(&t, mini_round(f32(0xff800000u), f) == f.largest, 0xff800000u);
        expect(&t, bits(mini_round(f32(0xffc00000u), f)) == 0x7fc00000u, 0xffc00000u);
        none_wrong(&t);
    }
}
END_TEST

START_TEST(small_integers_round_to_even_and_keep_their_sign) {
    static const float pairs[][2] = {{0.5f, 0},     {1.5f, 2},   {2.5f, 2},      {-0.5f, -0.0f},  {-1.5f, -2},
                                     {126.5f, 126}, {1e9f, 200}, {-1e30f, -200}, {0.49999997f, 0}};
    for (int i = 0; i < QP_COUNT(pairs); i++)
        ck_assert_uint_eq(bits(small_rint(pairs[i][0])), bits(pairs[i][1]));
    ck_assert(small_rint(f32(0x7fc00000)) != small_rint(f32(0x7fc00000)));
    ck_assert(f32_through(QP_BF16, f32(0x3f818000)) == f32(0x3f820000));
    ck_assert(f32_through(QP_FP16, 65520.0f) == f32(0x7f800000));
    ck_assert_uint_eq(bits(f32_through(QP_FP32, f32(0x3f818001))), 0x3f818001);
}
END_TEST

START_TEST(codes_round_at_the_boundaries_of_the_formats) {
    static const struct {
        uint32_t f, code;
    } e4m3[] = {{0x43e80000, 0x7e}, {0x43e80001, 0x7e}, {0x7f800000, 0x7e}, {0xff800000, 0xfe},
                {0x3a800000, 0x00}, {0x3a800001, 0x01}, {0x3f880000, 0x38}, {0x3f980000, 0x3a},
                {0x3c6fffff, 0x07}, {0x3c700000, 0x08}, {0x80000000, 0x80}, {0x41880000, 0x58},
                {0x41980000, 0x5a}, {0x7fc00000, 0x7f}, {0xffc00000, 0x7f}};
    for (int i = 0; i < QP_COUNT(e4m3); i++) ck_assert_uint_eq(k_e4m3_encode(f32(e4m3[i].f)), e4m3[i].code);
    static const struct {
        float a;
        uint32_t code;
    } e2m1[] = {{.25f, 0}, {.75f, 2}, {1.25f, 2}, {1.75f, 4}, {2.5f, 4},
                {3.5f, 6}, {5.0f, 6}, {1e30f, 7}, {0.0f, 0}};
    for (int i = 0; i < QP_COUNT(e2m1); i++) ck_assert_uint_eq(k_e2m1_code(e2m1[i].a), e2m1[i].code);
    ck_assert_uint_eq(k_e2m1_code(f32(0x40a00001)), 7);
    ck_assert_uint_eq(k_e2m1_code(f32(0x7fc00000)), 7);
    ck_assert_uint_eq(bf16_from_f32(f32(0x3f808000)), 0x3f80);
    ck_assert_uint_eq(bf16_from_f32(f32(0x3f818000)), 0x3f82);
    ck_assert_uint_eq(fp16_from_f32(f32(0x477ff000)), 0x7c00);
    ck_assert_uint_eq(fp16_from_f32(f32(0x33000001)), 0x0001);
    ck_assert_uint_eq(fp16_from_f32(f32(0x33000000)), 0x0000);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel numbers");
    TCase *c = tcase_create("numbers");
    tcase_set_timeout(c, 600);
    tcase_add_test(c, all_16_bit_images_widen_alike_and_return);
    tcase_add_test(c, fp32_narrows_alike_by_both);
    tcase_add_test(c, e4m3_rounds_on_the_value_as_by_code);
    tcase_add_test(c, e2m1_rounds_on_the_value_as_by_code);
    tcase_add_test(c, every_small_float_rounds_to_the_nearest_code_with_ties_to_even);
    tcase_add_test(c, small_integers_round_to_even_and_keep_their_sign);
    tcase_add_test(c, codes_round_at_the_boundaries_of_the_formats);
    suite_add_tcase(s, c);
    return kit_main(s);
}
