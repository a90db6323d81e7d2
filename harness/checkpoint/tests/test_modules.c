// SPDX-License-Identifier: Apache-2.0
// From names to modules, from tensors to schemes, and who is fused with whom.
#include "checkpoint/names.h"
#include "checkpoint/tests/tiny_tensors.h"

// ---- names
// --------------------------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    uint32_t n_dims;
    const char *module; // NULL: loose
    qp_ck_role role;
} names[] = {
    {"model.layers.3.self_attn.q_proj.weight", 2, "model.layers.3.self_attn.q_proj", QP_CK_WEIGHT},
    {"model.layers.3.self_attn.q_proj.weight_packed", 2, "model.layers.3.self_attn.q_proj", QP_CK_WEIGHT},
    {"a.qweight", 2, "a", QP_CK_WEIGHT},
    {"a.weight_scale", 2, "a", QP_CK_SCALE},
    {"a.weight_scale_inv", 2, "a", QP_CK_SCALE},
    {"a.scales", 2, "a", QP_CK_SCALE},
    {"a.weight_scale_2", 0, "a", QP_CK_GLOBAL},
    {"a.weight_global_scale", 1, "a", QP_CK_GLOBAL},
    {"a.input_scale", 0, "a", QP_CK_INPUT},
    {"a.input_global_scale", 0, "a", QP_CK_INPUT},
    {"a.weight_zero_point", 2, "a", QP_CK_ZERO},
    {"a.qzeros", 2, "a", QP_CK_ZERO},
    {"a.input_zero_point", 1, "a", QP_CK_INPUT_ZERO},
    {"a.g_idx", 1, "a", QP_CK_G_IDX},
    {"a.weight_g_idx", 1, "a", QP_CK_G_IDX},
    {"a.weight_shape", 1, "a", QP_CK_WEIGHT_SHAPE},
    {"a.pre_quant_scale", 1, "a", QP_CK_PRE_QUANT},
    {"a.weight_quantizer._svdquant_lora_a", 2, "a", QP_CK_LORA_A},
    {"a.weight_quantizer._svdquant_lora_b", 2, "a", QP_CK_LORA_B},
    {"a.bias", 1, "a", QP_CK_BIAS},
    {"x.self_attn.k_proj.k_scale", 0, "x.self_attn.k_proj", QP_CK_K_SCALE},
    {"x.self_attn.v_scale", 0, "x.self_attn", QP_CK_V_SCALE},
    {"x.self_attn.v_proj.v_bias", 4, "x.self_attn.v_proj", QP_CK_V_BIAS},
    {"x.self_attn.k_proj.output_scale", 1, "x.self_attn.k_proj", QP_CK_K_SCALE},
    {"x.self_attn.v_proj.output_scale", 1, "x.self_attn.v_proj", QP_CK_V_SCALE},
    {"x.self_attn.o_proj.output_scale", 1, NULL, QP_CK_WEIGHT},
    {"x.mlp.experts.gate_up_proj_blocks", 4, "x.mlp.experts.gate_up_proj", QP_CK_WEIGHT},
    {"x.mlp.experts.gate_up_proj_scales", 3, "x.mlp.experts.gate_up_proj", QP_CK_SCALE},
    {"x.mlp.experts.gate_up_proj_bias", 2, "x.mlp.experts.gate_up_proj", QP_CK_BIAS},
    {"x.mlp.experts.down_proj", 3, "x.mlp.experts.down_proj", QP_CK_WEIGHT},
    {"x.mlp.experts.down_proj_weight_scale", 3, "x.mlp.experts.down_proj", QP_CK_SCALE},
    {"x.mlp.experts.down_proj_weight_scale_2", 0, "x.mlp.experts.down_proj", QP_CK_GLOBAL},
    {"x.mlp.experts.down_proj_input_scale", 0, "x.mlp.experts.down_proj", QP_CK_INPUT},
    {"x.mlp.experts.gate_up_proj_scale_inv", 3, "x.mlp.experts.gate_up_proj", QP_CK_SCALE},
    {"x.mlp.experts.w13_weight", 3, "x.mlp.experts.w13", QP_CK_WEIGHT},
    {"x.attn.in_proj_weight", 2, "x.attn.in_proj", QP_CK_WEIGHT},
    {"x.attn.in_proj_bias", 1, "x.attn.in_proj", QP_CK_BIAS},
    {"weight", 2, "", QP_CK_WEIGHT},
    {"x.mixer.A_log", 1, NULL, QP_CK_WEIGHT},
    {"x.mixer.dt_bias", 1, NULL, QP_CK_WEIGHT},
    {"x.mlp.gate.e_score_correction_bias", 1, NULL, QP_CK_WEIGHT},
    {"x.mlp.experts.e_score_correction_bias", 1, NULL, QP_CK_WEIGHT},
    {"x.self_attn.sinks", 1, NULL, QP_CK_WEIGHT},
    {"x.lookup_weight", 2, NULL, QP_CK_WEIGHT},
    {"x.rescales", 2, NULL, QP_CK_WEIGHT},
    {"x.weightless", 2, NULL, QP_CK_WEIGHT},
};

