// SPDX-License-Identifier: Apache-2.0
// The shim must see what a GPU would not say: barriers that not all threads reach, writes beside shared
// memory, and (by other thread orders over poisoned memory) barriers that are missing. The kernels here are
// wrong on purpose. The real ones give the same bytes in every order.
#include "simt/block.h"
#include "simt/shim.h"
#include "tests/kit.h"

enum { THREADS = 128, BLOCKS = 5 };

typedef struct sums {
    uint32_t *out;   // [BLOCKS]
    uint32_t *trace; // [BLOCKS * THREADS], may be NULL
    int late;        // the thread that behaves differently
} sums;

// ---- kernels
// -----------------------------------------------------------------------------------------------------------

KERNEL_COOP(reduce_well, sums, p) {
    SHARED(uint32_t, part, THREADS);
    part[threadIdx.x] = threadIdx.x + blockIdx.x;
    SYNC();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        SYNC();
    }
    if (threadIdx.x == 0) p->out[blockIdx.x] = part[0];
}

KERNEL_COOP(reduce_without_first_barrier, sums, p) {
    SHARED(uint32_t, part, THREADS);
    part[threadIdx.x] = threadIdx.x + blockIdx.x;
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        SYNC();
    }
    if (threadIdx.x == 0) p->out[blockIdx.x] = part[0];
}

KERNEL_COOP(reduce_without_inner_barrier, sums, p) {
    SHARED(uint32_t, part, THREADS);
    part[threadIdx.x] = threadIdx.x + blockIdx.x;
    SYNC();
    for (unsigned half = THREADS / 2; half > 0; half /= 2)
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    SYNC();
    if (threadIdx.x == 0) p->out[blockIdx.x] = part[0];
}

KERNEL_COOP(one_leaves_early, sums, p) {
    if ((int)threadIdx.x == p->late) return;
    SYNC();
    p->out[blockIdx.x] = 1;
}

KERNEL_COOP(two_barriers, sums, p) {
    if ((int)threadIdx.x == p->late) {
        SYNC();
    } else {
        SYNC();
    }
    p->out[blockIdx.x] = 1;
}

KERNEL_COOP(one_past_the_array, sums, p) {
    SHARED(uint32_t, part, THREADS);
    SHARED(uint32_t, other, 3);
    part[threadIdx.x + ((int)threadIdx.x == p->late ? 1 : 0)] = 0; // the last thread: index THREADS
    other[0] = 0;
    SYNC();
    p->out[blockIdx.x] = 1;
}

KERNEL_COOP(one_before_the_array, sums, p) {
    SHARED(uint32_t, other, 3);
    SHARED(uint32_t, part, THREADS);
    *(part + threadIdx.x - 1) = 7; // thread 0: index -1
    other[2] = 0;
    SYNC();
    p->out[blockIdx.x] = part[0];
}

KERNEL_COOP(too_much_shared, sums, p) {
    SHARED(uint32_t, part, SIMT_SHARED_BYTES);
    part[threadIdx.x] = 0;
    p->out[blockIdx.x] = part[0];
}

KERNEL_COOP(fresh_memory_each_block, sums, p) {
    SHARED(uint32_t, part, 1);
    if (threadIdx.x == 0) p->out[blockIdx.x] = part[0];
    SYNC();
    part[0] = 5;
}

KERNEL(marks, sums, p) {
    p->trace[blockIdx.x * THREADS + threadIdx.x] += 1 + threadIdx.x;
}

// ---- what is expected
// --------------------------------------------------------------------------------------------------

static qp_status run(const simt_kernel *k, uint64_t seed, uint32_t *out, int late, qp_err *err) {
    sums p = {out, NULL, late};
    memset(out, 0, BLOCKS * sizeof *out);
    qp_err_clear(err);
    return simt_launch(k, BLOCKS, THREADS, seed, &p, err);
}

