// SPDX-License-Identifier: Apache-2.0
// The answers of the calibrators' ops and of swizzle: from typed inputs through the reference to typed
// outputs. What a calibrator raises on is refused with its place in the line.
#include "cmd/eval.h"

#include "qp/refcalib.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_POINTS = 1 << 24 }; // an index is a float in linspace and in a histogram

static const void *data_of(const eval_case *c, const char *key) {
    return eval_get(c, key)->array.data;
}

static int64_t n_of(const eval_case *c, const char *key) {
    return eval_get(c, key)->array.n;
}

static int64_t number_of(const eval_case *c, const char *key) {
    const eval_value *v = eval_get(c, key);
    return v != NULL ? v->number : 0;
}

// A single fp32 image: of the line, or the default that the table writes.
static uint32_t image_of(const eval_case *c, const char *key) {
    if (eval_given(c, key)) return *(const uint32_t *)data_of(c, key);
    return (uint32_t)strtoul(c->row->keys[eval_key_index(c->row, key)].dflt, NULL, 16);
}

static qp_status refuse_key(const eval_case *c, const char *key, qp_err *err, const char *why) {
    return eval_refuse(c, eval_get(c, key)->column, err, "%s", why);
}

static qp_status between(const eval_case *c, const char *key, int64_t low, int64_t high, qp_err *err) {
    const eval_value *v = eval_get(c, key);
    if (v->number >= low && v->number <= high) return QP_OK;
    return eval_refuse(c, v->column, err, "%s: wanted %lld..%lld, got %lld", key, (long long)low,
                       (long long)high, (long long)v->number);
}

// Room for the answer of a key; the caller fills it.
static qp_status add(const eval_case *c, const char *name, int64_t n, qp_arena *a, eval_answer *out,
                     void *data_ptr, qp_err *err) {
    const eval_key *key = &c->row->keys[eval_key_index(c->row, name)];
    eval_array array;
    QP_TRY(eval_array_new(eval_array_dtype(c, key), n, a, &array, err));
    out->items[out->n].key = key;
    out->items[out->n++].array = array;
    memcpy(data_ptr, &array.data, sizeof array.data);
    return QP_OK;
}

// ---- candidates
// ------------------------------------------------------------------------------------------------

qp_status eval_answer_candidates(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                 qp_err *err) {
    (void)engine;
    uint32_t *values = NULL;
    QP_TRY(between(c, "n", 1, MAX_POINTS, err));
    QP_TRY(add(c, "values", number_of(c, "n"), a, out, &values, err));
    ref_linspace(image_of(c, "start"), image_of(c, "stop"), number_of(c, "n"), number_of(c, "linspace") == 0,
                 values);
    return QP_OK;
}

qp_status eval_answer_sweep_candidates(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                       qp_err *err) {
    uint32_t *values = NULL;
    QP_TRY(between(c, "n", REF_SWEEP_CANDIDATES, REF_SWEEP_CANDIDATES, err));
    QP_TRY(add(c, "values", REF_SWEEP_CANDIDATES, a, out, &values, err));
    ref_sweep_candidates(engine, values);
    return QP_OK;
}

// ---- searches
// --------------------------------------------------------------------------------------------------

static qp_status mse_spec(const eval_case *c, qp_engine engine, qp_arena *a, ref_spec *s, int64_t *n_amax,
                          qp_err *err) {
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32}; // order of the table's words
    const qp_grain grain = qp_format_get(c->format)->grain;
    *n_amax = grain == QP_GRAIN_TENSOR ? 1 : c->rows;
    *s = (ref_spec){.format = c->format,
                    .engine = engine,
                    .dtype = c->in,
                    .rows = c->rows,
                    .cols = c->cols,
                    .narrow_range = number_of(c, "narrow_range") == 1,
                    .amax_dtype = types[number_of(c, "amax_dtype")],
                    .amax_0d = *n_amax == 1}; // one value is squeezed to a 0-dim tensor (numerics 1.4)
    uint32_t *images = NULL;
    if (eval_given(c, "amax")) {
        s->amax = data_of(c, "amax");
        return QP_OK;
    }
    QP_TRY(QP_NEW(a, images, *n_amax));
    ref_amax(grain, c->in, c->rows, c->cols, 0, 0, data_of(c, "x"), images);
    s->amax = images;
    return QP_OK;
}

