// SPDX-License-Identifier: Apache-2.0
// Values on the grid of a format, and at or one ulp beside the midpoints between its codes. The maxima that
// fix the scales sit at fixed places, chosen so that every scale is a power of two (block scales in E4M3: one
// of its values) and ties are reached exactly:
//   int, fp8   amax 127, 7 or 448 times 2^n, once per row and 128 columns, or per block
//   nf4        amax 2^n per block
//   two-level  block amax 6 * S * 2^n with S an E4M3 value; one block a row is the largest that the format
//              has, so that the global scale is 2^n; ties: every fourth block takes S midway between two E4M3
//              values
//   mx         block amax (largest code) * 2^k, k from end to end of what the type of x can hold; ties: or
//              one ulp beside it, where k changes
#include "input/dist.h"
#include "input/narrow.h"

typedef struct code_row { // magnitudes of a type
    int max;              // largest code
    int mant, bias;       // of a small float; integers: 0
    int exponent;         // of the grid, where no scale is coded
    int top;              // exponent of the largest value
} code_row;

static const code_row codes[] = {
    [QP_ELEM_INT8] = {127, 0, 0, -7, 6},  [QP_ELEM_INT4] = {7, 0, 0, -4, 2},
    [QP_ELEM_E4M3] = {126, 3, 7, -10, 8}, [QP_ELEM_E2M1] = {7, 1, 1, -9, 2},
    [QP_ELEM_E5M2] = {123, 2, 15, 0, 15}, [QP_ELEM_E3M2] = {31, 2, 3, 0, 4},
    [QP_ELEM_E2M3] = {31, 3, 1, 0, 2},    [QP_ELEM_NF4] = {15, 0, 0, -2, 0},
};

// The largest block of a two-level format: its scale code, and its amax in units of the global scale.
typedef struct two_level {
    qp_format format;
    int code;
    float amax;
} two_level;

static const two_level two_levels[] = {
    {QP_NVFP4, 0x7e, 2688.0f},
    {QP_NVFP4_STATIC, 0x7e, 2688.0f},
    {QP_NVFP4_46, 0x78, 1536.0f},  // normaliser 256
    {QP_NVFP4_W4A8, 0x69, 448.0f}, // 448 / 6 rounds to 72
};

typedef struct grid {
    const qp_format_row *f;
    const code_row *c;
    const two_level *two; // NULL: one level of scales
    bool mx;
    int64_t width; // one maximum per row and this many columns
} grid;

static grid grid_of(qp_format format) {
    const qp_format_row *f = qp_format_get(format);
    if (f == NULL) f = qp_format_get(QP_INT8);
    grid g = {f, &codes[f->element], NULL, f->scale == QP_SCALE_E8M0,
              f->block_cols > 0 ? f->block_cols : 128};
    for (int i = 0; i < QP_COUNT(two_levels); i++)
        if (two_levels[i].format == f->id) g.two = &two_levels[i];
    return g;
}

static float small_float(int c, int mant, int bias) {
    int e = c >> mant, m = c & ((1 << mant) - 1);
    return e == 0 ? (float)m * pow2(1 - bias - mant) : (float)((1 << mant) + m) * pow2(e - bias - mant);
}

static float code_value(qp_element e, int c) {
    static const float nf4[16] = {-1.0f,   -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0.0f,
                                  0.0796f, 0.1609f,  0.2461f,  0.3379f,  0.4407f,  0.5626f,  0.7230f,  1.0f};
    if (e == QP_ELEM_NF4) return nf4[c & 15];
    return codes[e].mant > 0 ? small_float(c, codes[e].mant, codes[e].bias) : (float)c;
}

// A midpoint needs one bit more than the values: the sum of two neighbours is exact, and so is its half. (Of
// NF4 it is as near as fp32 comes.)
static float midpoint(qp_element e, int c) {
    return (code_value(e, c) + code_value(e, c + 1)) * 0.5f;
}

float grid_max(qp_format f) {
    grid g = grid_of(f);
    if (g.two != NULL) return g.two->amax * pow2(g.c->exponent);
    return code_value(g.f->element, g.c->max) * pow2(g.mx ? 0 : g.c->exponent);
}

// ---- one block
// ---------------------------------------------------------------------------------------------------------------

typedef struct block {
    double scale;   // elements are codes times this
    double max;     // the value at max_at
    int64_t max_at; // column
    bool scale_tie; // between two values of E4M3
    bool shaken;    // max may be one ulp beside
} block;

static double pow2_double(int e) {
    union {
        uint64_t u;
        double d;
    } x = {(uint64_t)(e + 1023) << 52};
    return x.d;
}

// Scale exponents from that of the smallest amax that x can have, but no less than -127, to that of the
// largest.
static int mx_exponent(const grid *g, qp_dtype t, int64_t n) {
    int least = t == QP_FP16 ? -24 : t == QP_BF16 ? -133 : -149, most = t == QP_FP16 ? 15 : 127;
    int lo = least - g->c->top > -127 ? least - g->c->top : -127, hi = most - g->c->top + 1;
    return lo + (int)(n % (hi - lo + 1));
}

// Where amax is not of the whole tensor, it differs from one place to the next by powers of two.
static int own_exponent(const grid *g, int64_t row, int64_t index) {
    switch (g->f->grain) {
    case QP_GRAIN_AXIS0:
        return (int)(row % 5) - 2;
    case QP_GRAIN_BLOCK:
        return (int)((row + index) % 5) - 2;
    case QP_GRAIN_BLOCK2D:
        return (int)((row / g->f->block_rows + index) % 5) - 2;
    default:
        return 0;
    }
}

