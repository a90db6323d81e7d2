// SPDX-License-Identifier: Apache-2.0
// Stage shard: the slice's geometry gives every quantizer its empty state; the weight itself comes range by
// range.
#include "pipeline/stages.h"

static const char *upstream_dtype(qp_dtype t) {
    return t == QP_BF16 ? "bfloat16" : t == QP_FP16 ? "float16" : "float32";
}

static qp_status empty_amax(qp_rank *r, qp_amax *a, const qp_qconfig *cfg, int64_t rows, int64_t cols,
                            const char *dtype, qp_err *err) {
    *a =
        (qp_amax){.enabled = cfg->enabled, .format = cfg->format, .rows = rows, .cols = cols, .dtype = dtype};
    if (!cfg->enabled) return QP_OK;
    return QP_NEW(r->arena, a->images, rows * cols > 0 ? rows * cols : 1);
}

qp_status qp_step_take_slices(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        int64_t rows, cols;
        q->dtype = qp_weights_dtype(r->job->weights, q->module);
        qp_amax_geometry(q->weight_cfg.format, q->slice.n_rows, q->slice.n_cols, &rows, &cols);
        QP_TRY(empty_amax(r, &q->weight_amax, &q->weight_cfg, rows, cols, upstream_dtype(q->dtype), err));
        QP_TRY(empty_amax(r, &q->input_amax, &q->input_cfg, 1, 1, upstream_dtype(q->dtype), err));
    }
    return QP_OK;
}

static qp_status fill(const qp_rank *r, qp_quantizer *q, qp_err *err) {
    char *at = q->weight;
    for (int i = 0; i < q->slice.n_row_ranges; i++) {
        const qp_range rows = q->slice.rows[i];
        QP_TRY(qp_weights_slice(r->job->weights, q->module, rows.begin, rows.count, q->slice.cols.begin,
                                q->slice.cols.count, at, err));
        at += (size_t)(rows.count * q->slice.cols.count) * qp_dtype_bytes(q->dtype);
    }
    return QP_OK;
}

// With one rank the linears are filled by all cores; with several each rank thread has one.
qp_status qp_step_make_weights(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        char *bytes;
        if (!q->weight_cfg.enabled) continue;
        QP_TRY(
            QP_NEW(r->arena, bytes, (size_t)(q->slice.n_rows * q->slice.n_cols) * qp_dtype_bytes(q->dtype)));
        q->weight = bytes;
    }
    qp_status status = QP_OK;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < r->n_q; i++) {
        qp_err mine = {0};
        if (!r->q[i].weight || fill(r, &r->q[i], &mine) == QP_OK) continue;
#pragma omp critical
        if (status == QP_OK) {
            status = mine.code;
            if (err) *err = mine;
        }
    }
    qp_rank_note_memory(r);
    if (status != QP_OK) qp_err_trail(err, __FILE__, __LINE__);
    return status;
}
