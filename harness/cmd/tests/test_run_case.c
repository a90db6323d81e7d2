// SPDX-License-Identifier: Apache-2.0
// One case from line to result: kernel cases on both CPU devices, pipeline cases, what is skipped, refused,
// suspect, missing.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/run_case.h"
#include "core/file.h"
#include "pipeline/stages.h"
#include "qp/ref.h"

typedef struct bench {
    qp_arena *arena;
    qp_run_settings s;
    qp_run_env *env;
} bench;

static void open_bench(bench *b, const char *device, const char *inject, const qp_stage_table *stages) {
    qp_err err = {0};
    const char *build = getenv("QP_BUILD");
    *b = (bench){.arena = qp_arena_new()};
    b->s = (qp_run_settings){.data_dir = "cases", .timeout_s = 120, .inject = inject, .stages = stages};
    ck_assert_msg(qp_device_open(device, b->arena, &b->s.device, &err) == QP_OK, "%s", err.msg);
    ck_assert_msg(qp_subject_open("builtin", b->s.device, b->arena, &b->s.subject, &err) == QP_OK, "%s",
                  err.msg);
    ck_assert(qp_arena_printf(b->arena, &b->s.scratch, &err, "%s/tmp/run-case-%d",
                              build != NULL ? build : "build", (int)getpid()) == QP_OK);
    ck_assert_msg(qp_run_env_new(&b->s, &b->env, &err) == QP_OK, "%s", err.msg);
}

static void close_bench(bench *b) {
    qp_run_env_free(b->env);
    qp_subject_close(b->s.subject);
    qp_device_close(b->s.device);
    if (qp_file_exists(b->s.scratch)) ck_assert(qp_dir_remove(b->s.scratch, NULL) == QP_OK);
    qp_arena_free(b->arena);
}

