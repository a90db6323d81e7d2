// SPDX-License-Identifier: Apache-2.0
// Configs against modules: what each finds when it is alone, and that sound ones find nothing.
#include "audit/audit.h"
#include "checkpoint/tests/open_files.h"

enum { MODULES = 300 };
static opened o;
static qp_audit u;
static qp_ck_module list[MODULES];
static qp_ck_tensor tensors[MODULES];

static void setup(void) {
    files_make(&o);
    put_shard(&o, "model.safetensors", "a", 0);
    memset(&u, 0, sizeof u);
    u.modules.list = list;
}

static void teardown(void) {
    files_drop(&o);
}

static void configs(const char *config, const char *hf) {
    if (config != NULL) put_text(&o, "config.json", config);
    if (hf != NULL) put_text(&o, "hf_quant_config.json", hf);
    open_it(&o, "");
    opens(&o, 1);
    ck_assert(qp_ck_claims_read(&o.ckpt, o.arena, &o.findings, &u.claims, &o.err) == QP_OK);
    finds_only(&o, 0);
    u.ckpt = o.ckpt;
    u.modules.n = 0;
}

static qp_ck_module *module_of(const char *name, qp_st_type type) {
    const uint32_t i = u.modules.n++;
    ck_assert_int_lt((int)i, MODULES);
    tensors[i] =
        (qp_ck_tensor){.name = name, .n_name = (uint32_t)strlen(name), .dtype = (uint8_t)type, .n_dims = 2};
    list[i] = (qp_ck_module){.name = name, .n_name = (uint32_t)strlen(name), .linear = true};
    list[i].part[QP_CK_WEIGHT] = &tensors[i];
    list[i].claim = qp_ck_claim_of(u.claims, name, strlen(name));
    return &list[i];
}

static void plain(const char *name) {
    module_of(name, QP_ST_BF16);
}

static void coded(const char *name, const char *said, int group_size) {
    const qp_ck_scheme_ask ask = {.dialect = QP_CK_MODELOPT, .said = said, .group_size = group_size};
    qp_ck_module *m = module_of(name, QP_ST_U8);
    ck_assert(qp_ck_scheme_find(&ask, o.arena, &m->scheme, NULL) == QP_OK);
}

static void run(void) {
    qp_ck_findings_init(&o.findings, o.arena);
    ck_assert_msg(qp_pass_config(&u, o.arena, &o.findings, &o.err) == QP_OK, "%s", o.err.msg);
}

#define CONFIG(items)                                                                                        \
    "{" items                                                                                                \
    "\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4\",\"ignore\":" IGNORE     \
    "}}"
#define IGNORE "[\"lm_head\",\"model.layers.0.mlp.gate\"]"

static void sound(void) {
    configs(CONFIG(""), NULL);
    plain("lm_head");
    plain("model.layers.0.mlp.gate");
    plain("model.embed_tokens");
    coded("model.layers.0.mlp.experts.0.up_proj", "NVFP4", 0);
}

START_TEST(a_sound_checkpoint_finds_nothing) {
    sound();
    run();
    ck_assert_int_eq((int)o.findings.n, 0);
}
END_TEST

// ---- exclude-missing
// ---------------------------------------------------------------------------------------------------------------

START_TEST(a_plain_router_that_nothing_excludes_is_found) {
    sound();
    plain("model.layers.1.mlp.gate");
    run();
    finds(&o, QP_CK_EXCLUDE_MISSING, "model.layers.1.mlp.gate",
          "plain BF16, and no exclude item names it: config.json quantization_config.quant_algo 'NVFP4' "
          "quantizes it");
    finds_only(&o, 1);
}
END_TEST

START_TEST(what_is_no_linear_needs_no_exclude_item) {
    sound();
    module_of("model.layers.1.self_attn.alpha", QP_ST_F32)->linear = false;
    plain("model.layers.1.input_layernorm");
    plain("model.layers.1.mixer.conv1d");
    run();
    finds_only(&o, 0);
}
END_TEST

START_TEST(every_plain_type_counts) {
    static const qp_st_type types[] = {QP_ST_BF16, QP_ST_F16, QP_ST_F32, QP_ST_F64};
    sound();
    for (int i = 0; i < QP_COUNT(types); i++) module_of("model.layers.2.mlp.up_proj", types[i]);
    run();
    ck_assert_int_eq((int)o.findings.counts[QP_CK_EXCLUDE_MISSING], QP_COUNT(types));
    finds_only(&o, QP_COUNT(types));
}
END_TEST