static bool reduces_right(const simt_kernel *k, uint64_t seed) {
    uint32_t out[BLOCKS];
    qp_err err = {0};
    ck_assert_msg(run(k, seed, out, -1, &err) == QP_OK, "%s", err.msg);
    for (uint32_t b = 0; b < BLOCKS; b++)
        if (out[b] != THREADS * (THREADS - 1) / 2 + THREADS * b) return false;
    return true;
}

START_TEST(a_right_reduction_is_right_in_every_order) {
    if (kit_no_simt("a_right_reduction_is_right_in_every_order")) return;
    for (uint64_t seed = 0; seed < 20; seed++) ck_assert(reduces_right(&reduce_well, seed));
}
END_TEST

START_TEST(a_missing_barrier_changes_the_result_in_some_order) {
    if (kit_no_simt("a_missing_barrier_changes_the_result_in_some_order")) return;
    ck_assert(!reduces_right(&reduce_without_first_barrier, 0));
    ck_assert(!reduces_right(&reduce_without_first_barrier, 2));
    bool always = true;
    for (uint64_t seed = 0; seed < 3; seed++)
        always = always && reduces_right(&reduce_without_inner_barrier, seed);
    ck_assert(!always);
}
END_TEST

static void found(const simt_kernel *k, int late, const char *words) {
    for (uint64_t seed = 0; seed < 3; seed++) {
        uint32_t out[BLOCKS];
        qp_err err = {0};
        ck_assert_int_eq(run(k, seed, out, late, &err), QP_CORRUPT);
        ck_assert_msg(strncmp(err.msg, "simt: ", 6) == 0 && strstr(err.msg, words) &&
                          strstr(err.msg, k->name),
                      "order %d: %s", (int)seed, err.msg);
    }
}

START_TEST(a_thread_that_leaves_before_a_barrier_is_a_finding) {
    if (kit_no_simt("a_thread_that_leaves_before_a_barrier_is_a_finding")) return;
    found(&one_leaves_early, 0, "divergent barrier, the others have ended: 127 of 128 threads");
    found(&one_leaves_early, THREADS - 1, "127 of 128");
    found(&one_leaves_early, 40, "127 of 128");
}
END_TEST

START_TEST(threads_at_two_barriers_are_a_finding) {
    if (kit_no_simt("threads_at_two_barriers_are_a_finding")) return;
    found(&two_barriers, 77, "different barriers");
}
END_TEST

START_TEST(a_write_beside_a_shared_array_is_a_finding) {
    if (kit_no_simt("a_write_beside_a_shared_array_is_a_finding")) return;
    found(&one_past_the_array, THREADS - 1, "write outside shared array");
    found(&one_before_the_array, 0, "write outside shared array");
    uint32_t out[BLOCKS];
    qp_err err = {0};
    ck_assert_int_eq(run(&one_past_the_array, 0, out, 3, &err), QP_OK); // another thread: inside
}
END_TEST

START_TEST(more_shared_memory_than_there_is_is_a_finding) {
    if (kit_no_simt("more_shared_memory_than_there_is_is_a_finding")) return;
    found(&too_much_shared, 0, "more shared memory");
}
END_TEST

START_TEST(shared_memory_is_poisoned_for_every_block) {
    if (kit_no_simt("shared_memory_is_poisoned_for_every_block")) return;
    uint32_t out[BLOCKS];
    qp_err err = {0};
    ck_assert_int_eq(run(&fresh_memory_each_block, 0, out, 0, &err), QP_OK);
    for (int b = 0; b < BLOCKS; b++) ck_assert_uint_eq(out[b], 0xa5a5a5a5u);
}
END_TEST

START_TEST(a_barrier_free_kernel_runs_each_thread_once_in_any_order) {
    if (kit_no_simt("a_barrier_free_kernel_runs_each_thread_once_in_any_order")) return;
    for (uint64_t seed = 0; seed < 6; seed++) {
        uint32_t trace[BLOCKS * THREADS] = {0};
        sums p = {NULL, trace, 0};
        ck_assert_int_eq(simt_launch(&marks, BLOCKS, THREADS, seed, &p, NULL), QP_OK);
        for (uint32_t i = 0; i < BLOCKS * THREADS; i++) ck_assert_uint_eq(trace[i], 1 + i % THREADS);
    }
}
END_TEST

