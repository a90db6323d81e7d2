// SPDX-License-Identifier: Apache-2.0
// NVFP4: pack against fake-quant with its named classes, dequantize for any block length, odd rows, NaN, and
// the coverage counters of all formats.
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "qp/ref.h"

static uint64_t mix(uint64_t i) {
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static ref_scale_class classify(qp_format f, qp_engine e, uint32_t ga, uint32_t b) {
    const ref_spec s = {.format = f, .engine = e, .dtype = QP_FP32, .global_amax = ga};
    return ref_compare_scales(&s, b, NULL, NULL, NULL);
}

START_TEST(each_class_of_a_scale_difference_has_its_example) {
    const qp_engine e = QP_ENGINE_IEEE, i = QP_ENGINE_TRITON_INTERP;
    ck_assert_int_eq(classify(QP_NVFP4, e, 0x3f800000, 0x3f000000), REF_SCALE_SAME);
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, e, 0x40dcd39d, 0x40000000), REF_SCALE_ULP);
    // fake-quant takes 75, pack 76
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, e, 0x3f8c0000, 0x3f070000), REF_SCALE_MIDPOINT);
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, e, 0x3fe60000, 0x3e3c0000), REF_SCALE_ULP); // two steps
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, i, 0x3fe40000, 0x3f8f0000), REF_SCALE_ULP);
    ck_assert_int_eq(classify(QP_NVFP4, e, 0x3f800000, 0x358637bd), REF_SCALE_LIFTED); // trap 15
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, e, 0x3f800000, 0x358637bd), REF_SCALE_LIFTED);
    ck_assert_int_eq(classify(QP_NVFP4, e, 0x3f800000, 0), REF_SCALE_ZERO_BLOCK);
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, e, 0x3c23d70a, 0), REF_SCALE_ZERO_BLOCK);
    ck_assert_int_eq(classify(QP_NVFP4, e, 0x38d1b717, 0x3851b717), REF_SCALE_TINY); // trap 11
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, e, 0x33000000, 0x33000000), REF_SCALE_TINY);
    ck_assert_int_eq(classify(QP_NVFP4_46, e, 0x7f7fffff, 0x7f000000), REF_SCALE_RANGE);
}
END_TEST

START_TEST(no_scale_difference_is_left_unexplained) {
    static const qp_format formats[] = {QP_NVFP4, QP_NVFP4_STATIC, QP_NVFP4_46};
    static const qp_engine engines[] = {QP_ENGINE_IEEE, QP_ENGINE_TRITON_INTERP, QP_ENGINE_TORCH_CUDA};
    for (int f = 0; f < 3; f++) {
        for (int e = 0; e < QP_COUNT(engines); e++) {
            uint64_t count[REF_SCALE_CLASS_COUNT] = {0};
            for (uint64_t i = 0; i < 200000; i++) {
                const uint64_t r = mix(i);
                uint32_t ga = (uint32_t)r % 0x7f800000u,
                         b = (uint32_t)(r >> 32) % (ga + 1); // any finite ga, any b <= ga
                if (i % 4 != 0) { // weights: ga in [2^-4, 4), b within 2^-8 of it, both bf16
                    ga = (0x3d800000u + (uint32_t)r % 0x03000000u) & 0xffff0000u;
                    b = (ga - (uint32_t)(r >> 32) % 0x04000000u) & 0xffff0000u;
                }
                count[classify(formats[f], engines[e], ga, b)]++;
            }
            printf("%s %s: same %llu, ulp %llu, midpoint %llu, lifted %llu, zero block %llu, tiny %llu, "
                   "range %llu\n",
                   qp_format_get(formats[f])->name, qp_engine_name(engines[e]),
                   (unsigned long long)count[REF_SCALE_SAME], (unsigned long long)count[REF_SCALE_ULP],
                   (unsigned long long)count[REF_SCALE_MIDPOINT], (unsigned long long)count[REF_SCALE_LIFTED],
                   (unsigned long long)count[REF_SCALE_ZERO_BLOCK], (unsigned long long)count[REF_SCALE_TINY],
                   (unsigned long long)count[REF_SCALE_RANGE]);
            ck_assert_uint_eq(count[REF_SCALE_UNEXPLAINED], 0);
            ck_assert_uint_gt(count[REF_SCALE_SAME], 10000);
            if (formats[f] != QP_NVFP4) ck_assert_uint_gt(count[REF_SCALE_ULP], 10000);
            if (formats[f] != QP_NVFP4) ck_assert_uint_gt(count[REF_SCALE_MIDPOINT], 10);
            if (formats[f] == QP_NVFP4)
                ck_assert_uint_eq(count[REF_SCALE_ULP] + count[REF_SCALE_MIDPOINT], 0);
        }
    }
}
END_TEST