START_TEST(mixed_precision_leaves_what_it_does_not_name) {
    configs(
        "{\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"MIXED_PRECISION\","
        "\"quantized_layers\":{\"a.q_proj\":{\"quant_algo\":\"NVFP4\",\"group_size\":16}},\"ignore\":[]}}",
        NULL);
    plain("lm_head");
    coded("a.q_proj", "NVFP4", 0);
    run();
    finds_only(&o, 0);
    plain("a.q_proj"); // named, and plain all the same
    run();
    finds(&o, QP_CK_EXCLUDE_MISSING, "a.q_proj", "quantizes it");
    finds_only(&o, 1);
}
END_TEST

// ---- config-tensors
// ---------------------------------------------------------------------------------------------------------------

START_TEST(an_excluded_module_with_codes_is_found) {
    sound();
    coded("lm_head", "NVFP4", 0);
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "lm_head",
          "tensors are modelopt nvfp4, the config says not quantized (config.json "
          "quantization_config.ignore[0] 'lm_head')");
    finds_only(&o, 1);
}
END_TEST

START_TEST(an_excluded_linear_of_bytes_that_nobody_understands_is_found) {
    sound();
    module_of("model.layers.0.mlp.gate.table", QP_ST_I64)->linear = false; // no codes: an index
    module_of("model.layers.0.mlp.gate", QP_ST_I32);
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "model.layers.0.mlp.gate", "tensors are codes");
    finds_only(&o, 1);
}
END_TEST

START_TEST(another_scheme_is_found_once_with_the_first_modules) {
    static char names[200][32];
    sound();
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "model.layers.%d.up_proj", i);
        coded(names[i], "FP8", 0);
    }
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "model.layers.0.up_proj",
          "tensors are modelopt fp8, the config says modelopt nvfp4 (config.json "
          "quantization_config.quant_algo "
          "'NVFP4'); also model.layers.1.up_proj, model.layers.2.up_proj and 197 more");
    finds_only(&o, 1);
}
END_TEST

START_TEST(another_group_size_is_another_scheme) {
    sound();
    coded("model.layers.3.up_proj", "NVFP4", 32);
    coded("model.layers.4.up_proj", "NVFP4", 16);
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "model.layers.3.up_proj",
          "tensors are modelopt nvfp4 g32, the config says modelopt nvfp4 (");
    finds_only(&o, 1);
}
END_TEST

START_TEST(each_pair_of_schemes_is_a_finding) {
    sound();
    coded("model.layers.3.up_proj", "FP8", 0);
    coded("model.layers.4.up_proj", "MXFP8", 0);
    coded("model.layers.5.up_proj", "FP8", 0);
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "model.layers.3.up_proj", "; also model.layers.5.up_proj");
    finds(&o, QP_CK_CONFIG_TENSORS, "model.layers.4.up_proj", "modelopt mxfp8");
    finds_only(&o, 2);
}
END_TEST

START_TEST(codes_that_no_config_speaks_of_are_found_where_there_is_a_config) {
    configs("{\"model_type\":\"llama\"}", NULL);
    coded("model.layers.0.up_proj", "NVFP4", 0);
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "model.layers.0.up_proj", "the config says nothing of it");
    finds_only(&o, 1);
}
END_TEST

START_TEST(a_file_without_a_config_contradicts_nothing) {
    configs(NULL, NULL);
    coded("model.layers.0.up_proj", "NVFP4", 0);
    run();
    finds_only(&o, 0);
}
END_TEST

START_TEST(an_unknown_dialect_is_not_judged) {
    configs("{\"quantization_config\":{\"quant_method\":\"quark\"}}", NULL);
    coded("model.layers.0.up_proj", "NVFP4", 0);
    plain("lm_head");
    run();
    finds_only(&o, 0);
}
END_TEST

START_TEST(an_unknown_scheme_is_not_judged) {
    configs(
        "{\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP5\",\"ignore\":[]}}",
        NULL);
    coded("model.layers.0.up_proj", "NVFP4", 0);
    run();
    finds_only(&o, 0);
}
END_TEST

// ---- exclude-unknown
// ---------------------------------------------------------------------------------------------------------------

#undef IGNORE
#define IGNORE "[\"lm_head\",\"model.layers.0.mlp.gate\",\"model.layers.9.nothing\"]"

