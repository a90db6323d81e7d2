// SPDX-License-Identifier: Apache-2.0
// The overrides, by the stage they sin in. Each does what the historical bug did.
#ifndef MUTANTS_LIST_H
#define MUTANTS_LIST_H

#include "mutants/mutants.h"

// shard.c
void mut_names_unnormalized(qp_stage_table *t);
void mut_segments_contiguous(qp_stage_table *t);
void mut_blocks_cut(qp_stage_table *t);
// calibrate.c
void mut_calibrator_keeps_max(qp_stage_table *t);
void mut_dead_expert_per_half(qp_stage_table *t);
void mut_dp_shard_no_gather(qp_stage_table *t);
// sync.c
void mut_promote_before_sync(qp_stage_table *t);
void mut_group_without_tp(qp_stage_table *t);
void mut_group_without_ep(qp_stage_table *t);
void mut_group_over_ep(qp_stage_table *t);
void mut_own_global_rank_local(qp_stage_table *t);
void mut_weight_over_ep(qp_stage_table *t);
void mut_input_without_dp(qp_stage_table *t);
void mut_failure_swallowed(qp_stage_table *t);
void mut_collective_if_local_data(qp_stage_table *t);
void mut_rowwise_without_tp(qp_stage_table *t);
// group.c
void mut_empty_list_is_default(qp_stage_table *t);
void mut_stale_group(qp_stage_table *t);
void mut_prefix_match(qp_stage_table *t);
// pack.c
void mut_scales_swizzled(qp_stage_table *t);
void mut_scales_of_expert_0(qp_stage_table *t);
// checkpoint.c
void mut_amax_element_0(qp_stage_table *t);
void mut_load_not_narrowed(qp_stage_table *t);
void mut_key_local_expert(qp_stage_table *t);
void mut_key_round_robin(qp_stage_table *t);
void mut_global_recomputed(qp_stage_table *t);

#endif
