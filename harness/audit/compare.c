// SPDX-License-Identifier: Apache-2.0
// compare: which tensor of one checkpoint stands for which of the other, every pair judged, worst first.
// Linears are matched by module and role, so that dialects meet under their own names; everything else by
// name.
#include <stdlib.h>
#include <string.h>

#include "audit/compare_tensor.h"
#include "core/file.h"

typedef struct side {
    qp_ckpt ckpt;
    qp_ck_modules modules;
    qp_ck_findings findings; // of opening; not compare's to tell
    uint8_t *used;           // one per tensor
} side;

typedef struct pair {
    const qp_ck_tensor *a, *b;
    const qp_ck_module *a_module, *b_module; // meaning of both instead of one tensor each
    const qp_ck_scheme *scheme;
    qp_ck_role role;
    bool opposite;
} pair;

typedef struct work {
    side a, b;
    const char *const (*map)[2]; // names of a, names of b, sorted by the first
    size_t n_map;
    pair *pairs;
    size_t n_pairs;
    qp_cmp_row *rows;
    qp_arena **arenas; // one per thread
} work;

// ---- opening
// -----------------------------------------------------------------------------------------------------------

static qp_status open_side(side *s, const char *path, qp_arena *a, qp_err *err) {
    qp_ck_claims *claims;
    qp_ck_findings_init(&s->findings, a);
    QP_TRY(qp_ck_open(path, false, a, &s->findings, &s->ckpt, err));
    for (int i = 0; i < s->ckpt.n_files; i++)
        if (s->ckpt.files[i].map == NULL)
            QP_FAIL(QP_CORRUPT, "%s: not readable; quantproof verify says why", s->ckpt.files[i].path);
    QP_TRY(qp_ck_claims_read(&s->ckpt, a, &s->findings, &claims, err));
    QP_TRY(qp_ck_modules_build(&s->ckpt, claims, a, &s->modules, err));
    return QP_NEW(a, s->used, s->ckpt.n_tensors + 1);
}

static int by_first(const void *x, const void *y) {
    return strcmp(((const char *const *)x)[0], ((const char *const *)y)[0]);
}

static qp_status read_map(work *w, const char *path, qp_arena *a, qp_err *err) {
    char *text, *line, *rest;
    size_t n, most = 1;
    const char *(*map)[2];
    QP_TRY(qp_file_read(path, a, &text, &n, err));
    for (size_t i = 0; i < n; i++) most += text[i] == '\n';
    QP_TRY(QP_NEW(a, map, most));
    int number = 0;
    for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
        char *left = NULL, *right = NULL, *word;
        int n_words = 0;
        number++;
        while ((word = strsep(&line, " \t\r")) != NULL) {
            if (word[0] == '#') break;
            if (word[0] == '\0') continue;
            *(n_words == 0 ? &left : &right) = word;
            n_words++;
        }
        if (n_words == 0) continue;
        if (n_words != 2)
            QP_FAIL(QP_USAGE, "%s:%d: 'NAME_A NAME_B' wanted, got %d words", path, number, n_words);
        map[w->n_map][0] = left;
        map[w->n_map++][1] = right;
    }
    qsort(map, w->n_map, sizeof *map, by_first);
    w->map = (const char *const(*)[2])map;
    return QP_OK;
}

