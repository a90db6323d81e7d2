// SPDX-License-Identifier: Apache-2.0
// What configs claim of modules: compressed-tensors, FP8 blocks, MXFP4 of gpt-oss, AWQ, GPTQ.
#include "checkpoint/tests/claim_files.h"

// ---- compressed-tensors
// -------------------------------------------------------------------------------------------------------------

#define CT(format, ignore, groups)                                                                           \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":" format                   \
    ",\"ignore\":" ignore ",\"config_groups\":{" groups                                                      \
    "},\"kv_cache_scheme\":null,\"version\":\"0.20.0\",\"not_a_key\":[1]}}"
#define ARGS(bits, type, strategy, more)                                                                     \
    "{\"num_bits\":" #bits ",\"type\":\"" type "\",\"strategy\":\"" strategy "\"" more "}"
#define GROUP(name, targets, weights, input, format)                                                         \
    "\"" name "\":{\"targets\":" targets ",\"weights\":" weights ",\"input_activations\":" input             \
    ",\"output_activations\":null,\"format\":" format "}"
#define LINEAR "[\"Linear\"]"

START_TEST(compressed_tensors_takes_names_as_they_are) {
    read_config(CT("\"nvfp4-pack-quantized\"", "[\"lm_head\",\"model.visual\",\"re:.*mlp\\\\.gate$\",\"a*\"]",
                   GROUP("group_0", LINEAR, ARGS(4, "float", "tensor_group", ",\"group_size\":16"),
                         ARGS(4, "float", "tensor_group", ",\"dynamic\":\"local\""), "null")));
    finds_only(&o, 0);
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_COMPRESSED_TENSORS);
    ck_assert_str_eq(qp_ck_claims_said(k), "nvfp4-pack-quantized (compressed-tensors 0.20.0)");
    ck_assert_str_eq(qp_ck_claims_producer(k), "compressed-tensors 0.20.0");
    by_scheme(Q, "compressed-tensors nvfp4-pack-quantized");
    is("lm_head", QP_CK_EXCLUDED);
    is("language_model.lm_head", QP_CK_QUANTIZED);         // no run of segments here
    is("model.visual.blocks.0.attn.qkv", QP_CK_QUANTIZED); // nor what lies below
    is(GATE, QP_CK_EXCLUDED);
    is("model.layers.1.mlp.gate_proj", QP_CK_QUANTIZED);
    is("abc", QP_CK_QUANTIZED); // a star is a star
    is("model.embed_tokens", QP_CK_NOT_TARGET);
}
END_TEST

START_TEST(arguments_choose_the_scheme) {
    static const struct {
        const char *format, *weights, *input, *name;
    } rows[] = {
        {"\"float-quantized\"", ARGS(8, "float", "tensor", ""),
         ARGS(8, "float", "tensor", ",\"dynamic\":false"),
         "compressed-tensors float-quantized tensor static"},
        {"\"float-quantized\"", ARGS(8, "float", "channel", ""),
         ARGS(8, "float", "token", ",\"dynamic\":true"), "compressed-tensors float-quantized channel"},
        {"\"float-quantized\"", ARGS(8, "float", "block", ",\"block_structure\":[128,128]"),
         ARGS(8, "float", "group", ",\"dynamic\":true"), "compressed-tensors float-quantized block"},
        {"\"float-quantized\"", ARGS(8, "float", "block", ",\"block_structure\":\"128x128\""),
         ARGS(8, "float", "group", ",\"dynamic\":true"), "compressed-tensors float-quantized block"},
        {"\"nvfp4-pack-quantized\"", ARGS(4, "float", "tensor_group", ",\"group_size\":16"), "null",
         "compressed-tensors nvfp4-pack-quantized weight-only"},
        {"\"nvfp4-pack-quantized\"", ARGS(4, "float", "tensor_group", ",\"group_size\":16"),
         ARGS(4, "float", "tensor_group", ",\"dynamic\":true"),
         "compressed-tensors nvfp4-pack-quantized weight-only"},
        {"\"int-quantized\"", ARGS(4, "int", "group", ",\"group_size\":128"),
         ARGS(8, "float", "token", ",\"dynamic\":true"), "compressed-tensors int-quantized int4 g128"},
        {"\"pack-quantized\"", ARGS(4, "int", "group", ",\"group_size\":32,\"symmetric\":false"), "null",
         "compressed-tensors pack-quantized int4 g32 asymmetric"},
        {"\"pack-quantized\"", ARGS(8, "int", "channel", ",\"actorder\":\"group\""), "null",
         "compressed-tensors pack-quantized int8 channel act-order"},
        {"\"naive-quantized\"", ARGS(8, "float", "tensor", ""), ARGS(8, "float", "tensor", ""),
         "compressed-tensors float-quantized tensor static"},
        {"\"naive-quantized\"", ARGS(8, "int", "channel", ""), ARGS(8, "int", "token", ",\"dynamic\":true"),
         "compressed-tensors naive-quantized int8 channel"},
        {"null", ARGS(4, "int", "group", ",\"group_size\":128"), "null",
         "compressed-tensors pack-quantized int4 g128"},
        {"null", ARGS(8, "float", "group", ",\"group_size\":32,\"scale_dtype\":\"torch.uint8\""),
         ARGS(8, "float", "group", ",\"dynamic\":true"), "compressed-tensors mxfp8-quantized"},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const char *text;
        ck_assert(
            qp_arena_printf(
                o.arena, &text, NULL,
                CT("%s", "[]", "\"g\":{\"targets\":" LINEAR ",\"weights\":%s,\"input_activations\":%s}"),
                rows[i].format, rows[i].weights, rows[i].input) == QP_OK);
        read_config(text);
        finds_only(&o, 0);
        by_scheme(Q, rows[i].name);
    }
}
END_TEST

