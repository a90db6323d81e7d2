// SPDX-License-Identifier: Apache-2.0
// What configs claim of modules: Model Optimizer, flawed names, wrong types, which config speaks.
#include "checkpoint/tests/claim_files.h"

// ---- Model Optimizer
// -----------------------------------------------------------------------------------------------------------------

#define NVFP4_GROUP(size)                                                                                    \
    "{\"group_0\":{\"input_activations\":{\"dynamic\":false,\"num_bits\":4,\"type\":\"float\",\"group_"      \
    "size\":" #size                                                                                          \
    "},\"weights\":{\"dynamic\":false,\"num_bits\":4,\"type\":\"float\",\"group_size\":" #size               \
    "},\"targets\":[\"Linear\"]}}"
#define PRODUCER "\"producer\":{\"name\":\"modelopt\",\"version\":\"0.47.0\"}"
#define LIST "[\"lm_head\",\"model.embed_tokens\",\"" GATE "\",\"model.layers.2.self_attn*\"]"
#define NVFP4_CONFIG                                                                                         \
    "{\"quantization_config\":{\"config_groups\":" NVFP4_GROUP(16) ",\"ignore\":" LIST                       \
                                                                   ",\"quant_algo\":\"NVFP4\"," PRODUCER     \
                                                                   ",\"quant_method\":\"modelopt\"}}"
#define HF(items) "{" PRODUCER ",\"quantization\":{" items "}}"
#define NVFP4_HF                                                                                             \
    HF("\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":null,\"group_size\":16,\"exclude_modules\":" LIST)

START_TEST(the_two_files_of_model_optimizer_agree) {
    read_three(NVFP4_CONFIG, NVFP4_HF, NULL);
    finds_only(&o, 0);
    ck_assert_int_eq((int)o.findings.n, 0);
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_MODELOPT);
    ck_assert_str_eq(qp_ck_claims_said(k), "NVFP4 (Model Optimizer 0.47.0)");
    ck_assert_str_eq(qp_ck_claims_producer(k), "modelopt 0.47.0");
    ck_assert_int_eq(qp_ck_claims_kv(k), QP_CK_KV_NONE);
    by_scheme(Q, "modelopt nvfp4");
    by(Q, "config.json quantization_config.quant_algo 'NVFP4'");
    is("lm_head", QP_CK_EXCLUDED);
    by("lm_head", "config.json quantization_config.ignore[0] 'lm_head'");
    is("model.embed_tokens", QP_CK_EXCLUDED);
    is(GATE, QP_CK_EXCLUDED);
    is("model.layers.2.self_attn.o_proj", QP_CK_EXCLUDED);
    is("model.layers.2.mlp.up_proj", QP_CK_QUANTIZED);
    is("model.layers.11.mlp.gate", QP_CK_QUANTIZED); // a router that nobody excludes is a linear to loaders
    is("model.norm", QP_CK_NOT_TARGET);
    is("model.layers.0.mixer.conv1d", QP_CK_NOT_TARGET);
}
END_TEST

START_TEST(hf_quant_config_alone_is_enough) {
    read_three("{}", NVFP4_HF, NULL);
    finds_only(&o, 0);
    by_scheme(Q, "modelopt nvfp4");
    by("lm_head", "hf_quant_config.json quantization.exclude_modules[0] 'lm_head'");
    ck_assert_int_eq(qp_ck_claims_excludes(k), 4);
}
END_TEST

START_TEST(config_json_alone_is_enough_and_its_group_size_counts) {
    read_config(
        "{\"quantization_config\":{\"config_groups\":{\"group_0\":{\"weights\":{\"num_bits\":4,\"type\":"
        "\"float\",\"group_size\":32},\"targets\":[\"Linear\"]}},\"ignore\":[],\"quant_algo\":"
        "\"W4A16_NVFP4\",\"quant_method\":\"modelopt\"}}");
    finds_only(&o, 0);
    by_scheme(Q, "modelopt w4a16-nvfp4 g32");
}
END_TEST

START_TEST(groups_without_an_algorithm_mean_one_by_their_numbers) {
    read_config(
        "{\"quantization_config\":{\"config_groups\":{\"group_0\":{\"weights\":{\"num_bits\":8,\"type\":"
        "\"float\"},\"input_activations\":{\"num_bits\":8,\"type\":\"float\"},\"targets\":[\"Linear\"]}},"
        "\"quant_method\":\"modelopt\"}}");
    by_scheme(Q, "modelopt fp8");
}
END_TEST

