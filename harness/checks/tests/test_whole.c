// SPDX-License-Identifier: Apache-2.0
// Checks over a whole case: groups, collectives, coverage, refusals, injected errors.
#include "checks/tests/evidence.h"

// ---- groups --------------------

static const char *const qkv[] = {"l.attn.q_proj", "l.attn.k_proj", "l.attn.v_proj"};
static const char *const gate_up[] = {"l.mlp.gate_proj", "l.mlp.up_proj"};
static const uint32_t three[] = {0x3f000000, 0x3f000000, 0x3f000000}, two[] = {0x3e000000, 0x3e000000};

static const qp_group_ev want_groups[] = {{.rank = 0,
                                           .parent = "l.attn",
                                           .n_members = 3,
                                           .members = qkv,
                                           .has_global = true,
                                           .global_amax = 0x3f000000,
                                           .member_global_amax = three},
                                          {.rank = 0,
                                           .parent = "l.mlp",
                                           .n_members = 2,
                                           .members = gate_up,
                                           .has_global = true,
                                           .global_amax = 0x3e000000,
                                           .member_global_amax = two},
                                          {.rank = 1,
                                           .parent = "l.attn",
                                           .n_members = 3,
                                           .members = qkv,
                                           .has_global = true,
                                           .global_amax = 0x3f000000,
                                           .member_global_amax = three},
                                          {.rank = 1,
                                           .parent = "l.mlp",
                                           .n_members = 2,
                                           .members = gate_up,
                                           .has_global = true,
                                           .global_amax = 0x3e000000,
                                           .member_global_amax = two}};

static qp_case_ev group_case(const qp_group_ev *got, int n) {
    return (qp_case_ev){.groups = got, .n_groups = n, .want_groups = want_groups, .n_want_groups = 4};
}

START_TEST(equal_groups_pass) {
    qp_case_ev ev = group_case(want_groups, 4);
    expect_pass(judge_case("group-members", &ev), 4);
    expect_pass(judge_case("group-unity", &ev), 4);
}
END_TEST

START_TEST(a_missing_group_an_extra_group_and_a_wrong_member_fire) {
    qp_group_ev got[5];
    memcpy(got, want_groups, sizeof want_groups);
    qp_case_ev ev = group_case(got, 3);
    qp_finding f = judge_case("group-members", &ev);
    expect_fail(f, QP_WHY_MISSING);
    ck_assert_msg(strstr(f.where, "l.mlp rank 1") != NULL, "%s", f.where);
    got[4] = (qp_group_ev){.rank = 1,
                           .parent = "l.moe",
                           .n_members = 2,
                           .members = gate_up,
                           .has_global = true,
                           .global_amax = 0,
                           .member_global_amax = NULL};
    ev = group_case(got, 5);
    expect_fail(judge_case("group-members", &ev), QP_WHY_UNEXPECTED);
    static const char *const wrong[] = {"l.attn.q_proj", "l.attn.k_proj", "l.attn.o_proj"};
    got[0].members = wrong;
    ev = group_case(got, 4);
    ck_assert_int_eq(judge_case("group-members", &ev).n_diff, 2);
    ev = group_case(NULL, 0);
    ck_assert_int_eq(judge_case("group-members", &ev).n_diff, 4);
}
END_TEST

START_TEST(two_groups_of_one_parent_are_told_apart_by_their_members) {
    qp_group_ev both[] = {want_groups[0], want_groups[1]}, swapped[] = {want_groups[1], want_groups[0]};
    both[1].parent = swapped[0].parent = "l.attn";
    qp_case_ev ev = {.groups = swapped, .n_groups = 2, .want_groups = both, .n_want_groups = 2};
    expect_pass(judge_case("group-members", &ev), 2);
    expect_pass(judge_case("group-unity", &ev), 2);
}
END_TEST

START_TEST(a_rank_with_another_global_or_a_member_left_behind_fires_group_unity) {
    qp_group_ev got[4];
    memcpy(got, want_groups, sizeof got);
    got[2].global_amax = 0x3f000001;
    qp_case_ev ev = group_case(got, 4);
    qp_finding f = judge_case("group-unity", &ev);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_str_eq(f.want, "3f000000");
    ck_assert_str_eq(f.got, "3f000001");
    static const uint32_t behind[] = {0x3f000000, 0x3e000000, 0x3f000000};
    got[2] = want_groups[2];
    got[2].member_global_amax = behind;
    f = judge_case("group-unity", &ev);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_msg(strstr(f.text, "l.attn.k_proj") != NULL, "%s", f.text);
    got[2].has_global = false;
    expect_fail(judge_case("group-unity", &ev), QP_WHY_MISSING);
}
END_TEST

