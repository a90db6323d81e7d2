// SPDX-License-Identifier: Apache-2.0
// The eval command itself: exit codes, counts, and the table behind it.
#include "cmd/cmd.h"
#include "cmd/eval.h"
#include "core/file.h"
#include "qp/ref.h"

#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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
    static const char *const several[] = {"--check", "cases/golden/nf4.txt", "cases/golden/export.txt"};
    ck_assert_int_eq(command(several, 3, "", &printed), 0);
    ck_assert_str_eq(printed, "nf4.txt: 60 lines, 60 equal, 0 different, 0 skipped\n"
                              "export.txt: 60 lines, 60 equal, 0 different, 0 skipped\n"
                              "2 files: 120 lines, 120 equal, 0 different, 0 skipped, 0 refused\n");
    static const char *const mixed[] = {"quant", "fmt=nf4", "in=bf16"};
    ck_assert_int_eq(
        command(mixed, 3, "engine=torch-cpu block=2 scale_zero=3f80 x=3f80,3f0\nop=amax 3f80\n", &printed),
        2);
    ck_assert_str_eq(printed,
                     "# refused: stdin:1:49: x[1]: wanted 4 hex digits (bf16), got '3f0'\namax=3f80\n");
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

// ---- a conversation
// ---------------------------------------------------------------------------------------------------------------------

typedef struct talk {
    pid_t child;
    int to, from;
} talk;

// The command in a child of its own behind two pipes, so that its output is buffered unless it is flushed.
static talk talk_begin(void) {
    int in[2], out[2];
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(98);
        char name[] = "eval", *argv[] = {name, NULL};
        int code = -1;
        const qp_status status = qp_cmd_eval(1, argv, &code, NULL);
        _exit(status == QP_OK ? code : 97); // nothing that stdio still holds is written
    }
    close(in[0]);
    close(out[1]);
    return (talk){child, in[1], out[0]};
}

// What stands on the pipe before the next question is asked: n lines, or what came within ten seconds.
static void ask(const talk *t, const char *line, int n_lines, const char *want) {
    char got[4096] = "";
    size_t n = 0;
    ck_assert_int_eq(write(t->to, line, strlen(line)), (ssize_t)strlen(line));
    for (int lines = 0; lines < n_lines;) {
        struct pollfd ready = {.fd = t->from, .events = POLLIN};
        ck_assert_msg(poll(&ready, 1, 10000) == 1, "no answer to %s, only: %s", line, got);
        const ssize_t more = read(t->from, got + n, sizeof got - n - 1);
        ck_assert_msg(more > 0, "the command ended on %s", line);
        for (ssize_t i = 0; i < more; i++) lines += got[n + (size_t)i] == '\n';
        n += (size_t)more;
        got[n] = '\0';
    }
    ck_assert_str_eq(got, want);
}

