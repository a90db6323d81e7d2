// SPDX-License-Identifier: Apache-2.0
// Which rule fits each linear: amax first, every linear under its likeliest rule, further rules where that
// does not fit, then one engine for all.
#include <stdlib.h>
#include <time.h>

#include "audit/against_pass.h"

enum {
    PROBE = 1 << 11, // elements on which rules are told apart
    TRIES = 3,       // whole linears beyond the first
};

bool qp_ag_has_source(const qp_ag_linear *l) {
    return l->m->sound && l->n_sources > 0;
}

bool qp_ag_misfits(const qp_ag_linear *l) {
    return l->n_trials > 0 && (!qp_ag_fits(&l->tally) || l->trials[l->at].global_differs);
}

// ---- windows of many linears
// -------------------------------------------------------------------------------------------------

typedef struct windows {
    qp_ag_pass *p;
    qp_ag_item *items;
    qp_ag_tally *tallies; // one each; NULL where amax is wanted
    uint32_t *amax;
    uint64_t n;
    bool distance; // of every window; else of the first of each linear
    double told;   // when progress was last said, seconds; thread 0 only
} windows;

static qp_status make_windows(qp_ag_pass *p, qp_ag_linear_test wanted, windows *w, qp_err *err) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < p->n; i++)
        if (wanted(&p->linears[i])) n += (uint64_t)(p->linears[i].n_windows * p->linears[i].m->stack);
    *w = (windows){.p = p, .n = n};
    QP_TRY(QP_NEW(p->a, w->items, n));
    n = 0;
    for (uint64_t i = 0; i < p->n; i++) {
        qp_ag_linear *l = &p->linears[i];
        if (!wanted(l)) continue;
        for (int64_t e = 0; e < l->m->stack; e++) {
            for (int64_t row = 0; row < l->m->out; row += l->window_rows) {
                const int64_t left = l->m->out - row;
                w->items[n++] = (qp_ag_item){l, e, row, left < l->window_rows ? left : l->window_rows};
            }
        }
    }
    return QP_OK;
}

// Items are taken in order: what lies before this one is done, or nearly.
static void tell(windows *w, int thread, uint64_t item, const char *pass) {
    const qp_audit_options *o = w->p->o;
    struct timespec now;
    if (thread != 0 || o->progress == NULL || clock_gettime(CLOCK_MONOTONIC, &now) != 0) return;
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    if (seconds - w->told < 0.1) return;
    w->told = seconds;
    const uint64_t all = w->p->u->ckpt.n_bytes;
    o->progress(o->progress_ctx, pass, (uint64_t)((double)all * (double)item / (double)w->n), all);
}

static qp_status amax_item(void *ctx, int thread, uint64_t item, qp_err *err) {
    windows *w = ctx;
    (void)err;
    tell(w, thread, item, "against: amax");
    w->amax[item] = qp_ag_window_amax(&w->items[item], w->p->rooms[thread].x);
    return QP_OK;
}

static qp_status judge_item(void *ctx, int thread, uint64_t item, qp_err *err) {
    windows *w = ctx;
    const qp_ag_item *it = &w->items[item];
    static const qp_ag_trial none = {0};
    const qp_ag_trial *t = it->l->n_trials > 0 ? &it->l->trials[it->l->at] : &none;
    (void)err;
    tell(w, thread, item, "against");
    qp_ag_judge(it, t, w->distance || (it->e == 0 && it->row0 == 0), &w->p->rooms[thread], &w->tallies[item]);
    return QP_OK;
}

// Row of the first difference of a window.
static qp_ag_place first_odd(const qp_ag_linear *l, const qp_ag_tally *t) {
    qp_ag_place scale = t->scale;
    scale.row *= l->view.tile_rows;
    return t->codes_differ > 0 && (t->scales_differ + t->chosen == 0 || t->code.row < scale.row) ? t->code
                                                                                                 : scale;
}

qp_status qp_ag_judge_all(qp_ag_pass *p, qp_ag_linear_test wanted, bool distance, qp_err *err) {
    windows w;
    QP_TRY(make_windows(p, wanted, &w, err));
    w.distance = distance;
    QP_TRY(QP_NEW(p->a, w.tallies, w.n));
    QP_TRY(qp_work_run(w.n, p->threads, judge_item, &w, err));
    for (uint64_t i = 0; i < p->n; i++)
        if (wanted(&p->linears[i])) p->linears[i].tally = (qp_ag_tally){0};
    for (uint64_t i = 0; i < w.n; i++) {
        qp_ag_linear *l = w.items[i].l;
        if (qp_ag_fits(&l->tally) && !qp_ag_fits(&w.tallies[i])) l->odd = first_odd(l, &w.tallies[i]);
        qp_ag_merge(&l->tally, &w.tallies[i]);
    }
    return QP_OK;
}