START_TEST(a_name_is_split_into_module_and_role) {
    const char *name = names[_i].name, *module = names[_i].module;
    qp_ck_name out;
    const bool known = qp_ck_name_split(name, (uint32_t)strlen(name), names[_i].n_dims, &out);
    ck_assert_msg(known == (module != NULL), "%s", name);
    if (module == NULL) return;
    ck_assert_msg(out.n == strlen(module) && memcmp(out.module, module, out.n) == 0, "%s: got %.*s", name,
                  (int)out.n, out.module);
    ck_assert_msg(out.role == names[_i].role, "%s: got %s", name, qp_ck_role_name(out.role));
}
END_TEST

START_TEST(layer_and_expert_are_the_numbers_behind_their_lists) {
    static const struct {
        const char *name;
        int layer, expert;
    } rows[] = {{"model.layers.12.mlp.experts.7.up_proj", 12, 7},
                {"model.language_model.layers.0.mlp.gate", 0, -1},
                {"backbone.layers.51.mixer.experts.127.down_proj", 51, 127},
                {"mtp.layers.1.mlp.experts.3.w1", 1, 3},
                {"transformer.h.5.attn.c_proj", 5, -1},
                {"vision.blocks.2.attn.qkv", 2, -1},
                {"model.layers.4.mlp.experts.gate_up_proj", 4, -1},
                {"model.layers.4.mlp.shared_experts.0.up_proj", 4, -1},
                {"model.layers.4x.mlp", -1, -1},
                {"model.layers.99999999999.mlp", -1, -1},
                {"lm_head", -1, -1},
                {"layers", -1, -1}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        int layer, expert;
        qp_ck_name_numbers(rows[i].name, (uint32_t)strlen(rows[i].name), &layer, &expert);
        ck_assert_msg(layer == rows[i].layer && expert == rows[i].expert, "%s: got %d %d", rows[i].name,
                      layer, expert);
    }
}
END_TEST

// ---- grouping
// -----------------------------------------------------------------------------------------------------------

static const qp_ck_module *find(const tiny *t, const char *name) {
    return qp_ck_module_find(&t->modules, name, strlen(name));
}

static void done(tiny *t) {
    tiny_close(t);
    free(t);
}

START_TEST(tensors_of_one_module_meet_across_others_and_each_module_is_found) {
    tiny *t = tiny_new();
    TINY_ADD(t, "a.q_proj.bias", QP_ST_BF16, 4);
    TINY_ADD(t, "a.q_proj.inner.weight", QP_ST_BF16, 4, 4); // sorts between the two
    TINY_ADD(t, "a.q_proj.weight", QP_ST_BF16, 4, 8);
    TINY_ADD(t, "a.q_projx.weight", QP_ST_BF16, 4, 8);
    TINY_ADD(t, "a.q\\u0000_proj.weight", QP_ST_BF16, 4, 8); // NUL in a name
    TINY_ADD(t, "a.mystery", QP_ST_BF16, 4);
    tiny_read(t);
    ck_assert_uint_eq(t->modules.n, 4);
    ck_assert_uint_eq(t->modules.n_loose, 1);
    const qp_ck_module *m = find(t, "a.q_proj");
    ck_assert_ptr_nonnull(m);
    ck_assert_ptr_nonnull(m->part[QP_CK_WEIGHT]);
    ck_assert_ptr_nonnull(m->part[QP_CK_BIAS]);
    ck_assert(m->linear && m->sound && m->scheme == NULL);
    ck_assert_int_eq(m->stack, 1);
    ck_assert_int_eq(m->out, 4);
    ck_assert_int_eq(m->in, 8);
    ck_assert_ptr_nonnull(qp_ck_module_find(&t->modules, "a.q\0_proj", 9));
    ck_assert_ptr_null(find(t, "a.q"));
    for (uint32_t i = 1; i < t->modules.n; i++)
        ck_assert_int_lt(qp_ck_name_order(t->modules.list[i - 1].name, t->modules.list[i - 1].n_name,
                                          t->modules.list[i].name, t->modules.list[i].n_name),
                         0);
    done(t);
}
END_TEST