static qp_case_result run(bench *b, const char *line) {
    qp_err err = {0};
    qp_case_list list = {0};
    qp_case_result r;
    ck_assert_msg(qp_case_parse(line, "test", b->arena, &list, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(list.n, 1);
    ck_assert_msg(qp_run_case(b->env, &list.cases[0], b->arena, &r, &err) == QP_OK, "%s: %s", line, err.msg);
    return r;
}

static const qp_finding *finding(const qp_case_result *r, const char *check) {
    for (int i = 0; i < r->n_findings; i++)
        if (strcmp(r->findings[i].check, check) == 0) return &r->findings[i];
    return NULL;
}

static void wants(const qp_case_result *r, qp_verdict v, qp_reason why) {
    ck_assert_msg(r->verdict == v && r->reason == why, "%s: wanted %s (%s), got %s (%s): %s", r->line,
                  qp_verdict_name(v), qp_reason_name(why), qp_verdict_name(r->verdict),
                  qp_reason_name(r->reason), r->text);
}

static const char *const devices[] = {"cpu", "simt"};
// The ops that the reference has for the format, of those that the line's kind runs: each has the check of
// its answer.
static void wants_every_op(const qp_case_result *r, qp_format f, const char *kind) {
    static const struct {
        const char *kinds;
        qp_op op;
        const char *check;
    } rows[] = {{"quant grouped amax", QP_OP_AMAX, "amax-exact"},
                {"quant grouped", QP_OP_FAKEQUANT, "bits-forward"},
                {"quant grouped ste", QP_OP_BACKWARD, "bits-backward"},
                {"quant grouped", QP_OP_QUANT, "pack-bits"},
                {"quant grouped", QP_OP_DEQUANT, "dequant-bits"}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        bool runs = strstr(rows[i].kinds, kind) != NULL && ref_engines(rows[i].op, f) != 0;
        const qp_finding *found = finding(r, rows[i].check);
        ck_assert_msg((found != NULL && found->n_judged > 0) == runs, "%s: %s", r->line, rows[i].check);
    }
}

START_TEST(every_op_of_every_format_on_both_devices_is_judged_and_equal) {
    bench b;
    open_bench(&b, devices[_i], NULL, NULL);
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        static const char *const shapes[][2] = {
            {"quant", "quant fmt=%s shape=17x83 bwd=clip misalign=3"},
            {"grouped", "grouped fmt=%s in=fp16 shape=5x9x33 ragged=1 bwd=clip"},
            {"amax", "amax fmt=%s in=fp32 shape=9x47 edge=nan,inf"},
            {"ste", "ste fmt=%s shape=9x47 edge=amax,amax+ulp"}};
        for (int s = 0; s < QP_COUNT(shapes); s++) {
            char line[256];
            if (strcmp(shapes[s][0], "ste") == 0 && ref_engines(QP_OP_BACKWARD, (qp_format)f) == 0) continue;
            snprintf(line, sizeof line, shapes[s][1], qp_format_get((qp_format)f)->name);
            qp_case_result r = run(&b, line);
            wants(&r, QP_PASS, QP_WHY_OK);
            wants_every_op(&r, (qp_format)f, shapes[s][0]);
            ck_assert_int_gt(r.elements_judged, 0);
            ck_assert_ptr_nonnull(finding(&r, "guard-zones"));
            ck_assert_int_gt(finding(&r, "repeat-identical")->n_judged, 0);
        }
    }
    close_bench(&b);
}
END_TEST

// Answer number 70 of every op in every format and type, on both devices.
START_TEST(one_flipped_bit_is_found_in_every_op_of_every_format) {
    bench b;
    open_bench(&b, devices[_i], "flip:70", NULL);
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        for (int t = QP_BF16; t <= QP_FP32; t++) {
            static const struct {
                qp_op op;
                const char *check;
            } rows[] = {{QP_OP_FAKEQUANT, "bits-forward"},
                        {QP_OP_BACKWARD, "bits-backward"},
                        {QP_OP_QUANT, "pack-bits"},
                        {QP_OP_DEQUANT, "dequant-bits"}};
            char line[256];
            snprintf(line, sizeof line, "quant fmt=%s in=%s shape=8x40", qp_format_get((qp_format)f)->name,
                     qp_dtype_name((qp_dtype)t));
            qp_case_result r = run(&b, line);
            wants(&r, QP_FAILED, QP_WHY_DIFFERENT);
            for (int i = 0; i < QP_COUNT(rows); i++) {
                if (ref_engines(rows[i].op, (qp_format)f) == 0) continue;
                const qp_finding *found = finding(&r, rows[i].check);
                ck_assert_msg(found != NULL && found->n_diff == (_i == 0 ? 1 : 3), "%s: %s: %s", line,
                              rows[i].check, found != NULL ? found->text : "did not run");
                bool place = strstr(found->where, "row 1 col 30") != NULL;
                ck_assert_msg(place, "%s: %s at %s", line, rows[i].check, found->where);
            }
        }
    close_bench(&b);
}
END_TEST

START_TEST(one_flipped_output_bit_is_found_at_its_element) {
    static const struct {
        const char *line, *check, *where;
    } rows[] = {{"quant fmt=int8 shape=8x32", "bits-forward", "kernel tensor.0 y row 2 col 6"},
                {"quant fmt=nvfp4 shape=8x32", "pack-bits", "kernel tensor.0 weight_packed row 2 col 6"},
                {"ste fmt=fp8-axis0 in=fp32 shape=8x32", "bits-backward", "kernel tensor.0 grad row 2 col 6"},
                {"amax fmt=int8-axis0 shape=80x32", "amax-exact", "kernel tensor.0 amax row 70 col 0"},
                {"grouped fmt=int8 shape=3x4x10", "bits-forward", "kernel tensor.1 y row 3 col 0"}};
    bench b;
    open_bench(&b, devices[_i], "flip:70", NULL);
    for (int k = 0; k < QP_COUNT(rows); k++) {
        qp_case_result r = run(&b, rows[k].line);
        wants(&r, QP_FAILED, QP_WHY_DIFFERENT);
        const qp_finding *f = finding(&r, rows[k].check);
        ck_assert_ptr_nonnull(f);
        ck_assert_str_eq(f->where, rows[k].where);
        ck_assert_int_eq(f->n_diff, _i == 0 ? 1 : 3); // simt: three thread orders
    }
    close_bench(&b);
}
END_TEST

START_TEST(a_thread_order_of_the_line_is_the_only_one_that_runs) {
    bench b;
    open_bench(&b, "simt", NULL, NULL);
    qp_case_result three = run(&b, "ste fmt=int8 shape=8x32"),
                   one = run(&b, "ste fmt=int8 shape=8x32 order=9");
    ck_assert_int_eq(finding(&three, "bits-backward")->n_judged, 3 * 8 * 32);
    ck_assert_int_eq(finding(&one, "bits-backward")->n_judged, 8 * 32);
    close_bench(&b);
}
END_TEST

START_TEST(values_of_the_line_are_the_input) {
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    qp_case_result r = run(&b, "quant fmt=int8 hex=3f8f,3f0f,bf81");
    wants(&r, QP_PASS, QP_WHY_OK);
    ck_assert_int_eq(finding(&r, "bits-forward")->n_judged, 3);
    close_bench(&b);
}
END_TEST

START_TEST(all_zero_data_is_suspect_and_with_an_edge_owes_the_floor) {
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        char line[128];
        snprintf(line, sizeof line, "quant fmt=%s shape=8x32 dist=zeros", qp_format_get((qp_format)f)->name);
        qp_case_result zeros = run(&b, line);
        wants(&zeros, QP_SUSPECT, QP_WHY_ALL_ZERO);
        ck_assert_ptr_null(zeros.owes_floor);
    }
    qp_case_result edge = run(&b, "quant fmt=fp8-e4m3 shape=8x32 dist=zeros edge=neg-zero");
    wants(&edge, QP_PASS, QP_WHY_OK);
    ck_assert_str_eq(edge.owes_floor, "all 256 answers of fp8-e4m3 are zero");
    qp_case_result data = run(&b, "quant fmt=fp8-e4m3 shape=8x32 edge=neg-zero");
    ck_assert_ptr_null(data.owes_floor);
    close_bench(&b);
}
END_TEST

