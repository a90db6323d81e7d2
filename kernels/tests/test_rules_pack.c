// SPDX-License-Identifier: Apache-2.0
// The rules of packed tensors with their hex, on cpu and simt: INT8 and FP8 with scales in the type of x,
// INT4 in both dialects, NF4, and what torch on CUDA spells differently (numerics 2.6, 4.5, 5.4-5.7).
#include "tests/kit.h"

enum { N = 16 };

// One launch over a small tensor; every field is there.
typedef struct packed {
    uint8_t codes[4 * N], i8[4];
    uint32_t x[4 * N], y[4 * N], amax[4], scale[4], global, ws2;
    uint32_t scales[4]; // images of the type, or bytes
    qp_ktensor t;
} packed;

#define DEVICE_OR_RETURN(name)                                                                               \
    qp_device_kind d = (qp_device_kind)_i;                                                                   \
    if (d == QP_DEVICE_SIMT && kit_no_simt(name)) return

static void run(qp_device_kind d, qp_op op, qp_format f, qp_engine e, qp_dtype type, packed *p, int rows,
                int cols) {
    union { // the fields are images; the contract has floats
        uint32_t *image;
        float *value;
    } amax = {p->amax}, scale = {p->scale}, global = {&p->global}, ws2 = {&p->ws2};
    p->t = (qp_ktensor){.rows = rows,
                        .cols = cols,
                        .ld = cols,
                        .x = p->x,
                        .y = p->y,
                        .amax = amax.value,
                        .scale = scale.value,
                        .global_amax = global.value,
                        .weight_scale_2 = ws2.value,
                        .codes = p->codes,
                        .scales = p->scales,
                        .scales_i8 = p->i8};
    qp_launch l = {.op = op, .format = f, .engine = e, .dtype = type, .n_tensors = 1, .tensors = &p->t};
    qp_err err = {0};
    qp_kernel_fn fn = kit_kernel(d, op, f);
    ck_assert(fn != NULL);
    ck_assert_msg(fn(&l, &err) == QP_OK, "%s", err.msg);
}

static void set16(void *to, const uint16_t *images, int n) {
    memcpy(to, images, (size_t)n * 2);
}

static uint16_t get16(const void *from, int i) {
    uint16_t u;
    memcpy(&u, (const char *)from + 2 * i, 2);
    return u;
}

static const qp_engine torch[] = {QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA};

START_TEST(trap_20_a_bf16_scale_and_a_bf16_quotient_are_two_roundings_more) {
    DEVICE_OR_RETURN("trap_20_a_bf16_scale_and_a_bf16_quotient_are_two_roundings_more");
    for (int e = 0; e < 2; e++) {
        packed p = {.amax = {0x3f800000}, .scale = {0x3b124925}};
        set16(p.x, (const uint16_t[]){0x3c2d}, 1);
        run(d, QP_OP_QUANT, QP_FP8_E4M3, torch[e], QP_BF16, &p, 1, 1);
        ck_assert(p.codes[0] == 0x4a && get16(p.scales, 0) == 0x3b12);
        run(d, QP_OP_QUANT, QP_FP8_EXPORT, torch[e], QP_BF16, &p, 1, 1);
        ck_assert_uint_eq(p.codes[0], 0x49);
        // INT8: 17.488 is 17.5 in bf16 and then 18; 16.559 is 16.5 and then 16.
        packed q = {.amax = {0x3f800000, 0x3f8e0000}, .scale = {0x3c010000, 0x3c0f0000}};
        set16(q.x, (const uint16_t[]){0x3e0d, 0x3e14}, 2);
        run(d, QP_OP_QUANT, QP_INT8_AXIS0, torch[e], QP_BF16, &q, 2, 1);
        ck_assert(q.codes[0] == 18 && q.codes[1] == 16 && get16(q.scales, 0) == 0x3c01 &&
                  get16(q.scales, 1) == 0x3c0f);
        run(d, QP_OP_QUANT, QP_INT8_EXPORT, torch[e], QP_BF16, &q, 2, 1);
        ck_assert(q.codes[0] == 17 && q.codes[1] == 17);
    }
}
END_TEST

