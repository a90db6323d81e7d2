// SPDX-License-Identifier: Apache-2.0
// The names of real model families (shapes spec, part 1) at toy sizes, in four dialects with the exclude
// lists that exporters write: nothing above note, no name without a role. And a scale less is still missed.
#include "audit/tests/tiny_ckpt.h"

#include <ctype.h>

// One tensor or linear a line: kind, name, sizes. {a-b} counts. Kinds: Q a quantized linear, X a linear left
// alone by name, E a plain tensor that exporters of Model Optimizer list too, P any other plain tensor.
#define NORMS(layers)                                                                                        \
    "P " layers ".input_layernorm.weight 64\n"                                                               \
    "P " layers ".post_attention_layernorm.weight 64\n"
#define ATTENTION(at, kind)                                                                                  \
    kind " " at ".q_proj 64 64\n" kind " " at ".k_proj 32 64\n" kind " " at ".v_proj 32 64\n" kind " " at    \
         ".o_proj 64 64\n"
#define BIASES(at) "P " at ".q_proj.bias 64\nP " at ".k_proj.bias 32\nP " at ".v_proj.bias 32\n"
#define MLP(at, kind)                                                                                        \
    kind " " at ".gate_proj 96 64\n" kind " " at ".up_proj 96 64\n" kind " " at ".down_proj 64 96\n"
#define MLA(at)                                                                                              \
    "Q " at ".q_a_proj 32 64\nQ " at ".kv_a_proj_with_mqa 48 64\nQ " at ".q_b_proj 96 32\nQ " at             \
    ".kv_b_proj 96 32\nQ " at ".o_proj 64 64\nP " at ".q_a_layernorm.weight 32\nP " at                       \
    ".kv_a_layernorm.weight 32\n"
#define ENDS "E model.embed_tokens.weight 128 64\nP model.norm.weight 64\nX lm_head 128 64\n"
#define MTP(layer)                                                                                           \
    "P " layer ".enorm.weight 64\nP " layer ".hnorm.weight 64\nX " layer ".eh_proj 64 128\nE " layer         \
    ".embed_tokens.weight 128 64\nP " layer ".shared_head.norm.weight 64\nX " layer                          \
    ".shared_head.head 128 64\n"

