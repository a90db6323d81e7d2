// SPDX-License-Identifier: Apache-2.0
// What a guarded run sees: kernels that are right and kernels with one sin each, as in-memory plug-ins on
// host memory.
#include "subject/run.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static qp_arena *arena;
static qp_err err;
static qp_device *cpu;

static void set_up(void) {
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    ck_assert_int_eq(qp_device_open("cpu", arena, &cpu, &err), QP_OK);
}

static void tear_down(void) {
    qp_device_close(cpu);
    qp_arena_free(arena);
}

// ---- kernels for these tests
// -------------------------------------------------------------------------------------------

// y = x, row by row. Everything a right fake-quant kernel does with memory.
static qp_status copy_rows(const qp_launch *l, char *msg, size_t n) {
    size_t size = qp_dtype_bytes(l->dtype);
    (void)msg;
    (void)n;
    for (int i = 0; i < l->n_tensors; i++) {
        const qp_ktensor *t = &l->tensors[i];
        for (int64_t r = 0; r < t->rows; r++)
            memcpy((char *)t->y + (size_t)(r * t->cols) * size,
                   (const char *)t->x + (size_t)(r * t->ld) * size, (size_t)t->cols * size);
    }
    return QP_OK;
}

static qp_status no_tail(const qp_launch *l, char *msg, size_t n) {
    uint16_t kept[3];
    uint16_t *end = (uint16_t *)l->tensors[1].y + l->tensors[1].rows * l->tensors[1].cols - 3;
    memcpy(kept, end, sizeof kept);
    copy_rows(l, msg, n);
    memcpy(end, kept, sizeof kept);
    return QP_OK;
}

static qp_status past_the_end(const qp_launch *l, char *msg, size_t n) {
    copy_rows(l, msg, n);
    uint16_t *end = (uint16_t *)l->tensors[0].y + l->tensors[0].rows * l->tensors[0].cols;
    end[5] = end[6] = 0x1111;
    return QP_OK;
}

static qp_status before_the_begin(const qp_launch *l, char *msg, size_t n) {
    copy_rows(l, msg, n);
    ((uint16_t *)l->tensors[0].y)[-1] = 0x2222;
    return QP_OK;
}

static qp_status past_an_input(const qp_launch *l, char *msg, size_t n) {
    copy_rows(l, msg, n);
    ((float *)l->tensors[1].amax)[1] = 3.0f;
    return QP_OK;
}

static qp_status clobber(const qp_launch *l, char *msg, size_t n) {
    copy_rows(l, msg, n);
    ((uint16_t *)l->tensors[1].x)[7] ^= 0x0101;
    return QP_OK;
}

static qp_status write_nothing(const qp_launch *l, char *msg, size_t n) {
    (void)l;
    (void)msg;
    (void)n;
    return QP_OK;
}

// Answers with the address: the next run has it elsewhere or, at the same place, another count.
static qp_status another_answer(const qp_launch *l, char *msg, size_t n) {
    static int calls; // a kernel that keeps state is the sin
    copy_rows(l, msg, n);
    ((uint16_t *)l->tensors[1].y)[2] = (uint16_t)(0x4000 + calls++);
    return QP_OK;
}

static qp_status read_past_the_end(const qp_launch *l, char *msg, size_t n) {
    const qp_ktensor *t = &l->tensors[0];
    copy_rows(l, msg, n);
    ((uint16_t *)t->y)[0] = ((const uint16_t *)t->x)[(t->rows - 1) * t->ld + t->cols];
    return QP_OK;
}

// Writes the poison of either run as its true answer: not a sin.
static qp_status answer_is_the_poison(const qp_launch *l, char *msg, size_t n) {
    copy_rows(l, msg, n);
    memset(l->tensors[0].y, 0xa5, 20);
    memset((char *)l->tensors[0].y + 20, 0x5a, 20);
    return QP_OK;
}

static qp_status refuse(const qp_launch *l, char *msg, size_t n) {
    (void)l;
    strncpy(msg, "no such format here", n);
    return QP_REFUSED;
}

static qp_status simt_says(const qp_launch *l, char *msg, size_t n) {
    copy_rows(l, msg, n);
    strncpy(msg, "simt: k_x: divergent barrier in block 3", n);
    return QP_CORRUPT;
}

