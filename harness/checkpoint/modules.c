// SPDX-License-Identifier: Apache-2.0
// From tensors to modules: names are split once, sorted, and grouped; then each module gets its claim, its
// scheme and its size. O(n log n) in the tensors.
#include <stdlib.h>
#include <string.h>

#include "checkpoint/names.h"
#include "checkpoint/recognize.h"
#include "checkpoint/share.h"

typedef struct piece {
    const qp_ck_tensor *tensor;
    uint32_t n_module;
    uint8_t role, rank; // rank: the plainest word of a role first
} piece;

static int by_module(const void *a, const void *b) {
    const piece *x = a, *y = b;
    const int order = qp_ck_name_order(x->tensor->name, x->n_module, y->tensor->name, y->n_module);
    if (order != 0) return order;
    if (x->role != y->role) return x->role - y->role;
    if (x->rank != y->rank) return x->rank - y->rank;
    return qp_ck_name_order(x->tensor->name, x->tensor->n_name, y->tensor->name, y->tensor->n_name);
}

static bool same_module(const piece *x, const piece *y) {
    return x->n_module == y->n_module && memcmp(x->tensor->name, y->tensor->name, x->n_module) == 0;
}

// ---- grouping
// ------------------------------------------------------------------------------------------------------------

// Of two tensors for one role the packed one counts; the other stays loose.
static uint8_t rank_of(const qp_ck_name *n) {
    return n->suffix == NULL || strcmp(n->suffix->word, "weight") == 0 ? 1 : 0;
}

static void split(const qp_ckpt *c, piece *pieces, uint32_t *n_pieces, const qp_ck_tensor **loose,
                  uint32_t *n_loose) {
    qp_ck_name name;
    for (uint32_t i = 0; i < c->n_tensors; i++) {
        const qp_ck_tensor *t = &c->tensors[i];
        if (qp_ck_name_split(t->name, t->n_name, t->n_dims, &name))
            pieces[(*n_pieces)++] = (piece){t, name.n, (uint8_t)name.role, rank_of(&name)};
        else
            loose[(*n_loose)++] = t;
    }
}

static uint32_t count_modules(const piece *p, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) count += i == 0 || !same_module(&p[i - 1], &p[i]);
    return count;
}

static void group(const piece *p, uint32_t n, qp_ck_modules *out, const qp_ck_tensor **loose,
                  uint32_t *n_loose) {
    qp_ck_module *m = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (m == NULL || !same_module(&p[i - 1], &p[i])) {
            m = &out->list[out->n++];
            m->name = p[i].tensor->name;
            m->n_name = p[i].n_module;
            qp_ck_name_numbers(m->name, m->n_name, &m->layer, &m->expert);
        }
        if (m->part[p[i].role] == NULL)
            m->part[p[i].role] = p[i].tensor;
        else
            loose[(*n_loose)++] = p[i].tensor;
    }
}

// ---- what a module is
// -----------------------------------------------------------------------------------------------------------

static bool is_linear(const qp_ck_module *m) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    if (w == NULL || w->n_dims < 2) return false;
    if (qp_ck_name_is_embedding(m->name, m->n_name) || qp_ck_name_is_conv(m->name, m->n_name)) return false;
    if (w->n_dims == 2) return true;
    qp_ck_name name; // stacks of experts; gpt-oss blocks have four dimensions
    if (!qp_ck_name_split(w->name, w->n_name, w->n_dims, &name)) return false;
    return w->n_dims == 3 ||
           (w->n_dims == 4 && name.suffix != NULL && strcmp(name.suffix->word, "blocks") == 0);
}

// Does the weight alone contradict the claim: another type, or another dialect's word?
static bool weight_contradicts(const qp_ck_scheme *s, const qp_ck_module *m) {
    const qp_ck_size none = {0};
    const qp_ck_fit fit = qp_ck_part_fit(s, m, QP_CK_WEIGHT, none);
    return fit == QP_CK_UNWANTED || fit == QP_CK_WRONG_TYPE;
}

// Claims of one name and how often the tensors bear them out; more names than slots share the last.
typedef struct ballot {
    const char *name;
    uint64_t confirmed, disputed;
} ballot;
enum { BALLOTS = 64 };
typedef struct dispute {
    uint32_t module;
    int ballot;
    const qp_ck_scheme *other;
} dispute;

typedef struct build {
    qp_ck_recognizer recognizer;
    ballot ballots[BALLOTS];
    int n_ballots;
    dispute *disputes;
    uint32_t n_disputes;
} build;

static int ballot_of(build *b, const char *name) {
    for (int i = 0; i < b->n_ballots; i++)
        if (b->ballots[i].name == name || strcmp(b->ballots[i].name, name) == 0) return i;
    if (b->n_ballots == BALLOTS) return BALLOTS - 1;
    b->ballots[b->n_ballots] = (ballot){name, 0, 0};
    return b->n_ballots++;
}

