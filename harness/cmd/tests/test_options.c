// SPDX-License-Identifier: Apache-2.0
// Options of run and repro: what is taken, what is refused and how.
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "cmd/options.h"

static qp_arena *arena;
static qp_cmd_options o;
static qp_err err;

static qp_status parse(bool repro, int n, const char *const *words) {
    char *argv[16] = {0};
    static char copies[16][64]; // the options point into them
    for (int i = 0; i < n; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", words[i]);
        argv[i] = copies[i];
    }
    err = (qp_err){0};
    return qp_options_parse(n, argv, repro, arena, &o, &err);
}

#define PARSE(repro, ...)                                                                                    \
    parse(repro, QP_COUNT(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__})

static void setup(void) {
    arena = qp_arena_new();
}

static void teardown(void) {
    qp_arena_free(arena);
}

START_TEST(defaults_are_those_of_the_help) {
    ck_assert_int_eq(PARSE(false, "run"), QP_OK);
    ck_assert_str_eq(o.device, "auto");
    ck_assert_str_eq(o.subject, "builtin");
    ck_assert_int_eq((int)o.timeout_s, 600);
    ck_assert_int_eq((int)o.repeat, 1);
    ck_assert(!o.require_device && o.seed == NULL && o.out == NULL && o.mem_max == 0);
}
END_TEST

START_TEST(values_stand_behind_the_option_or_behind_an_equals_sign) {
    ck_assert_msg(PARSE(false, "run", "--device=simt", "--seed", "7", "--mem-max", "2G", "--require-device",
                        "-q", "--progress=never") == QP_OK,
                  "%s", err.msg);
    ck_assert_str_eq(o.device, "simt");
    ck_assert_str_eq(o.seed, "7");
    ck_assert(o.mem_max == (uint64_t)2 << 30);
    ck_assert(o.require_device && o.verbosity == -1 && o.progress == QP_WHEN_NEVER);
}
END_TEST

START_TEST(selection_options_and_cases_are_taken_beside_them) {
    ck_assert_msg(PARSE(false, "run", "--suite", "smoke", "quant fmt=int8", "--match", "fp8") == QP_OK, "%s",
                  err.msg);
    ck_assert_int_eq(o.select.n_suites, 1);
    ck_assert_int_eq(o.select.n_lines, 1);
    ck_assert_int_eq(o.select.n_match, 1);
}
END_TEST

START_TEST(an_unknown_option_names_the_nearest_one) {
    ck_assert_int_eq(PARSE(false, "run", "--devise", "cpu"), QP_USAGE);
    ck_assert_msg(strstr(err.msg, "--devise") != NULL && strstr(err.msg, "--device") != NULL, "%s", err.msg);
    ck_assert_int_eq(PARSE(false, "run", "--dump", "x"), QP_USAGE);
    ck_assert_int_eq(PARSE(true, "repro", "--dump", "x"), QP_OK);
}
END_TEST

START_TEST(bad_values_are_refused_with_wanted_and_got) {
    static const char *const rows[][2] = {{"--seed", "x"},   {"--timeout", "0"},  {"--mem-max", "12Q"},
                                          {"--repeat", "0"}, {"--color", "pink"}, {"--inject", "flip:-1"},
                                          {"--inject", "3"}, {"--comm", "mpi"},   {"--isa", "v5"}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        ck_assert_int_eq(PARSE(false, "run", rows[i][0], rows[i][1]), QP_USAGE);
        ck_assert_msg(strstr(err.msg, rows[i][0]) != NULL && strstr(err.msg, rows[i][1]) != NULL, "%s",
                      err.msg);
    }
    ck_assert_int_eq(PARSE(false, "run", "--out"), QP_USAGE);
    ck_assert_int_eq(PARSE(false, "run", "--require-device=yes"), QP_USAGE);
}
END_TEST

START_TEST(an_instruction_set_is_one_of_the_cpu) {
    ck_assert_int_eq(PARSE(false, "run", "--isa", "base"), QP_OK);
    ck_assert_str_eq(o.isa, "base");
    ck_assert_int_eq(PARSE(true, "repro", "--isa=v4", "--device", "cpu"), QP_OK);
    static const char *const others[] = {"cuda", "cuda:1", "simt"};
    for (int i = 0; i < QP_COUNT(others); i++) {
        ck_assert_int_eq(PARSE(false, "run", "--isa", "base", "--device", others[i]), QP_USAGE);
        ck_assert_msg(strstr(err.msg, "--isa") != NULL && strstr(err.msg, others[i]) != NULL, "%s", err.msg);
    }
}
END_TEST

START_TEST(every_setting_is_echoed) {
    const char *echo[QP_N_ECHOED][2];
    ck_assert_int_eq(PARSE(false, "run", "--seed", "9"), QP_OK);
    ck_assert_int_eq(qp_options_echo(&o, arena, echo, &err), QP_OK);
    bool seed = false;
    for (int i = 0; i < QP_N_ECHOED; i++) {
        ck_assert(echo[i][0] != NULL && echo[i][1] != NULL);
        seed = seed || (strcmp(echo[i][0], "--seed") == 0 && strcmp(echo[i][1], "9") == 0);
    }
    ck_assert(seed);
}
END_TEST

int main(void) {
    Suite *s = suite_create("options");
    TCase *t = tcase_create("options");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, defaults_are_those_of_the_help);
    tcase_add_test(t, values_stand_behind_the_option_or_behind_an_equals_sign);
    tcase_add_test(t, selection_options_and_cases_are_taken_beside_them);
    tcase_add_test(t, an_unknown_option_names_the_nearest_one);
    tcase_add_test(t, bad_values_are_refused_with_wanted_and_got);
    tcase_add_test(t, an_instruction_set_is_one_of_the_cpu);
    tcase_add_test(t, every_setting_is_echoed);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failures = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failures != 0;
}
