// SPDX-License-Identifier: Apache-2.0
// rows=N: which rows fake-quant and pack run on. The N rows of a module whose hash is smallest are chosen by
// their GLOBAL number, so that layouts overlap; every slice adds its first and last row and the row that
// holds its maximum. amax never samples.
#include <stdlib.h>
#include <string.h>

#include "pipeline/stages.h"

int64_t qp_global_row(const qp_quantizer *q, int64_t local_row) {
    for (int i = 0; i < q->slice.n_row_ranges; i++) {
        if (local_row < q->slice.rows[i].count) return q->slice.rows[i].begin + local_row;
        local_row -= q->slice.rows[i].count;
    }
    return -1;
}

int64_t qp_local_row(const qp_quantizer *q, int64_t global_row) {
    int64_t before = 0;
    for (int i = 0; i < q->slice.n_row_ranges; i++) {
        const qp_range rows = q->slice.rows[i];
        if (global_row >= rows.begin && global_row < rows.begin + rows.count)
            return before + global_row - rows.begin;
        before += rows.count;
    }
    return -1;
}

typedef struct hashed {
    uint64_t hash;
    int64_t row;
} hashed;

static bool comes_after(const hashed *a, const hashed *b) {
    return a->hash != b->hash ? a->hash > b->hash : a->row > b->row;
}

// heap[0] is the largest of the n kept so far; a smaller one takes its place.
static void replace_largest(hashed *heap, int64_t n, hashed with) {
    int64_t at = 0;
    for (int64_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && comes_after(&heap[child + 1], &heap[child])) child++;
        if (!comes_after(&heap[child], &with)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = with;
}

static int compare_rows(const void *pa, const void *pb) {
    const int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return a < b ? -1 : a > b;
}

qp_status qp_sample_global(const qp_job *job, const qp_module *m, qp_arena *a, int64_t **rows, int64_t *n,
                           qp_err *err) {
    hashed *heap;
    *n = job->rows < m->out ? job->rows : m->out;
    QP_TRY(QP_NEW(a, heap, *n > 0 ? *n : 1));
    QP_TRY(QP_NEW(a, *rows, *n > 0 ? *n : 1));
    for (int64_t i = 0; i < *n; i++) heap[i] = (hashed){UINT64_MAX, INT64_MAX};
    for (int64_t i = 0; i<m->out && * n> 0; i++) {
        const hashed one = {qp_gen_u64(job->seed, m->fqn, (uint64_t)i), i};
        if (comes_after(&heap[0], &one)) replace_largest(heap, *n, one);
    }
    for (int64_t i = 0; i < *n; i++) (*rows)[i] = heap[i].row;
    qsort(*rows, (size_t)*n, sizeof **rows, compare_rows);
    return QP_OK;
}

static int64_t row_of_maximum(const qp_quantizer *q) {
    const size_t row_bytes = (size_t)q->slice.n_cols * qp_dtype_bytes(q->dtype);
    int64_t best = 0;
    uint32_t most = 0;
    for (int64_t i = 0; i < q->slice.n_rows; i++) {
        const uint32_t m =
            qp_abs_max(q->dtype, (const char *)q->weight + row_bytes * (size_t)i, q->slice.n_cols);
        if (m > most) {
            most = m;
            best = i;
        }
    }
    return best;
}

static qp_status sample_slice(qp_rank *r, qp_quantizer *q, qp_err *err) {
    int64_t *global, n_global;
    qp_arena_reset(r->scratch);
    QP_TRY(qp_sample_global(r->job, q->module, r->scratch, &global, &n_global, err));
    QP_TRY(QP_NEW(r->arena, q->sample, n_global + 3));
    q->n_sample = 0;
    for (int64_t i = 0; i < n_global; i++) {
        const int64_t local = qp_local_row(q, global[i]);
        if (local >= 0) q->sample[q->n_sample++] = local;
    }
    if (q->slice.n_rows > 0) {
        q->sample[q->n_sample++] = 0;
        q->sample[q->n_sample++] = q->slice.n_rows - 1;
        q->sample[q->n_sample++] = row_of_maximum(q);
    }
    qsort(q->sample, (size_t)q->n_sample, sizeof *q->sample, compare_rows);
    int64_t kept = 0;
    for (int64_t i = 0; i < q->n_sample; i++)
        if (kept == 0 || q->sample[kept - 1] != q->sample[i]) q->sample[kept++] = q->sample[i];
    q->n_sample = kept;
    return QP_OK;
}

qp_status qp_step_choose_rows(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (!q->weight) continue;
        q->n_sample = q->slice.n_rows;
        if (r->job->rows > 0) QP_TRY(sample_slice(r, q, err));
        r->elements += q->slice.n_rows * q->slice.n_cols;
        r->elements_run += q->n_sample * q->slice.n_cols;
    }
    return QP_OK;
}
