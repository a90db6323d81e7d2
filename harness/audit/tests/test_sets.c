// SPDX-License-Identifier: Apache-2.0
// Sets across modules: experts, the scales of the KV cache, and the inventory.
#include "audit/tests/tiny_ckpt.h"

#define PLAIN_MOE(more) "{\"architectures\":[\"X\"]" more "}"

static void add_expert(tiny *t, int layer, int expert, const char *projection) {
    char name[192];
    snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%d.%s.weight", layer, expert, projection);
    TINY_ADD(t, name, QP_ST_BF16, 8, 4);
}

static tiny *moe(int layers, int experts, const char *config) {
    static const char *const projections[] = {"gate_proj", "up_proj", "down_proj"};
    tiny *t = tiny_new();
    char name[192];
    t->config = config;
    for (int l = 0; l < layers; l++) {
        snprintf(name, sizeof name, "model.layers.%d.mlp.gate.weight", l);
        TINY_ADD(t, name, QP_ST_BF16, experts, 4);
        for (int e = 0; e < experts; e++)
            for (int p = 0; p < 3; p++) add_expert(t, l, e, projections[p]);
    }
    return t;
}

static void drop_expert(tiny *t, int layer, int expert) {
    char prefix[64];
    const int n = snprintf(prefix, sizeof prefix, "model.layers.%d.mlp.experts.%d.", layer, expert);
    for (int i = t->n - 1; i >= 0; i--)
        if (strncmp(t->list[i].name, prefix, (size_t)n) == 0) t->list[i] = t->list[--t->n];
}

static void done(tiny *t) {
    tiny_close(t);
    free(t);
}

static const char *const expert_keys[] = {
    PLAIN_MOE(",\"num_experts\":4"),
    PLAIN_MOE(",\"n_routed_experts\":4"),
    PLAIN_MOE(",\"num_local_experts\":4"),
    PLAIN_MOE(",\"moe_num_experts\":4"),
    PLAIN_MOE(",\"text_config\":{\"num_experts\":4}"),
};

START_TEST(experts_of_every_config_key_are_counted) {
    tiny *t = moe(2, 4, expert_keys[_i]);
    tiny_structure(t);
    TINY_WANT_CLEAN(t);
    done(t);
    t = moe(2, 4, expert_keys[_i]);
    drop_expert(t, 1, 3); // the last one: only the config tells
    drop_expert(t, 1, 2);
    tiny_find(t, "model.layers.1.mlp.gate.weight")->dims[0] = 2;
    tiny_structure(t);
    TINY_WANT(t, QP_CK_EXPERT_SET, "model.layers.1.mlp.experts.2");
    TINY_WANT(t, QP_CK_EXPERT_SET, "model.layers.1.mlp.experts.3");
    ck_assert_int_eq(tiny_count(t), 2);
    done(t);
}
END_TEST

START_TEST(without_a_config_a_gap_and_the_rows_of_the_router_tell) {
    tiny *t = moe(1, 4, NULL);
    drop_expert(t, 0, 1);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts.1");
    done(t);
    t = moe(1, 4, NULL);
    drop_expert(t, 0, 3);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts.3");
    done(t);
}
END_TEST

START_TEST(one_projection_of_one_expert_is_named) {
    tiny *t = moe(2, 4, expert_keys[0]);
    tiny_drop(t, "model.layers.1.mlp.experts.2.up_proj.weight");
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.1.mlp.experts.2.up_proj");
    done(t);
}
END_TEST

START_TEST(an_expert_beyond_the_last_is_named) {
    tiny *t = moe(1, 4, expert_keys[0]);
    add_expert(t, 0, 7, "up_proj");
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts.7.up_proj");
    done(t);
}
END_TEST

