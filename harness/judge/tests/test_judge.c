// SPDX-License-Identifier: Apache-2.0
// Verdicts of cases, the exit code table (one test per row and per pair of neighbours), coverage floors.
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "judge/judge.h"

// ---- a case --------------------

static qp_finding finding(const char *check, qp_verdict v, qp_reason why, int64_t n_judged,
                          const char *text) {
    qp_finding f = {.check = check, .verdict = v, .reason = why, .n_judged = n_judged};
    f.dist[QP_DIST_BINS / 2] = n_judged;
    memcpy(f.text, text, strlen(text) + 1);
    return f;
}

static qp_arena *arena;

static void set_up(void) {
    arena = qp_arena_new();
}

static void tear_down(void) {
    qp_arena_free(arena);
}

static void add(qp_case_result *r, qp_finding f) {
    qp_err err = {0};
    qp_result_add(r, &f, arena, &err);
    ck_assert_int_eq(err.code, QP_OK);
}

START_TEST(the_worst_finding_gives_verdict_reason_and_sentence) {
    qp_case_result r = {0};
    add(&r, finding("a", QP_PASS, QP_WHY_OK, 4, ""));
    ck_assert_int_eq(r.verdict, QP_PASS);
    add(&r, finding("b", QP_SUSPECT, QP_WHY_ALL_ZERO, 1, "all zero"));
    ck_assert_int_eq(r.verdict, QP_SUSPECT);
    add(&r, finding("c", QP_FAILED, QP_WHY_DIFFERENT, 3, "bits differ"));
    add(&r, finding("d", QP_FAILED, QP_WHY_GUARD, 3, "later"));
    add(&r, finding("e", QP_SKIP, QP_WHY_TOO_BIG, 0, "too big"));
    ck_assert_int_eq(r.verdict, QP_FAILED);
    ck_assert_int_eq(r.reason, QP_WHY_DIFFERENT);
    ck_assert_str_eq(r.text, "bits differ");
    ck_assert_int_eq(r.n_findings, 5);
    ck_assert_int_eq(r.elements_judged, 11);
    add(&r, finding("f", QP_VERDICT_BROKEN, QP_WHY_ORACLE, 0, "oracle"));
    ck_assert_int_eq(r.verdict, QP_VERDICT_BROKEN);
}
END_TEST

START_TEST(findings_of_one_check_become_one_and_many_checks_are_kept) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    qp_case_result r = {0};
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < QP_COUNT(names); i++) add(&r, finding(names[i], QP_PASS, QP_WHY_OK, 2, ""));
    ck_assert_int_eq(r.n_findings, QP_COUNT(names));
    for (int i = 0; i < QP_COUNT(names); i++) {
        ck_assert_str_eq(r.findings[i].check, names[i]);
        ck_assert_int_eq(r.findings[i].n_judged, 6);
    }
}
END_TEST

START_TEST(a_case_that_judged_nothing_is_suspect) {
    qp_case_result r = {0};
    add(&r, finding("a", QP_PASS, QP_WHY_OK, 0, ""));
    ck_assert_int_eq(r.n_findings, 0);
    qp_result_close(&r);
    ck_assert_int_eq(r.verdict, QP_SUSPECT);
    ck_assert_int_eq(r.reason, QP_WHY_NOTHING_JUDGED);
    qp_case_result judged = {0};
    add(&judged, finding("a", QP_PASS, QP_WHY_OK, 1, ""));
    qp_result_close(&judged);
    ck_assert_int_eq(judged.verdict, QP_PASS);
    qp_case_result skipped = {.verdict = QP_SKIP};
    qp_result_close(&skipped);
    ck_assert_int_eq(skipped.verdict, QP_SKIP);
}
END_TEST

START_TEST(reasons_mark_crashes_and_refusals) {
    qp_case_result crash = {0}, late = {0}, refused = {0};
    add(&crash, finding("run", QP_FAILED, QP_WHY_CRASH, 1, "x"));
    add(&late, finding("run", QP_FAILED, QP_WHY_TIMEOUT, 1, "x"));
    add(&refused, finding("refusal", QP_FAILED, QP_WHY_REFUSED, 1, "x"));
    ck_assert(crash.crashed && late.crashed && !refused.crashed);
    ck_assert(refused.refused_unexpectedly && !crash.refused_unexpectedly);
}
END_TEST

