// SPDX-License-Identifier: Apache-2.0
// Decision coverage of whole runs: the suites hold every format in every type in the promised numbers, a
// missed floor is SUSPECT, and edge= exempts a case only where the run meets the floor without it.
#include "cmd/tests/cli.h"
#include "plan/case.h"
#include "qp/format.h"

static cli_run r;

static void setup(void) {
    cli_open(&r, "coverage");
}

static void teardown(void) {
    cli_close(&r);
}

// ---- what the suites hold -------------------------------------------------------------------------------

static bool is(const qp_case *c, const char *key, const char *word) {
    return strcmp(qp_case_text(c, key), word) == 0;
}

static int64_t elements_of(const qp_case *c) {
    int64_t dims[3], n = 1;
    int n_dims = 0;
    if (!qp_case_shape(c, "shape", dims, &n_dims) || qp_case_given(c, "hex")) return 0;
    for (int i = 0; i < n_dims; i++) n *= dims[i];
    return n;
}

typedef struct held { // of one format and type
    int64_t elements; // of cases of one tensor
    bool bits, ties, grouped;
} held;

static void hold(const qp_case *c, held *h) {
    if (strcmp(c->kind->name, "grouped") == 0) h->grouped = true;
    if (strcmp(c->kind->name, "quant") != 0) return;
    h->elements += elements_of(c);
    h->bits = h->bits || is(c, "dist", "bits");
    h->ties = h->ties || (is(c, "dist", "ties") && strstr(qp_case_text(c, "edge"), "nan,inf,max") != NULL);
}

static void wants_all(const char *suite, int64_t least) {
    qp_case_list list = {0};
    qp_bad_line *bad;
    int n_bad;
    qp_err err = {0};
    static const char *const types[] = {"bf16", "fp16", "fp32"};
    ck_assert_msg(qp_case_file(suite, r.arena, &list, &bad, &n_bad, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(n_bad, 0);
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        for (int t = 0; t < QP_COUNT(types); t++) {
            held h = {0};
            const char *name = qp_format_get((qp_format)f)->name;
            for (int i = 0; i < list.n; i++) {
                const qp_case *c = &list.cases[i];
                if (strcmp(c->kind->name, "pipeline") == 0 || !is(c, "fmt", name) || !is(c, "in", types[t]))
                    continue;
                hold(c, &h);
            }
            ck_assert_msg(h.bits && h.ties && h.grouped, "%s: %s %s: bits %d ties %d grouped %d", suite, name,
                          types[t], h.bits, h.ties, h.grouped);
            ck_assert_msg(h.elements >= least, "%s: %s %s: %lld elements", suite, name, types[t],
                          (long long)h.elements);
        }
}

START_TEST(every_format_stands_in_the_suites_in_every_type) {
    wants_all("cases/suites/smoke.cases", 100000);
    wants_all("cases/suites/premerge.cases", 1000000);
}
END_TEST

// ---- floors of a run ------------------------------------------------------------------------------------

static void enter(void *folder) {
    if (chdir(folder) != 0) _exit(125);
}

// A folder with a smoke suite of its own; the run works there.
static const char *suite_of(const char *name, const char *text) {
    const char *dir = cli_dir(&r, name), *build = cli_build();
    char here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert(qp_dir_make(cli_text(r.arena, "%s/cases/models", dir), NULL) == QP_OK);
    ck_assert(qp_dir_make(cli_text(r.arena, "%s/cases/suites", dir), NULL) == QP_OK);
    cli_write(cli_text(r.arena, "%s/cases/suites/smoke.cases", dir), text);
    r.before = enter;
    r.user = (void *)(uintptr_t)dir;
    r.program = build[0] == '/' ? cli_text(r.arena, "%s/quantproof", build)
                                : cli_text(r.arena, "%s/%s/quantproof", here, build);
    return dir;
}

#define BITS "quant fmt=int8 in=bf16 shape=96x520 dist=bits\n"
#define TIES "quant fmt=int8 in=bf16 shape=128x512 dist=ties edge=zero-block,subnormal,neg-zero,nan,inf,max\n"
#define ZEROS "quant fmt=int8 in=bf16 shape=8x32 dist=zeros edge=neg-zero\n"

START_TEST(a_suite_that_misses_the_floor_of_a_format_is_suspect_and_4) {
    const char *dir = suite_of("missed", TIES);
    cli_wants((cli(&r, "run", "--suite", "smoke", "--device", "cpu", "--out", "out", NULL), &r), 4);
    cli_says(&r, "int8 bf16: never reached a zero block"); // of a tensor: the zeros are what makes one
    json_t *rec = cli_record(r.arena, cli_text(r.arena, "%s/out", dir), false);
    cli_record_wants(rec, 4, "suspect");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 1), "id"), "run");
    ck_assert_str_eq(cli_field(cli_event(rec, "end", 1), "reason"), "coverage");
    json_decref(rec);
}
END_TEST

START_TEST(a_suite_that_meets_them_is_green_with_a_case_of_zeros_that_has_an_edge) {
    suite_of("met", BITS TIES ZEROS);
    cli_wants((cli(&r, "run", "--suite", "smoke", "--device", "cpu", "--out", "out", NULL), &r), 0);
}
END_TEST

START_TEST(zeros_with_an_edge_are_suspect_alone_and_where_the_run_misses_the_floor) {
    static const char line[] = "quant fmt=int8 in=bf16 shape=8x32 dist=zeros edge=neg-zero";
    cli_wants((cli(&r, "run", line, "--device", "cpu", "--out", cli_path(&r, "alone"), NULL), &r), 4);
    cli_says(&r,
             "all 256 answers of int8 are zero, and edge= is no exemption where the run misses the floor");
    cli_wants((cli(&r, "run", line, "quant fmt=int8 shape=8x32", "--device", "cpu", "--out",
                   cli_path(&r, "beside"), NULL),
               &r),
              4);
    cli_wants((cli(&r, "repro", line, "--device", "cpu", NULL), &r), 4);
    cli_wants((cli(&r, "run", "quant fmt=int8 shape=8x32 edge=nan", "--device", "cpu", "--out",
                   cli_path(&r, "edge"), NULL),
               &r),
              0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("coverage");
    TCase *t = tcase_create("coverage");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_format_stands_in_the_suites_in_every_type);
    tcase_add_test(t, a_suite_that_misses_the_floor_of_a_format_is_suspect_and_4);
    tcase_add_test(t, a_suite_that_meets_them_is_green_with_a_case_of_zeros_that_has_an_edge);
    tcase_add_test(t, zeros_with_an_edge_are_suspect_alone_and_where_the_run_misses_the_floor);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
