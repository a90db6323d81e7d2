// SPDX-License-Identifier: Apache-2.0
// Quantized and near-tie data reach what they are made for (checked by brute force over all codes, in
// doubles); edges sit where edges.c says; the words of case lines.
#include "input/gen.h"
#include "input/narrow.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const qp_dtype floats[3] = {QP_BF16, QP_FP16, QP_FP32};

static double value_at(qp_dtype t, const void *base, int64_t i) {
    return float_of(widen_one(t, bits_load(t, base, i)));
}

static void *make(const qp_gen *g, int64_t rows, int64_t cols, qp_dtype t) {
    void *p = malloc((size_t)(rows * cols) * qp_dtype_bytes(t) + 1);
    ck_assert_ptr_nonnull(p);
    qp_gen_slice(g, "w", rows, cols, t, 0, rows, 0, cols, p);
    return p;
}

// Values of the codes, ascending; magnitudes but for NF4.
typedef struct code_list {
    double v[128];
    int n;
} code_list;

static double small_float(int c, int mant, int bias) {
    int e = c >> mant, m = c % (1 << mant);
    return e == 0 ? ldexp(m, 1 - bias - mant) : ldexp((1 << mant) + m, e - bias - mant);
}

static code_list codes_of(qp_element e) {
    static const double nf4[16] = {-1.0,   -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0,
                                   0.0796, 0.1609,  0.2461,  0.3379,  0.4407,  0.5626,  0.7230,  1.0};
    static const struct {
        int n, mant, bias;
    } types[] = {
        [QP_ELEM_INT8] = {128, 0, 0}, [QP_ELEM_INT4] = {8, 0, 0},    [QP_ELEM_E4M3] = {127, 3, 7},
        [QP_ELEM_E2M1] = {8, 1, 1},   [QP_ELEM_E5M2] = {124, 2, 15}, [QP_ELEM_E3M2] = {32, 2, 3},
        [QP_ELEM_E2M3] = {32, 3, 1},  [QP_ELEM_NF4] = {16, 0, 0},
    };
    code_list c = {.n = types[e].n};
    for (int i = 0; i < c.n; i++)
        c.v[i] = e == QP_ELEM_NF4     ? (double)(float)nf4[i]
                 : types[e].mant == 0 ? i
                                      : small_float(i, types[e].mant, types[e].bias);
    return c;
}

typedef enum place { ON_GRID, TIE, BETWEEN } place;

// Where |q| lies; *code: the code a tie or a value rounds to (even one for ties).
static place place_of(const code_list *c, double q, int *code) {
    q = fabs(q);
    for (int i = 0; i < c->n; i++) {
        if (q == c->v[i]) return *code = i, ON_GRID;
        if (i + 1 < c->n && q == (c->v[i] + c->v[i + 1]) / 2) return *code = i + i % 2, TIE;
    }
    return BETWEEN;
}

