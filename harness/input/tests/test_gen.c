// SPDX-License-Identifier: Apache-2.0
// The generator: Philox against Random123, any cut gives the same values, every distribution is what its name
// says.
#include "input/gen.h"
#include "input/narrow.h"
#include "input/philox.h"

#include <Random123/philox.h>
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const qp_dtype floats[3] = {QP_BF16, QP_FP16, QP_FP32};

static double value_at(qp_dtype t, const void *base, int64_t i) {
    return float_of(widen_one(t, bits_load(t, base, i)));
}

static void *make(const qp_gen *g, const char *name, int64_t rows, int64_t cols, qp_dtype t) {
    void *p = malloc((size_t)(rows * cols) * qp_dtype_bytes(t) + 1);
    ck_assert_ptr_nonnull(p);
    qp_gen_slice(g, name, rows, cols, t, 0, rows, 0, cols, p);
    return p;
}

START_TEST(philox_gives_the_published_answers) {
    philox_key zero = {{0, 0}, {0, 0}, 0};
    uint32_t out[4];
    philox_block(&zero, 0, out);
    static const uint32_t want[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c,
                                     0x9b00dbd8}; // Random123, kat_vectors
    ck_assert_mem_eq(out, want, sizeof want);
}
END_TEST

START_TEST(philox_tiles_are_bit_equal_to_random123) {
    static const uint64_t tiles[] = {0, 1, 77, (1ull << 28) - 1, 1ull << 28, (1ull << 40) + 12345};
    for (int k = 0; k < QP_COUNT(tiles); k++) {
        philox_key key = philox_key_of(0x123456789abcdef0u + (uint64_t)k, "model.layers.0.w", (uint32_t)k);
        uint32_t words[3 * PHILOX_TILE];
        philox_tiles(&key, tiles[k], 3, words);
        for (int i = 0; i < 3 * PHILOX_TILE; i++) {
            uint64_t counter = (tiles[k] + (uint64_t)(i / 64)) * 16 + (uint64_t)(i % 16);
            philox4x32_ctr_t c = {
                {(uint32_t)counter, (uint32_t)(counter >> 32) | key.stream << 28, key.name[0], key.name[1]}};
            philox4x32_key_t seed = {{key.seed[0], key.seed[1]}};
            philox4x32_ctr_t r = philox4x32(c, seed);
            ck_assert_uint_eq(words[i], r.v[i / 16 % 4]);
            uint32_t block[4];
            philox_block(&key, counter, block);
            ck_assert_mem_eq(block, r.v, sizeof block);
        }
    }
}
END_TEST

// loop index: distribution
START_TEST(any_cut_gives_the_same_values) {
    enum { ROWS = 23, COLS = 1331 };
    static const qp_format formats[] = {QP_INT8_AXIS0, QP_FP8_E4M3, QP_NVFP4};
    for (int v = 0; v < 18; v++) {
        qp_dtype t = floats[v % 3];
        qp_gen g = qp_gen_make(7 + (uint64_t)v, (qp_dist)_i);
        g.format = formats[v / 6];
        g.edges = v / 3 % 2 == 0 ? 0 : (1u << QP_EDGE_COUNT) - 1;
        g.scale_pow2 = v % 3 - 1;
        g.peak_index = v % 2 == 0 ? -1 : 12 * COLS + 700;
        size_t size = qp_dtype_bytes(t);
        char *whole = make(&g, "w", ROWS, COLS, t), *part = malloc(ROWS * COLS * size);
        for (int cut = 0; cut < 12; cut++) {
            uint64_t r = qp_gen_u64(99, "cuts", (uint64_t)(v * 100 + cut));
            int64_t row0 = (int64_t)(r % ROWS), col0 = (int64_t)((r >> 16) % COLS);
            int64_t n_rows = 1 + (int64_t)((r >> 32) % (uint64_t)(ROWS - row0));
            int64_t n_cols = 1 + (int64_t)((r >> 48) % (uint64_t)(COLS - col0));
            qp_gen_slice(&g, "w", ROWS, COLS, t, row0, n_rows, col0, n_cols, part);
            for (int64_t i = 0; i < n_rows; i++)
                ck_assert_msg(memcmp(part + (size_t)(i * n_cols) * size,
                                     whole + (size_t)((row0 + i) * COLS + col0) * size,
                                     (size_t)n_cols * size) == 0,
                              "%s %s: row %lld of a cut differs", qp_dist_names[_i], qp_dtype_name(t),
                              (long long)(row0 + i));
        }
        free(whole);
        free(part);
    }
}
END_TEST

