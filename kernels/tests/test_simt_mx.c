// SPDX-License-Identifier: Apache-2.0
// The rules of the MX formats that a plausible kernel gets wrong, under simt: traps of the numerics spec by
// number, element codes and exponents against their definitions.
#include "simt/shim.h"

#include "cuda/mx.h"
#include "tests/ask.h"

START_TEST(trap_9_mxfp4_ties_go_to_even_under_ieee_and_down_under_torch) {
    SIMT_OR_RETURN("trap_9_mxfp4_ties_go_to_even_under_ieee_and_down_under_torch");
    static const float x[32] = {6.0f,  0.75f, 1.75f,  3.5f,   0.25f,  1.25f, 2.5f, 5.0f,
                                -0.0f, 0.0f,  -0.75f, -1.75f, -0.25f, -6.0f, 0.0f, 0.3f}; // k = 0
    static const uint8_t even[] = {0x27, 0x64, 0x20, 0x64, 0x88, 0xca, 0xf8, 0x18},
                         down[] = {0x17, 0x53, 0x20, 0x64, 0x88, 0xb9, 0xf8, 0x18};
    question q = {.format = QP_MXFP4, .engine = QP_ENGINE_IEEE, .dtype = QP_FP32, .rows = 1, .cols = 32};
    packed p = quantize(&q, x);
    ck_assert_uint_eq(p.scales[0], 127);
    expect_bytes(p.codes, even, QP_COUNT(even));
    for (int e = QP_ENGINE_TORCH_CPU; e <= QP_ENGINE_TORCH_CUDA; e += 2) {
        q.engine = (qp_engine)e;
        p = quantize(&q, x);
        ck_assert_uint_eq(p.scales[0], 127);
        expect_bytes(p.codes, down, QP_COUNT(down));
    }
}
END_TEST

START_TEST(trap_14_the_e8m0_exponent_comes_from_bits_or_from_a_rounded_log2) {
    SIMT_OR_RETURN("trap_14_the_e8m0_exponent_comes_from_bits_or_from_a_rounded_log2");
    static const uint32_t just_above[] = {0x3bc00001}; // a sixth of it: 3a800001
    question q = {.format = QP_MXFP4, .engine = QP_ENGINE_IEEE, .dtype = QP_FP32, .rows = 1, .cols = 1};
    ck_assert_uint_eq(scale_byte(&q, just_above), 0x76);
    q.engine = QP_ENGINE_TORCH_CPU;
    ck_assert_uint_eq(scale_byte(&q, just_above), 0x75);
    q.engine = QP_ENGINE_TORCH_CUDA;
    ck_assert_uint_eq(scale_byte(&q, just_above), 0x75);
    static const uint32_t spelled_apart[] = {0x22c00011}; // divided by six, and times fl(1/6)
    ck_assert_uint_eq(scale_byte(&q, spelled_apart), 0x44);
    q.engine = QP_ENGINE_TORCH_CPU;
    ck_assert_uint_eq(scale_byte(&q, spelled_apart), 0x43);
    q.engine = QP_ENGINE_IEEE;
    const uint32_t above_six[] = {kit_bits(6.5f)}; // OCP's floor rule has 2^0
    ck_assert_uint_eq(scale_byte(&q, above_six), 0x80);
}
END_TEST

START_TEST(trap_15_mx_fake_quant_of_zeros_is_minus_zero_and_nan_follows_the_type) {
    SIMT_OR_RETURN("trap_15_mx_fake_quant_of_zeros_is_minus_zero_and_nan_follows_the_type");
    static const uint32_t x[] = {0, 0x80000000, 0x7fc00000, 0xffc00000};
    static const struct {
        qp_format format;
        uint32_t nan; // at scale 1
    } rows[] = {{QP_MXFP4, 0xc0c00000},      {QP_MXFP6_E3M2, 0xc1e00000}, {QP_MXFP6_E2M3, 0xc0f00000},
                {QP_MXFP8_E4M3, 0x7fc00000}, {QP_MXFP8_E5M2, 0x7fc00000}, {QP_MXINT8, 0x80000000}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        uint32_t y[4];
        packed none;
        question q = {.format = rows[i].format, .dtype = QP_FP32, .rows = 1, .cols = 4};
        answer(&q, QP_OP_FAKEQUANT, x, y, &none);
        ck_assert_msg(y[0] == 0x80000000u && y[1] == 0x80000000u && y[2] == rows[i].nan &&
                          y[3] == rows[i].nan,
                      "%s: %08x %08x %08x %08x", qp_format_get(rows[i].format)->name, (unsigned)y[0],
                      (unsigned)y[1], (unsigned)y[2], (unsigned)y[3]);
    }
}
END_TEST

