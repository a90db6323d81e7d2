// SPDX-License-Identifier: Apache-2.0
// Which item of a list a name matches: the words of exclude.h, one case each, and the near misses.
#include "checkpoint/exclude.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qp_arena *arena;
static qp_ck_list list;

static void setup(void) {
    arena = qp_arena_new();
    memset(&list, 0, sizeof list);
}

static void teardown(void) {
    qp_arena_free(arena);
}

static const char *add_n(qp_ck_match match, const char *text, size_t n) {
    const char *why = NULL;
    qp_err err = {0};
    const qp_ck_item item = {.text = text, .n = n, .match = match, .by = "test", .value = list.n};
    ck_assert_msg(qp_ck_list_add(&list, item, arena, &why, &err) == QP_OK, "%s", err.msg);
    return why;
}

static void add(qp_ck_match match, const char *text) {
    ck_assert_ptr_null(add_n(match, text, strlen(text)));
}

static void ready(void) {
    ck_assert(qp_ck_list_ready(&list, arena, NULL) == QP_OK);
}

static int find(const char *name) {
    return qp_ck_list_find(&list, name, strlen(name));
}

static void takes(const char *name, int item) {
    ck_assert_msg(find(name) == item, "%s: wanted item %d, got %d", name, item, find(name));
}

START_TEST(an_empty_list_takes_nothing) {
    ready();
    takes("lm_head", -1);
    takes("", -1);
}
END_TEST

START_TEST(an_exact_item_takes_the_name_and_nothing_else) {
    add(QP_CK_EXACT, "model.layers.1.mlp");
    ready();
    takes("model.layers.1.mlp", 0);
    takes("model.layers.1.mlp.gate_proj", -1);
    takes("model.layers.1", -1);
    takes("xmodel.layers.1.mlp", -1);
    takes("language.model.layers.1.mlp", -1);
    takes("Model.layers.1.mlp", -1);
}
END_TEST

START_TEST(a_below_item_takes_the_name_and_what_hangs_below_a_dot) {
    add(QP_CK_BELOW, "model.layers.1.mlp.experts");
    ready();
    takes("model.layers.1.mlp.experts", 0);
    takes("model.layers.1.mlp.experts.0.up_proj", 0);
    takes("model.layers.1.mlp.experts_2", -1);
    takes("model.layers.11.mlp.experts", -1);
    takes("language_model.model.layers.1.mlp.experts", -1);
}
END_TEST

START_TEST(of_two_names_the_longest_counts) {
    add(QP_CK_BELOW, "model.layers.1");
    add(QP_CK_BELOW, "model.layers.1.mlp.up_proj");
    add(QP_CK_BELOW, "model.layers.1.mlp");
    ready();
    takes("model.layers.1.mlp.up_proj", 1);
    takes("model.layers.1.mlp.down_proj", 2);
    takes("model.layers.1.self_attn.q_proj", 0);
}
END_TEST

START_TEST(a_run_item_takes_whole_segments_anywhere_and_no_part_of_one) {
    add(QP_CK_RUN, "mlp.gate");
    add(QP_CK_RUN, "lm_head");
    ready();
    takes("model.layers.0.mlp.gate", 0);
    takes("mlp.gate", 0);
    takes("model.layers.0.mlp.gate.weight", 0);
    takes("model.layers.0.mlp.gate_proj", -1);
    takes("model.layers.0.xmlp.gate", -1);
    takes("language_model.lm_head", 1);
    takes("lm_head_2", -1);
    takes("mlp.experts.gate", -1);
}
END_TEST

START_TEST(each_item_keeps_to_its_own_way) {
    add(QP_CK_EXACT, "c.d");
    add(QP_CK_RUN, "x");
    add(QP_CK_BELOW, "e.f");
    ready();
    takes("c.d", 0);
    takes("a.c.d", -1);
    takes("c.d.e", -1);
    takes("a.x.b", 1);
    takes("e.f.g", 2);
    takes("a.e.f", -1);
}
END_TEST

START_TEST(a_star_takes_dots_and_nothing_and_a_question_mark_takes_one_byte) {
    add(QP_CK_GLOB, "model.layers.0.self_attn*");
    add(QP_CK_GLOB, "model.layers.*.mlp.router");
    add(QP_CK_GLOB, "block.?.conv");
    ready();
    takes("model.layers.0.self_attn", 0);
    takes("model.layers.0.self_attn.q_proj", 0);
    takes("model.layers.0.self_attn_2", 0);
    takes("model.layers.10.self_attn", -1);
    takes("model.layers.0.mlp", -1);
    takes("model.layers.31.mlp.router", 1);
    takes("model.layers.31.mlp.router.bias", 1); // widened to what lies below
    takes("model.layers.31.mlp.router_2", -1);
    takes("block.7.conv", 2);
    takes("block..conv", -1);
    takes("block.12.conv", -1);
}
END_TEST

