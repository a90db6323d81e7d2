// SPDX-License-Identifier: Apache-2.0
// The numbered traps of the numerics spec, each with its own hex images. Elsewhere: trap 10 in
// test_ambiguity, traps 9, 14 and 15 of the MX formats in test_mx and test_mx_pack, trap 21 beside the
// calibrators.
#include <check.h>
#include <string.h>

#include "qp/ref.h"

static uint32_t fake_one(const ref_spec *like, uint32_t x) {
    ref_spec s = *like;
    s.rows = s.cols = 1;
    unsigned char in[4], out[4];
    uint32_t bits = 0;
    ref_store_f32(s.dtype, in, 0, x);
    ref_fakequant(&s, 0, 1, in, out, NULL, NULL);
    memcpy(&bits, out, qp_dtype_bytes(s.dtype));
    return bits;
}

static uint32_t int8(qp_engine e, uint32_t amax, uint32_t x) {
    const ref_spec s = {.format = QP_INT8, .engine = e, .dtype = QP_FP32, .amax = &amax};
    return fake_one(&s, x);
}

static uint32_t fp8(qp_engine e, uint32_t amax, uint32_t x) {
    const ref_spec s = {.format = QP_FP8_E4M3, .engine = e, .dtype = QP_FP32, .amax = &amax};
    return fake_one(&s, x);
}

// One block whose first element is x and whose others are zero.
static uint32_t nvfp4(qp_format f, qp_engine e, uint32_t ga, uint32_t b, uint32_t x, uint32_t *scale) {
    const ref_spec s = {
        .format = f, .engine = e, .dtype = QP_FP32, .rows = 1, .cols = 16, .amax = &b, .global_amax = ga};
    uint32_t in[16] = {x}, out[16];
    ref_fakequant(&s, 0, 1, in, out, scale, NULL);
    return out[0];
}

static uint8_t pack(qp_format f, qp_engine e, uint32_t ga, uint32_t b, uint32_t x, uint8_t *first_codes) {
    const ref_spec s = {
        .format = f, .engine = e, .dtype = QP_FP32, .rows = 1, .cols = 16, .amax = &b, .global_amax = ga};
    const uint32_t in[16] = {x};
    uint8_t codes[8], scale;
    ref_quant(&s, 0, 1, in, codes, &scale, NULL, NULL);
    if (first_codes != NULL) *first_codes = codes[0];
    return scale;
}

static uint8_t fake_byte(qp_format f, qp_engine e, uint32_t ga, uint32_t b, uint32_t x) {
    const ref_spec s = {
        .format = f, .engine = e, .dtype = QP_FP32, .rows = 1, .cols = 16, .amax = &b, .global_amax = ga};
    const uint32_t in[16] = {x};
    uint32_t out[16];
    qp_coverage cov = {0};
    ref_fakequant(&s, 0, 1, in, out, NULL, &cov);
    for (int c = 0; c < 256; c++)
        if (cov.scale_bytes[c >> 6] >> (c & 63) & 1) return (uint8_t)c;
    return 0xff;
}

static const qp_engine IEEE = QP_ENGINE_IEEE, TORCH = QP_ENGINE_TORCH_CPU, INTERP = QP_ENGINE_TRITON_INTERP,
                       CUDA = QP_ENGINE_TORCH_CUDA;
static const qp_engine element_engines[] = {QP_ENGINE_IEEE, QP_ENGINE_TORCH_CPU};
static const qp_engine nvfp4_engines[] = {QP_ENGINE_IEEE, QP_ENGINE_TRITON_INTERP};

START_TEST(trap_01_tiny_amax_boundary_torch) {
    ck_assert_uint_eq(int8(TORCH, 0x33800000, 0x33800000), 0);
    ck_assert_uint_eq(int8(TORCH, 0x33800001, 0x33800001), 0x33800001);
    ck_assert_uint_eq(int8(TORCH, 0x337fffff, 0x337fffff), 0);
    ck_assert_uint_eq(int8(TORCH, 0, 0xbf800000), 0x80000000);
    ck_assert_uint_eq(int8(TORCH, 0x33800000, 0x7f800000), 0x7fc00000);
}
END_TEST

