// SPDX-License-Identifier: Apache-2.0
// The exit-code table of the architecture page, section 5, on the real program: every row once, and
// neighbouring rows together, where the first that matches wins. Pairs that no command line can bring about
// are asked of the table itself.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/tests/cli.h"
#include "judge/judge.h"

static const char good[] = "quant fmt=int8 shape=8x32";
static const char zeros[] = "quant fmt=int8 shape=8x32 dist=zeros";
static const char bad[] = "quant fmt=int9 shape=8x32";

static cli_run r;

static void setup(void) {
    cli_open(&r, "exit");
}

static void teardown(void) {
    cli_close(&r);
}

static const char *fresh(const char *name) {
    return cli_path(&r, name);
}

static json_t *record(const char *dir) {
    return cli_record(r.arena, dir, false);
}

static bool has_gpu(const char *test) {
    cli(&r, "run", good, "--device", "cuda", "--out", fresh("probe"), NULL);
    if (r.code == 77) return false;
    printf("SKIP %s: this machine has a CUDA device\n", test);
    fflush(stdout);
    return true;
}

// ---- one row at a time ----------------------------------------------------------------------------------

START_TEST(all_judged_and_passed_is_0) {
    const char *dir = fresh("green");
    cli_wants((cli(&r, "run", good, "--out", dir, NULL), &r), 0);
    json_t *rec = record(dir);
    cli_record_wants(rec, 0, "green");
    ck_assert_int_eq(cli_events(rec, "begin"), 1);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "verdict"), "PASS");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "line"), good);
    ck_assert_int_gt(json_integer_value(json_object_get(cli_event(rec, "end", 0), "judged")), 256);
    json_decref(rec);
}
END_TEST

START_TEST(a_flipped_output_bit_is_1) {
    const char *dir = fresh("flip");
    cli_wants((cli(&r, "run", good, "--inject", "flip:3", "--out", dir, NULL), &r), 1);
    cli_says(&r, "row 0 col 3");
    json_t *rec = record(dir);
    cli_record_wants(rec, 1, "failed");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "reason"), "different");
    json_decref(rec);
}
END_TEST

START_TEST(a_wrong_kernel_of_a_plug_in_is_1_and_its_right_one_is_0) {
    const char *plugin = cli_text(r.arena, "%s/plugins/mutants.so:good", cli_build());
    cli_wants((cli(&r, "run", good, "--subject", plugin, "--out", fresh("good"), NULL), &r), 0);
    plugin = cli_text(r.arena, "%s/plugins/mutants.so:int8-half-away", cli_build());
    cli_wants((cli(&r, "run", "quant fmt=int8 shape=64x256 dist=ties", "--subject", plugin, "--out",
                   fresh("wrong"), NULL),
               &r),
              1);
    cli_says(&r, "bits-forward");
}
END_TEST

START_TEST(what_is_no_command_option_or_name_is_2) {
    static const char *const words[][4] = {{"runn", NULL, NULL, NULL},
                                           {"run", "--devic", "cpu", NULL},
                                           {"run", "--suite", "smok", NULL},
                                           {"run", "--timeout", "soon", NULL},
                                           {"run", "--inject", "flop:1", NULL},
                                           {"repro", NULL, NULL, NULL},
                                           {"list", "--suit", "smoke", NULL},
                                           {"report", "no/such/folder", NULL, NULL},
                                           {"doctor", "--onlyy", "x", NULL},
                                           {"eval", "--chek", NULL, NULL},
                                           {"replay", "no/such/file.json", NULL, NULL}};
    static const char *const wants[] = {
        "'run'",   "'--device'", "smoke",          "whole seconds", "flip:ELEMENT",     "case line",
        "--suite", "no/such",    "unknown option", "--chek",        "no/such/file.json"};
    for (int i = 0; i < QP_COUNT(words); i++) {
        cli_wants((cli(&r, words[i][0], words[i][1], words[i][2], NULL), &r), 2);
        cli_says(&r, wants[i]);
    }
    cli_wants((cli(&r, NULL), &r), 2);
    cli_says(&r, "usage: quantproof COMMAND");
}
END_TEST

START_TEST(a_bad_line_is_2_and_the_good_ones_still_run_and_are_recorded) {
    const char *dir = fresh("bad-line");
    cli_wants((cli(&r, "run", bad, good, "quant fmt=int8 shpe=8x32", "--out", dir, NULL), &r), 2);
    cli_says(&r, "command line:11: fmt: wanted one of");
    cli_says(&r, "unknown key 'shpe' of kind quant (nearest: shape)");
    json_t *rec = record(dir);
    cli_record_wants(rec, 2, "usage");
    ck_assert_int_eq(cli_events(rec, "bad-line"), 2);
    ck_assert_str_eq(cli_field(cli_event(rec, "bad-line", 0), "line"), bad);
    ck_assert_int_eq(cli_events(rec, "end"), 1);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "verdict"), "PASS");
    json_decref(rec);
}
END_TEST

