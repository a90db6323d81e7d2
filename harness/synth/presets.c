// SPDX-License-Identifier: Apache-2.0
// The presets: which linears are stored how, and what the configs say of it (shapes spec 2.1, 2.2, 2.3, 2.6).
#include <string.h>

#include "synth/parts.h"

// ---- Model Optimizer
// -----------------------------------------------------------------------------------------------------

#define MO_NVFP4(...)                                                                                        \
    { .encode = syn_encode_nvfp4, .engine = QP_ENGINE_TORCH_CPU, .bits = 4, __VA_ARGS__ }
#define INPUT(divisor_) .input = SYN_INPUT_F32, .input_divisor = (divisor_)

static const syn_scheme nvfp4 = MO_NVFP4(.format = QP_NVFP4, .group = 16, INPUT(2688.0f)),
                        nvfp4_46 = MO_NVFP4(.format = QP_NVFP4_46, .group = 16, .search = SYN_FOUR_SIX,
                                            INPUT(2688.0f)),
                        nvfp4_mse = MO_NVFP4(.format = QP_NVFP4_STATIC, .group = 16, .search = SYN_MSE,
                                             INPUT(2688.0f)),
                        nvfp4_w16 = MO_NVFP4(.format = QP_NVFP4, .group = 16),
                        nvfp4_w16_32 = MO_NVFP4(.format = QP_NVFP4, .group = 32),
                        nvfp4_w4a8 = MO_NVFP4(.format = QP_NVFP4_W4A8, .group = 32, INPUT(448.0f)),
                        nvfp4_awq =
                            MO_NVFP4(.format = QP_NVFP4, .group = 16, .pre_quant_o = true, INPUT(2688.0f)),
                        nvfp4_svd = MO_NVFP4(.format = QP_NVFP4, .group = 16, .pre_quant_all = true,
                                             .lora = true, INPUT(2688.0f));

#define LEVELS(...)                                                                                          \
    { .encode = syn_encode_levels, __VA_ARGS__ }
#define FP8 .format = QP_FP8_E4M3, .bits = 8, .divisor = 448.0f
#define INT(bits_, divisor_) .format = QP_INT8, .bits = (bits_), .divisor = (divisor_)
#define F32 .scale = QP_ST_F32
#define BF16 .scale = QP_ST_BF16, .bf16_quotient = true

static const syn_scheme fp8 = LEVELS(FP8, F32, .spread = SYN_ONE, .bf16_quotient = true, INPUT(448.0f)),
                        fp8_channel = LEVELS(FP8, F32, .spread = SYN_ROW),
                        fp8_tile = LEVELS(FP8, F32, .spread = SYN_TILE_4D),
                        int8_sq = LEVELS(INT(8, 127.0f), F32, .spread = SYN_ROW, .pre_quant_all = true,
                                         INPUT(127.0f)),
                        int8_default = LEVELS(INT(8, 127.0f), F32, .spread = SYN_ROW, INPUT(127.0f)),
                        int8_wo = LEVELS(INT(8, 127.0f), F32, .spread = SYN_ROW),
                        int4_awq = LEVELS(INT(4, 7.0f), F32, .spread = SYN_GROUP, .group = 128,
                                          .pack = SYN_ROW_PAIRS, .pre_quant_some = true),
                        int4_wo = LEVELS(INT(4, 7.0f), F32, .spread = SYN_GROUP, .group = 128,
                                         .pack = SYN_ROW_PAIRS),
                        w4a8_awq = LEVELS(INT(4, 7.0f), F32, .spread = SYN_GROUP, .group = 128,
                                          .pack = SYN_ROW_PAIRS, .pre_quant_some = true,
                                          .global_divisor = 448.0f, INPUT(448.0f));

#define MX(format_, bits_, engine_)                                                                          \
    { .encode = syn_encode_mx, .format = format_, .engine = engine_, .bits = (bits_), .group = 32 }
static const syn_scheme mxfp4 = MX(QP_MXFP4, 4, QP_ENGINE_TORCH_CPU),
                        mxfp8 = MX(QP_MXFP8_E4M3, 8, QP_ENGINE_TORCH_CPU);

// ---- compressed-tensors
// --------------------------------------------------------------------------------------------------

