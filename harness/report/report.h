// SPDX-License-Identifier: Apache-2.0
// The record (JSONL, written before and after each case) and what is made from it: text, JUnit, CSV, HTML
// with gnuplot SVGs.
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "core/arena.h"
#include "judge/judge.h"

#define QP_RUN_ID                                                                                            \
    "run" // id of a result that belongs to the run as a whole (a coverage floor), not to a case line

typedef struct qp_record qp_record; // an open record file: OUT/record.jsonl

typedef struct qp_provenance { // allow-list: nothing of the environment but this
    const char *version, *commit, *command_line;
    const char *device, *device_detail, *cpu_model, *kernel, *compiler, *cuda;
    const char *started_utc;
    int n_cores;
    const char *const (*settings)[2]; // option name, value: every setting is echoed
    int n_settings;
} qp_provenance;

qp_status qp_record_open(const char *out_dir, const qp_provenance *p, qp_record **out, qp_err *err);
qp_status qp_record_begin(qp_record *r, const char *line, const char *id,
                          qp_err *err); // flushed before the case runs
qp_status qp_record_end(qp_record *r, const qp_case_result *c, qp_err *err);
qp_status qp_record_bad_line(qp_record *r, const char *origin, const char *line, const char *message,
                             qp_err *err);
qp_status qp_record_finish(qp_record *r, const qp_run_totals *t, int exit_code, const char *exit_name,
                           qp_err *err);
void qp_record_close(qp_record *r);

// Reads OUT/record.jsonl (a truncated last line and a case that began and never ended are kept as 'lost') and
// writes OUT/report.txt junit.xml results.csv index.html and the SVG plots. junit_path may be NULL.
qp_status qp_report_write(const char *out_dir, const char *junit_path, qp_err *err);

#endif
