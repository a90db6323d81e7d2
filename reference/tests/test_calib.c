// SPDX-License-Identifier: Apache-2.0
// Candidates, the MSE search, histograms, percentile, entropy, headroom and the MXFP4 -> NVFP4 amax (numerics
// 6, 7): hex from the spec, second roads to the same numbers, and the rules that golden lines do not reach.
#include <check.h>
#include <math.h>
#include <string.h>

#include "calib/calib.h"

enum { N = REF_MSE_CANDIDATES };

static uint32_t image(float f) {
    return ref_image(f);
}

// A counter-based stream, so that a failure names its index.
static uint32_t bits_of(uint64_t i) {
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

static float unit_of(uint64_t i) { // [-1, 1)
    return (float)(int32_t)bits_of(i) * 0x1p-31f;
}

// ---- candidates
// ----------------------------------------------------------------------------------------------

START_TEST(the_fused_product_is_rounded_once) {
    for (uint64_t i = 0; i < 3000000; i += 3) {
        uint32_t a = bits_of(i), b = bits_of(i + 1), c = bits_of(i + 2);
        if (i % 2 == 0) { // near each other, where the second rounding would show
            a = (a & 0x007fffff) | 0x3f800000;
            b = (b & 0x007fffff) | 0x3f800000;
            c = (c & 0x80ffffff) | (110 + i % 40) << 23;
        }
        const float fa = ref_float(a), fb = ref_float(b), fc = ref_float(c);
        if (!isfinite(fa) || !isfinite(fb) || !isfinite(fc)) continue;
        const float want = fmaf(fa, fb, fc), got = ref_fma(fa, fb, fc);
        ck_assert_msg(image(want) == image(got), "%08x %08x %08x: %08x, wanted %08x", a, b, c, image(got),
                      image(want));
    }
    // (1 + 2^-12)(1 - 2^-12 + 2^-24) = 1 + 2^-36: just above half a place of 1, which a double cannot tell
    // from half.
    const float above = 0x1.001p0f, below = 0x1.ffe002p-1f;
    ck_assert_uint_eq(image(ref_fma(above * 0x1p-24f, below, 1.0f)), 0x3f800001);
    ck_assert_uint_eq(image(ref_fma(-above * 0x1p-24f, below, -1.0f)), 0xbf800001);
    ck_assert_uint_eq(image(ref_fma(above * 0x1p-24f, -below, 0x1.000004p0f)), 0x3f800001);
    ck_assert_uint_eq(image(ref_fma(0x1p-24f, 1.0f + 0x1p-23f, 1.0f)), 0x3f800001);
    ck_assert_uint_eq(image(ref_fma(0x1p-60f, 0x1p-60f, 0x1.000002p0f)), 0x3f800001);
    ck_assert_uint_eq(image(ref_fma(-0x1p-60f, 0x1p-60f, 0x1.000002p0f)), 0x3f800001);
}
END_TEST

START_TEST(the_39_multipliers_differ_in_four_places_without_fma) {
    static const struct {
        int i;
        uint32_t scalar, simd;
    } forks[] = {{9, 0x3f91af28, 0x3f91af29},
                 {18, 0x4001af28, 0x4001af29},
                 {20, 0x400e50d8, 0x400e50d7},
                 {25, 0x402de50e, 0x402de50d}};
    uint32_t simd[N], scalar[N];
    int apart = 0;
    ref_linspace(REF_MSE_START, REF_MSE_STOP, N, true, simd);
    ref_linspace(REF_MSE_START, REF_MSE_STOP, N, false, scalar);
    for (int i = 0; i < N; i++) apart += simd[i] != scalar[i];
    ck_assert_int_eq(apart, 4);
    for (int k = 0; k < QP_COUNT(forks); k++) {
        ck_assert_uint_eq(scalar[forks[k].i], forks[k].scalar);
        ck_assert_uint_eq(simd[forks[k].i], forks[k].simd);
    }
    ck_assert_uint_eq(simd[1] - simd[0], 0x3eb286bd - 0x3e800000);
    ck_assert_uint_eq(simd[5], 0x3f3e50d8); // trap 21
    ck_assert_uint_eq(simd[N - 1], REF_MSE_STOP);
    // The middle point belongs to the second half: torch.linspace(0.3, 2.7, 8)[4] counts back from the end.
    ref_linspace(0x3e99999a, 0x402ccccd, 8, true, simd);
    ck_assert_uint_eq(simd[4], 0x3fd5f15f);
    ref_linspace(REF_46_START, REF_46_STOP, 2, true, simd);
    ck_assert(simd[0] == 0x3f800000 && simd[1] == 0x3fc00000);
    ref_linspace(REF_46_START, REF_46_STOP, 1, true, simd);
    ck_assert_uint_eq(simd[0], 0x3f800000);
}
END_TEST

// ---- MSE
// -----------------------------------------------------------------------------------------------------

START_TEST(a_dimensioned_16_bit_amax_rounds_its_trials_and_cuda_its_candidates_too) { // trap 21
    ref_spec s = {.format = QP_INT8_AXIS0, .engine = QP_ENGINE_TORCH_CPU, .amax_dtype = QP_BF16};
    const uint32_t amax = 0x3f810000, candidate = 0x3f3e50d8;
    ck_assert_uint_eq(ref_mse_trial(&s, amax, candidate), 0x3f400000);
    s.engine = QP_ENGINE_TORCH_CUDA;
    ck_assert_uint_eq(ref_mse_trial(&s, amax, candidate), 0x3f3f0000);
    s.amax_0d = true; // 0-dim operands promote: fp32
    ck_assert_uint_eq(ref_mse_trial(&s, amax, candidate), ref_mul(amax, candidate));
    s.amax_0d = false;
    s.amax_dtype = QP_FP32;
    ck_assert_uint_eq(ref_mse_trial(&s, amax, candidate), ref_mul(amax, candidate));
    s.amax_dtype = QP_FP16;
    ck_assert_uint_eq(ref_mse_trial(&s, 0x477fe000, 0x40000000), 0x7f800000); // 65504 * 2
}
END_TEST

// The canonical order by another road: halve at the largest power of two below n.
static float tree(const float *terms, int64_t n) {
    if (n == 1) return terms[0];
    int64_t left = 1;
    while (2 * left < n) left *= 2;
    return tree(terms, left) + tree(terms + left, n - left);
}

typedef struct layout {
    qp_format format;
    int64_t rows, cols, block;
} layout;

static int64_t n_amax(const layout *l) {
    const qp_grain g = qp_format_get(l->format)->grain;
    return g == QP_GRAIN_TENSOR  ? 1
           : g == QP_GRAIN_AXIS0 ? l->rows
                                 : l->rows * ((l->cols + l->block - 1) / l->block);
}

// Losses of one candidate from one whole fake-quant of the tensor.
static void losses_by_fakequant(const ref_spec *s, const layout *l, const float *x, uint32_t candidate,
                                float *loss) {
    enum { MAX = 1024 };
    const int64_t n = n_amax(l), per_row = n / l->rows > 0 ? n / l->rows : 1;
    uint32_t trial[MAX];
    float y[MAX], terms[MAX];
    ref_spec t = *s;
    for (int64_t i = 0; i < n; i++) trial[i] = ref_mse_trial(s, s->amax[i], candidate);
    t.amax = trial;
    ref_fakequant(&t, 0, l->rows, x, y, NULL, NULL);
    for (int64_t i = 0; i < l->rows * l->cols; i++) {
        const float d = x[i] - y[i];
        terms[i] = d * d;
    }
    if (n == 1) {
        loss[0] = tree(terms, l->rows * l->cols);
        return;
    }
    for (int64_t r = 0; r < l->rows; r++)
        for (int64_t b = 0; b < per_row; b++) {
            const int64_t width = per_row == 1 ? l->cols : l->block, first = b * width;
            loss[r * per_row + b] =
                tree(terms + r * l->cols + first, l->cols - first < width ? l->cols - first : width);
        }
}

START_TEST(losses_are_those_of_a_whole_fake_quant_in_the_canonical_order) {
    static const layout layouts[] = {{QP_INT8, 1, 301, 0},         {QP_INT8_AXIS0, 4, 77, 0},
                                     {QP_FP8_E4M3, 3, 65, 0},      {QP_FP8_AXIS0, 3, 130, 0},
                                     {QP_NVFP4_STATIC, 3, 40, 16}, {QP_NVFP4_46, 2, 33, 16},
                                     {QP_INT4_BLOCK, 2, 300, 128}};
    for (int k = 0; k < QP_COUNT(layouts); k++) {
        const layout *l = &layouts[k];
        const int64_t n = n_amax(l);
        uint32_t amax[64], candidates[N], best[64], loss[64 * N];
        int32_t index[64];
        float x[1024], want[64];
        for (int64_t i = 0; i < l->rows * l->cols; i++)
            x[i] = unit_of((uint64_t)i) * unit_of((uint64_t)i + 5000);
        const ref_spec s = {.format = l->format,
                            .engine = l->block == 16 ? QP_ENGINE_IEEE : QP_ENGINE_TORCH_CPU,
                            .dtype = QP_FP32,
                            .rows = l->rows,
                            .cols = l->cols,
                            .amax = amax,
                            .amax_dtype = k % 2 ? QP_BF16 : QP_FP32,
                            .global_amax = 0x3f800000};
        ref_amax(qp_format_get(l->format)->grain, QP_FP32, l->rows, l->cols, 1, l->block, x, amax);
        ref_linspace(REF_MSE_START, REF_MSE_STOP, N, true, candidates);
        ref_mse(&s, 0, l->rows, x, candidates, N, index, best, loss);
        for (int c = 0; c < N; c++) {
            losses_by_fakequant(&s, l, x, candidates[c], want);
            for (int64_t i = 0; i < n; i++)
                ck_assert_msg(loss[i * N + c] == image(want[i]),
                              "%s amax %lld candidate %d: %08x, wanted %08x", qp_format_get(l->format)->name,
                              (long long)i, c, loss[i * N + c], image(want[i]));
        }
        for (int64_t i = 0; i < n; i++) {
            for (int c = 0; c < N; c++) {
                const float here = ref_float(loss[i * N + c]), least = ref_float(loss[i * N + index[i]]);
                ck_assert(c < index[i] ? here > least : here >= least); // the first smallest one
            }
            ck_assert_uint_eq(best[i], ref_mul(amax[i], candidates[index[i]]));
        }
        // Rows by themselves, and without losses: the same.
        if (n == 1) continue;
        const int64_t per_row = n / l->rows;
        int32_t one[64];
        uint32_t one_best[64];
        ref_mse(&s, 1, l->rows - 1, x + l->cols, candidates, N, one, one_best, NULL);
        for (int64_t i = per_row; i < n; i++)
            ck_assert(one[i - per_row] == index[i] && one_best[i - per_row] == best[i]);
    }
}
END_TEST

START_TEST(the_order_of_the_sum_is_visible) {
    // 2^24 and fifteen ones: from left to right every one is lost, in the tree all but the first one's are
    // kept.
    float terms[16] = {0x1p24f};
    ref_sum s = {0};
    float left_to_right = 0;
    for (int i = 0; i < 16; i++) {
        if (i > 0) terms[i] = 1;
        ref_sum_add(&s, terms[i]);
        left_to_right += terms[i];
    }
    ck_assert(ref_sum_of(&s) == tree(terms, 16));
    ck_assert(ref_sum_of(&s) == 0x1p24f + 14 && left_to_right == 0x1p24f);
    for (int n = 1; n < 16; n++) {
        ref_sum part = {0};
        for (int i = 0; i < n; i++) ref_sum_add(&part, terms[i]);
        ck_assert(ref_sum_of(&part) == tree(terms, n));
    }
}
END_TEST

static int search(const ref_spec *s, const float *x, uint32_t *loss) {
    uint32_t candidates[N], best[1];
    int32_t index[1];
    ref_linspace(REF_MSE_START, REF_MSE_STOP, N, true, candidates);
    ref_mse(s, 0, s->rows, x, candidates, N, index, best, loss);
    return index[0];
}

START_TEST(the_first_of_equal_losses_and_the_first_nan_win) {
    uint32_t amax = 0x3f800000, loss[N];
    ref_spec s = {.format = QP_INT8,
                  .engine = QP_ENGINE_TORCH_CPU,
                  .dtype = QP_FP32,
                  .rows = 1,
                  .cols = 3,
                  .amax = &amax,
                  .amax_0d = true};
    const float zeros[3] = {0}, with_nan[3] = {1, NAN, 1}, ordinary[3] = {1, 0.5f, 0.3f};
    ck_assert_int_eq(search(&s, zeros, loss), 0);
    ck_assert(loss[0] == 0 && loss[N - 1] == 0);
    ck_assert_int_eq(search(&s, with_nan, loss), 0);
    ck_assert_uint_eq(loss[7], 0x7fc00000);
    ck_assert_int_gt(search(&s, ordinary, loss), 0);
    // A trial amax that overflows: scale 127 / Inf = 0, then 0 / 0. The first such candidate wins against all
    // numbers.
    amax = 0x7f000000;
    const float large[3] = {0x1p127f, 0x1p126f, 0x1p125f};
    const int first_nan = search(&s, large, loss);
    ck_assert_uint_eq(loss[first_nan], 0x7fc00000);
    ck_assert_int_gt(first_nan, 0);
    ck_assert(loss[first_nan - 1] != 0x7fc00000 && loss[N - 1] == 0x7fc00000);
}
END_TEST

START_TEST(one_nan_amax_switches_the_tiny_rule_off_for_the_other_rows) { // numerics 1.3, point 5
    const float x[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    uint32_t amax[2] = {0, 0x3f800000}, candidate = 0x3f800000, best[2], loss[2];
    int32_t index[2];
    const ref_spec s = {.format = QP_INT8_AXIS0,
                        .engine = QP_ENGINE_TORCH_CPU,
                        .dtype = QP_FP32,
                        .rows = 2,
                        .cols = 4,
                        .amax = amax};
    ref_mse(&s, 0, 2, x, &candidate, 1, index, best, loss);
    ck_assert_uint_eq(loss[0], 0x40000000); // row 0 becomes zeros
    amax[1] = 0x7fc00000;
    ref_mse(&s, 0, 2, x, &candidate, 1, index, best, loss);
    ck_assert_uint_eq(loss[0], 0x7fc00000); // x = 0 becomes 0 * Inf
}
END_TEST

START_TEST(four_over_six_chooses_between_6_and_4_per_block) {
    // Under 1.5 the largest value becomes 4 scales instead of 6: fives lose a half less, threes are exact
    // under 1.
    uint32_t amax[2] = {0x40c00000, 0x40c00000}, candidates[2], best[2];
    int32_t index[2];
    float x[32];
    for (int i = 0; i < 32; i++) x[i] = i < 16 ? 5 : 3;
    x[0] = x[16] = 6;
    const ref_spec s = {.format = QP_NVFP4_46,
                        .engine = QP_ENGINE_IEEE,
                        .dtype = QP_FP32,
                        .rows = 1,
                        .cols = 32,
                        .amax = amax,
                        .global_amax = 0x44c00000};
    ref_linspace(REF_46_START, REF_46_STOP, 2, true, candidates);
    ref_mse(&s, 0, 1, x, candidates, 2, index, best, NULL);
    ck_assert_int_eq(index[0], 1);
    ck_assert_uint_eq(best[0], 0x41100000);
    ck_assert_int_eq(index[1], 0);
    ck_assert_uint_eq(best[1], 0x40c00000);
}
END_TEST

// ---- histograms
// ----------------------------------------------------------------------------------------------

START_TEST(a_histogram_holds_every_magnitude_once_and_its_maximum_in_the_last_bin) {
    enum { BINS = 10 };
    const float x[] = {-1, 0.95f, 0.9f, 0.1f, 0.05f, 0, -0.0f, 0.49999997f, 0.5f};
    int64_t counts[BINS];
    uint32_t edges[BINS + 1];
    ref_histogram(QP_FP32, x, QP_COUNT(x), BINS, counts, edges);
    static const int64_t want[BINS] = {3, 1, 0, 0, 1,
                                       1, 0, 0, 0, 3}; // 0.9f is a trifle below 0.9, its product is 9
    for (int b = 0; b < BINS; b++) ck_assert_int_eq(counts[b], want[b]);
    ck_assert(edges[0] == 0 && edges[BINS] == 0x3f800000 && edges[5] == 0x3f000000);
    const float zeros[3] = {0};
    ref_histogram(QP_FP32, zeros, 3, BINS, counts, edges);
    for (int b = 0; b < BINS; b++) ck_assert_int_eq(counts[b], b == BINS / 2 ? 3 : 0); // histc from -1 to 1
    ck_assert(edges[0] == 0 && edges[BINS] == 0);
}
END_TEST

START_TEST(a_larger_second_batch_adds_bins_of_the_same_width) {
    enum { BINS = 4 };
    const float x[] = {1, 0.3f}, small[] = {0.6f, -1}, large[] = {1.6f, -0.3f};
    int64_t counts[16], n_counts, n_edges;
    uint32_t edges[16];
    ref_histogram(QP_FP32, x, 2, BINS, counts, edges);
    ref_histogram_grow(QP_FP32, small, 2, BINS, edges, &n_counts, &n_edges);
    ck_assert(n_counts == BINS && n_edges == BINS + 1);
    ref_histogram_add(QP_FP32, small, 2, BINS, n_counts, n_edges, counts, edges);
    ck_assert(counts[0] == 0 && counts[1] == 1 && counts[2] == 1 && counts[3] == 2 &&
              edges[BINS] == 0x3f800000);
    ref_histogram_grow(QP_FP32, large, 2, BINS, edges, &n_counts, &n_edges);
    ck_assert(n_counts == 7 && n_edges == 8); // 1.6 / 0.25
    ref_histogram_add(QP_FP32, large, 2, BINS, n_counts, n_edges, counts, edges);
    static const int64_t want[] = {0, 2, 1, 2, 0, 0, 1};
    for (int b = 0; b < 7; b++) ck_assert_int_eq(counts[b], want[b]);
    for (int b = 0; b < 8; b++) ck_assert_uint_eq(edges[b], image((float)b * 0.25f));
}
END_TEST

// torch 2.13: histc and linspace of 1.1 in 18 bins, then arange up to 1.9 (33 edges: two vectors of 16 and a
// rest).
START_TEST(grown_edges_are_those_of_torch_arange_and_equal_maxima_do_not_grow) {
    enum { BINS = 18 };
    static const struct {
        int j;
        uint32_t edge;
    } pins[] = {{11, 0x3f2c16c1}, {15, 0x3f6aaaab}, {22, 0x3fac16c1}, {27, 0x3fd33333}, {28, 0x3fdb05b1}};
    const float x[] = {1.1f}, larger[] = {1.9f};
    int64_t counts[64], n_counts, n_edges;
    uint32_t edges[64], before[64];
    ref_histogram(QP_FP32, x, 1, BINS, counts, edges);
    memcpy(before, edges, sizeof before);
    ref_histogram_grow(QP_FP32, x, 1, BINS, edges, &n_counts, &n_edges);
    ref_histogram_add(QP_FP32, x, 1, BINS, n_counts, n_edges, counts, edges);
    ck_assert(n_counts == BINS && n_edges == BINS + 1 && counts[BINS - 1] == 2);
    ck_assert(memcmp(edges, before, sizeof *edges * (BINS + 1)) == 0);
    ref_histogram_grow(QP_FP32, larger, 1, BINS, edges, &n_counts, &n_edges);
    ref_histogram_add(QP_FP32, larger, 1, BINS, n_counts, n_edges, counts, edges);
    ck_assert(n_counts == 32 && n_edges == 33 && edges[10] != before[10]);
    for (int k = 0; k < QP_COUNT(pins); k++) ck_assert_uint_eq(edges[pins[k].j], pins[k].edge);
}
END_TEST

START_TEST(a_histogram_says_what_it_refuses) {
    const float good[] = {1, 2}, bad[] = {1, NAN}, infinite[] = {1, INFINITY}, zeros[] = {0, 0};
    ck_assert_ptr_null(ref_histogram_refuses(QP_FP32, good, 2, 8, NULL, 0));
    ck_assert_ptr_null(ref_histogram_refuses(QP_FP32, zeros, 2, 8, zeros, 2));
    ck_assert_ptr_nonnull(ref_histogram_refuses(QP_FP32, bad, 2, 8, NULL, 0));
    ck_assert_ptr_nonnull(ref_histogram_refuses(QP_FP32, infinite, 2, 8, NULL, 0));
    ck_assert_ptr_nonnull(strstr(ref_histogram_refuses(QP_FP32, good, 2, 8, bad, 2), "x2"));
    ck_assert_ptr_nonnull(strstr(ref_histogram_refuses(QP_FP32, zeros, 2, 8, good, 2), "x2"));
}
END_TEST

START_TEST(a_percentile_is_the_left_edge_of_the_bin_that_reaches_it) {
    const int64_t counts[] = {5, 0, 3, 2}, none[] = {0, 0, 0, 0};
    const uint32_t edges[] = {0, 1, 2, 3, 4};
    static const struct {
        double percentile;
        uint32_t edge;
    } cases[] = {{0, 0}, {49, 0}, {50, 0}, {50.1, 2}, {80, 2}, {80.1, 3}, {100, 3}};
    for (int i = 0; i < QP_COUNT(cases); i++)
        ck_assert_uint_eq(ref_percentile(cases[i].percentile, 4, counts, edges), cases[i].edge);
    ck_assert_uint_eq(ref_percentile(50, 4, none, edges), 0);
}
END_TEST

START_TEST(entropy_takes_the_last_clipping_that_loses_nothing) {
    // 2 levels (2 bits). Kept 2: the tail goes into the last bin. Kept 4: two bins a level, equal ones:
    // exact.
    const int64_t flat[] = {7, 5, 5, 3, 3, 0}, tail[] = {1, 9, 9, 9, 100, 1};
    const uint32_t edges[] = {0, 10, 20, 30, 40, 50, 60};
    // Bin 0 counts as bin 1, so flat is 5 5 5 3 3 0. Kept 6: levels 5 5 5 and 3 3 (0 left out): exact, and
    // last.
    ck_assert_uint_eq(ref_entropy(2, false, 1, 1, 6, flat, edges), 60);
    ck_assert_uint_eq(ref_entropy(2, false, 4, 1, 6, flat, edges),
                      50); // of 1 and 5, both exact, the last
    // 4 levels: kept 5 clips a tail of one, kept 6 must share a level between 9 and 100.
    ck_assert_uint_eq(ref_entropy(2, true, 1, 2, 6, tail, edges), 50);
}
END_TEST

// ---- headroom, MXFP4 -> NVFP4
// ----------------------------------------------------------------------------------

START_TEST(headroom_is_16384_times_the_low_percentile_or_the_high_one) {
    uint32_t amax = 0;
    float x[64];
    for (int i = 0; i < 64; i++) x[i] = 0;
    ck_assert(!ref_headroom(QP_FP32, x, 64, 16, &amax));
    x[3] = -1; // three zero blocks are not counted
    ck_assert(ref_headroom(QP_FP32, x, 64, 16, &amax));
    // log2 1 is 0: bin 256, centre 2^(-40 + 256.5 * 80 / 512).
    ck_assert_uint_eq(amax, image((float)(16384.0 * exp2(-40 + 256.5 * 80 / 512))));
    // A block 2^-20 below 1e-6 of the largest is no anchor; one 2^-15 below is, and 16384 times it is less
    // than the top.
    x[20] = 0x1p-40f;
    ck_assert(ref_headroom(QP_FP32, x, 64, 16, &amax));
    ck_assert_uint_eq(amax, image((float)(16384.0 * exp2(-40 + 256.5 * 80 / 512))));
    x[20] = 0x1p-15f;
    ck_assert(ref_headroom(QP_FP32, x, 64, 16, &amax));
    ck_assert_uint_eq(amax, image((float)exp2(-40 + 256.5 * 80 / 512)));
    x[40] = INFINITY;
    ck_assert(!ref_headroom(QP_FP32, x, 64, 16, &amax));
    x[40] = NAN;
    ck_assert(!ref_headroom(QP_FP32, x, 64, 16, &amax));
}
END_TEST

START_TEST(cast_amax_is_6_times_the_scale_where_e4m3_holds_it_and_the_largest_value_elsewhere) {
    // kmax = 0 (byte 7f), m = -8: k from -17 to 0 is in range.
    const uint8_t scales[] = {127, 110, 109, 0};
    uint8_t codes[4 * 16] = {0};
    uint32_t global = 0, blocks[8];
    codes[32] = 0x0d; // block 2: -3 in the low half of a byte
    codes[48] = 0x40; // block 3: 2 in the high half
    ref_cast_amax(4, scales, codes, &global, blocks);
    ck_assert_uint_eq(global, image(2688.0f * 0x1p-8f));
    static const float want[] = {6.0f, 6.0f * 0x1p-17f, 3.0f * 0x1p-18f, 2.0f * 0x1p-127f};
    for (int i = 0; i < 8; i++) ck_assert_uint_eq(blocks[i], image(want[i / 2]));
    const uint8_t zeros[] = {0, 0};
    ref_cast_amax(2, zeros, codes, &global, blocks);
    ck_assert_uint_eq(global, image(2688.0f * 0x1p-8f)); // kmax 0 for the one helper,
    ck_assert_uint_eq(blocks[0], 0x01400000);            // -127 for the other: 6 * 2^-127
}
END_TEST

int main(void) {
    Suite *s = suite_create("calib");
    TCase *t = tcase_create("calib");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_fused_product_is_rounded_once);
    tcase_add_test(t, the_39_multipliers_differ_in_four_places_without_fma);
    tcase_add_test(t, a_dimensioned_16_bit_amax_rounds_its_trials_and_cuda_its_candidates_too);
    tcase_add_test(t, losses_are_those_of_a_whole_fake_quant_in_the_canonical_order);
    tcase_add_test(t, the_order_of_the_sum_is_visible);
    tcase_add_test(t, the_first_of_equal_losses_and_the_first_nan_win);
    tcase_add_test(t, one_nan_amax_switches_the_tiny_rule_off_for_the_other_rows);
    tcase_add_test(t, four_over_six_chooses_between_6_and_4_per_block);
    tcase_add_test(t, a_histogram_holds_every_magnitude_once_and_its_maximum_in_the_last_bin);
    tcase_add_test(t, a_larger_second_batch_adds_bins_of_the_same_width);
    tcase_add_test(t, grown_edges_are_those_of_torch_arange_and_equal_maxima_do_not_grow);
    tcase_add_test(t, a_histogram_says_what_it_refuses);
    tcase_add_test(t, a_percentile_is_the_left_edge_of_the_bin_that_reaches_it);
    tcase_add_test(t, entropy_takes_the_last_clipping_that_loses_nothing);
    tcase_add_test(t, headroom_is_16384_times_the_low_percentile_or_the_high_one);
    tcase_add_test(t, cast_amax_is_6_times_the_scale_where_e4m3_holds_it_and_the_largest_value_elsewhere);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
