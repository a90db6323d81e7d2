// SPDX-License-Identifier: Apache-2.0
// The show_* steps: what a rank holds after a stage, handed to the sink. Changes nothing and judges nothing.
#include "pipeline/show.h"

#include <string.h>

#include "pipeline/stages.h"

qp_status qp_show(const qp_rank *r, const qp_quantizer *q, const char *stage, const char *field,
                  qp_dtype dtype, int64_t rows, int64_t cols, const int64_t *row_ids, int64_t n_held,
                  const void *data, qp_err *err) {
    if (!r->job->sink.state) return QP_OK;
    const bool input = strncmp(field, "input", 5) == 0;
    const qp_state st = {.stage = stage,
                         .fqn = q->module->fqn,
                         .field = field,
                         .rank = r->at.rank,
                         .module = q->module,
                         .layout = &r->layout,
                         .format = input ? q->input_cfg.format : q->weight_cfg.format,
                         .dtype = dtype,
                         .rows = rows,
                         .cols = cols,
                         .row_ids = row_ids,
                         .n_rows_held = n_held,
                         .data = data};
    return r->job->sink.state(r->job->sink.user, &st, err);
}

void qp_note(const qp_rank *r, const char *stage, const char *text) {
    if (r->job->sink.note) r->job->sink.note(r->job->sink.user, r->at.rank, stage, text);
}

static qp_status show_one(const qp_rank *r, const qp_quantizer *q, const char *stage, const char *field,
                          const qp_amax *a, qp_err *err) {
    if (!a->enabled) return QP_OK;
    return qp_show(r, q, stage, field, QP_FP32, a->rows, a->cols, NULL, a->rows, a->has ? a->images : NULL,
                   err);
}

qp_status qp_show_amax(const qp_rank *r, const char *stage, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        QP_TRY(show_one(r, q, stage, "weight_quantizer._amax", &q->weight_amax, err));
        QP_TRY(show_one(r, q, stage, "input_quantizer._amax", &q->input_amax, err));
    }
    return QP_OK;
}

// First and last row of the slice and four between.
qp_status qp_step_show_shard(qp_rank *r, qp_err *err) {
    enum { SHOWN = 6 };
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        if (!q->weight) continue;
        const int64_t rows = q->slice.n_rows, cols = q->slice.n_cols;
        const size_t row_bytes = (size_t)cols * qp_dtype_bytes(q->dtype);
        int64_t ids[SHOWN];
        int n = 0;
        for (int64_t k = 0; k < SHOWN && rows > 0; k++) {
            const int64_t row = k * (rows - 1) / (SHOWN - 1);
            if (n == 0 || ids[n - 1] != row) ids[n++] = row;
        }
        char *data;
        qp_arena_reset(r->scratch);
        QP_TRY(QP_NEW(r->scratch, data, row_bytes * (size_t)(n > 0 ? n : 1)));
        for (int k = 0; k < n; k++)
            memcpy(data + row_bytes * (size_t)k, (const char *)q->weight + row_bytes * (size_t)ids[k],
                   row_bytes);
        QP_TRY(qp_show(r, q, "shard", "weight", q->dtype, rows, cols, ids, n, data, err));
    }
    return QP_OK;
}

qp_status qp_step_show_calibrate(qp_rank *r, qp_err *err) {
    return qp_show_amax(r, "calibrate", err);
}
qp_status qp_step_show_sync(qp_rank *r, qp_err *err) {
    return qp_show_amax(r, "sync", err);
}

// After promotion, so that what the members hold can be shown beside the group's value.
qp_status qp_step_show_group(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_groups && r->job->sink.group; i++) {
        const qp_rank_group *g = &r->groups[i];
        if (g->n_members == 0) continue;
        const char **names;
        uint32_t *held;
        bool promoted = true;
        qp_arena_reset(r->scratch);
        QP_TRY(QP_NEW(r->scratch, names, g->n_members));
        QP_TRY(QP_NEW(r->scratch, held, g->n_members));
        for (int k = 0; k < g->n_members; k++) {
            const qp_quantizer *q = &r->q[g->members[k]];
            names[k] = q->module->fqn;
            held[k] = q->global_amax;
            promoted = promoted && q->promoted;
        }
        const qp_group_ev ev = {.rank = r->at.rank,
                                .parent = g->parent,
                                .n_members = g->n_members,
                                .members = names,
                                .has_global = g->has_global,
                                .global_amax = g->global_amax,
                                .member_global_amax = promoted ? held : NULL};
        r->job->sink.group(r->job->sink.user, &ev);
    }
    return QP_OK;
}

qp_status qp_step_show_promote(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        if (!qp_is_static(q)) continue;
        QP_TRY(qp_show(r, q, "promote", "weight_quantizer._global_amax", QP_FP32, 1, 1, NULL, 1,
                       q->promoted ? &q->global_amax : NULL, err));
    }
    return QP_OK;
}
