// SPDX-License-Identifier: Apache-2.0
// A small set from many candidates: greedy by variants told for the first time, of contexts only the elements
// that are needed; then everything is taken away that can be.
#include <stdlib.h>
#include <string.h>

#include "cmd/mine.h"

static bool is_empty(qp_mine_mask m) {
    return qp_mask_count(m) == 0;
}

static bool holds(qp_mine_mask all, qp_mine_mask part) {
    return is_empty(qp_mask_without(part, all));
}

// ---- what every candidate can tell
// --------------------------------------------------------------------------

enum { CONTEXT_COST = 6 };

static qp_status judge_candidate(const qp_mine *m, int i, qp_mine_mask *kills, int64_t *cost, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
    qp_mine_tensor t;
    qp_status s = qp_mine_candidate(m, i, a, &t, err);
    if (s == QP_OK) s = qp_mine_judge(m, &t, m->all, a, NULL, kills, err);
    if (s == QP_OK) *cost = qp_mine_is_context(m, i) ? CONTEXT_COST : t.rows * t.cols;
    qp_arena_free(a);
    return s;
}

static qp_status judge_all(const qp_mine *m, qp_mine_mask *kills, int64_t *costs, qp_err *err) {
    const int n = qp_mine_n_candidates(m);
    qp_status worst = QP_OK;
#pragma omp parallel for schedule(dynamic, 4)
    for (int i = 0; i < n; i++) {
        qp_err own = {0};
        const qp_status s = judge_candidate(m, i, &kills[i], &costs[i], &own);
        if (s == QP_OK) continue;
#pragma omp critical
        if (worst == QP_OK) worst = qp_err_set(err, s, __FILE__, __LINE__, "%s", own.msg);
    }
    return worst;
}

// ---- of a context, the elements that are needed
// ---------------------------------------------------------------

// Rows that lead with the amax (the last one with the global amax, for NVFP4): greedily elements that tell
// something new, until nothing of 'wanted' is left; they move up into as few rows as possible.
static qp_status thin_out(const qp_mine *m, const qp_mine_tensor *t, qp_mine_mask wanted, qp_arena *a,
                          qp_mine_tensor *out, qp_err *err) {
    const int64_t n = t->rows * t->cols;
    const bool has_global = qp_format_get(m->format)->has_global;
    qp_mine_mask *each, all;
    QP_TRY(QP_NEW(a, each, n));
    QP_TRY(qp_mine_judge(m, t, wanted, a, each, &all, err));
    uint32_t *picked;
    int64_t n_picked = 0, best = 0;
    QP_TRY(QP_NEW(a, picked, QP_MINE_MAX_VARIANTS));
    wanted = qp_mask_without(qp_mask_and(wanted, all), each[0]); // the amax itself stays anyway
    const int64_t n_looked = has_global ? n - t->cols : n;
    while (!is_empty(wanted)) {
        int most = 0;
        for (int64_t i = 0; i < n_looked; i++) {
            const int new = qp_mask_count(qp_mask_and(each[i], wanted));
            if (new > most) {
                most = new;
                best = i;
            }
        }
        if (most == 0) break; // what only the tensor as a whole tells
        picked[n_picked++] = t->x[best];
        wanted = qp_mask_without(wanted, each[best]);
    }
    const int64_t width = t->rows == 1 ? n : t->cols, room = width - 1;
    const int64_t rows = room > 0 && n_picked > room ? (n_picked + room - 1) / room : 1;
    out->cols = 1 + (n_picked < room ? n_picked : room);
    out->rows = rows + has_global;
    QP_TRY(QP_NEW(a, out->x, out->rows * out->cols));
    for (int64_t r = 0; r < rows; r++) out->x[r * out->cols] = t->x[0];
    for (int64_t i = 0; i < n_picked; i++) out->x[i / room * out->cols + 1 + i % room] = picked[i];
    if (has_global) out->x[rows * out->cols] = t->x[n - t->cols];
    return QP_OK;
}

static qp_status take(const qp_mine *m, int candidate, qp_mine_mask wanted, qp_arena *scratch, qp_arena *a,
                      qp_mine_set *out, qp_err *err) {
    qp_mine_tensor whole, thin;
    qp_mine_mask kills = {{0}};
    QP_TRY(qp_mine_candidate(m, candidate, scratch, &whole, err));
    if (qp_mine_is_context(m, candidate)) {
        QP_TRY(thin_out(m, &whole, wanted, scratch, &thin, err));
        QP_TRY(qp_mine_judge(m, &thin, m->all, scratch, NULL, &kills, err));
        if (!is_empty(qp_mask_and(kills, wanted))) return qp_mine_add(out, &thin, kills, a, err);
    }
    QP_TRY(qp_mine_judge(m, &whole, m->all, scratch, NULL, &kills, err));
    return qp_mine_add(out, &whole, kills, a, err);
}

