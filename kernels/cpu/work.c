// SPDX-License-Identifier: Apache-2.0
// The cutting into boxes, over OpenMP threads. A caller that wants one thread says so with
// omp_set_num_threads(1).
#include "cpu/work.h"

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
        int64_t rows_per = BOX_ELEMS / cols_per;
        int64_t n = ceil_div(t->rows, rows_per) * ceil_div(t->cols, cols_per);
#pragma omp for schedule(dynamic) nowait
        for (int64_t k = 0; k < n; k++) run_box(l, t, rows_per, cols_per, k, fn);
    }
}