START_TEST(seed_and_name_make_other_values) {
    qp_gen a = qp_gen_make(1, QP_DIST_GAUSS), b = qp_gen_make(2, QP_DIST_GAUSS),
           c = qp_gen_make(1ull << 32, QP_DIST_GAUSS);
    void *p[4] = {make(&a, "w", 8, 64, QP_FP32), make(&b, "w", 8, 64, QP_FP32), make(&c, "w", 8, 64, QP_FP32),
                  make(&a, "v", 8, 64, QP_FP32)};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) {
            int same = 0;
            for (int e = 0; e < 8 * 64; e++)
                same += bits_load(QP_FP32, p[i], e) == bits_load(QP_FP32, p[j], e);
            ck_assert_int_lt(same, 8);
        }
    for (int i = 0; i < 4; i++) free(p[i]);
}
END_TEST

START_TEST(gauss_has_the_deviation_asked_for_and_stays_below_its_amax) {
    enum { N = 1 << 20 };
    for (int t = 0; t < 3; t++) {
        qp_gen g = qp_gen_make(3, QP_DIST_GAUSS);
        void *p = make(&g, "w", 1024, 1024, floats[t]);
        double sum = 0, squares = 0, top = 0, amax = float_of(qp_gen_nominal_amax(&g));
        int inside = 0;
        for (int i = 0; i < N; i++) {
            double v = value_at(floats[t], p, i);
            sum += v;
            squares += v * v;
            top = fabs(v) > top ? fabs(v) : top;
            inside += fabs(v) < 0.02;
        }
        ck_assert_double_lt(fabs(sum / N), 0.02 * 5 / 1024);
        ck_assert_double_eq_tol(sqrt(squares / N), 0.02, 0.02 * 0.005);
        ck_assert_double_eq_tol((double)inside / N, 0.68, 0.02);
        ck_assert_double_gt(top, 0.06);
        ck_assert_double_lt(top, amax);
        free(p);
    }
}
END_TEST

START_TEST(narrow_types_are_the_rounded_fp32_values) {
    for (int d = QP_DIST_GAUSS; d <= QP_DIST_OUTLIERS; d++) {
        qp_gen g = qp_gen_make(11, (qp_dist)d);
        void *wide = make(&g, "w", 64, 700, QP_FP32), *bf16 = make(&g, "w", 64, 700, QP_BF16),
             *fp16 = make(&g, "w", 64, 700, QP_FP16);
        for (int64_t i = 0; i < 64 * 700; i++) {
            double v = value_at(QP_FP32, wide, i);
            double unit = ldexp(1.0, ilogb(v) - 7),
                   half_unit = ldexp(1.0, ilogb(v) < -14 ? -24 : ilogb(v) - 10);
            ck_assert_double_eq(value_at(QP_BF16, bf16, i), rint(v / unit) * unit); // rint: nearest even
            ck_assert_double_eq(value_at(QP_FP16, fp16, i), rint(v / half_unit) * half_unit);
        }
        free(wide);
        free(bf16);
        free(fp16);
    }
}
END_TEST

START_TEST(fp16_is_rounded_right_at_its_limits) {
    static const uint32_t rows[][2] = {
        {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x3f800000, 0x3c00}, {0x477fe000, 0x7bff},
        {0x477fefff, 0x7bff}, {0x477ff000, 0x7bff}, {0x7f7fffff, 0x7bff}, {0x7f800000, 0x7c00},
        {0xff800000, 0xfc00}, {0x7f800001, 0x7e00}, {0x33800000, 0x0001}, {0x33000000, 0x0000},
        {0x33000001, 0x0001}, {0x33c00000, 0x0002}, {0x387fc000, 0x03ff}, {0x387fe000, 0x0400},
        {0x38800000, 0x0400}, {0x32ffffff, 0x0000}, {0x00000001, 0x0000}, {0x3f801000, 0x3c00},
        {0x3f803000, 0x3c02}, {0x3f801001, 0x3c01},
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        uint16_t out;
        narrow_all(QP_FP16, &rows[i][0], 1, &out);
        ck_assert_msg(out == rows[i][1], "%08x: wanted %04x, got %04x", rows[i][0], rows[i][1], out);
    }
    for (uint32_t h = 0; h < 0x7c00; h++) ck_assert_uint_eq(narrow_one(QP_FP16, widen_one(QP_FP16, h)), h);
}
END_TEST

