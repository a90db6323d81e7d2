// SPDX-License-Identifier: Apache-2.0
// The eval command itself: exit codes, counts, and the table behind it.
#include "cmd/cmd.h"
#include "cmd/eval.h"
#include "core/file.h"

#include <check.h>
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

// The command itself, its output in a file: exit codes and the printed counts.
static int command(const char *const *words, int n, const char *input, char **printed) {
    const char *build = getenv("QP_BUILD"), *out_path = NULL, *in_path = NULL, *dir = NULL;
    ck_assert(qp_arena_printf(arena, &dir, NULL, "%s/tmp", build != NULL ? build : "build") == QP_OK);
    ck_assert(qp_dir_make(dir, NULL) == QP_OK);
    ck_assert(qp_arena_printf(arena, &out_path, NULL, "%s/eval-%ld.out", dir, (long)getpid()) == QP_OK);
    ck_assert(qp_arena_printf(arena, &in_path, NULL, "%s/eval-%ld.in", dir, (long)getpid()) == QP_OK);
    ck_assert(qp_file_write_atomic(in_path, input, strlen(input), NULL) == QP_OK);
    char *argv[16] = {(char *)(uintptr_t) "eval"};
    for (int i = 0; i < n; i++) argv[i + 1] = (char *)(uintptr_t)words[i];
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    ck_assert_ptr_nonnull(freopen(in_path, "r", stdin));
    ck_assert_ptr_nonnull(freopen(out_path, "w", stdout));
    int code = -1;
    qp_err err = {0};
    qp_status status = qp_cmd_eval(n + 1, argv, &code, &err);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    size_t n_bytes = 0;
    ck_assert(qp_file_read(out_path, arena, printed, &n_bytes, NULL) == QP_OK);
    unlink(out_path);
    unlink(in_path);
    return status == QP_OK ? code : 100 + (int)status;
}

START_TEST(exit_codes_and_counts_of_the_command) {
    char *printed = NULL;
    static const char *const good[] = {"--check", "cases/golden/int8.txt"};
    ck_assert_int_eq(command(good, 2, "", &printed), 0);
    ck_assert_str_eq(printed, "int8.txt: 180 lines, 180 equal, 0 different, 0 skipped\n");
    static const char *const later[] = {"--check", "cases/golden/nf4.txt"};
    ck_assert_int_eq(command(later, 2, "", &printed), 0);
    ck_assert_str_eq(
        printed, "nf4.txt: 60 lines, 0 equal, 0 different, 60 skipped\nskipped: 60 quant nf4 (torch-cpu)\n");
    static const char *const old[] = {"--check", "cases/golden/releases/nvfp4-quant-0.44.txt"};
    ck_assert_int_eq(command(old, 2, "", &printed), 1);
    static const char *const none[] = {"--check", "-"};
    ck_assert_int_eq(command(none, 2, "", &printed), 6);
    ck_assert_int_eq(command(none, 2,
                             "op=amax x=3f800000 amax=3f800000\nop=amax x=3f80\nop=amax x=3f800000 amax=0\n",
                             &printed),
                     2);
    ck_assert_ptr_nonnull(strstr(printed, "stdin: 3 lines, 1 equal, 0 different, 0 skipped, 2 refused\n"));
    ck_assert_int_eq(command(none, 2, "op=amax x=3f800000 amax=40000000\n", &printed), 1);
    static const char *const missing[] = {"--check", "no/such/file.txt"};
    ck_assert_int_eq(command(missing, 2, "", &printed), 100 + QP_IO);
    static const char *const option[] = {"--chek"};
    ck_assert_int_eq(command(option, 1, "", &printed), 100 + QP_USAGE);
    static const char *const values[] = {"fakequant", "fmt=int8", "in=bf16", "amax=3f8f0000",
                                         "3f8f",      "3f0f",     "bf81"};
    ck_assert_int_eq(command(values, 7, "", &printed), 0);
    ck_assert_str_eq(printed, "y=3f8f,3f10,bf81\n");
    static const char *const amax[] = {"amax", "in=bf16"};
    ck_assert_int_eq(command(amax, 2, "bf80\nbf8\n", &printed), 2);
    ck_assert_ptr_nonnull(strstr(printed, "amax=3f80\n"));
    ck_assert_int_eq(command(amax, 2, "# nothing\n", &printed), 6);
    static const char *const words[] = {"fakequant", "fmt=int8", "axis=0"};
    ck_assert_int_eq(command(words, 3, "3f800000\n", &printed), 100 + QP_USAGE);
}
END_TEST

// ---- the table
// ---------------------------------------------------------------------------------------------------------------------

START_TEST(the_grammar_table_is_sound) {
    for (int r = 0; r < eval_n_rows; r++) {
        const eval_row *row = &eval_rows[r];
        int answers_in_row = 0;
        ck_assert_int_le(row->n_keys, EVAL_MAX_KEYS);
        for (int k = 0; k < row->n_keys; k++) {
            const eval_key *key = &row->keys[k];
            for (int j = 0; j < k; j++) ck_assert_str_ne(key->name, row->keys[j].name);
            ck_assert_msg(row->answer == NULL || eval_count_known(key->count),
                          "%s %s: no rule for count '%s'", row->op, key->name, key->count);
            ck_assert(key->type != EVAL_WORD || key->words != NULL);
            answers_in_row += key->answer;
        }
        ck_assert_int_ge(answers_in_row, 1);
        ck_assert_int_le(answers_in_row, EVAL_MAX_ANSWERS);
    }
}
END_TEST

START_TEST(the_list_names_every_op_format_and_engine) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    ck_assert(eval_print_grammar(out, NULL) == QP_OK);
    fclose(out);
    for (int r = 0; r < eval_n_rows; r++) ck_assert_ptr_nonnull(strstr(text, eval_rows[r].op));
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        ck_assert_ptr_nonnull(strstr(text, qp_format_get((qp_format)f)->name));
    for (int e = 0; e < QP_ENGINE_COUNT; e++)
        ck_assert_ptr_nonnull(strstr(text, qp_engine_name((qp_engine)e)));
    ck_assert_ptr_nonnull(strstr(text, "block_amax:f32[nb]=data"));
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("eval_cmd");
    TCase *t = tcase_create("eval_cmd");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, exit_codes_and_counts_of_the_command);
    tcase_add_test(t, the_grammar_table_is_sound);
    tcase_add_test(t, the_list_names_every_op_format_and_engine);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
