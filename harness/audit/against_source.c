// SPDX-License-Identifier: Apache-2.0
// The original of a linear: the same name, another spelling, a slice of a stack, or the parts of what is
// fused here.
#include <stdio.h>
#include <string.h>

#include "audit/against.h"
#include "audit/namemap.h"

// ---- tensors by name
// ---------------------------------------------------------------------------------------------------------

typedef struct lookup {
    const qp_ckpt *other;
    const char *const *suffixes;
    const qp_ck_tensor *found;
} lookup;

static bool look(void *ctx, const char *name, size_t n) {
    lookup *l = ctx;
    char with[QP_NM_NAME + 16];
    if (n > QP_NM_NAME) return (l->found = qp_ck_find(l->other, name, n)) != NULL;
    for (int i = 0; l->suffixes[i] != NULL; i++) {
        const size_t n_suffix = strlen(l->suffixes[i]);
        memcpy(with, name, n);
        memcpy(with + n, l->suffixes[i], n_suffix);
        l->found = qp_ck_find(l->other, with, n + n_suffix);
        if (l->found != NULL) return true;
    }
    return false;
}

static const qp_ck_tensor *find(const qp_ckpt *other, const char *name, size_t n,
                                const char *const *suffixes) {
    lookup l = {other, suffixes, NULL};
    return qp_nm_spellings(name, n, look, &l) ? l.found : NULL;
}

static const char *const as_it_is[] = {"", NULL};
static const char *const weights[] = {".weight", "", NULL}; // fused experts have no suffix

const qp_ck_tensor *qp_ag_tensor(const qp_ckpt *other, const char *name, uint32_t n_name) {
    return find(other, name, n_name, as_it_is);
}

static bool dtype_of(const qp_ck_tensor *t, qp_dtype *out) {
    *out = t->dtype == QP_ST_BF16 ? QP_BF16 : t->dtype == QP_ST_F16 ? QP_FP16 : QP_FP32;
    return t->dtype == QP_ST_BF16 || t->dtype == QP_ST_F16 || t->dtype == QP_ST_F32;
}

// ---- ways in which one tensor may hold [stack, out, in]
// ------------------------------------------------------------------------------

// A matrix [rows, cols] of a stack; `parts` of them side by side along the rows, this is number `part`.
typedef struct slice {
    const qp_ck_tensor *tensor;
    int64_t stack0, n_stack; // of the tensor
    int64_t part, parts;
    int64_t part_row; // first row of the part, where they are of different heights (qkv); -1: equal heights
} slice;

typedef struct answer {
    const qp_ag_wanted *w;
    qp_arena *a;
    qp_ag_source *list;
    int *n;
} answer;

static qp_status add(const answer *to, const qp_ck_tensor *t, const char *how, int64_t n_pieces,
                     qp_ag_piece **pieces, qp_err *err) {
    qp_ag_source *s = &to->list[*to->n];
    *pieces = NULL;
    if (*to->n == QP_AG_SOURCES || !dtype_of(t, &s->dtype)) return QP_OK;
    s->how = how;
    s->n_pieces = n_pieces;
    QP_TRY(qp_ck_show(t->name, t->n_name, to->a, &s->shown, err));
    QP_TRY(QP_NEW(to->a, s->pieces, n_pieces));
    *pieces = s->pieces;
    ++*to->n;
    return QP_OK;
}

typedef struct order {
    const char *how;
    bool transposed, interleaved;
} order;
static const order orders[] = {
    {"as it is", false, false},
    {"transposed", true, false},
    {"transposed, rows interleaved", true, true}, // gpt-oss: gate and up take turns
    {"rows interleaved", false, true},
};

static bool sizes_fit(const slice *s, const qp_ag_wanted *w, bool transposed) {
    const qp_ck_tensor *t = s->tensor;
    const uint32_t d = t->n_dims;
    if (d < 2 || d > 3) return false;
    const int64_t stack = d == 3 ? (int64_t)t->dims[0] : 1;
    const int64_t a = (int64_t)t->dims[d - 2], b = (int64_t)t->dims[d - 1];
    const int64_t rows = transposed ? b : a, cols = transposed ? a : b;
    if (d == 2 && transposed) return false; // nobody stores a plain linear so
    const bool rows_fit = s->part_row >= 0 ? s->part_row + w->out <= rows : rows == s->parts * w->out;
    return rows_fit && cols == w->in && s->stack0 + s->n_stack <= stack;
}

