// SPDX-License-Identifier: Apache-2.0
// Pack against fake-quant, block by block (I12): the class of the two scales by the reference, and two
// identities on the subject's own values: dequant(pack) is fake-quant with pack's scale, and is fake-quant
// itself where the scales are the same.
#include <stdlib.h>
#include <string.h>

#include "oracle/truth.h"

typedef struct buffers {
    unsigned char *x, *fake, *given; // weight; fake-quantized with its own scales; with pack's
    uint32_t *amax, *pack_scale;     // [held * nb]
    ref_scale_class *classes;
} buffers;

static void classify(const view *v, const ref_spec *s, buffers *b) {
    int64_t n = v->n_held * oracle_blocks(v->cols);
    ref_amax(QP_GRAIN_BLOCK, v->t->dtype, v->n_held, v->cols, 1, ORACLE_BLOCK, b->x, b->amax);
    for (int64_t i = 0; i < n; i++) {
        uint8_t byte;
        uint32_t fake_scale;
        b->classes[i] = ref_compare_scales(s, b->amax[i], &byte, &fake_scale, &b->pack_scale[i]);
    }
    ref_fakequant(s, 0, v->n_held, b->x, b->fake, NULL, NULL);
    ref_fakequant_given_scale(v->t->dtype, v->n_held, v->cols, b->pack_scale, b->x, b->given);
}

static void count(const view *v, const buffers *b, int64_t *counts) {
    int64_t nb = oracle_blocks(v->cols);
    size_t size = qp_dtype_bytes(v->t->dtype);
    const unsigned char *dequant = v->st->data;
    for (int64_t i = 0; i < v->n_held * nb; i++) {
        if (b->amax[i] > 0x7f800000u) continue; // a NaN: which sign it gets is no promise of either path
        int64_t col = i % nb * ORACLE_BLOCK, left = v->cols - col;
        size_t at = (size_t)(i / nb * v->cols + col) * size,
               n = (size_t)(left < ORACLE_BLOCK ? left : ORACLE_BLOCK) * size;
        bool explained = memcmp(dequant + at, b->given + at, n) == 0 &&
                         (b->classes[i] != REF_SCALE_SAME || memcmp(dequant + at, b->fake + at, n) == 0);
        counts[explained ? b->classes[i] : REF_SCALE_UNEXPLAINED]++;
    }
}

static qp_status fill(const view *v, qp_arena *a, int64_t *counts, qp_err *err) {
    qp_status status = QP_OK;
    ref_spec s;
    QP_TRY(view_spec(v, a, &s, err));
    size_t n_bytes = (size_t)(v->n_held * v->cols) * qp_dtype_bytes(v->t->dtype) + 1;
    size_t n_blocks = (size_t)(v->n_held * oracle_blocks(v->cols)) + 1;
    buffers b = {malloc(n_bytes),
                 malloc(n_bytes),
                 malloc(n_bytes),
                 malloc(n_blocks * sizeof *b.amax),
                 malloc(n_blocks * sizeof *b.pack_scale),
                 malloc(n_blocks * sizeof *b.classes)};
    if (b.x == NULL || b.fake == NULL || b.given == NULL || b.amax == NULL || b.pack_scale == NULL ||
        b.classes == NULL)
        QP_FAIL_GOTO(status, out, QP_NOMEM, "out of memory for the blocks of %s", v->t->module->fqn);
    QP_TRY_GOTO(status, view_weight(v, b.x, err), out);
    classify(v, &s, &b);
    count(v, &b, counts);
out:
    free(b.x);
    free(b.fake);
    free(b.given);
    free(b.amax);
    free(b.pack_scale);
    free(b.classes);
    return status;
}

qp_status qp_oracle_pack_classes(qp_oracle *o, const qp_state *dequant, qp_arena *a, qp_state *out,
                                 qp_err *err) {
    int64_t *counts;
    QP_TRY(QP_NEW(a, counts, REF_SCALE_CLASS_COUNT));
    *out = *dequant;
    out->field = "pack-classes";
    out->dtype = QP_I64;
    out->rows = out->n_rows_held = 1;
    out->cols = REF_SCALE_CLASS_COUNT;
    out->row_ids = NULL;
    out->data = NULL;
    const module_truth *t = oracle_find(o, dequant->fqn);
    if (dequant->data == NULL || t == NULL || !oracle_is_nvfp4(&t->weight)) return QP_OK;
    if (!ref_holds(t->module, dequant->layout, dequant->rank)) return QP_OK;
    view v;
    bool fits;
    QP_TRY(view_make(o, t, dequant, a, &v, &fits, err));
    if (!fits || dequant->cols != v.cols || dequant->dtype != t->dtype) return QP_OK; // dequant-bits says so
    QP_TRY(fill(&v, a, counts, err));
    out->data = counts;
    return QP_OK;
}
