// SPDX-License-Identifier: Apache-2.0
// A small reader of golden lines (key=value words, lists of hex) for the tests of reference/, and the judge
// that feeds a line to ref_* and compares bit for bit, NaN as a class. Not the reader of the eval command:
// that one is written by itself.
#ifndef REF_TESTS_GOLDEN_LINE_H
#define REF_TESTS_GOLDEN_LINE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qp/ref.h"

enum { GOLDEN_WORDS = 32, GOLDEN_VALUES = 8192, GOLDEN_TEXT = 1 << 17 };

typedef enum golden_verdict {
    GOLDEN_EQUAL,
    GOLDEN_DIFFERENT,
    GOLDEN_SKIPPED,
    GOLDEN_MALFORMED
} golden_verdict;

typedef struct golden_line {
    char text[GOLDEN_TEXT]; // cut into words
    int n;
    const char *key[GOLDEN_WORDS], *value[GOLDEN_WORDS];
} golden_line;

typedef struct golden_list {
    int64_t n;
    uint32_t v[GOLDEN_VALUES];
} golden_list;

static bool golden_parse(const char *text, golden_line *line) {
    line->n = 0;
    if (strlen(text) >= GOLDEN_TEXT) return false;
    memcpy(line->text, text, strlen(text) + 1);
    for (char *at = line->text; *at != '\0';) {
        char *end = at + strcspn(at, " \n");
        const bool last = *end == '\0';
        *end = '\0';
        char *eq = strchr(at, '=');
        if (eq != NULL) {
            if (line->n == GOLDEN_WORDS) return false;
            *eq = '\0';
            line->key[line->n] = at;
            line->value[line->n++] = eq + 1;
        } else if (*at != '\0') {
            return false;
        }
        at = last ? end : end + 1;
    }
    return line->n > 0;
}

static const char *golden_get(const golden_line *line, const char *key, const char *otherwise) {
    for (int i = 0; i < line->n; i++)
        if (strcmp(line->key[i], key) == 0) return line->value[i];
    return otherwise;
}

static int64_t golden_decimal(const golden_line *line, const char *key, int64_t otherwise) {
    const char *v = golden_get(line, key, NULL);
    return v == NULL ? otherwise : strtoll(v, NULL, 10);
}

// False when the key is absent or its list is not hex.
static bool golden_hex(const golden_line *line, const char *key, golden_list *out) {
    const char *v = golden_get(line, key, NULL);
    out->n = 0;
    while (v != NULL && *v != '\0') {
        char *end = NULL;
        if (out->n == GOLDEN_VALUES) return false;
        out->v[out->n++] = (uint32_t)strtoul(v, &end, 16);
        if (end == v || (*end != ',' && *end != '\0')) return false;
        v = *end == ',' ? end + 1 : end;
    }
    return out->n > 0;
}

static qp_dtype golden_dtype(const golden_line *line, const char *key) {
    const char *v = golden_get(line, key, "fp32");
    for (int t = QP_BF16; t <= QP_FP32; t++)
        if (strcmp(v, qp_dtype_name((qp_dtype)t)) == 0) return (qp_dtype)t;
    return QP_DTYPE_COUNT;
}

static void golden_pack(qp_dtype t, const golden_list *list, void *out) {
    for (int64_t i = 0; i < list->n; i++) {
        const uint16_t half = (uint16_t)list->v[i];
        if (qp_dtype_bytes(t) == 2)
            memcpy((char *)out + 2 * i, &half, 2);
        else
            memcpy((char *)out + 4 * i, &list->v[i], 4);
    }
}

static bool golden_same(qp_dtype t, uint32_t want, uint32_t got) {
    const uint32_t magnitude = t == QP_BF16   ? 0x7f80
                               : t == QP_FP16 ? 0x7c00
                               : t == QP_FP32 ? 0x7f800000
                                              : 0x7e;
    const uint32_t mask = t == QP_E4M3 ? 0x7f : t == QP_FP32 ? 0x7fffffff : 0x7fff;
    if (t != QP_U8 && (want & mask) > magnitude && (got & mask) > magnitude) return true;
    return want == got;
}

// Compares the answer key with got (elements of type t); a key that the line lacks is no answer of it.
static bool golden_answer(const golden_line *line, const char *key, qp_dtype t, const void *got, int64_t n,
                          bool quiet) {
    static golden_list want;
    if (golden_get(line, key, NULL) == NULL) return true;
    if (!golden_hex(line, key, &want) || want.n != n) {
        printf("  %s: %lld values wanted, %lld answered\n", key, (long long)want.n, (long long)n);
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t g = 0;
        memcpy(&g, (const char *)got + (size_t)i * qp_dtype_bytes(t), qp_dtype_bytes(t));
        if (golden_same(t, want.v[i], g)) continue;
        if (!quiet) printf("  %s[%lld]: want %x, got %x\n", key, (long long)i, want.v[i], g);
        return false;
    }
    return true;
}