START_TEST(nan_globals_are_one_class) {
    static const uint32_t nans[] = {0xffc00001, 0x7fc00000}, one_number[] = {0x7fc00000, 0x3f800000};
    qp_group_ev want = {.rank = 0,
                        .parent = "l.mlp",
                        .n_members = 2,
                        .members = gate_up,
                        .has_global = true,
                        .global_amax = 0x7fc00000,
                        .member_global_amax = nans},
                got = want;
    got.global_amax = 0x7f800001;
    qp_case_ev ev = {.groups = &got, .n_groups = 1, .want_groups = &want, .n_want_groups = 1};
    expect_pass(judge_case("group-unity", &ev), 1);
    got.member_global_amax = one_number;
    expect_fail(judge_case("group-unity", &ev), QP_WHY_DIFFERENT);
}
END_TEST

START_TEST(groups_of_formats_without_a_global_are_judged_by_members_only) {
    qp_group_ev got = {.rank = 0,
                       .parent = "l.mlp",
                       .n_members = 2,
                       .members = gate_up,
                       .has_global = false,
                       .global_amax = 0,
                       .member_global_amax = NULL};
    qp_case_ev ev = {.groups = &got, .n_groups = 1, .want_groups = &got, .n_want_groups = 1};
    expect_pass(judge_case("group-members", &ev), 1);
    expect_pass(judge_case("group-unity", &ev), 0);
}
END_TEST

// ---- collectives --------------------

static const qp_trace_ev tp0[] = {
    {.group = "tp", .op = "all_reduce_max", .count = 1, .dtype = "bfloat16", .group_id = 7},
    {.group = "ep", .op = "flag_gather", .count = 1, .dtype = "flag", .group_id = 20},
    {.group = "tp", .op = "all_reduce_max", .count = 64, .dtype = "bfloat16", .group_id = 7}};
static const qp_trace_ev tp1[] = {
    {.group = "tp", .op = "all_reduce_max", .count = 1, .dtype = "bfloat16", .group_id = 7},
    {.group = "tp", .op = "all_reduce_max", .count = 64, .dtype = "bfloat16", .group_id = 7},
    {.group = "ep", .op = "flag_gather", .count = 1, .dtype = "flag", .group_id = 21}};
static const qp_trace_ev tp0_other[] = {
    {.group = "tp", .op = "all_reduce_max", .count = 1, .dtype = "bfloat16", .group_id = 8},
    {.group = "ep", .op = "flag_gather", .count = 1, .dtype = "flag", .group_id = 20},
    {.group = "tp", .op = "all_reduce_max", .count = 64, .dtype = "bfloat16", .group_id = 8}};

static qp_finding judge_traces(const qp_trace_ev *a, int n_a, const qp_trace_ev *b, int n_b) {
    qp_rank_trace traces[] = {{0, n_a, a}, {1, n_b, b}};
    qp_case_ev ev = {.traces = traces, .n_ranks = 2};
    return judge_case("collective-trace", &ev);
}

START_TEST(ranks_of_a_group_agree_group_by_group) {
    ck_assert_int_eq(judge_traces(tp0, 3, tp1, 3).verdict, QP_PASS);
    ck_assert_int_eq(judge_traces(tp0, 3, tp1, 3).n_judged, 2);
    ck_assert_int_eq(judge_traces(tp0, 3, tp0_other, 3).n_judged, 1);
    ck_assert_int_eq(judge_traces(NULL, 0, NULL, 0).n_judged, 0);
}
END_TEST

