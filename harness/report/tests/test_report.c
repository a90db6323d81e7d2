// SPDX-License-Identifier: Apache-2.0
// The record and what is made from it: round trip, torn last line, lost case, corrupt middle, JUnit read
// again by libxml2.
#include <check.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "report/log.h"
#include "report/report.h"

static const char *const settings[][2] = {{"--device", "cpu"}, {"--seed", "7"}};

static void folder(char *dir, size_t n, const char *name) {
    qp_err err = {0};
    const char *build = getenv("QP_BUILD");
    snprintf(dir, n, "%s/tmp/report-%s-%d", build != NULL ? build : "build", name, (int)getpid());
    ck_assert_msg(!qp_file_exists(dir) || qp_dir_remove(dir, &err) == QP_OK, "%s", err.msg);
}

static qp_record *open_record(const char *dir) {
    qp_err err = {0};
    qp_record *r = NULL;
    qp_provenance p = {.version = "1",
                       .commit = "abc",
                       .command_line = "quantproof run",
                       .device = "cpu",
                       .started_utc = "2026",
                       .n_cores = 2,
                       .settings = settings,
                       .n_settings = 2};
    ck_assert_msg(qp_record_open(dir, &p, &r, &err) == QP_OK, "%s", err.msg);
    return r;
}

static qp_finding different(void) {
    qp_finding f = {.check = "bits-forward",
                    .verdict = QP_FAILED,
                    .reason = QP_WHY_DIFFERENT,
                    .n_judged = 100,
                    .n_diff = 1,
                    .max_ulp = 3,
                    .where = "tensor.0 y [3,<5>]",
                    .want = "3f80",
                    .got = "3f81",
                    .text = "1 element differs"};
    f.dist[16] = 99;
    f.dist[17] = 1;
    return f;
}

static void run_case(qp_record *r, const char *line, const char *id, qp_verdict v, const qp_finding *f) {
    static const qp_stage_count stages[] = {{"sync", 10, 0}, {"fakequant", 90, 1}};
    qp_err err = {0};
    qp_case_result c = {.line = line,
                        .id = id,
                        .origin = "smoke.cases:3",
                        .device = "cpu",
                        .subject = "builtin",
                        .verdict = v,
                        .reason = f != NULL ? f->reason : QP_WHY_OK,
                        .text = "a sentence & <another>",
                        .seconds = 0.25,
                        .elements_judged = 100,
                        .peak_bytes = 4096,
                        .rows_fraction = 0.5,
                        .format = QP_NVFP4,
                        .stages = stages,
                        .n_stages = 2,
                        .notes = "dead experts: 3"};
    c.coverage.n_elems = 100;
    c.coverage.codes[3] = 0x8000000000000001u;
    qp_finding copy;
    if (f != NULL) {
        copy = *f;
        c.findings = &copy;
        c.n_findings = 1;
    }
    ck_assert_int_eq(qp_record_begin(r, line, id, &err), QP_OK);
    ck_assert_int_eq(qp_record_end(r, &c, &err), QP_OK);
}

static void append(const char *dir, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/record.jsonl", dir);
    int fd = open(path, O_WRONLY | O_APPEND);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int count_nodes(const char *path, const char *xpath) {
    xmlDocPtr doc = xmlReadFile(path, NULL, 0);
    ck_assert_msg(doc != NULL, "%s is no XML", path);
    xmlXPathContextPtr ctx = xmlXPathNewContext(doc);
    xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)xpath, ctx);
    int n = found != NULL && found->nodesetval != NULL ? found->nodesetval->nodeNr : 0;
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(ctx);
    xmlFreeDoc(doc);
    return n;
}

