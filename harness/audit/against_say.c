// SPDX-License-Identifier: Apache-2.0
// What is said of each linear: a misfit that its recipe explains is underivable, every other one a finding.
#include <math.h>
#include <string.h>

#include "audit/against_pass.h"
#include "core/text.h"

enum {
    // A slip, or another spelling of the scale, changes fewer: spellings up to 1.4 % of the scales (2.3).
    MASSIVE = 16,
    WORSE =
        3, // how much further from the original than the derived codes an error-compensating rounding may be
};

// ---- qp_ag_misfits that no rule is meant to fit
// ---------------------------------------------------------------------------------------

static bool many(uint64_t n, uint64_t of) {
    return n > 0 && n >= (of + MASSIVE - 1) / MASSIVE;
}

static bool is_compensated(const qp_ag_linear *l) {
    const qp_ag_tally *t = &l->tally;
    return many(t->codes_differ, t->n_codes) && t->error < WORSE * WORSE * t->derived_error;
}

static bool layer_in(const qp_ag_pass *p, const qp_ag_linear *l) {
    return l->m->layer >= 0 && l->m->layer < QP_AG_LAYERS && p->folded[l->m->layer];
}

static const char *reason_of(const qp_ag_linear *l) {
    if (l->m->part[QP_CK_LORA_A] != NULL || l->m->scheme->lora)
        return "SVDQuant: a part of the weight is beside it";
    if (l->m->part[QP_CK_PRE_QUANT] != NULL) return "its weights are scaled by pre_quant_scale";
    return "the recipe may have scaled its weights (AWQ, SmoothQuant)";
}

// Scales and codes fit under a smaller amax that the whole group took: 0.5 is the least ratio of AWQ-clip
// (numerics 6.6). A global scale damaged by some units in the last place is no such thing.
static bool is_clipped(const qp_ag_pass *p, const qp_ag_linear *l) {
    enum { NEAR = 1 << 15 };
    const qp_ag_trial *t = &l->trials[l->at];
    if (!t->global_differs || t->global_is == NULL || !qp_ag_fits(&l->tally)) return false;
    if (t->amax + NEAR > l->group_amax || ref_mul(t->amax, 0x40000000) < l->group_amax) return false;
    for (uint64_t i = l->first_of_share;
         l->m->share >= 0 && i < p->n && p->by_share[i]->m->share == l->m->share; i++)
        if (qp_ag_has_source(p->by_share[i]) && qp_ag_global(&p->by_share[i]->view) != qp_ag_global(&l->view))
            return false;
    return true;
}

// The right codes in the wrong places: no recipe, however it moved the weights, gives that by chance.
static bool is_misplaced(const qp_ag_linear *l) {
    static const char *const classes[] = {"nibble swap", "codes transposed", "scales transposed", "swizzle"};
    for (int i = 0; l->class != NULL && i < QP_COUNT(classes); i++)
        if (strncmp(l->class, classes[i], strlen(classes[i])) == 0) return true;
    return false;
}

// A searched scale gives codes that follow from it, a damaged one does not.
static void settle(qp_ag_pass *p, qp_ag_linear *l) {
    const qp_ag_tally *t = &l->tally;
    const qp_ag_trial *trial = l->n_trials > 0 ? &l->trials[l->at] : NULL;
    l->again = false;
    if (trial == NULL || !qp_ag_misfits(l) || is_misplaced(l)) return;
    if (l->unlikely && (many(t->codes_differ, t->n_codes) ||
                        many(t->chosen + t->scales_differ, t->n_scales) || trial->global_differs))
        l->why_not = reason_of(l);
    else if (l->m->scheme->spread != QP_CK_TILE_3D && many(t->chosen + t->scales_differ, t->n_scales) &&
             t->chosen >= t->scales_differ && t->codes_differ == 0 && !trial->global_differs) {
        l->why_not = "its scales are the choice of a search (clip, Hessian), its codes follow from them";
        l->searched = true;
    } else if (is_clipped(p, l))
        l->why_not = "its global scale follows from a smaller amax, for its whole group (clip)";
    else if (layer_in(p, l) && many(t->codes_differ + t->chosen, t->n_codes))
        l->why_not = "a norm of its layer is not the original: scales were folded into it";
    else if (is_compensated(l) && strcmp(l->class, "codes") == 0 && !trial->global_differs)
        l->why_not = "its codes are not the nearest ones: a rounding that makes up for errors (GPTQ)";
}