enum { ROWS = 64, COLS = 75, NB = 5, PITCH = (COLS + 1) / 2 };

START_TEST(with_its_own_scales_fakequant_equals_dequantized_pack) {
    static uint32_t x[ROWS * COLS], values[ROWS * COLS], fake[ROWS * COLS], scale[ROWS * NB], amax[ROWS * NB];
    static uint8_t codes[ROWS * PITCH], bytes[ROWS * NB];
    static const qp_format formats[] = {QP_NVFP4, QP_NVFP4_STATIC, QP_NVFP4_46};
    const qp_dtype d = (qp_dtype)_i;
    for (int f = 0; f < 3; f++) {
        for (int i = 0; i < ROWS * COLS; i++) {
            const uint64_t r = mix((uint64_t)i);
            ref_store_f32(d, x, i,
                          (uint32_t)(r & 0x80000000u) | (105 + (uint32_t)(r >> 40) % 30) << 23 |
                              (uint32_t)(r & 0x7fffff));
        }
        ref_spec s = {.format = formats[f], .dtype = d, .rows = ROWS, .cols = COLS, .amax = amax};
        ref_amax(QP_GRAIN_BLOCK, d, ROWS, COLS, 1, 16, x, amax);
        ref_amax(QP_GRAIN_TENSOR, d, ROWS, COLS, 0, 0, x, &s.global_amax);
        ref_quant(&s, 0, ROWS, x, codes, bytes, values, NULL);
        const uint32_t ws2 = ref_weight_scale_2(&s);
        for (int b = 0; b < ROWS * NB; b++) scale[b] = ref_mul(ref_e4m3_decode(bytes[b]), ws2);
        ref_fakequant_given_scale(d, ROWS, COLS, scale, x, fake);
        ck_assert_mem_eq(fake, values, ROWS * COLS * qp_dtype_bytes(d));
        ref_dequant(&s, d, ROWS, codes, bytes, ws2, fake);
        ck_assert_mem_eq(fake, values, ROWS * COLS * qp_dtype_bytes(d));
    }
}
END_TEST

START_TEST(the_packed_byte_and_scale_of_compare_scales_are_those_of_quant) {
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t r = mix(i);
        const uint32_t ga = 0x3d800000u + (uint32_t)r % 0x03000000u,
                       b = ga - (uint32_t)(r >> 32) % 0x06000000u;
        const ref_spec s = {.format = i % 2 ? QP_NVFP4_STATIC : QP_NVFP4,
                            .dtype = QP_FP32,
                            .rows = 1,
                            .cols = 16,
                            .amax = &b,
                            .global_amax = ga};
        const uint32_t x[16] = {b};
        uint32_t y[16], used, fake_scale, pack_scale;
        uint8_t codes[8], byte, pack_byte;
        ref_compare_scales(&s, b, &pack_byte, &fake_scale, &pack_scale);
        ref_quant(&s, 0, 1, x, codes, &byte, NULL, NULL);
        ref_fakequant(&s, 0, 1, x, y, &used, NULL);
        ck_assert(byte == pack_byte && used == fake_scale);
        ck_assert(pack_scale == ref_mul(ref_e4m3_decode(byte), ref_weight_scale_2(&s)));
    }
}
END_TEST

