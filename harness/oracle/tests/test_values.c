// SPDX-License-Identifier: Apache-2.0
// The oracle's values: slices cut from the reference's answer on the full weight, presence, shapes, classes
// of pack.
#include "oracle/tests/tiny.h"

static const char DOWN[] = "l.0.moe.experts.2.down_proj", UP[] = "l.0.moe.experts.2.up_proj";
static const char GLOBAL[] = "weight_quantizer._global_amax", AMAX[] = "weight_quantizer._amax";

typedef struct field_row {
    const char *stage, *field;
    qp_dtype dtype;
    int shrink; // weight columns per byte or element of the field
    bool nvfp4; // only there
} field_row;

static const field_row fields[] = {
    {"shard", "weight", QP_BF16, 1, false},      {"fakequant", "y", QP_BF16, 1, false},
    {"fakequant", "grad", QP_BF16, 1, false},    {"pack", "weight_packed", QP_U8, 2, true},
    {"pack", "weight_scale", QP_E4M3, 16, true}, {"pack", "dequant", QP_BF16, 1, true}};

static const qp_format formats[] = {QP_INT8_AXIS0, QP_FP8_E4M3, QP_NVFP4, QP_NVFP4_STATIC};

static bool has_codes(qp_format f) {
    return f == QP_NVFP4 || f == QP_NVFP4_STATIC;
}

// What one rank holds must be the same rectangle of what one rank alone would hold: the amax is the full one
// on every layout.
static void compare_slices(tiny *t, const field_row *f, const char *fqn, const qp_layout *l, int rank) {
    qp_layout one = tiny_layout(1, 1);
    int64_t rows, cols;
    const qp_module *m = &t->mods[tiny_index(t, fqn)];
    ref_local_shape(m, l, rank, &rows, &cols);
    qp_state whole = tiny_state(t, f->stage, fqn, f->field, &one, 0, f->dtype, TINY_OUT, TINY_IN / f->shrink);
    qp_state part = tiny_state(t, f->stage, fqn, f->field, l, rank, f->dtype, rows, cols / f->shrink);
    const unsigned char *full = tiny_want(t, &whole, NULL), *own = tiny_want(t, &part, NULL);
    ck_assert_ptr_nonnull(full);
    ck_assert_ptr_nonnull(own);
    size_t size = qp_dtype_bytes(f->dtype), n = (size_t)part.cols * size;
    size_t col0 = (size_t)(ref_global_col(m, l, rank, 0) / f->shrink) * size;
    for (int64_t r = 0; r < rows; r++) {
        size_t row = (size_t)ref_global_row(m, l, rank, r) * (size_t)whole.cols * size;
        ck_assert_msg(memcmp(own + (size_t)r * n, full + row + col0, n) == 0, "%s %s rank %d row %d", fqn,
                      f->field, rank, (int)r);
    }
}

START_TEST(every_field_on_every_rank_is_its_slice_of_the_whole) {
    tiny *t = tiny_new(formats[_i]);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(2, 2);
    for (int f = 0; f < QP_COUNT(fields); f++)
        for (int rank = 2; rank < 4 && (!fields[f].nvfp4 || has_codes(formats[_i])); rank++) {
            compare_slices(t, &fields[f], DOWN, &l, rank);
            compare_slices(t, &fields[f], UP, &l, rank);
        }
    tiny_free(t);
}
END_TEST

START_TEST(fakequant_on_the_whole_is_the_reference_with_the_full_amax) {
    tiny *t = tiny_new(QP_FP8_E4M3);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout one = tiny_layout(1, 1);
    uint16_t x[TINY_OUT * TINY_IN], y[TINY_OUT * TINY_IN];
    uint32_t amax = tiny_max(t, UP, 0, TINY_OUT, 0, TINY_IN);
    ck_assert_int_eq(
        qp_weights_slice(t->weights, &t->mods[tiny_index(t, UP)], 0, TINY_OUT, 0, TINY_IN, x, NULL), QP_OK);
    ref_spec s = {.format = QP_FP8_E4M3,
                  .engine = QP_ENGINE_IEEE,
                  .dtype = QP_BF16,
                  .rows = TINY_OUT,
                  .cols = TINY_IN,
                  .amax = &amax};
    ref_fakequant(&s, 0, TINY_OUT, x, y, NULL, NULL);
    qp_coverage cov = {0};
    qp_state st = tiny_state(t, "fakequant", UP, "y", &one, 0, QP_BF16, TINY_OUT, TINY_IN);
    ck_assert_mem_eq(tiny_want(t, &st, &cov), y, sizeof y);
    ck_assert_int_eq(cov.n_elems, TINY_OUT * TINY_IN);
    st.field = "grad";
    uint16_t *grad = tiny_want(t, &st, &cov);
    ck_assert_int_eq(cov.n_elems, TINY_OUT * TINY_IN);
    int zeros = 0;
    for (int i = 0; i < TINY_OUT * TINY_IN; i++) zeros += grad[i] == 0;
    ck_assert_int_lt(
        zeros, 20); // |x| <= amax everywhere: clipping keeps the upstream gradient, which is hardly ever zero
    tiny_free(t);
}
END_TEST

