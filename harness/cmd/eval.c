// SPDX-License-Identifier: Apache-2.0
// quantproof eval: bits in, bits out; --check compares files that carry their answers; --list prints the
// grammar.
#include "cmd/eval.h"
#include "cmd/cmd.h"

#include "core/text.h"

#include <errno.h>
#include <string.h>

static const char *const options[] = {"--check", "--list", "--help"};

static const char usage[] =
    "quantproof eval [OP] key=value... [VALUES]   lines on stdin, one answer a line; with VALUES they are "
    "the one line\n"
    "quantproof eval --check FILE...              lines that carry their answers ('-': stdin)\n"
    "quantproof eval --list                       ops, keys, formats, engines\n";

typedef struct settings {
    eval_defaults defaults;
    bool check, list, help;
    const char **files;
    int n_files;
    qp_text values; // plain words: the command line is the one case
} settings;

static qp_status take_option(settings *s, const char *word, qp_err *err) {
    s->check = s->check || strcmp(word, "--check") == 0;
    s->list = s->list || strcmp(word, "--list") == 0;
    s->help = s->help || strcmp(word, "--help") == 0;
    for (int i = 0; i < QP_COUNT(options); i++)
        if (strcmp(options[i], word) == 0) return QP_OK;
    const char *near = qp_nearest(word, options, QP_COUNT(options));
    QP_FAIL(QP_USAGE, "eval: unknown option '%s'%s%s%s", word, near != NULL ? " (nearest: " : "",
            near != NULL ? near : "", near != NULL ? ")" : "");
}

static qp_status take_argument(settings *s, const char *word, qp_arena *a, qp_err *err) {
    if (word[0] == '-' && word[1] != '\0') return take_option(s, word, err);
    if (s->check) {
        s->files[s->n_files++] = word;
        return QP_OK;
    }
    if (strchr(word, '=') != NULL) return eval_defaults_add(&s->defaults, word, a, err);
    if (s->defaults.op == NULL) {
        s->defaults.op = word;
        return QP_OK;
    }
    return qp_text_add(&s->values, err, "%s%s", s->values.n > 0 ? " " : "", word);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static qp_status check_file(const settings *s, const char *path, qp_arena *a, eval_totals *sum, qp_err *err) {
    bool standard = strcmp(path, "-") == 0;
    eval_totals t = {0};
    FILE *in = standard ? stdin : fopen(path, "r");
    if (in == NULL) QP_FAIL(QP_IO, "%s: %s", path, strerror(errno));
    const char *name = standard ? "stdin" : path;
    eval_stream stream = {in, stdout, stderr, name, true, &s->defaults, a, &t};
    qp_status status = eval_run(&stream, err);
    if (!standard) fclose(in);
    QP_TRY(status);
    printf("%s: %d lines, %d equal, %d different, %d skipped", base_name(name), t.lines, t.equal, t.different,
           t.skipped);
    if (t.refused > 0) printf(", %d refused", t.refused);
    printf("\n");
    QP_TRY(eval_print_skips(&t, stdout, err));
    sum->lines += t.lines;
    sum->equal += t.equal;
    sum->different += t.different;
    sum->skipped += t.skipped;
    sum->refused += t.refused;
    return QP_OK;
}

// 2 before 1: a line that could not be judged may hide a difference. No line at all is 6: nothing judged is
// not green.
static int check_code(const eval_totals *t) {
    if (t->refused > 0) return 2;
    if (t->different > 0) return 1;
    return t->lines > 0 ? 0 : 6;
}

static qp_status check_files(const settings *s, qp_arena *a, int *exit_code, qp_err *err) {
    eval_totals sum = {0};
    if (s->n_files == 0) QP_FAIL(QP_USAGE, "eval --check wants files with answers ('-' is stdin)");
    for (int i = 0; i < s->n_files; i++) QP_TRY(check_file(s, s->files[i], a, &sum, err));
    if (s->n_files > 1)
        printf("%d files: %d lines, %d equal, %d different, %d skipped, %d refused\n", s->n_files, sum.lines,
               sum.equal, sum.different, sum.skipped, sum.refused);
    *exit_code = check_code(&sum);
    return QP_OK;
}

static qp_status answer_lines(settings *s, qp_arena *a, int *exit_code, qp_err *err) {
    eval_totals t = {0};
    QP_TRY(eval_defaults_check(&s->defaults, a, err));
    eval_stream stream = {stdin, stdout, stderr, "stdin", false, &s->defaults, a, &t};
    FILE *own = NULL;
    if (s->values.n > 0) {
        own = fmemopen(s->values.s, s->values.n, "r");
        if (own == NULL) QP_FAIL(QP_NOMEM, "no memory for the values of the command line");
        stream.in = own;
        stream.name = "values";
    }
    qp_status status = eval_run(&stream, err);
    if (own != NULL) fclose(own);
    QP_TRY(status);
    QP_TRY(eval_print_skips(&t, stderr, err));
    *exit_code = t.refused > 0 ? 2 : t.answered > 0 ? 0 : 6;
    return QP_OK;
}

static qp_status run(int argc, char **argv, qp_arena *a, int *exit_code, qp_err *err) {
    settings s = {.values = {.arena = a}};
    QP_TRY(QP_NEW(a, s.files, argc + 1));
    for (int i = 1; i < argc; i++) QP_TRY(take_argument(&s, argv[i], a, err));
    *exit_code = 0;
    if (s.help) {
        fputs(usage, stdout);
        return QP_OK;
    }
    if (s.list) return eval_print_grammar(stdout, err);
    return s.check ? check_files(&s, a, exit_code, err) : answer_lines(&s, a, exit_code, err);
}

qp_status qp_cmd_eval(int argc, char **argv, int *exit_code, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory for an arena");
    qp_status status = run(argc, argv, a, exit_code, err);
    qp_arena_free(a);
    return status;
}
