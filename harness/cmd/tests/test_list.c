// SPDX-License-Identifier: Apache-2.0
// list: what it prints and its exit codes; the words of case lines against those of the generator.
#include "checks/checks.h"
#include "cmd/cmd.h"
#include "core/file.h"
#include "input/gen.h"
#include "plan/case.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

static int list(const char *const *words, int n, char **printed) {
    const char *build = getenv("QP_BUILD"), *path = NULL, *dir = NULL;
    ck_assert(qp_arena_printf(arena, &dir, NULL, "%s/tmp", build != NULL ? build : "build") == QP_OK);
    ck_assert(qp_dir_make(dir, NULL) == QP_OK);
    ck_assert(qp_arena_printf(arena, &path, NULL, "%s/list-%ld.out", dir, (long)getpid()) == QP_OK);
    char *argv[16] = {(char *)(uintptr_t) "list"};
    for (int i = 0; i < n; i++) argv[i + 1] = (char *)(uintptr_t)words[i];
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    ck_assert_ptr_nonnull(freopen(path, "w", stdout));
    int code = -1;
    qp_err err = {0};
    qp_status status = qp_cmd_list(n + 1, argv, &code, &err);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    size_t n_bytes = 0;
    ck_assert(qp_file_read(path, arena, printed, &n_bytes, NULL) == QP_OK);
    unlink(path);
    return status == QP_OK ? code : 100 + (int)status;
}

START_TEST(list_prints_every_case_with_its_id_and_cost) {
    char *text = NULL;
    static const char *const words[] = {"quant fmt=int8,nvfp4 seed=1,2", "--match", "nvfp4"};
    ck_assert_int_eq(list(words, 3, &text), 0);
    qp_case_list cases = {0};
    ck_assert(qp_case_parse("quant fmt=nvfp4 seed=1,2", "t", arena, &cases, NULL) == QP_OK);
    for (int i = 0; i < cases.n; i++) {
        const char *line = strstr(text, cases.cases[i].id);
        ck_assert_msg(line != NULL, "%s not in %s", cases.cases[i].id, text);
        ck_assert_ptr_nonnull(strstr(line, cases.cases[i].line));
        ck_assert_ptr_nonnull(strstr(line, "16K"));
    }
    ck_assert_ptr_nonnull(strstr(text, "2 of 4 cases selected, 0 repeated, 0 bad lines\n"));
}
END_TEST

START_TEST(list_exits_2_on_a_bad_line_and_6_on_nothing) {
    char *text = NULL;
    static const char *const bad[] = {"quant fmt=int8", "quant fmt=int88"};
    ck_assert_int_eq(list(bad, 2, &text), 2);
    ck_assert_ptr_nonnull(strstr(text, "quant fmt=int8\n"));
    static const char *const nothing[] = {"quant fmt=int8", "--not", "."};
    ck_assert_int_eq(list(nothing, 3, &text), 6);
    static const char *const unknown[] = {"--shrad", "1/2"};
    ck_assert_int_eq(list(unknown, 2, &text), 100 + QP_USAGE);
}
END_TEST

START_TEST(keys_prints_every_key_of_every_kind) {
    char *text = NULL;
    static const char *const words[] = {"--keys"};
    ck_assert_int_eq(list(words, 1, &text), 0);
    for (int i = 0; i < qp_n_kinds; i++) {
        ck_assert_ptr_nonnull(strstr(text, qp_kinds[i].doc));
        for (int k = 0; k < qp_kinds[i].n_keys; k++)
            ck_assert_ptr_nonnull(strstr(text, qp_kinds[i].keys[k].doc));
    }
}
END_TEST

START_TEST(laws_prints_the_table_of_laws_and_formats_and_every_counter_example) {
    char *text = NULL;
    static const char *const words[] = {"--laws"};
    ck_assert_int_eq(list(words, 1, &text), 0);
    for (int law = 0; law < QP_LAW_COUNT; law++) {
        ck_assert_ptr_nonnull(strstr(text, qp_law_get((qp_law)law)->name));
        ck_assert_ptr_nonnull(strstr(text, qp_law_get((qp_law)law)->says));
    }
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        char line[64];
        snprintf(line, sizeof line, "\n%-13s ", qp_format_get((qp_format)f)->name);
        ck_assert_msg(strstr(text, line) != NULL, "no line of%s", line);
    }
    for (int i = 0; i < qp_n_law_examples; i++) ck_assert_ptr_nonnull(strstr(text, qp_law_examples[i].why));
    ck_assert_ptr_nonnull(strstr(text, "x=bf8147ae amax=3f800000")); // trap 4
}
END_TEST

static const char *const *words_of(const char *kind, const char *key) {
    for (int i = 0; i < qp_n_kinds; i++)
        for (int k = 0; strcmp(qp_kinds[i].name, kind) == 0 && k < qp_kinds[i].n_keys; k++)
            if (strcmp(qp_kinds[i].keys[k].name, key) == 0) return qp_kinds[i].keys[k].words;
    return NULL;
}

// plan may not include the generator, so its words stand twice; this holds them together.
START_TEST(edge_and_dist_words_of_case_lines_are_those_of_the_generator) {
    const char *const *edges = words_of("quant", "edge");
    int n = 0;
    for (; edges[n] != NULL; n++) ck_assert_str_eq(edges[n], qp_edge_names[n]);
    ck_assert_int_eq(n, QP_EDGE_COUNT);
    const char *const *dists = words_of("quant", "dist");
    for (n = 0; dists[n] != NULL; n++) {
        qp_gen g = {0};
        ck_assert_msg(qp_gen_parse_dist(dists[n], &g, NULL) == QP_OK, "%s", dists[n]);
        ck_assert_str_eq(dists[n], qp_dist_names[g.dist]);
    }
    ck_assert_int_eq(n, QP_DIST_RECORD); // the generator of pipeline records is not for case lines
}
END_TEST

int main(void) {
    Suite *s = suite_create("list");
    TCase *t = tcase_create("list");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, list_prints_every_case_with_its_id_and_cost);
    tcase_add_test(t, list_exits_2_on_a_bad_line_and_6_on_nothing);
    tcase_add_test(t, keys_prints_every_key_of_every_kind);
    tcase_add_test(t, laws_prints_the_table_of_laws_and_formats_and_every_counter_example);
    tcase_add_test(t, edge_and_dist_words_of_case_lines_are_those_of_the_generator);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