START_TEST(a_disabled_quantizer_is_the_identity_and_holds_nothing) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    t->entries[0].enable = t->entries[0].cfg.enabled = t->entries[0].has_cfg = false;
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout one = tiny_layout(1, 1);
    uint16_t x[TINY_OUT * TINY_IN];
    ck_assert_int_eq(
        qp_weights_slice(t->weights, &t->mods[tiny_index(t, UP)], 0, TINY_OUT, 0, TINY_IN, x, NULL), QP_OK);
    qp_state st = tiny_state(t, "fakequant", UP, "y", &one, 0, QP_BF16, TINY_OUT, TINY_IN);
    ck_assert_mem_eq(tiny_want(t, &st, NULL), x, sizeof x);
    static const char *const none[] = {"weight_quantizer._amax", "weight_quantizer._global_amax",
                                       "weight_packed",          "weight_scale",
                                       "weight_scale_2",         "dequant",
                                       "no such field"};
    for (int i = 0; i < QP_COUNT(none); i++) {
        st = tiny_state(t, "pack", UP, none[i], &one, 0, QP_FP32, 1, 1);
        ck_assert_ptr_null(tiny_want(t, &st, NULL));
    }
    tiny_free(t);
}
END_TEST

START_TEST(a_state_of_another_shape_or_type_can_never_be_right) {
    tiny *t = tiny_new(QP_INT8_AXIS0);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(1, 1);
    const qp_state good = tiny_state(t, "sync", UP, AMAX, &l, 0, QP_FP32, TINY_OUT, 1);
    static const int64_t beyond[] = {0, TINY_OUT};
    qp_state bad[] = {good, good, good, good, good};
    bad[0].rows = bad[0].n_rows_held = 1; // a scalar where there is one value a row
    bad[1].cols = 2;
    bad[2].dtype = QP_BF16;
    bad[3].row_ids = beyond;
    bad[3].n_rows_held = 2;
    bad[4].n_rows_held = TINY_OUT / 2; // rows left out without saying which
    for (int i = 0; i < QP_COUNT(bad); i++) {
        const unsigned char *want = tiny_want(t, &bad[i], NULL);
        ck_assert_ptr_nonnull(want);
        size_t n = (size_t)(bad[i].n_rows_held * bad[i].cols) * qp_dtype_bytes(bad[i].dtype);
        for (size_t k = 0; k < n; k++) ck_assert_uint_eq(want[k], 0xa5);
    }
    tiny_free(t);
}
END_TEST

START_TEST(weight_scale_2_belongs_to_the_global_amax) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(2, 1);
    ref_spec s = {
        .format = QP_NVFP4_STATIC, .engine = QP_ENGINE_IEEE, .dtype = QP_BF16, .rows = 1, .cols = 16};
    s.global_amax = tiny_scalar(t, "promote", UP, GLOBAL, &l, 1);
    ck_assert_uint_eq(tiny_scalar(t, "pack", UP, "weight_scale_2", &l, 1), ref_weight_scale_2(&s));
    tiny_free(t);
}
END_TEST

START_TEST(pack_classes_explain_every_block_and_a_flipped_bit_is_left_over) {
    static const qp_format two_level[] = {QP_NVFP4, QP_NVFP4_STATIC};
    tiny *t = tiny_new(two_level[_i]);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(2, 1);
    qp_state st = tiny_state(t, "pack", DOWN, "dequant", &l, 1, QP_BF16, TINY_OUT, TINY_IN / 2), classes;
    uint16_t *dequant = tiny_want(t, &st, NULL);
    st.data = dequant;
    for (int planted = 0; planted < 2; planted++) {
        ck_assert_int_eq(qp_oracle_pack_classes(t->oracle, &st, t->arena, &classes, NULL), QP_OK);
        const int64_t *n = classes.data;
        int64_t sum = 0;
        for (int k = 0; k < REF_SCALE_CLASS_COUNT; k++) sum += n[k];
        ck_assert_str_eq(classes.field, "pack-classes");
        ck_assert_int_eq(sum, TINY_OUT * 2);
        ck_assert_int_eq(n[REF_SCALE_UNEXPLAINED], planted);
        dequant[37] ^= 1;
    }
    st.data = NULL;
    ck_assert_int_eq(qp_oracle_pack_classes(t->oracle, &st, t->arena, &classes, NULL), QP_OK);
    ck_assert_ptr_null(classes.data);
    tiny_free(t);
}
END_TEST

