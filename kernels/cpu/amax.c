// SPDX-License-Identifier: Apache-2.0
// max |x| per tensor, per row or per block of 16, exact: the maximum of |bits| as integers, in which NaN
// wins.
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

// The image lives in the caller's float; boxes of one row or tensor meet here.
typedef uint32_t __attribute__((may_alias)) word;

static void raise_to(float *out, uint32_t value) {
    word *p = (word *)out;
    word seen = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (value > seen &&
           !__atomic_compare_exchange_n(p, &seen, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static qp_grain grain_of(qp_format f) {
    // Dynamic NVFP4 is calibrated by one global amax; its block scales come from the data of each launch.
    return f == QP_NVFP4 ? QP_GRAIN_TENSOR : qp_format_get(f)->grain;
}

static uint32_t row_amax(const qp_launch *l, const k_box *b, int64_t row) {
    uint32_t m = 0;
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
        uint32_t a = k_cpu_tile_amax(l->dtype, k_at(l->dtype, b->t->x, row * b->t->ld + c), n);
        m = a > m ? a : m;
    }
    return m;
}

static void amax_tensor(const qp_launch *l, const k_box *b) {
    uint32_t m = 0;
    for (int64_t r = b->row0; r < b->row1; r++) {
        uint32_t a = row_amax(l, b, r);
        m = a > m ? a : m;
    }
    raise_to(b->t->amax_out, m);
}

static void amax_axis0(const qp_launch *l, const k_box *b) {
    for (int64_t r = b->row0; r < b->row1; r++) raise_to(&b->t->amax_out[r], row_amax(l, b, r));
}

static void amax_block(const qp_launch *l, const k_box *b) {
    int64_t nb = (b->t->cols + 15) / 16;
    for (int64_t r = b->row0; r < b->row1; r++)
        for (int64_t c = b->col0; c < b->col1; c += 16) {
            int n = (int)(b->col1 - c < 16 ? b->col1 - c : 16);
            word *out = (word *)&b->t->amax_out[r * nb + c / 16];
            *out = k_cpu_tile_amax(l->dtype, k_at(l->dtype, b->t->x, r * b->t->ld + c), n);
        }
}

qp_status k_cpu_amax(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_AMAX, err));
    qp_grain grain = grain_of(l->format);
    for (int i = 0; i < l->n_tensors; i++) {
        const qp_ktensor *t = &l->tensors[i];
        int64_t n = grain == QP_GRAIN_TENSOR ? 1 : grain == QP_GRAIN_AXIS0 ? t->rows : 0;
        if (t->amax_out != NULL)
            for (int64_t k = 0; k < n; k++) t->amax_out[k] = 0.0f;
    }
    k_cpu_for_boxes(l, grain == QP_GRAIN_TENSOR  ? amax_tensor
                       : grain == QP_GRAIN_AXIS0 ? amax_axis0
                                                 : amax_block);
    return QP_OK;
}
