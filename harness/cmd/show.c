// SPDX-License-Identifier: Apache-2.0
// Short when green, long when red; a green run says what it proves.
#include "cmd/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report/log.h"
#include "report/report.h"

enum { MAX_RED = 40, MAX_LAYOUTS = 256, LAYOUT_TEXT = 64 };

bool qp_use_color(const qp_cmd_options *o) {
    return o->color == QP_WHEN_ALWAYS || (o->color == QP_WHEN_AUTO && isatty(STDOUT_FILENO) != 0);
}

static void paint(qp_verdict v, bool color, const char *text) {
    static const int codes[QP_VERDICT_COUNT] = {32, 90, 33, 31, 31};
    if (color)
        printf("\033[%dm%s\033[0m", codes[v], text);
    else
        printf("%s", text);
}

// The options without which the same line would not show the same: only those that were given.
static void show_given(const char *option, const char *value, const char *dflt) {
    if (value != NULL && strcmp(value, dflt) != 0) printf(" %s %s", option, value);
}

void qp_show_case(const qp_case_result *r, const qp_cmd_options *o, bool color) {
    paint(r->verdict, color, qp_verdict_name(r->verdict));
    printf("  %s\n", r->line);
    if (r->verdict == QP_PASS) return;
    printf("    %s: %s\n", qp_reason_name(r->reason), r->text != NULL ? r->text : "");
    for (int i = 0; i < r->n_findings; i++) {
        const qp_finding *f = &r->findings[i];
        if (f->verdict == QP_PASS || f->verdict == QP_SKIP) continue;
        if (strcmp(f->check, "case") != 0)
            printf("    %s: %" PRId64 " of %" PRId64 " differ%s%s\n", f->check, f->n_diff, f->n_judged,
                   f->where[0] != '\0' ? ", the first at " : "", f->where);
        if (f->want[0] != '\0' || f->got[0] != '\0') printf("      want %s  got %s\n", f->want, f->got);
    }
    if (r->verdict <= QP_SKIP || strcmp(r->id, QP_RUN_ID) == 0) return;
    printf("    again: quantproof repro '%s'", r->line);
    show_given("--device", o->device, "auto");
    show_given("--isa", o->isa, "");
    show_given("--subject", o->subject, "builtin");
    show_given("--inject", o->inject, "");
    printf("\n");
}

void qp_show_findings(const qp_case_result *r) {
    printf("  %-20s %-8s %14s %10s\n", "check", "verdict", "judged", "different");
    for (int i = 0; i < r->n_findings; i++) {
        const qp_finding *f = &r->findings[i];
        printf("  %-20s %-8s %14" PRId64 " %10" PRId64 "\n", f->check, qp_verdict_name(f->verdict),
               f->n_judged, f->n_diff);
        if (f->verdict == QP_PASS) continue;
        if (f->text[0] != '\0') printf("      %s\n", f->text);
        if (f->where[0] != '\0')
            printf("      where %s\n      want  %s\n      got   %s\n", f->where, f->want, f->got);
    }
}

// ---- what a run proves
// -----------------------------------------------------------------------------------------------------------

static void show_layouts(const qp_case_result *results, int n) {
    char seen[MAX_LAYOUTS][LAYOUT_TEXT];
    int n_seen = 0;
    for (int i = 0; i < n && n_seen < MAX_LAYOUTS; i++) {
        char layout[LAYOUT_TEXT];
        if (results[i].verdict != QP_PASS || !qp_line_layout(results[i].line, layout, sizeof layout))
            continue;
        if (results[i].n_stages == 0) continue; // refused as it should be: nothing ran
        int at = 0;
        while (at < n_seen && strcmp(seen[at], layout) != 0) at++;
        if (at == n_seen) memcpy(seen[n_seen++], layout, sizeof layout);
    }
    if (n_seen == 0) return;
    printf("  layouts   %d, bit-identical to one rank at every stage:", n_seen);
    for (int i = 0; i < n_seen; i++) printf("%s %s", i > 0 ? "," : "", seen[i]);
    printf("\n");
}

