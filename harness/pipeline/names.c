// SPDX-License-Identifier: Apache-2.0
// Stage build: which linears of these layers this rank holds, and what the recipe decided for each. No
// weights yet.
#include <stdlib.h>
#include <string.h>

#include "pipeline/stages.h"

bool qp_is_nvfp4(const qp_quantizer *q) {
    return q->weight_cfg.enabled &&
           (q->weight_cfg.format == QP_NVFP4 || q->weight_cfg.format == QP_NVFP4_STATIC);
}
qp_group_kind qp_tp_of(const qp_quantizer *q) {
    return q->module->expert >= 0 ? QP_GROUP_ETP : QP_GROUP_TP;
}
qp_group_kind qp_dp_of(const qp_quantizer *q) {
    return q->module->expert >= 0 ? QP_GROUP_EDP : QP_GROUP_DP;
}

void qp_rank_note_memory(qp_rank *r) {
    const size_t now = qp_arena_used(r->arena) + qp_arena_used(r->scratch);
    if (now > r->peak_bytes) r->peak_bytes = now;
}

// The projection's name has a star where the global expert number stood.
qp_status qp_name_local(qp_rank *r, qp_quantizer *q, qp_err *err) {
    const char *star = q->module->expert >= 0 ? strchr(q->module->projection, '*') : NULL;
    q->local_name = q->module->fqn;
    if (!star) return QP_OK;
    return qp_arena_printf(r->arena, &q->local_name, err, "%.*s%d%s", (int)(star - q->module->projection),
                           q->module->projection, q->slice.local_expert, star + 1);
}

// Numbered over all modules of the layers, so that every expert rank counts alike.
static void number_projections(qp_rank *r, const char **names) {
    int n = 0;
    for (int i = 0; i < r->n_modules; i++) {
        const qp_module *m = &r->job->model->modules[r->modules[i]];
        if (m->expert < 0 || !m->quantizable) continue;
        int p = n;
        while (p > 0 && strcmp(names[p - 1], m->projection) != 0) p--;
        if (p > 0) continue;
        names[n++] = m->projection;
    }
    r->n_projections = n;
    for (int i = 0; i < r->n_q; i++) {
        r->q[i].projection = -1;
        for (int p = 0; p < n && r->q[i].module->expert >= 0; p++)
            if (!strcmp(names[p], r->q[i].module->projection)) r->q[i].projection = p;
    }
}

qp_status qp_step_name_quantizers(qp_rank *r, qp_err *err) {
    QP_TRY(QP_NEW(r->arena, r->q, r->n_modules > 0 ? r->n_modules : 1));
    for (int i = 0; i < r->n_modules; i++) {
        const qp_module *m = &r->job->model->modules[r->modules[i]];
        const qp_slice slice = qp_slice_of(m, &r->layout, r->at.rank);
        if (!m->quantizable || !slice.held) continue;
        qp_quantizer *q = &r->q[r->n_q++];
        q->module = m;
        q->index = r->modules[i];
        q->slice = slice;
        q->group = -1;
        QP_TRY(qp_name_local(r, q, err));
        qp_recipe_resolve(r->job->recipe, m->fqn, "weight_quantizer", &q->weight_cfg);
        qp_recipe_resolve(r->job->recipe, m->fqn, "input_quantizer", &q->input_cfg);
    }
    const char **names;
    qp_arena_reset(r->scratch);
    QP_TRY(QP_NEW(r->scratch, names, r->n_modules + 1));
    number_projections(r, names);
    return QP_OK;
}

qp_status qp_step_choose_patterns(qp_rank *r, qp_err *err) {
    (void)err;
    qp_recipe_patterns(r->job->recipe, &r->patterns, &r->n_patterns);
    return QP_OK;
}
