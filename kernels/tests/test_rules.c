// SPDX-License-Identifier: Apache-2.0
// The traps of the numerics spec that concern these kernels, with their hex, on cpu and simt: rules that a
// plausible kernel gets wrong. One launch of one small tensor each.
#include "tests/kit.h"

typedef struct answer {
    uint32_t y[16];
    uint8_t codes[8], scales[1];
    uint32_t weight_scale_2;
} answer;

static qp_kernel_fn kernels_of(qp_device_kind d, qp_op op, qp_format f) {
    qp_kernel_fn fn = kit_kernel(d, op, f);
    ck_assert(fn != NULL);
    return fn;
}

// One fp32 row of n <= 16 elements; amax and global as images.
static answer ask(qp_device_kind d, qp_op op, qp_format f, bool narrow, const uint32_t *x, int n,
                  uint32_t amax, uint32_t global) {
    answer a;
    memset(&a, 0xee, sizeof a);
    float xs[16], m = kit_float(amax), g = kit_float(global), ws2;
    memcpy(xs, x, (size_t)n * 4);
    qp_ktensor t = {.rows = 1,
                    .cols = n,
                    .ld = n,
                    .x = xs,
                    .grad = xs,
                    .y = a.y,
                    .amax = &m,
                    .global_amax = &g,
                    .codes = a.codes,
                    .scales = a.scales,
                    .weight_scale_2 = &ws2};
    qp_launch l = {.op = op,
                   .format = f,
                   .dtype = QP_FP32,
                   .narrow_range = narrow,
                   .bwd = QP_BWD_CLIP,
                   .n_tensors = 1,
                   .tensors = &t};
    qp_err err = {0};
    ck_assert_msg(kernels_of(d, op, f)(&l, &err) == QP_OK, "%s", err.msg);
    if (op == QP_OP_QUANT) a.weight_scale_2 = kit_bits(ws2);
    return a;
}

static uint32_t one(qp_device_kind d, qp_format f, bool narrow, uint32_t x, uint32_t amax, uint32_t global) {
    return ask(d, QP_OP_FAKEQUANT, f, narrow, &x, 1, amax, global).y[0];
}

#define DEVICE_OR_RETURN(name)                                                                               \
    qp_device_kind d = (qp_device_kind)_i;                                                                   \
    if (d == QP_DEVICE_SIMT && kit_no_simt(name)) return

START_TEST(trap_1_int8_tiny_amax_is_strict_and_gives_plus_zero) {
    DEVICE_OR_RETURN("trap_1_int8_tiny_amax_is_strict_and_gives_plus_zero");
    ck_assert_uint_eq(one(d, QP_INT8, false, 0x33800000, 0x33800000, 0), 0x33800000);
    ck_assert_uint_eq(one(d, QP_INT8, false, 0x337fffff, 0x337fffff, 0), 0);
    ck_assert_uint_eq(one(d, QP_INT8, false, 0xbf800000, 0, 0), 0);
    ck_assert_uint_eq(one(d, QP_INT8, false, 0x7fc00000, 0, 0), 0);
}
END_TEST

START_TEST(trap_2_int8_divides_by_the_scale_again) {
    DEVICE_OR_RETURN("trap_2_int8_divides_by_the_scale_again");
    ck_assert_uint_eq(one(d, QP_INT8, false, 0x3fb45b00, 0x3fb45b00, 0), 0x3fb45b01);
}
END_TEST

START_TEST(trap_3_int8_multiplies_by_127_over_amax) {
    DEVICE_OR_RETURN("trap_3_int8_multiplies_by_127_over_amax");
    uint16_t x[3] = {0x3f8f, 0x3f0f, 0xbf81}, y[3];
    float amax = kit_float(0x3f8f0000);
    qp_ktensor t = {.rows = 1, .cols = 3, .ld = 3, .x = x, .y = y, .amax = &amax};
    qp_launch l = {.op = QP_OP_FAKEQUANT, .format = QP_INT8, .dtype = QP_BF16, .n_tensors = 1, .tensors = &t};
    ck_assert_int_eq(kernels_of(d, QP_OP_FAKEQUANT, QP_INT8)(&l, NULL), QP_OK);
    ck_assert(y[0] == 0x3f8f && y[1] == 0x3f10 && y[2] == 0xbf81);
}
END_TEST