START_TEST(the_note_says_which_engine_judged_what) {
    static const struct {
        const char *line, *note;
    } rows[] = {
        {"quant fmt=int8 shape=8x32", "engine ieee: fakequant backward; engine torch-cpu: quant dequant"},
        {"quant fmt=mxfp4 shape=8x32", "engine ieee: fakequant backward quant dequant"},
        {"quant fmt=nf4 shape=8x64", "engine torch-cpu: quant dequant"},
        {"quant fmt=int4 shape=8x32", "engine ieee: fakequant backward"},
        {"quant fmt=mxfp4 shape=8x32 engine=torch-cpu",
         "engine torch-cpu: quant dequant; not run: fakequant: mxfp4 fakequant exists under the engines ieee "
         "mx-ext"},
        {"quant fmt=int8 shape=8x32 engine=ieee",
         "engine ieee: fakequant backward; not run: quant: int8 quant exists under the engines"},
    };
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    for (int i = 0; i < QP_COUNT(rows); i++) {
        qp_case_result r = run(&b, rows[i].line);
        wants(&r, QP_PASS, QP_WHY_OK);
        ck_assert_msg(strncmp(r.notes, rows[i].note, strlen(rows[i].note)) == 0, "%s: %s", rows[i].line,
                      r.notes);
    }
    close_bench(&b);
}
END_TEST

START_TEST(what_cannot_run_is_skipped_with_its_reason) {
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    qp_case_result none = run(&b, "ste fmt=nf4 shape=8x32");
    wants(&none, QP_SKIP, QP_WHY_NOT_BUILT);
    ck_assert_msg(strstr(none.text, "nf4 backward exists under no engine") != NULL, "%s", none.text);
    qp_case_result engine = run(&b, "ste fmt=int8 engine=torch-cpu shape=8x32");
    wants(&engine, QP_SKIP, QP_WHY_NOT_BUILT);
    qp_run_env_free(b.env);
    qp_err err = {0};
    b.s.mem_max = 1 << 20;
    ck_assert(qp_run_env_new(&b.s, &b.env, &err) == QP_OK);
    qp_case_result big = run(&b, "quant fmt=int8 shape=4096x4096");
    wants(&big, QP_SKIP, QP_WHY_TOO_BIG);
    ck_assert_msg(strstr(big.text, "1.0 MiB") != NULL, "%s", big.text);
    qp_case_result small = run(&b, "quant fmt=int8 shape=8x32");
    wants(&small, QP_PASS, QP_WHY_OK);
    close_bench(&b);
}
END_TEST

START_TEST(digests_tell_two_data_apart_and_are_the_same_again) {
    bench b;
    const qp_digest *d;
    int64_t n;
    open_bench(&b, "cpu", NULL, NULL);
    uint64_t sums[3];
    static const char *const lines[] = {"quant fmt=int8 shape=8x32 seed=1",
                                        "quant fmt=int8 shape=8x32 seed=2",
                                        "quant fmt=int8 shape=8x32 seed=1"};
    for (int k = 0; k < 3; k++) {
        (void)run(&b, lines[k]);
        qp_run_digests(b.env, &d, &n);
        ck_assert_int_gt(n, 0);
        sums[k] = 0;
        for (int64_t i = 0; i < n; i++) sums[k] += d[i].sum;
    }
    ck_assert(sums[0] != sums[1]);
    ck_assert(sums[0] == sums[2]);
    close_bench(&b);
}
END_TEST

START_TEST(a_pipeline_case_judges_every_stage_and_equals_one_rank) {
    static const char *const lines[] = {
        "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static",
        "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static tp=2 ep=2",
        "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static tp=2 ep=4 rows=3",
        "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=int8 tp=2"};
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    for (int k = 0; k < QP_COUNT(lines); k++) {
        qp_case_result r = run(&b, lines[k]);
        wants(&r, QP_PASS, QP_WHY_OK);
        const qp_finding *same = finding(&r, "layout-invariance");
        ck_assert_msg(k == 0 ? same == NULL : same != NULL && same->n_judged > 100, "%s", lines[k]);
        ck_assert_int_ge(r.n_stages, (k == 3 ? 7 : 9));
        for (int s = 0; s < r.n_stages; s++) ck_assert_int_gt(r.stages[s].n_judged, 0);
        ck_assert((k == 2) == (r.rows_fraction < 1));
    }
    close_bench(&b);
}
END_TEST

