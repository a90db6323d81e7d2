// SPDX-License-Identifier: Apache-2.0
// Stage calibrate, weights: a linear's weight is measured when tokens reach it; then a walk over all weights
// measures those that no token reached. Both before any sync, so that a dead expert's amax takes part in
// everything that follows (E-19, E-54).
#include "core/text.h"
#include "pipeline/show.h"
#include "pipeline/stages.h"

qp_status qp_step_calibrate_weights(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->weight && q->n_tokens > 0) QP_TRY(qp_calibrate_weight(r, q, err));
    }
    return QP_OK;
}

qp_status qp_step_repair_dead(qp_rank *r, qp_err *err) {
    qp_text dead = {.arena = r->arena};
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (!q->weight || q->weight_amax.has) continue;
        QP_TRY(qp_calibrate_weight(r, q, err));
        if (q->module->expert >= 0 && q->projection == 0 && r->job->tokens > 0)
            QP_TRY(qp_text_add(&dead, err, "%s%d", dead.n ? ", " : "dead experts: ", q->module->expert));
    }
    if (dead.n) qp_note(r, "calibrate", dead.s);
    return QP_OK;
}
