// SPDX-License-Identifier: Apache-2.0
// Inputs of kernel cases. Data comes from the generator or the line, calibration from the reference; nothing
// is judged here.
#include "cmd/kernel_data.h"

#include <stdio.h>
#include <string.h>

#include "cmd/hex_data.h"
#include "input/gen.h"

enum { PARALLEL_ELEMS = 1 << 15 };

// ---- words of the line
// ---------------------------------------------------------------------------------------------------

qp_status qp_case_format(const qp_case *c, qp_format *out, qp_err *err) {
    const char *word = qp_case_text(c, "fmt");
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        if (strcmp(word, qp_format_get((qp_format)f)->name) == 0) {
            *out = (qp_format)f;
            return QP_OK;
        }
    QP_FAIL(QP_USAGE, "%s: unknown format '%s'", c->line, word);
}

qp_status qp_case_dtype(const qp_case *c, qp_dtype *out, qp_err *err) {
    const char *word = qp_case_text(c, "in");
    for (int t = QP_BF16; t <= QP_FP32; t++)
        if (strcmp(word, qp_dtype_name((qp_dtype)t)) == 0) {
            *out = (qp_dtype)t;
            return QP_OK;
        }
    QP_FAIL(QP_USAGE, "%s: in: wanted bf16, fp16 or fp32, got '%s'", c->line, word);
}

static bool has_key(const qp_case *c, const char *key) {
    for (int i = 0; i < c->kind->n_keys; i++)
        if (strcmp(c->kind->keys[i].name, key) == 0) return true;
    return false;
}

static qp_engine engine_of(qp_op op, qp_format format) {
    static const qp_engine order[] = {QP_ENGINE_IEEE, QP_ENGINE_TORCH_CPU};
    for (int i = 0; i < QP_COUNT(order); i++)
        if (ref_engines(op, format) >> order[i] & 1) return order[i];
    return QP_ENGINE_IEEE;
}

qp_status qp_case_engines(const qp_case *c, qp_format format, qp_engine out[QP_OP_COUNT], qp_err *err) {
    const char *word = has_key(c, "engine") ? qp_case_text(c, "engine") : "auto";
    bool known = strcmp(word, "auto") == 0;
    for (int op = 0; op < QP_OP_COUNT; op++) out[op] = engine_of((qp_op)op, format);
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        if (strcmp(word, qp_engine_name((qp_engine)e)) != 0) continue;
        known = true;
        for (int op = 0; op < QP_OP_COUNT; op++)
            if (op != QP_OP_AMAX) out[op] = (qp_engine)e;
    }
    if (!known) QP_FAIL(QP_USAGE, "%s: unknown engine '%s'", c->line, word);
    return QP_OK;
}

// ---- shapes
// ----------------------------------------------------------------------------------------------------------------

typedef struct sizes {
    int64_t n, rows, cols;
    bool ragged;
} sizes;

static sizes sizes_of(const qp_case *c) {
    int64_t dims[3] = {0};
    int n_dims = 0;
    sizes s = {1, 1, 0, false};
    if (qp_case_shape(c, "shape", dims, &n_dims) && n_dims == 3)
        s = (sizes){dims[0], dims[1], dims[2], false};
    else if (n_dims == 2)
        s = (sizes){1, dims[0], dims[1], false};
    s.ragged = has_key(c, "ragged") && qp_case_int(c, "ragged") != 0;
    return s;
}

// ragged: the first has all R rows, the second none, the others between 1 and R.
static int64_t rows_of(const sizes *s, uint64_t seed, int64_t i) {
    if (!s->ragged || i == 0) return s->rows;
    if (i == 1) return 0;
    return 1 + (int64_t)(qp_gen_u64(seed, "ragged", (uint64_t)i) % (uint64_t)(s->rows > 0 ? s->rows : 1));
}

// ---- calibration
// -------------------------------------------------------------------------------------------------------------

typedef struct source {
    qp_gen gen;
    bool generated;
} source;

static const uint32_t run_only_edges = 1u << QP_EDGE_NAN | 1u << QP_EDGE_INF | 1u << QP_EDGE_MAX;
static const uint32_t amax_edges = 1u << QP_EDGE_AMAX | 1u << QP_EDGE_AMAX_ULP;

