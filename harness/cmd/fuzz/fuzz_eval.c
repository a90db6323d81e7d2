// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as a stream of eval lines. Beyond the sanitizers it holds that a refusal names
// the line, that every line gets one verdict, and that an answer, put behind its question, is found equal by
// --check.
#include "cmd/eval.h"
#include "core/fuzz/fuzz.h"

enum { MAX_LINES = 4, MAX_NUMBER = 1024, MAX_RUN = 4096 };

static const eval_defaults none;

static eval_totals run(const char *text, size_t n_bytes, bool check, char **out, size_t *n_out, char **errors,
                       size_t *n_errors, qp_arena *keep) {
    eval_totals totals = {0};
    qp_err err = {0};
    FILE *in = fmemopen((char *)(uintptr_t)text, n_bytes, "r"), *o = open_memstream(out, n_out),
         *e = open_memstream(errors, n_errors);
    hold(in != NULL && o != NULL && e != NULL);
    const eval_stream s = {in, o, e, "stdin", check, &none, keep, &totals};
    hold(eval_run(&s, &err) == QP_OK);
    fclose(in);
    fclose(o);
    fclose(e);
    return totals;
}

// Numbers that set how long an answer takes, and the length of a run of images to encode.
static bool is_small(const eval_case *c) {
    const eval_value *first = eval_get(c, "first"), *last = eval_get(c, "last");
    for (int k = 0; k < c->row->n_keys; k++)
        if (c->row->keys[k].type == EVAL_DEC && c->values[k].number > MAX_NUMBER) return false;
    if (c->rows * (double)c->cols > MAX_RUN || c->block_rows > MAX_RUN || c->block_cols > MAX_RUN)
        return false;
    if (first == NULL || last == NULL || first->array.n != 1 || last->array.n != 1) return true;
    return eval_array_bits(&last->array, 0) - (uint64_t)eval_array_bits(&first->array, 0) <= MAX_RUN;
}

static bool has_answers(const eval_case *c) {
    for (int k = 0; k < c->row->n_keys; k++)
        if (c->row->keys[k].answer && c->values[k].text != NULL) return true;
    return false;
}

// One line: may it be evaluated, and does it have one answer of its own?
static bool look_at(const char *line, size_t n, int number, qp_arena *a, bool *single) {
    eval_case c;
    eval_state state = EVAL_EMPTY;
    const char *message = NULL;
    qp_err err = {0};
    const eval_place place = {"stdin", number};
    *single = false;
    hold(eval_parse(line, n, place, &none, a, &c, &state, &message, &err) == QP_OK);
    if (state == EVAL_REFUSED) hold(strncmp(message, "stdin:", 6) == 0 && strlen(message) > 10);
    if (state != EVAL_GOOD) return true;
    qp_status status = eval_convert(&c, a, &err);
    if (status != QP_OK) hold_refused(status, QP_USAGE, &err, "stdin:");
    if (status != QP_OK) return true;
    *single = !c.all_engines && c.group == NULL && !has_answers(&c);
    return is_small(&c);
}

static void check_answer(const char *line, size_t n, qp_arena *a) {
    char *out = NULL, *errors = NULL, *again = NULL;
    size_t n_out = 0, n_errors = 0;
    const char *comment = memchr(line, '#', n);
    if (comment != NULL) n = (size_t)(comment - line);
    eval_totals t = run(line, n, false, &out, &n_out, &errors, &n_errors, a);
    hold(t.lines == 1 && t.answered + t.skipped + t.refused == 1 && n_out > 0);
    hold((t.refused == 1) == (n_errors > 0));
    if (t.answered == 1) {
        hold(qp_arena_get(a, n + n_out + 2, &again, NULL) == QP_OK);
        memcpy(again, line, n);
        again[n] = ' ';
        memcpy(again + n + 1, out, n_out);
        free(out);
        free(errors);
        t = run(again, n + 1 + n_out, true, &out, &n_out, &errors, &n_errors, a);
        hold(t.lines == 1 && t.equal == 1);
    }
    free(out);
    free(errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes) {
    qp_arena *a = fuzz_arena();
    const char *text = (const char *)bytes, *end = text + n_bytes, *line = text;
    char *out = NULL, *errors = NULL;
    size_t n_out = 0, n_errors = 0;
    for (int number = 1; line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const size_t n = (size_t)((stop != NULL ? stop : end) - line);
        bool single;
        if (number > MAX_LINES || !look_at(line, n, number, a, &single)) return 0;
        if (single) check_answer(line, n, a);
        line += n + 1;
    }
    if (n_bytes == 0) return 0;
    for (int check = 0; check < 2; check++) {
        eval_totals t = run(text, n_bytes, check == 1, &out, &n_out, &errors, &n_errors, a);
        hold(t.equal + t.different <= t.answered && t.refused <= t.lines && t.skipped <= t.lines);
        free(out);
        free(errors);
        out = errors = NULL;
    }
    return 0;
}
