// SPDX-License-Identifier: Apache-2.0
// What one quantized linear stores, whatever the dialect: codes as the reference packs them, scales by tile,
// zero points, and the values they mean (shapes spec 2.1 to 2.6).
#include "audit/against.h"

#include <string.h>

enum { TILE = 128 };

// ---- which family
// ------------------------------------------------------------------------------------------------------------

typedef struct family_row {
    qp_element element;
    unsigned dialects; // 0: every one
    bool scale_bytes;  // E8M0
    qp_ag_family family;
    qp_format format;
    float divisor; // of the amax: scales of GIVEN and INT4_PAIRS
} family_row;

#define D(name) (1u << QP_CK_##name)
// The first row that fits. compared by element, dialect and whether the scales are E8M0.
static const family_row families[] = {
    {QP_ELEM_E2M1, 0, true, QP_AG_MX, QP_MXFP4, 0},
    {QP_ELEM_E4M3, 0, true, QP_AG_MX, QP_MXFP8_E4M3, 0},
    {QP_ELEM_E5M2, 0, true, QP_AG_MX, QP_MXFP8_E5M2, 0},
    {QP_ELEM_E2M3, 0, true, QP_AG_MX, QP_MXFP6_E2M3, 0},
    {QP_ELEM_E3M2, 0, true, QP_AG_MX, QP_MXFP6_E3M2, 0},
    {QP_ELEM_INT8, 0, true, QP_AG_MX, QP_MXINT8, 0},
    {QP_ELEM_E2M1, D(COMPRESSED_TENSORS), false, QP_AG_NVFP4_CT, QP_NVFP4, 0},
    {QP_ELEM_E2M1, D(MODELOPT), false, QP_AG_NVFP4, QP_NVFP4, 2688},
    {QP_ELEM_E4M3, D(COMPRESSED_TENSORS), false, QP_AG_CT, QP_FP8_E4M3, 448},
    {QP_ELEM_INT8, D(COMPRESSED_TENSORS), false, QP_AG_CT, QP_INT8, 127.5f},
    {QP_ELEM_INT4, D(COMPRESSED_TENSORS), false, QP_AG_CT, QP_INT4_BLOCK, 7.5f},
    {QP_ELEM_E4M3, D(MODELOPT) | D(FP8), false, QP_AG_GIVEN, QP_FP8_EXPORT, 448},
    {QP_ELEM_INT8, D(MODELOPT), false, QP_AG_GIVEN, QP_INT8_EXPORT, 127},
    {QP_ELEM_INT4, D(MODELOPT), false, QP_AG_INT4_PAIRS, QP_INT4_AWQ, 7},
};

static bool is_e8m0(const qp_ck_tensor *t) {
    return t->dtype == QP_ST_U8 || t->dtype == QP_ST_F8_E8M0;
}

static int bits_of(qp_element e) {
    return e == QP_ELEM_INT4 || e == QP_ELEM_E2M1 || e == QP_ELEM_NF4 ? 4
           : e == QP_ELEM_E2M3 || e == QP_ELEM_E3M2                   ? 6
                                                                      : 8;
}

static const char *take_family(const qp_ck_scheme *s, qp_ag_view *v) {
    const qp_ck_tensor *zero = v->m->part[QP_CK_ZERO];
    if (s->dialect == QP_CK_AWQ) return "AWQ scales the weights before it rounds them";
    if (s->dialect == QP_CK_GPTQ) return "GPTQ moves the weights while it rounds them";
    const bool odd = s->bits > 0 && s->bits != bits_of(s->element);
    if (odd && s->dialect != QP_CK_COMPRESSED_TENSORS) return "the reference has no codes of this width";
    for (int i = 0; i < QP_COUNT(families); i++) {
        const family_row *f = &families[i];
        if (f->element != s->element || f->scale_bytes != is_e8m0(v->m->part[QP_CK_SCALE])) continue;
        if (f->dialects != 0 && !(f->dialects >> s->dialect & 1)) continue;
        v->family = f->family;
        v->format = f->format;
        v->divisor = f->divisor;
        if (f->family == QP_AG_NVFP4 && s->divisor > 0 && s->divisor < 1000) { // W4A8: amax / 448
            v->format = QP_NVFP4_W4A8;
            v->divisor = 448;
        }
        if (f->family == QP_AG_CT && (zero != NULL || odd)) v->family = QP_AG_CT_ASYM;
        return NULL;
    }
    return "no rule of the reference fits this scheme";
}