START_TEST(trap_01_tiny_amax_boundary_ieee) {
    ck_assert_uint_eq(int8(IEEE, 0x33800000, 0x33800000), 0x33800000);
    ck_assert_uint_eq(int8(IEEE, 0x337fffff, 0x337fffff), 0);
    ck_assert_uint_eq(int8(IEEE, 0, 0xbf800000), 0);
    ck_assert_uint_eq(int8(IEEE, 0, 0x7fc00000), 0);
    ck_assert_uint_eq(int8(IEEE, 0, 0xff800000), 0);
}
END_TEST

START_TEST(trap_02_dequant_divides_by_the_scale) {
    ck_assert_uint_eq(int8(TORCH, 0x3fb45b00, 0x3fb45b00), 0x3fb45b01);
    ck_assert_uint_eq(int8(IEEE, 0x3fb45b00, 0x3fb45b00), 0x3fb45b01);
}
END_TEST

START_TEST(trap_03_multiply_by_127_over_amax) {
    const uint32_t amax = 0x3f8f0000;
    for (int i = 0; i < QP_COUNT(element_engines); i++) {
        const ref_spec s = {.format = QP_INT8, .engine = element_engines[i], .dtype = QP_BF16, .amax = &amax};
        ck_assert_uint_eq(fake_one(&s, 0x3f0f0000), 0x3f10);
        ck_assert_uint_eq(fake_one(&s, 0x3f8f0000), 0x3f8f);
        ck_assert_uint_eq(fake_one(&s, 0xbf810000), 0xbf81);
    }
}
END_TEST

START_TEST(trap_04_the_default_is_the_full_range) {
    const uint32_t amax = 0x3f800000;
    for (int i = 0; i < QP_COUNT(element_engines); i++) {
        ref_spec s = {.format = QP_INT8, .engine = element_engines[i], .dtype = QP_FP32, .amax = &amax};
        ck_assert_uint_eq(fake_one(&s, 0xbf8147ae), 0xbf810204);
        s.narrow_range = true;
        ck_assert_uint_eq(fake_one(&s, 0xbf8147ae), 0xbf800000);
    }
}
END_TEST

START_TEST(trap_05_fp8_zero_amax_acts_as_one) {
    ck_assert_uint_eq(fp8(IEEE, 0, 0x3e99999a), 0x3e924925);
    ck_assert_uint_eq(fp8(TORCH, 0, 0x3e99999a), 0x3e924925);
    ck_assert_uint_eq(fp8(TORCH, 0xbf800000, 0x3e99999a), 0x3e924925); // so does a negative one
    ck_assert_uint_eq(int8(TORCH, 0, 0x3e99999a), 0);
    ck_assert_uint_eq(int8(IEEE, 0, 0x3e99999a), 0);
}
END_TEST

START_TEST(trap_06_the_fp8_scale_is_spelled_two_ways) {
    ck_assert_uint_eq(ref_div(0x43e00000, 0x3f860000), 0x43d5f85c);                      // ieee
    ck_assert_uint_eq(ref_mul(ref_div(0x3f800000, 0x3f860000), 0x43e00000), 0x43d5f85b); // torch-cpu
    ck_assert_uint_eq(fp8(IEEE, 0x3f800032, 0x381b6df4), 0x38249289);                    // code 09
    ck_assert_uint_eq(fp8(TORCH, 0x3f800032, 0x381b6df4), 0x3812495e);                   // code 08
    ck_assert_uint_eq(fp8(CUDA, 0x3f800032, 0x381b6df4), 0x3812495e);                    // eager there too
}
END_TEST

