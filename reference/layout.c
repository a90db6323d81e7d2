// SPDX-License-Identifier: Apache-2.0
// Who owns which element, by walking: degrees are enumerated rank by rank, rows unit by unit, experts one by
// one, and what belongs to the rank is counted. Follows the definitions in qp/module.h and nothing else.
// Pipeline parallelism: a module is held by the matching coordinates of every pipeline stage (the model
// streams layer by layer, so pp_rank never decides which slice of a module a rank has).
#include "qp/ref.h"

// The place of a rank, found by counting ranks in the order of the definition.
qp_coord ref_coord(const qp_layout *l, int rank) {
    qp_coord c = {.rank = rank};
    int counted = 0;
    for (int pp = 0; pp < l->pp; pp++)
        for (int dp = 0; dp < l->dp; dp++)
            for (int cp = 0; cp < l->cp; cp++)
                for (int tp = 0; tp < l->tp; tp++, counted++)
                    if (counted == rank) {
                        c.pp_rank = pp;
                        c.dp_rank = dp;
                        c.cp_rank = cp;
                        c.tp_rank = tp;
                    }
    int stage_ranks = l->dp * l->cp * l->tp;
    int replicas = stage_ranks / (l->ep * l->etp);
    counted = c.pp_rank * stage_ranks;
    for (int ep = 0; ep < l->ep; ep++)
        for (int edp = 0; edp < replicas; edp++)
            for (int etp = 0; etp < l->etp; etp++, counted++)
                if (counted == rank) {
                    c.ep_rank = ep;
                    c.edp_rank = edp;
                    c.etp_rank = etp;
                }
    return c;
}

// Dense modules are split by TP, routed experts by expert TP.
static int split_degree(const qp_module *m, const qp_layout *l) {
    return m->expert >= 0 ? l->etp : l->tp;
}

static int split_index(const qp_module *m, const qp_layout *l, int rank) {
    qp_coord c = ref_coord(l, rank);
    return m->expert >= 0 ? c.etp_rank : c.tp_rank;
}

// One indivisible run of rows of a segment: a unit, or where rows are single the part of one rank.
typedef struct piece {
    int64_t n_pieces, rows_each;
} piece;

static piece segment_pieces(const qp_segment *s, int degree) {
    piece p = {s->units > 0 ? s->units : degree, 0};
    p.rows_each = s->rows / p.n_pieces;
    return p;
}

// Does split rank t hold piece number k of n, n a multiple of the degree or (replication) the degree a
// multiple of n?
static bool holds_piece(int64_t k, int64_t n, int degree, int t) {
    if (n % degree == 0) {
        int64_t per_rank = n / degree;
        return k >= t * per_rank && k < (t + 1) * per_rank;
    }
    int64_t ranks_per_piece = degree / n;
    return t >= k * ranks_per_piece && t < (k + 1) * ranks_per_piece;
}

static qp_refusal refuse_column(const qp_module *m, int degree) {
    for (int s = 0; s < m->n_segments; s++) {
        int64_t units = m->segments[s].units;
        if (units > 0 && units % degree != 0 && !(m->segments[s].replicate && degree % units == 0))
            return QP_REFUSE_UNITS;
    }
    for (int s = 0; s < m->n_segments; s++)
        if (m->segments[s].units <= 0 && m->segments[s].rows % degree != 0) return QP_REFUSE_ROWS;
    return QP_REFUSE_NONE;
}

static qp_refusal refuse_row(const qp_module *m, const qp_qconfig *cfg, int degree) {
    if (m->in_units > 0 && m->in_units % degree != 0) return QP_REFUSE_UNITS;
    if (m->in % degree != 0) return QP_REFUSE_COLS;
    if (degree == 1 || cfg == NULL || !cfg->enabled)
        return QP_REFUSE_NONE; // a ragged last block is whole on one rank
    const qp_format_row *f = qp_format_get(cfg->format);
    if (f != NULL && f->grain == QP_GRAIN_BLOCK && (m->in / degree) % f->block_cols != 0)
        return QP_REFUSE_BLOCK;
    return QP_REFUSE_NONE;
}

