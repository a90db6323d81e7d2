// SPDX-License-Identifier: Apache-2.0
// Dialects, schemes and modules. A scheme says how one linear is stored (shapes spec 2.1); a claim is what
// the configs say of a module; a module is its tensors under one name, with what they are and what is
// claimed.
#ifndef CHECKPOINT_SCHEME_H
#define CHECKPOINT_SCHEME_H

#include "checkpoint/ckpt.h"
#include "qp/format.h"

typedef enum qp_ck_dialect {
    QP_CK_PLAIN, // BF16 / FP16 / FP32, no quantization said
    QP_CK_MODELOPT,
    QP_CK_COMPRESSED_TENSORS, // also what llm-compressor writes
    QP_CK_FP8,                // quant_method fp8: DeepSeek, Qwen (weight_scale_inv)
    QP_CK_GPT_OSS,            // quant_method mxfp4: blocks and scales
    QP_CK_AWQ,
    QP_CK_GPTQ,
    QP_CK_UNKNOWN, // a quant_method or tensors that no row here knows: said, never skipped
    QP_CK_DIALECTS
} qp_ck_dialect;
const char *qp_ck_dialect_name(qp_ck_dialect d); // "modelopt", "compressed-tensors", "deepseek-fp8" ...

typedef enum qp_ck_role { // of a tensor in its module
    QP_CK_WEIGHT,         // plain or codes: weight, weight_packed, qweight, *_blocks
    QP_CK_SCALE,          // weight_scale, weight_scale_inv, scales, *_scales
    QP_CK_GLOBAL,         // weight_scale_2 (multiplies), weight_global_scale (divides)
    QP_CK_INPUT,          // input_scale, input_global_scale
    QP_CK_ZERO,           // weight_zero_point, qzeros
    QP_CK_INPUT_ZERO,     // input_zero_point
    QP_CK_G_IDX,          // g_idx, weight_g_idx
    QP_CK_WEIGHT_SHAPE,   // weight_shape
    QP_CK_PRE_QUANT,      // pre_quant_scale
    QP_CK_K_SCALE,
    QP_CK_V_SCALE,
    QP_CK_K_BIAS,
    QP_CK_V_BIAS,
    QP_CK_LORA_A, // weight_quantizer._svdquant_lora_a
    QP_CK_LORA_B,
    QP_CK_BIAS,
    QP_CK_ROLES
} qp_ck_role;
const char *qp_ck_role_name(qp_ck_role r);

typedef enum qp_ck_pack {
    QP_CK_BYTES,     // a byte per code: [O, I]
    QP_CK_PAIRS,     // U8 [O, I/2], even column in the low nibble
    QP_CK_ROW_PAIRS, // U8 [O/2, I], rows 2i low and 2i+1 high (Model Optimizer INT4)
    QP_CK_IN_PAIRS,  // U8 [E, I/2, O], rows of `in` paired, even one low (Model Optimizer, fused experts of
                     // gpt-oss)
    QP_CK_SIX,       // U8 [O, I x 6/8], four codes in three bytes
    QP_CK_WORDS,     // I32 [O, ceil(I b/32)], a stream of b bits, lowest first, code + 2^(b-1)
    QP_CK_WORDS_OUT, // AWQ: I32 [I, O/8], nibble order 0 2 4 6 1 3 5 7
    QP_CK_WORDS_IN,  // GPTQ: I32 [I b/32, O]
    QP_CK_BLOCKS,    // gpt-oss: U8 [E, rows, I/32, 16]
} qp_ck_pack;

typedef enum qp_ck_spread { // how the scales lie over [O, I]
    QP_CK_ONE,              // [] or [1]
    QP_CK_ROW,              // [O] or [O, 1]
    QP_CK_GROUP,            // [O, ceil(I/g)]
    QP_CK_TILE,             // [ceil(O/128), ceil(I/128)]
    QP_CK_TILE_4D,          // [ceil(O/128), 1, ceil(I/128), 1], [] when there is one tile
    QP_CK_GROUP_T,          // [I/g, O] (AWQ, GPTQ), [E, I/g, O] (QP_CK_IN_PAIRS)
    QP_CK_TILE_3D,          // [E, ceil(O/128), 1, ceil(I/128), 1] beside codes [E, I, O] (Model Optimizer FP8
                            // 2-D, fused experts: codes are turned, scales are not)
} qp_ck_spread;

typedef enum qp_ck_direction { QP_CK_NO_GLOBAL, QP_CK_MULTIPLIES, QP_CK_DIVIDES } qp_ck_direction;
typedef enum qp_ck_input_kind { QP_CK_INPUT_NONE, QP_CK_INPUT_STATIC, QP_CK_INPUT_DYNAMIC } qp_ck_input_kind;

typedef struct qp_ck_scheme {
    const char *name; // ours: "modelopt nvfp4", "compressed-tensors pack-quantized int4 g128" ...
    const char *said; // the config's word: "NVFP4", "nvfp4-pack-quantized", "fp8" ...
    qp_ck_dialect dialect;
    qp_format format; // the reference's; QP_FORMAT_NONE: none fits
    qp_engine engine; // the first one to try with --against
    qp_element element;
    int bits, group_size; // group_size 0: not grouped; -1: the whole row (GPTQ)
    qp_ck_pack pack;
    qp_ck_spread spread;
    unsigned weight_types, scale_types; // bits 1u << qp_st_type: what is sound
    qp_ck_direction global;
    qp_ck_input_kind input;
    bool symmetric, pre_quant, act_order, lora;
    bool derivable;     // codes follow from the original weights and the recipe alone
    bool shares_weight; // loaders fuse q/k/v and gate/up and take one global scale: members must be equal
    bool shares_input;  // the same of the input scale
    float divisor;      // what the amax of a whole tensor is divided by for the global or only scale:
                        // 2688 NVFP4, 448 W4A8 and FP8, 1536 4/6, 127, 7; 0: none
} qp_ck_scheme;

