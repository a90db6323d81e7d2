// SPDX-License-Identifier: Apache-2.0
// Recipes: wildcard order, name normalization, the four forms of shared_states, and what the shipped recipes
// decide.
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "model/model.h"

static const char *scratch(char *buf, size_t n, const char *name) {
    const char *build = getenv("QP_BUILD");
    qp_err err = {0};
    snprintf(buf, n, "%s/tmp/recipes", build != NULL ? build : "build");
    ck_assert_msg(qp_dir_make(buf, &err) == QP_OK, "%s", err.msg);
    size_t at = strlen(buf);
    snprintf(buf + at, n - at, "/%s-%d.yaml", name, (int)getpid());
    return buf;
}

// Loads a recipe from text. status and err come back.
static qp_status load_text(qp_arena *a, const char *text, qp_recipe *r, qp_err *err) {
    char path[512];
    scratch(path, sizeof path, "r");
    ck_assert(qp_file_write_atomic(path, text, strlen(text), err) == QP_OK);
    qp_status s = qp_recipe_load(path, "cases", a, r, err);
    remove(path);
    return s;
}

static qp_recipe shipped(qp_arena *a, const char *name) {
    qp_recipe r;
    qp_err err = {0};
    qp_status s = qp_recipe_load(name, "cases", a, &r, &err);
    ck_assert_msg(s == QP_OK, "%s: %s", name, err.msg);
    return r;
}

#define HEAD "name: t\nquantizers:\n"

static const struct {
    const char *in, *out;
} norms[] = {
    {"x_weight_quantizers.3.sub", "x_weight_quantizer.sub"},
    {"layer.weight_quantizer.12", "layer.weight_quantizer"},
    {"layer.weight_quantizer_12", "layer.weight_quantizer"},
    {"layer.weight_quantizers_0", "layer.weight_quantizer"},
    {"layer.input_quantizers.0", "layer.input_quantizer"},
    {"layer.input_quantizer_7.sub", "layer.input_quantizer.sub"},
    {"mlp.experts.gate_up_proj_weight_quantizers.5", "mlp.experts.gate_up_proj_weight_quantizer"},
    {"a.weight_quantizer", "a.weight_quantizer"},
    {"a.weight_quantizers", "a.weight_quantizers"},           // the list itself
    {"a.weight_quantizer.3x", "a.weight_quantizer.3x"},       // not a bare number
    {"a.weight_quantizer._amax", "a.weight_quantizer._amax"}, // not a number
    {"a.weight_quantizer.", "a.weight_quantizer."},
    {"a.output_quantizer.3", "a.output_quantizer.3"},
    {"weight_quantizer.0.1", "weight_quantizer.1"}, // only the index itself folds
    {"a.weight_quantizer.0.input_quantizer_2", "a.weight_quantizer.input_quantizer"},
    {"", ""},
};

START_TEST(quantizer_names_fold_their_index_away) {
    qp_arena *a = qp_arena_new();
    const char *out;
    ck_assert(qp_quantizer_normalize(norms[_i].in, a, &out, NULL) == QP_OK);
    ck_assert_str_eq(out, norms[_i].out);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_later_entry_wins_and_cfg_replaces_all_attributes) {
    qp_arena *a = qp_arena_new();
    qp_recipe r;
    qp_err err = {0};
    ck_assert_msg(
        load_text(a,
                  HEAD
                  "- {quantizer_name: '*', enable: false}\n"
                  "- {quantizer_name: '*weight_quantizer', cfg: {format: int8-axis0, narrow_range: true, "
                  "pass_through_bwd: false}}\n"
                  "- {quantizer_name: '*b.weight_quantizer', cfg: {format: int8}}\n"
                  "- {quantizer_name: '*c.*', enable: false}\n"
                  "- {quantizer_name: '*d.c.*', enable: true}\n"
                  "- {quantizer_name: '*e.weight_quantizer', cfg: {format: fp8-e4m3}, enable: false}\n",
                  &r, &err) == QP_OK,
        "%s", err.msg);
    qp_qconfig c;
    qp_recipe_resolve(&r, "x.a", "weight_quantizer", &c);
    ck_assert(c.enabled && c.format == QP_INT8_AXIS0 && c.narrow_range && c.clip_backward);
    qp_recipe_resolve(&r, "x.b", "weight_quantizer", &c); // no merge: narrow_range and the clip are gone
    ck_assert(c.enabled && c.format == QP_INT8 && !c.narrow_range && !c.clip_backward);
    qp_recipe_resolve(&r, "x.c", "weight_quantizer", &c);
    ck_assert(!c.enabled && c.format == QP_FORMAT_NONE);
    qp_recipe_resolve(&r, "d.c", "weight_quantizer", &c); // enable alone keeps the attributes
    ck_assert(c.enabled && c.format == QP_INT8_AXIS0 && c.narrow_range && c.clip_backward);
    qp_recipe_resolve(&r, "x.e", "weight_quantizer", &c);
    ck_assert(!c.enabled && c.format == QP_FORMAT_NONE);
    qp_recipe_resolve(&r, "x.a", "input_quantizer", &c);
    ck_assert(!c.enabled);
    qp_recipe_resolve(&r, "d.c", "input_quantizer", &c); // enabled without ever having had a format
    ck_assert(!c.enabled && c.format == QP_FORMAT_NONE);
    qp_recipe_resolve(&r, "x.a", "weight_quantizer_3", &c); // E-27
    ck_assert(c.enabled);
    qp_recipe_resolve(&r, "x.a", "weight_quantizers.3", &c);
    ck_assert(c.enabled);
    qp_arena_free(a);
}
END_TEST