START_TEST(bytes_saturate_and_a_nan_is_7f_or_0) {
    DEVICE_OR_RETURN("bytes_saturate_and_a_nan_is_7f_or_0");
    for (int e = 0; e < 2; e++) {
        packed p = {.x = {0x7f800000, 0xff800000, 0xffc00000, 0x43f00000, 0xc3f00000, 0x80000000},
                    .amax = {0x43e00000},
                    .scale = {0x3f800000}};
        static const uint8_t fp8[] = {0x7e, 0xfe, 0x7f, 0x7e, 0xfe, 0x80};
        run(d, QP_OP_QUANT, QP_FP8_E4M3, torch[e], QP_FP32, &p, 1, 6);
        ck_assert_mem_eq(p.codes, fp8, sizeof fp8);
        run(d, QP_OP_QUANT, QP_FP8_EXPORT, torch[e], QP_FP32, &p, 1, 6);
        ck_assert_mem_eq(p.codes, fp8, sizeof fp8);
        static const uint8_t int8[] = {0x7f, 0x80, 0x00, 0x7f, 0x80, 0x00};
        run(d, QP_OP_QUANT, QP_INT8_EXPORT, torch[e], QP_FP32, &p, 1, 6);
        ck_assert_mem_eq(p.codes, int8, sizeof int8);
        // amax 0: every quotient is NaN or Inf.
        packed z = {.x = {0, 0x3f800000, 0xbf800000}};
        run(d, QP_OP_QUANT, QP_INT8, torch[e], QP_FP32, &z, 1, 3);
        ck_assert(z.codes[0] == 0 && z.codes[1] == 0x7f && z.codes[2] == 0x80 && z.scales[0] == 0);
    }
}
END_TEST

START_TEST(trap_8_torch_on_cuda_divides_by_a_number_with_its_reciprocal) {
    DEVICE_OR_RETURN("trap_8_torch_on_cuda_divides_by_a_number_with_its_reciprocal");
    static const uint32_t int8_scale[] = {0x3c010643, 0x3c010642}, w4a8[] = {0x3b149249, 0x3b14924a};
    // Trap 12 for pack: on a CPU dynamic 72 and static 71, on CUDA the other way round.
    static const uint8_t dynamic[] = {0x72, 0x71}, fixed[] = {0x71, 0x72};
    for (int e = 0; e < 2; e++) {
        packed p = {.x = {0x3f800000}, .amax = {0x3f800436}, .global = 0x3f820000};
        run(d, QP_OP_QUANT, QP_INT8, torch[e], QP_FP32, &p, 1, 1);
        ck_assert_uint_eq(p.scales[0], int8_scale[e]);
        run(d, QP_OP_QUANT, QP_NVFP4_W4A8, torch[e], QP_FP32, &p, 1, 1);
        ck_assert_uint_eq(p.ws2, w4a8[e]);
        packed q = {.x = {0x3f050000}, .amax = {0x3f050000}, .global = 0x3fc40000};
        run(d, QP_OP_QUANT, QP_NVFP4, torch[e], QP_FP32, &q, 1, 1);
        ck_assert_uint_eq(((uint8_t *)q.scales)[0], dynamic[e]);
        run(d, QP_OP_QUANT, QP_NVFP4_STATIC, torch[e], QP_FP32, &q, 1, 1);
        ck_assert_uint_eq(((uint8_t *)q.scales)[0], fixed[e]);
    }
}
END_TEST

START_TEST(four_over_six_leaves_room_above_the_global_amax) {
    DEVICE_OR_RETURN("four_over_six_leaves_room_above_the_global_amax");
    // Numerics 7: a block amax of 1.5 ga is 7c (384), not saturated.
    packed p = {.x = {0x3fc00000, 0xbf800000}, .amax = {0x3fc00000}, .global = 0x3f800000};
    run(d, QP_OP_FAKEQUANT, QP_NVFP4_46, QP_ENGINE_IEEE, QP_FP32, &p, 1, 2);
    ck_assert(p.y[0] == 0x3fc00000 && p.y[1] == 0xbf800000);
    run(d, QP_OP_FAKEQUANT, QP_NVFP4_STATIC, QP_ENGINE_IEEE, QP_FP32, &p, 1, 2);
    ck_assert(p.y[0] == 0x3f800000); // saturated: 448 / 448 ga
    run(d, QP_OP_QUANT, QP_NVFP4_46, QP_ENGINE_IEEE, QP_FP32, &p, 1, 2);
    ck_assert(((uint8_t *)p.scales)[0] == 0x7c && p.codes[0] == 0xe7 && p.ws2 == 0x3a2aaaab);
}
END_TEST