START_TEST(one_expert_under_two_spellings_is_there_twice) {
    tiny *t = moe(1, 4, expert_keys[0]);
    TINY_ADD(t, "model.layers.0.mlp.experts.01.up_proj.weight", QP_ST_BF16, 8, 4);
    tiny_structure(t);
    TINY_WANT(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts.01.up_proj"); // no name that loaders look for
    ck_assert_uint_eq(t->findings.counts[QP_CK_EXPERT_SET], 2); // and one of them is one too many
    ck_assert_int_eq(tiny_count(t), 2);
    done(t);
}
END_TEST

START_TEST(local_ids_of_one_rank_show_as_the_upper_part_missing) {
    tiny *t = moe(1, 8, PLAIN_MOE(",\"num_experts\":8"));
    for (int e = 4; e < 8; e++) drop_expert(t, 0, e);
    tiny_structure(t);
    for (int e = 4; e < 8; e++) {
        char name[64];
        snprintf(name, sizeof name, "model.layers.0.mlp.experts.%d", e);
        TINY_WANT(t, QP_CK_EXPERT_SET, name);
    }
    ck_assert_int_eq(tiny_count(t), 4);
    done(t);
}
END_TEST

START_TEST(a_router_without_any_expert_is_named) {
    tiny *t = moe(2, 4, expert_keys[0]);
    for (int e = 0; e < 4; e++) drop_expert(t, 1, e);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.1.mlp.gate");
    done(t);
}
END_TEST

START_TEST(a_stack_counts_by_its_size) {
    for (int e = 4; e <= 5; e++) {
        tiny *t = tiny_new();
        t->config = expert_keys[2];
        TINY_ADD(t, "model.layers.0.mlp.experts.gate_up_proj", QP_ST_BF16, e, 8, 4);
        tiny_structure(t);
        if (e == 4)
            TINY_WANT_CLEAN(t);
        else
            TINY_WANT_ONLY(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts.gate_up_proj");
        done(t);
    }
}
END_TEST

START_TEST(a_config_of_a_billion_experts_does_not_fill_the_list) {
    tiny *t = moe(1, 4, PLAIN_MOE(",\"num_experts\":1000000000"));
    tiny_structure(t);
    ck_assert_uint_le(t->findings.n, 5000);
    ck_assert_uint_eq(t->findings.counts[QP_CK_EXPERT_SET], 4096 + 1);
    TINY_WANT(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts");
    const char *rest = tiny_finding(t, QP_CK_EXPERT_SET, "model.layers.0.mlp.experts")->detail;
    ck_assert_str_eq(rest, "999995900 more are not there");
    done(t);
    t = moe(1, 4, NULL);
    add_expert(t, 0, 999999999, "up_proj"); // one id far away, without a config
    tiny_structure(t);
    ck_assert_uint_le(t->findings.n, 5000);
    done(t);
}
END_TEST

// ---- KV cache
// -----------------------------------------------------------------------------------------------------------------

#define KV(algo)                                                                                             \
    "{\"producer\":{\"name\":\"modelopt\"},\"quantization\":{\"quant_algo\":\"FP8\",\"kv_cache_quant_"       \
    "algo\":" algo ",\"exclude_modules\":[\"*\"]}}"

static tiny *cache(const char *hf_quant, bool on_attention, bool biases) {
    static const char *const tails[2][4] = {
        {"k_proj.k_scale", "v_proj.v_scale", "k_proj.k_bias", "v_proj.v_bias"},
        {"k_scale", "v_scale", "k_bias", "v_bias"}};
    tiny *t = tiny_new();
    char name[192];
    t->hf_quant = hf_quant;
    for (int l = 0; l < 3; l++) {
        for (int i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "model.layers.%d.self_attn.%s.weight", l,
                     i == 0 ? "k_proj" : "v_proj");
            TINY_ADD(t, name, QP_ST_BF16, 8, 4);
        }
        for (int i = 0; i < (biases ? 4 : 2); i++) {
            static const int64_t bias[] = {1, 2, 1, 4};
            snprintf(name, sizeof name, "model.layers.%d.self_attn.%s", l, tails[on_attention][i]);
            tiny_add(t, name, i < 2 ? QP_ST_F32 : QP_ST_BF16, i < 2 ? 0 : 4, bias);
        }
    }
    return t;
}

START_TEST(pairs_of_cache_scales_are_sound_under_either_name) {
    for (int on_attention = 0; on_attention < 2; on_attention++) {
        tiny *t = cache(KV("\"FP8\""), on_attention != 0, false);
        tiny_structure(t);
        TINY_WANT_CLEAN(t);
        done(t);
    }
}
END_TEST

START_TEST(one_scale_of_a_pair_is_named) {
    tiny *t = cache(KV("\"FP8\""), false, false);
    tiny_drop(t, "model.layers.1.self_attn.v_proj.v_scale");
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_KV_SCALE, "model.layers.1.self_attn.v_proj.v_scale");
    done(t);
    t = cache(KV("\"FP8\""), true, false);
    tiny_drop(t, "model.layers.1.self_attn.k_scale");
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_KV_SCALE, "model.layers.1.self_attn.k_scale");
    done(t);
}
END_TEST