typedef struct golden_case {
    bool quiet; // a difference is expected: do not print it
    ref_spec spec;
    qp_op op;
    golden_list list, amax;
    uint32_t x[GOLDEN_VALUES], y[GOLDEN_VALUES], grad[GOLDEN_VALUES], scale[GOLDEN_VALUES];
    uint8_t codes[GOLDEN_VALUES], bytes[GOLDEN_VALUES];
} golden_case;

static qp_format golden_format(const char *name) {
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        if (strcmp(name, qp_format_get((qp_format)f)->name) == 0) return (qp_format)f;
    return QP_FORMAT_NONE;
}

static bool golden_shape(const golden_line *line, int64_t n, ref_spec *s) {
    const char *shape = golden_get(line, "shape", NULL);
    s->rows = 1;
    s->cols = n;
    if (shape != NULL) {
        char *x = NULL;
        s->rows = strtoll(shape, &x, 10);
        s->cols = *x == 'x' ? strtoll(x + 1, NULL, 10) : 0;
    }
    const char *block = golden_get(line, "block", NULL);
    if (block != NULL) {
        char *x = NULL;
        s->block_cols = strtoll(block, &x, 10);
        if (*x == 'x') {
            s->block_rows = s->block_cols;
            s->block_cols = strtoll(x + 1, NULL, 10);
        }
    }
    return s->rows * s->cols == n;
}

// The amax words of a line, or max calibration of x where the line has none.
static void golden_amax(const golden_line *line, golden_case *c) {
    ref_spec *s = &c->spec;
    const qp_format_row *row = qp_format_get(s->format);
    const int64_t block_cols = s->block_cols > 0 ? s->block_cols : row->block_cols;
    const int64_t block_rows = s->block_rows > 0 ? s->block_rows : row->block_rows;
    s->amax = c->amax.v;
    if (!golden_hex(line, row->has_global ? "block_amax" : "amax", &c->amax))
        ref_amax(row->grain, s->dtype, s->rows, s->cols, block_rows, block_cols, c->x, c->amax.v);
    if (golden_hex(line, "global_amax", &c->list))
        s->global_amax = c->list.v[0];
    else if (row->has_global)
        ref_amax(QP_GRAIN_TENSOR, s->dtype, s->rows, s->cols, 0, 0, c->x, &s->global_amax);
}

static golden_verdict golden_judge_amax(const golden_line *line, golden_case *c) {
    const ref_spec *s = &c->spec;
    const bool axis0 = strcmp(golden_get(line, "axis", "none"), "0") == 0;
    const qp_grain grain = s->block_cols > 0 ? QP_GRAIN_BLOCK : axis0 ? QP_GRAIN_AXIS0 : QP_GRAIN_TENSOR;
    const int64_t nb = s->block_cols > 0 ? (s->cols + s->block_cols - 1) / s->block_cols : 1;
    const int64_t n = grain == QP_GRAIN_TENSOR ? 1 : s->rows * nb;
    ref_amax(grain, s->dtype, s->rows, s->cols, 1, s->block_cols, c->x, c->amax.v);
    for (int64_t i = 0; i < n; i++) ref_store_f32(s->dtype, c->y, i, c->amax.v[i]);
    return golden_answer(line, "amax", s->dtype, c->y, n, c->quiet) ? GOLDEN_EQUAL : GOLDEN_DIFFERENT;
}

static golden_verdict golden_judge_fakequant(const golden_line *line, golden_case *c) {
    const ref_spec *s = &c->spec;
    const int64_t width = s->block_cols > 0 ? s->block_cols : 16,
                  nb = s->rows * ((s->cols + width - 1) / width);
    golden_amax(line, c);
    if (ref_refuses(s, c->x) != NULL) return GOLDEN_DIFFERENT;
    ref_fakequant(s, 0, s->rows, c->x, c->y, c->scale, NULL);
    bool same = golden_answer(line, "y", s->dtype, c->y, s->rows * s->cols, c->quiet);
    same &= golden_answer(line, "block_scale", QP_FP32, c->scale, nb, c->quiet);
    return same ? GOLDEN_EQUAL : GOLDEN_DIFFERENT;
}

