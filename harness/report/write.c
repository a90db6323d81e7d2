// SPDX-License-Identifier: Apache-2.0
// From a record to all that is made of it. Text, JUnit and CSV come first: what can fail for want of a
// template or of gnuplot is last.
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "report/log.h"
#include "report/report.h"

qp_status qp_templates_dir(qp_arena *a, const char **out, qp_err *err) {
    if (qp_file_exists("reports/templates/index.html")) {
        *out = "reports/templates";
        return QP_OK;
    }
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    for (exe[n > 0 ? n : 0] = '\0'; strchr(exe, '/') != NULL;) {
        *strrchr(exe, '/') = '\0';
        const char *probe;
        QP_TRY(qp_arena_printf(a, out, err, "%s/reports/templates", exe));
        QP_TRY(qp_arena_printf(a, &probe, err, "%s/index.html", *out));
        if (qp_file_exists(probe)) return QP_OK;
    }
    QP_FAIL(QP_USAGE, "folder reports/templates: not below the working folder and not beside the program");
}

static qp_status write_all(const char *out_dir, const char *junit_path, qp_arena *a, qp_err *err) {
    qp_log log;
    const char *text, *junit, *csv, *templates, *note;
    QP_TRY(qp_log_read(out_dir, a, &log, err));
    QP_TRY(qp_arena_printf(a, &text, err, "%s/report.txt", out_dir));
    QP_TRY(qp_arena_printf(a, &junit, err, "%s/junit.xml", out_dir));
    QP_TRY(qp_arena_printf(a, &csv, err, "%s/results.csv", out_dir));
    QP_TRY(qp_write_text(&log, text, err));
    QP_TRY(qp_write_junit(&log, junit, err));
    QP_TRY(qp_write_csv(&log, csv, err));
    QP_TRY(qp_templates_dir(a, &templates, err));
    QP_TRY(qp_write_plots(&log, out_dir, templates, a, &note, err));
    QP_TRY(qp_write_html(&log, out_dir, templates, note, err));
    return junit_path != NULL ? qp_write_junit(&log, junit_path, err) : QP_OK;
}

qp_status qp_report_write(const char *out_dir, const char *junit_path, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "report of %s: out of memory", out_dir);
    qp_status status = write_all(out_dir, junit_path, a, err);
    qp_arena_free(a);
    return status;
}
