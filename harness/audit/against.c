// SPDX-License-Identifier: Apache-2.0
// --against: every quantized linear beside its original, quantized again by the reference. Reads top to
// bottom: which linears, how their originals lie, which rules fit, findings, what is not quantized.
#include <math.h>
#include <string.h>

#include "audit/against_pass.h"

enum { WINDOW = 1 << 18 }; // elements

// ---- which linears
// -----------------------------------------------------------------------------------------------------------

static bool is_quantized(const qp_ck_module *m) {
    return m->scheme != NULL && m->part[QP_CK_WEIGHT] != NULL && m->part[QP_CK_SCALE] != NULL && m->out > 0 &&
           m->in > 0;
}

// Rows that a window may end after: whole tiles, pairs of rows. The scale of a whole tensor needs no whole
// tensor.
int64_t qp_ag_unit(const qp_ag_view *v) {
    return v->tile_rows > 1 && v->m->scheme->spread != QP_CK_ONE ? v->tile_rows : 2;
}

static int64_t rows_of_window(const qp_ag_view *v) {
    const int64_t unit = qp_ag_unit(v), rows = WINDOW / v->m->in / unit * unit;
    const int64_t least = rows > unit ? rows : unit;
    return least < v->m->out ? least : v->m->out;
}

static qp_status add_linear(qp_ag_pass *p, const qp_ck_module *m, qp_err *err) {
    qp_ag_linear *l = &p->linears[p->n++];
    l->m = m;
    if (!m->sound) {
        l->why_not = "its tensors do not have the shapes of the scheme";
        return QP_OK;
    }
    qp_ag_view_of(m, &l->view, &l->why_not);
    l->unlikely = !m->scheme->derivable || m->scheme->pre_quant || m->scheme->lora ||
                  m->part[QP_CK_PRE_QUANT] != NULL || m->part[QP_CK_LORA_A] != NULL;
    l->window_rows = rows_of_window(&l->view);
    l->n_windows = (m->out + l->window_rows - 1) / l->window_rows;
    const qp_ag_wanted w = {m->name, m->n_name, m->stack > 0 ? m->stack : 1, m->out, m->in};
    return qp_ag_sources(&p->other, &w, p->a, l->source, &l->n_sources, err);
}

static qp_status list_linears(qp_ag_pass *p, qp_err *err) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < p->u->modules.n; i++) n += is_quantized(&p->u->modules.list[i]);
    QP_TRY(QP_NEW(p->a, p->linears, n));
    for (uint32_t i = 0; i < p->u->modules.n; i++)
        if (is_quantized(&p->u->modules.list[i])) QP_TRY(add_linear(p, &p->u->modules.list[i], err));
    return QP_OK;
}

static qp_status make_rooms(qp_ag_pass *p, qp_err *err) {
    const qp_ag_linear **all;
    uint64_t n = 0;
    QP_TRY(QP_NEW(p->a, all, p->n));
    for (uint64_t i = 0; i < p->n; i++)
        if (qp_ag_has_source(&p->linears[i])) all[n++] = &p->linears[i];
    p->threads = qp_work_threads(p->o->threads);
    QP_TRY(QP_NEW(p->a, p->rooms, p->threads));
    for (int i = 0; i < p->threads; i++) QP_TRY(qp_ag_room(&p->rooms[i], all, n, p->a, err));
    return QP_OK;
}

// ---- how the original lies, where sizes leave it open: the nearest to what is stored
// --------------------------------------------------

static void choose_source(qp_ag_pass *p, qp_ag_linear *l) {
    static const qp_ag_trial none = {0};
    const int64_t n = l->m->out < l->window_rows ? l->m->out : l->window_rows;
    const qp_ag_item first = {l, 0, 0, n};
    double least = INFINITY;
    int best = 0;
    for (int i = 0; l->n_sources > 1 && i < l->n_sources; i++) {
        qp_ag_tally t;
        l->chosen_source = i;
        qp_ag_judge(&first, &none, true, &p->rooms[0], &t);
        if (!(t.error < least)) continue;
        least = t.error;
        best = i;
    }
    l->chosen_source = best;
}

static bool measured(const qp_ag_linear *l) {
    return qp_ag_has_source(l) && (l->n_trials == 0 || qp_ag_misfits(l));
}

// ---- the pass
// ----------------------------------------------------------------------------------------------------------------

static qp_status run(qp_ag_pass *p, qp_err *err) {
    qp_against *g = &p->u->against;
    QP_TRY(list_linears(p, err));
    QP_TRY(make_rooms(p, err));
    QP_TRY(QP_NEW(p->a, p->folded, 2 * QP_AG_LAYERS));
    for (uint64_t i = 0; i < p->n; i++)
        if (qp_ag_has_source(&p->linears[i])) choose_source(p, &p->linears[i]);
    QP_TRY(qp_ag_fit(p, err));
    QP_TRY(qp_ag_judge_all(p, measured, true, err));
    QP_TRY(qp_ag_say(p, err));
    QP_TRY(qp_ag_losses(p, err));
    const qp_ag_plain plain = {p->u, &p->other, p->folded, QP_AG_LAYERS, p->threads};
    return qp_ag_plain_run(&plain, p->a, p->f, g, err);
}

// The original is not what is audited, but what could not be read of it was not judged either: never silent.
static qp_status carry_over(const qp_ag_pass *p, const qp_ck_findings *of_other, qp_err *err) {
    for (size_t i = 0; i < of_other->n; i++) {
        const qp_ck_finding *x = &of_other->list[i];
        if (qp_ck_rules[x->rule].severity == QP_SEV_ERROR)
            QP_TRY(qp_ck_found(p->f, x->rule, x->tensor, strlen(x->tensor),
                               "what it holds was not judged with --against", err, "in the original: %s",
                               x->detail));
    }
    return QP_OK;
}

qp_status qp_pass_against(const qp_audit_options *o, qp_audit *u, qp_arena *a, qp_ck_findings *f,
                          qp_err *err) {
    qp_ag_pass p = {.o = o, .u = u, .a = a, .f = f};
    qp_ck_findings of_other;
    qp_ck_findings_init(&of_other, a);
    qp_status status = qp_ck_open(o->against, false, a, &of_other, &p.other, err);
    if (status == QP_OK) status = run(&p, err);
    if (status == QP_OK) status = qp_ck_check_unchanged(&p.other, &of_other, err);
    if (status == QP_OK) status = carry_over(&p, &of_other, err);
    qp_ck_close(&p.other);
    return status;
}
