// SPDX-License-Identifier: Apache-2.0
// The laws at work: transformed inputs, and the answers to them held against the answers before. Bits only:
// nothing is rounded here, so no arithmetic of the subject's is repeated.
#include "checks/laws.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks/list.h"

// ---- numbers as bits
// ----------------------------------------------------------------------------------------------------

typedef struct layout { // of a floating point type; min_normal is also one step of the exponent
    uint32_t sign, inf, min_normal;
    int exponent_of_one; // exponent field of 1.0
} layout;

static layout layout_of(qp_dtype t) {
    static const layout bf16 = {0x8000, 0x7f80, 0x80, 127}, fp16 = {0x8000, 0x7c00, 0x400, 15};
    static const layout fp32 = {0x80000000u, 0x7f800000, 0x800000, 127};
    return t == QP_BF16 ? bf16 : t == QP_FP16 ? fp16 : fp32;
}

static uint32_t load(qp_dtype t, const void *base, int64_t i) {
    uint32_t v = 0;
    size_t n = qp_dtype_bytes(t);
    memcpy(&v, (const char *)base + (size_t)i * n, n); // little-endian hosts only, as the file format is
    return v;
}

static void store(qp_dtype t, void *base, int64_t i, uint32_t bits) {
    size_t n = qp_dtype_bytes(t);
    memcpy((char *)base + (size_t)i * n, &bits, n);
}

static uint32_t magnitude(layout l, uint32_t bits) {
    return bits & ~l.sign;
}

static bool is_nan(layout l, uint32_t bits) {
    return magnitude(l, bits) > l.inf;
}

// Twice the value, exact; what is too large becomes Inf. Inf and NaN stay.
static uint32_t twice(layout l, uint32_t bits) {
    uint32_t m = magnitude(l, bits), sign = bits & l.sign;
    if (m >= l.inf) return bits;
    m = m < l.min_normal ? m << 1 : m + l.min_normal;
    return sign | (m < l.inf ? m : l.inf);
}

// |x| as a double: exact.
static double value(layout l, uint32_t bits) {
    uint32_t m = magnitude(l, bits), e = m / l.min_normal, fraction = m % l.min_normal;
    double v = e == 0 ? (double)fraction : (double)(fraction + l.min_normal);
    int power = (e == 0 ? 1 : (int)e) - l.exponent_of_one;
    for (uint32_t step = l.min_normal; step > 1; step >>= 1) power--;
    for (; power > 0; power--) v *= 2;
    for (; power < 0; power++) v /= 2;
    return v;
}

static double fp32_value(uint32_t image) {
    return value(layout_of(QP_FP32), image);
}

// ---- which elements share a scale
// ---------------------------------------------------------------------------------------

static int64_t width_of(qp_format f, int64_t cols) {
    int block = qp_format_get(f)->block_cols;
    return block > 0 ? block : cols;
}

typedef struct segment { // elements of one row under one scale
    int64_t row, begin, end;
    double amax;    // calibrated; of the data where the scale comes from it
    uint32_t top;   // largest |x| of it but NaN, as bits
    bool any_inf_y; // an x that is not Inf was answered with Inf
} segment;

static double amax_of(const qp_law_ev *ev, int64_t row, int64_t index) {
    const qp_format_row *f = qp_format_get(ev->format);
    int64_t nb = f->block_cols > 0 ? (ev->cols + f->block_cols - 1) / f->block_cols : 1;
    switch (f->grain) {
    case QP_GRAIN_AXIS0:
        return fp32_value(ev->amax[row]);
    case QP_GRAIN_BLOCK:
        return fp32_value(ev->amax[row * nb + index]);
    case QP_GRAIN_BLOCK2D:
        return fp32_value(ev->amax[row / f->block_rows * nb + index]);
    default:
        return fp32_value(ev->amax[0]);
    }
}

static bool scale_from_data(qp_format f) {
    return qp_format_is_dynamic(f) || qp_format_get(f)->scale == QP_SCALE_E8M0;
}

