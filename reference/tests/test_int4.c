// SPDX-License-Identifier: Apache-2.0
// INT4: levels of the fake-quant flags, blocks along the row, torch's tiny rule over all of them; the packed
// block with its two rounding rules, its spelling of the scale and its nibble order; AWQ in pairs of rows.
#include <check.h>
#include <string.h>

#include "qp/ref.h"

static const qp_engine IEEE = QP_ENGINE_IEEE, CPU = QP_ENGINE_TORCH_CPU, CUDA = QP_ENGINE_TORCH_CUDA;

// ---- fake-quant
// --------------------------------------------------------------------------------------------------------------

START_TEST(the_levels_of_int4_are_those_of_its_flags) {
    static const struct {
        bool is_unsigned, narrow;
        qp_engine engine;
        uint32_t low, high; // answers to -1e9 and 1e9 with amax = the highest level, so that the scale is one
    } rows[] = {
        {false, false, QP_ENGINE_IEEE, 0xc1000000, 0x40e00000},      // -8, 7
        {false, true, QP_ENGINE_IEEE, 0xc0e00000, 0x40e00000},       // -7
        {false, false, QP_ENGINE_TORCH_CPU, 0xc1000000, 0x40e00000}, //
        {false, true, QP_ENGINE_TORCH_CUDA, 0xc0e00000, 0x40e00000}, //
        {true, false, QP_ENGINE_IEEE, 0xc1800000, 0x41700000},       // -16, 15
        {true, true, QP_ENGINE_IEEE, 0xc1700000, 0x41700000},        //
        {true, false, QP_ENGINE_TORCH_CPU, 0, 0x41700000},           //
        {true, true, QP_ENGINE_TORCH_CUDA, 0, 0x41700000},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const uint32_t amax = rows[i].high, x[2] = {0xce6e6b28, 0x4e6e6b28};
        uint32_t y[2];
        const ref_spec s = {.format = QP_INT4,
                            .engine = rows[i].engine,
                            .dtype = QP_FP32,
                            .rows = 1,
                            .cols = 2,
                            .amax = &amax,
                            .is_unsigned = rows[i].is_unsigned,
                            .narrow_range = rows[i].narrow};
        ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
        ck_assert_uint_eq(y[0], rows[i].low);
        ck_assert_uint_eq(y[1], rows[i].high);
    }
}
END_TEST

START_TEST(a_value_is_multiplied_by_7_over_amax_rounded_to_even_and_divided_again) {
    // amax 7: the scale is one
    const uint32_t seven = 0x40e00000, x[4] = {0x3f000000, 0x3fc00000, 0xc0200000, 0x40d00000},
                   want[4] = {0, 0x40000000, 0xc0000000, 0x40c00000};
    uint32_t y[4];
    ref_spec s = {.format = QP_INT4, .dtype = QP_FP32, .rows = 1, .cols = 4, .amax = &seven};
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert_mem_eq(y, want, sizeof want);
    // amax 1: 3 / 7 is 3edb6db7, 3 * (1 / 7) is 3edb6db8
    const uint32_t one = 0x3f800000, near[1] = {0x3edb0000};
    s.amax = &one;
    s.cols = 1;
    ref_fakequant(&s, 0, 1, near, y, NULL, NULL);
    ck_assert_uint_eq(y[0], 0x3edb6db7);
}
END_TEST

// Blocks of 4 over rows of 6: the second block of a row is short.
START_TEST(a_block_has_its_own_amax_and_the_last_one_may_be_short) {
    enum { R = 2, C = 6 };
    const uint32_t amax[4] = {0x40e00000, 0x41600000, 0x40600000, 0x42600000}; // 7, 14, 3.5, 56
    uint32_t x[R * C], y[R * C];
    for (int i = 0; i < R * C; i++) x[i] = 0x40400000; // 3
    for (int e = IEEE; e <= (int)CUDA; e++) {
        ref_spec s = {.format = QP_INT4_BLOCK,
                      .engine = (qp_engine)e,
                      .dtype = QP_FP32,
                      .rows = R,
                      .cols = C,
                      .block_cols = 4,
                      .amax = amax};
        if (ref_unsupported(QP_OP_FAKEQUANT, s.format, s.engine) != NULL) continue;
        ref_fakequant(&s, 0, R, x, y, NULL, NULL);
        for (int i = 0; i < C; i++) ck_assert_uint_eq(y[i], i < 4 ? 0x40400000 : 0x40800000); // 1.5 -> 2 * 2
        for (int i = C; i < 2 * C; i++) ck_assert_uint_eq(y[i], i < C + 4 ? 0x40400000 : 0);  // 6 * .5; .375
        uint32_t second[C];
        ref_fakequant(&s, 1, 1, x + C, second, NULL, NULL); // one row by itself
        ck_assert_mem_eq(second, y + C, sizeof second);
    }
    const ref_spec whole = {.format = QP_INT4_BLOCK, .dtype = QP_FP32, .rows = 1, .cols = 6, .amax = amax};
    ref_fakequant(&whole, 0, 1, x, y, NULL, NULL); // the default block is 128
    for (int i = 0; i < 6; i++) ck_assert_uint_eq(y[i], 0x40400000);
}
END_TEST

