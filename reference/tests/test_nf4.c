// SPDX-License-Identifier: Apache-2.0
// NF4 with double quantization: the table, ties, the two tables of CPU and CUDA, blocks of zeros, the second
// level of scales, dequantize in every target type. Bits marked so come from nvidia-modelopt 0.47.0 with
// torch 2.13.0 on a CPU.
#include <check.h>
#include <string.h>

#include "qp/ref.h"

static const qp_engine CPU = QP_ENGINE_TORCH_CPU, CUDA = QP_ENGINE_TORCH_CUDA;
static const uint16_t entries[16] = {0xbf80, 0xbf32, 0xbf06, 0xbeca, 0xbe92, 0xbe3d, 0xbdbb, 0x0000,
                                     0x3da3, 0x3e25, 0x3e7c, 0x3ead, 0x3ee2, 0x3f10, 0x3f39, 0x3f80};

typedef struct packed {
    uint8_t codes[32], scales_i8[8];
    uint32_t scales[8], double_scale, values[64];
} packed;

static packed pack(qp_engine e, qp_dtype t, int64_t cols, int64_t block, uint32_t zero, const void *x,
                   qp_coverage *cov) {
    uint32_t amax[64];
    packed p;
    memset(&p, 0xee, sizeof p);
    ref_amax(QP_GRAIN_BLOCK, t, 1, cols, 1, block, x, amax);
    const ref_spec s = {.format = QP_NF4,
                        .engine = e,
                        .dtype = t,
                        .rows = 1,
                        .cols = cols,
                        .block_cols = block,
                        .amax = amax,
                        .scale_zero = zero};
    ref_quant_nf4(&s, x, p.codes, p.scales, p.scales_i8, &p.double_scale, p.values, cov);
    return p;
}

// The index of x in a block whose amax is one.
static int index_of(qp_engine e, qp_dtype t, uint32_t x) {
    uint32_t in[2];
    ref_store_f32(t, in, 0, 0x3f800000);
    ref_store_f32(t, in, 1, x);
    return pack(e, t, 2, 2, 0, in, NULL).codes[0] & 15;
}

START_TEST(every_entry_of_the_table_has_its_own_index) {
    for (int e = CPU; e <= (int)CUDA; e++) {
        if (ref_unsupported(QP_OP_QUANT, QP_NF4, (qp_engine)e) != NULL) continue;
        for (int t = QP_BF16; t <= QP_FP32; t++)
            for (int i = 0; i < 16; i++)
                ck_assert_int_eq(index_of((qp_engine)e, (qp_dtype)t, (uint32_t)entries[i] << 16), i);
    }
}
END_TEST

// bf16 -0.458984375 is as far from -.5234375 (2) as from -.39453125 (3): the lower index. CUDA's table says
// -.5251 and -.3949, and 3 is nearer.
START_TEST(a_tie_goes_to_the_lower_index_and_cuda_has_the_table_in_fp32) {
    static const struct {
        uint16_t x;
        int cpu, cuda;
    } rows[] = {{0xbeeb, 2, 3}, {0xbf1c, 1, 2}, {0xbf59, 0, 1}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        ck_assert_int_eq(index_of(CPU, QP_BF16, (uint32_t)rows[i].x << 16), rows[i].cpu);
        ck_assert_int_eq(index_of(CUDA, QP_BF16, (uint32_t)rows[i].x << 16), rows[i].cuda);
    }
    ck_assert_int_eq(index_of(CPU, QP_FP16, 0xbd3aa000), 7); // fp16 a9d5
    ck_assert_int_eq(index_of(CUDA, QP_FP16, 0xbd3aa000), 6);
    ck_assert_int_eq(index_of(CPU, QP_FP32, 0x3f006f23), 12);
    ck_assert_int_eq(index_of(CUDA, QP_FP32, 0x3f006f23), 13);
    int other = 0; // of all bf16 values of magnitude up to one
    for (uint32_t h = 0; h <= 0xbf80; h = h == 0x3f80 ? 0x8000 : h + 1)
        other += index_of(CPU, QP_BF16, h << 16) != index_of(CUDA, QP_BF16, h << 16);
    ck_assert_int_eq(other, 3);
}
END_TEST

