// SPDX-License-Identifier: Apache-2.0
// Runs eval lines in memory: what came out, what was refused, the totals.
#ifndef CMD_TESTS_EVAL_RUN_H
#define CMD_TESTS_EVAL_RUN_H

#include "cmd/eval.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct outcome {
    char *out, *errors;
    eval_totals totals;
} outcome;

static inline outcome eval_lines(const char *input, bool check, const eval_defaults *d, qp_arena *arena) {
    static const eval_defaults none;
    outcome o = {0};
    size_t n_out = 0, n_errors = 0;
    qp_err err = {0};
    FILE *in = fmemopen((void *)(uintptr_t)input, strlen(input), "r");
    FILE *out = open_memstream(&o.out, &n_out), *errors = open_memstream(&o.errors, &n_errors);
    ck_assert(in != NULL && out != NULL && errors != NULL);
    eval_stream s = {in, out, errors, "t", check, d != NULL ? d : &none, arena, &o.totals};
    qp_status status = eval_run(&s, &err);
    ck_assert_msg(status == QP_OK, "%s", err.msg);
    fclose(in);
    fclose(out);
    fclose(errors);
    return o;
}

static inline void done(outcome *o) {
    free(o->out);
    free(o->errors);
}

#endif
