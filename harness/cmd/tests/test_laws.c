// SPDX-License-Identifier: Apache-2.0
// The laws on the reference itself: each holds where the table says so, on every format and type, and breaks
// with each counter-example; every exception has one.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/kernel_laws.h"
#include "cmd/kernel_ops.h"

static qp_arena *arena;
static qp_err err;

static void setup(void) {
    memset(&err, 0, sizeof err);
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

// The reference in the place of a subject.
static qp_status ask_reference(void *user, qp_kernel_case *k, qp_op op, qp_err *out) {
    (void)user;
    for (int i = 0; i < k->n_tensors; i++) {
        qp_kernel_tensor *t = &k->tensors[i];
        qp_kernel_field fields[QP_KERNEL_FIELDS];
        qp_kernel_want want;
        qp_coverage ignored = {0};
        qp_status s = qp_kernel_wanted(k, op, t, arena, &want, &ignored, out);
        if (s != QP_OK) return s;
        int n = qp_kernel_fields(k, t, op, fields);
        for (int f = 0; f < n; f++) *fields[f].got = want.parts[f];
    }
    return QP_OK;
}

// All that the case's format has, answered by the reference.
static void answer(qp_kernel_case *k, bool has[QP_OP_COUNT]) {
    static const qp_op ops[] = {QP_OP_FAKEQUANT, QP_OP_QUANT, QP_OP_DEQUANT};
    for (int i = 0; i < QP_COUNT(ops); i++) {
        has[ops[i]] = (ref_engines(ops[i], k->format) >> k->engines[ops[i]] & 1) != 0;
        if (!has[ops[i]]) continue;
        ck_assert_msg(ask_reference(NULL, k, ops[i], &err) == QP_OK, "%s", err.msg);
    }
}

static const qp_finding *finding(const qp_tally *t, qp_law law) {
    for (int i = 0; i < qp_n_checks; i++)
        if (strcmp(qp_checks[i].name, qp_law_get(law)->name) == 0)
            return t->sum[i].check != NULL ? &t->sum[i] : NULL;
    ck_abort_msg("no check %s", qp_law_get(law)->name);
    return NULL;
}

static qp_tally judge(const qp_kernel_case *k, const bool has[QP_OP_COUNT], bool bare) {
    const qp_law_asked who = {ask_reference, NULL, bare};
    qp_tally tally;
    ck_assert(qp_tally_new(arena, NULL, &tally, &err) == QP_OK);
    ck_assert_msg(qp_kernel_laws(k, has, &who, &tally, &err) == QP_OK, "%s", err.msg);
    return tally;
}

// ---- where they hold ------------------------------------------------------------------------------------

static const char *const kinds_of_data[] = {
    "quant fmt=%s in=%s shape=24x330 dist=gauss:0.02 seed=3",
    "quant fmt=%s in=%s shape=40x264 dist=bits",
    "quant fmt=%s in=%s shape=40x264 dist=ties edge=zero-block,subnormal,neg-zero,nan,inf,max,spread",
    "quant fmt=%s in=%s shape=24x330 dist=heavy edge=subnormal,nan",
    "quant fmt=%s in=%s shape=16x170 dist=quantized",
};

START_TEST(every_law_holds_on_the_reference_where_the_table_says_so) {
    const qp_format f = (qp_format)_i;
    int64_t judged[QP_LAW_COUNT] = {0};
    for (int t = QP_BF16; t <= QP_FP32; t++)
        for (int d = 0; d < QP_COUNT(kinds_of_data); d++) {
            char line[256];
            qp_case_list list = {0};
            qp_kernel_case k;
            bool has[QP_OP_COUNT] = {false};
            snprintf(line, sizeof line, kinds_of_data[d], qp_format_get(f)->name, qp_dtype_name((qp_dtype)t));
            ck_assert_msg(qp_case_parse(line, "test", arena, &list, &err) == QP_OK, "%s", err.msg);
            ck_assert_msg(qp_kernel_data(&list.cases[0], arena, &k, &err) == QP_OK, "%s", err.msg);
            answer(&k, has);
            qp_tally tally = judge(&k, has, false);
            for (int law = 0; law < QP_LAW_COUNT; law++) {
                const qp_finding *found = finding(&tally, (qp_law)law);
                if (found == NULL) continue;
                ck_assert_msg(found->n_diff == 0, "%s: %s: %s", line, found->check, found->text);
                judged[law] += found->n_judged;
            }
            qp_arena_reset(arena);
        }
    for (int law = 0; law < QP_LAW_COUNT; law++) { // none is asked of nothing
        bool asked =
            qp_law_concerns((qp_law)law, f) && (qp_law_exceptions((qp_law)law, f) & QP_BUT_NEVER) == 0;
        ck_assert_msg((judged[law] > 10000) == asked, "%s %s: %lld judged", qp_format_get(f)->name,
                      qp_law_get((qp_law)law)->name, (long long)judged[law]);
    }
}
END_TEST

// ---- where they do not ----------------------------------------------------------------------------------

static void fill_example(const qp_law_example *e, qp_kernel_case *k) {
    char line[256] = "quant fmt=";
    size_t n = strlen(line);
    n += (size_t)snprintf(line + n, sizeof line - n,
                          "%s in=%s shape=%dx%d hex=", qp_format_get(e->format)->name,
                          qp_dtype_name(e->dtype), (int)e->rows, (int)e->cols);
    for (int i = 0; i < e->rows * e->cols; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%0*x", i > 0 ? "," : "",
                              2 * (int)qp_dtype_bytes(e->dtype), e->x[i]);
    qp_case_list list = {0};
    ck_assert_msg(qp_case_parse(line, "test", arena, &list, &err) == QP_OK, "%s", err.msg);
    ck_assert_msg(qp_kernel_data(&list.cases[0], arena, k, &err) == QP_OK, "%s", err.msg);
    qp_kernel_tensor *t = &k->tensors[0];
    for (int64_t i = 0; i < t->amax_rows * t->amax_cols && e->given; i++) t->amax[i] = e->amax;
    if (qp_format_get(e->format)->has_global) t->global_amax = e->global_amax;
}

START_TEST(every_counter_example_breaks_its_law_and_is_left_out_by_its_exception) {
    const qp_law_example *e = &qp_law_examples[_i];
    qp_kernel_case k;
    bool has[QP_OP_COUNT] = {false};
    ck_assert_msg((qp_law_exceptions(e->law, e->format) & e->but) != 0, "%s of %s has no such exception",
                  qp_law_get(e->law)->name, qp_format_get(e->format)->name);
    fill_example(e, &k);
    answer(&k, has);
    qp_tally bare = judge(&k, has, true), careful = judge(&k, has, false);
    const qp_finding *broken = finding(&bare, e->law), *kept = finding(&careful, e->law);
    ck_assert_msg(broken != NULL && broken->n_diff > 0, "%s of %s: %08x breaks nothing",
                  qp_law_get(e->law)->name, qp_format_get(e->format)->name, e->x[0]);
    ck_assert_msg(kept == NULL || kept->n_diff == 0, "%s", kept != NULL ? kept->text : "");
}
END_TEST

static bool is_alike(qp_format a, qp_format b) {
    const qp_format_row *x = qp_format_get(a), *y = qp_format_get(b);
    bool same_scale = x->scale == y->scale && qp_format_is_dynamic(a) == qp_format_is_dynamic(b);
    bool same_kind = (x->element == QP_ELEM_E4M3) == (y->element == QP_ELEM_E4M3) &&
                     (x->element == QP_ELEM_NF4) == (y->element == QP_ELEM_NF4);
    return same_scale && (same_kind || x->scale == QP_SCALE_E8M0);
}

START_TEST(every_exception_of_every_format_has_a_counter_example_of_its_kind) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        for (int law = 0; law < QP_LAW_COUNT; law++)
            for (int bit = 0; bit < QP_BUT_COUNT; bit++) {
                const unsigned but = 1u << bit;
                bool found = false;
                if (!qp_law_concerns((qp_law)law, (qp_format)f)) continue;
                if ((qp_law_exceptions((qp_law)law, (qp_format)f) & but) == 0) continue;
                for (int i = 0; i < qp_n_law_examples; i++) {
                    const qp_law_example *e = &qp_law_examples[i];
                    found = found ||
                            (e->law == (qp_law)law && e->but == but && is_alike(e->format, (qp_format)f));
                }
                ck_assert_msg(found, "%s of %s: no example of '%s'", qp_law_get((qp_law)law)->name,
                              qp_format_get((qp_format)f)->name, qp_law_exception_name(but));
            }
}
END_TEST

START_TEST(a_law_concerns_the_formats_that_have_its_op) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        for (int law = 0; law < QP_LAW_COUNT; law++) {
            qp_op op = law == QP_LAW_CODES ? QP_OP_QUANT : QP_OP_FAKEQUANT;
            ck_assert_msg(qp_law_concerns((qp_law)law, (qp_format)f) == (ref_engines(op, (qp_format)f) != 0),
                          "%s of %s", qp_law_get((qp_law)law)->name, qp_format_get((qp_format)f)->name);
        }
}
END_TEST

int main(void) {
    Suite *s = suite_create("laws");
    TCase *t = tcase_create("laws");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, every_law_holds_on_the_reference_where_the_table_says_so, 0, QP_FORMAT_COUNT);
    tcase_add_loop_test(t, every_counter_example_breaks_its_law_and_is_left_out_by_its_exception, 0,
                        qp_n_law_examples);
    tcase_add_test(t, every_exception_of_every_format_has_a_counter_example_of_its_kind);
    tcase_add_test(t, a_law_concerns_the_formats_that_have_its_op);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
