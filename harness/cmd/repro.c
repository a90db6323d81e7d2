// SPDX-License-Identifier: Apache-2.0
// Command repro: one case, every check with its count and first difference; --dump DIR writes what a pipeline
// case held.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/run_env.h"
#include "cmd/session.h"
#include "cmd/show.h"
#include "cmd/signals.h"
#include "core/file.h"

static const char usage[] = "usage: quantproof repro 'CASE' [--dump DIR] [options]\n"
                            "  --dump DIR       DIR/<stage>/rank<r>.safetensors, DIR/groups.json, "
                            "DIR/record.json of a pipeline case\n";

static void show_coverage(const qp_case_result *r) {
    const qp_coverage *c = &r->coverage;
    if (c->n_elems == 0 || qp_format_get(r->format) == NULL) return;
    printf("  coverage of %s: %" PRIu64 " elements, %d codes, %d scale bytes, ties %" PRIu64 " code %" PRIu64
           " scale, saturated %" PRIu64 ", subnormal %" PRIu64 ", zero blocks %" PRIu64 ", NaN %" PRIu64
           ", Inf %" PRIu64 "\n",
           qp_format_get(r->format)->name, c->n_elems, qp_coverage_bits(c->codes),
           qp_coverage_bits(c->scale_bytes), c->n_code_ties, c->n_scale_ties, c->n_saturated, c->n_subnormal,
           c->n_zero_blocks, c->n_nan, c->n_inf);
}

static void show_result(const qp_case_result *r, const qp_cmd_options *o, bool color) {
    qp_show_findings(r);
    for (int i = 0; i < r->n_stages; i++)
        printf("  stage %-14s %14" PRId64 " judged %10" PRId64 " different\n", r->stages[i].stage,
               r->stages[i].n_judged, r->stages[i].n_diff);
    show_coverage(r);
    if (r->notes != NULL && r->notes[0] != '\0') printf("  note: %s\n", r->notes);
    printf("  %.2f s, peak %.1f MiB, %" PRId64 " elements judged, subject %s on %s\n", r->seconds,
           (double)r->peak_bytes / (1 << 20), r->elements_judged, r->subject, r->device);
    qp_show_case(r, o, color);
}

static qp_status run_cases(const qp_cmd_options *o, qp_session *session, const qp_selected *cases,
                           qp_run_totals *totals, qp_arena *a, qp_err *err) {
    for (int i = 0; i < cases->bad.n; i++)
        fprintf(stderr, "bad line: %s\n    %s\n", cases->bad.lines[i].message, cases->bad.lines[i].line);
    totals->n_bad_lines = cases->bad.n;
    if (o->dump != NULL && cases->list.n > 1)
        QP_FAIL(QP_USAGE, "--dump takes one case, this line is %d", cases->list.n);
    if (o->dump != NULL && cases->list.n == 1 && strcmp(cases->list.cases[0].kind->name, "pipeline") != 0)
        QP_FAIL(QP_USAGE, "--dump wants a pipeline case, got kind %s", cases->list.cases[0].kind->name);
    for (int i = 0; i < cases->list.n && !qp_signals_interrupted(); i++) {
        const qp_case *c = &cases->list.cases[i];
        qp_case_result r;
        qp_err own = {0};
        printf("%s  (id %s, %s)\n", c->line, c->id, c->origin);
        fflush(stdout);
        qp_signals_case(c->line, o->timeout_s);
        qp_session_run(session, c, a, &r, &own);
        qp_signals_case(NULL, 0);
        if (r.owes_floor != NULL) // alone, edge= is no exemption
            qp_say(&r, a, QP_SUSPECT, QP_WHY_COVERAGE, "%s", r.owes_floor);
        show_result(&r, o, qp_use_color(o));
        qp_totals_add(totals, &r);
    }
    return QP_OK;
}

static qp_status repro(int argc, char **argv, qp_session *session, qp_arena *a, int *exit_code, qp_err *err) {
    qp_cmd_options o;
    const char *data_dir, *scratch;
    qp_selected cases;
    qp_run_totals totals = {0};
    QP_TRY(qp_options_parse(argc, argv, true, a, &o, err));
    if (o.help) {
        printf("%s%s", usage, qp_options_help);
        return QP_OK;
    }
    if (o.select.n_lines == 0 && o.select.n_files == 0 && o.select.n_suites == 0)
        QP_FAIL(QP_USAGE, "a case line is missing\n%s", usage);
    QP_TRY(qp_data_dir(a, &data_dir, err));
    QP_TRY(qp_select(&o.select, data_dir, a, &cases, err));
    QP_TRY(qp_arena_printf(a, &scratch, err, "reports/out/repro-%d", (int)getpid()));
    QP_TRY(qp_session_open(session, &o, data_dir, scratch, o.dump, a, err));
    printf("%s\n", session->banner);
    qp_signals_install("DIR");
    QP_TRY(run_cases(&o, session, &cases, &totals, a, err));
    totals.device_unmet = o.require_device && session->device == NULL;
    *exit_code = qp_exit_code(&totals, NULL);
    if (o.dump != NULL && qp_file_exists(o.dump)) printf("  dump      %s\n", o.dump);
    return QP_OK;
}

qp_status qp_cmd_repro(int argc, char **argv, int *exit_code, qp_err *err) {
    qp_session session = {0};
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "repro: out of memory");
    qp_status s = repro(argc, argv, &session, a, exit_code, err);
    qp_session_close(&session);
    qp_arena_free(a);
    return s;
}
