// SPDX-License-Identifier: Apache-2.0
// SEL: sources, filters, shards, repeated cases, and the cost of what was selected.
#include "core/file.h"
#include "plan/cost.h"
#include "plan/select.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static qp_arena *arena;
static const char *dir; // a data folder of its own: suites/ and recipes/

static void put(const char *name, const char *text) {
    const char *path = NULL;
    ck_assert(qp_arena_printf(arena, &path, NULL, "%s/%s", dir, name) == QP_OK);
    ck_assert(qp_file_write_atomic(path, text, strlen(text), NULL) == QP_OK);
}

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
    const char *build = getenv("QP_BUILD"), *suites = NULL;
    ck_assert(qp_arena_printf(arena, &dir, NULL, "%s/tmp/plan-select", build != NULL ? build : "build") ==
              QP_OK);
    ck_assert(qp_arena_printf(arena, &suites, NULL, "%s/suites", dir) == QP_OK);
    ck_assert(qp_dir_make(suites, NULL) == QP_OK);
    put("suites/smoke.cases", "quant fmt=int8,nvfp4 seed=1,2\n");
    put("suites/premerge.cases",
        "@smoke.cases\npipeline model=a,b recipe=r tp=1,2,4 ep=1,2\nquant fmt=int8 seed=2\n");
}

static void teardown(void) {
    ck_assert(qp_dir_remove(dir, NULL) == QP_OK);
    qp_arena_free(arena);
}

static qp_status options(qp_selection *s, const char *const *words, int n, qp_err *err) {
    char *argv[16];
    for (int i = 0; i < n; i++) argv[i] = (char *)(uintptr_t)words[i];
    for (int i = 0; i < n; i++) {
        bool taken = false;
        QP_TRY(qp_select_option(s, n, argv, &i, &taken, arena, err));
        if (!taken) QP_FAIL(QP_BROKEN, "not taken: %s", argv[i]);
    }
    return QP_OK;
}

static qp_selected pick(const char *const *words, int n) {
    qp_selection s = {0};
    qp_selected out;
    qp_err err = {0};
    ck_assert_msg(options(&s, words, n, &err) == QP_OK, "%s", err.msg);
    ck_assert_msg(qp_select(&s, dir, arena, &out, &err) == QP_OK, "%s", err.msg);
    return out;
}

#define PICK(...) pick((const char *const[]){__VA_ARGS__}, QP_COUNT(((const char *const[]){__VA_ARGS__})))

START_TEST(no_source_is_the_premerge_suite_and_repeated_cases_are_dropped) {
    qp_selected got = pick(NULL, 0);
    ck_assert_int_eq(got.list.n, 4 + 12);
    ck_assert_int_eq(got.n_cases, 16);
    ck_assert_int_eq(got.n_repeated, 1);
    ck_assert_int_eq(got.bad.n, 0);
}
END_TEST

START_TEST(a_suite_a_file_and_lines_add_up_in_that_order) {
    put("more.cases", "amax fmt=nvfp4\n");
    const char *path = NULL;
    ck_assert(qp_arena_printf(arena, &path, NULL, "%s/more.cases", dir) == QP_OK);
    qp_selected got = PICK("ste fmt=int8", "--cases", path, "--suite=smoke");
    ck_assert_int_eq(got.list.n, 6);
    ck_assert_str_eq(got.list.cases[0].line, "quant fmt=int8");
    ck_assert_str_eq(got.list.cases[4].line, "amax fmt=nvfp4");
    ck_assert_str_eq(got.list.cases[5].line, "ste fmt=int8");
    ck_assert_str_eq(got.list.cases[5].origin, "command line");
}
END_TEST

START_TEST(a_line_on_the_command_line_need_not_be_quoted) {
    qp_selected got = PICK("quant", "fmt=int8", "seed=3,4", "amax fmt=int8", "seed=9");
    ck_assert_int_eq(got.list.n, 3);
    ck_assert_str_eq(got.list.cases[1].line, "quant fmt=int8 seed=4");
    ck_assert_str_eq(got.list.cases[2].line, "amax fmt=int8 seed=9");
}
END_TEST

START_TEST(a_bad_line_on_the_command_line_leaves_the_others) {
    qp_selected got = PICK("quant fmt=int8", "quant fm=int8");
    ck_assert_int_eq(got.list.n, 1);
    ck_assert_int_eq(got.bad.n, 1);
    ck_assert_str_eq(got.bad.lines[0].message,
                     "command line:7: unknown key 'fm' of kind quant (nearest: fmt)");
}
END_TEST

START_TEST(match_and_not_look_for_a_pattern_in_the_canonical_line) {
    ck_assert_int_eq(PICK("--match", "nvfp4").list.n, 2);
    ck_assert_int_eq(PICK("--match", "nvfp4", "--match", "model=a").list.n, 8);
    ck_assert_int_eq(PICK("--not", "^pipeline").list.n, 4);
    ck_assert_int_eq(PICK("--match", "^pipeline", "--not", "tp=2", "--not", "ep=2").list.n, 4);
    ck_assert_int_eq(PICK("--match", "nothing has this").list.n, 0);
}
END_TEST

START_TEST(model_layout_and_format_filter) {
    ck_assert_int_eq(PICK("--model", "a").list.n, 6);
    ck_assert_int_eq(PICK("--model", "[ab]").list.n, 0);
    ck_assert_int_eq(PICK("--model", "*").list.n, 12);
    ck_assert_int_eq(PICK("--layout", "tp2").list.n, 4);
    ck_assert_int_eq(PICK("--layout", "tp2ep2").list.n, 2);
    ck_assert_int_eq(PICK("--layout", "tp2ep2", "--layout=tp4ep1").list.n, 4);
    ck_assert_int_eq(PICK("--layout", "etp4").list.n, 4);
    ck_assert_int_eq(PICK("--format", "int8").list.n, 2);
}
END_TEST