START_TEST(trap_4_int8_full_range_has_minus_128) {
    DEVICE_OR_RETURN("trap_4_int8_full_range_has_minus_128");
    ck_assert_uint_eq(one(d, QP_INT8, false, 0xbf8147ae, 0x3f800000, 0), 0xbf810204);
    ck_assert_uint_eq(one(d, QP_INT8, true, 0xbf8147ae, 0x3f800000, 0), 0xbf800000);
    ck_assert_uint_eq(one(d, QP_INT8, false, 0x3f8147ae, 0x3f800000, 0), 0x3f800000);
}
END_TEST

START_TEST(traps_5_and_6_fp8_zero_amax_is_one_and_448_over_amax_is_one_division) {
    DEVICE_OR_RETURN("traps_5_and_6_fp8_zero_amax_is_one_and_448_over_amax_is_one_division");
    ck_assert_uint_eq(one(d, QP_FP8_E4M3, false, 0x3e99999a, 0, 0), 0x3e924925);
    ck_assert_uint_eq(one(d, QP_FP8_E4M3, false, 0x381b6df4, 0x3f800032, 0), 0x38249289);
    ck_assert_uint_eq(one(d, QP_FP8_AXIS0, false, 0x381b6df4, 0x3f800032, 0), 0x38249289);
    ck_assert_uint_eq(one(d, QP_FP8_E4M3, false, 0xffc00000, 0x3f800000, 0), 0x7fc00000);
}
END_TEST

START_TEST(trap_11_the_1e_5_rule_is_absolute_and_dynamic_only) {
    DEVICE_OR_RETURN("trap_11_the_1e_5_rule_is_absolute_and_dynamic_only");
    ck_assert_uint_eq(one(d, QP_NVFP4, false, 0x3851b717, 0, 0x38d1b717), 0);
    ck_assert_uint_eq(one(d, QP_NVFP4_STATIC, false, 0x3851b717, 0x3851b717, 0x38d1b717), 0x3851b718);
}
END_TEST

START_TEST(trap_12_dynamic_and_static_scales_part_at_a_midpoint) {
    DEVICE_OR_RETURN("trap_12_dynamic_and_static_scales_part_at_a_midpoint");
    // 6 * S: dynamic code 72, S 3dbaaaaa; pack's static code 71.
    uint32_t x = 0x3f050000;
    ck_assert_uint_eq(one(d, QP_NVFP4, false, x, 0, 0x3fc40000), kit_bits(6.0f * kit_float(0x3dbaaaaa)));
    ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_NVFP4, false, &x, 1, x, 0x3fc40000).scales[0], 0x72);
    ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_NVFP4_STATIC, false, &x, 1, x, 0x3fc40000).scales[0], 0x71);
}
END_TEST

START_TEST(traps_9_and_19_zeros_and_nans_of_nvfp4) {
    DEVICE_OR_RETURN("traps_9_and_19_zeros_and_nans_of_nvfp4");
    uint32_t x[16] = {0x40c00000, 0x80000000, 0xb0000000, 0x7fc00000,
                      0x3e800000, 0xbf400000, 0x3fe00000, 0xff800000};
    answer a = ask(d, QP_OP_FAKEQUANT, QP_NVFP4_STATIC, false, x, 16, 0x40c00000, 0x40c00000); // S = 1
    static const uint32_t want[] = {0x40c00000, 0, 0, 0xc0c00000, 0, 0xbf800000, 0x40000000, 0xc0c00000};
    for (int i = 0; i < QP_COUNT(want); i++)
        ck_assert_msg(a.y[i] == want[i], "%d: %08x", i, (unsigned)a.y[i]);
    // Pack with scale 1: -0 is nibble 0, a negative that rounds to zero 8, NaN 7.
    answer q = ask(d, QP_OP_QUANT, QP_NVFP4_STATIC, false, x, 16, 0x40c00000, 0x45280000);
    ck_assert(q.scales[0] == 0x38 && q.weight_scale_2 == 0x3f800000);
    static const uint8_t codes[] = {0x07, 0x78, 0xa0, 0xf4};
    ck_assert_mem_eq(q.codes, codes, sizeof codes);
}
END_TEST