static segment segment_at(const qp_law_ev *ev, int64_t row, int64_t index) {
    layout l = layout_of(ev->dtype);
    int64_t width = width_of(ev->format, ev->cols), begin = index * width, end = begin + width;
    segment s = {.row = row, .begin = begin, .end = end < ev->cols ? end : ev->cols};
    for (int64_t c = s.begin; c < s.end; c++) {
        uint32_t m = magnitude(l, load(ev->dtype, ev->x, row * ev->cols + c));
        if (m <= l.inf && m > s.top) s.top = m;
        if (ev->law == QP_LAW_IDEMPOTENCE && m != l.inf)
            s.any_inf_y = s.any_inf_y || magnitude(l, load(ev->dtype, ev->y, row * ev->cols + c)) == l.inf;
    }
    s.amax = scale_from_data(ev->format) ? value(l, s.top) : amax_of(ev, row, index);
    return s;
}

// ---- where a law is not asked
// -------------------------------------------------------------------------------------------

// Thresholds of the rules (numerics 1.2, 2.3, 4.3, 4.4) with room for the factor 2.
static bool scales_with_two(const qp_law_ev *ev, const segment *s) {
    const qp_format_row *f = qp_format_get(ev->format);
    const double global = fp32_value(ev->global_amax);
    layout l = layout_of(ev->dtype);
    if (scale_from_data(ev->format) && twice(l, s->top) == l.inf) return false; // one that is no more doubled
    if (s->amax >= 0x1p126 || global >= 0x1p126) return false;
    if (f->scale == QP_SCALE_E8M0) return s->top == 0 || s->amax >= 0x1p-100;
    // 1e-5 below the block scale, which is a sixth of the amax or less
    if (qp_format_is_dynamic(ev->format)) return s->top == 0 || (s->amax >= 0x1p-12 && global >= 0x1p-12);
    if (f->has_global) return global >= 0x1p-20 && (s->amax == 0 || s->amax >= 0x1p-100);
    return s->amax >= 0x1p-20;
}

static bool in_range(const qp_law_ev *ev, const segment *s) {
    switch (ev->law) {
    case QP_LAW_IDEMPOTENCE:
        return !s->any_inf_y;
    case QP_LAW_CODES: // amax / 448 must be a normal number of the type of x
        return s->amax >= 512 * value(layout_of(ev->dtype), layout_of(ev->dtype).min_normal);
    case QP_LAW_ODD: // numerics 1.2: below it the answer is +0
        return s->amax >= 0x1p-24;
    case QP_LAW_SCALING:
        return scales_with_two(ev, s);
    default:
        return true;
    }
}

// Block scale code 3 of the coarser two-level format, where the global amax is 448 of a block scale.
static bool asks_segment(const qp_law_ev *ev, const segment *s) {
    if ((ev->but & QP_BUT_SMALL) != 0 && s->amax != 0 && s->amax < fp32_value(ev->global_amax) * 0x1p-13)
        return false;
    return (ev->but & QP_BUT_RANGE) == 0 || in_range(ev, s);
}

static bool asks_element(const qp_law_ev *ev, const segment *s, uint32_t x, uint32_t before, uint32_t after) {
    layout l = layout_of(ev->dtype);
    if ((ev->but & QP_BUT_NAN) != 0 && is_nan(l, x)) return false;
    bool both_ends = ev->law == QP_LAW_ODD && ev->narrow_range; // then the lowest level has a partner
    if ((ev->but & QP_BUT_BEYOND) != 0 && !both_ends && !is_nan(l, x) && value(l, x) > s->amax) return false;
    if ((ev->but & QP_BUT_RANGE) == 0 || ev->law != QP_LAW_SCALING) return true;
    if (magnitude(l, x) < l.inf && magnitude(l, twice(l, x)) == l.inf) return false;
    uint32_t m = magnitude(l, before), n = magnitude(l, after); // a subnormal answer was rounded once more
    return (m == 0 && n == 0) || m >= 2 * l.min_normal;
}

