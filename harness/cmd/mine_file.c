// SPDX-License-Identifier: Apache-2.0
// A mined set as a file: a header that says what it is and how it was made, then tensors as images.
#include <string.h>

#include "cmd/hex_data.h"
#include "cmd/mine.h"
#include "core/file.h"
#include "core/text.h"
#include "qp/ref.h"
#include "variants/variants.h"

static qp_status add_names(const qp_mine *m, qp_mine_mask which, const char *indent, qp_text *t,
                           qp_err *err) {
    enum { LINE = 100 };
    size_t begin = t->n;
    QP_TRY(qp_text_add(t, err, "%s", indent));
    for (int v = 1; v < m->n_variants; v++) {
        if (!qp_mask_has(&which, v)) continue;
        const char *name = qp_variant_at(m->format, v)->name;
        if (t->n - begin + strlen(name) > LINE) {
            begin = t->n + 1;
            QP_TRY(qp_text_add(t, err, "\n%s", indent));
        }
        QP_TRY(qp_text_add(t, err, " %s", name));
    }
    return qp_text_add(t, err, "\n");
}

static qp_status add_header(const qp_mine *m, const qp_mine_set *s, qp_text *t, qp_err *err) {
    qp_mine_mask alive = qp_mask_without(m->all, s->killed);
    alive.w[0] &= ~UINT64_C(1); // the one without a sin
    const char *format = qp_format_get(m->format)->name, *type = qp_dtype_name(m->dtype);
    QP_TRY(
        qp_text_add(t, err,
                    "# Mined inputs of %s, in=%s: %lld elements that tell %d variants of the reference from "
                    "it.\n# Made by: quantproof mine %s --in %s --seed %llu\n",
                    format, type, (long long)qp_mine_elements(s), qp_mask_count(s->killed), format, type,
                    (unsigned long long)m->seed));
    if (qp_mask_count(alive) == 0) return QP_OK;
    QP_TRY(qp_text_add(t, err,
                       "# No input of this type tells these %d (quantproof mine %s --in %s --prove):\n",
                       qp_mask_count(alive), format, type));
    for (int v = 1; v < m->n_variants; v++) {
        if (!qp_mask_has(&alive, v)) continue;
        const char *name = qp_variant_at(m->format, v)->name;
        const char *why = qp_variant_equal(m->format, m->dtype, name);
        QP_TRY(qp_text_add(t, err, "#   %s: %s\n", name, why != NULL ? why : "not proven"));
    }
    return QP_OK;
}

static qp_status add_tensor(const qp_mine *m, const qp_mine_tensor *x, qp_text *t, qp_err *err) {
    const int digits = 2 * (int)qp_dtype_bytes(m->dtype);
    QP_TRY(qp_text_add(t, err, "tensor %lldx%lld\n", (long long)x->rows, (long long)x->cols));
    for (int64_t i = 0; i < x->rows * x->cols; i++) {
        const bool ends = i % x->cols == x->cols - 1 || i % x->cols % 16 == 15;
        QP_TRY(qp_text_add(t, err, "%0*x%s", digits, ref_from_f32(m->dtype, x->x[i]), ends ? "\n" : " "));
    }
    return QP_OK;
}

qp_status qp_mine_write(const qp_mine *m, const qp_mine_set *s, const char *path, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
    qp_text t = {.arena = a};
    qp_status status = add_header(m, s, &t, err);
    for (int i = 0; i < s->n && status == QP_OK; i++) {
        status = qp_text_add(&t, err, "\n");
        if (status == QP_OK) status = add_names(m, s->kills[i], "#", &t, err);
        if (status == QP_OK) status = add_tensor(m, &s->tensors[i], &t, err);
    }
    if (status == QP_OK) status = qp_file_write_atomic(path, t.s, t.n, err);
    qp_arena_free(a);
    return status;
}

qp_status qp_mine_read(const qp_mine *m, const char *path, qp_arena *a, qp_mine_set *out, qp_err *err) {
    qp_hex_tensor *tensors;
    const char *text;
    int n;
    *out = (qp_mine_set){0};
    QP_TRY(qp_arena_printf(a, &text, err, "@%s", path));
    QP_TRY(qp_hex_read(text, m->dtype, a, &tensors, &n, err));
    for (int i = 0; i < n; i++) {
        qp_mine_tensor t = {tensors[i].rows, tensors[i].cols, NULL};
        qp_mine_mask kills;
        QP_TRY(QP_NEW(a, t.x, t.rows * t.cols + 1));
        for (int64_t k = 0; k < t.rows * t.cols; k++) t.x[k] = ref_load_f32(m->dtype, tensors[i].x, k);
        QP_TRY(qp_mine_judge(m, &t, m->all, a, NULL, &kills, err));
        QP_TRY(qp_mine_add(out, &t, kills, a, err));
    }
    return QP_OK;
}