#define CT QP_ENGINE_COMPRESSED_TENSORS
static const syn_scheme
    ct_nvfp4 = {.encode = syn_encode_nvfp4,
                .format = QP_NVFP4,
                .engine = CT,
                .bits = 4,
                .group = 16,
                .input = SYN_INPUT_DIVIDES,
                .input_divisor = 2688.0f},
    ct_nvfp4_w16 = {.encode = syn_encode_nvfp4, .format = QP_NVFP4, .engine = CT, .bits = 4, .group = 16},
    ct_mxfp4 = MX(QP_MXFP4, 4, CT), ct_mxfp6 = MX(QP_MXFP6_E2M3, 6, CT), ct_mxfp8 = MX(QP_MXFP8_E4M3, 8, CT),
    ct_fp8 = LEVELS(FP8, BF16, .spread = SYN_ONE, .input = SYN_INPUT_BF16, .input_divisor = 448.0f),
    ct_fp8_channel = LEVELS(FP8, BF16, .spread = SYN_ROW_1),
    ct_fp8_group = LEVELS(FP8, BF16, .spread = SYN_GROUP, .group = 128),
    ct_fp8_block = LEVELS(FP8, BF16, .spread = SYN_TILE),
    ct_int8 = LEVELS(INT(8, 127.5f), BF16, .spread = SYN_ROW_1),
    ct_int8_asym = LEVELS(INT(8, 127.5f), BF16, .spread = SYN_ROW_1, .asymmetric = true),
    ct_pack4 = LEVELS(INT(4, 7.5f), BF16, .spread = SYN_GROUP, .group = 128, .pack = SYN_WORDS),
    ct_pack4_asym =
        LEVELS(INT(4, 7.5f), BF16, .spread = SYN_GROUP, .group = 128, .pack = SYN_WORDS, .asymmetric = true),
    ct_pack8 = LEVELS(INT(8, 127.5f), BF16, .spread = SYN_GROUP, .group = 128, .pack = SYN_WORDS),
    ct_pack3 = LEVELS(INT(3, 3.5f), BF16, .spread = SYN_GROUP, .group = 128, .pack = SYN_WORDS);

// ---- others
// ----------------------------------------------------------------------------------------------------------------

static const syn_scheme deepseek = LEVELS(FP8, F32, .spread = SYN_TILE, .inverse_name = true),
                        gpt_oss = MX(QP_MXFP4, 4, QP_ENGINE_IEEE),
                        awq = LEVELS(INT(4, 7.5f), .scale = QP_ST_F16, .spread = SYN_GROUP, .group = 128,
                                     .pack = SYN_AWQ, .asymmetric = true),
                        gptq = LEVELS(INT(4, 7.5f), .scale = QP_ST_F16, .spread = SYN_GROUP, .group = 128,
                                      .pack = SYN_GPTQ),
                        gptq_v2 = LEVELS(INT(4, 7.5f), .scale = QP_ST_F16, .spread = SYN_GROUP, .group = 128,
                                         .pack = SYN_GPTQ, .v2 = true),
                        gptq_act = LEVELS(INT(4, 7.5f), .scale = QP_ST_F16, .spread = SYN_GROUP, .group = 128,
                                          .pack = SYN_GPTQ, .act_order = true);

// The rest is what the configs say.
#define ALL(config_, name_, scheme_, ...)                                                                    \
    { .config = config_, .name = name_, .rules = {{SYN_LINEARS, &(scheme_), NULL}}, __VA_ARGS__ }
#define MO(...) ALL(SYN_CFG_MODELOPT, __VA_ARGS__)
#define CTS(...) ALL(SYN_CFG_CT, __VA_ARGS__)
#define OTHER(...) ALL(SYN_CFG_OTHER, __VA_ARGS__)

