// SPDX-License-Identifier: Apache-2.0
// The variants themselves: the one without a sin is the reference bit for bit, so that a difference of the
// others is their sin and not a mistake of their engine.
#include <check.h>
#include <string.h>

#include "qp/ref.h"
#include "variants/variants.h"

enum { MAX_ELEMS = 4096 };

typedef struct tensor {
    qp_format format;
    qp_dtype dtype;
    int64_t rows, cols;
    uint32_t images[MAX_ELEMS]; // fp32 images of x
    uint32_t amax[MAX_ELEMS], global_amax;
} tensor;

static uint64_t state;

static uint64_t draw(void) { // splitmix64
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t image_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

// What data there is: 0 near one, 1 every exponent, 2 near one with specials, 3 tiny.
enum { N_KINDS = 4 };

static uint32_t one_value(int kind) {
    const uint64_t w = draw();
    uint32_t u = (uint32_t)w;
    if (kind == 1) return u;
    u = (u & 0x807fffffu) | (uint32_t)(120 + (w >> 40) % 10) << 23;
    if ((w >> 50) % 4 == 0) u &= 0xffe00000u; // few mantissa bits: ties
    if (kind == 3) return (u & 0x807fffffu) | (uint32_t)((w >> 40) % 110) << 23;
    if (kind == 2) {
        static const uint32_t specials[] = {0,          0x80000000u, 1,           0x80000001u, 0x7f800000u,
                                            0xff800000, 0x7fc00000u, 0xffc00000u, 0x7f7fffffu};
        if (w >> 56 < 40) return specials[(w >> 48) % QP_COUNT(specials)];
    }
    return u;
}

static void fill(tensor *t, int kind) {
    const int64_t n = t->rows * t->cols;
    const qp_format_row *f = qp_format_get(t->format);
    uint32_t finite[MAX_ELEMS];
    for (int64_t i = 0; i < n; i++) {
        t->images[i] = ref_to_f32(t->dtype, ref_from_f32(t->dtype, one_value(kind)));
        finite[i] = (t->images[i] & 0x7fffffffu) < 0x7f800000u ? t->images[i] : 0;
    }
    const qp_grain grain = t->format == QP_NVFP4 ? QP_GRAIN_TENSOR : f->grain;
    ref_amax(grain, QP_FP32, t->rows, t->cols, f->block_rows, f->block_cols, finite, t->amax);
    ref_amax(QP_GRAIN_TENSOR, QP_FP32, t->rows, t->cols, 0, 0, finite, &t->global_amax);
}

static void ask_reference(const tensor *t, uint32_t *y) {
    uint32_t x[MAX_ELEMS], out[MAX_ELEMS];
    const ref_spec s = {.format = t->format,
                        .dtype = t->dtype,
                        .rows = t->rows,
                        .cols = t->cols,
                        .amax = t->amax,
                        .global_amax = t->global_amax};
    for (int64_t i = 0; i < t->rows * t->cols; i++) ref_store_f32(t->dtype, x, i, t->images[i]);
    ref_fakequant(&s, 0, t->rows, x, out, NULL, NULL);
    for (int64_t i = 0; i < t->rows * t->cols; i++) y[i] = ref_load_f32(t->dtype, out, i);
}

static void ask_variant(const tensor *t, int variant, uint32_t *y) {
    float x[MAX_ELEMS], amax[MAX_ELEMS], out[MAX_ELEMS];
    for (int64_t i = 0; i < t->rows * t->cols; i++) {
        x[i] = float_of(t->images[i]);
        amax[i] = float_of(t->amax[i]);
    }
    const qp_vtensor v = {t->format, t->dtype, t->rows, t->cols, x, amax, float_of(t->global_amax)};
    qp_variant_fakequant(qp_variant_at(t->format, variant), &v, out);
    for (int64_t i = 0; i < t->rows * t->cols; i++) y[i] = image_of(out[i]);
}

static bool same(uint32_t a, uint32_t b) {
    const bool a_nan = (a & 0x7fffffffu) > 0x7f800000u, b_nan = (b & 0x7fffffffu) > 0x7f800000u;
    return a_nan || b_nan ? a_nan == b_nan : a == b;
}

static const struct {
    int64_t rows, cols;
} shapes[] = {{1, 1}, {1, 16}, {3, 37}, {9, 160}, {2, 300}, {130, 29}};

static bool answered(qp_format f) {
    return qp_n_variants(f) > 0 && ref_unsupported(QP_OP_FAKEQUANT, f, QP_ENGINE_IEEE) == NULL;
}

START_TEST(the_variant_without_a_sin_is_the_reference) {
    const qp_format f = (qp_format)_i;
    if (!answered(f)) return;
    static tensor t;
    static uint32_t must[MAX_ELEMS], got[MAX_ELEMS];
    state = 20260901;
    for (int d = QP_BF16; d <= QP_FP32; d++)
        for (int kind = 0; kind < N_KINDS; kind++)
            for (int s = 0; s < QP_COUNT(shapes); s++)
                for (int again = 0; again < 6; again++) {
                    t = (tensor){.format = f, .dtype = (qp_dtype)d, .rows = shapes[s].rows};
                    t.cols = shapes[s].cols;
                    fill(&t, kind);
                    ask_reference(&t, must);
                    ask_variant(&t, 0, got);
                    for (int64_t i = 0; i < t.rows * t.cols; i++)
                        ck_assert_msg(same(must[i], got[i]),
                                      "%s %s %lldx%lld element %lld x=%08x amax=%08x: wanted %08x, got %08x",
                                      qp_format_get(f)->name, qp_dtype_name((qp_dtype)d), (long long)t.rows,
                                      (long long)t.cols, (long long)i, t.images[i], t.amax[0], must[i],
                                      got[i]);
                }
}
END_TEST

// That every variant differs somewhere is what the mined sets show (harness/cmd/tests/test_mine.c).
START_TEST(there_are_twenty_variants_of_the_main_formats_and_eight_of_the_others) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        const qp_format_row *row = qp_format_get((qp_format)f);
        const bool main = f == QP_NVFP4 || f == QP_MXFP4 || f == QP_FP8_E4M3 || f == QP_INT8;
        if (ref_unsupported(QP_OP_FAKEQUANT, (qp_format)f, QP_ENGINE_IEEE) != NULL) continue;
        const int n = qp_n_variants((qp_format)f) - 1;
        ck_assert_msg(n >= (main ? 20 : 8), "%s: wanted %d variants, got %d", row->name, main ? 20 : 8, n);
    }
}
END_TEST