START_TEST(embeddings_convolutions_and_norms_are_no_linears) {
    static const struct {
        const char *name;
        int n_dims;
        bool linear;
    } rows[] = {{"model.embed_tokens.weight", 2, false},
                {"wte.weight", 2, false},
                {"x.conv1d.weight", 3, false},
                {"x.patch_conv.weight", 2, false},
                {"x.norm.weight", 1, false},
                {"x.patch_embed.proj.weight", 4, false},
                {"x.q_proj.weight", 2, true},
                {"lm_head.weight", 2, true},
                {"x.experts.gate_up_proj", 3, true}};
    static const int64_t dims[] = {4, 4, 4, 4};
    tiny *t = tiny_new();
    for (int i = 0; i < QP_COUNT(rows); i++) tiny_add(t, rows[i].name, QP_ST_BF16, rows[i].n_dims, dims);
    tiny_read(t);
    for (int i = 0; i < QP_COUNT(rows); i++) {
        char module[64];
        snprintf(module, sizeof module, "%s", rows[i].name);
        char *tail = strstr(module, ".weight");
        if (tail != NULL) *tail = '\0';
        ck_assert_msg(find(t, module) != NULL && find(t, module)->linear == rows[i].linear, "%s",
                      rows[i].name);
    }
    done(t);
}
END_TEST

START_TEST(loaders_fuse_siblings_and_only_those) {
    static const char *const groups[][4] = {
        {"l.0.self_attn.q_proj", "l.0.self_attn.k_proj", "l.0.self_attn.v_proj"},
        {"l.1.self_attn.q_proj", "l.1.self_attn.k_proj"},
        {"l.0.mlp.gate_proj", "l.0.mlp.up_proj"},
        {"l.0.mlp.experts.1.gate_proj", "l.0.mlp.experts.1.up_proj"},
        {"l.0.mlp.experts.10.gate_proj", "l.0.mlp.experts.10.up_proj"},
        {"l.0.mlp.shared_expert.gate_proj", "l.0.mlp.shared_expert.up_proj"},
        {"l.0.block_sparse_moe.experts.0.w1", "l.0.block_sparse_moe.experts.0.w3"},
        {"l.2.self_attn.q_a_proj", "l.2.self_attn.kv_a_proj_with_mqa"},
    };
    static const char *const alone[] = {"l.0.self_attn.o_proj",
                                        "l.0.mlp.down_proj",
                                        "l.2.self_attn.q_b_proj",
                                        "l.0.mlp.gate",
                                        "l.9.mlp.up_proj", // no gate: Nemotron
                                        "l.0.block_sparse_moe.experts.0.w2"};
    tiny *t = tiny_new();
    char name[128];
    for (int g = 0; g < QP_COUNT(groups); g++)
        for (int i = 0; i < 4 && groups[g][i] != NULL; i++) {
            snprintf(name, sizeof name, "%s.weight", groups[g][i]);
            TINY_ADD(t, name, QP_ST_BF16, 4, 4);
        }
    for (int i = 0; i < QP_COUNT(alone); i++) {
        snprintf(name, sizeof name, "%s.weight", alone[i]);
        TINY_ADD(t, name, QP_ST_BF16, 4, 4);
    }
    tiny_add(t, "l.9.mlp.gate_proj.input_scale", QP_ST_F32, 0, NULL); // no weight: nothing to fuse
    tiny_read(t);
    for (int g = 0; g < QP_COUNT(groups); g++) {
        const int share = find(t, groups[g][0])->share;
        ck_assert_int_ge(share, 0);
        for (int i = 1; i < 4 && groups[g][i] != NULL; i++)
            ck_assert_int_eq(find(t, groups[g][i])->share, share);
        for (int h = 0; h < g; h++) ck_assert_int_ne(find(t, groups[h][0])->share, share);
    }
    for (int i = 0; i < QP_COUNT(alone); i++) ck_assert_msg(find(t, alone[i])->share == -1, "%s", alone[i]);
    done(t);
}
END_TEST

