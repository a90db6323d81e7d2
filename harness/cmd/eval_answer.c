// SPDX-License-Identifier: Apache-2.0
// The answers: one function per op, from typed inputs through the reference to typed outputs. Defaults from
// the data are made here.
#include "cmd/eval.h"

#include "qp/ref.h"

#include <string.h>

static const void *data_of(const eval_case *c, const char *key) {
    return eval_get(c, key)->array.data;
}

static int64_t number_of(const eval_case *c, const char *key) {
    const eval_value *v = eval_get(c, key);
    return v != NULL ? v->number : 0;
}

static qp_dtype amax_dtype_of(const eval_case *c) {
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32}; // order of the table's words
    const eval_value *v = eval_get(c, "amax_dtype");
    return v != NULL ? types[v->number] : QP_FP32;
}

static qp_status add_answer(const eval_case *c, const char *name, int64_t n, qp_arena *a, eval_answer *out,
                            void *data_ptr, qp_err *err) {
    const eval_key *key = &c->row->keys[eval_key_index(c->row, name)];
    eval_array array;
    QP_TRY(eval_array_new(eval_array_dtype(c, key), n, a, &array, err));
    out->items[out->n].key = key;
    out->items[out->n++].array = array;
    memcpy(data_ptr, &array.data, sizeof array.data);
    return QP_OK;
}

// max |x| over the grain of the format as fp32 images, or what the line gives.
static qp_status amax_of(const eval_case *c, const char *key, qp_grain grain, qp_arena *a,
                         const uint32_t **out, qp_err *err) {
    if (eval_given(c, key)) {
        *out = data_of(c, key);
        return QP_OK;
    }
    int64_t n = grain == QP_GRAIN_TENSOR ? 1 : grain == QP_GRAIN_AXIS0 ? c->rows : eval_n_blocks(c);
    uint32_t *images = NULL;
    QP_TRY(QP_NEW(a, images, n));
    ref_amax(grain, c->in, c->rows, c->cols, c->block_rows, c->block_cols, data_of(c, "x"), images);
    *out = images;
    return QP_OK;
}

static uint32_t max_of(const uint32_t *images, int64_t n) {
    uint32_t max = 0;
    for (int64_t i = 0; i < n; i++) max = ref_max_image(max, images[i]);
    return max;
}

static qp_status spec_of(const eval_case *c, qp_engine engine, qp_arena *a, ref_spec *s, qp_err *err) {
    const qp_format_row *f = qp_format_get(c->format);
    *s = (ref_spec){.format = c->format,
                    .engine = engine,
                    .dtype = c->in,
                    .rows = c->rows,
                    .cols = c->cols,
                    .is_unsigned = number_of(c, "unsigned") == 1,
                    .narrow_range = number_of(c, "narrow_range") == 1,
                    .amax_dtype = amax_dtype_of(c),
                    .amax_0d = eval_get(c, "amax_shape") != NULL && number_of(c, "amax_shape") == 0};
    if (f->grain == QP_GRAIN_BLOCK || f->grain == QP_GRAIN_BLOCK2D) {
        s->block_rows = c->block_rows;
        s->block_cols = c->block_cols;
    }
    const char *key = eval_get(c, "block_amax") != NULL ? "block_amax" : "amax";
    if (c->format != QP_NVFP4 && c->format != QP_NVFP4_W4A8 && eval_get(c, "x") != NULL)
        QP_TRY(amax_of(c, key, f->grain, a, &s->amax, err));
    if (!f->has_global) return QP_OK;
    if (eval_given(c, "global_amax")) {
        s->global_amax = *(const uint32_t *)data_of(c, "global_amax");
        return QP_OK;
    }
    const uint32_t *blocks = NULL;
    QP_TRY(amax_of(c, "block_amax", QP_GRAIN_BLOCK, a, &blocks, err));
    s->global_amax = max_of(blocks, eval_n_blocks(c));
    return QP_OK;
}

