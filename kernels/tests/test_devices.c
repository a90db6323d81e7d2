// SPDX-License-Identifier: Apache-2.0
// Every built-in kernel of cpu against the CUDA source run by simt: two implementations, one answer, bit for
// bit, over ragged grouped launches with every special value, any alignment, and any order of threads. Guard
// bytes and inputs stay untouched.
#include <pthread.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "tests/kit.h"

static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32};

static void same_on_both(const qp_kernel_row *row, qp_dtype t, bool narrow, qp_bwd bwd,
                         const kit_shape *shapes, int n, int skew, uint64_t order) {
    kit *k = kit_of(row, t, shapes, n, skew, 7 + (uint64_t)row->format * 31 + (uint64_t)t);
    k->launch.narrow_range = narrow;
    k->launch.bwd = bwd;
    qp_err err = {0};
    qp_status a = kit_run(k, &k->a, kit_kernel(QP_DEVICE_CPU, row->op, row->format), 0, KIT_FILL, &err);
    ck_assert_msg(a == QP_OK, "cpu: %s", err.msg);
    qp_status b = kit_run(k, &k->b, kit_kernel(QP_DEVICE_SIMT, row->op, row->format), order, KIT_FILL, &err);
    ck_assert_msg(b == QP_OK, "simt: %s", err.msg);
    int64_t d = kit_difference(k);
    ck_assert_msg(d < 0, "%s %s order %d: output byte %lld differs (%s), cpu %02x simt %02x", row->name,
                  qp_dtype_name(t), (int)order, (long long)d, kit_place(k, d), d < 0 ? 0 : k->a.base[d],
                  d < 0 ? 0 : k->b.base[d]);
    kit_free(k);
}

START_TEST(cpu_and_simt_give_the_same_bits) {
    if (kit_no_simt("cpu_and_simt_give_the_same_bits")) return;
    const qp_kernel_row *row = &qp_kernels[_i];
    const bool variants = row->op == QP_OP_FAKEQUANT || row->op == QP_OP_BACKWARD;
    for (int t = 0; t < QP_COUNT(types); t++)
        for (int skew = 0; skew < 2; skew++)
            for (int v = 0; v < (variants ? 2 : 1); v++)
                same_on_both(row, types[t], v == 1, v ? QP_BWD_CLIP : QP_BWD_PASS, kit_ragged,
                             QP_COUNT(kit_ragged), skew, 0);
}
END_TEST

START_TEST(thread_and_block_order_change_nothing) {
    if (kit_no_simt("thread_and_block_order_change_nothing")) return;
    for (int i = 0; i < qp_n_kernels; i++)
        for (uint64_t order = 1; order < 4; order++)
            if (qp_kernels[i].device == QP_DEVICE_SIMT)
                same_on_both(&qp_kernels[i], QP_BF16, false, QP_BWD_CLIP, kit_ragged, QP_COUNT(kit_ragged), 0,
                             order);
}
END_TEST

START_TEST(more_tensors_than_one_table_holds_are_several_launches) {
    if (kit_no_simt("more_tensors_than_one_table_holds_are_several_launches")) return;
    kit_shape many[KIT_TENSORS];
    for (int i = 0; i < KIT_TENSORS; i++) many[i] = (kit_shape){i % 5, 1 + i % 37, 1 + i % 37 + i % 3};
    for (int i = 0; i < qp_n_kernels; i++)
        if (qp_kernels[i].device == QP_DEVICE_SIMT)
            same_on_both(&qp_kernels[i], QP_FP32, false, QP_BWD_CLIP, many, KIT_TENSORS, 1, 0);
}
END_TEST

enum { CALLERS = 8 };

