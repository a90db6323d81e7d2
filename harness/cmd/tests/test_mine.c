// SPDX-License-Identifier: Apache-2.0
// Mined sets: those in the repository tell every variant, a smaller one does not; mining again gives the same
// bytes; what is listed as equal is; a set that is gone is SUSPECT.
#include "cli.h"
#include "cmd/hex_data.h"
#include "cmd/mine.h"
#include "qp/ref.h"
#include "variants/variants.h"

static cli_run r;

static void open_run(void) {
    cli_open(&r, "mine");
}

static void close_run(void) {
    cli_close(&r);
}

static bool is_mined(qp_format f) {
    return qp_n_variants(f) > 0 && ref_unsupported(QP_OP_FAKEQUANT, f, QP_ENGINE_IEEE) == NULL;
}

static const char *set_of(qp_format f) {
    return cli_text(r.arena, QP_HARD_FOLDER "%s-bf16.txt", qp_format_get(f)->name);
}

// ---- the sets that are there ----------------------------------------------------------------------------

START_TEST(every_set_tells_every_variant_that_can_be_told) {
    if (!is_mined((qp_format)_i)) return;
    cli(&r, "mine", qp_format_get((qp_format)_i)->name, "--check", set_of((qp_format)_i), NULL);
    cli_wants(&r, 0);
}
END_TEST

START_TEST(every_set_is_in_the_smoke_tier) {
    const char *smoke = cli_read(r.arena, "cases/suites/smoke.cases");
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        if (!is_mined((qp_format)f)) continue;
        const char *name = qp_format_get((qp_format)f)->name;
        const char *line = cli_text(r.arena, "quant fmt=%s in=bf16 hex=@%s", name, set_of((qp_format)f));
        ck_assert_msg(strstr(smoke, line) != NULL, "smoke.cases lacks '%s'", line);
    }
}
END_TEST

START_TEST(a_set_without_one_of_its_tensors_misses_a_variant) {
    static const char *const formats[] = {"int8", "fp8-e4m3", "nvfp4", "mxfp4"};
    for (int f = 0; f < QP_COUNT(formats); f++) {
        char *text = cli_read(r.arena, cli_text(r.arena, QP_HARD_FOLDER "%s-bf16.txt", formats[f]));
        const char *path = cli_path(&r, "smaller.txt");
        char *last = NULL;
        for (char *at = text; (at = strstr(at, "\ntensor ")) != NULL; at++) last = at;
        ck_assert_ptr_nonnull(last);
        last[1] = '\0';
        cli_write(path, text);
        cli(&r, "mine", formats[f], "--check", path, NULL);
        cli_wants(&r, 1);
        cli_says(&r, "not told apart, and not listed as equal");
    }
}
END_TEST

START_TEST(mining_again_gives_the_same_set) {
    static const char *const formats[] = {"int8", "int4-block"};
    for (int f = 0; f < QP_COUNT(formats); f++) {
        const char *path = cli_path(&r, "again.txt");
        cli(&r, "mine", formats[f], "--out", path, NULL);
        cli_wants(&r, 0);
        const char *there = cli_text(r.arena, QP_HARD_FOLDER "%s-bf16.txt", formats[f]);
        ck_assert_str_eq(cli_read(r.arena, path), cli_read(r.arena, there));
    }
}
END_TEST

START_TEST(random_elements_are_counted_until_they_tell_as_much) {
    cli(&r, "mine", "int8", "--check", set_of(QP_INT8), "--random", "8192", NULL);
    cli_wants(&r, 0);
    cli_says(&r, "gauss:0.02: 8192 elements tell");
    cli_says(&r, "gauss:0.02 with every edge: 8192 elements tell");
}
END_TEST

// ---- equal on every input -------------------------------------------------------------------------------

static qp_mine prepared(qp_format f, qp_mine_mask *claimed) {
    qp_mine m = {.format = f, .dtype = QP_BF16, .seed = 1};
    qp_err err = {0};
    ck_assert_msg(qp_mine_prepare(&m, &err) == QP_OK, "%s", err.msg);
    *claimed = (qp_mine_mask){{0}};
    for (int v = 1; v < m.n_variants; v++)
        if (qp_variant_equal(f, QP_BF16, qp_variant_at(f, v)->name) != NULL) qp_mask_set(claimed, v);
    return m;
}

