// SPDX-License-Identifier: Apache-2.0
// From findings to verdicts to the exit code; coverage floors over a run.
#ifndef JUDGE_JUDGE_H
#define JUDGE_JUDGE_H

#include "checks/checks.h"
#include "core/arena.h"
#include "qp/status.h"

typedef struct qp_stage_count { // what was compared after one stage of a pipeline case
    const char *stage;
    int64_t n_judged, n_diff;
} qp_stage_count;

typedef struct qp_case_result {
    const char *line, *id, *origin;
    const char *device, *subject;
    qp_verdict verdict; // worst of the findings
    qp_reason reason;
    const char *text;     // one sentence
    qp_finding *findings; // one per check that ran
    int n_findings;
    double seconds;
    int64_t elements_judged;
    int64_t peak_bytes;
    double rows_fraction; // of rows fake-quantized (rows=N), 1 = all
    bool refused_unexpectedly, named_device_skip, crashed;
    qp_coverage coverage; // of its format
    qp_format format;
    const char *notes;
    const qp_stage_count *stages; // pipeline cases, in stage order
    int n_stages;
    qp_dtype dtype; // of the inputs (kernel cases): coverage floors are kept per format and dtype
    bool is_kernel;
    const char *owes_floor; // a case with edge= that stays below its own floor, and how: it is exempt where
                            // the run meets the floor of the format; NULL: owes nothing
} qp_case_result;

typedef struct qp_run_totals {
    int n_selected, n_pass, n_skip, n_suspect, n_fail, n_broken;
    int n_bad_lines, n_refused, n_device_skips, n_crashed, n_perf_regressions;
    int min_judged;    // tier's minimum
    bool device_unmet; // --require-device and not there
} qp_run_totals;

// Adds a finding (merged into an earlier one of the same check): the worst verdict wins, its reason and
// sentence become the case's. A passing finding that judged nothing is left out. elements_judged grows by the
// elements that f compared (its distance bins); crashed and refused_unexpectedly follow from the reasons
// crash, timeout and refused.
void qp_result_add(qp_case_result *r, const qp_finding *f, qp_arena *a, qp_err *err);
// After the last finding: a case that passed without judging anything becomes SUSPECT.
void qp_result_close(qp_case_result *r);
void qp_totals_add(qp_run_totals *t, const qp_case_result *r);
// The table of architecture.md section 5; first matching row wins. name: "green", "failed", ...
int qp_exit_code(const qp_run_totals *t, const char **name);

// Coverage floors of a format over a whole run: codes reachable, ties, saturation ... ; NULL when met, else
// what is missing.
const char *qp_floor_missed(qp_format f, qp_dtype dtype, const qp_coverage *c, char *buf, size_t n);

#endif