START_TEST(a_layout_that_is_refused_unexpectedly_is_2_with_the_numbers) {
    const char *dir = fresh("refused");
    cli_wants((cli(&r, "run", "pipeline model=qwen2.5-7b recipe=fp8 tp=8", good, "--out", dir, NULL), &r), 2);
    cli_says(&r, "q_proj (segment q) has 28 heads or groups, TP 8 does not divide them");
    json_t *rec = record(dir);
    cli_record_wants(rec, 2, "usage");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "reason"), "refused");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 1), "verdict"), "PASS");
    json_decref(rec);
}
END_TEST

START_TEST(an_expected_refusal_is_0_and_an_expected_one_that_does_not_come_is_1) {
    const char *dir = fresh("expected");
    cli_wants(
        (cli(&r, "run", "pipeline model=qwen2.5-7b recipe=fp8 tp=8 expect=refuse", "--out", dir, NULL), &r),
        0);
    json_t *rec = record(dir), *end = cli_event(rec, "end", 0);
    ck_assert_str_eq(cli_field(end, "verdict"), "PASS");
    ck_assert_str_eq(cli_field(json_array_get(json_object_get(end, "findings"), 0), "check"), "refusal");
    ck_assert_ptr_nonnull(strstr(cli_field(end, "notes"), "28 heads"));
    json_decref(rec);
    dir = fresh("not-refused");
    cli_wants((cli(&r, "run", "pipeline model=tiny-moe layers=attn:1 recipe=fp8 tp=2 expect=refuse", "--out",
                   dir, NULL),
               &r),
              1);
    rec = record(dir);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "reason"), "not-refused");
    json_decref(rec);
}
END_TEST

START_TEST(data_that_could_not_have_shown_the_bug_is_4) {
    const char *dir = fresh("zeros");
    cli_wants((cli(&r, "run", zeros, good, "--out", dir, NULL), &r), 4);
    json_t *rec = record(dir);
    cli_record_wants(rec, 4, "suspect");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "reason"), "all-zero");
    json_decref(rec);
}
END_TEST

START_TEST(nothing_selected_is_6) {
    const char *dir = fresh("nothing");
    cli_wants((cli(&r, "run", good, "--match", "no case looks like this", "--out", dir, NULL), &r), 6);
    json_t *rec = record(dir);
    cli_record_wants(rec, 6, "nothing-judged");
    json_decref(rec);
    const char *empty = cli_path(&r, "empty.cases");
    cli_write(empty, "# no case here\n");
    cli_wants((cli(&r, "run", "--cases", empty, "--out", fresh("empty"), NULL), &r), 6);
}
END_TEST

START_TEST(selected_but_known_not_to_be_built_is_6) {
    cli_wants((cli(&r, "run", "ste fmt=nf4", "--out", fresh("later"), NULL), &r), 6);
    cli_says(&r, "not-built");
}
END_TEST

START_TEST(a_named_device_that_is_not_here_is_77) {
    if (has_gpu("a_named_device_that_is_not_here_is_77")) return;
    const char *dir = fresh("no-device");
    cli_wants((cli(&r, "run", good, "--device", "cuda", "--out", dir, NULL), &r), 77);
    json_t *rec = record(dir);
    cli_record_wants(rec, 77, "no-device");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "verdict"), "SKIP");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "reason"), "no-device");
    json_decref(rec);
    cli_wants((cli(&r, "run", good, "--device", "auto", "--out", fresh("auto"), NULL), &r), 0);
    cli_wants((cli(&r, "repro", good, "--device", "cuda", NULL), &r), 77);
}
END_TEST

// Each set that is here gives the same verdict and says its name; one that is not is a device that is not
// here.
START_TEST(every_instruction_set_runs_or_is_a_device_that_is_not_here) {
    static const struct {
        const char *name, *banner;
    } sets[] = {{"base", "device cpu ("}, {"v3", "device cpu (x86-64-v3,"}, {"v4", "device cpu (x86-64-v4,"}};
    for (int i = 0; i < QP_COUNT(sets); i++) {
        cli(&r, "run", good, "--isa", sets[i].name, "--require-device", "--out", fresh(sets[i].name), NULL);
        if (r.code == 0) {
            ck_assert_msg(strncmp(r.out, sets[i].banner, strlen(sets[i].banner)) == 0, "%.200s", r.out);
            ck_assert(i == 0 || strstr(r.out, "baseline") == NULL);
            continue;
        }
        cli_wants(&r, 5);
        ck_assert_ptr_nonnull(strstr(r.out, "this processor lacks"));
        cli_wants((cli(&r, "run", good, "--isa", sets[i].name, "--out", fresh("isa-skip"), NULL), &r), 77);
    }
}
END_TEST

