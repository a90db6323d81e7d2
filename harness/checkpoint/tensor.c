// SPDX-License-Identifier: Apache-2.0
// The tensors of all files under their names.
#include "checkpoint/open.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "qp/ref.h"

static int compare_names(const char *a, uint32_t n_a, const char *b, uint32_t n_b) {
    const int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order != 0 ? order : (n_a > n_b) - (n_a < n_b);
}

static int by_name(const void *a, const void *b) {
    const qp_ck_tensor *x = a, *y = b;
    const int order = compare_names(x->name, x->n_name, y->name, y->n_name);
    return order != 0 ? order : (x->file > y->file) - (x->file < y->file);
}

static void take(const qp_ck_file *file, uint32_t index, const qp_st_entry *e, qp_ck_tensor *t) {
    t->name = e->name;
    t->n_name = e->n_name;
    t->data = file->scan.data + e->begin;
    t->entry = e;
    t->n_bytes = e->end - e->begin;
    t->n_elems = t->n_bytes * 8 / (uint64_t)qp_st_dtypes[e->dtype].bits;
    t->n_dims = qp_st_entry_dims(e, t->dims, QP_CK_DIMS);
    t->file = index;
    t->dtype = e->dtype;
}

static qp_status drop_twins(qp_ckpt *c, qp_ck_tensor *list, uint32_t n, qp_ck_findings *f, qp_err *err) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        const qp_ck_tensor *last = kept > 0 ? &list[kept - 1] : NULL;
        if (last == NULL || compare_names(last->name, last->n_name, list[i].name, list[i].n_name) != 0) {
            list[kept++] = list[i];
            continue;
        }
        QP_TRY(qp_ck_found(f, QP_CK_INDEX_SHARDS, last->name, last->n_name, NULL, err,
                           "is in %s and in %s: once wanted", c->files[last->file].name,
                           c->files[list[i].file].name));
    }
    c->tensors = list;
    c->n_tensors = kept;
    return QP_OK;
}

qp_status qp_ck_tensors_gather(qp_ckpt *c, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    qp_ck_tensor *list;
    uint64_t n = 0, at = 0;
    int readable = 0;
    for (int i = 0; i < c->n_files; i++) n += c->files[i].map == NULL ? 0 : c->files[i].scan.n_tensors;
    if (n > UINT32_MAX)
        QP_FAIL(QP_CORRUPT, "%s: fewer than 2^32 tensors wanted, got %llu", c->path, (unsigned long long)n);
    QP_TRY(QP_NEW(a, list, n));
    for (int i = 0; i < c->n_files; i++) {
        const qp_ck_file *file = &c->files[i];
        if (file->map == NULL) continue;
        readable++;
        for (uint32_t j = 0; j < file->scan.n_tensors; j++) {
            take(file, (uint32_t)i, file->scan.by_name[j], &list[at]);
            c->n_bytes += list[at++].n_bytes;
        }
    }
    if (readable > 1) qsort(list, n, sizeof *list, by_name); // one file is sorted already
    return drop_twins(c, list, (uint32_t)n, f, err);
}

const qp_ck_tensor *qp_ck_find(const qp_ckpt *c, const char *name, size_t n_name) {
    uint32_t low = 0, high = c->n_tensors;
    if (n_name > UINT32_MAX) return NULL;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        const qp_ck_tensor *t = &c->tensors[mid];
        const int order = compare_names(t->name, t->n_name, name, (uint32_t)n_name);
        if (order == 0) return t;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

bool qp_ck_is_float(const qp_ck_tensor *t) {
    return t->dtype == QP_ST_F32 || t->dtype == QP_ST_BF16 || t->dtype == QP_ST_F16;
}

bool qp_ck_is_plain(const qp_ck_tensor *t) {
    return qp_ck_is_float(t) || t->dtype == QP_ST_F64;
}

const char *qp_ck_dtype_name(const qp_ck_tensor *t) {
    return qp_st_dtypes[t->dtype].name;
}

qp_status qp_ck_shape_text(const qp_ck_tensor *t, qp_arena *a, const char **out, qp_err *err) {
    qp_text text = {.arena = a};
    uint64_t dims[8];
    const uint32_t n = qp_st_entry_dims(t->entry, dims, 8);
    QP_TRY(qp_text_add(&text, err, "["));
    for (uint32_t i = 0; i < n && i < 8; i++)
        QP_TRY(qp_text_add(&text, err, "%s%llu", i > 0 ? ", " : "", (unsigned long long)dims[i]));
    QP_TRY(qp_text_add(&text, err, n > 8 ? ", ... (%u dimensions)]" : "]", n));
    *out = text.s;
    return QP_OK;
}

uint32_t qp_ck_f32(const qp_ck_tensor *t, uint64_t i) {
    const uint8_t *p = t->data + i * (uint64_t)qp_st_dtypes[t->dtype].bits / 8;
    uint32_t word = p[0];
    switch (t->dtype) {
    case QP_ST_F32:
        memcpy(&word, p, sizeof word);
        return word;
    case QP_ST_BF16:
    case QP_ST_F16:
        return ref_to_f32(t->dtype == QP_ST_BF16 ? QP_BF16 : QP_FP16, word | (uint32_t)p[1] << 8);
    case QP_ST_F8_E4M3:
        return ref_e4m3_decode(p[0]);
    default: // F8_E8M0, and U8 that holds it
        return ref_e8m0_decode(p[0]);
    }
}