START_TEST(trap_07_corners_of_e4m3) {
    static const struct {
        uint32_t x;
        uint8_t saturating, not_saturating;
    } rows[] = {{0x43e80000, 0x7e, 0x7e}, {0x43e80001, 0x7e, 0x7f}, {0x3a800000, 0x00, 0x00},
                {0x3a800001, 0x01, 0x01}, {0x3f880000, 0x38, 0x38}, {0x3f980000, 0x3a, 0x3a},
                {0x3c6fffff, 0x07, 0x07}, {0x3c700000, 0x08, 0x08}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        ck_assert_uint_eq(ref_e4m3_encode(rows[i].x, true), rows[i].saturating);
        ck_assert_uint_eq(ref_e4m3_encode(rows[i].x, false), rows[i].not_saturating);
        ck_assert_uint_eq(ref_e4m3_encode(rows[i].x | 0x80000000, true), rows[i].saturating | 0x80);
    }
}
END_TEST

START_TEST(trap_08_tensor_by_number_on_cuda_is_a_multiply) {
    ck_assert_uint_eq(ref_div(0x3f820000, 0x40c00000), 0x3e2d5555);
    ck_assert_uint_eq(ref_mul(0x3f820000, ref_div(0x3f800000, 0x40c00000)), 0x3e2d5556);
    // code 03 / 448: w4a8 divides its global amax by that number
    ref_spec s = {.format = QP_NVFP4_W4A8, .engine = TORCH, .global_amax = ref_e4m3_decode(3)};
    ck_assert_uint_eq(ref_weight_scale_2(&s), 0x375b6db7);
    s.engine = CUDA;
    ck_assert_uint_eq(ref_weight_scale_2(&s), 0x375b6db8);
    int other = 0; // 4.3: the two spellings of ga / 2688 part for 28 of 128 bf16 values
    for (uint32_t ga = 0x3f800000; ga < 0x40000000; ga += 0x10000) {
        ref_spec cpu = {.format = QP_NVFP4, .engine = TORCH, .global_amax = ga}, cuda = cpu;
        cuda.engine = CUDA;
        other += ref_weight_scale_2(&cpu) != ref_weight_scale_2(&cuda);
    }
    ck_assert_int_eq(other, 28);
}
END_TEST

START_TEST(trap_09_ties_and_signs_of_e2m1) {
    static const struct {
        uint32_t x;
        uint8_t nibble;
    } rows[] = {{0x3f400000, 2}, {0x3fe00000, 4}, {0x40600000, 6}, {0x3e800000, 0}, {0x3fa00000, 2},
                {0x40200000, 4}, {0x40a00000, 6}, {0x80000000, 8}, {0xbe800000, 8}, {0xbf400000, 10}};
    for (int i = 0; i < QP_COUNT(rows); i++) ck_assert_uint_eq(ref_e2m1_encode(rows[i].x), rows[i].nibble);
    uint8_t code = 0xff;
    // 2688 makes weight_scale_2 one; b = 6 makes the block scale one
    ck_assert_uint_eq(pack(QP_NVFP4_STATIC, TORCH, 0x45280000, 0x40c00000, 0x80000000, &code), 0x38);
    ck_assert_uint_eq(code & 15, 0); // -0 loses its sign in the packed tensor
    pack(QP_NVFP4_STATIC, TORCH, 0x45280000, 0x40c00000, 0xbe800000, &code);
    ck_assert_uint_eq(code & 15, 8); // a negative value that rounds to zero keeps it
    for (int i = 0; i < QP_COUNT(nvfp4_engines); i++) {
        uint32_t scale;
        ck_assert_uint_eq(
            nvfp4(QP_NVFP4_STATIC, nvfp4_engines[i], 0x45280000, 0x40c00000, 0xbe800000, &scale), 0);
        ck_assert_uint_eq(
            nvfp4(QP_NVFP4_STATIC, nvfp4_engines[i], 0x45280000, 0x40c00000, 0x80000000, &scale), 0);
    }
}
END_TEST

