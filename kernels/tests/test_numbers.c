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
    tcase_add_test(c, codes_round_at_the_boundaries_of_the_formats);
    suite_add_tcase(s, c);
    return kit_main(s);
}