START_TEST(each_word_of_model_optimizer_is_its_scheme) {
    static const char *const rows[][2] = {{"FP8", "modelopt fp8"},
                                          {"fp8_pb_wo", "modelopt fp8-2d-block"},
                                          {"W4A8_AWQ", "modelopt w4a8-awq"},
                                          {"mxfp4", "modelopt mxfp4"},
                                          {"NVFP4_SVD", "modelopt nvfp4-svdquant"}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const char *text;
        ck_assert(
            qp_arena_printf(o.arena, &text, NULL,
                            HF("\"quant_algo\":\"%s\",\"kv_cache_quant_algo\":null,\"exclude_modules\":[]"),
                            rows[i][0]) == QP_OK);
        read_three(NULL, text, NULL);
        finds_only(&o, 0);
        by_scheme(Q, rows[i][1]);
    }
}
END_TEST

START_TEST(an_unknown_algorithm_is_said_and_nothing_is_judged_by_it) {
    read_three(NULL, HF("\"quant_algo\":\"NVFP5\",\"exclude_modules\":[\"lm_head\"]"), NULL);
    finds(&o, QP_CK_UNCLASSIFIED, "hf_quant_config.json quantization.quant_algo", "'NVFP5' is no scheme");
    is(Q, QP_CK_QUANTIZED);
    ck_assert_ptr_null(claim(Q).scheme);
    is("lm_head", QP_CK_EXCLUDED);
    finds_only(&o, 0);
}
END_TEST

#define LAYERS                                                                                               \
    "{\"model.layers.0.self_attn.q_proj\":{\"quant_algo\":\"FP8\"},\"model.layers.1.mlp.experts\":{"         \
    "\"quant_algo\":\"NVFP4\",\"group_size\":16},\"model.embed_tokens\":{\"quant_algo\":\"W4A16_NVFP4\","    \
    "\"group_size\":16}}"
#define MIXED_CONFIG(layers)                                                                                 \
    "{\"quantization_config\":{\"quant_algo\":\"MIXED_PRECISION\",\"quantized_layers\":" layers              \
    ",\"ignore\":[],\"quant_method\":\"modelopt\"}}"
#define MIXED_HF(layers)                                                                                     \
    HF("\"quant_algo\":\"MIXED_PRECISION\",\"kv_cache_quant_algo\":null,\"quantized_layers\":" layers)

START_TEST(mixed_precision_names_each_module_and_says_nothing_of_others) {
    read_three(MIXED_CONFIG(LAYERS), MIXED_HF(LAYERS), NULL);
    finds_only(&o, 0);
    by_scheme(Q, "modelopt fp8");
    by_scheme("model.layers.1.mlp.experts.3.up_proj", "modelopt nvfp4"); // what lies below
    by_scheme("model.embed_tokens", "modelopt w4a16-nvfp4");             // named: an embedding after all
    is(UP, QP_CK_SILENT);
    is("model.layers.1.mlp.experts_norm", QP_CK_NOT_TARGET);
    is("model.layers.1.mlp.expertsx", QP_CK_SILENT);
    is("draft." Q, QP_CK_SILENT);
}
END_TEST

START_TEST(mixed_precision_without_layers_is_refused_by_loaders) {
    read_three(NULL, MIXED_HF("{}"), NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.quantized_layers", "missing or empty");
    finds_only(&o, 1);
}
END_TEST

START_TEST(groups_of_mixed_precision_have_sizes_of_their_own) {
    read_three("{\"quantization_config\":{\"quant_algo\":\"MIXED_PRECISION\",\"quantized_layers\":" LAYERS
               ",\"config_groups\":" NVFP4_GROUP(32) ",\"quant_method\":\"modelopt\"}}",
               HF("\"quant_algo\":\"MIXED_PRECISION\",\"group_size\":16,\"quantized_layers\":" LAYERS), NULL);
    finds_only(&o, 0);
}
END_TEST

START_TEST(layers_said_otherwise_in_the_other_file_are_found) {
    read_three(
        MIXED_CONFIG("{\"a\":{\"quant_algo\":\"FP8\"},\"b\":{\"quant_algo\":\"NVFP4\",\"group_size\":16}}"),
        MIXED_HF("{\"a\":{\"quant_algo\":\"FP8\"},\"b\":{\"quant_algo\":\"NVFP4\",\"group_size\":32}}"),
        NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.quantized_layers",
          "1 module said otherwise in config.json, the first is 'b'");
    by_scheme("b", "modelopt nvfp4"); // config.json speaks first
    finds_only(&o, 1);
}
END_TEST

START_TEST(another_algorithm_group_size_or_kv_cache_in_the_other_file_is_found) {
    read_three(NVFP4_CONFIG,
               HF("\"quant_algo\":\"FP8\",\"kv_cache_quant_algo\":\"FP8\",\"group_size\":32,"
                  "\"exclude_modules\":" LIST),
               NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.quant_algo",
          "'FP8' here, 'NVFP4' in config.json");
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.group_size",
          "32 here, 16 in config.json");
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.kv_cache_quant_algo",
          "FP8 here, none in config.json");
    finds_only(&o, 3);
}
END_TEST

