// SPDX-License-Identifier: Apache-2.0
// The table of checks, which states each one wants, guard evidence, and how findings add up.
#include "checks/tests/evidence.h"

static const char *const all_names[] = {"shard-map",
                                        "amax-exact",
                                        "quantizers-complete",
                                        "input-amax",
                                        "group-unity",
                                        "group-members",
                                        "global-amax",
                                        "replica-equal",
                                        "layout-invariance",
                                        "collective-trace",
                                        "bits-forward",
                                        "bits-backward",
                                        "pack-bits",
                                        "pack-fakequant",
                                        "dequant-bits",
                                        "ckpt-same",
                                        "ckpt-other",
                                        "ckpt-back",
                                        "ckpt-keys",
                                        "guard-zones",
                                        "inputs-unchanged",
                                        "output-complete",
                                        "repeat-identical",
                                        "simt-findings",
                                        "coverage-floor",
                                        "refusal",
                                        "error-surfaced",
                                        "law-idempotence",
                                        "law-code-idempotence",
                                        "law-odd-symmetry",
                                        "law-homogeneity",
                                        "law-permutation",
                                        "law-monotonicity",
                                        "law-padding"};

START_TEST(every_check_has_one_row_one_function_and_a_doc_that_says_what_it_proves) {
    ck_assert_int_eq(qp_n_checks, QP_COUNT(all_names));
    for (int i = 0; i < QP_COUNT(all_names); i++) {
        const qp_check *k = named(all_names[i]);
        ck_assert_int_eq((k->state != NULL) + (k->guard != NULL) + (k->whole != NULL) + (k->law != NULL), 1);
        ck_assert_int_gt((int)strlen(k->doc), 40);
        ck_assert_int_eq(k->state != NULL, k->stages[0] != 0);
        ck_assert_int_eq(k->state != NULL, k->fields[0] != 0);
    }
}
END_TEST

START_TEST(every_law_has_a_check_of_its_name) {
    for (int law = 0; law < QP_LAW_COUNT; law++)
        ck_assert_ptr_nonnull((void *)(uintptr_t)named(qp_law_get((qp_law)law)->name)->law);
}
END_TEST

START_TEST(a_check_wants_its_stages_and_fields_and_no_others) {
    ck_assert(qp_check_wants(named("amax-exact"), "sync", "weight_quantizer._amax"));
    ck_assert(!qp_check_wants(named("amax-exact"), "sync", "input_quantizer._amax"));
    ck_assert(!qp_check_wants(named("amax-exact"), "load-same", "weight_quantizer._amax"));
    ck_assert(!qp_check_wants(named("amax-exact"), "syn", "weight_quantizer._amax"));
    ck_assert(qp_check_wants(named("ckpt-back"), "load-back", "anything"));
    ck_assert(!qp_check_wants(named("ckpt-back"), "load-same", "anything"));
    ck_assert(qp_check_wants(named("pack-fakequant"), "pack", QP_FIELD_PACK_CLASSES));
    ck_assert(!qp_check_wants(named("quantizers-complete"), "pack", QP_FIELD_PACK_CLASSES));
    ck_assert(!qp_check_wants(named("guard-zones"), "", ""));
}
END_TEST

START_TEST(every_field_of_every_stage_is_judged_by_bits) {
    static const char *const pairs[][2] = {{"shard", "weight"},
                                           {"calibrate", "weight_quantizer._amax"},
                                           {"calibrate", "input_quantizer._amax"},
                                           {"sync", "weight_quantizer._amax"},
                                           {"sync", "input_quantizer._amax"},
                                           {"promote", "weight_quantizer._global_amax"},
                                           {"fakequant", "y"},
                                           {"fakequant", "grad"},
                                           {"pack", "weight_packed"},
                                           {"pack", "weight_scale"},
                                           {"pack", "weight_scale_2"},
                                           {"pack", "dequant"},
                                           {"load-same", "weight_quantizer._amax"},
                                           {"load-other", "weight_quantizer._global_amax"},
                                           {"load-back", "input_quantizer._amax"},
                                           {"kernel", "y"},
                                           {"kernel", "grad"},
                                           {"kernel", "amax"},
                                           {"kernel", "weight_packed"},
                                           {"kernel", "dequant"}};
    static const uint32_t bits = 0x3f800000, other = 0x3f800001;
    for (int i = 0; i < QP_COUNT(pairs); i++) {
        int fired = 0;
        qp_state st = {.stage = pairs[i][0],
                       .fqn = "m",
                       .field = pairs[i][1],
                       .dtype = QP_FP32,
                       .rows = 1,
                       .cols = 1,
                       .n_rows_held = 1,
                       .data = &other};
        qp_compare c = {.got = &st, .want = &bits};
        for (int k = 0; k < qp_n_checks; k++)
            if (qp_check_wants(&qp_checks[k], pairs[i][0], pairs[i][1]))
                fired += qp_checks[k].state(&c).verdict == QP_FAILED;
        ck_assert_msg(fired == 1, "%s %s: %d checks fire", pairs[i][0], pairs[i][1], fired);
    }
}
END_TEST