START_TEST(a_w4a8_block_has_32_elements_and_its_own_second_scale) {
    DEVICE_OR_RETURN("a_w4a8_block_has_32_elements_and_its_own_second_scale");
    packed p = {.global = 0x40000000};
    p.x[0] = 0x3f800000;
    p.x[31] = 0xc0000000; // the largest of the first block
    p.x[32] = 0x3f800000;
    run(d, QP_OP_QUANT, QP_NVFP4_W4A8, QP_ENGINE_IEEE, QP_FP32, &p, 1, 33);
    ck_assert_uint_eq(p.ws2, 0x3b924925);
    // 2 / (6 ws2) = 74.67 is 72 (69 hex), 1 / (6 ws2) = 37.3 is 36 (61).
    ck_assert(((uint8_t *)p.scales)[0] == 0x69 && ((uint8_t *)p.scales)[1] == 0x61);
    ck_assert(p.codes[0] == 0x05 && p.codes[15] == 0xf0 && p.codes[16] == 0x07);
}
END_TEST

START_TEST(trap_18_int4_ties_go_to_even_on_a_cpu_and_away_on_cuda) {
    DEVICE_OR_RETURN("trap_18_int4_ties_go_to_even_on_a_cpu_and_away_on_cuda");
    // amax 7: scale 1 in both types. Even columns in the high nibble, 8 is zero.
    static const uint8_t want[][4] = {{0x86, 0xe0, 0xf8, 0x08}, {0x97, 0xf0, 0xf8, 0xf8}};
    for (int e = 0; e < 2; e++) {
        packed p = {
            .x = {0x3f000000, 0xbfc00000, 0x40d00000, 0xc1100000, 0x41200000, 0x80000000, 0x7fc00000, 0},
            .amax = {0x40e00000}};
        run(d, QP_OP_QUANT, QP_INT4_BLOCK, torch[e], QP_FP32, &p, 1, 8);
        ck_assert_msg(memcmp(p.codes, want[e], 4) == 0, "%s: %02x %02x %02x %02x", qp_engine_name(torch[e]),
                      p.codes[0], p.codes[1], p.codes[2], p.codes[3]);
        ck_assert_uint_eq(p.scales[0], 0x3f800000);
        // bf16 3eff: on CUDA + 8 is 8.5 in bf16, away from zero 9.
        set16(p.x, (const uint16_t[]){0x3eff}, 1);
        run(d, QP_OP_QUANT, QP_INT4_BLOCK, torch[e], QP_BF16, &p, 1, 1);
        ck_assert_uint_eq(p.codes[0], e == 0 ? 0x88 : 0x98);
        ck_assert_uint_eq(get16(p.scales, 0), 0x3f80);
        // 1/amax and times 7 are two roundings: 40dc, 7/amax is 40dd.
        p.amax[0] = 0x3f820000;
        run(d, QP_OP_QUANT, QP_INT4_BLOCK, torch[e], QP_BF16, &p, 1, 1);
        ck_assert_uint_eq(get16(p.scales, 0), 0x40dc);
    }
}
END_TEST

