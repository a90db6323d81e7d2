// SPDX-License-Identifier: Apache-2.0
// Position-sensitive digests of states. Addition makes them mergeable: any cut of a tensor into parts gives
// the same total.
#include <stdlib.h>
#include <string.h>

#include "checks/list.h"

// The finaliser of splitmix64: every input bit reaches every output bit.
static uint64_t scramble(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// Three odd constants without structure: row, column and bits reach the finaliser as one number that no small
// change repeats.
static inline uint64_t mix(uint64_t row, uint64_t col, uint64_t bits) {
    return scramble(row * 0x9fb21c651e98df25u + (col + 1) * 0x9e3779b97f4a7c15u +
                    (bits + 1) * 0xd6e8feb86659fd93u);
}

// The types of large states get loops of their own; what they add up is what element_bits gives.
static uint64_t digest_16(const uint16_t *x, element_kind k, int64_t n, uint64_t col0, uint64_t row) {
    const uint16_t infinite = k == KIND_BF16 ? 0x7f80 : 0x7c00, nan = k == KIND_BF16 ? 0x7fc0 : 0x7e00;
    uint64_t acc = 0;
    for (int64_t i = 0; i < n; i++)
        acc += mix(row, col0 + (uint64_t)i, (x[i] & 0x7fff) > infinite ? nan : x[i]);
    return acc;
}

static uint64_t digest_32(const uint32_t *x, int64_t n, uint64_t col0, uint64_t row) {
    uint64_t acc = 0;
    for (int64_t i = 0; i < n; i++)
        acc += mix(row, col0 + (uint64_t)i, (x[i] & 0x7fffffffu) > 0x7f800000u ? 0x7fc00000u : x[i]);
    return acc;
}

static bool is_aligned(const void *p, size_t to) {
    return (uintptr_t)p % to == 0;
}

static uint64_t digest_elements(const void *x, element_kind k, int64_t n, int64_t col0, int64_t row,
                                uint64_t acc) {
    if ((k == KIND_BF16 || k == KIND_FP16) && is_aligned(x, 2))
        return acc + digest_16(x, k, n, (uint64_t)col0, (uint64_t)row);
    if (k == KIND_FP32 && is_aligned(x, 4)) return acc + digest_32(x, n, (uint64_t)col0, (uint64_t)row);
    for (int64_t i = 0; i < n; i++) acc += mix((uint64_t)row, (uint64_t)(col0 + i), element_bits(k, x, i));
    return acc;
}

static element_kind kind_of_dtype(qp_dtype t) {
    qp_state plain = {.field = "", .dtype = t};
    return element_kind_of(&plain);
}

uint64_t qp_digest_row(const void *row, qp_dtype t, int64_t n, int64_t global_col0, uint64_t acc) {
    return digest_elements(row, kind_of_dtype(t), n, global_col0, 0, acc);
}

typedef struct geometry {
    bool scalar;         // one value per tensor: the same on every rank that holds any of it
    int64_t cols_shrink; // weight columns per element of this field; 0: no columns (one value per row)
} geometry;

static geometry geometry_of(const qp_state *st) {
    const qp_format_row *f = qp_format_get(st->format);
    if (strcmp(st->field, "weight_quantizer._global_amax") == 0 ||
        strcmp(st->field, "input_quantizer._amax") == 0 || strcmp(st->field, "weight_scale_2") == 0)
        return (geometry){true, 0};
    if (strcmp(st->field, "weight_packed") == 0) return (geometry){false, 2};
    if (strcmp(st->field, "weight_scale") == 0)
        return (geometry){false, f != NULL && f->block_cols > 0 ? f->block_cols : 0};
    if (strcmp(st->field, "weight_quantizer._amax") == 0) {
        if (f != NULL && f->grain == QP_GRAIN_AXIS0) return (geometry){false, 0};
        if (f != NULL && f->grain == QP_GRAIN_BLOCK && st->format != QP_NVFP4)
            return (geometry){false, f->block_cols};
        return (geometry){true, 0};
    }
    return (geometry){false, 1};
}

static bool at_segment_start(const qp_module *m, int64_t row) {
    int64_t begin = 0;
    for (int s = 0; m != NULL && s < m->n_segments; s++) {
        if (row == begin) return true;
        begin += m->segments[s].rows;
    }
    return false;
}

// Runs end where the next row is not the neighbour or belongs to another segment: replicated KV heads are
// runs of their own.
static bool starts_run(const qp_state *st, const int64_t *global_rows, int64_t r) {
    return r == 0 || st->row_ids != NULL || global_rows[r] != global_rows[r - 1] + 1 ||
           at_segment_start(st->module, global_rows[r]);
}

qp_status qp_digest_state(const qp_state *st, const int64_t *global_rows, int64_t weight_col0, qp_arena *a,
                          qp_digest **out, int64_t *n_out, qp_err *err) {
    *out = NULL;
    *n_out = 0;
    geometry g = geometry_of(st);
    if (st->data == NULL || st->n_rows_held == 0 || st->cols == 0) return QP_OK;
    int64_t n_rows = g.scalar ? 1 : st->n_rows_held, n_runs = 0;
    for (int64_t r = 0; r < n_rows; r++) n_runs += g.scalar || starts_run(st, global_rows, r);
    QP_TRY(QP_NEW(a, *out, n_runs));
    element_kind k = kind_of_dtype(st->dtype);
    size_t pitch = (size_t)st->cols * qp_dtype_bytes(st->dtype);
    qp_digest *d = *out - 1;
    for (int64_t r = 0; r < n_rows; r++) {
        const unsigned char *row = (const unsigned char *)st->data + (size_t)r * pitch;
        int64_t global_row = g.scalar ? 0 : global_rows[r];
        if (g.scalar || starts_run(st, global_rows, r)) {
            *++d = (qp_digest){.stage = st->stage,
                               .fqn = st->fqn,
                               .field = st->field,
                               .global_row = global_row,
                               .rank = st->rank};
            d->col0 = g.cols_shrink > 0 ? weight_col0 / g.cols_shrink : 0;
            d->n_cols = st->cols;
            d->sample = (uint32_t)element_bits(k, row, 0);
        }
        d->n_rows++;
        d->sum = digest_elements(row, k, st->cols, d->col0, global_row, d->sum);
    }
    *n_out = n_runs;
    return QP_OK;
}

static int order(int64_t a, int64_t b) {
    return a < b ? -1 : a > b;
}

static int compare_digests(const void *pa, const void *pb) {
    const qp_digest *a = pa, *b = pb;
    int c = strcmp(a->stage, b->stage);
    if (c == 0) c = strcmp(a->fqn, b->fqn);
    if (c == 0) c = strcmp(a->field, b->field);
    if (c == 0) c = order(a->global_row, b->global_row);
    if (c == 0) c = order(a->col0, b->col0);
    if (c == 0) c = order(a->n_rows, b->n_rows);
    if (c == 0) c = order(a->n_cols, b->n_cols);
    return c != 0 ? c : order(a->rank, b->rank);
}

void qp_digest_sort(qp_digest *d, int64_t n) {
    if (n > 1) qsort(d, (size_t)n, sizeof *d, compare_digests);
}