static double amax_of(qp_dtype t, const void *p, int64_t cols, int64_t r0, int64_t r1, int64_t c0,
                      int64_t c1) {
    double m = 0;
    for (int64_t r = r0; r < r1; r++)
        for (int64_t c = c0; c < c1; c++) m = fmax(m, fabs(value_at(t, p, r * cols + c)));
    return m;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

typedef struct census {
    int64_t n[3];       // of elements
    int64_t n_scale[3]; // of block scales
    bool bytes[256];    // E8M0 scales
} census;

// Rows r0..r1-1, columns c0..c1-1 under one power of two.
static void count_box(const code_list *codes, qp_dtype t, const void *p, int64_t cols, const int64_t box[4],
                      double scale, census *c) {
    for (int64_t r = box[0]; r < box[1]; r++)
        for (int64_t col = box[2]; col < box[3]; col++) {
            int code;
            c->n[place_of(codes, value_at(t, p, r * cols + col) / scale, &code)]++;
        }
}

// One level of scales, whatever the grain.
static census count_plain(const qp_format_row *f, qp_dtype t, const void *p, int64_t rows, int64_t cols) {
    code_list codes = codes_of(f->element);
    census c = {{0}, {0}, {false}};
    bool per_row = f->grain == QP_GRAIN_AXIS0 || f->grain == QP_GRAIN_BLOCK;
    int64_t height = per_row ? 1 : f->block_rows > 0 ? f->block_rows : rows;
    int64_t width = f->block_cols > 0 ? f->block_cols : cols;
    for (int64_t r = 0; r < rows; r += height)
        for (int64_t col = 0; col < cols; col += width) {
            int64_t box[4] = {r, least(r + height, rows), col, least(col + width, cols)};
            double amax = amax_of(t, p, cols, box[0], box[1], box[2], box[3]),
                   ratio = amax / codes.v[codes.n - 1];
            int e;
            double m = frexp(ratio, &e),
                   scale = ldexp(1, m == 0.5 ? e - 1 : e); // rounded up to a power of two
            c.n_scale[m == 0.5 ? TIE : BETWEEN]++;
            if (f->scale == QP_SCALE_E8M0) {
                scale = fmax(scale, ldexp(1, -127));
                c.bytes[ilogb(scale) + 127] = true;
            } else {
                ck_assert_double_eq(ratio, scale); // a power of two, or nothing below is exact
            }
            count_box(&codes, t, p, cols, box, scale, &c);
        }
    return c;
}

// Largest block amax in units of the global scale.
static double top_of(qp_format f) {
    return f == QP_NVFP4_46 ? 1536 : f == QP_NVFP4_W4A8 ? 448 : 2688;
}

static census count_two_level(const qp_format_row *f, qp_dtype t, const void *p, int64_t rows, int64_t cols) {
    code_list codes = codes_of(QP_ELEM_E2M1), scales = codes_of(QP_ELEM_E4M3);
    double global = amax_of(t, p, cols, 0, rows, 0, cols) / top_of(f->id);
    census c = {{0}, {0}, {false}};
    ck_assert_double_eq(global, ldexp(1.0, ilogb(global)));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t b = 0; b < cols; b += f->block_cols) {
            int64_t end = least(b + f->block_cols, cols);
            int code = 0;
            double amax = amax_of(t, p, cols, r, r + 1, b, end);
            place scale = place_of(&scales, amax / 6 / global, &code);
            if (f->id == QP_NVFP4_W4A8 && amax == 448 * global) scale = ON_GRID, code = 0x69; // 74.7 is 72
            c.n_scale[scale]++;
            if (scale == BETWEEN) continue; // one ulp beside a tie of the scale
            for (int64_t i = b; i < end; i++) {
                int element;
                double v = value_at(t, p, r * cols + i);
                if (fabs(v) == 448 * global && f->id == QP_NVFP4_W4A8) continue;
                c.n[place_of(&codes, v / (scales.v[code] * global), &element)]++;
            }
        }
    return c;
}

static census census_of(qp_dist dist, qp_format format, qp_dtype t, int64_t rows, int64_t cols) {
    const qp_format_row *f = qp_format_get(format);
    qp_gen g = qp_gen_make(13, dist);
    g.format = format;
    void *p = make(&g, rows, cols, t);
    census c = f->has_global ? count_two_level(f, t, p, rows, cols) : count_plain(f, t, p, rows, cols);
    double amax = amax_of(t, p, cols, 0, rows, 0, cols), nominal = float_of(qp_gen_nominal_amax(&g));
    if (f->grain == QP_GRAIN_TENSOR || f->has_global) ck_assert_double_eq(amax, nominal);
    free(p);
    return c;
}

static bool is_mx(qp_format f) {
    return qp_format_get(f)->scale == QP_SCALE_E8M0;
}

START_TEST(quantized_data_lies_on_the_grid_of_its_format) {
    const qp_format f = (qp_format)_i;
    for (int t = 0; t < 3; t++)
        for (int64_t cols = 100; cols <= 357; cols += 257) {
            // two rows of full range: of MX, bytes where the type has all bits of a value
            census c = census_of(QP_DIST_QUANTIZED, f, floats[t], 20, cols);
            int64_t all = c.n[ON_GRID] + c.n[TIE] + c.n[BETWEEN];
            if (f == QP_NF4 || is_mx(f)) { // four digits of a table, bits lost at the ends of a type
                ck_assert_int_gt(c.n[ON_GRID], f == QP_NF4 && t < 2 ? all / 10 : all * 6 / 10);
                continue;
            }
            ck_assert_int_ge(all, 20 * cols - 20);
            ck_assert_int_eq(c.n[ON_GRID], all);
            if (qp_format_get(f)->has_global) ck_assert_int_eq(c.n_scale[TIE] + c.n_scale[BETWEEN], 0);
        }
}
END_TEST