START_TEST(searched_scales_and_ordered_codes_are_not_derivable) {
    read_config(CT(
        "\"pack-quantized\"", "[]",
        GROUP(
            "a", "[\"re:.*q_proj$\"]", ARGS(4, "int", "group", ",\"group_size\":32,\"observer\":\"mse\""),
            "null",
            "null") "," GROUP("b", "[\"re:.*k_proj$\"]",
                              ARGS(4, "int", "group", ",\"group_size\":32,\"actorder\":\"weight\""), "null",
                              "null") "," GROUP("c", LINEAR,
                                                ARGS(4, "int", "group",
                                                     ",\"group_size\":32,\"observer\":\"memoryless_minmax\""),
                                                "null", "null")));
    ck_assert(!claim(Q).scheme->derivable);
    ck_assert(!claim("model.layers.0.self_attn.k_proj").scheme->derivable);
    ck_assert(!claim("model.layers.0.self_attn.k_proj").scheme->act_order);
    ck_assert(claim(UP).scheme->derivable);
    ck_assert_str_eq(claim(Q).scheme->name, claim(UP).scheme->name);
}
END_TEST

START_TEST(groups_have_formats_and_targets_of_their_own) {
    read_config(
        CT("\"mixed-precision\"", "[\"lm_head\"]",
           GROUP("group_0", "[\"re:.*self_attn.*_proj$\"]", ARGS(8, "float", "channel", ""),
                 ARGS(8, "float", "token", ",\"dynamic\":true"),
                 "\"float-quantized\"") "," GROUP("group_1", "[\"model.layers.0.mlp.up_proj\",\"re:mlp\"]",
                                                  ARGS(4, "int", "group", ",\"group_size\":128"), "null",
                                                  "\"int-quantized\"")));
    finds_only(&o, 0);
    by_scheme(Q, "compressed-tensors float-quantized channel");
    by_scheme(UP, "compressed-tensors int-quantized int4 g128 weight-only");
    is("model.layers.0.mlp.down_proj", QP_CK_SILENT); // re:mlp is anchored at the first byte
    is("mlp.down_proj", QP_CK_QUANTIZED);
    is("model.layers.0.self_attn.q_norm", QP_CK_NOT_TARGET);
    by(Q, "config.json quantization_config.config_groups.group_0 'float-quantized'");
}
END_TEST

START_TEST(an_unknown_format_or_block_is_said) {
    read_config(CT("\"marlin-24\"", "[]",
                   GROUP("g", LINEAR, ARGS(4, "int", "group", ",\"group_size\":128"), "null", "null")));
    finds(&o, QP_CK_UNCLASSIFIED, "config.json quantization_config.config_groups.g",
          "'marlin-24' is no scheme");
    is(Q, QP_CK_QUANTIZED);
    ck_assert_ptr_null(claim(Q).scheme);
    finds_only(&o, 0);
    read_config(
        CT("\"float-quantized\"", "[]",
           GROUP("g", LINEAR, ARGS(8, "float", "block", ",\"block_structure\":[64,128]"), "null", "null")));
    ck_assert_ptr_null(claim(Q).scheme);
}
END_TEST

START_TEST(a_pattern_that_is_no_pattern_is_found) {
    read_config(CT("\"pack-quantized\"", "[\"re:mlp(\"]",
                   GROUP("g", "[\"re:[\"]", ARGS(4, "int", "group", ",\"group_size\":128"), "null", "null")));
    finds(&o, QP_CK_CONFIG_TENSORS, "config.json quantization_config.ignore[0]",
          "'mlp(' is no regular expression");
    finds(&o, QP_CK_CONFIG_TENSORS, "config.json quantization_config.config_groups.g.targets",
          "'[' is no regular");
    finds_only(&o, 2);
}
END_TEST

