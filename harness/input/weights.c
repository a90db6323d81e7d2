// SPDX-License-Identifier: Apache-2.0
// Weights of a model: each segment of a module is one tensor, made by the generator or found in a safetensors
// set. Reading is const and safe from many threads; boost and peak are set before the ranks start.
#include "core/text.h"
#include "input/gen.h"
#include "input/narrow.h"
#include "tensor/safetensors.h"

#include <stdio.h>
#include <string.h>

typedef struct boost {
    const struct boost *next;
    const char *suffix; // NULL: any
    int expert;         // -1: any
} boost;

typedef struct peak {
    const struct peak *next;
    const char *fqn;
    int64_t row, col;
} peak;

struct qp_weights {
    qp_arena *arena;
    bool from_files;
    qp_gen gen;
    qp_st_set set;
    const char *description;
    const boost *boosts;
    const peak *peaks;
    bool boost_lost; // no memory for one: slices say so
};

enum { BOOST_EXPONENT = 4 };

static qp_status describe_generator(const qp_gen *g, qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "%s", qp_dist_names[g->dist]));
    if (g->dist <= QP_DIST_OUTLIERS) QP_TRY(qp_text_add(&t, err, ":%.9g", g->sigma));
    if (g->dist == QP_DIST_RECORD) QP_TRY(qp_text_add(&t, err, ":%s", g->record_wide ? "wide" : "narrow"));
    QP_TRY(qp_text_add(&t, err, " seed=%llu", (unsigned long long)g->seed));
    for (int e = 0, n = 0; e < QP_EDGE_COUNT; e++)
        if ((g->edges & 1u << e) != 0)
            QP_TRY(qp_text_add(&t, err, "%s%s", n++ == 0 ? " edge=" : ",", qp_edge_names[e]));
    *out = t.s;
    return QP_OK;
}

qp_status qp_weights_generated(const qp_gen *g, qp_arena *a, qp_weights **out, qp_err *err) {
    qp_weights *w;
    QP_TRY(QP_NEW(a, w, 1));
    w->arena = a;
    w->gen = *g;
    QP_TRY(describe_generator(g, a, &w->description, err));
    *out = w;
    return QP_OK;
}

qp_status qp_weights_open(const char *path, qp_arena *a, qp_weights **out, qp_err *err) {
    qp_weights *w;
    QP_TRY(QP_NEW(a, w, 1));
    w->arena = a;
    w->from_files = true;
    QP_TRY(qp_st_set_open(path, a, &w->set, err));
    qp_status status = qp_arena_printf(a, &w->description, err, "%s xxh3=%016llx", path,
                                       (unsigned long long)qp_st_set_hash(&w->set));
    if (status != QP_OK) qp_st_set_close(&w->set);
    if (status == QP_OK) *out = w;
    return status;
}

void qp_weights_close(qp_weights *w) {
    if (w != NULL && w->from_files) qp_st_set_close(&w->set);
}

const char *qp_weights_describe(const qp_weights *w) {
    return w->description;
}

// ---- the maximum on purpose
// ------------------------------------------------------------------------------------------

void qp_weights_boost(qp_weights *w, const char *fqn_suffix, int expert) {
    boost *b;
    const char *suffix = NULL;
    if (fqn_suffix == NULL && expert < 0) return;
    w->boost_lost = true;
    if (qp_arena_get(w->arena, sizeof *b, &b, NULL) != QP_OK) return;
    if (fqn_suffix != NULL && qp_arena_strdup(w->arena, fqn_suffix, &suffix, NULL) != QP_OK) return;
    w->boost_lost = false;
    *b = (boost){w->boosts, suffix, expert};
    w->boosts = b;
}

qp_status qp_weights_peak(qp_weights *w, const char *fqn, int64_t row, int64_t col, qp_err *err) {
    peak *p;
    if (w->from_files) QP_FAIL(QP_USAGE, "max_on=rank wants generated weights, got %s", w->description);
    QP_TRY(QP_NEW(w->arena, p, 1));
    *p = (peak){.next = w->peaks, .row = row, .col = col};
    QP_TRY(qp_arena_strdup(w->arena, fqn, &p->fqn, err));
    w->peaks = p;
    return QP_OK;
}

// "up_proj" ends "mlp.up_proj" but not "mlp.gate_up_proj".
static bool ends_with_name(const char *text, const char *suffix) {
    size_t n = strlen(text), k = strlen(suffix);
    if (k > n || strcmp(text + n - k, suffix) != 0) return false;
    return k == n || text[n - k - 1] == '.';
}

static int boost_exponent(const qp_weights *w, const qp_module *m, const qp_segment *s) {
    int e = 0;
    for (const boost *b = w->boosts; b != NULL; b = b->next) {
        bool named = b->suffix == NULL || ends_with_name(m->fqn, b->suffix) ||
                     (s->gen_name != NULL && ends_with_name(s->gen_name, b->suffix)) ||
                     (s->name != NULL && strcmp(s->name, b->suffix) == 0);
        if (named && (b->expert < 0 || b->expert == m->expert)) e += BOOST_EXPONENT;
    }
    return e;
}

// ---- slices
// ----------------------------------------------------------------------------------------------------------

// Rows of one segment: n_rows from row0 of the segment, which begins at full row 'begin'.
typedef struct piece {
    const qp_module *m;
    const qp_segment *s;
    int64_t begin, row0, n_rows, col0, n_cols;
} piece;

