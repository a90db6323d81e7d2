// SPDX-License-Identifier: Apache-2.0
// The damages: name, number in the catalogue of faults, the rule that must find it, what may fire beside it.
#include "synth/damage.h"

// name, mutant, rule, function, seen with --against only, rules that may fire beside it, consequence
#define DAMAGES(X)                                                                                           \
    X("gate-up-global-unequal", "E-115", "shared-weight-scale", dmg_gate_up_global, false, NULL, NULL)       \
    X("qkv-global-unequal", "E-116 E-118", "shared-weight-scale", dmg_qkv_global, false, NULL, NULL)         \
    X("input-scale-unequal", "E-118", "shared-input-scale", dmg_input_unequal, false, NULL, NULL)            \
    X("input-scale-missing", "E-117", "missing-scale", dmg_missing_input, false, NULL, NULL)                 \
    X("weight-scale-missing", "E-129", "missing-scale", dmg_missing_scale, false,                            \
      "config-tensors orphan-scale dtype", NULL)                                                             \
    X("global-missing", "E-129", "missing-scale", dmg_missing_global, false, NULL, NULL)                     \
    X("global-as-weight-scale", "E-129", "missing-scale", dmg_global_as_scale, false, "dtype shape", NULL)   \
    X("expert-missing", "E-100", "expert-set", dmg_missing_expert, false, "config-tensors", NULL)            \
    X("expert-linear-missing", "E-100", "expert-set", dmg_missing_linear, false,                             \
      "missing-scale block-stats", NULL)                                                                     \
    X("expert-ids-local", "E-100", "expert-set", dmg_local_ids, false, "config-tensors", NULL)               \
    X("expert-gap", "E-100", "expert-set", dmg_expert_gap, false, "config-tensors", NULL)                    \
    X("scale-without-codes", "", "orphan-scale", dmg_orphan, false, "missing-scale expert-set block-stats",  \
      NULL)                                                                                                  \
    X("untied-head-dropped", "E-105", "config-tensors", dmg_head_dropped, false, "exclude-unknown", NULL)    \
    X("kv-scale-missing", "E-102", "kv-scale", dmg_kv_missing_one, false, NULL, NULL)                        \
    X("kv-scales-missing", "E-104", "kv-scale", dmg_kv_missing_all, false, NULL, NULL)                       \
    X("kv-config-without-scales", "E-104", "kv-scale", dmg_kv_config, false, "config-tensors", NULL)         \
    X("global-bf16", "E-129", "dtype", dmg_global_bf16, false, "shared-weight-scale", NULL)                  \
    X("block-scales-f32", "E-129", "dtype", dmg_scales_f32, false, NULL, NULL)                               \
    X("codes-i8", "", "dtype", dmg_weight_i8, false, NULL, NULL)                                             \
    X("dtype-unknown", "", "file-format", dmg_dtype_word, false, "*", NULL)                                  \
    X("scales-padded", "E-41 E-129", "shape", dmg_scales_padded, false, NULL, NULL)                          \
    X("scales-swizzled-padded", "E-41", "shape", dmg_scales_swizzled, false, NULL, NULL)                     \
    X("scales-transposed", "E-129", "shape", dmg_scales_transposed, false, NULL, NULL)                       \
    X("scales-floor", "E-133", "shape", dmg_scales_floor, false, NULL, NULL)                                 \
    X("codes-packed-other-axis", "E-129", "shape", dmg_packed_axis, false, NULL, NULL)                       \
    X("codes-half-rows", "E-102", "shape", dmg_half_rows, false, NULL, NULL)                                 \
    X("scale-zero", "E-117", "scale-zero", dmg_scale_zero, false, NULL, NULL)                                \
    X("scale-nan", "E-99", "scale-nan", dmg_scale_nan, false, NULL, NULL)                                    \
    X("scale-negative", "", "scale-negative", dmg_scale_negative, false, NULL, NULL)                         \
    X("scale-inf", "", "scale-inf", dmg_scale_inf, false, NULL, NULL)                                        \
    X("global-zero", "E-132", "scale-zero", dmg_global_zero, false, "shared-weight-scale reciprocal", NULL)  \
    X("global-nan", "E-117", "scale-nan", dmg_global_nan, false, "shared-weight-scale", NULL)                \
    X("global-inf", "E-117", "scale-inf", dmg_global_inf, false, "shared-weight-scale reciprocal", NULL)     \
    X("global-negative", "", "scale-negative", dmg_global_negative, false, "shared-weight-scale", NULL)      \
    X("input-scale-zero", "E-117", "scale-zero", dmg_input_zero, false, "shared-input-scale", NULL)          \
    X("input-scale-nan", "E-117", "scale-nan", dmg_input_nan, false, "shared-input-scale", NULL)             \
    X("global-inverted", "E-119", "reciprocal", dmg_global_inverted, false, NULL, NULL)                      \
    X("linear-all-zero", "E-132", "scale-zero-block", dmg_zero_linear, false, "block-stats", NULL)           \
    X("linear-all-ff", "E-117", "scale-nan", dmg_all_ff, false,                                              \
      "scale-zero scale-negative shared-weight-scale block-stats", NULL)                                     \
    X("codes-below-top", "", "block-stats", dmg_codes_low, false, NULL, NULL)                                \
    X("exclude-lacks-router", "E-103", "exclude-missing", dmg_exclude_router, false, NULL, NULL)             \
    X("exclude-names-quantized", "E-104", "config-tensors", dmg_exclude_quantized, false, "orphan-scale",    \
      NULL)                                                                                                  \
    X("exclude-with-nul", "E-104", "exclude-unknown", dmg_exclude_nul, false, "exclude-missing", NULL)       \
    X("exclude-with-dot", "E-104", "exclude-unknown", dmg_exclude_dot, false, "exclude-missing", NULL)       \
    X("exclude-names-nothing", "E-104", "exclude-unknown", dmg_exclude_unknown, false, NULL, NULL)           \
    X("config-of-another-scheme", "E-114", "config-tensors", dmg_config_scheme, false, "*", NULL)            \
    X("config-of-another-group", "E-129", "config-tensors", dmg_config_group, false, "*", NULL)              \
    X("configs-contradict", "E-104", "config-tensors", dmg_config_contradicts, false, "*", NULL)             \
    X("file-truncated", "", "file-format", dmg_truncated, false, "*", NULL)                                  \
    X("file-trailing", "", "file-format", dmg_trailing, false, "*", NULL)                                    \
    X("file-lfs-pointer", "", "file-format", dmg_lfs, false, "*", NULL)                                      \
    X("shard-missing", "E-101", "index-shards", dmg_shard_missing, false, "*", NULL)                         \
    X("shard-renamed", "E-101", "index-shards", dmg_shard_renamed, false, "*", NULL)                         \
    X("index-names-other-shard", "E-101", "index-shards", dmg_index_other_shard, false, NULL, NULL)          \
    X("index-lacks-tensor", "E-101", "index-shards", dmg_index_lacks, false, NULL, NULL)                     \
    X("index-lists-more", "E-101", "index-shards", dmg_index_more, false, NULL, NULL)                        \
    X("tensor-in-two-shards", "E-101", "index-shards", dmg_duplicate, false, "tolerated-format", NULL)       \
    X("code-flipped", "", "codes-differ", dmg_code_flip, true, NULL, NULL)                                   \
    X("scale-one-step", "", "scales-differ", dmg_scale_step, true, "global-differs codes-differ", NULL)      \
    X("global-one-ulp", "", "global-differs", dmg_global_ulp, true, "codes-differ scales-differ", NULL)      \
    X("nibbles-swapped", "", "codes-differ", dmg_nibble_swap, true, "scales-differ", NULL)                   \
    X("scales-swizzled", "E-42", "scales-differ", dmg_swizzle_same, true, "codes-differ", NULL)              \
    X("gate-up-scales-exchanged", "E-25", "scales-differ", dmg_halves_swapped, true, "codes-differ", NULL)   \
    X("fp8-scale-of-nvfp4", "E-114", "scales-differ", dmg_fp8_sixth, true, "global-differs codes-differ",    \
      NULL)                                                                                                  \
    X("plain-bit", "", "bytes-differ", dmg_plain_bit, true, NULL, NULL)                                      \
    X("linear-of-one-rank", "E-102", NULL, dmg_half_linear, true, "*",                                       \
      "codes and scales agree with each other; --against misses the other rows")                             \
    X("kv-scale-clamped", "E-113", NULL, dmg_kv_clamped, false, NULL,                                        \
      "any positive scale is a sound one: nothing in a file says what calibration measured")

#define PUBLIC(name, mutant, rule, fn, against, also, consequence)                                           \
    {name, mutant, rule, consequence, against, also},
#define FN(name, mutant, rule, fn, against, also, consequence) fn,

const qp_damage qp_damages[] = {DAMAGES(PUBLIC)};
const int qp_n_damages = QP_COUNT(qp_damages);

static dmg_fn *const fns[] = {DAMAGES(FN)};

dmg_fn *dmg_fn_of(const qp_damage *d) {
    return fns[d - qp_damages];
}
