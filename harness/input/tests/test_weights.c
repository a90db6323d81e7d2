// SPDX-License-Identifier: Apache-2.0
// Weights of modules by segment, from the generator and from files; the maximum put on purpose.
#include "core/file.h"
#include "input/gen.h"
#include "input/narrow.h"
#include "tensor/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static qp_arena *arena;
static qp_err err;
static char folder[512];

static void set_up(void) {
    const char *build = getenv("QP_BUILD");
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    snprintf(folder, sizeof folder, "%s/tmp/weights-%ld", build != NULL ? build : "build", (long)getpid());
    ck_assert_msg(qp_dir_make(folder, &err) == QP_OK, "%s", err.msg);
}

static void tear_down(void) {
    qp_err e = {0};
    ck_assert_msg(qp_dir_remove(folder, &e) == QP_OK, "%s", e.msg);
    qp_arena_free(arena);
}

enum { IN = 48 };
// z and x lie in one tensor, q in one of its own: rows 0-5 z, 6-15 x, 16-19 q.
static const qp_segment segments[3] = {
    {.name = "z", .gen_name = "m.in_proj", .rows = 6, .gen_row0 = 0, .gen_rows = 16},
    {.name = "x", .gen_name = "m.in_proj", .rows = 10, .gen_row0 = 6, .gen_rows = 16},
    {.name = "q", .gen_name = "m.q_proj", .rows = 4, .gen_row0 = 0, .gen_rows = 4},
};
static const qp_module module = {.fqn = "m.fused",
                                 .expert = -1,
                                 .out = 20,
                                 .in = IN,
                                 .style = QP_STYLE_COLUMN,
                                 .segments = segments,
                                 .n_segments = 3};

static qp_weights *generated(void) {
    qp_gen g = qp_gen_make(5, QP_DIST_GAUSS);
    qp_weights *w = NULL;
    ck_assert_int_eq(qp_weights_generated(&g, arena, &w, &err), QP_OK);
    return w;
}

// The full weight by the plain generator.
static void expected(uint16_t full[20 * IN]) {
    qp_gen g = qp_gen_make(5, QP_DIST_GAUSS);
    qp_gen_slice(&g, "m.in_proj", 16, IN, QP_BF16, 0, 16, 0, IN, full);
    qp_gen_slice(&g, "m.q_proj", 4, IN, QP_BF16, 0, 4, 0, IN, full + 16 * IN);
}

static void expect_all_cuts(const qp_weights *w, const uint16_t *full) {
    uint16_t part[20 * IN];
    for (int64_t row = 0; row < 20; row++)
        for (int64_t n = 1; n <= 20 - row; n++)
            for (int64_t col = 0; col < IN; col += 13) {
                int64_t n_cols = IN - col < 20 ? IN - col : 20;
                ck_assert_msg(qp_weights_slice(w, &module, row, n, col, n_cols, part, &err) == QP_OK, "%s",
                              err.msg);
                for (int64_t i = 0; i < n; i++)
                    ck_assert_mem_eq(part + i * n_cols, full + (row + i) * IN + col, (size_t)n_cols * 2);
            }
}

START_TEST(generated_slices_are_slices_of_the_segments_tensors) {
    uint16_t full[20 * IN];
    qp_weights *w = generated();
    expected(full);
    expect_all_cuts(w, full);
    ck_assert_int_eq(qp_weights_dtype(w, &module), QP_BF16);
    ck_assert_str_eq(qp_weights_describe(w), "gauss:0.02 seed=5");
    ck_assert_int_eq(qp_weights_slice(w, &module, 19, 2, 0, IN, full, &err), QP_BROKEN);
    ck_assert_ptr_nonnull(strstr(err.msg, "m.fused"));
    qp_weights_close(w);
}
END_TEST

static const char *file_path(void) {
    const char *path;
    ck_assert_int_eq(qp_arena_printf(arena, &path, &err, "%s/w.safetensors", folder), QP_OK);
    return path;
}

static qp_st_tensor tensor_of(const char *name, const void *data, int64_t rows, int64_t cols) {
    return (qp_st_tensor){.name = name,
                          .dtype = QP_BF16,
                          .n_dims = 2,
                          .dims = {rows, cols},
                          .data = data,
                          .n_bytes = (size_t)(rows * cols * 2)};
}

static qp_weights *from_file(const qp_st_tensor *t, int n) {
    qp_weights *w = NULL;
    ck_assert_msg(qp_st_write(file_path(), t, n, NULL, 0, &err) == QP_OK, "%s", err.msg);
    ck_assert_msg(qp_weights_open(file_path(), arena, &w, &err) == QP_OK, "%s", err.msg);
    return w;
}

START_TEST(file_weights_are_found_by_each_of_the_names) {
    uint16_t full[20 * IN];
    expected(full);
    const qp_st_tensor by_weight[] = {tensor_of("m.in_proj.weight", full, 16, IN),
                                      tensor_of("m.q_proj", full + 16 * IN, 4, IN)};
    const qp_st_tensor whole[] = {tensor_of("m.fused.weight", full, 20, IN)};
    qp_weights *w = from_file(by_weight, 2);
    expect_all_cuts(w, full);
    ck_assert_ptr_nonnull(strstr(qp_weights_describe(w), "w.safetensors xxh3="));
    qp_weights_close(w);
    w = from_file(whole, 1);
    expect_all_cuts(w, full);
    qp_weights_close(w);
}
END_TEST