static const struct {
    const char *text;
    qp_shared_form form;
    int n; // effective patterns
} shared[] = {
    {"", QP_SHARED_ABSENT, 3},
    {"shared_states: null\n", QP_SHARED_NULL, 3},
    {"shared_states: ~\n", QP_SHARED_NULL, 3},
    {"shared_states:\n", QP_SHARED_NULL, 3},
    {"shared_states: {}\n", QP_SHARED_EMPTY_MAP, 3},
    {"shared_states: {weight_global_amax: null}\n", QP_SHARED_NULL, 3},
    {"shared_states: {weight_global_amax: {}}\n", QP_SHARED_EMPTY_MAP, 3},
    {"shared_states: {weight_global_amax: {patterns: null}}\n", QP_SHARED_NULL, 3},
    {"shared_states: {weight_global_amax: {patterns: []}}\n", QP_SHARED_LIST, 0},
    {"shared_states: {weight_global_amax: {patterns: ['(.*)x']}}\n", QP_SHARED_LIST, 1},
    {"shared_states: {weight_global_amax: {patterns: ['(?P<block>.*)\\.(?:a|b)', 'c']}}\n", QP_SHARED_LIST,
     2},
};

START_TEST(absent_null_empty_map_and_empty_list_are_four_answers) {
    qp_arena *a = qp_arena_new();
    qp_recipe r;
    qp_err err = {0};
    char text[512];
    snprintf(text, sizeof text, HEAD "- {quantizer_name: '*', enable: false}\n%s", shared[_i].text);
    ck_assert_msg(load_text(a, text, &r, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(r.shared, shared[_i].form);
    const char *const *patterns;
    int n;
    qp_recipe_patterns(&r, &patterns, &n);
    ck_assert_int_eq(n, shared[_i].n);
    ck_assert_int_eq(n == 3 && patterns == qp_default_patterns, shared[_i].form != QP_SHARED_LIST);
    qp_arena_free(a);
}
END_TEST

static const struct {
    const char *name;
    qp_format weight, input;
    qp_shared_form form;
    bool clip;
} recipes[] = {
    {"fp8", QP_FP8_E4M3, QP_FP8_E4M3, QP_SHARED_ABSENT, false},
    {"int8", QP_INT8_AXIS0, QP_INT8, QP_SHARED_ABSENT, false},
    {"nvfp4-dynamic", QP_NVFP4, QP_NVFP4, QP_SHARED_ABSENT, false},
    {"nvfp4-static", QP_NVFP4_STATIC, QP_NVFP4, QP_SHARED_ABSENT, false},
    {"nvfp4-static-nogroups", QP_NVFP4_STATIC, QP_NVFP4, QP_SHARED_LIST, false},
    {"nvfp4-static-qk-only", QP_NVFP4_STATIC, QP_NVFP4, QP_SHARED_LIST, false},
    {"nvfp4-static-across-experts", QP_NVFP4_STATIC, QP_NVFP4, QP_SHARED_LIST, false},
    {"nvfp4-static-gate", QP_NVFP4_STATIC, QP_NVFP4, QP_SHARED_ABSENT, false},
    {"nvfp4-static-clip", QP_NVFP4_STATIC, QP_NVFP4, QP_SHARED_ABSENT, true},
    {"int8-clip", QP_INT8_AXIS0, QP_INT8, QP_SHARED_ABSENT, true},
    {"fp8-clip", QP_FP8_E4M3, QP_FP8_E4M3, QP_SHARED_ABSENT, true},
};

START_TEST(a_shipped_recipe_quantizes_linears_and_leaves_out_head_routers_and_embedding) {
    qp_arena *a = qp_arena_new();
    qp_recipe r = shipped(a, recipes[_i].name);
    ck_assert_str_eq(r.name, recipes[_i].name);
    ck_assert_int_eq(r.shared, recipes[_i].form);
    qp_qconfig c;
    qp_recipe_resolve(&r, "model.layers.0.mlp.gate_proj", "weight_quantizer", &c);
    ck_assert(c.enabled && c.format == recipes[_i].weight && c.clip_backward == recipes[_i].clip &&
              !c.narrow_range);
    qp_recipe_resolve(&r, "backbone.layers.1.mixer.experts.3.up_proj", "input_quantizer", &c);
    ck_assert(c.enabled && c.format == recipes[_i].input);
    static const char *const out[] = {"lm_head",
                                      "model.embed_tokens",
                                      "backbone.embeddings",
                                      "model.layers.0.mlp.gate",
                                      "model.layers.0.block_sparse_moe.gate",
                                      "backbone.layers.1.mixer.gate",
                                      "decoder.layers.0.mlp.router"};
    for (int i = 0; i < QP_COUNT(out); i++) {
        qp_recipe_resolve(&r, out[i], "weight_quantizer", &c);
        ck_assert_msg(!c.enabled, "%s", out[i]);
        qp_recipe_resolve(&r, out[i], "input_quantizer", &c);
        ck_assert_msg(!c.enabled, "%s", out[i]);
    }
    qp_recipe_resolve(&r, "model.layers.0.mlp.shared_expert_gate", "weight_quantizer", &c);
    ck_assert_int_eq(c.enabled, strcmp(recipes[_i].name, "nvfp4-static-gate") == 0);
    qp_arena_free(a);
}
END_TEST

START_TEST(every_recipe_file_is_in_the_table_above) {
    DIR *d = opendir("cases/recipes");
    ck_assert(d != NULL);
    int n = 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) n += strstr(e->d_name, ".yaml") != NULL;
    closedir(d);
    ck_assert_int_eq(n, QP_COUNT(recipes));
}
END_TEST

START_TEST(an_unknown_recipe_gets_the_nearest_name) {
    qp_arena *a = qp_arena_new();
    qp_recipe r;
    qp_err err = {0};
    ck_assert_int_eq(qp_recipe_load("nvfp4-statik", "cases", a, &r, &err), QP_USAGE);
    ck_assert_msg(strstr(err.msg, "did you mean 'nvfp4-static'?") != NULL, "%s", err.msg);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_name_too_long_for_any_module_is_simply_not_quantized) {
    qp_arena *a = qp_arena_new();
    qp_recipe r = shipped(a, "fp8");
    char name[2000];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    qp_qconfig c = {.enabled = true};
    qp_recipe_resolve(&r, name, "weight_quantizer", &c);
    ck_assert(!c.enabled);
    qp_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("recipes");
    TCase *t = tcase_create("recipes");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, quantizer_names_fold_their_index_away, 0, QP_COUNT(norms));
    tcase_add_test(t, a_later_entry_wins_and_cfg_replaces_all_attributes);
    tcase_add_loop_test(t, absent_null_empty_map_and_empty_list_are_four_answers, 0, QP_COUNT(shared));
    tcase_add_loop_test(t, a_shipped_recipe_quantizes_linears_and_leaves_out_head_routers_and_embedding, 0,
                        QP_COUNT(recipes));
    tcase_add_test(t, every_recipe_file_is_in_the_table_above);
    tcase_add_test(t, an_unknown_recipe_gets_the_nearest_name);
    tcase_add_test(t, a_name_too_long_for_any_module_is_simply_not_quantized);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