static const struct family {
    const char *name, *config, *tensors;
} families[] = {
    {"llama-3.1", "\"num_hidden_layers\":3,\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-2}") ATTENTION("model.layers.{0-2}.self_attn", "Q")
         MLP("model.layers.{0-2}.mlp", "Q")},
    {"llama-3.2 tied", "\"num_hidden_layers\":2,\"tie_word_embeddings\":true",
     "E model.embed_tokens.weight 128 64\nP model.norm.weight 64\n" NORMS("model.layers.{0-1}")
         ATTENTION("model.layers.{0-1}.self_attn", "Q") MLP("model.layers.{0-1}.mlp", "Q")},
    {"qwen2.5", "\"num_hidden_layers\":2,\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-1}") ATTENTION("model.layers.{0-1}.self_attn", "Q")
         BIASES("model.layers.{0-1}.self_attn") MLP("model.layers.{0-1}.mlp", "Q")},
    {"qwen3-moe", "\"num_hidden_layers\":2,\"num_experts\":2,\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-1}") ATTENTION("model.layers.{0-1}.self_attn", "Q")
         MLP("model.layers.{0-1}.mlp.experts.{0-1}",
             "Q") "X model.layers.{0-1}.mlp.gate 2 64\nP model.layers.{0-1}.self_attn.q_norm.weight 32\n"
                  "P model.layers.{0-1}.self_attn.k_norm.weight 32\n"},
    {"mixtral", "\"num_hidden_layers\":2,\"num_local_experts\":2,\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-1}")
         ATTENTION("model.layers.{0-1}.self_attn",
                   "Q") "X model.layers.{0-1}.block_sparse_moe.gate 2 64\n"
                        "Q model.layers.{0-1}.block_sparse_moe.experts.{0-1}.w1 96 64\n"
                        "Q model.layers.{0-1}.block_sparse_moe.experts.{0-1}.w3 96 64\n"
                        "Q model.layers.{0-1}.block_sparse_moe.experts.{0-1}.w2 64 96\n"},
    {"deepseek-v3",
     "\"num_hidden_layers\":2,\"n_routed_experts\":2,\"num_nextn_predict_layers\":1,"
     "\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-2}") MLA("model.layers.{0-2}.self_attn") MLP("model.layers.0.mlp", "Q")
         MLP("model.layers.{1-2}.mlp.experts.{0-1}", "Q")
             MLP("model.layers.{1-2}.mlp.shared_experts",
                 "Q") "X model.layers.{1-2}.mlp.gate 2 64\nP "
                      "model.layers.{1-2}.mlp.gate.e_score_correction_bias 2\n" MTP("model.layers.2")},
    {"kimi-k2.5",
     "\"text_config\":{\"num_hidden_layers\":2,\"n_routed_experts\":2},\"tie_word_embeddings\":false",
     "E language_model.model.embed_tokens.weight 128 64\nP language_model.model.norm.weight 64\n"
     "X language_model.lm_head 128 64\n" NORMS("language_model.model.layers.{0-1}")
         MLA("language_model.model.layers.{0-1}.self_attn") MLP("language_model.model.layers.0.mlp", "Q")
             MLP("language_model.model.layers.1.mlp.experts.{0-1}",
                 "Q") "X language_model.model.layers.1.mlp.gate 2 64\n"
                      "P vision_tower.patch_embed.pos_emb.weight 4 4 32\nP "
                      "vision_tower.patch_embed.proj.weight 32 3 2 2\n"
                      "X vision_tower.encoder.blocks.{0-1}.wqkv 96 32\nX "
                      "vision_tower.encoder.blocks.{0-1}.wo 32 32\n"
                      "P vision_tower.encoder.blocks.{0-1}.norm0.weight 32\nX mm_projector.proj.0 64 32\n"},
    {"glm-4.5",
     "\"num_hidden_layers\":2,\"n_routed_experts\":2,\"num_nextn_predict_layers\":1,"
     "\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-2}") ATTENTION("model.layers.{0-1}.self_attn", "Q")
         BIASES("model.layers.{0-2}.self_attn") ATTENTION("model.layers.2.self_attn", "X")
             MLP("model.layers.0.mlp", "Q") MLP("model.layers.1.mlp.experts.{0-1}",
                                                "Q") MLP("model.layers.2.mlp.experts.{0-1}", "X")
                 MLP("model.layers.1.mlp.shared_experts",
                     "Q") "X model.layers.{1-2}.mlp.gate 2 64\nP "
                          "model.layers.{1-2}.mlp.gate.e_score_correction_bias 2\n" MTP("model.layers.2")},
    {"nemotron-h",
     "\"num_hidden_layers\":4,\"n_routed_experts\":2,\"hybrid_override_pattern\":\"ME*M\","
     "\"tie_word_embeddings\":false",
     "E backbone.embeddings.weight 128 64\nP backbone.norm_f.weight 64\nX lm_head 128 64\n"
     "P backbone.layers.{0-3}.norm.weight 64\n"
     "Q backbone.layers.0.mixer.in_proj 208 64\nQ backbone.layers.0.mixer.out_proj 64 64\n"
     "Q backbone.layers.3.mixer.in_proj 208 64\nQ backbone.layers.3.mixer.out_proj 64 64\n"
     "E backbone.layers.{0-0}.mixer.conv1d.weight 96 1 4\nE backbone.layers.3.mixer.conv1d.weight 96 1 4\n"
     "P backbone.layers.0.mixer.conv1d.bias 96\nP backbone.layers.0.mixer.A_log 4\n"
     "P backbone.layers.0.mixer.D 4\nP backbone.layers.0.mixer.dt_bias 4\n"
     "P backbone.layers.0.mixer.norm.weight 64\n" ATTENTION(
         "backbone.layers.2.mixer", "Q") "Q backbone.layers.1.mixer.experts.{0-1}.up_proj 96 64\n"
                                         "Q backbone.layers.1.mixer.experts.{0-1}.down_proj 64 96\n"
                                         "Q backbone.layers.1.mixer.shared_experts.up_proj 96 64\n"
                                         "Q backbone.layers.1.mixer.shared_experts.down_proj 64 96\n"
                                         "X backbone.layers.1.mixer.fc1_latent_proj 32 64\nX "
                                         "backbone.layers.1.mixer.fc2_latent_proj 64 32\n"
                                         "X backbone.layers.1.mixer.gate 2 64\nP "
                                         "backbone.layers.1.mixer.gate.e_score_correction_bias 2\n"
                                         "X mtp.layers.0.eh_proj 64 128\nP mtp.layers.0.enorm.weight 64\nP "
                                         "mtp.layers.0.hnorm.weight 64\n"},
    {"qwen3.5-moe",
     "\"text_config\":{\"num_hidden_layers\":2,\"num_experts\":2},\"tie_word_embeddings\":false",
     "E model.language_model.embed_tokens.weight 128 64\nP model.language_model.norm.weight 64\n"
     "X lm_head 128 64\n" NORMS("model.language_model.layers.{0-1}") ATTENTION(
         "model.language_model.layers.1.self_attn",
         "Q") "Q model.language_model.layers.0.linear_attn.in_proj_qkv 96 64\n"
              "Q model.language_model.layers.0.linear_attn.in_proj_z 64 64\n"
              "X model.language_model.layers.0.linear_attn.in_proj_b 4 64\n"
              "X model.language_model.layers.0.linear_attn.in_proj_a 4 64\n"
              "Q model.language_model.layers.0.linear_attn.out_proj 64 64\n"
              "E model.language_model.layers.0.linear_attn.conv1d.weight 96 1 4\n"
              "P model.language_model.layers.0.linear_attn.A_log 4\n"
              "P model.language_model.layers.0.linear_attn.dt_bias 4\n"
              "P model.language_model.layers.0.linear_attn.norm.weight 32\n" MLP(
                  "model.language_model.layers.{0-1}.mlp.experts.{0-1}", "Q")
                  MLP("model.language_model.layers.{0-1}.mlp.shared_expert",
                      "Q") "X model.language_model.layers.{0-1}.mlp.gate 2 64\n"
                           "X model.language_model.layers.{0-1}.mlp.shared_expert_gate 1 64\n"
                           "P model.visual.patch_embed.proj.weight 32 3 2 2 2\nE "
                           "model.visual.pos_embed.weight 16 32\n"
                           "X model.visual.blocks.{0-1}.attn.qkv 96 32\nX "
                           "model.visual.blocks.{0-1}.attn.proj 32 32\n"
                           "X model.visual.blocks.{0-1}.mlp.linear_fc1 64 32\nX "
                           "model.visual.merger.linear_fc2 64 128\n"
                           "X mtp.fc 64 128\nP mtp.norm.weight 64\nP mtp.pre_fc_norm_hidden.weight 64\n" MLP(
                               "mtp.layers.0.mlp.experts.{0-1}", "X") "X mtp.layers.0.mlp.gate 2 64\n"},
    {"llama-4-scout", // its fused experts are left in BF16 here; quantized stacks: test_structure
     "\"text_config\":{\"num_hidden_layers\":2,\"num_local_experts\":2},\"tie_word_embeddings\":false",
     "E language_model.model.embed_tokens.weight 128 64\nP language_model.model.norm.weight 64\n"
     "X language_model.lm_head 128 64\n" NORMS("language_model.model.layers.{0-1}")
         ATTENTION("language_model.model.layers.{0-1}.self_attn", "Q") MLP(
             "language_model.model.layers.{0-1}.feed_forward.shared_expert",
             "Q") "X language_model.model.layers.{0-1}.feed_forward.router 2 64\n"
                  "E language_model.model.layers.{0-1}.feed_forward.experts.gate_up_proj 2 64 192\n"
                  "E language_model.model.layers.{0-1}.feed_forward.experts.down_proj 2 96 64\n"
                  "P vision_model.class_embedding 32\nP vision_model.positional_embedding_vlm 17 32\n"
                  "X vision_model.patch_embedding.linear 32 48\nX vision_model.vision_adapter.mlp.fc1 64 64\n"
                  "X vision_model.model.layers.{0-1}.self_attn.q_proj 32 32\n"
                  "P vision_model.model.layers.{0-1}.self_attn.q_proj.bias 32\nX "
                  "multi_modal_projector.linear_1 64 64\n"},
    {"gpt-oss", "\"num_hidden_layers\":2,\"num_local_experts\":2,\"tie_word_embeddings\":false",
     ENDS NORMS("model.layers.{0-1}") ATTENTION("model.layers.{0-1}.self_attn", "Q")
         BIASES("model.layers.{0-1}.self_attn") "P model.layers.{0-1}.self_attn.sinks 4\nX "
                                                "model.layers.{0-1}.mlp.router 2 64\n"
                                                "P model.layers.{0-1}.mlp.router.bias 2\n"
                                                "E model.layers.{0-1}.mlp.experts.gate_up_proj 2 64 192\n"
                                                "P model.layers.{0-1}.mlp.experts.gate_up_proj_bias 2 192\n"
                                                "E model.layers.{0-1}.mlp.experts.down_proj 2 96 64\n"
                                                "P model.layers.{0-1}.mlp.experts.down_proj_bias 2 64\n"},
};