static int talk_end(const talk *t) {
    int status = -1;
    close(t->to);
    ck_assert_int_eq(waitpid(t->child, &status, 0), t->child);
    close(t->from);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(every_answer_is_there_before_the_next_question) {
    const talk t = talk_begin();
    ask(&t, "op=fakequant fmt=int8 in=bf16 amax=3f8f0000 3f8f 3f0f bf81\n", 1, "y=3f8f,3f10,bf81\n");
    ask(&t, "op=fakequant fmt=int9 x=3f80\n", 1,
        "# refused: stdin:2:18: unknown format 'int9' (nearest: int8); formats of op fakequant: int8 int4 "
        "int8-axis0 int4-axis0 fp8-e4m3 fp8-axis0 fp8-block2d int4-block nvfp4 nvfp4-static nvfp4-46 mxfp4 "
        "mxfp6-e3m2 mxfp6-e2m3 mxfp8-e4m3 mxfp8-e5m2 mxint8\n");
    ask(&t, "op=fakequant fmt=int8 amax=33800000 engine=all x=bf800000\n", 3,
        "engine=ieee y=b3810204\nengine=torch-cpu y=80000000\nengine=torch-cuda y=80000000\n");
    ask(&t, "# nothing to answer\nop=amax x=bf800000\n", 1, "amax=3f800000\n");
    ck_assert_int_eq(talk_end(&t), 2);
}
END_TEST

START_TEST(a_conversation_without_a_refusal_ends_with_0) {
    const talk t = talk_begin();
    ask(&t, "op=dequant fmt=mxfp4 codes=72 scales=7f out=bf16\n", 1, "values=3f80,40c0\n");
    ck_assert_int_eq(talk_end(&t), 0);
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

// Calls f for every format of every row of the grammar that has one.
static int for_each_format(void (*f)(const eval_row *row, qp_format format)) {
    int n = 0;
    for (int r = 0; r < eval_n_rows; r++)
        for (int i = 0; i < QP_FORMAT_COUNT; i++) {
            const char *name = qp_format_get((qp_format)i)->name, *at = eval_rows[r].formats;
            for (; *at != '\0'; at += strspn(at, " ")) {
                const size_t length = strcspn(at, " ");
                if (strlen(name) == length && strncmp(name, at, length) == 0)
                    f(&eval_rows[r], (qp_format)i), n++;
                at += length;
            }
        }
    return n;
}

static void promises_what_is_answered(const eval_row *row, qp_format format) {
    const eval_case c = {.row = row, .format = format, .fmt = qp_format_get(format)->name};
    // mse asks for the engines of fakequant, which are more than its own.
    const bool own = row->ref_op < 0 || strcmp(row->op, qp_op_name((qp_op)row->ref_op)) == 0;
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        const char *later = NULL;
        ck_assert(eval_not_built(&c, (qp_engine)e, arena, &later, NULL) == QP_OK);
        if (later == NULL && !own) continue;
        ck_assert_msg((row->engines >> e & 1) == (later == NULL), "op %s %s: engine %s is %s", row->op, c.fmt,
                      qp_engine_name((qp_engine)e),
                      later == NULL ? "answered, not in the grammar" : "only promised");
    }
}

START_TEST(the_grammar_names_exactly_the_engines_that_answer) {
    ck_assert_int_ge(for_each_format(promises_what_is_answered), 60);
}
END_TEST

static bool grammar_has[QP_OP_COUNT][QP_FORMAT_COUNT];

static void mark(const eval_row *row, qp_format format) {
    for (int op = 0; op < QP_OP_COUNT; op++)
        if (strcmp(row->op, qp_op_name((qp_op)op)) == 0) grammar_has[op][format] = true;
}

START_TEST(every_format_has_rows_for_what_the_reference_answers_and_both_ways) {
    for_each_format(mark);
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        const char *name = qp_format_get((qp_format)f)->name;
        for (int op = 0; op < QP_OP_COUNT; op++) {
            if (op == QP_OP_AMAX) continue;
            ck_assert_msg(grammar_has[op][f] == (ref_engines((qp_op)op, (qp_format)f) != 0), "%s %s",
                          qp_op_name((qp_op)op), name);
        }
        ck_assert_msg(grammar_has[QP_OP_FAKEQUANT][f] == grammar_has[QP_OP_BACKWARD][f], "%s: no gradient",
                      name);
        ck_assert_msg(grammar_has[QP_OP_QUANT][f] == grammar_has[QP_OP_DEQUANT][f], "%s: no way back", name);
        ck_assert_msg(grammar_has[QP_OP_FAKEQUANT][f] || grammar_has[QP_OP_QUANT][f], "%s: nothing", name);
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
    ck_assert_ptr_nonnull(strstr(text, "\nfakequant    int8             ieee torch-cpu torch-cuda\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nquant        mxfp4            ieee torch-cpu torch-cuda "
                                       "compressed-tensors\n"));
    ck_assert_ptr_null(strstr(text, "(later)"));
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("eval_cmd");
    TCase *t = tcase_create("eval_cmd");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, exit_codes_and_counts_of_the_command);
    tcase_add_test(t, every_answer_is_there_before_the_next_question);
    tcase_add_test(t, a_conversation_without_a_refusal_ends_with_0);
    tcase_add_test(t, the_grammar_table_is_sound);
    tcase_add_test(t, the_grammar_names_exactly_the_engines_that_answer);
    tcase_add_test(t, every_format_has_rows_for_what_the_reference_answers_and_both_ways);
    tcase_add_test(t, the_list_names_every_op_format_and_engine);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