static bool is_finite(qp_dtype t, const void *x, int64_t i) {
    return (ref_load_f32(t, x, i) & 0x7fffffffu) < 0x7f800000u;
}

// The data that calibration sees: the run's own, without what is only run on. May be x itself.
static qp_status calibration_data(const qp_kernel_case *k, const qp_kernel_tensor *t, const source *s,
                                  qp_arena *a, void **out, qp_err *err) {
    int64_t n = t->rows * t->cols;
    bool all_finite = true;
    for (int64_t i = 0; i < n && all_finite; i++) all_finite = is_finite(k->dtype, t->x, i);
    bool again = s->generated && (s->gen.edges & run_only_edges) != 0;
    *out = t->x;
    if (all_finite && !again) return QP_OK;
    QP_TRY(qp_arena_get(a, (size_t)n * qp_dtype_bytes(k->dtype), out, err));
    if (again) {
        qp_gen g = s->gen;
        g.edges &= ~run_only_edges;
        qp_gen_slice(&g, t->name, t->rows, t->cols, k->dtype, 0, t->rows, 0, t->cols, *out);
    } else {
        memcpy(*out, t->x, (size_t)n * qp_dtype_bytes(k->dtype));
    }
    for (int64_t i = 0; i < n; i++)
        if (!is_finite(k->dtype, *out, i)) ref_store_f32(k->dtype, *out, i, 0);
    return QP_OK;
}

// 2^-4 .. 2^4 with a bf16 mantissa: exact in every input type.
static uint32_t amax_near_one(uint64_t seed, const char *name, int64_t i) {
    uint64_t w = qp_gen_u64(seed, name, (uint64_t)i);
    return (uint32_t)(123 + w % 9) << 23 | (uint32_t)(w >> 32 & 127) << 16;
}

static uint32_t largest(const uint32_t *images, int64_t n) {
    uint32_t max = 0;
    for (int64_t i = 0; i < n; i++) max = ref_max_image(max, images[i]);
    return max;
}

// The largest level of codes that a given scale is for.
static uint32_t levels_of(qp_element e) {
    return e == QP_ELEM_E4M3 ? 0x43e00000u : e == QP_ELEM_INT8 ? 0x42fe0000u : 0x40e00000u; // 448, 127, 7
}

// NF4's zero point is a mean whose order of summation is torch's own, so it is an input: here the sum is in
// double, first block first, and rounded to the type of x.
static uint32_t mean_of(qp_dtype t, const uint32_t *images, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        float v;
        memcpy(&v, &images[i], sizeof v);
        sum += v;
    }
    float mean = n > 0 ? (float)(sum / (double)n) : 0.0f;
    uint32_t image;
    memcpy(&image, &mean, sizeof image);
    return ref_to_f32(t, ref_from_f32(t, image));
}

// What follows from the amax: the second level, or a given scale.
static qp_status derive(const qp_kernel_case *k, qp_kernel_tensor *t, qp_arena *a, qp_err *err) {
    const qp_format_row *f = qp_format_get(k->format);
    int64_t n_amax = t->amax_rows * t->amax_cols;
    if (f->has_global) t->global_amax = largest(t->amax, n_amax);
    if (f->element == QP_ELEM_NF4) t->global_amax = mean_of(k->dtype, t->amax, n_amax);
    if (f->scale != QP_SCALE_GIVEN) return QP_OK;
    QP_TRY(QP_NEW(a, t->scale, n_amax + 1));
    for (int64_t i = 0; i < n_amax; i++) t->scale[i] = ref_div(t->amax[i], levels_of(f->element));
    return QP_OK;
}

