// SPDX-License-Identifier: Apache-2.0
// Fused groups: equal bits are silent, one ulp is not; the odd member is named, and the loader's number.
#include "by_hand.h"

enum { MOST = 24 };

typedef struct stack {
    qp_ck_scheme scheme;
    qp_ck_module m[MOST];
    float global[MOST], input[MOST];
    char text[MOST][2][48];
    int n;
} stack;

static void add(stack *s, qp_arena *a, const char *name, int share, float global, float input) {
    const int i = s->n++;
    qp_ck_module *m = &s->m[i];
    s->global[i] = global;
    s->input[i] = input;
    *m = hand_module(name, &s->scheme, 1, 4, 32);
    m->share = share;
    snprintf(s->text[i][0], sizeof s->text[i][0], "%s.weight_scale_2", name);
    snprintf(s->text[i][1], sizeof s->text[i][1], "%s.input_scale", name);
    m->part[QP_CK_GLOBAL] = hand_tensor(a, s->text[i][0], QP_ST_F32, "[]", &s->global[i]);
    m->part[QP_CK_INPUT] = hand_tensor(a, s->text[i][1], QP_ST_F32, "[]", &s->input[i]);
}

static hand_audit judged(stack *s, hand_audit h) {
    h.u.modules.n = (uint32_t)s->n;
    h.u.modules.list = s->m;
    HAND_OK(qp_pass_shared(&h.u, h.a, &h.u.findings, err));
    return h;
}

static void effect_says(const hand_audit *h, const char *words) {
    ck_assert_msg(strstr(h->u.findings.list[0].effect, words) != NULL, "'%s' lacks '%s'",
                  h->u.findings.list[0].effect, words);
}

START_TEST(equal_members_and_members_of_other_groups_are_silent) {
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "gate", 0, 0.5f, 1.0f);
    add(&s, h.a, "k", 1, 0.25f, 2.0f);
    add(&s, h.a, "lone", -1, 9.0f, 9.0f);
    add(&s, h.a, "lone2", -1, 8.0f, 8.0f);
    add(&s, h.a, "q", 1, 0.25f, 2.0f);
    add(&s, h.a, "up", 0, 0.5f, 1.0f);
    h = judged(&s, h);
    hand_found(&h, 0, 0, "", "");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(one_ulp_between_two_members_is_found_with_both_values) {
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "gate", 0, qp_float_of(0x3f000000), 1.0f);
    add(&s, h.a, "up", 0, qp_float_of(0x3f000001), 1.0f);
    h = judged(&s, h);
    hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, "up.weight_scale_2", "3f000001");
    hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, "up.weight_scale_2", "gate.weight_scale_2, 3f000000 (0.5)");
    qp_arena_free(h.a);
}
END_TEST

// Every place of the odd one among three: the two that agree are never named.
START_TEST(the_odd_member_of_three_is_the_one_named) {
    static const char *const names[] = {"k", "q", "v"};
    for (int odd = 0; odd < 3; odd++) {
        stack s = {.scheme = hand_nvfp4()};
        hand_audit h = hand_new(NULL, 0);
        for (int i = 0; i < 3; i++) add(&s, h.a, names[i], 4, i == odd ? 0.5f : 1.0f, 1.0f);
        h = judged(&s, h);
        hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, s.text[odd][0], "2x");
        effect_says(&h, "this member comes out too large by 2x");
        qp_arena_free(h.a);
    }
}
END_TEST