START_TEST(upstreams_policy_is_caught_by_layout_invariance) {
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    qp_case_result r = run(
        &b, "pipeline model=tiny-moe layers=moe:1,attn:1 recipe=nvfp4-static sync=modelopt-0.47 tp=2 ep=2");
    wants(&r, QP_FAILED, QP_WHY_DIFFERENT);
    ck_assert_int_gt(finding(&r, "layout-invariance")->n_diff, 0);
    ck_assert_int_eq(finding(&r, "global-amax")->n_diff, 0);
    close_bench(&b);
}
END_TEST

START_TEST(a_stage_that_shows_nothing_is_missing_state_by_state) {
    qp_stage_table stages = qp_stages_default;
    bench b;
    ck_assert(qp_stage_remove(&stages, "fakequant_forward"));
    open_bench(&b, "cpu", NULL, &stages);
    qp_case_result r = run(&b, "pipeline model=tiny-moe layers=attn:1 recipe=fp8 tp=2");
    const qp_finding *f = finding(&r, "quantizers-complete");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(f->reason, QP_WHY_MISSING);
    ck_assert_msg(strstr(f->where, "fakequant") != NULL && strstr(f->where, " y ") != NULL, "%s", f->where);
    close_bench(&b);
}
END_TEST

START_TEST(a_check_that_is_switched_off_says_nothing) {
    bench b;
    qp_err err = {0};
    open_bench(&b, "cpu", "flip:3", NULL);
    qp_run_env_free(b.env);
    b.s.switched_off = "bits-backward";
    ck_assert(qp_run_env_new(&b.s, &b.env, &err) == QP_OK);
    qp_case_result r = run(&b, "ste fmt=int8 shape=8x32");
    ck_assert_ptr_null(finding(&r, "bits-backward"));
    wants(&r, QP_PASS, QP_WHY_OK); // the guard checks still judge
    close_bench(&b);
}
END_TEST

START_TEST(layouts_are_refused_for_the_reason_of_the_reference) {
    bench b;
    open_bench(&b, "cpu", NULL, NULL);
    qp_case_result r = run(&b, "pipeline model=tiny-dense recipe=nvfp4-static tp=2");
    wants(&r, QP_FAILED, QP_WHY_REFUSED);
    ck_assert(r.refused_unexpectedly);
    ck_assert_msg(strstr(r.text, "30 a rank") != NULL, "%s", r.text);
    qp_case_result expected = run(&b, "pipeline model=tiny-dense recipe=nvfp4-static tp=2 expect=refuse");
    wants(&expected, QP_PASS, QP_WHY_OK);
    qp_case_result possible = run(&b, "pipeline model=tiny-dense recipe=fp8 tp=2 expect=refuse");
    wants(&possible, QP_FAILED, QP_WHY_NOT_REFUSED);
    close_bench(&b);
}
END_TEST

int main(void) {
    Suite *s = suite_create("run_case");
    TCase *t = tcase_create("cases");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, every_op_of_every_format_on_both_devices_is_judged_and_equal, 0,
                        QP_COUNT(devices));
    tcase_add_loop_test(t, one_flipped_bit_is_found_in_every_op_of_every_format, 0, QP_COUNT(devices));
    tcase_add_loop_test(t, one_flipped_output_bit_is_found_at_its_element, 0, QP_COUNT(devices));
    tcase_add_test(t, a_thread_order_of_the_line_is_the_only_one_that_runs);
    tcase_add_test(t, values_of_the_line_are_the_input);
    tcase_add_test(t, all_zero_data_is_suspect_and_with_an_edge_owes_the_floor);
    tcase_add_test(t, the_note_says_which_engine_judged_what);
    tcase_add_test(t, what_cannot_run_is_skipped_with_its_reason);
    tcase_add_test(t, digests_tell_two_data_apart_and_are_the_same_again);
    tcase_add_test(t, a_pipeline_case_judges_every_stage_and_equals_one_rank);
    tcase_add_test(t, upstreams_policy_is_caught_by_layout_invariance);
    tcase_add_test(t, a_stage_that_shows_nothing_is_missing_state_by_state);
    tcase_add_test(t, a_check_that_is_switched_off_says_nothing);
    tcase_add_test(t, layouts_are_refused_for_the_reason_of_the_reference);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failures = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failures != 0;
}