qp_status eval_answer_mse(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out, qp_err *err) {
    ref_spec s;
    int64_t n = 0;
    uint32_t candidates[REF_MSE_CANDIDATES], *best = NULL, *loss = NULL;
    int32_t *index = NULL;
    QP_TRY(mse_spec(c, engine, a, &s, &n, err));
    const char *why = ref_refuses(&s, data_of(c, "x"));
    if (why != NULL) return refuse_key(c, eval_given(c, "amax") ? "amax" : "x", err, why);
    QP_TRY(add(c, "index", n, a, out, &index, err));
    QP_TRY(add(c, "best_amax", n, a, out, &best, err));
    QP_TRY(add(c, "loss", n * REF_MSE_CANDIDATES, a, out, &loss, err));
    ref_linspace(REF_MSE_START, REF_MSE_STOP, REF_MSE_CANDIDATES, true, candidates);
    ref_mse(&s, 0, c->rows, data_of(c, "x"), candidates, REF_MSE_CANDIDATES, index, best, loss);
    return QP_OK;
}

qp_status eval_answer_sweep(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                            qp_err *err) {
    ref_sweep_scales scales;
    int32_t *index = NULL;
    uint32_t *best = NULL, *loss = NULL;
    const int64_t n = n_of(c, "x");
    if (n > REF_SWEEP_BLOCK)
        return eval_refuse(c, eval_get(c, "x")->column, err, "x: wanted one block of %d values, got %lld",
                           REF_SWEEP_BLOCK, (long long)n);
    QP_TRY(add(c, "index", 1, a, out, &index, err));
    QP_TRY(add(c, "best_amax", 1, a, out, &best, err));
    QP_TRY(add(c, "loss", 1, a, out, &loss, err));
    ref_sweep_scales_of(engine, *(const uint32_t *)data_of(c, "global_amax"), &scales);
    *index = ref_sweep(&scales, c->in, data_of(c, "x"), (int)n);
    *best = scales.amax[*index];
    *loss = ref_sweep_loss(&scales, *index, c->in, data_of(c, "x"), (int)n);
    return QP_OK;
}

// ---- histograms
// ------------------------------------------------------------------------------------------------

typedef struct counts {
    int64_t n;
    int64_t *wide; // as the reference has them
} counts;

static qp_status read_counts(const eval_case *c, qp_arena *a, counts *out, qp_err *err) {
    const eval_array *given = &eval_get(c, "counts")->array;
    out->n = given->n;
    QP_TRY(QP_NEW(a, out->wide, out->n));
    for (int64_t i = 0; i < out->n; i++) out->wide[i] = eval_array_bits(given, i);
    return QP_OK;
}

static qp_status answer_counts(const eval_case *c, const counts *k, qp_arena *a, eval_answer *out,
                               qp_err *err) {
    int32_t *answer = NULL;
    QP_TRY(add(c, "counts", k->n, a, out, &answer, err));
    for (int64_t i = 0; i < k->n; i++) answer[i] = (int32_t)k->wide[i];
    return QP_OK;
}

static qp_status histogram_sizes(const eval_case *c, const uint32_t *edges, counts *k, int64_t *n_edges,
                                 qp_err *err) {
    if (eval_get(c, "x2") == NULL) return QP_OK;
    ref_histogram_grow(c->in, data_of(c, "x2"), n_of(c, "x2"), number_of(c, "bins"), edges, &k->n, n_edges);
    if (*n_edges <= MAX_POINTS) return QP_OK;
    return refuse_key(c, "x2", err, "x2: the histogram would grow beyond 16777216 edges");
}