static qp_refusal refuse_module(const qp_layout *l, const qp_module *m, const qp_qconfig *cfg) {
    int degree = split_degree(m, l);
    if (m->expert >= 0 && m->n_experts % l->ep != 0) return QP_REFUSE_EXPERTS;
    if (m->style == QP_STYLE_COLUMN) return refuse_column(m, degree);
    if (m->style == QP_STYLE_ROW) return refuse_row(m, cfg, degree);
    return QP_REFUSE_NONE;
}

qp_refusal ref_layout_refusal(const qp_layout *l, int n_layers, const qp_module *mods,
                              const qp_qconfig *weight_cfg, int n_mods, int *which_module) {
    int unused;
    int *which = which_module != NULL ? which_module : &unused;
    *which = -1;
    if (l->tp < 1 || l->cp < 1 || l->pp < 1 || l->dp < 1 || l->ep < 1 || l->etp < 1) return QP_REFUSE_RANKS;
    if (((int64_t)l->dp * l->cp * l->tp) % ((int64_t)l->etp * l->ep) != 0) return QP_REFUSE_RANKS;
    if (n_layers < l->pp) return QP_REFUSE_LAYERS;
    for (int i = 0; i < n_mods; i++) {
        if (!mods[i].quantizable) continue;
        qp_refusal why = refuse_module(l, &mods[i], weight_cfg != NULL ? &weight_cfg[i] : NULL);
        if (why != QP_REFUSE_NONE) {
            *which = i;
            return why;
        }
    }
    return QP_REFUSE_NONE;
}

bool ref_holds(const qp_module *m, const qp_layout *l, int rank) {
    if (m->expert < 0) return true;
    int ep_rank = ref_coord(l, rank).ep_rank;
    int experts_each = m->n_experts / l->ep, counted = 0;
    for (int ep = 0; ep < l->ep; ep++)
        for (int e = 0; e < experts_each; e++, counted++)
            if (counted == m->expert) return ep == ep_rank;
    return false;
}

int64_t ref_global_row(const qp_module *m, const qp_layout *l, int rank, int64_t local_row) {
    if (local_row < 0 || !ref_holds(m, l, rank)) return -1;
    if (m->style != QP_STYLE_COLUMN) return local_row < m->out ? local_row : -1;
    int degree = split_degree(m, l), t = split_index(m, l, rank);
    int64_t row = 0, left = local_row;
    for (int s = 0; s < m->n_segments; s++) {
        piece p = segment_pieces(&m->segments[s], degree);
        for (int64_t k = 0; k < p.n_pieces; k++, row += p.rows_each) {
            if (!holds_piece(k, p.n_pieces, degree, t)) continue;
            if (left < p.rows_each) return row + left;
            left -= p.rows_each;
        }
    }
    return -1;
}

int64_t ref_global_col(const qp_module *m, const qp_layout *l, int rank, int64_t local_col) {
    if (local_col < 0 || !ref_holds(m, l, rank)) return -1;
    if (m->style != QP_STYLE_ROW) return local_col < m->in ? local_col : -1;
    int degree = split_degree(m, l), t = split_index(m, l, rank);
    int64_t cols_each = m->in / degree, col = 0;
    for (int k = 0; k < degree; k++, col += cols_each)
        if (k == t) return local_col < cols_each ? col + local_col : -1;
    return -1;
}

void ref_local_shape(const qp_module *m, const qp_layout *l, int rank, int64_t *rows, int64_t *cols) {
    *rows = 0;
    *cols = 0;
    if (!ref_holds(m, l, rank)) return;
    int degree = split_degree(m, l), t = split_index(m, l, rank);
    *rows = m->out;
    *cols = m->style == QP_STYLE_ROW ? m->in / degree : m->in;
    if (m->style != QP_STYLE_COLUMN) return;
    *rows = 0;
    for (int s = 0; s < m->n_segments; s++) {
        piece p = segment_pieces(&m->segments[s], degree);
        for (int64_t k = 0; k < p.n_pieces; k++)
            if (holds_piece(k, p.n_pieces, degree, t)) *rows += p.rows_each;
    }
}

// Images of |x|: the order of non-negative floats is the order of their images, and every NaN image is above
// Inf. NaN answers as the canonical quiet NaN. The sign bit is ignored.
uint32_t ref_max_image(uint32_t a, uint32_t b) {
    uint32_t ma = a & 0x7fffffffu, mb = b & 0x7fffffffu;
    uint32_t m = ma > mb ? ma : mb;
    return m > 0x7f800000u ? 0x7fc00000u : m;
}
