// SPDX-License-Identifier: Apache-2.0
// One tensor through the reference and through the variants.
#include <string.h>

#include "cmd/mine.h"
#include "qp/ref.h"
#include "variants/variants.h"

static bool is_nan(uint32_t image) {
    return (image & 0x7fffffffu) > 0x7f800000u;
}

static bool is_finite(uint32_t image) {
    return (image & 0x7fffffffu) < 0x7f800000u;
}

typedef struct question { // a tensor, calibrated on its finite values as kernel cases are
    const qp_mine_tensor *t;
    uint32_t *amax, global_amax;
    float *x, *amax_value;
    void *stored; // x in its type
    uint32_t *must;
    float *y;
} question;

static qp_status ask(const qp_mine *m, const qp_mine_tensor *t, const uint32_t *given, qp_arena *a,
                     question *q, qp_err *err) {
    const int64_t n = t->rows * t->cols;
    const qp_format_row *f = qp_format_get(m->format);
    *q = (question){.t = t};
    uint32_t *finite;
    QP_TRY(QP_NEW(a, finite, n));
    QP_TRY(QP_NEW(a, q->amax, n + 1));
    QP_TRY(QP_NEW(a, q->x, n));
    QP_TRY(QP_NEW(a, q->amax_value, n + 1));
    QP_TRY(QP_NEW(a, q->must, n));
    QP_TRY(QP_NEW(a, q->y, n));
    QP_TRY(qp_arena_get(a, (size_t)n * 4, &q->stored, err));
    for (int64_t i = 0; i < n; i++) {
        finite[i] = is_finite(t->x[i]) ? t->x[i] : 0;
        ref_store_f32(m->dtype, q->stored, i, t->x[i]);
    }
    const qp_grain grain = m->format == QP_NVFP4 ? QP_GRAIN_TENSOR : f->grain;
    ref_amax(grain, QP_FP32, t->rows, t->cols, f->block_rows, f->block_cols, finite, q->amax);
    ref_amax(QP_GRAIN_TENSOR, QP_FP32, t->rows, t->cols, 0, 0, finite, &q->global_amax);
    for (int64_t i = 0; given != NULL && i < n; i++) q->amax[i] = *given;
    memcpy(q->x, t->x, sizeof *q->x * (size_t)n);
    memcpy(q->amax_value, q->amax, sizeof *q->amax_value * (size_t)n);
    return QP_OK;
}

static void ask_reference(const qp_mine *m, question *q) {
    const ref_spec s = {.format = m->format,
                        .dtype = m->dtype,
                        .rows = q->t->rows,
                        .cols = q->t->cols,
                        .amax = q->amax,
                        .global_amax = q->global_amax};
    ref_fakequant(&s, 0, q->t->rows, q->stored, q->must, NULL, NULL);
    for (int64_t i = q->t->rows * q->t->cols - 1; i >= 0; i--) // in place: the stored type is not wider
        q->must[i] = ref_load_f32(m->dtype, q->must, i);
}

static bool differs(uint32_t must, float got) {
    uint32_t image;
    memcpy(&image, &got, sizeof image);
    if (is_nan(must) || is_nan(image)) return is_nan(must) != is_nan(image);
    return must != image;
}

qp_status qp_mine_judge(const qp_mine *m, const qp_mine_tensor *t, qp_mine_mask live, qp_arena *a,
                        qp_mine_mask *per_element, qp_mine_mask *all, qp_err *err) {
    return qp_mine_judge_at(m, t, NULL, live, a, per_element, all, err);
}

qp_status qp_mine_judge_at(const qp_mine *m, const qp_mine_tensor *t, const uint32_t *amax, qp_mine_mask live,
                           qp_arena *a, qp_mine_mask *per_element, qp_mine_mask *all, qp_err *err) {
    const int64_t n = t->rows * t->cols;
    question q;
    QP_TRY(ask(m, t, amax, a, &q, err));
    ask_reference(m, &q);
    *all = (qp_mine_mask){{0}};
    if (per_element != NULL) memset(per_element, 0, sizeof *per_element * (size_t)n);
    float global_amax;
    memcpy(&global_amax, &q.global_amax, sizeof global_amax);
    const qp_vtensor v = {m->format, m->dtype, t->rows, t->cols, q.x, q.amax_value, global_amax};
    for (int k = 0; k < m->n_variants; k++) {
        if (!qp_mask_has(&live, k)) continue;
        qp_variant_fakequant(qp_variant_at(m->format, k), &v, q.y);
        for (int64_t i = 0; i < n; i++) {
            if (!differs(q.must[i], q.y[i])) continue;
            qp_mask_set(all, k);
            if (per_element == NULL) break;
            qp_mask_set(&per_element[i], k);
        }
    }
    return QP_OK;
}

int64_t qp_mine_elements(const qp_mine_set *s) {
    int64_t n = 0;
    for (int i = 0; i < s->n; i++) n += s->tensors[i].rows * s->tensors[i].cols;
    return n;
}

qp_status qp_mine_add(qp_mine_set *s, const qp_mine_tensor *t, qp_mine_mask kills, qp_arena *a, qp_err *err) {
    if (s->n == s->cap) {
        qp_mine_set more = {.cap = 2 * s->cap + 16, .n = s->n, .killed = s->killed};
        QP_TRY(QP_NEW(a, more.tensors, more.cap));
        QP_TRY(QP_NEW(a, more.kills, more.cap));
        for (int i = 0; i < s->n; i++) {
            more.tensors[i] = s->tensors[i];
            more.kills[i] = s->kills[i];
        }
        *s = more;
    }
    qp_mine_tensor *to = &s->tensors[s->n];
    *to = *t;
    QP_TRY(QP_NEW(a, to->x, t->rows * t->cols + 1));
    memcpy(to->x, t->x, sizeof *t->x * (size_t)(t->rows * t->cols));
    s->kills[s->n++] = kills;
    s->killed = qp_mask_or(s->killed, kills);
    return QP_OK;
}