START_TEST(a_required_device_that_is_not_here_is_5) {
    if (has_gpu("a_required_device_that_is_not_here_is_5")) return;
    const char *dir = fresh("required");
    cli_wants((cli(&r, "run", good, "--device", "cuda", "--require-device", "--out", dir, NULL), &r), 5);
    json_t *rec = record(dir);
    cli_record_wants(rec, 5, "crashed");
    json_decref(rec);
    cli_wants((cli(&r, "repro", good, "--device", "cuda", "--require-device", NULL), &r), 5);
    cli_wants((cli(&r, "run", good, "--device", "cpu", "--require-device", "--out", fresh("cpu"), NULL), &r),
              0);
}
END_TEST

// The program without the plug-in that doctor's kernel mutants live in: the harness cannot do its job.
START_TEST(a_broken_harness_is_99) {
    const char *dir = cli_dir(&r, "alone");
    const char *alone = cli_text(r.arena, "%s/quantproof", dir),
               *built = cli_text(r.arena, "%s/quantproof", cli_build());
    ck_assert_msg(link(built, alone) == 0, "cannot link %s to %s", alone, built);
    r.program = alone;
    cli_wants((cli(&r, "doctor", NULL), &r), 99);
    cli_says(&r, "plugins/mutants.so");
    cli_wants((cli(&r, "run", good, "--out", fresh("works"), NULL), &r), 0);
}
END_TEST

// ---- two rows at once: the first wins -------------------------------------------------------------------

static void nap(void) {
    struct timespec t = {0, 20 * 1000 * 1000};
    nanosleep(&t, NULL);
}

static int count_lines_with(const char *dir, const char *word) {
    const char *path = cli_text(r.arena, "%s/record.jsonl", dir);
    int n = 0;
    if (!qp_file_exists(path)) return 0;
    for (char *at = cli_read(r.arena, path); (at = strstr(at, word)) != NULL; at++) n++;
    return n;
}

// A FAIL first, then a crash in the second case: 5, and the record keeps the FAIL and names the case that was
// lost.
START_TEST(a_crash_after_a_fail_is_5_and_the_fail_is_not_lost) {
    const char *dir = fresh("crash"), *big = "quant fmt=nvfp4 shape=4096x4096";
    cli_start(&r, "run", good, big, "--inject", "flip:3", "--out", dir, NULL);
    for (int i = 0; i < 3000 && count_lines_with(dir, "\"begin\"") < 2; i++) nap();
    ck_assert_int_eq(count_lines_with(dir, "\"begin\""), 2);
    ck_assert_int_eq(kill(r.pid, SIGSEGV), 0);
    cli_wait(&r);
    cli_wants(&r, 5);
    cli_says(&r, "crashed in case: quant fmt=nvfp4 shape=4096x4096");
    json_t *rec = record(dir);
    ck_assert_int_eq(cli_events(rec, "end"), 1);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "verdict"), "FAIL");
    json_decref(rec);
    cli_wants((cli(&r, "report", dir, NULL), &r), 0);
    ck_assert_ptr_nonnull(strstr(cli_read(r.arena, cli_text(r.arena, "%s/report.txt", dir)), big));
    ck_assert_ptr_nonnull(strstr(cli_read(r.arena, cli_text(r.arena, "%s/junit.xml", dir)), "lost"));
}
END_TEST

// SIGINT ends the run after the case under way. Not all that was selected was judged, so it is not green.
START_TEST(an_interrupted_run_is_5_though_all_that_ran_passed) {
    const char *dir = fresh("interrupt");
    cli_start(&r, "run", "quant fmt=nvfp4 shape=1024x1024", good, "--out", dir, NULL);
    for (int i = 0; i < 3000 && count_lines_with(dir, "\"begin\"") < 1; i++) nap();
    ck_assert_int_eq(kill(r.pid, SIGINT), 0);
    cli_wait(&r);
    cli_wants(&r, 5);
    json_t *rec = record(dir);
    cli_record_wants(rec, 5, "interrupted");
    ck_assert_int_eq(cli_events(rec, "end"), 1);
    json_decref(rec);
}
END_TEST

START_TEST(a_required_device_comes_before_the_skip_for_want_of_it_and_before_bad_lines) {
    if (has_gpu("a_required_device_comes_before_the_skip_for_want_of_it_and_before_bad_lines")) return;
    cli_wants(
        (cli(&r, "run", good, bad, "--device", "cuda", "--require-device", "--out", fresh("5-2-77"), NULL),
         &r),
        5);
    cli_wants((cli(&r, "run", good, bad, "--device", "cuda", "--out", fresh("2-77"), NULL), &r), 2);
    cli_wants((cli(&r, "run", "--match", "nothing", good, "--device", "cuda", "--out", fresh("6"), NULL), &r),
              6);
}
END_TEST

