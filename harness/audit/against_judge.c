// SPDX-License-Identifier: Apache-2.0
// One window of one linear under one rule: derived and compared.
#include <string.h>

#include "audit/against_pass.h"

static int64_t max_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

qp_status qp_ag_room(qp_ag_scratch_room *r, const qp_ag_linear *const *linears, uint64_t n, qp_arena *a,
                     qp_err *err) {
    int64_t elems = 1, tiles = 1, columns = 1;
    size_t scratch = 1;
    for (uint64_t i = 0; i < n; i++) {
        const qp_ag_linear *l = linears[i];
        const size_t s = qp_ag_scratch(l->window_rows, l->m->in);
        columns = max_of(columns, l->m->in);
        elems = max_of(elems, l->window_rows * (l->m->in + 1));
        tiles = max_of(tiles, l->window_rows * l->view.scale_cols);
        scratch = s > scratch ? s : scratch;
    }
    QP_TRY(qp_arena_get(a, (size_t)elems * sizeof(uint32_t), &r->x, err));
    QP_TRY(qp_arena_get(a, scratch, &r->rule, err));
    QP_TRY(QP_NEW(a, r->wide, columns));
    QP_TRY(QP_NEW(a, r->got, elems));
    QP_TRY(QP_NEW(a, r->want, elems));
    QP_TRY(QP_NEW(a, r->other, elems));
    QP_TRY(QP_NEW(a, r->near_ties, tiles));
    QP_TRY(QP_NEW(a, r->scales, tiles));
    QP_TRY(QP_NEW(a, r->given, tiles));
    return QP_NEW(a, r->zeros, tiles);
}

uint32_t qp_ag_window_amax(const qp_ag_item *item, void *buffer) {
    const qp_ag_linear *l = item->l;
    const qp_ag_source *s = &l->source[l->chosen_source];
    const void *x = qp_ag_rows(s, l->m->in, item->e * l->m->out + item->row0, item->n_rows, buffer);
    uint32_t amax;
    ref_amax(QP_GRAIN_TENSOR, s->dtype, item->n_rows, l->m->in, 0, 0, x, &amax);
    return amax;
}

void qp_ag_window_of(const qp_ag_item *item, const qp_ag_trial *t, const qp_ag_scratch_room *room,
                     qp_ag_window *w) {
    const qp_ag_linear *l = item->l;
    const qp_ag_source *s = &l->source[l->chosen_source];
    *w = (qp_ag_window){.view = &l->view,
                        .rule = t->rule,
                        .dtype = s->dtype,
                        .e = item->e,
                        .row0 = item->row0,
                        .n_rows = item->n_rows,
                        .amax = t->amax,
                        .codes = room->want,
                        .scales = room->scales,
                        .zeros = room->zeros,
                        .near_ties = room->near_ties,
                        .wide = room->wide,
                        .scratch = room->rule};
    w->x = qp_ag_rows(s, l->m->in, item->e * l->m->out + item->row0, item->n_rows, room->x);
}

// ---- one tile
// ------------------------------------------------------------------------------------------------------------------

typedef struct tile {
    const qp_ag_window *w;
    const uint8_t *got;
    int64_t r0, r1, c0, c1; // of the window
} tile;

static tile tile_of(const qp_ag_window *w, const uint8_t *got, int64_t i) {
    const qp_ag_view *v = w->view;
    tile t = {w, got, i / v->scale_cols * v->tile_rows, 0, i % v->scale_cols * v->tile_cols, 0};
    t.r1 = t.r0 + v->tile_rows < w->n_rows ? t.r0 + v->tile_rows : w->n_rows;
    t.c1 = t.c0 + v->tile_cols < v->m->in ? t.c0 + v->tile_cols : v->m->in;
    return t;
}

static uint64_t codes_apart(const tile *t, const uint8_t *want, qp_ag_place *first) {
    const qp_ag_view *v = t->w->view;
    uint64_t n = 0;
    for (int64_t r = t->r0; r < t->r1; r++) {
        for (int64_t c = t->c0; c < t->c1; c++) {
            const uint8_t a = qp_ag_code(v, want, r, c), b = qp_ag_code(v, t->got, r, c);
            if (qp_ag_same_code(v, a, b)) continue;
            if (n++ == 0) *first = (qp_ag_place){t->w->e, t->w->row0 + r, c, a, b};
        }
    }
    return n;
}

// With the other nibble of its byte in the place of each code.
static uint64_t swapped_apart(const tile *t, const uint8_t *want) {
    const qp_ag_view *v = t->w->view;
    const bool pairs = v->layout == QP_AG_CODE_ROW_PAIRS;
    uint64_t n = 0;
    if (v->layout == QP_AG_CODE_BYTES) return 0;
    for (int64_t r = t->r0; r < t->r1; r++)
        for (int64_t c = t->c0; c < t->c1; c++)
            n += qp_ag_code(v, want, r, c) != qp_ag_code(v, t->got, pairs ? r ^ 1 : r, pairs ? c : c ^ 1);
    return n;
}

