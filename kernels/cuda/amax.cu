// SPDX-License-Identifier: Apache-2.0
// max |x| over N tensors, per tensor, row or block of the format; exact, as the maximum of |bits|, in which
// NaN wins. Per tensor: every block of the grid reduces its tile in shared memory and raises the result by
// one atomic maximum, which a launch before it on the same stream set to zero. Per row and per
// two-dimensional block: one block of the grid each. Per block of a row: one thread each. No order matters.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

DEVICE uint32_t unit_amax(int dtype, const k_unit *u) {
    float v[K_UNIT];
    k_load_x(dtype, u, v);
    uint32_t m = 0;
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        uint32_t a = k_bits(v[j]) & 0x7fffffffu;
        m = a > m ? a : m;
    }
    return m;
}

DEVICE uint32_t canonical(uint32_t image) {
    return k_is_nan(image) ? 0x7fc00000u : image;
}

KERNEL(zero_amax, k_table, p) {
    unsigned i = blockIdx.x * K_THREADS + threadIdx.x;
    if (i >= (unsigned)p->n) return;
    p->t[i].amax_out[0] = 0.0f;
}

KERNEL_COOP(amax_tensor, k_table, p) {
    SHARED(uint32_t, part, K_THREADS);
    unsigned me = threadIdx.x;
    int i = k_find_tensor(p, blockIdx.x);
    const qp_ktensor *t = &p->t[i];
    int64_t first = ((int64_t)blockIdx.x - p->first_tile[i]) * K_THREADS * K_WIDE;
    uint32_t m = 0;
    for (int k = 0; k < K_WIDE; k++) {
        k_unit u = k_unit_at(t, first + k * K_THREADS + me);
        uint32_t a = unit_amax(p->dtype, &u);
        m = a > m ? a : m;
    }
    part[me] = m;
    SYNC();
    for (unsigned half = K_THREADS / 2; half > 0; half /= 2) {
        if (me < half && part[me + half] > part[me]) part[me] = part[me + half];
        SYNC();
    }
    if (me == 0) k_atomic_max(t->amax_out, canonical(part[0]));
}

// A rectangle of a tensor, for one block of the grid: 2^log2_wide threads side by side, the others below
// them.
typedef struct rect {
    int64_t row, end_row, col, end_col, out;
    int log2_wide;
} rect;

DEVICE rect rect_of(const k_table *p, const qp_ktensor *t, int64_t tile) {
    if (p->grain == QP_GRAIN_AXIS0) {
        rect whole_row = {tile, tile + 1, 0, t->cols, tile, K_THREADS_LOG2};
        return whole_row;
    }
    int64_t rows = (int64_t)1 << p->row_shift, cols = (int64_t)1 << p->col_shift;
    int64_t across = (t->cols + cols - 1) >> p->col_shift;
    int64_t row = tile / across * rows, col = tile % across * cols;
    rect square = {row,  row + rows < t->rows ? row + rows : t->rows,
                   col,  col + cols < t->cols ? col + cols : t->cols,
                   tile, p->col_shift - K_UNIT_SHIFT};
    return square;
}

KERNEL_COOP(amax_rects, k_table, p) {
    SHARED(uint32_t, part, K_THREADS);
    unsigned me = threadIdx.x;
    int i = k_find_tensor(p, blockIdx.x);
    const qp_ktensor *t = &p->t[i];
    rect r = rect_of(p, t, (int64_t)blockIdx.x - p->first_tile[i]);
    int64_t wide = (int64_t)1 << r.log2_wide, high = K_THREADS >> r.log2_wide;
    uint32_t m = 0;
    for (int64_t row = r.row + (me >> r.log2_wide); row < r.end_row; row += high)
        for (int64_t c = r.col + (me & (wide - 1)) * K_UNIT; c < r.end_col; c += wide * K_UNIT) {
            k_unit u = {t, row, c, r.end_col - c < K_UNIT ? (int)(r.end_col - c) : K_UNIT};
            uint32_t a = unit_amax(p->dtype, &u);
            m = a > m ? a : m;
        }
    part[me] = m;
    SYNC();
    for (unsigned half = K_THREADS / 2; half > 0; half /= 2) {
        if (me < half && part[me + half] > part[me]) part[me] = part[me + half];
        SYNC();
    }
    if (me == 0 && (r.col < r.end_col || t->amax_out)) t->amax_out[r.out] = k_f32(canonical(part[0]));
}

KERNEL(amax_blocks, k_table, p) {
    k_unit u = k_block_of(p, blockIdx.x, threadIdx.x, p->col_shift);
    if (u.n == 0) return;
    uint32_t m = 0;
    for (int at = 0; at < u.n; at += K_UNIT) {
        k_unit part = k_part(&u, at);
        uint32_t a = unit_amax(p->dtype, &part);
        m = a > m ? a : m;
    }
    u.t->amax_out[k_block_index(p, &u)] = k_f32(canonical(m));
}

QP_ENTRY(amax) {
    QP_TRY(k_launch_check_own(launch, QP_OP_AMAX, QP_SELF(amax), err));
    // A dynamic format is calibrated by one global amax; its block scales come from the data of each launch.
    const qp_grain grain = k_amax_grain(launch->format);
    const k_cut cut = grain == QP_GRAIN_TENSOR  ? K_CUT_WIDE
                      : grain == QP_GRAIN_AXIS0 ? K_CUT_ROWS
                      : grain == QP_GRAIN_BLOCK ? K_CUT_BLOCKS
                                                : K_CUT_SQUARES;
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, cut);
        int64_t tiles = p.first_tile[p.n];
        if (grain == QP_GRAIN_TENSOR) {
            QP_TRY(LAUNCH(zero_amax, (p.n + K_THREADS - 1) / K_THREADS, K_THREADS, launch, &p));
            QP_TRY(LAUNCH(amax_tensor, tiles, K_THREADS, launch, &p));
        } else if (grain == QP_GRAIN_BLOCK) {
            QP_TRY(LAUNCH(amax_blocks, tiles, K_THREADS, launch, &p));
        } else {
            QP_TRY(LAUNCH(amax_rects, tiles, K_THREADS, launch, &p));
        }
    }
    return QP_OK;
}
