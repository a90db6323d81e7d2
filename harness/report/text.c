// SPDX-License-Identifier: Apache-2.0
// report.txt: the run for people. Short when green, long when red: worst cases first, each with where, want,
// got, repro line.
#include <string.h>

#include "core/file.h"
#include "report/log.h"
#include "report/report.h"

static qp_status write_findings(qp_text *t, const qp_case_result *c, qp_err *err) {
    for (int i = 0; i < c->n_findings; i++) {
        const qp_finding *f = &c->findings[i];
        if (f->verdict == QP_PASS || f->verdict == QP_SKIP) continue;
        QP_TRY(qp_text_add(t, err, "    %s: %s (%s), %lld of %lld differ\n", f->check,
                           qp_verdict_name(f->verdict), qp_reason_name(f->reason), (long long)f->n_diff,
                           (long long)f->n_judged));
        if (f->where[0] != '\0') QP_TRY(qp_text_add(t, err, "      where  %s\n", f->where));
        if (f->want[0] != '\0' || f->got[0] != '\0')
            QP_TRY(qp_text_add(t, err, "      want   %s\n      got    %s\n", f->want, f->got));
        if (f->text[0] != '\0') QP_TRY(qp_text_add(t, err, "      %s\n", f->text));
    }
    return QP_OK;
}

static qp_status write_cases(qp_text *t, const qp_log *log, qp_verdict v, qp_err *err) {
    for (int i = 0; i < log->n_cases; i++) {
        const qp_case_result *c = &log->cases[i];
        if (c->verdict != v) continue;
        QP_TRY(qp_text_add(t, err, "%-7s %s\n", log->lost[i] ? "LOST" : qp_verdict_name(v),
                           c->line != NULL ? c->line : ""));
        if (v == QP_PASS) continue;
        QP_TRY(
            qp_text_add(t, err, "    %s: %s\n", qp_reason_name(c->reason), c->text != NULL ? c->text : ""));
        QP_TRY(write_findings(t, c, err));
        if (v != QP_SKIP && (c->id == NULL || strcmp(c->id, QP_RUN_ID) != 0))
            QP_TRY(
                qp_text_add(t, err, "      again  quantproof repro '%s'\n", c->line != NULL ? c->line : ""));
    }
    return QP_OK;
}

static qp_status write_all(qp_text *t, const qp_log *log, qp_err *err) {
    QP_TRY(qp_text_add(t, err, "quantproof run, record %s\n", log->path));
    for (int i = 0; i < log->n_facts; i++)
        QP_TRY(qp_text_add(t, err, "  %-16s %s\n", log->facts[i][0], log->facts[i][1]));
    int64_t judged = 0;
    double seconds = 0;
    for (int i = 0; i < log->n_cases; i++) {
        judged += log->cases[i].elements_judged;
        seconds += log->cases[i].seconds;
    }
    QP_TRY(qp_text_add(
        t, err, "\n%d cases: %d pass, %d skip, %d suspect, %d fail, %d broken, %d lost; %d bad lines\n",
        log->n_cases, log->n_of[QP_PASS], log->n_of[QP_SKIP], log->n_of[QP_SUSPECT],
        log->n_of[QP_FAILED] - log->n_lost, log->n_of[QP_VERDICT_BROKEN], log->n_lost, log->n_bad));
    QP_TRY(qp_text_add(t, err, "%lld elements judged in %.1f s of case time\n", (long long)judged, seconds));
    if (log->finished)
        QP_TRY(qp_text_add(t, err, "exit code %d (%s)\n", log->exit_code, log->exit_name));
    else
        QP_TRY(qp_text_add(t, err, "the run did not finish: its record has no closing line%s\n",
                           log->torn ? ", and its last line was cut off" : ""));
    qp_coverage_row rows[QP_COVERAGE_ROWS];
    int n_rows = qp_coverage_table(log->cases, log->n_cases, rows);
    if (n_rows > 0) QP_TRY(qp_text_add(t, err, "\n"));
    if (n_rows > 0) QP_TRY(qp_coverage_text(rows, n_rows, t, err));
    for (int i = 0; i < log->n_bad; i++)
        QP_TRY(qp_text_add(t, err, "\nBAD LINE %s: %s\n    %s\n", log->bad[i].origin, log->bad[i].message,
                           log->bad[i].line));
    QP_TRY(qp_text_add(t, err, "\n"));
    for (int v = QP_VERDICT_COUNT - 1; v >= 0; v--) QP_TRY(write_cases(t, log, (qp_verdict)v, err));
    return QP_OK;
}

qp_status qp_write_text(const qp_log *log, const char *path, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "%s: out of memory", path);
    qp_text t = {.arena = a};
    qp_status status = write_all(&t, log, err);
    if (status == QP_OK) status = qp_file_write_atomic(path, t.s, t.n, err);
    qp_arena_free(a);
    return status;
}