static qp_status corrupt(const qp_launch *l, char *msg, size_t n) {
    (void)l;
    strncpy(msg, "something else", n);
    return QP_CORRUPT;
}

static qp_status nonsense_status(const qp_launch *l, char *msg, size_t n) {
    (void)l;
    (void)msg;
    (void)n;
    return (qp_status)77;
}

// A subject around one function, as qp_subject_open would make it from a file.
typedef struct fake {
    qp_subject s;
    qp_plugin plugin;
    qp_plugin_variant variant;
} fake;

static qp_subject *subject_of(qp_plugin_run_fn run) {
    fake *f;
    ck_assert_int_eq(qp_arena_get(arena, sizeof *f, &f, &err), QP_OK);
    f->variant = (qp_plugin_variant){"", "test", run};
    f->plugin = (qp_plugin){QP_PLUGIN_ABI, sizeof(qp_launch), sizeof(qp_ktensor), "fake",
                            "1",           QP_DEVICE_CPU,     &f->variant,        1};
    f->s = (qp_subject){
        .dev = cpu, .plugin = &f->plugin, .variant = &f->variant, .name = "fake", .texts = arena};
    pthread_mutex_init(&f->s.lock, NULL);
    return &f->s;
}

// ---- a launch of two bf16 tensors, 5x37 (pitch 40) and 3x16
// ------------------------------------------------------------

typedef struct data {
    uint16_t x[2][200], y[2][200];
    float amax[2];
    qp_ktensor t[2];
    qp_launch l;
} data;

static void fill_data(data *d) {
    static const int64_t rows[2] = {5, 3}, cols[2] = {37, 16}, ld[2] = {40, 16};
    memset(d, 0, sizeof *d);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 200; i++) d->x[k][i] = (uint16_t)(0x3c00 + 977 * i + k);
        d->amax[k] = 1.5f;
        d->t[k] = (qp_ktensor){
            .rows = rows[k], .cols = cols[k], .ld = ld[k], .x = d->x[k], .y = d->y[k], .amax = &d->amax[k]};
    }
    d->l = (qp_launch){
        .op = QP_OP_FAKEQUANT, .format = QP_INT8, .dtype = QP_BF16, .n_tensors = 2, .tensors = d->t};
}

static void expect_copied(const data *d) {
    for (int k = 0; k < 2; k++)
        for (int64_t r = 0; r < d->t[k].rows; r++)
            ck_assert_mem_eq(&d->y[k][r * d->t[k].cols], &d->x[k][r * d->t[k].ld], (size_t)d->t[k].cols * 2);
}

static const qp_run_options watched = {.guard = true, .repeat = true};

static qp_guard_ev run(qp_plugin_run_fn fn, const qp_run_options *options, data *d) {
    qp_guard_ev ev;
    qp_subject *s = subject_of(fn);
    fill_data(d);
    ck_assert_msg(qp_subject_run(s, &d->l, options, &ev, &err) == QP_OK, "%s", err.msg);
    return ev;
}

static bool is_clean(const qp_guard_ev *e) {
    return e->guard_bytes_hit == 0 && e->input_bytes_changed == 0 && e->unwritten == 0 &&
           e->repeat_diff == 0 && e->simt_finding == NULL;
}

START_TEST(a_right_kernel_leaves_no_trace) {
    data d;
    for (int k = 0; k < 4; k++)
        for (int shift = 0; shift < 64; shift += 2) {
            qp_run_options o = {.guard = (k & 1) != 0, .repeat = (k & 2) != 0, .misalign = shift};
            qp_guard_ev ev = run(copy_rows, &o, &d);
            ck_assert_msg(is_clean(&ev), "guard %d repeat %d misalign %d: %s", o.guard, o.repeat, shift,
                          ev.what);
            expect_copied(&d);
            if (k != 0) ck_assert_str_eq(ev.what, "fake");
        }
}
END_TEST

START_TEST(a_true_answer_that_looks_like_poison_is_no_finding) {
    data d;
    qp_guard_ev ev = run(answer_is_the_poison, &watched, &d);
    ck_assert(is_clean(&ev));
    ck_assert_uint_eq(d.y[0][0], 0xa5a5);
    ck_assert_uint_eq(d.y[0][10], 0x5a5a);
}
END_TEST

