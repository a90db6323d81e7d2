// SPDX-License-Identifier: Apache-2.0
// What is not quantized must be the original, byte for byte; the same values rounded to another type, and
// norms that scales were folded into, are notes.
#include <string.h>

#include "audit/against_pass.h"
#include "qp/ref.h"

typedef struct plain {
    const qp_ag_plain *p;
    qp_arena *a;
    qp_ck_findings *f;
    qp_against *out;
    bool *equal; // by tensor: the bytes of the tensor of its name, shape and type
    uint64_t casts, folded, absent, codes;
    const char *first_cast, *first_folded, *first_absent, *first_codes;
} plain;

// Tensors of quantized modules, and scales: they have no original.
static bool has_original[QP_CK_ROLES] = {[QP_CK_WEIGHT] = true, [QP_CK_BIAS] = true};

static void mark(const qp_audit *u, const qp_ck_tensor *t, bool *skip) {
    if (t >= u->ckpt.tensors && t < u->ckpt.tensors + u->ckpt.n_tensors) skip[t - u->ckpt.tensors] = true;
}

static void mark_quantized(const qp_audit *u, bool *skip) {
    for (uint32_t i = 0; i < u->modules.n; i++) {
        const qp_ck_module *m = &u->modules.list[i];
        for (int role = 0; role < QP_CK_ROLES; role++)
            if (m->part[role] != NULL && (!has_original[role] || (role == QP_CK_WEIGHT && m->scheme != NULL)))
                mark(u, m->part[role], skip);
    }
}

static qp_dtype float_type(uint8_t dtype) {
    return dtype == QP_ST_BF16 ? QP_BF16 : dtype == QP_ST_F16 ? QP_FP16 : QP_FP32;
}

// Writers of AWQ and GPTQ save what they leave alone as FP16: BF16 below 2^-14 is rounded by it. What
// overflows is no cast.
static bool is_cast(const qp_ck_tensor *t, const qp_ck_tensor *o) {
    if (!qp_ck_is_float(t) || !qp_ck_is_float(o)) return false;
    const qp_dtype type = float_type(t->dtype);
    for (uint64_t i = 0; i < t->n_elems; i++) {
        const uint32_t is = qp_ck_f32(t, i), was = qp_ck_f32(o, i);
        const bool overflow = (is & 0x7fffffff) == 0x7f800000;
        if (is != was && (overflow || is != ref_to_f32(type, ref_from_f32(type, was)))) return false;
    }
    return true;
}

static bool contains(const qp_ck_tensor *t, const char *text) {
    const size_t n = strlen(text);
    for (size_t i = 0; i + n <= t->n_name; i++)
        if (memcmp(t->name + i, text, n) == 0) return true;
    return false;
}

static int layer_of(const qp_ck_tensor *t) {
    static const char mark_text[] = "layers.";
    const size_t n = sizeof mark_text - 1;
    for (size_t i = 0; i + n < t->n_name; i++) {
        if (memcmp(t->name + i, mark_text, n) != 0) continue;
        int64_t layer = 0;
        for (size_t k = i + n; k < t->n_name && t->name[k] >= '0' && t->name[k] <= '9' && layer < 100000; k++)
            layer = layer * 10 + (t->name[k] - '0');
        return (int)layer;
    }
    return -1;
}

// Scales are folded into the norm before the linears whose weights they leave: only beside such linears.
static bool is_folded(const plain *s, const qp_ck_tensor *t) {
    const int layer = layer_of(t);
    return t->n_dims == 1 && contains(t, "norm") && layer >= 0 && layer < s->p->n_folded &&
           s->p->folded[layer];
}

static qp_status differs(plain *s, const qp_ck_tensor *t, const qp_ck_tensor *o, qp_err *err) {
    const uint64_t elem = t->n_elems > 0 ? t->n_bytes / t->n_elems : 1;
    uint64_t n = 0, first = 0;
    for (uint64_t i = 0; elem > 0 && i < t->n_elems; i++) {
        if (memcmp(t->data + i * elem, o->data + i * elem, elem) == 0) continue;
        if (n++ == 0) first = i;
    }
    uint64_t want = 0, got = 0;
    memcpy(&want, o->data + first * elem, elem < 8 ? elem : 8);
    memcpy(&got, t->data + first * elem, elem < 8 ? elem : 8);
    return qp_ck_found(
        s->f, QP_CK_BYTES_DIFFER, t->name, t->n_name, NULL, err,
        "%llu of %llu elements are not the original's; the first is %llu: wanted %0*llx, got %0*llx",
        (unsigned long long)n, (unsigned long long)t->n_elems, (unsigned long long)first, (int)(2 * elem),
        (unsigned long long)want, (int)(2 * elem), (unsigned long long)got);
}

