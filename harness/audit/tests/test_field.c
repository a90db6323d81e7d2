// SPDX-License-Identifier: Apache-2.0
// What a field of real users brings: shards verified alone, configs of dialects that no rule here knows,
// layers and linears that are simply not there.
#include "audit/tests/dialects.h"

#define NVFP4 MO("NVFP4", 16)
#define DEEP(n) "{\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":" #n

static void linear(tiny *t, const char *name, int64_t out, int64_t in) { // NVFP4
    static const struct {
        const char *suffix;
        qp_st_type type;
        int n_dims, per;
    } list[] = {{".weight", QP_ST_U8, 2, 2},
                {".weight_scale", QP_ST_F8_E4M3, 2, 16},
                {".weight_scale_2", QP_ST_F32, 0, 1},
                {".input_scale", QP_ST_F32, 0, 1}};
    char full[192];
    for (int i = 0; i < QP_COUNT(list); i++) {
        snprintf(full, sizeof full, "%s%s", name, list[i].suffix);
        tiny_add(t, full, list[i].type, list[i].n_dims, (int64_t[]){out, in / list[i].per});
    }
}

static void layer_linear(tiny *t, int layer, const char *tail) {
    char name[160];
    snprintf(name, sizeof name, "model.layers.%d.%s", layer, tail);
    linear(t, name, 32, 64);
}