// ---- amax
// --------------------------------------------------------------------------------------------------------------------

static bool wants_amax(const qp_ag_linear *l) {
    return qp_ag_has_source(l) && qp_ag_needs_amax(&l->view);
}

static int by_share(const void *a, const void *b) {
    const qp_ag_linear *x = *(qp_ag_linear *const *)a, *y = *(qp_ag_linear *const *)b;
    return (x->m->share > y->m->share) - (x->m->share < y->m->share);
}

// Members of a shared group take the largest of their own.
static qp_status share_amax(qp_ag_pass *p, qp_err *err) {
    QP_TRY(QP_NEW(p->a, p->by_share, p->n));
    qp_ag_linear **order = p->by_share;
    for (uint64_t i = 0; i < p->n; i++) {
        order[i] = &p->linears[i];
        order[i]->group_amax = order[i]->own_amax;
    }
    if (p->n > 1) qsort(order, p->n, sizeof *order, by_share);
    for (uint64_t i = 0, end; i < p->n; i = end) {
        uint32_t max = order[i]->own_amax;
        for (end = i + 1; end < p->n && order[end]->m->share == order[i]->m->share; end++)
            max = ref_max_image(max, order[end]->own_amax);
        for (uint64_t k = i; order[i]->m->share >= 0 && k < end; k++) {
            order[k]->group_amax = max;
            order[k]->first_of_share = i;
        }
    }
    return QP_OK;
}

static qp_status take_amax(qp_ag_pass *p, qp_err *err) {
    windows w;
    QP_TRY(make_windows(p, wants_amax, &w, err));
    QP_TRY(QP_NEW(p->a, w.amax, w.n));
    QP_TRY(qp_work_run(w.n, p->threads, amax_item, &w, err));
    for (uint64_t i = 0; i < w.n; i++)
        w.items[i].l->own_amax = ref_max_image(w.items[i].l->own_amax, w.amax[i]);
    return share_amax(p, err);
}

// ---- rules
// -------------------------------------------------------------------------------------------------------------------

// A global scale that does not follow counts little where everything under it fits, else more than any code.
static uint64_t score_of(const qp_ag_tally *t, const qp_ag_trial *trial) {
    const uint64_t n = t->codes_differ + t->scales_differ + t->chosen;
    return n + (!trial->global_differs ? 0 : n == 0 ? 1 : UINT32_MAX);
}

static bool first_try(const qp_ag_linear *l) {
    return qp_ag_has_source(l);
}

static bool retried(const qp_ag_linear *l) {
    return qp_ag_has_source(l) && l->again;
}

// A few rows.
static qp_ag_item probe_at(qp_ag_linear *l, const qp_ag_place *place) {
    const int64_t unit = qp_ag_unit(&l->view);
    const int64_t some = PROBE / l->m->in > unit ? PROBE / l->m->in / unit * unit : unit;
    const int64_t row0 = place->row / unit * unit, left = l->m->out - row0;
    return (qp_ag_item){l, place->e, row0, left < some ? left : some};
}

// The first of the trials that do best on the first rows: the one to judge the whole linear under.
static qp_status guess_item(void *ctx, int thread, uint64_t item, qp_err *err) {
    const qp_ag_pass *p = ctx;
    static const qp_ag_place start = {0};
    qp_ag_linear *l = &p->linears[item];
    (void)err;
    if (!qp_ag_has_source(l)) return QP_OK;
    const qp_ag_item first = probe_at(l, &start);
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < l->n_trials && least > 0; i++) {
        qp_ag_tally t;
        qp_ag_judge(&first, &l->trials[i], false, &p->rooms[thread], &t);
        const uint64_t score = score_of(&t, &l->trials[i]);
        if (score >= least) continue;
        least = score;
        l->at = i;
    }
    return QP_OK;
}

// Every trial on a few rows that did not fit; the likeliest of the others comes next.
static int next_trial(qp_ag_pass *p, qp_ag_linear *l, const bool *done) {
    const qp_ag_item odd = probe_at(l, &l->odd);
    int best = -1;
    for (int i = 0; i < l->n_trials; i++) {
        qp_ag_tally t;
        qp_ag_trial *trial = &l->trials[i];
        if (done[i] && i != l->at) continue;
        if (trial->score == 0) {
            qp_ag_judge(&odd, trial, false, &p->rooms[0], &t);
            trial->score = 1 + score_of(&t, trial);
        }
        if (!done[i] && (best < 0 || trial->score < l->trials[best].score)) best = i;
    }
    // what is no better there is no better elsewhere
    return best >= 0 && l->trials[best].score < l->trials[l->at].score ? best : -1;
}