START_TEST(ties_are_reached_exactly_and_from_both_sides) {
    const qp_format f = (qp_format)_i;
    for (int t = 0; t < 3; t++) {
        census c = census_of(QP_DIST_TIES, f, floats[t], 64, 512);
        int64_t all = c.n[ON_GRID] + c.n[TIE] + c.n[BETWEEN],
                blocks = c.n_scale[ON_GRID] + c.n_scale[TIE] + c.n_scale[BETWEEN];
        if (f == QP_NF4) continue; // its midpoints are as near as a type comes; coverage counts the ties
        ck_assert_int_gt(c.n[TIE], is_mx(f) ? all / 10 : all / 5);
        ck_assert_int_gt(c.n[BETWEEN], all / 5); // one ulp above or below
        ck_assert_int_gt(c.n[ON_GRID], all / 10);
        if (is_mx(f)) ck_assert_int_gt(c.n_scale[TIE], blocks / 3); // right at the end of a scale
        if (!qp_format_get(f)->has_global) continue;
        ck_assert_int_gt(c.n_scale[TIE], blocks / 16);
        ck_assert_int_gt(c.n_scale[BETWEEN], blocks / 16);
        ck_assert_int_gt(c.n_scale[ON_GRID], blocks / 2);
    }
}
END_TEST

// E8M0 from end to end of what an input type can hold: 2^-24 to 65504 in fp16.
START_TEST(mx_data_reaches_every_scale_that_its_type_can_have) {
    static const struct {
        qp_format format;
        int first[3], last[3]; // bf16, fp16, fp32
    } rows[] = {{QP_MXFP4, {0, 101, 0}, {253, 141, 253}},      {QP_MXFP6_E3M2, {0, 99, 0}, {251, 139, 251}},
                {QP_MXFP6_E2M3, {0, 101, 0}, {253, 141, 253}}, {QP_MXFP8_E4M3, {0, 95, 0}, {247, 135, 247}},
                {QP_MXFP8_E5M2, {0, 88, 0}, {240, 128, 240}},  {QP_MXINT8, {0, 97, 0}, {249, 137, 249}}};
    for (int i = 0; i < QP_COUNT(rows); i++)
        for (int t = 0; t < 3; t++) {
            census c = census_of(QP_DIST_TIES, rows[i].format, floats[t], 128, 512);
            for (int b = 0; b < 256; b++)
                ck_assert_msg(c.bytes[b] == (b >= rows[i].first[t] && b <= rows[i].last[t]),
                              "%s %s: byte %02x", qp_format_get(rows[i].format)->name,
                              qp_dtype_name(floats[t]), b);
        }
}
END_TEST

START_TEST(quantized_data_uses_every_code) {
    code_list codes = codes_of(QP_ELEM_E4M3);
    qp_gen g = qp_gen_make(1, QP_DIST_QUANTIZED);
    bool seen[127] = {false};
    g.format = QP_FP8_E4M3;
    uint16_t *p = make(&g, 64, 512, QP_BF16);
    for (int i = 0; i < 64 * 512; i++) {
        int code = 0;
        ck_assert_int_eq(place_of(&codes, value_at(QP_BF16, p, i) / ldexp(1.0, -10), &code), ON_GRID);
        seen[code] = true;
    }
    for (int i = 0; i < 127; i++) ck_assert_msg(seen[i], "code %02x never occurs", i);
    free(p);
}
END_TEST

// ---- edges
// -----------------------------------------------------------------------------------------------------------

enum { ROWS = 70, COLS = 150 };

static bool expected_at(qp_edge e, int64_t row, int64_t col) {
    int64_t i = row * COLS + col;
    switch (e) {
    case QP_EDGE_SUBNORMAL:
        return i % 37 == 5;
    case QP_EDGE_NEG_ZERO:
        return i % 41 == 11;
    case QP_EDGE_AMAX:
        return i % 53 == 17;
    case QP_EDGE_AMAX_ULP:
        return i % 59 == 23;
    case QP_EDGE_MAX:
        return row % 8 == 1 && col == (13 * row + 3) % COLS;
    case QP_EDGE_INF:
        return row % 8 == 3 && col == (11 * row + 1) % COLS;
    case QP_EDGE_NAN:
        return row % 8 == 5 && col == (7 * row + 2) % COLS;
    case QP_EDGE_ZERO_BLOCK:
        return (row + col / 16) % 7 == 2 || row % 61 == 7;
    default:
        return false;
    }
}

