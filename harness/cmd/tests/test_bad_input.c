// SPDX-License-Identifier: Apache-2.0
// Bad input through the real program: what is wrong is named with its place, the exit code is 2, the other
// cases still run, and the record stays a record. Also a disk that fills up at every place where something is
// written.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "cmd/tests/weights_file.h"

static const char good[] = "quant fmt=int8 shape=8x32";

static cli_run r;

static void setup(void) {
    cli_open(&r, "bad");
}

static void teardown(void) {
    cli_close(&r);
}

// Runs a bad case between two good ones: 2, all said, both good ones passed, the bad one recorded as refused.
static void wants_refused(const char *line, const char *name, const char *says) {
    const char *dir = cli_path(&r, name);
    cli_wants((cli(&r, "run", good, line, "quant fmt=fp8-e4m3 shape=8x32", "--out", dir, NULL), &r), 2);
    cli_says(&r, says);
    json_t *rec = cli_record(r.arena, dir, false);
    cli_record_wants(rec, 2, "usage");
    ck_assert_int_eq(cli_events(rec, "end"), 3);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "verdict"), "PASS");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 1), "verdict"), "FAIL");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 1), "reason"), "refused");
    ck_assert_msg(strstr(cli_field(cli_event(rec, "end", 1), "text"), says) != NULL,
                  "the record does not say '%s'", says);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 2), "verdict"), "PASS");
    json_decref(rec);
}

// ---- lines ----------------------------------------------------------------------------------------------

// cases/bad/case-lines.txt: LINE ==> COLUMN: beginning of the message. All at once, as a file, with good
// lines around them.
START_TEST(every_bad_line_of_a_file_is_named_with_file_line_and_column_and_the_rest_runs) {
    char *list = cli_read(r.arena, "cases/bad/case-lines.txt");
    qp_text file = {.arena = r.arena};
    const char *path = cli_path(&r, "mixed.cases"), *wants[256];
    int n = 0, number = 1;
    ck_assert(qp_text_add(&file, NULL, "%s\n", good) == QP_OK);
    for (char *line = list, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        ck_assert_ptr_nonnull(end);
        *end = '\0';
        char *arrow = strstr(line, " ==> ");
        if (line[0] == '#' || arrow == NULL) continue;
        *arrow = '\0';
        number++;
        ck_assert_int_lt(n, QP_COUNT(wants));
        wants[n++] = cli_text(r.arena, "bad line: %s:%d:%s", path, number, arrow + 5);
        ck_assert(qp_text_add(&file, NULL, "%s\n", line) == QP_OK);
    }
    ck_assert(qp_text_add(&file, NULL, "quant fmt=fp8-e4m3 shape=8x32\n") == QP_OK);
    cli_write(path, file.s);
    const char *dir = cli_path(&r, "mixed");
    cli_wants((cli(&r, "run", "--cases", path, "--out", dir, NULL), &r), 2);
    for (int i = 0; i < n; i++) cli_says(&r, wants[i]); // "FILE:LINE:COLUMN: message"
    json_t *rec = cli_record(r.arena, dir, false);
    ck_assert_int_eq(cli_events(rec, "bad-line"), n);
    ck_assert_int_eq(cli_events(rec, "end"), 2);
    cli_record_wants(rec, 2, "usage");
    json_decref(rec);
    ck_assert_int_ge(n, 50);
    cli_wants((cli(&r, "list", "--cases", path, NULL), &r), 2);
    cli_says(&r, cli_text(r.arena, "2 of 2 cases selected, 0 repeated, %d bad lines", n));
}
END_TEST

START_TEST(unknown_models_recipes_layers_and_suites_are_named_with_what_there_is) {
    wants_refused("pipeline model=tiny-mo recipe=fp8", "model",
                  "unknown model 'tiny-mo', did you mean 'tiny-moe'?");
    wants_refused("pipeline model=tiny-moe recipe=fp9", "recipe",
                  "unknown recipe 'fp9', did you mean 'fp8'?");
    wants_refused("pipeline model=tiny-moe layers=attn:1 recipe=fp8 max_on=member:nope", "member",
                  "max_on=member:nope");
    wants_refused("pipeline model=tiny-moe layers=moe:1 recipe=fp8 max_on=expert:8", "expert",
                  "has 8 experts");
    wants_refused("pipeline model=tiny-moe layers=mo:1 recipe=fp8", "layers",
                  "no layers of kind 'mo', did you mean 'moe'?");
    cli_wants((cli(&r, "run", "--suite", "smoek", NULL), &r), 2);
    cli_says(&r, "unknown suite 'smoek'");
    cli_says(&r, "smoke");
    cli_wants((cli(&r, "run", "--cases", "no/such/file.cases", NULL), &r), 2);
    cli_says(&r, "no/such/file.cases");
}
END_TEST

