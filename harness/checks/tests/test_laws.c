// SPDX-License-Identifier: Apache-2.0
// The laws on answers made by hand: a planted difference is found at its place, exceptions leave out what
// they say and nothing else, and the transformed inputs are what their law needs.
#include "checks/tests/evidence.h"

enum { ROWS = 3, COLS = 37, BLOCK = 16 };

// fp32 values on a grid that doubling, negating and rounding leave alone: x is its own answer.
static uint32_t x[ROWS * COLS], y[ROWS * COLS], after[ROWS * 96], amax[ROWS * 3];

static uint32_t image_of(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static qp_law_ev evidence(qp_law law, qp_format f) {
    for (int i = 0; i < ROWS * COLS; i++) x[i] = y[i] = image_of((float)((i * 29) % 41 - 20) / 4);
    for (int i = 0; i < QP_COUNT(amax); i++) amax[i] = image_of(8.0f);
    qp_law_ev ev = {.law = law,
                    .but = qp_law_exceptions(law, f),
                    .fqn = "tensor.0",
                    .format = f,
                    .dtype = QP_FP32,
                    .rows = ROWS,
                    .cols = COLS,
                    .x = x,
                    .amax = amax,
                    .global_amax = image_of(8.0f),
                    .y = y,
                    .y_after = after,
                    .cols_after = qp_law_cols(law, f, COLS)};
    ck_assert_int_le(ev.cols_after, 96);
    qp_law_input(&ev, after); // a subject that answers with its input
    return ev;
}

static const qp_format formats[] = {QP_INT8, QP_FP8_AXIS0, QP_NVFP4, QP_NVFP4_STATIC, QP_MXFP4};
static const qp_law fake_laws[] = {QP_LAW_IDEMPOTENCE, QP_LAW_ODD,   QP_LAW_SCALING,
                                   QP_LAW_PERMUTATION, QP_LAW_ORDER, QP_LAW_PADDING};

START_TEST(a_subject_that_answers_with_its_input_keeps_every_law) {
    for (int f = 0; f < QP_COUNT(formats); f++)
        for (int law = 0; law < QP_COUNT(fake_laws); law++) {
            qp_law_ev ev = evidence(fake_laws[law], formats[f]);
            qp_finding found = check_law(&ev);
            ck_assert_msg(found.verdict == QP_PASS, "%s", found.text);
            ck_assert_int_ge(found.n_judged, ROWS * (COLS - 3)); // order: one less a block
        }
}
END_TEST

START_TEST(one_wrong_bit_is_found_at_its_element) {
    for (int f = 0; f < QP_COUNT(formats); f++)
        for (int law = 0; law < QP_COUNT(fake_laws); law++) {
            if (fake_laws[law] == QP_LAW_ORDER) continue;
            qp_law_ev ev = evidence(fake_laws[law], formats[f]);
            const bool turned = ev.law == QP_LAW_PERMUTATION,
                       rows = qp_format_get(ev.format)->block_cols == 0;
            const int width = rows ? COLS : qp_format_get(ev.format)->block_cols;
            const int col = 34, begin = col / width * width,
                      end = begin + width < COLS ? begin + width : COLS;
            after[1 * ev.cols_after + (turned ? begin + end - 1 - col : col)] ^= 0x1000;
            qp_finding found = check_law(&ev);
            ck_assert_str_eq(found.check, qp_law_get(ev.law)->name);
            ck_assert_int_eq(found.verdict, QP_FAILED);
            ck_assert_int_eq(found.n_diff, 1);
            ck_assert_msg(strstr(found.where, "tensor.0 row 1 col 34 x ") != NULL, "%s", found.where);
        }
}
END_TEST

START_TEST(padding_that_does_not_stay_zero_is_found_behind_the_row) {
    qp_law_ev ev = evidence(QP_LAW_PADDING, QP_NVFP4);
    ck_assert_int_eq(ev.cols_after, 64); // three blocks and one more
    after[2 * 64 + 40] = image_of(-0.0f);
    ck_assert_int_eq(check_law(&ev).verdict, QP_PASS);
    after[2 * 64 + 40] = image_of(0.5f);
    ck_assert_ptr_nonnull(strstr(check_law(&ev).where, "row 2 col 40"));
    ck_assert_int_eq(qp_law_cols(QP_LAW_PADDING, QP_INT8, COLS), COLS + 7);
    ck_assert_int_eq(qp_law_cols(QP_LAW_ODD, QP_NVFP4, COLS), COLS);
}
END_TEST

START_TEST(order_is_kept_within_a_scale_and_equal_inputs_have_one_answer) {
    qp_law_ev ev = evidence(QP_LAW_ORDER, QP_NVFP4);
    y[5] = image_of(100.0f); // above all others of its block
    qp_finding found = check_law(&ev);
    ck_assert_int_eq(found.n_diff, 1);
    ev = evidence(QP_LAW_ORDER, QP_NVFP4);
    x[6] = x[5];
    y[6] = image_of(float_of(y[5]) + 0.01f);
    ck_assert_int_ge(check_law(&ev).n_diff, 1);
    ev = evidence(QP_LAW_ORDER, QP_NVFP4);
    x[5] = 0x80000000u, x[6] = 0, y[5] = 0, y[6] = 0x80000000u; // zeros of either sign are one value
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
    ev = evidence(QP_LAW_ORDER, QP_NVFP4);
    for (int c = 0; c < BLOCK; c++) y[c] = image_of(float_of(x[c]) + 1000.0f); // another block, another scale
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
    ev = evidence(QP_LAW_ORDER, QP_INT8);
    for (int c = 0; c < BLOCK; c++) y[c] = image_of(float_of(x[c]) + 1000.0f); // one scale for all
    ck_assert_int_gt(check_law(&ev).n_diff, 0);
    ev = evidence(QP_LAW_ORDER, QP_INT8);
    x[3] = 0x7fc00000; // a NaN has no place
    y[3] = image_of(-77.0f);
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
}
END_TEST

START_TEST(exceptions_leave_out_what_they_say_and_nothing_else) {
    qp_law_ev ev = evidence(QP_LAW_ODD, QP_INT8); // beyond: amax of the whole tensor
    amax[0] = image_of(2.0f);
    const int large = 0, small = 1; // |x| above and below 2
    ck_assert(float_of(x[large]) < -2 && float_of(x[small]) < 2.5f);
    x[small] = y[small] = image_of(1.5f);
    after[small] = image_of(-1.5f);
    after[large] ^= 1;
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
    ev.narrow_range = true; // now the lowest level has a partner
    ck_assert_int_eq(check_law(&ev).n_diff, 1);
    ev.narrow_range = false;
    after[small] ^= 1;
    ck_assert_int_eq(check_law(&ev).n_diff, 1);

    ev = evidence(QP_LAW_ODD, QP_NVFP4); // the sign of zero, NaN
    x[0] = y[0] = 0, after[0] = 0;
    x[1] = 0x7fc00000, y[1] = image_of(-6.0f), after[1] = image_of(-6.0f);
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
    ev.but = 0;
    ck_assert_int_eq(check_law(&ev).n_diff, 2);

    ev = evidence(QP_LAW_IDEMPOTENCE, QP_NVFP4); // small blocks
    for (int c = 0; c < BLOCK; c++) x[c] = y[c] = after[c] = image_of(0x1p-12f);
    after[3] ^= 1;
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
    for (int c = 0; c < BLOCK; c++) x[c] = image_of(0x1p-9f);
    ck_assert_int_eq(check_law(&ev).n_diff, 1);

    ev = evidence(QP_LAW_CODES, QP_MXFP4); // never
    ck_assert_int_eq(check_law(&ev).n_judged, 0);
}
END_TEST

START_TEST(doubling_is_exact_and_answers_that_were_rounded_once_more_are_left_out) {
    ck_assert_uint_eq(qp_law_amax(QP_LAW_SCALING, 0x00000001), 0x00000002);
    ck_assert_uint_eq(qp_law_amax(QP_LAW_SCALING, 0x00700000), 0x00e00000); // into the normal numbers
    ck_assert_uint_eq(qp_law_amax(QP_LAW_SCALING, 0xbf800001), 0xc0000001);
    ck_assert_uint_eq(qp_law_amax(QP_LAW_SCALING, 0x7f000000), 0x7f800000);
    ck_assert_uint_eq(qp_law_amax(QP_LAW_SCALING, 0x7fc00000), 0x7fc00000);
    ck_assert_uint_eq(qp_law_amax(QP_LAW_ODD, 0x3f800000), 0x3f800000);
    qp_law_ev ev = evidence(QP_LAW_SCALING, QP_INT8);
    y[7] = 0x00400000, after[7] = 0x00800001; // a subnormal answer
    ck_assert_int_eq(check_law(&ev).n_diff, 0);
    y[7] = 0x01000000, after[7] = 0x01800001;
    ck_assert_int_eq(check_law(&ev).n_diff, 1);
    amax[0] = image_of(0x1p-22f); // near the threshold 2^-24
    ck_assert_int_eq(check_law(&ev).n_judged, 0);
}
END_TEST

START_TEST(fp16_and_bf16_are_read_as_what_they_are) {
    uint16_t hx[4] = {0x3c00, 0xbc00, 0x0001, 0x7bff}, hy[4], ha[4];
    qp_law_ev ev = {.law = QP_LAW_SCALING,
                    .but = qp_law_exceptions(QP_LAW_SCALING, QP_INT8),
                    .fqn = "t",
                    .format = QP_INT8,
                    .dtype = QP_FP16,
                    .rows = 1,
                    .cols = 3,
                    .x = hx,
                    .amax = amax,
                    .y = hy,
                    .y_after = ha,
                    .cols_after = 3};
    memcpy(hy, hx, sizeof hy);
    amax[0] = image_of(8.0f);
    qp_law_input(&ev, ha);
    ck_assert(ha[0] == 0x4000 && ha[1] == 0xc000 && ha[2] == 0x0002);
    qp_finding f = check_law(&ev);
    ck_assert_int_eq(f.n_judged, 2); // the subnormal one is not asked
    ck_assert_int_eq(f.n_diff, 0);
    ev.cols = ev.cols_after = 4; // 65504 cannot be doubled
    qp_law_input(&ev, ha);
    ck_assert_int_eq(ha[3], 0x7c00);
    ck_assert_int_eq(check_law(&ev).n_judged, 2);
    ev.format = QP_MXFP4; // and where the scale comes from the data, nothing beside it
    ck_assert_int_eq(check_law(&ev).n_judged, 0);
    ev.dtype = QP_BF16;
    hx[0] = 0x3f80;
    qp_law_input(&ev, ha);
    ck_assert_int_eq(ha[0], 0x4000);
}
END_TEST

int main(void) {
    Suite *s = suite_create("checks: laws");
    TCase *t = tcase_create("laws");
    tcase_add_test(t, a_subject_that_answers_with_its_input_keeps_every_law);
    tcase_add_test(t, one_wrong_bit_is_found_at_its_element);
    tcase_add_test(t, padding_that_does_not_stay_zero_is_found_behind_the_row);
    tcase_add_test(t, order_is_kept_within_a_scale_and_equal_inputs_have_one_answer);
    tcase_add_test(t, exceptions_leave_out_what_they_say_and_nothing_else);
    tcase_add_test(t, doubling_is_exact_and_answers_that_were_rounded_once_more_are_left_out);
    tcase_add_test(t, fp16_and_bf16_are_read_as_what_they_are);
    suite_add_tcase(s, t);
    return run_suite(s);
}
