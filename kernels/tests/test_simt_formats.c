// SPDX-License-Identifier: Apache-2.0
// The rules of the packed formats that a plausible kernel gets wrong, under simt, with the hex of the
// numerics spec where it has one (its traps by number).
#include "simt/shim.h"

#include "tests/ask.h"

// ---- NVFP4
// ---------------------------------------------------------------------------------------------------------------------

START_TEST(trap_12_cuda_spells_the_scales_with_reciprocals) {
    SIMT_OR_RETURN("trap_12_cuda_spells_the_scales_with_reciprocals");
    static const uint32_t x[] = {0x3f050000};
    question q = {.format = QP_NVFP4, .dtype = QP_FP32, .rows = 1, .cols = 1};
    q.amax[0] = kit_float(x[0]);
    q.global = kit_float(0x3fc40000);
    static const struct {
        qp_format format;
        qp_engine engine;
        uint8_t code;
    } rows[] = {{QP_NVFP4, QP_ENGINE_IEEE, 0x72},
                {QP_NVFP4, QP_ENGINE_TORCH_CPU, 0x72},
                {QP_NVFP4, QP_ENGINE_TORCH_CUDA, 0x71},
                {QP_NVFP4_STATIC, QP_ENGINE_TORCH_CPU, 0x71},
                {QP_NVFP4_STATIC, QP_ENGINE_TORCH_CUDA, 0x72}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        q.format = rows[i].format;
        q.engine = rows[i].engine;
        uint8_t got = scale_byte(&q, x);
        ck_assert_msg(got == rows[i].code, "%s %s: %02x", qp_format_get(q.format)->name,
                      qp_engine_name(q.engine), (unsigned)got);
    }
}
END_TEST

START_TEST(second_level_scales_differ_by_format_and_by_spelling) {
    SIMT_OR_RETURN("second_level_scales_differ_by_format_and_by_spelling");
    const uint32_t x[] = {kit_bits(1.0f)};
    static const struct {
        qp_format format;
        float divisor;
    } rows[] = {{QP_NVFP4, 2688.0f}, {QP_NVFP4_46, 1536.0f}, {QP_NVFP4_W4A8, 448.0f}};
    bool spelled_apart = false;
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (uint32_t m = 0; m < 128; m++) {
            question q = {.format = rows[i].format, .dtype = QP_FP32, .rows = 1, .cols = 1, .amax = {1.0f}};
            q.global = kit_float(0x3f800000u | m << 16);
            q.engine = QP_ENGINE_TORCH_CPU;
            float cpu = quantize(&q, x).second;
            q.engine = QP_ENGINE_TORCH_CUDA;
            float cuda = quantize(&q, x).second;
            ck_assert_uint_eq(kit_bits(cpu), kit_bits(q.global / rows[i].divisor));
            ck_assert_uint_eq(kit_bits(cuda), kit_bits(q.global * (1.0f / rows[i].divisor)));
            spelled_apart |= kit_bits(cpu) != kit_bits(cuda);
        }
    ck_assert(spelled_apart);
}
END_TEST

// Numerics 7: 256 leaves headroom, so that 1.5 of the global amax does not saturate. (The S there, 3e800001,
// is CUDA's spelling.)
START_TEST(four_over_six_encodes_a_block_above_the_global_amax) {
    SIMT_OR_RETURN("four_over_six_encodes_a_block_above_the_global_amax");
    static const float x[] = {1.5f};
    uint32_t y;
    packed none;
    question q = {
        .format = QP_NVFP4_46, .dtype = QP_FP32, .rows = 1, .cols = 1, .amax = {1.5f}, .global = 1.0f};
    answer(&q, QP_OP_FAKEQUANT, x, &y, &none);
    ck_assert_uint_eq(y, 0x3fc00000); // S = 384 * (1.75 / 6 / 448) is a quarter; with 1 for 1.75 it saturates
    ck_assert_uint_eq(quantize(&q, x).scales[0], 0x7c);
    q.format = QP_NVFP4_STATIC;
    ck_assert_uint_eq(quantize(&q, x).scales[0], 0x7e);
}
END_TEST