const syn_recipe syn_recipes[] = {
    MO("modelopt-nvfp4", nvfp4, .said = "NVFP4", .groups = true),
    MO("modelopt-nvfp4-46", nvfp4_46, .said = "NVFP4", .groups = true),
    MO("modelopt-nvfp4-mse", nvfp4_mse, .said = "NVFP4", .groups = true),
    MO("modelopt-w4a16-nvfp4", nvfp4_w16, .said = "W4A16_NVFP4", .groups = true),
    {.name = "modelopt-w4a16-nvfp4-g32",
     .config = SYN_CFG_MODELOPT,
     .rules = {{SYN_MLP | SYN_EXPERT, &nvfp4_w16_32, "W4A16_NVFP4"}},
     .said = "W4A16_NVFP4",
     .groups = true},
    MO("modelopt-w4a8-nvfp4", nvfp4_w4a8, .said = "W4A8_NVFP4_FP8"),
    MO("modelopt-nvfp4-awq", nvfp4_awq, .said = "NVFP4_AWQ", .awq_words = true),
    MO("modelopt-nvfp4-svd", nvfp4_svd, .said = "NVFP4_SVD", .groups = true, .awq_words = true),
    MO("modelopt-fp8", fp8, .said = "FP8", .groups = true, .no_group_size = true),
    MO("modelopt-fp8-channel", fp8_channel, .said = "FP8_PER_CHANNEL_PER_TOKEN", .no_group_size = true),
    MO("modelopt-fp8-block", fp8_tile, .said = "fp8_pb_wo", .no_group_size = true),
    MO("modelopt-int8", int8_default, .said = "W8A8_SQ_PER_CHANNEL", .no_group_size = true),
    MO("modelopt-int8-sq", int8_sq, .said = "W8A8_SQ_PER_CHANNEL", .no_group_size = true),
    MO("modelopt-int8-wo", int8_wo, .said = "W8A16", .no_group_size = true),
    MO("modelopt-int4-awq", int4_awq, .said = "W4A16_AWQ", .awq_words = true),
    MO("modelopt-int4-blockwise", int4_wo, .said = "W4A16_AWQ", .awq_words = true),
    MO("modelopt-w4a8-awq", w4a8_awq, .said = "W4A8_AWQ", .awq_words = true),
    MO("modelopt-mxfp4", mxfp4, .said = "mxfp4", .no_group_size = true),
    MO("modelopt-w4a8-mxfp4-fp8", mxfp4, .said = "W4A8_MXFP4_FP8"),
    MO("modelopt-mxfp8", mxfp8, .said = "MXFP8"),
    MO("modelopt-nvfp4-kv-fp8", nvfp4, .said = "NVFP4", .groups = true, .kv = "FP8"),
    MO("modelopt-fp8-kv-fp8", fp8, .said = "FP8", .groups = true, .no_group_size = true, .kv = "FP8"),
    MO("modelopt-nvfp4-kv-nvfp4", nvfp4, .said = "NVFP4", .groups = true, .kv = "NVFP4"),
    {.name = "modelopt-mixed",
     .config = SYN_CFG_MODELOPT,
     .rules = {{SYN_ATTN, &fp8, "FP8"}, {SYN_MLP | SYN_EXPERT, &nvfp4, "NVFP4"}},
     .said = "MIXED_PRECISION"},
    MO("modelopt-nvfp4-mixtral", nvfp4, .said = "NVFP4", .groups = true, .style = SYN_MIXTRAL),
    MO("modelopt-nvfp4-deepseek", nvfp4, .said = "NVFP4", .groups = true, .style = SYN_DEEPSEEK),
    MO("modelopt-nvfp4-gpt-oss", nvfp4, .said = "NVFP4", .groups = true, .style = SYN_GPT_OSS),
    CTS("ct-nvfp4", ct_nvfp4, .said = "nvfp4-pack-quantized"),
    CTS("ct-nvfp4a16", ct_nvfp4_w16, .said = "nvfp4-pack-quantized"),
    CTS("ct-mxfp4", ct_mxfp4, .said = "mxfp4-pack-quantized"),
    CTS("ct-mxfp6", ct_mxfp6, .said = "mxfp6-pack-quantized"),
    CTS("ct-mxfp8", ct_mxfp8, .said = "mxfp8-quantized"),
    CTS("ct-float", ct_fp8, .said = "float-quantized"),
    CTS("ct-float-channel", ct_fp8_channel, .said = "float-quantized"),
    CTS("ct-float-group", ct_fp8_group, .said = "float-quantized"),
    CTS("ct-float-block", ct_fp8_block, .said = "float-quantized"),
    CTS("ct-int8", ct_int8, .said = "int-quantized"),
    CTS("ct-int8-asym", ct_int8_asym, .said = "int-quantized"),
    CTS("ct-pack-int4", ct_pack4, .said = "pack-quantized"),
    CTS("ct-pack-int4-asym", ct_pack4_asym, .said = "pack-quantized"),
    CTS("ct-pack-int8", ct_pack8, .said = "pack-quantized"),
    CTS("ct-pack-int3", ct_pack3, .said = "pack-quantized"),
    {.name = "ct-mixed",
     .config = SYN_CFG_CT,
     .rules = {{SYN_ATTN, &ct_fp8_channel, "float-quantized"},
               {SYN_MLP | SYN_EXPERT, &ct_pack4, "pack-quantized"}},
     .said = "mixed-precision"},
    OTHER("deepseek-fp8", deepseek, .said = "fp8", .style = SYN_DEEPSEEK),
    {.name = "gpt-oss-mxfp4",
     .config = SYN_CFG_OTHER,
     .style = SYN_GPT_OSS,
     .rules = {{SYN_EXPERT, &gpt_oss, "mxfp4"}},
     .said = "mxfp4"},
    OTHER("awq", awq, .said = "awq"),
    OTHER("gptq", gptq, .said = "gptq"),
    OTHER("gptq-v2", gptq_v2, .said = "gptq"),
    OTHER("gptq-act-order", gptq_act, .said = "gptq"),
    {.name = "plain-bf16", .config = SYN_CFG_PLAIN},
};

