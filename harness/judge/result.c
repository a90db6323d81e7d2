// SPDX-License-Identifier: Apache-2.0
// From findings to the verdict of a case: worst wins, and a case that judged nothing has not passed.
#include <string.h>

#include "judge/judge.h"

static qp_finding *find(const qp_case_result *r, const char *check) {
    for (int i = 0; i < r->n_findings; i++)
        if (strcmp(r->findings[i].check, check) == 0) return &r->findings[i];
    return NULL;
}

// The array doubles whenever it is full, which is at every power of two.
static qp_status append(qp_case_result *r, const qp_finding *f, qp_arena *a, qp_err *err) {
    int n = r->n_findings;
    if ((n & (n - 1)) == 0) {
        qp_finding *bigger;
        QP_TRY(QP_NEW(a, bigger, n == 0 ? 1 : 2 * n));
        if (n > 0) memcpy(bigger, r->findings, sizeof *bigger * (size_t)n);
        r->findings = bigger;
    }
    r->findings[r->n_findings++] = *f;
    return QP_OK;
}

void qp_result_add(qp_case_result *r, const qp_finding *f, qp_arena *a, qp_err *err) {
    if (f->verdict == QP_PASS && f->n_judged == 0) return;
    for (int i = 0; i < QP_DIST_BINS; i++) r->elements_judged += f->dist[i];
    r->crashed = r->crashed || f->reason == QP_WHY_CRASH || f->reason == QP_WHY_TIMEOUT;
    r->refused_unexpectedly = r->refused_unexpectedly || f->reason == QP_WHY_REFUSED;
    qp_finding *known = find(r, f->check);
    if (known != NULL) {
        qp_finding_merge(known, f);
    } else if (append(r, f, a, err) != QP_OK) {
        r->verdict = QP_VERDICT_BROKEN;
        r->reason = QP_WHY_ORACLE;
        r->text = "out of memory while keeping findings";
        return;
    }
    if (f->verdict <= r->verdict) return;
    r->verdict = f->verdict;
    r->reason = f->reason;
    const char *kept;
    if (qp_arena_strdup(a, f->text, &kept, err) == QP_OK) r->text = kept;
}

static bool judged_nothing(const qp_case_result *r) {
    for (int i = 0; i < r->n_findings; i++)
        if (r->findings[i].n_judged > 0) return false;
    return true;
}

void qp_result_close(qp_case_result *r) {
    if (r->verdict != QP_PASS || !judged_nothing(r)) return;
    r->verdict = QP_SUSPECT;
    r->reason = QP_WHY_NOTHING_JUDGED;
    r->text = "no check judged anything";
}

void qp_totals_add(qp_run_totals *t, const qp_case_result *r) {
    t->n_selected++;
    qp_verdict v = r->verdict == QP_PASS && judged_nothing(r) ? QP_SUSPECT : r->verdict;
    if (r->crashed && v != QP_VERDICT_BROKEN) {
        t->n_crashed++;
        return;
    }
    if (r->refused_unexpectedly && v == QP_FAILED && r->reason == QP_WHY_REFUSED) {
        t->n_refused++;
        return;
    }
    switch (v) {
    case QP_PASS:
        t->n_pass++;
        break;
    case QP_SKIP:
        t->n_skip++;
        t->n_device_skips += r->named_device_skip;
        break;
    case QP_SUSPECT:
        t->n_suspect++;
        break;
    case QP_FAILED:
        t->n_fail++;
        break;
    default:
        t->n_broken++;
        break;
    }
}