static qp_status calibrate(const qp_kernel_case *k, qp_kernel_tensor *t, const source *s, qp_arena *a,
                           qp_err *err) {
    const qp_format_row *f = qp_format_get(k->format);
    qp_grain grain = qp_kernel_grain(k);
    int64_t n_amax = t->amax_rows * t->amax_cols;
    bool bits = s->generated && s->gen.dist == QP_DIST_BITS;
    QP_TRY(QP_NEW(a, t->amax, n_amax + 1));
    if (bits) {
        const char *name;
        QP_TRY(qp_arena_printf(a, &name, err, "%s.amax", t->name));
        for (int64_t i = 0; i < n_amax; i++) t->amax[i] = amax_near_one(s->gen.seed, name, i);
    } else if (t->rows > 0 && t->cols > 0) {
        void *data;
        QP_TRY(calibration_data(k, t, s, a, &data, err));
        ref_amax(grain, k->dtype, t->rows, t->cols, f->block_rows, f->block_cols, data, t->amax);
    }
    bool nominal = s->generated && (s->gen.edges & amax_edges) != 0 && !bits;
    bool two_level = f->has_global && grain == QP_GRAIN_BLOCK; // its block amax stay what they are
    for (int64_t i = 0; i < n_amax && nominal && !two_level; i++)
        if (t->amax[i] != 0) t->amax[i] = qp_gen_nominal_amax(&s->gen);
    QP_TRY(derive(k, t, a, err));
    if (nominal && f->has_global) t->global_amax = qp_gen_nominal_amax(&s->gen);
    return QP_OK;
}

// ---- the case
// ------------------------------------------------------------------------------------------------------------------

// What the kernel is given: the same rows further apart. All bits set is a NaN of every type: reading it
// shows.
static qp_status spread(const qp_kernel_case *k, qp_kernel_tensor *t, int64_t pad, qp_arena *a, qp_err *err) {
    const size_t size = qp_dtype_bytes(k->dtype);
    t->ld = t->cols + pad;
    t->pitched = t->x;
    if (pad == 0) return QP_OK;
    QP_TRY(qp_arena_get(a, (size_t)(t->rows * t->ld) * size, &t->pitched, err));
    memset(t->pitched, 0xff, (size_t)(t->rows * t->ld) * size);
    for (int64_t r = 0; r < t->rows; r++)
        memcpy((char *)t->pitched + (size_t)(r * t->ld) * size,
               (const char *)t->x + (size_t)(r * t->cols) * size, (size_t)t->cols * size);
    return QP_OK;
}

static int64_t ceil_div(int64_t a, int64_t b) {
    return b > 0 ? (a + b - 1) / b : 1;
}

static void count_grain(const qp_kernel_tensor *t, const qp_format_row *f, qp_grain grain, int64_t *rows,
                        int64_t *cols) {
    bool blocked = grain == QP_GRAIN_BLOCK || grain == QP_GRAIN_BLOCK2D;
    *rows = grain == QP_GRAIN_TENSOR    ? 1
            : grain == QP_GRAIN_BLOCK2D ? ceil_div(t->rows, f->block_rows)
                                        : t->rows;
    *cols = blocked ? ceil_div(t->cols, f->block_cols) : 1;
}

static qp_status fill(const qp_kernel_case *k, qp_kernel_tensor *t, const source *s, qp_arena *a,
                      qp_err *err) {
    const qp_format_row *f = qp_format_get(k->format);
    size_t n_bytes = (size_t)(t->rows * t->cols) * qp_dtype_bytes(k->dtype);
    t->nb = ceil_div(t->cols, f->block_cols);
    count_grain(t, f, f->grain, &t->scale_rows, &t->scale_cols);
    if (t->rows == 0 || t->cols == 0) t->scale_rows = 0; // nothing is quantized: no scale
    count_grain(t, f, qp_kernel_grain(k), &t->amax_rows, &t->amax_cols);
    if (s->generated) {
        QP_TRY(qp_arena_get(a, n_bytes, &t->x, err));
        int n_parts = (int)(t->rows < 64 ? t->rows : 64);
#pragma omp parallel for schedule(dynamic, 1) if (t->rows * t->cols > PARALLEL_ELEMS)
        for (int p = 0; p < n_parts; p++) {
            int64_t begin = t->rows * p / n_parts, end = t->rows * (p + 1) / n_parts;
            char *to = (char *)t->x + (size_t)(begin * t->cols) * qp_dtype_bytes(k->dtype);
            qp_gen_slice(&s->gen, t->name, t->rows, t->cols, k->dtype, begin, end - begin, 0, t->cols, to);
        }
    }
    const char *grad_name;
    qp_gen bits = qp_gen_make(s->gen.seed, QP_DIST_BITS);
    QP_TRY(qp_arena_printf(a, &grad_name, err, "%s.grad", t->name));
    QP_TRY(qp_arena_get(a, n_bytes, &t->grad, err));
    qp_gen_slice(&bits, grad_name, t->rows, t->cols, k->dtype, 0, t->rows, 0, t->cols, t->grad);
    QP_TRY(spread(k, t, has_key(k->c, "pad") ? qp_case_int(k->c, "pad") : 0, a, err));
    return calibrate(k, t, s, a, err);
}

