// SPDX-License-Identifier: Apache-2.0
// results.csv (RFC 4180): one row per case and check, and one row with an empty check for the case itself.
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "qp/format.h"
#include "report/log.h"

static qp_status field(qp_text *t, const char *s, bool last, qp_err *err) {
    QP_TRY(qp_text_add(t, err, "\""));
    for (const char *p = s != NULL ? s : ""; *p != '\0'; p++)
        QP_TRY(qp_text_add_bytes(t, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1, err));
    return qp_text_add(t, err, last ? "\"\r\n" : "\",");
}

static qp_status row(qp_text *t, const qp_case_result *c, const qp_finding *f, qp_err *err) {
    char number[64];
    const qp_format_row *format = qp_format_get(c->format);
    QP_TRY(field(t, c->id, false, err));
    QP_TRY(field(t, c->line, false, err));
    QP_TRY(field(t, c->device, false, err));
    QP_TRY(field(t, c->subject, false, err));
    QP_TRY(field(t, format != NULL ? format->name : "", false, err));
    QP_TRY(field(t, f != NULL ? f->check : "", false, err));
    QP_TRY(field(t, qp_verdict_name(f != NULL ? f->verdict : c->verdict), false, err));
    QP_TRY(field(t, qp_reason_name(f != NULL ? f->reason : c->reason), false, err));
    snprintf(number, sizeof number, "%lld", (long long)(f != NULL ? f->n_judged : c->elements_judged));
    QP_TRY(field(t, number, false, err));
    snprintf(number, sizeof number, "%lld", (long long)(f != NULL ? f->n_diff : 0));
    QP_TRY(field(t, f != NULL ? number : "", false, err));
    snprintf(number, sizeof number, "%lld", (long long)(f != NULL ? f->max_ulp : 0));
    QP_TRY(field(t, f != NULL ? number : "", false, err));
    snprintf(number, sizeof number, "%.6f", c->seconds);
    QP_TRY(field(t, f != NULL ? "" : number, false, err));
    QP_TRY(field(t, f != NULL ? f->where : "", false, err));
    QP_TRY(field(t, f != NULL ? f->want : "", false, err));
    QP_TRY(field(t, f != NULL ? f->got : "", false, err));
    return field(t, f != NULL ? f->text : c->text, true, err);
}

static qp_status write_all(qp_text *t, const qp_log *log, qp_err *err) {
    QP_TRY(qp_text_add(t, err,
                       "id,line,device,subject,format,check,verdict,reason,judged,diff,max_ulp,seconds,where,"
                       "want,got,text\r\n"));
    for (int i = 0; i < log->n_cases; i++) {
        QP_TRY(row(t, &log->cases[i], NULL, err));
        for (int k = 0; k < log->cases[i].n_findings; k++)
            QP_TRY(row(t, &log->cases[i], &log->cases[i].findings[k], err));
    }
    return QP_OK;
}

qp_status qp_write_csv(const qp_log *log, const char *path, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "%s: out of memory", path);
    qp_text t = {.arena = a};
    qp_status status = write_all(&t, log, err);
    if (status == QP_OK) status = qp_file_write_atomic(path, t.s, t.n, err);
    qp_arena_free(a);
    return status;
}