START_TEST(a_format_with_fake_quant_has_variants_and_no_other_has) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        const bool fake = ref_unsupported(QP_OP_FAKEQUANT, (qp_format)f, QP_ENGINE_IEEE) == NULL;
        ck_assert_msg(fake == (qp_n_variants((qp_format)f) > 0), "%s", qp_format_get((qp_format)f)->name);
    }
}
END_TEST

START_TEST(only_variants_that_exist_are_listed_as_equal_and_only_on_bf16) {
    ck_assert_ptr_nonnull(qp_variant_equal(QP_INT8, QP_BF16, "clip-first"));
    ck_assert_ptr_null(qp_variant_equal(QP_INT8, QP_FP32, "clip-first"));
    ck_assert_ptr_null(qp_variant_equal(QP_INT8, QP_BF16, "clean"));
    ck_assert_ptr_null(qp_variant_equal(QP_FP8_E4M3, QP_BF16, "clip-first"));
    for (int i = 0; i < qp_n_variant_claims(); i++) {
        unsigned formats;
        const char *name = qp_variant_claim(i, &formats);
        for (int f = 0; f < QP_FORMAT_COUNT; f++) {
            bool found = false;
            for (int v = 1; v < qp_n_variants((qp_format)f); v++)
                found = found || strcmp(qp_variant_at((qp_format)f, v)->name, name) == 0;
            ck_assert_msg(!(formats >> f & 1) || found, "%s has no variant %s",
                          qp_format_get((qp_format)f)->name, name);
        }
    }
}
END_TEST

START_TEST(every_variant_has_a_name_of_its_own_and_names_its_section) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        for (int v = 0; v < qp_n_variants((qp_format)f); v++) {
            const qp_variant *a = qp_variant_at((qp_format)f, v);
            ck_assert_msg(strpbrk(a->sin, "0123456789") != NULL, "%s: no section in '%s'", a->name, a->sin);
            for (int w = 0; w < v; w++) ck_assert_str_ne(qp_variant_at((qp_format)f, w)->name, a->name);
        }
}
END_TEST

int main(void) {
    Suite *s = suite_create("variants");
    TCase *c = tcase_create("variants");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, the_variant_without_a_sin_is_the_reference, 0, QP_FORMAT_COUNT);
    tcase_add_test(c, there_are_twenty_variants_of_the_main_formats_and_eight_of_the_others);
    tcase_add_test(c, a_format_with_fake_quant_has_variants_and_no_other_has);
    tcase_add_test(c, only_variants_that_exist_are_listed_as_equal_and_only_on_bf16);
    tcase_add_test(c, every_variant_has_a_name_of_its_own_and_names_its_section);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
