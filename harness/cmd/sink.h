// SPDX-License-Identifier: Apache-2.0
// Where the evidence of a pipeline run goes: every state is judged while it is there, then only counts and
// digests remain. One slot per rank, merged in rank order: no lock on the way, and the first difference is
// the same in every run.
#ifndef CMD_SINK_H
#define CMD_SINK_H

#include "cmd/dump.h"
#include "cmd/tally.h"
#include "oracle/oracle.h"
#include "pipeline/pipeline.h"

enum { QP_MAX_PIECES = 8 }; // of one state that OpenMP threads judge

typedef struct qp_sink_rank {
    qp_arena *keep;                // digests, groups, notes
    qp_arena *scratch;             // emptied after every state
    qp_arena *pool[QP_MAX_PIECES]; // the same for pieces
    qp_tally tally;
    qp_coverage coverage[QP_FORMAT_COUNT];
    qp_digest *digests;
    int64_t n_digests, cap_digests;
    uint64_t *seen; // hashes of (stage, fqn, field) that were shown
    int64_t n_seen, cap_seen;
    qp_group_ev *groups;
    int n_groups, cap_groups;
    const char *note; // the first one
    int n_notes;
    qp_status status; // of what could not return one
} qp_sink_rank;

typedef struct qp_case_sink {
    const char *repro;
    qp_oracle *oracle; // NULL: digests only (the one-rank base run)
    qp_sink_rank *ranks;
    int n_ranks;
    bool alone;    // one rank: pieces of a state are judged in parallel instead
    qp_dump *dump; // NULL: nothing is written
} qp_case_sink;

qp_status qp_case_sink_new(const char *repro, qp_oracle *oracle, int n_ranks, bool alone, const char *off,
                           qp_arena *a, qp_case_sink **out, qp_err *err);
void qp_case_sink_free(qp_case_sink *s);
qp_sink qp_case_sink_of(qp_case_sink *s);
// Was this state shown by that rank?
bool qp_case_sink_saw(const qp_case_sink *s, int rank, const char *stage, const char *fqn, const char *field);
// Call once before qp_case_sink_saw.
void qp_case_sink_seal(qp_case_sink *s);

#endif