static qp_status add_slice(const answer *to, const slice *s, qp_err *err) {
    const qp_ag_wanted *w = to->w;
    const qp_ck_tensor *t = s->tensor;
    for (int i = 0; i < QP_COUNT(orders); i++) {
        const order *o = &orders[i];
        qp_ag_piece *pieces;
        if (!sizes_fit(s, w, o->transposed) || (o->interleaved && (s->parts < 2 || s->part_row >= 0)))
            continue;
        QP_TRY(add(to, t,
                   s->parts > 1 || s->stack0 > 0 || s->n_stack != w->stack ? "rows of a stack" : o->how,
                   s->n_stack, &pieces, err));
        const uint64_t area = t->dims[t->n_dims - 1] * t->dims[t->n_dims - 2];
        const int64_t first_row = s->part_row >= 0 ? s->part_row
                                  : o->interleaved ? s->part
                                                   : s->part * w->out;
        const int64_t row = o->transposed ? 1 : w->in,
                      col = o->transposed ? (int64_t)t->dims[t->n_dims - 1] : 1;
        for (int64_t e = 0; pieces != NULL && e < s->n_stack; e++)
            pieces[e] = (qp_ag_piece){t,
                                      e * w->out,
                                      w->out,
                                      (uint64_t)(s->stack0 + e) * area + (uint64_t)(first_row * row),
                                      row * (o->interleaved ? s->parts : 1),
                                      col};
    }
    return QP_OK;
}

// ---- this linear is a part of what the other side fuses
// -----------------------------------------------------------------------

static bool same(const char *s, int n, const char *text) {
    return (size_t)n == strlen(text) && memcmp(s, text, (size_t)n) == 0;
}

// Rows of the parts before this one, from their own tensors in the other checkpoint's absence: the heights
// are those of this checkpoint, which the caller cannot know; q is first, k and v are the last 2 x out.
static int64_t qkv_row(const qp_ck_tensor *t, int64_t out, int part) {
    const int64_t rows = t->n_dims >= 2 ? (int64_t)t->dims[t->n_dims - 2] : 0;
    return part == 0 ? 0 : rows - (3 - part) * out;
}

static qp_status part_of_fused(const answer *to, const qp_ckpt *other, qp_err *err) {
    const qp_nm_split name = qp_nm_split_of(to->w->name, to->w->n_name);
    char fused[QP_NM_NAME];
    for (int i = 0; i < qp_nm_n_fusions; i++) {
        const qp_nm_fusion *f = &qp_nm_fusions[i];
        for (int part = 0; part < f->n; part++) {
            if (!same(name.leaf, name.n_leaf, f->parts[part]) || (f->n == 1 && name.expert < 0)) continue;
            const int n = snprintf(fused, sizeof fused, "%.*s.%s", name.n_path, name.path, f->fused);
            if (n < 0 || (size_t)n >= sizeof fused) continue;
            const qp_ck_tensor *t = find(other, fused, (size_t)n, weights);
            if (t == NULL) continue;
            const int64_t row = f->n == 3 ? qkv_row(t, to->w->out, part) : -1;
            const slice s = {t, name.expert < 0 ? 0 : name.expert, 1, part, f->n, row};
            QP_TRY(add_slice(to, &s, err));
        }
    }
    return QP_OK;
}

// ---- this linear is fused or stacked, the other side has the parts
// -------------------------------------------------------------

static const qp_ck_tensor *part_tensor(const qp_ckpt *other, const qp_nm_split *name, int64_t expert,
                                       const char *part) {
    char full[QP_NM_NAME];
    const int n = expert < 0 ? snprintf(full, sizeof full, "%.*s.%s", name->n_path, name->path, part)
                             : snprintf(full, sizeof full, "%.*s.%lld.%s", name->n_path, name->path,
                                        (long long)expert, part);
    if (n < 0 || (size_t)n >= sizeof full) return NULL;
    return find(other, full, (size_t)n, weights);
}

static bool is_rows_of(const qp_ck_tensor *t, int64_t in) {
    return t != NULL && t->n_dims == 2 && (int64_t)t->dims[1] == in;
}