static void expect_refusal(const qp_st_tensor *t, int n, const char *says) {
    uint16_t part[20 * IN];
    qp_weights *w = from_file(t, n);
    qp_err e = {0};
    ck_assert_int_eq(qp_weights_slice(w, &module, 0, 20, 0, IN, part, &e), QP_CORRUPT);
    ck_assert_msg(strstr(e.msg, says) != NULL, "wanted '%s', got '%s'", says, e.msg);
    ck_assert_ptr_nonnull(strstr(e.msg, "w.safetensors"));
    qp_weights_close(w);
}

START_TEST(a_missing_or_misshapen_tensor_is_refused_by_name) {
    uint16_t full[20 * IN];
    expected(full);
    qp_st_tensor t[2] = {tensor_of("m.in_proj.weight", full, 16, IN),
                         tensor_of("m.k_proj.weight", full + 16 * IN, 4, IN)};
    expect_refusal(t, 2, "no tensor m.q_proj.weight");
    t[1] = tensor_of("m.q_proj.weight", full, 8, IN / 2);
    expect_refusal(t, 2,
                   "tensor m.q_proj.weight: shape [4, 48] wanted for m.fused, got 2 dimensions [8, 24]");
    t[1] = tensor_of("m.q_proj.weight", full, 4, IN);
    t[1].n_dims = 1;
    t[1].dims[0] = 4 * IN;
    expect_refusal(t, 2, "got 1 dimensions");
    t[1] = tensor_of("m.q_proj.weight", full, 4, IN);
    t[1].dtype = QP_FP16;
    expect_refusal(t, 2, "dtype BF16 wanted as in the module's first tensor, got F16");
    t[0].dtype = QP_U8;
    t[0].n_bytes /= 2;
    expect_refusal(t, 1, "dtype BF16, F16 or F32 wanted, got U8");
}
END_TEST

static double ratio(const qp_weights *a, const qp_weights *b, const qp_module *m, int64_t row) {
    uint16_t x[IN], y[IN];
    ck_assert_int_eq(qp_weights_slice(a, m, row, 1, 0, IN, x, &err), QP_OK);
    ck_assert_int_eq(qp_weights_slice(b, m, row, 1, 0, IN, y, &err), QP_OK);
    double r = float_of((uint32_t)x[0] << 16) / float_of((uint32_t)y[0] << 16);
    for (int i = 0; i < IN; i++)
        ck_assert_double_eq(float_of((uint32_t)x[i] << 16), r * float_of((uint32_t)y[i] << 16));
    return r;
}

START_TEST(a_boost_finds_its_module_segment_or_expert_and_nothing_else) {
    qp_module expert = module;
    expert.expert = 3;
    static const struct {
        const char *suffix;
        int expert;
        double want[2][2]; // [expert 3 or not an expert][row 0 of z, row 16 of q]
    } rows[] = {
        {"fused", -1, {{16, 16}, {16, 16}}}, {"used", -1, {{1, 1}, {1, 1}}}, {"q", -1, {{1, 16}, {1, 16}}},
        {"q_proj", -1, {{1, 16}, {1, 16}}},  {NULL, 3, {{1, 1}, {16, 16}}},  {"z", 3, {{1, 1}, {16, 1}}},
        {"z", 4, {{1, 1}, {1, 1}}},          {NULL, -1, {{1, 1}, {1, 1}}},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        qp_weights *w = generated(), *plain = generated();
        qp_weights_boost(w, rows[i].suffix, rows[i].expert);
        for (int e = 0; e < 2; e++)
            for (int s = 0; s < 2; s++)
                ck_assert_double_eq(ratio(w, plain, e == 0 ? &module : &expert, 16 * s), rows[i].want[e][s]);
    }
}
END_TEST

START_TEST(a_boost_scales_file_weights_too) {
    uint16_t full[20 * IN];
    expected(full);
    const qp_st_tensor t[] = {tensor_of("m.fused", full, 20, IN)};
    qp_weights *w = from_file(t, 1), *plain = generated();
    qp_weights_boost(w, "q_proj", -1);
    ck_assert_double_eq(ratio(w, plain, &module, 0), 1);
    ck_assert_double_eq(ratio(w, plain, &module, 17), 16);
    ck_assert_int_eq(qp_weights_peak(w, "m.fused", 0, 0, &err), QP_USAGE);
    qp_weights_close(w);
}
END_TEST

START_TEST(a_peak_is_the_largest_element_of_its_module_and_changes_nothing_else) {
    for (int64_t row = 0; row < 20; row += 7) {
        uint16_t full[20 * IN], got[20 * IN];
        qp_weights *w = generated();
        expected(full);
        ck_assert_int_eq(qp_weights_peak(w, "m.fused", row, 11, &err), QP_OK);
        ck_assert_int_eq(qp_weights_slice(w, &module, 0, 20, 0, IN, got, &err), QP_OK);
        double peak = fabsf(float_of((uint32_t)got[row * IN + 11] << 16));
        for (int i = 0; i < 20 * IN; i++) {
            if (i == row * IN + 11) continue;
            ck_assert_uint_eq(got[i], full[i]);
            ck_assert_double_lt(fabsf(float_of((uint32_t)got[i] << 16)), peak);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("weights");
    TCase *t = tcase_create("weights");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, generated_slices_are_slices_of_the_segments_tensors);
    tcase_add_test(t, file_weights_are_found_by_each_of_the_names);
    tcase_add_test(t, a_missing_or_misshapen_tensor_is_refused_by_name);
    tcase_add_test(t, a_boost_finds_its_module_segment_or_expert_and_nothing_else);
    tcase_add_test(t, a_boost_scales_file_weights_too);
    tcase_add_test(t, a_peak_is_the_largest_element_of_its_module_and_changes_nothing_else);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
