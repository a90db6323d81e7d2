// SPDX-License-Identifier: Apache-2.0
// The audit on files that the real packages wrote (cases/checkpoints, made by scripts/checkpoints): sound
// ones have nothing above note, the defects of releases are found where they are, and --against derives the
// codes.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "audit/audit.h"

#include <check.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char root[] = "cases/checkpoints";

// Linears that --against judged over all fixtures when they were made; a preset that falls silent shows here.
enum { JUDGED_FLOOR = 198 };

static json_t *expectations(void) {
    json_error_t at;
    json_t *all = json_load_file("cases/checkpoints/expect.json", 0, &at);
    ck_assert_msg(json_is_object(all), "expect.json:%d: %s", at.line, at.text);
    return all;
}

static bool in_list(const json_t *list, const char *word) {
    const json_t *v;
    size_t i;
    json_array_foreach(list, i, v) if (strcmp(json_string_value(v), word) == 0) return true;
    return false;
}

static bool fits_a_pattern(const json_t *patterns, const char *tensor) {
    const json_t *v;
    size_t i;
    bool fits = false;
    json_array_foreach(patterns, i, v) {
        int code;
        PCRE2_SIZE at;
        pcre2_code *re = pcre2_compile((PCRE2_SPTR)json_string_value(v), PCRE2_ZERO_TERMINATED,
                                       PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at, NULL);
        ck_assert_ptr_nonnull(re);
        pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
        fits |= pcre2_match(re, (PCRE2_SPTR)tensor, strlen(tensor), 0, 0, m, NULL) >= 0;
        pcre2_match_data_free(m);
        pcre2_code_free(re);
    }
    return fits;
}

// Findings above note: only the rules that are due, only where they are due. Returns how many.
static size_t judge_findings(const char *folder, const json_t *want, const qp_audit *u, bool *seen) {
    size_t n = 0;
    for (size_t i = 0; i < u->findings.n; i++) {
        const qp_ck_finding *f = &u->findings.list[i];
        const char *rule = qp_ck_rules[f->rule].id;
        if (qp_ck_rules[f->rule].severity == QP_SEV_NOTE) continue;
        n++;
        seen[f->rule] = true;
        const bool due =
            in_list(json_object_get(want, "rules"), rule) || in_list(json_object_get(want, "may"), rule);
        ck_assert_msg(due, "%s: %s  %s  %s", folder, f->tensor, rule, f->detail);
        ck_assert_msg(fits_a_pattern(json_object_get(want, "tensors"), f->tensor), "%s: %s at %s: %s", folder,
                      rule, f->tensor, f->detail);
    }
    return n;
}

static void judge(const char *folder, const json_t *want, uint64_t *judged) {
    char path[512], original[512];
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    qp_audit u;
    bool seen[QP_CK_RULES] = {false};
    const bool sound = strcmp(json_string_value(json_object_get(want, "expected")), "sound") == 0;
    const char *v;
    size_t i;
    json_t *rule;
    snprintf(path, sizeof path, "%s/%s", root, folder);
    snprintf(original, sizeof original, "%s/%s", root, json_string_value(json_object_get(want, "original")));
    const qp_audit_options o = {.path = path, .against = sound ? original : NULL}; // defects: plain verify
    ck_assert_msg(qp_audit_run(&o, a, &u, &err) == QP_OK, "%s: %s", folder, err.msg);
    const size_t n = judge_findings(folder, want, &u, seen);
    ck_assert_msg(!sound || n == 0, "%s: sound, and %zu findings", folder, n);
    json_array_foreach(json_object_get(want, "rules"), i, rule) {
        qp_ck_rule r;
        v = json_string_value(rule);
        ck_assert_msg(qp_ck_rule_named(v, &r) && seen[r], "%s: %s was not found", folder, v);
    }
    ck_assert_str_eq(qp_ck_dialect_name(qp_ck_claims_dialect(u.claims)),
                     json_string_value(json_object_get(want, "dialect")));
    ck_assert_uint_gt(u.inventory.quantized, 0);
    ck_assert_uint_eq(u.against.unmatched + u.against.mismatched, 0);
    if (sound) ck_assert_uint_eq(u.against.judged + u.against.underivable, u.inventory.quantized);
    *judged += u.against.judged;
    qp_audit_close(&u);
    qp_arena_free(a);
}

START_TEST(what_real_packages_wrote_is_judged_as_expected) {
    json_t *all = expectations(), *want;
    const char *folder;
    uint64_t judged = 0;
    ck_assert_uint_ge(json_object_size(all), 30);
    json_object_foreach(all, folder, want) judge(folder, want, &judged);
    ck_assert_uint_ge(judged, JUDGED_FLOOR);
    printf("%zu checkpoints, %llu linears derived again\n", json_object_size(all),
           (unsigned long long)judged);
    json_decref(all);
}
END_TEST

int main(void) {
    Suite *s = suite_create("real checkpoints");
    TCase *t = tcase_create("real");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, what_real_packages_wrote_is_judged_as_expected);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
