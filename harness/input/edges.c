// SPDX-License-Identifier: Apache-2.0
// Special values at fixed global places. i = row * cols + col; later lines win over earlier ones:
//   subnormal    i % 37 == 5                              any sign and mantissa
//   neg-zero     i % 41 == 11
//   amax         i % 53 == 17                             + or - the nominal amax (qp_gen_nominal_amax)
//   amax+ulp     i % 59 == 23                             the nominal amax + or - 1 ulp, any sign
//   max          row % 8 == 1, col == (13 row + 3) % cols  largest finite value, any sign
//   inf          row % 8 == 3, col == (11 row + 1) % cols  any sign
//   nan          row % 8 == 5, col == (7 row + 2) % cols   quiet, any sign and payload
//   zero-block   (row + col / 16) % 7 == 2, and whole rows with row % 61 == 7
//   the peak     qp_gen.peak_index
// In a tensor of too few rows the last row takes the place of row 1, 3 or 5. spread: row r is scaled by 2^(5
// r % 13 - 6).
#include "input/dist.h"
#include "input/narrow.h"

typedef struct layout { // of a floating point type
    uint32_t sign, inf, quiet, mantissa;
} layout;

static layout layout_of(qp_dtype t) {
    static const layout bf16 = {0x8000, 0x7f80, 0x40, 0x7f}, fp16 = {0x8000, 0x7c00, 0x200, 0x3ff};
    static const layout fp32 = {0x80000000u, 0x7f800000, 0x400000, 0x7fffff};
    return t == QP_BF16 ? bf16 : t == QP_FP16 ? fp16 : fp32;
}

int edge_row_exponent(const qp_gen *g, int64_t row) {
    if ((g->edges & 1u << QP_EDGE_SPREAD) == 0) return 0;
    return (int)(row % 13 * 5 % 13) - 6;
}

uint32_t qp_gen_nominal_amax(const qp_gen *g) {
    float v = 1.0f;
    switch (g->dist) {
    case QP_DIST_GAUSS:
    case QP_DIST_HEAVY:
    case QP_DIST_OUTLIERS:
        v = float_of(narrow_one(QP_BF16, image_of(3.5f * (float)g->sigma)) << 16);
        break;
    case QP_DIST_QUANTIZED:
    case QP_DIST_TIES:
        v = grid_max(g->format);
        break;
    case QP_DIST_RECORD:
        v = 0.25f;
        break;
    default:
        break;
    }
    return image_of(v * pow2((int)g->scale_pow2));
}

// Above everything the distribution and the spread can give.
static uint32_t peak_bits(const run *r, const layout *l) {
    static const int above[QP_DIST_COUNT] = {
        [QP_DIST_GAUSS] = 2,     [QP_DIST_HEAVY] = 14, [QP_DIST_OUTLIERS] = 8, [QP_DIST_BITS] = 120,
        [QP_DIST_QUANTIZED] = 4, [QP_DIST_TIES] = 4,   [QP_DIST_RECORD] = 2,
    };
    int e = above[r->gen->dist] + ((r->gen->edges & 1u << QP_EDGE_SPREAD) != 0 ? 6 : 0);
    float v = float_of(qp_gen_nominal_amax(r->gen)) * pow2(e);
    uint32_t bits = narrow_one(r->dtype, image_of(v));
    return bits < l->inf ? bits : l->inf - 1;
}

static bool on_row(const run *r, int64_t want) {
    return r->row % 8 == want || (r->rows <= want && r->row == r->rows - 1);
}

static bool at(const run *r, int64_t col, int64_t row, int64_t times, int64_t plus) {
    return on_row(r, row) && col == (r->row * times + plus) % r->cols;
}

// The bits of the last edge that wants element i of the run; false: none does.
static bool edge_bits(const run *r, const layout *l, uint32_t amax, int i, uint32_t *bits) {
    int64_t col = r->col + i, index = r->row * r->cols + col;
    uint32_t w = r->words[i], sign = w >> 31 != 0 ? l->sign : 0, set = r->gen->edges;
    struct {
        qp_edge edge;
        bool here;
        uint32_t bits;
    } const table[] = {
        {QP_EDGE_SUBNORMAL, index % 37 == 5, sign | ((w & l->mantissa) | 1)},
        {QP_EDGE_NEG_ZERO, index % 41 == 11, l->sign},
        {QP_EDGE_AMAX, index % 53 == 17, sign | amax},
        {QP_EDGE_AMAX_ULP, index % 59 == 23, sign | (amax + ((w & 1) != 0 ? 1u : (uint32_t)-1))},
        {QP_EDGE_MAX, at(r, col, 1, 13, 3), sign | (l->inf - 1)},
        {QP_EDGE_INF, at(r, col, 3, 11, 1), sign | l->inf},
        {QP_EDGE_NAN, at(r, col, 5, 7, 2), sign | l->inf | l->quiet | (w & l->mantissa)},
        {QP_EDGE_ZERO_BLOCK, (r->row + col / 16) % 7 == 2 || r->row % 61 == 7, 0},
    };
    bool hit = false;
    for (int e = 0; e < QP_COUNT(table); e++) {
        if ((set & 1u << table[e].edge) == 0 || !table[e].here) continue;
        *bits = table[e].bits;
        hit = true;
    }
    return hit;
}

void edges_apply(const run *r, void *out) {
    layout l = layout_of(r->dtype);
    if ((r->gen->edges & ~(1u << QP_EDGE_SPREAD)) != 0) {
        uint32_t amax = narrow_one(r->dtype, qp_gen_nominal_amax(r->gen)), bits;
        for (int i = 0; i < r->n; i++)
            if (edge_bits(r, &l, amax, i, &bits)) bits_store(r->dtype, out, i, bits);
    }
    int64_t first = r->row * r->cols + r->col, peak = r->gen->peak_index;
    if (peak >= first && peak < first + r->n) bits_store(r->dtype, out, peak - first, peak_bits(r, &l));
}