static void two_level_block(const run *r, const grid *g, bool top, const uint32_t w[4], block *b) {
    int code = top ? g->two->code : 1 + (int)(w[1] % (uint32_t)(g->two->code - 1));
    double unit = pow2(g->c->exponent), s = code_value(QP_ELEM_E4M3, code);
    b->max = top ? g->two->amax * unit : 6.0 * s * unit;
    if (r->gen->dist == QP_DIST_TIES && !top && (w[2] & 3) == 0) {
        b->scale_tie = b->shaken = true;
        b->max = 6.0 * midpoint(QP_ELEM_E4M3, code) * unit;
        s = code_value(QP_ELEM_E4M3, code + (code & 1)); // what the tie rounds to: the even code
    }
    b->scale = s * unit;
}

static block block_at(const run *r, const grid *g, int64_t index) {
    int64_t first = index * g->width, width = r->cols - first < g->width ? r->cols - first : g->width;
    philox_key k = philox_key_of(r->gen->seed, r->name, STREAM_BLOCK);
    int64_t n_blocks = (r->cols + g->width - 1) / g->width;
    uint32_t w[4];
    philox_block(&k, (uint64_t)(r->row * n_blocks + index), w);
    block b = {.max_at = first + (int64_t)(w[0] % (uint64_t)width)};
    if (g->two != NULL) {
        two_level_block(r, g, index == (int64_t)((uint64_t)r->row % (uint64_t)n_blocks), w, &b);
        return b;
    }
    int e = g->mx ? mx_exponent(g, r->dtype, r->row * n_blocks + index)
                  : g->c->exponent + own_exponent(g, r->row, index);
    b.scale = pow2_double(e);
    b.max = code_value(g->f->element, g->c->max) * b.scale;
    b.shaken = g->mx && r->gen->dist == QP_DIST_TIES;
    return b;
}

// ---- one value
// ---------------------------------------------------------------------------------------------------------------

// Towards zero, so that no element of a block grows beyond its maximum where the type has few bits left.
static uint32_t narrow_down(qp_dtype t, double v) {
    const double largest = 0x1.fffffep127;
    float f = (float)(v < largest ? v : largest);
    uint32_t image = image_of(f) - ((double)f > v ? 1 : 0);
    uint32_t bits = narrow_one(t, image);
    return bits - (float_of(widen_one(t, bits)) > float_of(image) ? 1 : 0);
}

static uint32_t beside(qp_dtype t, uint32_t bits, int ulps) {
    static const uint32_t inf[] = {[QP_BF16] = 0x7f80, [QP_FP16] = 0x7c00, [QP_FP32] = 0x7f800000};
    uint32_t sign = t == QP_FP32 ? 0x80000000u : 0x8000u, m = bits & ~sign;
    return m == 0 || m + (uint32_t)ulps >= inf[t] ? bits : bits + (uint32_t)ulps;
}

static uint32_t value_at(const run *r, const grid *g, const block *b, int64_t col, uint32_t word,
                         double zoom) {
    bool ties = r->gen->dist == QP_DIST_TIES;
    uint32_t sign = word >> 31;
    int ulps = (int)(word >> 8 & 3) - 1; // -1 0 1, and 2: a value on the grid
    double v;
    if (col == b->max_at) {
        v = b->max;
        if (!b->shaken || ulps == 2) ulps = 0; // only what decides the block scale is shaken
    } else if (ties && ulps != 2) {
        // under a block amax that is rounded up by the scale tie, 3.5 times the scale is still below it
        int n_codes = b->scale_tie ? 6 : g->c->max;
        v = midpoint(g->f->element, (int)(word >> 16 & 0x7fff) % n_codes) * b->scale;
    } else {
        int n_codes = b->scale_tie ? 6 : g->c->max + 1;
        v = code_value(g->f->element, (int)(word >> 16 & 0x7fff) % n_codes) * b->scale;
        ulps = 0;
    }
    v *= zoom;
    if (g->mx) { // one ulp is a lot where a type has few bits left: no element grows beyond the maximum
        uint32_t most = narrow_down(r->dtype, b->max * zoom);
        uint32_t bits = beside(r->dtype, narrow_down(r->dtype, v), ulps);
        if (col != b->max_at && bits > most) bits = most;
        return bits | sign << (r->dtype == QP_FP32 ? 31 : 15);
    }
    if (g->f->element == QP_ELEM_NF4 && col != b->max_at) sign = v < 0; // its codes have signs of their own
    if (v < 0) v = -v;
    return beside(r->dtype, narrow_one(r->dtype, image_of((float)v) | sign << 31), ulps);
}

void grid_fill(const run *r, void *out) {
    grid g = grid_of(r->gen->format);
    double zoom = pow2((int)r->gen->scale_pow2 + edge_row_exponent(r->gen, r->row));
    int64_t at = -1;
    block b = {0};
    for (int i = 0; i < r->n; i++) {
        int64_t col = r->col + i;
        if (col / g.width != at) {
            at = col / g.width;
            b = block_at(r, &g, at);
        }
        bits_store(r->dtype, out, i, value_at(r, &g, &b, col, r->words[i], zoom));
    }
}
