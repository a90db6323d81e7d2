// SPDX-License-Identifier: Apache-2.0
// Stage calibrate, activations: which tokens reach which linear, and the amax of what they carry. Dense
// linears see the tokens of their data parallel rank; an expert sees the tokens that the router sends it, so
// with few tokens some experts stay dead.
#include <string.h>

#include "pipeline/stages.h"

static qp_status collect_token(qp_rank *r, qp_quantizer *q, int64_t token, qp_err *err) {
    const qp_job *job = r->job;
    const qp_gen gen = {
        .seed = job->seed, .dist = QP_DIST_GAUSS, .sigma = 1.0, .format = QP_FORMAT_NONE, .peak_index = -1};
    const char *name;
    char *x;
    q->n_tokens++;
    if (!q->input_cfg.enabled) return QP_OK;
    qp_arena_reset(r->scratch);
    QP_TRY(qp_arena_printf(r->scratch, &name, err, "%s.input", q->module->projection));
    QP_TRY(QP_NEW(r->scratch, x, (size_t)q->slice.cols.count * qp_dtype_bytes(QP_BF16)));
    qp_gen_slice(&gen, name, job->tokens, q->module->in, QP_BF16, token, 1, q->slice.cols.begin,
                 q->slice.cols.count, x);
    qp_calibrator_collect(&r->calibrator, QP_BF16, x, 1, q->slice.cols.count);
    return QP_OK;
}

static bool routed_to(const int *experts, int top_k, int expert) {
    for (int i = 0; i < top_k; i++)
        if (experts[i] == expert) return true;
    return false;
}

// routes: [tokens][top_k] of the layer 'layer'; filled anew when the layer changes.
static qp_status fill_routes(qp_rank *r, const qp_module *m, int *routes, int *layer) {
    const int top_k = r->job->model->top_k;
    if (*layer == m->layer) return QP_OK;
    for (int64_t t = 0; t < r->job->tokens; t++)
        qp_gen_route(r->job->seed, m->layer, t, m->n_experts, top_k, routes + t * top_k);
    *layer = m->layer;
    return QP_OK;
}

qp_status qp_step_calibrate_inputs(qp_rank *r, qp_err *err) {
    const qp_job *job = r->job;
    const int top_k = job->model->top_k;
    int *routes, layer = -1000;
    QP_TRY(QP_NEW(r->arena, routes, job->tokens * top_k + 1));
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        const bool expert = q->module->expert >= 0;
        if (expert) QP_TRY(fill_routes(r, q->module, routes, &layer));
        QP_TRY(qp_calibrator_shape(r, QP_FP8_E4M3, 1, 1, err)); // inputs are per tensor in every format
        r->stages->calibrator_reset(&r->calibrator);
        for (int64_t t = 0; t < job->tokens; t++) {
            const bool mine = expert ? routed_to(routes + t * top_k, top_k, q->module->expert)
                                     : t % r->layout.dp == r->at.dp_rank;
            if (mine) QP_TRY(collect_token(r, q, t, err));
        }
        if (!q->input_cfg.enabled) continue;
        q->input_amax.has = r->calibrator.seen;
        q->input_amax.images[0] = r->calibrator.images[0];
    }
    return QP_OK;
}