START_TEST(mx_codes_have_the_sign_of_fake_quant_and_torch_fp8_that_of_x) {
    SIMT_OR_RETURN("mx_codes_have_the_sign_of_fake_quant_and_torch_fp8_that_of_x");
    static const uint32_t x[] = {0, 0x80000000, 0x7fc00000, 0xffc00000, 0x3f800000, 0xbf800000};
    static const uint8_t fp4[] = {0x88, 0xff, 0xe6}, fp6[] = {0x20, 0x20, 0x3f, 0x3f, 0x1c, 0x3c};
    question q = {.format = QP_MXFP4, .engine = QP_ENGINE_IEEE, .dtype = QP_FP32, .rows = 1, .cols = 6};
    expect_bytes(quantize(&q, x).codes, fp4, QP_COUNT(fp4)); // scale 1/4
    q.format = QP_MXFP6_E3M2;
    expect_bytes(quantize(&q, x).codes, fp6, QP_COUNT(fp6)); // scale 1/16
    static const uint32_t zeros[] = {0, 0x80000000};
    q = (question){.format = QP_MXFP8_E4M3, .engine = QP_ENGINE_IEEE, .dtype = QP_FP32, .rows = 1, .cols = 2};
    packed p = quantize(&q, zeros);
    ck_assert(p.codes[0] == 0x80 && p.codes[1] == 0x80 && p.scales[0] == 127);
    q.engine = QP_ENGINE_TORCH_CPU;
    p = quantize(&q, zeros);
    ck_assert(p.codes[0] == 0x00 && p.codes[1] == 0x80 && p.scales[0] == 0);
    q = (question){.format = QP_MXINT8, .engine = QP_ENGINE_IEEE, .dtype = QP_FP32, .rows = 1, .cols = 2};
    p = quantize(&q, zeros);
    ck_assert(p.codes[0] == 0x00 && p.codes[1] == 0x00); // two's complement has one zero
}
END_TEST

START_TEST(an_infinite_element_saturates_and_counts_as_the_largest_float) {
    SIMT_OR_RETURN("an_infinite_element_saturates_and_counts_as_the_largest_float");
    static const uint32_t x[] = {0x7f800000, 0xff800000, 0x7f7fffff, 0x3f800000};
    uint32_t y[4];
    packed none;
    question q = {.format = QP_MXFP4, .dtype = QP_FP32, .rows = 1, .cols = 4};
    answer(&q, QP_OP_FAKEQUANT, x, y, &none); // 2^128 / 6 <= 2^126: 4 * 2^126 overflows, so does 6 * 2^126
    ck_assert(y[0] == 0x7f800000 && y[1] == 0xff800000 && y[2] == 0x7f800000 && y[3] == 0);
    q.engine = QP_ENGINE_IEEE;
    ck_assert_uint_eq(quantize(&q, x).scales[0], 126 + 127);
    q.engine = QP_ENGINE_TORCH_CPU; // no scale at all
    packed p = quantize(&q, x);
    ck_assert(p.scales[0] == 0 && p.codes[0] == 0x88 && p.codes[1] == 0x88);
    q.format = QP_MXFP8_E4M3;
    p = quantize(&q, x);
    ck_assert(p.scales[0] == 254 && p.codes[0] == 0x7e && p.codes[1] == 0xfe && p.codes[3] == 0);
}
END_TEST

START_TEST(the_byte_ff_is_nan_under_ieee_and_2_to_the_128_under_torch) {
    SIMT_OR_RETURN("the_byte_ff_is_nan_under_ieee_and_2_to_the_128_under_torch");
    packed p = {.codes = {0x12}, .scales = {0xff}};
    uint32_t y[2];
    question q = {.format = QP_MXFP4, .engine = QP_ENGINE_IEEE, .dtype = QP_FP32, .rows = 1, .cols = 2};
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    ck_assert(y[0] == 0x7fc00000 && y[1] == 0x7fc00000);
    q.engine = QP_ENGINE_TORCH_CPU;
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    ck_assert(y[0] == 0x7f800000 && y[1] == 0x7f800000);
}
END_TEST

static const int mx_elements[] = {QP_ELEM_E2M1, QP_ELEM_E3M2, QP_ELEM_E2M3,
                                  QP_ELEM_E4M3, QP_ELEM_E5M2, QP_ELEM_INT8};

