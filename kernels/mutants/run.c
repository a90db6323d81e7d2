// SPDX-License-Identifier: Apache-2.0
// The ops of the mutant plug-in, scalar and one block of 16 columns at a time, told in the words of steps.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "steps.h"

typedef struct work {
    const steps *s;
    const qp_launch *l;
    const qp_ktensor *t;
    int64_t row, nb; // nb: blocks of a row
} work;

static int load_block(const work *w, int64_t col, float *x) {
    int n = (int)(w->t->cols - col < BLOCK ? w->t->cols - col : BLOCK);
    for (int j = 0; j < BLOCK; j++)
        x[j] = j < n ? load(w->l->dtype, w->t->x, w->s->x_index(w->t, w->row, col + j)) : 0.0f;
    return n;
}

static float larger(float a, float b) {
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

static void amax_row(const work *w, qp_grain grain) {
    for (int64_t col = 0; col < w->t->cols; col += BLOCK) {
        float x[BLOCK];
        int n = load_block(w, col, x);
        int64_t i = grain == QP_GRAIN_TENSOR  ? 0
                    : grain == QP_GRAIN_AXIS0 ? w->row
                                              : w->row * w->nb + col / BLOCK;
        float m = grain == QP_GRAIN_BLOCK ? 0.0f : w->t->amax_out[i];
        for (int j = 0; j < n; j++) m = larger(m, w->s->magnitude(x[j]));
        store(QP_FP32, w->t->amax_out, i, m);
    }
}

// Dynamic block scale from the data (numerics 4.3); a NaN element never is the maximum.
static float dynamic_scale(const work *w, int64_t col) {
    int64_t begin = col / w->s->scale_width * w->s->scale_width, end = w->s->row_end(w->t, w->row);
    float b = 0.0f;
    for (int64_t c = begin; c < begin + w->s->lanes_seen && c < end; c++) {
        float a = fabsf(load(w->l->dtype, w->t->x, w->s->x_index(w->t, w->row, c)));
        b = a > b ? a : b;
    }
    float gs = w->s->global(w->t->global_amax[0]) / 2688.0f;
    float g = gs > 0.0f ? gs : 1e-12f;
    float t = b / (6.0f * g);
    float scale = e4m3_nearest(t < 448.0f ? t : 448.0f) * g;
    return scale >= 1e-5f ? scale : 1.0f;
}

static float static_scale(const work *w, int64_t col) {
    float sixth = w->s->global(w->t->global_amax[0]) / 6.0f;
    float scale = w->s->fp8(w->t->amax[w->row * w->nb + col / BLOCK] / 6.0f, sixth);
    return isfinite(scale) ? scale : 1.0f;
}

static float nvfp4_value(const work *w, float x, float scale) {
    if (scale == 0.0f) return 0.0f;
    float y = w->s->e2m1(w->s->quotient(fabsf(x), scale)) * scale;
    return x >= 0.0f ? y : 0.0f - y;
}

static void store_block(const work *w, int64_t col, const float *y) {
    int64_t end = w->s->cols_written(w->t->cols);
    // The last block of a row takes what is written behind it too; the next row then begins over it.
    int64_t limit = col + BLOCK >= w->t->cols ? end : col + BLOCK;
    for (int64_t c = col; c < limit && c < end; c++)
        store(w->l->dtype, w->t->y, w->row * w->t->cols + c, c - col < BLOCK ? y[c - col] : 0.0f);
}

static void fakequant_row(const work *w) {
    for (int64_t col = 0; col < w->t->cols; col += BLOCK) {
        float x[BLOCK], y[BLOCK], scale = 1.0f;
        int n = load_block(w, col, x);
        if (w->s->skips(x, n)) continue;
        if (w->l->format == QP_NVFP4) scale = dynamic_scale(w, col);
        if (w->l->format == QP_NVFP4_STATIC) scale = static_scale(w, col);
        bool per_row = w->l->format == QP_INT8_AXIS0 || w->l->format == QP_FP8_AXIS0;
        for (int j = 0; j < BLOCK; j++) {
            if (w->l->format == QP_INT8 || w->l->format == QP_INT8_AXIS0)
                y[j] = w->s->int8(x[j], w->t->amax[per_row ? w->row : 0], w->l->narrow_range);
            else if (w->l->format == QP_FP8_E4M3 || w->l->format == QP_FP8_AXIS0)
                y[j] = w->s->fp8(x[j], w->t->amax[per_row ? w->row : 0]);
            else
                y[j] = nvfp4_value(w, x[j], scale);
        }
        store_block(w, col, y);
        w->s->after_block(w->l, w->t, w->row, col, n, y);
    }
}

static float clip_amax(const work *w, int64_t col) {
    switch (w->l->format) {
    case QP_NVFP4:
        return w->t->global_amax[0];
    case QP_NVFP4_STATIC:
        return w->t->amax[w->row * w->nb + col / BLOCK];
    case QP_INT8_AXIS0:
    case QP_FP8_AXIS0:
        return w->t->amax[w->row];
    default:
        return w->t->amax[0];
    }
}

static void backward_row(const work *w) {
    size_t bytes = qp_dtype_bytes(w->l->dtype);
    bool pass = w->l->bwd == QP_BWD_PASS;
    for (int64_t col = 0; col < w->s->cols_written(w->t->cols); col++) {
        int64_t i = w->row * w->t->cols + col;
        bool inside = col < w->t->cols;
        bool keep =
            inside &&
            (pass || w->s->keeps(w->l->dtype, load(w->l->dtype, w->t->x, w->s->x_index(w->t, w->row, col)),
                                 clip_amax(w, col)));
        char *to = (char *)w->t->y + (size_t)i * bytes;
        if (keep)
            memcpy(to, (const char *)w->t->grad + (size_t)i * bytes, bytes);
        else
            memset(to, 0, bytes);
    }
}

static uint8_t nibble(const work *w, float z) {
    float v = w->s->e2m1(fabsf(z));
    uint8_t code = (uint8_t)(v < 2.0f ? v * 2.0f : v < 4.0f ? v + 2.0f : v < 6.0f ? 6.0f : 7.0f);
    return (uint8_t)(code | (z < 0.0f ? 8 : 0));
}

static void quant_row(const work *w) {
    float ga = w->s->global(w->t->global_amax[0]), ws2 = ga / 2688.0f;
    int64_t row_bytes = (w->t->cols + 1) / 2;
    for (int64_t col = 0; col < w->t->cols; col += BLOCK) {
        float x[BLOCK], p = 0.0f;
        int n = load_block(w, col, x);
        if (w->l->format == QP_NVFP4) {
            for (int j = 0; j < n; j++) p = larger(p, fabsf(x[j]));
            p = p / (6.0f * ws2);
            p = p == 0.0f ? 1.0f : p;
        } else {
            p = w->t->amax[w->row * w->nb + col / BLOCK] / 6.0f;
            p = p == 0.0f ? 1.0f : p;
            p = p * 448.0f / (ga / 6.0f);
        }
        uint8_t byte = w->s->scale_byte(p);
        if (w->row < w->s->scale_rows(w->t->rows))
            ((uint8_t *)w->t->scales)[w->row * w->nb + col / BLOCK] = byte;
        float d = w->s->element_scale(byte, p) * ws2;
        for (int j = 0; j < BLOCK && col + j < w->s->cols_written(w->t->cols); j += 2) {
            uint8_t pair = (uint8_t)(nibble(w, x[j] / d) | nibble(w, x[j + 1] / d) << 4);
            w->t->codes[w->row * row_bytes + (col + j) / 2] = pair;
        }
    }
}

static void dequant_row(const work *w) {
    static const float value[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, 0, -.5f, -1, -1.5f, -2, -3, -4, -6};
    int64_t row_bytes = (w->t->cols + 1) / 2;
    float ws2 = w->s->second_level(w->t->weight_scale_2[0]);
    for (int64_t col = 0; col < w->t->cols; col += BLOCK) {
        float y[BLOCK], s = e4m3_value(((const uint8_t *)w->t->scales)[w->row * w->nb + col / BLOCK]) * ws2;
        for (int j = 0; j < BLOCK; j++) {
            int64_t c = col + j < w->t->cols ? col + j : w->t->cols - 1;
            uint8_t pair = w->t->codes[w->row * row_bytes + c / 2];
            y[j] = s * value[c % 2 ? pair >> 4 : pair & 15];
        }
        store_block(w, col, y);
    }
}

static bool offered(const qp_launch *l) {
    static const qp_format formats[] = {QP_INT8,      QP_INT8_AXIS0, QP_FP8_E4M3,
                                        QP_FP8_AXIS0, QP_NVFP4,      QP_NVFP4_STATIC};
    bool packs = l->format == QP_NVFP4 || l->format == QP_NVFP4_STATIC, known = false;
    for (int i = 0; i < QP_COUNT(formats); i++) known = known || formats[i] == l->format;
    bool pack_op = l->op == QP_OP_QUANT || l->op == QP_OP_DEQUANT;
    bool float_type = l->dtype == QP_BF16 || l->dtype == QP_FP16 || l->dtype == QP_FP32;
    // Division is the one step that an approximate engine may take otherwise.
    bool approximate = l->engine == QP_ENGINE_TRITON && l->op == QP_OP_FAKEQUANT && l->format == QP_NVFP4;
    return known && float_type && (l->engine == QP_ENGINE_IEEE || approximate) &&
           (unsigned)l->op < QP_OP_COUNT && (packs || !pack_op);
}

static void begin_tensor(const work *w, qp_grain grain) {
    if (w->l->op == QP_OP_QUANT)
        store(QP_FP32, w->t->weight_scale_2, 0, w->s->global(w->t->global_amax[0]) / 2688.0f);
    if (w->l->op != QP_OP_AMAX || w->t->amax_out == NULL || grain == QP_GRAIN_BLOCK) return;
    for (int64_t i = 0; i < (grain == QP_GRAIN_TENSOR ? 1 : w->t->rows); i++)
        w->t->amax_out[i] = w->s->amax_begin(w->t->amax_out[i]);
}

qp_status run_steps(const steps *s, const qp_launch *l, char *msg, size_t msg_bytes) {
    if (!offered(l)) {
        snprintf(msg, msg_bytes, "no kernel for op %d, format %d, type %d, engine %d", (int)l->op,
                 (int)l->format, (int)l->dtype, (int)l->engine);
        return QP_REFUSED;
    }
    qp_grain grain = l->format == QP_NVFP4 ? QP_GRAIN_TENSOR : qp_format_get(l->format)->grain;
    for (int i = 0; i < l->n_tensors; i++) {
        work w = {s, l, &l->tensors[i], 0, (l->tensors[i].cols + BLOCK - 1) / BLOCK};
        begin_tensor(&w, grain);
        for (w.row = 0; w.row < w.t->rows && w.t->cols > 0; w.row++) {
            switch (l->op) {
            case QP_OP_AMAX:
                amax_row(&w, grain);
                break;
            case QP_OP_FAKEQUANT:
                fakequant_row(&w);
                break;
            case QP_OP_BACKWARD:
                backward_row(&w);
                break;
            case QP_OP_QUANT:
                quant_row(&w);
                break;
            default:
                dequant_row(&w);
                break;
            }
        }
    }
    return QP_OK;
}