static bool before(const qp_ag_place *a, const qp_ag_place *b) {
    if (a->e != b->e) return a->e < b->e;
    return a->row != b->row ? a->row < b->row : a->col < b->col;
}

static void count_codes(qp_ag_tally *out, uint64_t n, const qp_ag_place *first) {
    if (n == 0) return;
    if (out->codes_differ == 0 || before(first, &out->code)) out->code = *first;
    out->codes_differ += n;
}

static void count_scale(qp_ag_tally *out, const tile *t, uint32_t want, uint32_t got, bool chosen) {
    const qp_ag_view *v = t->w->view;
    const uint32_t steps = want > got ? want - got : got - want;
    const qp_ag_place at = {t->w->e, (t->w->row0 + t->r0) / v->tile_rows, t->c0 / v->tile_cols, want, got};
    if (out->scales_differ + out->chosen == 0) out->scale = at;
    *(chosen ? &out->chosen : &out->scales_differ) += 1;
    out->scale_steps = steps > out->scale_steps ? steps : out->scale_steps;
}

// ---- the window
// ----------------------------------------------------------------------------------------------------------------

static void take_stored(const qp_ag_window *w, int64_t n, uint32_t *out) {
    const qp_ag_view *v = w->view;
    const int64_t row0 = w->row0 / v->tile_rows;
    for (int64_t r = 0; r < n / v->scale_cols; r++)
        for (int64_t c = 0; c < v->scale_cols; c++) *out++ = qp_ag_scale(v, w->e, row0 + r, c);
}

static bool zero_fits(const qp_ag_window *w, int64_t i) {
    const qp_ag_view *v = w->view;
    if (v->family != QP_AG_CT_ASYM) return true;
    return w->zeros[i] == qp_ag_zero(v, w->e, w->row0 + i / v->scale_cols * v->tile_rows, i % v->scale_cols);
}

static int64_t n_tiles(const qp_ag_window *w) {
    return (w->n_rows + w->view->tile_rows - 1) / w->view->tile_rows * w->view->scale_cols;
}

// The tile's scale is not the derived one: do its codes follow from the derived or from the stored scale?
static void odd_tile(const tile *t, uint32_t want, uint32_t got, const uint8_t *under_stored, bool counted,
                     qp_ag_tally *out) {
    qp_ag_place here = {0}, there = {0};
    const uint64_t derived = codes_apart(t, t->w->codes, &here);
    const uint64_t given = under_stored != NULL ? codes_apart(t, under_stored, &there) : derived;
    const bool chosen = derived > 0 && given == 0 && under_stored != NULL;
    if (counted) count_scale(out, t, want, got, chosen);
    if (given < derived)
        count_codes(out, given, &there);
    else
        count_codes(out, derived, &here);
}

static void compare(const qp_ag_window *w, const uint8_t *got, const qp_ag_scratch_room *room,
                    qp_ag_tally *out) {
    const qp_ag_view *v = w->view;
    const int64_t n = n_tiles(w);
    // the only scale of a tensor belongs to its first window
    const bool counted = v->m->scheme->spread != QP_CK_ONE || (w->e == 0 && w->row0 == 0);
    const uint8_t *under_stored = NULL;
    bool scales_fit = true;
    out->n_codes = (uint64_t)(w->n_rows * v->m->in);
    out->n_scales = counted ? (uint64_t)n : 0;
    take_stored(w, n, room->given);
    for (int64_t i = 0; i < n; i++) {
        out->near_ties += w->rule->searches && w->near_ties[i];
        scales_fit &= w->scales[i] == room->given[i] || qp_ag_same_scale(v, w->scales[i], room->given[i]);
        scales_fit &= v->family != QP_AG_CT_ASYM || zero_fits(w, i);
    }
    if (scales_fit && memcmp(got, w->codes, (size_t)qp_ag_row_bytes(v, w->n_rows)) == 0) return;
    if (!scales_fit && w->rule->takes_given) {
        qp_ag_window again = *w;
        again.given = room->given;
        again.codes = room->other;
        // the derived scales are still needed: the window's go to the room of the scratch
        again.scales = (uint32_t *)room->rule + 2 * n;
        w->rule->derive(&again);
        under_stored = room->other;
    }
    for (int64_t i = 0; i < n; i++) {
        const tile t = tile_of(w, got, i);
        qp_ag_place first = {0};
        out->swap_differ += swapped_apart(&t, w->codes);
        if (!qp_ag_same_scale(v, w->scales[i], room->given[i]) || !zero_fits(w, i))
            odd_tile(&t, w->scales[i], room->given[i], under_stored, counted, out);
        else
            count_codes(out, codes_apart(&t, w->codes, &first), &first);
    }
}