START_TEST(unknown_devices_subjects_and_bad_patterns_are_named) {
    static const char *const words[][3] = {{"--device", "tpu", "unknown device 'tpu'"},
                                           {"--device", "cuda:x", "cuda:N"},
                                           {"--subject", "no/such.so", "no/such.so"},
                                           {"--subject", "Makefile", "Makefile"},
                                           {"--match", "(", "--match"},
                                           {"--format", "int9", "int9"},
                                           {"--layout", "tp2tp4", "tp2tp4"},
                                           {"--shard", "3/2", "3/2"},
                                           {"--mem-max", "lots", "lots"},
                                           {"--comm", "mpi", "threads"},
                                           {"--color", "blue", "blue"}};
    for (int i = 0; i < QP_COUNT(words); i++) {
        cli_wants((cli(&r, "run", good, words[i][0], words[i][1], "--out", cli_path(&r, "never"), NULL), &r),
                  2);
        cli_says(&r, words[i][2]);
        ck_assert_msg(!qp_file_exists(cli_path(&r, "never/record.jsonl")), "%s %s began a record",
                      words[i][0], words[i][1]);
    }
    const char *plugin = cli_text(r.arena, "%s/plugins/mutants.so:no-such-variant", cli_build());
    cli_wants((cli(&r, "run", good, "--subject", plugin, "--out", cli_path(&r, "never"), NULL), &r), 2);
    cli_says(&r, "no-such-variant");
}
END_TEST

START_TEST(a_record_is_never_overwritten) {
    const char *dir = cli_path(&r, "twice");
    cli_wants((cli(&r, "run", good, "--out", dir, NULL), &r), 0);
    char *before = cli_read(r.arena, cli_text(r.arena, "%s/record.jsonl", dir));
    cli_wants((cli(&r, "run", good, "--out", dir, NULL), &r), 2);
    cli_says(&r, "never overwritten");
    ck_assert_str_eq(cli_read(r.arena, cli_text(r.arena, "%s/record.jsonl", dir)), before);
}
END_TEST

START_TEST(what_stood_in_the_out_folder_before_is_left_alone) {
    const char *dir = cli_dir(&r, "mine"), *file = NULL;
    (void)cli_dir(&r, "mine/scratch");
    file = cli_path(&r, "mine/scratch/notes.txt");
    cli_write(file, "mine");
    cli_wants(
        (cli(&r, "run", good, "pipeline model=tiny-moe layers=attn:1 recipe=fp8", "--out", dir, NULL), &r),
        0);
    ck_assert_msg(qp_file_exists(file), "%s was removed", file);
}
END_TEST

START_TEST(a_report_that_cannot_be_written_hides_no_failure) {
    const char *nowhere = cli_path(&r, "no/such/folder/junit.xml");
    cli_wants((cli(&r, "run", good, "--junit", nowhere, "--out", cli_path(&r, "green"), NULL), &r), 2);
    cli_says(&r, "no/such/folder/junit.xml");
    cli_wants(
        (cli(&r, "run", good, "--inject", "flip:3", "--junit", nowhere, "--out", cli_path(&r, "red"), NULL),
         &r),
        1);
    cli_says(&r, "no/such/folder/junit.xml");
    cli_says(&r, "row 0 col 3");
}
END_TEST

START_TEST(a_dump_that_cannot_be_written_is_refused_with_its_path) {
    const char *file = cli_path(&r, "file");
    cli_write(file, "no folder");
    const char *below = cli_text(r.arena, "%s/dump", file);
    cli_wants(
        (cli(&r, "repro", "pipeline model=tiny-moe layers=attn:1 recipe=fp8", "--dump", below, NULL), &r), 2);
    cli_says(&r, below);
    cli_wants((cli(&r, "repro", good, "--dump", cli_path(&r, "kernel"), NULL), &r), 2);
    cli_says(&r, "--dump");
}
END_TEST

