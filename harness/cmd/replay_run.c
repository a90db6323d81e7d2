// SPDX-License-Identifier: Apache-2.0
// Our own pipeline on a record's model and layout, from build to promote, with the recorder's slices and
// inputs put in as steps, and a last step that keeps what each rank holds, in the record's words.
#include <string.h>

#include "cmd/replay.h"

static replay_run *run_of(const qp_rank *r) {
    return r->job->sink.user;
}
static const replay_linear *linear_of(const qp_rank *r, const qp_quantizer *q) {
    return &run_of(r)->rec->linears[q->index];
}

// ---- steps put in
// ------------------------------------------------------------------------------------------------------------

// The recorder cuts at floor(i * n / degree), which need not be even.
static qp_range cut(int64_t n, int degree, int index) {
    const int64_t begin = index * n / degree;
    return (qp_range){begin, (index + 1) * n / degree - begin};
}

static qp_status take_recorded_slices(qp_rank *r, qp_err *err) {
    const replay_record *rec = run_of(r)->rec;
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        const bool expert = q->module->expert >= 0;
        const int degree = expert ? r->layout.etp : r->layout.tp,
                  index = expert ? r->at.etp_rank : r->at.tp_rank;
        q->fused = linear_of(r, q)->container != NULL;
        q->slice.n_row_ranges = 1;
        q->slice.rows[0] = (qp_range){0, q->module->out};
        q->slice.cols = (qp_range){0, q->module->in};
        if (q->module->style == QP_STYLE_COLUMN && !q->fused)
            q->slice.rows[0] = cut(q->module->out, degree, index);
        if (q->module->style == QP_STYLE_ROW && !q->fused) q->slice.cols = cut(q->module->in, degree, index);
        q->slice.n_rows = q->slice.rows[0].count;
        q->slice.n_cols = q->slice.cols.count;
        if (q->slice.n_rows == 0 || q->slice.n_cols == 0)
            QP_FAIL(QP_CORRUPT, "%s: record %s: layout: rank %d would hold nothing of %s", rec->file,
                    rec->name, r->at.rank, q->module->fqn);
        // a container has one input quantizer per projection; it stands with the first expert
        if (q->fused && q->slice.local_expert > 0) q->input_cfg.enabled = false;
    }
    return qp_step_take_slices(r, err);
}

static qp_status input_name(qp_rank *r, const qp_quantizer *q, const char **name, qp_err *err) {
    const replay_linear *l = linear_of(r, q);
    if (l->container)
        return qp_arena_printf(r->scratch, name, err, "%s.input.dp%d", l->container, r->at.ep_rank);
    if (q->module->expert >= 0) return qp_arena_printf(r->scratch, name, err, "%s.input", l->gen_name);
    return qp_arena_printf(r->scratch, name, err, "%s.input.dp%d", l->gen_name, r->at.ep_rank);
}

static qp_status calibrate_recorded_inputs(qp_rank *r, qp_err *err) {
    const replay_record *rec = run_of(r)->rec;
    const qp_gen gen = {.seed = rec->seed,
                        .dist = QP_DIST_RECORD,
                        .record_wide = rec->wide,
                        .format = QP_FORMAT_NONE,
                        .peak_index = -1};
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        // the forward loop of a fused layer calls the container alone, and that calls the experts with tokens
        if (!q->input_amax.enabled || (rec->fused && !(q->fused && rec->any_routed))) continue;
        const char *name;
        uint16_t *x;
        qp_arena_reset(r->scratch);
        QP_TRY(input_name(r, q, &name, err));
        QP_TRY(QP_NEW(r->scratch, x, rec->tokens * q->slice.n_cols));
        qp_gen_slice(&gen, name, rec->tokens, q->module->in, QP_BF16, 0, rec->tokens, q->slice.cols.begin,
                     q->slice.n_cols, x);
        QP_TRY(qp_calibrator_shape(r, QP_FP8_E4M3, 1, 1, err));
        r->stages->calibrator_reset(&r->calibrator);
        qp_calibrator_collect(&r->calibrator, QP_BF16, x, rec->tokens, q->slice.n_cols);
        q->input_amax.has = true;
        q->input_amax.images[0] = r->calibrator.images[0];
        q->n_tokens = rec->tokens;
    }
    return QP_OK;
}

// ---- what a rank holds
// ---------------------------------------------------------------------------------------------------------

static uint64_t fnv_bytes(const unsigned char *p, size_t n) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001B3u;
    return h;
}

static qp_status keep_amax(qp_arena *a, const qp_amax *from, replay_state *s, qp_err *err) {
    s->has = from->has;
    s->amax_rows = from->rows;
    s->amax_cols = from->cols;
    s->format = from->format;
    s->dtype = from->dtype;
    QP_TRY(QP_NEW(a, s->images, from->rows * from->cols + 1));
    memcpy(s->images, from->images, sizeof *s->images * (size_t)(from->rows * from->cols));
    return QP_OK;
}

static qp_status name_state(const qp_rank *r, const qp_quantizer *q, qp_arena *a, bool weight,
                            replay_state *s, qp_err *err) {
    const replay_linear *l = linear_of(r, q);
    s->gen_name = l->gen_name;
    s->global_fqn = q->module->fqn;
    s->is_weight = weight;
    if (!l->container) {
        s->quantizer = weight ? "weight_quantizer" : "input_quantizer";
        return qp_arena_strdup(a, q->local_name, &s->fqn, err);
    }
    s->fqn = l->container;
    if (!weight) return qp_arena_printf(a, &s->quantizer, err, "%s_input_quantizer", l->part);
    return qp_arena_printf(a, &s->quantizer, err, "%s_weight_quantizers.%d", l->part, q->slice.local_expert);
}