START_TEST(a_zero_int4_block_is_packed_as_zeros_on_a_cpu_and_comes_back_as_minus_zero) {
    DEVICE_OR_RETURN("a_zero_int4_block_is_packed_as_zeros_on_a_cpu_and_comes_back_as_minus_zero");
    packed p = {.codes = {0xee, 0xee}};
    run(d, QP_OP_QUANT, QP_INT4_BLOCK, QP_ENGINE_TORCH_CPU, QP_FP32, &p, 1, 3);
    ck_assert(p.codes[0] == 0 && p.codes[1] == 0 && p.scales[0] == 0x7f800000);
    run(d, QP_OP_DEQUANT, QP_INT4_BLOCK, QP_ENGINE_TORCH_CPU, QP_FP32, &p, 1, 3);
    ck_assert(p.y[0] == 0x80000000 && p.y[1] == 0x80000000 && p.y[2] == 0x80000000);
    // Dequantize divides: -7/3 is c0155555, times fl(1/3) it would be c0155556.
    packed q = {.codes = {0x1f}, .scales = {0x40400000}};
    run(d, QP_OP_DEQUANT, QP_INT4_BLOCK, QP_ENGINE_TORCH_CPU, QP_FP32, &q, 1, 2);
    ck_assert(q.y[0] == 0xc0155555 && q.y[1] == 0x40155555);
}
END_TEST

START_TEST(awq_pairs_rows_in_twos_complement) {
    DEVICE_OR_RETURN("awq_pairs_rows_in_twos_complement");
    // Steps 1, 2, 1: rows -8.5 2.5 | 3 -5 | 20 -1; the third row has no partner.
    packed p = {.x = {0xc1080000, 0x40200000, 0x40400000, 0xc0a00000, 0x41a00000, 0xbf800000},
                .scale = {0x3f800000, 0x40000000, 0x3f800000}};
    static const uint8_t want[] = {0x28, 0xe2, 0x07, 0x0f};
    static const uint32_t values[] = {0xc1000000, 0x40000000, 0x40800000, 0xc0800000, 0x40e00000, 0xbf800000};
    for (int e = 0; e < 2; e++) {
        run(d, QP_OP_QUANT, QP_INT4_AWQ, torch[e], QP_FP32, &p, 3, 2);
        ck_assert_msg(memcmp(p.codes, want, sizeof want) == 0, "%02x %02x %02x %02x", p.codes[0], p.codes[1],
                      p.codes[2], p.codes[3]);
        run(d, QP_OP_DEQUANT, QP_INT4_AWQ, torch[e], QP_FP32, &p, 3, 2);
        ck_assert_mem_eq(p.y, values, sizeof values);
    }
}
END_TEST

START_TEST(nf4_takes_the_nearest_level_by_a_difference_that_is_rounded_on_a_cpu) {
    DEVICE_OR_RETURN("nf4_takes_the_nearest_level_by_a_difference_that_is_rounded_on_a_cpu");
    // bf16, amax 1: levels, then three values that are nearer to another level on CUDA.
    static const uint16_t x[] = {0xbf80, 0xbf32, 0x0000, 0x8000, 0x3f80,
                                 0x3f39, 0xbeeb, 0xbf1c, 0xbf59, 0x7fc0};
    static const uint8_t want[][5] = {{0x01, 0x77, 0xfe, 0x21, 0x00}, {0x01, 0x77, 0xfe, 0x32, 0x10}};
    for (int e = 0; e < 2; e++) {
        packed p = {.amax = {0x3f800000}, .global = 0x3f000000};
        set16(p.x, x, 10);
        run(d, QP_OP_QUANT, QP_NF4, torch[e], QP_BF16, &p, 1, 10);
        ck_assert_msg(memcmp(p.codes, want[e], 5) == 0, "%s: %02x %02x %02x %02x %02x",
                      qp_engine_name(torch[e]), p.codes[0], p.codes[1], p.codes[2], p.codes[3], p.codes[4]);
        // s - z = .5, 1/.5 * 127 = 254, code 127
        ck_assert(p.ws2 == 0x437e0000 && p.i8[0] == 127 && get16(p.scales, 0) == 0x3f80);
        run(d, QP_OP_DEQUANT, QP_NF4, torch[e], QP_BF16, &p, 1, 10);
        ck_assert(get16(p.y, 0) == 0xbf80 && get16(p.y, 1) == 0xbf32 && get16(p.y, 2) == 0);
        packed z = {.amax = {0}, .global = 0}; // all equal: 0 * Inf
        run(d, QP_OP_QUANT, QP_NF4, torch[e], QP_BF16, &z, 1, 2);
        ck_assert(z.codes[0] == 0x00 && z.i8[0] == 0 && z.ws2 == 0x7f800000);
    }
}
END_TEST