START_TEST(a_missing_collective_another_count_op_or_dtype_and_a_silent_rank_fire) {
    expect_fail(judge_traces(tp0, 3, tp1, 1), QP_WHY_COLLECTIVE);
    for (int k = 0; k < 3; k++) {
        qp_trace_ev changed[3];
        memcpy(changed, tp1, sizeof changed);
        if (k == 0) changed[1].count = 65;
        if (k == 1) memcpy(changed[1].op, "broadcast", 10);
        if (k == 2) memcpy(changed[1].dtype, "float32", 8);
        qp_finding f = judge_traces(tp0, 3, changed, 3);
        expect_fail(f, QP_WHY_COLLECTIVE);
        ck_assert_msg(strstr(f.where, "group tp collective 1 ranks 0 and 1") != NULL, "%s", f.where);
    }
    expect_fail(judge_traces(tp0, 3, tp1, 0), QP_WHY_COLLECTIVE);
    ck_assert_int_eq(judge_traces(tp0, 3, tp0_other, 2).verdict,
                     QP_PASS); // another tp group may do something else
}
END_TEST

START_TEST(the_fault_of_the_last_of_many_ranks_is_seen) {
    qp_rank_trace traces[64];
    for (int r = 0; r < 64; r++) traces[r] = (qp_rank_trace){r, 3, tp0};
    qp_case_ev ev = {.traces = traces, .n_ranks = 64};
    ck_assert_int_eq(judge_case("collective-trace", &ev).verdict, QP_PASS);
    traces[63].n = 2;
    expect_fail(judge_case("collective-trace", &ev), QP_WHY_COLLECTIVE);
}
END_TEST

// ---- coverage, refusal, errors --------------------

static qp_finding judge_coverage(qp_format f, const qp_coverage *c, bool edge) {
    qp_case_ev ev = {.coverage = c, .coverage_format = &f, .n_coverage = 1, .has_edge_key = edge};
    return judge_case("coverage-floor", &ev);
}

START_TEST(data_that_shows_nothing_is_suspect) {
    qp_coverage c = {.n_elems = 100000, .codes = {~0ull, 0, 0, 0}};
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, false).verdict, QP_PASS);
    c.codes[0] = 1;
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, false).reason, QP_WHY_ALL_ZERO);
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, true).verdict, QP_PASS);
    c.codes[0] = 7;
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, false).reason, QP_WHY_COVERAGE);
    c.n_elems = 10;
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, false).verdict, QP_PASS);
    c = (qp_coverage){.n_elems = 64, .codes = {1 | 1 << 8, 0, 0, 0}};
    ck_assert_int_eq(judge_coverage(QP_NVFP4, &c, false).reason, QP_WHY_ALL_ZERO);
    c = (qp_coverage){.n_elems = 64, .codes = {1, 0, 1, 0}};
    ck_assert_int_eq(judge_coverage(QP_FP8_E4M3, &c, false).reason, QP_WHY_ALL_ZERO);
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, false).verdict, QP_PASS); // byte 80 is -128 there
    c = (qp_coverage){.n_elems = 64, .codes = {1, (uint64_t)1 << 63, 0, 0}, .n_zero_blocks = 1}; // 7f: 0/0
    ck_assert_int_eq(judge_coverage(QP_FP8_E4M3, &c, false).reason, QP_WHY_ALL_ZERO);
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, false).verdict, QP_PASS); // 127
    c = (qp_coverage){.n_elems = 64, .codes = {1 | (uint64_t)1 << 0x20, 0, 0, 0}};
    ck_assert_int_eq(judge_coverage(QP_MXFP6_E2M3, &c, false).reason, QP_WHY_ALL_ZERO);
    c = (qp_coverage){.n_elems = 64, .codes = {1 << 7, 0, 0, 0}};
    ck_assert_int_eq(judge_coverage(QP_NF4, &c, false).reason, QP_WHY_ALL_ZERO); // its zero
    ck_assert_int_eq(judge_coverage(QP_NVFP4, &c, false).verdict, QP_PASS);      // one value alone is 6
    c.codes[0] |= 1;
    ck_assert_int_eq(judge_coverage(QP_NF4, &c, false).verdict, QP_PASS); // -1
    c.n_zero_blocks = 1;
    ck_assert_int_eq(judge_coverage(QP_NF4, &c, false).reason, QP_WHY_ALL_ZERO);
    ck_assert_int_eq(judge_coverage(QP_NVFP4, &c, false).reason, QP_WHY_ALL_ZERO);
    c = (qp_coverage){.n_elems = 1 << 20, .codes = {0x7f, 0, 0, 0}}; // 7 of 64, 7 of 16
    ck_assert_int_eq(judge_coverage(QP_MXFP6_E3M2, &c, false).reason, QP_WHY_COVERAGE);
    ck_assert_int_eq(judge_coverage(QP_NF4, &c, false).verdict, QP_PASS);
    c = (qp_coverage){0};
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, true).reason, QP_WHY_NOTHING_JUDGED);
    ck_assert_int_eq(judge_coverage(QP_INT8, &c, true).verdict, QP_SUSPECT);
}
END_TEST

