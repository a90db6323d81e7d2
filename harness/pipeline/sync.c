// SPDX-License-Identifier: Apache-2.0
// Stage sync and the group reductions as steps: each asks the job's policy. The policies stand in files of
// their own.
#include "pipeline/sync.h"

#include <stdio.h>

#include "pipeline/stages.h"

static const qp_sync_policy *policy_of(const qp_rank *r) {
    return r->job->sync == QP_SYNC_INVARIANT ? &qp_sync_invariant : &qp_sync_modelopt_047;
}

qp_status qp_sync_amax(qp_rank *r, qp_group_kind g, const qp_quantizer *q, qp_amax *a, qp_err *err) {
    char tag[320];
    snprintf(tag, sizeof tag, "%s amax of %s", a == &q->input_amax ? "input" : "weight", q->module->fqn);
    return qp_comm_allreduce_max(r->comm, g, a->images, a->rows * a->cols, a->dtype, tag, err);
}

qp_status qp_sync_global(qp_rank *r, qp_group_kind g, uint32_t *image, const char *what, qp_err *err) {
    char tag[320];
    snprintf(tag, sizeof tag, "global amax of %s", what);
    return qp_comm_allreduce_max(r->comm, g, image, 1, "float32", tag, err);
}

qp_status qp_step_sync_flags(qp_rank *r, qp_err *err) {
    return policy_of(r)->flags(r, err);
}
qp_status qp_step_sync_amax_dp(qp_rank *r, qp_err *err) {
    return policy_of(r)->dp(r, err);
}
qp_status qp_step_sync_amax_ep(qp_rank *r, qp_err *err) {
    return policy_of(r)->ep(r, err);
}
qp_status qp_step_sync_amax_tp(qp_rank *r, qp_err *err) {
    return policy_of(r)->tp(r, err);
}
qp_status qp_step_sync_own_tp(qp_rank *r, qp_err *err) {
    return policy_of(r)->own_tp(r, err);
}
qp_status qp_sync_group_ep(qp_rank *r, qp_rank_group *g, qp_err *err) {
    return policy_of(r)->group_ep(r, g, err);
}
qp_status qp_sync_group_tp(qp_rank *r, qp_rank_group *g, qp_err *err) {
    return policy_of(r)->group_tp(r, g, err);
}