START_TEST(another_exclude_list_in_the_other_file_is_found_and_another_order_is_not) {
    read_three(
        NVFP4_CONFIG,
        HF("\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":null,\"group_size\":16,\"exclude_modules\":["
           "\"model.layers.2.self_attn*\",\"lm_head\",\"model.embed_tokens\",\"lm_head\",\"" GATE "\"]"),
        NULL);
    finds_only(&o, 0);
    read_three(
        NVFP4_CONFIG,
        HF("\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":null,\"group_size\":16,\"exclude_modules\":["
           "\"model.layers.2.self_attn*\",\"model.embed_tokens\",\"x\",\"" GATE "\"]"),
        NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.exclude_modules",
          "1 name only here ('x'), 1 only there ('lm_head')");
    finds_only(&o, 1);
}
END_TEST

START_TEST(a_missing_exclude_list_beside_a_list_is_found) {
    read_three(NVFP4_CONFIG, HF("\"quant_algo\":\"NVFP4\",\"kv_cache_quant_algo\":null,\"group_size\":16"),
               NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.exclude_modules",
          "0 names only here (none), 4 only there");
    finds_only(&o, 1);
}
END_TEST

START_TEST(keys_that_the_loader_requires_are_missed_where_it_reads_them) {
    read_three("{}", HF("\"quant_algo\":\"NVFP4\""), NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.group_size", "missing");
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.kv_cache_quant_algo", "missing");
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.exclude_modules", "missing");
    finds_only(&o, 3);
    read_three("{}", HF("\"quant_algo\":\"MXFP8\",\"exclude_modules\":[]"), NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json quantization.kv_cache_quant_algo", "missing");
    finds_only(&o, 1);
    read_three("{}", HF("\"quant_algo\":\"FP8\""), NULL); // needs none of them
    finds_only(&o, 0);
}
END_TEST

START_TEST(the_kv_cache_is_an_object_a_word_or_nothing) {
    static const struct {
        const char *scheme, *word;
        qp_ck_kv kv;
    } rows[] = {{"{\"dynamic\":false,\"num_bits\":8,\"type\":\"float\"}", "\"FP8\"", QP_CK_KV_FP8},
                {"\"NVFP4\"", "\"NVFP4\"", QP_CK_KV_NVFP4},
                {"\"NVFP4_AFFINE\"", "\"NVFP4_AFFINE\"", QP_CK_KV_NVFP4_AFFINE},
                {"{\"dynamic\":false,\"num_bits\":8,\"type\":\"float\"}", "\"FP8_AFFINE\"", QP_CK_KV_FP8},
                {"null", "null", QP_CK_KV_NONE},
                {"\"INT8\"", "\"INT8\"", QP_CK_KV_UNKNOWN}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const char *config, *hf;
        ck_assert(qp_arena_printf(o.arena, &config, NULL,
                                  "{\"quantization_config\":{\"quant_algo\":\"FP8\",\"ignore\":[],"
                                  "\"kv_cache_scheme\":%s,\"quant_method\":\"modelopt\"}}",
                                  rows[i].scheme) == QP_OK);
        ck_assert(
            qp_arena_printf(o.arena, &hf, NULL,
                            HF("\"quant_algo\":\"FP8\",\"kv_cache_quant_algo\":%s,\"exclude_modules\":[]"),
                            rows[i].word) == QP_OK);
        read_three(config, hf, NULL);
        finds_only(&o, 0);
        ck_assert_int_eq(qp_ck_claims_kv(k), rows[i].kv);
    }
}
END_TEST

// ---- flawed names
// ---------------------------------------------------------------------------------------------------------------

#define SENTINEL "lm_head.\\u0000backbone.pt_name_sentinel"

START_TEST(a_name_with_nul_is_found_and_excludes_nothing) {
    read_three(NULL, HF("\"quant_algo\":\"FP8\",\"exclude_modules\":[\"" SENTINEL "\",\"a.\\u0001*\"]"),
               NULL);
    finds(&o, QP_CK_EXCLUDE_UNKNOWN, SENTINEL, "exclude_modules[0]");
    finds(&o, QP_CK_EXCLUDE_UNKNOWN, "a.\\u0001*", "control characters");
    finds_only(&o, 2);
    for (int i = 0; i < 2; i++) { // said once: not again as a name that nothing has
        size_t n;
        bool used;
        ck_assert_ptr_nonnull(qp_ck_claims_exclude(k, i, &n, &used));
        ck_assert(used);
    }
    is("lm_head", QP_CK_QUANTIZED);
    is("a.b", QP_CK_QUANTIZED);
}
END_TEST

START_TEST(a_trailing_dot_is_found_and_excludes_nothing) {
    read_three(NULL, HF("\"quant_algo\":\"FP8\",\"exclude_modules\":[\"lm_head.\",\"model.norm\"]"), NULL);
    finds(&o, QP_CK_EXCLUDE_UNKNOWN, "lm_head.", "ends with a dot");
    finds_only(&o, 1);
    is("lm_head", QP_CK_QUANTIZED);
    is("model.norm", QP_CK_EXCLUDED);
}
END_TEST

START_TEST(items_know_whether_a_module_used_them) {
    size_t n;
    bool used;
    read_three(NVFP4_CONFIG, NVFP4_HF, NULL);
    (void)claim(GATE);
    ck_assert_str_eq(qp_ck_claims_exclude(k, 2, &n, &used), GATE);
    ck_assert(used && n == strlen(GATE));
    ck_assert_str_eq(qp_ck_claims_exclude(k, 0, &n, &used), "lm_head");
    ck_assert(!used);
    ck_assert_str_eq(qp_ck_claims_exclude_by(k, 0), "config.json quantization_config.ignore[0] 'lm_head'");
}
END_TEST

// ---- wrong types
// ----------------------------------------------------------------------------------------------------------------

START_TEST(items_of_the_wrong_type_are_named_with_what_was_wanted) {
    read_three("{\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":[\"FP8\"],\"ignore\":"
               "\"lm_head\","
               "\"kv_cache_scheme\":8}}",
               HF("\"quant_algo\":\"FP8\",\"group_size\":16.5,\"exclude_modules\":[\"lm_head\",7]"), NULL);
    finds(&o, QP_CK_FILE_FORMAT, "config.json quantization_config.quant_algo",
          "a text was wanted, got a list");
    finds(&o, QP_CK_FILE_FORMAT, "config.json quantization_config.ignore", "a list was wanted, got a text");
    finds(&o, QP_CK_FILE_FORMAT, "config.json quantization_config.kv_cache_scheme",
          "an object or a text was wanted");
    finds(&o, QP_CK_FILE_FORMAT, "hf_quant_config.json quantization.group_size",
          "whole number was wanted, got a broken");
    finds(&o, QP_CK_FILE_FORMAT, "hf_quant_config.json quantization.exclude_modules[1]", "a text was wanted");
    is("lm_head", QP_CK_EXCLUDED); // the rest still counts
    by_scheme(Q, "modelopt fp8");
}
END_TEST

START_TEST(a_quantization_config_that_is_no_object_is_named) {
    read_config("{\"quantization_config\":\"fp8\"}");
    finds(&o, QP_CK_FILE_FORMAT, "config.json quantization_config", "an object was wanted, got a text");
    finds_only(&o, 1);
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_PLAIN);
}
END_TEST

START_TEST(a_size_that_is_no_size_is_named) {
    read_three(NULL, HF("\"quant_algo\":\"FP8\",\"group_size\":9999999999,\"exclude_modules\":[]"), NULL);
    finds(&o, QP_CK_FILE_FORMAT, "hf_quant_config.json quantization.group_size", "9999999999 is no size");
    finds_only(&o, 1);
}
END_TEST

// ---- which config speaks
// --------------------------------------------------------------------------------------------------------

START_TEST(no_config_is_plain) {
    read_config("{\"model_type\":\"llama\"}");
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_PLAIN);
    ck_assert_str_eq(qp_ck_claims_said(k), "not quantized");
    ck_assert_str_eq(qp_ck_claims_producer(k), "");
    is(Q, QP_CK_SILENT);
    ck_assert_int_eq(qp_ck_claims_excludes(k), 0);
    finds_only(&o, 0);
}
END_TEST

START_TEST(the_config_of_the_language_model_speaks_where_the_top_does_not) {
    read_config("{\"text_config\":{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":["
                "128,128]}}}");
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_FP8);
    by(Q, "config.json text_config.quantization_config.quant_method 'fp8'");
}
END_TEST

START_TEST(an_unknown_method_is_said_and_not_guessed) {
    read_config("{\"quantization_config\":{\"quant_method\":\"quark\",\"exclude\":[\"re:x\"]}}");
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_UNKNOWN);
    ck_assert_str_eq(qp_ck_claims_said(k), "quark");
    finds(&o, QP_CK_UNCLASSIFIED, "config.json quantization_config", "'quark' is no dialect");
    is(Q, QP_CK_SILENT);
    finds_only(&o, 0);
}
END_TEST