START_TEST(a_pipeline_case_has_the_formats_that_its_recipe_uses) {
    qp_selection s = {0};
    qp_selected out;
    qp_err err = {0};
    static const char *const words[] = {"pipeline model=a recipe=nvfp4-static,int8,fp8,no-such-recipe",
                                        "--format", "nvfp4-static"};
    ck_assert(options(&s, words, 3, &err) == QP_OK);
    ck_assert_msg(qp_select(&s, "cases", arena, &out, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(out.list.n, 1);
    ck_assert_str_eq(out.list.cases[0].line, "pipeline model=a recipe=nvfp4-static");
}
END_TEST

START_TEST(shards_are_disjoint_and_complete) {
    int seen = 0;
    qp_selected all = pick(NULL, 0);
    for (int k = 1; k <= 3; k++) {
        const char *shard = NULL;
        ck_assert(qp_arena_printf(arena, &shard, NULL, "%d/3", k) == QP_OK);
        qp_selected part = PICK("--shard", shard);
        for (int i = 0; i < part.list.n; i++)
            ck_assert_str_eq(part.list.cases[i].id, all.list.cases[3 * i + k - 1].id);
        seen += part.list.n;
    }
    ck_assert_int_eq(seen, all.list.n);
}
END_TEST

START_TEST(bad_options_are_refused_with_what_was_wanted) {
    static const struct {
        const char *words[2], *want;
    } bad[] = {
        {{"--suite", "smok"}, "unknown suite 'smok'; "},
        {{"--suite", "../smoke"}, "unknown suite '../smoke'; "},
        {{"--format", "nvfp5"}, "--format: unknown format 'nvfp5' (nearest: nvfp4)"},
        {{"--layout", "4tp"}, "--layout: wanted degrees such as tp4ep2"},
        {{"--shard", "0/3"}, "--shard: wanted K/N with 1 <= K <= N, got '0/3'"},
        {{"--shard", "3"}, "--shard: wanted K/N with 1 <= K <= N, got '3'"},
        {{"--match", "a("}, "--match 'a(': column 3: "},
        {{"--not", "["}, "--not '[': column "},
        {{"--suite", ""}, "--suite wants a value"},
    };
    for (int i = 0; i < QP_COUNT(bad); i++) {
        qp_selection s = {0};
        qp_selected out;
        qp_err err = {0};
        qp_status status = options(&s, bad[i].words, 2, &err);
        if (status == QP_OK) status = qp_select(&s, dir, arena, &out, &err);
        ck_assert_int_eq(status, QP_USAGE);
        ck_assert_msg(strncmp(err.msg, bad[i].want, strlen(bad[i].want)) == 0, "wanted %s got %s",
                      bad[i].want, err.msg);
    }
    qp_selection s = {0};
    qp_err err = {0};
    static const char *const alone[] = {"--suite"};
    ck_assert(options(&s, alone, 1, &err) == QP_USAGE);
}
END_TEST

START_TEST(cases_cost_their_elements_and_ranks) {
    qp_selection s = {0};
    qp_selected out;
    qp_cost_cache *cache = NULL;
    qp_err err = {0};
    static const char *const words[] = {
        "grouped fmt=int8 in=fp32 shape=3x4x5", "quant fmt=int8 hex=3f80,3f81,3f82",
        "pipeline model=mixtral-8x7b layers=moe:1 recipe=nvfp4-static tp=2 ep=4",
        "pipeline model=no-such-model recipe=r"};
    ck_assert(options(&s, words, 4, &err) == QP_OK);
    ck_assert_msg(qp_select(&s, "cases", arena, &out, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(out.list.n, 4);
    ck_assert(qp_cost_cache_new(arena, &cache, &err) == QP_OK);
    qp_cost cost[4];
    for (int i = 0; i < 3; i++)
        ck_assert_msg(qp_case_cost(&out.list.cases[i], "cases", cache, arena, &cost[i], &err) == QP_OK, "%s",
                      err.msg);
    ck_assert_int_eq(cost[0].elements, 60);
    ck_assert_int_eq(cost[0].bytes, 60 * 8 * 4);
    ck_assert_int_eq(cost[1].elements, 3);
    ck_assert_int_eq(cost[2].elements, INT64_C(8) * 3 * 14336 * 4096);
    ck_assert_int_eq(cost[2].ranks, 8);
    ck_assert(qp_case_cost(&out.list.cases[3], "cases", cache, arena, &cost[3], &err) != QP_OK);
}
END_TEST

int main(void) {
    Suite *s = suite_create("select");
    TCase *t = tcase_create("select");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, no_source_is_the_premerge_suite_and_repeated_cases_are_dropped);
    tcase_add_test(t, a_suite_a_file_and_lines_add_up_in_that_order);
    tcase_add_test(t, a_line_on_the_command_line_need_not_be_quoted);
    tcase_add_test(t, a_bad_line_on_the_command_line_leaves_the_others);
    tcase_add_test(t, match_and_not_look_for_a_pattern_in_the_canonical_line);
    tcase_add_test(t, model_layout_and_format_filter);
    tcase_add_test(t, a_pipeline_case_has_the_formats_that_its_recipe_uses);
    tcase_add_test(t, shards_are_disjoint_and_complete);
    tcase_add_test(t, bad_options_are_refused_with_what_was_wanted);
    tcase_add_test(t, cases_cost_their_elements_and_ranks);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
