// SPDX-License-Identifier: Apache-2.0
// Building, merging and selecting findings.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"

qp_finding finding_new(const char *check) {
    qp_finding f = {.check = check, .verdict = QP_PASS, .reason = QP_WHY_OK};
    return f;
}

void finding_fail(qp_finding *f, qp_verdict verdict, qp_reason reason, const char *fmt, ...) {
    if (f->verdict >= verdict) return;
    f->verdict = verdict;
    f->reason = reason;
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
}

void finding_where(const qp_state *st, char *buf, size_t n) {
    if (st->rank >= 0)
        snprintf(buf, n, "%s %s %s rank %d", st->stage, st->fqn, st->field, st->rank);
    else
        snprintf(buf, n, "%s %s %s", st->stage, st->fqn, st->field);
}

void qp_finding_merge(qp_finding *sum, const qp_finding *one) {
    if (sum->check == NULL) {
        *sum = *one;
        return;
    }
    sum->n_judged += one->n_judged;
    sum->n_diff += one->n_diff;
    if (one->max_ulp > sum->max_ulp) sum->max_ulp = one->max_ulp;
    for (int i = 0; i < QP_DIST_BINS; i++) sum->dist[i] += one->dist[i];
    if (one->verdict <= sum->verdict) return;
    sum->verdict = one->verdict;
    sum->reason = one->reason;
    memcpy(sum->where, one->where, sizeof sum->where);
    memcpy(sum->want, one->want, sizeof sum->want);
    memcpy(sum->got, one->got, sizeof sum->got);
    memcpy(sum->text, one->text, sizeof sum->text);
}

// Is word one of the space separated words of list? "*" in the list matches every word.
static bool in_list(const char *list, const char *word) {
    size_t n_word = strlen(word);
    while (*list != 0) {
        size_t n = strcspn(list, " ");
        if ((n == 1 && *list == '*') || (n == n_word && memcmp(list, word, n) == 0)) return true;
        list += n;
        list += strspn(list, " ");
    }
    return false;
}

bool qp_check_wants(const qp_check *k, const char *stage, const char *field) {
    return k->state != NULL && in_list(k->stages, stage) && in_list(k->fields, field);
}
