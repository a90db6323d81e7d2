// SPDX-License-Identifier: Apache-2.0
// Stage fakequant: forward and backward of every weight on the subject's kernels, grouped, over the chosen
// rows.
#include <string.h>

#include "pipeline/batch.h"
#include "pipeline/show.h"
#include "pipeline/stages.h"

static bool has_weight(const qp_quantizer *q) {
    return q->weight != NULL && q->weight_amax.has;
}

static qp_status forward(qp_rank *r, qp_batch *b, qp_err *err) {
    for (int k = 0; k < b->n; k++) {
        char *y;
        QP_TRY(QP_NEW(r->scratch, y,
                      (size_t)(b->tensors[k].rows * b->tensors[k].cols) *
                              qp_dtype_bytes(r->q[b->members[k]].dtype) +
                          1));
        b->tensors[k].y = y;
    }
    QP_TRY(qp_batch_run(r, b, QP_OP_FAKEQUANT, err));
    for (int k = 0; k < b->n; k++) {
        const qp_quantizer *q = &r->q[b->members[k]];
        QP_TRY(qp_show(r, q, "fakequant", "y", q->dtype, q->slice.n_rows, q->slice.n_cols, q->sample,
                       q->n_sample, b->tensors[k].y, err));
    }
    return QP_OK;
}

qp_status qp_step_fakequant_forward(qp_rank *r, qp_err *err) {
    return qp_for_batches(r, has_weight, 12, forward, err);
}

// The upstream gradient of this slice: tensor "<fqn>.grad" of the full shape, the chosen rows.
static qp_status make_grad(qp_rank *r, const qp_quantizer *q, char *grad, qp_err *err) {
    const qp_gen gen = {.seed = r->job->seed,
                        .dist = QP_DIST_GAUSS,
                        .sigma = 1.0,
                        .format = QP_FORMAT_NONE,
                        .peak_index = -1};
    const size_t row_bytes = (size_t)q->slice.n_cols * qp_dtype_bytes(q->dtype);
    const char *name;
    QP_TRY(qp_arena_printf(r->scratch, &name, err, "%s.grad", q->module->fqn));
    int64_t at = 0;
    for (int i = 0; i < q->slice.n_row_ranges && !q->sample; i++) {
        const qp_range rows = q->slice.rows[i];
        qp_gen_slice(&gen, name, q->module->out, q->module->in, q->dtype, rows.begin, rows.count,
                     q->slice.cols.begin, q->slice.cols.count, grad + row_bytes * (size_t)at);
        at += rows.count;
    }
    for (int64_t i = 0; i < q->n_sample && q->sample; i++)
        qp_gen_slice(&gen, name, q->module->out, q->module->in, q->dtype, qp_global_row(q, q->sample[i]), 1,
                     q->slice.cols.begin, q->slice.cols.count, grad + row_bytes * (size_t)i);
    return QP_OK;
}

static qp_status backward(qp_rank *r, qp_batch *b, qp_err *err) {
    for (int k = 0; k < b->n; k++) {
        const qp_quantizer *q = &r->q[b->members[k]];
        const size_t bytes = (size_t)(b->tensors[k].rows * b->tensors[k].cols) * qp_dtype_bytes(q->dtype) + 1;
        char *grad, *y;
        QP_TRY(QP_NEW(r->scratch, grad, bytes));
        QP_TRY(QP_NEW(r->scratch, y, bytes));
        QP_TRY(make_grad(r, q, grad, err));
        b->tensors[k].grad = grad;
        b->tensors[k].y = y;
    }
    QP_TRY(qp_batch_run(r, b, QP_OP_BACKWARD, err));
    for (int k = 0; k < b->n; k++) {
        const qp_quantizer *q = &r->q[b->members[k]];
        QP_TRY(qp_show(r, q, "fakequant", "grad", q->dtype, q->slice.n_rows, q->slice.n_cols, q->sample,
                       q->n_sample, b->tensors[k].y, err));
    }
    return QP_OK;
}

qp_status qp_step_fakequant_backward(qp_rank *r, qp_err *err) {
    return qp_for_batches(r, has_weight, 18, backward, err);
}
