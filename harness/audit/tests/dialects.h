// SPDX-License-Identifier: Apache-2.0
// One linear of every dialect, its shapes written out by hand from shapes spec 2.1 to 2.6.
#ifndef AUDIT_TESTS_DIALECTS_H
#define AUDIT_TESTS_DIALECTS_H

#include "audit/tests/tiny_ckpt.h"

#define MODELOPT(algo)                                                                                       \
    "{\"producer\":{\"name\":\"modelopt\",\"version\":\"0.47.0\"},\"quantization\":{\"quant_algo\":\"" algo  \
    "\",\"kv_cache_quant_algo\":null,\"exclude_modules\":[]"
#define MO(algo, group) MODELOPT(algo) ",\"group_size\":" #group "}}"
#define MO_PLAIN(algo) MODELOPT(algo) "}}"
#define CT(format, weights, inputs)                                                                          \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"" format                 \
    "\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":" weights                       \
    ",\"input_activations\":" inputs "}},\"ignore\":[],\"quantization_status\":\"compressed\"}}"
#define ARGS(bits, type, strategy, group, symmetric, dynamic)                                                \
    "{\"num_bits\":" #bits ",\"type\":\"" type "\",\"strategy\":\"" strategy "\",\"group_size\":" group      \
    ",\"symmetric\":" #symmetric ",\"dynamic\":" dynamic "}"
#define METHOD(text) "{\"quantization_config\":{\"quant_method\":" text "}}"

enum { WEIGHT = 1, MUST = 2 };

typedef struct part {
    const char *suffix;
    qp_st_type type;
    int n_dims;
    int64_t dims[TINY_DIMS];
    int flags;
} part;

typedef struct dialect {
    const char *name, *scheme, *config, *hf_quant, *linear;
    part parts[8];
} dialect;