// Layers in which a one-dimensional norm is not the original's.
static void find_folded(qp_ag_pass *p) {
    for (uint32_t i = 0; i < p->u->modules.n; i++) {
        const qp_ck_module *m = &p->u->modules.list[i];
        const qp_ck_tensor *t = m->part[QP_CK_WEIGHT];
        if (m->layer < 0 || m->layer >= QP_AG_LAYERS || t == NULL || t->n_dims != 1 || m->scheme != NULL)
            continue;
        const qp_ck_tensor *o = qp_ag_tensor(&p->other, t->name, t->n_name);
        if (o == NULL || o->n_bytes != t->n_bytes || memcmp(o->data, t->data, t->n_bytes) == 0) continue;
        p->folded[m->layer] = true;
    }
}

// Only where linears were moved too is a changed norm a folded one.
static void keep_folded(qp_ag_pass *p) {
    bool *moved = p->folded + QP_AG_LAYERS;
    for (uint64_t i = 0; i < p->n; i++) {
        const qp_ag_linear *l = &p->linears[i];
        if (l->why_not != NULL && l->m->layer >= 0 && l->m->layer < QP_AG_LAYERS) moved[l->m->layer] = true;
    }
    for (int i = 0; i < QP_AG_LAYERS; i++) p->folded[i] = p->folded[i] && moved[i];
}

// ---- findings
// ----------------------------------------------------------------------------------------------------------------

static qp_status expert_text(const qp_ag_linear *l, int64_t e, qp_arena *a, const char **out, qp_err *err) {
    *out = "";
    if (l->m->stack <= 1 && l->m->expert < 0) return QP_OK;
    return qp_arena_printf(a, out, err, "expert %lld, ", (long long)(l->m->stack > 1 ? e : l->m->expert));
}

static qp_status say_codes(qp_ag_pass *p, const qp_ag_linear *l, const char *class, qp_err *err) {
    const qp_ag_tally *t = &l->tally;
    const qp_ck_tensor *w = l->m->part[QP_CK_WEIGHT];
    const char *expert;
    QP_TRY(expert_text(l, t->code.e, p->a, &expert, err));
    return qp_ck_found(p->f, QP_CK_CODES_DIFFER, w->name, w->n_name, NULL, err,
                       "%llu of %llu codes (%s); first %s[%lld, %lld], block %lld: wanted %02x, got %02x; %s",
                       (unsigned long long)t->codes_differ, (unsigned long long)t->n_codes, class, expert,
                       (long long)t->code.row, (long long)t->code.col,
                       (long long)(t->code.col / l->view.tile_cols), t->code.want, t->code.got,
                       l->trials[l->at].rule->name);
}

static qp_status say_scales(qp_ag_pass *p, const qp_ag_linear *l, const char *class, qp_err *err) {
    const qp_ag_tally *t = &l->tally;
    const qp_ck_tensor *s = l->m->part[QP_CK_SCALE];
    const int digits = l->view.scale_bytes ? 2 : 8;
    const char *expert;
    QP_TRY(expert_text(l, t->scale.e, p->a, &expert, err));
    return qp_ck_found(p->f, QP_CK_SCALES_DIFFER, s->name, s->n_name, NULL, err,
                       "%llu of %llu scales (%s); first %s[%lld, %lld]: wanted %0*x, got %0*x; %s",
                       (unsigned long long)(t->scales_differ + t->chosen), (unsigned long long)t->n_scales,
                       class, expert, (long long)t->scale.row, (long long)t->scale.col, digits, t->scale.want,
                       digits, t->scale.got, l->trials[l->at].rule->name);
}

static qp_status say_global(qp_ag_pass *p, const qp_ag_linear *l, qp_err *err) {
    const qp_ck_tensor *g = l->m->part[QP_CK_GLOBAL];
    const qp_ag_trial *t = &l->trials[l->at];
    const qp_dtype dtype = l->source[l->chosen_source].dtype;
    const uint32_t want = qp_ag_derive_global(&l->view, t->rule, dtype, l->group_amax);
    const uint32_t got = qp_ag_global(&l->view), steps = want > got ? want - got : got - want;
    const char *how = t->global_is;
    if (steps <= 64) QP_TRY(qp_arena_printf(p->a, &how, err, "%u ulp", steps));
    if (how == NULL && ref_div(0x3f800000u, want) == got) how = "the reciprocal";
    return qp_ck_found(p->f, QP_CK_GLOBAL_DIFFERS, g->name, g->n_name, NULL, err,
                       "wanted %08x from the amax of its group, got %08x (%s); %s", want, got,
                       how != NULL ? how : "no amax behind it", t->rule->name);
}