START_TEST(a_mutant_that_does_not_exist_is_named) {
    cli_wants((cli(&r, "doctor", "--only", "no-such-mutant", NULL), &r), 2);
    cli_says(&r, "no-such-mutant");
}
END_TEST

// ---- files that a line names ----------------------------------------------------------------------------

START_TEST(faults_of_a_model_file_name_file_line_and_what_was_wanted) {
    static const char *const faults[][2] = {{"tab", "tab.yaml:17"},
                                            {"unknown-key", "unknown key"},
                                            {"twice-key", "twice-key.yaml:"},
                                            {"alias", "alias.yaml:"},
                                            {"empty", "empty.yaml"},
                                            {"missing-key", "missing-key.yaml"},
                                            {"wrong-count", "wrong-count.yaml"},
                                            {"zero-dimension", "zero-dimension.yaml:"}};
    for (int i = 0; i < QP_COUNT(faults); i++)
        wants_refused(cli_text(r.arena, "pipeline model=cases/bad/models/%s.yaml recipe=fp8", faults[i][0]),
                      faults[i][0], faults[i][1]);
    wants_refused("pipeline model=no/such.yaml recipe=fp8", "absent", "no/such.yaml");
}
END_TEST

START_TEST(faults_of_a_recipe_file_name_file_line_and_what_was_wanted) {
    static const char *const faults[][2] = {
        {"unknown-key", "unknown-key.yaml:5: quantizers[0]: unknown key 'enabled', did you mean 'enable'?"},
        {"patterns-bad-regex", "patterns-bad-regex.yaml:"},
        {"unknown-format", "unknown-format.yaml:"},
        {"no-quantizers", "no-quantizers.yaml"}};
    for (int i = 0; i < QP_COUNT(faults); i++)
        wants_refused(
            cli_text(r.arena, "pipeline model=tiny-dense recipe=cases/bad/recipes/%s.yaml", faults[i][0]),
            faults[i][0], faults[i][1]);
}
END_TEST

START_TEST(impossible_layouts_are_refused_with_the_numbers) {
    wants_refused("pipeline model=tiny-moe recipe=fp8 tp=3", "tp3",
                  "has 8 heads or groups, TP 3 does not divide them");
    wants_refused("pipeline model=tiny-moe recipe=fp8 ep=3", "ep3",
                  "is one of 8 experts, EP 3 does not divide them");
    wants_refused("pipeline model=tiny-moe recipe=fp8 pp=9", "pp9",
                  "has 3 layers, fewer than 9 pipeline stages");
    wants_refused("pipeline model=tiny-moe recipe=fp8 tp=2 etp=4", "etp4",
                  "2 ranks (dp*cp*tp) are no multiple of 4 (etp*ep)");
    wants_refused("pipeline model=nemotron-3-nano-30b-a3b layers=moe:1 recipe=nvfp4-static tp=8", "nano",
                  "232 a rank under expert TP 8");
    wants_refused("pipeline model=tiny-moe layers=attn:1 recipe=fp8 load=tp3", "load", "TP 3");
}
END_TEST

START_TEST(weights_that_are_missing_or_damaged_are_refused_with_file_and_tensor) {
    weights_file w = weights_make("attn:1", 3, r.arena), v;
    const char *path = cli_path(&r, "w.safetensors");
    const char *line = cli_text(r.arena, "pipeline model=tiny-moe layers=attn:1 recipe=fp8 weights=%s", path);
    wants_refused(line, "missing", "no such file or folder");
    int q = weights_find(&w, "q_proj.weight"), o = weights_find(&w, "o_proj.weight");
    ck_assert(q >= 0 && o >= 0);
    v = w;
    v.t[q].dims[0] /= 2;
    v.t[q].dims[1] *= 2;
    weights_write(&v, path);
    wants_refused(line, "shape",
                  "self_attn.q_proj.weight: shape [384, 48] wanted for model.layers.2.self_attn.q_proj, got");
    v = w;
    v.t[o] = v.t[--v.n];
    weights_write(&v, path);
    wants_refused(line, "lacking", "no tensor model.layers.2.self_attn.o_proj.weight");
    v = w;
    v.t[o].dtype = QP_E4M3;
    v.t[o].dims[1] *= 2;
    weights_write(&v, path);
    wants_refused(line, "dtype", "o_proj");
    weights_write(&w, path);
    ck_assert_int_eq(truncate(path, 20000), 0);
    wants_refused(line, "truncated", path);
    ck_assert_int_eq(truncate(path, 5), 0);
    wants_refused(line, "stub", path);
    cli_write(path, "this is no safetensors file at all, but long enough to have a header");
    wants_refused(line, "text", path);
}
END_TEST

