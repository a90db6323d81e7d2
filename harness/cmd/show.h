// SPDX-License-Identifier: Apache-2.0
// What a run prints: progress while it goes, red cases with their story, and on green what it proves.
#ifndef CMD_SHOW_H
#define CMD_SHOW_H

#include "cmd/options.h"
#include "judge/judge.h"

typedef struct qp_progress {
    bool line;  // one line on a terminal, rewritten
    bool plain; // now and then a line of its own
    int done, total, red;
    double started, shown; // seconds, monotonic
} qp_progress;

double qp_seconds_now(void);
qp_progress qp_progress_start(const qp_cmd_options *o, int total);
void qp_progress_case(qp_progress *p, const char *line);        // before a case
void qp_progress_done(qp_progress *p, const qp_case_result *r); // after it
void qp_progress_put(const char *text); // on a terminal: the line anew, cut to its width
void qp_progress_clear(qp_progress *p);

bool qp_use_color(const qp_cmd_options *o);
// One red, suspect or skipped case: text, findings (where, want, got), the line to run it again.
void qp_show_case(const qp_case_result *r, const qp_cmd_options *o, bool color);
// Every check that ran, with its counts (repro).
void qp_show_findings(const qp_case_result *r);
// The end of a run: counts, what it proves, where the report is.
void qp_show_summary(const qp_case_result *results, int n, const qp_run_totals *t, const char *exit_name,
                     const qp_cmd_options *o, double seconds, const char *report);

#endif
