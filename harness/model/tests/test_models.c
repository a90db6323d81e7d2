// SPDX-License-Identifier: Apache-2.0
// The shipped models: totals against the collected facts, names, segments, selection of layers.
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

static qp_model load(qp_arena *a, const char *name, const char *layers, qp_names names) {
    qp_err err = {0};
    qp_model m;
    qp_status s = qp_model_load(name, "cases", layers, names, a, &m, &err);
    ck_assert_msg(s == QP_OK, "%s: %s", name, err.msg);
    return m;
}

static const qp_module *find(const qp_model *m, const char *fqn) {
    for (int i = 0; i < m->n_modules; i++)
        if (strcmp(m->modules[i].fqn, fqn) == 0) return &m->modules[i];
    ck_abort_msg("%s has no module %s", m->name, fqn);
    return NULL;
}

static int count_kind(const qp_model *m, const char *kind) {
    int n = 0;
    for (int i = 0; i < m->n_modules; i++) n += strcmp(m->modules[i].layer_kind, kind) == 0;
    return n;
}

// computed.params_b and computed.quantizable_linears of the collected shapes.
static const struct {
    const char *name, *params_b;
    int64_t linears;
    int n_layers, n_experts, top_k;
    int64_t hidden;
} facts[] = {
    {"nemotron-3-nano-30b-a3b", "31.58", 6004, 52, 128, 6, 2688},
    {"qwen3-30b-a3b", "30.53", 18624, 48, 128, 8, 2048},
    {"mixtral-8x7b", "46.70", 896, 32, 8, 2, 4096},
    {"llama-3.1-8b", "8.03", 224, 32, 0, 0, 4096},
    {"qwen2.5-7b", "7.62", 196, 28, 0, 0, 3584},
};

START_TEST(the_sum_of_parameters_equals_the_collected_one_to_two_decimals) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, facts[_i].name, "all", QP_NAMES_HF);
    char text[32];
    snprintf(text, sizeof text, "%.2f", m.params_b);
    ck_assert_str_eq(text, facts[_i].params_b);
    ck_assert_double_le(fabs(m.params_b - m.published_params_b), m.params_tolerance_b);
    ck_assert_int_eq(m.quantizable_linears, facts[_i].linears);
    ck_assert_int_eq(m.n_layers, facts[_i].n_layers);
    ck_assert_int_eq(m.n_selected_layers, facts[_i].n_layers);
    ck_assert_int_eq(m.n_experts, facts[_i].n_experts);
    ck_assert_int_eq(m.top_k, facts[_i].top_k);
    ck_assert_int_eq(m.hidden, facts[_i].hidden);
    qp_arena_free(a);
}
END_TEST

START_TEST(the_modules_of_all_layers_add_up_to_the_total_and_the_linears) {
    qp_arena *a = qp_arena_new();
    for (int f = 0; f < QP_COUNT(facts); f++) {
        qp_model m = load(a, facts[f].name, "all", QP_NAMES_HF);
        double sum = 0;
        int64_t linears = 0;
        for (int i = 0; i < m.n_modules; i++) {
            sum += (double)(m.modules[i].out * m.modules[i].in);
            linears += m.modules[i].quantizable;
        }
        ck_assert_int_eq(linears, facts[f].linears);
        // biases are parameters but no modules
        ck_assert_double_le(sum / 1e9, m.params_b);
        ck_assert_double_ge(sum / 1e9, m.params_b - 0.001);
        qp_arena_reset(a);
    }
    qp_arena_free(a);
}
END_TEST

START_TEST(in_proj_keeps_five_segments_of_one_tensor_under_both_namings) {
    static const struct {
        const char *name;
        int64_t rows, units, row0;
    } want[] = {{"z", 4096, 64, 0},
                {"x", 4096, 64, 4096},
                {"B", 1024, 8, 8192},
                {"C", 1024, 8, 9216},
                {"dt", 64, 64, 10240}};
    static const char *const fqns[] = {"backbone.layers.0.mixer.in_proj", "decoder.layers.0.mixer.in_proj"};
    qp_arena *a = qp_arena_new();
    for (int names = 0; names < 2; names++) {
        qp_model m = load(a, "nemotron-3-nano-30b-a3b", "mamba:1", (qp_names)names);
        const qp_module *p = find(&m, fqns[names]);
        ck_assert_int_eq(p->n_segments, 5);
        ck_assert_int_eq(p->style, QP_STYLE_COLUMN);
        for (int s = 0; s < 5; s++) {
            ck_assert_str_eq(p->segments[s].name, want[s].name);
            ck_assert_str_eq(p->segments[s].gen_name, "backbone.layers.0.mixer.in_proj");
            ck_assert_int_eq(p->segments[s].rows, want[s].rows);
            ck_assert_int_eq(p->segments[s].units, want[s].units);
            ck_assert_int_eq(p->segments[s].gen_row0, want[s].row0);
            ck_assert_int_eq(p->segments[s].gen_rows, 10304);
            ck_assert(!p->segments[s].replicate);
        }
        const qp_module *o =
            find(&m, names == 0 ? "backbone.layers.0.mixer.out_proj" : "decoder.layers.0.mixer.out_proj");
        ck_assert_int_eq(o->style, QP_STYLE_ROW);
        ck_assert_int_eq(o->in_units, 64);
    }
    qp_arena_free(a);
}
END_TEST