// Between neighbours the halfway point goes to the even code, one step of fp32 either side to the nearer one.
START_TEST(mx_codes_are_the_nearest_and_ties_are_even) {
    const k_mx f = k_mx_of(mx_elements[_i]);
    ck_assert(k_mx_value(&f, f.most) == f.largest && k_mx_value(&f, 0) == 0.0f);
    for (uint32_t c = 0; c < f.most; c++) {
        float low = k_mx_value(&f, c), high = k_mx_value(&f, c + 1), middle = (low + high) / 2;
        ck_assert(low < high);
        ck_assert_uint_eq(k_mx_code(&f, low), c);
        ck_assert_uint_eq(k_mx_code(&f, -middle), c + (c & 1));
        ck_assert_uint_eq(k_mx_code(&f, k_f32(k_bits(middle) - 1)), c);
        ck_assert_uint_eq(k_mx_code(&f, k_f32(k_bits(middle) + 1)), c + 1);
    }
    ck_assert_uint_eq(k_mx_code(&f, k_f32(0x7f800000u)), f.most);
    ck_assert_uint_eq(k_mx_code(&f, k_f32(0x00000001u)), 0);
    ck_assert_uint_eq(k_mx_code(&f, k_f32(0x7fc00000u)), f.nan);
}
END_TEST

// With IEEE division the rule from bits is the smallest k >= -127 with amax <= largest * 2^k (numerics 5.0).
START_TEST(the_exponent_from_bits_is_the_smallest_that_holds) {
    const double largest = (double)k_mx_of(mx_elements[_i]).largest;
    for (uint64_t u = 1; u < 0x7f800000u; u += 100003) {
        const uint32_t near[] = {(uint32_t)u, k_bits((float)largest) + ((uint32_t)(u / 100003 % 200) << 23) -
                                                  (100u << 23) + (uint32_t)(u % 5) - 2u};
        for (int i = 0; i < 2; i++) {
            double amax = (double)k_f32(near[i]), power = 1.0;
            if (near[i] == 0 || near[i] >= 0x7f800000u) continue;
            int k = k_mx_exponent(near[i], (float)largest);
            for (int j = 0; j < k; j++) power *= 2.0;
            for (int j = 0; j > k; j--) power /= 2.0;
            ck_assert_msg(amax <= largest * power && (k == -127 || amax > largest * power / 2.0),
                          "%08x: k %d", (unsigned)near[i], k);
        }
    }
    ck_assert_int_eq(k_mx_exponent(0, (float)largest), 0);
    ck_assert_int_eq(k_mx_exponent(k_bits((float)largest * k_pow2(-127)), (float)largest), -127);
}
END_TEST

// How many steps above 2^e still round to e: the table of numerics 5.0.
START_TEST(torch_log2_keeps_a_few_steps_above_a_power_of_two) {
    static const struct {
        int from, to;
        uint32_t kept;
    } rows[] = {{-126, -65, 22}, {-64, -33, 11}, {-32, -17, 5}, {-16, -9, 2}, {-8, -5, 1},  {-4, 3, 0},
                {4, 7, 1},       {8, 15, 2},     {16, 31, 5},   {32, 63, 11}, {64, 126, 22}};
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (int e = rows[i].from; e <= rows[i].to; e++) {
            uint32_t power = (uint32_t)(e + 127) << 23;
            ck_assert_int_eq(k_mx_ceil_log2(power), e);
            ck_assert_int_eq(k_mx_ceil_log2(power + rows[i].kept), e);
            ck_assert_int_eq(k_mx_ceil_log2(power + rows[i].kept + 1), e + 1);
        }
    ck_assert_int_eq(k_mx_ceil_log2(0x00400000), -127);
    ck_assert_int_eq(k_mx_ceil_log2(0x00400000 + 11), -127); // a step of a subnormal is two of the others
    ck_assert_int_eq(k_mx_ceil_log2(0x00400000 + 12), -126);
    ck_assert_int_eq(k_mx_ceil_log2(0x00000001), -127);
}
END_TEST

int main(void) {
    Suite *s = suite_create("simt mx");
    TCase *c = tcase_create("mx");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, trap_9_mxfp4_ties_go_to_even_under_ieee_and_down_under_torch);
    tcase_add_test(c, trap_14_the_e8m0_exponent_comes_from_bits_or_from_a_rounded_log2);
    tcase_add_test(c, trap_15_mx_fake_quant_of_zeros_is_minus_zero_and_nan_follows_the_type);
    tcase_add_test(c, mx_codes_have_the_sign_of_fake_quant_and_torch_fp8_that_of_x);
    tcase_add_test(c, an_infinite_element_saturates_and_counts_as_the_largest_float);
    tcase_add_test(c, the_byte_ff_is_nan_under_ieee_and_2_to_the_128_under_torch);
    tcase_add_loop_test(c, mx_codes_are_the_nearest_and_ties_are_even, 0, QP_COUNT(mx_elements));
    tcase_add_loop_test(c, the_exponent_from_bits_is_the_smallest_that_holds, 0, QP_COUNT(mx_elements));
    tcase_add_test(c, torch_log2_keeps_a_few_steps_above_a_power_of_two);
    suite_add_tcase(s, c);
    return kit_main(s);
}
