// SPDX-License-Identifier: Apache-2.0
// What fake-quant, backward, pack and dequantize must give on the rows and columns that a state holds: the
// reference on the rank's own slice, with the oracle's amax, never the subject's. Column shards begin at a
// multiple of the block, so blocks stay whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/truth.h"

// The held rows as a tensor of their own: per-row and per-block amax are gathered to them.
qp_status view_spec(const view *v, qp_arena *a, ref_spec *out, qp_err *err) {
    const module_truth *t = v->t;
    uint32_t *images;
    int64_t rows, cols;
    QP_TRY(view_amax(v, false, a, &images, &rows, &cols, err));
    *out = (ref_spec){.format = t->weight.format,
                      .engine = QP_ENGINE_IEEE,
                      .dtype = t->dtype,
                      .rows = v->n_held,
                      .cols = v->cols,
                      .narrow_range = t->weight.narrow_range,
                      .amax = images,
                      .global_amax = t->tensor_amax,
                      .amax_dtype = QP_FP32,
                      .amax_0d = rows == 1 && cols == 1};
    if (oracle_has_block_amax(&t->weight))
        QP_TRY(oracle_global_amax(v->o, t, v->st->layout, v->st->rank, &out->global_amax, err));
    return QP_OK;
}

static qp_status backward(const view *v, const ref_spec *s, const void *x, void *want, qp_err *err) {
    qp_gen g = {.seed = v->o->spec.seed,
                .dist = QP_DIST_GAUSS,
                .sigma = 1.0,
                .format = QP_FORMAT_NONE,
                .peak_index = -1};
    void *grad = malloc((size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype) + 1);
    if (grad == NULL) QP_FAIL(QP_NOMEM, "out of memory for the gradient of %s", v->t->module->fqn);
    char name[512];
    snprintf(name, sizeof name, "%s.grad", v->t->module->fqn);
    view_generated(v, &g, name, grad);
    if (v->t->weight.enabled)
        ref_backward(s, v->t->weight.clip_backward ? QP_BWD_CLIP : QP_BWD_PASS, 0, v->n_held, x, grad, want);
    else
        memcpy(want, grad, (size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype));
    free(grad);
    return QP_OK;
}

static qp_status pack(const view *v, qp_arena *a, void *want, qp_coverage *cov, qp_err *err) {
    packed_answer p;
    QP_TRY(view_packed(v, a, &p, err));
    if (strcmp(v->st->field, "weight_packed") == 0) {
        memcpy(want, p.codes, (size_t)(v->n_held * ((v->cols + 1) / 2)));
        if (cov != NULL) qp_coverage_merge(cov, &p.coverage);
    } else if (strcmp(v->st->field, "weight_scale") == 0) {
        memcpy(want, p.scales, (size_t)(v->n_held * oracle_blocks(v->cols)));
    } else {
        ref_spec held;
        QP_TRY(view_spec(v, a, &held, err));
        ref_dequant(&held, v->t->dtype, v->n_held, p.codes, p.scales, p.weight_scale_2, want);
    }
    return QP_OK;
}

qp_status view_values(const view *v, qp_arena *a, void *want, qp_coverage *cov, qp_err *err) {
    const char *field = v->st->field;
    qp_status status = QP_OK;
    ref_spec s = {0};
    if (strcmp(field, "grad") != 0 && strcmp(field, "y") != 0) return pack(v, a, want, cov, err);
    if (v->t->weight.enabled) QP_TRY(view_spec(v, a, &s, err));
    void *x = malloc((size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype) + 1);
    if (x == NULL) QP_FAIL(QP_NOMEM, "out of memory for rows of %s", v->t->module->fqn);
    QP_TRY_GOTO(status, view_weight(v, x, err), out);
    if (strcmp(field, "grad") == 0)
        QP_TRY_GOTO(status, backward(v, &s, x, want, err), out);
    else if (v->t->weight.enabled)
        ref_fakequant(&s, 0, v->n_held, x, want, NULL, cov);
    else // a disabled quantizer is the identity
        memcpy(want, x, (size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype));
out:
    free(x);
    return status;
}