// Halfway between two entries of four digits, a little to either side.
START_TEST(the_table_has_the_four_digits_of_the_sources) {
    static const double digits[16] = {-1.0,   -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0,
                                      0.0796, 0.1609,  0.2461,  0.3379,  0.4407,  0.5626,  0.7230,  1.0};
    for (int i = 0; i < 15; i++) {
        const float low = (float)((digits[i] + digits[i + 1]) / 2 - 1e-6),
                    high = (float)((digits[i] + digits[i + 1]) / 2 + 1e-6);
        uint32_t images[2];
        memcpy(&images[0], &low, sizeof low);
        memcpy(&images[1], &high, sizeof high);
        ck_assert_int_eq(index_of(CUDA, QP_FP32, images[0]), i);
        ck_assert_int_eq(index_of(CUDA, QP_FP32, images[1]), i + 1);
    }
}
END_TEST

// bf16 3d26 / 3f82 is .0399, nearer to entry 8; rounded to bf16 it is .0398, nearer to entry 7.
START_TEST(the_quotient_is_rounded_to_the_type_first) {
    const uint16_t x[2] = {0x3f82, 0x3d26};
    ck_assert_uint_eq(pack(CPU, QP_BF16, 2, 2, 0, x, NULL).codes[0], 0xf7);
    ck_assert_uint_eq(pack(CUDA, QP_BF16, 2, 2, 0, x, NULL).codes[0], 0xf7);
}
END_TEST

START_TEST(the_even_column_is_the_high_nibble_and_zeros_alone_are_index_0) {
    const uint16_t x[8] = {0x3f80, 0xbf80, 0x3f80, 0x0000, 0, 0x8000, 0, 0};
    for (int e = CPU; e <= (int)CUDA; e++) {
        if (ref_unsupported(QP_OP_QUANT, QP_NF4, (qp_engine)e) != NULL) continue;
        const packed p = pack((qp_engine)e, QP_BF16, 8, 4, 0, x, NULL);
        ck_assert_uint_eq(p.codes[0], 0xf0);
        ck_assert_uint_eq(p.codes[1], 0xf7);
        ck_assert_uint_eq(p.codes[2], 0x00); // 0 / 0 is NaN
        ck_assert_uint_eq(p.codes[3], 0x00);
    }
    const packed odd = pack(CPU, QP_BF16, 3, 4, 0, x, NULL);
    ck_assert_uint_eq(odd.codes[1], 0xf7); // padding is a quantized zero
}
END_TEST

// From the package.
static const uint16_t weights[32] = {0xbfc3, 0xbf40, 0xbf27, 0xbfce, 0xbdcd, 0xbf1c, 0xbf7b, 0xbfce,
                                     0,      0,      0,      0,      0,      0,      0,      0,
                                     0xbf32, 0xbf95, 0x3f33, 0x3e4c, 0x3f5e, 0x3e7a, 0xbf2a, 0x3f4f,
                                     0x3f8d, 0xbe34, 0xc010, 0xbfb9, 0x3d7a, 0xbf1e, 0xbf4c, 0xbe07};
static const uint8_t weight_codes[16] = {0x02, 0x30, 0x63, 0x10, 0,    0,    0,    0,
                                         0x20, 0xd9, 0xea, 0x2e, 0xc6, 0x01, 0x74, 0x36};
static const uint16_t weight_values[32] = {0xbfce, 0xbf58, 0xbf23, 0xbfce, 0xbe16, 0xbf23, 0xbf8f, 0xbfce,
                                           0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000,
                                           0xbf1b, 0xbf94, 0x3f26, 0x3e3f, 0x3f56, 0x3e92, 0xbf1b, 0x3f56,
                                           0x3f7e, 0xbe52, 0xc010, 0xbfc8, 0x0000, 0xbf24, 0xbf63, 0xbe52};
