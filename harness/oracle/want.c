// SPDX-License-Identifier: Apache-2.0
// One question, one answer: which bytes must this state hold? The field decides the geometry and who answers.
#include <string.h>

#include "oracle/truth.h"

typedef enum field_kind {
    FIELD_WEIGHT,
    FIELD_AMAX,
    FIELD_GLOBAL,
    FIELD_INPUT,
    FIELD_Y,
    FIELD_GRAD,
    FIELD_PACKED,
    FIELD_SCALE,
    FIELD_SCALE_2,
    FIELD_DEQUANT,
    FIELD_COUNT
} field_kind;

static field_kind field_of(const char *name) {
    static const char *const names[FIELD_COUNT] = {"weight",
                                                   "weight_quantizer._amax",
                                                   "weight_quantizer._global_amax",
                                                   "input_quantizer._amax",
                                                   "y",
                                                   "grad",
                                                   "weight_packed",
                                                   "weight_scale",
                                                   "weight_scale_2",
                                                   "dequant"};
    int k = 0;
    while (k < FIELD_COUNT && strcmp(names[k], name) != 0) k++;
    return (field_kind)k;
}

static bool is_local_stage(const char *stage) {
    return strcmp(stage, "calibrate") == 0;
}

// Promotion makes the global amax; before it there is none.
static bool has_promoted(const char *stage) {
    return strcmp(stage, "shard") != 0 && !is_local_stage(stage) && strcmp(stage, "sync") != 0;
}

// Should this rank hold this field at this stage?
static qp_status is_due(const view *v, field_kind k, bool *due, qp_err *err) {
    const qp_qconfig *w = &v->t->weight;
    uint32_t unused;
    *due = false;
    switch (k) {
    case FIELD_WEIGHT:
    case FIELD_Y:
    case FIELD_GRAD:
        *due = true;
        return QP_OK;
    case FIELD_AMAX:
        *due = w->enabled;
        return QP_OK;
    case FIELD_GLOBAL:
        *due = oracle_has_block_amax(w) && has_promoted(v->st->stage);
        return QP_OK;
    case FIELD_INPUT:
        return oracle_input_amax(v->o, v->t, v->st->layout, v->st->rank, is_local_stage(v->st->stage), due,
                                 &unused, err);
    case FIELD_PACKED:
    case FIELD_SCALE:
    case FIELD_SCALE_2:
    case FIELD_DEQUANT:
        *due = oracle_is_nvfp4(w);
        return QP_OK;
    default:
        return QP_OK;
    }
}

typedef struct geometry {
    int64_t rows, cols;
    qp_dtype dtype;
    bool scalar;
} geometry;

static geometry geometry_of(const view *v, field_kind k) {
    geometry g = {v->rows, v->cols, v->t->dtype, false};
    switch (k) {
    case FIELD_AMAX:
        view_amax_shape(v, &g.rows, &g.cols);
        g.dtype = QP_FP32;
        g.scalar = g.rows == 1 && g.cols == 1;
        return g;
    case FIELD_GLOBAL:
    case FIELD_INPUT:
    case FIELD_SCALE_2:
        return (geometry){1, 1, QP_FP32, true};
    case FIELD_PACKED:
        return (geometry){v->rows, (v->cols + 1) / 2, QP_U8, false};
    case FIELD_SCALE:
        return (geometry){v->rows, oracle_blocks(v->cols), QP_E4M3, false};
    default:
        return g;
    }
}

static bool has_geometry(const qp_state *st, geometry g) {
    bool same_type = st->dtype == g.dtype || (g.dtype == QP_E4M3 && st->dtype == QP_U8);
    bool all_rows = st->row_ids != NULL || st->n_rows_held == st->rows;
    return same_type && st->rows == g.rows && st->cols == g.cols && all_rows;
}

static qp_status answer_amax(const view *v, qp_arena *a, void *want, qp_err *err) {
    uint32_t *images;
    int64_t rows, cols;
    QP_TRY(view_amax(v, is_local_stage(v->st->stage), a, &images, &rows, &cols, err));
    memcpy(want, images, sizeof *images * (size_t)(rows * cols));
    return QP_OK;
}

static qp_status answer(const view *v, field_kind k, qp_arena *a, void *want, qp_coverage *cov, qp_err *err) {
    uint32_t image = 0;
    bool has;
    ref_spec s;
    switch (k) {
    case FIELD_WEIGHT:
        return view_weight(v, want, err);
    case FIELD_AMAX:
        return answer_amax(v, a, want, err);
    case FIELD_GLOBAL:
        QP_TRY(oracle_global_amax(v->o, v->t, v->st->layout, v->st->rank, &image, err));
        break;
    case FIELD_INPUT:
        QP_TRY(oracle_input_amax(v->o, v->t, v->st->layout, v->st->rank, is_local_stage(v->st->stage), &has,
                                 &image, err));
        break;
    case FIELD_SCALE_2:
        QP_TRY(view_spec(v, a, &s, err));
        image = ref_weight_scale_2(&s);
        break;
    default:
        return view_values(v, a, want, cov, err);
    }
    memcpy(want, &image, sizeof image);
    return QP_OK;
}

enum { NO_STATE_HOLDS_THIS = 0xa5 };

qp_status qp_oracle_want(qp_oracle *o, const qp_state *st, qp_arena *a, void **want, qp_coverage *cov,
                         qp_err *err) {
    *want = NULL;
    const module_truth *t = oracle_find(o, st->fqn);
    field_kind k = field_of(st->field);
    if (t == NULL || k == FIELD_COUNT || !ref_holds(t->module, st->layout, st->rank)) return QP_OK;
    view v;
    bool due, fits;
    QP_TRY(view_make(o, t, st, a, &v, &fits, err));
    QP_TRY(is_due(&v, k, &due, err));
    if (!due) return QP_OK;
    geometry g = geometry_of(&v, k);
    size_t n_bytes = (size_t)(st->n_rows_held * st->cols) * qp_dtype_bytes(st->dtype);
    QP_TRY(qp_arena_get(a, n_bytes + 1, want, err));
    if (!has_geometry(st, g) || (!fits && !g.scalar)) {
        memset(*want, NO_STATE_HOLDS_THIS, n_bytes);
        return QP_OK;
    }
    return answer(&v, k, a, *want, cov, err);
}