START_TEST(one_nan_among_the_amax_of_blocks_switches_torchs_tiny_rule_off) {
    uint32_t amax[2] = {0, 0x3f800000};
    const uint32_t x[4] = {0xbf800000, 0, 0x3f800000, 0x3f800000};
    uint32_t y[4];
    const ref_spec s = {.format = QP_INT4_BLOCK,
                        .engine = CPU,
                        .dtype = QP_FP32,
                        .rows = 1,
                        .cols = 4,
                        .block_cols = 2,
                        .amax = amax};
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert_uint_eq(y[0], 0x80000000);
    ck_assert_uint_eq(y[1], 0);
    amax[1] = 0x7fc00000; // the other block
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert_uint_eq(y[0], 0x80000000); // -8 / Inf
    ck_assert_uint_eq(y[1], 0x7fc00000); // 0 * Inf
    ck_assert_uint_eq(y[2], 0x7fc00000);
}
END_TEST

START_TEST(an_engine_refuses_a_negative_amax_of_any_block_and_negative_values_of_unsigned) {
    const uint32_t amax[4] = {0x3f800000, 0x3f800000, 0x3f800000, 0xbf800000},
                   x[2] = {0x3f800000, 0xbf800000};
    ref_spec s = {.format = QP_INT4_BLOCK,
                  .engine = CPU,
                  .dtype = QP_FP32,
                  .rows = 2,
                  .cols = 4,
                  .block_cols = 2,
                  .amax = amax};
    for (int e = IEEE; e <= (int)CUDA; e++) {
        s.engine = (qp_engine)e;
        ck_assert_ptr_nonnull(ref_refuses(&s, NULL)); // the last of four
        s.rows = 1;
        ck_assert_ptr_null(ref_refuses(&s, NULL)); // the first two
        s.rows = 2;
    }
    s = (ref_spec){.format = QP_INT4,
                   .engine = CUDA,
                   .dtype = QP_FP32,
                   .rows = 1,
                   .cols = 2,
                   .amax = amax,
                   .is_unsigned = true};
    ck_assert_ptr_null(ref_refuses(&s, NULL));
    ck_assert_ptr_nonnull(ref_refuses(&s, x));
    s.is_unsigned = false;
    ck_assert_ptr_null(ref_refuses(&s, x));
}
END_TEST

// ---- packed blocks
// -------------------------------------------------------------------------------------------------------------

typedef struct packed {
    uint8_t codes[16];
    uint16_t scales[8], values[32];
} packed;

static packed pack_bf16(qp_engine e, int64_t cols, int64_t block, const uint16_t *x) {
    uint32_t amax[32];
    packed p;
    memset(&p, 0xee, sizeof p);
    ref_amax(QP_GRAIN_BLOCK, QP_BF16, 1, cols, 1, block, x, amax);
    const ref_spec s = {.format = QP_INT4_BLOCK,
                        .engine = e,
                        .dtype = QP_BF16,
                        .rows = 1,
                        .cols = cols,
                        .block_cols = block,
                        .amax = amax};
    ref_quant(&s, 0, 1, x, p.codes, p.scales, p.values, NULL);
    return p;
}

// 7 / amax is reciprocal and product, rounded to bf16 each: not what one division gives for 36 of 128.
START_TEST(the_scale_is_a_reciprocal_times_7_each_rounded_to_the_type) {
    static const struct {
        uint16_t amax, scale;
    } rows[] = {{0x3f82, 0x40dc}, {0x3f85, 0x40d7}, {0x3f87, 0x40d5}, {0x40e0, 0x3f80}};
    for (int e = CPU; e <= (int)CUDA; e++) {
        if (ref_unsupported(QP_OP_QUANT, QP_INT4_BLOCK, (qp_engine)e) != NULL) continue;
        for (int i = 0; i < QP_COUNT(rows); i++)
            ck_assert_uint_eq(pack_bf16((qp_engine)e, 1, 1, &rows[i].amax).scales[0], rows[i].scale);
        int other = 0;
        for (uint16_t a = 0x3f80; a < 0x4000; a++)
            other += pack_bf16((qp_engine)e, 1, 1, &a).scales[0] !=
                     ref_from_f32(QP_BF16, ref_div(0x40e00000, (uint32_t)a << 16));
        ck_assert_int_eq(other, 36);
    }
}
END_TEST

