// SPDX-License-Identifier: Apache-2.0
// quantproof compare as a program: one exit code per outcome, text and JSON, bad calls.
#include "cli.h"
#include "tensor/safetensors.h"

static cli_run r;

static void setup(void) {
    cli_open(&r, "compare");
}

static void teardown(void) {
    cli_close(&r);
}

static const char *write_file(const char *name, const char *tensor, const uint16_t *values, int n) {
    qp_err err = {0};
    const char *path = cli_text(r.arena, "%s/%s.safetensors", r.folder, name);
    const qp_st_tensor t = {
        .name = tensor, .dtype = QP_BF16, .n_dims = 1, .dims = {n}, .data = values, .n_bytes = 2 * (size_t)n};
    ck_assert_msg(qp_st_write(path, &t, 1, NULL, 0, &err) == QP_OK, "%s", err.msg);
    return path;
}

START_TEST(compare_says_equal_and_different_by_exit_code) {
    const uint16_t x[4] = {0x3f80, 0x3f81, 0x3f82, 0x3f83}, y[4] = {0x3f80, 0x3f81, 0x3f85, 0x3f83};
    const char *a = write_file("a", "norm.weight", x, 4), *b = write_file("b", "norm.weight", y, 4);
    cli(&r, "compare", a, a, NULL);
    ck_assert_int_eq(r.code, 0);
    ck_assert_ptr_nonnull(strstr(r.out, "1 compared: 1 equal"));
    cli(&r, "compare", a, b, NULL);
    ck_assert_int_eq(r.code, 1);
    ck_assert_ptr_nonnull(strstr(r.out, "values        norm.weight"));
    ck_assert_ptr_nonnull(strstr(r.out, "1 of 4 differ, the first at [2]: 3f82 against 3f85; up to 3 ulp"));
}
END_TEST

START_TEST(compare_of_strangers_matches_nothing) {
    const uint16_t x[2] = {1, 2};
    cli(&r, "compare", write_file("a", "one", x, 2), write_file("b", "two", x, 2), NULL);
    ck_assert_int_eq(r.code, 6);
    ck_assert_ptr_nonnull(strstr(r.out, "one  only in A"));
    ck_assert_ptr_nonnull(strstr(r.out, "two  only in B"));
}
END_TEST

START_TEST(compare_prints_one_json_object) {
    const uint16_t x[2] = {1, 2}, y[2] = {1, 3};
    cli(&r, "compare", "--json", write_file("a", "t", x, 2), write_file("b", "t", y, 2), NULL);
    ck_assert_int_eq(r.code, 1);
    json_error_t at;
    json_t *root = json_loads(r.out, 0, &at);
    ck_assert_msg(json_is_object(root), "%s", at.text);
    const json_t *row = json_array_get(json_object_get(root, "tensors"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(row, "class")), "values");
    ck_assert_int_eq(json_integer_value(json_object_get(row, "differ")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(row, "b_bits")), "0003");
    json_decref(root);
}
END_TEST

START_TEST(compare_refuses_bad_calls_with_exit_2) {
    const uint16_t x[2] = {1, 2};
    const char *a = write_file("a", "t", x, 2);
    cli(&r, "compare", a, NULL);
    ck_assert_int_eq(r.code, 2);
    ck_assert_ptr_nonnull(strstr(r.err, "two paths wanted, got 1"));
    cli(&r, "compare", a, "/nonexistent/b", NULL);
    ck_assert_int_eq(r.code, 2);
    ck_assert_ptr_nonnull(strstr(r.err, "/nonexistent/b"));
    cli(&r, "compare", "--max", "many", a, a, NULL);
    ck_assert_int_eq(r.code, 2);
    ck_assert_ptr_nonnull(strstr(r.err, "--max: a number from 0 on was wanted, got 'many'"));
    cli(&r, "compare", "--nonsense", a, a, NULL);
    ck_assert_int_eq(r.code, 2);
}
END_TEST

int main(void) {
    Suite *s = suite_create("compare command");
    TCase *t = tcase_create("compare");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, compare_says_equal_and_different_by_exit_code);
    tcase_add_test(t, compare_of_strangers_matches_nothing);
    tcase_add_test(t, compare_prints_one_json_object);
    tcase_add_test(t, compare_refuses_bad_calls_with_exit_2);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