START_TEST(the_largest_of_a_dense_group_spoils_the_others) {
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "k", 4, 1.0f, 1.0f);
    add(&s, h.a, "q", 4, 1.0f, 1.0f);
    add(&s, h.a, "v", 4, 3.0f, 1.0f);
    h = judged(&s, h);
    hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, "v.weight_scale_2", "3x");
    effect_says(&h, "the other members come out too large by up to 3x");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(an_expert_loses_its_up_half_by_gate_over_up) {
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "experts.0.gate_proj", 0, 1.6f, 1.0f);
    add(&s, h.a, "experts.0.up_proj", 0, 0.5f, 1.0f);
    s.m[0].expert = s.m[1].expert = 0;
    h = judged(&s, h);
    hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, "experts.0.up_proj.weight_scale_2", "3.2x");
    effect_says(&h, "off by 3.2x");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(dividing_scales_end_too_small_and_not_too_large) {
    stack s = {.scheme = hand_nvfp4()};
    s.scheme.global = QP_CK_DIVIDES;
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "k", 4, 12992.0f, 1.0f);
    add(&s, h.a, "q", 4, 12992.0f, 1.0f);
    add(&s, h.a, "v", 4, 9600.0f, 1.0f); // llm-compressor #1869
    h = judged(&s, h);
    hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, "v.weight_scale_2", "(9600)");
    effect_says(&h, "too small by 1.35x");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(an_expert_whose_scales_divide_loses_its_up_half_the_other_way) {
    stack s = {.scheme = hand_nvfp4()};
    s.scheme.global = QP_CK_DIVIDES;
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "experts.0.gate_proj", 0, 4.0f, 1.0f);
    add(&s, h.a, "experts.0.up_proj", 0, 1.0f, 1.0f);
    s.m[0].expert = s.m[1].expert = 0;
    h = judged(&s, h);
    hand_found(&h, 1, QP_CK_SHARED_WEIGHT_SCALE, "experts.0.up_proj.weight_scale_2", "4x");
    effect_says(&h, "off by 0.25x");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(input_scales_are_a_rule_of_their_own) {
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "gate", 0, 1.0f, 1.0f);
    add(&s, h.a, "up", 0, 1.0f, 4.0f);
    h = judged(&s, h);
    hand_found(&h, 1, QP_CK_SHARED_INPUT_SCALE, "up.input_scale", "4x");
    effect_says(&h, "4x coarser");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(schemes_that_differ_by_design_and_missing_scales_are_not_judged) {
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    add(&s, h.a, "gate", 0, 1.0f, 1.0f);
    add(&s, h.a, "k", 1, 1.0f, 1.0f);
    add(&s, h.a, "q", 1, 2.0f, 2.0f);
    add(&s, h.a, "up", 0, 2.0f, 2.0f);
    s.m[0].part[QP_CK_GLOBAL] = NULL;
    s.m[0].part[QP_CK_INPUT] = NULL;
    qp_ck_scheme fp8 = {.name = "fp8", .element = QP_ELEM_E4M3}; // shares nothing
    s.m[1].scheme = s.m[2].scheme = &fp8;
    h = judged(&s, h);
    hand_found(&h, 0, 0, "", "");
    qp_arena_free(h.a);
}
END_TEST

START_TEST(more_than_eight_unequal_groups_are_summed_up_in_a_note) {
    static char names[MOST][32];
    stack s = {.scheme = hand_nvfp4()};
    hand_audit h = hand_new(NULL, 0);
    for (int i = 0; i < MOST; i++) {
        snprintf(names[i], sizeof names[i], "experts.%02d.%s", i / 2, i % 2 ? "up" : "gate");
        add(&s, h.a, names[i], i / 2, i % 2 && i < 18 ? 1.0f / (float)(i + 1) : 1.0f, 1.0f);
    }
    h = judged(&s, h);
    ck_assert_uint_eq(h.u.findings.counts[QP_CK_SHARED_WEIGHT_SCALE], 9);
    ck_assert_uint_eq(h.u.findings.counts[QP_CK_STATISTICS], 1);
    const char *note = h.u.findings.list[9].detail;
    ck_assert_msg(strstr(note, "9 of 12 fused groups (75.0 %), up to 18x") != NULL, "%s", note);
    qp_arena_free(h.a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("shared");
    TCase *t = tcase_create("shared");
    tcase_add_test(t, equal_members_and_members_of_other_groups_are_silent);
    tcase_add_test(t, one_ulp_between_two_members_is_found_with_both_values);
    tcase_add_test(t, the_odd_member_of_three_is_the_one_named);
    tcase_add_test(t, the_largest_of_a_dense_group_spoils_the_others);
    tcase_add_test(t, an_expert_loses_its_up_half_by_gate_over_up);
    tcase_add_test(t, dividing_scales_end_too_small_and_not_too_large);
    tcase_add_test(t, an_expert_whose_scales_divide_loses_its_up_half_the_other_way);
    tcase_add_test(t, input_scales_are_a_rule_of_their_own);
    tcase_add_test(t, schemes_that_differ_by_design_and_missing_scales_are_not_judged);
    tcase_add_test(t, more_than_eight_unequal_groups_are_summed_up_in_a_note);
    suite_add_tcase(s, t);
    return hand_main(s);
}