START_TEST(totals_count_each_case_in_one_place) {
    qp_run_totals t = {0};
    qp_case_result pass = {0}, empty = {0}, skip = {.verdict = QP_SKIP, .reason = QP_WHY_TOO_BIG};
    qp_case_result no_device = {.verdict = QP_SKIP, .reason = QP_WHY_NO_DEVICE, .named_device_skip = true};
    qp_case_result suspect = {.verdict = QP_SUSPECT},
                   fail = {.verdict = QP_FAILED, .reason = QP_WHY_DIFFERENT};
    qp_case_result refused = {.verdict = QP_FAILED, .reason = QP_WHY_REFUSED, .refused_unexpectedly = true};
    qp_case_result crash = {.verdict = QP_FAILED, .reason = QP_WHY_CRASH, .crashed = true};
    qp_case_result broken = {.verdict = QP_VERDICT_BROKEN, .crashed = true};
    add(&pass, finding("a", QP_PASS, QP_WHY_OK, 1, ""));
    const qp_case_result *all[] = {&pass, &empty,   &skip,  &no_device, &suspect,
                                   &fail, &refused, &crash, &broken};
    for (int i = 0; i < QP_COUNT(all); i++) qp_totals_add(&t, all[i]);
    ck_assert_int_eq(t.n_selected, 9);
    ck_assert_int_eq(t.n_pass, 1);
    ck_assert_int_eq(t.n_skip, 2);
    ck_assert_int_eq(t.n_device_skips, 1);
    ck_assert_int_eq(t.n_suspect, 2); // one of them passed without judging anything
    ck_assert_int_eq(t.n_fail, 1);
    ck_assert_int_eq(t.n_refused, 1);
    ck_assert_int_eq(t.n_crashed, 1);
    ck_assert_int_eq(t.n_broken, 1);
}
END_TEST

// ---- exit codes --------------------

// What makes each row match, in the order of the table; every run has one passed case beside it where that
// matters not.
static qp_run_totals matching(int row) {
    qp_run_totals t = {.n_selected = 2, .n_pass = 1};
    switch (row) {
    case 0:
        t.n_broken = 1;
        break;
    case 1:
        t.n_crashed = 1;
        break;
    case 2:
        t.n_fail = 1;
        break;
    case 3:
        t.n_refused = 1;
        break;
    case 4:
        t.n_perf_regressions = 1;
        break;
    case 5:
        t.n_suspect = 1;
        break;
    case 6:
        t.n_skip = t.n_device_skips = 1;
        break;
    case 7:
        t.min_judged = 3;
        break;
    default:
        break;
    }
    return t;
}

static qp_run_totals both(qp_run_totals a, qp_run_totals b) {
    a.n_broken += b.n_broken;
    a.n_crashed += b.n_crashed;
    a.n_fail += b.n_fail;
    a.n_refused += b.n_refused;
    a.n_perf_regressions += b.n_perf_regressions;
    a.n_suspect += b.n_suspect;
    a.n_skip += b.n_skip;
    a.n_device_skips += b.n_device_skips;
    a.min_judged += b.min_judged;
    return a;
}

enum { N_ROWS = 9 };
static const int codes[N_ROWS] = {99, 5, 1, 2, 3, 4, 77, 6, 0};

static void expect_code(qp_run_totals t, int want) {
    const char *name = NULL;
    int got = qp_exit_code(&t, &name);
    ck_assert_msg(got == want, "exit %d (%s), want %d", got, name, want);
    ck_assert_int_eq(qp_exit_code(&t, NULL), want);
}

START_TEST(each_row_of_the_table_has_its_code) {
    expect_code(matching(_i), codes[_i]);
}
END_TEST

START_TEST(of_two_neighbouring_rows_the_first_wins) {
    expect_code(both(matching(_i), matching(_i + 1)), codes[_i]);
}
END_TEST

START_TEST(names_tell_the_rows_apart) {
    static const char *const names[N_ROWS] = {"broken",  "crashed",   "failed",         "usage", "slower",
                                              "suspect", "no-device", "nothing-judged", "green"};
    for (int i = 0; i < N_ROWS; i++) {
        qp_run_totals t = matching(i);
        const char *name;
        qp_exit_code(&t, &name);
        ck_assert_str_eq(name, names[i]);
    }
}
END_TEST

START_TEST(an_unmet_device_is_5_and_a_bad_line_is_2) {
    qp_run_totals t = {.n_selected = 1, .n_pass = 1, .device_unmet = true};
    expect_code(t, 5);
    t = (qp_run_totals){.n_selected = 1, .n_pass = 1, .n_bad_lines = 1};
    expect_code(t, 2);
    t = (qp_run_totals){.n_bad_lines = 1};
    expect_code(t, 2);
    t = (qp_run_totals){.n_selected = 1, .n_skip = 1, .n_device_skips = 1, .device_unmet = true};
    expect_code(t, 5);
}
END_TEST