START_TEST(trap_11_the_1e_5_rule_is_absolute) {
    uint32_t scale = 0;
    for (int i = 0; i < QP_COUNT(nvfp4_engines); i++) {
        ck_assert_uint_eq(nvfp4(QP_NVFP4, nvfp4_engines[i], 0x38d1b717, 0, 0x3851b717, &scale), 0);
        ck_assert_uint_eq(scale, 0x3f800000);
        ck_assert_uint_eq(fake_byte(QP_NVFP4, nvfp4_engines[i], 0x38d1b717, 0, 0x3851b717), 0x76);
        ck_assert_uint_eq(fake_byte(QP_NVFP4_STATIC, nvfp4_engines[i], 0x38d1b717, 0x3851b717, 0x3851b717),
                          0x76);
    }
    ck_assert_uint_eq(nvfp4(QP_NVFP4_STATIC, IEEE, 0x38d1b717, 0x3851b717, 0x3851b717, &scale), 0x3851b718);
    ck_assert_uint_eq(scale, 0x370bcf65);
}
END_TEST

START_TEST(trap_12_dynamic_and_static_scales_part_at_a_midpoint_cpu) {
    uint32_t scale;
    nvfp4(QP_NVFP4, INTERP, 0x3fc40000, 0, 0x3f050000, &scale);
    ck_assert_uint_eq(scale, 0x3dbaaaaa);
    ck_assert_uint_eq(fake_byte(QP_NVFP4, INTERP, 0x3fc40000, 0, 0x3f050000), 0x72);
    nvfp4(QP_NVFP4_STATIC, INTERP, 0x3fc40000, 0x3f050000, 0x3f050000, &scale);
    ck_assert_uint_eq(scale, 0x3da80001);
    ck_assert_uint_eq(fake_byte(QP_NVFP4_STATIC, INTERP, 0x3fc40000, 0x3f050000, 0x3f050000), 0x71);
    ck_assert_uint_eq(pack(QP_NVFP4, TORCH, 0x3fc40000, 0, 0x3f050000, NULL), 0x72);
    ck_assert_uint_eq(pack(QP_NVFP4_STATIC, TORCH, 0x3fc40000, 0x3f050000, 0x3f050000, NULL), 0x71);
}
END_TEST

START_TEST(trap_12_dynamic_and_static_scales_part_at_a_midpoint_cuda) {
    const uint32_t ga = 0x3fc40000, b = 0x3f050000;
    uint32_t fake;
    uint8_t byte;
    const ref_spec dynamic = {.format = QP_NVFP4, .engine = CUDA, .global_amax = ga},
                   fixed = {.format = QP_NVFP4_STATIC, .engine = CUDA, .global_amax = ga};
    ref_compare_scales(&dynamic, b, &byte, &fake, NULL);
    ck_assert_uint_eq(byte, 0x71);
    ck_assert_uint_eq(fake, 0x3da80001);
    ref_compare_scales(&fixed, b, &byte, &fake, NULL);
    ck_assert_uint_eq(byte, 0x72);
    ck_assert_uint_eq(fake, 0x3dbaaaac);
    ck_assert_uint_eq(pack(QP_NVFP4, CUDA, ga, 0, b, NULL), 0x71);
    ck_assert_uint_eq(pack(QP_NVFP4_STATIC, CUDA, ga, b, b, NULL), 0x72);
    // the quotients before the cast, one step apart
    const uint32_t sixth = ref_div(0x3f800000, 0x40c00000), g = ref_mul(ga, 0x39c30c31);
    ck_assert_uint_eq(ref_div(b, ref_mul(0x40c00000, g)), 0x4317ffff);
    ck_assert_uint_eq(ref_mul(ref_mul(b, sixth), ref_div(0x43e00000, ref_mul(ga, sixth))), 0x43180000);
}
END_TEST

