// SPDX-License-Identifier: Apache-2.0
// Every file below cases/bad/{models,recipes} is refused with the text of its "# expect:" line.
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "model/model.h"

enum { MAX_FILES = 256, MAX_NAME = 256 };

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

static int list(const char *dir, char names[][MAX_NAME]) {
    DIR *d = opendir(dir);
    ck_assert_msg(d != NULL, "%s", dir);
    int n = 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strstr(e->d_name, ".yaml") == NULL) continue;
        ck_assert_int_lt(n, MAX_FILES);
        snprintf(names[n++], MAX_NAME, "%s", e->d_name);
    }
    closedir(d);
    qsort(names, (size_t)n, sizeof names[0], by_name);
    return n;
}

static void expected(const char *path, qp_arena *a, char *out, size_t n_out) {
    char *bytes;
    size_t n;
    qp_err err = {0};
    ck_assert_msg(qp_file_read(path, a, &bytes, &n, &err) == QP_OK, "%s", err.msg);
    const char *at = strstr(bytes, "# expect: ");
    ck_assert_msg(at != NULL, "%s has no line '# expect: ...'", path);
    at += strlen("# expect: ");
    snprintf(out, n_out, "%.*s", (int)strcspn(at, "\n"), at);
    ck_assert_int_gt(strlen(out), 3);
}

static int check_folder(const char *dir, bool is_model) {
    static char names[MAX_FILES][MAX_NAME];
    qp_arena *a = qp_arena_new();
    int n = list(dir, names), bad = 0;
    for (int i = 0; i < n; i++) {
        const char *path;
        char want[512];
        ck_assert(qp_arena_printf(a, &path, NULL, "%s/%s", dir, names[i]) == QP_OK);
        expected(path, a, want, sizeof want);
        qp_err err = {0};
        qp_model m;
        qp_recipe r;
        qp_status s = is_model ? qp_model_load(path, "cases", "all", QP_NAMES_HF, a, &m, &err)
                               : qp_recipe_load(path, "cases", a, &r, &err);
        bool names_file = strncmp(err.msg, path, strlen(path)) == 0;
        if (s != QP_USAGE || !names_file || strstr(err.msg, want) == NULL) {
            printf("%s: status %s\n  wanted: %s\n  got:    %s\n", path, qp_status_name(s), want, err.msg);
            fflush(stdout); // the test runs in a process of its own
            bad++;
        }
        qp_arena_reset(a);
    }
    qp_arena_free(a);
    ck_assert_int_eq(bad, 0);
    return n;
}

START_TEST(every_bad_model_is_refused_with_its_message) {
    ck_assert_int_ge(check_folder("cases/bad/models", true), 50);
}
END_TEST

START_TEST(every_bad_recipe_is_refused_with_its_message) {
    ck_assert_int_ge(check_folder("cases/bad/recipes", false), 20);
}
END_TEST

int main(void) {
    Suite *s = suite_create("bad");
    TCase *t = tcase_create("bad");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_bad_model_is_refused_with_its_message);
    tcase_add_test(t, every_bad_recipe_is_refused_with_its_message);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