START_TEST(w4a8_takes_the_largest_of_32_and_codes_keep_their_blocks) {
    SIMT_OR_RETURN("w4a8_takes_the_largest_of_32_and_codes_keep_their_blocks");
    float x[40] = {[1] = 3.0f, [17] = -12.0f, [39] = 6.0f}; // blocks of 32 and 8
    question q = {.format = QP_NVFP4_W4A8, .dtype = QP_FP32, .rows = 1, .cols = 40, .global = 448.0f};
    packed p = quantize(&q, x); // ws2 = 1: scales 2 and 1
    ck_assert(p.scales[0] == 0x40 && p.scales[1] == 0x38 && p.second == 1.0f);
    ck_assert(p.codes[0] == 0x30 && p.codes[8] == 0xf0 && p.codes[19] == 0x70);
    float y[40];
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    for (int i = 0; i < 40; i++) ck_assert_msg(y[i] == x[i], "%d: %g", i, (double)y[i]);
}
END_TEST

// ---- INT8, FP8
// -----------------------------------------------------------------------------------------------------------------

START_TEST(trap_20_real_fp8_rounds_scale_and_quotient_to_the_type_and_exports_do_not) {
    SIMT_OR_RETURN("trap_20_real_fp8_rounds_scale_and_quotient_to_the_type_and_exports_do_not");
    static const uint16_t x[] = {0x3c2d};
    question q = {.format = QP_FP8_E4M3,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_BF16,
                  .rows = 1,
                  .cols = 1,
                  .amax = {1.0f},
                  .scale = {1.0f / 448.0f}};
    packed p = quantize(&q, x);
    ck_assert(p.codes[0] == 0x4a && half_word(p.scales) == 0x3b12);
    q.format = QP_FP8_EXPORT;
    p = quantize(&q, x);
    ck_assert(p.codes[0] == 0x49 && p.scales[0] == 0xee); // its scale is an input
}
END_TEST

START_TEST(trap_8_a_tensor_over_a_number_is_a_product_on_cuda) {
    SIMT_OR_RETURN("trap_8_a_tensor_over_a_number_is_a_product_on_cuda");
    int apart = 0;
    for (uint32_t m = 0; m < 512; m++) {
        const float x[] = {kit_float(0x3f800000u | m << 14)};
        question q = {.format = QP_INT8, .dtype = QP_FP32, .rows = 1, .cols = 1, .amax = {x[0]}};
        uint32_t cpu, cuda;
        q.engine = QP_ENGINE_TORCH_CPU;
        memcpy(&cpu, quantize(&q, x).scales, 4);
        q.engine = QP_ENGINE_TORCH_CUDA;
        memcpy(&cuda, quantize(&q, x).scales, 4);
        ck_assert_uint_eq(cpu, kit_bits(x[0] / 127.0f));
        ck_assert_uint_eq(cuda, kit_bits(x[0] * kit_float(0x3c010204)));
        apart += cpu != cuda;
    }
    ck_assert_int_gt(apart, 0);
}
END_TEST

START_TEST(int8_codes_saturate_at_both_ends_and_nan_is_zero) {
    SIMT_OR_RETURN("int8_codes_saturate_at_both_ends_and_nan_is_zero");
    const float x[] = {127.0f, -128.0f, 300.0f, -300.0f, 2.5f, -3.5f, kit_float(0x7fc00000), -0.4f};
    static const uint8_t want[] = {0x7f, 0x80, 0x7f, 0x80, 0x02, 0xfc, 0x00, 0x00};
    question q = {.format = QP_INT8_EXPORT,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_FP32,
                  .rows = 1,
                  .cols = 8,
                  .scale = {1.0f}};
    expect_bytes(quantize(&q, x).codes, want, QP_COUNT(want));
}
END_TEST