// The name in b of a name of a: by the map, else itself.
static const char *name_in_b(const work *w, const char *name, size_t *n) {
    size_t low = 0, high = w->n_map;
    while (low < high) {
        const size_t mid = low + (high - low) / 2, n_key = strlen(w->map[mid][0]);
        int order = memcmp(w->map[mid][0], name, n_key < *n ? n_key : *n);
        if (order == 0) order = (n_key > *n) - (n_key < *n);
        if (order == 0) {
            *n = strlen(w->map[mid][1]);
            return w->map[mid][1];
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return name;
}

// ---- matching
// ----------------------------------------------------------------------------------------------------------

static void use(side *s, const qp_ck_tensor *t) {
    s->used[t - s->ckpt.tensors] = 1;
}

static bool stored_alike(const qp_ck_scheme *a, const qp_ck_scheme *b) {
    return a->pack == b->pack && a->spread == b->spread && a->bits == b->bits && a->element == b->element;
}

static void add(work *w, pair p) {
    w->pairs[w->n_pairs++] = p;
}

static bool makes_values(qp_ck_role r) { // of the weight: what qp_cmp_meaning reads
    return r == QP_CK_WEIGHT || r == QP_CK_SCALE || r == QP_CK_GLOBAL || r == QP_CK_ZERO ||
           r == QP_CK_G_IDX || r == QP_CK_WEIGHT_SHAPE;
}

static void match_module(work *w, const qp_ck_module *a, const qp_ck_module *b) {
    const bool alike = a->scheme != NULL && b->scheme != NULL && stored_alike(a->scheme, b->scheme);
    const qp_ck_direction x = a->scheme != NULL ? a->scheme->global : QP_CK_NO_GLOBAL,
                          y = b->scheme != NULL ? b->scheme->global : QP_CK_NO_GLOBAL;
    const bool opposite = x != y && x != QP_CK_NO_GLOBAL && y != QP_CK_NO_GLOBAL;
    const bool meaning = !alike && a->sound && b->sound;
    const bool dialects = alike && a->scheme->dialect != b->scheme->dialect && a->sound && b->sound;
    if (meaning || dialects) add(w, (pair){.a_module = a, .b_module = b});
    for (int r = 0; r < QP_CK_ROLES; r++) {
        const qp_ck_tensor *t = a->part[r], *u = b->part[r];
        const bool in_meaning = meaning && makes_values((qp_ck_role)r);
        if (t != NULL && (in_meaning || u != NULL)) use(&w->a, t);
        if (u != NULL && (in_meaning || t != NULL)) use(&w->b, u);
        if (t == NULL || u == NULL || in_meaning) continue;
        add(w, (pair){.a = t,
                      .b = u,
                      .role = (qp_ck_role)r,
                      .scheme = alike ? a->scheme : NULL,
                      .opposite = opposite && (r == QP_CK_GLOBAL || r == QP_CK_INPUT)});
    }
}

static void match_modules(work *w) {
    for (uint32_t i = 0; i < w->a.modules.n; i++) {
        const qp_ck_module *a = &w->a.modules.list[i];
        size_t n = a->n_name;
        const char *name = name_in_b(w, a->name, &n);
        const qp_ck_module *b = qp_ck_module_find(&w->b.modules, name, n);
        if (b != NULL && (a->scheme != NULL || b->scheme != NULL)) match_module(w, a, b);
    }
}

static void match_names(work *w) {
    for (uint32_t i = 0; i < w->a.ckpt.n_tensors; i++) {
        const qp_ck_tensor *t = &w->a.ckpt.tensors[i];
        if (w->a.used[i]) continue;
        size_t n = t->n_name;
        const char *name = name_in_b(w, t->name, &n);
        const qp_ck_tensor *u = qp_ck_find(&w->b.ckpt, name, n);
        if (u != NULL && w->b.used[u - w->b.ckpt.tensors]) u = NULL;
        if (u != NULL) use(&w->b, u);
        add(w, (pair){.a = t, .b = u, .role = QP_CK_ROLES});
    }
    for (uint32_t i = 0; i < w->b.ckpt.n_tensors; i++)
        if (!w->b.used[i]) add(w, (pair){.b = &w->b.ckpt.tensors[i], .role = QP_CK_ROLES});
}

// ---- judging
// -----------------------------------------------------------------------------------------------------------

static qp_status show_names(const pair *p, qp_arena *a, qp_cmp_row *row, qp_err *err) {
    if (p->a_module != NULL) {
        QP_TRY(qp_ck_show(p->a_module->name, p->a_module->n_name, a, &row->a, err));
        return qp_ck_show(p->b_module->name, p->b_module->n_name, a, &row->b, err);
    }
    if (p->a != NULL) QP_TRY(qp_ck_show(p->a->name, p->a->n_name, a, &row->a, err));
    if (p->b != NULL) QP_TRY(qp_ck_show(p->b->name, p->b->n_name, a, &row->b, err));
    return QP_OK;
}

static qp_status judge(void *ctx, int thread, uint64_t item, qp_err *err) {
    work *w = ctx;
    const pair *p = &w->pairs[item];
    qp_cmp_row *row = &w->rows[item];
    qp_arena *a = w->arenas[thread];
    QP_TRY(show_names(p, a, row, err));
    if (p->a_module != NULL) return qp_cmp_meaning(p->a_module, p->b_module, a, row, err);
    if (p->a != NULL && p->b != NULL)
        return qp_cmp_pair(p->a, p->b, p->role, p->scheme, p->opposite, a, row, err);
    row->class = QP_CMP_ONE_SIDE;
    row->n_elems = (p->a != NULL ? p->a : p->b)->n_elems;
    return QP_OK;
}

static int severity(const qp_cmp_row *r) { // what is shown first
    return r->class == QP_CMP_EQUAL ? 2 : r->class == QP_CMP_MEANING ? 1 : 0;
}

static int worst_first(const void *x, const void *y) {
    const qp_cmp_row *a = x, *b = y;
    if (severity(a) != severity(b)) return severity(a) - severity(b);
    return strcmp(a->a != NULL ? a->a : a->b, b->a != NULL ? b->a : b->b);
}

static void count(const work *w, qp_cmp *out) {
    out->rows = w->rows;
    out->n_rows = w->n_pairs;
    for (size_t i = 0; i < w->n_pairs; i++) {
        const qp_cmp_class c = w->rows[i].class;
        out->n_equal += c == QP_CMP_EQUAL;
        out->n_meaning += c == QP_CMP_MEANING;
        out->n_one_side += c == QP_CMP_ONE_SIDE;
        out->n_different += c != QP_CMP_EQUAL && c != QP_CMP_MEANING;
    }
    if (out->n_rows > 1) qsort(out->rows, out->n_rows, sizeof *out->rows, worst_first);
}

static qp_status compare(work *w, const qp_cmp_options *o, qp_arena *a, qp_cmp *out, qp_err *err) {
    const int threads = qp_work_threads(o->threads);
    QP_TRY(open_side(&w->a, o->a, a, err));
    QP_TRY(open_side(&w->b, o->b, a, err));
    if (o->map != NULL) QP_TRY(read_map(w, o->map, a, err));
    QP_TRY(QP_NEW(a, w->pairs, (size_t)w->a.ckpt.n_tensors + w->b.ckpt.n_tensors + w->a.modules.n + 1));
    match_modules(w);
    match_names(w);
    QP_TRY(QP_NEW(a, w->rows, w->n_pairs + 1));
    QP_TRY(QP_NEW(a, w->arenas, threads));
    for (int t = 0; t < threads; t++)
        if ((w->arenas[t] = out->arenas[t] = qp_arena_new()) == NULL)
            QP_FAIL(QP_NOMEM, "compare: out of memory");
    QP_TRY(qp_work_run(w->n_pairs, threads, judge, w, err));
    count(w, out);
    return QP_OK;
}

qp_status qp_compare_run(const qp_cmp_options *o, qp_arena *a, qp_cmp *out, qp_err *err) {
    work w = {0};
    memset(out, 0, sizeof *out);
    const qp_status status = compare(&w, o, a, out, err);
    qp_ck_close(&w.a.ckpt);
    qp_ck_close(&w.b.ckpt);
    return status;
}

void qp_compare_close(qp_cmp *c) {
    for (int i = 0; i < QP_CMP_THREADS; i++)
        if (c->arenas[i] != NULL) qp_arena_free(c->arenas[i]);
    memset(c, 0, sizeof *c);
}
