// SPDX-License-Identifier: Apache-2.0
// The order of the story as data, and the edits that make a mutant out of a copy of it.
#include <string.h>

#include "pipeline/stages.h"

enum { MAIN = QP_PHASE_MAIN, ALL = QP_PHASE_ALL, LOADS = QP_PHASE_LOADS };

const qp_stage_table qp_stages_default = {
    .steps =
        {
            {"build", "name_quantizers", qp_step_name_quantizers, ALL},
            {"build", "choose_patterns", qp_step_choose_patterns, ALL},
            {"shard", "take_slices", qp_step_take_slices, ALL},
            {"shard", "make_weights", qp_step_make_weights, MAIN},
            {"shard", "show_shard", qp_step_show_shard, MAIN},
            {"calibrate", "calibrate_inputs", qp_step_calibrate_inputs, MAIN},
            {"calibrate", "calibrate_weights", qp_step_calibrate_weights, MAIN},
            {"calibrate", "repair_dead", qp_step_repair_dead, MAIN},
            {"calibrate", "show_calibrate", qp_step_show_calibrate, MAIN},
            {"sync", "sync_flags", qp_step_sync_flags, MAIN},
            {"sync", "sync_amax_dp", qp_step_sync_amax_dp, MAIN},
            {"sync", "sync_amax_ep", qp_step_sync_amax_ep, MAIN},
            {"sync", "sync_amax_tp", qp_step_sync_amax_tp, MAIN},
            {"sync", "show_sync", qp_step_show_sync, MAIN},
            {"group", "clear_groups", qp_step_clear_groups, MAIN},
            {"group", "find_groups", qp_step_find_groups, MAIN},
            {"group", "populate_groups", qp_step_populate_groups, MAIN},
            {"group", "sync_groups", qp_step_sync_groups, MAIN},
            {"group", "populate_own", qp_step_populate_own, MAIN},
            {"group", "sync_own_tp", qp_step_sync_own_tp, MAIN},
            {"promote", "promote", qp_step_promote, MAIN},
            {"promote", "show_group", qp_step_show_group, MAIN},
            {"promote", "show_promote", qp_step_show_promote, MAIN},
            {"fakequant", "choose_rows", qp_step_choose_rows, MAIN},
            {"fakequant", "fakequant_forward", qp_step_fakequant_forward, MAIN},
            {"fakequant", "fakequant_backward", qp_step_fakequant_backward, MAIN},
            {"pack", "pack_quant", qp_step_pack_quant, MAIN},
            {"pack", "show_pack", qp_step_show_pack, MAIN},
            {"pack", "dequant", qp_step_dequant, MAIN},
            {"save", "save_shards", qp_step_save_shards, MAIN},
            {"save", "save_commit", qp_step_save_commit, MAIN},
            {"load", "load_open", qp_step_load_open, LOADS},
            {"load", "load_audit", qp_step_load_audit, LOADS},
            {"load", "load_state", qp_step_load_state, LOADS},
            {"load", "show_load", qp_step_show_load, LOADS},
            {"load", "save_again", qp_step_save_shards, QP_PHASE_OTHER},
            {"load", "commit_again", qp_step_save_commit, QP_PHASE_OTHER},
        },
    .n_steps = 37,
    .calibrator_reset = qp_calibrator_reset,
    .sync_group_ep = qp_sync_group_ep,
    .sync_group_tp = qp_sync_group_tp,
    .store_scales = qp_store_scales,
    .checkpoint_key = qp_checkpoint_key,
    .save_amax_row = qp_save_amax_row,
    .load_narrow = qp_load_narrow,
    .check_layout = qp_layout_check,
};

qp_step *qp_stage_find(qp_stage_table *t, const char *name) {
    for (int i = 0; i < t->n_steps; i++)
        if (strcmp(t->steps[i].name, name) == 0) return &t->steps[i];
    return NULL;
}

bool qp_stage_replace(qp_stage_table *t, const char *name, qp_step_fn fn) {
    qp_step *s = qp_stage_find(t, name);
    if (s) s->fn = fn;
    return s != NULL;
}

static void take_out(qp_stage_table *t, int at) {
    memmove(&t->steps[at], &t->steps[at + 1], sizeof *t->steps * (size_t)(t->n_steps - at - 1));
    t->n_steps--;
}

static bool put_in(qp_stage_table *t, int at, qp_step s) {
    if (t->n_steps == QP_MAX_STEPS) return false;
    memmove(&t->steps[at + 1], &t->steps[at], sizeof *t->steps * (size_t)(t->n_steps - at));
    t->steps[at] = s;
    t->n_steps++;
    return true;
}

static bool move(qp_stage_table *t, const char *name, const char *beside, int after) {
    const qp_step *s = qp_stage_find(t, name);
    if (!s || !qp_stage_find(t, beside) || strcmp(name, beside) == 0) return false;
    const qp_step moved = *s;
    take_out(t, (int)(s - t->steps));
    return put_in(t, (int)(qp_stage_find(t, beside) - t->steps) + after, moved);
}

bool qp_stage_move_before(qp_stage_table *t, const char *name, const char *before) {
    return move(t, name, before, 0);
}
bool qp_stage_move_after(qp_stage_table *t, const char *name, const char *after) {
    return move(t, name, after, 1);
}

bool qp_stage_insert_after(qp_stage_table *t, const char *after, qp_step step) {
    const qp_step *s = qp_stage_find(t, after);
    return s && put_in(t, (int)(s - t->steps) + 1, step);
}

bool qp_stage_remove(qp_stage_table *t, const char *name) {
    const qp_step *s = qp_stage_find(t, name);
    if (s) take_out(t, (int)(s - t->steps));
    return s != NULL;
}

bool qp_stage_truncate(qp_stage_table *t, const char *last) {
    const qp_step *s = qp_stage_find(t, last);
    if (s) t->n_steps = (int)(s - t->steps) + 1;
    return s != NULL;
}
