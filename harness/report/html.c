// SPDX-License-Identifier: Apache-2.0
// index.html: one file that can be sent alone (plots inside). The page is reports/templates/index.html with
// @NAME@ in the places that this file fills; it holds no markup of its own but table rows.
#include <string.h>

#include "core/file.h"
#include "qp/format.h"
#include "report/log.h"

static qp_status escaped(qp_text *t, const char *s, qp_err *err) {
    for (const char *p = s != NULL ? s : ""; *p != '\0'; p++) {
        const char *entity = *p == '<'   ? "&lt;"
                             : *p == '>' ? "&gt;"
                             : *p == '&' ? "&amp;"
                             : *p == '"' ? "&quot;"
                                         : NULL;
        QP_TRY(entity != NULL ? qp_text_add(t, err, "%s", entity) : qp_text_add_bytes(t, p, 1, err));
    }
    return QP_OK;
}

static qp_status cell(qp_text *t, const char *open, const char *s, const char *close, qp_err *err) {
    QP_TRY(qp_text_add(t, err, "%s", open));
    QP_TRY(escaped(t, s, err));
    return qp_text_add(t, err, "%s", close);
}

static qp_status facts(qp_text *t, const qp_log *log, qp_err *err) {
    for (int i = 0; i < log->n_facts; i++) {
        QP_TRY(cell(t, "<tr><th>", log->facts[i][0], "</th>", err));
        QP_TRY(cell(t, "<td>", log->facts[i][1], "</td></tr>\n", err));
    }
    return QP_OK;
}

static qp_status summary(qp_text *t, const qp_log *log, qp_err *err) {
    for (int v = 0; v < QP_VERDICT_COUNT; v++)
        QP_TRY(qp_text_add(t, err, "<span class=\"%s\">%d %s</span> ", qp_verdict_name((qp_verdict)v),
                           log->n_of[v], qp_verdict_name((qp_verdict)v)));
    if (log->n_lost > 0)
        QP_TRY(qp_text_add(t, err, "<span class=\"FAIL\">%d lost (counted as FAIL)</span> ", log->n_lost));
    if (log->n_bad > 0) QP_TRY(qp_text_add(t, err, "<span class=\"FAIL\">%d bad lines</span> ", log->n_bad));
    if (!log->finished)
        return qp_text_add(t, err, "<strong>the run did not finish%s</strong>",
                           log->torn ? ", its last record line was cut off" : "");
    return qp_text_add(t, err, "exit code %d (%s)", log->exit_code,
                       log->exit_name != NULL ? log->exit_name : "");
}

static qp_status case_rows(qp_text *t, const qp_log *log, qp_err *err) {
    for (int v = QP_VERDICT_COUNT - 1; v >= 0; v--)
        for (int i = 0; i < log->n_cases; i++) {
            const qp_case_result *c = &log->cases[i];
            if ((int)c->verdict != v) continue;
            const char *name = qp_verdict_name(c->verdict);
            QP_TRY(qp_text_add(t, err, "<tr class=\"%s\"><td>%s</td>", name, log->lost[i] ? "LOST" : name));
            QP_TRY(cell(t, "<td><code>", c->line, "</code>", err));
            if (v != QP_PASS) QP_TRY(cell(t, "<br>", c->text, "", err));
            if (c->notes != NULL) QP_TRY(cell(t, "<br><small>", c->notes, "</small>", err));
            QP_TRY(qp_text_add(t, err, "</td><td>%lld</td><td>%.3f</td><td>%.1f</td></tr>\n",
                               (long long)c->elements_judged, c->seconds, (double)c->peak_bytes / (1 << 20)));
        }
    for (int i = 0; i < log->n_bad; i++) {
        QP_TRY(
            cell(t, "<tr class=\"FAIL\"><td>BAD LINE</td><td><code>", log->bad[i].line, "</code><br>", err));
        QP_TRY(cell(t, "", log->bad[i].origin, ": ", err));
        QP_TRY(cell(t, "", log->bad[i].message, "</td><td></td><td></td><td></td></tr>\n", err));
    }
    return QP_OK;
}

static qp_status finding_rows(qp_text *t, const qp_log *log, qp_err *err) {
    for (int i = 0; i < log->n_cases; i++)
        for (int k = 0; k < log->cases[i].n_findings; k++) {
            const qp_finding *f = &log->cases[i].findings[k];
            if (f->verdict == QP_PASS || f->verdict == QP_SKIP) continue;
            QP_TRY(qp_text_add(t, err, "<tr class=\"%s\">", qp_verdict_name(f->verdict)));
            QP_TRY(cell(t, "<td>", f->check, "</td>", err));
            QP_TRY(cell(t, "<td>", f->where, "</td>", err));
            QP_TRY(cell(t, "<td><code>", f->want, "</code></td>", err));
            QP_TRY(cell(t, "<td><code>", f->got, "</code></td>", err));
            QP_TRY(
                qp_text_add(t, err, "<td>%lld of %lld</td>", (long long)f->n_diff, (long long)f->n_judged));
            QP_TRY(cell(t, "<td>", f->text, "", err));
            QP_TRY(cell(t, "<br><code>", log->cases[i].line, "</code></td></tr>\n", err));
        }
    return QP_OK;
}