static qp_status say(qp_ag_pass *p, qp_ag_linear *l, qp_against_row *row, qp_err *err) {
    const qp_ag_tally *t = &l->tally;
    row->class = l->class;
    if (l->trials[l->at].global_differs) QP_TRY(say_global(p, l, err));
    if (t->scales_differ + t->chosen > 0) QP_TRY(say_scales(p, l, row->class, err));
    if (t->codes_differ > 0) QP_TRY(say_codes(p, l, row->class, err));
    return QP_OK;
}

static void fill_row(const qp_ag_linear *l, qp_against_row *row) {
    const qp_ag_tally *t = &l->tally;
    *row = (qp_against_row){.module = l->m, .class = ""};
    row->skipped = l->why_not;
    if (l->n_sources == 0) {
        row->skipped = l->m->sound ? "no original of this name" : l->why_not;
        return;
    }
    row->original = l->source[l->chosen_source].shown;
    row->engine = l->n_trials > 0 ? l->trials[l->at].rule->name : "";
    row->n_codes = t->n_codes;
    row->n_scales = t->n_scales;
    row->distance = t->power > 0 ? sqrt(t->error / t->power) : 0;
    if (row->skipped != NULL || l->n_trials == 0) return;
    row->codes_differ = t->codes_differ;
    row->scales_differ = t->scales_differ + t->chosen;
    row->globals_differ = l->trials[l->at].global_differs;
    row->near_ties = t->near_ties;
}

static qp_status count_row(qp_ag_pass *p, qp_ag_linear *l, qp_against_row *row, qp_err *err) {
    qp_against *g = &p->u->against;
    fill_row(l, row);
    if (row->original == NULL)
        g->unmatched++;
    else if (row->skipped != NULL)
        g->underivable++;
    else {
        g->judged++;
        if (!qp_ag_misfits(l)) return QP_OK;
        g->mismatched++;
        return say(p, l, row, err);
    }
    return QP_OK;
}

static qp_status name_unmatched(qp_ag_pass *p, const qp_against *g, qp_err *err) {
    enum { NAMED = 5 };
    qp_text text = {.arena = p->a};
    int named = 0;
    if (g->unmatched == 0) return QP_OK;
    for (uint32_t i = 0; i < g->n_rows && named < NAMED; i++) {
        const char *shown;
        if (g->rows[i].original != NULL) continue;
        QP_TRY(qp_ck_show(g->rows[i].module->name, g->rows[i].module->n_name, p->a, &shown, err));
        QP_TRY(qp_text_add(&text, err, "%s%s", named++ > 0 ? ", " : "", shown));
    }
    return qp_ck_found(p->f, QP_CK_STATISTICS, p->o->against, strlen(p->o->against), NULL, err,
                       "--against: %llu quantized linears have no original here: %s%s",
                       (unsigned long long)g->unmatched, text.s, g->unmatched > NAMED ? " ..." : "");
}

// The first word of a rule's name.
static qp_status common_engine(const qp_ag_pass *p, const char **out, qp_err *err) {
    const char *name = "";
    int n = 0;
    *out = "";
    for (uint64_t i = 0; i < p->n; i++) {
        const qp_ag_linear *l = &p->linears[i];
        if (!qp_ag_has_source(l) || l->n_trials == 0 || l->why_not != NULL) continue;
        const char *rule = l->trials[l->at].rule->name;
        if (qp_ag_misfits(l) ||
            (n > 0 && (strncmp(name, rule, (size_t)n) != 0 || (int)strcspn(rule, " ") != n)))
            return QP_OK;
        name = rule;
        n = (int)strcspn(rule, " ");
    }
    return qp_arena_printf(p->a, out, err, "%.*s", n, name);
}

qp_status qp_ag_say(qp_ag_pass *p, qp_err *err) {
    qp_against *g = &p->u->against;
    find_folded(p);
    QP_TRY(QP_NEW(p->a, g->rows, p->n));
    for (uint64_t i = 0; i < p->n; i++) {
        qp_ag_linear *l = &p->linears[i];
        l->class = qp_ag_has_source(l) && qp_ag_misfits(l) ? qp_ag_class(l, &p->rooms[0], p->a, err) : "";
        settle(p, l);
        QP_TRY(count_row(p, &p->linears[i], &g->rows[g->n_rows++], err));
    }
    keep_folded(p);
    QP_TRY(name_unmatched(p, g, err));
    QP_TRY(common_engine(p, &g->engine, err));
    return QP_OK;
}
