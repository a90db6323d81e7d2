// SPDX-License-Identifier: Apache-2.0
// Shared groups by plain suffixes and by given pattern hits (pipeline spec B).
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "qp/ref.h"

enum { MAX_NAMES = 16 };

// Groups of a NULL-terminated list of names under the default patterns, all enabled but the one at 'off'.
static void group_names(const char *const *names, int off, int *group_of) {
    qp_module mods[MAX_NAMES];
    bool enabled[MAX_NAMES];
    int n = 0;
    for (; names[n] != NULL; n++) {
        mods[n] = (qp_module){.fqn = names[n], .expert = -1};
        enabled[n] = n != off;
    }
    ref_groups(mods, enabled, NULL, n, group_of);
}

static void expect_groups(const char *const *names, int off, const int *want) {
    int got[MAX_NAMES];
    group_names(names, off, got);
    for (int i = 0; names[i] != NULL; i++)
        ck_assert_msg(got[i] == want[i], "%s: group %d, want %d", names[i], got[i], want[i]);
}

START_TEST(siblings_of_one_parent_form_a_group_per_pattern) {
    static const char *const names[] = {
        "l.0.attn.q_proj",   "l.0.attn.k_proj",   "l.0.attn.v_proj", "l.0.attn.o_proj", "l.0.mlp.up_proj",
        "l.0.mlp.gate_proj", "l.0.mlp.down_proj", "l.1.attn.q_proj", "l.1.attn.k_proj", NULL};
    static const int want[] = {0, 0, 0, -1, 4, 4, -1, 7, 7};
    expect_groups(names, -1, want);
}
END_TEST

START_TEST(a_group_needs_two_enabled_members) {
    static const char *const names[] = {"a.q_proj", "a.k_proj", "b.w1", "b.w2", "c.up_proj", NULL};
    static const int all[] = {0, 0, -1, -1, -1}, without_q[] = {-1, -1, -1, -1, -1};
    expect_groups(names, -1, all);
    expect_groups(names, 0, without_q);
}
END_TEST

START_TEST(names_must_match_in_full) {
    static const char *const names[] = {"m.gate_up_proj", "m.shared_expert_gate",
                                        "m.gate",         "m.xgate_proj",
                                        "m.gate_proj_x",  "m.linear_fc1",
                                        "m.w1.lora",      "m.w3",
                                        "m.w13",          NULL};
    static const int want[] = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
    expect_groups(names, -1, want);
}
END_TEST

START_TEST(each_expert_has_a_group_of_its_own) {
    static const char *const names[] = {"l.e.0.w1", "l.e.0.w2",  "l.e.0.w3",  "l.e.1.w1", "l.e.1.w2",
                                        "l.e.1.w3", "l.e.10.w1", "l.e.10.w3", NULL};
    static const int want[] = {0, -1, 0, 3, -1, 3, 6, 6};
    expect_groups(names, -1, want);
}
END_TEST

START_TEST(nested_parents_are_two_groups) {
    static const char *const names[] = {"attn.q_proj", "attn.attn.q_proj", "attn.k_proj", "attn.attn.v_proj",
                                        NULL};
    static const int want[] = {0, 1, 0, 1};
    expect_groups(names, -1, want);
}
END_TEST

START_TEST(names_at_the_root_have_no_prefix_which_is_not_an_empty_one) {
    static const char *const names[] = {"q_proj", ".k_proj", "v_proj", ".q_proj", NULL};
    static const int want[] = {0, 1, 0, 1};
    expect_groups(names, -1, want);
}
END_TEST

START_TEST(user_hits_group_by_pattern_and_captures) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    static const qp_pattern_hit hits[] = {{0, "x"}, {1, "x"}, {0, "x"}, {1, "x\037y"},
                                          {-1, ""}, {1, "x"}, {-1, ""}};
    qp_module mods[QP_COUNT(names)];
    bool enabled[QP_COUNT(names)];
    int group_of[QP_COUNT(names)];
    static const int want[] = {0, 1, 0, -1, -1, 1, -1};
    for (int i = 0; i < QP_COUNT(names); i++) {
        mods[i] = (qp_module){.fqn = names[i], .expert = -1};
        enabled[i] = true;
    }
    ref_groups(mods, enabled, hits, QP_COUNT(names), group_of);
    for (int i = 0; i < QP_COUNT(names); i++) ck_assert_int_eq(group_of[i], want[i]);
}
END_TEST

START_TEST(hits_without_a_match_switch_the_defaults_off) {
    qp_module mods[] = {{.fqn = "a.q_proj", .expert = -1}, {.fqn = "a.k_proj", .expert = -1}};
    static const qp_pattern_hit hits[] = {{-1, ""}, {-1, ""}};
    bool enabled[] = {true, true};
    int group_of[2];
    ref_groups(mods, enabled, hits, 2, group_of);
    ck_assert_int_eq(group_of[0], -1);
    ck_assert_int_eq(group_of[1], -1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference: groups");
    TCase *t = tcase_create("groups");
    tcase_add_test(t, siblings_of_one_parent_form_a_group_per_pattern);
    tcase_add_test(t, a_group_needs_two_enabled_members);
    tcase_add_test(t, names_must_match_in_full);
    tcase_add_test(t, each_expert_has_a_group_of_its_own);
    tcase_add_test(t, nested_parents_are_two_groups);
    tcase_add_test(t, names_at_the_root_have_no_prefix_which_is_not_an_empty_one);
    tcase_add_test(t, user_hits_group_by_pattern_and_captures);
    tcase_add_test(t, hits_without_a_match_switch_the_defaults_off);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
