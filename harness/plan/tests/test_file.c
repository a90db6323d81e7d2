// SPDX-License-Identifier: Apache-2.0
// Suite files: includes, cycles, bad lines beside good ones.
#include "core/file.h"
#include "core/text.h"
#include "plan/case.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qp_arena *arena;
static const char *dir;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
    const char *build = getenv("QP_BUILD");
    ck_assert(qp_arena_printf(arena, &dir, NULL, "%s/tmp/plan-file", build != NULL ? build : "build") ==
              QP_OK);
    const char *sub = NULL;
    ck_assert(qp_arena_printf(arena, &sub, NULL, "%s/sub", dir) == QP_OK);
    ck_assert(qp_dir_make(sub, NULL) == QP_OK);
}

static void teardown(void) {
    ck_assert(qp_dir_remove(dir, NULL) == QP_OK);
    qp_arena_free(arena);
}

static const char *at(const char *name) {
    const char *path = NULL;
    ck_assert(qp_arena_printf(arena, &path, NULL, "%s/%s", dir, name) == QP_OK);
    return path;
}

static void put(const char *name, const char *text, size_t n) {
    ck_assert(qp_file_write_atomic(at(name), text, n, NULL) == QP_OK);
}

static void put_text(const char *name, const char *text) {
    put(name, text, strlen(text));
}

typedef struct content {
    qp_case_list cases;
    qp_bad_line *bad;
    int n_bad;
} content;

static content load(const char *name) {
    content c = {0};
    qp_err err = {0};
    ck_assert_msg(qp_case_file(at(name), arena, &c.cases, &c.bad, &c.n_bad, &err) == QP_OK, "%s", err.msg);
    return c;
}

static void is_bad(const content *c, int i, const char *origin, const char *message) {
    ck_assert_int_gt(c->n_bad, i);
    const char *want = NULL;
    ck_assert(qp_arena_printf(arena, &want, NULL, "%s/%s", dir, origin) == QP_OK);
    ck_assert_str_eq(c->bad[i].origin, want);
    ck_assert_msg(strncmp(c->bad[i].message, want, strlen(want)) == 0, "%s", c->bad[i].message);
    ck_assert_msg(strncmp(c->bad[i].message + strlen(want), message, strlen(message)) == 0,
                  "wanted %s got %s", message, c->bad[i].message + strlen(want));
}

START_TEST(a_file_gives_its_cases_in_order_with_their_origin) {
    put_text("a.cases", "# head\n\nquant fmt=int8 seed=1,2\r\n   # indented comment\namax fmt=nvfp4");
    content c = load("a.cases");
    ck_assert_int_eq(c.n_bad, 0);
    ck_assert_int_eq(c.cases.n, 3);
    ck_assert_str_eq(c.cases.cases[1].line, "quant fmt=int8 seed=2");
    ck_assert_str_eq(c.cases.cases[1].origin, at("a.cases:3"));
    ck_assert_str_eq(c.cases.cases[2].origin, at("a.cases:5"));
}
END_TEST

START_TEST(a_bad_line_is_collected_and_the_others_still_give_cases) {
    put_text("a.cases", "quant fmt=int8\nquant fmt=int9\nquant fmt=int8 sed=2\namax fmt=nvfp4\n");
    content c = load("a.cases");
    ck_assert_int_eq(c.cases.n, 2);
    ck_assert_int_eq(c.n_bad, 2);
    is_bad(&c, 0, "a.cases:2", ":11: fmt: wanted one of");
    is_bad(&c, 1, "a.cases:3", ":16: unknown key 'sed' of kind quant (nearest: seed)");
    ck_assert_str_eq(c.bad[1].line, "quant fmt=int8 sed=2");
}
END_TEST