static tiny *model(int n_layers) {
    static const char *const tails[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj"};
    tiny *t = tiny_new();
    t->hf_quant = NVFP4;
    TINY_ADD(t, "model.embed_tokens.weight", QP_ST_BF16, 16, 64);
    for (int l = 0; l < n_layers; l++)
        for (int i = 0; i < QP_COUNT(tails); i++) layer_linear(t, l, tails[i]);
    return t;
}

static void drop_under(tiny *t, const char *prefix) {
    for (int i = t->n - 1; i >= 0; i--)
        if (strncmp(t->list[i].name, prefix, strlen(prefix)) == 0) t->list[i] = t->list[--t->n];
}

static void rename_under(tiny *t, const char *from, const char *to) {
    for (int i = 0; i < t->n; i++) {
        char old[sizeof t->list[i].name];
        if (strncmp(t->list[i].name, from, strlen(from)) != 0) continue;
        memcpy(old, t->list[i].name, sizeof old);
        ck_assert_int_lt(snprintf(t->list[i].name, sizeof old, "%s%s", to, old + strlen(from)), sizeof old);
    }
}

static void judge(tiny *t) {
    qp_err err = {0};
    tiny_structure(t);
    const qp_audit u = tiny_audit(t);
    ck_assert_msg(qp_pass_config(&u, t->arena, &t->findings, &err) == QP_OK, "%s", err.msg);
}

// ---- what is not there
// ----------------------------------------------------------------------------------------------------

START_TEST(a_layer_that_is_not_there_is_named) {
    static const int gone[] = {0, 1, 3}; // the first, one between, the last
    char prefix[64], name[64];
    tiny *t = model(4);
    t->config = DEEP(4) "}";
    snprintf(prefix, sizeof prefix, "model.layers.%d.", gone[_i]);
    snprintf(name, sizeof name, "model.layers.%d", gone[_i]);
    drop_under(t, prefix);
    judge(t);
    TINY_WANT_ONLY(t, QP_CK_CONFIG_TENSORS, name);
    done(t);
}
END_TEST

START_TEST(as_many_layers_as_the_config_says_or_one_more_are_sound) {
    tiny *t = model(4);
    t->config = _i == 0 ? DEEP(4) "}" : _i == 1 ? DEEP(3) "}" : "{\"text_config\":" DEEP(4) "}}";
    judge(t);
    TINY_WANT_CLEAN(t);
    done(t);
}
END_TEST

START_TEST(a_layer_number_with_a_zero_in_front_is_another_name) {
    tiny *t = model(2);
    t->config = DEEP(2) "}";
    rename_under(t, "model.layers.1.", "model.layers.01.");
    judge(t);
    TINY_WANT_ONLY(t, QP_CK_CONFIG_TENSORS, "model.layers.1");
    done(t);
}
END_TEST

START_TEST(no_whole_model_owes_no_layers) { // a draft without embeddings; layers that are empty by design
    tiny *t = model(2);
    t->config = _i == 0 ? DEEP(9) "}" : DEEP(9) ",\"block_configs\":[]}";
    if (_i == 0) drop_under(t, "model.embed");
    judge(t);
    TINY_WANT_CLEAN(t);
    done(t);
}
END_TEST

START_TEST(a_linear_that_one_layer_of_many_lacks_is_named) {
    tiny *t = model(4);
    drop_under(t, "model.layers.2.self_attn.k_proj.");
    judge(t);
    TINY_WANT_ONLY(t, QP_CK_CONFIG_TENSORS, "model.layers.2.self_attn.k_proj");
    done(t);
}
END_TEST

START_TEST(layers_of_another_kind_and_pairs_of_lean_layers_lack_nothing) {
    tiny *t = model(5);
    if (_i == 0) { // two layers that share the keys and values of another
        drop_under(t, "model.layers.3.self_attn.k_proj.");
        drop_under(t, "model.layers.4.self_attn.k_proj.");
    } else { // an attention of another kind
        drop_under(t, "model.layers.3.self_attn.");
        layer_linear(t, 3, "linear_attn.q_proj");
        layer_linear(t, 3, "linear_attn.out_proj");
    }
    judge(t);
    TINY_WANT_CLEAN(t);
    done(t);
}
END_TEST

static tiny *moe(void) {
    tiny *t = model(2);
    t->config = DEEP(2) ",\"num_experts\":2}";
    t->hf_quant = MODELOPT("NVFP4") ",\"group_size\":16}}";
    for (int l = 0; l < 2; l++)
        for (int e = 0; e < 2; e++) {
            char tail[64];
            snprintf(tail, sizeof tail, "mlp.experts.%d.up_proj", e);
            layer_linear(t, l, tail);
        }
    return t;
}

static void add_router(tiny *t, int layer) {
    char name[64];
    snprintf(name, sizeof name, "model.layers.%d.mlp.gate.weight", layer);
    TINY_ADD(t, name, QP_ST_BF16, 2, 64);
}

START_TEST(routers_without_any_expert_anywhere_are_named) {
    tiny *t = moe();
    add_router(t, 0);
    add_router(t, 1);
    drop_under(t, "model.layers.0.mlp.experts.");
    drop_under(t, "model.layers.1.mlp.experts.");
    tiny_structure(t);
    TINY_WANT(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.gate");
    TINY_WANT(t, QP_CK_EXPERT_SET, "model.layers.1.mlp.gate");
    done(t);
}
END_TEST

START_TEST(an_expert_number_with_a_zero_in_front_is_another_name) {
    tiny *t = moe();
    rename_under(t, "model.layers.1.mlp.experts.1.", "model.layers.1.mlp.experts.01.");
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.1.mlp.experts.01.up_proj");
    done(t);
}
END_TEST

// ---- one shard alone
// -----------------------------------------------------------------------------------------------------

// The audit of the tensors as one file of this name, with an index beside it or none.
static void run_file(tiny *t, const char *file, const char *index, qp_audit *u) {
    char from[128], to[160];
    qp_err err = {0};
    snprintf(t->folder, sizeof t->folder, "/tmp/tiny-ckpt-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t->folder));
    tiny_write(t);
    if (index != NULL) tiny_file(t, "model.safetensors.index.json", index, strlen(index));
    snprintf(from, sizeof from, "%s/model.safetensors", t->folder);
    snprintf(to, sizeof to, "%s/%s", t->folder, file);
    ck_assert_int_eq(rename(from, to), 0);
    t->arena = qp_arena_new();
    const qp_audit_options o = {.path = to, .threads = 1};
    ck_assert_msg(qp_audit_run(&o, t->arena, u, &err) == QP_OK, "%s", err.msg);
}

static tiny *second_half(void) { // cut through q_proj, through the experts, behind the head and the layers
    tiny *t = tiny_new();
    t->config = DEEP(4) ",\"tie_word_embeddings\":false,\"num_experts\":4}";
    t->hf_quant =
        "{\"quantization\":{\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":\"FP8\",\"group_size\":16,"
        "\"exclude_modules\":[\"lm_head\"]}}";
    TINY_ADD(t, "model.embed_tokens.weight", QP_ST_BF16, 16, 64);
    layer_linear(t, 2, "self_attn.q_proj");
    tiny_drop(t, "model.layers.2.self_attn.q_proj.weight_scale");
    layer_linear(t, 2, "self_attn.k_proj");
    tiny_drop(t, "model.layers.2.self_attn.k_proj.weight");
    layer_linear(t, 2, "mlp.experts.3.up_proj");
    return t;
}

static uint64_t absences(const qp_audit *u) {
    const uint64_t *n = u->findings.counts;
    return n[QP_CK_MISSING_SCALE] + n[QP_CK_ORPHAN_SCALE] + n[QP_CK_EXPERT_SET] + n[QP_CK_KV_SCALE] +
           n[QP_CK_CONFIG_TENSORS] + n[QP_CK_EXCLUDE_UNKNOWN];
}

static const struct {
    const char *file, *index;
    bool part;
} alone[] = {
    {"model-00002-of-00003.safetensors", NULL, true},
    {"half.safetensors", "{\"weight_map\":{\"a\":\"half.safetensors\",\"b\":\"other.safetensors\"}}", true},
    {"half.safetensors", NULL, false},
    {"model-00001-of-00001.safetensors", NULL, false},
    {"half.safetensors", "{\"weight_map\":{\"a\":\"half.safetensors\"}}", false},
    {"half.safetensors", "{\"weight_map\":{\"b\":\"other.safetensors\"}}", false},
};

START_TEST(a_shard_alone_owes_nothing_that_may_lie_in_another) {
    tiny *t = second_half();
    qp_audit u;
    run_file(t, alone[_i].file, alone[_i].index, &u);
    ck_assert_int_eq(u.ckpt.part, alone[_i].part);
    if (alone[_i].part) {
        ck_assert_uint_eq(absences(&u), 0);
        ck_assert_uint_eq(u.inventory.missing_scale, 0);
        ck_assert_uint_ge(u.findings.counts[QP_CK_STATISTICS], 1); // said, not hidden
    } else {
        ck_assert_uint_ge(u.findings.counts[QP_CK_MISSING_SCALE], 1);
        ck_assert_uint_ge(u.findings.counts[QP_CK_EXCLUDE_UNKNOWN], 1);
    }
    qp_audit_close(&u);
    tiny_close(t);
    free(t);
}
END_TEST

START_TEST(what_is_in_a_shard_is_still_judged) {
    tiny *t = second_half();
    qp_audit u;
    tiny_find(t, "model.layers.2.mlp.experts.3.up_proj.weight_scale_2")->type = QP_ST_BF16;
    run_file(t, alone[0].file, NULL, &u);
    ck_assert_uint_eq(u.findings.counts[QP_CK_DTYPE], 1);
    qp_audit_close(&u);
    tiny_close(t);
    free(t);
}
END_TEST

// ---- what no rule knows
// --------------------------------------------------------------------------------------------------

static const struct {
    const char *config, *weight, *scale; // names of one linear
    qp_st_type type;
} foreign[] = {
    {METHOD("\"bitsandbytes\",\"load_in_4bit\":true"), "q_proj.weight", "q_proj.weight.absmax", QP_ST_U8},
    {METHOD("\"quark\",\"export\":{\"pack_method\":\"reorder\"}"), "q_proj.weight", "q_proj.weight_scale",
     QP_ST_U8},
    {METHOD("\"hqq\""), "q_proj.weight", "q_proj.scale", QP_ST_U8},
    {"{\"quantization\":{\"group_size\":64,\"bits\":4}}", "q_proj.weight", "q_proj.scales", QP_ST_I32},
    {METHOD("\"modelopt\",\"quant_algo\":\"NVFP3\""), "q_proj.weight", "q_proj.weight_scale", QP_ST_U8},
};

START_TEST(a_dialect_or_scheme_that_no_rule_knows_counts_as_unknown_and_not_as_judged) {
    tiny *t = tiny_new();
    char name[96];
    qp_audit u;
    t->config = foreign[_i].config;
    snprintf(name, sizeof name, "model.layers.0.self_attn.%s", foreign[_i].weight);
    TINY_ADD(t, name, foreign[_i].type, 64, 32);
    snprintf(name, sizeof name, "model.layers.0.self_attn.%s", foreign[_i].scale);
    TINY_ADD(t, name, QP_ST_U8, 64, 2);
    run_file(t, "model.safetensors", NULL, &u);
    ck_assert_uint_eq(u.judged, 0);
    ck_assert_uint_eq(u.unknown, 1);
    ck_assert_uint_ge(u.findings.counts[QP_CK_UNCLASSIFIED], 1); // said
    ck_assert_uint_eq(u.findings.counts[QP_CK_MISSING_SCALE] + u.findings.counts[QP_CK_ORPHAN_SCALE], 0);
    qp_audit_close(&u);
    tiny_close(t);
    free(t);
}
END_TEST

START_TEST(of_two_schemes_the_unknown_one_is_counted_beside_the_judged) {
    tiny *t = tiny_new();
    qp_audit u;
    t->hf_quant = "{\"quantization\":{\"quant_algo\":\"MIXED_PRECISION\",\"kv_cache_quant_algo\":null,"
                  "\"quantized_layers\":{\"model.layers.0.a\":{\"quant_algo\":\"NVFP4\",\"group_size\":16},"
                  "\"model.layers.0.b\":{\"quant_algo\":\"W3A7\"}}}}";
    layer_linear(t, 0, "a");
    layer_linear(t, 0, "b");
    run_file(t, "model.safetensors", NULL, &u);
    ck_assert_uint_eq(u.unknown, 1);
    ck_assert_uint_eq(u.judged, 4); // a and its three scales
    qp_audit_close(&u);
    tiny_close(t);
    free(t);
}
END_TEST

START_TEST(a_module_quantized_by_name_without_any_tensor_is_found) {
    tiny *t = tiny_new();
    t->hf_quant = "{\"quantization\":{\"quant_algo\":\"MIXED_PRECISION\",\"kv_cache_quant_algo\":null,"
                  "\"quantized_layers\":{\"model.layers.0.a\":{\"quant_algo\":\"NVFP4\",\"group_size\":16},"
                  "\"model.layers.0.b\":{\"quant_algo\":\"NVFP4\",\"group_size\":16}}}}";
    layer_linear(t, 0, "a");
    judge(t);
    TINY_WANT_ONLY(t, QP_CK_CONFIG_TENSORS, "model.layers.0.b");
    done(t);
}
END_TEST

// ---- bytes against the config
// --------------------------------------------------------------------------------------------

START_TEST(a_tied_head_with_other_bytes_than_the_embedding_is_found) {
    tiny *t = tiny_new();
    t->config = "{\"tie_word_embeddings\":true}";
    // integers: this kit writes the bytes of no other type
    TINY_ADD(t, "model.embed_tokens.weight", QP_ST_I64, 2, 1)->numbers[1] = 5;
    TINY_ADD(t, "lm_head.weight", QP_ST_I64, 2, 1)->numbers[1] = _i == 0 ? 6 : 5;
    tiny_structure(t);
    ck_assert_uint_eq(t->findings.counts[QP_CK_CONFIG_TENSORS], _i == 0);
    done(t);
}
END_TEST

START_TEST(two_names_of_one_cache_scale_hold_one_number) {
    tiny *t = tiny_new();
    // integers again: numbers beside wrong types, which are named too
    TINY_ADD(t, "model.layers.0.self_attn.k_proj.k_scale", QP_ST_I64, 1)->numbers[0] = 5;
    TINY_ADD(t, "model.layers.0.self_attn.v_proj.v_scale", QP_ST_I64, 1)->numbers[0] = 7;
    TINY_ADD(t, "model.layers.0.self_attn.attn.k_scale", QP_ST_I64, 1)->numbers[0] = 5;
    TINY_ADD(t, "model.layers.0.self_attn.attn.v_scale", QP_ST_I64, 1)->numbers[0] = _i == 0 ? 8 : 7;
    tiny_structure(t);
    ck_assert_uint_eq(t->findings.counts[QP_CK_KV_SCALE], _i == 0);
    if (_i == 0) TINY_WANT(t, QP_CK_KV_SCALE, "model.layers.0.self_attn.attn.v_scale");
    done(t);
}
END_TEST

START_TEST(an_order_of_columns_that_desc_act_denies_is_found) {
    tiny *t = tiny_new();
    t->config = _i == 0 ? METHOD("\"gptq\",\"bits\":4,\"group_size\":32,\"sym\":true,\"desc_act\":false")
                        : METHOD("\"gptq\",\"bits\":4,\"group_size\":32,\"sym\":true,\"desc_act\":true");
    TINY_ADD(t, "model.layers.0.mlp.up_proj.qweight", QP_ST_I32, 8, 32);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.scales", QP_ST_F16, 2, 32);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.qzeros", QP_ST_I32, 2, 4);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.g_idx", QP_ST_I32, 64); // all zero: 32 of them are not i / 32
    judge(t);
    ck_assert_uint_eq(t->findings.counts[QP_CK_CONFIG_TENSORS], _i == 0);
    if (_i == 0) {
        const qp_ck_finding *f = tiny_finding(t, QP_CK_CONFIG_TENSORS, "model.layers.0.mlp.up_proj.g_idx");
        ck_assert_ptr_nonnull(f);
        ck_assert_ptr_nonnull(strstr(f->detail, "wanted group 1 at [32], got 0"));
    }
    done(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("from the field");
    TCase *c = tcase_create("field");
    tcase_add_loop_test(c, a_layer_that_is_not_there_is_named, 0, 3);
    tcase_add_loop_test(c, as_many_layers_as_the_config_says_or_one_more_are_sound, 0, 3);
    tcase_add_test(c, a_layer_number_with_a_zero_in_front_is_another_name);
    tcase_add_loop_test(c, no_whole_model_owes_no_layers, 0, 2);
    tcase_add_test(c, a_linear_that_one_layer_of_many_lacks_is_named);
    tcase_add_loop_test(c, layers_of_another_kind_and_pairs_of_lean_layers_lack_nothing, 0, 2);
    tcase_add_test(c, routers_without_any_expert_anywhere_are_named);
    tcase_add_test(c, an_expert_number_with_a_zero_in_front_is_another_name);
    tcase_add_loop_test(c, a_shard_alone_owes_nothing_that_may_lie_in_another, 0, QP_COUNT(alone));
    tcase_add_test(c, what_is_in_a_shard_is_still_judged);
    tcase_add_loop_test(c, a_dialect_or_scheme_that_no_rule_knows_counts_as_unknown_and_not_as_judged, 0,
                        QP_COUNT(foreign));
    tcase_add_test(c, of_two_schemes_the_unknown_one_is_counted_beside_the_judged);
    tcase_add_test(c, a_module_quantized_by_name_without_any_tensor_is_found);
    tcase_add_loop_test(c, a_tied_head_with_other_bytes_than_the_embedding_is_found, 0, 2);
    tcase_add_loop_test(c, two_names_of_one_cache_scale_hold_one_number, 0, 2);
    tcase_add_loop_test(c, an_order_of_columns_that_desc_act_denies_is_found, 0, 2);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