static void take_tiles(const qp_ck_scheme *s, qp_ag_view *v) {
    const qp_ck_module *m = v->m;
    v->tile_rows = 1;
    v->tile_cols = m->in;
    switch (s->spread) {
    case QP_CK_ONE:
        v->tile_rows = m->out;
        break;
    case QP_CK_ROW:
        break;
    case QP_CK_GROUP:
    case QP_CK_GROUP_T:
        if (s->group_size > 0) v->tile_cols = s->group_size;
        break;
    default:
        v->tile_rows = v->tile_cols = TILE;
    }
    v->scale_rows = (m->out + v->tile_rows - 1) / v->tile_rows;
    v->scale_cols = (m->in + v->tile_cols - 1) / v->tile_cols;
}

static qp_ag_layout layout_of(const qp_ck_scheme *s) {
    switch (s->pack) {
    case QP_CK_ROW_PAIRS:
        return QP_AG_CODE_ROW_PAIRS;
    case QP_CK_PAIRS:
    case QP_CK_IN_PAIRS:
    case QP_CK_BLOCKS:
        return QP_AG_CODE_NIBBLES;
    case QP_CK_BYTES:
    case QP_CK_WORDS:
        return s->element == QP_ELEM_INT4 && (s->bits == 4 || s->bits == 0) ? QP_AG_CODE_NIBBLES
                                                                            : QP_AG_CODE_BYTES;
    default:
        return QP_AG_CODE_BYTES;
    }
}

void qp_ag_view_of(const qp_ck_module *m, qp_ag_view *v, const char **why_not) {
    const qp_ck_tensor *global = m->part[QP_CK_GLOBAL], *g_idx = m->part[QP_CK_G_IDX];
    *v = (qp_ag_view){.m = m, .family = QP_AG_NONE, .format = QP_FORMAT_NONE};
    v->layout = layout_of(m->scheme);
    v->scale_bytes = m->part[QP_CK_SCALE]->dtype == QP_ST_F8_E4M3 || is_e8m0(m->part[QP_CK_SCALE]);
    v->divides = m->scheme->global == QP_CK_DIVIDES;
    take_tiles(m->scheme, v);
    *why_not = take_family(m->scheme, v);
    if (*why_not == NULL && g_idx != NULL) *why_not = "columns in the order of their activations";
    if (*why_not == NULL && global != NULL && global->n_elems != 1) *why_not = "several global scales";
    if (*why_not == NULL && m->scheme->global != QP_CK_NO_GLOBAL && global == NULL)
        *why_not = "no global scale";
    if (*why_not == NULL && v->family == QP_AG_INT4_PAIRS && global != NULL)
        *why_not = "AWQ scales the weights before it rounds them"; // W4A8_AWQ
    if (*why_not != NULL) v->family = QP_AG_NONE;
}

// ---- codes
// -------------------------------------------------------------------------------------------------------------------

int64_t qp_ag_row_bytes(const qp_ag_view *v, int64_t rows) {
    const int64_t in = v->m->in;
    switch (v->layout) {
    case QP_AG_CODE_NIBBLES:
        return rows * ((in + 1) / 2);
    case QP_AG_CODE_ROW_PAIRS:
        return (rows + 1) / 2 * in;
    default:
        return rows * in;
    }
}

static uint32_t word_at(const qp_ck_tensor *t, uint64_t i) {
    uint32_t w;
    memcpy(&w, t->data + 4 * i, 4);
    return w;
}

// Code i of a stream of b bits, lowest first, in words `step` apart.
static uint32_t stream_code(const qp_ck_tensor *t, uint64_t first, uint64_t step, uint64_t i, unsigned b) {
    const uint64_t bit = i * b, word = bit / 32;
    const unsigned shift = (unsigned)(bit % 32);
    uint64_t w = word_at(t, first + word * step);
    if (shift + b > 32) w |= (uint64_t)word_at(t, first + (word + 1) * step) << 32;
    return (uint32_t)(w >> shift) & ((1u << b) - 1);
}

static void put(const qp_ag_view *v, uint8_t *row, int64_t c, uint8_t code) {
    if (v->layout == QP_AG_CODE_BYTES)
        row[c] = code;
    else if (c % 2 == 0)
        row[c / 2] = code & 15;
    else
        row[c / 2] = (uint8_t)(row[c / 2] | code << 4);
}

static const unsigned awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7}; // of output i in its word