// ---- INT4, NF4
// -----------------------------------------------------------------------------------------------------------------

START_TEST(trap_18_int4_ties_go_to_even_on_a_cpu_and_away_on_cuda) {
    SIMT_OR_RETURN("trap_18_int4_ties_go_to_even_on_a_cpu_and_away_on_cuda");
    static const float x[] = {0.5f, -1.5f, 6.5f, 7.0f}; // amax 7: s = 1
    static const uint8_t cpu[] = {0x86, 0xef}, cuda[] = {0x97, 0xff};
    question q = {.format = QP_INT4_BLOCK, .dtype = QP_FP32, .rows = 1, .cols = 4, .amax = {7.0f}};
    q.engine = QP_ENGINE_TORCH_CPU;
    expect_bytes(quantize(&q, x).codes, cpu, 2);
    q.engine = QP_ENGINE_TORCH_CUDA;
    expect_bytes(quantize(&q, x).codes, cuda, 2);
    // 3eff + 8 is 8.5 in bf16 and rounds away; the sum in fp32 would be 8.498.
    static const uint16_t below[] = {0x3eff, 0x40e0};
    q.dtype = QP_BF16;
    q.cols = 2;
    packed p = quantize(&q, below);
    ck_assert(p.codes[0] == 0x9f && half_word(p.scales) == 0x3f80);
    q.engine = QP_ENGINE_TORCH_CPU;
    ck_assert_uint_eq(quantize(&q, below).codes[0], 0x8f);
    q.amax[0] = kit_float(0x3f820000); // its scale is bf(bf(1 / amax) * 7), not bf(7 / amax) = 40dd
    ck_assert_uint_eq(half_word(quantize(&q, below).scales), 0x40dc);
}
END_TEST

START_TEST(int4_fake_quant_has_seven_levels_above_zero_and_eight_below) {
    SIMT_OR_RETURN("int4_fake_quant_has_seven_levels_above_zero_and_eight_below");
    static const float x[] = {0.5f, -1.5f, 6.5f, 9.0f, -9.0f}, want[] = {0.0f, -2.0f, 6.0f, 7.0f, -8.0f};
    static const qp_format formats[] = {QP_INT4, QP_INT4_AXIS0, QP_INT4_BLOCK};
    for (int i = 0; i < QP_COUNT(formats); i++) {
        question q = {.format = formats[i], .dtype = QP_FP32, .rows = 1, .cols = 5, .amax = {7.0f}};
        float y[5];
        packed none;
        answer(&q, QP_OP_FAKEQUANT, x, y, &none);
        ck_assert_mem_eq(y, want, sizeof want);
    }
}
END_TEST

START_TEST(int4_zero_blocks_have_the_code_of_their_engine) {
    SIMT_OR_RETURN("int4_zero_blocks_have_the_code_of_their_engine");
    static const float x[2] = {0};
    uint32_t y[2];
    question q = {
        .format = QP_INT4_BLOCK, .engine = QP_ENGINE_TORCH_CPU, .dtype = QP_FP32, .rows = 1, .cols = 2};
    packed p = quantize(&q, x); // 0 * Inf has no code
    ck_assert_uint_eq(p.codes[0], 0x00);
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    ck_assert(y[0] == 0x80000000 && y[1] == 0x80000000);
    q.engine = QP_ENGINE_TORCH_CUDA;
    ck_assert_uint_eq(quantize(&q, x).codes[0], 0xff);
}
END_TEST