// ---- dialects
// -------------------------------------------------------------------------------------------------------------

typedef struct writing {
    tiny *t;
    int dialect, n_quantized;
    char excluded[16384], config[20000], hf[20000];
    size_t n_excluded;
} writing;

static void part(writing *w, const char *module, const char *suffix, qp_st_type type, int n_dims, int64_t a,
                 int64_t b) {
    char name[192];
    ck_assert_int_lt(snprintf(name, sizeof name, "%s%s", module, suffix), (int)sizeof name);
    tiny_add(w->t, name, type, n_dims, (int64_t[]){a, b});
}

static void write_nvfp4(writing *w, const char *m, int64_t o, int64_t i) {
    part(w, m, ".weight", QP_ST_U8, 2, o, i / 2);
    part(w, m, ".weight_scale", QP_ST_F8_E4M3, 2, o, i / 16);
    part(w, m, ".weight_scale_2", QP_ST_F32, 0, 0, 0);
    part(w, m, ".input_scale", QP_ST_F32, 0, 0, 0);
}

static void write_fp8(writing *w, const char *m, int64_t o, int64_t i) {
    part(w, m, ".weight", QP_ST_F8_E4M3, 2, o, i);
    part(w, m, ".weight_scale", QP_ST_F32, 0, 0, 0);
    part(w, m, ".input_scale", QP_ST_F32, 0, 0, 0);
}