static uint8_t stored_code(const qp_ag_view *v, int64_t e, int64_t r, int64_t c) {
    const qp_ck_module *m = v->m;
    const qp_ck_tensor *t = m->part[QP_CK_WEIGHT];
    const int64_t row = e * m->out + r;
    const unsigned bits = m->scheme->bits > 0 ? (unsigned)m->scheme->bits : 4;
    switch (m->scheme->pack) {
    case QP_CK_IN_PAIRS: {
        const uint8_t byte = t->data[(e * ((m->in + 1) / 2) + c / 2) * m->out + r];
        return c % 2 == 0 ? byte & 15 : byte >> 4;
    }
    case QP_CK_SIX: { // four codes in three bytes, lowest first
        const uint8_t *p = t->data + row * (m->in * 6 / 8) + c * 6 / 8;
        const unsigned shift = (unsigned)(c * 6 % 8);
        const unsigned two = p[0] | (shift > 2 ? (unsigned)p[1] << 8 : 0);
        return (uint8_t)(two >> shift & 63);
    }
    case QP_CK_WORDS: {
        const int64_t words = (m->in * bits + 31) / 32;
        const uint32_t code = stream_code(t, (uint64_t)(row * words), 1, (uint64_t)c, bits);
        if (bits == 4) return (uint8_t)code; // the reference keeps the offset of INT4
        return (uint8_t)(code - (1u << (bits - 1)));
    }
    case QP_CK_WORDS_OUT:
        return (uint8_t)(word_at(t, (uint64_t)(c * (m->out / 8) + r / 8)) >> (4 * awq_place[r % 8]) & 15);
    case QP_CK_WORDS_IN:
        return (uint8_t)stream_code(t, (uint64_t)r, (uint64_t)m->out, (uint64_t)c, bits);
    default:
        if (m->scheme->spread == QP_CK_TILE_3D) return t->data[(e * m->in + c) * m->out + r]; // [E, in, out]
        // INT4, a byte each
        return (uint8_t)(t->data[row * m->in + c] + 8) & 15;
    }
}

static bool in_place(const qp_ag_view *v) {
    const qp_ck_scheme *s = v->m->scheme;
    if (s->pack == QP_CK_WORDS) return s->bits == 4 && v->m->in % 8 == 0;
    if (s->pack == QP_CK_BYTES) return v->layout == QP_AG_CODE_BYTES && s->spread != QP_CK_TILE_3D;
    return s->pack == QP_CK_PAIRS || s->pack == QP_CK_BLOCKS || s->pack == QP_CK_ROW_PAIRS;
}

const uint8_t *qp_ag_codes(const qp_ag_view *v, int64_t e, int64_t row0, int64_t n, uint8_t *buffer) {
    const int64_t row = qp_ag_row_bytes(v, 1), out = v->m->out;
    if (in_place(v)) {
        const uint8_t *data = v->m->part[QP_CK_WEIGHT]->data;
        if (v->layout != QP_AG_CODE_ROW_PAIRS) return data + (e * out + row0) * row;
        return data + (e * out + row0) / 2 * v->m->in;
    }
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < v->m->in; c++) put(v, buffer + r * row, c, stored_code(v, e, row0 + r, c));
    return buffer;
}

uint8_t qp_ag_code(const qp_ag_view *v, const uint8_t *codes, int64_t row, int64_t col) {
    const int64_t in = v->m->in;
    if (v->layout == QP_AG_CODE_BYTES) return codes[row * in + col];
    if (v->layout == QP_AG_CODE_ROW_PAIRS) {
        const uint8_t pair = codes[row / 2 * in + col];
        return row % 2 == 0 ? pair & 15 : pair >> 4;
    }
    const uint8_t byte = codes[row * ((in + 1) / 2) + col / 2];
    return col % 2 == 0 ? byte & 15 : byte >> 4;
}

bool qp_ag_same_code(const qp_ag_view *v, uint8_t a, uint8_t b) {
    if (a == b) return true;
    return v->m->scheme->element == QP_ELEM_E4M3 && (a & 0x7f) == 0x7f && (b & 0x7f) == 0x7f;
}

// ---- scales
// ------------------------------------------------------------------------------------------------------------------

uint64_t qp_ag_scale_at(const qp_ag_view *v, int64_t e, int64_t tr, int64_t tc) {
    const uint64_t rows = (uint64_t)v->scale_rows, cols = (uint64_t)v->scale_cols;
    const uint64_t x = (uint64_t)e, r = (uint64_t)tr, c = (uint64_t)tc;
    switch (v->m->scheme->spread) {
    case QP_CK_ONE:
        return v->m->part[QP_CK_SCALE]->n_elems == 1 ? 0 : x;
    case QP_CK_GROUP_T: // [groups, out]
        return (x * cols + c) * rows + r;
    default:
        return (x * rows + r) * cols + c;
    }
}

