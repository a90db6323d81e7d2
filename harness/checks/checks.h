// SPDX-License-Identifier: Apache-2.0
// What "right" means: one file per family, one row per check in table.c. Const evidence in, one finding out; no I/O, no static state.
// Every check has a mutant that it kills by name ('doctor' demands it).
#ifndef CHECKS_CHECKS_H
#define CHECKS_CHECKS_H

#include "core/arena.h"
#include "qp/evidence.h"
#include "qp/finding.h"

// A state's position-sensitive digest per global row: equal over layouts iff (up to 2^-64) the gathered rows are equal.
typedef struct qp_digest {
    const char *stage, *fqn, *field;
    int64_t global_row;
    uint64_t sum;       // sum over elements of mix(global column, bits); partial sums of column shards add up
    uint32_t sample;    // the first element's bits, for the message
} qp_digest;

typedef struct qp_case_ev {      // everything known when a case ends
    const char *repro;
    const qp_rank_trace *traces; // [n_ranks]
    int n_ranks;
    const qp_group_ev *groups, *want_groups; // both sorted by rank, then parent
    int n_groups, n_want_groups;
    const qp_digest *digests, *base_digests; // sorted by stage, fqn, field, row; base = the TP1 EP1 run
    int64_t n_digests, n_base_digests;
    const qp_coverage *coverage; // per format actually judged
    const qp_format *coverage_format;
    int n_coverage;
    bool has_edge_key;           // edge= given: floors are exempt when met elsewhere in the run
    qp_refusal refusal_got, refusal_want;
    bool refuse_expected;
    qp_status injected, surfaced; // fault injection: what was injected, what came back
} qp_case_ev;

typedef qp_finding (*qp_state_check_fn)(const qp_compare *c);
typedef qp_finding (*qp_guard_check_fn)(const qp_guard_ev *g);
typedef qp_finding (*qp_case_check_fn)(const qp_case_ev *ev);

typedef struct qp_check {
    const char *name;      // bits-forward, amax-exact, group-unity, layout-invariance ...
    const char *doc;       // one paragraph: what it proves, which invariant (I1..I38)
    const char *stages;    // space separated stages (state checks), "" otherwise
    const char *fields;    // space separated fields (state checks)
    qp_state_check_fn state;
    qp_guard_check_fn guard;
    qp_case_check_fn whole;
} qp_check;

extern const qp_check qp_checks[];
extern const int qp_n_checks;
bool qp_check_wants(const qp_check *k, const char *stage, const char *field);
// Adds a later finding of the same check into sum: counts add, the worst verdict and the first difference stay.
void qp_finding_merge(qp_finding *sum, const qp_finding *one);

#endif
