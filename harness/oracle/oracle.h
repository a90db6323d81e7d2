// SPDX-License-Identifier: Apache-2.0
// Asks the reference what a state must be: generates the FULL weight of a module once, walks the rank's slice
// through ref_global_row / ref_global_col, and answers in the state's own geometry. Never looks at
// harness/model's slices.
#ifndef ORACLE_ORACLE_H
#define ORACLE_ORACLE_H

#include "core/arena.h"
#include "input/gen.h"
#include "model/model.h"
#include "qp/evidence.h"
#include "qp/ref.h"

typedef struct qp_oracle qp_oracle;

typedef struct qp_oracle_spec {
    const qp_model *model;
    const qp_recipe *recipe;
    qp_sync sync;
    int64_t tokens;
    uint64_t seed;
    const qp_weights *weights;
} qp_oracle_spec;

// Computes the unsharded truth of amax (per grain), groups and global amax for all modules, in parallel;
// keeps it for many layouts.
qp_status qp_oracle_new(const qp_oracle_spec *spec, qp_oracle **out, qp_err *err);
void qp_oracle_free(qp_oracle *o);
// What st must hold. *want: bytes of the same shape as st->data, from arena a; NULL when the rank should not
// hold it. A state whose shape or dtype is not what the rank must hold gets a want of a5 bytes, which no
// state holds. Stage calibrate: the rank's own values; every other stage: after the sync. st->data is not
// read. Coverage of the reference's decisions is added to cov (y, and the packed fields; may be NULL). Thread
// safe.
qp_status qp_oracle_want(qp_oracle *o, const qp_state *st, qp_arena *a, void **want, qp_coverage *cov,
                         qp_err *err);
// Pack against fake-quant (I12) for a state of field dequant: *out is a state of field QP_FIELD_PACK_CLASSES
// ("pack-classes") with one counter per ref_scale_class over the blocks held: the class of the two scales of
// the block. 'unexplained' also counts blocks where dequant is not fake-quant with pack's own scale, or where
// equal scales gave other values. Blocks with a NaN are left out. out->data lives in a. Thread safe.
qp_status qp_oracle_pack_classes(qp_oracle *o, const qp_state *dequant, qp_arena *a, qp_state *out,
                                 qp_err *err);
// Expected groups of a rank: same form as the pipeline's evidence, sorted by parent, then by first member.
// Members are those that the rank holds; the global amax is that of the sync policy. n_out groups.
qp_status qp_oracle_groups(qp_oracle *o, const qp_layout *l, int rank, qp_arena *a, qp_group_ev **out,
                           int *n_out, qp_err *err);
// Which (fqn, field) a rank must emit at a stage: for the 'missing' check. Calls visit for each, in model
// order. A field that no token reaches (input amax) is not expected. Stages: shard calibrate sync promote
// fakequant pack load-same load-other load-back.
qp_status qp_oracle_expected(qp_oracle *o, const qp_layout *l, int rank, const char *stage,
                             void (*visit)(void *user, const char *fqn, const char *field), void *user,
                             qp_err *err);

#endif