uint32_t qp_ag_scale(const qp_ag_view *v, int64_t e, int64_t tr, int64_t tc) {
    const qp_ck_tensor *t = v->m->part[QP_CK_SCALE];
    const uint64_t i = qp_ag_scale_at(v, e, tr, tc);
    return v->scale_bytes ? t->data[i] : qp_ck_f32(t, i);
}

bool qp_ag_same_scale(const qp_ag_view *v, uint32_t a, uint32_t b) {
    if (a == b) return true;
    if (v->scale_bytes) // E4M3: NaN as a class
        return v->m->part[QP_CK_SCALE]->dtype == QP_ST_F8_E4M3 && (a & 0x7f) == 0x7f && (b & 0x7f) == 0x7f;
    return (a & 0x7fffffff) > 0x7f800000 && (b & 0x7fffffff) > 0x7f800000;
}

static const uint32_t ONE = 0x3f800000;

uint32_t qp_ag_global(const qp_ag_view *v) {
    const qp_ck_tensor *t = v->m->part[QP_CK_GLOBAL];
    return t != NULL && t->n_elems > 0 ? qp_ck_f32(t, 0) : ONE;
}

float qp_ag_scale_value(const qp_ag_view *v, uint32_t image) {
    const bool e4m3 = v->m->part[QP_CK_SCALE]->dtype == QP_ST_F8_E4M3;
    const uint32_t scale = !v->scale_bytes ? image
                           : e4m3          ? ref_e4m3_decode((uint8_t)image)
                                           : ref_e8m0_decode((uint8_t)image);
    const float global = qp_ag_number(qp_ag_global(v));
    return v->divides ? qp_ag_number(scale) / global : qp_ag_number(scale) * global;
}

// ---- zero points and values
// --------------------------------------------------------------------------------------------------

int qp_ag_zero(const qp_ag_view *v, int64_t e, int64_t row, int64_t tc) {
    const qp_ck_module *m = v->m;
    const qp_ck_tensor *t = m->part[QP_CK_ZERO];
    const unsigned bits = m->scheme->bits > 0 ? (unsigned)m->scheme->bits : 4;
    const bool offset = m->scheme->pack == QP_CK_WORDS_OUT || m->scheme->pack == QP_CK_WORDS_IN;
    if (t == NULL) return offset ? 1 << (bits - 1) : 0; // symmetric
    switch (m->scheme->pack) {
    case QP_CK_WORDS_OUT:
        return (int)(word_at(t, (uint64_t)(tc * (m->out / 8) + row / 8)) >> (4 * awq_place[row % 8]) & 15);
    case QP_CK_WORDS_IN: { // version 1 stores one less
        const uint64_t words = (uint64_t)m->out * bits / 32;
        const int stored = (int)stream_code(t, (uint64_t)tc * words, 1, (uint64_t)row, bits);
        return strstr(m->scheme->name, "v2") != NULL ? stored : stored + 1;
    }
    case QP_CK_WORDS: { // packed along the rows, [ceil(O b/32), I/g]
        const uint64_t cols = (uint64_t)v->scale_cols, words = ((uint64_t)m->out * bits + 31) / 32;
        const uint64_t first = (uint64_t)e * words * cols + (uint64_t)tc;
        return (int)stream_code(t, first, cols, (uint64_t)row, bits) - (1 << (bits - 1));
    }
    default:
        return (int8_t)t->data[(e * v->scale_rows + row / v->tile_rows) * v->scale_cols + tc];
    }
}

float qp_ag_level(const qp_ag_view *v, uint8_t code) {
    const qp_ck_scheme *s = v->m->scheme;
    switch (s->element) {
    case QP_ELEM_E2M1:
        return qp_ag_number(ref_e2m1_decode(code));
    case QP_ELEM_E4M3:
        return qp_ag_number(ref_e4m3_decode(code));
    case QP_ELEM_E5M2:
        return qp_ag_number(ref_e5m2_decode(code));
    case QP_ELEM_E2M3:
        return qp_ag_number(ref_e2m3_decode(code));
    case QP_ELEM_E3M2:
        return qp_ag_number(ref_e3m2_decode(code));
    default:
        break;
    }
    if (v->layout == QP_AG_CODE_NIBBLES) return (float)(code - 8);
    if (v->layout == QP_AG_CODE_ROW_PAIRS) return (float)(code >= 8 ? code - 16 : code);
    return s->pack == QP_CK_WORDS_OUT || s->pack == QP_CK_WORDS_IN ? (float)code : (float)(int8_t)code;
}
