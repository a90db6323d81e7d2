// SPDX-License-Identifier: Apache-2.0
// INT and FP8: one level of scales over a tensor, rows, groups of columns or tiles, a code per element, then
// the layout of the dialect (shapes spec 2.1 to 2.4, 2.6).
#include <math.h>
#include <string.h>

#include "qp/ref.h"
#include "synth/parts.h"

enum { TILE = 128 };

typedef struct levels {
    syn_job *j;
    int64_t out, in, n_cols, n_cells; // cells of a row of cells; cells
    const uint16_t *w;
    float *scale, *zero;  // per cell, as stored; zero: as added to the quotient
    const int32_t *g_idx; // group of each column; NULL: column / group
    uint8_t *codes;       // [out, in]: E4M3, or the level as two's complement
} levels;

static int64_t cell_of(const levels *l, int64_t r, int64_t c) {
    switch (l->j->scheme->spread) {
    case SYN_ONE:
        return 0;
    case SYN_ROW:
    case SYN_ROW_1:
        return r;
    case SYN_GROUP:
        return r * l->n_cols + (l->g_idx != NULL ? l->g_idx[c] : c / l->j->scheme->group);
    case SYN_TILE:
    case SYN_TILE_4D:
        return r / TILE * l->n_cols + c / TILE;
    }
    return 0;
}

static void size_up(levels *l) {
    const syn_spread s = l->j->scheme->spread;
    const bool tiles = s == SYN_TILE || s == SYN_TILE_4D;
    l->n_cols = tiles ? (l->in + TILE - 1) / TILE : s == SYN_GROUP ? l->in / l->j->scheme->group : 1;
    l->n_cells = (tiles ? (l->out + TILE - 1) / TILE : s == SYN_ONE ? 1 : l->out) * l->n_cols;
}

static float stored(qp_st_type t, float v) {
    const qp_dtype to = t == QP_ST_BF16 ? QP_BF16 : t == QP_ST_F16 ? QP_FP16 : QP_FP32;
    return syn_float(ref_to_f32(to, ref_from_f32(to, syn_image(v))));
}

static float low_of(const syn_scheme *s) {
    return (float)-(1 << (s->bits - 1));
}

// The range always holds 0; steps over the whole of it; every intermediate in the type of the scale.
static void asymmetric(const levels *l, int64_t cell, float lo, float hi) {
    const syn_scheme *s = l->j->scheme;
    const float width = stored(s->scale, hi - lo), steps = (float)((1 << s->bits) - 1);
    const float scale = stored(s->scale, width / steps);
    const float shift = stored(s->scale, lo / scale);
    float zero = stored(s->scale, low_of(s) - shift);
    const float top = -low_of(s) - 1.0f;
    zero = zero < low_of(s) ? low_of(s) : zero > top ? top : zero;
    l->scale[cell] = scale;
    l->zero[cell] = rintf(zero);
}

static void scales(levels *l) {
    const syn_scheme *s = l->j->scheme;
    for (int64_t r = 0; r < l->out; r++) {
        for (int64_t c = 0; c < l->in; c++) { // scale: max, zero: min, for now
            const int64_t cell = cell_of(l, r, c);
            const float v = syn_float(syn_bf16(l->w[r * l->in + c])), magnitude = fabsf(v);
            const float hi = s->asymmetric ? v : magnitude;
            if (hi > l->scale[cell]) l->scale[cell] = hi;
            if (s->asymmetric && v < l->zero[cell]) l->zero[cell] = v;
        }
    }
    for (int64_t i = 0; i < l->n_cells; i++) {
        if (s->asymmetric)
            asymmetric(l, i, l->zero[i], l->scale[i]);
        else
            l->scale[i] = stored(s->scale, l->scale[i] / s->divisor);
    }
}

static uint8_t code_of(const syn_scheme *s, float w, float scale, float zero) {
    const bool fp8 = s->bits == 8 && s->format == QP_FP8_E4M3;
    float q = w / scale;
    if (s->bf16_quotient) q = stored(QP_ST_BF16, q);
    if (fp8) return ref_e4m3_encode(syn_image(q), true);
    if (s->asymmetric) q = s->bf16_quotient ? stored(QP_ST_BF16, q + zero) : q + zero;
    const float lo = low_of(s), level = rintf(q);
    return (uint8_t)(int32_t)(level < lo ? lo : level > -lo - 1.0f ? -lo - 1.0f : level);
}

static void codes(levels *l) {
    for (int64_t r = 0; r < l->out; r++) {
        for (int64_t c = 0; c < l->in; c++) {
            const int64_t cell = cell_of(l, r, c), i = r * l->in + c;
            l->codes[i] = code_of(l->j->scheme, syn_float(syn_bf16(l->w[i])), l->scale[cell], l->zero[cell]);
        }
    }
}

// ---- layouts
// -----------------------------------------------------------------------------------------------------------------

