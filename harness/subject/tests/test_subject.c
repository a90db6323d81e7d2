// SPDX-License-Identifier: Apache-2.0
// Opening subjects, what they offer, the buffers of every op, and built-in kernels and plug-ins through the
// same guarded run.
#include "core/file.h"
#include "subject/run.h"

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qp_arena *arena;
static qp_err err;
static qp_device *cpu, *simt;

static void set_up(void) {
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    ck_assert_int_eq(qp_device_open("cpu", arena, &cpu, &err), QP_OK);
    ck_assert_int_eq(qp_device_open("simt", arena, &simt, &err), QP_OK);
}

static void tear_down(void) {
    qp_arena_free(arena);
}

static const char *plugin_path(const char *file) {
    const char *build = getenv("QP_BUILD"), *path = NULL;
    ck_assert_int_eq(
        qp_arena_printf(arena, &path, &err, "%s/plugins/%s", build != NULL ? build : "build", file), QP_OK);
    return path;
}

// ---- buffers
// ---------------------------------------------------------------------------------------------------------

START_TEST(every_op_has_the_buffers_of_the_contract) {
    static const struct {
        qp_op op;
        qp_format format;
        qp_bwd bwd;
        const char *fields; // name:bytes, in the order of the table; rows 3, cols 37, ld 40, bf16
    } rows[] = {
        {QP_OP_AMAX, QP_INT8, 0, "x:234 >amax_out:4 "},
        {QP_OP_AMAX, QP_FP8_AXIS0, 0, "x:234 >amax_out:12 "},
        {QP_OP_AMAX, QP_NVFP4_STATIC, 0, "x:234 >amax_out:36 "},
        {QP_OP_AMAX, QP_NVFP4, 0, "x:234 >amax_out:4 "},
        {QP_OP_FAKEQUANT, QP_INT8, 0, "x:234 amax:4 >y:222 "},
        {QP_OP_FAKEQUANT, QP_INT8_AXIS0, 0, "x:234 amax:12 >y:222 "},
        {QP_OP_FAKEQUANT, QP_NVFP4, 0, "x:234 global_amax:4 >y:222 "},
        {QP_OP_FAKEQUANT, QP_NVFP4_STATIC, 0, "x:234 amax:36 global_amax:4 >y:222 "},
        {QP_OP_BACKWARD, QP_INT8_AXIS0, QP_BWD_CLIP, "x:234 grad:222 amax:12 >y:222 "},
        {QP_OP_BACKWARD, QP_NVFP4_STATIC, QP_BWD_CLIP, "x:234 grad:222 amax:36 >y:222 "},
        {QP_OP_BACKWARD, QP_NVFP4, QP_BWD_CLIP, "x:234 grad:222 global_amax:4 >y:222 "},
        {QP_OP_QUANT, QP_NVFP4, 0, "x:234 global_amax:4 >codes:57 >scales:9 >weight_scale_2:4 "},
        {QP_OP_QUANT, QP_NVFP4_STATIC, 0,
         "x:234 amax:36 global_amax:4 >codes:57 >scales:9 >weight_scale_2:4 "},
        {QP_OP_DEQUANT, QP_NVFP4, 0, "codes:57 scales:9 weight_scale_2:4 >y:222 "},
        // blocks of 128 and of 32 columns, two-dimensional ones, pairs of rows, given scales, NF4
        {QP_OP_AMAX, QP_FP8_BLOCK2D, 0, "x:234 >amax_out:4 "},
        {QP_OP_AMAX, QP_MXFP4, 0, "x:234 >amax_out:24 "},
        {QP_OP_AMAX, QP_NVFP4_W4A8, 0, "x:234 >amax_out:4 "},
        {QP_OP_FAKEQUANT, QP_FP8_BLOCK2D, 0, "x:234 amax:4 >y:222 "},
        {QP_OP_FAKEQUANT, QP_INT4_BLOCK, 0, "x:234 amax:12 >y:222 "},
        {QP_OP_FAKEQUANT, QP_NVFP4_46, 0, "x:234 amax:36 global_amax:4 >y:222 "},
        {QP_OP_FAKEQUANT, QP_MXINT8, 0, "x:234 >y:222 "},
        {QP_OP_BACKWARD, QP_MXFP6_E3M2, QP_BWD_CLIP, "grad:222 >y:222 "},
        {QP_OP_BACKWARD, QP_INT4, QP_BWD_CLIP, "x:234 grad:222 amax:4 >y:222 "},
        {QP_OP_QUANT, QP_INT8, 0, "x:234 amax:4 >codes:111 >scales:2 "},
        {QP_OP_QUANT, QP_FP8_AXIS0, 0, "x:234 amax:12 >codes:111 >scales:6 "},
        {QP_OP_QUANT, QP_INT4_BLOCK, 0, "x:234 amax:12 >codes:57 >scales:6 "},
        {QP_OP_QUANT, QP_INT4_AWQ, 0, "x:234 scale:12 >codes:74 "},
        {QP_OP_QUANT, QP_INT8_EXPORT, 0, "x:234 scale:12 >codes:111 "},
        {QP_OP_QUANT, QP_MXFP4, 0, "x:234 >codes:57 >scales:6 "},
        {QP_OP_QUANT, QP_MXFP6_E2M3, 0, "x:234 >codes:111 >scales:6 "},
        {QP_OP_QUANT, QP_NVFP4_W4A8, 0, "x:234 global_amax:4 >codes:57 >scales:6 >weight_scale_2:4 "},
        {QP_OP_QUANT, QP_NF4, 0,
         "x:234 amax:12 global_amax:4 >codes:57 >scales:6 >scales_i8:3 >weight_scale_2:4 "},
        {QP_OP_DEQUANT, QP_FP8_E4M3, 0, "codes:111 scales:2 >y:222 "},
        {QP_OP_DEQUANT, QP_INT4_AWQ, 0, "scale:12 codes:74 >y:222 "},
        {QP_OP_DEQUANT, QP_MXFP8_E5M2, 0, "codes:111 scales:6 >y:222 "},
        {QP_OP_DEQUANT, QP_NF4, 0, "global_amax:4 codes:57 scales_i8:3 weight_scale_2:4 >y:222 "},
    };
    static _Alignas(16) char memory[16];
    for (int i = 0; i < QP_COUNT(rows); i++) {
        float *f = (float *)memory;
        uint8_t *u = (uint8_t *)memory;
        qp_ktensor t = {3, 37, 40, memory, memory, memory, f, f, f, f, u, u, u, f};
        qp_launch l = {.op = rows[i].op,
                       .format = rows[i].format,
                       .bwd = rows[i].bwd,
                       .dtype = QP_BF16,
                       .n_tensors = 1,
                       .tensors = &t};
        slot slots[MAX_SLOTS];
        int n = 0;
        char got[256] = "";
        ck_assert_msg(slots_of(&l, 0, slots, &n, &err) == QP_OK, "%s", err.msg);
        for (int k = 0; k < n; k++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s:%zu ", slots[k].is_output ? ">" : "",
                     slots[k].field, slots[k].n_bytes);
        ck_assert_str_eq(got, rows[i].fields);
    }
}
END_TEST