static void write_ct(writing *w, const char *m, int64_t o, int64_t i) {
    part(w, m, ".weight_packed", QP_ST_U8, 2, o, i / 2);
    part(w, m, ".weight_scale", QP_ST_F8_E4M3, 2, o, i / 16);
    part(w, m, ".weight_global_scale", QP_ST_F32, 1, 1, 0);
    part(w, m, ".input_global_scale", QP_ST_F32, 1, 1, 0);
}

static void write_blocks(writing *w, const char *m, int64_t o, int64_t i) {
    part(w, m, ".weight", QP_ST_F8_E4M3, 2, o, i);
    part(w, m, ".weight_scale_inv", QP_ST_F32, 2, (o + 127) / 128, (i + 127) / 128);
}

static const struct {
    const char *name;
    void (*write)(writing *w, const char *module, int64_t out, int64_t in);
    const char *config, *hf; // %s: the family's keys, the excluded names
    bool lists_plain;        // embeddings, convolutions and stacks among the excluded names
} dialects[] = {
    {"modelopt nvfp4", write_nvfp4, "{%s}",
     "{\"producer\":{\"name\":\"modelopt\",\"version\":\"0.47.0\"},\"quantization\":{\"quant_algo\":"
     "\"NVFP4\","
     "\"kv_cache_quant_algo\":null,\"group_size\":16,\"exclude_modules\":[%s]}}",
     true},
    {"modelopt fp8", write_fp8, "{%s}",
     "{\"producer\":{\"name\":\"modelopt\",\"version\":\"0.47.0\"},\"quantization\":{\"quant_algo\":\"FP8\","
     "\"kv_cache_quant_algo\":null,\"exclude_modules\":[%s]}}",
     true},
    {"compressed-tensors nvfp4", write_ct,
     "{%s,\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-"
     "quantized\","
     "\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":"
     "\"float\","
     "\"strategy\":\"tensor_group\",\"group_size\":16,\"symmetric\":true,\"dynamic\":false},"
     "\"input_activations\":{\"num_bits\":4,\"type\":\"float\",\"strategy\":\"tensor_group\",\"group_size\":"
     "16,"
     "\"symmetric\":true,\"dynamic\":\"local\"}}},\"ignore\":[%s],\"quantization_status\":\"compressed\"}}",
     NULL, false},
    {"fp8 in blocks", write_blocks,
     "{%s,\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":\"e4m3\",\"activation_scheme\":"
     "\"dynamic\","
     "\"weight_block_size\":[128,128],\"modules_to_not_convert\":[%s]}}",
     NULL, false},
};

