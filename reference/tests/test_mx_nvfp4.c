// SPDX-License-Identifier: Apache-2.0
// NVFP4 of the MX extension (numerics 4.7) against a second computation that searches the codes, and its own
// corners: invalid amax, a scale that underflows, multiplication by the reciprocal, flushed subnormals.
#include <float.h>

#include "tests/mx_kit.h"

static double flushed(double v) {
    return fabs(v) < FLT_MIN ? 0 : v;
}

static float e4m3_nearest(float v) {
    const mx_kit *k = &mx_kits[3];
    return isnan(v) ? NAN : (float)k->value[mx_nearest(k, fmin(v, k->max), 0)];
}

// fl(e): one rounding of an exact or a double result to fp32.
static void second(uint32_t ga_image, const uint32_t *x, int n, bool divide, uint32_t *y) {
    const double ga = flushed(mx_double(ga_image));
    double amax = 0, t = 1;
    float scale = 1, unscale = 1;
    for (int i = 0; i < n; i++) {
        const double a = flushed(fabs(mx_double(x[i])));
        if (a > amax) amax = a;
    }
    amax = fmin(amax, FLT_MAX);
    if (amax != 0 && ga != 0 && isfinite(ga)) {
        t = 448 * flushed((float)(6.0f / (float)ga));
        const float q = (float)flushed((float)(flushed((float)amax / 6.0f) * t));
        const double u = e4m3_nearest(q) / t;
        unscale = (float)flushed((float)u);
        scale = (float)flushed((float)(1 / u));
    }
    for (int i = 0; i < n; i++) {
        const double v = flushed(mx_double(x[i]));
        const float m = divide ? (float)fabs(v) / unscale : (float)flushed((float)fabs(v) * scale);
        const float code = isnan(m) ? 6.0f : (float)mx_kits[0].value[mx_nearest(&mx_kits[0], fmin(m, 6), 0)];
        const float back = (float)flushed(code * unscale);
        y[i] = isnan(back) ? 0x7fc00000 : mx_image(v > 0 ? back : -back);
    }
}

static void answer(uint32_t ga, qp_dtype t, int width, const void *x, int cols, void *y, uint32_t *scales) {
    const ref_spec s = {.format = QP_NVFP4,
                        .engine = QP_ENGINE_MX_EXT,
                        .dtype = t,
                        .rows = 1,
                        .cols = cols,
                        .block_cols = width,
                        .global_amax = ga};
    ref_fakequant(&s, 0, 1, x, y, scales, NULL);
}

START_TEST(a_search_over_all_codes_gives_the_same_bits) {
    enum { COLS = 37 };
    const qp_dtype t = (qp_dtype)_i;
    int64_t n = 0, by_division = 0;
    for (uint64_t row = 0; row < 6000; row++) {
        uint32_t x[COLS], y[COLS], ga = 0;
        const int width = 8 << row % 3;
        for (int i = 0; i < COLS; i++) {
            uint32_t v = mx_sample(&mx_kits[0], row, (uint64_t)i);
            if (row % 7 == 0)
                v = (v & 0x807fffffu) | (uint32_t)(1 + mix(row * COLS + (uint64_t)i) % (1 + row / 7 % 22))
                                            << 23;
            ref_store_f32(t, x, i, v); // every seventh near the end of the normal numbers
        }
        ref_amax(QP_GRAIN_TENSOR, t, 1, COLS, 0, 0, x, &ga);
        if (row % 4 != 0)
            ga = ref_mul(ga, (uint32_t)(128 + row % 9) << 23); // the block is a part of a tensor
        answer(ga, t, width, x, COLS, y, NULL);
        for (int c = 0; c < COLS; c += width) {
            uint32_t in[32], want[32], divided[32];
            const int m = c + width < COLS ? width : COLS - c;
            for (int i = 0; i < m; i++) in[i] = ref_load_f32(t, x, c + i);
            second(ga, in, m, false, want);
            second(ga, in, m, true, divided);
            for (int i = 0; i < m; i++) {
                must(ref_load_f32(t, y, c + i) == ref_to_f32(t, ref_from_f32(t, want[i])),
                     "not the answer of the search", "nvfp4", in[i]);
                by_division += want[i] != divided[i];
                n++;
            }
        }
    }
    ck_assert_int_gt(by_division, 0); // the data can tell the two apart
    printf("%s: %lld elements, %lld with another answer by division\n", qp_dtype_name(t), (long long)n,
           (long long)by_division);
}
END_TEST

typedef struct corner {
    const char *what;
    uint32_t ga, x[3], y[3];
} corner;

static const corner corners[] = {
    {"a zero block has scale 1 and is -0",
     0x3f800000,
     {0, 0x80000000, 0},
     {0x80000000, 0x80000000, 0x80000000}},
    {"a global amax of 0 is a cast to E2M1",
     0,
     {0x3f800000, 0xc0a00000, 0x3e800000},
     {0x3f800000, 0xc0800000, 0}},
    {"so is Inf", 0x7f800000, {0x3f800000, 0xc0a00000, 0x3e800000}, {0x3f800000, 0xc0800000, 0}},
    {"so is NaN", 0x7fc00000, {0x3f800000, 0xc0a00000, 0x7fc00000}, {0x3f800000, 0xc0800000, 0xc0c00000}},
    {"so is a subnormal one", 0x007fffff, {0x3f800000, 0xc0a00000, 0}, {0x3f800000, 0xc0800000, 0x80000000}},
    // ga = 6: T = 448, and the code of a block is that of 448 amax / 6
    {"half of the smallest scale gives code 0: zeros",
     0x40c00000,
     {0x36db6db7, 0xb6800000, 0},
     {0, 0x80000000, 0x80000000}},
    {"three quarters of it give code 1",
     0x40c00000,
     {0x37a49249, 0xb7a49249, 0},
     {0x37924925, 0xb7924925, 0x80000000}},
    // amax .28125: 21 is a tie of E4M3 and goes to 20; 5 scales are a tie of E2M1 and go to 4
    {"scale and element round to even",
     0x40c00000,
     {0x3e900000, 0x3e64924a, 0},
     {0x3e892492, 0x3e36db6e, 0x80000000}},
    {"an element is multiplied by 1/scale: divided, the second would be 3b5b6db8",
     0x40c00000,
     {0x3c5b6db7, 0x3b800000, 0},
     {0x3c5b6db8, 0x3b924925, 0x80000000}},
    {"NaN is -6 times the scale",
     0x40c00000,
     {0x7fc00000, 0x40c00000, 0xc0c00000},
     {0xc0c00000, 0x40c00000, 0xc0c00000}},
    {"Inf counts as FLT_MAX: scale 1",
     0x40c00000,
     {0x7f800000, 0xff800000, 0x40a00000},
     {0x40c00000, 0xc0c00000, 0x40800000}},
};

START_TEST(corners_have_the_bits_of_their_rule) {
    const corner *c = &corners[_i];
    uint32_t y[3];
    answer(c->ga, QP_FP32, 8, c->x, 3, y, NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(y[i] == c->y[i], "%s: element %d: want %08x, got %08x", c->what, i, c->y[i], y[i]);
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    mx_kit_fill();
    Suite *s = suite_create("reference nvfp4 mx-ext");
    TCase *t = tcase_create("nvfp4 mx-ext");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_search_over_all_codes_gives_the_same_bits, QP_BF16, QP_FP32 + 1);
    tcase_add_loop_test(t, corners_have_the_bits_of_their_rule, 0, QP_COUNT(corners));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
