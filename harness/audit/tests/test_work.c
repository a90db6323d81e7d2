// SPDX-License-Identifier: Apache-2.0
// Work stealing: every item once, on the thread it says, and the failure of the lowest item comes back.
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "audit/audit.h"

enum { ITEMS = 5000 };

typedef struct seen {
    atomic_int times[ITEMS];
    atomic_int done, highest_thread;
    uint64_t fail_from; // items from here on fail
    pthread_t caller;
    atomic_bool strange_zero; // thread 0 was not the caller
} seen;

static qp_status note_item(void *ctx, int thread, uint64_t item, qp_err *err) {
    seen *s = ctx;
    atomic_fetch_add(&s->times[item], 1);
    atomic_fetch_add(&s->done, 1);
    if ((thread == 0) != (pthread_equal(pthread_self(), s->caller) != 0)) s->strange_zero = true;
    for (int high = s->highest_thread; thread > high;)
        if (atomic_compare_exchange_weak(&s->highest_thread, &high, thread)) break;
    if (item >= s->fail_from) QP_FAIL(QP_CORRUPT, "item %llu", (unsigned long long)item);
    return QP_OK;
}

static seen *fresh(uint64_t fail_from) {
    seen *s = calloc(1, sizeof *s);
    s->fail_from = fail_from;
    s->caller = pthread_self();
    return s;
}

START_TEST(every_item_is_worked_on_once_by_any_number_of_threads) {
    for (int threads = 1; threads <= 8; threads++) {
        seen *s = fresh(ITEMS);
        qp_err err = {0};
        ck_assert_int_eq(qp_work_run(ITEMS, threads, note_item, s, &err), QP_OK);
        for (int i = 0; i < ITEMS; i++) ck_assert_int_eq(s->times[i], 1);
        ck_assert_int_lt(s->highest_thread, threads);
        ck_assert(!s->strange_zero);
        free(s);
    }
}
END_TEST

START_TEST(the_lowest_failing_item_is_the_one_reported_and_stops_the_rest) {
    for (int threads = 1; threads <= 8; threads++) {
        seen *s = fresh(100);
        qp_err err = {0};
        ck_assert_int_eq(qp_work_run(ITEMS, threads, note_item, s, &err), QP_CORRUPT);
        ck_assert_int_eq(err.code, QP_CORRUPT);
        ck_assert_str_eq(err.msg, "item 100");
        // Every thread may have one more item in its hands when the first failure is seen, not a second.
        ck_assert_int_le(s->done, 100 + 2 * threads);
        free(s);
    }
}
END_TEST

START_TEST(no_items_is_no_work) {
    seen *s = fresh(0);
    ck_assert_int_eq(qp_work_run(0, 4, note_item, s, NULL), QP_OK);
    ck_assert_int_eq(s->done, 0);
    free(s);
}
END_TEST

START_TEST(no_more_threads_than_items_are_used) {
    seen *s = fresh(ITEMS);
    ck_assert_int_eq(qp_work_run(3, 200, note_item, s, NULL), QP_OK);
    ck_assert_int_eq(s->done, 3);
    ck_assert_int_lt(s->highest_thread, 3);
    free(s);
}
END_TEST

static qp_status wait_for_two(void *ctx, int thread, uint64_t item, qp_err *err) {
    (void)thread;
    (void)item;
    atomic_int *here = ctx;
    atomic_fetch_add(here, 1);
    const time_t limit = time(NULL) + 20;
    while (atomic_load(here) < 2 && time(NULL) < limit) sched_yield();
    if (atomic_load(here) < 2) QP_FAIL(QP_TIMEOUT, "alone");
    return QP_OK;
}

START_TEST(two_threads_work_at_the_same_time) {
    atomic_int here = 0;
    ck_assert_int_eq(qp_work_run(2, 2, wait_for_two, &here, NULL), QP_OK);
}
END_TEST

START_TEST(asked_threads_are_bounded_and_zero_means_the_cores_there_are) {
    ck_assert_int_eq(qp_work_threads(3), 3);
    ck_assert_int_ge(qp_work_threads(0), 1);
    ck_assert_int_le(qp_work_threads(1 << 30), 256);
}
END_TEST

int main(void) {
    Suite *s = suite_create("work");
    TCase *t = tcase_create("work");
    tcase_add_test(t, every_item_is_worked_on_once_by_any_number_of_threads);
    tcase_add_test(t, the_lowest_failing_item_is_the_one_reported_and_stops_the_rest);
    tcase_add_test(t, no_items_is_no_work);
    tcase_add_test(t, no_more_threads_than_items_are_used);
    tcase_add_test(t, two_threads_work_at_the_same_time);
    tcase_add_test(t, asked_threads_are_bounded_and_zero_means_the_cores_there_are);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
