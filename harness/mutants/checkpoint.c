// SPDX-License-Identifier: Apache-2.0
// Sins of saving and loading.
#include <stdlib.h>
#include <string.h>

#include "mutants/list.h"

// E-28, the silent variant: the scalar assumption at save keeps element 0 of a per-row amax.
static void element_0(const qp_amax *a, int64_t row, uint32_t *out) {
    (void)row;
    for (int64_t c = 0; c < a->cols; c++) out[c] = a->images[0];
}

void mut_amax_element_0(qp_stage_table *t) {
    t->save_amax_row = element_0;
}

// E-29: the slice is narrowed in a copy that is not the one consumed: every rank reads from the start of the
// full tensor.
static void not_narrowed(const qp_rank *r, const qp_quantizer *q, const char *field, qp_place *place) {
    (void)r, (void)q, (void)field;
    for (int i = 0, row = 0; i < place->n_rows; i++) {
        place->rows[i].begin = row;
        row += (int)place->rows[i].count;
    }
    place->cols.begin = 0;
}

void mut_load_not_narrowed(qp_stage_table *t) {
    t->load_narrow = not_narrowed;
}

static qp_status key_with_expert(const qp_quantizer *q, int expert, const char *field, qp_arena *a,
                                 const char **key, qp_err *err) {
    const char *star = strchr(q->module->projection, '*');
    return qp_arena_printf(a, key, err, "%.*s%d%s.%s", (int)(star - q->module->projection),
                           q->module->projection, expert, star + 1, field);
}

// E-82: keys carry the local expert number, so the expert ranks write to the same keys.
static qp_status key_local(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                           const char **key, qp_err *err) {
    if (q->module->expert < 0) return qp_checkpoint_key(r, q, field, a, key, err);
    return key_with_expert(q, q->slice.local_expert, field, a, key, err);
}

void mut_key_local_expert(qp_stage_table *t) {
    t->checkpoint_key = key_local;
}

// E-63: experts are numbered round robin over the expert ranks at save and at load; the same layout finds its
// own again, a layout with another EP degree gets other experts' state.
static qp_status key_round_robin(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                                 const char **key, qp_err *err) {
    if (q->module->expert < 0) return qp_checkpoint_key(r, q, field, a, key, err);
    const int n_local = q->module->n_experts / r->layout.ep;
    return key_with_expert(q, q->module->expert % n_local * r->layout.ep + q->module->expert / n_local, field,
                           a, key, err);
}

void mut_key_round_robin(qp_stage_table *t) {
    t->checkpoint_key = key_round_robin;
}

// E-85: after the load, a restore hook computes the global amax again from what this rank holds; the next
// save writes that.
static qp_status recompute_global(qp_rank *r, qp_err *err) {
    (void)err;
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (q->promoted)
            q->global_amax = qp_image_max(q->weight_amax.images, q->weight_amax.rows * q->weight_amax.cols);
    }
    return QP_OK;
}

void mut_global_recomputed(qp_stage_table *t) {
    const qp_step step = {"load", "recompute_global", recompute_global, QP_PHASE_OTHER};
    qp_stage_insert_after(t, "show_load", step);
}
