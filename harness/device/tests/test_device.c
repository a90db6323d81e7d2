// SPDX-License-Identifier: Apache-2.0
// The same conformance test for every kind of device; words, reasons and the banner.
#include "device/device.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static qp_arena *arena;
static qp_err err;

static void set_up(void) {
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
}

static void tear_down(void) {
    qp_arena_free(arena);
}

static const char *const kinds[] = {"cpu", "simt", "cuda"};

START_TEST(a_device_moves_bytes_unchanged) {
    qp_device *d;
    qp_status opened = qp_device_open(kinds[_i], arena, &d, &err);
    if (opened == QP_UNAVAILABLE) {
        printf("SKIP a_device_moves_bytes_unchanged(%s): %s\n", kinds[_i], err.msg);
        return;
    }
    ck_assert_msg(opened == QP_OK, "%s", err.msg);
    ck_assert_int_eq(d->kind, _i);
    static const size_t sizes[] = {0, 1, 255, 256, 257, 100003};
    static unsigned char in[100003], out[100003];
    for (int k = 0; k < QP_COUNT(sizes); k++) {
        void *p = NULL, *q = NULL;
        size_t n = sizes[k];
        for (size_t i = 0; i < n; i++) in[i] = (unsigned char)(i * 31 + 7);
        ck_assert_int_eq(d->alloc(d, n, &p, &err), QP_OK);
        ck_assert_int_eq(d->alloc(d, n, &q, &err), QP_OK);
        ck_assert_ptr_ne(p, q);
        ck_assert_uint_eq((uintptr_t)p % 256, 0);
        ck_assert_int_eq(d->put(d, p, in, n, &err), QP_OK);
        ck_assert_int_eq(d->fill(d, q, 0x5e, n, &err), QP_OK);
        ck_assert_int_eq(d->wait(d, &err), QP_OK);
        ck_assert_int_eq(d->get(d, out, p, n, &err), QP_OK);
        ck_assert_int_eq(memcmp(out, in, n), 0);
        ck_assert_int_eq(d->get(d, out, q, n, &err), QP_OK);
        for (size_t i = 0; i < n; i++)
            if (out[i] != 0x5e) ck_abort_msg("byte %zu is %02x after a fill", i, out[i]);
        d->release(d, p);
        d->release(d, q);
    }
    d->release(d, NULL);
    qp_device_close(d);
}
END_TEST

START_TEST(more_memory_than_there_is_is_an_error_and_not_a_crash) {
    qp_device *d;
    ck_assert_int_eq(qp_device_open("cpu", arena, &d, &err), QP_OK);
    void *p = NULL;
    ck_assert_int_eq(d->alloc(d, SIZE_MAX - 100, &p, &err), QP_NOMEM);
    qp_device_close(d);
}
END_TEST

START_TEST(an_unknown_word_is_refused_with_the_nearest_spelling) {
    static const char *const words[][2] = {
        {"cdua", "'cuda'"},    {"cpus", "'cpu'"},           {"sim", "'simt'"},   {"aut", "'auto'"},
        {"", "wanted"},        {"vulkan-device", "wanted"}, {"cuda:", "cuda:N"}, {"cuda:x", "cuda:N"},
        {"cuda:-1", "cuda:N"}, {"cuda:99999", "cuda:N"},    {"cpu:0", "cuda:N"}, {"auto:1", "cuda:N"}};
    for (int i = 0; i < QP_COUNT(words); i++) {
        qp_device *d = NULL;
        qp_err e = {0};
        ck_assert_msg(qp_device_open(words[i][0], arena, &d, &e) == QP_USAGE, "'%s' was taken", words[i][0]);
        ck_assert_msg(strstr(e.msg, words[i][1]) != NULL, "'%s': %s", words[i][0], e.msg);
    }
}
END_TEST

START_TEST(auto_takes_a_gpu_when_there_is_one_and_else_says_why_not) {
    qp_device *d = NULL, *gpu = NULL;
    qp_err why = {0};
    char banner[512];
    ck_assert_msg(qp_device_open("auto", arena, &d, &err) == QP_OK, "%s", err.msg);
    qp_status with_gpu = qp_device_open("cuda", arena, &gpu, &why);
    ck_assert_int_eq(d->kind, with_gpu == QP_OK ? QP_DEVICE_CUDA : QP_DEVICE_CPU);
    qp_device_banner(d, banner, sizeof banner);
    ck_assert_msg(strncmp(banner, "device ", 7) == 0, "%s", banner);
    ck_assert_ptr_nonnull(strstr(banner, d->name));
    ck_assert_ptr_nonnull(strstr(banner, "no MPI, no NCCL"));
    if (with_gpu == QP_OK) return;
    ck_assert_int_eq(with_gpu, QP_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(why.msg, "device cuda: "));
    ck_assert_msg(strstr(banner, "no GPU: ") != NULL, "%s", banner);
    ck_assert_msg(strstr(banner, why.msg + strlen("device cuda: ")) != NULL, "%s lacks the reason %s", banner,
                  why.msg);
}
END_TEST

START_TEST(a_gpu_number_beyond_the_last_is_unavailable) {
    qp_device *d = NULL;
    ck_assert_int_eq(qp_device_open("cuda:999", arena, &d, &err), QP_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.msg, "cuda:999"));
}
END_TEST

START_TEST(a_device_says_what_it_is) {
    qp_device *d;
    ck_assert_int_eq(qp_device_open("cpu", arena, &d, &err), QP_OK);
    ck_assert_msg(strncmp(d->name, "cpu (", 5) == 0 && strstr(d->name, "threads)") != NULL, "%s", d->name);
    ck_assert_ptr_nonnull(strstr(d->detail, "isa "));
    char small[16];
    qp_device_banner(d, small, sizeof small);
    ck_assert_uint_eq(strlen(small), sizeof small - 1);
    qp_device_close(d);
}
END_TEST

int main(void) {
    Suite *s = suite_create("device");
    TCase *t = tcase_create("device");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, a_device_moves_bytes_unchanged, 0, QP_COUNT(kinds));
    tcase_add_test(t, more_memory_than_there_is_is_an_error_and_not_a_crash);
    tcase_add_test(t, an_unknown_word_is_refused_with_the_nearest_spelling);
    tcase_add_test(t, auto_takes_a_gpu_when_there_is_one_and_else_says_why_not);
    tcase_add_test(t, a_gpu_number_beyond_the_last_is_unavailable);
    tcase_add_test(t, a_device_says_what_it_is);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
