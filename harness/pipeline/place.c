// SPDX-License-Identifier: Apache-2.0
// Keys and places: where a rank's part of a state lies in the full tensor, by the module's slice and the
// field's geometry.
#include "pipeline/checkpoint.h"

const char *qp_ckpt_field_name(qp_ckpt_field f) {
    static const char *const names[QP_CKPT_FIELDS] = {
        "weight_quantizer._amax", "weight_quantizer._global_amax",
        "input_quantizer._amax",  "weight_packed",
        "weight_scale",           "weight_scale_2"};
    return names[f];
}

qp_dtype qp_ckpt_dtype(qp_ckpt_field f) {
    return f == QP_CKPT_PACKED ? QP_U8 : f == QP_CKPT_SCALE ? QP_E4M3 : QP_FP32;
}

bool qp_ckpt_has(const qp_quantizer *q, qp_ckpt_field f) {
    switch (f) {
    case QP_CKPT_AMAX:
        return q->weight_cfg.enabled;
    case QP_CKPT_GLOBAL:
        return qp_is_static(q);
    case QP_CKPT_INPUT:
        return q->input_cfg.enabled;
    default:
        return qp_is_nvfp4(q);
    }
}

qp_status qp_checkpoint_key(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                            const char **key, qp_err *err) {
    (void)r;
    return qp_arena_printf(a, key, err, "%s.%s", q->module->fqn, field);
}

int64_t qp_place_rows(const qp_place *p) {
    int64_t n = 0;
    for (int i = 0; i < p->n_rows; i++) n += p->rows[i].count;
    return n;
}

qp_status qp_rows_to_ranges(const int64_t *rows, int64_t n, qp_arena *a, qp_place *out, qp_err *err) {
    QP_TRY(QP_NEW(a, out->rows, n > 0 ? n : 1));
    out->n_rows = 0;
    for (int64_t i = 0; i < n; i++) {
        qp_range *last = out->n_rows > 0 ? &out->rows[out->n_rows - 1] : NULL;
        if (last && last->begin + last->count == rows[i])
            last->count++;
        else
            out->rows[out->n_rows++] = (qp_range){rows[i], 1};
    }
    return QP_OK;
}

static qp_status whole_slice(const qp_quantizer *q, qp_arena *a, qp_place *out, qp_err *err) {
    QP_TRY(QP_NEW(a, out->rows, q->slice.n_row_ranges > 0 ? q->slice.n_row_ranges : 1));
    out->n_rows = q->slice.n_row_ranges;
    for (int i = 0; i < out->n_rows; i++) out->rows[i] = q->slice.rows[i];
    return QP_OK;
}

static qp_status sampled_rows(const qp_job *job, const qp_quantizer *q, qp_arena *a, qp_place *out,
                              qp_err *err) {
    int64_t *rows, n, kept = 0;
    QP_TRY(qp_sample_global(job, q->module, a, &rows, &n, err));
    for (int64_t i = 0; i < n; i++)
        if (qp_local_row(q, rows[i]) >= 0) rows[kept++] = rows[i];
    return qp_rows_to_ranges(rows, kept, a, out, err);
}

// Columns of the slice in units of 'per' weight columns.
static qp_status columns(const qp_quantizer *q, int64_t per, qp_place *out, qp_err *err) {
    const qp_range c = q->slice.cols;
    if (c.begin % per != 0)
        QP_FAIL(QP_REFUSED, "%s: the columns of this rank begin at %lld, no multiple of %lld", q->module->fqn,
                (long long)c.begin, (long long)per);
    out->full_cols = (q->module->in + per - 1) / per;
    out->cols = (qp_range){c.begin / per, (c.count + per - 1) / per};
    return QP_OK;
}

qp_status qp_place_of(const qp_job *job, const qp_quantizer *q, qp_ckpt_field f, qp_arena *a, qp_place *out,
                      qp_err *err) {
    const qp_format fmt = q->weight_cfg.format;
    const bool blocks = f == QP_CKPT_SCALE || (f == QP_CKPT_AMAX && fmt == QP_NVFP4_STATIC);
    const bool per_row = f == QP_CKPT_AMAX && qp_format_get(fmt)->grain == QP_GRAIN_AXIS0;
    *out = (qp_place){.full_rows = 1, .full_cols = 1, .cols = {0, 1}};
    if (f == QP_CKPT_PACKED || blocks || per_row) {
        const bool sampled = job->rows > 0 && f != QP_CKPT_AMAX;
        out->full_rows = q->module->out;
        QP_TRY(sampled ? sampled_rows(job, q, a, out, err) : whole_slice(q, a, out, err));
        if (!per_row) QP_TRY(columns(q, blocks ? 16 : 2, out, err));
        return QP_OK;
    }
    QP_TRY(QP_NEW(a, out->rows, 1));
    out->rows[0] = (qp_range){0, 1};
    out->n_rows = 1;
    return QP_OK;
}