// Most variants told for the first time per element; a context is thinned out to a few.
static int best_of(const qp_mine_mask *kills, const int64_t *costs, int n, qp_mine_mask left) {
    int best = 0;
    double most = 0;
    for (int i = 0; i < n; i++) {
        const double worth = (double)qp_mask_count(qp_mask_and(kills[i], left)) / (double)costs[i];
        if (worth <= most) continue;
        most = worth;
        best = i;
    }
    return best;
}

qp_status qp_mine_cover(const qp_mine *m, qp_arena *a, qp_mine_set *out, qp_err *err) {
    const int n = qp_mine_n_candidates(m);
    qp_mine_mask *kills;
    int64_t *costs;
    QP_TRY(QP_NEW(a, kills, n));
    QP_TRY(QP_NEW(a, costs, n));
    QP_TRY(judge_all(m, kills, costs, err));
    qp_mine_mask left = {{0}};
    for (int i = 0; i < n; i++) left = qp_mask_or(left, kills[i]);
    qp_arena *scratch = qp_arena_new();
    if (scratch == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
    qp_status s = QP_OK;
    while (s == QP_OK && !is_empty(left)) {
        const int best = best_of(kills, costs, n, left);
        qp_arena_reset(scratch);
        s = take(m, best, qp_mask_and(kills[best], left), scratch, a, out, err);
        left = qp_mask_without(left, out->killed);
    }
    qp_arena_free(scratch);
    return s;
}

// ---- taking away
// ------------------------------------------------------------------------------------------------

static qp_mine_mask others(const qp_mine_set *s, int but) {
    qp_mine_mask m = {{0}};
    for (int i = 0; i < s->n; i++)
        if (i != but) m = qp_mask_or(m, s->kills[i]);
    return m;
}

static void drop_tensors(qp_mine_set *s) {
    for (int i = s->n - 1; i >= 0; i--) {
        if (!holds(others(s, i), s->killed)) continue;
        s->n--;
        memmove(&s->tensors[i], &s->tensors[i + 1], sizeof *s->tensors * (size_t)(s->n - i));
        memmove(&s->kills[i], &s->kills[i + 1], sizeof *s->kills * (size_t)(s->n - i));
    }
}

typedef enum cut { CUT_ROW, CUT_COL, CUT_ZERO, CUT_COUNT } cut;

static int64_t n_cuts(const qp_mine_tensor *t, cut c) {
    return c == CUT_ROW   ? (t->rows > 1 ? t->rows : 0)
           : c == CUT_COL ? (t->cols > 1 ? t->cols : 0)
                          : t->rows * t->cols;
}

static bool cut_away(const qp_mine_tensor *t, cut c, int64_t at, qp_mine_tensor *out) {
    out->rows = t->rows - (c == CUT_ROW);
    out->cols = t->cols - (c == CUT_COL);
    int64_t n = 0;
    if (c == CUT_ZERO && t->x[at] == 0) return false;
    for (int64_t i = 0; i < t->rows * t->cols; i++) {
        if ((c == CUT_ROW && i / t->cols == at) || (c == CUT_COL && i % t->cols == at)) continue;
        out->x[n++] = c == CUT_ZERO && i == at ? 0 : t->x[i];
    }
    return true;
}

// One tensor as small as the others allow.
static qp_status reduce_one(const qp_mine *m, qp_mine_set *s, int which, qp_arena *a, bool *changed,
                            qp_err *err) {
    qp_mine_tensor *t = &s->tensors[which], trial = {0};
    const qp_mine_mask needed = qp_mask_without(s->killed, others(s, which));
    qp_arena *scratch = qp_arena_new();
    if (scratch == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
    qp_status status = QP_NEW(a, trial.x, t->rows * t->cols);
    for (int c = 0; c < CUT_COUNT && status == QP_OK; c++)
        for (int64_t at = n_cuts(t, (cut)c) - 1; at >= 0 && status == QP_OK; at--) {
            qp_mine_mask kills;
            if (at >= n_cuts(t, (cut)c) || !cut_away(t, (cut)c, at, &trial)) continue;
            qp_arena_reset(scratch);
            status = qp_mine_judge(m, &trial, m->all, scratch, NULL, &kills, err);
            if (status != QP_OK || !holds(kills, needed)) continue;
            uint32_t *old = t->x;
            *t = trial;
            trial.x = old;
            s->kills[which] = kills;
            *changed = true;
        }
    qp_arena_free(scratch);
    return status;
}

qp_status qp_mine_reduce(const qp_mine *m, qp_arena *a, qp_mine_set *s, qp_err *err) {
    bool changed = true;
    for (int pass = 0; pass < 4 && changed; pass++) {
        changed = false;
        drop_tensors(s);
        for (int i = 0; i < s->n; i++) QP_TRY(reduce_one(m, s, i, a, &changed, err));
    }
    drop_tensors(s);
    s->killed = others(s, -1);
    return QP_OK;
}