START_TEST(an_empty_tensor_has_no_scales_but_the_second_level) {
    static float one;
    qp_ktensor t = {.rows = 0, .cols = 37, .ld = 37, .global_amax = &one, .weight_scale_2 = &one};
    qp_launch l = {.op = QP_OP_QUANT, .dtype = QP_BF16, .n_tensors = 1, .tensors = &t};
    static const struct {
        qp_format format;
        int n;
    } rows[] = {{QP_NVFP4, 2}, {QP_MXFP4, 0}, {QP_INT8_EXPORT, 0}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        slot slots[MAX_SLOTS];
        int n = 0;
        l.format = rows[i].format;
        ck_assert_msg(slots_of(&l, 0, slots, &n, &err) == QP_OK, "%s", err.msg);
        ck_assert_int_eq(n, rows[i].n);
    }
}
END_TEST

START_TEST(a_pass_through_backward_reads_the_gradient_alone) {
    static uint16_t grad[6], y[6];
    qp_ktensor t = {.rows = 2, .cols = 3, .ld = 3, .grad = grad, .y = y};
    qp_launch l = {.op = QP_OP_BACKWARD,
                   .format = QP_INT8,
                   .dtype = QP_BF16,
                   .bwd = QP_BWD_PASS,
                   .n_tensors = 1,
                   .tensors = &t};
    slot slots[MAX_SLOTS];
    int n = 0;
    ck_assert_msg(slots_of(&l, 0, slots, &n, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(slots[0].field, "grad");
    ck_assert_str_eq(slots[1].field, "y");
    t.ld = 2;
    ck_assert_int_eq(slots_of(&l, 0, slots, &n, &err), QP_BROKEN);
}
END_TEST

// ---- opening
// ---------------------------------------------------------------------------------------------------------

START_TEST(builtin_is_known_and_says_what_it_offers) {
    qp_subject *s;
    ck_assert_int_eq(qp_subject_open("builtin", cpu, arena, &s, &err), QP_OK);
    ck_assert_str_eq(qp_subject_name(s), "builtin");
    ck_assert_ptr_eq(qp_subject_device(s), cpu);
    ck_assert_int_eq(qp_subject_offers(s, QP_OP_FAKEQUANT, QP_INT8, QP_ENGINE_IEEE, QP_BF16, &err), QP_OK);
    ck_assert_int_eq(qp_subject_offers(s, QP_OP_FAKEQUANT, QP_NF4, QP_ENGINE_IEEE, QP_BF16, &err),
                     QP_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.msg, "fakequant nf4"));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_subject_offers(s, QP_OP_FAKEQUANT, QP_INT8, QP_ENGINE_TRITON, QP_BF16, &err),
                     QP_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.msg, "engine=triton"));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_subject_offers(s, QP_OP_FAKEQUANT, QP_INT8, QP_ENGINE_IEEE, QP_U8, &err), QP_REFUSED);
    qp_subject_close(s);
}
END_TEST