START_TEST(a_layer_without_scales_among_layers_with_is_named) {
    tiny *t = cache(KV("\"FP8\""), false, false);
    tiny_drop(t, "model.layers.1.self_attn.k_proj.k_scale");
    tiny_drop(t, "model.layers.1.self_attn.v_proj.v_scale");
    TINY_ADD(t, "vision.layers.0.self_attn.k_proj.weight", QP_ST_BF16, 8, 4); // has no cache
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_KV_SCALE, "model.layers.1.self_attn.k_proj.k_scale");
    done(t);
}
END_TEST

START_TEST(scales_that_no_config_asks_for_are_named_in_every_layer) {
    tiny *t = cache(KV("null"), false, false);
    tiny_structure(t);
    ck_assert_uint_eq(t->findings.counts[QP_CK_KV_SCALE], 3);
    TINY_WANT(t, QP_CK_KV_SCALE, "model.layers.2.self_attn.k_proj.k_scale");
    done(t);
}
END_TEST

START_TEST(a_config_that_asks_for_scales_that_are_nowhere_is_named) {
    tiny *t = cache(KV("\"FP8\""), false, false);
    for (int l = 0; l < 3; l++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.%d.self_attn.k_proj.k_scale", l);
        tiny_drop(t, name);
        snprintf(name, sizeof name, "model.layers.%d.self_attn.v_proj.v_scale", l);
        tiny_drop(t, name);
    }
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_KV_SCALE, "kv_cache");
    done(t);
}
END_TEST

START_TEST(a_cache_scale_is_one_number_in_fp32) {
    tiny *t = cache(KV("\"FP8\""), false, false);
    tiny_tensor *x = tiny_find(t, "model.layers.0.self_attn.k_proj.k_scale");
    x->n_dims = 1;
    x->dims[0] = 1;
    tiny_structure(t);
    TINY_WANT_CLEAN(t);
    tiny_close(t);
    x->dims[0] = 2;
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_KV_SCALE, "model.layers.0.self_attn.k_proj.k_scale");
    tiny_close(t);
    x->dims[0] = 1;
    x->type = QP_ST_BF16;
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_DTYPE, "model.layers.0.self_attn.k_proj.k_scale");
    done(t);
}
END_TEST

START_TEST(biases_belong_to_an_affine_cache) {
    static const struct {
        const char *config;
        bool biases;
        int wanted;
    } rows[] = {{KV("\"FP8\""), true, 0}, // Model Optimizer says FP8 of an affine cache too
                {KV("\"NVFP4_AFFINE\""), true, 0},
                {KV("\"NVFP4_AFFINE\""), false, 3},
                {KV("\"NVFP4\""), true, 3},
                {KV("\"NVFP4\""), false, 0}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        tiny *t = cache(rows[i].config, false, rows[i].biases);
        tiny_structure(t);
        ck_assert_msg(tiny_count(t) == rows[i].wanted, "row %d:%s", i, tiny_text(t));
        ck_assert_uint_eq(t->findings.counts[QP_CK_KV_SCALE], (uint64_t)rows[i].wanted);
        done(t);
    }
}
END_TEST