static const uint16_t weight_values_fp16[32] = {
    0xbe74, 0xbac1, 0xb918, 0xbe74, 0xb0b7, 0xb918, 0xbc7d, 0xbe74, 0x8000, 0x8000, 0x8000,
    0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0xb8da, 0xbca2, 0x3936, 0x31f9, 0x3ab2, 0x348f,
    0xb8da, 0x3ab2, 0x3bee, 0xb290, 0xc07e, 0xbe3f, 0x0000, 0xb920, 0xbb17, 0xb290};

START_TEST(scales_are_int8_around_their_mean_and_the_values_follow_them) {
    const packed p = pack(CPU, QP_BF16, 32, 8, 0x3fa10000, weights, NULL);
    const uint16_t scales[4] = {0x3fce, 0, 0x3f95, 0x4010};
    const uint8_t scales_i8[4] = {0x24, 0x81, 0xf6, 0x64};
    ck_assert_mem_eq(p.codes, weight_codes, sizeof weight_codes);
    ck_assert_mem_eq(p.scales, scales, sizeof scales);
    ck_assert_mem_eq(p.scales_i8, scales_i8, sizeof scales_i8);
    ck_assert_uint_eq(p.double_scale & 0xffff, 0x42ca);
    ck_assert_mem_eq(p.values, weight_values, sizeof weight_values);

    uint16_t values[32];
    const ref_spec s = {.format = QP_NF4,
                        .engine = CPU,
                        .dtype = QP_BF16,
                        .rows = 1,
                        .cols = 32,
                        .block_cols = 8,
                        .scale_zero = 0x3fa10000};
    ref_dequant(&s, QP_FP16, 1, weight_codes, scales_i8, 0x42ca0000, values);
    ck_assert_mem_eq(values, weight_values_fp16, sizeof values);
    // the CUDA kernel multiplies bf16 by bf16 and answers in bf16 whatever is asked for
    ref_spec cuda = s;
    cuda.engine = CUDA;
    ref_dequant(&cuda, QP_FP16, 1, weight_codes, scales_i8, 0x42ca0000, values);
    for (int i = 0; i < 32; i++)
        ck_assert_uint_eq(values[i], ref_from_f32(QP_FP16, (uint32_t)weight_values[i] << 16));
}
END_TEST

START_TEST(scales_that_are_all_equal_are_the_zero_point) {
    uint16_t x[16];
    for (int i = 0; i < 16; i++) x[i] = i % 2 ? 0xbfc0 : 0x3fc0; // +-1.5
    const packed p = pack(CPU, QP_BF16, 16, 4, 0x3fc00000, x, NULL);
    ck_assert_uint_eq(p.double_scale & 0xffff, 0x7f80);               // 127 / 0
    for (int b = 0; b < 4; b++) ck_assert_uint_eq(p.scales_i8[b], 0); // 0 * Inf
    ck_assert_mem_eq(p.values, x, sizeof x);
}
END_TEST

// amax 1 and 3, mean 2: c = -1, 1; ds = 127.
START_TEST(the_second_level_clamps_symmetrically) {
    const uint32_t x[4] = {0x3f800000, 0, 0x40400000, 0};
    const packed p = pack(CPU, QP_FP32, 4, 2, 0x40000000, x, NULL);
    ck_assert_uint_eq(p.double_scale, 0x42fe0000);
    ck_assert_uint_eq(p.scales_i8[0], 0x81);
    ck_assert_uint_eq(p.scales_i8[1], 0x7f);
    ck_assert_uint_eq(p.values[0], 0x3f800000);
    ck_assert_uint_eq(p.values[2], 0x40400000);
}
END_TEST