// ---- a family in a dialect
// -------------------------------------------------------------------------------------------------

static void exclude(writing *w, const char *name) {
    w->n_excluded += (size_t)snprintf(w->excluded + w->n_excluded, sizeof w->excluded - w->n_excluded,
                                      "%s\"%s\"", w->n_excluded > 0 ? "," : "", name);
    ck_assert_uint_lt(w->n_excluded, sizeof w->excluded);
}

static void exclude_module_of(writing *w, const char *tensor) {
    static const char end[] = ".weight";
    char name[192];
    const int n = (int)strlen(tensor) - (int)sizeof end + 1;
    const bool dotted = n > 0 && strcmp(tensor + n, end) == 0;
    snprintf(name, sizeof name, "%.*s", dotted ? n : (int)strlen(tensor), tensor);
    exclude(w, name);
}

static void write_one(writing *w, char kind, const char *name, int n_dims, const int64_t *dims) {
    if (kind == 'Q') {
        dialects[w->dialect].write(w, name, dims[0], dims[1]);
        w->n_quantized++;
    } else if (kind == 'X') {
        part(w, name, ".weight", QP_ST_BF16, 2, dims[0], dims[1]);
        exclude(w, name);
    } else {
        tiny_add(w->t, name, QP_ST_BF16, n_dims, dims);
        // whatever the dialect, a stack of linears left alone is named
        if (kind == 'E' && (dialects[w->dialect].lists_plain || strstr(name, ".experts.") != NULL))
            exclude_module_of(w, name);
    }
}

static void expand(writing *w, char kind, const char *name, int n_dims, const int64_t *dims) {
    const char *open = strchr(name, '{');
    if (open == NULL) {
        write_one(w, kind, name, n_dims, dims);
        return;
    }
    ck_assert(isdigit((unsigned char)open[1]) && open[2] == '-' && isdigit((unsigned char)open[3]));
    for (int i = open[1] - '0'; i <= open[3] - '0'; i++) {
        char one[192];
        snprintf(one, sizeof one, "%.*s%d%s", (int)(open - name), name, i, open + 5);
        expand(w, kind, one, n_dims, dims);
    }
}