// op=histogram, and histogram2 where the row has a second batch.
qp_status eval_answer_histogram(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                qp_err *err) {
    (void)engine;
    const eval_value *x2 = eval_get(c, "x2");
    const int64_t n = n_of(c, "x"), n2 = x2 != NULL ? x2->array.n : 0, bins = number_of(c, "bins");
    const void *second = x2 != NULL ? x2->array.data : NULL;
    counts first = {.n = bins}, all = {.n = bins};
    int64_t n_edges = bins + 1;
    uint32_t *edges = NULL, *answer = NULL;
    QP_TRY(between(c, "bins", 1, MAX_POINTS - 1, err));
    const char *why = ref_histogram_refuses(c->in, data_of(c, "x"), n, bins, second, n2);
    if (why != NULL) return refuse_key(c, strstr(why, "x2") == why ? "x2" : "x", err, why);
    QP_TRY(QP_NEW(a, first.wide, bins));
    QP_TRY(QP_NEW(a, edges, bins + 1));
    ref_histogram(c->in, data_of(c, "x"), n, bins, first.wide, edges);
    QP_TRY(histogram_sizes(c, edges, &all, &n_edges, err));
    QP_TRY(QP_NEW(a, all.wide, all.n));
    memcpy(all.wide, first.wide, sizeof *all.wide * (size_t)bins);
    QP_TRY(QP_NEW(a, answer, n_edges > bins + 1 ? n_edges : bins + 1));
    memcpy(answer, edges, sizeof *edges * (size_t)(bins + 1));
    if (x2 != NULL) ref_histogram_add(c->in, second, n2, bins, all.n, n_edges, all.wide, answer);
    QP_TRY(answer_counts(c, &all, a, out, err));
    QP_TRY(add(c, "edges", n_edges, a, out, &edges, err));
    memcpy(edges, answer, sizeof *edges * (size_t)n_edges);
    return QP_OK;
}

qp_status eval_answer_percentile(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                 qp_err *err) {
    (void)engine;
    counts k;
    uint32_t *amax = NULL;
    const double percentile = eval_get(c, "percentile")->fraction;
    if (percentile > 100.0) return refuse_key(c, "percentile", err, "percentile: wanted 0..100");
    QP_TRY(read_counts(c, a, &k, err));
    QP_TRY(add(c, "amax", 1, a, out, &amax, err));
    *amax = ref_percentile(percentile, k.n, k.wide, data_of(c, "edges"));
    return QP_OK;
}

qp_status eval_answer_entropy(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err) {
    (void)engine;
    counts k;
    uint32_t *amax = NULL;
    if (n_of(c, "counts") < 2) return refuse_key(c, "counts", err, "counts: wanted 2 bins or more");
    QP_TRY(between(c, "num_bits", 1, 16, err));
    QP_TRY(between(c, "stride", 1, MAX_POINTS, err));
    QP_TRY(between(c, "start_bin", 1, n_of(c, "counts"), err));
    QP_TRY(read_counts(c, a, &k, err));
    QP_TRY(add(c, "amax", 1, a, out, &amax, err));
    *amax = ref_entropy((int)number_of(c, "num_bits"), number_of(c, "unsigned") == 1, number_of(c, "stride"),
                        number_of(c, "start_bin"), k.n, k.wide, data_of(c, "edges"));
    return QP_OK;
}

// ---- headroom, MXFP4 -> NVFP4, layout
// --------------------------------------------------------------------------------

qp_status eval_answer_headroom(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                               qp_err *err) {
    (void)engine;
    uint32_t *amax = NULL;
    QP_TRY(add(c, "amax", 1, a, out, &amax, err));
    if (ref_headroom(c->in, data_of(c, "x"), n_of(c, "x"), c->block_cols, amax)) return QP_OK;
    return refuse_key(c, "x", err, "x: nothing but zeros, or NaN or Inf: the calibrator has no amax");
}

qp_status eval_answer_cast_amax(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                                qp_err *err) {
    (void)engine;
    uint32_t *global = NULL, *blocks = NULL;
    const int64_t n = n_of(c, "scales");
    QP_TRY(add(c, "global_amax", 1, a, out, &global, err));
    QP_TRY(add(c, "block_amax", 2 * n, a, out, &blocks, err));
    ref_cast_amax(n, data_of(c, "scales"), data_of(c, "codes"), global, blocks);
    return QP_OK;
}

qp_status eval_answer_swizzle(const eval_case *c, qp_engine engine, qp_arena *a, eval_answer *out,
                              qp_err *err) {
    (void)engine;
    uint8_t *y = NULL;
    QP_TRY(add(c, "y", ref_swizzled_bytes(c->rows, c->cols), a, out, &y, err));
    ref_swizzle(c->rows, c->cols, data_of(c, "x"), y);
    return QP_OK;
}
