// SPDX-License-Identifier: Apache-2.0
// Findings of one case while it runs: one slot per check of the table. One tally per thread, merged in a
// fixed order afterwards, so that "the first difference" does not depend on who was faster.
#ifndef CMD_TALLY_H
#define CMD_TALLY_H

#include "checks/checks.h"
#include "judge/judge.h"

enum { QP_MAX_STAGES = 16 };

typedef struct qp_tally {
    qp_finding *sum; // [qp_n_checks]; check == NULL: did not run
    qp_stage_count stages[QP_MAX_STAGES];
    int n_stages;
    const char *off; // space separated names of checks that are switched off, NULL = none
} qp_tally;

qp_status qp_tally_new(qp_arena *a, const char *off, qp_tally *out, qp_err *err);
bool qp_tally_wants(const qp_tally *t, const char *stage, const char *field); // does any check look at this?
void qp_tally_state(qp_tally *t, const qp_compare *c);
// The same, its rows cut into pieces that OpenMP threads judge.
qp_status qp_tally_state_parallel(qp_tally *t, const qp_compare *c, qp_err *err);
void qp_tally_guard(qp_tally *t, const qp_guard_ev *g);
void qp_tally_law(qp_tally *t, const qp_law_ev *ev);
// only: NULL, or the one whole-case check that is to run.
void qp_tally_whole(qp_tally *t, const qp_case_ev *ev, const char *only);
void qp_tally_merge(qp_tally *into, const qp_tally *from);
// Into the result: findings in the order of the table, and the stage counts.
qp_status qp_tally_close(const qp_tally *t, qp_case_result *r, qp_arena *a, qp_err *err);

#endif
