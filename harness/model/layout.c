// SPDX-License-Identifier: Apache-2.0
// Where a rank stands in every degree, and whether a layout is possible for the modules and formats at hand.
// The order of refusals is part of the contract (the reference derives the same one by itself): ranks,
// layers, then module by module experts, units, rows, columns, blocks. Modules that are not quantizable never
// refuse.
#include <stdio.h>

#include "model/model.h"

int qp_layout_ranks(const qp_layout *l) {
    return l->pp * l->dp * l->cp * l->tp;
}

qp_coord qp_layout_coord(const qp_layout *l, int rank) {
    qp_coord c = {.rank = rank};
    c.tp_rank = rank % l->tp;
    c.cp_rank = rank / l->tp % l->cp;
    c.dp_rank = rank / (l->tp * l->cp) % l->dp;
    c.pp_rank = rank / (l->tp * l->cp * l->dp);
    int n = l->dp * l->cp * l->tp, in_stage = rank % n, per_ep = n / l->ep;
    c.ep_rank = in_stage / per_ep;
    c.etp_rank = in_stage % per_ep % l->etp;
    c.edp_rank = in_stage % per_ep / l->etp;
    return c;
}

const char *qp_layout_text(const qp_layout *l, char buf[64]) {
    int n = snprintf(buf, 64, "tp%d ep%d etp%d dp%d", l->tp, l->ep, l->etp, l->dp);
    if (l->cp != 1 && n < 64) n += snprintf(buf + n, 64 - (size_t)n, " cp%d", l->cp);
    if (l->pp != 1 && n < 64) snprintf(buf + n, 64 - (size_t)n, " pp%d", l->pp);
    return buf;
}

typedef struct refusal {
    const char *model;
    const qp_module *m;
    const char *degree_name; // "TP" or "expert TP"
    int degree;
    qp_refusal *why;
} refusal;

static qp_status check_columns_style(const refusal *r, qp_err *err) {
    const qp_module *m = r->m;
    for (int i = 0; i < m->n_segments; i++) {
        const qp_segment *s = &m->segments[i];
        bool whole = s->units == 0 || s->units % r->degree == 0;
        if (whole || (s->replicate && r->degree % s->units == 0)) continue;
        *r->why = QP_REFUSE_UNITS;
        QP_FAIL(QP_REFUSED, "%s: %s (segment %s) has %lld heads or groups, %s %d does not divide them%s",
                r->model, m->fqn, s->name, (long long)s->units, r->degree_name, r->degree,
                s->replicate ? " and is no multiple of them" : "");
    }
    for (int i = 0; i < m->n_segments; i++) {
        const qp_segment *s = &m->segments[i];
        if (s->units != 0 || s->rows % r->degree == 0) continue;
        *r->why = QP_REFUSE_ROWS;
        QP_FAIL(QP_REFUSED, "%s: %s (segment %s) has %lld rows, %s %d does not divide them", r->model, m->fqn,
                s->name, (long long)s->rows, r->degree_name, r->degree);
    }
    return QP_OK;
}

static qp_status check_row_style(const refusal *r, const qp_qconfig *weight, qp_err *err) {
    const qp_module *m = r->m;
    if (m->in_units > 0 && m->in_units % r->degree != 0) {
        *r->why = QP_REFUSE_UNITS;
        QP_FAIL(QP_REFUSED, "%s: %s has %lld heads in its columns, %s %d does not divide them", r->model,
                m->fqn, (long long)m->in_units, r->degree_name, r->degree);
    }
    if (m->in % r->degree != 0) {
        *r->why = QP_REFUSE_COLS;
        QP_FAIL(QP_REFUSED, "%s: %s has %lld columns, %s %d does not divide them", r->model, m->fqn,
                (long long)m->in, r->degree_name, r->degree);
    }
    // A ragged last block is fine on one rank; cut columns must keep every block on one rank.
    const qp_format_row *f = weight->enabled ? qp_format_get(weight->format) : NULL;
    if (r->degree == 1 || f == NULL || f->grain != QP_GRAIN_BLOCK || m->in / r->degree % f->block_cols == 0)
        return QP_OK;
    *r->why = QP_REFUSE_BLOCK;
    QP_FAIL(QP_REFUSED, "%s: %s has %lld columns, %lld a rank under %s %d, no multiple of the %s block of %d",
            r->model, m->fqn, (long long)m->in, (long long)(m->in / r->degree), r->degree_name, r->degree,
            f->name, f->block_cols);
}

static qp_status check_module(const qp_layout *l, const qp_model *model, const qp_module *m,
                              const qp_qconfig *weight, qp_refusal *why, qp_err *err) {
    bool routed = m->expert >= 0;
    refusal r = {model->name, m, routed ? "expert TP" : "TP", routed ? l->etp : l->tp, why};
    if (routed && m->n_experts % l->ep != 0) {
        *why = QP_REFUSE_EXPERTS;
        QP_FAIL(QP_REFUSED, "%s: %s is one of %d experts, EP %d does not divide them", model->name,
                m->projection, m->n_experts, l->ep);
    }
    if (m->style == QP_STYLE_COLUMN) QP_TRY(check_columns_style(&r, err));
    if (m->style == QP_STYLE_ROW) QP_TRY(check_row_style(&r, weight, err));
    return QP_OK;
}

qp_status qp_layout_check(const qp_layout *l, const qp_model *m, const qp_recipe *r, qp_refusal *why,
                          int *which, qp_err *err) {
    char text[64];
    *why = QP_REFUSE_RANKS;
    *which = -1;
    if (l->tp < 1 || l->cp < 1 || l->pp < 1 || l->dp < 1 || l->ep < 1 || l->etp < 1)
        QP_FAIL(QP_REFUSED, "%s: layout %s cp%d pp%d: every degree must be at least 1", m->name,
                qp_layout_text(l, text), l->cp, l->pp);
    int64_t stage = (int64_t)l->dp * l->cp * l->tp, experts = (int64_t)l->etp * l->ep;
    if (stage % experts != 0)
        QP_FAIL(QP_REFUSED, "%s: layout %s: %lld ranks (dp*cp*tp) are no multiple of %lld (etp*ep)", m->name,
                qp_layout_text(l, text), (long long)stage, (long long)experts);
    *why = QP_REFUSE_LAYERS;
    if (m->n_layers < l->pp)
        QP_FAIL(QP_REFUSED, "%s has %d layers, fewer than %d pipeline stages", m->name, m->n_layers, l->pp);
    *why = QP_REFUSE_NONE;
    for (int i = 0; i < m->n_modules; i++) {
        if (!m->modules[i].quantizable) continue;
        qp_qconfig weight;
        qp_recipe_resolve(r, m->modules[i].fqn, "weight_quantizer", &weight);
        *which = i;
        QP_TRY(check_module(l, m, &m->modules[i], &weight, why, err));
    }
    *which = -1;
    return QP_OK;
}
