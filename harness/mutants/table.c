// SPDX-License-Identifier: Apache-2.0
// Every mutant: what it does wrong, where that was seen, and the check that must say so by name. A table file.
#include "mutants/list.h"

#define STATIC "pipeline model=tiny-moe layers=moe:1,attn:1,mamba:1 recipe=nvfp4-static "
#define INT8 "pipeline model=tiny-moe layers=moe:1,attn:1,mamba:1 recipe=int8 "
#define FP8 "pipeline model=tiny-moe layers=moe:1,attn:1,mamba:1 recipe=fp8 "

// What follows from a wrong global amax: everything that is computed with it or compared across layouts.
#define AFTER_GLOBAL "layout-invariance replica-equal bits-forward bits-backward pack-bits pack-fakequant dequant-bits ckpt-same ckpt-other ckpt-back "
// What follows from a wrong amax.
#define AFTER_AMAX "input-amax global-amax group-unity " AFTER_GLOBAL

const qp_mutant qp_mutants[] = {
    {"E-01", "promote-before-sync", "Model Optimizer #1553, 0.45.0: global amax from the amax before the sync", "global-amax",
     "group-unity " AFTER_GLOBAL, STATIC "tp=4 ep=2", mut_promote_before_sync, NULL, NULL},
    {"E-02-tp", "group-not-reduced-over-tp", "Model Optimizer #1553: both EP and TP are needed, TP is missing", "group-unity",
     "global-amax " AFTER_GLOBAL, STATIC "tp=4", mut_group_without_tp, NULL, NULL},
    {"E-02-ep", "group-not-reduced-over-ep", "Model Optimizer #1553: both EP and TP are needed, EP is missing", "group-unity",
     "global-amax " AFTER_GLOBAL, "pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static-across-experts ep=4",
     mut_group_without_ep, NULL, NULL},
    {"E-03", "weight-sharded-over-dp-no-gather", "Model Optimizer #1553: DP is left out, right only for replicated weights",
     "replica-equal", "amax-exact " AFTER_AMAX, FP8 "dp=2", mut_dp_shard_no_gather, NULL, NULL},
    {"E-04", "empty-list-is-default", "Model Optimizer #1605: patterns [] is falsy and the defaults come back", "group-members",
     "group-unity global-amax " AFTER_GLOBAL, "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static-nogroups tp=2",
     mut_empty_list_is_default, NULL, NULL},
    {"E-06", "stale-group-after-regrouping", "Model Optimizer #1605, live in 0.47: no detach on a second calibration",
     "group-members", "group-unity global-amax " AFTER_GLOBAL,
     "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static-nogroups tp=2", mut_stale_group, NULL, NULL},
    {"E-07", "failed-reduction-is-a-warning", "Model Optimizer #1605: a failed all-reduce only warned", "error-surfaced",
     "group-unity global-amax " AFTER_GLOBAL, "pipeline model=tiny-moe layers=attn:1 recipe=nvfp4-static tp=4", mut_failure_swallowed, NULL, NULL},
    {"E-13", "siblings-by-prefix", "Model Optimizer #1605: shared_expert_gate fused with gate and up", "group-members",
     "group-unity global-amax " AFTER_GLOBAL, "pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static-gate tp=2",
     mut_prefix_match, NULL, NULL},
    {"E-19", "dead-expert-per-half", "Model Optimizer #1421: experts without tokens, gate and up repaired apart", "group-unity",
     "amax-exact quantizers-complete group-members global-amax " AFTER_GLOBAL, STATIC "tp=2 ep=2 tokens=2",
     mut_dead_expert_per_half, NULL, NULL},
    {"E-22", "calibrator-keeps-max", "Model Optimizer #1421: an old maximum leaks into the next pass", "amax-exact", AFTER_AMAX,
     FP8 "tp=2", mut_calibrator_keeps_max, NULL, NULL},
    {"E-27", "per-expert-names-unmatched", "Model Optimizer #1717: *weight_quantizer misses weight_quantizer_3",
     "quantizers-complete", "*", STATIC "ep=2", mut_names_unnormalized, NULL, NULL},
    {"E-28", "row-amax-saved-as-scalar", "Model Optimizer #1717: scalar assumption at save, INT8 axis 0", "ckpt-same",
     "ckpt-other ckpt-back layout-invariance", INT8 "tp=2", mut_amax_element_0, NULL, NULL},
    {"E-29", "narrowed-in-a-copy", "Model Optimizer #1717: the consumer reads the un-narrowed tensor", "ckpt-same",
     "ckpt-other ckpt-back ckpt-keys layout-invariance replica-equal", STATIC "tp=2 ep=2", mut_load_not_narrowed, NULL, NULL},
    {"E-42", "scales-swizzled-untagged", "Model Optimizer #1717: tile-order bytes read as canonical", "dequant-bits",
     "pack-bits pack-fakequant layout-invariance replica-equal ckpt-same ckpt-other ckpt-back", STATIC "tp=1",
     mut_scales_swizzled, NULL, NULL},
    {"E-46", "row-amax-not-reduced-over-tp", "Model Optimizer #1671: the axis is a tuple, the list holds numbers", "amax-exact",
     AFTER_AMAX, INT8 "tp=2", mut_rowwise_without_tp, NULL, NULL},
    {"E-59", "collective-if-local-data", "Model Optimizer #862: ranks with dead experts call fewer collectives",
     "collective-trace", "*", FP8 "ep=4 tokens=1", mut_collective_if_local_data, NULL, NULL},
    {"E-62", "routed-amax-over-ep", "Model Optimizer #903, #1158: weight amax of different experts merged", "amax-exact",
     AFTER_AMAX, FP8 "ep=4", mut_weight_over_ep, NULL, NULL},
    {"E-63", "expert-number-by-wrong-rule", "Model Optimizer #742: wrong experts' state after load", "ckpt-other",
     "ckpt-back ckpt-keys layout-invariance", STATIC "ep=2 load=tp1ep4", mut_key_round_robin, NULL, NULL},
    {"E-65", "inputs-not-reduced-over-dp", "Model Optimizer #727: a quantizer left out of the DP sync", "input-amax",
     "replica-equal layout-invariance ckpt-same ckpt-other ckpt-back", FP8 "dp=4", mut_input_without_dp, NULL, NULL},
    {"E-72", "expert-groups-merged-over-ep", "Model Optimizer 0.46 to 0.47: w1/w3 groups of different experts reduced over EP",
     "layout-invariance", "group-unity global-amax " AFTER_GLOBAL, STATIC "ep=4", mut_group_over_ep, NULL, NULL},
    {"E-72-own", "own-global-rank-local", "Model Optimizer to 0.47: an ungrouped static weight keeps its shard's maximum",
     "layout-invariance", "global-amax " AFTER_GLOBAL, STATIC "tp=4", mut_own_global_rank_local, NULL, NULL},
    {"E-82", "key-by-local-expert", "Model Optimizer #1550: 128 experts collapsed to 8 keys", "ckpt-keys", "*", STATIC "ep=4",
     mut_key_local_expert, NULL, NULL},
    {"E-83", "scales-of-expert-0", "Model Optimizer #1550: weight0's scales applied to every expert", "pack-bits",
     "dequant-bits pack-fakequant layout-invariance replica-equal ckpt-same ckpt-other ckpt-back", STATIC "ep=2",
     mut_scales_of_expert_0, NULL, NULL},
    {"E-85", "global-recomputed-on-restore", "Model Optimizer #2055: restore overwrites the global amax per rank", "ckpt-back",
     "", STATIC "tp=4 load=tp2", mut_global_recomputed, NULL, NULL},
    {"S-01", "segments-sliced-as-one", "shapes spec 1.5, case 4: Mamba in_proj cut as one run of rows", "shard-map", "*",
     STATIC "tp=2 names=megatron", mut_segments_contiguous, NULL, NULL},
    {"S-02", "block-cut-by-shard", "shapes spec 1.5, case 1: a row shard of 14.5 blocks is accepted", "refusal", "",
     "pipeline model=tiny-dense recipe=nvfp4-static tp=2 expect=refuse", mut_blocks_cut, NULL, NULL},

    {"E-31", "int8-step-form", "grouped kernel of #1717: x / (amax/127) in the place of x * (127/amax)", "bits-forward", "",
     "quant fmt=int8-axis0 shape=64x4096", NULL, "int8-step-form", NULL},
    {"E-32", "int8-half-away", "first grouped kernel of #1717: rounds half away from zero", "bits-forward", "",
     "quant fmt=int8 shape=64x1024 dist=ties", NULL, "int8-half-away", NULL},
    {"E-35", "zero-amax-passes-through", "grouped kernel of #1717: amax == 0 gives x", "bits-forward", "",
     "quant fmt=int8-axis0 shape=2x4 hex=8000,0000,8000,0000,3f80,3f00,bf80,3e80", NULL, "int8-zero-amax-passes", NULL},
    {"E-36", "int8-qmax-128", "grouped kernel of #1717: narrow_range=False on another grid", "bits-forward", "",
     "quant fmt=int8 shape=64x1024", NULL, "int8-qmax-128", NULL},
    {"E-37", "clip-mask-in-bf16", "grouped kernel of #1717: the mask compares in bf16", "bits-backward", "",
     "ste fmt=int8 in=fp32 shape=64x1024 edge=amax,amax+ulp", NULL, "clip-mask-bf16", NULL},
    {"E-38", "strides-ignored", "grouped kernel of #1717: assumes contiguous rows", "bits-forward", "amax-exact bits-backward",
     "grouped fmt=int8 shape=3x16x100 pad=12", NULL, "ignores-ld", NULL},
    {"E-99", "scale-cast-unclamped", "Model Optimizer #1397: NaN bytes in block scales", "pack-bits",
     "dequant-bits pack-fakequant", "quant fmt=nvfp4-static shape=64x1024 edge=zero-block", NULL, "scale-cast-unclamped", NULL},
    {"E-128", "amax-without-abs", "vLLM #20578-type: max(x), an all-negative block loses its scale", "amax-exact", "",
     "amax fmt=nvfp4-static shape=64x1024", NULL, "amax-without-abs", NULL},
    {"K-tail", "tail-not-written", "floor in the place of ceil over vectors (E-133)", "output-complete", "bits-forward bits-backward",
     "quant fmt=int8 shape=33x75", NULL, "tail-not-written", NULL},
    {"K-past-end", "write-past-end", "bounds test dropped (E-98)", "guard-zones", "", "quant fmt=int8 shape=33x75", NULL,
     "write-past-end", NULL},
    {"K-clobber", "input-clobbered", "in place on a live tensor (I28)", "inputs-unchanged", "", "quant fmt=int8 shape=33x75", NULL,
     "input-clobbered", NULL},
    {"K-stale", "stale-output", "sglang #14102: buffer from uninitialised memory half filled (E-121)", "output-complete",
     "repeat-identical bits-forward", "quant fmt=nvfp4 shape=64x1024 edge=zero-block", NULL, "stale-output", NULL},
    {"E-109", "packs-with-unrounded-scale", "Model Optimizer #2243: data packed with the unrounded scale", "pack-fakequant",
     "pack-bits dequant-bits", "quant fmt=nvfp4-static shape=64x1024", NULL, "packs-with-unrounded-scale", NULL},
    {"E-122", "amax-not-zeroed", "TE #3073-type: the launch that zeroes the running maximum is missing", "repeat-identical",
     "amax-exact output-complete", "amax fmt=int8 shape=64x1024", NULL, "amax-not-zeroed", NULL},
    {"K-barrier", "barrier-in-branch", "a barrier that only half of the block reaches", "simt-findings",
     "case amax-exact output-complete repeat-identical", "amax fmt=int8 shape=64x1024", NULL, "barrier-in-branch", NULL},
    {"D-zeros", "all-zero-data", "data on which no bug can show", "coverage-floor", "", "quant fmt=int8 shape=64x256", NULL, NULL,
     "quant fmt=int8 shape=64x256 dist=zeros"},
};
const int qp_n_mutants = QP_COUNT(qp_mutants);

void qp_mutant_null(qp_stage_table *t) {
    const qp_step again = *qp_stage_find(t, "promote");
    qp_stage_replace(t, "promote", again.fn);
}