START_TEST(a_file_that_is_no_plugin_is_refused_with_the_reason) {
    Dl_info libc;
    qp_subject *s = NULL;
    ck_assert_int_ne(dladdr((void *)(uintptr_t)&dlopen, &libc), 0);
    const char *specs[][2] = {
        {"bultin", "did you mean 'builtin'"}, {"./no/such.so", "no such file"},
        {"./no/such.so:x", "no such file"},   {libc.dli_fname, "does not export qp_plugin_v1"},
        {"Makefile", "cannot be loaded"},     {"", "no such file"}};
    for (int i = 0; i < QP_COUNT(specs); i++) {
        qp_err e = {0};
        ck_assert_msg(qp_subject_open(specs[i][0], cpu, arena, &s, &e) == QP_USAGE, "'%s' was taken",
                      specs[i][0]);
        ck_assert_msg(strstr(e.msg, specs[i][1]) != NULL, "'%s': %s", specs[i][0], e.msg);
    }
}
END_TEST

static qp_status never_run(const qp_launch *l, char *msg, size_t n) {
    (void)l;
    (void)msg;
    (void)n;
    return QP_BROKEN;
}

START_TEST(a_plugin_of_other_headers_is_refused_before_it_runs) {
    static const qp_plugin_variant variant = {"", "", never_run}, nameless = {NULL, "", never_run},
                                   empty = {"", "", NULL};
    const qp_plugin good = {QP_PLUGIN_ABI, sizeof(qp_launch), sizeof(qp_ktensor), "n",
                            "1",           QP_DEVICE_CPU,     &variant,           1};
    ck_assert_int_eq(subject_check_plugin("p.so", &good, &err), QP_OK);
    ck_assert_int_eq(subject_check_plugin("p.so", NULL, &err), QP_USAGE);
    for (int k = 0; k < 9; k++) {
        qp_plugin p = good;
        qp_err e = {0};
        const char *says = "";
        if (k == 0) p.abi = 2, says = "ABI 1 wanted, got 2";
        if (k == 1) p.launch_bytes--, says = "other headers";
        if (k == 2) p.tensor_bytes++, says = "other headers";
        if (k == 3) p.device = QP_DEVICE_SIMT, says = "cpu or cuda wanted";
        if (k == 4) p.device = (qp_device_kind)9, says = "cpu or cuda wanted";
        if (k == 5) p.name = NULL, says = "a name";
        if (k == 6) p.n_variants = 0, says = "at least one variant";
        if (k == 7) p.variants = &nameless, says = "variant 0";
        if (k == 8) p.variants = &empty, says = "variant 0";
        ck_assert_int_eq(subject_check_plugin("p.so", &p, &e), QP_USAGE);
        ck_assert_msg(strstr(e.msg, says) != NULL && strstr(e.msg, "p.so") != NULL, "%s", e.msg);
    }
}
END_TEST