START_TEST(nothing_selected_or_nothing_judged_is_6_and_other_skips_beside_a_pass_are_green) {
    qp_run_totals t = {0};
    expect_code(t, 6);
    t = (qp_run_totals){.n_selected = 3, .n_skip = 3};
    expect_code(t, 6);
    t = (qp_run_totals){.n_selected = 3, .n_skip = 2, .n_pass = 1};
    expect_code(t, 0);
    t = (qp_run_totals){.n_selected = 3, .n_skip = 2, .n_pass = 1, .min_judged = 1};
    expect_code(t, 0);
    t.min_judged = 2;
    expect_code(t, 6);
}
END_TEST

// ---- coverage floors --------------------

static qp_coverage everything(void) {
    qp_coverage c = {.n_elems = 1,
                     .n_code_ties = 1,
                     .n_scale_ties = 1,
                     .n_saturated = 1,
                     .n_subnormal = 1,
                     .n_zero_blocks = 1,
                     .n_nan = 1,
                     .n_inf = 1};
    memset(c.codes, 0xff, sizeof c.codes);
    memset(c.scale_bytes, 0xff, sizeof c.scale_bytes);
    return c;
}

static const char *missed(qp_format f, qp_coverage c) {
    static char buf[160];
    return qp_floor_missed(f, QP_BF16, &c, buf, sizeof buf);
}

static void expect_missed(qp_format f, qp_coverage c, const char *words) {
    const char *text = missed(f, c);
    ck_assert_msg(text != NULL && strstr(text, words) != NULL, "%s: %s, want %s", qp_format_get(f)->name,
                  text != NULL ? text : "(met)", words);
    ck_assert_msg(strstr(text, qp_format_get(f)->name) != NULL && strstr(text, "bf16") != NULL, "%s", text);
}

START_TEST(a_run_that_reached_everything_meets_every_floor) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++) ck_assert_ptr_null(missed((qp_format)f, everything()));
}
END_TEST

START_TEST(every_code_that_can_be_reached_is_demanded) {
    static const struct {
        qp_format format;
        int absent;
        bool demanded;
    } rows[] = {{QP_INT8, 0x7f, true},       {QP_INT8, 0x81, true},        {QP_INT8, 0x80, true},
                {QP_INT8_AXIS0, 0x00, true}, {QP_FP8_E4M3, 0x7e, true},    {QP_FP8_E4M3, 0xfe, true},
                {QP_FP8_E4M3, 0x80, true},   {QP_FP8_E4M3, 0x7f, false},   {QP_FP8_AXIS0, 0xff, false},
                {QP_NVFP4, 8, true},         {QP_NVFP4_STATIC, 15, true},  {QP_NVFP4, 16, false},
                {QP_INT4_BLOCK, 8, true},    {QP_INT4, 16, false},         {QP_NF4, 0, true},
                {QP_NF4, 15, true},          {QP_MXINT8, 0x80, false},     {QP_MXINT8, 0x81, true},
                {QP_MXFP6_E3M2, 0x20, true}, {QP_MXFP6_E2M3, 0x3f, true},  {QP_MXFP6_E2M3, 0x40, false},
                {QP_MXFP8_E5M2, 0x7b, true}, {QP_MXFP8_E5M2, 0x7c, false}, {QP_MXFP8_E5M2, 0xfb, true},
                {QP_MXFP8_E5M2, 0xfc, false}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        qp_coverage c = everything();
        c.codes[rows[i].absent / 64] &= ~((uint64_t)1 << rows[i].absent % 64);
        if (rows[i].demanded)
            expect_missed(rows[i].format, c, "1 element codes never reached");
        else
            ck_assert_ptr_null(missed(rows[i].format, c));
    }
}
END_TEST

