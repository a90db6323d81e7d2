// SPDX-License-Identifier: Apache-2.0
// One tensor: the printed examples, rows by themselves, engines and refusals, amax, backward, odd shapes, and
// a few laws that hold for any right answer. The bits themselves are judged by the golden files.
#include <check.h>
#include <string.h>

#include "qp/ref.h"

enum { ROWS = 6, COLS = 41, N = ROWS * COLS };

static const qp_format formats[] = {QP_INT8,       QP_INT8_AXIS0,  QP_FP8_E4M3, QP_FP8_AXIS0,
                                    QP_INT4,       QP_FP8_BLOCK2D, QP_NVFP4,    QP_NVFP4_STATIC,
                                    QP_INT4_AXIS0, QP_INT4_BLOCK,  QP_NVFP4_46};

typedef struct tensor {
    ref_spec spec;
    uint32_t f32[N], x[N], amax[N];
} tensor;

// splitmix64 of the index, as a value of magnitude 2^-6 .. 2
static uint32_t draw(uint64_t i) {
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z ^= z >> 27;
    return (uint32_t)(z & 0x80000000u) | (121 + (uint32_t)(z >> 40) % 7) << 23 | (uint32_t)(z & 0x7fffff);
}

static void fill(tensor *t, qp_format f, qp_engine e, qp_dtype d, uint64_t seed) {
    const qp_format_row *row = qp_format_get(f);
    memset(t, 0, sizeof *t);
    t->spec = (ref_spec){
        .format = f, .engine = e, .dtype = d, .rows = ROWS, .cols = COLS, .amax = t->amax, .amax_dtype = d};
    if (row->grain == QP_GRAIN_BLOCK) t->spec.block_cols = 16;
    if (row->grain == QP_GRAIN_BLOCK2D) {
        t->spec.block_rows = 4;
        t->spec.block_cols = 8;
    }
    for (int i = 0; i < N; i++) {
        ref_store_f32(d, t->x, i, draw(seed * N + (uint64_t)i));
        t->f32[i] = ref_load_f32(d, t->x, i);
    }
    const bool blocks2d = row->grain == QP_GRAIN_BLOCK2D;
    ref_amax(row->grain, d, ROWS, COLS, blocks2d ? 4 : 1, blocks2d ? 8 : 16, t->x, t->amax);
    ref_amax(QP_GRAIN_TENSOR, d, ROWS, COLS, 0, 0, t->x, &t->spec.global_amax);
}

START_TEST(the_printed_examples_come_out) {
    const uint32_t amax = 0x3f8f0000;
    const uint16_t x8[] = {0x3f8f, 0x3f0f, 0xbf81}, y8[] = {0x3f8f, 0x3f10, 0xbf81};
    uint16_t y[16];
    const ref_spec int8 = {.format = QP_INT8, .dtype = QP_BF16, .rows = 1, .cols = 3, .amax = &amax};
    ref_fakequant(&int8, 0, 1, x8, y, NULL, NULL);
    ck_assert_mem_eq(y, y8, sizeof y8);

    const uint16_t x4[] = {0x3f33, 0x3dd2, 0xbeb3, 0x3f06, 0xbf60, 0x3d33, 0x3fb3, 0xbe58,
                           0x3e90, 0xbf21, 0x0000, 0x3f45, 0xbf90, 0x3c66, 0xbefb, 0x3e33};
    const uint8_t want[] = {0x15, 0x4b, 0x0e, 0xa7, 0xd2, 0x50, 0x0e, 0x1c};
    const uint16_t values[] = {0x3f37, 0x3df4, 0xbeb7, 0x3ef4, 0xbf74, 0x0000, 0x3fb7, 0xbe74,
                               0x3e74, 0xbf37, 0x0000, 0x3f37, 0xbf74, 0x0000, 0xbef4, 0x3df4};
    uint8_t codes[8], scale;
    const ref_spec nvfp4 = {
        .format = QP_NVFP4, .dtype = QP_BF16, .rows = 1, .cols = 16, .global_amax = 0x40000000};
    ref_quant(&nvfp4, 0, 1, x4, codes, &scale, y, NULL);
    ck_assert_mem_eq(codes, want, sizeof want);
    ck_assert_uint_eq(scale, 0x7a);
    ck_assert_uint_eq(ref_weight_scale_2(&nvfp4), 0x3a430c31);
    ck_assert_mem_eq(y, values, sizeof values);
}
END_TEST