START_TEST(bf16_rounds_to_even_and_keeps_nan) {
    static const uint32_t rows[][2] = {{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
                                       {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0x7f800001, 0x7fc0},
                                       {0xffffffff, 0xffff}, {0x00008000, 0x0000}};
    for (int i = 0; i < QP_COUNT(rows); i++) {
        uint16_t out;
        narrow_all(QP_BF16, &rows[i][0], 1, &out);
        ck_assert_uint_eq(out, rows[i][1]);
        ck_assert_uint_eq(narrow_one(QP_BF16, rows[i][0]), rows[i][1]);
    }
}
END_TEST

START_TEST(heavy_tails_and_outlier_columns_reach_far) {
    enum { ROWS = 512, COLS = 1024 };
    qp_gen g = qp_gen_make(5, QP_DIST_HEAVY);
    void *p = make(&g, "w", ROWS, COLS, QP_FP32);
    double top = 0;
    for (int64_t i = 0; i < ROWS * COLS; i++) top = fmax(top, fabs(value_at(QP_FP32, p, i)));
    ck_assert_double_gt(top, 0.02 * 1000);
    ck_assert_double_lt(top, 0.02 * 4096 * 3.5);
    free(p);
    g = qp_gen_make(5, QP_DIST_OUTLIERS);
    p = make(&g, "w", ROWS, COLS, QP_FP32);
    int loud = 0;
    for (int64_t c = 0; c < COLS; c++) {
        double sum = 0;
        for (int64_t r = 0; r < ROWS; r++) sum += fabs(value_at(QP_FP32, p, r * COLS + c));
        loud += sum / ROWS > 0.02 * 32;
    }
    ck_assert_int_eq(loud, COLS / 64);
    free(p);
}
END_TEST

START_TEST(bits_reach_every_pattern) {
    qp_gen g = qp_gen_make(1, QP_DIST_BITS);
    uint16_t *p = make(&g, "w", 1024, 2048, QP_BF16);
    static char seen[65536];
    int n = 0;
    for (int i = 0; i < 1024 * 2048; i++) seen[p[i]] = 1;
    for (int i = 0; i < 65536; i++) n += seen[i];
    ck_assert_int_eq(n, 65536);
    free(p);
    uint8_t *bytes = make(&g, "w", 64, 64, QP_E4M3);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 64 * 64; i++) seen[bytes[i]] = 1;
    n = 0;
    for (int i = 0; i < 256; i++) n += seen[i];
    ck_assert_int_eq(n, 256);
    free(bytes);
}
END_TEST

START_TEST(zeros_are_zeros) {
    qp_gen g = qp_gen_make(1, QP_DIST_ZEROS);
    for (int t = 0; t < QP_DTYPE_COUNT; t++) {
        unsigned char *p = make(&g, "w", 5, 33, (qp_dtype)t);
        for (size_t i = 0; i < 5 * 33 * qp_dtype_bytes((qp_dtype)t); i++) ck_assert_int_eq(p[i], 0);
        free(p);
    }
}
END_TEST

static uint64_t fnv_of(const void *bytes, size_t n) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001B3u;
    return h;
}

START_TEST(record_is_the_generator_of_the_golden_pipeline_records) {
    static const struct {
        const char *name;
        int64_t rows, cols;
        uint64_t seed;
        bool wide;
        uint16_t first[8];
        uint64_t hash;
    } table[] = {
        // pipeline records page, "Weights (exact)"
        {"model.layers.0.self_attn.q_proj",
         64,
         64,
         11,
         false,
         {0x3ce6, 0xba72, 0x3c9c, 0xbbf6, 0x3cf9, 0xbccb, 0x3b0f, 0x3cb1},
         0xf222716d74369605u},
        {"layer.mlp.experts.gate_up_proj.3",
         32,
         64,
         71,
         false,
         {0xbbb4, 0xbcca, 0x3cbb, 0xbb80, 0x3b6a, 0xbc73, 0xbb84, 0x3b68},
         0xa32a75a303ed31f4u},
        {"layer.experts.2.w1",
         32,
         64,
         51,
         true,
         {0x364f, 0xb419, 0x360b, 0x3662, 0x3510, 0xb62e, 0xb5dc, 0x34e5},
         0x5a26fc054d4a52a8u},
    };
    for (int i = 0; i < QP_COUNT(table); i++) {
        qp_gen g = qp_gen_make(table[i].seed, QP_DIST_RECORD);
        g.record_wide = table[i].wide;
        uint16_t *p = make(&g, table[i].name, table[i].rows, table[i].cols, QP_BF16);
        ck_assert_mem_eq(p, table[i].first, sizeof table[i].first);
        ck_assert_uint_eq(fnv_of(p, (size_t)(table[i].rows * table[i].cols) * 2), table[i].hash);
        free(p);
    }
}
END_TEST

START_TEST(a_power_of_two_scales_exactly) {
    static const qp_dist dists[] = {QP_DIST_GAUSS, QP_DIST_HEAVY, QP_DIST_OUTLIERS, QP_DIST_QUANTIZED,
                                    QP_DIST_RECORD};
    for (int d = 0; d < QP_COUNT(dists); d++) {
        qp_gen g = qp_gen_make(1, dists[d]), h = g;
        h.scale_pow2 = 4;
        void *p = make(&g, "w", 9, 130, QP_BF16), *q = make(&h, "w", 9, 130, QP_BF16);
        for (int i = 0; i < 9 * 130; i++)
            ck_assert_double_eq(value_at(QP_BF16, q, i), 16 * value_at(QP_BF16, p, i));
        ck_assert_double_eq(float_of(qp_gen_nominal_amax(&h)), 16.0 * float_of(qp_gen_nominal_amax(&g)));
        free(p);
        free(q);
    }
}
END_TEST