static qp_status parts_of_fused(const answer *to, const qp_ckpt *other, qp_err *err) {
    const qp_ag_wanted *w = to->w;
    const qp_nm_split name = qp_nm_split_of(w->name, w->n_name);
    for (int i = 0; i < qp_nm_n_fusions && *to->n == 0; i++) {
        const qp_nm_fusion *f = &qp_nm_fusions[i];
        const bool stacked = w->stack > 1;
        if (!same(name.leaf, name.n_leaf, f->fused) || (f->n == 1 && !stacked)) continue;
        const qp_ck_tensor *first = part_tensor(other, &name, stacked ? 0 : -1, f->parts[0]);
        qp_ag_piece *pieces;
        if (!is_rows_of(first, w->in)) continue;
        QP_TRY(add(to, first, "fused from its parts", w->stack * f->n, &pieces, err));
        int64_t row = 0, n = 0;
        bool whole = pieces != NULL;
        for (int64_t e = 0; whole && e < w->stack; e++) {
            for (int part = 0; whole && part < f->n; part++) {
                const qp_ck_tensor *t = part_tensor(other, &name, stacked ? e : -1, f->parts[part]);
                whole = is_rows_of(t, w->in) && t->dtype == first->dtype;
                if (!whole) break;
                pieces[n++] = (qp_ag_piece){t, row, (int64_t)t->dims[0], 0, w->in, 1};
                row += (int64_t)t->dims[0];
            }
        }
        if (pieces != NULL && (!whole || row != w->stack * w->out)) --*to->n;
    }
    return QP_OK;
}

qp_status qp_ag_sources(const qp_ckpt *other, const qp_ag_wanted *w, qp_arena *a, qp_ag_source *out, int *n,
                        qp_err *err) {
    const answer to = {w, a, out, n};
    *n = 0;
    const qp_ck_tensor *t = find(other, w->name, w->n_name, weights);
    if (t != NULL) {
        const slice whole = {t, 0, w->stack, 0, 1, -1};
        QP_TRY(add_slice(&to, &whole, err));
    }
    if (*n == 0) QP_TRY(part_of_fused(&to, other, err));
    if (*n == 0) QP_TRY(parts_of_fused(&to, other, err));
    return QP_OK;
}

// ---- rows
// --------------------------------------------------------------------------------------------------------------------

static const qp_ag_piece *piece_of(const qp_ag_source *s, int64_t row) {
    int64_t low = 0, high = s->n_pieces - 1;
    while (low < high) {
        const int64_t mid = low + (high - low + 1) / 2;
        if (s->pieces[mid].row0 <= row)
            low = mid;
        else
            high = mid - 1;
    }
    return &s->pieces[low];
}

const void *qp_ag_run(const qp_ag_source *s, int64_t row, int64_t col, int64_t n, void *buffer) {
    const size_t elem = qp_dtype_bytes(s->dtype);
    const qp_ag_piece *p = piece_of(s, row);
    const uint8_t *from =
        p->tensor->data + (p->first + (uint64_t)((row - p->row0) * p->row_step + col * p->col_step)) * elem;
    if (p->col_step == 1) return from;
    for (int64_t i = 0; i < n; i++)
        memcpy((uint8_t *)buffer + (size_t)i * elem, from + (uint64_t)(i * p->col_step) * elem, elem);
    return buffer;
}

const void *qp_ag_rows(const qp_ag_source *s, int64_t in, int64_t row0, int64_t n, void *buffer) {
    const size_t elem = qp_dtype_bytes(s->dtype);
    const qp_ag_piece *p = piece_of(s, row0);
    if (p->col_step == 1 && p->row_step == in && row0 + n <= p->row0 + p->n_rows)
        return p->tensor->data + (p->first + (uint64_t)((row0 - p->row0) * in)) * elem;
    char *to = buffer;
    for (int64_t r = row0; r < row0 + n; r++) {
        p = piece_of(s, r);
        const uint8_t *from = p->tensor->data + (p->first + (uint64_t)((r - p->row0) * p->row_step)) * elem;
        for (int64_t c = 0; c < in; c++, to += elem)
            memcpy(to, from + (uint64_t)(c * p->col_step) * elem, elem);
    }
    return buffer;
}