START_TEST(guard_evidence_fires_the_check_of_its_kind_alone) {
    static const struct {
        const char *check;
        qp_guard_ev ev;
        qp_reason why;
    } planted[] = {
        {"guard-zones", {.what = "k y", .guard_bytes_hit = 2, .first_hit_offset = -4}, QP_WHY_GUARD},
        {"inputs-unchanged", {.what = "k x", .input_bytes_changed = 1}, QP_WHY_GUARD},
        {"output-complete", {.what = "k y", .unwritten = 3, .first_unwritten = 17}, QP_WHY_GUARD},
        {"repeat-identical", {.what = "k y", .repeat_diff = 1, .first_repeat_diff = 9}, QP_WHY_DIFFERENT},
        {"simt-findings", {.what = "k", .simt_finding = "divergent barrier"}, QP_WHY_GUARD},
    };
    static const qp_guard_ev clean = {.what = "k y"};
    for (int i = 0; i < QP_COUNT(planted); i++) {
        expect_pass(judge_guard(planted[i].check, &clean), 1);
        expect_fail(judge_guard(planted[i].check, &planted[i].ev), planted[i].why);
        for (int j = 0; j < QP_COUNT(planted); j++)
            if (j != i) expect_pass(judge_guard(planted[j].check, &planted[i].ev), 1);
    }
}
END_TEST

START_TEST(merging_adds_counts_and_keeps_the_first_difference_of_the_worst_verdict) {
    qp_finding sum = {0};
    qp_finding pass = {.check = "a", .n_judged = 5, .dist = {[16] = 5}};
    qp_finding suspect = {
        .check = "a", .verdict = QP_SUSPECT, .reason = QP_WHY_ALL_ZERO, .n_judged = 1, .where = "s"};
    qp_finding first = {.check = "a",
                        .verdict = QP_FAILED,
                        .reason = QP_WHY_DIFFERENT,
                        .n_judged = 7,
                        .n_diff = 2,
                        .max_ulp = 1,
                        .dist = {[17] = 2},
                        .where = "first",
                        .want = "1",
                        .got = "2",
                        .text = "t1"};
    qp_finding second = first;
    memcpy(second.where, "second", 7);
    second.max_ulp = 9;
    qp_finding_merge(&sum, &pass);
    qp_finding_merge(&sum, &suspect);
    ck_assert_str_eq(sum.where, "s");
    qp_finding_merge(&sum, &first);
    qp_finding_merge(&sum, &second);
    qp_finding_merge(&sum, &pass);
    ck_assert_int_eq(sum.verdict, QP_FAILED);
    ck_assert_int_eq(sum.reason, QP_WHY_DIFFERENT);
    ck_assert_int_eq(sum.n_judged, 25);
    ck_assert_int_eq(sum.n_diff, 4);
    ck_assert_int_eq(sum.max_ulp, 9);
    ck_assert_int_eq(sum.dist[16], 10);
    ck_assert_int_eq(sum.dist[17], 4);
    ck_assert_str_eq(sum.where, "first");
    ck_assert_str_eq(sum.text, "t1");
}
END_TEST

int main(void) {
    Suite *s = suite_create("checks: table");
    TCase *t = tcase_create("table");
    tcase_add_test(t, every_check_has_one_row_one_function_and_a_doc_that_says_what_it_proves);
    tcase_add_test(t, every_law_has_a_check_of_its_name);
    tcase_add_test(t, a_check_wants_its_stages_and_fields_and_no_others);
    tcase_add_test(t, every_field_of_every_stage_is_judged_by_bits);
    tcase_add_test(t, guard_evidence_fires_the_check_of_its_kind_alone);
    tcase_add_test(t, merging_adds_counts_and_keeps_the_first_difference_of_the_worst_verdict);
    suite_add_tcase(s, t);
    return run_suite(s);
}