static bool is_edge(qp_edge e, qp_dtype t, uint32_t bits, double amax) {
    double v = float_of(widen_one(t, bits)), least = t == QP_FP16 ? ldexp(1, -14) : ldexp(1, -126);
    double largest = t == QP_BF16 ? ldexp(255, 120) : t == QP_FP16 ? 65504 : ldexp(16777215, 104);
    double ulp = ldexp(1, ilogb(amax) - (t == QP_BF16 ? 7 : t == QP_FP16 ? 10 : 23));
    switch (e) {
    case QP_EDGE_SUBNORMAL:
        return v != 0 && fabs(v) < least;
    case QP_EDGE_NEG_ZERO:
        return v == 0 && signbit(v);
    case QP_EDGE_AMAX:
        return fabs(v) == amax;
    case QP_EDGE_AMAX_ULP:
        return fabs(v) == amax + ulp || fabs(v) == amax - ulp;
    case QP_EDGE_MAX:
        return fabs(v) == largest;
    case QP_EDGE_INF:
        return isinf(v);
    case QP_EDGE_NAN:
        return isnan(v);
    case QP_EDGE_ZERO_BLOCK:
        return v == 0 && !signbit(v);
    default:
        return false;
    }
}

START_TEST(each_edge_sits_where_it_is_documented_and_nowhere_else) {
    for (int t = 0; t < 3; t++) {
        qp_gen plain = qp_gen_make(1, QP_DIST_GAUSS), g = plain;
        g.edges = 1u << _i;
        void *p = make(&g, ROWS, COLS, floats[t]), *q = make(&plain, ROWS, COLS, floats[t]);
        int both_signs = 0, n = 0;
        for (int64_t i = 0; i < ROWS * COLS; i++) {
            uint32_t bits = bits_load(floats[t], p, i);
            if (!expected_at((qp_edge)_i, i / COLS, i % COLS)) {
                ck_assert_uint_eq(bits, bits_load(floats[t], q, i));
                continue;
            }
            ck_assert_msg(is_edge((qp_edge)_i, floats[t], bits, float_of(qp_gen_nominal_amax(&g))),
                          "%s %s: %08x at %lld", qp_edge_names[_i], qp_dtype_name(floats[t]), bits,
                          (long long)i);
            both_signs |= 1 << (bits >> (8 * qp_dtype_bytes(floats[t]) - 1));
            n++;
        }
        ck_assert_int_gt(n, 5);
        ck_assert_int_eq(both_signs, _i == QP_EDGE_ZERO_BLOCK ? 1 : _i == QP_EDGE_NEG_ZERO ? 2 : 3);
        free(p);
        free(q);
    }
}
END_TEST

START_TEST(small_tensors_have_their_edges_too) {
    for (int64_t rows = 1; rows <= 6; rows++) {
        qp_gen g = qp_gen_make(1, QP_DIST_GAUSS);
        g.edges = 1u << QP_EDGE_NAN | 1u << QP_EDGE_INF | 1u << QP_EDGE_MAX;
        uint32_t *p = make(&g, rows, 64, QP_FP32);
        int n[3] = {0};
        for (int i = 0; i < rows * 64; i++) {
            n[0] += isnan(float_of(p[i]));
            n[1] += isinf(float_of(p[i])) != 0;
            n[2] += fabsf(float_of(p[i])) == 0x1.fffffep127f;
        }
        for (int k = 0; k < 3; k++)
            ck_assert_msg(n[k] == 1, "%d rows: edge %d occurs %d times", (int)rows, k, n[k]);
        free(p);
    }
}
END_TEST

START_TEST(spread_moves_rows_over_twelve_powers_of_two) {
    qp_gen plain = qp_gen_make(1, QP_DIST_GAUSS), g = plain;
    g.edges = 1u << QP_EDGE_SPREAD;
    void *p = make(&g, 26, 64, QP_BF16), *q = make(&plain, 26, 64, QP_BF16);
    int seen = 0;
    for (int r = 0; r < 26; r++) {
        double ratio = value_at(QP_BF16, p, r * 64) / value_at(QP_BF16, q, r * 64);
        int e = ilogb(ratio);
        ck_assert_double_eq(ratio, ldexp(1, e));
        for (int c = 1; c < 64; c++)
            ck_assert_double_eq(value_at(QP_BF16, p, r * 64 + c), ratio * value_at(QP_BF16, q, r * 64 + c));
        seen |= 1 << (e + 6);
    }
    ck_assert_int_eq(seen, 0x1fff);
    free(p);
    free(q);
}
END_TEST