START_TEST(orders_are_permutations_and_differ) {
    uint16_t a[THREADS], b[THREADS];
    for (uint64_t seed = 0; seed < 8; seed++) {
        bool seen[THREADS] = {false};
        simt_order(a, THREADS, seed, 3, 1);
        for (int i = 0; i < THREADS; i++) {
            ck_assert(a[i] < THREADS && !seen[a[i]]);
            seen[a[i]] = true;
        }
        simt_order(b, THREADS, seed + 1, 3, 1);
        ck_assert(memcmp(a, b, sizeof a) != 0);
    }
    simt_order(a, THREADS, 0, 0, 0);
    simt_order(b, THREADS, 1, 0, 0);
    ck_assert(a[5] == 5 && b[5] == THREADS - 6);
}
END_TEST

START_TEST(a_kernel_of_another_abi_is_refused) {
    if (kit_no_simt("a_kernel_of_another_abi_is_refused")) return;
    simt_kernel other = marks;
    other.abi = SIMT_ABI + 1;
    qp_err err = {0};
    ck_assert_int_eq(simt_launch(&other, 1, 1, 0, NULL, &err), QP_BROKEN);
    ck_assert_ptr_nonnull(strstr(err.msg, "ABI"));
    qp_err_clear(&err);
    ck_assert_int_eq(simt_launch(&marks, 1, SIMT_MAX_THREADS + 1, 0, NULL, &err), QP_REFUSED);
}
END_TEST

START_TEST(forward_reverse_and_shuffled_threads_give_the_same_bytes) {
    if (kit_no_simt("forward_reverse_and_shuffled_threads_give_the_same_bytes")) return;
    const qp_kernel_row *row = &qp_kernels[_i];
    if (row->device != QP_DEVICE_SIMT) return;
    // Types and alignments take turns over the rows.
    kit *k = kit_of(row, (qp_dtype)(_i % 3), kit_ragged, QP_COUNT(kit_ragged), _i / 3 % 2, 41);
    k->launch.bwd = QP_BWD_CLIP;
    qp_err err = {0};
    ck_assert_msg(kit_run(k, &k->a, row->fn, 0, KIT_FILL, &err) == QP_OK, "%s", err.msg);
    for (uint64_t order = 1; order < 3; order++) {
        ck_assert_msg(kit_run(k, &k->b, row->fn, order, KIT_FILL, &err) == QP_OK, "%s", err.msg);
        int64_t d = kit_difference(k);
        ck_assert_msg(d < 0, "%s order %d: %s", row->name, (int)order, kit_place(k, d));
    }
    kit_free(k);
}
END_TEST

int main(void) {
    Suite *s = suite_create("simt");
    TCase *c = tcase_create("simt");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, a_right_reduction_is_right_in_every_order);
    tcase_add_test(c, a_missing_barrier_changes_the_result_in_some_order);
    tcase_add_test(c, a_thread_that_leaves_before_a_barrier_is_a_finding);
    tcase_add_test(c, threads_at_two_barriers_are_a_finding);
    tcase_add_test(c, a_write_beside_a_shared_array_is_a_finding);
    tcase_add_test(c, more_shared_memory_than_there_is_is_a_finding);
    tcase_add_test(c, shared_memory_is_poisoned_for_every_block);
    tcase_add_test(c, a_barrier_free_kernel_runs_each_thread_once_in_any_order);
    tcase_add_test(c, orders_are_permutations_and_differ);
    tcase_add_test(c, a_kernel_of_another_abi_is_refused);
    tcase_add_loop_test(c, forward_reverse_and_shuffled_threads_give_the_same_bytes, 0, qp_n_kernels);
    suite_add_tcase(s, c);
    return kit_main(s);
}