START_TEST(an_item_that_names_nothing_is_found) {
    configs(CONFIG(""), NULL);
    plain("lm_head");
    plain("model.layers.0.mlp.gate");
    run();
    finds(&o, QP_CK_EXCLUDE_UNKNOWN, "model.layers.9.nothing",
          "config.json quantization_config.ignore[2] 'model.layers.9.nothing': no module has this name");
    finds_only(&o, 1);
}
END_TEST

#undef IGNORE
#define IGNORE "[\"lm_head\"]"

START_TEST(a_tied_head_without_a_tensor_is_a_note) {
    static const char *const ties[] = {"", "\"tie_word_embeddings\":true,",
                                       "\"text_config\":{\"tie_word_embeddings\":true},"};
    for (int i = 0; i < QP_COUNT(ties); i++) {
        const char *text;
        ck_assert(qp_arena_printf(o.arena, &text, NULL, CONFIG("%s"), ties[i]) == QP_OK);
        configs(text, NULL);
        plain("model.embed_tokens");
        run();
        finds(&o, QP_CK_TIED_OR_ABSENT, "lm_head", "tied embeddings");
        finds_only(&o, 0);
    }
}
END_TEST

START_TEST(an_untied_head_without_a_tensor_is_found) {
    static const char *const ties[] = {"\"tie_word_embeddings\":false,",
                                       "\"text_config\":{\"tie_word_embeddings\":false},"};
    for (int i = 0; i < QP_COUNT(ties); i++) {
        const char *text;
        ck_assert(qp_arena_printf(o.arena, &text, NULL, CONFIG("%s"), ties[i]) == QP_OK);
        configs(text, NULL);
        run();
        finds(&o, QP_CK_EXCLUDE_UNKNOWN, "lm_head", "no module");
        finds_only(&o, 1);
    }
}
END_TEST

#undef IGNORE
#define IGNORE "[\"model.layers.4*\",\"mtp.fc\",\"model.layers.3.mlp\"]"

START_TEST(layers_of_multi_token_prediction_may_be_absent) {
    configs(CONFIG("\"num_hidden_layers\":4,"), NULL);
    run();
    finds(&o, QP_CK_TIED_OR_ABSENT, "model.layers.4*", "behind the last one");
    finds(&o, QP_CK_TIED_OR_ABSENT, "mtp.fc", "multi-token");
    finds(&o, QP_CK_EXCLUDE_UNKNOWN, "model.layers.3.mlp", "no module");
    finds_only(&o, 1);
}
END_TEST

#undef IGNORE
#define IGNORE "[\"e_score_correction_bias\",\"a.b\"]"

START_TEST(an_item_may_name_a_parameter_or_a_container) {
    put_shard(&o, "model.safetensors", "model.layers.0.mlp.gate.e_score_correction_bias", 0);
    configs(CONFIG(""), NULL);
    coded("x.a.b.c", "NVFP4", 0); // excluded by what it lies in
    run();
    finds(&o, QP_CK_CONFIG_TENSORS, "x.a.b.c", "not quantized");
    finds_only(&o, 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_sound_checkpoint_finds_nothing);
    tcase_add_test(tc, a_plain_router_that_nothing_excludes_is_found);
    tcase_add_test(tc, what_is_no_linear_needs_no_exclude_item);
    tcase_add_test(tc, every_plain_type_counts);
    tcase_add_test(tc, mixed_precision_leaves_what_it_does_not_name);
    tcase_add_test(tc, an_excluded_module_with_codes_is_found);
    tcase_add_test(tc, an_excluded_linear_of_bytes_that_nobody_understands_is_found);
    tcase_add_test(tc, another_scheme_is_found_once_with_the_first_modules);
    tcase_add_test(tc, another_group_size_is_another_scheme);
    tcase_add_test(tc, each_pair_of_schemes_is_a_finding);
    tcase_add_test(tc, codes_that_no_config_speaks_of_are_found_where_there_is_a_config);
    tcase_add_test(tc, a_file_without_a_config_contradicts_nothing);
    tcase_add_test(tc, an_unknown_dialect_is_not_judged);
    tcase_add_test(tc, an_unknown_scheme_is_not_judged);
    tcase_add_test(tc, an_item_that_names_nothing_is_found);
    tcase_add_test(tc, a_tied_head_without_a_tensor_is_a_note);
    tcase_add_test(tc, an_untied_head_without_a_tensor_is_found);
    tcase_add_test(tc, layers_of_multi_token_prediction_may_be_absent);
    tcase_add_test(tc, an_item_may_name_a_parameter_or_a_container);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