START_TEST(a_row_by_itself_answers_as_in_the_whole_tensor) {
    static tensor t;
    static uint32_t whole[N], single[N], scales[N], one_scale[N];
    const qp_format f = formats[_i];
    if (f == QP_FP8_BLOCK2D) return; // whole tensors only, by contract
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        if (ref_unsupported(QP_OP_FAKEQUANT, f, (qp_engine)e) != NULL) continue;
        for (int d = QP_BF16; d <= QP_FP32; d++) {
            fill(&t, f, (qp_engine)e, (qp_dtype)d, 3);
            const size_t pitch = COLS * qp_dtype_bytes((qp_dtype)d);
            ref_fakequant(&t.spec, 0, ROWS, t.x, whole, scales, NULL);
            for (int r = 0; r < ROWS; r++) {
                ref_fakequant(&t.spec, r, 1, (const char *)t.x + r * pitch, single, one_scale, NULL);
                ck_assert_mem_eq(single, (const char *)whole + r * pitch, pitch);
                if (qp_format_get(f)->has_global)
                    ck_assert_mem_eq(one_scale, scales + 3 * r, 3 * sizeof *scales);
                ref_backward(&t.spec, QP_BWD_CLIP, r, 1, (const char *)t.x + r * pitch,
                             (const char *)t.x + r * pitch, single);
                ck_assert_mem_eq(single, (const char *)t.x + r * pitch,
                                 pitch); // nothing is above its own maximum
            }
        }
    }
}
END_TEST

START_TEST(packing_a_row_by_itself_answers_as_in_the_whole_tensor) {
    static tensor t;
    enum { PITCH = (COLS + 1) / 2, NB = 3 };
    uint8_t codes[ROWS * PITCH], scales[ROWS * NB], row_codes[PITCH], row_scales[NB];
    const qp_format f = formats[_i];
    if (!qp_format_get(f)->has_global) return;
    fill(&t, f, QP_ENGINE_IEEE, QP_BF16, 5);
    ref_quant(&t.spec, 0, ROWS, t.x, codes, scales, NULL, NULL);
    for (int r = 0; r < ROWS; r++) {
        ref_quant(&t.spec, r, 1, (const char *)t.x + r * COLS * 2, row_codes, row_scales, NULL, NULL);
        ck_assert_mem_eq(row_codes, codes + r * PITCH, PITCH);
        ck_assert_mem_eq(row_scales, scales + r * NB, NB);
        ck_assert_uint_eq(row_codes[PITCH - 1] >> 4, 0); // 41 columns: the last nibble is padding
    }
}
END_TEST

START_TEST(int_of_ieee_and_torch_are_equal_on_ordinary_data) {
    static const qp_format ints[] = {QP_INT8, QP_INT8_AXIS0, QP_INT4, QP_INT4_AXIS0, QP_INT4_BLOCK};
    static tensor t;
    uint32_t a[N], b[N];
    for (uint64_t seed = 0; seed < 200; seed++) {
        fill(&t, ints[seed % QP_COUNT(ints)], QP_ENGINE_IEEE, (qp_dtype)(seed % 3), seed);
        ref_fakequant(&t.spec, 0, ROWS, t.x, a, NULL, NULL);
        t.spec.engine = seed % 2 ? QP_ENGINE_TORCH_CPU : QP_ENGINE_TORCH_CUDA;
        ref_fakequant(&t.spec, 0, ROWS, t.x, b, NULL, NULL);
        ck_assert_mem_eq(a, b, N * qp_dtype_bytes(t.spec.dtype));
    }
}
END_TEST

// numerics 1.3, 1.5, 2.4: tensor / tensor and number / tensor are spelled alike on both devices.
START_TEST(fakequant_and_backward_of_torch_are_the_same_on_cpu_and_cuda) {
    static tensor t;
    uint32_t a[N], b[N];
    int judged = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        const qp_format f = formats[seed % QP_COUNT(formats)];
        fill(&t, f, QP_ENGINE_TORCH_CPU, (qp_dtype)(seed % 3), seed);
        if (ref_unsupported(QP_OP_FAKEQUANT, f, QP_ENGINE_TORCH_CPU) != NULL) continue;
        const size_t bytes = N * qp_dtype_bytes(t.spec.dtype);
        t.spec.amax_0d = seed % 2;
        memset(t.x, 0, 8); // a zero tells a tiny amax from a scale of Inf
        for (int i = 0; i < N; i++) t.amax[i] = seed % 4 ? ref_mul(t.amax[i], 0x3f2aaaab) : 0; // * 2/3; tiny
        ref_spec cuda = t.spec;
        cuda.engine = QP_ENGINE_TORCH_CUDA;
        ref_fakequant(&t.spec, 0, ROWS, t.x, a, NULL, NULL);
        ref_fakequant(&cuda, 0, ROWS, t.x, b, NULL, NULL);
        ck_assert_mem_eq(a, b, bytes);
        ref_backward(&t.spec, QP_BWD_CLIP, 0, ROWS, t.x, t.x, a);
        ref_backward(&cuda, QP_BWD_CLIP, 0, ROWS, t.x, t.x, b);
        ck_assert_mem_eq(a, b, bytes);
        judged++;
    }
    ck_assert_int_gt(judged, 30);
}
END_TEST

