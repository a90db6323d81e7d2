// SPDX-License-Identifier: Apache-2.0
// Codes and scales of every packing as numbers. Places come from tables by pack and spread.
#include "audit/dequant.h"

#include <math.h>
#include <string.h>

#include "qp/ref.h"
#include "qp/refcalib.h"

static double number(uint32_t f32_bits) {
    float f;
    memcpy(&f, &f32_bits, sizeof f);
    return f;
}

static uint32_t word_at(const qp_ck_tensor *t, uint64_t i) {
    uint32_t w;
    memcpy(&w, t->data + 4 * i, sizeof w);
    return w;
}

// b bits from a stream that begins at `bits` into words of the tensor `step` apart.
static uint32_t from_stream(const qp_ck_tensor *t, uint64_t first, uint64_t step, uint64_t bit, int b) {
    const uint64_t word = bit / 32, shift = bit % 32;
    uint64_t two = word_at(t, first + word * step);
    if (shift + (uint64_t)b > 32) two |= (uint64_t)word_at(t, first + (word + 1) * step) << 32;
    return (uint32_t)(two >> shift) & ((1u << b) - 1);
}

static uint32_t nibble(const qp_ck_tensor *t, int64_t at) {
    return t->data[at / 2] >> (at % 2 * 4) & 15;
}

// ---- codes
// -------------------------------------------------------------------------------------------------------------

typedef uint32_t (*code_fn)(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c);

// Fused experts of Model Optimizer lie as [E, in, out].
static uint32_t code_bytes(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    if (m->scheme->spread != QP_CK_TILE_3D) return t->data[r * m->in + c];
    return t->data[(r / m->out * m->in + c) * m->out + r % m->out];
}

static uint32_t code_pairs(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    return nibble(t, ref_nibble_at(REF_NIBBLES_LOW_FIRST, m->in, r, c));
}

static uint32_t code_row_pairs(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    return nibble(t, ref_nibble_at(REF_NIBBLES_ROW_PAIRS, m->in, r, c));
}

static uint32_t code_in_pairs(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    const int64_t e = r / m->out, half = (m->in + 1) / 2;
    return nibble(t, (e * half * m->out + c / 2 * m->out + r % m->out) * 2 + c % 2);
}

static uint32_t code_six(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    const uint8_t *p = t->data + r * (m->in * 6 / 8) + c * 6 / 8;
    const int shift = (int)(c * 6 % 8);
    const uint32_t two = p[0] | (shift > 2 ? (uint32_t)p[1] << 8 : 0);
    return two >> shift & 63;
}

static uint32_t code_words(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    const int b = m->scheme->bits;
    const uint64_t words = ((uint64_t)m->in * (uint64_t)b + 31) / 32;
    return from_stream(t, (uint64_t)r * words, 1, (uint64_t)c * (uint64_t)b, b);
}

static uint32_t code_words_out(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    return nibble(t, ref_nibble_at(REF_NIBBLES_AWQ_WORD, m->out, c, r));
}

static uint32_t code_words_in(const qp_ck_module *m, const qp_ck_tensor *t, int64_t r, int64_t c) {
    const int b = m->scheme->bits;
    return from_stream(t, (uint64_t)r, (uint64_t)m->out, (uint64_t)c * (uint64_t)b, b);
}

static const code_fn codes_of[] = {
    [QP_CK_BYTES] = code_bytes,         [QP_CK_PAIRS] = code_pairs,       [QP_CK_ROW_PAIRS] = code_row_pairs,
    [QP_CK_IN_PAIRS] = code_in_pairs,   [QP_CK_SIX] = code_six,           [QP_CK_WORDS] = code_words,
    [QP_CK_WORDS_OUT] = code_words_out, [QP_CK_WORDS_IN] = code_words_in, [QP_CK_BLOCKS] = code_pairs,
};

uint32_t qp_ck_code(const qp_ck_module *m, int64_t row, int64_t col) {
    return codes_of[m->scheme->pack](m, m->part[QP_CK_WEIGHT], row, col);
}

// ---- scales
// ------------------------------------------------------------------------------------------------------------

static int64_t group_of(const qp_ck_module *m, int64_t c) {
    const qp_ck_tensor *g_idx = m->part[QP_CK_G_IDX];
    const int64_t g = m->scheme->group_size > 0 ? m->scheme->group_size : m->in;
    return g_idx != NULL ? (int64_t)(int32_t)word_at(g_idx, (uint64_t)c) : c / g;
}

static int64_t groups_in(const qp_ck_module *m) {
    const int64_t g = m->scheme->group_size > 0 ? m->scheme->group_size : m->in;
    return (m->in + g - 1) / g;
}

enum { TILE = 128 };

static int64_t tiles(const qp_ck_module *m, int64_t n) {
    const int64_t t = m->scheme->group_size > 0 ? m->scheme->group_size : TILE;
    return (n + t - 1) / t;
}