START_TEST(an_unwritten_tail_is_counted_by_element) {
    for (int repeat = 0; repeat < 2; repeat++) {
        data d;
        qp_run_options o = {.guard = true, .repeat = repeat != 0};
        qp_guard_ev ev = run(no_tail, &o, &d);
        ck_assert_int_eq(ev.unwritten, 3);
        ck_assert_int_eq(ev.first_unwritten, 45);
        ck_assert_int_eq(ev.repeat_diff, 0);
        ck_assert_str_eq(ev.what, "fake: tensor 1, y");
    }
}
END_TEST

START_TEST(a_kernel_that_writes_nothing_leaves_every_element_unwritten) {
    data d;
    qp_guard_ev ev = run(write_nothing, &watched, &d);
    ck_assert_int_eq(ev.unwritten, 5 * 37 + 3 * 16);
    ck_assert_int_eq(ev.first_unwritten, 0);
    ck_assert_int_eq(ev.repeat_diff, 0);
}
END_TEST

START_TEST(a_write_past_the_end_is_counted_from_the_end) {
    data d;
    qp_guard_ev ev = run(past_the_end, &watched, &d);
    ck_assert_int_eq(ev.guard_bytes_hit, 4);
    ck_assert_int_eq(ev.first_hit_offset, 10);
    ck_assert_int_eq(ev.unwritten + ev.repeat_diff + ev.input_bytes_changed, 0);
    ck_assert_str_eq(ev.what, "fake: tensor 0, y");
    expect_copied(&d);
}
END_TEST

START_TEST(a_write_before_the_begin_has_a_negative_place) {
    for (int shift = 0; shift < 64; shift += 2) {
        data d;
        qp_run_options o = {.guard = true, .misalign = shift};
        qp_guard_ev ev = run(before_the_begin, &o, &d);
        ck_assert_int_eq(ev.guard_bytes_hit, 2);
        ck_assert_int_eq(ev.first_hit_offset, -2);
    }
}
END_TEST

START_TEST(a_write_behind_an_input_is_seen_too) {
    data d;
    qp_guard_ev ev = run(past_an_input, &watched, &d);
    ck_assert_int_eq(ev.guard_bytes_hit, 4);
    ck_assert_int_eq(ev.first_hit_offset, 0);
    ck_assert_str_eq(ev.what, "fake: tensor 1, amax");
}
END_TEST

START_TEST(a_changed_input_is_counted_and_the_callers_copy_is_safe) {
    data d, clean;
    qp_guard_ev ev = run(clobber, &watched, &d);
    ck_assert_int_eq(ev.input_bytes_changed, 2);
    ck_assert_str_eq(ev.what, "fake: tensor 1, x");
    fill_data(&clean);
    ck_assert_mem_eq(d.x, clean.x, sizeof d.x);
}
END_TEST

START_TEST(a_second_answer_that_differs_is_counted_by_byte) {
    data d;
    qp_guard_ev ev = run(another_answer, &watched, &d);
    ck_assert_int_eq(ev.repeat_diff, 1);
    ck_assert_int_eq(ev.first_repeat_diff, 4);
    ck_assert_int_eq(ev.unwritten, 0);
    qp_run_options once = {.guard = true};
    ev = run(another_answer, &once, &d);
    ck_assert_int_eq(ev.repeat_diff, 0);
}
END_TEST

START_TEST(an_answer_that_depends_on_bytes_outside_the_input_differs_in_the_second_run) {
    data d;
    qp_guard_ev ev = run(read_past_the_end, &watched, &d);
    ck_assert_int_eq(ev.repeat_diff, 2);
    ck_assert_int_eq(ev.first_repeat_diff, 0);
}
END_TEST

START_TEST(a_simt_finding_is_evidence_and_no_failure) {
    data d;
    qp_guard_ev ev = run(simt_says, &watched, &d), copy = ev;
    ck_assert_ptr_nonnull(copy.simt_finding);
    ck_assert_ptr_nonnull(strstr(copy.simt_finding, "divergent barrier in block 3"));
    expect_copied(&d);
}
END_TEST

