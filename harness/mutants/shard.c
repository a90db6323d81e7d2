// SPDX-License-Identifier: Apache-2.0
// Sins of naming and sharding.
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "mutants/list.h"

// E-27: the wildcard *weight_quantizer is matched against per-expert names (weight_quantizer_3) that nobody
// normalized, so the quantizers of the experts stay disabled and nothing says so.
static qp_status names_unnormalized(qp_rank *r, qp_err *err) {
    QP_TRY(qp_step_name_quantizers(r, err));
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        char name[512];
        if (q->module->expert < 0) continue;
        snprintf(name, sizeof name, "%s.weight_quantizer_%d", q->module->fqn, q->slice.local_expert);
        q->weight_cfg = (qp_qconfig){.format = QP_FORMAT_NONE};
        for (int e = 0; e < r->job->recipe->n_entries; e++) {
            const qp_recipe_entry *entry = &r->job->recipe->entries[e];
            if (!qp_wildcard(entry->quantizer_name, name)) continue;
            if (entry->has_cfg) q->weight_cfg = entry->cfg;
            if (entry->has_enable) q->weight_cfg.enabled = entry->enable;
        }
    }
    return QP_OK;
}

void mut_names_unnormalized(qp_stage_table *t) {
    qp_stage_replace(t, "name_quantizers", names_unnormalized);
}

// Shapes spec 1.5, case 4: TP slices a tensor of several segments as if it were one.
static qp_status segments_contiguous(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->module->style != QP_STYLE_COLUMN || q->module->n_segments < 2 || r->layout.tp < 2) continue;
        const int64_t rows = q->slice.n_rows;
        q->slice.n_row_ranges = 1;
        q->slice.rows[0] = (qp_range){.begin = rows * r->at.tp_rank, .count = rows};
    }
    return qp_step_take_slices(r, err);
}

void mut_segments_contiguous(qp_stage_table *t) {
    qp_stage_replace(t, "take_slices", segments_contiguous);
}

// Shapes spec 1.5, case 1: nobody asks whether the column shard is a whole number of blocks.
static qp_status any_columns(const qp_layout *l, const qp_model *m, const qp_recipe *r, qp_refusal *why,
                             int *which, qp_err *err) {
    const qp_status s = qp_layout_check(l, m, r, why, which, err);
    if (s != QP_REFUSED || *why != QP_REFUSE_BLOCK) return s;
    qp_err_clear(err);
    *why = QP_REFUSE_NONE;
    return QP_OK;
}

void mut_blocks_cut(qp_stage_table *t) {
    t->check_layout = any_columns;
}