// A refusal of the engine itself is bad input: it points at the amax when the line gives one, else at x.
static qp_status refused(const eval_case *c, const ref_spec *s, qp_err *err) {
    const char *why = ref_refuses(s, data_of(c, "x"));
    if (why == NULL) return QP_OK;
    bool amax = strstr(why, "amax") != NULL && eval_given(c, "amax");
    return eval_refuse(c, eval_get(c, amax ? "amax" : "x")->column, err, "%s", why);
}

qp_status eval_answer_fakequant(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                qp_err *err) {
    ref_spec s;
    uint32_t *block_scale = NULL;
    void *y = NULL;
    QP_TRY(spec_of(c, engine, a, &s, err));
    QP_TRY(refused(c, &s, err));
    if (eval_get(c, "block_scale") != NULL)
        QP_TRY(add_answer(c, "block_scale", eval_n_blocks(c), a, out, &block_scale, err));
    QP_TRY(add_answer(c, "y", c->rows * c->cols, a, out, &y, err));
    ref_fakequant(&s, 0, c->rows, data_of(c, "x"), y, block_scale, NULL);
    return QP_OK;
}

qp_status eval_answer_backward(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                               qp_err *err) {
    ref_spec s;
    void *g = NULL;
    QP_TRY(spec_of(c, engine, a, &s, err));
    QP_TRY(add_answer(c, "g", c->rows * c->cols, a, out, &g, err));
    ref_backward(&s, number_of(c, "bwd") == 1 ? QP_BWD_CLIP : QP_BWD_PASS, 0, c->rows, data_of(c, "x"),
                 data_of(c, "grad"), g);
    return QP_OK;
}

// The fp32 scale of formats that take one: of the line, or amax / levels by one true division.
static qp_status given_scale(const eval_case *c, const qp_format_row *f, qp_arena *a, ref_spec *s,
                             qp_err *err) {
    if (f->scale != QP_SCALE_GIVEN) return QP_OK;
    if (eval_given(c, "scale")) {
        s->scale = data_of(c, "scale");
        return QP_OK;
    }
    const uint32_t top = f->element == QP_ELEM_E4M3   ? 0x43e00000u
                         : f->element == QP_ELEM_INT8 ? 0x42fe0000u
                                                      : 0x40e00000u;
    int64_t n = eval_wanted_count(c, &c->row->keys[eval_key_index(c->row, "scale")]);
    uint32_t *images = NULL;
    QP_TRY(QP_NEW(a, images, n));
    ref_amax(f->grain, c->in, c->rows, c->cols, c->block_rows, c->block_cols, data_of(c, "x"), images);
    for (int64_t i = 0; i < n; i++) images[i] = ref_div(images[i], top);
    s->scale = images;
    return QP_OK;
}

static qp_status add_if(const eval_case *c, const char *name, qp_arena *a, eval_answer *out, void *data_ptr,
                        qp_err *err) {
    int k = eval_key_index(c->row, name);
    if (k < 0) return QP_OK;
    return add_answer(c, name, eval_wanted_count(c, &c->row->keys[k]), a, out, data_ptr, err);
}

qp_status eval_answer_quant(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                            qp_err *err) {
    ref_spec s;
    uint8_t *codes = NULL, *scales_i8 = NULL;
    uint32_t *ws2 = NULL;
    void *scales = NULL, *double_scale = NULL, *values = NULL;
    QP_TRY(spec_of(c, engine, a, &s, err));
    QP_TRY(given_scale(c, qp_format_get(c->format), a, &s, err));
    QP_TRY(refused(c, &s, err));
    QP_TRY(add_if(c, "codes", a, out, &codes, err));
    QP_TRY(add_if(c, "scales", a, out, &scales, err));
    QP_TRY(add_if(c, "scales_i8", a, out, &scales_i8, err));
    QP_TRY(add_if(c, "double_scale", a, out, &double_scale, err));
    QP_TRY(add_if(c, "weight_scale_2", a, out, &ws2, err));
    QP_TRY(add_if(c, "values", a, out, &values, err));
    if (eval_get(c, "scale_zero") != NULL) {
        s.scale_zero = ref_load_f32(c->in, data_of(c, "scale_zero"), 0);
        ref_quant_nf4(&s, data_of(c, "x"), codes, scales, scales_i8, double_scale, values, NULL);
    } else {
        ref_quant(&s, 0, c->rows, data_of(c, "x"), codes, scales, values, NULL);
    }
    if (ws2 != NULL) *ws2 = ref_weight_scale_2(&s);
    return QP_OK;
}

