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

START_TEST(int4_has_levels_from_minus_8_to_7) {
    DEVICE_OR_RETURN("int4_has_levels_from_minus_8_to_7");
    static const qp_format formats[] = {QP_INT4, QP_INT4_AXIS0, QP_INT4_BLOCK};
    for (int f = 0; f < QP_COUNT(formats); f++) {
        // amax 7: scale 1.
        ck_assert_uint_eq(one(d, formats[f], false, 0xc1100000, 0x40e00000, 0), 0xc1000000);
        ck_assert_uint_eq(one(d, formats[f], true, 0xc1100000, 0x40e00000, 0), 0xc0e00000);
        ck_assert_uint_eq(one(d, formats[f], false, 0x41100000, 0x40e00000, 0), 0x40e00000);
        ck_assert_uint_eq(one(d, formats[f], false, 0x3f000000, 0x40e00000, 0), 0);          // tie to even
        ck_assert_uint_eq(one(d, formats[f], false, 0xbf000000, 0x40e00000, 0), 0x80000000); // -0
        ck_assert_uint_eq(one(d, formats[f], false, 0xbf800000, 0, 0), 0);                   // tiny amax
    }
}
END_TEST

enum { ROWS = 130, COLS = 259 };

// Which amax an element has: one, its row's, its block's or that of its block of 128 x 128. Every amax is
// another power of two, and x is so large that every element saturates to its own.
START_TEST(every_element_has_the_amax_of_its_grain) {
    DEVICE_OR_RETURN("every_element_has_the_amax_of_its_grain");
    static const struct {
        qp_format f;
        int n_amax;
    } rows[] = {{QP_INT8, 1},          {QP_INT4, 1},         {QP_FP8_E4M3, 1},          {QP_INT8_AXIS0, ROWS},
                {QP_INT4_AXIS0, ROWS}, {QP_FP8_AXIS0, ROWS}, {QP_INT4_BLOCK, ROWS * 3}, {QP_FP8_BLOCK2D, 6}};
    static float x[ROWS * COLS], y[ROWS * COLS], amax[ROWS * 3];
    for (int i = 0; i < ROWS * COLS; i++) x[i] = 1e30f;
    for (int i = 0; i < ROWS * 3; i++) amax[i] = kit_float((uint32_t)(110 + i % 50) << 23);
    for (int r = 0; r < QP_COUNT(rows); r++) {
        const qp_format_row *f = qp_format_get(rows[r].f);
        qp_ktensor t = {.rows = ROWS, .cols = COLS, .ld = COLS, .x = x, .y = y, .amax = amax, .grad = x};
        qp_launch l = {
            .format = rows[r].f, .dtype = QP_FP32, .bwd = QP_BWD_CLIP, .n_tensors = 1, .tensors = &t};
        qp_err err = {0};
        l.op = QP_OP_FAKEQUANT;
        ck_assert_msg(kernels_of(d, l.op, l.format)(&l, &err) == QP_OK, "%s", err.msg);
        int n_wrong = 0;
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLS; j++) {
                int at = f->grain == QP_GRAIN_TENSOR  ? 0
                         : f->grain == QP_GRAIN_AXIS0 ? i
                         : f->grain == QP_GRAIN_BLOCK ? i * 3 + j / 128
                                                      : i / 128 * 3 + j / 128;
                ck_assert_int_lt(at, rows[r].n_amax);
                n_wrong += y[i * COLS + j] != amax[at];
            }
        ck_assert_msg(n_wrong == 0, "%s: %d elements", f->name, n_wrong);
        // The mask of the gradient takes the same: passes at amax, not one step above it.
        for (int above = 0; above < 2; above++) {
            static float at_amax[ROWS * COLS];
            for (int i = 0; i < ROWS * COLS; i++) at_amax[i] = kit_float(kit_bits(y[i]) + (uint32_t)above);
            qp_ktensor b = t;
            static float g[ROWS * COLS];
            b.x = at_amax;
            b.y = g;
            l.op = QP_OP_BACKWARD;
            l.tensors = &b;
            ck_assert_msg(kernels_of(d, l.op, l.format)(&l, &err) == QP_OK, "%s", err.msg);
            for (int i = 0; i < ROWS * COLS; i++) n_wrong += g[i] != (above ? 0.0f : 1e30f);
            ck_assert_msg(n_wrong == 0, "%s backward: %d elements", f->name, n_wrong);
            l.tensors = &t;
        }
    }
}
END_TEST

START_TEST(amax_of_every_grain_is_exact_and_a_nan_wins_in_its_own_grain_only) {
    DEVICE_OR_RETURN("amax_of_every_grain_is_exact_and_a_nan_wins_in_its_own_grain_only");
    static float x[ROWS * COLS], out[ROWS * 20];
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        const qp_format_row *row = qp_format_get((qp_format)f);
        const kit_sizes z = kit_sizes_of((qp_format)f, QP_FP32, ROWS, COLS);
        int64_t nb = row->block_cols > 0 ? (COLS + row->block_cols - 1) / row->block_cols : 1;
        static uint32_t want[ROWS * 20];
        memset(want, 0, sizeof want);
        for (int i = 0; i < ROWS * COLS; i++) {
            uint64_t h = kit_mix((uint64_t)i);
            x[i] = kit_float((uint32_t)h & 0xbfffffffu);
            if (i == 129 * COLS + 200) x[i] = kit_float(0xffc00001);
            int r = i / COLS, c = i % COLS;
            int64_t at = z.n_amax == 1                    ? 0
                         : row->grain == QP_GRAIN_AXIS0   ? r
                         : row->grain == QP_GRAIN_BLOCK2D ? r / 128 * nb + c / 128
                                                          : r * nb + c / row->block_cols;
            uint32_t a = kit_bits(x[i]) & 0x7fffffffu;
            if (a > want[at]) want[at] = a;
        }
        for (int64_t k = 0; k < z.n_amax; k++) want[k] = want[k] > 0x7f800000u ? 0x7fc00000u : want[k];
        qp_ktensor t = {.rows = ROWS, .cols = COLS, .ld = COLS, .x = x, .amax_out = out};
        qp_launch l = {
            .op = QP_OP_AMAX, .format = (qp_format)f, .dtype = QP_FP32, .n_tensors = 1, .tensors = &t};
        ck_assert_int_eq(kernels_of(d, QP_OP_AMAX, (qp_format)f)(&l, NULL), QP_OK);
        ck_assert_msg(memcmp(out, want, (size_t)z.n_amax * 4) == 0, "%s", row->name);
    }
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
    tcase_add_loop_test(c, int4_has_levels_from_minus_8_to_7, from, to);
    tcase_add_loop_test(c, every_element_has_the_amax_of_its_grain, from, to);
    tcase_add_loop_test(c, amax_of_every_grain_is_exact_and_a_nan_wins_in_its_own_grain_only, from, to);
    suite_add_tcase(s, c);
    return kit_main(s);
}