static double square(double d) {
    return d * d;
}

// Group of a column: act-order checkpoints keep them in g_idx.
static int64_t tile_col(const qp_ag_view *v, int64_t c) {
    const qp_ck_tensor *g = v->m->part[QP_CK_G_IDX];
    int32_t group;
    if (g == NULL || g->dtype != QP_ST_I32 || g->n_elems < (uint64_t)v->m->in) return c / v->tile_cols;
    memcpy(&group, g->data + 4 * c, sizeof group);
    return group >= 0 && group < v->scale_cols ? group : c / v->tile_cols;
}

// What a scale, a zero point and a code mean of the elements of a row that share them.
typedef struct run {
    const qp_ag_window *w;
    const float *levels; // by code
    int64_t r, c0, c1;
} run;

static double error_of(const run *u, const uint8_t *codes, float scale, int zero) {
    const qp_ag_window *w = u->w;
    const float nought = (float)zero;
    double sum = 0;
    for (int64_t c = u->c0; c < u->c1; c++) {
        const float level = u->levels[qp_ag_code(w->view, codes, u->r, c)], value = (level - nought) * scale;
        sum += square((double)value - w->wide[c]);
    }
    return sum;
}

// Elements from c on that share a scale: act-order has no runs.
static int64_t end_of_run(const qp_ag_view *v, int64_t c) {
    if (v->m->part[QP_CK_G_IDX] != NULL) return c + 1;
    const int64_t end = (c / v->tile_cols + 1) * v->tile_cols;
    return end < v->m->in ? end : v->m->in;
}

static void measure(const qp_ag_window *w, const uint8_t *got, bool derived, qp_ag_tally *out) {
    const qp_ag_view *v = w->view;
    float levels[256];
    for (int i = 0; i < QP_COUNT(levels); i++) levels[i] = qp_ag_level(v, (uint8_t)i);
    for (int64_t r = 0; r < w->n_rows; r++) {
        const int64_t tr = (w->row0 + r) / v->tile_rows;
        for (int64_t c = 0; c < v->m->in; c++) {
            w->wide[c] = qp_ag_number(ref_load_f32(w->dtype, w->x, r * v->m->in + c));
            out->power += square(w->wide[c]);
        }
        for (int64_t c = 0, end; c < v->m->in; c = end) {
            end = end_of_run(v, c);
            const run u = {w, levels, r, c, end};
            const int64_t tc = tile_col(v, c), i = r / v->tile_rows * v->scale_cols + c / v->tile_cols;
            out->error += error_of(&u, got, qp_ag_scale_value(v, qp_ag_scale(v, w->e, tr, tc)),
                                   qp_ag_zero(v, w->e, w->row0 + r, tc));
            if (derived)
                out->derived_error += error_of(&u, w->codes, qp_ag_scale_value(v, w->scales[i]),
                                               v->family == QP_AG_CT_ASYM ? w->zeros[i] : 0);
        }
    }
}

void qp_ag_judge(const qp_ag_item *item, const qp_ag_trial *t, bool distance, const qp_ag_scratch_room *room,
                 qp_ag_tally *out) {
    qp_ag_window w;
    *out = (qp_ag_tally){0};
    qp_ag_window_of(item, t, room, &w);
    const uint8_t *got = qp_ag_codes(&item->l->view, item->e, item->row0, item->n_rows, room->got);
    if (t->rule != NULL) {
        t->rule->derive(&w);
        compare(&w, got, room, out);
    }
    if (distance) measure(&w, got, t->rule != NULL, out);
}

void qp_ag_merge(qp_ag_tally *into, const qp_ag_tally *w) {
    if (w->codes_differ > 0 && (into->codes_differ == 0 || before(&w->code, &into->code)))
        into->code = w->code;
    if (w->scales_differ + w->chosen > 0 &&
        (into->scales_differ + into->chosen == 0 || before(&w->scale, &into->scale)))
        into->scale = w->scale;
    into->n_codes += w->n_codes;
    into->n_scales += w->n_scales;
    into->codes_differ += w->codes_differ;
    into->scales_differ += w->scales_differ;
    into->near_ties += w->near_ties;
    into->chosen += w->chosen;
    into->swap_differ += w->swap_differ;
    into->scale_steps = w->scale_steps > into->scale_steps ? w->scale_steps : into->scale_steps;
    into->error += w->error;
    into->derived_error += w->derived_error;
    into->power += w->power;
}

bool qp_ag_fits(const qp_ag_tally *t) {
    return t->codes_differ + t->scales_differ + t->chosen == 0;
}