const qp_synth_preset qp_synth_presets[] = {
    {"modelopt-nvfp4", "modelopt", true},
    {"modelopt-nvfp4-46", "modelopt", true},
    {"modelopt-nvfp4-mse", "modelopt", true},
    {"modelopt-w4a16-nvfp4", "modelopt", true},
    {"modelopt-w4a16-nvfp4-g32", "modelopt", true},
    {"modelopt-w4a8-nvfp4", "modelopt", true},
    {"modelopt-nvfp4-awq", "modelopt", false},
    {"modelopt-nvfp4-svd", "modelopt", false},
    {"modelopt-fp8", "modelopt", true},
    {"modelopt-fp8-channel", "modelopt", true},
    {"modelopt-fp8-block", "modelopt", true},
    {"modelopt-int8", "modelopt", false},
    {"modelopt-int8-sq", "modelopt", false},
    {"modelopt-int8-wo", "modelopt", true},
    {"modelopt-int4-awq", "modelopt", false},
    {"modelopt-int4-blockwise", "modelopt", false},
    {"modelopt-w4a8-awq", "modelopt", false},
    {"modelopt-mxfp4", "modelopt", true},
    {"modelopt-w4a8-mxfp4-fp8", "modelopt", true},
    {"modelopt-mxfp8", "modelopt", true},
    {"modelopt-nvfp4-kv-fp8", "modelopt", true},
    {"modelopt-fp8-kv-fp8", "modelopt", true},
    {"modelopt-nvfp4-kv-nvfp4", "modelopt", true},
    {"modelopt-mixed", "modelopt", true},
    {"modelopt-nvfp4-mixtral", "modelopt", true},
    {"modelopt-nvfp4-deepseek", "modelopt", true},
    {"modelopt-nvfp4-gpt-oss", "modelopt", true},
    {"ct-nvfp4", "compressed-tensors", true},
    {"ct-nvfp4a16", "compressed-tensors", true},
    {"ct-mxfp4", "compressed-tensors", true},
    {"ct-mxfp6", "compressed-tensors", true},
    {"ct-mxfp8", "compressed-tensors", true},
    {"ct-float", "compressed-tensors", true},
    {"ct-float-channel", "compressed-tensors", true},
    {"ct-float-group", "compressed-tensors", true},
    {"ct-float-block", "compressed-tensors", true},
    {"ct-int8", "compressed-tensors", true},
    {"ct-int8-asym", "compressed-tensors", false},
    {"ct-pack-int4", "compressed-tensors", true},
    {"ct-pack-int4-asym", "compressed-tensors", false},
    {"ct-pack-int8", "compressed-tensors", true},
    {"ct-pack-int3", "compressed-tensors", true},
    {"ct-mixed", "compressed-tensors", true},
    {"deepseek-fp8", "deepseek-fp8", true},
    {"gpt-oss-mxfp4", "gpt-oss-mxfp4", true},
    {"awq", "awq", false},
    {"gptq", "gptq", false},
    {"gptq-v2", "gptq", false},
    {"gptq-act-order", "gptq", false},
    {"plain-bf16", "plain", true},
};
const int qp_synth_n_presets = QP_COUNT(qp_synth_presets);
_Static_assert(QP_COUNT(qp_synth_presets) == QP_COUNT(syn_recipes),
               "one recipe per preset, in the same order");

const qp_synth_preset *qp_synth_preset_named(const char *name) {
    for (int i = 0; i < qp_synth_n_presets; i++)
        if (!strcmp(qp_synth_presets[i].name, name)) return &qp_synth_presets[i];
    return NULL;
}

const syn_recipe *syn_recipe_named(const char *name) {
    for (int i = 0; i < QP_COUNT(syn_recipes); i++)
        if (!strcmp(syn_recipes[i].name, name)) return &syn_recipes[i];
    return NULL;
}

const syn_part_rule *syn_rule_of(const syn_recipe *r, const syn_module *m) {
    for (int i = 0; i < QP_COUNT(r->rules); i++)
        if (r->rules[i].kinds & m->kind && m->in > 0) return &r->rules[i];
    return NULL;
}
