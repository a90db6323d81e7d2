// SPDX-License-Identifier: Apache-2.0
// Stage pack: NVFP4 weights become element codes, E4M3 block scales and one fp32 scale; then those stored
// bytes are decoded again.
#include <string.h>

#include "pipeline/batch.h"
#include "pipeline/show.h"
#include "pipeline/stages.h"

void qp_store_scales(const uint8_t *packed, int64_t rows, int64_t nb, uint8_t *stored) {
    memcpy(stored, packed, (size_t)(rows * nb));
}

static bool can_pack(const qp_quantizer *q) {
    return qp_is_nvfp4(q) && q->weight != NULL && q->weight_amax.has &&
           (q->weight_cfg.format == QP_NVFP4 || q->promoted);
}

static qp_status quant(qp_rank *r, qp_batch *b, qp_err *err) {
    for (int k = 0; k < b->n; k++) {
        qp_ktensor *t = &b->tensors[k];
        qp_quantizer *q = &r->q[b->members[k]];
        QP_TRY(QP_NEW(r->arena, q->codes, t->rows * ((t->cols + 1) / 2) + 1));
        QP_TRY(QP_NEW(r->arena, q->scales, t->rows * qp_blocks(t->cols) + 1));
        QP_TRY(qp_arena_get(r->scratch, (size_t)(t->rows * qp_blocks(t->cols)) + 1, &t->scales, err));
        void *ws2 = &q->weight_scale_2;
        t->codes = q->codes;
        t->weight_scale_2 = ws2;
    }
    QP_TRY(qp_batch_run(r, b, QP_OP_QUANT, err));
    for (int k = 0; k < b->n; k++) {
        qp_quantizer *q = &r->q[b->members[k]];
        r->stages->store_scales(b->tensors[k].scales, b->tensors[k].rows, qp_blocks(b->tensors[k].cols),
                                q->scales);
        q->packed = true;
    }
    return QP_OK;
}

qp_status qp_step_pack_quant(qp_rank *r, qp_err *err) {
    return qp_for_batches(r, can_pack, 8, quant, err);
}

qp_status qp_show_packed(const qp_rank *r, const qp_quantizer *q, const char *stage, qp_err *err) {
    const int64_t rows = q->slice.n_rows, cols = q->slice.n_cols;
    QP_TRY(qp_show(r, q, stage, "weight_packed", QP_U8, rows, (cols + 1) / 2, q->sample, q->n_sample,
                   q->packed ? q->codes : NULL, err));
    QP_TRY(qp_show(r, q, stage, "weight_scale", QP_E4M3, rows, qp_blocks(cols), q->sample, q->n_sample,
                   q->packed ? q->scales : NULL, err));
    return qp_show(r, q, stage, "weight_scale_2", QP_FP32, 1, 1, NULL, 1,
                   q->packed ? &q->weight_scale_2 : NULL, err);
}

qp_status qp_step_show_pack(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++)
        if (qp_is_nvfp4(&r->q[i]) && r->q[i].weight) QP_TRY(qp_show_packed(r, &r->q[i], "pack", err));
    return QP_OK;
}

static bool is_packed(const qp_quantizer *q) {
    return q->packed;
}

static qp_status decode(qp_rank *r, qp_batch *b, qp_err *err) {
    for (int k = 0; k < b->n; k++) {
        qp_ktensor *t = &b->tensors[k];
        qp_quantizer *q = &r->q[b->members[k]];
        char *y;
        QP_TRY(QP_NEW(r->scratch, y, (size_t)(t->rows * t->cols) * qp_dtype_bytes(q->dtype) + 1));
        void *ws2 = &q->weight_scale_2;
        *t = (qp_ktensor){.rows = t->rows, .cols = t->cols, .ld = t->cols, .y = y};
        t->codes = q->codes;
        t->scales = q->scales;
        t->weight_scale_2 = ws2;
    }
    QP_TRY(qp_batch_run(r, b, QP_OP_DEQUANT, err));
    for (int k = 0; k < b->n; k++) {
        const qp_quantizer *q = &r->q[b->members[k]];
        QP_TRY(qp_show(r, q, "pack", "dequant", q->dtype, q->slice.n_rows, q->slice.n_cols, q->sample,
                       q->n_sample, b->tensors[k].y, err));
    }
    return QP_OK;
}

qp_status qp_step_dequant(qp_rank *r, qp_err *err) {
    return qp_for_batches(r, is_packed, 8, decode, err);
}