START_TEST(megatron_names_fuse_qkv_with_the_hf_tensors_as_generators) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "llama-3.1-8b", "all", QP_NAMES_MEGATRON);
    const qp_module *p = find(&m, "decoder.layers.31.self_attention.linear_qkv");
    ck_assert_int_eq(p->out, 4096 + 1024 + 1024);
    ck_assert_int_eq(p->in, 4096);
    ck_assert_int_eq(p->n_segments, 3);
    static const char *const names[] = {"q", "k", "v"};
    for (int s = 0; s < 3; s++) {
        char gen[64];
        snprintf(gen, sizeof gen, "model.layers.31.self_attn.%s_proj", names[s]);
        ck_assert_str_eq(p->segments[s].name, names[s]);
        ck_assert_str_eq(p->segments[s].gen_name, gen);
        ck_assert_int_eq(p->segments[s].gen_row0, 0);
        ck_assert_int_eq(p->segments[s].gen_rows, p->segments[s].rows);
        ck_assert_int_eq(p->segments[s].units, s == 0 ? 32 : 8);
        ck_assert_int_eq(p->segments[s].replicate, s != 0);
    }
    const qp_module *fc1 = find(&m, "decoder.layers.0.mlp.linear_fc1");
    ck_assert_int_eq(fc1->n_segments, 2);
    ck_assert_int_eq(fc1->out, 2 * 14336);
    ck_assert_str_eq(fc1->segments[1].gen_name, "model.layers.0.mlp.up_proj");
    // 4 fused or plain linears a layer where HF has 7
    int linears = 0;
    for (int i = 0; i < m.n_modules; i++) linears += m.modules[i].quantizable;
    ck_assert_int_eq(linears, 32 * 4);
    ck_assert_int_eq(m.quantizable_linears, 224);
    qp_arena_free(a);
}
END_TEST

START_TEST(megatron_experts_fuse_per_expert_with_the_number_as_a_component) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "mixtral-8x7b", "moe:1", QP_NAMES_MEGATRON);
    const qp_module *p = find(&m, "decoder.layers.0.mlp.experts.linear_fc1.7");
    ck_assert_int_eq(p->expert, 7);
    ck_assert_int_eq(p->n_experts, 8);
    ck_assert_str_eq(p->projection, "decoder.layers.0.mlp.experts.linear_fc1.*");
    ck_assert_int_eq(p->n_segments, 2);
    ck_assert_str_eq(p->segments[0].name, "gate");
    ck_assert_str_eq(p->segments[0].gen_name, "model.layers.0.block_sparse_moe.experts.7.w1");
    ck_assert_str_eq(p->segments[1].gen_name, "model.layers.0.block_sparse_moe.experts.7.w3");
    ck_assert_int_eq(find(&m, "decoder.layers.0.mlp.experts.linear_fc2.0")->style, QP_STYLE_ROW);
    qp_arena_free(a);
}
END_TEST

START_TEST(experts_come_expert_by_expert_and_shared_experts_are_not_routed) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "nemotron-3-nano-30b-a3b", "moe:1", QP_NAMES_HF);
    const qp_module *up = find(&m, "backbone.layers.1.mixer.experts.127.up_proj");
    ck_assert_int_eq(up->expert, 127);
    ck_assert_int_eq(up->n_experts, 128);
    ck_assert_int_eq(up->layer, 1);
    ck_assert_str_eq(up->projection, "backbone.layers.1.mixer.experts.*.up_proj");
    ck_assert_str_eq(up[1].fqn, "backbone.layers.1.mixer.experts.127.down_proj");
    ck_assert_str_eq(up[-1].fqn, "backbone.layers.1.mixer.experts.126.down_proj");
    const qp_module *shared = find(&m, "backbone.layers.1.mixer.shared_experts.up_proj");
    ck_assert_int_eq(shared->expert, -1);
    ck_assert_int_eq(shared->n_experts, 0);
    ck_assert_str_eq(shared->projection, shared->fqn);
    ck_assert(!find(&m, "backbone.layers.1.mixer.gate")->quantizable);
    ck_assert_int_eq(m.n_selected_layers, 1);
    ck_assert_int_eq(count_kind(&m, "global"), 0);
    qp_arena_free(a);
}
END_TEST