START_TEST(nf4_values_are_bf16_on_cuda) {
    DEVICE_OR_RETURN("nf4_values_are_bf16_on_cuda");
    // Level 8 (bf16 3da3) times 1.01: an fp32 product on a CPU, a bf16 one of a bf16 scale on CUDA.
    packed p = {.codes = {0x80}, .i8 = {0}, .ws2 = 0x3f800000, .global = 0x3f8147ae};
    run(d, QP_OP_DEQUANT, QP_NF4, QP_ENGINE_TORCH_CPU, QP_FP32, &p, 1, 1);
    ck_assert_uint_eq(p.y[0], kit_bits(kit_float(0x3da30000) * kit_float(0x3f8147ae)));
    run(d, QP_OP_DEQUANT, QP_NF4, QP_ENGINE_TORCH_CUDA, QP_FP32, &p, 1, 1);
    ck_assert_uint_eq(p.y[0], 0x3da40000);
}
END_TEST

START_TEST(fp8_values_are_code_times_scale_rounded_once) {
    DEVICE_OR_RETURN("fp8_values_are_code_times_scale_rounded_once");
    packed p = {.codes = {0x7e, 0x01, 0x80, 0x7f}, .scale = {0x3b124925}};
    set16(p.scales, (const uint16_t[]){0x3b12}, 1);
    run(d, QP_OP_DEQUANT, QP_FP8_E4M3, QP_ENGINE_TORCH_CPU, QP_BF16, &p, 1, 4);
    ck_assert(get16(p.y, 0) == 0x3f80 && get16(p.y, 1) == 0x3692 && get16(p.y, 2) == 0x8000 &&
              get16(p.y, 3) == 0x7fc0);
    run(d, QP_OP_DEQUANT, QP_FP8_EXPORT, QP_ENGINE_TORCH_CPU, QP_FP32, &p, 1, 4);
    ck_assert_uint_eq(p.y[0], kit_bits(448.0f * kit_float(0x3b124925)));
    packed q = {.codes = {0x80, 0x7f}, .scales = {0x3c010204}};
    run(d, QP_OP_DEQUANT, QP_INT8, QP_ENGINE_TORCH_CPU, QP_FP32, &q, 1, 2);
    ck_assert(q.y[0] == kit_bits(-128.0f * kit_float(0x3c010204)) &&
              q.y[1] == kit_bits(127.0f * kit_float(0x3c010204)));
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel rules, packed");
    TCase *c = tcase_create("pack");
    tcase_set_timeout(c, 60);
    const int from = QP_DEVICE_CPU, to = QP_DEVICE_SIMT + 1;
    tcase_add_loop_test(c, trap_20_a_bf16_scale_and_a_bf16_quotient_are_two_roundings_more, from, to);
    tcase_add_loop_test(c, bytes_saturate_and_a_nan_is_7f_or_0, from, to);
    tcase_add_loop_test(c, trap_8_torch_on_cuda_divides_by_a_number_with_its_reciprocal, from, to);
    tcase_add_loop_test(c, four_over_six_leaves_room_above_the_global_amax, from, to);
    tcase_add_loop_test(c, a_w4a8_block_has_32_elements_and_its_own_second_scale, from, to);
    tcase_add_loop_test(c, trap_18_int4_ties_go_to_even_on_a_cpu_and_away_on_cuda, from, to);
    tcase_add_loop_test(c, a_zero_int4_block_is_packed_as_zeros_on_a_cpu_and_comes_back_as_minus_zero, from,
                        to);
    tcase_add_loop_test(c, awq_pairs_rows_in_twos_complement, from, to);
    tcase_add_loop_test(c, nf4_takes_the_nearest_level_by_a_difference_that_is_rounded_on_a_cpu, from, to);
    tcase_add_loop_test(c, nf4_values_are_bf16_on_cuda, from, to);
    tcase_add_loop_test(c, fp8_values_are_code_times_scale_rounded_once, from, to);
    suite_add_tcase(s, c);
    return kit_main(s);
}
