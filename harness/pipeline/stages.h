// SPDX-License-Identifier: Apache-2.0
// The stage table: every step of the story, in order, by name. A mutant is a copy of qp_stages_default with
// one entry replaced, moved, removed or put in; evidence is shown by steps of its own (show_*), which no
// mutant needs to touch.
#ifndef PIPELINE_STAGES_H
#define PIPELINE_STAGES_H

#include "pipeline/rank.h"

typedef qp_status (*qp_step_fn)(qp_rank *r, qp_err *err);

typedef struct qp_step {
    const char *stage; // build shard calibrate sync group promote fakequant pack save load
    const char *name;
    qp_step_fn fn;
    int phases; // set of qp_phase
} qp_step;

// A rectangle set of one full state tensor: rows and one run of columns, in elements of the stored type.
typedef struct qp_place {
    int64_t full_rows, full_cols;
    int n_rows;
    qp_range *rows;
    qp_range cols;
} qp_place;

enum { QP_MAX_STEPS = 64 };

typedef struct qp_stage_table {
    qp_step steps[QP_MAX_STEPS];
    int n_steps;
    // Functions smaller than a step.
    void (*calibrator_reset)(qp_calibrator *c);
    // A group's global amax over the expert ranks, then over the tensor ranks; called group by group by step
    // sync_groups.
    qp_status (*sync_group_ep)(qp_rank *r, qp_rank_group *g, qp_err *err);
    qp_status (*sync_group_tp)(qp_rank *r, qp_rank_group *g, qp_err *err);
    // Packed block scales of one linear on their way to where dequant and the file find them: [rows, nb] in
    // canonical order.
    void (*store_scales)(const uint8_t *packed, int64_t rows, int64_t nb, uint8_t *stored);
    // Key of one field of one linear in a checkpoint: global FQN, then the field.
    qp_status (*checkpoint_key)(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                                const char **key, qp_err *err);
    // Row 'row' (local) of an amax as it goes to the file: cols images.
    void (*save_amax_row)(const qp_amax *a, int64_t row, uint32_t *out);
    // The part of a field's full tensor that this rank loads; comes in as the rank's own place.
    void (*load_narrow)(const qp_rank *r, const qp_quantizer *q, const char *field, qp_place *place);
    // Fault injection into the transport: in step inject_step of the main phase, the next collective of the
    // last rank fails.
    const char *inject_step;
    qp_status inject;
    // Is the layout possible? Asked before any rank starts.
    qp_status (*check_layout)(const qp_layout *l, const qp_model *m, const qp_recipe *r, qp_refusal *why,
                              int *which, qp_err *err);
} qp_stage_table;

extern const qp_stage_table qp_stages_default;

// Edits of a copy. All return false when a name is not there (the table stays as it was).
qp_step *qp_stage_find(qp_stage_table *t, const char *name);
bool qp_stage_replace(qp_stage_table *t, const char *name, qp_step_fn fn);
bool qp_stage_move_before(qp_stage_table *t, const char *name, const char *before);
bool qp_stage_move_after(qp_stage_table *t, const char *name, const char *after);
bool qp_stage_insert_after(qp_stage_table *t, const char *after, qp_step step);
bool qp_stage_remove(qp_stage_table *t, const char *name);
bool qp_stage_truncate(qp_stage_table *t, const char *last); // drops what comes after step 'last'

// ---- the steps, in the order of the default table
// ------------------------------------------------------------------------

// build (names.c)
qp_status qp_step_name_quantizers(qp_rank *r,
                                  qp_err *err); // modules of the layer held here, and what the recipe decided
qp_status qp_step_choose_patterns(qp_rank *r, qp_err *err); // the effective shared-group patterns
// shard (shard.c)
qp_status qp_step_take_slices(qp_rank *r, qp_err *err);
qp_status qp_step_make_weights(qp_rank *r, qp_err *err);
qp_status qp_step_show_shard(qp_rank *r, qp_err *err);
// calibrate (calibrate.c, inputs.c)
qp_status qp_step_calibrate_inputs(qp_rank *r, qp_err *err);  // routed tokens; counts them per linear
qp_status qp_step_calibrate_weights(qp_rank *r, qp_err *err); // linears that tokens reached
qp_status qp_step_repair_dead(qp_rank *r, qp_err *err); // weights that no token reached: from the weight walk
qp_status qp_step_show_calibrate(qp_rank *r, qp_err *err);
// sync (sync.c)
qp_status qp_step_sync_flags(qp_rank *r, qp_err *err);
qp_status qp_step_sync_amax_dp(qp_rank *r, qp_err *err);
qp_status qp_step_sync_amax_ep(qp_rank *r, qp_err *err);
qp_status qp_step_sync_amax_tp(qp_rank *r, qp_err *err);
qp_status qp_step_show_sync(qp_rank *r, qp_err *err);
// group (group.c)
qp_status qp_step_clear_groups(qp_rank *r, qp_err *err); // forget what an earlier attach left
qp_status qp_step_find_groups(qp_rank *r, qp_err *err);
qp_status qp_step_populate_groups(qp_rank *r, qp_err *err);
qp_status qp_step_sync_groups(qp_rank *r,
                              qp_err *err); // per group: table entries sync_group_ep, sync_group_tp
qp_status qp_sync_group_ep(qp_rank *r, qp_rank_group *g, qp_err *err);
qp_status qp_sync_group_tp(qp_rank *r, qp_rank_group *g, qp_err *err);
qp_status qp_step_populate_own(qp_rank *r, qp_err *err); // ungrouped static weights: own maximum
qp_status qp_step_sync_own_tp(qp_rank *r, qp_err *err);  // and over the shards of that weight
// promote (promote.c)
qp_status qp_step_promote(qp_rank *r, qp_err *err);
qp_status qp_step_show_group(qp_rank *r, qp_err *err);
qp_status qp_step_show_promote(qp_rank *r, qp_err *err);
// fakequant (sample.c, fakequant.c)
qp_status qp_step_choose_rows(qp_rank *r, qp_err *err);
qp_status qp_step_fakequant_forward(qp_rank *r, qp_err *err);
qp_status qp_step_fakequant_backward(qp_rank *r, qp_err *err);
// pack (pack.c), NVFP4 family only
qp_status qp_step_pack_quant(qp_rank *r, qp_err *err);
qp_status qp_step_show_pack(qp_rank *r, qp_err *err);
qp_status qp_step_dequant(qp_rank *r, qp_err *err);
void qp_store_scales(const uint8_t *packed, int64_t rows, int64_t nb, uint8_t *stored);
// checkpoint (place.c, save.c, load.c)
qp_status qp_checkpoint_key(const qp_rank *r, const qp_quantizer *q, const char *field, qp_arena *a,
                            const char **key, qp_err *err);
void qp_save_amax_row(const qp_amax *a, int64_t row, uint32_t *out);
void qp_load_narrow(const qp_rank *r, const qp_quantizer *q, const char *field, qp_place *place);
qp_status qp_step_save_shards(qp_rank *r, qp_err *err);
qp_status qp_step_save_commit(qp_rank *r, qp_err *err);
qp_status qp_step_load_open(qp_rank *r, qp_err *err);
qp_status qp_step_load_audit(qp_rank *r, qp_err *err);
qp_status qp_step_load_state(qp_rank *r, qp_err *err);
qp_status qp_step_show_load(qp_rank *r, qp_err *err);

#endif
