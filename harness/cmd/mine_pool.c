// SPDX-License-Identifier: Apache-2.0
// Candidates of the miner. Most are contexts: an amax, and x at and next to every level and every half-way
// point that it makes; the NVFP4 ones prefer block amax whose scale is itself next to a half-way point. The
// others mix magnitudes, specials and ragged rows. What is a tie here need not be one exactly: the variants
// decide what an input is worth.
#include <math.h>
#include <string.h>

#include "cmd/mine.h"
#include "qp/ref.h"

enum {
    N_CONTEXTS = 768,
    N_MX_CONTEXTS = 900,
    N_NVFP4_CONTEXTS = 3000,
    N_MIXED = 240,
    N_TINY = 68,
    MAX_LEVELS = 512
};

// ---- numbers
// ------------------------------------------------------------------------------------------------

typedef struct dice {
    uint64_t state;
} dice;

static uint64_t roll(dice *d) { // splitmix64
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int64_t below(dice *d, int64_t n) {
    return (int64_t)(roll(d) % (uint64_t)n);
}

static float value(uint32_t image) {
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

static uint32_t image(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

// The value of the type that is `steps` steps above the one nearest to a positive f.
static float typed(const qp_mine *m, double f, int steps) {
    const uint32_t largest = m->dtype == QP_BF16 ? 0x7f7f : m->dtype == QP_FP16 ? 0x7bff : 0x7f7fffff;
    int64_t bits = (int64_t)ref_from_f32(m->dtype, image((float)f)) + steps;
    bits = bits < 0 ? 0 : bits > largest ? largest : bits;
    return value(ref_to_f32(m->dtype, (uint32_t)bits));
}

// ---- the levels of the element
// ------------------------------------------------------------------------------

// Levels and half-way points, ascending; the largest level is the last but one, half a step above it the
// last.
static int levels_of(qp_format f, float out[MAX_LEVELS]) {
    static const struct {
        int mant, emin;
        float max;
    } floats[] = {[QP_ELEM_E4M3] = {3, -6, 448.0f},
                  [QP_ELEM_E2M1] = {1, 0, 6.0f},
                  [QP_ELEM_E5M2] = {2, -14, 57344.0f},
                  [QP_ELEM_E3M2] = {2, -2, 28.0f},
                  [QP_ELEM_E2M3] = {3, 0, 7.5f}};
    const qp_element e = qp_format_get(f)->element;
    int n = 0;
    if (e == QP_ELEM_INT8 || e == QP_ELEM_INT4) {
        for (int half = 0; half <= (e == QP_ELEM_INT8 ? 255 : 15); half++) out[n++] = (float)half / 2.0f;
        return n;
    }
    float step = ldexpf(1.0f, floats[e].emin - floats[e].mant);
    for (float v = 0.0f; v <= floats[e].max; v += step) {
        if (v >= 2.0f * ldexpf(step, floats[e].mant)) step *= 2.0f;
        out[n++] = v;
        out[n++] = v + step / 2.0f;
    }
    return n;
}

// ---- contexts
// -----------------------------------------------------------------------------------------------

typedef struct context {
    float global_amax; // NVFP4, else 0
    float amax;        // of the block, row or tensor
    double steps[4];   // sizes that level 1 may have in x
    int n_steps;
    int64_t width; // elements of a row, with the amax
} context;

static bool is_blocked(const qp_mine *m) {
    return qp_format_get(m->format)->grain == QP_GRAIN_BLOCK;
}

static double draw_mantissa(const qp_mine *m, dice *d, int i) {
    if (m->dtype == QP_BF16) return 1.0 + (double)(i % 128) / 128.0;
    const int bits = m->dtype == QP_FP16 ? 10 : 23;
    const int64_t cut = below(d, 3) == 0 ? 0 : below(d, bits); // often few bits: exact ties
    return 1.0 + (double)(below(d, INT64_C(1) << bits) >> cut << cut) / (double)(INT64_C(1) << bits);
}

static double top_of(qp_format f) { // largest level; the last entry is half a step above it
    float levels[MAX_LEVELS];
    return (double)levels[levels_of(f, levels) - 2];
}

static context plain_context(const qp_mine *m, dice *d, int i) {
    static const int exponents[][6] = {[QP_BF16] = {0, -13, 100, -3, -20, 30},
                                       [QP_FP16] = {0, -6, 10, 3, -11, 14},
                                       [QP_FP32] = {0, -13, 100, -3, -20, 30}};
    context c = {.n_steps = 1, .width = INT64_MAX};
    c.amax = typed(m, ldexp(draw_mantissa(m, d, i), exponents[m->dtype][i / 128 % 6]), 0);
    c.steps[0] = (double)c.amax / top_of(m->format);
    if (qp_format_get(m->format)->grain == QP_GRAIN_BLOCK2D || is_blocked(m))
        c.width = qp_format_get(m->format)->block_cols;
    return c;
}

// E8M0: block amax next to the largest level times a power of two, or anywhere.
static context mx_context(const qp_mine *m, dice *d, int i) {
    static const int exponents[] = {0, 0, 0, -9, 17, -118, -126, -127, -128, -130, -132, 120};
    context c = {.n_steps = 3, .width = qp_format_get(m->format)->block_cols};
    const double top = top_of(m->format);
    const int k = exponents[below(d, m->dtype == QP_FP16 ? 4 : QP_COUNT(exponents))];
    const double amax = i % 2 == 0 ? top : draw_mantissa(m, d, i / 2);
    c.amax = typed(m, ldexp(amax, k), (int)below(d, 5) - 2);
    if (c.amax == 0.0f) c.amax = typed(m, 0.0, 1); // a step less than the smallest
    const int near = (int)ceil(log2((double)c.amax / top));
    for (int j = 0; j < 3; j++) c.steps[j] = ldexp(1.0, near - 1 + j);
    return c;
}

static double e4m3_value(int code) {
    return (double)value(ref_e4m3_decode((uint8_t)code));
}

// Is a magnitude within two fp32 steps of half-way between two values of the type?
static bool is_near_half(const qp_mine *m, double v) {
    const int bits = m->dtype == QP_BF16 ? 8 : 11; // of the mantissa, with the hidden one
    int e;
    const double scaled = ldexp(frexp(v, &e), bits), rest = scaled - floor(scaled);
    return m->dtype != QP_FP32 && fabs(rest - 0.5) < ldexp(2.0, bits - 24);
}

// Scale quotients at half-way points of E4M3; every fourth context looks for answers at half-way points of
// the type instead: a level of 1 or 1.5 times the block scale.
static context nvfp4_context(const qp_mine *m, dice *d, int i) {
    context c = {.width = 16};
    const double top = m->format == QP_NVFP4_46 ? 256.0 : 448.0;
    const bool store = i % 4 == 0;
    int code = 1;
    for (int tries = 0; tries < 2000; tries++) {
        const int far = m->dtype == QP_FP16 ? 14 : 24,
                  exponent = below(d, 2) == 0 ? 0 : (int)below(d, 2 * far) - far;
        c.global_amax = typed(m, ldexp(draw_mantissa(m, d, (int)below(d, 128)), exponent), 0);
        code = (int)below(d, 126) + store;
        const double target = store ? e4m3_value(code) : (e4m3_value(code) + e4m3_value(code + 1)) / 2.0;
        c.amax = typed(m, target * (double)c.global_amax / top, store ? 0 : (int)below(d, 3) - 1);
        const double quotient = (double)c.amax * top / (double)c.global_amax;
        const double answer = e4m3_value(code) * ((double)c.global_amax / (6.0 * top));
        if (store ? is_near_half(m, answer) || is_near_half(m, 1.5 * answer)
                  : fabs(quotient / target - 1.0) < 0x1p-21)
            break;
    }
    if (c.amax > c.global_amax) c.amax = c.global_amax;
    const double g = (double)c.global_amax / (6.0 * top);
    for (int j = -1; j <= 1; j++)
        if (code + j > 0) c.steps[c.n_steps++] = e4m3_value(code + j) * g;
    if (e4m3_value(code) * g < 1e-4) c.steps[c.n_steps++] = 1.0;
    return c;
}

static context context_of(const qp_mine *m, int i) {
    dice d = {m->seed * UINT64_C(0x100000001b3) + (uint64_t)i};
    if (qp_format_get(m->format)->has_global) return nvfp4_context(m, &d, i);
    if (qp_format_get(m->format)->scale == QP_SCALE_E8M0) return mx_context(m, &d, i);
    return plain_context(m, &d, i);
}

static qp_status fill_context(const qp_mine *m, const context *c, qp_arena *a, qp_mine_tensor *out,
                              qp_err *err) {
    float levels[MAX_LEVELS];
    const int n_levels = levels_of(m->format, levels);
    float *x;
    int64_t n = 0;
    QP_TRY(QP_NEW(a, x, n_levels * 5 * 2 * 4 + 1));
    for (int s = 0; s < c->n_steps; s++)
        for (int l = 0; l < n_levels; l++)
            for (int step = -2; step <= 2; step++) {
                const float v = typed(m, (double)levels[l] * c->steps[s], step);
                if (v > c->amax || (l % 2 == 0 && step != 0)) continue; // at levels only the nearest
                x[n++] = v;
                x[n++] = -v;
            }
    const int64_t room = c->width < n + 1 ? c->width - 1 : n; // beside the amax
    out->rows = (n + room - 1) / room + (c->global_amax > 0.0f);
    out->cols = room + 1;
    const bool flat = qp_format_get(m->format)->grain == QP_GRAIN_BLOCK2D; // blocks side by side, one row
    if (flat) {
        out->cols *= out->rows;
        out->rows = 1;
    }
    QP_TRY(QP_NEW(a, out->x, out->rows * out->cols));
    const int64_t n_blocks = out->rows * out->cols / (room + 1) - (c->global_amax > 0.0f);
    for (int64_t b = 0; b < n_blocks; b++) {
        out->x[b * (room + 1)] = image(c->amax);
        for (int64_t i = 0; i < room && b * room + i < n; i++)
            out->x[b * (room + 1) + 1 + i] = image(x[b * room + i]);
    }
    if (c->global_amax > 0.0f) out->x[n_blocks * (room + 1)] = image(c->global_amax);
    return QP_OK;
}

// ---- mixed tensors
// ------------------------------------------------------------------------------------------

static uint32_t special(const qp_mine *m, dice *d) {
    static const uint32_t images[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x80000000, 0};
    const int k = (int)below(d, QP_COUNT(images) + 1);
    return k < QP_COUNT(images) ? images[k] : image(typed(m, 0.0, 1 + (int)below(d, 3))) | 0x80000000u;
}

// Every block (every row and quarter of it elsewhere) in a binade of its own.
static qp_status fill_mixed(const qp_mine *m, dice *d, int i, qp_arena *a, qp_mine_tensor *out, qp_err *err) {
    const int64_t block = is_blocked(m) || qp_format_get(m->format)->grain == QP_GRAIN_BLOCK2D
                              ? qp_format_get(m->format)->block_cols
                              : 8;
    static const int sizes[][2] = {{1, 4}, {2, 3}, {1, 8}, {3, 2}}; // small ones first, then any
    out->rows = i % 2 == 0 ? 1 + below(d, sizes[i / 2 % 4][0]) : 1 + below(d, 3);
    out->cols = i % 2 == 0 ? 1 + below(d, sizes[i / 2 % 4][1]) : 2 + below(d, block * 5 / 2);
    QP_TRY(QP_NEW(a, out->x, out->rows * out->cols));
    const int n_specials = (int)below(d, 4);
    for (int64_t e = 0; e < out->rows * out->cols; e++) {
        dice own = {(uint64_t)(e / out->cols * 1000 + e % out->cols / (block / 2)) + d->state};
        const double v =
            ldexp(draw_mantissa(m, d, (int)below(d, 128)), -(int)below(&own, 6) - (int)below(d, 4));
        out->x[e] = image(typed(m, v, 0)) | (below(d, 2) == 0 ? 0x80000000u : 0);
    }
    for (int s = 0; s < n_specials; s++) out->x[below(d, out->rows * out->cols)] = special(m, d);
    return QP_OK;
}

// Amax at the thresholds of tiny amax, subnormal, zero or at the other end.
static qp_status fill_tiny(const qp_mine *m, dice *d, int i, qp_arena *a, qp_mine_tensor *out, qp_err *err) {
    static const struct {
        double value;
        int steps;
    } at[] = {{0x1p-24, 0},  {0x1p-24, 1}, {0x1p-24, -1}, {0x1p-25, 0},  {0x1p-21, 3},   {0x1p-20, 0},
              {0x1p-19, -1}, {0x1p-14, 0}, {0x1p-60, 0},  {0x1p-126, 0}, {0x1p-126, -1}, {0x1p-130, 0},
              {0.0, 1},      {0.0, 0},     {0x1p-12, 0},  {0x1p127, 64}, {0x1.8p-22, 0}};
    const float amax = typed(m, at[i % QP_COUNT(at)].value, at[i % QP_COUNT(at)].steps);
    out->rows = 1;
    out->cols = 12;
    QP_TRY(QP_NEW(a, out->x, out->cols));
    for (int k = 0; k < (int)out->cols; k++) {
        const double part = k == 0 ? 1.0 : (double)below(d, 1000) / 1000.0;
        out->x[k] = image(typed(m, (double)amax * part, 0)) | (below(d, 2) == 0 ? 0x80000000u : 0);
        if (k >= 6) out->x[k] = special(m, d);
    }
    return QP_OK;
}

// ---- all of them
// ----------------------------------------------------------------------------------------------

static int n_contexts(const qp_mine *m) {
    const qp_format_row *f = qp_format_get(m->format);
    return f->has_global ? N_NVFP4_CONTEXTS : f->scale == QP_SCALE_E8M0 ? N_MX_CONTEXTS : N_CONTEXTS;
}

int qp_mine_n_candidates(const qp_mine *m) {
    return n_contexts(m) + N_MIXED + N_TINY;
}

bool qp_mine_is_context(const qp_mine *m, int i) {
    return i < n_contexts(m);
}

qp_status qp_mine_candidate(const qp_mine *m, int i, qp_arena *a, qp_mine_tensor *out, qp_err *err) {
    if (qp_mine_is_context(m, i)) {
        const context c = context_of(m, i);
        return fill_context(m, &c, a, out, err);
    }
    dice d = {~m->seed * UINT64_C(0x100000001b3) + (uint64_t)i};
    const int k = i - n_contexts(m);
    return k < N_MIXED ? fill_mixed(m, &d, k, a, out, err) : fill_tiny(m, &d, k - N_MIXED, a, out, err);
}