START_TEST(values_from_a_file_that_is_not_there_or_not_hex_are_refused) {
    wants_refused("quant fmt=int8 hex=@no/such.txt", "hex", "no/such.txt");
    const char *path = cli_path(&r, "values.txt");
    cli_write(path, "3f80 3g80\n");
    wants_refused(cli_text(r.arena, "quant fmt=int8 hex=@%s", path), "not-hex", "3g80");
}
END_TEST

// ---- a full disk ----------------------------------------------------------------------------------------

typedef struct full_disk {
    const char *folder; // becomes a file system of its own with few bytes
    const char *options;
    rlim_t file_bytes; // where that cannot be had (no root): the largest file
} full_disk;

// In the child: a mount namespace of its own, so that nothing is left mounted; else a limit on the size of
// files.
static void fill_disk(void *user) {
    const full_disk *d = user;
    signal(SIGXFSZ, SIG_IGN);
    if (d->options != NULL && unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", d->folder, "tmpfs", 0, d->options) == 0)
        return;
    struct rlimit limit = {d->file_bytes, d->file_bytes};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(125);
}

static void says_full(void) {
    bool said = strstr(r.out, "No space left on device") != NULL ||
                strstr(r.err, "No space left on device") != NULL || strstr(r.out, "File too large") != NULL ||
                strstr(r.err, "File too large") != NULL;
    ck_assert_msg(said, "nothing says that the disk is full:\n%s%s", r.out, r.err);
}

START_TEST(a_disk_that_fills_while_a_checkpoint_is_saved_fails_that_case_alone) {
    const char *dir = cli_dir(&r, "save");
    full_disk disk = {cli_dir(&r, "save/scratch"), "size=64k", 32 * 1024};
    r.before = fill_disk;
    r.user = &disk;
    cli(&r, "run", good, "pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static tp=2 ep=2",
        "quant fmt=fp8-e4m3 shape=8x32", "--out", dir, "-q", NULL);
    cli_wants(&r, 2);
    says_full();
    cli_says(&r, ".safetensors");
    json_t *rec = cli_record(r.arena, dir, false);
    cli_record_wants(rec, 2, "usage");
    ck_assert_int_eq(cli_events(rec, "end"), 3);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 0), "verdict"), "PASS");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 1), "verdict"), "FAIL");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 2), "verdict"), "PASS");
    json_decref(rec);
}
END_TEST

// Not even the folder of the case can be made: also a fault of the place, not of the harness.
START_TEST(a_scratch_folder_that_cannot_be_made_fails_that_case_alone) {
    const char *dir = cli_dir(&r, "no-scratch");
    cli_write(cli_path(&r, "no-scratch/scratch"), "a file stands in the place of the folder\n");
    cli(&r, "run", good, "pipeline model=tiny-moe layers=attn:1 recipe=fp8", "quant fmt=fp8-e4m3 shape=8x32",
        "--out", dir, NULL);
    cli_says(&r, "cannot make the folder");
    json_t *rec = cli_record(r.arena, dir, false);
    ck_assert_int_eq(cli_events(rec, "end"), 3);
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 2), "verdict"), "PASS");
    json_decref(rec);
    cli_wants(&r, 2);
}
END_TEST