START_TEST(a_star_alone_takes_everything_and_the_longest_head_counts) {
    add(QP_CK_GLOB, "*");
    add(QP_CK_GLOB, "model.*");
    ready();
    takes("lm_head", 0);
    takes("model.norm", 1);
    takes("model", 0);
}
END_TEST

START_TEST(stars_inside_backtrack) {
    add(QP_CK_GLOB, "a*b*c");
    ready();
    takes("abc", 0);
    takes("axbxbxc", 0);
    takes("axbxbx", -1);
    takes("abcabd", -1);
}
END_TEST

START_TEST(a_regex_is_anchored_at_its_beginning_only) {
    add(QP_CK_REGEX, "model\\.layers\\.\\d+\\.mlp\\.gate$");
    add(QP_CK_REGEX, ".*self_attn");
    add(QP_CK_REGEX, "lm_head");
    ready();
    takes("model.layers.12.mlp.gate", 0);
    takes("model.layers.12.mlp.gate_proj", -1);
    takes("x.model.layers.12.mlp.gate", -1);
    takes("model.layers.0.self_attn.q_proj", 1);
    takes("lm_head_2", 2);
    takes("language_model.lm_head", -1);
}
END_TEST

START_TEST(a_regex_that_does_not_compile_says_why_and_takes_nothing) {
    const char *why = add_n(QP_CK_REGEX, "mlp(", 4);
    ck_assert_ptr_nonnull(why);
    ck_assert_ptr_nonnull(strstr(why, "offset 4"));
    add(QP_CK_REGEX, "mlp");
    ready();
    takes("mlp(", 1);
    ck_assert(!qp_ck_list_used(&list, 0));
}
END_TEST

START_TEST(a_regex_that_would_run_for_ever_takes_nothing) {
    char name[4000];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    add(QP_CK_REGEX, "(a+)+(a+)+[bc]");
    ready();
    takes(name, -1);
}
END_TEST

START_TEST(nul_is_a_byte_like_any_other) {
    ck_assert_ptr_null(add_n(QP_CK_RUN, "lm_head.\0x", 10));
    ck_assert_ptr_null(add_n(QP_CK_GLOB, "l.\0x*", 5));
    ready();
    takes("lm_head", -1);
    ck_assert_int_eq(qp_ck_list_find(&list, "lm_head.\0x", 10), 0);
    ck_assert_int_eq(qp_ck_list_find(&list, "lm_head.\0y", 10), -1);
    ck_assert_int_eq(qp_ck_list_find(&list, "l.\0x.2", 6), 1);
    takes("l.", -1);
}
END_TEST

START_TEST(every_item_that_matches_is_used_and_a_repeated_one_with_it) {
    add(QP_CK_RUN, "lm_head");
    add(QP_CK_RUN, "lm_head");
    add(QP_CK_RUN, "mlp");
    add(QP_CK_RUN, "model.mlp");
    add(QP_CK_GLOB, "*mlp");
    add(QP_CK_GLOB, "*attn");
    ready();
    for (int i = 0; i < list.n; i++) ck_assert(!qp_ck_list_used(&list, i));
    find("lm_head");
    ck_assert(qp_ck_list_used(&list, 0) && qp_ck_list_used(&list, 1) && !qp_ck_list_used(&list, 2));
    takes("model.mlp", 3);
    for (int i = 0; i < 5; i++) ck_assert(qp_ck_list_used(&list, i));
    ck_assert(!qp_ck_list_used(&list, 5));
}
END_TEST

// 300 names, 60 heads and 4 regexes over 100000 modules: seconds only if lookups grow with the list.
START_TEST(a_long_list_answers_a_hundred_thousand_names) {
    int found = 0;
    for (int i = 0; i < 300; i++) {
        const char *text;
        ck_assert(qp_arena_printf(arena, &text, NULL,
                                  i % 5 == 4 ? "model.layers.%d.self_attn*" : "model.layers.%d.x%d.gate", i,
                                  i) == QP_OK);
        add(i % 5 == 4 ? QP_CK_GLOB : QP_CK_RUN, text);
    }
    add(QP_CK_REGEX, ".*shared_experts.*");
    ready();
    for (int i = 0; i < 100000; i++) {
        char name[80];
        const int n = snprintf(name, sizeof name, "model.layers.%d.self_attn.experts.%d.up_proj", i % 300, i);
        found += qp_ck_list_find(&list, name, (size_t)n) >= 0;
    }
    ck_assert_int_eq(found, 100000 / 5);
}
END_TEST

