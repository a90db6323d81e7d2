// SPDX-License-Identifier: Apache-2.0
// What a rank holds of one module, as ranges of the full weight. Only for layouts that qp_layout_check lets
// pass: elsewhere (a module that is not quantizable may not divide) a rank holds the floor of its share.
#include "model/model.h"

static qp_range segment_part(const qp_segment *s, int64_t begin, int degree, int index) {
    if (s->units > 0 && s->units < degree && s->replicate) {
        int64_t rows_each = s->rows / s->units, unit = index / (degree / s->units);
        return (qp_range){begin + unit * rows_each, rows_each};
    }
    int64_t rows_each = s->rows / degree;
    return (qp_range){begin + index * rows_each, rows_each};
}

qp_slice qp_slice_of(const qp_module *m, const qp_layout *l, int rank) {
    qp_slice s = {.held = true, .local_expert = -1, .n_cols = m->in, .cols = {0, m->in}};
    qp_coord c = qp_layout_coord(l, rank);
    int degree = l->tp, index = c.tp_rank;
    if (m->expert >= 0) {
        int per_rank = m->n_experts / l->ep;
        if (per_rank == 0 || m->expert / per_rank != c.ep_rank)
            return (qp_slice){.held = false, .local_expert = -1};
        s.local_expert = m->expert % per_rank;
        degree = l->etp;
        index = c.etp_rank;
    }
    if (m->style == QP_STYLE_COLUMN) {
        int64_t begin = 0;
        for (int i = 0; i < m->n_segments && i < QP_MAX_RANGES; i++) {
            s.rows[s.n_row_ranges++] = segment_part(&m->segments[i], begin, degree, index);
            s.n_rows += s.rows[i].count;
            begin += m->segments[i].rows;
        }
        return s;
    }
    s.rows[s.n_row_ranges++] = (qp_range){0, m->out};
    s.n_rows = m->out;
    if (m->style == QP_STYLE_ROW) {
        s.n_cols = m->in / degree;
        s.cols = (qp_range){index * s.n_cols, s.n_cols};
    }
    return s;
}
