// SPDX-License-Identifier: Apache-2.0
// What the files of the writer share: a model as a list of modules, how one module is stored, and the parts
// (tensors) that come of it. Shapes and checkpoints spec 2.1 to 2.6.
#ifndef SYNTH_PARTS_H
#define SYNTH_PARTS_H

#include <jansson.h>

#include "core/text.h"
#include "qp/refcalib.h"
#include "synth/synth.h"
#include "tensor/st_scan.h"

enum { SYN_DIMS = 5, SYN_PARTS = 12 };

// ---- shard.c: safetensors files
// -------------------------------------------------------------------------------------

typedef struct syn_tensor {
    const char *name; // n_name bytes, may hold NUL
    uint32_t n_name, n_dims;
    uint64_t dims[SYN_DIMS], n_bytes, at; // at: of the data, in the file's buffer
    qp_st_type dtype;
    const char *dtype_said; // in the place of dtype's name; NULL
    const void *data;       // NULL while it is only planned
} syn_tensor;

uint64_t syn_tensor_size(const syn_tensor *t); // bytes that dtype and dims mean
// Orders as the official writer does (large types first, then by name), sets `at`, and writes length and
// header into out. n_data: bytes that follow.
qp_status syn_header(syn_tensor **tensors, int n, qp_text *out, uint64_t *n_data, qp_err *err);
qp_status syn_write_json(const char *folder, const char *name, const json_t *root, qp_arena *a, qp_err *err);
// Plain files, without the flush to the medium that an atomic write pays for: these folders are test data.
qp_status syn_write_file(const char *path, const void *head, size_t n_head, const void *body, size_t n_body,
                         qp_err *err);

// ---- model.c: which modules there are
// -------------------------------------------------------------------------------

typedef enum syn_style { SYN_LLAMA, SYN_MIXTRAL, SYN_DEEPSEEK, SYN_GPT_OSS } syn_style;
typedef enum syn_kind { // a set, for "which kinds are quantized"
    SYN_PLAIN = 1,      // norms, biases
    SYN_EMBED = 2,
    SYN_HEAD = 4,
    SYN_ROUTER = 8,
    SYN_ATTN = 16,
    SYN_MLP = 32,
    SYN_EXPERT = 64,
} syn_kind;
enum { SYN_LINEARS = SYN_ATTN | SYN_MLP | SYN_EXPERT };

typedef struct syn_module {
    const char *name;    // without the suffix
    const char *suffix;  // of the plain tensor: ".weight", "" for fused experts, "_bias"
    const char *weights; // what the generator is keyed by: without the layer when layers repeat
    syn_kind kind;
    int64_t stack, out, in; // in 0: a vector; stack 0: a matrix, else fused experts, stored [stack, in, out]
    int group;              // members of one number share inputs and, where the scheme has one, the global
    bool folds;             // a pre_quant_scale could not be folded into a norm (o_proj, down_proj)
} syn_module;

typedef struct syn_model {
    syn_module *modules;
    int n;
    syn_style style;
    const qp_synth_options *o;
} syn_model;
qp_status syn_model_build(const qp_synth_options *o, syn_style style, qp_arena *a, syn_model *out,
                          qp_err *err);
// BF16, [out, in] of expert e (0 without a stack).
void syn_weight(const syn_model *m, const syn_module *mod, int64_t e, uint16_t *out);
// Largest magnitude over every member of the module's group, or of the module alone. fp32 image.
qp_status syn_amax(const syn_model *m, const syn_module *mod, bool group, uint32_t *amax, qp_err *err);
float syn_input_amax(const syn_model *m, const syn_module *mod); // of its activations
uint32_t syn_random(const syn_model *m, const char *what, uint64_t i);

// ---- how a linear is stored
// --------------------------------------------------------------------------------------------

typedef enum syn_spread { SYN_ONE, SYN_ROW, SYN_ROW_1, SYN_GROUP, SYN_TILE, SYN_TILE_4D } syn_spread;
typedef enum syn_pack { SYN_BYTES, SYN_ROW_PAIRS, SYN_WORDS, SYN_AWQ, SYN_GPTQ } syn_pack;
typedef enum syn_input { SYN_NO_INPUT, SYN_INPUT_F32, SYN_INPUT_DIVIDES, SYN_INPUT_BF16 } syn_input;
typedef enum syn_search {
    SYN_MAX,
    SYN_MSE,
    SYN_FOUR_SIX
} syn_search; // where an NVFP4 block scale comes from

