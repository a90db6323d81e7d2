// SPDX-License-Identifier: Apache-2.0
// Puts linears together into launches and fills their inputs. Knows no format beyond which amax a launch
// wants.
#include "pipeline/batch.h"

#include <string.h>

enum { BATCH_BYTES = 512 << 20 };

static bool same_launch(const qp_quantizer *a, const qp_quantizer *b) {
    const bool both_dense = a->module->expert < 0 && b->module->expert < 0;
    return a->weight_cfg.format == b->weight_cfg.format && a->dtype == b->dtype &&
           a->weight_cfg.narrow_range == b->weight_cfg.narrow_range &&
           a->weight_cfg.clip_backward == b->weight_cfg.clip_backward &&
           (both_dense || a->projection == b->projection);
}

// The chosen rows of the weight, and the rows of a per-row or per-block amax that belong to them.
static qp_status gather_rows(qp_rank *r, const qp_quantizer *q, qp_ktensor *t, const uint32_t **images,
                             qp_err *err) {
    const size_t row_bytes = (size_t)q->slice.n_cols * qp_dtype_bytes(q->dtype);
    const qp_amax *a = &q->weight_amax;
    const bool per_row = qp_format_get(a->format)->grain == QP_GRAIN_AXIS0 || a->format == QP_NVFP4_STATIC;
    char *x;
    uint32_t *rows;
    QP_TRY(QP_NEW(r->scratch, x, row_bytes * (size_t)q->n_sample + 1));
    QP_TRY(QP_NEW(r->scratch, rows, q->n_sample * a->cols + 1));
    for (int64_t i = 0; i < q->n_sample; i++) {
        memcpy(x + row_bytes * (size_t)i, (const char *)q->weight + row_bytes * (size_t)q->sample[i],
               row_bytes);
        if (per_row)
            memcpy(rows + i * a->cols, a->images + q->sample[i] * a->cols, sizeof *rows * (size_t)a->cols);
    }
    t->x = x;
    if (per_row) *images = rows;
    return QP_OK;
}

// fp32 images are what a kernel reads as floats.
static qp_status fill_tensor(qp_rank *r, const qp_quantizer *q, qp_ktensor *t, qp_err *err) {
    const uint32_t *images = q->weight_amax.images;
    *t = (qp_ktensor){.rows = q->n_sample, .cols = q->slice.n_cols, .ld = q->slice.n_cols, .x = q->weight};
    if (q->sample) QP_TRY(gather_rows(r, q, t, &images, err));
    const void *amax = images, *global = qp_is_static(q) ? &q->global_amax : q->weight_amax.images;
    if (q->weight_cfg.format != QP_NVFP4) t->amax = amax;
    if (qp_is_nvfp4(q)) t->global_amax = global;
    return QP_OK;
}

static size_t cost(const qp_quantizer *q, size_t bytes_per_element) {
    return (size_t)(q->n_sample * q->slice.n_cols) * bytes_per_element;
}

qp_status qp_for_batches(qp_rank *r, qp_batch_wants_fn wants, size_t bytes_per_element, qp_batch_fn fn,
                         qp_err *err) {
    const size_t budget = BATCH_BYTES / (size_t)qp_comm_size(r->comm, QP_GROUP_WORLD);
    bool *done;
    qp_batch b = {0};
    QP_TRY(QP_NEW(r->arena, done, r->n_q + 1));
    QP_TRY(QP_NEW(r->arena, b.members, r->n_q + 1));
    for (int i = 0; i < r->n_q; i++) {
        if (done[i] || !wants(&r->q[i])) continue;
        size_t bytes = 0;
        b.n = 0;
        for (int k = i; k < r->n_q; k++) {
            const qp_quantizer *q = &r->q[k];
            if (done[k] || !wants(q) || !same_launch(&r->q[i], q)) continue;
            if (b.n > 0 && bytes + cost(q, bytes_per_element) > budget) continue;
            bytes += cost(q, bytes_per_element);
            b.members[b.n++] = k;
            done[k] = true;
        }
        QP_TRY(qp_comm_check(r->comm, err));
        qp_arena_reset(r->scratch);
        QP_TRY(QP_NEW(r->scratch, b.tensors, b.n));
        for (int k = 0; k < b.n; k++) QP_TRY(fill_tensor(r, &r->q[b.members[k]], &b.tensors[k], err));
        QP_TRY(fn(r, &b, err));
        qp_rank_note_memory(r);
    }
    return QP_OK;
}

qp_status qp_batch_run(qp_rank *r, const qp_batch *b, qp_op op, qp_err *err) {
    const qp_quantizer *q = &r->q[b->members[0]];
    const qp_launch launch = {.op = op,
                              .format = q->weight_cfg.format,
                              .engine = QP_ENGINE_IEEE,
                              .dtype = q->dtype,
                              .narrow_range = q->weight_cfg.narrow_range,
                              .bwd = q->weight_cfg.clip_backward ? QP_BWD_CLIP : QP_BWD_PASS,
                              .n_tensors = b->n,
                              .tensors = b->tensors,
                              .order_seed = r->job->seed};
    const qp_run_options options = {.guard = true, .repeat = true, .order_seed = r->job->seed};
    qp_guard_ev guard = {0};
    QP_TRY(qp_subject_run(r->job->subject, &launch, &options, &guard, err));
    if (r->job->sink.guard) r->job->sink.guard(r->job->sink.user, &guard, r->at.rank);
    return QP_OK;
}
