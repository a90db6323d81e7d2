// SPDX-License-Identifier: Apache-2.0
// Sins of the distributed sync, of groups over ranks, and of promotion.
#include "mutants/list.h"

static qp_status nothing(qp_rank *r, qp_err *err) {
    (void)r, (void)err;
    return QP_OK;
}

static qp_status no_reduction(qp_rank *r, qp_rank_group *g, qp_err *err) {
    (void)r, (void)g, (void)err;
    return QP_OK;
}

// E-01: groups are filled and promoted from the local amax; the reductions that follow touch only what nobody
// reads any more.
void mut_promote_before_sync(qp_stage_table *t) {
    qp_stage_move_after(t, "promote", "populate_groups");
    qp_stage_move_after(t, "populate_own", "populate_groups");
}

// E-02: the reduction is needed over both EP and TP; one of them is missing.
void mut_group_without_tp(qp_stage_table *t) {
    t->sync_group_tp = no_reduction;
}
void mut_group_without_ep(qp_stage_table *t) {
    t->sync_group_ep = no_reduction;
}

// E-72: the group of a routed expert is reduced over EP, so the slots of different experts merge.
static qp_status group_over_ep(qp_rank *r, qp_rank_group *g, qp_err *err) {
    if (!g->experts || g->n_members == 0) return QP_OK;
    return qp_comm_allreduce_max(r->comm, QP_GROUP_EP, &g->global_amax, 1, "float32", "group over ep", err);
}

// Experts of other ranks are groups here too, without members: pair the held ones slot by slot as upstream
// does.
void mut_group_over_ep(qp_stage_table *t) {
    t->sync_group_ep = group_over_ep;
}

// An ungrouped static weight keeps the maximum of its own shard (upstream to 0.47: o_proj, down_proj, w2 over
// TP).
void mut_own_global_rank_local(qp_stage_table *t) {
    qp_stage_replace(t, "sync_own_tp", nothing);
}

// E-62: routed weight amax is reduced over EP although different ranks hold different experts.
static qp_status weight_over_ep(qp_rank *r, qp_err *err) {
    QP_TRY(qp_step_sync_amax_ep(r, err));
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->module->expert < 0 || !q->weight_amax.enabled) continue;
        QP_TRY(qp_comm_allreduce_max(r->comm, QP_GROUP_EP, q->weight_amax.images,
                                     q->weight_amax.rows * q->weight_amax.cols, q->weight_amax.dtype,
                                     q->local_name, err));
    }
    return QP_OK;
}

void mut_weight_over_ep(qp_stage_table *t) {
    qp_stage_replace(t, "sync_amax_ep", weight_over_ep);
}

// E-65, E-73: what the data parallel ranks saw is not brought together.
void mut_input_without_dp(qp_stage_table *t) {
    qp_stage_replace(t, "sync_amax_dp", nothing);
}

// E-07: a failed all-reduce is a warning; the rank goes on with the value it had.
static qp_status warn_and_go_on(qp_rank *r, qp_rank_group *g, qp_err *err) {
    if (qp_sync_group_tp(r, g, err) != QP_OK) qp_err_clear(err);
    return QP_OK;
}

void mut_failure_swallowed(qp_stage_table *t) {
    t->sync_group_tp = warn_and_go_on;
    t->inject_step = "sync_groups";
    t->inject = QP_IO;
}

// E-59: if (has_amax) allreduce. Ranks with dead experts call fewer collectives than their peers.
static qp_status only_with_data(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->module->expert < 0 || !q->input_amax.has) continue;
        QP_TRY(qp_comm_allreduce_max(r->comm, QP_GROUP_EP, q->input_amax.images, 1, q->input_amax.dtype,
                                     q->local_name, err));
    }
    return QP_OK;
}

void mut_collective_if_local_data(qp_stage_table *t) {
    qp_stage_replace(t, "sync_amax_ep", only_with_data);
}

// E-46: the axis of a per-row amax is a tuple, the list of axes to reduce holds numbers; a row-parallel shard
// keeps its own rows' amax.
static qp_status rows_stay_local(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++)
        if (r->q[i].weight_amax.format == QP_INT8_AXIS0) r->q[i].weight_amax.enabled = false;
    const qp_status s = qp_step_sync_amax_tp(r, err);
    for (int i = 0; i < r->n_q; i++) r->q[i].weight_amax.enabled = r->q[i].weight_cfg.enabled;
    return s;
}

void mut_rowwise_without_tp(qp_stage_table *t) {
    qp_stage_replace(t, "sync_amax_tp", rows_stay_local);
}
