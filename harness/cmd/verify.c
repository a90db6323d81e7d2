// SPDX-License-Identifier: Apache-2.0
// quantproof verify: audits a checkpoint on disk and says what a loader would make of it.
#include "cmd/verify.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/mapped.h"
#include "cmd/show.h"

// ---- progress on stderr: rate and time left
// ------------------------------------------------------------------------------

typedef struct watch {
    qp_progress p;
    const char *pass;
    double pass_started, heard;
} watch;

static const double giga = 1e9, plain_every_s = 10;

static void on_progress(void *ctx, const char *pass, uint64_t done_bytes, uint64_t all_bytes) {
    watch *w = ctx;
    char text[160], left[40] = "";
    const double now = qp_seconds_now(), done = (double)done_bytes, all = (double)all_bytes;
    if (w->pass != pass) w->pass_started = w->heard; // it began after what was heard last
    w->pass = pass;
    w->heard = now;
    const double spent = now - w->pass_started, rate = spent > 0 ? done / spent : 0;
    if (all_bytes == 0) return;
    if (rate > 0) snprintf(left, sizeof left, ", %.0f s left", (all - done) / rate);
    snprintf(text, sizeof text, "%s: %.2f of %.2f GB, %.2f GB/s%s", pass, done / giga, all / giga,
             rate / giga, left);
    if (w->p.line) {
        qp_progress_put(text);
    } else if (w->p.plain && now - w->p.shown >= plain_every_s) {
        fprintf(stderr, "%s\n", text);
        w->p.shown = now;
    }
}

static watch watch_start(const verify_options *o) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    watch w = {.p = {.line = terminal && !o->no_progress, .plain = !terminal && !o->no_progress}};
    w.p.started = w.p.shown = w.heard = qp_seconds_now();
    return w;
}

// ---- the audit
// -----------------------------------------------------------------------------------------------------------

static qp_status report(const verify_answer *v, qp_arena *a, qp_err *err) {
    if (v->o->junit != NULL) QP_TRY(verify_write_junit(v, err));
    if (v->o->json)
        QP_TRY(verify_print_json(v, a, err));
    else
        verify_print_text(v);
    verify_print_stale(v->o, v->o->json);
    if (fflush(stdout) != 0 || ferror(stdout)) QP_FAIL(QP_IO, "cannot write to stdout");
    return QP_OK;
}

static qp_status audit(verify_options *o, qp_arena *a, int *exit_code, qp_err *err) {
    qp_audit u = {0};
    qp_err why = {0};
    verify_answer v;
    watch w = watch_start(o);
    o->audit.progress = on_progress;
    o->audit.progress_ctx = &w;
    qp_mapped_guard("quantproof verify");
    qp_status status = qp_audit_run(&o->audit, a, &u, err);
    qp_progress_clear(&w.p);
    if (status != QP_OK && o->junit != NULL && err != NULL)
        (void)verify_write_junit_unreadable(o, err->msg, &why); // the first error is the one to tell
    if (status == QP_OK) status = verify_judge(o, &u, a, &v, err);
    if (status == QP_OK) status = report(&v, a, err);
    if (status == QP_OK) *exit_code = v.exit_code;
    qp_audit_close(&u);
    return status;
}

static qp_status verify(int argc, char **argv, qp_arena *a, int *exit_code, qp_err *err) {
    verify_options o;
    qp_ck_rule rule = QP_CK_RULES;
    QP_TRY(verify_parse(argc, argv, a, &o, err));
    *exit_code = 0;
    if (o.help) {
        fputs(verify_help, stdout);
    } else if (o.rules) {
        verify_print_rules();
    } else if (o.explain != NULL) {
        QP_TRY(verify_rule_named(o.explain, "--explain", &rule, err));
        verify_print_rule(rule);
    } else {
        QP_TRY(audit(&o, a, exit_code, err));
    }
    return QP_OK;
}

qp_status qp_cmd_verify(int argc, char **argv, int *exit_code, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "no memory");
    const qp_status status = verify(argc, argv, a, exit_code, err);
    qp_arena_free(a);
    return status;
}