START_TEST(the_levels_of_int8_are_those_of_its_flags) {
    static const struct {
        bool is_unsigned, narrow;
        qp_engine engine;
        uint32_t low, high; // answers to -1e9 and 1e9 with amax = the highest level, so that the scale is one
    } rows[] = {
        {false, false, QP_ENGINE_IEEE, 0xc3000000, 0x42fe0000},
        {false, true, QP_ENGINE_IEEE, 0xc2fe0000, 0x42fe0000},
        {false, false, QP_ENGINE_TORCH_CPU, 0xc3000000, 0x42fe0000},
        {false, true, QP_ENGINE_TORCH_CPU, 0xc2fe0000, 0x42fe0000},
        {true, false, QP_ENGINE_IEEE, 0xc3800000, 0x437f0000},
        {true, true, QP_ENGINE_IEEE, 0xc37f0000, 0x437f0000},
        {true, false, QP_ENGINE_TORCH_CPU, 0, 0x437f0000},
        {true, true, QP_ENGINE_TORCH_CPU, 0, 0x437f0000},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const uint32_t amax = rows[i].high, x[2] = {0xce6e6b28, 0x4e6e6b28};
        uint32_t y[2];
        const ref_spec s = {.format = QP_INT8,
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

// Every engine bit of every row answers by name, every other is refused in a sentence that names those.
START_TEST(each_op_and_format_has_exactly_its_engines) {
    for (int op = QP_OP_FAKEQUANT; op < QP_OP_COUNT; op++)
        for (int f = 0; f < QP_FORMAT_COUNT; f++)
            for (int e = 0; e < QP_ENGINE_COUNT; e++) {
                const unsigned have = ref_engines((qp_op)op, (qp_format)f);
                const char *why = ref_unsupported((qp_op)op, (qp_format)f, (qp_engine)e);
                ck_assert((why == NULL) == (have >> e & 1));
                for (int k = 0; why != NULL && k < QP_ENGINE_COUNT; k++)
                    if (have >> k & 1) ck_assert_ptr_nonnull(strstr(why, qp_engine_name((qp_engine)k)));
                ck_assert_ptr_null(ref_unsupported(QP_OP_AMAX, (qp_format)f, (qp_engine)e));
            }
}
END_TEST

START_TEST(an_engine_refuses_what_it_raises_on) {
    const uint32_t negative[2] = {0x3f800000, 0xbf800000}, nan_and_negative[2] = {0x7fc00000, 0xbf800000},
                   minus_zero = 0x80000000;
    const uint32_t x[2] = {0x3f800000, 0xbf800000}, x_nan[2] = {0x7fc00000, 0xbf800000},
                   x_zero[2] = {0, 0x80000000};
    ref_spec s = {.format = QP_INT8_AXIS0,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_FP32,
                  .rows = 2,
                  .cols = 1,
                  .amax = negative};
    ck_assert_ptr_nonnull(ref_refuses(&s, NULL));
    s.engine = QP_ENGINE_IEEE;
    ck_assert_ptr_nonnull(ref_refuses(&s, NULL));
    s.amax = nan_and_negative;
    ck_assert_ptr_nonnull(ref_refuses(&s, NULL)); // the kernel asserts on NaN
    s.engine = QP_ENGINE_TORCH_CPU;
    ck_assert_ptr_null(ref_refuses(&s, NULL)); // torch's minimum is NaN, which is not below zero
    s.format = QP_FP8_AXIS0;
    s.amax = negative;
    ck_assert_ptr_null(ref_refuses(&s, x));
    s.format = QP_INT8;
    s.amax = &minus_zero;
    ck_assert_ptr_null(ref_refuses(&s, x));
    s.is_unsigned = true;
    ck_assert_ptr_null(ref_refuses(&s, NULL));
    ck_assert_ptr_nonnull(ref_refuses(&s, x));
    ck_assert_ptr_null(ref_refuses(&s, x_nan));
    ck_assert_ptr_null(ref_refuses(&s, x_zero));
    s.engine = QP_ENGINE_IEEE;
    ck_assert_ptr_nonnull(ref_refuses(&s, x_nan));
}
END_TEST

START_TEST(amax_is_the_largest_magnitude_of_its_grain_and_nan_wins) {
    // 3 x 5, blocks of 2 columns, 2-D blocks of 2 x 2
    const uint32_t x[15] = {0x3f800000, 0xc0000000, 0x80000000, 0x00000001, 0xbf000000, //
                            0x7f800000, 0x3f800000, 0x7fc12345, 0xff800000, 0x00000000, //
                            0x80000001, 0x80000000, 0x3dcccccd, 0x3e4ccccd, 0xbe99999a};
    uint32_t out[9];
    ref_amax(QP_GRAIN_TENSOR, QP_FP32, 3, 5, 0, 0, x, out);
    ck_assert_uint_eq(out[0], 0x7fc00000);
    ref_amax(QP_GRAIN_AXIS0, QP_FP32, 3, 5, 0, 0, x, out);
    const uint32_t rows[3] = {0x40000000, 0x7fc00000, 0x3e99999a};
    ck_assert_mem_eq(out, rows, sizeof rows);
    ref_amax(QP_GRAIN_BLOCK, QP_FP32, 3, 5, 1, 2, x, out);
    const uint32_t blocks[9] = {0x40000000, 1, 0x3f000000, 0x7f800000, 0x7fc00000,
                                0,          1, 0x3e4ccccd, 0x3e99999a};
    ck_assert_mem_eq(out, blocks, sizeof blocks);
    ref_amax(QP_GRAIN_BLOCK2D, QP_FP32, 3, 5, 2, 2, x, out);
    const uint32_t tiles[6] = {0x7f800000, 0x7fc00000, 0x3f000000, 1, 0x3e4ccccd, 0x3e99999a};
    ck_assert_mem_eq(out, tiles, sizeof tiles);
    ref_amax(QP_GRAIN_TENSOR, QP_FP32, 0, 5, 0, 0, x, out);
    ck_assert_uint_eq(out[0], 0); // of nothing
}
END_TEST

START_TEST(backward_masks_by_magnitude_and_keeps_gradient_bits) {
    const uint32_t x[6] = {0x3f800000, 0xbf800000, 0x3f800001, 0x7fc00000, 0x7f800000, 0x80000000};
    const uint32_t grad[6] = {0xffc12345, 0x80000000, 1, 2, 3, 4},
                   want[6] = {0xffc12345, 0x80000000, 0, 0, 0, 4};
    uint32_t amax = 0x3f800000, g[6];
    ref_spec s = {.format = QP_FP8_E4M3, .dtype = QP_FP32, .rows = 1, .cols = 6, .amax = &amax};
    ref_backward(&s, QP_BWD_CLIP, 0, 1, x, grad, g);
    ck_assert_mem_eq(g, want, sizeof want);
    ref_backward(&s, QP_BWD_PASS, 0, 1, x, grad, g);
    ck_assert_mem_eq(g, grad, sizeof grad);
    amax = 0x7fc00000;
    ref_backward(&s, QP_BWD_CLIP, 0, 1, x, grad, g);
    for (int i = 0; i < 6; i++) ck_assert_uint_eq(g[i], 0);
    s.amax = NULL; // no amax: nothing to clip by
    ref_backward(&s, QP_BWD_CLIP, 0, 1, x, grad, g);
    ck_assert_mem_eq(g, grad, sizeof grad);
}
END_TEST

START_TEST(a_0_dim_amax_beyond_fp16_lets_infinity_pass_under_torch) {
    const uint32_t amax = 0x477ff000; // 65520
    const uint16_t x[2] = {0x7c00, 0x7bff}, grad[2] = {0x3c00, 0x3c00};
    uint16_t g[2];
    ref_spec s = {.format = QP_INT8,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_FP16,
                  .rows = 1,
                  .cols = 2,
                  .amax = &amax,
                  .amax_dtype = QP_FP32,
                  .amax_0d = true};
    ref_backward(&s, QP_BWD_CLIP, 0, 1, x, grad, g);
    ck_assert_uint_eq(g[0], 0x3c00);
    s.amax_0d = false;
    ref_backward(&s, QP_BWD_CLIP, 0, 1, x, grad, g);
    ck_assert_uint_eq(g[0], 0);
    ck_assert_uint_eq(g[1], 0x3c00);
}
END_TEST

START_TEST(backward_takes_the_amax_of_the_elements_own_block) {
    static tensor t;
    uint32_t g[N];
    for (int k = 0; k < QP_COUNT(formats); k++) {
        fill(&t, formats[k], QP_ENGINE_IEEE, QP_FP32, 9);
        for (int i = 0; i < N; i++) t.amax[i] = ref_mul(t.amax[i], 0x3f000000); // half
        t.spec.global_amax = ref_mul(t.spec.global_amax, 0x3f000000);
        ref_backward(&t.spec, QP_BWD_CLIP, 0, ROWS, t.x, t.x, g);
        for (int r = 0; r < ROWS; r++) {
            for (int c = 0; c < COLS; c++) {
                uint32_t bound = t.amax[0];
                const qp_grain grain = qp_format_get(formats[k])->grain;
                if (grain == QP_GRAIN_AXIS0) bound = t.amax[r];
                if (grain == QP_GRAIN_BLOCK) bound = t.amax[r * 3 + c / 16];
                if (formats[k] == QP_FP8_BLOCK2D) bound = t.amax[r / 4 * 6 + c / 8];
                if (formats[k] == QP_NVFP4) bound = t.spec.global_amax;
                const uint32_t x = t.f32[r * COLS + c];
                ck_assert_uint_eq(g[r * COLS + c], (x & 0x7fffffff) <= bound ? x : 0);
            }
        }
    }
}
END_TEST

// A power of two moves every scale and every value alike, so nothing but the exponent may change.
START_TEST(doubling_values_and_amax_doubles_the_answer) {
    static tensor t;
    uint32_t y[N], z[N];
    for (int k = 0; k < QP_COUNT(formats); k++) {
        for (int e = 0; e < QP_ENGINE_COUNT; e++) {
            if (ref_unsupported(QP_OP_FAKEQUANT, formats[k], (qp_engine)e) != NULL) continue;
            fill(&t, formats[k], (qp_engine)e, QP_FP32, 11);
            ref_fakequant(&t.spec, 0, ROWS, t.x, y, NULL, NULL);
            for (int i = 0; i < N; i++) {
                t.x[i] = ref_mul(t.x[i], 0x40000000);
                t.amax[i] = ref_mul(t.amax[i], 0x40000000);
            }
            t.spec.global_amax = ref_mul(t.spec.global_amax, 0x40000000);
            ref_fakequant(&t.spec, 0, ROWS, t.x, z, NULL, NULL);
            for (int i = 0; i < N; i++) ck_assert_uint_eq(z[i], ref_mul(y[i], 0x40000000));
        }
    }
}
END_TEST

START_TEST(the_answer_to_a_negated_tensor_is_negated) {
    static tensor t;
    uint32_t y[N], z[N];
    for (int k = 0; k < QP_COUNT(formats); k++) {
        fill(&t, formats[k], QP_ENGINE_IEEE, QP_FP32, 13);
        t.spec.narrow_range = true; // -128 has no partner
        ref_fakequant(&t.spec, 0, ROWS, t.x, y, NULL, NULL);
        for (int i = 0; i < N; i++) t.x[i] ^= 0x80000000;
        ref_fakequant(&t.spec, 0, ROWS, t.x, z, NULL, NULL);
        for (int i = 0; i < N; i++)
            ck_assert((y[i] ^ z[i]) == 0x80000000 || ((y[i] | z[i]) & 0x7fffffff) == 0);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference tensor");
    TCase *t = tcase_create("tensor");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_printed_examples_come_out);
    tcase_add_loop_test(t, a_row_by_itself_answers_as_in_the_whole_tensor, 0, QP_COUNT(formats));
    tcase_add_loop_test(t, packing_a_row_by_itself_answers_as_in_the_whole_tensor, 0, QP_COUNT(formats));
    tcase_add_test(t, int_of_ieee_and_torch_are_equal_on_ordinary_data);
    tcase_add_test(t, fakequant_and_backward_of_torch_are_the_same_on_cpu_and_cuda);
    tcase_add_test(t, the_levels_of_int8_are_those_of_its_flags);
    tcase_add_test(t, each_op_and_format_has_exactly_its_engines);
    tcase_add_test(t, an_engine_refuses_what_it_raises_on);
    tcase_add_test(t, amax_is_the_largest_magnitude_of_its_grain_and_nan_wins);
    tcase_add_test(t, backward_masks_by_magnitude_and_keeps_gradient_bits);
    tcase_add_test(t, a_0_dim_amax_beyond_fp16_lets_infinity_pass_under_torch);
    tcase_add_test(t, backward_takes_the_amax_of_the_elements_own_block);
    tcase_add_test(t, doubling_values_and_amax_doubles_the_answer);
    tcase_add_test(t, the_answer_to_a_negated_tensor_is_negated);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