// What was written until then stays: whole lines, one torn at most, and report makes its pages of them.
START_TEST(a_record_that_can_grow_no_further_ends_the_run_and_loses_nothing_that_was_written) {
    const char *dir = cli_path(&r, "record");
    full_disk disk = {NULL, NULL, 16 * 1024};
    r.before = fill_disk;
    r.user = &disk;
    cli(&r, "run", "quant fmt=int8 shape=8x32 seed=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "--out", dir,
        NULL);
    cli_wants(&r, 2);
    says_full();
    cli_says(&r, "record.jsonl");
    json_t *rec = cli_record(r.arena, dir, true);
    int ends = cli_events(rec, "end");
    ck_assert_int_ge(ends, 2);
    for (int i = 0; i < ends; i++) ck_assert_str_eq(cli_field(cli_event(rec, "end", i), "verdict"), "PASS");
    ck_assert_ptr_null(cli_event(rec, "finish", 0));
    json_decref(rec);
    r.before = NULL;
    cli_wants((cli(&r, "report", dir, NULL), &r), 0);
    char *text = cli_read(r.arena, cli_text(r.arena, "%s/report.txt", dir));
    ck_assert_ptr_nonnull(strstr(text, "quant fmt=int8 shape=8x32"));
}
END_TEST

// ---- a damaged record -----------------------------------------------------------------------------------

START_TEST(report_reads_a_truncated_record_and_refuses_a_damaged_one) {
    const char *dir = cli_path(&r, "cut"), *path = cli_path(&r, "cut/record.jsonl");
    cli_wants((cli(&r, "run", good, "quant fmt=fp8-e4m3 shape=8x32", "--out", dir, NULL), &r), 0);
    char *text = cli_read(r.arena, path), *second = strstr(text, "\"event\":\"begin\"");
    ck_assert_ptr_nonnull(second);
    second = strstr(second + 1, "\"event\":\"begin\"");
    ck_assert_ptr_nonnull(second);
    char *newline = strchr(second, '\n');
    ck_assert_int_eq(truncate(path, newline + 40 - text), 0); // in the middle of the second case's end
    cli_wants((cli(&r, "report", dir, NULL), &r), 0);
    char *page = cli_read(r.arena, cli_path(&r, "cut/report.txt"));
    ck_assert_ptr_nonnull(strstr(page, "quant fmt=fp8-e4m3 shape=8x32")); // lost, and named
    ck_assert_ptr_nonnull(strstr(cli_read(r.arena, cli_path(&r, "cut/junit.xml")), "lost"));
    second[-1] = '!';
    cli_write(path, text);
    cli_wants((cli(&r, "report", dir, NULL), &r), 2);
    cli_says(&r, "record.jsonl:4");
    cli_write(path, "");
    cli_wants((cli(&r, "report", dir, NULL), &r), 2);
    cli_says(&r, "this is no record");
}
END_TEST

int main(void) {
    Suite *s = suite_create("bad_input");
    TCase *t = tcase_create("bad_input");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_bad_line_of_a_file_is_named_with_file_line_and_column_and_the_rest_runs);
    tcase_add_test(t, unknown_models_recipes_layers_and_suites_are_named_with_what_there_is);
    tcase_add_test(t, unknown_devices_subjects_and_bad_patterns_are_named);
    tcase_add_test(t, a_record_is_never_overwritten);
    tcase_add_test(t, what_stood_in_the_out_folder_before_is_left_alone);
    tcase_add_test(t, a_report_that_cannot_be_written_hides_no_failure);
    tcase_add_test(t, a_dump_that_cannot_be_written_is_refused_with_its_path);
    tcase_add_test(t, a_mutant_that_does_not_exist_is_named);
    tcase_add_test(t, faults_of_a_model_file_name_file_line_and_what_was_wanted);
    tcase_add_test(t, faults_of_a_recipe_file_name_file_line_and_what_was_wanted);
    tcase_add_test(t, impossible_layouts_are_refused_with_the_numbers);
    tcase_add_test(t, weights_that_are_missing_or_damaged_are_refused_with_file_and_tensor);
    tcase_add_test(t, values_from_a_file_that_is_not_there_or_not_hex_are_refused);
    tcase_add_test(t, a_disk_that_fills_while_a_checkpoint_is_saved_fails_that_case_alone);
    tcase_add_test(t, a_scratch_folder_that_cannot_be_made_fails_that_case_alone);
    tcase_add_test(t, a_record_that_can_grow_no_further_ends_the_run_and_loses_nothing_that_was_written);
    tcase_add_test(t, report_reads_a_truncated_record_and_refuses_a_damaged_one);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