// A stream of `bits` a value, lowest first, words of 32 bits; stride: between values in from.
static void stream(const uint8_t *from, int64_t n, int64_t stride, int bits, int offset, uint32_t *to,
                   int64_t to_stride) {
    for (int64_t i = 0; i < n; i++) {
        const uint32_t code = (uint32_t)((int8_t)from[i * stride] + offset) & ((1u << bits) - 1);
        const int64_t at = i * bits, word = at / 32;
        const int shift = (int)(at % 32);
        to[word * to_stride] |= code << shift;
        if (shift + bits > 32) to[(word + 1) * to_stride] |= code >> (32 - shift);
    }
}

static qp_status store_scales(levels *l, const char *suffix, uint32_t n_dims, const int64_t *dims,
                              bool turned, qp_err *err) {
    const qp_st_type t = l->j->scheme->scale;
    void *to;
    QP_TRY(syn_part(l->j, suffix, t, n_dims, dims, &to, err));
    for (int64_t i = 0; i < l->n_cells && !l->j->plan; i++) {
        const int64_t at = turned ? i % l->n_cols * l->out + i / l->n_cols : i;
        const uint32_t image = syn_image(l->scale[i]);
        if (t == QP_ST_F32)
            ((uint32_t *)to)[at] = image;
        else
            ((uint16_t *)to)[at] = (uint16_t)ref_from_f32(t == QP_ST_BF16 ? QP_BF16 : QP_FP16, image);
    }
    return QP_OK;
}

static qp_status plain_scales(levels *l, qp_err *err) {
    const syn_scheme *s = l->j->scheme;
    const int64_t rows = l->n_cells / l->n_cols, flat[] = {rows, l->n_cols}, four[] = {rows, 1, l->n_cols, 1};
    const char *suffix = s->inverse_name ? ".weight_scale_inv" : ".weight_scale";
    const bool one = s->spread == SYN_ONE;
    if (s->spread == SYN_TILE_4D) return store_scales(l, suffix, l->n_cells == 1 ? 0 : 4, four, false, err);
    if (one) return store_scales(l, suffix, s->scale == QP_ST_F32 ? 0 : 1, flat, false, err);
    return store_scales(l, suffix, s->spread == SYN_ROW ? 1 : 2, flat, false, err);
}

static qp_status as_bytes(levels *l, qp_err *err) {
    const int64_t dims[] = {l->out, l->in};
    uint8_t *to;
    QP_TRY(syn_part(l->j, ".weight", l->j->scheme->format == QP_FP8_E4M3 ? QP_ST_F8_E4M3 : QP_ST_I8, 2, dims,
                    &to, err));
    if (!l->j->plan) memcpy(to, l->codes, (size_t)(l->out * l->in));
    QP_TRY(plain_scales(l, err));
    if (!l->j->scheme->asymmetric) return QP_OK;
    const int64_t cells[] = {l->n_cells / l->n_cols, l->n_cols};
    QP_TRY(syn_part(l->j, ".weight_zero_point", QP_ST_I8, 2, cells, &to, err));
    for (int64_t i = 0; i < l->n_cells && !l->j->plan; i++) to[i] = (uint8_t)(int32_t)l->zero[i];
    return QP_OK;
}

static qp_status as_row_pairs(levels *l, qp_err *err) {
    const int64_t dims[] = {l->out / 2, l->in};
    uint8_t *to;
    QP_TRY(syn_part(l->j, ".weight", QP_ST_U8, 2, dims, &to, err));
    if (!l->j->plan) ref_nibbles_pack(REF_NIBBLES_ROW_PAIRS, l->out, l->in, l->codes, to);
    return plain_scales(l, err);
}

static qp_status as_words(levels *l, qp_err *err) {
    const int bits = l->j->scheme->bits, offset = 1 << (bits - 1);
    const int64_t words = (l->in * bits + 31) / 32, zero_words = (l->out * bits + 31) / 32;
    const int64_t dims[] = {l->out, words}, zero_dims[] = {zero_words, l->n_cols}, two[] = {2};
    uint32_t *to;
    int64_t *shape;
    QP_TRY(syn_part(l->j, ".weight_packed", QP_ST_I32, 2, dims, &to, err));
    for (int64_t r = 0; r < l->out && !l->j->plan; r++)
        stream(l->codes + r * l->in, l->in, 1, bits, offset, to + r * words, 1);
    QP_TRY(plain_scales(l, err));
    QP_TRY(syn_part(l->j, ".weight_shape", QP_ST_I64, 1, two, &shape, err));
    if (!l->j->plan) shape[0] = l->out, shape[1] = l->in;
    if (!l->j->scheme->asymmetric) return QP_OK;
    QP_TRY(syn_part(l->j, ".weight_zero_point", QP_ST_I32, 2, zero_dims, &to, err));
    if (l->j->plan) return QP_OK;
    uint8_t *zero;
    QP_TRY(QP_NEW(l->j->arena, zero, l->n_cells));
    for (int64_t i = 0; i < l->n_cells; i++) zero[i] = (uint8_t)(int32_t)l->zero[i];
    for (int64_t g = 0; g < l->n_cols; g++)
        stream(zero + g, l->out, l->n_cols, bits, offset, to + g, l->n_cols);
    return QP_OK;
}