START_TEST(awq_pairs_rows_even_low_and_a_last_odd_row_stands_alone) {
    SIMT_OR_RETURN("awq_pairs_rows_even_low_and_a_last_odd_row_stands_alone");
    // A row behind the last belongs to nobody.
    static const float x[4][2] = {{1.0f, -8.0f}, {14.0f, -2.0f}, {-3.0f, 2.5f}, {5.0f, 5.0f}};
    static const uint8_t want[] = {0x71, 0xf8, 0x0d, 0x02};
    question q = {.format = QP_INT4_AWQ,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_FP32,
                  .rows = 3,
                  .cols = 2,
                  .scale = {1.0f, 2.0f, 1.0f, 1.0f}};
    packed p = quantize(&q, x);
    expect_bytes(p.codes, want, QP_COUNT(want));
    ck_assert_uint_eq(p.codes[4], 0xee);
    float y[3][2];
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    static const float back[3][2] = {{1.0f, -8.0f}, {14.0f, -2.0f}, {-3.0f, 2.0f}};
    ck_assert_mem_eq(y, back, sizeof back);
}
END_TEST

START_TEST(nf4_tables_differ_by_engine_and_ties_go_to_the_lower_index) {
    SIMT_OR_RETURN("nf4_tables_differ_by_engine_and_ties_go_to_the_lower_index");
    // Halfway between entries 7 (0) and 8: 0.0398 in fp32, 0.039795 with the bf16 table.
    const float x[] = {1.0f, -1.0f, 0.0f, 0.0397975f, 0.0796f / 2, 0.07958984375f / 2};
    static const uint8_t cpu[] = {0xf0, 0x78, 0x87}, cuda[] = {0xf0, 0x77, 0x77};
    question q = {.format = QP_NF4, .dtype = QP_FP32, .rows = 1, .cols = 6, .amax = {1.0f}, .global = 1.0f};
    q.engine = QP_ENGINE_TORCH_CPU;
    expect_bytes(quantize(&q, x).codes, cpu, QP_COUNT(cpu));
    q.engine = QP_ENGINE_TORCH_CUDA;
    expect_bytes(quantize(&q, x).codes, cuda, QP_COUNT(cuda));
    q.amax[0] = 0.0f; // 0 / 0
    static const float zeros[6] = {0};
    ck_assert(quantize(&q, zeros).codes[0] == 0 && quantize(&q, zeros).codes[2] == 0);
}
END_TEST

START_TEST(nf4_scales_are_int8_around_their_mean_and_equal_ones_are_zero) {
    SIMT_OR_RETURN("nf4_scales_are_int8_around_their_mean_and_equal_ones_are_zero");
    float x[4] = {0};
    question q = {.format = QP_NF4,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_FP32,
                  .rows = 4,
                  .cols = 1,
                  .amax = {1.0f, 3.0f, 2.0f, 2.5f},
                  .global = 2.0f};
    static const uint8_t codes[] = {0x81, 0x7f, 0x00, 0x40}; // 63.5 is a tie
    packed p = quantize(&q, x);
    ck_assert(p.second == 127.0f);
    expect_bytes(p.scales_i8, codes, 4);
    float y[4];
    memset(p.codes, 0xf7, 4); // the high nibble is the even column: value 1, so y is the scale
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    ck_assert(y[0] == 1.0f && y[1] == 3.0f && y[2] == 2.0f && y[3] == 64.0f / 127.0f + 2.0f);
    for (int i = 0; i < 4; i++) q.amax[i] = 2.0f;
    p = quantize(&q, x);
    ck_assert_uint_eq(kit_bits(p.second), 0x7f800000);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(p.scales_i8[i], 0);
    // In bf16 1.34375 * bf(bf(1 / 1.34375) * 127) is 128, which has no code on either side.
    static const uint8_t clamped[] = {0x81, 0x7f, 0x00, 0x00};
    static const uint16_t none[4] = {0};
    q = (question){.format = QP_NF4,
                   .engine = QP_ENGINE_TORCH_CPU,
                   .dtype = QP_BF16,
                   .rows = 4,
                   .cols = 1,
                   .amax = {0.0f, 2.6875f, 1.34375f, 1.34375f},
                   .global = 1.34375f};
    expect_bytes(quantize(&q, none).scales_i8, clamped, 4);
}
END_TEST

