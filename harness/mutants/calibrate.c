// SPDX-License-Identifier: Apache-2.0
// Sins of calibration.
#include "mutants/list.h"

// E-22: the calibrator is not reset, so an earlier maximum leaks into the next tensor.
static void keep_max(qp_calibrator *c) {
    c->seen = false;
}

void mut_calibrator_keeps_max(qp_stage_table *t) {
    t->calibrator_reset = keep_max;
}

// E-19: an expert that saw no token has no amax when groups are made; it is repaired later, each half by
// itself.
static qp_status repair_per_half(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (!q->weight || q->weight_amax.has) continue;
        QP_TRY(qp_calibrate_weight(r, q, err));
        q->group = -1;
    }
    return QP_OK;
}

void mut_dead_expert_per_half(qp_stage_table *t) {
    qp_step step = *qp_stage_find(t, "repair_dead");
    step.fn = repair_per_half;
    qp_stage_remove(t, "repair_dead");
    qp_stage_insert_after(t, "sync_groups", step);
}

// E-03: the weight is sharded over the data parallel ranks and each measures what it has; nobody gathers.
static qp_status measure_own_rows(qp_rank *r, qp_err *err) {
    QP_TRY(qp_step_repair_dead(r, err));
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        const int n = r->layout.dp, at = r->at.dp_rank;
        if (!q->weight || q->module->expert >= 0 || n < 2) continue;
        const int64_t rows = q->slice.n_rows / n;
        const char *begin =
            (const char *)q->weight + (size_t)(rows * at * q->slice.n_cols) * qp_dtype_bytes(q->dtype);
        if (q->weight_amax.rows * q->weight_amax.cols != 1) continue;
        q->weight_amax.images[0] = qp_abs_max(q->dtype, begin, rows * q->slice.n_cols);
    }
    return QP_OK;
}

static qp_status no_sync(qp_rank *r, qp_err *err) {
    (void)r, (void)err;
    return QP_OK;
}

void mut_dp_shard_no_gather(qp_stage_table *t) {
    qp_stage_replace(t, "repair_dead", measure_own_rows);
    qp_stage_replace(t, "sync_amax_dp", no_sync);
}
