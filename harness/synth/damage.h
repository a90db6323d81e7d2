// SPDX-License-Identifier: Apache-2.0
// A checkpoint opened to be damaged: raw tensors, what each is by its name alone (a table of its own, apart
// from the audit's), configs. A damage edits this; damage.c writes what has changed.
#ifndef SYNTH_DAMAGE_H
#define SYNTH_DAMAGE_H

#include "synth/parts.h"

typedef enum dmg_role {
    DMG_PLAIN,
    DMG_CODES,
    DMG_SCALE,
    DMG_GLOBAL,
    DMG_INPUT,
    DMG_K,
    DMG_V,
    DMG_OTHER
} dmg_role;

typedef struct dmg_tensor {
    syn_tensor t;
    dmg_role role;
    const char *module; // name without the suffix
    int shard;
    bool dropped;
} dmg_tensor;

typedef struct dmg_shard {
    const char *name;
    void *map;
    size_t n_bytes;
    bool dirty;
} dmg_shard;

typedef enum dmg_json { DMG_CONFIG, DMG_HF_QUANT, DMG_QUANTIZE, DMG_INDEX, DMG_JSONS } dmg_json;

// What is done to a written file.
typedef enum dmg_file { DMG_NOTHING, DMG_TRUNCATE, DMG_TRAIL, DMG_LFS, DMG_DELETE, DMG_RENAME } dmg_file;

typedef struct dmg {
    qp_arena *arena;
    uint64_t seed;
    const char *from, *to;
    dmg_tensor *list; // by name; new ones at the end
    int n, cap;
    dmg_shard *shards;
    int n_shards;
    json_t *json[DMG_JSONS]; // NULL: not there
    bool json_dirty[DMG_JSONS];
    bool keep_index; // do not carry names and places into the index
    dmg_file file;
    int victim; // shard that `file` is done to
    const char *where;
} dmg;

typedef qp_status dmg_fn(dmg *g, bool *fits, qp_err *err);
dmg_fn *dmg_fn_of(const qp_damage *d); // damage_table.c

// ---- damage_place.c: finding a place
// -----------------------------------------------------------------------------------

typedef bool dmg_takes(const dmg *g, const dmg_tensor *t);
qp_status dmg_roles(dmg *g, qp_err *err);             // of every tensor, by its name
dmg_tensor *dmg_pick(const dmg *g, dmg_takes *takes); // by seed; NULL: none
dmg_tensor *dmg_part(const dmg *g, const char *module, dmg_role role);
bool dmg_ends(const char *text, const char *end);
const char *dmg_leaf(const char *module); // "q_proj"
qp_status dmg_parent(const dmg *g, const char *module, const char **out,
                     qp_err *err); // "model.layers.0.mlp."
// The number in ".experts.N."; -1. *prefix: characters before N.
int dmg_expert(const char *name, int *prefix);
bool dmg_is_kv(const dmg *g, const dmg_tensor *t);
bool dmg_is_block(const dmg_tensor *t); // block scales: a byte each, at least two dimensions
bool dmg_codes_live(const dmg *g, const dmg_tensor *scale); // codes of an FP4, FP8 or INT linear are there
uint8_t *dmg_edit(dmg *g, dmg_tensor *t, qp_err *err);      // bytes that may be changed; NULL: no memory
void dmg_drop(dmg *g, dmg_tensor *t);
uint32_t dmg_draw(const dmg *g, uint32_t n, uint64_t salt); // 0 .. n-1
// Numbers of F32, BF16, F16 and E4M3 tensors as fp32 images.
uint32_t dmg_get(const dmg_tensor *t, uint64_t i);
void dmg_set(dmg_tensor *t, uint8_t *bytes, uint64_t i, uint32_t f32);

#define DMG_FN(name) qp_status name(dmg *g, bool *fits, qp_err *err)
// damage_missing.c: tensors gone, renamed, of another kind or shape
DMG_FN(dmg_missing_input);
DMG_FN(dmg_missing_scale);
DMG_FN(dmg_missing_global);
DMG_FN(dmg_missing_expert);
DMG_FN(dmg_missing_linear);
DMG_FN(dmg_local_ids);
DMG_FN(dmg_expert_gap);
DMG_FN(dmg_orphan);
DMG_FN(dmg_head_dropped);
DMG_FN(dmg_global_as_scale);
DMG_FN(dmg_kv_missing_one);
DMG_FN(dmg_kv_missing_all);
// damage_shape.c
DMG_FN(dmg_global_bf16);
DMG_FN(dmg_scales_f32);
DMG_FN(dmg_weight_i8);
DMG_FN(dmg_dtype_word);
DMG_FN(dmg_scales_padded);
DMG_FN(dmg_scales_transposed);
DMG_FN(dmg_scales_swizzled);
DMG_FN(dmg_scales_floor);
DMG_FN(dmg_packed_axis);
DMG_FN(dmg_half_rows);
DMG_FN(dmg_half_linear);
DMG_FN(dmg_swizzle_same);
// damage_value.c
DMG_FN(dmg_gate_up_global);
DMG_FN(dmg_qkv_global);
DMG_FN(dmg_input_unequal);
DMG_FN(dmg_global_inverted);
DMG_FN(dmg_scale_zero);
DMG_FN(dmg_scale_nan);
DMG_FN(dmg_scale_negative);
DMG_FN(dmg_scale_inf);
DMG_FN(dmg_global_zero);
DMG_FN(dmg_global_nan);
DMG_FN(dmg_global_inf);
DMG_FN(dmg_global_negative);
DMG_FN(dmg_input_zero);
DMG_FN(dmg_input_nan);
DMG_FN(dmg_zero_linear);
DMG_FN(dmg_all_ff);
DMG_FN(dmg_codes_low);
DMG_FN(dmg_code_flip);
DMG_FN(dmg_scale_step);
DMG_FN(dmg_global_ulp);
DMG_FN(dmg_nibble_swap);
DMG_FN(dmg_halves_swapped);
DMG_FN(dmg_fp8_sixth);
DMG_FN(dmg_plain_bit);
DMG_FN(dmg_kv_clamped);
// damage_config.c
DMG_FN(dmg_exclude_router);
DMG_FN(dmg_exclude_quantized);
DMG_FN(dmg_exclude_nul);
DMG_FN(dmg_exclude_dot);
DMG_FN(dmg_exclude_unknown);
DMG_FN(dmg_config_scheme);
DMG_FN(dmg_config_group);
DMG_FN(dmg_config_contradicts);
DMG_FN(dmg_kv_config);
// damage_file.c
DMG_FN(dmg_truncated);
DMG_FN(dmg_trailing);
DMG_FN(dmg_lfs);
DMG_FN(dmg_shard_missing);
DMG_FN(dmg_shard_renamed);
DMG_FN(dmg_index_other_shard);
DMG_FN(dmg_index_lacks);
DMG_FN(dmg_index_more);
DMG_FN(dmg_duplicate);

#endif