struct syn_job;
typedef qp_status syn_encode_fn(struct syn_job *j, qp_err *err);

typedef struct syn_scheme {
    syn_encode_fn *encode;
    qp_format format; // of the reference (blocks); none for levels
    qp_engine engine;
    int bits, group;
    syn_spread spread;
    syn_pack pack;
    float divisor;      // scale = amax / divisor, of one cell
    qp_st_type scale;   // its type
    bool bf16_quotient; // w / s is rounded to BF16 before the code is chosen
    bool asymmetric, act_order, v2, inverse_name;
    float global_divisor; // NVFP4, W4A8: amax of the group over this
    syn_search search;
    syn_input input;
    float input_divisor;
    bool pre_quant_o, pre_quant_some, pre_quant_all, lora; // o_proj; o_proj and down_proj; every linear
} syn_scheme;

typedef struct syn_job { // one module becomes its parts
    const syn_model *model;
    const syn_module *mod;
    const syn_scheme *scheme; // NULL: plain
    bool plan;                // names, types and shapes only
    qp_arena *arena;
    syn_tensor parts[SYN_PARTS];
    int n;
} syn_job;

// The next part; *data zeroed bytes for it, NULL when only planned.
qp_status syn_part(syn_job *j, const char *suffix, qp_st_type t, uint32_t n_dims, const int64_t *dims,
                   void *data, qp_err *err);
qp_status syn_encode_plain(syn_job *j, qp_err *err);
qp_status syn_encode_levels(syn_job *j, qp_err *err); // INT and FP8: a code per element, one level of scales
qp_status syn_encode_nvfp4(syn_job *j, qp_err *err);
qp_status syn_encode_mx(syn_job *j, qp_err *err);
qp_status syn_common(syn_job *j, qp_err *err); // input_scale, pre_quant_scale, LoRA
// The weight of expert e as it is quantized: a pre_quant_scale taken out of its columns.
qp_status syn_job_weight(syn_job *j, int64_t e, uint16_t **out, qp_err *err);
bool syn_pre_quant(const syn_job *j);

// sins.c
bool syn_sins(const syn_model *m, const char *sin);
void syn_sin_blocks(const syn_model *m, int64_t n_blocks, const uint16_t *w, uint32_t s2, uint8_t *codes,
                    uint8_t *scales);

float syn_float(uint32_t image);
uint32_t syn_image(float v);
static inline uint32_t syn_bf16(uint16_t v) {
    return (uint32_t)v << 16;
}

// ---- presets.c, config*.c
// ----------------------------------------------------------------------------------------------

typedef enum syn_config { SYN_CFG_PLAIN, SYN_CFG_MODELOPT, SYN_CFG_CT, SYN_CFG_OTHER } syn_config;

typedef struct syn_part_rule { // the first one whose kinds hold the module's kind
    unsigned kinds;
    const syn_scheme *scheme;
    const char *said; // quant_algo, or the format of compressed-tensors; NULL: that of the whole
} syn_part_rule;

typedef struct syn_recipe {
    const char *name;
    syn_style style;
    syn_config config;
    syn_part_rule rules[2];
    const char *said; // quant_algo of the whole, or the method of a dialect
    const char *kv;   // "FP8", "NVFP4"; NULL
    bool groups;      // config_groups in config.json
    bool awq_words;   // has_zero_point, pre_quant_scale
    bool no_group_size;
} syn_recipe;
extern const syn_recipe syn_recipes[];
const syn_recipe *syn_recipe_named(const char *name);
const syn_part_rule *syn_rule_of(const syn_recipe *r, const syn_module *m); // NULL: plain

// config.json and the files beside it.
qp_status syn_write_configs(const syn_recipe *r, const syn_model *m, const char *folder, bool original,
                            qp_arena *a, qp_err *err);
json_t *syn_config_modelopt(const syn_recipe *r, const syn_model *m, json_t **hf_quant);
json_t *syn_config_ct(const syn_recipe *r, const syn_model *m);
json_t *syn_config_other(const syn_recipe *r, const syn_model *m);
bool syn_is_linear(const syn_module *m); // has a matrix of its own that quantizers look at

#endif