START_TEST(another_failure_keeps_its_status_and_reason) {
    static const struct {
        qp_plugin_run_fn fn;
        qp_status status;
        const char *says;
    } rows[] = {{refuse, QP_REFUSED, "no such format here"},
                {corrupt, QP_CORRUPT, "something else"},
                {nonsense_status, QP_BROKEN, "77"}};
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (int guard = 0; guard < 2; guard++) {
            data d;
            qp_guard_ev ev;
            qp_err e = {0};
            qp_run_options o = {.guard = guard != 0};
            fill_data(&d);
            ck_assert_int_eq(qp_subject_run(subject_of(rows[i].fn), &d.l, &o, &ev, &e), rows[i].status);
            ck_assert_msg(strstr(e.msg, rows[i].says) != NULL, "%s", e.msg);
        }
}
END_TEST

START_TEST(an_unguarded_run_on_host_memory_copies_nothing) {
    data d;
    qp_run_options o = {0};
    fill_data(&d);
    ck_assert_int_eq(qp_subject_run(subject_of(clobber), &d.l, &o, NULL, &err), QP_OK);
    data clean;
    fill_data(&clean);
    ck_assert_int_ne(memcmp(d.x, clean.x, sizeof d.x), 0); // the sinner had the caller's own memory
}
END_TEST

START_TEST(a_guarded_run_without_a_place_for_its_evidence_is_our_bug) {
    data d;
    fill_data(&d);
    ck_assert_int_eq(qp_subject_run(subject_of(copy_rows), &d.l, &watched, NULL, &err), QP_BROKEN);
    qp_err_clear(&err);
    qp_guard_ev ev;
    d.t[1].y = NULL;
    ck_assert_int_eq(qp_subject_run(subject_of(copy_rows), &d.l, &watched, &ev, &err), QP_BROKEN);
    ck_assert_ptr_nonnull(strstr(err.msg, "tensor 1: y is missing"));
}
END_TEST

// ---- threads
// -----------------------------------------------------------------------------------------------------------

typedef struct worker {
    qp_subject *s;
    bool bad;
} worker;

static void *work(void *user) {
    worker *w = user;
    for (int i = 0; i < 50; i++) {
        data d;
        qp_guard_ev ev;
        qp_err e = {0};
        fill_data(&d);
        bool ok = qp_subject_run(w->s, &d.l, &watched, &ev, &e) == QP_OK && ev.unwritten == 3 &&
                  ev.guard_bytes_hit == 0 && strcmp(ev.what, "fake: tensor 1, y") == 0;
        if (!ok) w->bad = true;
    }
    return NULL;
}

START_TEST(many_threads_share_one_subject) {
    enum { N = 16 };
    pthread_t threads[N];
    worker workers[N];
    qp_subject *s = subject_of(no_tail);
    for (int i = 0; i < N; i++) {
        workers[i] = (worker){s, false};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(!workers[i].bad);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("guard");
    TCase *t = tcase_create("guard");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_right_kernel_leaves_no_trace);
    tcase_add_test(t, a_true_answer_that_looks_like_poison_is_no_finding);
    tcase_add_test(t, an_unwritten_tail_is_counted_by_element);
    tcase_add_test(t, a_kernel_that_writes_nothing_leaves_every_element_unwritten);
    tcase_add_test(t, a_write_past_the_end_is_counted_from_the_end);
    tcase_add_test(t, a_write_before_the_begin_has_a_negative_place);
    tcase_add_test(t, a_write_behind_an_input_is_seen_too);
    tcase_add_test(t, a_changed_input_is_counted_and_the_callers_copy_is_safe);
    tcase_add_test(t, a_second_answer_that_differs_is_counted_by_byte);
    tcase_add_test(t, an_answer_that_depends_on_bytes_outside_the_input_differs_in_the_second_run);
    tcase_add_test(t, a_simt_finding_is_evidence_and_no_failure);
    tcase_add_test(t, another_failure_keeps_its_status_and_reason);
    tcase_add_test(t, an_unguarded_run_on_host_memory_copies_nothing);
    tcase_add_test(t, a_guarded_run_without_a_place_for_its_evidence_is_our_bug);
    tcase_add_test(t, many_threads_share_one_subject);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
