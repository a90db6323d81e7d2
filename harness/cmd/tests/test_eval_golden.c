// SPDX-License-Identifier: Apache-2.0
// The golden files of the real packages: every line judged, every one equal, and a changed digit in any
// answer is found.
#include "cmd/tests/eval_run.h"
#include "core/file.h"
#include "qp/ref.h"

#include <dirent.h>

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

static outcome stream(const char *input, bool check, const eval_defaults *d) {
    return eval_lines(input, check, d, arena);
}

// Every file whole: no line skipped, none refused, all of them equal.
typedef struct golden {
    const char *file;
    int lines;
} golden;

static const golden goldens[] = {
    {"int8", 180},
    {"int8-axis0", 90},
    {"fp8-e4m3", 255},
    {"nvfp4-quant", 360},
    {"backward", 180},
    {"amax", 180},
    {"promotion", 20},
    {"special-amax", 18},
    {"traps", 27},
    {"nvfp4-fake-interp", 270},
    {"codec", 4136},
    {"export", 60},
    {"fp8-int8-real", 162},
    {"headroom", 36},
    {"histogram", 50},
    {"int4-block", 180},
    {"mse", 48},
    {"mx-real", 360},
    {"nf4", 60},
    {"sweep", 73},
    {"more-fake", 61},
    {"more-backward", 50},
    {"more-quant", 158},
    {"more-ct", 28},
    {"more-mx", 78},
};

static const char *golden_path(const golden *g) {
    const char *path = NULL;
    ck_assert(qp_arena_printf(arena, &path, NULL, "cases/golden/%s.txt", g->file) == QP_OK);
    return path;
}

static outcome check_file(const char *path) {
    char *text = NULL;
    size_t n_bytes = 0;
    qp_err err = {0};
    ck_assert_msg(qp_file_read(path, arena, &text, &n_bytes, &err) == QP_OK, "%s", err.msg);
    return stream(text, true, NULL);
}

START_TEST(every_golden_file_is_judged_whole_and_nothing_differs) {
    for (int i = 0; i < QP_COUNT(goldens); i++) {
        const golden *g = &goldens[i];
        outcome o = check_file(golden_path(g));
        ck_assert_msg(o.totals.different == 0, "%s: %s", g->file, o.out);
        ck_assert_msg(o.totals.refused == 0, "%s: %s", g->file, o.errors);
        ck_assert_msg(o.totals.lines == g->lines, "%s: %d lines", g->file, o.totals.lines);
        ck_assert_msg(o.totals.equal == g->lines, "%s: %d judged", g->file, o.totals.equal);
        done(&o);
    }
}
END_TEST

START_TEST(no_golden_file_is_forgotten) {
    DIR *dir = opendir("cases/golden");
    int n_files = 0;
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        const size_t n = strlen(e->d_name);
        bool known = false;
        if (n < 4 || strcmp(e->d_name + n - 4, ".txt") != 0) continue; // releases/ differs on purpose
        for (int g = 0; g < QP_COUNT(goldens); g++)
            known = known ||
                    (strlen(goldens[g].file) == n - 4 && strncmp(goldens[g].file, e->d_name, n - 4) == 0);
        ck_assert_msg(known, "cases/golden/%s is not judged", e->d_name);
        n_files++;
    }
    closedir(dir);
    ck_assert_int_eq(n_files, QP_COUNT(goldens));
}
END_TEST

// Ops of formats that no outside answer exists for: MX has no mask (its gradient always passes), and nobody
// but us opens an export again on a CPU.
static bool has_no_outsider(qp_op op, qp_format f) {
    const qp_scale scale = qp_format_get(f)->scale;
    return (op == QP_OP_BACKWARD && scale == QP_SCALE_E8M0) ||
           (op == QP_OP_DEQUANT && scale == QP_SCALE_GIVEN);
}

static void mark_lines(const char *path, bool seen[QP_OP_COUNT][QP_FORMAT_COUNT]) {
    char *text = NULL;
    size_t n = 0;
    ck_assert_msg(qp_file_read(path, arena, &text, &n, NULL) == QP_OK, "%s", path);
    for (char *line = text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1)
        for (int op = 0; op < QP_OP_COUNT; op++)
            for (int f = 0; f < QP_FORMAT_COUNT; f++) {
                const char *start = NULL;
                ck_assert(qp_arena_printf(arena, &start, NULL, "op=%s fmt=%s ", qp_op_name((qp_op)op),
                                          qp_format_get((qp_format)f)->name) == QP_OK);
                if (strncmp(line, start, strlen(start)) == 0) seen[op][f] = true;
            }
}