static qp_status coverage_rows(qp_text *t, const qp_log *log, qp_err *err) {
    qp_coverage_row rows[QP_COVERAGE_ROWS];
    int n = qp_coverage_table(log->cases, log->n_cases, rows);
    for (int i = 0; i < n; i++) {
        const qp_coverage *c = &rows[i].sum;
        char floor[512];
        QP_TRY(qp_text_add(t, err, "<tr><td>%s</td><td>%s</td><td>%d</td><td>%llu</td><td>%d</td><td>%d</td>",
                           qp_format_get(rows[i].format)->name,
                           rows[i].is_kernel ? qp_dtype_name(rows[i].dtype) : "pipeline", rows[i].n_cases,
                           (unsigned long long)c->n_elems, qp_coverage_bits(c->codes),
                           qp_coverage_bits(c->scale_bytes)));
        const uint64_t counts[] = {c->n_code_ties, c->n_scale_ties,         c->n_saturated,
                                   c->n_subnormal, c->n_zero_blocks,        c->n_nan,
                                   c->n_inf,       (uint64_t)rows[i].n_diff};
        for (int k = 0; k < QP_COUNT(counts); k++)
            QP_TRY(qp_text_add(t, err, "<td>%llu</td>", (unsigned long long)counts[k]));
        QP_TRY(cell(t, "<td>", qp_coverage_floor(&rows[i], floor, sizeof floor), "</td></tr>\n", err));
    }
    return QP_OK;
}

static qp_status plots(qp_text *t, const char *dir, const char *note, qp_err *err) {
    static const char *const names[] = {"histogram", "matrix", "times"};
    if (note != NULL) QP_TRY(cell(t, "<p><strong>", note, "</strong></p>\n", err));
    for (int i = 0; i < QP_COUNT(names); i++) {
        const char *path;
        char *svg = NULL;
        size_t n = 0;
        QP_TRY(qp_arena_printf(t->arena, &path, err, "%s/plots/%s.svg", dir, names[i]));
        if (!qp_file_exists(path)) continue;
        QP_TRY(qp_file_read(path, t->arena, &svg, &n, err));
        const char *begin = strstr(svg, "<svg"); // without the XML prolog, which must not stand inside a page
        if (begin != NULL) QP_TRY(qp_text_add(t, err, "<figure>%s</figure>\n", begin));
    }
    return QP_OK;
}

static qp_status fill(qp_text *t, const char *name, size_t n, const qp_log *log, const char *dir,
                      const char *note, qp_err *err) {
    if (n == 5 && strncmp(name, "FACTS", n) == 0) return facts(t, log, err);
    if (n == 7 && strncmp(name, "SUMMARY", n) == 0) return summary(t, log, err);
    if (n == 5 && strncmp(name, "CASES", n) == 0) return case_rows(t, log, err);
    if (n == 8 && strncmp(name, "FINDINGS", n) == 0) return finding_rows(t, log, err);
    if (n == 8 && strncmp(name, "COVERAGE", n) == 0) return coverage_rows(t, log, err);
    if (n == 5 && strncmp(name, "PLOTS", n) == 0) return plots(t, dir, note, err);
    QP_FAIL(QP_CORRUPT, "unknown place @%.*s@", (int)n, name);
}

static qp_status write_page(qp_text *t, const char *page, const qp_log *log, const char *dir,
                            const char *note, qp_err *err) {
    for (const char *at = page; *at != '\0';) {
        const char *open = strchr(at, '@');
        if (open == NULL) return qp_text_add(t, err, "%s", at);
        const char *close = open + 1 + strspn(open + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        bool place = *close == '@' && close > open + 1;
        QP_TRY(qp_text_add_bytes(t, at, (size_t)((place ? open : open + 1) - at), err));
        if (place) QP_TRY(fill(t, open + 1, (size_t)(close - open - 1), log, dir, note, err));
        at = place ? close + 1 : open + 1;
    }
    return QP_OK;
}

qp_status qp_write_html(const qp_log *log, const char *dir, const char *templates, const char *plot_note,
                        qp_err *err) {
    qp_status status = QP_OK;
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "%s/index.html: out of memory", dir);
    const char *from, *to;
    char *page;
    size_t n;
    qp_text t = {.arena = a};
    QP_TRY_GOTO(status, qp_arena_printf(a, &from, err, "%s/index.html", templates), out);
    QP_TRY_GOTO(status, qp_arena_printf(a, &to, err, "%s/index.html", dir), out);
    QP_TRY_GOTO(status, qp_file_read(from, a, &page, &n, err), out);
    status = write_page(&t, page, log, dir, plot_note, err);
    if (status != QP_OK) qp_err_prefix(err, "%s: ", from);
    if (status == QP_OK) status = qp_file_write_atomic(to, t.s, t.n, err);
out:
    qp_arena_free(a);
    return status;
}