// ---- schemes from the tensors
// --------------------------------------------------------------------------------------------

typedef struct part {
    const char *suffix;
    qp_st_type type;
    int n_dims;
    int64_t dims[TINY_DIMS];
} part;
typedef struct seen {
    const char *scheme, *module;
    part parts[6];
    int64_t size[3];
} seen;

#define T(suffix, type, ...)                                                                                 \
    {                                                                                                        \
        suffix, QP_ST_##type, sizeof((int64_t[]){__VA_ARGS__}) / 8, {                                        \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define N(suffix, type)                                                                                      \
    {                                                                                                        \
        suffix, QP_ST_##type, 0, {                                                                           \
            0                                                                                                \
        }                                                                                                    \
    }

static const seen all_seen[] = {
    {"modelopt nvfp4",
     "q_proj",
     {T(".weight", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 10), N(".weight_scale_2", F32),
      N(".input_scale", F32)},
     {1, 96, 160}},
    {"modelopt w4a16-nvfp4",
     "q_proj",
     {T(".weight", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 10), N(".weight_scale_2", F32)},
     {1, 96, 160}},
    {"modelopt w4a16-nvfp4 g32",
     "q_proj",
     {T(".weight", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 5), N(".weight_scale_2", F32)},
     {1, 96, 160}},
    {"modelopt w4a8-nvfp4-fp8",
     "q_proj",
     {T(".weight", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 5), N(".weight_scale_2", F32),
      N(".input_scale", F32)},
     {1, 96, 160}},
    {"modelopt nvfp4-awq",
     "q_proj",
     {T(".weight", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 10), N(".weight_scale_2", F32),
      N(".input_scale", F32), T(".pre_quant_scale", BF16, 160)},
     {1, 96, 160}},
    {"modelopt nvfp4 stacked",
     "experts.down_proj",
     {T("", U8, 4, 80, 96), T("_weight_scale", F8_E4M3, 4, 10, 96), N("_weight_scale_2", F32),
      N("_input_scale", F32)},
     {4, 96, 160}},
    {"modelopt fp8",
     "q_proj",
     {T(".weight", F8_E4M3, 96, 160), N(".weight_scale", F32), N(".input_scale", F32)},
     {1, 96, 160}},
    {"modelopt fp8-per-channel",
     "q_proj",
     {T(".weight", F8_E4M3, 96, 160), T(".weight_scale", F32, 96)},
     {1, 96, 160}},
    {"modelopt fp8-2d-block",
     "q_proj",
     {T(".weight", F8_E4M3, 160, 300), T(".weight_scale", F32, 2, 1, 3, 1)},
     {1, 160, 300}},
    {"modelopt fp8-2d-block stacked",
     "experts.down_proj",
     {T("", F8_E4M3, 4, 160, 512), T("_weight_scale", F32, 4, 4, 1, 2, 1)},
     {4, 512, 160}},
    {"modelopt int8-weight-only",
     "q_proj",
     {T(".weight", I8, 96, 160), T(".weight_scale", F32, 96)},
     {1, 96, 160}},
    {"modelopt int8-smoothquant",
     "q_proj",
     {T(".weight", I8, 96, 160), T(".weight_scale", F32, 96), N(".input_scale", F32)},
     {1, 96, 160}},
    {"modelopt int4-awq",
     "q_proj",
     {T(".weight", U8, 48, 384), T(".weight_scale", F32, 96, 3)},
     {1, 96, 384}},
    {"modelopt int4-awq g64",
     "q_proj",
     {T(".weight", U8, 48, 384), T(".weight_scale", F32, 96, 6)},
     {1, 96, 384}},
    {"modelopt mxfp4", "q_proj", {T(".weight", U8, 96, 80), T(".weight_scale", U8, 96, 5)}, {1, 96, 160}},
    {"modelopt mxfp8",
     "q_proj",
     {T(".weight", F8_E4M3, 96, 160), T(".weight_scale", U8, 96, 5)},
     {1, 96, 160}},
    {"compressed-tensors nvfp4-pack-quantized",
     "q_proj",
     {T(".weight_packed", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 10), T(".weight_global_scale", F32, 1),
      T(".input_global_scale", F32, 1)},
     {1, 96, 160}},
    {"compressed-tensors nvfp4-pack-quantized weight-only",
     "q_proj",
     {T(".weight_packed", U8, 96, 80), T(".weight_scale", F8_E4M3, 96, 10),
      T(".weight_global_scale", F32, 1)},
     {1, 96, 160}},
    {"compressed-tensors mxfp6-pack-quantized",
     "q_proj",
     {T(".weight_packed", U8, 96, 120), T(".weight_scale", U8, 96, 5)},
     {1, 96, 160}},
    {"compressed-tensors float-quantized channel",
     "q_proj",
     {T(".weight", F8_E4M3, 96, 160), T(".weight_scale", BF16, 96, 1)},
     {1, 96, 160}},
    {"compressed-tensors float-quantized block",
     "q_proj",
     {T(".weight", F8_E4M3, 300, 256), T(".weight_scale", BF16, 3, 2)},
     {1, 300, 256}},
    {"compressed-tensors int-quantized int8 channel asymmetric",
     "q_proj",
     {T(".weight", I8, 96, 160), T(".weight_scale", BF16, 96, 1), T(".weight_zero_point", I8, 96, 1)},
     {1, 96, 160}},
    {"compressed-tensors pack-quantized int4 g128",
     "q_proj",
     {T(".weight_packed", I32, 96, 48), T(".weight_scale", BF16, 96, 3), T(".weight_shape", I64, 2)},
     {1, 96, 384}},
    {"compressed-tensors pack-quantized int3 g128",
     "q_proj",
     {T(".weight_packed", I32, 96, 36), T(".weight_scale", BF16, 96, 3), T(".weight_shape", I64, 2)},
     {1, 96, 384}},
    {"compressed-tensors pack-quantized int8 g64",
     "q_proj",
     {T(".weight_packed", I32, 96, 96), T(".weight_scale", BF16, 96, 6), T(".weight_shape", I64, 2)},
     {1, 96, 384}},
    {"deepseek-fp8 block",
     "q_proj",
     {T(".weight", F8_E4M3, 576, 300), T(".weight_scale_inv", F32, 5, 3)},
     {1, 576, 300}},
    {"gpt-oss-mxfp4",
     "experts.down_proj",
     {T("_blocks", U8, 4, 96, 5, 16), T("_scales", U8, 4, 96, 5)},
     {4, 96, 160}},
    {"awq int4 g128",
     "q_proj",
     {T(".qweight", I32, 384, 20), T(".qzeros", I32, 3, 20), T(".scales", F16, 3, 160)},
     {1, 160, 384}},
    {"gptq int4 g128",
     "q_proj",
     {T(".qweight", I32, 48, 96), T(".qzeros", I32, 3, 12), T(".scales", F16, 3, 96), T(".g_idx", I32, 384)},
     {1, 96, 384}},
    {"gptq int8 g64",
     "q_proj",
     {T(".qweight", I32, 96, 96), T(".qzeros", I32, 6, 24), T(".scales", F16, 6, 96), T(".g_idx", I32, 384)},
     {1, 96, 384}},
};