START_TEST(mlx_is_said_and_a_stale_config_beside_it_is_found) {
    read_config("{\"quantization\":{\"group_size\":64,\"bits\":4}}");
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_UNKNOWN);
    ck_assert_str_eq(qp_ck_claims_said(k), "mlx");
    finds_only(&o, 0);
    read_config("{\"quantization\":{\"group_size\":64,\"bits\":4},\"quantization_config\":{\"group_size\":64,"
                "\"bits\":4}}");
    finds_only(&o, 0); // mlx writes both
    read_config("{\"quantization\":{\"group_size\":64,\"bits\":4},\"quantization_config\":{\"quant_"
                "method\":\"fp8\","
                "\"weight_block_size\":[128,128]}}");
    finds(&o, QP_CK_CONFIG_TENSORS, "config.json quantization", "one of them is stale");
    finds_only(&o, 1);
}
END_TEST

START_TEST(a_config_of_model_optimizer_beside_another_dialect_is_found) {
    read_three("{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}",
               NVFP4_HF, NULL);
    finds(&o, QP_CK_CONFIG_TENSORS, "hf_quant_config.json", "beside a quantization_config of 'fp8'");
    finds_only(&o, 1);
    by_scheme(Q, "deepseek-fp8 block");
}
END_TEST

int main(void) {
    Suite *s = suite_create("claims");
    TCase *tc = tcase_create("claims");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_two_files_of_model_optimizer_agree);
    tcase_add_test(tc, hf_quant_config_alone_is_enough);
    tcase_add_test(tc, config_json_alone_is_enough_and_its_group_size_counts);
    tcase_add_test(tc, groups_without_an_algorithm_mean_one_by_their_numbers);
    tcase_add_test(tc, each_word_of_model_optimizer_is_its_scheme);
    tcase_add_test(tc, an_unknown_algorithm_is_said_and_nothing_is_judged_by_it);
    tcase_add_test(tc, mixed_precision_names_each_module_and_says_nothing_of_others);
    tcase_add_test(tc, mixed_precision_without_layers_is_refused_by_loaders);
    tcase_add_test(tc, groups_of_mixed_precision_have_sizes_of_their_own);
    tcase_add_test(tc, layers_said_otherwise_in_the_other_file_are_found);
    tcase_add_test(tc, another_algorithm_group_size_or_kv_cache_in_the_other_file_is_found);
    tcase_add_test(tc, another_exclude_list_in_the_other_file_is_found_and_another_order_is_not);
    tcase_add_test(tc, a_missing_exclude_list_beside_a_list_is_found);
    tcase_add_test(tc, keys_that_the_loader_requires_are_missed_where_it_reads_them);
    tcase_add_test(tc, the_kv_cache_is_an_object_a_word_or_nothing);
    tcase_add_test(tc, a_name_with_nul_is_found_and_excludes_nothing);
    tcase_add_test(tc, a_trailing_dot_is_found_and_excludes_nothing);
    tcase_add_test(tc, items_know_whether_a_module_used_them);
    tcase_add_test(tc, items_of_the_wrong_type_are_named_with_what_was_wanted);
    tcase_add_test(tc, a_quantization_config_that_is_no_object_is_named);
    tcase_add_test(tc, a_size_that_is_no_size_is_named);
    tcase_add_test(tc, no_config_is_plain);
    tcase_add_test(tc, the_config_of_the_language_model_speaks_where_the_top_does_not);
    tcase_add_test(tc, an_unknown_method_is_said_and_not_guessed);
    tcase_add_test(tc, mlx_is_said_and_a_stale_config_beside_it_is_found);
    tcase_add_test(tc, a_config_of_model_optimizer_beside_another_dialect_is_found);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