// A damaged tensor must not look like another scheme, and a wrong config must not look like damage
// everywhere: where the weight fits the claim and only its scales would fit another scheme, the majority
// decides.
static qp_status scheme_of(build *b, qp_ck_module *m, uint32_t index, qp_err *err) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    const qp_ck_scheme *claimed = NULL, *seen = NULL;
    if (w == NULL || qp_ck_is_plain(w)) return QP_OK;
    if (m->claim.kind == QP_CK_QUANTIZED && m->claim.scheme != NULL) {
        QP_TRY(qp_ck_scheme_for_stack(&b->recognizer, m->claim.scheme, m, &claimed, err));
        m->claim.scheme = m->scheme = claimed;
        const int vote = ballot_of(b, claimed->name);
        if (qp_ck_parts_fit(claimed, m, true)) {
            b->ballots[vote].confirmed++;
            return QP_OK;
        }
        QP_TRY(qp_ck_recognize(&b->recognizer, m, false, &seen, err));
        if (seen == NULL) return QP_OK;
        if (weight_contradicts(claimed, m)) {
            m->scheme = seen;
            return QP_OK;
        }
        b->ballots[vote].disputed++;
        b->disputes[b->n_disputes++] = (dispute){index, vote, seen};
        return QP_OK;
    }
    QP_TRY(qp_ck_recognize(&b->recognizer, m, false, &m->scheme, err));
    if (m->scheme == NULL) QP_TRY(qp_ck_recognize(&b->recognizer, m, true, &m->scheme, err));
    return QP_OK;
}

static void settle(const build *b, qp_ck_module *list) {
    for (uint32_t i = 0; i < b->n_disputes; i++) {
        const dispute *d = &b->disputes[i];
        const ballot *v = &b->ballots[d->ballot];
        if (v->confirmed <= v->disputed) list[d->module].scheme = d->other;
    }
}

// ---- sizes
// ---------------------------------------------------------------------------------------------------------------

static void plain_size(qp_ck_module *m) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    if (!m->linear || w->n_bytes == 0 || w->n_dims > 3) return;
    m->stack = w->n_dims == 3 ? (int64_t)w->dims[0] : 1;
    m->out = (int64_t)w->dims[w->n_dims - 2];
    m->in = (int64_t)w->dims[w->n_dims - 1];
    m->sound = qp_ck_is_float(w);
}

// Sound: nothing that is there is wrong, and there are scales. Optional and missing parts stay NULL.
static void size(qp_ck_module *m) {
    qp_ck_size z = {0};
    if (m->part[QP_CK_WEIGHT] == NULL) return;
    if (m->scheme == NULL) {
        plain_size(m);
        return;
    }
    if (!qp_ck_size_of(m->scheme, m, &z)) return;
    m->stack = z.stack;
    m->out = z.out;
    m->in = z.in;
    m->sound = m->part[QP_CK_SCALE] != NULL && z.out > 0 && z.in > 0;
    for (int role = 0; role < QP_CK_ROLES && m->sound; role++) {
        const qp_ck_fit fit = qp_ck_part_fit(m->scheme, m, (qp_ck_role)role, z);
        m->sound = fit == QP_CK_FITS || fit == QP_CK_ABSENT;
    }
}

qp_status qp_ck_modules_build(const qp_ckpt *c, const qp_ck_claims *k, qp_arena *a, qp_ck_modules *out,
                              qp_err *err) {
    piece *pieces;
    const qp_ck_tensor **loose;
    uint32_t n_pieces = 0, n_loose = 0;
    build b = {.recognizer = {.arena = a, .first = qp_ck_claims_dialect(k)}};
    memset(out, 0, sizeof *out);
    QP_TRY(QP_NEW(a, pieces, c->n_tensors));
    QP_TRY(QP_NEW(a, loose, c->n_tensors));
    split(c, pieces, &n_pieces, loose, &n_loose);
    qsort(pieces, n_pieces, sizeof *pieces, by_module);
    QP_TRY(QP_NEW(a, out->list, count_modules(pieces, n_pieces)));
    group(pieces, n_pieces, out, loose, &n_loose);
    out->loose = loose;
    out->n_loose = n_loose;
    QP_TRY(QP_NEW(a, b.disputes, out->n));
    for (uint32_t i = 0; i < out->n; i++) {
        qp_ck_module *m = &out->list[i];
        m->linear = is_linear(m);
        m->claim = qp_ck_claim_of(k, m->name, m->n_name);
        QP_TRY(scheme_of(&b, m, i, err));
    }
    settle(&b, out->list);
    for (uint32_t i = 0; i < out->n; i++) size(&out->list[i]);
    return qp_ck_share_number(out->list, out->n, a, err);
}

const qp_ck_module *qp_ck_module_find(const qp_ck_modules *m, const char *name, size_t n) {
    uint32_t low = 0, high = m->n;
    if (n > UINT32_MAX) return NULL;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        const int order = qp_ck_name_order(m->list[mid].name, m->list[mid].n_name, name, (uint32_t)n);
        if (order == 0) return &m->list[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
