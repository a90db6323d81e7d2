// SPDX-License-Identifier: Apache-2.0
// Command run: select, run one case after the other, record before and after each, judge the whole run,
// report.
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/provenance.h"
#include "cmd/run_case.h"
#include "cmd/session.h"
#include "cmd/show.h"
#include "cmd/signals.h"
#include "core/file.h"
#include "core/text.h"

static const char usage[] = "usage: quantproof run [SEL | 'CASE'...] [options]\n";

typedef struct running {
    qp_arena *arena; // of the run
    qp_cmd_options o;
    qp_session session;
    qp_record *record;
    const char *out;
    qp_selected selected;
    qp_case_result *results;
    int n_results;
    qp_run_totals totals;
    qp_progress progress;
    qp_coverage floors[QP_FORMAT_COUNT][QP_DTYPE_COUNT];
} running;

// ---- before the first case
// -------------------------------------------------------------------------------------------------------

static qp_status choose_out(running *run, qp_err *err) {
    if (run->o.out != NULL) {
        run->out = run->o.out;
        return QP_OK;
    }
    const char *now;
    QP_TRY(qp_utc_now(run->arena, &now, err));
    for (int i = 1; i < 1000; i++) { // two runs in one second get folders of their own
        QP_TRY(qp_arena_printf(run->arena, &run->out, err, i == 1 ? "reports/out/%s" : "reports/out/%s-%d",
                               now, i));
        if (!qp_file_exists(run->out)) break;
    }
    run->o.out = run->out;
    return QP_OK;
}

// --seed N: the same line with another seed. The line with its seed stays the identity of the case.
static qp_status reseed(running *run, qp_case_list *list, qp_err *err) {
    qp_case_list fresh = {0};
    if (run->o.seed == NULL) return QP_OK;
    for (int i = 0; i < list->n; i++) {
        qp_text t = {.arena = run->arena};
        for (const char *at = list->cases[i].line; *at != '\0';) {
            at += strspn(at, " ");
            size_t n = strcspn(at, " ");
            if (strncmp(at, "seed=", 5) != 0) {
                if (t.n > 0) QP_TRY(qp_text_add_bytes(&t, " ", 1, err));
                QP_TRY(qp_text_add_bytes(&t, at, n, err));
            }
            at += n;
        }
        QP_TRY(qp_text_add(&t, err, " seed=%s", run->o.seed));
        QP_TRY(qp_case_parse(t.s, list->cases[i].origin, run->arena, &fresh, err));
    }
    *list = fresh;
    return QP_OK;
}

static qp_status prepare(running *run, int argc, char **argv, qp_err *err) {
    const char *data_dir, *scratch;
    qp_provenance p;
    QP_TRY(qp_data_dir(run->arena, &data_dir, err));
    QP_TRY(qp_select(&run->o.select, data_dir, run->arena, &run->selected, err));
    QP_TRY(reseed(run, &run->selected.list, err));
    QP_TRY(choose_out(run, err));
    QP_TRY(qp_arena_printf(run->arena, &scratch, err, "%s/scratch", run->out));
    QP_TRY(qp_session_open(&run->session, &run->o, data_dir, scratch, NULL, run->arena, err));
    printf("%s\n", run->session.banner);
    fflush(stdout);
    QP_TRY(qp_provenance_make(argc, argv, &run->o, run->session.device, run->arena, &p, err));
    QP_TRY(qp_record_open(run->out, &p, &run->record, err));
    for (int i = 0; i < run->selected.bad.n; i++) {
        const qp_bad_line *b = &run->selected.bad.lines[i];
        fprintf(stderr, "bad line: %s\n    %s\n", b->message, b->line);
        QP_TRY(qp_record_bad_line(run->record, b->origin, b->line, b->message, err));
    }
    run->totals.n_bad_lines = run->selected.bad.n;
    run->totals.device_unmet = run->o.require_device && run->session.device == NULL;
    return QP_NEW(run->arena, run->results,
                  (int64_t)run->selected.list.n * run->o.repeat + QP_FORMAT_COUNT * QP_DTYPE_COUNT + 1);
}

// ---- one case
// --------------------------------------------------------------------------------------------------------------------