START_TEST(the_peak_is_the_only_maximum) {
    for (int d = 0; d < QP_DIST_COUNT; d++) {
        if (d == QP_DIST_BITS) continue; // holds infinities of its own
        for (int t = 0; t < 3; t++) {
            qp_gen g = qp_gen_make(1, (qp_dist)d);
            g.edges = t == 0 ? 1u << QP_EDGE_SPREAD : 0;
            g.peak_index = 40 * 200 + 133;
            void *p = make(&g, "w", 64, 200, floats[t]);
            double peak = fabs(value_at(floats[t], p, g.peak_index));
            for (int i = 0; i < 64 * 200; i++)
                if (i != g.peak_index)
                    ck_assert_msg(fabs(value_at(floats[t], p, i)) < peak, "%s %s: element %d is as large",
                                  qp_dist_names[d], qp_dtype_name(floats[t]), i);
            ck_assert(isfinite(peak));
            free(p);
        }
    }
}
END_TEST

START_TEST(routing_is_distinct_ascending_and_even) {
    enum { EXPERTS = 128, K = 6, TOKENS = 20000 };
    static int load[EXPERTS], again[K], other[K];
    int differ_by_layer = 0;
    for (int64_t t = 0; t < TOKENS; t++) {
        int e[K];
        qp_gen_route(9, 3, t, EXPERTS, K, e);
        for (int i = 0; i < K; i++) {
            ck_assert_int_ge(e[i], 0);
            ck_assert_int_lt(e[i], EXPERTS);
            if (i > 0) ck_assert_int_gt(e[i], e[i - 1]);
            load[e[i]]++;
        }
        qp_gen_route(9, 3, t, EXPERTS, K, again);
        ck_assert_mem_eq(e, again, sizeof e);
        qp_gen_route(9, 4, t, EXPERTS, K, other);
        differ_by_layer += memcmp(e, other, sizeof e) != 0;
    }
    ck_assert_int_gt(differ_by_layer, TOKENS * 99 / 100);
    int mean = TOKENS * K / EXPERTS; // 937, deviation of a count about 30
    for (int i = 0; i < EXPERTS; i++)
        ck_assert_msg(abs(load[i] - mean) < 6 * 31, "expert %d: %d", i, load[i]);
    int all[8];
    qp_gen_route(1, 0, 5, 8, 8, all);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(all[i], i);
}
END_TEST

START_TEST(u64_depends_on_every_argument) {
    ck_assert_uint_eq(qp_gen_u64(1, "a", 5), qp_gen_u64(1, "a", 5));
    ck_assert_uint_ne(qp_gen_u64(1, "a", 5), qp_gen_u64(2, "a", 5));
    ck_assert_uint_ne(qp_gen_u64(1, "a", 5), qp_gen_u64(1, "b", 5));
    ck_assert_uint_ne(qp_gen_u64(1, "a", 5), qp_gen_u64(1, "a", 6));
    ck_assert_uint_ne(qp_gen_u64(1, "a", 5), qp_gen_u64(1, "a", 5 + (1ull << 32)));
}
END_TEST

int main(void) {
    Suite *s = suite_create("gen");
    TCase *t = tcase_create("gen");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, philox_gives_the_published_answers);
    tcase_add_test(t, philox_tiles_are_bit_equal_to_random123);
    tcase_add_loop_test(t, any_cut_gives_the_same_values, 0, QP_DIST_COUNT);
    tcase_add_test(t, seed_and_name_make_other_values);
    tcase_add_test(t, gauss_has_the_deviation_asked_for_and_stays_below_its_amax);
    tcase_add_test(t, narrow_types_are_the_rounded_fp32_values);
    tcase_add_test(t, fp16_is_rounded_right_at_its_limits);
    tcase_add_test(t, bf16_rounds_to_even_and_keeps_nan);
    tcase_add_test(t, heavy_tails_and_outlier_columns_reach_far);
    tcase_add_test(t, bits_reach_every_pattern);
    tcase_add_test(t, zeros_are_zeros);
    tcase_add_test(t, record_is_the_generator_of_the_golden_pipeline_records);
    tcase_add_test(t, a_power_of_two_scales_exactly);
    tcase_add_test(t, the_peak_is_the_only_maximum);
    tcase_add_test(t, routing_is_distinct_ascending_and_even);
    tcase_add_test(t, u64_depends_on_every_argument);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