#define W(suffix, type, ...)                                                                                 \
    { suffix, QP_ST_##type, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, WEIGHT }
#define M(suffix, type, ...)                                                                                 \
    { suffix, QP_ST_##type, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, MUST }
#define S(suffix, type)                                                                                      \
    { suffix, QP_ST_##type, 0, {0}, MUST }
#define P(suffix, type, ...)                                                                                 \
    { suffix, QP_ST_##type, sizeof((int64_t[]){__VA_ARGS__}) / 8, {__VA_ARGS__}, 0 }
#define O_PROJ "self_attn.o_proj"
#define STACK "mlp.experts.gate_up_proj"

// O 96, I 160 unless groups of 128 want I 256: no dimension is another's, none is a multiple of 128.
static const dialect dialects[] = {
    {"modelopt nvfp4",
     "modelopt nvfp4",
     NULL,
     MO("NVFP4", 16),
     O_PROJ,
     {W(".weight", U8, 96, 80), M(".weight_scale", F8_E4M3, 96, 10), S(".weight_scale_2", F32),
      S(".input_scale", F32)}},
    {"modelopt nvfp4 awq",
     "modelopt nvfp4-awq",
     NULL,
     MO("NVFP4_AWQ", 16),
     O_PROJ,
     {W(".weight", U8, 96, 80), M(".weight_scale", F8_E4M3, 96, 10), S(".weight_scale_2", F32),
      S(".input_scale", F32), P(".pre_quant_scale", BF16, 160)}},
    {"modelopt svdquant",
     "modelopt nvfp4-svdquant",
     NULL,
     MO("NVFP4_SVD", 16),
     O_PROJ,
     {W(".weight", U8, 96, 80), M(".weight_scale", F8_E4M3, 96, 10), S(".weight_scale_2", F32),
      S(".input_scale", F32), P(".pre_quant_scale", BF16, 160),
      M(".weight_quantizer._svdquant_lora_a", BF16, 32, 160),
      M(".weight_quantizer._svdquant_lora_b", BF16, 96, 32)}},
    {"modelopt w4a16",
     "modelopt w4a16-nvfp4",
     NULL,
     MO("W4A16_NVFP4", 16),
     O_PROJ,
     {W(".weight", U8, 96, 80), M(".weight_scale", F8_E4M3, 96, 10), S(".weight_scale_2", F32)}},
    {"modelopt w4a8",
     "modelopt w4a8-nvfp4-fp8",
     NULL,
     MO("W4A8_NVFP4_FP8", 32),
     O_PROJ,
     {W(".weight", U8, 96, 80), M(".weight_scale", F8_E4M3, 96, 5), S(".weight_scale_2", F32),
      S(".input_scale", F32)}},
    {"modelopt fp8",
     "modelopt fp8",
     NULL,
     MO_PLAIN("FP8"),
     O_PROJ,
     {W(".weight", F8_E4M3, 96, 160), S(".weight_scale", F32), S(".input_scale", F32)}},
    {"modelopt fp8 per channel",
     "modelopt fp8-per-channel",
     NULL,
     MO_PLAIN("FP8_PER_CHANNEL_PER_TOKEN"),
     O_PROJ,
     {W(".weight", F8_E4M3, 96, 160), M(".weight_scale", F32, 96)}},
    {"modelopt fp8 blocks",
     "modelopt fp8-2d-block",
     NULL,
     MO_PLAIN("fp8_pb_wo"),
     O_PROJ,
     {W(".weight", F8_E4M3, 160, 300), M(".weight_scale", F32, 2, 1, 3, 1)}},
    {"modelopt fp8 one block",
     "modelopt fp8-2d-block",
     NULL,
     MO_PLAIN("fp8_pb_wo"),
     O_PROJ,
     {W(".weight", F8_E4M3, 96, 128), S(".weight_scale", F32)}},
    {"modelopt int8",
     "modelopt int8-smoothquant",
     NULL,
     MO_PLAIN("W8A8_SQ_PER_CHANNEL"),
     O_PROJ,
     {W(".weight", I8, 96, 160), M(".weight_scale", F32, 96), S(".input_scale", F32),
      P(".pre_quant_scale", BF16, 160)}},
    {"modelopt int4 awq",
     "modelopt int4-awq",
     NULL,
     MO("W4A16_AWQ", 128),
     O_PROJ,
     {W(".weight", U8, 48, 384), M(".weight_scale", F32, 96, 3), P(".pre_quant_scale", BF16, 384)}},
    {"modelopt w4a8 awq",
     "modelopt w4a8-awq",
     NULL,
     MO("W4A8_AWQ", 128),
     O_PROJ,
     {W(".weight", U8, 48, 384), M(".weight_scale", F32, 96, 3), S(".weight_scale_2", F32),
      S(".input_scale", F32)}},
    {"modelopt mxfp4",
     "modelopt mxfp4",
     NULL,
     MO_PLAIN("mxfp4"),
     O_PROJ,
     {W(".weight", U8, 96, 80), M(".weight_scale", U8, 96, 5)}},
    {"modelopt mxfp8",
     "modelopt mxfp8",
     NULL,
     MO("MXFP8", 32),
     O_PROJ,
     {W(".weight", F8_E4M3, 96, 160), M(".weight_scale", U8, 96, 5)}},
    {"modelopt nvfp4 stack",
     "modelopt nvfp4 stacked",
     NULL,
     MO("NVFP4", 16),
     STACK,
     {W("", U8, 4, 80, 96), M("_weight_scale", F8_E4M3, 4, 10, 96), S("_weight_scale_2", F32),
      S("_input_scale", F32), P("_bias", BF16, 4, 96)}},
    {"modelopt fp8 stack in blocks",
     "modelopt fp8-2d-block stacked",
     NULL,
     MO_PLAIN("fp8_pb_wo"),
     STACK,
     {W("", F8_E4M3, 4, 160, 512), M("_weight_scale", F32, 4, 4, 1, 2, 1)}},
    {"modelopt mxfp4 stack",
     "modelopt mxfp4",
     NULL,
     MO_PLAIN("mxfp4"),
     STACK,
     {W("", U8, 4, 160, 96), M("_weight_scale", U8, 4, 160, 6), P("_bias", BF16, 4, 192)}},
    {"ct nvfp4",
     "compressed-tensors nvfp4-pack-quantized",
     CT("nvfp4-pack-quantized", ARGS(4, "float", "tensor_group", "16", true, "false"),
        ARGS(4, "float", "tensor_group", "16", true, "\"local\"")),
     NULL,
     O_PROJ,
     {W(".weight_packed", U8, 96, 80), M(".weight_scale", F8_E4M3, 96, 10), M(".weight_global_scale", F32, 1),
      M(".input_global_scale", F32, 1)}},
    {"ct mxfp4",
     "compressed-tensors mxfp4-pack-quantized weight-only",
     CT("mxfp4-pack-quantized", ARGS(4, "float", "group", "32", true, "false"), "null"),
     NULL,
     O_PROJ,
     {W(".weight_packed", U8, 96, 80), M(".weight_scale", U8, 96, 5)}},
    {"ct mxfp6",
     "compressed-tensors mxfp6-pack-quantized weight-only",
     CT("mxfp6-pack-quantized", ARGS(6, "float", "group", "32", true, "false"), "null"),
     NULL,
     O_PROJ,
     {W(".weight_packed", U8, 96, 120), M(".weight_scale", U8, 96, 5)}},
    {"ct fp8 static",
     "compressed-tensors float-quantized tensor static",
     CT("float-quantized", ARGS(8, "float", "tensor", "null", true, "false"),
        ARGS(8, "float", "tensor", "null", true, "false")),
     NULL,
     O_PROJ,
     {W(".weight", F8_E4M3, 96, 160), M(".weight_scale", BF16, 1), M(".input_scale", BF16, 1)}},
    {"ct fp8 channel",
     "compressed-tensors float-quantized channel",
     CT("float-quantized", ARGS(8, "float", "channel", "null", true, "false"),
        ARGS(8, "float", "token", "null", true, "true")),
     NULL,
     O_PROJ,
     {W(".weight", F8_E4M3, 96, 160), M(".weight_scale", BF16, 96, 1)}},
    {"ct int8 asymmetric",
     "compressed-tensors int-quantized int8 channel asymmetric weight-only",
     CT("int-quantized", ARGS(8, "int", "channel", "null", false, "false"), "null"),
     NULL,
     O_PROJ,
     {W(".weight", I8, 96, 160), M(".weight_scale", BF16, 96, 1), M(".weight_zero_point", I8, 96, 1)}},
    {"ct int4",
     "compressed-tensors pack-quantized int4 g128",
     CT("pack-quantized", ARGS(4, "int", "group", "128", true, "false"), "null"),
     NULL,
     O_PROJ,
     {W(".weight_packed", I32, 96, 48), M(".weight_scale", BF16, 96, 3), M(".weight_shape", I64, 2)}},
    {"ct int3 asymmetric",
     "compressed-tensors pack-quantized int3 g128 asymmetric",
     CT("pack-quantized", ARGS(3, "int", "group", "128", false, "false"), "null"),
     NULL,
     O_PROJ,
     {W(".weight_packed", I32, 96, 36), M(".weight_scale", BF16, 96, 3), M(".weight_zero_point", I32, 9, 3),
      M(".weight_shape", I64, 2)}},
    {"deepseek fp8",
     "deepseek-fp8 block",
     METHOD("\"fp8\",\"weight_block_size\":[128,128]"),
     NULL,
     O_PROJ,
     {W(".weight", F8_E4M3, 576, 300), M(".weight_scale_inv", F32, 5, 3)}},
    {"gpt-oss",
     "gpt-oss-mxfp4",
     METHOD("\"mxfp4\""),
     NULL,
     STACK,
     {W("_blocks", U8, 4, 96, 5, 16), M("_scales", U8, 4, 96, 5), P("_bias", BF16, 4, 96)}},
    {"awq",
     "awq int4 g128",
     METHOD("\"awq\",\"bits\":4,\"group_size\":128,\"version\":\"gemm\",\"zero_point\":true"),
     NULL,
     O_PROJ,
     {W(".qweight", I32, 384, 20), M(".qzeros", I32, 3, 20), M(".scales", F16, 3, 160)}},
    {"gptq",
     "gptq int4 g128",
     METHOD("\"gptq\",\"bits\":4,\"group_size\":128,\"desc_act\":false,\"sym\":true"),
     NULL,
     O_PROJ,
     {W(".qweight", I32, 48, 96), M(".qzeros", I32, 3, 12), M(".scales", F16, 3, 96), P(".g_idx", I32, 384)}},
};

static const int64_t logical[][2] = {{96, 384}}; // weight_shape says

static inline void tensor_name(char *name, size_t n, const dialect *d, int layer, const part *p) {
    snprintf(name, n, "model.layers.%d.%s%s", layer, d->linear, p->suffix);
}

// Three layers alike, so that the odd one out can be told.
static inline tiny *make(const dialect *d) {
    tiny *t = tiny_new();
    char name[192];
    t->config = d->config;
    t->hf_quant = d->hf_quant;
    for (int layer = 0; layer < 3; layer++)
        for (int i = 0; i < 8 && d->parts[i].suffix != NULL; i++) {
            const part *p = &d->parts[i];
            tensor_name(name, sizeof name, d, layer, p);
            tiny_tensor *x = tiny_add(t, name, p->type, p->n_dims, p->dims);
            memcpy(x->numbers, logical[0], sizeof x->numbers);
        }
    return t;
}

static inline void done(tiny *t) {
    tiny_close(t);
    free(t);
}

#endif