// The result outlives the arena of its case: its texts and findings move into the run's.
static qp_status keep(running *run, const qp_case_result *r, qp_err *err) {
    qp_case_result *to = &run->results[run->n_results];
    *to = *r;
    if (r->text != NULL) QP_TRY(qp_arena_strdup(run->arena, r->text, &to->text, err));
    if (r->notes != NULL) QP_TRY(qp_arena_strdup(run->arena, r->notes, &to->notes, err));
    if (r->owes_floor != NULL) QP_TRY(qp_arena_strdup(run->arena, r->owes_floor, &to->owes_floor, err));
    QP_TRY(QP_NEW(run->arena, to->findings, r->n_findings + 1));
    if (r->n_findings > 0) memcpy(to->findings, r->findings, sizeof *r->findings * (size_t)r->n_findings);
    to->stages = NULL; // names of mutants' stages may be the case's own; the count tells whether anything ran
    run->n_results++;
    qp_totals_add(&run->totals, to);
    if (r->is_kernel && r->verdict == QP_PASS && qp_format_get(r->format) != NULL &&
        (unsigned)r->dtype < QP_DTYPE_COUNT)
        qp_coverage_merge(&run->floors[r->format][r->dtype], &r->coverage);
    return QP_OK;
}

static qp_status run_one(running *run, const qp_case *c, qp_arena *a, qp_err *err) {
    qp_case_result r;
    qp_err own = {0};
    qp_progress_case(&run->progress, c->line);
    QP_TRY(qp_record_begin(run->record, c->line, c->id, err));
    qp_signals_case(c->line, run->o.timeout_s);
    qp_session_run(&run->session, c, a, &r, &own);
    qp_signals_case(NULL, 0);
    QP_TRY(qp_record_end(run->record, &r, err));
    qp_progress_done(&run->progress, &r);
    if (run->o.verbosity > 0) {
        qp_progress_clear(&run->progress);
        printf("%-7s %8.2f s  %s\n", qp_verdict_name(r.verdict), r.seconds, r.line);
        fflush(stdout);
    }
    return keep(run, &r, err);
}

// The heap keeps what cases free (main.c). Pieces of gigabytes seldom fit the next case exactly, so free
// memory that no case could want goes back to the system.
static void ease_heap(void) {
    const size_t kept_max = (size_t)4 << 30;
    if (mallinfo2().fordblks > kept_max) (void)malloc_trim(0);
}

static qp_status run_all(running *run, qp_err *err) {
    const qp_case_list *list = &run->selected.list;
    qp_arena *a = qp_arena_new();
    qp_status s = a != NULL ? QP_OK : qp_err_set(err, QP_NOMEM, __FILE__, __LINE__, "run: out of memory");
    for (int i = 0; i < list->n && s == QP_OK && !qp_signals_interrupted(); i++)
        for (int64_t k = 0; k < run->o.repeat && s == QP_OK && !qp_signals_interrupted(); k++) {
            qp_arena_reset(a);
            ease_heap();
            s = run_one(run, &list->cases[i], a, err);
        }
    qp_progress_clear(&run->progress);
    qp_arena_free(a);
    return s;
}

// ---- after the last
// --------------------------------------------------------------------------------------------------------------

// Coverage floors hold for a whole suite, not for a part of one or for a line of one's own.
static bool has_floors(const qp_selection *s) {
    return s->n_suites > 0 && s->n_match == 0 && s->n_skip == 0 && s->n_formats == 0 && s->n_models == 0 &&
           s->n_layouts == 0 && s->n_shards == 0;
}

// A result that belongs to the run, not to one of its cases.
static qp_status add_suspect(running *run, const char *line, const char *why, qp_err *err) {
    qp_finding finding = {.check = "coverage-floor",
                          .verdict = QP_SUSPECT,
                          .reason = QP_WHY_COVERAGE,
                          .n_judged = 1,
                          .n_diff = 1};
    snprintf(finding.text, sizeof finding.text, "%.500s", why);
    qp_case_result r = {.line = line,
                        .id = QP_RUN_ID,
                        .origin = "coverage floors of the run",
                        .device = run->session.device->name,
                        .verdict = QP_SUSPECT,
                        .reason = QP_WHY_COVERAGE,
                        .text = why,
                        .format = QP_FORMAT_NONE,
                        .findings = &finding,
                        .n_findings = 1};
    QP_TRY(qp_record_begin(run->record, r.line, r.id, err));
    QP_TRY(qp_record_end(run->record, &r, err));
    return keep(run, &r, err);
}