static void add_parts(tiny *t, const seen *s, int layer) {
    static const int64_t logical[] = {96, 384};
    char name[128];
    for (int i = 0; i < 6 && s->parts[i].suffix != NULL; i++) {
        snprintf(name, sizeof name, "model.layers.%d.%s%s", layer, s->module, s->parts[i].suffix);
        memcpy(tiny_add(t, name, s->parts[i].type, s->parts[i].n_dims, s->parts[i].dims)->numbers, logical,
               sizeof logical);
    }
}

START_TEST(without_a_config_the_tensors_say_the_scheme) {
    const seen *s = &all_seen[_i];
    tiny *t = tiny_new();
    add_parts(t, s, 0);
    tiny_read(t);
    ck_assert_uint_eq(t->modules.n, 1);
    const qp_ck_module *m = &t->modules.list[0];
    ck_assert_msg(m->scheme != NULL, "wanted %s, got none", s->scheme);
    ck_assert_str_eq(m->scheme->name, s->scheme);
    ck_assert(m->sound && m->linear);
    ck_assert_int_eq(m->stack, s->size[0]);
    ck_assert_int_eq(m->out, s->size[1]);
    ck_assert_int_eq(m->in, s->size[2]);
    done(t);
}
END_TEST

// ---- config against tensors
// ------------------------------------------------------------------------------------------------