// Whole linears under further rules, while one may still do better than the best so far.
static qp_status further_rules(qp_ag_pass *p, qp_err *err) {
    struct state {
        bool done[QP_AG_TRIALS];
        int best;
        qp_ag_tally tally;
        qp_ag_place odd;
    } * states;
    QP_TRY(QP_NEW(p->a, states, p->n));
    for (uint64_t i = 0; i < p->n; i++) {
        states[i].best = p->linears[i].at;
        states[i].done[states[i].best] = true;
        states[i].tally = p->linears[i].tally;
        states[i].odd = p->linears[i].odd;
    }
    for (int round = 0; round < TRIES; round++) {
        uint64_t n = 0;
        for (uint64_t i = 0; i < p->n; i++) {
            qp_ag_linear *l = &p->linears[i];
            struct state *s = &states[i];
            l->again = false;
            if (!qp_ag_has_source(l) || !qp_ag_misfits(l)) continue;
            l->odd = s->odd;
            const int next = next_trial(p, l, s->done);
            if (next < 0) continue;
            l->at = next;
            s->done[next] = l->again = true;
            n++;
        }
        if (n == 0) break;
        QP_TRY(qp_ag_judge_all(p, retried, false, err));
        for (uint64_t i = 0; i < p->n; i++) {
            qp_ag_linear *l = &p->linears[i];
            struct state *s = &states[i];
            if (!l->again) continue;
            if (score_of(&l->tally, &l->trials[l->at]) < score_of(&s->tally, &l->trials[s->best])) {
                s->best = l->at;
                l->tally.error = s->tally.error;
                l->tally.power = s->tally.power;
                s->tally = l->tally;
            }
            l->at = s->best;
            l->tally = s->tally;
        }
    }
    return QP_OK;
}

// ---- one engine for all
// -----------------------------------------------------------------------------------------------------------

static bool fits_whole(const qp_ag_linear *l) {
    return l->n_trials > 0 && qp_ag_has_source(l) && !qp_ag_misfits(l);
}

static int trial_of(const qp_ag_linear *l, const qp_ag_rule *r) {
    for (int i = 0; i < l->n_trials; i++)
        if (l->trials[i].rule == r && !l->trials[i].global_differs) return i;
    return -1;
}

// Is there a linear of this family that fitted another rule, and may every one fit this one?
static bool worth_asking(const qp_ag_pass *p, const qp_ag_rule *r) {
    bool used = false, others = false;
    for (uint64_t i = 0; i < p->n; i++) {
        const qp_ag_linear *l = &p->linears[i];
        if (!fits_whole(l) || l->view.family != r->family) continue;
        if (trial_of(l, r) < 0) return false;
        used |= l->trials[l->at].rule == r;
        others |= l->trials[l->at].rule != r;
    }
    return used && others;
}

// Many linears fit torch-cpu and torch-cuda alike, and were given the first. Where one needs a later rule,
// all are judged under it too, and keep it if it fits all: one engine made the file.
static qp_status agree_on(qp_ag_pass *p, const qp_ag_rule *r, int *before, qp_ag_tally *kept, qp_err *err) {
    bool all = true;
    for (uint64_t i = 0; i < p->n; i++) {
        qp_ag_linear *l = &p->linears[i];
        l->again = fits_whole(l) && l->view.family == r->family && l->trials[l->at].rule != r;
        if (!l->again) continue;
        before[i] = l->at;
        kept[i] = l->tally;
        l->at = trial_of(l, r);
    }
    QP_TRY(qp_ag_judge_all(p, retried, false, err));
    for (uint64_t i = 0; i < p->n; i++)
        all = all && (!p->linears[i].again || qp_ag_fits(&p->linears[i].tally));
    for (uint64_t i = 0; i < p->n && !all; i++) {
        qp_ag_linear *l = &p->linears[i];
        if (!l->again) continue;
        l->at = before[i];
        l->tally = kept[i];
    }
    return QP_OK;
}

static qp_status agree(qp_ag_pass *p, qp_err *err) {
    int *before;
    qp_ag_tally *kept;
    QP_TRY(QP_NEW(p->a, before, p->n));
    QP_TRY(QP_NEW(p->a, kept, p->n));
    for (int i = qp_ag_n_rules - 1; i >= 0; i--)
        if (worth_asking(p, &qp_ag_rules[i])) QP_TRY(agree_on(p, &qp_ag_rules[i], before, kept, err));
    return QP_OK;
}

qp_status qp_ag_fit(qp_ag_pass *p, qp_err *err) {
    QP_TRY(take_amax(p, err));
    for (uint64_t i = 0; i < p->n; i++)
        if (qp_ag_has_source(&p->linears[i])) qp_ag_trials(&p->linears[i]);
    QP_TRY(qp_work_run(p->n, p->threads, guess_item, p, err));
    QP_TRY(qp_ag_judge_all(p, first_try, false, err));
    QP_TRY(further_rules(p, err));
    return agree(p, err);
}