START_TEST(a_record_read_back_holds_what_was_written) {
    char dir[256];
    qp_err err = {0};
    qp_log log;
    qp_arena *a = qp_arena_new();
    folder(dir, sizeof dir, "back");
    qp_record *r = open_record(dir);
    qp_finding f = different();
    run_case(r, "pipeline model=tiny recipe=fp8 tp=2 ep=4 dp=4", "0123456789ab", QP_FAILED, &f);
    ck_assert_int_eq(qp_record_bad_line(r, "x.cases:9", "quant fmt=nope", "no such format", &err), QP_OK);
    qp_run_totals t = {.n_selected = 1, .n_fail = 1, .n_bad_lines = 1};
    ck_assert_int_eq(qp_record_finish(r, &t, 1, "failed", &err), QP_OK);
    qp_record_close(r);
    ck_assert_msg(qp_log_read(dir, a, &log, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(log.n_cases, 1);
    ck_assert_int_eq(log.n_bad, 1);
    ck_assert_str_eq(log.bad[0].message, "no such format");
    ck_assert(log.finished && !log.torn && log.exit_code == 1);
    ck_assert_str_eq(qp_log_fact(&log, "--seed"), "7");
    ck_assert_str_eq(qp_log_fact(&log, "n_cores"), "2");
    const qp_case_result *c = &log.cases[0];
    ck_assert_int_eq(c->verdict, QP_FAILED);
    ck_assert_int_eq(c->reason, QP_WHY_DIFFERENT);
    ck_assert_int_eq(c->format, QP_NVFP4);
    ck_assert(c->coverage.codes[3] == 0x8000000000000001u);
    ck_assert_int_eq(c->n_stages, 2);
    ck_assert_int_eq(c->stages[1].n_diff, 1);
    ck_assert_int_eq(c->n_findings, 1);
    ck_assert_str_eq(c->findings[0].where, f.where);
    ck_assert_int_eq(c->findings[0].dist[16], 99);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_case_that_never_ended_and_a_torn_last_line_are_kept) {
    char dir[256], path[512];
    qp_err err = {0};
    qp_log log;
    qp_arena *a = qp_arena_new();
    folder(dir, sizeof dir, "torn");
    qp_record *r = open_record(dir);
    run_case(r, "quant fmt=int8", "aaaaaaaaaaaa", QP_PASS, NULL);
    ck_assert_int_eq(qp_record_begin(r, "quant fmt=nvfp4", "bbbbbbbbbbbb", &err), QP_OK);
    qp_record_close(r);
    append(dir, "{\"event\":\"end\",\"id\":\"bbbb");
    ck_assert_msg(qp_log_read(dir, a, &log, &err) == QP_OK, "%s", err.msg);
    ck_assert(log.torn && !log.finished);
    ck_assert_int_eq(log.n_lost, 1);
    ck_assert(log.lost[1] && log.cases[1].crashed);
    ck_assert_msg(qp_report_write(dir, NULL, &err) == QP_OK, "%s", err.msg);
    snprintf(path, sizeof path, "%s/junit.xml", dir);
    ck_assert_int_eq(count_nodes(path, "//testcase"), 2);
    ck_assert_int_eq(count_nodes(path, "//testcase/error[@type='LOST']"), 1);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_broken_line_in_the_middle_is_a_corrupt_record_with_its_line_number) {
    char dir[256];
    qp_err err = {0};
    qp_log log;
    qp_arena *a = qp_arena_new();
    folder(dir, sizeof dir, "corrupt");
    qp_record_close(open_record(dir));
    append(dir, "{\"event\":\"begin\",\n{\"event\":\"finish\"}\n");
    ck_assert_int_eq(qp_log_read(dir, a, &log, &err), QP_CORRUPT);
    ck_assert_msg(strstr(err.msg, "record.jsonl:2") != NULL, "%s", err.msg);
    qp_arena_free(a);
}
END_TEST

START_TEST(a_second_run_never_overwrites_a_record) {
    char dir[256];
    qp_err err = {0};
    folder(dir, sizeof dir, "twice");
    qp_record_close(open_record(dir));
    qp_record *r = NULL;
    qp_provenance p = {.version = "1"};
    ck_assert_int_eq(qp_record_open(dir, &p, &r, &err), QP_IO);
    ck_assert_msg(strstr(err.msg, "record.jsonl") != NULL && strstr(err.msg, "--out") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(junit_has_one_testcase_per_line_and_suspect_is_never_green) {
    char dir[256], path[512];
    qp_err err = {0};
    folder(dir, sizeof dir, "junit");
    qp_record *r = open_record(dir);
    qp_finding f = different(), s = different(), b = different();
    s.verdict = QP_SUSPECT;
    b.verdict = QP_VERDICT_BROKEN;
    run_case(r, "quant fmt=int8", "000000000001", QP_PASS, NULL);
    run_case(r, "quant fmt=mxfp4", "000000000002", QP_SKIP, NULL);
    run_case(r, "quant fmt=nvfp4 dist=zeros", "000000000003", QP_SUSPECT, &s);
    run_case(r, "quant fmt=fp8-e4m3", "000000000004", QP_FAILED, &f);
    run_case(r, "quant fmt=int8-axis0", "000000000005", QP_VERDICT_BROKEN, &b);
    ck_assert_int_eq(qp_record_bad_line(r, "a:1", "quant \x01 fmt=\xff", "bad", &err), QP_OK);
    qp_record_close(r);
    snprintf(path, sizeof path, "%s/other/junit.xml", dir);
    char other[512];
    snprintf(other, sizeof other, "%s/other", dir);
    ck_assert_int_eq(qp_dir_make(other, &err), QP_OK);
    ck_assert_msg(qp_report_write(dir, path, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(count_nodes(path, "//testcase"), 6);
    ck_assert_int_eq(count_nodes(path, "//testcase/failure"), 2);
    ck_assert_int_eq(count_nodes(path, "//testcase/error"), 2);
    ck_assert_int_eq(count_nodes(path, "//testcase/skipped"), 1);
    ck_assert_int_eq(
        count_nodes(path,
                    "//testcase[@name='quant fmt=fp8-e4m3']/failure[@message='a sentence & <another>']"),
        1);
    ck_assert_int_eq(count_nodes(path, "//testsuite[@tests='6'][@failures='2'][@errors='2'][@skipped='1']"),
                     1);
}
END_TEST

START_TEST(the_page_and_the_table_name_the_difference_and_escape_it) {
    char dir[256], path[512];
    char *page, *csv, *text;
    size_t n;
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    folder(dir, sizeof dir, "page");
    qp_record *r = open_record(dir);
    qp_finding f = different();
    run_case(r, "pipeline model=tiny recipe=nvfp4 tp=2 ep=4", "000000000001", QP_FAILED, &f);
    run_case(r, "pipeline model=tiny recipe=nvfp4", "000000000002", QP_PASS, NULL);
    qp_record_close(r);
    ck_assert_msg(qp_report_write(dir, NULL, &err) == QP_OK, "%s", err.msg);
    snprintf(path, sizeof path, "%s/index.html", dir);
    ck_assert_int_eq(qp_file_read(path, a, &page, &n, &err), QP_OK);
    ck_assert_ptr_nonnull(strstr(page, "tensor.0 y [3,&lt;5&gt;]"));
    ck_assert_ptr_null(strchr(page, '@'));
    ck_assert(strstr(page, "<svg") != NULL || strstr(page, "gnuplot is not installed") != NULL);
    snprintf(path, sizeof path, "%s/results.csv", dir);
    ck_assert_int_eq(qp_file_read(path, a, &csv, &n, &err), QP_OK);
    ck_assert_ptr_nonnull(strstr(csv, "\"bits-forward\",\"FAIL\",\"different\",\"100\",\"1\",\"3\""));
    snprintf(path, sizeof path, "%s/report.txt", dir);
    ck_assert_int_eq(qp_file_read(path, a, &text, &n, &err), QP_OK);
    ck_assert_ptr_nonnull(strstr(text, "want   3f80\n      got    3f81\n"));
    ck_assert_ptr_nonnull(strstr(text, "quantproof repro 'pipeline model=tiny recipe=nvfp4 tp=2 ep=4'"));
    qp_arena_free(a);
}
END_TEST

START_TEST(without_gnuplot_the_page_says_so_and_nothing_fails) {
    char dir[256], path[512];
    char *page;
    size_t n;
    qp_err err = {0};
    qp_arena *a = qp_arena_new();
    folder(dir, sizeof dir, "noplot");
    qp_record *r = open_record(dir);
    run_case(r, "quant fmt=int8", "000000000001", QP_PASS, NULL);
    qp_record_close(r);
    ck_assert_int_eq(setenv("PATH", "/nonexistent", 1), 0);
    ck_assert_msg(qp_report_write(dir, NULL, &err) == QP_OK, "%s", err.msg);
    snprintf(path, sizeof path, "%s/index.html", dir);
    ck_assert_int_eq(qp_file_read(path, a, &page, &n, &err), QP_OK);
    ck_assert_ptr_nonnull(strstr(page, "gnuplot is not installed"));
    qp_arena_free(a);
}
END_TEST

START_TEST(the_layout_of_a_line_is_read_from_its_words) {
    char buf[64];
    ck_assert(qp_line_layout("pipeline model=m recipe=r tp=4 etp=2 ep=2 dp=2", buf, sizeof buf));
    ck_assert_str_eq(buf, "tp4 ep2 dp2 etp2");
    ck_assert(qp_line_layout("pipeline model=m recipe=r", buf, sizeof buf));
    ck_assert_str_eq(buf, "tp1 ep1");
    ck_assert(!qp_line_layout("quant fmt=int8", buf, sizeof buf));
}
END_TEST

int main(void) {
    Suite *s = suite_create("report");
    TCase *t = tcase_create("record and reports");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_record_read_back_holds_what_was_written);
    tcase_add_test(t, a_case_that_never_ended_and_a_torn_last_line_are_kept);
    tcase_add_test(t, a_broken_line_in_the_middle_is_a_corrupt_record_with_its_line_number);
    tcase_add_test(t, a_second_run_never_overwrites_a_record);
    tcase_add_test(t, junit_has_one_testcase_per_line_and_suspect_is_never_green);
    tcase_add_test(t, the_page_and_the_table_name_the_difference_and_escape_it);
    tcase_add_test(t, without_gnuplot_the_page_says_so_and_nothing_fails);
    tcase_add_test(t, the_layout_of_a_line_is_read_from_its_words);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failures = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failures != 0;
}
