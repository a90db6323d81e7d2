// SPDX-License-Identifier: Apache-2.0
// The codes behind one scale (shapes spec 2.1): which elements of the logical weight it covers, and whether
// they all mean zero. Only asked of scales that are zero, so one code at a time will do.
#include "audit/dequant.h"
#include "audit/values.h"

typedef struct area { // of the logical weight
    int64_t stack0, stack1, out0, out1, in0, in1;
} area;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static area tile(const qp_ck_module *m, int64_t side, int64_t e, int64_t row, int64_t col) {
    return (area){
        e, e + 1, row * side, least(m->out, row * side + side), col * side, least(m->in, col * side + side)};
}

// The other way round than qp_ck_scale_at.
static area area_of(const qp_ck_module *m, int64_t i) {
    const int64_t given = m->scheme->group_size, g = given > 0 ? given : m->in,
                  side = given > 0 ? given : 128;
    const int64_t groups = (m->in + g - 1) / g;
    const int64_t down = (m->out + side - 1) / side, across = (m->in + side - 1) / side;
    const int64_t row = i / groups, col = i % groups * g;
    switch (m->scheme->spread) {
    case QP_CK_ONE:
        return (area){0, m->stack, 0, m->out, 0, m->in};
    case QP_CK_ROW:
        return (area){i / m->out, i / m->out + 1, i % m->out, i % m->out + 1, 0, m->in};
    case QP_CK_GROUP:
        return (area){row / m->out, row / m->out + 1,     row % m->out, row % m->out + 1,
                      col,          least(m->in, col + g)};
    case QP_CK_TILE:
    case QP_CK_TILE_4D:
    case QP_CK_TILE_3D:
        return tile(m, side, i / (down * across), i / across % down, i % across);
    case QP_CK_GROUP_T: {
        const int64_t o = i % m->out, k = i / m->out % groups * g, e = i / m->out / groups;
        return (area){e, e + 1, o, o + 1, k, least(m->in, k + g)};
    }
    }
    return (area){0};
}

// Code of zero and the bits that decide: signs do not matter, words hold code + 2^(b-1).
static void zero_of(const qp_ck_scheme *s, unsigned *zero, unsigned *mask) {
    static const uint8_t magnitude[] = {
        [QP_ELEM_INT8] = 0xff, [QP_ELEM_INT4] = 0xff, [QP_ELEM_E4M3] = 0x7f, [QP_ELEM_E2M1] = 0x07,
        [QP_ELEM_E5M2] = 0x7f, [QP_ELEM_E3M2] = 0x1f, [QP_ELEM_E2M3] = 0x1f, [QP_ELEM_NF4] = 0x0f};
    const bool words = s->pack == QP_CK_WORDS || s->pack == QP_CK_WORDS_OUT || s->pack == QP_CK_WORDS_IN;
    *mask = magnitude[s->element];
    *zero = words ? 1u << (s->bits - 1) : 0;
}

bool qp_block_is_zero(const qp_ck_module *m, uint64_t i) {
    unsigned zero, mask;
    if (m->part[QP_CK_WEIGHT] == NULL || !m->sound || m->out <= 0 || m->in <= 0 || m->scheme->bits <= 0)
        return false;
    area x = area_of(m, (int64_t)i);
    // The columns of a group in act order lie anywhere.
    const bool mixed = m->part[QP_CK_G_IDX] != NULL;
    bool any = m->scheme->symmetric;
    zero_of(m->scheme, &zero, &mask);
    if (mixed) x.in0 = 0, x.in1 = m->in;
    for (int64_t r = x.stack0 * m->out + x.out0; r < (x.stack1 - 1) * m->out + x.out1; r++)
        for (int64_t k = x.in0; k < x.in1; k++) {
            if (mixed && qp_ck_scale_at(m, r, k) != i) continue;
            const unsigned code = qp_ck_code(m, r, k) & mask;
            if (!any) zero = code; // with a zero point any one code may mean zero
            any = true;
            if (code != zero) return false;
        }
    return true;
}