START_TEST(a_cache_computed_while_serving_has_no_scales) {
    read_config("{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":{},"
                "\"kv_cache_scheme\":{\"num_bits\":8,\"type\":\"float\",\"dynamic\":true}}}");
    ck_assert_int_eq(qp_ck_claims_kv(k), QP_CK_KV_NONE);
    read_config("{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":{},"
                "\"kv_cache_scheme\":{\"num_bits\":8,\"type\":\"float\",\"dynamic\":false}}}");
    ck_assert_int_eq(qp_ck_claims_kv(k), QP_CK_KV_FP8);
    finds_only(&o, 0);
}
END_TEST

START_TEST(the_name_of_the_config_before_2024_is_read) {
    read_config("{\"compression_config\":{\"format\":\"pack-quantized\",\"config_groups\":{" GROUP(
        "g", LINEAR, ARGS(4, "int", "group", ",\"group_size\":128"), "null", "null") "}}}");
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_COMPRESSED_TENSORS);
    by_scheme(Q, "compressed-tensors pack-quantized int4 g128");
}
END_TEST

// ---- the small dialects
// --------------------------------------------------------------------------------------------------------

START_TEST(fp8_blocks_leave_router_head_and_norms_alone) {
    read_config(
        "{\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":\"e4m3\",\"activation_scheme\":"
        "\"dynamic\","
        "\"weight_block_size\":[128,128],\"modules_to_not_convert\":[\"model.layers.0.mlp\",\"visual\"]}}");
    finds_only(&o, 0);
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_FP8);
    by_scheme(Q, "deepseek-fp8 block");
    is(GATE, QP_CK_NOT_TARGET);
    is("lm_head", QP_CK_NOT_TARGET);
    is("model.layers.61.eh_proj", QP_CK_NOT_TARGET);
    is(UP, QP_CK_EXCLUDED);
    is("model.visual.blocks.0.attn.qkv", QP_CK_EXCLUDED);
    is("model.layers.1.mlp.up_proj", QP_CK_QUANTIZED);
}
END_TEST

START_TEST(fp8_without_blocks_has_one_scale_per_tensor) {
    read_config("{\"quantization_config\":{\"quant_method\":\"fp8\",\"activation_scheme\":\"static\","
                "\"ignored_layers\":[\"lm_head\"]}}");
    by_scheme(Q, "deepseek-fp8 tensor static");
    is("lm_head", QP_CK_EXCLUDED);
    read_config("{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[64,128]}}");
    ck_assert_ptr_null(claim(Q).scheme);
    read_config("{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128]}}");
    ck_assert_ptr_null(claim(Q).scheme);
}
END_TEST

START_TEST(mxfp4_is_of_experts_only) {
    read_config(
        "{\"quantization_config\":{\"quant_method\":\"mxfp4\",\"modules_to_not_convert\":["
        "\"model.layers.*.self_attn\",\"model.layers.*.mlp.router\",\"model.embed_tokens\",\"lm_head\"]}}");
    finds_only(&o, 0);
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_GPT_OSS);
    by_scheme("model.layers.7.mlp.experts.gate_up_proj", "gpt-oss-mxfp4");
    is("model.layers.17.self_attn.q_proj", QP_CK_EXCLUDED);
    is("model.layers.17.mlp.router", QP_CK_EXCLUDED);
    is("model.layers.17.other", QP_CK_NOT_TARGET);
}
END_TEST

START_TEST(awq_excludes_by_part_of_the_name_and_stays_inside_the_layers) {
    read_config("{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":64,\"version\":"
                "\"gemm\","
                "\"zero_point\":true,\"modules_to_not_convert\":[\"self_attn\",\"mlp.shared.\"]}}");
    finds_only(&o, 0);
    by_scheme(UP, "awq int4 g64");
    is(Q, QP_CK_EXCLUDED);
    is("model.layers.0.mlp.shared.up_proj", QP_CK_EXCLUDED); // its own idiom: no flaw
    is("model.project_in", QP_CK_NOT_TARGET);                // no number: outside of the layers
    is("lm_head", QP_CK_NOT_TARGET);
    is("model.visual.blocks.0.attn.qkv", QP_CK_NOT_TARGET);
    read_config("{\"quantization_config\":{\"quant_method\":\"awq\",\"version\":\"gemv\"}}");
    ck_assert_ptr_null(claim(UP).scheme);
    finds(&o, QP_CK_UNCLASSIFIED, "config.json quantization_config", "'gemv'");
}
END_TEST

START_TEST(gptq_beside_config_json_and_without_a_method) {
    read_three("{\"model_type\":\"llama\"}", NULL,
               "{\"bits\":4,\"group_size\":-1,\"desc_act\":true,\"sym\":false,\"damp_percent\":0.01}");
    finds_only(&o, 0);
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_GPTQ);
    by_scheme(UP, "gptq int4 g-1 asymmetric act-order");
    is("lm_head", QP_CK_NOT_TARGET);
}
END_TEST

