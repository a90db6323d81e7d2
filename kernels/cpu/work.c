// SPDX-License-Identifier: Apache-2.0
// The cutting into boxes, over OpenMP threads, and into stretches of rows. A caller that wants one thread
// says so with omp_set_num_threads(1).
#include "cpu/work.h"

#include <string.h>

enum { BOX_ELEMS = 1 << 16 }; // 128 KiB of bf16: fits the second-level cache, and 2 cores balance well

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static void run_box(const qp_launch *l, const qp_ktensor *t, int64_t rows_per, int64_t cols_per,
                    int64_t index, k_box_fn fn) {
    int64_t across = ceil_div(t->cols, cols_per);
    k_box b = {t, index / across * rows_per, 0, index % across * cols_per, 0};
    b.row1 = b.row0 + rows_per < t->rows ? b.row0 + rows_per : t->rows;
    b.col1 = b.col0 + cols_per < t->cols ? b.col0 + cols_per : t->cols;
    fn(l, &b);
}

void k_cpu_for_boxes(const qp_launch *l, k_box_fn fn) {
    int64_t total = 0;
    for (int i = 0; i < l->n_tensors; i++) total += l->tensors[i].rows * l->tensors[i].cols;
    if (total == 0) return;
#pragma omp parallel if (total > BOX_ELEMS)
    for (int i = 0; i < l->n_tensors; i++) {
        const qp_ktensor *t = &l->tensors[i];
        if (t->rows == 0 || t->cols == 0) continue;
        int64_t cols_per = t->cols < BOX_ELEMS ? t->cols : BOX_ELEMS;
        int64_t rows_per = ceil_div(BOX_ELEMS / cols_per, 2) * 2; // even: two rows may share a byte
        int64_t n = ceil_div(t->rows, rows_per) * ceil_div(t->cols, cols_per);
#pragma omp for schedule(dynamic) nowait
        for (int64_t k = 0; k < n; k++) run_box(l, t, rows_per, cols_per, k, fn);
    }
}

static int block_of(qp_format f) {
    int block = qp_format_get(f)->block_cols;
    return block > 0 ? block : 1;
}

void k_cpu_for_stretches(const qp_launch *l, const k_box *b, k_stretch_fn fn) {
    const int block = block_of(l->format);
    for (int64_t r = b->row0; r < b->row1; r++)
        for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
            int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
            fn(l, b->t, &(k_stretch){r, c, n, (n + block - 1) / block});
        }
}

void k_cpu_load(const qp_launch *l, const qp_ktensor *t, const k_stretch *s, float *tile) {
    k_cpu_now()->load(l->dtype, k_at(l->dtype, t->x, s->row * t->ld + s->col), s->n, tile);
    memset(tile + s->n, 0, (size_t)(s->n_blocks * block_of(l->format) - s->n) * sizeof *tile);
}

void k_cpu_store(const qp_launch *l, const qp_ktensor *t, const k_stretch *s, const float *tile) {
    k_cpu_now()->store(l->dtype, k_at_mut(l->dtype, t->y, s->row * t->cols + s->col), s->n, tile);
}

int k_scale_run(qp_format f) {
    int block = qp_format_get(f)->block_cols;
    return block > 0 ? block : K_TILE;
}

int64_t k_n_scales(qp_format format, const qp_ktensor *t) {
    const qp_format_row *f = qp_format_get(format);
    if (f->grain == QP_GRAIN_TENSOR) return 1;
    if (f->grain == QP_GRAIN_AXIS0) return t->rows; // rows without columns too
    if (t->rows == 0 || t->cols == 0) return 0;
    return k_scale_at(format, t, t->rows - 1, t->cols - 1) + 1;
}

int64_t k_scale_at(qp_format format, const qp_ktensor *t, int64_t row, int64_t col) {
    const qp_format_row *f = qp_format_get(format);
    switch (f->grain) {
    case QP_GRAIN_TENSOR:
        return 0;
    case QP_GRAIN_AXIS0:
        return row;
    case QP_GRAIN_BLOCK:
        return row * ceil_div(t->cols, f->block_cols) + col / f->block_cols;
    case QP_GRAIN_BLOCK2D:
        return row / f->block_rows * ceil_div(t->cols, f->block_cols) + col / f->block_cols;
    }
    return 0;
}