enum { SAMPLE = 2039 }; // a prime: every so-manieth amax; all of them are 'quantproof mine --prove'

START_TEST(no_input_of_a_sample_tells_what_is_listed_as_equal) {
    if (!is_mined((qp_format)_i)) return;
    qp_mine_mask claimed, refuted;
    const qp_mine m = prepared((qp_format)_i, &claimed);
    qp_err err = {0};
    int64_t n;
    ck_assert_msg(qp_mine_prove(&m, claimed, SAMPLE, &n, &refuted, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_gt(n, 100000);
    for (int v = 0; v < m.n_variants; v++)
        ck_assert_msg(!qp_mask_has(&refuted, v), "%s %s", qp_format_get(m.format)->name,
                      qp_variant_at(m.format, v)->name);
}
END_TEST

static int numbered(qp_format f, const char *name) {
    for (int v = 0; v < qp_n_variants(f); v++)
        if (strcmp(qp_variant_at(f, v)->name, name) == 0) return v;
    ck_abort_msg("no variant %s", name);
    return -1;
}

START_TEST(a_wrong_claim_is_refuted) {
    static const struct {
        qp_format format;
        const char *name;
    } wrong[] = {{QP_INT8, "back-by-product"},       {QP_FP8_E4M3, "reciprocal-scale"},
                 {QP_NVFP4, "global-times"},         {QP_NVFP4, "element-by-inverse"},
                 {QP_NVFP4_STATIC, "sc-reciprocal"}, {QP_MXFP4, "amax-ulp-up"}};
    for (int w = 0; w < QP_COUNT(wrong); w++) {
        qp_mine_mask claimed, refuted;
        const qp_mine m = prepared(wrong[w].format, &claimed);
        const int v = numbered(wrong[w].format, wrong[w].name);
        int64_t n;
        claimed = (qp_mine_mask){{0}};
        qp_mask_set(&claimed, v);
        ck_assert(qp_mine_prove(&m, claimed, 151, &n, &refuted, NULL) == QP_OK);
        ck_assert_msg(qp_mask_has(&refuted, v), "%s", wrong[w].name);
    }
}
END_TEST

// ---- cases ------------------------------------------------------------------------------------------------

START_TEST(a_mined_set_that_is_gone_makes_its_case_suspect_not_refused) {
    const char *out = cli_path(&r, "out");
    cli(&r, "run", "quant fmt=int8 in=bf16 hex=@cases/hard/no-such-set.txt", "--out", out, NULL);
    cli_wants(&r, 4);
    cli_says(&r, "mined set missing");
}
END_TEST

static void enter(void *folder) {
    if (chdir(folder) != 0) _exit(125);
}

// A copy of cases/ by links, but one mined set.
static const char *cases_without(const char *missing) {
    const char *folder = cli_dir(&r, "checkout");
    char here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    const char *script =
        cli_text(r.arena,
                 "mkdir -p '%s/cases/hard' && ln -s '%s'/cases/models '%s'/cases/recipes "
                 "'%s'/cases/suites '%s/cases' && ln -s '%s'/cases/hard/* '%s/cases/hard' && "
                 "rm '%s/cases/hard/%s'",
                 folder, here, here, here, folder, here, folder, folder, missing);
    ck_assert_int_eq(system(script), 0);
    return folder;
}

START_TEST(removing_a_mined_set_turns_the_smoke_tier_suspect) {
    char here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    const char *build = cli_build();
    r.program = build[0] == '/' ? cli_text(r.arena, "%s/quantproof", build)
                                : cli_text(r.arena, "%s/%s/quantproof", here, build);
    cli(&r, "run", "--suite", "smoke", "--match", "hex=@cases/hard/int8-", "--device", "cpu", "--out",
        cli_path(&r, "whole"), NULL);
    cli_wants(&r, 0);
    const char *folder = cases_without("int8-bf16.txt");
    r.before = enter;
    r.user = (void *)(uintptr_t)folder;
    cli(&r, "run", "--suite", "smoke", "--match", "hex=@cases/hard/int8-", "--device", "cpu", "--out", "less",
        NULL);
    cli_wants(&r, 4);
    cli_says(&r, "mined set missing");
}
END_TEST

// ---- files of tensors -------------------------------------------------------------------------------------

static void wants_tensors(const char *text, int n, const char *complaint) {
    const char *path = cli_path(&r, "values.txt");
    qp_hex_tensor *t;
    qp_err err = {0};
    int got = 0;
    cli_write(path, text);
    const qp_status s = qp_hex_read(cli_text(r.arena, "@%s", path), QP_BF16, r.arena, &t, &got, &err);
    if (complaint != NULL) {
        ck_assert_msg(s == QP_USAGE && strstr(err.msg, complaint) != NULL, "wanted '%s', got '%s'", complaint,
                      err.msg);
        return;
    }
    ck_assert_msg(s == QP_OK, "%s", err.msg);
    ck_assert_int_eq(got, n);
}

START_TEST(a_file_holds_one_tensor_or_several_with_their_shapes) {
    wants_tensors("# a row\n3f80 3f81,3f82\n", 1, NULL);
    wants_tensors("tensor 1x1 3f80 # one\ntensor 2x2 3f80 3f81\n3f82 3f83\ntensor 1x2\n0000 8000", 3, NULL);
    wants_tensors("tensor 2x2 3f80 3f81 3f82", 0, "wanted 4 values, got 3");
    wants_tensors("tensor 1x1 3f80 3f81 tensor 1x1 3f80", 0, "wanted 1 values, got 2");
    wants_tensors("tensor 3f80", 0, "wanted a shape RxC after 'tensor', got '3f80'");
    wants_tensors("tensor 0x4", 0, "wanted a shape RxC after 'tensor', got '0x4'");
    wants_tensors("tensor", 0, "wanted a shape RxC after 'tensor', got ''");
    wants_tensors("tensor 1x1 3g80", 0, "wanted images of 4 hex digits, got '3g80'");
    wants_tensors("tensor 1x1 3f800000", 0, "wanted images of 4 hex digits, got '3f800000'");
}
END_TEST

START_TEST(a_format_or_type_that_is_not_mined_is_refused) {
    cli(&r, "mine", "int9", NULL);
    cli_wants(&r, 2);
    cli_says(&r, "did you mean 'int8'");
    cli(&r, "mine", NULL);
    cli_wants(&r, 2);
    cli_says(&r, "a format is missing");
    cli(&r, "mine", "nf4", NULL);
    cli_wants(&r, 2);
    cli_says(&r, "nothing to mine");
    cli(&r, "mine", "int8", "--in", "e4m3", NULL);
    cli_wants(&r, 2);
    cli(&r, "mine", "int8", "--seed", "x", NULL);
    cli_wants(&r, 2);
    cli(&r, "mine", "int8", "--in", "fp32", "--prove", NULL);
    cli_wants(&r, 2);
    cli(&r, "mine", "int8", "--check", cli_path(&r, "none.txt"), NULL);
    cli_wants(&r, 2);
}
END_TEST

int main(void) {
    Suite *s = suite_create("mine");
    TCase *c = tcase_create("mine");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, open_run, close_run);
    tcase_add_loop_test(c, every_set_tells_every_variant_that_can_be_told, 0, QP_FORMAT_COUNT);
    tcase_add_test(c, every_set_is_in_the_smoke_tier);
    tcase_add_test(c, a_set_without_one_of_its_tensors_misses_a_variant);
    tcase_add_test(c, mining_again_gives_the_same_set);
    tcase_add_test(c, random_elements_are_counted_until_they_tell_as_much);
    tcase_add_loop_test(c, no_input_of_a_sample_tells_what_is_listed_as_equal, 0, QP_FORMAT_COUNT);
    tcase_add_test(c, a_wrong_claim_is_refuted);
    tcase_add_test(c, a_mined_set_that_is_gone_makes_its_case_suspect_not_refused);
    tcase_add_test(c, removing_a_mined_set_turns_the_smoke_tier_suspect);
    tcase_add_test(c, a_file_holds_one_tensor_or_several_with_their_shapes);
    tcase_add_test(c, a_format_or_type_that_is_not_mined_is_refused);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
