// SPDX-License-Identifier: Apache-2.0
// What "right" means: one file per family, one row per check in table.c. Const evidence in, one finding out;
// no I/O, no static state. Every check has a mutant that it kills by name ('doctor' demands it).
#ifndef CHECKS_CHECKS_H
#define CHECKS_CHECKS_H

#include "checks/laws.h"
#include "core/arena.h"
#include "qp/evidence.h"
#include "qp/finding.h"

// A state's position-sensitive digest: of one row, or of a run of whole neighbouring rows of one segment, as
// one rank holds it. Two ranks that hold the same rows and columns (replicas) give the same digest; the sums
// of all different parts of a tensor add up to one value that does not depend on how the tensor was cut, so
// layouts with equal sums hold (up to 2^-64) equal bits.
typedef struct qp_digest {
    const char *stage, *fqn, *field;
    int64_t global_row; // first row, in rows of the full state
    uint64_t sum;       // sum over elements of mix(global row, global column, bits), NaN canonicalized
    uint32_t sample;    // the first element's bits, for the message
    int rank;
    int64_t col0;           // first column in the full state, in elements of the field
    int64_t n_rows, n_cols; // extent of this part; 0 counts as 1
} qp_digest;

typedef struct qp_case_ev { // everything known when a case ends
    const char *repro;
    const qp_rank_trace *traces; // [n_ranks]
    int n_ranks;
    const qp_group_ev *groups, *want_groups; // both sorted by rank, then parent
    int n_groups, n_want_groups;
    const qp_digest *digests,
        *base_digests; // sorted by qp_digest_sort; base = the TP1 EP1 run, NULL = there is none
    int64_t n_digests, n_base_digests;
    const qp_coverage *coverage; // per format actually judged
    const qp_format *coverage_format;
    int n_coverage;
    bool has_edge_key; // edge= given: floors are exempt when met elsewhere in the run
    qp_refusal refusal_got, refusal_want;
    bool refuse_expected;
    qp_status injected, surfaced; // fault injection: what was injected, what came back
} qp_case_ev;

typedef qp_finding (*qp_state_check_fn)(const qp_compare *c);
typedef qp_finding (*qp_guard_check_fn)(const qp_guard_ev *g);
typedef qp_finding (*qp_case_check_fn)(const qp_case_ev *ev);
typedef qp_finding (*qp_law_check_fn)(const qp_law_ev *ev);

typedef struct qp_check {
    const char *name;   // bits-forward, amax-exact, group-unity, layout-invariance ...
    const char *doc;    // one paragraph: what it proves, which invariant (I1..I38)
    const char *stages; // space separated stages (state checks), "" otherwise
    const char *fields; // space separated fields (state checks)
    qp_state_check_fn state;
    qp_guard_check_fn guard;
    qp_case_check_fn whole;
    qp_law_check_fn law; // asks no oracle
} qp_check;

extern const qp_check qp_checks[];
extern const int qp_n_checks;
bool qp_check_wants(const qp_check *k, const char *stage, const char *field);
// Adds a later finding of the same check into sum: counts add, the worst verdict and the first difference
// stay.
void qp_finding_merge(qp_finding *sum, const qp_finding *one);

// ---- digests (digest.c) --------------------

// acc + sum over the n elements of mix(global_col0 + i, bits), NaN canonicalized: partial sums of column
// shards add up.
uint64_t qp_digest_row(const void *row, qp_dtype t, int64_t n, int64_t global_col0, uint64_t acc);
// The digests of one state. global_rows: full-weight row of each row in st->data (n_rows_held of them; not
// read for a scalar field); weight_col0: first full-weight column of the rank's slice. One digest per row
// when st->row_ids is set, else one per run of neighbouring rows inside a segment. *out lives in a; the names
// are st's own pointers and must outlive it.
qp_status qp_digest_state(const qp_state *st, const int64_t *global_rows, int64_t weight_col0, qp_arena *a,
                          qp_digest **out, int64_t *n_out, qp_err *err);
void qp_digest_sort(qp_digest *d, int64_t n);

// ---- evidence made from evidence --------------------

// State field "pack-classes" (stage pack; QP_I64, 1 x REF_SCALE_CLASS_COUNT, in the order of
// ref_scale_class): all blocks by the class of their two scales, pack's and fake-quant's; 'unexplained' also
// counts blocks whose dequant(pack) is not fake-quant with pack's own scale. qp_oracle_pack_classes makes it;
// judged without a want.
#define QP_FIELD_PACK_CLASSES "pack-classes"

#endif