// ---- runs
// ------------------------------------------------------------------------------------------------------------

enum { ROWS = 3, COLS = 37, LD = 40 };

typedef struct data {
    float x[2][ROWS * LD], y[2][ROWS * COLS], amax[2];
    qp_ktensor t[2];
    qp_launch l;
} data;

static void fill_data(data *d) {
    memset(d, 0, sizeof *d);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < ROWS * LD; i++) d->x[k][i] = (float)(i - 60 + k) / 64.0f;
        d->amax[k] = 1.0f + (float)k;
        d->t[k] = (qp_ktensor){
            .rows = ROWS, .cols = COLS, .ld = LD, .x = d->x[k], .y = d->y[k], .amax = &d->amax[k]};
    }
    d->l = (qp_launch){
        .op = QP_OP_FAKEQUANT, .format = QP_INT8, .dtype = QP_FP32, .n_tensors = 2, .tensors = d->t};
}

static void run_clean(qp_subject *s, data *d, int misalign) {
    const qp_run_options o = {.guard = true, .repeat = true, .misalign = misalign};
    qp_guard_ev ev;
    fill_data(d);
    ck_assert_msg(qp_subject_run(s, &d->l, &o, &ev, &err) == QP_OK, "%s", err.msg);
    ck_assert_msg(ev.guard_bytes_hit == 0 && ev.input_bytes_changed == 0 && ev.unwritten == 0 &&
                      ev.repeat_diff == 0 && ev.simt_finding == NULL,
                  "%s", ev.what);
}

START_TEST(builtin_kernels_run_clean_on_cpu_and_simt_at_any_alignment) {
    for (int k = 0; k < 2; k++) {
        qp_subject *s;
        data d, direct;
        ck_assert_int_eq(qp_subject_open("builtin", k == 0 ? cpu : simt, arena, &s, &err), QP_OK);
        if (qp_subject_offers(s, QP_OP_FAKEQUANT, QP_INT8, QP_ENGINE_IEEE, QP_FP32, NULL) != QP_OK)
            ck_abort_msg("int8 fake-quant is gone from device %d", k);
        const qp_run_options plain = {0};
        fill_data(&direct);
        ck_assert_int_eq(qp_subject_run(s, &direct.l, &plain, NULL, &err), QP_OK);
        for (int shift = 0; shift < 64; shift += 20) {
            run_clean(s, &d, shift);
            ck_assert_mem_eq(d.y, direct.y, sizeof d.y);
        }
        // scale 127/amax = 127: x = 56/64 becomes round(111.125) / 127
        ck_assert_float_eq(d.x[0][2 * LD + 36], 56.0f / 64.0f);
        ck_assert_float_eq(d.y[0][2 * COLS + 36], 111.0f / 127.0f);
        qp_subject_close(s);
    }
}
END_TEST

