// SPDX-License-Identifier: Apache-2.0
// Values on the grid of a format, and at or one ulp beside the midpoints between its codes. The maxima that
// fix the scales sit at fixed places, chosen so that every scale is a power of two (NVFP4: an exact E4M3
// value) and ties are reached exactly:
//   int8    amax 127 * 2^n   (int4: 7 * 2^n)   once per row and 128 columns
//   fp8     amax 448 * 2^n                     the same
//   nvfp4   block amax 6 * S * 2^n with S an E4M3 value, once per block; one block a row with S = 448, so
//   that the global
//           scale 2688 * 2^n / (6 * 448) is 2^n; ties: every fourth block takes S midway between two E4M3
//           values.
#include "input/dist.h"
#include "input/narrow.h"

typedef struct grid {
    qp_element element;
    int max;       // largest code, in the units of code_value
    int exponent;  // of the tensor
    int64_t width; // one maximum per row and this many columns
} grid;

static grid grid_of(qp_format f) {
    const qp_format_row *row = qp_format_get(f);
    qp_element e = row == NULL ? QP_ELEM_INT8 : row->element;
    switch (e) {
    case QP_ELEM_INT4:
        return (grid){e, 7, -4, 128};
    case QP_ELEM_E4M3:
        return (grid){e, 126, -10, 128};
    case QP_ELEM_E2M1:
        return (grid){e, 7, -9, row->block_cols > 0 ? row->block_cols : 16};
    default:
        return (grid){QP_ELEM_INT8, 127, -7, 128};
    }
}

// Twice the E4M3 value of code c (0 .. 126), and of the midpoint between c and c+1: exact floats.
static float e4m3_value(int c) {
    int e = c >> 3, m = c & 7;
    return e == 0 ? (float)m * pow2(-9) : (float)(8 + m) * pow2(e - 10);
}

static float e2m1_value(int c) {
    static const float values[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    return values[c & 7];
}

static float code_value(qp_element e, int c) {
    return e == QP_ELEM_E4M3 ? e4m3_value(c) : e == QP_ELEM_E2M1 ? e2m1_value(c) : (float)c;
}

// A midpoint needs one bit more than the values: the sum of two neighbours is exact, and so is its half.
static float midpoint(qp_element e, int c) {
    return (code_value(e, c) + code_value(e, c + 1)) * 0.5f;
}

float grid_max(qp_format f) {
    grid g = grid_of(f);
    float top = code_value(g.element, g.max) * pow2(g.exponent);
    return g.element == QP_ELEM_E2M1 ? top * 448.0f : top;
}

typedef struct block {
    float scale;    // elements are codes times this
    float max;      // the value at max_at
    int64_t max_at; // column
    bool scale_tie;
} block;

static block block_at(const run *r, const grid *g, int64_t index) {
    int64_t first = index * g->width, width = r->cols - first < g->width ? r->cols - first : g->width;
    philox_key k = philox_key_of(r->gen->seed, r->name, STREAM_BLOCK);
    int64_t n_blocks = (r->cols + g->width - 1) / g->width;
    uint32_t w[4];
    philox_block(&k, (uint64_t)(r->row * n_blocks + index), w);
    block b = {.scale = pow2(g->exponent), .max_at = first + (int64_t)(w[0] % (uint64_t)width)};
    if (g->element != QP_ELEM_E2M1) {
        // per row formats: a power of two of its own for every row
        if (qp_format_get(r->gen->format)->grain == QP_GRAIN_AXIS0) b.scale *= pow2((int)(r->row % 5) - 2);
        b.max = code_value(g->element, g->max) * b.scale;
        return b;
    }
    bool top = index == (int64_t)((uint64_t)r->row % (uint64_t)n_blocks);
    int code = top ? 126 : 1 + (int)(w[1] % 125);
    float s = e4m3_value(code);
    b.max = 6.0f * s * b.scale;
    if (r->gen->dist == QP_DIST_TIES && !top && (w[2] & 3) == 0) {
        b.scale_tie = true;
        b.max = 6.0f * midpoint(QP_ELEM_E4M3, code) * b.scale;
        s = e4m3_value(code + (code & 1)); // what the tie rounds to: the even code
    }
    b.scale *= s;
    return b;
}

static uint32_t beside(uint32_t bits, int ulps) {
    return (bits & 0x7fffffffu) == 0 ? bits : bits + (uint32_t)ulps;
}

static uint32_t value_at(const run *r, const grid *g, const block *b, int64_t col, uint32_t word,
                         float zoom) {
    uint32_t sign = word >> 31;
    int ulps = (int)(word >> 8 & 3) - 1; // -1 0 1, and 2: a value on the grid
    bool ties = r->gen->dist == QP_DIST_TIES;
    float v;
    if (col == b->max_at) {
        v = b->max;
        if (!b->scale_tie || ulps == 2) ulps = 0; // only the tie of the block scale itself is shaken
    } else if (ties && ulps != 2) {
        // under a block amax that is rounded up by the scale tie, 3.5 times the scale is still below it
        int n_codes = b->scale_tie ? 6 : g->max;
        v = midpoint(g->element, (int)(word >> 16 & 0x7fff) % n_codes) * b->scale;
    } else {
        int n_codes = b->scale_tie ? 6 : g->max + 1;
        v = code_value(g->element, (int)(word >> 16 & 0x7fff) % n_codes) * b->scale;
        ulps = 0;
    }
    uint32_t image = image_of(v * zoom) | sign << 31;
    return beside(narrow_one(r->dtype, image), ulps);
}

void grid_fill(const run *r, void *out) {
    grid g = grid_of(r->gen->format);
    float zoom = pow2((int)r->gen->scale_pow2 + edge_row_exponent(r->gen, r->row));
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