START_TEST(trap_13_dequant_multiplies_the_scales_first_and_entry_8_is_plus_zero) {
    DEVICE_OR_RETURN("trap_13_dequant_multiplies_the_scales_first_and_entry_8_is_plus_zero");
    uint8_t codes[1] = {0x87}, scales[1] = {0x7b};
    float ws2 = kit_float(0x3a3aaaab);
    uint32_t y[2];
    qp_ktensor t = {
        .rows = 1, .cols = 2, .ld = 2, .y = y, .codes = codes, .scales = scales, .weight_scale_2 = &ws2};
    qp_launch l = {.op = QP_OP_DEQUANT, .format = QP_NVFP4, .dtype = QP_FP32, .n_tensors = 1, .tensors = &t};
    ck_assert_int_eq(kernels_of(d, QP_OP_DEQUANT, QP_NVFP4)(&l, NULL), QP_OK);
    ck_assert(y[0] == 0x3fc08001 && y[1] == 0);
}
END_TEST

START_TEST(trap_15_pack_lifts_an_underflowing_scale_and_gives_zero_blocks_one) {
    DEVICE_OR_RETURN("trap_15_pack_lifts_an_underflowing_scale_and_gives_zero_blocks_one");
    uint32_t x = kit_bits(1e-6f), zero = 0;
    ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_NVFP4, false, &x, 1, 0, 0x3f800000).scales[0], 0x01);
    ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_NVFP4, false, &zero, 1, 0, 0x3f800000).scales[0], 0x38);
    ck_assert_uint_eq(ask(d, QP_OP_QUANT, QP_NVFP4_STATIC, false, &zero, 1, 0, kit_bits(.01f)).scales[0],
                      0x7e);
    ck_assert_uint_eq(one(d, QP_NVFP4, false, x, 0, 0x3f800000), 0);
}
END_TEST

START_TEST(trap_17_the_clip_mask_compares_in_fp32) {
    DEVICE_OR_RETURN("trap_17_the_clip_mask_compares_in_fp32");
    uint16_t x[4] = {0x3f81, 0x3f80, 0xbf80, 0x7fc0}, g[4] = {0x4000, 0xc000, 0x7fc1, 0x3f80}, y[4];
    float amax = kit_float(0x3f80c000);
    qp_ktensor t = {.rows = 1, .cols = 4, .ld = 4, .x = x, .grad = g, .y = y, .amax = &amax};
    qp_launch l = {.op = QP_OP_BACKWARD,
                   .format = QP_INT8,
                   .dtype = QP_BF16,
                   .bwd = QP_BWD_CLIP,
                   .n_tensors = 1,
                   .tensors = &t};
    ck_assert_int_eq(kernels_of(d, QP_OP_BACKWARD, QP_INT8)(&l, NULL), QP_OK);
    ck_assert(y[0] == 0 && y[1] == 0xc000 && y[2] == 0x7fc1 &&
              y[3] == 0); // bits of the gradient pass untouched
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel rules");
    TCase *c = tcase_create("traps");
    tcase_set_timeout(c, 60);
    const int from = QP_DEVICE_CPU, to = QP_DEVICE_SIMT + 1;
    tcase_add_loop_test(c, trap_1_int8_tiny_amax_is_strict_and_gives_plus_zero, from, to);
    tcase_add_loop_test(c, trap_2_int8_divides_by_the_scale_again, from, to);
    tcase_add_loop_test(c, trap_3_int8_multiplies_by_127_over_amax, from, to);
    tcase_add_loop_test(c, trap_4_int8_full_range_has_minus_128, from, to);
    tcase_add_loop_test(c, traps_5_and_6_fp8_zero_amax_is_one_and_448_over_amax_is_one_division, from, to);
    tcase_add_loop_test(c, trap_11_the_1e_5_rule_is_absolute_and_dynamic_only, from, to);
    tcase_add_loop_test(c, trap_12_dynamic_and_static_scales_part_at_a_midpoint, from, to);
    tcase_add_loop_test(c, traps_9_and_19_zeros_and_nans_of_nvfp4, from, to);
    tcase_add_loop_test(c, trap_13_dequant_multiplies_the_scales_first_and_entry_8_is_plus_zero, from, to);
    tcase_add_loop_test(c, trap_15_pack_lifts_an_underflowing_scale_and_gives_zero_blocks_one, from, to);
    tcase_add_loop_test(c, trap_17_the_clip_mask_compares_in_fp32, from, to);
    suite_add_tcase(s, c);
    return kit_main(s);
}
