// SPDX-License-Identifier: Apache-2.0
// What a mined set is measured against: random tensors of 16x256, as many as it takes.
#include "cmd/mine.h"
#include "input/gen.h"
#include "qp/ref.h"

enum { ROWS = 16, COLS = 256 };

qp_status qp_mine_at_random(const qp_mine *m, bool edges, int64_t limit, qp_mine_random *out, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
    *out = (qp_mine_random){.data = edges ? "gauss:0.02 with every edge" : "gauss:0.02"};
    qp_gen g = qp_gen_make(m->seed, QP_DIST_GAUSS);
    if (edges)
        g.edges = 1u << QP_EDGE_ZERO_BLOCK | 1u << QP_EDGE_SUBNORMAL | 1u << QP_EDGE_NEG_ZERO |
                  1u << QP_EDGE_NAN | 1u << QP_EDGE_INF | 1u << QP_EDGE_SPREAD;
    qp_mine_mask left = m->all;
    qp_status s = QP_OK;
    for (int64_t i = 0; out->n_elems < limit && qp_mask_count(left) > 0 && s == QP_OK; i++) {
        const char *name;
        uint32_t *stored;
        qp_mine_tensor t = {ROWS, COLS, NULL};
        qp_mine_mask kills;
        qp_arena_reset(a);
        s = qp_arena_printf(a, &name, err, "random.%lld", (long long)i);
        if (s == QP_OK) s = QP_NEW(a, stored, ROWS * COLS);
        if (s == QP_OK) s = QP_NEW(a, t.x, ROWS * COLS);
        if (s != QP_OK) break;
        qp_gen_slice(&g, name, ROWS, COLS, m->dtype, 0, ROWS, 0, COLS, stored);
        for (int64_t k = 0; k < ROWS * COLS; k++) t.x[k] = ref_load_f32(m->dtype, stored, k);
        s = qp_mine_judge(m, &t, left, a, NULL, &kills, err);
        out->n_elems += ROWS * COLS;
        if (s != QP_OK || qp_mask_count(kills) == 0) continue;
        out->last_kill = out->n_elems;
        left = qp_mask_without(left, kills);
    }
    out->never = left;
    qp_arena_free(a);
    return s;
}