START_TEST(blocks_of_another_length_use_their_own_scales) {
    enum { WIDE = 64 };
    for (int64_t width = 8; width <= 32; width *= 2) {
        uint32_t x[WIDE], y[WIDE], z[WIDE];
        uint8_t codes[WIDE / 2], scales[WIDE / 8];
        for (int i = 0; i < WIDE; i++) x[i] = (uint32_t)(119 + i / 8) << 23; // every 8 columns twice as large
        ref_spec s = {.format = QP_NVFP4, .dtype = QP_FP32, .rows = 1, .cols = WIDE, .block_cols = width};
        ref_amax(QP_GRAIN_TENSOR, QP_FP32, 1, WIDE, 0, 0, x, &s.global_amax);
        ref_quant(&s, 0, 1, x, codes, scales, y, NULL);
        ref_dequant(&s, QP_FP32, 1, codes, scales, ref_weight_scale_2(&s), z);
        ck_assert_mem_eq(y, z, sizeof y);
        for (int64_t b = 1; b < WIDE / width; b++) ck_assert_uint_gt(scales[b], scales[b - 1]);
        ck_assert_uint_eq(scales[WIDE / width - 1], 0x7e);
    }
}
END_TEST

// Sections 4.3 to 4.5 with every tensor / number as a product with its reciprocal, one operation per step.
START_TEST(torch_cuda_divides_by_numbers_through_their_reciprocals) {
    const uint32_t one = 0x3f800000, six = 0x40c00000, max = 0x43e00000, sixth = ref_div(one, six);
    int other = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t r = mix(i);
        const uint32_t ga = 0x3d800000u + (uint32_t)r % 0x03000000u,
                       b = ga - (uint32_t)(r >> 32) % 0x04000000u;
        const ref_spec dynamic = {.format = QP_NVFP4, .engine = QP_ENGINE_TORCH_CUDA, .global_amax = ga},
                       fixed = {.format = QP_NVFP4_STATIC, .engine = QP_ENGINE_TORCH_CUDA, .global_amax = ga},
                       cpu = {.format = QP_NVFP4_STATIC, .engine = QP_ENGINE_TORCH_CPU, .global_amax = ga};
        uint32_t fake, cpu_fake;
        uint8_t byte;
        const uint32_t g = ref_mul(ga, ref_div(one, 0x45280000));
        const uint8_t code = ref_e4m3_encode(ref_div(b, ref_mul(six, g)), true);
        ref_compare_scales(&dynamic, b, &byte, &fake, NULL);
        ck_assert_uint_eq(byte, code);
        ck_assert_uint_eq(fake, ref_mul(ref_e4m3_decode(code), g));

        const uint32_t s0 = ref_mul(b, sixth), a = ref_mul(ga, sixth), sc = ref_div(max, a);
        const uint8_t static_code = ref_e4m3_encode(ref_mul(s0, sc), true);
        ref_compare_scales(&fixed, b, &byte, &fake, NULL);
        ck_assert_uint_eq(fake, ref_mul(ref_e4m3_decode(static_code), ref_div(one, sc)));
        ck_assert_uint_eq(byte, ref_e4m3_encode(ref_div(ref_mul(s0, max), a), true));
        ref_compare_scales(&cpu, b, NULL, &cpu_fake, NULL);
        other += fake != cpu_fake;
    }
    ck_assert_int_gt(other, 1000);
    // ga/6 with the division of a CPU would be 3f
    ck_assert_int_eq(classify(QP_NVFP4_STATIC, QP_ENGINE_TORCH_CUDA, 0x3fe00000, 0x3be80000), REF_SCALE_SAME);
    const ref_spec s = {.format = QP_NVFP4_STATIC, .engine = QP_ENGINE_TORCH_CUDA, .global_amax = 0x3fe00000};
    uint8_t byte;
    ref_compare_scales(&s, 0x3be80000, &byte, NULL, NULL);
    ck_assert_uint_eq(byte, 0x3e);
}
END_TEST

