// SPDX-License-Identifier: Apache-2.0
// Findings: all are counted, a bounded number is kept, every rule has its story.
#include "checkpoint/tests/open_files.h"

static opened o;

static void setup(void) {
    files_make(&o);
}

static void teardown(void) {
    files_drop(&o);
}

START_TEST(findings_beyond_the_limit_are_counted_and_not_kept) {
    enum { MORE = QP_CK_KEPT + 7 };
    qp_ck_findings f;
    qp_err err = {0}, *e = &err;
    qp_ck_findings_init(&f, o.arena);
    for (int i = 0; i < MORE; i++)
        ck_assert(qp_ck_found(&f, QP_CK_SCALE_NAN, "x", 1, NULL, e, "%d", i) == QP_OK);
    ck_assert(qp_ck_found(&f, QP_CK_DTYPE, "y\0z", 3, "boom", e, "%1500d", 1) == QP_OK);
    ck_assert_uint_eq(f.counts[QP_CK_SCALE_NAN], MORE);
    ck_assert_uint_eq(f.n, QP_CK_KEPT + 1);
    const qp_ck_finding *last = &f.list[f.n - 1];
    ck_assert_str_eq(last->tensor, "y\\u0000z");
    ck_assert_str_eq(last->effect, "boom");
    ck_assert_uint_eq(strlen(last->detail), 1500);
    ck_assert_str_eq(f.list[0].effect, qp_ck_rules[QP_CK_SCALE_NAN].effect);
}
END_TEST

START_TEST(every_rule_has_its_row_and_its_story) {
    for (int i = 0; i < QP_CK_RULES; i++) {
        const qp_ck_rule_row *r = &qp_ck_rules[i];
        qp_ck_rule named = QP_CK_RULES;
        ck_assert_int_eq((int)r->rule, i);
        ck_assert(qp_ck_rule_named(r->id, &named) && (int)named == i);
        ck_assert_msg(r->says[0] != '\0' && r->effect[0] != '\0', "%s", r->id);
        ck_assert_msg(strlen(r->why) > 40 && r->why[strlen(r->why) - 1] == '.', "%s: %s", r->id, r->why);
    }
    qp_ck_rule none;
    ck_assert(!qp_ck_rule_named("scale-nam", &none));
}
END_TEST

int main(void) {
    Suite *s = suite_create("finding");
    TCase *c = tcase_create("finding");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, findings_beyond_the_limit_are_counted_and_not_kept);
    tcase_add_test(c, every_rule_has_its_row_and_its_story);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed > 0;
}
