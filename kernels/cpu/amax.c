// SPDX-License-Identifier: Apache-2.0
// max |x| per tensor, row, block of a row or two-dimensional block, exact: the maximum of |bits| as integers,
// in which NaN wins.
#include <string.h>

#include "cpu/num.h"
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

static uint32_t amax_of(const qp_launch *l, const qp_ktensor *t, int64_t row, int64_t col, int n) {
    return k_cpu_now()->amax(l->dtype, k_at(l->dtype, t->x, row * t->ld + col), n);
}

static uint32_t row_amax(const qp_launch *l, const k_box *b, int64_t row) {
    uint32_t m = 0;
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        uint32_t a = amax_of(l, b->t, row, c, (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE));
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

static void amax_blocks(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], m[K_TILE / 16];
    k_cpu_load(l, t, s, tile);
    k_cpu_now()->block_max(tile, s->n_blocks, qp_format_get(l->format)->block_cols, true, m);
    word *out = (word *)&t->amax_out[k_scale_at(l->format, t, s->row, s->col)];
    for (int b = 0; b < s->n_blocks; b++) out[b] = f32_canonical(m[b]);
}

static void amax_block(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, amax_blocks);
}

static void amax_block2d(const qp_launch *l, const k_box *b) {
    const int run = k_scale_run(l->format);
    for (int64_t r = b->row0; r < b->row1; r++)
        for (int64_t c = b->col0; c < b->col1; c += run)
            raise_to(&b->t->amax_out[k_scale_at(l->format, b->t, r, c)],
                     amax_of(l, b->t, r, c, (int)(b->col1 - c < run ? b->col1 - c : run)));
}

qp_status k_cpu_amax(const qp_launch *l, qp_err *err) {
    static const k_box_fn of[] = {[QP_GRAIN_TENSOR] = amax_tensor,
                                  [QP_GRAIN_AXIS0] = amax_axis0,
                                  [QP_GRAIN_BLOCK] = amax_block,
                                  [QP_GRAIN_BLOCK2D] = amax_block2d};
    QP_TRY(k_launch_check_own(l, QP_OP_AMAX, k_cpu_amax, err));
    qp_grain grain = k_amax_grain(l->format);
    for (int i = 0; i < l->n_tensors && grain != QP_GRAIN_BLOCK; i++) {
        const qp_ktensor *t = &l->tensors[i];
        int64_t n = grain == QP_GRAIN_TENSOR ? 1 : k_n_scales(l->format, t);
        for (int64_t k = 0; k < n && t->amax_out != NULL; k++) t->amax_out[k] = 0.0f;
    }
    k_cpu_for_boxes(l, of[grain]);
    return QP_OK;
}