static qp_status keep_weight(const qp_rank *r, const qp_quantizer *q, qp_arena *a, replay_state *s,
                             qp_err *err) {
    QP_TRY(name_state(r, q, a, true, s, err));
    QP_TRY(keep_amax(a, &q->weight_amax, s, err));
    s->rows = q->slice.n_rows;
    s->cols = q->slice.n_cols;
    s->full_rows = q->module->out;
    s->full_cols = q->module->in;
    s->row_range = q->slice.rows[0];
    s->col_range = q->slice.cols;
    s->column = q->module->style == QP_STYLE_COLUMN;
    s->hash = fnv_bytes(q->weight, (size_t)(s->rows * s->cols) * qp_dtype_bytes(q->dtype));
    s->promoted = q->promoted;
    s->global_amax = q->global_amax;
    return QP_OK;
}

static qp_status keep_groups(const qp_rank *r, replay_rank *out, qp_err *err) {
    for (int i = 0; i < r->n_groups; i++) {
        const qp_rank_group *g = &r->groups[i];
        replay_group *k = &out->groups[out->n_groups];
        if (g->n_members == 0) continue;
        out->n_groups++;
        *k = (replay_group){
            .n_members = g->n_members, .has_global = g->has_global, .global_amax = g->global_amax};
        QP_TRY(qp_arena_strdup(out->arena, g->parent, &k->parent, err));
        QP_TRY(QP_NEW(out->arena, k->members, g->n_members));
        for (int m = 0; m < g->n_members; m++)
            QP_TRY(qp_arena_strdup(out->arena, r->q[g->members[m]].local_name, &k->members[m], err));
    }
    return QP_OK;
}

static qp_status keep_state(qp_rank *r, qp_err *err) {
    replay_rank *out = &run_of(r)->ranks[r->at.rank];
    const int n_modules = r->job->model->n_modules; // layers stream: each adds its own
    if (!out->states) QP_TRY(QP_NEW(out->arena, out->states, 2 * n_modules + 1));
    if (!out->groups) QP_TRY(QP_NEW(out->arena, out->groups, n_modules + 1));
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        if (q->weight_amax.enabled) QP_TRY(keep_weight(r, q, out->arena, &out->states[out->n_states++], err));
        if (!q->input_amax.has) continue;
        replay_state *s = &out->states[out->n_states++];
        QP_TRY(name_state(r, q, out->arena, false, s, err));
        QP_TRY(keep_amax(out->arena, &q->input_amax, s, err));
    }
    return keep_groups(r, out, err);
}

// ---- the run
// -------------------------------------------------------------------------------------------------------------------

static bool edit_table(qp_stage_table *t) {
    const qp_step keep = {"promote", "keep_state", keep_state, QP_PHASE_MAIN};
    return qp_stage_replace(t, "take_slices", take_recorded_slices) &&
           qp_stage_replace(t, "calibrate_inputs", calibrate_recorded_inputs) &&
           qp_stage_truncate(t, "promote") && qp_stage_insert_after(t, "promote", keep);
}

qp_status replay_pipeline(const replay_record *rec, qp_sync sync, qp_arena *a, replay_run *out, qp_err *err) {
    qp_stage_table *table;
    qp_weights *weights;
    qp_pipeline_result result;
    const qp_gen gen = {.seed = rec->seed,
                        .dist = QP_DIST_RECORD,
                        .record_wide = rec->wide,
                        .format = QP_FORMAT_NONE,
                        .peak_index = -1};
    const int etp = rec->etp && !rec->fused ? rec->tp : 1;
    *out = (replay_run){.rec = rec, .n_ranks = rec->tp * rec->ep};
    QP_TRY(QP_NEW(a, table, 1));
    *table = qp_stages_default;
    if (!edit_table(table)) QP_FAIL(QP_BROKEN, "the stage table lacks a step that replay edits");
    QP_TRY(QP_NEW(a, out->ranks, out->n_ranks));
    for (int r = 0; r < out->n_ranks; r++) {
        out->ranks[r].arena = qp_arena_new();
        if (!out->ranks[r].arena)
            QP_FAIL(QP_NOMEM, "%s: record %s: no memory for rank %d", rec->file, rec->name, r);
    }
    QP_TRY(qp_weights_generated(&gen, a, &weights, err));
    const qp_job job = {.repro = rec->name,
                        .model = &rec->model,
                        .recipe = &rec->quant,
                        .layout = {.tp = rec->tp, .cp = 1, .pp = 1, .dp = rec->ep, .ep = rec->ep, .etp = etp},
                        .sync = sync,
                        .seed = rec->seed,
                        .weights = weights,
                        .timeout_s = 600,
                        .stages = table,
                        .sink = {.user = out}};
    const qp_status status = qp_pipeline_run(&job, &result, err);
    out->trace_arena = result.arena;
    out->traces = result.world.traces;
    if (status != QP_OK) {
        qp_err_prefix(err, "%s: record %s", rec->file, rec->name);
        qp_err_trail(err, __FILE__, __LINE__);
    }
    return status;
}

void replay_run_free(replay_run *run) {
    for (int r = 0; r < run->n_ranks && run->ranks; r++) qp_arena_free(run->ranks[r].arena);
    qp_arena_free(run->trace_arena);
    *run = (replay_run){0};
}
