// SPDX-License-Identifier: Apache-2.0
// A record read back: what every writer of this room (text, JUnit, CSV, HTML, plots) is made from. Lives in
// one arena.
#ifndef REPORT_LOG_H
#define REPORT_LOG_H

#include "core/text.h"
#include "judge/judge.h"
#include "qp/format.h"

#define QP_RECORD_FORMAT "quantproof-record-1"

typedef struct qp_log_bad {
    const char *origin, *line, *message;
} qp_log_bad;

typedef struct qp_log {
    const char *path;
    const char *(*facts)[2]; // provenance and settings, name and value, in the order of the record
    int n_facts;
    qp_case_result *cases; // in the order in which they began
    bool *lost;            // [n_cases] began and never ended
    int n_cases, n_lost;
    qp_log_bad *bad;
    int n_bad;
    bool torn; // the last line was cut off
    bool finished;
    int exit_code;
    const char *exit_name;
    int n_of[QP_VERDICT_COUNT];
} qp_log;

// QP_CORRUPT names file and line: a line in the middle that is no JSON, an unknown format. A torn last line
// is kept as 'torn'.
qp_status qp_log_read(const char *out_dir, qp_arena *a, qp_log *out, qp_err *err);
const char *qp_log_fact(const qp_log *log, const char *name); // "" when absent

// "tp2 ep4 dp4" of a pipeline line, degrees of 1 left out; "tp1 ep1" when all are 1. false for other kinds.
bool qp_line_layout(const char *line, char *buf, size_t n);
// First word of a case line.
void qp_line_kind(const char *line, char *buf, size_t n);

// What the data exercised, per format and input type of kernel cases, and per format of pipeline cases
// (coverage.c).
typedef struct qp_coverage_row {
    qp_format format;
    qp_dtype dtype;
    bool is_kernel;
    int n_cases, n_skipped;
    int64_t n_judged, n_diff;
    qp_coverage sum;
} qp_coverage_row;
enum { QP_COVERAGE_ROWS = QP_FORMAT_COUNT * 4 };
int qp_coverage_table(const qp_case_result *cases, int n_cases,
                      qp_coverage_row *rows);                                 // rows[QP_COVERAGE_ROWS]
const char *qp_coverage_floor(const qp_coverage_row *r, char *buf, size_t n); // "met", "-" or what is missing
qp_status qp_coverage_text(const qp_coverage_row *rows, int n, qp_text *t, qp_err *err);

// The writers, one file each. dir: the run's folder.
qp_status qp_write_text(const qp_log *log, const char *path, qp_err *err);
qp_status qp_write_junit(const qp_log *log, const char *path, qp_err *err);
qp_status qp_write_csv(const qp_log *log, const char *path, qp_err *err);
// Runs gnuplot over reports/templates/*.gp into dir/plots. *note: NULL, or why there are no plots (that is no
// failure).
qp_status qp_write_plots(const qp_log *log, const char *dir, const char *templates, qp_arena *a,
                         const char **note, qp_err *err);
qp_status qp_write_html(const qp_log *log, const char *dir, const char *templates, const char *plot_note,
                        qp_err *err);

// Folder reports/templates: below the working folder, or below a parent of the program's folder.
qp_status qp_templates_dir(qp_arena *a, const char **out, qp_err *err);

#endif