qp_status qp_kernel_data(const qp_case *c, qp_arena *a, qp_kernel_case *out, qp_err *err) {
    *out = (qp_kernel_case){.c = c};
    QP_TRY(qp_case_format(c, &out->format, err));
    QP_TRY(qp_case_dtype(c, &out->dtype, err));
    QP_TRY(qp_case_engines(c, out->format, out->engines, err));
    out->narrow_range = has_key(c, "narrow_range") && qp_case_int(c, "narrow_range") != 0;
    out->bwd = has_key(c, "bwd") && strcmp(qp_case_text(c, "bwd"), "clip") == 0 ? QP_BWD_CLIP : QP_BWD_PASS;
    out->misalign = has_key(c, "misalign") ? qp_case_int(c, "misalign") : 0;
    sizes size = sizes_of(c);
    source s = {.gen = qp_gen_make(qp_case_u64(c, "seed"), QP_DIST_GAUSS)};
    s.gen.format = out->format;
    s.generated = !(has_key(c, "hex") && qp_case_has(c, "hex"));
    QP_TRY(qp_gen_parse_dist(qp_case_text(c, "dist"), &s.gen, err));
    if (qp_case_has(c, "edge")) QP_TRY(qp_gen_parse_edges(qp_case_text(c, "edge"), &s.gen, err));
    out->has_edge = s.gen.edges != 0;
    qp_hex_tensor *given = NULL;
    out->n_tensors = (int)size.n;
    if (!s.generated)
        QP_TRY(qp_hex_read(qp_case_text(c, "hex"), out->dtype, a, &given, &out->n_tensors, err));
    QP_TRY(QP_NEW(a, out->tensors, out->n_tensors));
    for (int64_t i = 0; i < out->n_tensors; i++) {
        qp_kernel_tensor *t = &out->tensors[i];
        QP_TRY(qp_arena_printf(a, &t->name, err, "tensor.%d", (int)i));
        t->rows = given != NULL ? given[i].rows : rows_of(&size, s.gen.seed, i);
        t->cols = given != NULL ? given[i].cols : size.cols;
        if (given != NULL) {
            const int64_t n = t->rows * t->cols;
            t->x = given[i].x;
            if (qp_case_given(c, "shape")) {
                t->rows = size.rows;
                t->cols = size.cols;
            }
            if (n != t->rows * t->cols)
                QP_FAIL(QP_USAGE, "hex: wanted %lld values, got %lld", (long long)(t->rows * t->cols),
                        (long long)n);
        }
        QP_TRY(fill(out, t, &s, a, err));
        out->n_elems += t->rows * t->cols;
    }
    return QP_OK;
}

qp_grain qp_kernel_grain(const qp_kernel_case *k) {
    return qp_format_is_dynamic(k->format) ? QP_GRAIN_TENSOR : qp_format_get(k->format)->grain;
}

ref_spec qp_kernel_spec(const qp_kernel_case *k, const qp_kernel_tensor *t, qp_op op) {
    const qp_format_row *f = qp_format_get(k->format);
    return (ref_spec){.format = k->format,
                      .engine = k->engines[op],
                      .dtype = k->dtype,
                      .rows = t->rows,
                      .cols = t->cols,
                      .narrow_range = k->narrow_range,
                      .amax = f->scale == QP_SCALE_E8M0 ? NULL : t->amax,
                      .global_amax = t->global_amax,
                      .scale = t->scale,
                      .scale_zero = t->global_amax,
                      .amax_dtype = QP_FP32};
}