// ---- the comparison
// -----------------------------------------------------------------------------------------------------

static void judge(qp_finding *f, const qp_law_ev *ev, int64_t row, int64_t col, uint32_t want, uint32_t got) {
    bool codes = ev->law == QP_LAW_CODES;
    layout l = layout_of(ev->dtype);
    f->n_judged++;
    if (want == got || (!codes && is_nan(l, want) && is_nan(l, got))) return;
    bool zeros = codes ? ((want | got) & 7) == 0 : magnitude(l, want | got) == 0;
    if (zeros && (ev->but & QP_BUT_ZERO_SIGN) != 0) return;
    if (f->n_diff++ > 0) return;
    int digits = codes ? 2 : 2 * (int)qp_dtype_bytes(ev->dtype);
    snprintf(f->where, sizeof f->where, "%s row %" PRId64 " col %" PRId64 " x %0*" PRIx32, ev->fqn, row, col,
             2 * (int)qp_dtype_bytes(ev->dtype),
             col < ev->cols ? load(ev->dtype, ev->x, row * ev->cols + col) : 0);
    snprintf(f->want, sizeof f->want, "%0*" PRIx32, digits, want);
    snprintf(f->got, sizeof f->got, "%0*" PRIx32, digits, got);
}

static uint32_t answer_before(const qp_law_ev *ev, int64_t i) {
    return ev->law == QP_LAW_CODES ? ((const uint8_t *)ev->y)[i] : load(ev->dtype, ev->y, i);
}

static uint32_t answer_after(const qp_law_ev *ev, const segment *s, int64_t col) {
    int64_t at = ev->law == QP_LAW_PERMUTATION ? s->begin + s->end - 1 - col : col;
    int64_t i = s->row * ev->cols_after + at;
    return ev->law == QP_LAW_CODES ? ((const uint8_t *)ev->y_after)[i] : load(ev->dtype, ev->y_after, i);
}

static void judge_elements(qp_finding *f, const qp_law_ev *ev, const segment *s) {
    layout l = layout_of(ev->dtype);
    for (int64_t c = s->begin; c < s->end; c++) {
        int64_t i = s->row * ev->cols + c;
        uint32_t x = load(ev->dtype, ev->x, i), before = answer_before(ev, i);
        uint32_t after = answer_after(ev, s, c), want = before;
        if (ev->law == QP_LAW_ODD) want ^= l.sign;
        if (ev->law == QP_LAW_SCALING) want = twice(l, want);
        if (asks_element(ev, s, x, before, after)) judge(f, ev, s->row, c, want, after);
    }
}

static void judge_padding(qp_finding *f, const qp_law_ev *ev, int64_t row) {
    layout l = layout_of(ev->dtype);
    for (int64_t c = ev->cols; c < ev->cols_after; c++)
        judge(f, ev, row, c, 0, magnitude(l, load(ev->dtype, ev->y_after, row * ev->cols_after + c)));
}

// Place in the order of numbers; both zeros are one place.
static uint32_t place_of(layout l, uint32_t bits) {
    uint32_t m = magnitude(l, bits);
    return (bits & l.sign) != 0 ? 0x80000000u - m : 0x80000000u + m;
}