START_TEST(the_example_plugin_answers_like_the_builtin_kernel) {
    qp_subject *s, *builtin;
    data d, e;
    if (!qp_file_exists(plugin_path("example.so"))) {
        printf("SKIP the_example_plugin_answers_like_the_builtin_kernel: %s is not built\n",
               plugin_path("example.so"));
        return;
    }
    ck_assert_msg(qp_subject_open(plugin_path("example.so"), simt, arena, &s, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_eq(qp_subject_open("builtin", cpu, arena, &builtin, &err), QP_OK);
    ck_assert_ptr_nonnull(strstr(qp_subject_name(s), "example"));
    ck_assert_int_eq(qp_subject_offers(s, QP_OP_FAKEQUANT, QP_INT8, QP_ENGINE_IEEE, QP_FP32, &err), QP_OK);
    ck_assert_int_eq(qp_subject_offers(s, QP_OP_FAKEQUANT, QP_INT8, QP_ENGINE_IEEE, QP_BF16, &err),
                     QP_REFUSED);
    qp_err_clear(&err);
    run_clean(s, &d, 4);
    run_clean(builtin, &e, 0);
    ck_assert_mem_eq(d.y, e.y, sizeof d.y);
    qp_subject_close(s);
    qp_subject_close(builtin);
}
END_TEST

START_TEST(a_variant_is_chosen_by_name) {
    qp_subject *s = NULL;
    const char *path = plugin_path("mutants.so"), *spec;
    if (!qp_file_exists(path)) {
        printf("SKIP a_variant_is_chosen_by_name: %s is not built\n", path);
        return;
    }
    ck_assert_int_eq(qp_subject_open(path, cpu, arena, &s, &err), QP_USAGE);
    ck_assert_ptr_nonnull(strstr(err.msg, "name one"));
    qp_err_clear(&err);
    ck_assert_int_eq(qp_arena_printf(arena, &spec, &err, "%s:tail-not-writen", path), QP_OK);
    ck_assert_int_eq(qp_subject_open(spec, cpu, arena, &s, &err), QP_USAGE);
    ck_assert_msg(strstr(err.msg, "did you mean 'tail-not-written'?") != NULL, "%s", err.msg);
    qp_err_clear(&err);
    ck_assert_int_eq(qp_arena_printf(arena, &spec, &err, "%s:tail-not-written", path), QP_OK);
    ck_assert_msg(qp_subject_open(spec, cpu, arena, &s, &err) == QP_OK, "%s", err.msg);
    data d;
    const qp_run_options o = {.guard = true};
    qp_guard_ev ev;
    fill_data(&d);
    ck_assert_msg(qp_subject_run(s, &d.l, &o, &ev, &err) == QP_OK, "%s", err.msg);
    ck_assert_int_gt(ev.unwritten, 0);
    ck_assert_msg(strncmp(ev.what, "tail-not-written: tensor ", 25) == 0, "%s", ev.what);
    qp_subject_close(s);
}
END_TEST

int main(void) {
    Suite *s = suite_create("subject");
    TCase *t = tcase_create("subject");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, every_op_has_the_buffers_of_the_contract);
    tcase_add_test(t, an_empty_tensor_has_no_scales_but_the_second_level);
    tcase_add_test(t, a_pass_through_backward_reads_the_gradient_alone);
    tcase_add_test(t, builtin_is_known_and_says_what_it_offers);
    tcase_add_test(t, a_file_that_is_no_plugin_is_refused_with_the_reason);
    tcase_add_test(t, a_plugin_of_other_headers_is_refused_before_it_runs);
    tcase_add_test(t, builtin_kernels_run_clean_on_cpu_and_simt_at_any_alignment);
    tcase_add_test(t, the_example_plugin_answers_like_the_builtin_kernel);
    tcase_add_test(t, a_variant_is_chosen_by_name);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