START_TEST(every_op_of_every_format_has_a_judged_line) {
    static bool seen[QP_OP_COUNT][QP_FORMAT_COUNT];
    for (int i = 0; i < QP_COUNT(goldens); i++)
        if (strcmp(goldens[i].file, "codec") != 0) mark_lines(golden_path(&goldens[i]), seen);
    mark_lines("cases/engines/disagreements.txt", seen);
    for (int op = 0; op < QP_OP_COUNT; op++)
        for (int f = 0; f < QP_FORMAT_COUNT; f++) {
            if ((qp_op)op == QP_OP_AMAX || has_no_outsider((qp_op)op, (qp_format)f)) continue;
            ck_assert_msg(seen[op][f] == (ref_engines((qp_op)op, (qp_format)f) != 0),
                          "%s %s: no line judges it", qp_op_name((qp_op)op),
                          qp_format_get((qp_format)f)->name);
        }
}
END_TEST

START_TEST(an_old_release_differs_in_its_31_lines) {
    outcome o = check_file("cases/golden/releases/nvfp4-quant-0.44.txt");
    ck_assert_int_eq(o.totals.lines, 270);
    ck_assert_int_eq(o.totals.different, 31);
    ck_assert_int_eq(o.totals.equal, 239);
    done(&o);
}
END_TEST

// Another last digit; of an approximate answer a digit that its tolerance does not cover.
static void plant(char *text, const eval_key *key) {
    size_t length = strcspn(text, ", ");
    char *digit = &text[key->approx ? 2 : length - 1];
    static const char hex[] = "0123456789abcdef", other[] = "1032547698badcfe";
    *digit = other[strchr(hex, *digit) - hex];
}

static bool may_be_nan(const char *text) {
    return strncmp(text, "7f", 2) == 0 || strncmp(text, "ff", 2) == 0 || strncmp(text, "7e", 2) == 0;
}

// Every answer key of a line, one digit changed: each must be found.
static int plant_in_line(const char *file, const char *line) {
    static const eval_defaults none;
    eval_place place = {file, 1};
    eval_case c;
    eval_state state = EVAL_EMPTY;
    const char *message = NULL;
    int found = 0;
    ck_assert(eval_parse(line, strlen(line), place, &none, arena, &c, &state, &message, NULL) == QP_OK);
    ck_assert_msg(state == EVAL_GOOD, "%s: %s", line, message);
    for (int k = 0; k < c.row->n_keys; k++) {
        if (!c.row->keys[k].answer || c.values[k].text == NULL) continue;
        char *copy = NULL;
        ck_assert(qp_arena_get(arena, strlen(line) + 1, &copy, NULL) == QP_OK);
        memcpy(copy, line, strlen(line));
        char *text = copy + c.values[k].column - 1;
        if (may_be_nan(text)) continue;
        plant(text, &c.row->keys[k]);
        outcome o = stream(copy, true, NULL);
        ck_assert_msg(o.totals.different == 1, "%s: a changed %s is not found: %s%s", file,
                      c.row->keys[k].name, o.errors, copy);
        found++;
        done(&o);
    }
    return found;
}

START_TEST(no_golden_line_is_equal_with_a_changed_digit_in_any_answer_key) {
    int planted = 0;
    for (int f = 0; f < QP_COUNT(goldens); f++) {
        char *text = NULL;
        size_t n = 0;
        int number = 0, of_file = 0;
        if (strcmp(goldens[f].file, "promotion") == 0) continue; // groups of lines: the test below
        ck_assert(qp_file_read(golden_path(&goldens[f]), arena, &text, &n, NULL) == QP_OK);
        for (char *line = text, *stop; (stop = strchr(line, '\n')) != NULL; line = stop + 1) {
            *stop = '\0';
            if (line[0] != '#' && number++ % 7 == 0) of_file += plant_in_line(goldens[f].file, line);
        }
        ck_assert_msg(of_file > 0, "%s: nothing planted", goldens[f].file);
        planted += of_file;
    }
    ck_assert_int_ge(planted, 1000);
}
END_TEST

int main(void) {
    Suite *s = suite_create("eval_golden");
    TCase *t = tcase_create("eval_golden");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_golden_file_is_judged_whole_and_nothing_differs);
    tcase_add_test(t, no_golden_file_is_forgotten);
    tcase_add_test(t, every_op_of_every_format_has_a_judged_line);
    tcase_add_test(t, an_old_release_differs_in_its_31_lines);
    tcase_add_test(t, no_golden_line_is_equal_with_a_changed_digit_in_any_answer_key);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
