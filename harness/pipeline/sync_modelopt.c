// SPDX-License-Identifier: Apache-2.0
// sync=modelopt-0.47: what Model Optimizer 0.47.0 does, collective for collective (pipeline spec A.3, steps 6
// to 9). It is not layout invariant: ungrouped static weights stay local to their tensor rank, groups of
// routed experts merge over expert ranks.
#include <stdio.h>
#include <string.h>

#include "pipeline/sync.h"

// ---- step 6: are all ranks calibrated?
// -----------------------------------------------------------------------------------

static qp_status gather_flag(qp_rank *r, const qp_quantizer *q, qp_group_kind g, const char *child, bool has,
                             qp_err *err) {
    char tag[320];
    bool *flags;
    int n = 0;
    qp_arena_reset(r->scratch);
    QP_TRY(QP_NEW(r->scratch, flags, qp_comm_size(r->comm, g)));
    snprintf(tag, sizeof tag, "%s of %s has an amax", child, q->local_name);
    QP_TRY(qp_comm_flag_gather(r->comm, g, has, flags, tag, err));
    for (int i = 0; i < qp_comm_size(r->comm, g); i++) n += flags[i];
    if (n > 0 && n < qp_comm_size(r->comm, g))
        QP_FAIL(QP_REFUSED,
                "rank %d: %s of %s is calibrated on %d of %d %s ranks (sync=modelopt-0.47 refuses that)",
                r->at.rank, child, q->local_name, n, qp_comm_size(r->comm, g), qp_group_kind_name(g));
    return QP_OK;
}

static qp_status gather_child(qp_rank *r, const qp_quantizer *q, const char *child, bool has, qp_err *err) {
    QP_TRY(gather_flag(r, q, qp_dp_of(q), child, has, err));
    QP_TRY(gather_flag(r, q, QP_GROUP_EP, child, has, err));
    return gather_flag(r, q, qp_tp_of(q), child, has, err);
}

// Every child quantizer of a linear with an expert group, disabled ones too. The weight quantizers of a fused
// container are in a list, which is no child; its one input quantizer per projection stands with the first
// expert.
static qp_status flags(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        if (q->module->expert < 0 || qp_comm_size(r->comm, QP_GROUP_EP) == 1) continue;
        if (q->fused && q->slice.local_expert > 0) continue;
        QP_TRY(gather_child(r, q, "input quantizer", q->input_amax.has, err));
        if (q->fused) continue;
        QP_TRY(gather_child(r, q, "output quantizer", false, err));
        QP_TRY(gather_child(r, q, "weight quantizer", q->weight_amax.has, err));
    }
    return QP_OK;
}

// ---- steps 7 and 8: amax
// -----------------------------------------------------------------------------------------------

static qp_status over_dp(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->input_amax.has) QP_TRY(qp_sync_amax(r, qp_dp_of(q), q, &q->input_amax, err));
        if (q->weight_amax.has && !q->fused) QP_TRY(qp_sync_amax(r, qp_dp_of(q), q, &q->weight_amax, err));
    }
    return QP_OK;
}

static qp_status over_ep(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->module->expert >= 0 && q->input_amax.has)
            QP_TRY(qp_sync_amax(r, QP_GROUP_EP, q, &q->input_amax, err));
    }
    return QP_OK;
}

static qp_status over_tp(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->fused || q->module->style == QP_STYLE_REPLICATED) continue;
        if (q->input_amax.has) QP_TRY(qp_sync_amax(r, qp_tp_of(q), q, &q->input_amax, err));
        const bool per_row = qp_format_get(q->weight_amax.format) &&
                             qp_format_get(q->weight_amax.format)->grain == QP_GRAIN_AXIS0;
        if (!q->weight_amax.has || q->weight_amax.format == QP_NVFP4_STATIC) continue;
        if (per_row && q->module->style == QP_STYLE_COLUMN) continue;
        QP_TRY(qp_sync_amax(r, qp_tp_of(q), q, &q->weight_amax, err));
    }
    return QP_OK;
}

// ---- step 9: global amax
// ---------------------------------------------------------------------------------------------------

static qp_status own_stays_local(qp_rank *r, qp_err *err) {
    (void)r, (void)err;
    return QP_OK;
}

// The first member's process groups serve for all: an expert has an expert group, a dense linear has none.
static bool led_by_expert(const qp_rank *r, const qp_rank_group *g) {
    return g->n_members > 0 && r->q[g->members[0]].module->expert >= 0;
}

static qp_status group_over_ep(qp_rank *r, qp_rank_group *g, qp_err *err) {
    if (!led_by_expert(r, g)) return QP_OK;
    return qp_sync_global(r, QP_GROUP_EP, &g->global_amax, g->parent, err);
}

static qp_status group_over_tp(qp_rank *r, qp_rank_group *g, qp_err *err) {
    return qp_sync_global(r, led_by_expert(r, g) ? QP_GROUP_ETP : QP_GROUP_TP, &g->global_amax, g->parent,
                          err);
}

const qp_sync_policy qp_sync_modelopt_047 = {flags,           over_dp,       over_ep,      over_tp,
                                             own_stays_local, group_over_ep, group_over_tp};