// The scheme that a dialect means by a config's word ("NVFP4", "W4A16_AWQ", "nvfp4-pack-quantized", "fp8",
// "mxfp4", "awq" ...); 0: the default of that scheme. *out NULL: no such scheme. Made in the arena at each
// ask: keep it; two asks that mean the same give the same name, not the same pointer.
typedef struct qp_ck_scheme_ask {
    qp_ck_dialect dialect;
    const char *said;
    int bits, group_size;
    qp_ck_spread spread; // compressed-tensors strategies: QP_CK_ONE tensor, _ROW channel, _GROUP, _TILE block
    bool spread_given, asymmetric, input_static, input_none, act_order;
} qp_ck_scheme_ask;
qp_status qp_ck_scheme_find(const qp_ck_scheme_ask *ask, qp_arena *a, const qp_ck_scheme **out, qp_err *err);

typedef enum qp_ck_claim_kind {
    QP_CK_SILENT,     // the config says nothing of this module
    QP_CK_QUANTIZED,  // by a scheme (which may be NULL: a scheme unknown to us, `said` names it)
    QP_CK_EXCLUDED,   // by a name or pattern
    QP_CK_NOT_TARGET, // the dialect's loader never quantizes such a module (norm, embedding, router ...)
} qp_ck_claim_kind;

typedef struct qp_ck_claim {
    qp_ck_claim_kind kind;
    const qp_ck_scheme *scheme;
    const char *by; // file and item that says so, e.g. "hf_quant_config.json quantization.exclude_modules[3]
                    // 'lm_head'"
} qp_ck_claim;

typedef enum qp_ck_kv {
    QP_CK_KV_NONE,
    QP_CK_KV_FP8,
    QP_CK_KV_NVFP4,
    QP_CK_KV_FP8_AFFINE,
    QP_CK_KV_NVFP4_AFFINE,
    QP_CK_KV_UNKNOWN
} qp_ck_kv;

// What the configs say, read once. Opaque: claims.h of this room.
typedef struct qp_ck_claims qp_ck_claims;
// Findings: config-tensors where two configs contradict each other, exclude-unknown for names with NUL or
// control characters, file-format for a config that is no JSON object or has wrong types.
qp_status qp_ck_claims_read(const qp_ckpt *c, qp_arena *a, qp_ck_findings *f, qp_ck_claims **out,
                            qp_err *err);
qp_ck_dialect qp_ck_claims_dialect(const qp_ck_claims *k);
const char *qp_ck_claims_said(const qp_ck_claims *k);     // "NVFP4 (Model Optimizer 0.47.0)", for people
const char *qp_ck_claims_producer(const qp_ck_claims *k); // "modelopt 0.47.0", "" when not said
qp_ck_kv qp_ck_claims_kv(const qp_ck_claims *k);
qp_ck_claim qp_ck_claim_of(const qp_ck_claims *k, const char *module, size_t n);
// The exclude items, and which of them have matched no module in qp_ck_claim_of so far.
int qp_ck_claims_excludes(const qp_ck_claims *k);
const char *qp_ck_claims_exclude(const qp_ck_claims *k, int i, size_t *n, bool *used);
const char *qp_ck_claims_exclude_by(const qp_ck_claims *k, int i); // file and item, printable
// The modules that a config quantizes by their full names (quantized_layers ...), the same way.
int qp_ck_claims_names(const qp_ck_claims *k);
const char *qp_ck_claims_name(const qp_ck_claims *k, int i, size_t *n, bool *used, const char **by);

typedef struct qp_ck_module {
    const char *name; // FQN without the tensor's suffix; n_name bytes, may hold NUL
    uint32_t n_name;
    const qp_ck_tensor *part[QP_CK_ROLES]; // NULL: not there
    const qp_ck_scheme *scheme;            // what its tensors are; NULL: not quantized (or not understood)
    qp_ck_claim claim;
    int64_t stack, out, in; // of the logical weight; stack: fused experts, else 1; 0: no linear
    bool sound;        // weight and scales are there, dtypes and shapes of all parts hold: the passes over
                       // values may index by stack, out, in. Other parts may be NULL
    bool linear;       // a 2-D weight that quantizers take (not an embedding, norm, conv)
    int layer, expert; // numbers in the name (...layers.N..., ...experts.E...), -1
    int share;         // modules with the same number are fused by loaders; -1: none
} qp_ck_module;

typedef struct qp_ck_modules {
    qp_ck_module *list; // by name
    uint32_t n;
    const qp_ck_tensor *const *loose; // tensors that belong to no known role
    uint32_t n_loose;
} qp_ck_modules;

// Splits names into module and role, recognizes each module's scheme from claim and tensors, fills everything
// above. No findings here: the rules look at the result.
qp_status qp_ck_modules_build(const qp_ckpt *c, const qp_ck_claims *k, qp_arena *a, qp_ck_modules *out,
                              qp_err *err);
const qp_ck_module *qp_ck_module_find(const qp_ck_modules *m, const char *name, size_t n);
// Shape that the scheme wants of a role; false: it wants none. dims: QP_CK_DIMS + 1 at most, *n_dims set.
bool qp_ck_wanted_shape(const qp_ck_scheme *s, qp_ck_role role, int64_t stack, int64_t out, int64_t in,
                        uint64_t *dims, uint32_t *n_dims);

#endif