static golden_verdict golden_judge_backward(const golden_line *line, golden_case *c) {
    ref_spec *s = &c->spec;
    golden_amax(line, c);
    s->amax_dtype = golden_dtype(line, "amax_dtype");
    s->amax_0d = strcmp(golden_get(line, "amax_shape", "0d"), "0d") == 0;
    if (!golden_hex(line, "grad", &c->list)) return GOLDEN_MALFORMED;
    golden_pack(s->dtype, &c->list, c->grad);
    const bool clip = strcmp(golden_get(line, "bwd", "pass"), "clip") == 0;
    ref_backward(s, clip ? QP_BWD_CLIP : QP_BWD_PASS, 0, s->rows, c->x, c->grad, c->y);
    return golden_answer(line, "g", s->dtype, c->y, s->rows * s->cols, c->quiet) ? GOLDEN_EQUAL
                                                                                 : GOLDEN_DIFFERENT;
}

static golden_verdict golden_judge_quant(const golden_line *line, golden_case *c) {
    const ref_spec *s = &c->spec;
    const int64_t width = s->block_cols > 0 ? s->block_cols : 16,
                  nb = s->rows * ((s->cols + width - 1) / width);
    golden_amax(line, c);
    ref_quant(s, 0, s->rows, c->x, c->codes, c->bytes, c->y, NULL);
    const uint32_t ws2 = ref_weight_scale_2(s);
    bool same = golden_answer(line, "codes", QP_U8, c->codes, s->rows * ((s->cols + 1) / 2), c->quiet);
    same &= golden_answer(line, "scales", QP_E4M3, c->bytes, nb, c->quiet);
    same &= golden_answer(line, "weight_scale_2", QP_FP32, &ws2, 1, c->quiet);
    same &= golden_answer(line, "values", s->dtype, c->y, s->rows * s->cols, c->quiet);
    return same ? GOLDEN_EQUAL : GOLDEN_DIFFERENT;
}

static golden_verdict golden_judge_dequant(const golden_line *line, golden_case *c) {
    golden_list *l = &c->list;
    const qp_dtype out = golden_dtype(line, "out");
    if (!golden_hex(line, "codes", l)) return GOLDEN_MALFORMED;
    const int64_t n = 2 * l->n;
    for (int64_t i = 0; i < l->n; i++) c->codes[i] = (uint8_t)l->v[i];
    if (!golden_hex(line, "scales", l)) return GOLDEN_MALFORMED;
    for (int64_t i = 0; i < l->n; i++) c->bytes[i] = (uint8_t)l->v[i];
    if (!golden_hex(line, "weight_scale_2", l)) return GOLDEN_MALFORMED;
    ref_dequant_block(out, 1, n, golden_decimal(line, "block", 16), c->codes, c->bytes, l->v[0], c->y);
    return golden_answer(line, "values", out, c->y, n, c->quiet) ? GOLDEN_EQUAL : GOLDEN_DIFFERENT;
}

// Every line of an op, format and engine that the reference answers is judged; all others are GOLDEN_SKIPPED.
static golden_verdict golden_judge(const golden_line *line, golden_case *c) {
    static const char *const ops[] = {"amax", "fakequant", "backward", "quant", "dequant"};
    const char *op = golden_get(line, "op", ""), *engine = golden_get(line, "engine", "ieee");
    memset(&c->spec, 0, sizeof c->spec);
    int which = 0, e = 0;
    while (which < QP_OP_COUNT && strcmp(op, ops[which]) != 0) which++;
    while (e < QP_ENGINE_COUNT && strcmp(engine, qp_engine_name((qp_engine)e)) != 0) e++;
    if (which == QP_OP_COUNT || e == QP_ENGINE_COUNT) return GOLDEN_SKIPPED;
    ref_spec *s = &c->spec;
    s->engine = (qp_engine)e;
    s->format = golden_format(golden_get(line, "fmt", ""));
    s->dtype = golden_dtype(line, "in");
    s->is_unsigned = golden_decimal(line, "unsigned", 0) != 0;
    s->narrow_range = golden_decimal(line, "narrow_range", 0) != 0;
    if (which != QP_OP_AMAX && s->format == QP_FORMAT_NONE) return GOLDEN_SKIPPED;
    if (ref_unsupported((qp_op)which, s->format, s->engine) != NULL) return GOLDEN_SKIPPED;
    if (s->dtype == QP_DTYPE_COUNT) return GOLDEN_MALFORMED;
    if (which == QP_OP_DEQUANT) return golden_judge_dequant(line, c);
    if (!golden_hex(line, "x", &c->list) || !golden_shape(line, c->list.n, s)) return GOLDEN_MALFORMED;
    golden_pack(s->dtype, &c->list, c->x);
    switch (which) {
    case QP_OP_AMAX:
        return golden_judge_amax(line, c);
    case QP_OP_FAKEQUANT:
        return golden_judge_fakequant(line, c);
    case QP_OP_BACKWARD:
        return golden_judge_backward(line, c);
    default:
        return golden_judge_quant(line, c);
    }
}

#endif
