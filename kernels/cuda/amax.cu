// SPDX-License-Identifier: Apache-2.0
// max |x| over N tensors, per tensor, row or block of 16; exact, as the maximum of |bits|, in which NaN wins.
// Per tensor: every block of the grid reduces its tile in shared memory and raises the result by one atomic
// maximum, which a launch before it on the same stream set to zero. Per row: one block a row. Per block: one
// thread each. No order matters.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"
#include "kernels.h"

DEVICE uint32_t unit_amax(int dtype, const k_unit *u) {
    float v[K_UNIT];
    k_load(dtype, u->t->x, u->row * u->t->ld + u->col, u->n, v);
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

KERNEL_COOP(amax_rows, k_table, p) {
    SHARED(uint32_t, part, K_THREADS);
    unsigned me = threadIdx.x;
    int i = k_find_tensor(p, blockIdx.x);
    const qp_ktensor *t = &p->t[i];
    int64_t row = (int64_t)blockIdx.x - p->first_tile[i];
    uint32_t m = 0;
    for (int64_t c = (int64_t)me * K_UNIT; c < t->cols; c += K_THREADS * K_UNIT) {
        k_unit u = {t, row, c, 0, t->cols - c < K_UNIT ? (int)(t->cols - c) : K_UNIT};
        uint32_t a = unit_amax(p->dtype, &u);
        m = a > m ? a : m;
    }
    part[me] = m;
    SYNC();
    for (unsigned half = K_THREADS / 2; half > 0; half /= 2) {
        if (me < half && part[me + half] > part[me]) part[me] = part[me + half];
        SYNC();
    }
    if (me == 0 && t->cols > 0) t->amax_out[row] = k_f32(canonical(part[0]));
    if (me == 0 && t->cols == 0 && t->amax_out) t->amax_out[row] = 0.0f;
}

KERNEL(amax_blocks, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    u.t->amax_out[u.block] = k_f32(canonical(unit_amax(p->dtype, &u)));
}

QP_ENTRY(amax) {
    QP_TRY(k_launch_check(launch, QP_OP_AMAX, err));
    // Dynamic NVFP4 is calibrated by one global amax; its block scales come from the data of each launch.
    qp_grain grain = launch->format == QP_NVFP4 ? QP_GRAIN_TENSOR : qp_format_get(launch->format)->grain;
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first,
                     grain == QP_GRAIN_TENSOR  ? K_CUT_WIDE
                     : grain == QP_GRAIN_AXIS0 ? K_CUT_ROWS
                                               : K_CUT_UNITS);
        int64_t tiles = p.first_tile[p.n];
        if (grain == QP_GRAIN_TENSOR) {
            QP_TRY(LAUNCH(zero_amax, (p.n + K_THREADS - 1) / K_THREADS, K_THREADS, launch, &p));
            QP_TRY(LAUNCH(amax_tensor, tiles, K_THREADS, launch, &p));
        } else if (grain == QP_GRAIN_AXIS0) {
            QP_TRY(LAUNCH(amax_rows, tiles, K_THREADS, launch, &p));
        } else {
            QP_TRY(LAUNCH(amax_blocks, tiles, K_THREADS, launch, &p));
        }
    }
    return QP_OK;
}