// ---- kinds of modules
// -----------------------------------------------------------------------------------------------------------

START_TEST(names_say_what_a_module_is) {
    static const struct {
        const char *name;
        qp_ck_kind kind;
    } rows[] = {
        {"model.layers.0.mlp.gate_proj", QP_CK_KIND_LINEAR},
        {"model.layers.0.mlp.gate", QP_CK_KIND_ROUTER},
        {"model.layers.0.mlp.shared_expert_gate", QP_CK_KIND_ROUTER},
        {"model.layers.0.mlp.router", QP_CK_KIND_ROUTER},
        {"router.layer", QP_CK_KIND_ROUTER},
        {"model.layers.0.input_layernorm", QP_CK_KIND_NORM},
        {"model.layers.0.self_attn.q_norm", QP_CK_KIND_NORM},
        {"model.norm", QP_CK_KIND_NORM},
        {"model.embed_tokens", QP_CK_KIND_EMBEDDING},
        {"backbone.embeddings", QP_CK_KIND_EMBEDDING},
        {"embed_out", QP_CK_KIND_HEAD},
        {"lm_head", QP_CK_KIND_HEAD},
        {"language_model.lm_head", QP_CK_KIND_HEAD},
        {"backbone.layers.0.mixer.conv1d", QP_CK_KIND_CONV},
        {"backbone.layers.0.mixer.in_proj", QP_CK_KIND_LINEAR},
        {"backbone.layers.0.mixer.A_log", QP_CK_KIND_STATE},
        {"backbone.layers.0.mixer.D", QP_CK_KIND_STATE},
        {"model.layers.61.eh_proj", QP_CK_KIND_MTP_GLUE},
        {"model.layers.61.shared_head.head", QP_CK_KIND_MTP_GLUE},
        {"model.visual.blocks.0.attn.qkv", QP_CK_KIND_VISION},
        {"model.conv_proj", QP_CK_KIND_LINEAR},
        {"gate.up_proj", QP_CK_KIND_LINEAR},
        {"", QP_CK_KIND_LINEAR},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const qp_ck_kind got = qp_ck_kind_of(rows[i].name, strlen(rows[i].name));
        ck_assert_msg(got == rows[i].kind, "%s: wanted %d, got %d", rows[i].name, (int)rows[i].kind,
                      (int)got);
    }
}
END_TEST

START_TEST(a_segment_is_whole) {
    ck_assert(qp_ck_has_segment("a.experts.0", 11, "experts"));
    ck_assert(qp_ck_has_segment("experts", 7, "experts"));
    ck_assert(qp_ck_has_segment("a.experts", 9, "experts"));
    ck_assert(!qp_ck_has_segment("a.shared_experts.0", 18, "experts"));
    ck_assert(!qp_ck_has_segment("a.expertsx", 10, "experts"));
    ck_assert(!qp_ck_has_segment("", 0, "experts"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("exclude");
    TCase *tc = tcase_create("exclude");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, an_empty_list_takes_nothing);
    tcase_add_test(tc, an_exact_item_takes_the_name_and_nothing_else);
    tcase_add_test(tc, a_below_item_takes_the_name_and_what_hangs_below_a_dot);
    tcase_add_test(tc, of_two_names_the_longest_counts);
    tcase_add_test(tc, a_run_item_takes_whole_segments_anywhere_and_no_part_of_one);
    tcase_add_test(tc, each_item_keeps_to_its_own_way);
    tcase_add_test(tc, a_star_takes_dots_and_nothing_and_a_question_mark_takes_one_byte);
    tcase_add_test(tc, a_star_alone_takes_everything_and_the_longest_head_counts);
    tcase_add_test(tc, stars_inside_backtrack);
    tcase_add_test(tc, a_regex_is_anchored_at_its_beginning_only);
    tcase_add_test(tc, a_regex_that_does_not_compile_says_why_and_takes_nothing);
    tcase_add_test(tc, a_regex_that_would_run_for_ever_takes_nothing);
    tcase_add_test(tc, nul_is_a_byte_like_any_other);
    tcase_add_test(tc, every_item_that_matches_is_used_and_a_repeated_one_with_it);
    tcase_add_test(tc, a_long_list_answers_a_hundred_thousand_names);
    tcase_add_test(tc, names_say_what_a_module_is);
    tcase_add_test(tc, a_segment_is_whole);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
