// SPDX-License-Identifier: Apache-2.0
// What weight_quantizer._amax holds on a rank: its own values before the sync, those of the full reduction
// set after it.
#include <stdlib.h>

#include "oracle/truth.h"

// One value per tensor: per-tensor grain, and dynamic NVFP4, whose amax is the global one.
static bool is_scalar(const module_truth *t) {
    const qp_format_row *f = qp_format_get(t->weight.format);
    return f != NULL && (f->grain == QP_GRAIN_TENSOR || t->weight.format == QP_NVFP4);
}

void view_amax_shape(const view *v, int64_t *rows, int64_t *cols) {
    *rows = is_scalar(v->t) ? 1 : v->rows;
    *cols = oracle_has_block_amax(&v->t->weight) ? oracle_blocks(v->cols) : 1;
}

enum { CHUNK_ELEMS = 1 << 20 };

// max |w| over the rank's own shard. Whole rows are known; where columns are split, every row is held and is
// made again.
static qp_status own_tensor_amax(const view *v, uint32_t *image, qp_err *err) {
    const qp_module *m = v->t->module;
    *image = 0;
    if (v->cols == m->in) {
        for (int64_t r = 0; r < v->rows; r++)
            *image = ref_max_image(*image, v->t->row_amax[ref_global_row(m, v->st->layout, v->st->rank, r)]);
        return QP_OK;
    }
    qp_status status = QP_OK;
    int64_t step = CHUNK_ELEMS / v->cols > 0 ? CHUNK_ELEMS / v->cols : 1;
    void *x = malloc((size_t)(step * v->cols) * qp_dtype_bytes(v->t->dtype));
    if (x == NULL) QP_FAIL(QP_NOMEM, "out of memory for rows of %s", m->fqn);
    for (int64_t r = 0; r < v->rows; r += step) {
        uint32_t one;
        int64_t n = v->rows - r < step ? v->rows - r : step;
        QP_TRY_GOTO(status, qp_weights_slice(v->o->spec.weights, m, r, n, v->col0, v->cols, x, err), out);
        ref_amax(QP_GRAIN_TENSOR, v->t->dtype, n, v->cols, 0, 0, x, &one);
        *image = ref_max_image(*image, one);
    }
out:
    free(x);
    return status;
}

static qp_status own_row_amax(const view *v, uint32_t *images, qp_err *err) {
    qp_status status = QP_OK;
    void *x = malloc((size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype) + 1);
    if (x == NULL) QP_FAIL(QP_NOMEM, "out of memory for rows of %s", v->t->module->fqn);
    QP_TRY_GOTO(status, view_weight(v, x, err), out);
    ref_amax(QP_GRAIN_AXIS0, v->t->dtype, v->n_held, v->cols, 0, 0, x, images);
out:
    free(x);
    return status;
}

static void block_amax(const view *v, uint32_t *images) {
    int64_t full = oracle_blocks(v->t->module->in), nb = oracle_blocks(v->cols),
            block0 = v->col0 / ORACLE_BLOCK;
    for (int64_t r = 0; r < v->n_held; r++)
        for (int64_t b = 0; b < nb; b++)
            images[r * nb + b] =
                ref_load_f32(v->t->dtype, v->t->block_amax, v->global_row[r] * full + block0 + b);
}

qp_status view_amax(const view *v, bool local, qp_arena *a, uint32_t **images, int64_t *rows, int64_t *cols,
                    qp_err *err) {
    const module_truth *t = v->t;
    view_amax_shape(v, rows, cols);
    if (!is_scalar(t)) *rows = v->n_held;
    QP_TRY(QP_NEW(a, *images, *rows * *cols + 1));
    if (is_scalar(t)) {
        if (local) return own_tensor_amax(v, *images, err);
        **images = t->tensor_amax;
        return QP_OK;
    }
    if (oracle_has_block_amax(&t->weight)) {
        block_amax(v, *images);
        return QP_OK;
    }
    if (qp_format_get(t->weight.format)->grain != QP_GRAIN_AXIS0)
        QP_FAIL(QP_BROKEN, "the oracle has no amax for format %s (%s)", qp_format_get(t->weight.format)->name,
                t->module->fqn);
    if (local && v->cols != t->module->in) return own_row_amax(v, *images, err);
    for (int64_t r = 0; r < v->n_held; r++) (*images)[r] = t->row_amax[v->global_row[r]];
    return QP_OK;
}