static void generate(const qp_weights *w, const piece *p, void *out) {
    qp_gen g = w->gen;
    g.scale_pow2 += boost_exponent(w, p->m, p->s);
    for (const peak *k = w->peaks; k != NULL; k = k->next)
        if (strcmp(k->fqn, p->m->fqn) == 0 && k->row >= p->begin && k->row < p->begin + p->s->rows)
            g.peak_index = (p->s->gen_row0 + k->row - p->begin) * p->m->in + k->col;
    qp_gen_slice(&g, p->s->gen_name, p->s->gen_rows, p->m->in, QP_BF16, p->s->gen_row0 + p->row0, p->n_rows,
                 p->col0, p->n_cols, out);
}

// One line a candidate: by the segment's own tensor, then by the whole module's.
static const qp_st_tensor *find_tensor(const qp_weights *w, const qp_module *m, const qp_segment *s,
                                       bool *whole, const char **file) {
    const char *names[2] = {s->gen_name, m->fqn}, *endings[2] = {".weight", ""};
    for (int i = 0; i < 4; i++) {
        char name[1024];
        if (names[i / 2] == NULL) continue;
        int n = snprintf(name, sizeof name, "%s%s", names[i / 2], endings[i % 2]);
        const qp_st_tensor *t = n < (int)sizeof name ? qp_st_set_find(&w->set, name, file) : NULL;
        if (t == NULL) continue;
        *whole = i / 2 == 1;
        return t;
    }
    return NULL;
}

qp_dtype qp_weights_dtype(const qp_weights *w, const qp_module *m) {
    bool whole;
    const qp_st_tensor *t = w->from_files ? find_tensor(w, m, &m->segments[0], &whole, NULL) : NULL;
    return t != NULL && narrow_is_float(t->dtype) ? t->dtype : QP_BF16;
}

static qp_status check_tensor(const qp_weights *w, const piece *p, const qp_st_tensor *t, int64_t rows,
                              const char *file, qp_err *err) {
    if (t->n_dims != 2 || t->dims[0] != rows || t->dims[1] != p->m->in)
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape [%lld, %lld] wanted for %s, got %d dimensions [%lld, %lld]",
                file, t->name, (long long)rows, (long long)p->m->in, p->m->fqn, t->n_dims,
                (long long)(t->n_dims > 0 ? t->dims[0] : 0), (long long)(t->n_dims > 1 ? t->dims[1] : 0));
    if (!narrow_is_float(t->dtype))
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: dtype BF16, F16 or F32 wanted, got %s", file, t->name,
                qp_dtype_st_name(t->dtype));
    if (t->dtype != qp_weights_dtype(w, p->m))
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: dtype %s wanted as in the module's first tensor, got %s", file,
                t->name, qp_dtype_st_name(qp_weights_dtype(w, p->m)), qp_dtype_st_name(t->dtype));
    return QP_OK;
}

static void scale_row(qp_dtype t, int64_t n, int exponent, void *row) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t image = widen_one(t, bits_load(t, row, i));
        bits_store(t, row, i, narrow_one(t, image_of(float_of(image) * pow2(exponent))));
    }
}

static qp_status load(const qp_weights *w, const piece *p, void *out, qp_err *err) {
    bool whole = false;
    const char *file = "";
    const qp_st_tensor *t = find_tensor(w, p->m, p->s, &whole, &file);
    if (t == NULL)
        QP_FAIL(QP_CORRUPT, "%s: no tensor %s.weight (nor %s, nor %s.weight)", w->description,
                p->s->gen_name != NULL ? p->s->gen_name : p->m->fqn,
                p->s->gen_name != NULL ? p->s->gen_name : "-", p->m->fqn);
    QP_TRY(check_tensor(w, p, t, whole ? p->m->out : p->s->gen_rows, file, err));
    size_t size = qp_dtype_bytes(t->dtype), n_bytes = (size_t)p->n_cols * size;
    int exponent = boost_exponent(w, p->m, p->s);
    for (int64_t i = 0; i < p->n_rows; i++) {
        int64_t row = p->row0 + i + (whole ? p->begin : p->s->gen_row0);
        char *to = (char *)out + (size_t)i * n_bytes;
        memcpy(to, (const char *)t->data + (size_t)(row * p->m->in + p->col0) * size, n_bytes);
        if (exponent != 0) scale_row(t->dtype, p->n_cols, exponent, to);
    }
    return QP_OK;
}

qp_status qp_weights_slice(const qp_weights *w, const qp_module *m, int64_t row0, int64_t n_rows,
                           int64_t col0, int64_t n_cols, void *out, qp_err *err) {
    if (row0 < 0 || n_rows < 0 || row0 + n_rows > m->out || col0 < 0 || n_cols < 0 || col0 + n_cols > m->in)
        QP_FAIL(QP_BROKEN, "%s: rows %lld+%lld, columns %lld+%lld wanted of [%lld, %lld]", m->fqn,
                (long long)row0, (long long)n_rows, (long long)col0, (long long)n_cols, (long long)m->out,
                (long long)m->in);
    if (w->boost_lost) QP_FAIL(QP_NOMEM, "%s: no memory for max_on", m->fqn);
    size_t row_bytes = (size_t)n_cols * qp_dtype_bytes(qp_weights_dtype(w, m));
    int64_t begin = 0;
    for (int i = 0; i < m->n_segments; i++) {
        const qp_segment *s = &m->segments[i];
        int64_t from = row0 > begin ? row0 : begin, end = begin + s->rows;
        int64_t to = row0 + n_rows < end ? row0 + n_rows : end;
        if (from < to) {
            piece p = {m, s, begin, from - begin, to - from, col0, n_cols};
            char *place = (char *)out + (size_t)(from - row0) * row_bytes;
            if (w->from_files)
                QP_TRY(load(w, &p, place, err));
            else
                generate(w, &p, place);
        }
        begin = end;
    }
    if (begin != m->out)
        QP_FAIL(QP_BROKEN, "%s: the segments have %lld rows, the module %lld", m->fqn, (long long)begin,
                (long long)m->out);
    return QP_OK;
}