START_TEST(a_refusal_passes_only_when_due_and_expected) {
    static const struct {
        qp_refusal got, want;
        bool expected;
        qp_verdict verdict;
        qp_reason why;
    } rows[] = {
        {QP_REFUSE_NONE, QP_REFUSE_NONE, false, QP_PASS, QP_WHY_OK},
        {QP_REFUSE_UNITS, QP_REFUSE_UNITS, true, QP_PASS, QP_WHY_OK},
        {QP_REFUSE_UNITS, QP_REFUSE_UNITS, false, QP_FAILED, QP_WHY_REFUSED},
        {QP_REFUSE_NONE, QP_REFUSE_UNITS, false, QP_FAILED, QP_WHY_NOT_REFUSED},
        {QP_REFUSE_NONE, QP_REFUSE_UNITS, true, QP_FAILED, QP_WHY_NOT_REFUSED},
        {QP_REFUSE_NONE, QP_REFUSE_NONE, true, QP_FAILED, QP_WHY_NOT_REFUSED},
        {QP_REFUSE_COLS, QP_REFUSE_NONE, false, QP_FAILED, QP_WHY_DIFFERENT},
        {QP_REFUSE_COLS, QP_REFUSE_NONE, true, QP_FAILED, QP_WHY_DIFFERENT},
        {QP_REFUSE_COLS, QP_REFUSE_BLOCK, true, QP_FAILED, QP_WHY_DIFFERENT},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        qp_case_ev ev = {
            .refusal_got = rows[i].got, .refusal_want = rows[i].want, .refuse_expected = rows[i].expected};
        qp_finding f = judge_case("refusal", &ev);
        ck_assert_msg(f.verdict == rows[i].verdict && f.reason == rows[i].why, "row %d: %s", i, f.text);
        ck_assert_int_eq(f.n_judged, 1);
    }
}
END_TEST

START_TEST(an_injected_error_must_come_back_as_itself) {
    qp_case_ev ev = {.injected = QP_OK, .surfaced = QP_OK};
    expect_pass(judge_case("error-surfaced", &ev), 0);
    ev.injected = ev.surfaced = QP_IO;
    expect_pass(judge_case("error-surfaced", &ev), 1);
    ev.surfaced = QP_OK;
    expect_fail(judge_case("error-surfaced", &ev), QP_WHY_SWALLOWED);
    ev.surfaced = QP_TIMEOUT;
    expect_fail(judge_case("error-surfaced", &ev), QP_WHY_DIFFERENT);
}
END_TEST

int main(void) {
    Suite *s = suite_create("checks: whole cases");
    TCase *t = tcase_create("whole");
    tcase_add_test(t, equal_groups_pass);
    tcase_add_test(t, a_missing_group_an_extra_group_and_a_wrong_member_fire);
    tcase_add_test(t, two_groups_of_one_parent_are_told_apart_by_their_members);
    tcase_add_test(t, a_rank_with_another_global_or_a_member_left_behind_fires_group_unity);
    tcase_add_test(t, nan_globals_are_one_class);
    tcase_add_test(t, groups_of_formats_without_a_global_are_judged_by_members_only);
    tcase_add_test(t, ranks_of_a_group_agree_group_by_group);
    tcase_add_test(t, a_missing_collective_another_count_op_or_dtype_and_a_silent_rank_fire);
    tcase_add_test(t, the_fault_of_the_last_of_many_ranks_is_seen);
    tcase_add_test(t, data_that_shows_nothing_is_suspect);
    tcase_add_test(t, a_refusal_passes_only_when_due_and_expected);
    tcase_add_test(t, an_injected_error_must_come_back_as_itself);
    suite_add_tcase(s, t);
    return run_suite(s);
}