// engine=all reads a line once: where this engine's scales are wider than what was read, they are widened.
static qp_status scales_of(const eval_case *c, qp_engine engine, qp_arena *a, const void **out, qp_err *err) {
    const eval_value *v = eval_get(c, c->format == QP_NF4 ? "scales_i8" : "scales");
    if (v == NULL) return QP_OK;
    *out = v->array.data;
    const qp_dtype t = ref_scale_dtype(c->format, engine, c->in);
    if (t != QP_FP32 || v->array.dtype == QP_U8 || v->array.dtype == t) return QP_OK;
    eval_array wide;
    QP_TRY(eval_array_new(t, v->array.n, a, &wide, err));
    for (int64_t i = 0; i < v->array.n; i++)
        ref_store_f32(t, wide.data, i, ref_load_f32(v->array.dtype, v->array.data, i));
    *out = wide.data;
    return QP_OK;
}

qp_status eval_answer_dequant(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err) {
    const void *scales = NULL;
    void *values = NULL;
    ref_spec s = {.format = c->format,
                  .engine = engine,
                  .dtype = c->in,
                  .rows = c->rows,
                  .cols = c->cols,
                  .block_rows = c->block_rows,
                  .block_cols = c->block_cols};
    const eval_value *scale = eval_get(c, "scale"), *ws2 = eval_get(c, "weight_scale_2");
    uint32_t second = ws2 != NULL ? *(const uint32_t *)ws2->array.data : 0; // NF4: the double scale
    if (scale != NULL) s.scale = scale->array.data;
    if (c->format == QP_NF4) {
        s.scale_zero = ref_load_f32(c->in, data_of(c, "scale_zero"), 0);
        second = ref_load_f32(c->in, data_of(c, "double_scale"), 0);
    }
    QP_TRY(scales_of(c, engine, a, &scales, err));
    QP_TRY(add_answer(c, "values", c->rows * c->cols, a, out, &values, err));
    ref_dequant(&s, c->out, c->rows, data_of(c, "codes"), scales, second, values);
    return QP_OK;
}

qp_status eval_answer_amax(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out, qp_err *err) {
    (void)engine;
    qp_grain grain = eval_given(c, "block")      ? QP_GRAIN_BLOCK
                     : number_of(c, "axis") == 1 ? QP_GRAIN_AXIS0
                                                 : QP_GRAIN_TENSOR;
    int64_t n = eval_wanted_count(c, &c->row->keys[eval_key_index(c->row, "amax")]);
    uint32_t *images = NULL;
    void *amax = NULL;
    QP_TRY(QP_NEW(a, images, n));
    QP_TRY(add_answer(c, "amax", n, a, out, &amax, err));
    ref_amax(grain, c->in, c->rows, c->cols, c->block_rows, c->block_cols, data_of(c, "x"), images);
    for (int64_t i = 0; i < n; i++) ref_store_f32(c->in, amax, i, images[i]);
    return QP_OK;
}

qp_status eval_answer_promote(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err) {
    (void)engine;
    uint32_t *blocks = NULL, *global = NULL;
    int64_t n = eval_n_blocks(c);
    QP_TRY(add_answer(c, "block_amax", n, a, out, &blocks, err));
    QP_TRY(add_answer(c, "global_amax", 1, a, out, &global, err));
    ref_amax(QP_GRAIN_BLOCK, c->in, c->rows, c->cols, 1, c->block_cols, data_of(c, "x"), blocks);
    *global = max_of(blocks, n);
    return QP_OK;
}

void eval_join_group(eval_answer *const *members, int n) {
    uint32_t max = 0;
    for (int i = 0; i < n; i++) max = ref_max_image(max, eval_array_bits(&members[i]->items[1].array, 0));
    for (int i = 0; i < n; i++) ((uint32_t *)members[i]->items[1].array.data)[0] = max;
}