#define MODELOPT(algo, group)                                                                                \
    "{\"producer\":{\"name\":\"modelopt\"},\"quantization\":{\"quant_algo\":\"" algo                         \
    "\",\"group_size\":" #group ",\"kv_cache_quant_algo\":null,\"exclude_modules\":[]}}"

START_TEST(tensors_of_another_scheme_than_the_config_says_are_what_they_are) {
    tiny *t = tiny_new();
    t->hf_quant = MODELOPT("FP8", 16);
    for (int l = 0; l < 3; l++) add_parts(t, &all_seen[0], l);
    tiny_read(t);
    for (uint32_t i = 0; i < t->modules.n; i++) {
        ck_assert_str_eq(t->modules.list[i].scheme->name, "modelopt nvfp4");
        ck_assert_str_eq(t->modules.list[i].claim.scheme->name, "modelopt fp8");
        ck_assert(t->modules.list[i].sound);
    }
    done(t);
}
END_TEST

START_TEST(a_group_size_that_fits_nowhere_is_the_configs_fault_one_odd_tensor_is_its_own) {
    tiny *t = tiny_new();
    t->hf_quant = MODELOPT("W4A16_NVFP4", 32);
    for (int l = 0; l < 3; l++) add_parts(t, &all_seen[1], l); // groups of 16
    tiny_read(t);
    for (uint32_t i = 0; i < t->modules.n; i++)
        ck_assert_str_eq(t->modules.list[i].scheme->name, "modelopt w4a16-nvfp4");
    tiny_close(t);
    t->hf_quant = MODELOPT("W4A16_NVFP4", 16);
    tiny_find(t, "model.layers.1.q_proj.weight_scale")->dims[1] = 5; // half of them: looks like groups of 32
    tiny_read(t);
    for (uint32_t i = 0; i < t->modules.n; i++) {
        ck_assert_str_eq(t->modules.list[i].scheme->name, "modelopt w4a16-nvfp4");
        ck_assert(t->modules.list[i].sound == (i != 1));
    }
    done(t);
}
END_TEST

START_TEST(a_bf16_weight_has_no_scheme_whatever_the_config_says) {
    tiny *t = tiny_new();
    t->hf_quant = MODELOPT("NVFP4", 16);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.weight", QP_ST_BF16, 32, 16);
    tiny_read(t);
    ck_assert_ptr_null(t->modules.list[0].scheme);
    ck_assert_int_eq(t->modules.list[0].claim.kind, QP_CK_QUANTIZED);
    ck_assert(t->modules.list[0].sound);
    done(t);
}
END_TEST

START_TEST(a_missing_input_scale_does_not_make_another_scheme) {
    tiny *t = tiny_new();
    t->hf_quant = MODELOPT("NVFP4", 16);
    add_parts(t, &all_seen[0], 0);
    add_parts(t, &all_seen[1], 1); // as W4A16: no input scale
    tiny_read(t);
    ck_assert_str_eq(t->modules.list[1].scheme->name, "modelopt nvfp4");
    ck_assert(t->modules.list[1].sound);
    done(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("modules");
    TCase *c = tcase_create("modules");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, a_name_is_split_into_module_and_role, 0, QP_COUNT(names));
    tcase_add_test(c, layer_and_expert_are_the_numbers_behind_their_lists);
    tcase_add_test(c, tensors_of_one_module_meet_across_others_and_each_module_is_found);
    tcase_add_test(c, embeddings_convolutions_and_norms_are_no_linears);
    tcase_add_test(c, loaders_fuse_siblings_and_only_those);
    tcase_add_loop_test(c, without_a_config_the_tensors_say_the_scheme, 0, QP_COUNT(all_seen));
    tcase_add_test(c, tensors_of_another_scheme_than_the_config_says_are_what_they_are);
    tcase_add_test(c, a_group_size_that_fits_nowhere_is_the_configs_fault_one_odd_tensor_is_its_own);
    tcase_add_test(c, a_bf16_weight_has_no_scheme_whatever_the_config_says);
    tcase_add_test(c, a_missing_input_scale_does_not_make_another_scheme);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