static int compare_pairs(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

enum { ORDER_RUN = 1024 }; // longer segments are ordered in runs of that many

// x above, column below; then the answers must not fall, and be the same where x is.
static void judge_order(qp_finding *f, const qp_law_ev *ev, int64_t row, int64_t begin, int64_t end) {
    layout l = layout_of(ev->dtype);
    uint64_t pairs[ORDER_RUN];
    int64_t n = 0, first = row * ev->cols;
    for (int64_t c = begin; c < end; c++) {
        uint32_t x = load(ev->dtype, ev->x, first + c);
        if (!is_nan(l, x)) pairs[n++] = (uint64_t)place_of(l, x) << 32 | (uint64_t)(c - begin);
    }
    qsort(pairs, (size_t)n, sizeof *pairs, compare_pairs);
    for (int64_t i = 1; i < n; i++) {
        int64_t c = begin + (int64_t)(uint32_t)pairs[i], below = begin + (int64_t)(uint32_t)pairs[i - 1];
        uint32_t low = load(ev->dtype, ev->y, first + below), high = load(ev->dtype, ev->y, first + c);
        bool same = pairs[i] >> 32 == pairs[i - 1] >> 32;
        bool kept = is_nan(l, low) ? is_nan(l, high)
                    : same         ? place_of(l, low) == place_of(l, high)
                                   : place_of(l, low) <= place_of(l, high) && !is_nan(l, high);
        judge(f, ev, row, c, kept ? high : low, high);
    }
}

static void judge_segment(qp_finding *f, const qp_law_ev *ev, const segment *s) {
    if (ev->law != QP_LAW_ORDER) {
        judge_elements(f, ev, s);
        return;
    }
    for (int64_t c = s->begin; c < s->end; c += ORDER_RUN)
        judge_order(f, ev, s->row, c, c + ORDER_RUN < s->end ? c + ORDER_RUN : s->end);
}

qp_finding check_law(const qp_law_ev *ev) {
    qp_finding f = finding_new(qp_law_get(ev->law)->name);
    if ((ev->but & QP_BUT_NEVER) != 0 || ev->rows == 0 || ev->cols == 0) return f;
    int64_t width = width_of(ev->format, ev->cols);
    for (int64_t r = 0; r < ev->rows; r++) {
        for (int64_t index = 0; index * width < ev->cols; index++) {
            segment s = segment_at(ev, r, index);
            if (asks_segment(ev, &s)) judge_segment(&f, ev, &s);
        }
        if (ev->law == QP_LAW_PADDING) judge_padding(&f, ev, r);
    }
    if (f.n_diff > 0)
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT,
                     "%" PRId64 " of %" PRId64 " answers break it (%s); the first is %s: want %s, got %s",
                     f.n_diff, f.n_judged, qp_law_get(ev->law)->says, f.where, f.want, f.got);
    return f;
}

// ---- the transformations
// ----------------------------------------------------------------------------------------------------

enum { MORE_COLS = 7 };

int64_t qp_law_cols(qp_law law, qp_format format, int64_t cols) {
    int block = qp_format_get(format)->block_cols;
    if (law != QP_LAW_PADDING) return cols;
    return block > 0 ? ((cols + block - 1) / block + 1) * block : cols + MORE_COLS;
}

uint32_t qp_law_amax(qp_law law, uint32_t amax) {
    return law == QP_LAW_SCALING ? twice(layout_of(QP_FP32), amax) : amax;
}

void qp_law_input(const qp_law_ev *ev, void *x_after) {
    layout l = layout_of(ev->dtype);
    int64_t width = width_of(ev->format, ev->cols);
    const void *from = ev->law == QP_LAW_IDEMPOTENCE ? ev->y : ev->x;
    memset(x_after, 0, (size_t)(ev->rows * ev->cols_after) * qp_dtype_bytes(ev->dtype));
    for (int64_t r = 0; r < ev->rows; r++)
        for (int64_t c = 0; c < ev->cols; c++) {
            uint32_t bits = load(ev->dtype, from, r * ev->cols + c);
            int64_t begin = c / width * width, end = begin + width < ev->cols ? begin + width : ev->cols;
            int64_t at = ev->law == QP_LAW_PERMUTATION ? begin + end - 1 - c : c;
            if (ev->law == QP_LAW_ODD) bits ^= l.sign;
            if (ev->law == QP_LAW_SCALING) bits = twice(l, bits);
            store(ev->dtype, x_after, r * ev->cols_after + at, bits);
        }
}