static void write_lines(writing *w, const char *lines) {
    for (const char *at = lines; *at != '\0'; at = strchr(at, '\n') + 1) {
        char name[160];
        int64_t dims[TINY_DIMS] = {0};
        int n_dims = 0, n_name = (int)strcspn(at + 2, " ");
        snprintf(name, sizeof name, "%.*s", n_name, at + 2);
        for (char *p = (char *)at + 2 + n_name; *p == ' ';) dims[n_dims++] = strtoll(p, &p, 10);
        expand(w, at[0], name, n_dims, dims);
    }
}

static tiny *make(const struct family *f, int dialect, int *n_quantized) {
    static writing w;
    memset(&w, 0, sizeof w);
    w.dialect = dialect;
    w.t = tiny_new();
    write_lines(&w, f->tensors);
    if (strstr(f->config, "\"tie_word_embeddings\":true") != NULL) exclude(&w, "lm_head"); // as exporters do
    const char *hf = dialects[dialect].hf;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(w.config, sizeof w.config, dialects[dialect].config, f->config, w.excluded);
    if (hf != NULL) snprintf(w.hf, sizeof w.hf, hf, w.excluded);
#pragma GCC diagnostic pop
    w.t->config = w.config;
    w.t->hf_quant = hf != NULL ? w.hf : NULL;
    *n_quantized = w.n_quantized;
    return w.t;
}

static void judge(tiny *t) {
    qp_err err = {0};
    tiny_structure(t);
    const qp_audit u = tiny_audit(t);
    ck_assert_msg(qp_pass_config(&u, t->arena, &t->findings, &err) == QP_OK, "%s", err.msg);
}

enum { FAMILIES = sizeof families / sizeof families[0], DIALECTS = sizeof dialects / sizeof dialects[0] };

START_TEST(every_family_is_sound_in_every_dialect) {
    const struct family *f = &families[_i / DIALECTS];
    const char *dialect = dialects[_i % DIALECTS].name;
    int wanted, quantized = 0;
    tiny *t = make(f, _i % DIALECTS, &wanted);
    judge(t);
    ck_assert_msg(tiny_count(t) == 0, "%s, %s:%s", f->name, dialect, tiny_text(t));
    ck_assert_msg(t->findings.counts[QP_CK_UNCLASSIFIED] == 0, "%s, %s:%s", f->name, dialect, tiny_text(t));
    for (uint32_t i = 0; i < t->modules.n; i++) {
        const qp_ck_module *m = &t->modules.list[i];
        if (m->scheme == NULL) continue;
        quantized++;
        ck_assert_msg(m->sound && m->scheme == m->claim.scheme, "%s, %s: %.*s", f->name, dialect,
                      (int)m->n_name, m->name);
    }
    ck_assert_int_eq(quantized, wanted);
    tiny_close(t);
    free(t);
}
END_TEST

START_TEST(in_every_family_a_scale_less_is_missed) {
    static const char *const scales[DIALECTS] = {".weight_scale_2", ".weight_scale", ".weight_global_scale",
                                                 ".weight_scale_inv"};
    const struct family *f = &families[_i / DIALECTS];
    const char *scale = scales[_i % DIALECTS];
    int wanted;
    tiny *t = make(f, _i % DIALECTS, &wanted);
    char name[192] = "";
    for (int i = 0; i < t->n; i++) { // the last one
        const size_t n = strlen(t->list[i].name), m = strlen(scale);
        if (n > m && strcmp(t->list[i].name + n - m, scale) == 0) memcpy(name, t->list[i].name, n + 1);
    }
    ck_assert_str_ne(name, "");
    tiny_drop(t, name);
    judge(t);
    TINY_WANT_ONLY(t, QP_CK_MISSING_SCALE, name);
    tiny_close(t);
    free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("families");
    TCase *c = tcase_create("names");
    tcase_add_loop_test(c, every_family_is_sound_in_every_dialect, 0, FAMILIES * DIALECTS);
    tcase_add_loop_test(c, in_every_family_a_scale_less_is_missed, 0, FAMILIES * DIALECTS);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