START_TEST(trap_13_dequant_multiplies_scale_by_scale_first) {
    const uint8_t codes[8] = {0x07}, scale = 0x7b;
    uint32_t fp32[16];
    uint16_t bf16[16];
    const ref_spec torch = {.format = QP_NVFP4, .engine = TORCH, .rows = 1, .cols = 16},
                   ieee = {.format = QP_NVFP4, .engine = IEEE, .rows = 1, .cols = 16};
    ref_dequant(&torch, QP_FP32, 1, codes, &scale, 0x3a3aaaab, fp32);
    ref_dequant(&ieee, QP_BF16, 1, codes, &scale, 0x3a3aaaab, bf16);
    ck_assert_uint_eq(fp32[0], 0x3fc08001);
    ck_assert_uint_eq(bf16[0], 0x3fc1);
    ck_assert_uint_eq(fp32[1], 0);
}
END_TEST

START_TEST(trap_15_zero_and_underflowing_scales) {
    uint32_t scale;
    uint8_t code = 0;
    ck_assert_uint_eq(nvfp4(QP_NVFP4, IEEE, 0x3f800000, 0, 0x358637bd, &scale), 0); // 1e-6 in a tensor of 1
    ck_assert_uint_eq(fake_byte(QP_NVFP4, IEEE, 0x3f800000, 0, 0x358637bd), 0x00);
    ck_assert_uint_eq(pack(QP_NVFP4, TORCH, 0x3f800000, 0, 0x358637bd, &code), 0x01);
    ck_assert_uint_eq(code, 0x03);
    ck_assert_uint_eq(pack(QP_NVFP4, TORCH, 0x3f800000, 0, 0, NULL), 0x38); // zero block, dynamic
    ck_assert_uint_eq(pack(QP_NVFP4_STATIC, TORCH, 0x3c23d70a, 0, 0, NULL),
                      0x7e); // zero block, static, ga = .01
}
END_TEST

// On compute capability 8.9 Triton truncates to fp16 before it rounds to E4M3: 13 bits fewer in this binade.
START_TEST(trap_16_truncating_to_fp16_first_loses_what_breaks_a_tie) {
    ck_assert_uint_eq(ref_e4m3_encode(0x3f880001, true), 0x39);
    ck_assert_uint_eq(ref_e4m3_encode(0x3f880001 & ~0x1fffu, true), 0x38);
    int other = 0;
    for (uint32_t x = 0x3f800000; x < 0x40000000; x++)
        other += ref_e4m3_encode(x, true) != ref_e4m3_encode(x & ~0x1fffu, true);
    ck_assert_int_eq(other, 32764);
}
END_TEST

static uint32_t clip_bf16(qp_engine e, bool amax_0d) {
    const uint32_t amax = 0x3f80c000;
    const uint16_t x = 0x3f81, grad = 0x3f80;
    uint16_t g = 0xffff;
    const ref_spec s = {.format = QP_INT8,
                        .engine = e,
                        .dtype = QP_BF16,
                        .rows = 1,
                        .cols = 1,
                        .amax = &amax,
                        .amax_dtype = QP_FP32,
                        .amax_0d = amax_0d};
    ref_backward(&s, QP_BWD_CLIP, 0, 1, &x, &grad, &g);
    return g;
}

START_TEST(trap_17_a_0_dim_amax_is_compared_in_the_type_of_x) {
    ck_assert_uint_eq(clip_bf16(TORCH, true), 0x3f80);
    ck_assert_uint_eq(clip_bf16(TORCH, false), 0);
    ck_assert_uint_eq(clip_bf16(IEEE, true), 0); // fp32 compare
    ck_assert_uint_eq(clip_bf16(CUDA, true), 0x3f80);
    ck_assert_uint_eq(clip_bf16(CUDA, false), 0);
}
END_TEST