START_TEST(a_fail_comes_before_bad_lines_refusals_and_suspects) {
    cli_wants((cli(&r, "run", good, bad, "--inject", "flip:3", "--out", fresh("1-2"), NULL), &r), 1);
    cli_wants((cli(&r, "run", good, zeros, "--inject", "flip:3", "--out", fresh("1-4"), NULL), &r), 1);
    cli_wants((cli(&r, "run", good, "pipeline model=tiny-moe recipe=fp8 tp=3", "--inject", "flip:3", "--out",
                   fresh("1-2r"), NULL),
               &r),
              1);
}
END_TEST

START_TEST(a_bad_line_comes_before_suspects_and_before_nothing_judged) {
    cli_wants((cli(&r, "run", bad, zeros, "--out", fresh("2-4"), NULL), &r), 2);
    cli_wants((cli(&r, "run", bad, "--out", fresh("2-6"), NULL), &r), 2);
    cli_wants((cli(&r, "run", "pipeline model=tiny-moe recipe=fp8 tp=3", "--out", fresh("2r-6"), NULL), &r),
              2);
}
END_TEST

// Rows in order; every two of them together, in-process: broken beside crashed, a slower kernel beside
// anything, and the like.
START_TEST(of_any_two_rows_the_first_wins) {
    static const struct {
        int code;
        qp_run_totals t;
    } rows[] = {{99, {.n_broken = 1}},          {5, {.n_crashed = 1}},
                {5, {.device_unmet = true}},    {1, {.n_fail = 1}},
                {2, {.n_bad_lines = 1}},        {2, {.n_refused = 1}},
                {3, {.n_perf_regressions = 1}}, {4, {.n_suspect = 1}},
                {77, {.n_device_skips = 1}},    {6, {.n_pass = 1, .min_judged = 9}}};
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (int k = i; k < QP_COUNT(rows); k++) {
            const qp_run_totals *a = &rows[i].t, *b = &rows[k].t;
            qp_run_totals t = {.n_selected = 4, .n_pass = 1};
            t.n_broken = a->n_broken + b->n_broken;
            t.n_crashed = a->n_crashed + b->n_crashed;
            t.device_unmet = a->device_unmet || b->device_unmet;
            t.n_fail = a->n_fail + b->n_fail;
            t.n_bad_lines = a->n_bad_lines + b->n_bad_lines;
            t.n_refused = a->n_refused + b->n_refused;
            t.n_perf_regressions = a->n_perf_regressions + b->n_perf_regressions;
            t.n_suspect = a->n_suspect + b->n_suspect;
            t.n_device_skips = a->n_device_skips + b->n_device_skips;
            t.min_judged = a->min_judged + b->min_judged;
            ck_assert_msg(qp_exit_code(&t, NULL) == rows[i].code, "rows %d and %d: wanted %d, got %d", i, k,
                          rows[i].code, qp_exit_code(&t, NULL));
        }
}
END_TEST

int main(void) {
    Suite *s = suite_create("exit_codes");
    TCase *t = tcase_create("exit_codes");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, all_judged_and_passed_is_0);
    tcase_add_test(t, a_flipped_output_bit_is_1);
    tcase_add_test(t, a_wrong_kernel_of_a_plug_in_is_1_and_its_right_one_is_0);
    tcase_add_test(t, what_is_no_command_option_or_name_is_2);
    tcase_add_test(t, a_bad_line_is_2_and_the_good_ones_still_run_and_are_recorded);
    tcase_add_test(t, a_layout_that_is_refused_unexpectedly_is_2_with_the_numbers);
    tcase_add_test(t, an_expected_refusal_is_0_and_an_expected_one_that_does_not_come_is_1);
    tcase_add_test(t, data_that_could_not_have_shown_the_bug_is_4);
    tcase_add_test(t, nothing_selected_is_6);
    tcase_add_test(t, selected_but_known_not_to_be_built_is_6);
    tcase_add_test(t, a_named_device_that_is_not_here_is_77);
    tcase_add_test(t, every_instruction_set_runs_or_is_a_device_that_is_not_here);
    tcase_add_test(t, a_required_device_that_is_not_here_is_5);
    tcase_add_test(t, a_broken_harness_is_99);
    tcase_add_test(t, a_crash_after_a_fail_is_5_and_the_fail_is_not_lost);
    tcase_add_test(t, an_interrupted_run_is_5_though_all_that_ran_passed);
    tcase_add_test(t, a_required_device_comes_before_the_skip_for_want_of_it_and_before_bad_lines);
    tcase_add_test(t, a_fail_comes_before_bad_lines_refusals_and_suspects);
    tcase_add_test(t, a_bad_line_comes_before_suspects_and_before_nothing_judged);
    tcase_add_test(t, of_any_two_rows_the_first_wins);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