// -v: the table of the report. Else one line per format.
static void show_formats(const qp_case_result *results, int n, bool table) {
    qp_coverage_row rows[QP_COVERAGE_ROWS];
    int n_rows = qp_coverage_table(results, n, rows);
    qp_text t = {.arena = table ? qp_arena_new() : NULL};
    if (t.arena != NULL && qp_coverage_text(rows, n_rows, &t, NULL) == QP_OK && n_rows > 0) printf("%s", t.s);
    qp_arena_free(t.arena);
    for (int i = 0; i < n_rows && !table;) {
        qp_coverage sum = {0};
        qp_format f = rows[i].format;
        char in[64] = "";
        for (; i < n_rows && rows[i].format == f; i++) {
            qp_coverage_merge(&sum, &rows[i].sum);
            size_t used = strlen(in);
            snprintf(in + used, sizeof in - used, " %s",
                     rows[i].is_kernel ? qp_dtype_name(rows[i].dtype) : "pipeline");
        }
        if (sum.n_elems == 0) continue;
        printf("  %-13s %" PRIu64 " elements, %d codes", qp_format_get(f)->name, sum.n_elems,
               qp_coverage_bits(sum.codes));
        if (qp_coverage_bits(sum.scale_bytes) > 0)
            printf(", %d scale bytes", qp_coverage_bits(sum.scale_bytes));
        printf(", %" PRIu64 " ties, %" PRIu64 " saturated:%s\n", sum.n_code_ties + sum.n_scale_ties,
               sum.n_saturated, in);
    }
}

static void show_red(const qp_case_result *results, int n, const qp_cmd_options *o) {
    int shown = 0, red = 0;
    for (int v = QP_VERDICT_COUNT - 1; v >= QP_SUSPECT; v--)
        for (int i = 0; i < n; i++) {
            if ((int)results[i].verdict != v) continue;
            red++;
            if (shown++ < MAX_RED) qp_show_case(&results[i], o, qp_use_color(o));
        }
    if (red > MAX_RED) printf("... and %d more: report.txt has them all\n", red - MAX_RED);
}

static void show_skips(const qp_case_result *results, int n) {
    for (int r = 0; r < QP_WHY_COUNT; r++) {
        int count = 0;
        const qp_case_result *first = NULL;
        for (int i = 0; i < n; i++) {
            if (results[i].verdict != QP_SKIP || (int)results[i].reason != r) continue;
            if (count++ == 0) first = &results[i];
        }
        if (count > 0) printf("  skipped   %d (%s): %s\n", count, qp_reason_name((qp_reason)r), first->text);
    }
}

void qp_show_summary(const qp_case_result *results, int n, const qp_run_totals *t, const char *exit_name,
                     const qp_cmd_options *o, double seconds, const char *report) {
    int64_t judged = 0;
    bool color = qp_use_color(o), green = strcmp(exit_name, "green") == 0;
    for (int i = 0; i < n; i++) judged += results[i].elements_judged;
    show_red(results, n, o);
    paint(green ? QP_PASS : QP_FAILED, color, exit_name);
    printf(": %d cases, %d pass, %d skip, %d suspect, %d fail, %d broken", t->n_selected, t->n_pass,
           t->n_skip, t->n_suspect, t->n_fail + t->n_refused + t->n_crashed, t->n_broken);
    if (t->n_bad_lines > 0) printf(", %d bad lines", t->n_bad_lines);
    printf("; %" PRId64 " elements judged bit for bit, %.1f s\n", judged, seconds);
    show_skips(results, n);
    if (o->verbosity >= 0 && green) {
        show_layouts(results, n);
        show_formats(results, n, o->verbosity > 0);
    }
    if (report != NULL) printf("  report    %s\n", report);
}
