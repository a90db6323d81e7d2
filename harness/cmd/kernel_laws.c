// SPDX-License-Identifier: Apache-2.0
// One question a law over all tensors of a case.
#include "cmd/kernel_laws.h"

#include <string.h>

#include "cmd/kernel_ops.h"

enum { LAW_ELEMS = 1 << 15 }; // of a case, that a law looks at

typedef struct asking {
    const qp_kernel_case *k;
    const qp_law_asked *who;
    qp_tally *tally;
    qp_arena *arena; // of one law
    qp_law law;
} asking;

// Approximate division (numerics 0) obeys no law to the bit.
static bool is_exact(qp_engine e) {
    return e != QP_ENGINE_TRITON && e != QP_ENGINE_MX_EXT;
}

// An even number, so that pairs of rows stay pairs.
static int64_t rows_of(const qp_kernel_case *k, const qp_kernel_tensor *t) {
    int64_t most = LAW_ELEMS / (t->cols > 0 ? t->cols : 1) / k->n_tensors;
    most = most < 2 ? 2 : most / 2 * 2;
    return t->rows < most ? t->rows : most;
}

// ---- what the subject is given
// --------------------------------------------------------------------------------------------

// The amax of the transformed tensor: padding adds blocks of zeros.
static qp_status amax_after(const asking *s, const qp_kernel_tensor *t, int64_t cols, uint32_t **out,
                            qp_err *err) {
    const qp_format_row *f = qp_format_get(s->k->format);
    int64_t n_cols = t->amax_cols;
    if (f->block_cols > 0 && qp_kernel_grain(s->k) != QP_GRAIN_TENSOR)
        n_cols = (cols + f->block_cols - 1) / f->block_cols;
    QP_TRY(QP_NEW(s->arena, *out, t->amax_rows * n_cols + 1));
    for (int64_t r = 0; r < t->amax_rows; r++)
        for (int64_t c = 0; c < t->amax_cols; c++)
            (*out)[r * n_cols + c] = qp_law_amax(s->law, t->amax[r * t->amax_cols + c]);
    return QP_OK;
}

static qp_status codes_of(const asking *s, const qp_kernel_tensor *t, int64_t rows, const uint8_t *codes,
                          uint8_t **out, qp_err *err) {
    const qp_format_row *f = qp_format_get(s->k->format);
    QP_TRY(QP_NEW(s->arena, *out, rows * t->cols + 1));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < t->cols; c++)
            (*out)[r * t->cols + c] = qp_kernel_code(f, codes, t->cols, r, c);
    return QP_OK;
}

static qp_status evidence_of(const asking *s, const qp_kernel_tensor *t, qp_law_ev *ev, qp_err *err) {
    *ev = (qp_law_ev){.law = s->law,
                      .but = s->who->bare ? 0 : qp_law_exceptions(s->law, s->k->format),
                      .fqn = t->name,
                      .format = s->k->format,
                      .dtype = s->k->dtype,
                      .narrow_range = s->k->narrow_range,
                      .rows = rows_of(s->k, t),
                      .cols = t->cols,
                      .x = t->x,
                      .amax = t->amax,
                      .global_amax = t->global_amax,
                      .y = t->y,
                      .cols_after = qp_law_cols(s->law, s->k->format, t->cols)};
    if (s->law != QP_LAW_CODES) return QP_OK;
    uint8_t *codes = NULL;
    QP_TRY(codes_of(s, t, ev->rows, t->codes, &codes, err));
    ev->y = codes;
    return QP_OK;
}

// The tensor that is asked about: the first rows, transformed, with room for the answers to them.
static qp_status tensor_after(const asking *s, const qp_kernel_tensor *t, const qp_law_ev *ev,
                              qp_kernel_tensor *after, qp_err *err) {
    size_t size = qp_dtype_bytes(s->k->dtype);
    *after = *t;
    after->rows = ev->rows;
    after->cols = after->ld = ev->cols_after;
    QP_TRY(qp_arena_get(s->arena, (size_t)(after->rows * after->cols) * size, &after->x, err));
    if (s->law == QP_LAW_CODES)
        memcpy(after->x, t->values, (size_t)(after->rows * after->cols) * size);
    else
        qp_law_input(ev, after->x);
    after->pitched = after->x;
    QP_TRY(amax_after(s, t, after->cols, &after->amax, err));
    after->global_amax = qp_law_amax(s->law, t->global_amax);
    return QP_OK;
}

// ---- asked again
// ----------------------------------------------------------------------------------------------------------

static qp_status ask_again(const asking *s, qp_kernel_case *after, qp_err *err) {
    qp_op op = s->law == QP_LAW_CODES ? QP_OP_QUANT : QP_OP_FAKEQUANT;
    QP_TRY(qp_kernel_outputs(after, op, s->arena, err));
    return s->who->ask(s->who->user, after, op, err);
}

static qp_status ask(const asking *s, qp_err *err) {
    qp_law_ev *evs;
    qp_kernel_case after = *s->k;
    QP_TRY(QP_NEW(s->arena, evs, after.n_tensors));
    QP_TRY(QP_NEW(s->arena, after.tensors, after.n_tensors));
    for (int i = 0; i < after.n_tensors; i++) {
        QP_TRY(evidence_of(s, &s->k->tensors[i], &evs[i], err));
        if (s->law != QP_LAW_ORDER)
            QP_TRY(tensor_after(s, &s->k->tensors[i], &evs[i], &after.tensors[i], err));
    }
    if (s->law != QP_LAW_ORDER) QP_TRY(ask_again(s, &after, err));
    for (int i = 0; i < after.n_tensors; i++) {
        uint8_t *codes = NULL;
        evs[i].y_after = after.tensors[i].y;
        if (s->law == QP_LAW_CODES) {
            QP_TRY(codes_of(s, &after.tensors[i], evs[i].rows, after.tensors[i].codes, &codes, err));
            evs[i].y_after = codes;
        }
        qp_tally_law(s->tally, &evs[i]);
    }
    return QP_OK;
}

qp_status qp_kernel_laws(const qp_kernel_case *k, const bool has[QP_OP_COUNT], const qp_law_asked *who,
                         qp_tally *tally, qp_err *err) {
    qp_status status = QP_OK;
    for (int law = 0; law < QP_LAW_COUNT && status == QP_OK; law++) {
        bool codes = law == QP_LAW_CODES, ran = codes ? has[QP_OP_DEQUANT] : has[QP_OP_FAKEQUANT];
        if (!ran || !qp_law_concerns((qp_law)law, k->format)) continue;
        if (!who->bare && (qp_law_exceptions((qp_law)law, k->format) & QP_BUT_NEVER) != 0) continue;
        if (!is_exact(k->engines[codes ? QP_OP_QUANT : QP_OP_FAKEQUANT])) continue;
        asking s = {k, who, tally, qp_arena_new(), (qp_law)law};
        if (s.arena == NULL) QP_FAIL(QP_NOMEM, "%s: out of memory", qp_law_get(s.law)->name);
        status = ask(&s, err);
        qp_arena_free(s.arena);
    }
    return status;
}