// ---- what is expected --------------------

typedef struct seen {
    int n, n_matching;
    const char *field;
} seen;

static void note(void *user, const char *fqn, const char *field) {
    seen *s = user;
    (void)fqn;
    s->n++;
    s->n_matching += strcmp(field, s->field) == 0;
}

static seen expected(tiny *t, const qp_layout *l, int rank, const char *stage, const char *field) {
    seen s = {0, 0, field};
    ck_assert_int_eq(qp_oracle_expected(t->oracle, l, rank, stage, note, &s, NULL), QP_OK);
    return s;
}

START_TEST(the_states_a_rank_must_show_are_counted_from_model_and_recipe) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(1, 2);
    int held = 3 + 3 * TINY_EXPERTS / 2;
    ck_assert_int_eq(expected(t, &l, 0, "shard", "weight").n, held);
    ck_assert_int_eq(expected(t, &l, 0, "calibrate", AMAX).n_matching, held);
    ck_assert_int_eq(expected(t, &l, 0, "sync", "input_quantizer._amax").n_matching, held);
    ck_assert_int_eq(expected(t, &l, 0, "promote", GLOBAL).n_matching, held);
    ck_assert_int_eq(expected(t, &l, 0, "fakequant", "y").n, 2 * held);
    ck_assert_int_eq(expected(t, &l, 0, "pack", "dequant").n, 4 * held);
    ck_assert_int_eq(expected(t, &l, 0, "load-back", GLOBAL).n_matching, held);
    ck_assert_int_eq(expected(t, &l, 0, "no such stage", GLOBAL).n, 0);
    tiny_free(t);
    t = tiny_new(QP_FP8_E4M3);
    tiny_start(t, QP_SYNC_INVARIANT);
    ck_assert_int_eq(expected(t, &l, 0, "promote", GLOBAL).n, 0);
    ck_assert_int_eq(expected(t, &l, 0, "pack", "dequant").n, 0);
    int alive = 0;
    for (int rank = 0; rank < 2; rank++)
        alive += expected(t, &l, rank, "calibrate", "input_quantizer._amax").n_matching;
    ck_assert_int_lt(alive, 2 * held); // dead experts have no input amax before the sync
    tiny_free(t);
}
END_TEST

START_TEST(many_threads_get_the_same_answers) {
    enum { N = 64 };
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    tiny_start(t, QP_SYNC_MODELOPT_047);
    qp_layout l = tiny_layout(2, 2);
    qp_state st = tiny_state(t, "fakequant", DOWN, "y", &l, 2, QP_BF16, TINY_OUT, TINY_IN / 2);
    const void *first = tiny_want(t, &st, NULL);
    int differ = 0;
#pragma omp parallel for reduction(+ : differ)
    for (int i = 0; i < N; i++) {
        qp_arena *a = qp_arena_new();
        void *want = NULL;
        differ += qp_oracle_want(t->oracle, &st, a, &want, NULL, NULL) != QP_OK ||
                  memcmp(want, first, TINY_OUT * TINY_IN / 2 * sizeof(uint16_t)) != 0;
        qp_arena_free(a);
    }
    ck_assert_int_eq(differ, 0);
    tiny_free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("oracle: values");
    TCase *t = tcase_create("values");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_field_on_every_rank_is_its_slice_of_the_whole, 0, QP_COUNT(formats));
    tcase_add_test(t, fakequant_on_the_whole_is_the_reference_with_the_full_amax);
    tcase_add_test(t, a_disabled_quantizer_is_the_identity_and_holds_nothing);
    tcase_add_test(t, a_state_of_another_shape_or_type_can_never_be_right);
    tcase_add_test(t, weight_scale_2_belongs_to_the_global_amax);
    tcase_add_loop_test(t, pack_classes_explain_every_block_and_a_flipped_bit_is_left_over, 0, 2);
    tcase_add_test(t, the_states_a_rank_must_show_are_counted_from_model_and_recipe);
    tcase_add_test(t, many_threads_get_the_same_answers);
    suite_add_tcase(s, t);
    return tiny_run(s);
}