START_TEST(nf4_on_cuda_multiplies_in_bf16_whatever_the_type) {
    SIMT_OR_RETURN("nf4_on_cuda_multiplies_in_bf16_whatever_the_type");
    packed p = {.codes = {0xe7}, .scales_i8 = {1}, .second = 128.0f}; // entry 14, 0.7230
    question q = {.format = QP_NF4, .engine = QP_ENGINE_TORCH_CPU, .dtype = QP_FP32, .rows = 1, .cols = 2};
    q.global = 1.0f;
    uint32_t y[2];
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    ck_assert(y[0] == 0x3f3a7200 && y[1] == 0); // bf(0.7230) * 1.0078125
    q.engine = QP_ENGINE_TORCH_CUDA;
    answer(&q, QP_OP_DEQUANT, NULL, y, &p);
    ck_assert(y[0] == 0x3f3a0000 && y[1] == 0);
}
END_TEST

// ---- amax
// ----------------------------------------------------------------------------------------------------------------------

START_TEST(an_amax_of_a_2d_block_ends_at_its_own_rows_and_columns) {
    SIMT_OR_RETURN("an_amax_of_a_2d_block_ends_at_its_own_rows_and_columns");
    enum { ROWS = 129, COLS = 257, LD = 260 };
    static float x[ROWS * LD];
    for (int i = 0; i < ROWS * LD; i++) x[i] = 9e9f; // the padding of a row belongs to nobody
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            x[r * LD + c] =
                (float)((r / 128 * 3 + c / 128) * 100) + (r % 128 == 127 || r == 128 ? 1.0f : 0.0f);
    float out[6];
    qp_ktensor t = {.rows = ROWS, .cols = COLS, .ld = LD, .x = x, .amax_out = out};
    qp_launch l = {
        .op = QP_OP_AMAX, .format = QP_FP8_BLOCK2D, .dtype = QP_FP32, .n_tensors = 1, .tensors = &t};
    qp_err err = {0};
    ck_assert_msg(kit_kernel(QP_DEVICE_SIMT, QP_OP_AMAX, QP_FP8_BLOCK2D)(&l, &err) == QP_OK, "%s", err.msg);
    for (int i = 0; i < 6; i++) ck_assert_msg(out[i] == (float)(100 * i + 1), "%d: %g", i, (double)out[i]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("simt formats");
    TCase *c = tcase_create("formats");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, trap_12_cuda_spells_the_scales_with_reciprocals);
    tcase_add_test(c, second_level_scales_differ_by_format_and_by_spelling);
    tcase_add_test(c, four_over_six_encodes_a_block_above_the_global_amax);
    tcase_add_test(c, w4a8_takes_the_largest_of_32_and_codes_keep_their_blocks);
    tcase_add_test(c, trap_20_real_fp8_rounds_scale_and_quotient_to_the_type_and_exports_do_not);
    tcase_add_test(c, trap_8_a_tensor_over_a_number_is_a_product_on_cuda);
    tcase_add_test(c, int8_codes_saturate_at_both_ends_and_nan_is_zero);
    tcase_add_test(c, trap_18_int4_ties_go_to_even_on_a_cpu_and_away_on_cuda);
    tcase_add_test(c, int4_fake_quant_has_seven_levels_above_zero_and_eight_below);
    tcase_add_test(c, int4_zero_blocks_have_the_code_of_their_engine);
    tcase_add_test(c, awq_pairs_rows_even_low_and_a_last_odd_row_stands_alone);
    tcase_add_test(c, nf4_tables_differ_by_engine_and_ties_go_to_the_lower_index);
    tcase_add_test(c, nf4_scales_are_int8_around_their_mean_and_equal_ones_are_zero);
    tcase_add_test(c, nf4_on_cuda_multiplies_in_bf16_whatever_the_type);
    tcase_add_test(c, an_amax_of_a_2d_block_ends_at_its_own_rows_and_columns);
    suite_add_tcase(s, c);
    return kit_main(s);
}