START_TEST(includes_are_relative_to_the_file_that_names_them_and_may_repeat) {
    put_text("a.cases", "@sub/b.cases # why\nquant fmt=int8\n  @sub/b.cases\n");
    put_text("sub/b.cases", "@c.cases\namax fmt=nvfp4\n");
    put_text("sub/c.cases", "ste fmt=int8\n");
    content c = load("a.cases");
    ck_assert_int_eq(c.n_bad, 0);
    ck_assert_int_eq(c.cases.n, 5);
    ck_assert_str_eq(c.cases.cases[0].line, "ste fmt=int8");
    ck_assert_str_eq(c.cases.cases[0].origin, at("sub/c.cases:1"));
    ck_assert_str_eq(c.cases.cases[2].line, "quant fmt=int8");
}
END_TEST

START_TEST(an_include_cycle_is_a_bad_line_and_ends) {
    put_text("a.cases", "quant fmt=int8\n@sub/b.cases\n");
    put_text("sub/b.cases", "amax fmt=nvfp4\n@../sub/../a.cases\n@b.cases\n");
    content c = load("a.cases");
    ck_assert_int_eq(c.cases.n, 2);
    ck_assert_int_eq(c.n_bad, 2);
    is_bad(&c, 0, "sub/b.cases:2", ":1: include cycle: ");
    is_bad(&c, 1, "sub/b.cases:3", ":1: include cycle: ");
}
END_TEST

// 2^12 files to read, were there no bound; none of them includes itself.
START_TEST(includes_that_double_with_every_level_end) {
    char name[32], text[64];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%d.cases", i);
        snprintf(text, sizeof text, "@%d.cases\n@%d.cases\n", i + 1, i + 1);
        put_text(name, text);
    }
    put_text("12.cases", "quant fmt=int8\n");
    content c = load("0.cases");
    ck_assert_int_gt(c.cases.n, 100);
    ck_assert_int_lt(c.cases.n, 1000);
    ck_assert_int_gt(c.n_bad, 0);
    ck_assert_ptr_nonnull(strstr(c.bad[0].message, ":1: more than 1000 includes"));
}
END_TEST

START_TEST(an_include_that_is_not_there_is_a_bad_line_with_its_path) {
    put_text("a.cases", "@nope.cases\n@\nquant fmt=int8\n");
    content c = load("a.cases");
    ck_assert_int_eq(c.cases.n, 1);
    ck_assert_int_eq(c.n_bad, 2);
    is_bad(&c, 0, "a.cases:1", ":1: ");
    ck_assert_ptr_nonnull(strstr(c.bad[0].message, "nope.cases"));
    is_bad(&c, 1, "a.cases:2", ":1: wanted @FILE, got '@' alone");
}
END_TEST

START_TEST(a_first_file_that_is_not_there_is_an_io_error) {
    content c = {0};
    qp_err err = {0};
    ck_assert(qp_case_file(at("nope.cases"), arena, &c.cases, &c.bad, &c.n_bad, &err) == QP_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, "nope.cases"));
}
END_TEST

START_TEST(a_nul_byte_hides_nothing) {
    static const char text[] = "quant fmt=int8\0 seed=2\namax fmt=nvfp4\n";
    put("a.cases", text, sizeof text - 1);
    content c = load("a.cases");
    ck_assert_int_eq(c.cases.n, 1);
    ck_assert_int_eq(c.n_bad, 1);
    is_bad(&c, 0, "a.cases:1", ":15: NUL byte in a case line");
}
END_TEST

int main(void) {
    Suite *s = suite_create("file");
    TCase *t = tcase_create("file");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_file_gives_its_cases_in_order_with_their_origin);
    tcase_add_test(t, a_bad_line_is_collected_and_the_others_still_give_cases);
    tcase_add_test(t, includes_are_relative_to_the_file_that_names_them_and_may_repeat);
    tcase_add_test(t, an_include_cycle_is_a_bad_line_and_ends);
    tcase_add_test(t, includes_that_double_with_every_level_end);
    tcase_add_test(t, an_include_that_is_not_there_is_a_bad_line_with_its_path);
    tcase_add_test(t, a_first_file_that_is_not_there_is_an_io_error);
    tcase_add_test(t, a_nul_byte_hides_nothing);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