// AWQ packs along `out`, GPTQ along `in`; both lie transposed, [in, out].
static qp_status as_columns(levels *l, qp_err *err) {
    const bool awq = l->j->scheme->pack == SYN_AWQ;
    const int64_t dims[] = {awq ? l->in : l->in / 8, awq ? l->out / 8 : l->out};
    const int64_t zeros[] = {l->n_cols, l->out / 8}, cells[] = {l->n_cols, l->out}, idx[] = {l->in};
    const int level0 = l->j->scheme->v2 || awq ? 8 : 7; // GPTQ v1 stores zero - 1
    uint8_t *to, *turned = NULL, *zero = NULL;
    int32_t *g_idx;
    QP_TRY(syn_part(l->j, ".qweight", QP_ST_I32, 2, dims, &to, err));
    if (!l->j->plan) {
        QP_TRY(QP_NEW(l->j->arena, turned, l->out * l->in));
        for (int64_t r = 0; r < l->out; r++)
            for (int64_t c = 0; c < l->in; c++)
                turned[c * l->out + r] = (uint8_t)(l->codes[r * l->in + c] + 8) & 15;
        ref_nibbles_pack(awq ? REF_NIBBLES_AWQ_WORD : REF_NIBBLES_GPTQ_WORD, l->in, l->out, turned, to);
        QP_TRY(QP_NEW(l->j->arena, zero, l->n_cells));
        for (int64_t i = 0; i < l->n_cells; i++)
            zero[i % l->n_cols * l->out + i / l->n_cols] = (uint8_t)((int32_t)l->zero[i] + level0) & 15;
    }
    QP_TRY(syn_part(l->j, ".qzeros", QP_ST_I32, 2, zeros, &to, err));
    if (!l->j->plan)
        ref_nibbles_pack(awq ? REF_NIBBLES_AWQ_WORD : REF_NIBBLES_LOW_FIRST, l->n_cols, l->out, zero, to);
    QP_TRY(store_scales(l, ".scales", 2, cells, true, err));
    if (awq) return QP_OK;
    QP_TRY(syn_part(l->j, ".g_idx", QP_ST_I32, 1, idx, &g_idx, err));
    for (int64_t c = 0; c < l->in && !l->j->plan; c++)
        g_idx[c] = l->g_idx != NULL ? l->g_idx[c] : (int32_t)(c / l->j->scheme->group);
    return QP_OK;
}

// A permutation of the columns' groups (Fisher and Yates).
static qp_status act_order(levels *l, qp_err *err) {
    int32_t *g;
    QP_TRY(QP_NEW(l->j->arena, g, l->in));
    for (int64_t c = 0; c < l->in; c++) g[c] = (int32_t)(c / l->j->scheme->group);
    for (int64_t c = l->in - 1; c > 0; c--) {
        const int64_t k = syn_random(l->j->model, l->j->mod->weights, (uint64_t)c + 4096) % (uint64_t)(c + 1);
        const int32_t t = g[c];
        g[c] = g[k];
        g[k] = t;
    }
    l->g_idx = g;
    return QP_OK;
}

static qp_status second_scale(syn_job *j, qp_err *err) { // W4A8 AWQ
    uint32_t *to, amax;
    QP_TRY(syn_part(j, ".weight_scale_2", QP_ST_F32, 0, NULL, &to, err));
    if (j->plan) return QP_OK;
    QP_TRY(syn_amax(j->model, j->mod, true, &amax, err));
    *to = ref_div(amax, syn_image(j->scheme->global_divisor));
    return QP_OK;
}

qp_status syn_encode_levels(syn_job *j, qp_err *err) {
    levels l = {.j = j, .out = j->mod->out, .in = j->mod->in};
    size_up(&l);
    if (!j->plan) {
        uint16_t *w;
        QP_TRY(syn_job_weight(j, 0, &w, err));
        l.w = w;
        QP_TRY(QP_NEW(j->arena, l.scale, l.n_cells));
        QP_TRY(QP_NEW(j->arena, l.zero, l.n_cells));
        QP_TRY(QP_NEW(j->arena, l.codes, l.out * l.in));
        if (j->scheme->act_order) QP_TRY(act_order(&l, err));
        scales(&l);
        codes(&l);
    }
    switch (j->scheme->pack) {
    case SYN_BYTES:
        QP_TRY(as_bytes(&l, err));
        break;
    case SYN_ROW_PAIRS:
        QP_TRY(as_row_pairs(&l, err));
        break;
    case SYN_WORDS:
        QP_TRY(as_words(&l, err));
        break;
    case SYN_AWQ:
    case SYN_GPTQ:
        QP_TRY(as_columns(&l, err));
        break;
    }
    if (j->scheme->global_divisor > 0.0f) QP_TRY(second_scale(j, err));
    return syn_common(j, err);
}
