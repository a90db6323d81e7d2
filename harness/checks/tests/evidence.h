// SPDX-License-Identifier: Apache-2.0
// What every test of checks/ needs: a check by its name, and small evidence.
#ifndef CHECKS_TESTS_EVIDENCE_H
#define CHECKS_TESTS_EVIDENCE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "checks/checks.h"

static inline const qp_check *named(const char *name) {
    for (int i = 0; i < qp_n_checks; i++)
        if (strcmp(qp_checks[i].name, name) == 0) return &qp_checks[i];
    ck_abort_msg("no check is called %s", name);
    return NULL;
}

static inline qp_finding judge_case(const char *name, const qp_case_ev *ev) {
    qp_finding f = named(name)->whole(ev);
    ck_assert_str_eq(f.check, name);
    return f;
}

static inline qp_finding judge_guard(const char *name, const qp_guard_ev *g) {
    qp_finding f = named(name)->guard(g);
    ck_assert_str_eq(f.check, name);
    return f;
}

static inline qp_finding judge_state(const char *name, const qp_compare *c) {
    qp_finding f = named(name)->state(c);
    ck_assert_str_eq(f.check, name);
    return f;
}

static inline void expect_pass(qp_finding f, int64_t n_judged) {
    ck_assert_msg(f.verdict == QP_PASS, "%s: %s %s", f.check, qp_verdict_name(f.verdict), f.text);
    ck_assert_int_eq(f.reason, QP_WHY_OK);
    ck_assert_int_eq(f.n_judged, n_judged);
    ck_assert_int_eq(f.n_diff, 0);
}

static inline void expect_fail(qp_finding f, qp_reason why) {
    ck_assert_msg(f.verdict == QP_FAILED, "%s: %s", f.check, qp_verdict_name(f.verdict));
    ck_assert_msg(f.reason == why, "%s: %s, want %s", f.check, qp_reason_name(f.reason), qp_reason_name(why));
    ck_assert_int_gt(f.n_diff, 0);
    ck_assert_int_gt((int)strlen(f.text), 0);
}

static inline int run_suite(Suite *s) {
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