static bool same_shape(const qp_ck_tensor *a, const qp_ck_tensor *b) {
    return a->n_dims == b->n_dims && a->n_elems == b->n_elems &&
           memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

static qp_status count_note(const qp_ck_tensor *t, uint64_t *n, const char **first, qp_arena *a,
                            qp_err *err) {
    if ((*n)++ > 0) return QP_OK;
    return qp_ck_show(t->name, t->n_name, a, first, err);
}

static qp_status compare(plain *s, const qp_ck_tensor *t, const qp_ck_tensor *o, qp_err *err) {
    if (!same_shape(t, o)) {
        const char *want, *got;
        QP_TRY(qp_ck_shape_text(o, s->a, &want, err));
        QP_TRY(qp_ck_shape_text(t, s->a, &got, err));
        s->out->plain_different++;
        return qp_ck_found(s->f, QP_CK_BYTES_DIFFER, t->name, t->n_name, NULL, err,
                           "the original is %s, this is %s", want, got);
    }
    if (t->dtype != o->dtype && is_cast(t, o)) {
        s->out->plain_equal++;
        return count_note(t, &s->casts, &s->first_cast, s->a, err);
    }
    if (!qp_ck_is_float(t) && qp_ck_is_float(o)) return count_note(t, &s->codes, &s->first_codes, s->a, err);
    s->out->plain_different++;
    if (is_folded(s, t)) return count_note(t, &s->folded, &s->first_folded, s->a, err);
    if (t->dtype != o->dtype)
        return qp_ck_found(s->f, QP_CK_BYTES_DIFFER, t->name, t->n_name, NULL, err,
                           "the original is %s, this is %s, and the values differ", qp_ck_dtype_name(o),
                           qp_ck_dtype_name(t));
    return differs(s, t, o, err);
}

// A weight that the other side stacks or fuses.
static qp_status compare_rows(plain *s, const qp_ck_tensor *t, bool *found, qp_err *err) {
    static const char suffix[] = ".weight";
    const uint32_t n = (uint32_t)sizeof suffix - 1;
    qp_ag_source sources[QP_AG_SOURCES];
    int n_sources = 0;
    *found = false;
    if (t->n_dims < 2 || t->n_dims > 3 || t->n_elems == 0) return QP_OK;
    const bool weight = t->n_name > n && memcmp(t->name + t->n_name - n, suffix, n) == 0;
    const qp_ag_wanted w = {t->name, weight ? t->n_name - n : t->n_name,
                            t->n_dims == 3 ? (int64_t)t->dims[0] : 1, (int64_t)t->dims[t->n_dims - 2],
                            (int64_t)t->dims[t->n_dims - 1]};
    QP_TRY(qp_ag_sources(s->p->other, &w, s->a, sources, &n_sources, err));
    if (n_sources == 0) return QP_OK;
    *found = true;
    const size_t row = (size_t)w.in * (size_t)qp_st_dtypes[t->dtype].bits / 8;
    void *buffer;
    QP_TRY(qp_arena_get(s->a, (size_t)w.in * sizeof(uint32_t), &buffer, err));
    int64_t at = 0;
    for (int i = 0; i < n_sources; i++) {
        if (qp_dtype_bytes(sources[i].dtype) * 8 != (size_t)qp_st_dtypes[t->dtype].bits) continue;
        for (at = 0; at < w.stack * w.out; at++)
            if (memcmp(qp_ag_rows(&sources[i], w.in, at, 1, buffer), t->data + (size_t)at * row, row) != 0)
                break;
        if (at < w.stack * w.out) continue;
        s->out->plain_equal++;
        return QP_OK;
    }
    s->out->plain_different++;
    return qp_ck_found(s->f, QP_CK_BYTES_DIFFER, t->name, t->n_name, NULL, err, "row %lld is not that of %s",
                       (long long)at, sources[n_sources - 1].shown);
}

static qp_status one_tensor(plain *s, const qp_ck_tensor *t, qp_err *err) {
    if (s->equal[t - s->p->u->ckpt.tensors]) {
        s->out->plain_equal++;
        return QP_OK;
    }
    const qp_ck_tensor *o = qp_ag_tensor(s->p->other, t->name, t->n_name);
    bool found = false;
    if (o != NULL && same_shape(t, o)) return compare(s, t, o, err);
    QP_TRY(compare_rows(s, t, &found, err));
    if (found) return QP_OK;
    if (o != NULL) return compare(s, t, o, err);
    return count_note(t, &s->absent, &s->first_absent, s->a, err);
}

// ---- bytes, by all threads
// -------------------------------------------------------------------------------------------------------

enum { WINDOW = 4 << 20 }; // bytes

typedef struct window {
    const qp_ck_tensor *t, *o;
    uint64_t at;
    bool equal;
} window;

static uint64_t windows_of(const qp_ck_tensor *t) {
    return (t->n_bytes + WINDOW - 1) / WINDOW;
}

static qp_status compare_window(void *ctx, int thread, uint64_t item, qp_err *err) {
    window *w = (window *)ctx + item;
    const uint64_t left = w->t->n_bytes - w->at;
    (void)thread, (void)err;
    w->equal = memcmp(w->t->data + w->at, w->o->data + w->at, left < WINDOW ? left : WINDOW) == 0;
    return QP_OK;
}

static qp_status find_equal(plain *s, const bool *skip, qp_err *err) {
    const qp_ckpt *c = &s->p->u->ckpt;
    const qp_ck_tensor **others;
    window *list;
    uint64_t n = 0;
    QP_TRY(QP_NEW(s->a, others, c->n_tensors));
    QP_TRY(QP_NEW(s->a, s->equal, c->n_tensors));
    for (uint32_t i = 0; i < c->n_tensors; i++) {
        const qp_ck_tensor *t = &c->tensors[i];
        const qp_ck_tensor *o = skip[i] ? NULL : qp_ag_tensor(s->p->other, t->name, t->n_name);
        if (o == NULL || !same_shape(t, o) || t->dtype != o->dtype || t->n_bytes != o->n_bytes) continue;
        others[i] = o;
        s->equal[i] = true;
        n += windows_of(t);
    }
    QP_TRY(QP_NEW(s->a, list, n));
    n = 0;
    for (uint32_t i = 0; i < c->n_tensors; i++)
        for (uint64_t k = 0; others[i] != NULL && k < windows_of(&c->tensors[i]); k++)
            list[n++] = (window){&c->tensors[i], others[i], k * WINDOW, false};
    QP_TRY(qp_work_run(n, s->p->threads, compare_window, list, err));
    for (uint64_t i = 0; i < n; i++)
        if (!list[i].equal) s->equal[list[i].t - c->tensors] = false;
    return QP_OK;
}

static qp_status note(plain *s, uint64_t n, const char *first, const char *says, qp_err *err) {
    if (n == 0) return QP_OK;
    return qp_ck_found(s->f, QP_CK_STATISTICS, first, strlen(first), NULL, err, "--against: %llu %s",
                       (unsigned long long)n, says);
}

qp_status qp_ag_plain_run(const qp_ag_plain *p, qp_arena *a, qp_ck_findings *f, qp_against *out,
                          qp_err *err) {
    plain s = {.p = p, .a = a, .f = f, .out = out};
    bool *skip;
    QP_TRY(QP_NEW(a, skip, p->u->ckpt.n_tensors));
    mark_quantized(p->u, skip);
    QP_TRY(find_equal(&s, skip, err));
    for (uint32_t i = 0; i < p->u->ckpt.n_tensors; i++)
        if (!skip[i]) QP_TRY(one_tensor(&s, &p->u->ckpt.tensors[i], err));
    QP_TRY(note(&s, s.casts, s.first_cast,
                "tensors in another type with the same values, rounded to it, the first is this", err));
    QP_TRY(note(&s, s.folded, s.first_folded, "norms that scales were folded into, the first is this", err));
    QP_TRY(note(&s, s.codes, s.first_codes, "codes without a scheme, not compared, the first is this", err));
    return note(&s, s.absent, s.first_absent, "tensors that the original does not have, the first is this",
                err);
}