// First and last byte that is demanded; the largest blocks of numerics 4.5, and for E8M0 the amax that a type
// holds: fp16 from 2^-24 (byte 127 - 24 - 2 for a largest code of 6) to 65504.
START_TEST(every_scale_byte_that_can_be_reached_is_demanded) {
    static const struct {
        qp_format format;
        qp_dtype dtype;
        int first, last;
    } rows[] = {
        {QP_NVFP4, QP_BF16, 0x01, 0x7e},    {QP_NVFP4_STATIC, QP_FP16, 0x01, 0x7e},
        {QP_NVFP4_46, QP_BF16, 0x01, 0x78}, {QP_NVFP4_W4A8, QP_FP32, 0x01, 0x69},
        {QP_MXFP4, QP_BF16, 0, 253},        {QP_MXFP4, QP_FP32, 0, 253},
        {QP_MXFP4, QP_FP16, 101, 141},      {QP_MXFP8_E4M3, QP_FP32, 0, 247},
        {QP_MXFP8_E4M3, QP_FP16, 95, 135},  {QP_MXFP8_E5M2, QP_BF16, 0, 240},
        {QP_MXFP8_E5M2, QP_FP16, 88, 128},  {QP_MXFP6_E3M2, QP_FP16, 99, 139},
        {QP_MXFP6_E2M3, QP_BF16, 0, 253},   {QP_MXINT8, QP_FP32, 0, 249},
        {QP_MXINT8, QP_FP16, 97, 137},      {QP_FP8_E4M3, QP_BF16, 1, 0},
        {QP_INT4_BLOCK, QP_BF16, 1, 0},
    };
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (int s = 0; s < 256; s++) {
            char buf[160];
            qp_coverage c = everything();
            c.scale_bytes[s / 64] &= ~((uint64_t)1 << s % 64);
            const char *text = qp_floor_missed(rows[i].format, rows[i].dtype, &c, buf, sizeof buf);
            bool demanded = s >= rows[i].first && s <= rows[i].last;
            ck_assert_msg((text != NULL) == demanded, "%s %s byte %02x: %s",
                          qp_format_get(rows[i].format)->name, qp_dtype_name(rows[i].dtype), s,
                          text != NULL ? text : "met");
            if (text != NULL) ck_assert_ptr_nonnull(strstr(text, "1 scale bytes never reached"));
        }
}
END_TEST

START_TEST(every_event_that_can_happen_is_demanded) {
    qp_coverage c = everything();
    c.n_code_ties = 0;
    expect_missed(QP_INT8, c, "tie between two codes");
    c = everything();
    c.n_scale_ties = 0;
    expect_missed(QP_NVFP4, c, "tie between two block scales");
    expect_missed(QP_MXINT8, c, "tie between two block scales");
    ck_assert_ptr_null(missed(QP_INT4_BLOCK, c));
    ck_assert_ptr_null(missed(QP_INT8, c));
    c = everything();
    c.n_saturated = 0;
    expect_missed(QP_NVFP4, c, "saturation");
    expect_missed(QP_FP8_E4M3, c, "saturation");
    expect_missed(QP_INT8, c, "saturation");
    expect_missed(QP_MXFP4, c, "saturation"); // by Inf
    ck_assert_ptr_null(missed(QP_NF4, c));
    c = everything();
    c.n_subnormal = 0;
    expect_missed(QP_FP8_E4M3, c, "subnormal");
    expect_missed(QP_MXFP8_E5M2, c, "subnormal");
    ck_assert_ptr_null(missed(QP_INT8, c));
    ck_assert_ptr_null(missed(QP_INT4_AWQ, c));
    ck_assert_ptr_null(missed(QP_NF4, c));
    c = everything();
    c.n_zero_blocks = 0;
    expect_missed(QP_INT8_AXIS0, c, "zero block");
    c = everything();
    c.n_nan = 0;
    expect_missed(QP_FP8_AXIS0, c, "NaN");
    c = everything();
    c.n_inf = 0;
    expect_missed(QP_FP8_AXIS0, c, "Inf");
    c = everything();
    c.n_elems = 0;
    expect_missed(QP_FP8_AXIS0, c, "any element");
}
END_TEST

int main(void) {
    Suite *s = suite_create("judge");
    TCase *t = tcase_create("judge");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, the_worst_finding_gives_verdict_reason_and_sentence);
    tcase_add_test(t, findings_of_one_check_become_one_and_many_checks_are_kept);
    tcase_add_test(t, a_case_that_judged_nothing_is_suspect);
    tcase_add_test(t, reasons_mark_crashes_and_refusals);
    tcase_add_test(t, totals_count_each_case_in_one_place);
    tcase_add_loop_test(t, each_row_of_the_table_has_its_code, 0, N_ROWS);
    tcase_add_loop_test(t, of_two_neighbouring_rows_the_first_wins, 0, N_ROWS - 1);
    tcase_add_test(t, names_tell_the_rows_apart);
    tcase_add_test(t, an_unmet_device_is_5_and_a_bad_line_is_2);
    tcase_add_test(t, nothing_selected_or_nothing_judged_is_6_and_other_skips_beside_a_pass_are_green);
    tcase_add_test(t, a_run_that_reached_everything_meets_every_floor);
    tcase_add_test(t, every_code_that_can_be_reached_is_demanded);
    tcase_add_test(t, every_scale_byte_that_can_be_reached_is_demanded);
    tcase_add_test(t, every_event_that_can_happen_is_demanded);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
