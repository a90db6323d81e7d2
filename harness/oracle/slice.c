// SPDX-License-Identifier: Apache-2.0
// The part of a full tensor that a state is about: held rows and local columns, found through ref_global_row
// and ref_global_col.
#include <inttypes.h>
#include <string.h>

#include "oracle/truth.h"

qp_status view_make(const qp_oracle *o, const module_truth *t, const qp_state *st, qp_arena *a, view *out,
                    bool *fits, qp_err *err) {
    *out = (view){.o = o, .t = t, .st = st};
    ref_local_shape(t->module, st->layout, st->rank, &out->rows, &out->cols);
    out->col0 = out->cols > 0 ? ref_global_col(t->module, st->layout, st->rank, 0) : 0;
    out->n_held = st->n_rows_held;
    QP_TRY(QP_NEW(a, out->global_row, out->n_held + 1));
    *fits = true;
    for (int64_t r = 0; r < out->n_held; r++) {
        int64_t local = st->row_ids != NULL ? st->row_ids[r] : r;
        out->global_row[r] = ref_global_row(t->module, st->layout, st->rank, local);
        *fits = *fits && out->global_row[r] >= 0;
    }
    return QP_OK;
}

// Held rows that are neighbours in the full tensor are made together.
static int64_t run_length(const view *v, int64_t r) {
    int64_t n = 1;
    while (r + n < v->n_held && v->global_row[r + n] == v->global_row[r] + n) n++;
    return n;
}

qp_status view_weight(const view *v, void *out, qp_err *err) {
    size_t pitch = (size_t)v->cols * qp_dtype_bytes(v->t->dtype);
    for (int64_t r = 0, n; r < v->n_held; r += n) {
        n = run_length(v, r);
        QP_TRY(qp_weights_slice(v->o->spec.weights, v->t->module, v->global_row[r], n, v->col0, v->cols,
                                (unsigned char *)out + (size_t)r * pitch, err));
    }
    return QP_OK;
}

void view_generated(const view *v, const qp_gen *g, const char *name, void *out) {
    const qp_module *m = v->t->module;
    size_t pitch = (size_t)v->cols * qp_dtype_bytes(v->t->dtype);
    for (int64_t r = 0, n; r < v->n_held; r += n) {
        n = run_length(v, r);
        qp_gen_slice(g, name, m->out, m->in, v->t->dtype, v->global_row[r], n, v->col0, v->cols,
                     (unsigned char *)out + (size_t)r * pitch);
    }
}