// numerics 4.5, shapes and checkpoints 2.1: the largest scale byte is 72, E4M3 of 448 / 6.
START_TEST(w4a8_has_blocks_of_32_and_a_second_scale_of_amax_over_448) {
    const uint32_t x[66] = {[0] = 0x43e00000, [31] = 0xc3100000, [32] = 0x40c00000, [63] = 0xbfc00000};
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        const ref_spec s = {.format = QP_NVFP4_W4A8,
                            .engine = (qp_engine)e,
                            .dtype = QP_FP32,
                            .rows = 1,
                            .cols = 66,
                            .global_amax = 0x43e00000};
        uint32_t values[66], again[66];
        uint8_t codes[33], scales[3];
        if (ref_unsupported(QP_OP_QUANT, s.format, s.engine) != NULL) continue;
        ref_quant(&s, 0, 1, x, codes, scales, values, NULL);
        ck_assert_uint_eq(ref_weight_scale_2(&s), 0x3f800000);
        ck_assert_uint_eq(scales[0], 0x69);       // 72
        ck_assert_uint_eq(scales[1], 0x38);       // 1
        ck_assert_uint_eq(scales[2], 0x38);       // a block of zeros
        ck_assert_uint_eq(codes[0], 0x07);        // 448 / 72 saturates
        ck_assert_uint_eq(codes[15], 0xc0);       // -144 / 72
        ck_assert_uint_eq(codes[31], 0xb0);       // -1.5
        ck_assert_uint_eq(values[0], 0x43d80000); // 432
        ref_dequant(&s, QP_FP32, 1, codes, scales, 0x3f800000, again);
        ck_assert_mem_eq(again, values, sizeof values);
    }
}
END_TEST

START_TEST(nan_takes_its_block_and_padding_is_quantized_as_zero) {
    const uint32_t x[19] = {[0] = 0x3f800000, [16] = 0x7fc00000, [17] = 0xbf800000, [18] = 0xff800000};
    uint32_t y[19], values[19];
    uint8_t codes[10], scales[2];
    const ref_spec s = {
        .format = QP_NVFP4, .dtype = QP_FP32, .rows = 1, .cols = 19, .global_amax = 0x3f800000};
    ref_quant(&s, 0, 1, x, codes, scales, values, NULL);
    ck_assert_uint_eq(scales[1], 0x7f); // torch: NaN wins in the block maximum
    ck_assert_uint_eq(codes[8], 0x77);
    ck_assert_uint_eq(codes[9], 0x77); // 0 / NaN is NaN, in the padding too
    ck_assert_uint_eq(values[17], 0x7fc00000);
    ref_fakequant(&s, 0, 1, x, y, NULL, NULL);
    ck_assert_uint_eq(y[16], y[18]); // Triton: NaN is ignored in the maximum and answers -6 S, like -Inf
    ck_assert_uint_eq(y[16] >> 31, 1);
}
END_TEST

static bool has(const uint64_t set[4], int bit) {
    return set[bit >> 6] >> (bit & 63) & 1;
}

START_TEST(coverage_counts_the_decisions_of_int8) {
    // scale one: .5 and -2.5 are ties, 127.5 and 300 lie above the highest level, -128.5 below the lowest
    const uint32_t amax = 0x42fe0000, x[9] = {0x3f000000, 0xc0200000, 0x42ff0000, 0x43960000, 0xc3008000,
                                              0x7fc00000, 0xff800000, 0x40400000, 0x40400000};
    uint32_t y[9];
    qp_coverage c = {0};
    const ref_spec s = {.format = QP_INT8, .dtype = QP_FP32, .rows = 1, .cols = 9, .amax = &amax};
    ref_fakequant(&s, 0, 1, x, y, NULL, &c);
    ck_assert_uint_eq(c.n_elems, 9);
    ck_assert_uint_eq(c.n_code_ties, 2);
    ck_assert_uint_eq(c.n_saturated, 4);
    ck_assert_uint_eq(c.n_nan, 1);
    ck_assert_uint_eq(c.n_inf, 1);
    ck_assert_uint_eq(c.n_zero_blocks, 0);
    ck_assert_int_eq(qp_coverage_bits(c.codes), 5); // 0, -2, 127, -128, 3
    ck_assert(has(c.codes, 0) && has(c.codes, 0xfe) && has(c.codes, 127) && has(c.codes, 128) &&
              has(c.codes, 3));
}
END_TEST

