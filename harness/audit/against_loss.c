// SPDX-License-Identifier: Apache-2.0
// The loss of stored NVFP4 block scales beside the least one that any of the 126 positive E4M3 scales has at
// the stored global scale (numerics 6.3), on a sample of blocks. Both are losses of the reference, of the
// nearest codes: the least one is the smallest of its numbers, so no quotient is below 1.
#include "audit/against_pass.h"
#include "qp/refcalib.h"

typedef struct sums {
    double stored, least; // of losses, each a binary32 sum of 16 terms
    uint64_t blocks;
} sums;

typedef struct losses {
    qp_ag_pass *p;
    sums *list; // one per linear
} losses;

static bool has_loss(const qp_ag_linear *l) {
    const qp_ag_view *v = &l->view;
    return qp_ag_has_source(l) && l->n_trials > 0 && (l->why_not == NULL || l->searched) &&
           (v->family == QP_AG_NVFP4 || v->family == QP_AG_NVFP4_CT) && v->tile_rows == 1 &&
           v->tile_cols == REF_SWEEP_BLOCK;
}

// Candidate k has the scale byte k + 1. The amax behind the stored global scale: 2688 times it, which an ulp
// may part from the one that the search saw; that one where the linear's own rule knows it.
static bool scales_of(const qp_ag_linear *l, ref_sweep_scales *out) {
    const uint32_t largest = 0x45280000, stored = qp_ag_global(&l->view); // 448 * 6
    const qp_ag_trial *t = &l->trials[l->at];
    const bool known = !l->view.divides && !t->global_differs && t->rule->format != QP_NVFP4_46;
    const uint32_t amax = known             ? t->amax
                          : l->view.divides ? ref_div(largest, stored)
                                            : ref_mul(largest, stored);
    const bool cuda = t->rule->engine == QP_ENGINE_TORCH_CUDA;
    ref_sweep_scales_of(cuda ? QP_ENGINE_TORCH_CUDA : QP_ENGINE_TORCH_CPU, amax, out);
    return out->regular && out->scale[0] != 0;
}

// A stored byte that is no positive scale is left out: a zero block, or an error that has its own finding.
static void add_block(const qp_ag_linear *l, const ref_sweep_scales *t, int64_t row, int64_t seg, sums *to) {
    const qp_ag_source *s = &l->source[l->chosen_source];
    const int64_t in = l->m->in, col = seg * REF_SWEEP_BLOCK, left = in - col;
    const int n = left < REF_SWEEP_BLOCK ? (int)left : REF_SWEEP_BLOCK;
    const int stored = (int)qp_ag_scale(&l->view, row / l->m->out, row % l->m->out, seg) - 1;
    uint32_t buffer[REF_SWEEP_BLOCK];
    if (stored < 0 || stored >= REF_SWEEP_CANDIDATES) return;
    const void *x = qp_ag_run(s, row, col, n, buffer);
    const uint32_t mine = ref_sweep_loss(t, stored, s->dtype, x, n);
    if (mine >= 0x7f800000u) return; // NaN, Inf or values beyond the range of squares
    const int best = ref_sweep_pruned(t, s->dtype, x, n, NULL);
    to->stored += (double)qp_ag_number(mine);
    to->least += (double)qp_ag_number(ref_sweep_loss(t, best, s->dtype, x, n));
    to->blocks++;
}

// One block of every stratum, at a place that walks: equal strides would keep to a few columns.
static qp_status of_linear(void *ctx, int thread, uint64_t item, qp_err *err) {
    losses *w = ctx;
    const qp_ag_linear *l = &w->p->linears[item];
    const uint64_t cols = (uint64_t)l->view.scale_cols, all = (uint64_t)(l->m->stack * l->m->out) * cols;
    const uint64_t n = all < QP_AGAINST_SAMPLE ? all : QP_AGAINST_SAMPLE;
    ref_sweep_scales t;
    (void)thread, (void)err;
    if (!has_loss(l) || !scales_of(l, &t)) return QP_OK;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t first = all / n * i + all % n * i / n, end = all / n * (i + 1) + all % n * (i + 1) / n;
        const uint64_t walk = i * 0x9e3779b9u & 0xffffffffu; // golden section of 2^32
        const uint64_t at = first + ((end - first) * walk >> 32);
        add_block(l, &t, (int64_t)(at / cols), (int64_t)(at % cols), &w->list[item]);
    }
    return QP_OK;
}

qp_status qp_ag_losses(qp_ag_pass *p, qp_err *err) {
    qp_against *g = &p->u->against;
    losses w = {.p = p};
    double sum = 0;
    QP_TRY(QP_NEW(p->a, w.list, p->n));
    QP_TRY(qp_work_run(p->n, p->threads, of_linear, &w, err));
    for (uint64_t i = 0; i < p->n; i++) {
        const sums *s = &w.list[i];
        qp_against_row *row = &g->rows[i];
        if (s->blocks == 0 || (s->least == 0 && s->stored > 0)) continue; // nothing to divide by
        row->loss_ratio = s->stored > 0 ? s->stored / s->least : 1;
        sum += row->loss_ratio;
        g->loss.linears++;
        if (!(row->loss_ratio > g->loss.worst)) continue;
        g->loss.worst = row->loss_ratio;
        g->loss.worst_at = row->module;
    }
    g->loss.mean = g->loss.linears > 0 ? sum / (double)g->loss.linears : 0;
    return QP_OK;
}