// ---- inventory
// --------------------------------------------------------------------------------------------------------------

START_TEST(the_inventory_counts_every_linear_once) {
    tiny *t = tiny_new();
    qp_err err = {0};
    qp_ck_inventory v;
    t->hf_quant =
        "{\"producer\":{\"name\":\"modelopt\"},\"quantization\":{\"quant_algo\":\"NVFP4\",\"group_size\":16,"
        "\"kv_cache_quant_algo\":null,\"exclude_modules\":[\"lm_head\"]}}";
    TINY_ADD(t, "model.layers.0.self_attn.q_proj.weight", QP_ST_U8, 32, 8);
    TINY_ADD(t, "model.layers.0.self_attn.q_proj.weight_scale", QP_ST_F8_E4M3, 32, 1);
    TINY_ADD(t, "model.layers.0.self_attn.q_proj.weight_scale_2", QP_ST_F32, 1);
    TINY_ADD(t, "model.layers.0.self_attn.q_proj.input_scale", QP_ST_F32, 1);
    TINY_ADD(t, "model.layers.0.self_attn.k_proj.weight", QP_ST_U8, 32, 8); // no global scale, no input scale
    TINY_ADD(t, "model.layers.0.self_attn.k_proj.weight_scale", QP_ST_F8_E4M3, 32, 1);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.weight", QP_ST_BF16, 32, 16); // plain, not excluded
    TINY_ADD(t, "lm_head.weight", QP_ST_BF16, 64, 16);                    // excluded
    TINY_ADD(t, "model.embed_tokens.weight", QP_ST_BF16, 64, 16);         // no linear
    TINY_ADD(t, "model.norm.weight", QP_ST_BF16, 16);
    TINY_ADD(t, "model.mystery", QP_ST_BF16, 16);
    tiny_read(t);
    const qp_audit u = tiny_audit(t);
    ck_assert(qp_pass_inventory(&u, &v, &err) == QP_OK);
    ck_assert_uint_eq(v.linears, 4);
    ck_assert_uint_eq(v.quantized, 2);
    ck_assert_int_eq(v.n_schemes, 1);
    ck_assert_str_eq(v.by_scheme[0].scheme, "modelopt nvfp4");
    ck_assert_uint_eq(v.by_scheme[0].n, 2);
    ck_assert_uint_eq(v.missing_scale, 1);
    ck_assert_uint_eq(v.excluded, 1);
    ck_assert_uint_eq(v.plain, 1);
    ck_assert_uint_eq(v.unclassified, 1);
    done(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sets");
    TCase *c = tcase_create("sets");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, experts_of_every_config_key_are_counted, 0, QP_COUNT(expert_keys));
    tcase_add_test(c, without_a_config_a_gap_and_the_rows_of_the_router_tell);
    tcase_add_test(c, one_projection_of_one_expert_is_named);
    tcase_add_test(c, an_expert_beyond_the_last_is_named);
    tcase_add_test(c, one_expert_under_two_spellings_is_there_twice);
    tcase_add_test(c, local_ids_of_one_rank_show_as_the_upper_part_missing);
    tcase_add_test(c, a_router_without_any_expert_is_named);
    tcase_add_test(c, a_stack_counts_by_its_size);
    tcase_add_test(c, a_config_of_a_billion_experts_does_not_fill_the_list);
    tcase_add_test(c, pairs_of_cache_scales_are_sound_under_either_name);
    tcase_add_test(c, one_scale_of_a_pair_is_named);
    tcase_add_test(c, a_layer_without_scales_among_layers_with_is_named);
    tcase_add_test(c, scales_that_no_config_asks_for_are_named_in_every_layer);
    tcase_add_test(c, a_config_that_asks_for_scales_that_are_nowhere_is_named);
    tcase_add_test(c, a_cache_scale_is_one_number_in_fp32);
    tcase_add_test(c, biases_belong_to_an_affine_cache);
    tcase_add_test(c, the_inventory_counts_every_linear_once);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