// ---- words
// -----------------------------------------------------------------------------------------------------------

START_TEST(every_distribution_and_edge_is_parsed_by_name) {
    qp_err err = {0};
    for (int i = 0; i < QP_DIST_COUNT; i++) {
        qp_gen g = qp_gen_make(1, QP_DIST_GAUSS);
        ck_assert_int_eq(qp_gen_parse_dist(qp_dist_names[i], &g, &err), QP_OK);
        ck_assert_int_eq(g.dist, i);
    }
    for (int i = 0; i < QP_EDGE_COUNT; i++) {
        qp_gen g = qp_gen_make(1, QP_DIST_GAUSS);
        ck_assert_int_eq(qp_gen_parse_edges(qp_edge_names[i], &g, &err), QP_OK);
        ck_assert_uint_eq(g.edges, 1u << i);
    }
    qp_gen g = qp_gen_make(1, QP_DIST_GAUSS);
    ck_assert_int_eq(qp_gen_parse_dist("heavy:0.5", &g, &err), QP_OK);
    ck_assert_double_eq(g.sigma, 0.5);
    ck_assert_int_eq(qp_gen_parse_dist("record:wide", &g, &err), QP_OK);
    ck_assert(g.record_wide);
    ck_assert_int_eq(qp_gen_parse_edges("nan,inf,amax+ulp", &g, &err), QP_OK);
    ck_assert_uint_eq(g.edges, 1u << QP_EDGE_NAN | 1u << QP_EDGE_INF | 1u << QP_EDGE_AMAX_ULP);
    ck_assert_int_eq(qp_gen_parse_edges("", &g, &err), QP_OK);
    ck_assert_uint_eq(g.edges, 0);
}
END_TEST

START_TEST(a_wrong_word_is_refused_with_the_nearest_spelling) {
    static const char *const dists[][2] = {
        {"gaus", "'gauss'"},    {"qantized", "'quantized'"}, {"gauss:", "sigma"},
        {"gauss:x", "sigma"},   {"gauss:-1", "sigma"},       {"gauss:0", "sigma"},
        {"gauss:nan", "sigma"}, {"gauss:1e300", "sigma"},    {"zeros:1", "no number"},
        {"record:big", "wide"}, {"", "there are"},           {"uniform-everything", "there are"}};
    static const char *const edges[][2] = {
        {"nann", "'nan'"}, {"inf,,nan", "there are"}, {"inf,", "there are"}, {"sub-normal", "'subnormal'"}};
    for (int i = 0; i < QP_COUNT(dists); i++) {
        qp_gen g = qp_gen_make(1, QP_DIST_GAUSS);
        qp_err err = {0};
        ck_assert_msg(qp_gen_parse_dist(dists[i][0], &g, &err) == QP_USAGE, "'%s' was taken", dists[i][0]);
        ck_assert_msg(strstr(err.msg, dists[i][1]) != NULL, "'%s': %s", dists[i][0], err.msg);
    }
    for (int i = 0; i < QP_COUNT(edges); i++) {
        qp_gen g = qp_gen_make(1, QP_DIST_GAUSS);
        qp_err err = {0};
        ck_assert_msg(qp_gen_parse_edges(edges[i][0], &g, &err) == QP_USAGE, "'%s' was taken", edges[i][0]);
        ck_assert_msg(strstr(err.msg, edges[i][1]) != NULL, "'%s': %s", edges[i][0], err.msg);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("grid and edges");
    TCase *t = tcase_create("grid and edges");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, quantized_data_lies_on_the_grid_of_its_format, 0, QP_FORMAT_COUNT);
    tcase_add_loop_test(t, ties_are_reached_exactly_and_from_both_sides, 0, QP_FORMAT_COUNT);
    tcase_add_test(t, mx_data_reaches_every_scale_that_its_type_can_have);
    tcase_add_test(t, quantized_data_uses_every_code);
    tcase_add_loop_test(t, each_edge_sits_where_it_is_documented_and_nowhere_else, 0, QP_EDGE_SPREAD);
    tcase_add_test(t, small_tensors_have_their_edges_too);
    tcase_add_test(t, spread_moves_rows_over_twelve_powers_of_two);
    tcase_add_test(t, every_distribution_and_edge_is_parsed_by_name);
    tcase_add_test(t, a_wrong_word_is_refused_with_the_nearest_spelling);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