// What a rank does: one OpenMP thread, kernels of its own at the same time as everyone else's.
static void *call_kernels(void *wrong) {
#if defined(_OPENMP)
    omp_set_num_threads(1);
#endif
    for (int i = 0; i < qp_n_kernels / QP_DEVICE_COUNT; i++) {
        const qp_kernel_row *row = &qp_kernels[i];
        kit *k = kit_of(row, QP_FP16, kit_ragged, QP_COUNT(kit_ragged), 0, 77);
        qp_err err = {0};
        k->launch.bwd = QP_BWD_CLIP;
        qp_status a = kit_run(k, &k->a, row->fn, 0, KIT_FILL, &err);
        qp_status b = kit_run(k, &k->b, kit_kernel(QP_DEVICE_SIMT, row->op, row->format), 5, KIT_FILL, &err);
        if (a != QP_OK || b != QP_OK || kit_difference(k) >= 0) (*(int *)wrong)++;
        kit_free(k);
    }
    return NULL;
}

START_TEST(ranks_may_call_kernels_at_the_same_time) {
    if (kit_no_simt("ranks_may_call_kernels_at_the_same_time")) return;
    pthread_t thread[CALLERS];
    int wrong[CALLERS] = {0};
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, call_kernels, &wrong[i]), 0);
    for (int i = 0; i < CALLERS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < CALLERS; i++) ck_assert_int_eq(wrong[i], 0);
}
END_TEST

// What is written, and only that: with two different fills the same bytes must agree between the runs.
static int64_t bytes_that_follow_the_fill(const kit *k, const void *begin, int64_t n_bytes) {
    int64_t offset = (const unsigned char *)begin - k->a.base, n = 0;
    for (int64_t i = offset; i < offset + n_bytes; i++)
        if (k->a.base[i] != k->b.base[i]) n++;
    return n;
}

START_TEST(all_outputs_are_written_and_nothing_else) {
    for (int i = 0; i < qp_n_kernels; i++) {
        const qp_kernel_row *row = &qp_kernels[i];
        if (row->device != QP_DEVICE_CPU) continue;
        kit *k = kit_of(row, QP_BF16, kit_ragged, QP_COUNT(kit_ragged), 1, 3);
        qp_err err = {0};
        ck_assert_int_eq(kit_run(k, &k->a, row->fn, 0, 0x00, &err), QP_OK);
        ck_assert_int_eq(kit_run(k, &k->b, row->fn, 0, 0xff, &err), QP_OK);
        int64_t unwritten = 0, written = 0, total = 0;
        for (int n = 0; n < k->launch.n_tensors; n++) {
            const qp_ktensor *q = &k->a.t[n];
            const kit_sizes z = kit_sizes_of(row->format, QP_BF16, q->rows, q->cols);
            bool is_amax = row->op == QP_OP_AMAX, is_quant = row->op == QP_OP_QUANT;
            const struct {
                const void *p;
                int64_t n;
            } out[] = {{q->y, is_amax || is_quant ? 0 : q->rows * q->cols * 2},
                       {q->amax_out, is_amax ? z.n_amax * 4 : 0},
                       {q->codes, is_quant ? z.codes : 0},
                       {q->scales, is_quant ? z.scales : 0},
                       {q->scales_i8, is_quant ? z.scales_i8 : 0},
                       {q->weight_scale_2, is_quant && z.second ? 4 : 0}};
            for (int f = 0; f < QP_COUNT(out); f++) {
                if (out[f].n == 0) continue;
                unwritten += bytes_that_follow_the_fill(k, out[f].p, out[f].n);
                written += out[f].n;
            }
        }
        total = bytes_that_follow_the_fill(k, k->a.base, (int64_t)k->a.n_bytes);
        ck_assert_msg(unwritten == 0, "%s: %lld output bytes not written", row->name, (long long)unwritten);
        ck_assert_msg(total == (int64_t)k->a.n_bytes - written, "%s: %lld bytes written outside the outputs",
                      row->name, (long long)((int64_t)k->a.n_bytes - written - total));
        kit_free(k);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernel devices");
    TCase *c = tcase_create("devices");
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, cpu_and_simt_give_the_same_bits, 0, qp_n_kernels / QP_DEVICE_COUNT);
    tcase_add_test(c, thread_and_block_order_change_nothing);
    tcase_add_test(c, more_tensors_than_one_table_holds_are_several_launches);
    tcase_add_test(c, ranks_may_call_kernels_at_the_same_time);
    tcase_add_test(c, all_outputs_are_written_and_nothing_else);
    suite_add_tcase(s, c);
    return kit_main(s);
}