START_TEST(the_even_column_is_the_high_nibble_and_levels_are_offset_by_8) {
    const uint16_t x[4] = {0x40e0, 0xc0e0, 0x3f80, 0xc000}; // 7 -7 1 -2
    const packed p = pack_bf16(CPU, 4, 4, x);
    ck_assert_uint_eq(p.codes[0], 0xf1);
    ck_assert_uint_eq(p.codes[1], 0x96);
    ck_assert_mem_eq(p.values, x, sizeof x);
    const packed odd = pack_bf16(CPU, 3, 4, x);
    ck_assert_uint_eq(odd.codes[1], 0x98); // padding is a quantized zero
}
END_TEST

// Trap 18.
START_TEST(ties_go_to_even_on_a_cpu_and_away_from_zero_on_cuda) {
    static const struct {
        uint16_t u; // amax 7: the scale is one
        uint8_t cpu, cuda;
    } rows[] = {{0x3f00, 8, 9},   {0xbfc0, 6, 7}, {0x40d0, 14, 15}, {0xbf00, 8, 8},
                {0x3fc0, 10, 10}, {0x3eff, 8, 9}, {0x3ee0, 8, 8},   {0xc0e0, 1, 1}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const uint16_t x[2] = {0x40e0, rows[i].u};
        ck_assert_uint_eq(pack_bf16(CPU, 2, 2, x).codes[0] & 15, rows[i].cpu);
        ck_assert_uint_eq(pack_bf16(CUDA, 2, 2, x).codes[0] & 15, rows[i].cuda);
    }
}
END_TEST

// amax 1: 0.2138671875 * 7 is 1.497 in fp32 and 1.5 in bf16.
START_TEST(the_product_is_rounded_to_the_type_first) {
    const uint16_t x[2] = {0x3f80, 0x3e5b};
    ck_assert_uint_eq(pack_bf16(CPU, 2, 2, x).codes[0] & 15, 10);
    ck_assert_uint_eq(pack_bf16(CUDA, 2, 2, x).codes[0] & 15, 10);
}
END_TEST

START_TEST(a_block_of_zeros_is_the_byte_0_on_a_cpu_and_ff_on_cuda) {
    const uint16_t x[4] = {0, 0x8000, 0x40e0, 0x40e0};
    const packed cpu = pack_bf16(CPU, 4, 2, x), cuda = pack_bf16(CUDA, 4, 2, x);
    ck_assert_uint_eq(cpu.codes[0], 0x00); // 0 * Inf is NaN
    ck_assert_uint_eq(cpu.values[0], 0x8000);
    ck_assert_uint_eq(cpu.scales[0], 0x7f80);
    ck_assert_uint_eq(cuda.codes[0], 0xff);
    ck_assert_uint_eq(cuda.values[0], 0);
    ck_assert_uint_eq(cpu.codes[1], 0xff); // the other block is untouched by it
    ck_assert_uint_eq(cuda.codes[1], 0xff);
}
END_TEST

// 6 / bf16 40b9 is 3f84d7df in fp32: in the scale's type first, then as asked.
START_TEST(dequantize_divides_once_and_rounds_to_the_type_of_the_scale) {
    const uint8_t codes[1] = {0xe2};
    const uint16_t scale = 0x40b9;
    uint32_t wide[2];
    uint16_t narrow[2];
    const ref_spec s = {
        .format = QP_INT4_BLOCK, .engine = CPU, .dtype = QP_BF16, .rows = 1, .cols = 2, .block_cols = 2};
    ref_dequant(&s, QP_FP32, 1, codes, &scale, 0, wide);
    ref_dequant(&s, QP_BF16, 1, codes, &scale, 0, narrow);
    ck_assert_uint_eq(wide[0], 0x3f850000);
    ck_assert_uint_eq(wide[1], 0xbf850000);
    ck_assert_uint_eq(narrow[0], 0x3f85);
}
END_TEST

// ---- AWQ
// ---------------------------------------------------------------------------------------------------------------