uint64_t qp_ck_scale_at(const qp_ck_module *m, int64_t r, int64_t c) {
    const int64_t t = m->scheme->group_size > 0 ? m->scheme->group_size : TILE, e = r / m->out,
                  o = r % m->out;
    switch (m->scheme->spread) {
    case QP_CK_ROW:
        return (uint64_t)r;
    case QP_CK_GROUP:
        return (uint64_t)(r * groups_in(m) + group_of(m, c));
    case QP_CK_TILE:
    case QP_CK_TILE_4D:
    case QP_CK_TILE_3D: // the codes lie turned, the scales do not
        return (uint64_t)((e * tiles(m, m->out) + o / t) * tiles(m, m->in) + c / t);
    case QP_CK_GROUP_T:
        return (uint64_t)((e * groups_in(m) + group_of(m, c)) * m->out + o);
    default:
        return 0; // QP_CK_ONE
    }
}

// ---- values
// ------------------------------------------------------------------------------------------------------------

static double zero_point(const qp_ck_module *m, int64_t r, int64_t c) {
    const qp_ck_scheme *s = m->scheme;
    const qp_ck_tensor *z = m->part[QP_CK_ZERO];
    const double middle = s->pack == QP_CK_WORDS ? (double)(1 << (s->bits - 1)) : 0.0;
    const uint64_t o = (uint64_t)(r % m->out), g = (uint64_t)group_of(m, c);
    if (z == NULL) return middle;
    switch (s->pack) {
    case QP_CK_WORDS: // packed along out, offset like the codes: the middle cancels
        return from_stream(z, g, (uint64_t)groups_in(m), o * (uint64_t)s->bits, s->bits);
    case QP_CK_WORDS_OUT:
        return nibble(z, ref_nibble_at(REF_NIBBLES_AWQ_WORD, m->out, (int64_t)g, (int64_t)o));
    case QP_CK_WORDS_IN: { // v1 stores zero - 1
        const uint64_t words = ((uint64_t)m->out * (uint64_t)s->bits + 31) / 32;
        const double stored = from_stream(z, g * words, 1, o * (uint64_t)s->bits, s->bits);
        return stored + (s->said != NULL && strcmp(s->said, "gptq_v2") == 0 ? 0.0 : 1.0);
    }
    default:
        return z->dtype == QP_ST_I8 ? (double)(int8_t)z->data[qp_ck_scale_at(m, r, c)] : 0.0;
    }
}

static double element(const qp_ck_module *m, int64_t r, int64_t c) {
    const uint32_t code = qp_ck_code(m, r, c);
    switch (m->scheme->element) {
    case QP_ELEM_E2M1:
        return number(ref_e2m1_decode((uint8_t)code));
    case QP_ELEM_E4M3:
        return number(ref_e4m3_decode((uint8_t)code));
    case QP_ELEM_E5M2:
        return number(ref_e5m2_decode((uint8_t)code));
    case QP_ELEM_E2M3:
        return number(ref_e2m3_decode((uint8_t)code));
    case QP_ELEM_E3M2:
        return number(ref_e3m2_decode((uint8_t)code));
    default:
        if (m->scheme->pack == QP_CK_BYTES) return (double)(int8_t)code - zero_point(m, r, c);
        if (m->scheme->pack == QP_CK_ROW_PAIRS) return code & 8 ? (double)code - 16.0 : (double)code;
        return (double)code - zero_point(m, r, c);
    }
}

static double scale(const qp_ck_module *m, uint64_t at) {
    const qp_ck_tensor *s = m->part[QP_CK_SCALE], *g = m->part[QP_CK_GLOBAL];
    const double block = s == NULL ? 1.0 : number(qp_ck_f32(s, at));
    // W4A8 AWQ of Model Optimizer: weight_scale is whole (7 x its maximum is the amax), weight_scale_2 is the
    // second step of a loader, from INT4 to FP8.
    const bool whole = m->scheme->element == QP_ELEM_INT4;
    if (g == NULL || whole || m->scheme->global == QP_CK_NO_GLOBAL) return block;
    const uint64_t which =
        g->n_elems == (uint64_t)m->stack && m->stack > 1 ? at / (s->n_elems / g->n_elems) : 0;
    const double global = number(qp_ck_f32(g, which));
    return m->scheme->global == QP_CK_MULTIPLIES ? block * global : block / global;
}

void qp_ck_values(const qp_ck_module *m, int64_t row0, int64_t n_rows, double *values) {
    const qp_ck_tensor *t = m->part[QP_CK_WEIGHT];
    for (int64_t r = row0; r < row0 + n_rows; r++) {
        uint64_t last = UINT64_MAX;
        double s = 0;
        for (int64_t c = 0; c < m->in; c++, values++) {
            if (m->scheme == NULL) {
                *values = number(qp_ck_f32(t, (uint64_t)(r * m->in + c)));
                continue;
            }
            const uint64_t at = qp_ck_scale_at(m, r, c);
            if (at != last) s = scale(m, last = at);
            *values = element(m, r, c) * s;
        }
    }
}