START_TEST(awq_beside_config_json_and_without_a_method) {
    read_three("{}", NULL, "{\"zero_point\":true,\"q_group_size\":32,\"w_bit\":4,\"version\":\"GEMM\"}");
    ck_assert_int_eq(qp_ck_claims_dialect(k), QP_CK_AWQ);
    by_scheme(UP, "awq int4 g32");
}
END_TEST

START_TEST(two_gptq_files_that_differ_are_found) {
    read_three("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128,\"desc_"
               "act\":false}}",
               NULL, "{\"bits\":4,\"group_size\":32,\"desc_act\":true,\"checkpoint_format\":\"gptq_v2\"}");
    finds(&o, QP_CK_CONFIG_TENSORS, "quantize_config.json group_size", "32 here, 128 in config.json");
    finds(&o, QP_CK_CONFIG_TENSORS, "quantize_config.json desc_act", "true here, false in config.json");
    finds_only(&o, 2);
    by_scheme(UP, "gptq_v2 int4 g128");
}
END_TEST

START_TEST(awq_of_another_width_contradicts_itself) {
    read_config("{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":8,\"group_size\":128,"
                "\"version\":\"gemm\"}}");
    finds(&o, QP_CK_CONFIG_TENSORS, "config.json quantization_config.bits",
          "4 was wanted (AWQ packs no other), got 8");
    by_scheme(UP, "awq int4 g128");
}
END_TEST

START_TEST(control_characters_of_a_key_are_shown_escaped) {
    read_config("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128,"
                "\"dynamic\":{\"+:.*up\\u007f?_proj\":{\"bits\":8}}}}");
    by_scheme(UP, "gptq int8 g128");
    ck_assert_ptr_nonnull(strstr(claim(UP).by, "dynamic.+:.*up\\u007f?_proj"));
}
END_TEST

START_TEST(gptq_varies_by_pattern_and_names) {
    read_config(
        "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128,\"lm_head\":true,"
        "\"dynamic\":{\"-:.*\\\\.mlp\\\\.\":{},\"+:.*q_proj\":{\"bits\":8,\"group_size\":64}}}}");
    finds_only(&o, 0);
    is(UP, QP_CK_EXCLUDED);
    by_scheme(Q, "gptq int8 g64");
    by_scheme("model.layers.0.self_attn.k_proj", "gptq int4 g128");
    by_scheme("lm_head", "gptq int4 g128");
    read_config("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128,"
                "\"modules_in_block_to_quantize\":[[\"self_attn.q_proj\"],[\"mlp.down_proj\"]]}}");
    by_scheme(Q, "gptq int4 g128");
    is(UP, QP_CK_SILENT);
    read_config("{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"dynamic\":{\"-:.*"
                "layers\\\\.0\":{}},"
                "\"modules_in_block_to_quantize\":[[\"self_attn.q_proj\"]]}}");
    is(Q, QP_CK_EXCLUDED); // patterns come before names
    by_scheme("model.layers.1.self_attn.q_proj", "gptq int4 g128");
}
END_TEST

int main(void) {
    Suite *s = suite_create("claims of the other dialects");
    TCase *tc = tcase_create("claims of the other dialects");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, compressed_tensors_takes_names_as_they_are);
    tcase_add_test(tc, arguments_choose_the_scheme);
    tcase_add_test(tc, searched_scales_and_ordered_codes_are_not_derivable);
    tcase_add_test(tc, groups_have_formats_and_targets_of_their_own);
    tcase_add_test(tc, an_unknown_format_or_block_is_said);
    tcase_add_test(tc, a_pattern_that_is_no_pattern_is_found);
    tcase_add_test(tc, a_cache_computed_while_serving_has_no_scales);
    tcase_add_test(tc, the_name_of_the_config_before_2024_is_read);
    tcase_add_test(tc, fp8_blocks_leave_router_head_and_norms_alone);
    tcase_add_test(tc, fp8_without_blocks_has_one_scale_per_tensor);
    tcase_add_test(tc, mxfp4_is_of_experts_only);
    tcase_add_test(tc, awq_excludes_by_part_of_the_name_and_stays_inside_the_layers);
    tcase_add_test(tc, gptq_beside_config_json_and_without_a_method);
    tcase_add_test(tc, awq_beside_config_json_and_without_a_method);
    tcase_add_test(tc, two_gptq_files_that_differ_are_found);
    tcase_add_test(tc, awq_of_another_width_contradicts_itself);
    tcase_add_test(tc, control_characters_of_a_key_are_shown_escaped);
    tcase_add_test(tc, gptq_varies_by_pattern_and_names);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