START_TEST(awq_packs_two_rows_of_one_column_as_twos_complement) {
    const uint32_t scale[6] = {0x3f800000, 0x40000000, 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000};
    // columns 0, 1 and 2, 3 are blocks
    const uint32_t x[12] = {0x3f800000, 0xbf800000, 0x41000000, 0xc1200000,  // 1 -1 | 8/2 -10/2
                            0x40a00000, 0xc1000000, 0x3f000000, 0x3fc00000,  // 5 -8 | .5 1.5
                            0xc0400000, 0x41100000, 0x7fc00000, 0xc1100000}; // -3 9 | NaN -9
    uint8_t codes[8];
    uint32_t values[12];
    const ref_spec s = {.format = QP_INT4_AWQ,
                        .engine = CPU,
                        .dtype = QP_FP32,
                        .rows = 3,
                        .cols = 4,
                        .block_cols = 2,
                        .scale = scale};
    const uint8_t want[8] = {0x51, 0x8f, 0x04, 0x2b, 0x0d, 0x07, 0x00, 0x08}; // a last row has no partner
    ref_quant(&s, 0, 3, x, codes, NULL, values, NULL);
    ck_assert_mem_eq(codes, want, sizeof want);
    ck_assert_uint_eq(values[3], 0xc1200000);
    ref_dequant(&s, QP_FP32, 3, codes, NULL, 0, values);
    ck_assert_uint_eq(values[2], 0x41000000);
    ck_assert_uint_eq(values[5], 0xc1000000);
    ck_assert_uint_eq(values[9], 0x40e00000);
}
END_TEST

// ---- coverage
// -----------------------------------------------------------------------------------------------------------------

START_TEST(coverage_of_int4_counts_codes_as_nibbles) {
    const uint32_t seven = 0x40e00000;
    const uint32_t x[6] = {0x3f000000, 0x40e80000, 0xc1100000, 0xbf400000, 0x7fc00000, 0x40e00000};
    uint32_t y[6];
    qp_coverage c = {0};
    ref_spec s = {.format = QP_INT4, .dtype = QP_FP32, .rows = 1, .cols = 6, .amax = &seven};
    ref_fakequant(&s, 0, 1, x, y, NULL, &c);
    ck_assert_uint_eq(c.n_elems, 6);
    ck_assert_uint_eq(c.n_code_ties, 1);
    ck_assert_uint_eq(c.n_saturated, 2);
    ck_assert_uint_eq(c.n_nan, 1);
    ck_assert_uint_eq(c.codes[0], 1u << 0 | 1u << 7 | 1u << 8 | 1u << 15);
    ck_assert_int_eq(qp_coverage_bits(c.codes), 4);

    const uint16_t b[4] = {0x40e0, 0x3f00, 0xbf80, 0xc0e0};
    uint8_t codes[2];
    uint16_t scale;
    memset(&c, 0, sizeof c);
    s = (ref_spec){.format = QP_INT4_BLOCK,
                   .engine = CUDA,
                   .dtype = QP_BF16,
                   .rows = 1,
                   .cols = 4,
                   .block_cols = 4,
                   .amax = &seven};
    ref_quant(&s, 0, 1, b, codes, &scale, NULL, &c);
    ck_assert_uint_eq(c.codes[0], 1u << 7 | 1u << 1 | 1u << 15 | 1u << 9); // CUDA: .5 -> 1
    ck_assert_uint_eq(c.n_code_ties, 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference int4");
    TCase *t = tcase_create("int4");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_levels_of_int4_are_those_of_its_flags);
    tcase_add_test(t, a_value_is_multiplied_by_7_over_amax_rounded_to_even_and_divided_again);
    tcase_add_test(t, a_block_has_its_own_amax_and_the_last_one_may_be_short);
    tcase_add_test(t, one_nan_among_the_amax_of_blocks_switches_torchs_tiny_rule_off);
    tcase_add_test(t, an_engine_refuses_a_negative_amax_of_any_block_and_negative_values_of_unsigned);
    tcase_add_test(t, the_scale_is_a_reciprocal_times_7_each_rounded_to_the_type);
    tcase_add_test(t, the_even_column_is_the_high_nibble_and_levels_are_offset_by_8);
    tcase_add_test(t, ties_go_to_even_on_a_cpu_and_away_from_zero_on_cuda);
    tcase_add_test(t, the_product_is_rounded_to_the_type_first);
    tcase_add_test(t, a_block_of_zeros_is_the_byte_0_on_a_cpu_and_ff_on_cuda);
    tcase_add_test(t, dequantize_divides_once_and_rounds_to_the_type_of_the_scale);
    tcase_add_test(t, awq_packs_two_rows_of_one_column_as_twos_complement);
    tcase_add_test(t, coverage_of_int4_counts_codes_as_nibbles);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