// From torch, two blocks of one value each: what each rounding to bf16 of the second level decides.
START_TEST(every_step_of_the_second_level_is_rounded_to_the_type) {
    static const struct {
        uint16_t scales[2], zero, double_scale;
        uint8_t scales_i8[2];
    } rows[] = {{{0x4055, 0x3f01}, 0x3ff5, 0x42b4, {127, 0x82}},  // s - z and the product; else 127, -127
                {{0x403f, 0x3fe9}, 0x401a, 0x4358, {125, 0x82}},  // reciprocal, then 127; else 4359
                {{0x3f14, 0x3f7b}, 0x3f48, 0x441d, {0x81, 125}}}; // clamped at -127; else -128
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const packed p = pack(CPU, QP_BF16, 2, 1, (uint32_t)rows[i].zero << 16, rows[i].scales, NULL);
        ck_assert_uint_eq(p.double_scale & 0xffff, rows[i].double_scale);
        ck_assert_mem_eq(p.scales_i8, rows[i].scales_i8, 2);
    }
}
END_TEST

// fp32 scales asked for in bf16: int8 / ds is bf16 before the mean is added.
START_TEST(a_scale_is_rounded_to_the_target_type_before_and_after_its_zero_point) {
    const ref_spec s = {.format = QP_NF4,
                        .engine = CPU,
                        .dtype = QP_FP32,
                        .rows = 1,
                        .cols = 1,
                        .block_cols = 1,
                        .scale_zero = 0x3f3c6a23};
    const uint8_t code = 0xf0, scale_i8 = 125;
    uint16_t v;
    ref_dequant(&s, QP_BF16, 1, &code, &scale_i8, 0x41fbcc19, &v);
    ck_assert_uint_eq(v, 0x4096);
}
END_TEST

START_TEST(coverage_of_nf4_counts_indices_ties_and_zero_blocks) {
    uint16_t x[20] = {0};
    for (int i = 0; i < 16; i++) x[i] = entries[i];
    qp_coverage c = {0};
    pack(CPU, QP_BF16, 20, 16, 0, x, &c);
    ck_assert_uint_eq(c.n_elems, 20);
    ck_assert_uint_eq(c.codes[0], 0xffff);
    ck_assert_uint_eq(c.n_zero_blocks, 1);
    ck_assert_uint_eq(c.n_code_ties, 0);
    const uint16_t tie[3] = {0x3f80, 0xbeeb, 0x7fc0};
    memset(&c, 0, sizeof c);
    pack(CPU, QP_BF16, 2, 2, 0, tie, &c);
    ck_assert_uint_eq(c.n_code_ties, 1);
    memset(&c, 0, sizeof c);
    pack(CPU, QP_BF16, 3, 3, 0, tie, &c); // NaN takes its block
    ck_assert_uint_eq(c.n_nan, 1);
    ck_assert_uint_eq(c.codes[0], 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference nf4");
    TCase *t = tcase_create("nf4");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_entry_of_the_table_has_its_own_index);
    tcase_add_test(t, a_tie_goes_to_the_lower_index_and_cuda_has_the_table_in_fp32);
    tcase_add_test(t, the_table_has_the_four_digits_of_the_sources);
    tcase_add_test(t, the_quotient_is_rounded_to_the_type_first);
    tcase_add_test(t, the_even_column_is_the_high_nibble_and_zeros_alone_are_index_0);
    tcase_add_test(t, scales_are_int8_around_their_mean_and_the_values_follow_them);
    tcase_add_test(t, scales_that_are_all_equal_are_the_zero_point);
    tcase_add_test(t, the_second_level_clamps_symmetrically);
    tcase_add_test(t, every_step_of_the_second_level_is_rounded_to_the_type);
    tcase_add_test(t, a_scale_is_rounded_to_the_target_type_before_and_after_its_zero_point);
    tcase_add_test(t, coverage_of_nf4_counts_indices_ties_and_zero_blocks);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
