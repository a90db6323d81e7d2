// SPDX-License-Identifier: Apache-2.0
// Tensors that nobody reads, scales without codes, codes without scales, names that say nothing.
#include "audit/tests/dialects.h"

// ---- scales that nobody reads
// --------------------------------------------------------------------------------------------------------

START_TEST(a_scale_beside_a_bf16_weight_is_an_orphan) {
    tiny *t = make(&dialects[0]);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.weight", QP_ST_BF16, 32, 16);
    TINY_ADD(t, "model.layers.0.mlp.up_proj.weight_scale", QP_ST_F8_E4M3, 32, 1);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_ORPHAN_SCALE, "model.layers.0.mlp.up_proj.weight_scale");
    done(t);
}
END_TEST

START_TEST(a_scale_that_the_scheme_does_not_have_is_an_orphan) {
    tiny *t = make(&dialects[3]); // W4A16: weights only
    tiny_add(t, "model.layers.0.self_attn.o_proj.input_scale", QP_ST_F32, 0, NULL);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_ORPHAN_SCALE, "model.layers.0.self_attn.o_proj.input_scale");
    done(t);
}
END_TEST

START_TEST(a_scale_under_another_dialects_name_is_an_orphan) {
    tiny *t = make(&dialects[0]);
    char *name = tiny_find(t, "model.layers.0.self_attn.o_proj.weight_scale_2")->name;
    snprintf(name, sizeof t->list[0].name, "model.layers.0.self_attn.o_proj.weight_global_scale");
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_ORPHAN_SCALE, "model.layers.0.self_attn.o_proj.weight_global_scale");
    done(t);
}
END_TEST

START_TEST(a_second_scale_for_one_weight_is_an_orphan) {
    tiny *t = make(&dialects[0]);
    TINY_ADD(t, "model.layers.0.self_attn.o_proj.weight_scale_inv", QP_ST_F8_E4M3, 96, 10);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_ORPHAN_SCALE, "model.layers.0.self_attn.o_proj.weight_scale_inv");
    done(t);
}
END_TEST

START_TEST(codes_without_any_scale_and_without_a_config_miss_it) {
    tiny *t = tiny_new();
    TINY_ADD(t, "model.layers.0.mlp.up_proj.weight", QP_ST_F8_E4M3, 32, 16);
    tiny_structure(t);
    TINY_WANT_ONLY(t, QP_CK_MISSING_SCALE, "model.layers.0.mlp.up_proj.weight_scale");
    done(t);
}
END_TEST

// ---- notes
// --------------------------------------------------------------------------------------------------------------------

START_TEST(plain_parameters_are_known_and_other_names_are_noted) {
    static const char *const known[] = {
        "model.layers.0.mixer.A_log",       "model.layers.0.mixer.D",
        "model.layers.0.mixer.dt_bias",     "model.layers.0.mlp.gate.e_score_correction_bias",
        "model.layers.0.self_attn.sinks",   "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.layers.0.mixer.conv1d.bias", "model.norm.weight"};
    tiny *t = make(&dialects[0]);
    for (int i = 0; i < QP_COUNT(known); i++) TINY_ADD(t, known[i], QP_ST_BF16, 16);
    TINY_ADD(t, "model.layers.0.mixer.conv1d.weight", QP_ST_BF16, 16, 1, 4);
    TINY_ADD(t, "model.layers.0.mixer.mystery", QP_ST_BF16, 16);
    tiny_structure(t);
    TINY_WANT_CLEAN(t);
    TINY_WANT(t, QP_CK_UNCLASSIFIED, "model.layers.0.mixer.mystery");
    ck_assert_uint_eq(t->findings.counts[QP_CK_UNCLASSIFIED], 1);
    done(t);
}
END_TEST

START_TEST(a_tied_head_without_a_tensor_is_noted_and_an_untied_one_is_an_error) {
    for (int tied = 0; tied < 2; tied++) {
        tiny *t = tiny_new();
        t->config = tied ? "{\"architectures\":[\"LlamaForCausalLM\"],\"tie_word_embeddings\":true}"
                         : "{\"architectures\":[\"LlamaForCausalLM\"],\"tie_word_embeddings\":false}";
        TINY_ADD(t, "model.embed_tokens.weight", QP_ST_BF16, 32, 16);
        tiny_structure(t);
        TINY_WANT(t, tied ? QP_CK_TIED_OR_ABSENT : QP_CK_CONFIG_TENSORS, "lm_head.weight");
        ck_assert_int_eq(tiny_count(t), !tied);
        TINY_ADD(t, "lm_head.weight", QP_ST_BF16, 32, 16);
        tiny_close(t);
        tiny_structure(t);
        ck_assert_uint_eq(t->findings.n, 0);
        done(t);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("orphans");
    TCase *c = tcase_create("orphans");
    tcase_add_test(c, a_scale_beside_a_bf16_weight_is_an_orphan);
    tcase_add_test(c, a_scale_that_the_scheme_does_not_have_is_an_orphan);
    tcase_add_test(c, a_scale_under_another_dialects_name_is_an_orphan);
    tcase_add_test(c, a_second_scale_for_one_weight_is_an_orphan);
    tcase_add_test(c, codes_without_any_scale_and_without_a_config_miss_it);
    tcase_add_test(c, plain_parameters_are_known_and_other_names_are_noted);
    tcase_add_test(c, a_tied_head_without_a_tensor_is_noted_and_an_untied_one_is_an_error);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