static uint8_t int4_nibble(qp_engine e, uint16_t u) {
    const uint32_t seven = 0x40e00000; // the scale is one in bf16
    const uint16_t x[2] = {0x40e0, u};
    uint16_t scale;
    uint8_t code;
    const ref_spec s = {
        .format = QP_INT4_BLOCK, .engine = e, .dtype = QP_BF16, .rows = 1, .cols = 2, .amax = &seven};
    ref_quant(&s, 0, 1, x, &code, &scale, NULL, NULL);
    ck_assert_uint_eq(scale, 0x3f80);
    return code & 15;
}

START_TEST(trap_18_int4_ties_and_the_8_that_is_added_in_bf16) {
    ck_assert_uint_eq(int4_nibble(TORCH, 0x3f00), 8);
    ck_assert_uint_eq(int4_nibble(CUDA, 0x3f00), 9);
    ck_assert_uint_eq(int4_nibble(TORCH, 0x3eff), 8); // .498 + 8 rounds to 8.5
    ck_assert_uint_eq(int4_nibble(CUDA, 0x3eff), 9);
}
END_TEST

START_TEST(trap_20_a_bf16_scale_and_quotient_round_twice) {
    const uint32_t amax = 0x3f800000, scale = ref_div(amax, 0x43e00000);
    const uint16_t x[2] = {0x3f80, 0x3c2d};
    uint16_t bf16_scale;
    uint8_t codes[2];
    ref_spec s = {
        .format = QP_FP8_E4M3, .engine = TORCH, .dtype = QP_BF16, .rows = 1, .cols = 2, .amax = &amax};
    ref_quant(&s, 0, 1, x, codes, &bf16_scale, NULL, NULL);
    ck_assert_uint_eq(bf16_scale, 0x3b12);
    const uint32_t quotient = ref_div(0x3c2d0000, 0x3b120000);
    ck_assert_uint_eq(ref_from_f32(QP_BF16, quotient), 0x4098);
    ck_assert_uint_eq(codes[1], 0x4a);
    s.format = QP_FP8_EXPORT;
    s.scale = &scale;
    ref_quant(&s, 0, 1, x, codes, NULL, NULL, NULL);
    ck_assert_uint_eq(codes[1], 0x49);
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference traps");
    TCase *t = tcase_create("traps");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, trap_01_tiny_amax_boundary_torch);
    tcase_add_test(t, trap_01_tiny_amax_boundary_ieee);
    tcase_add_test(t, trap_02_dequant_divides_by_the_scale);
    tcase_add_test(t, trap_03_multiply_by_127_over_amax);
    tcase_add_test(t, trap_04_the_default_is_the_full_range);
    tcase_add_test(t, trap_05_fp8_zero_amax_acts_as_one);
    tcase_add_test(t, trap_06_the_fp8_scale_is_spelled_two_ways);
    tcase_add_test(t, trap_07_corners_of_e4m3);
    tcase_add_test(t, trap_08_tensor_by_number_on_cuda_is_a_multiply);
    tcase_add_test(t, trap_09_ties_and_signs_of_e2m1);
    tcase_add_test(t, trap_11_the_1e_5_rule_is_absolute);
    tcase_add_test(t, trap_12_dynamic_and_static_scales_part_at_a_midpoint_cpu);
    tcase_add_test(t, trap_12_dynamic_and_static_scales_part_at_a_midpoint_cuda);
    tcase_add_test(t, trap_13_dequant_multiplies_scale_by_scale_first);
    tcase_add_test(t, trap_15_zero_and_underflowing_scales);
    tcase_add_test(t, trap_16_truncating_to_fp16_first_loses_what_breaks_a_tie);
    tcase_add_test(t, trap_17_a_0_dim_amax_is_compared_in_the_type_of_x);
    tcase_add_test(t, trap_18_int4_ties_and_the_8_that_is_added_in_bf16);
    tcase_add_test(t, trap_20_a_bf16_scale_and_quotient_round_twice);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