static const qp_case_result *first_debtor(const running *run, qp_format f, qp_dtype t) {
    for (int i = 0; i < run->n_results; i++) {
        const qp_case_result *r = &run->results[i];
        if (r->owes_floor != NULL && r->verdict == QP_PASS && r->format == f && r->dtype == t) return r;
    }
    return NULL;
}

// A format that ran in a suite meets its floor; one that did not is still owed it where a case with edge= was
// exempt from its own.
static qp_status judge_floors(running *run, qp_err *err) {
    if (qp_signals_interrupted() || run->session.device == NULL) return QP_OK;
    const bool whole = has_floors(&run->o.select);
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        for (int t = 0; t < QP_DTYPE_COUNT; t++) {
            char why[512], missed[256];
            const char *line;
            const qp_coverage *c = &run->floors[f][t];
            const qp_case_result *debtor = first_debtor(run, (qp_format)f, (qp_dtype)t);
            if ((c->n_elems == 0 || !whole) && debtor == NULL) continue;
            if (qp_floor_missed((qp_format)f, (qp_dtype)t, c, missed, sizeof missed) == NULL) continue;
            snprintf(why, sizeof why, "%s", missed);
            if (debtor != NULL)
                snprintf(why, sizeof why,
                         "%.160s, and edge= is no exemption where the run misses the floor: %s",
                         debtor->owes_floor, missed);
            QP_TRY(qp_arena_printf(run->arena, &line, err, "coverage floor of fmt=%s in=%s",
                                   qp_format_get((qp_format)f)->name, qp_dtype_name((qp_dtype)t)));
            QP_TRY(add_suspect(run, line, why, err));
        }
    return QP_OK;
}

static qp_status finish(running *run, double seconds, int *exit_code, qp_err *err) {
    const char *name, *page;
    *exit_code = qp_exit_code(&run->totals, &name);
    if (qp_signals_interrupted() && (*exit_code == 0 || *exit_code == 6)) {
        *exit_code = 5; // not all that was selected was judged
        name = "interrupted";
    }
    QP_TRY(qp_record_finish(run->record, &run->totals, *exit_code, name, err));
    QP_TRY(qp_arena_printf(run->arena, &page, err, "%s/index.html", run->out));
    qp_err own = {0};
    qp_status written = qp_report_write(run->out, run->o.junit, &own);
    qp_show_summary(run->results, run->n_results, &run->totals, name, &run->o, seconds, page);
    if (written == QP_OK) return QP_OK;
    fflush(stdout);
    fprintf(stderr, "quantproof run: report: %s: %s\n", qp_status_name(written), own.msg);
    bool worse = *exit_code == 99 || *exit_code == 5 ||
                 *exit_code == 1; // a report that failed hides no failure of a case
    if (!worse) *exit_code = 2;
    return QP_OK;
}

static qp_status run_command(running *run, int argc, char **argv, int *exit_code, qp_err *err) {
    QP_TRY(prepare(run, argc, argv, err));
    qp_signals_install(run->out);
    double started = qp_seconds_now();
    run->progress = qp_progress_start(&run->o, (int)(run->selected.list.n * run->o.repeat));
    QP_TRY(run_all(run, err));
    QP_TRY(judge_floors(run, err));
    return finish(run, qp_seconds_now() - started, exit_code, err);
}

qp_status qp_cmd_run(int argc, char **argv, int *exit_code, qp_err *err) {
    qp_arena *a = qp_arena_new();
    running *run;
    if (a == NULL || qp_arena_get(a, sizeof *run, &run, err) != QP_OK) {
        qp_arena_free(a);
        QP_FAIL(QP_NOMEM, "run: out of memory");
    }
    run->arena = a;
    qp_status s = qp_options_parse(argc, argv, false, a, &run->o, err);
    if (s == QP_OK && run->o.help)
        printf("%s\n%s\n%s", usage, qp_select_help, qp_options_help);
    else if (s == QP_OK)
        s = run_command(run, argc, argv, exit_code, err);
    qp_record_close(run->record);
    qp_session_close(&run->session);
    qp_arena_free(a);
    return s;
}
