// SPDX-License-Identifier: Apache-2.0
// sync=invariant: after it, no state depends on the layout. Per-tensor weight amax is the maximum over all
// shards of that weight and never over other experts; a routed projection has one input amax for all its
// experts. Every collective is called whether or not this rank has data: presence travels with the value
// (E-59).
#include <stdio.h>

#include "pipeline/sync.h"

// An input amax and its presence as one reduction: {image, has}.
static qp_status sync_present(qp_rank *r, qp_group_kind g, uint32_t pair[2], const char *dtype,
                              const char *what, qp_err *err) {
    char tag[320];
    snprintf(tag, sizeof tag, "input amax of %s", what);
    return qp_comm_allreduce_max(r->comm, g, pair, 2, dtype, tag, err);
}

static qp_status sync_input(qp_rank *r, qp_group_kind g, qp_quantizer *q, qp_err *err) {
    uint32_t pair[2] = {q->input_amax.images[0], q->input_amax.has};
    QP_TRY(sync_present(r, g, pair, q->input_amax.dtype, q->module->fqn, err));
    q->input_amax.images[0] = pair[0];
    q->input_amax.has = pair[1] != 0;
    return QP_OK;
}

static qp_status no_flags(qp_rank *r, qp_err *err) {
    (void)r, (void)err;
    return QP_OK;
}

static qp_status over_dp(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->weight_amax.enabled) QP_TRY(qp_sync_amax(r, qp_dp_of(q), q, &q->weight_amax, err));
        if (q->input_amax.enabled && q->module->expert < 0) QP_TRY(sync_input(r, QP_GROUP_DP, q, err));
    }
    return QP_OK;
}

// One value for all experts of a projection: over the local experts, then over the ranks that hold the others
// and the replicas.
static qp_status sync_projection(qp_rank *r, int p, qp_err *err) {
    uint32_t pair[2] = {0, 0};
    const qp_quantizer *first = NULL;
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        if (q->projection != p) continue;
        if (!first) first = q;
        if (!q->input_amax.enabled || !q->input_amax.has) continue;
        if (q->input_amax.images[0] > pair[0]) pair[0] = q->input_amax.images[0];
        pair[1] = 1;
    }
    if (!first) return QP_OK;
    const char *dtype = first->input_amax.dtype, *what = first->module->projection;
    QP_TRY(sync_present(r, QP_GROUP_EP, pair, dtype, what, err));
    QP_TRY(sync_present(r, QP_GROUP_EDP, pair, dtype, what, err));
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->projection != p || !q->input_amax.enabled) continue;
        q->input_amax.images[0] = pair[0];
        q->input_amax.has = pair[1] != 0;
    }
    return QP_OK;
}

static qp_status over_ep(qp_rank *r, qp_err *err) {
    for (int p = 0; p < r->n_projections; p++) QP_TRY(sync_projection(r, p, err));
    return QP_OK;
}

// Is this weight amax one value of a tensor whose shards lie on several tensor ranks?
static bool split_over_tp(const qp_quantizer *q) {
    const qp_grain grain = qp_format_get(q->weight_amax.format)->grain;
    if (q->weight_amax.format == QP_NVFP4_STATIC || q->module->style == QP_STYLE_REPLICATED) return false;
    return grain != QP_GRAIN_AXIS0 || q->module->style == QP_STYLE_ROW;
}

static qp_status over_tp(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->input_amax.enabled && q->module->style != QP_STYLE_REPLICATED)
            QP_TRY(sync_input(r, qp_tp_of(q), q, err));
        if (q->weight_amax.enabled && split_over_tp(q))
            QP_TRY(qp_sync_amax(r, qp_tp_of(q), q, &q->weight_amax, err));
    }
    return QP_OK;
}

static qp_status own_over_tp(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (!qp_is_static(q) || q->group >= 0 || q->module->style == QP_STYLE_REPLICATED) continue;
        QP_TRY(qp_sync_global(r, qp_tp_of(q), &q->own_global_amax, q->module->fqn, err));
    }
    return QP_OK;
}

// Different experts only meet when the pattern itself joins them; a routed expert's own group stays on its
// rank (E-72).
static qp_status group_over_ep(qp_rank *r, qp_rank_group *g, qp_err *err) {
    if (!g->spans_ep) return QP_OK;
    return qp_sync_global(r, QP_GROUP_EP, &g->global_amax, g->parent, err);
}

static qp_status group_over_tp(qp_rank *r, qp_rank_group *g, qp_err *err) {
    if (g->experts && (g->spans_ep || g->n_members > 0))
        QP_TRY(qp_sync_global(r, QP_GROUP_ETP, &g->global_amax, g->parent, err));
    if (g->dense) QP_TRY(qp_sync_global(r, QP_GROUP_TP, &g->global_amax, g->parent, err));
    return QP_OK;
}

const qp_sync_policy qp_sync_invariant = {no_flags,    over_dp,       over_ep,      over_tp,
                                          own_over_tp, group_over_ep, group_over_tp};