START_TEST(layers_selects_the_first_layers_of_each_kind) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "nemotron-3-nano-30b-a3b", "moe:2,attn:1", QP_NAMES_HF);
    ck_assert_int_eq(m.n_selected_layers, 3);
    ck_assert_int_eq(m.n_layers, 52);
    int last = -1;
    for (int i = 0; i < m.n_modules; i++) {
        int l = m.modules[i].layer;
        ck_assert(l == 1 || l == 3 || l == 5);
        ck_assert_int_ge(l, last);
        last = l;
    }
    ck_assert_int_eq(count_kind(&m, "mamba"), 0);
    // a block with both kinds gives only the modules of the kind asked for
    m = load(a, "qwen3-30b-a3b", "attn:1", QP_NAMES_HF);
    ck_assert_int_eq(count_kind(&m, "moe"), 0);
    ck_assert_int_gt(count_kind(&m, "attn"), 4);
    m = load(a, "qwen3-30b-a3b", "attn:1,moe:1", QP_NAMES_HF);
    ck_assert_int_eq(m.n_selected_layers, 1);
    qp_arena_free(a);
}
END_TEST

START_TEST(tiny_models_are_tiny) {
    qp_arena *a = qp_arena_new();
    static const char *const tiny[] = {"tiny-moe", "tiny-dense"};
    for (int t = 0; t < 2; t++) {
        qp_model m = load(a, tiny[t], "all", QP_NAMES_HF);
        ck_assert_double_lt(m.params_b, 0.0009);
        ck_assert_int_gt(m.n_modules, 10);
        m = load(a, tiny[t], "all", QP_NAMES_MEGATRON);
        ck_assert_int_gt(m.n_modules, 5);
    }
    qp_arena_free(a);
}
END_TEST

static void refused(const char *name, const char *layers, const char *want) {
    qp_arena *a = qp_arena_new();
    qp_err err = {0};
    qp_model m;
    ck_assert_int_eq(qp_model_load(name, "cases", layers, QP_NAMES_HF, a, &m, &err), QP_USAGE);
    ck_assert_msg(strstr(err.msg, want) != NULL, "wanted '%s' in: %s", want, err.msg);
    qp_arena_free(a);
}

START_TEST(an_unknown_model_gets_the_nearest_name_and_the_list) {
    refused("mixtral-8x7", "all", "did you mean 'mixtral-8x7b'?");
    refused("gpt", "all", "tiny-moe");
    refused("no/such.yaml", "all", "no/such.yaml");
}
END_TEST

START_TEST(a_bad_layers_text_is_refused_with_what_there_is) {
    refused("llama-3.1-8b", "moe:1", "there are: attn mlp");
    refused("nemotron-3-nano-30b-a3b", "mamaba:1", "did you mean 'mamba'?");
    refused("nemotron-3-nano-30b-a3b", "attn:7", "has 6 layers of kind attn, got attn:7");
    refused("tiny-moe", "moe", "wanted all or KIND:N");
    refused("tiny-moe", "moe:0", "wanted all or KIND:N");
    refused("tiny-moe", "moe:1,moe:1", "twice");
    refused("tiny-moe", "", "wanted all or KIND:N");
    refused("tiny-moe", "moe:1,", "wanted all or KIND:N");
    refused("tiny-moe", "global:1", "there are:");
}
END_TEST

int main(void) {
    Suite *s = suite_create("models");
    TCase *t = tcase_create("models");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, the_sum_of_parameters_equals_the_collected_one_to_two_decimals, 0,
                        QP_COUNT(facts));
    tcase_add_test(t, the_modules_of_all_layers_add_up_to_the_total_and_the_linears);
    tcase_add_test(t, in_proj_keeps_five_segments_of_one_tensor_under_both_namings);
    tcase_add_test(t, megatron_names_fuse_qkv_with_the_hf_tensors_as_generators);
    tcase_add_test(t, megatron_experts_fuse_per_expert_with_the_number_as_a_component);
    tcase_add_test(t, experts_come_expert_by_expert_and_shared_experts_are_not_routed);
    tcase_add_test(t, layers_selects_the_first_layers_of_each_kind);
    tcase_add_test(t, tiny_models_are_tiny);
    tcase_add_test(t, an_unknown_model_gets_the_nearest_name_and_the_list);
    tcase_add_test(t, a_bad_layers_text_is_refused_with_what_there_is);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
