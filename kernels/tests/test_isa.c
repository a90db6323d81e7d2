// SPDX-License-Identifier: Apache-2.0
// The tile functions of every instruction set that is here, forced one by one, against the baseline: the same
// bytes for every kernel, type and shape, on one thread and on several. What this machine lacks is skipped by
// name.
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "tests/kit.h"

// Long rows and many rows, so that there are several boxes; tails of every kind.
static const kit_shape shapes[] = {{40, 2051, 2051}, {5, 17, 19},     {300, 16, 16}, {2, 70001, 70001},
                                   {64, 1024, 1024}, {131, 257, 260}, {0, 16, 16},   {3, 0, 0}};

static void threads(int n) {
#if defined(_OPENMP)
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

static void run(kit *k, kit_side *s, const qp_kernel_row *row, const char *isa, int n_threads) {
    qp_err err = {0};
    ck_assert_int_eq(qp_cpu_isa_force(isa, &err), QP_OK);
    threads(n_threads);
    ck_assert_msg(kit_run(k, s, row->fn, 0, KIT_FILL, &err) == QP_OK, "%s", err.msg);
}

START_TEST(every_instruction_set_and_thread_count_gives_the_same_bytes) {
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32};
    const qp_kernel_row *row = &qp_kernels[_i];
    ck_assert_int_eq(row->device, QP_DEVICE_CPU);
    for (int t = 0; t < QP_COUNT(types); t++) {
        kit *k = kit_of(row, types[t], shapes, QP_COUNT(shapes), t, 99);
        k->launch.bwd = QP_BWD_CLIP;
        run(k, &k->a, row, "base", 1);
        for (int i = 0; qp_cpu_isa_name(i) != NULL; i++) {
            const char *isa = qp_cpu_isa_name(i);
            if (qp_cpu_isa_force(isa, NULL) != QP_OK) continue; // counted below
            run(k, &k->b, row, isa, 1 + (i + t) % 3);
            int64_t d = kit_difference(k);
            ck_assert_msg(d < 0, "%s %s on %s: %s differs from base, %02x and %02x", row->name,
                          qp_dtype_name(types[t]), isa, kit_place(k, d), d < 0 ? 0 : k->a.base[d],
                          d < 0 ? 0 : k->b.base[d]);
        }
        kit_free(k);
    }
}
END_TEST

START_TEST(the_baseline_is_always_here_and_a_lacking_set_is_skipped_with_the_reason) {
    qp_err err = {0};
    ck_assert_str_eq(qp_cpu_isa_name(0), "base");
    ck_assert_int_eq(qp_cpu_isa_force("base", &err), QP_OK);
    int n = 0;
    for (; qp_cpu_isa_name(n) != NULL; n++) {
        qp_status s = qp_cpu_isa_force(qp_cpu_isa_name(n), &err);
        ck_assert(s == QP_OK || s == QP_UNAVAILABLE);
        if (s == QP_OK)
            ck_assert_ptr_nonnull(strstr(qp_cpu_isa(), n == 0 ? "" : qp_cpu_isa_name(n)));
        else
            printf("SKIP isa %s: %s\n", qp_cpu_isa_name(n), err.msg);
        qp_err_clear(&err);
    }
    ck_assert_int_eq(n, 3);
    ck_assert_ptr_null(qp_cpu_isa_name(-1));
}
END_TEST

START_TEST(an_unknown_set_is_refused_and_changes_nothing) {
    qp_err err = {0};
    ck_assert_int_eq(qp_cpu_isa_force("base", &err), QP_OK);
    const char *before = qp_cpu_isa();
    ck_assert_int_eq(qp_cpu_isa_force("v5", &err), QP_USAGE);
    ck_assert_msg(strstr(err.msg, "'v5'") != NULL && strstr(err.msg, "base, v3 or v4") != NULL, "%s",
                  err.msg);
    ck_assert_str_eq(qp_cpu_isa(), before);
}
END_TEST

// The best of what is here, by the processor's own word; forcing and letting go gives it again.
START_TEST(the_best_set_is_the_default) {
    ck_assert_int_eq(qp_cpu_isa_force(NULL, NULL), QP_OK);
    const char *chosen = qp_cpu_isa();
    printf("dispatched: %s\n", chosen);
    int last = 0;
    for (int i = 0; qp_cpu_isa_name(i) != NULL; i++)
        if (qp_cpu_isa_force(qp_cpu_isa_name(i), NULL) == QP_OK) last = i;
    ck_assert_int_eq(qp_cpu_isa_force(qp_cpu_isa_name(last), NULL), QP_OK);
    ck_assert_str_eq(qp_cpu_isa(), chosen);
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
    ck_assert_int_eq(last, __builtin_cpu_supports("x86-64-v4")   ? 2
                           : __builtin_cpu_supports("x86-64-v3") ? 1
                                                                 : 0);
#endif
}
END_TEST

int main(void) {
    Suite *s = suite_create("cpu instruction sets");
    TCase *c = tcase_create("isa");
    tcase_set_timeout(c, 600);
    tcase_add_loop_test(c, every_instruction_set_and_thread_count_gives_the_same_bytes, 0,
                        qp_n_kernels / QP_DEVICE_COUNT);
    tcase_add_test(c, the_baseline_is_always_here_and_a_lacking_set_is_skipped_with_the_reason);
    tcase_add_test(c, an_unknown_set_is_refused_and_changes_nothing);
    tcase_add_test(c, the_best_set_is_the_default);
    suite_add_tcase(s, c);
    return kit_main(s);
}
