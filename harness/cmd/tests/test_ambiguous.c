// SPDX-License-Identifier: Apache-2.0
// Approximate engines in a run: a division that is an ulp off flips exact ties, which engine=triton allows
// and engine=ieee does not; a worse division is red under both; and the note says how many blocks were let
// through.
#include "cmd/tests/cli.h"

static cli_run r;

static void setup(void) {
    cli_open(&r, "ambiguous");
}

static void teardown(void) {
    cli_close(&r);
}

static int code_of(const char *variant, const char *words) {
    static int n = 0;
    const char *plugin = cli_text(r.arena, "%s/plugins/mutants.so:%s", cli_build(), variant);
    const char *line = cli_text(r.arena, "quant fmt=nvfp4 shape=64x1024 %s", words);
    const char *out = cli_text(r.arena, "%s/out%d", r.folder, n++);
    cli(&r, "run", line, "--subject", plugin, "--out", out, "-v", NULL);
    return r.code;
}

START_TEST(a_quotient_an_ulp_off_is_right_under_triton_and_wrong_under_ieee) {
    ck_assert_int_eq(code_of("division-ulp-up", "in=bf16 dist=ties engine=triton"), 0);
    ck_assert_int_eq(code_of("division-ulp-up", "in=bf16 dist=ties engine=ieee"), 1);
    ck_assert_int_eq(code_of("division-ulp-up", "in=fp32 engine=triton"), 0);
}
END_TEST

START_TEST(a_division_of_10_bits_is_wrong_under_both) {
    ck_assert_int_eq(code_of("division-of-10-bits", "in=fp32 engine=triton"), 1);
    cli_says(&r, "bits-forward");
    ck_assert_int_eq(code_of("division-of-10-bits", "in=fp32 engine=ieee"), 1);
}
END_TEST

START_TEST(an_exact_division_needs_no_ambiguity) {
    ck_assert_int_eq(code_of("good", "in=fp32 engine=triton"), 0);
    ck_assert_ptr_null(strstr(r.out, "ambiguity set"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("ambiguous");
    TCase *t = tcase_create("run");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_quotient_an_ulp_off_is_right_under_triton_and_wrong_under_ieee);
    tcase_add_test(t, a_division_of_10_bits_is_wrong_under_both);
    tcase_add_test(t, an_exact_division_needs_no_ambiguity);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