START_TEST(coverage_counts_the_decisions_of_fp8) {
    // scale one: 17 is a tie, 2^-10 a tie of subnormals that goes to zero, 449 and -Inf saturate, 2^-9 is
    // subnormal
    const uint32_t amax[2] = {0x43e00000, 0}, x[2][4] = {{0x41880000, 0x3a800000, 0x43e08000, 0xff800000},
                                                         {0x3b000000, 0x7fc00000, 0x3f800000, 0}};
    uint32_t y[8];
    qp_coverage c = {0};
    const ref_spec s = {.format = QP_FP8_AXIS0, .dtype = QP_FP32, .rows = 2, .cols = 4, .amax = amax};
    ref_fakequant(&s, 0, 2, x, y, NULL, &c);
    ck_assert_uint_eq(c.n_elems, 8);
    ck_assert_uint_eq(c.n_code_ties, 2);
    ck_assert_uint_eq(c.n_saturated, 2);
    ck_assert_uint_eq(c.n_zero_blocks, 1);
    ck_assert_uint_eq(c.n_nan, 1);
    ck_assert(has(c.codes, 0x58) && has(c.codes, 0) && has(c.codes, 0x7e) && has(c.codes, 0xfe) &&
              has(c.codes, 0x7f));
    ck_assert_uint_eq(c.n_subnormal, 0); // the zero row has scale 448, so 2^-9 is normal there
}
END_TEST

START_TEST(coverage_counts_the_decisions_of_nvfp4) {
    // 2688 makes weight_scale_2 one; block amax 6 * 17 puts the scale on a tie of E4M3 (16), 0 is a zero
    // block
    const uint32_t amax[3] = {0x40c00000, 0x42cc0000, 0};
    uint32_t x[48] = {0x40c00000, 0x3f400000, 0xbe800000, 0x3f000000, 0x40e00000}, y[48];
    uint8_t codes[24], scales[3];
    qp_coverage fake = {0}, pack = {0};
    const ref_spec s = {.format = QP_NVFP4_STATIC,
                        .dtype = QP_FP32,
                        .rows = 1,
                        .cols = 48,
                        .amax = amax,
                        .global_amax = 0x45280000};
    ref_fakequant(&s, 0, 1, x, y, NULL, &fake);
    ref_quant(&s, 0, 1, x, codes, scales, NULL, &pack);
    const qp_coverage *both[] = {&fake, &pack};
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(both[i]->n_elems, 48);
        ck_assert_uint_eq(both[i]->n_code_ties, 2); // .75, .25
        ck_assert_uint_eq(both[i]->n_saturated, 1); // 7
        ck_assert_uint_eq(both[i]->n_subnormal, 1); // .5
        ck_assert_uint_eq(both[i]->n_scale_ties, 1);
        ck_assert_uint_eq(both[i]->n_zero_blocks, 1);
        ck_assert(has(both[i]->scale_bytes, 0x38) && has(both[i]->scale_bytes, 0x58));
        ck_assert(has(both[i]->codes, 7) && has(both[i]->codes, 2) && has(both[i]->codes, 1) &&
                  has(both[i]->codes, 0));
    }
    ck_assert(has(fake.scale_bytes, 0) &&
              qp_coverage_bits(pack.scale_bytes) == 2);   // the zero block: 0 against 1
    ck_assert(!has(fake.codes, 8) && has(pack.codes, 8)); // a negative value that rounds to zero
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    Suite *s = suite_create("reference nvfp4");
    TCase *t = tcase_create("nvfp4");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, each_class_of_a_scale_difference_has_its_example);
    tcase_add_test(t, no_scale_difference_is_left_unexplained);
    tcase_add_loop_test(t, with_its_own_scales_fakequant_equals_dequantized_pack, QP_BF16, QP_FP32 + 1);
    tcase_add_test(t, the_packed_byte_and_scale_of_compare_scales_are_those_of_quant);
    tcase_add_test(t, blocks_of_another_length_use_their_own_scales);
    tcase_add_test(t, torch_cuda_divides_by_numbers_through_their_reciprocals);
    tcase_add_test(t, w4a8_has_blocks_of_32_and_a_second_scale_of_amax_over_448);
    tcase_add_test(t, nan_takes_its_block_and_padding_is_quantized_as_zero);
    tcase_add_test(t, coverage_counts_the_decisions_of_int8);
    tcase_add_test(t, coverage_counts_the_decisions_of_fp8);
    tcase_add_test(t, coverage_counts_the_decisions_of_nvfp4);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
