// SPDX-License-Identifier: Apache-2.0
// Stage promote: a static NVFP4 quantizer takes its global amax, the group's if it is in one, else its own.
// Strictly after the sync: it reads the final amax (E-01).
#include "pipeline/stages.h"

qp_status qp_step_promote(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (!qp_is_static(q) || !q->weight_amax.has) continue;
        const qp_rank_group *g = q->group >= 0 ? &r->groups[q->group] : NULL;
        if (g && !g->has_global)
            QP_FAIL(QP_BROKEN, "rank %d: %s is promoted from the group below %s, which is not populated",
                    r->at.rank, q->module->fqn, g->parent);
        q->global_amax = g ? g->global_amax : q->own_global_amax;
        q->promoted = true;
        q->weight_amax.dtype = "float32";
    }
    return QP_OK;
}
