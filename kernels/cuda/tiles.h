// SPDX-License-Identifier: Apache-2.0
// How one launch covers N tensors: the table travels by value, each tensor is cut into tiles, tile b of all
// of them is block b of the grid, and a block finds its tensor by binary search. A unit is 16 elements of one
// row, for one thread. Blocks of every format are powers of two and at least a unit wide.
#ifndef CUDA_TILES_H
#define CUDA_TILES_H

#include "cuda/num.h"
#include "kernels.h"

// More tensors are more launches. The table is a kernel's parameter, of which there may be 32,764 bytes.
enum {
    K_TENSORS = 224,
    K_THREADS_LOG2 = 8,
    K_THREADS = 1 << K_THREADS_LOG2,
    K_WIDE = 4,
    K_PARAM_BYTES = 32764
};

typedef enum k_cut {
    K_CUT_UNITS,     // a unit a thread
    K_CUT_ROW_PAIRS, // the units of rows 2i and 2i+1 a thread
    K_CUT_BLOCKS,    // a one-dimensional block of the format a thread
    K_CUT_WIDE,      // K_WIDE units a thread, for a reduction over the tensor
    K_CUT_ROWS,      // a row a block of the grid
    K_CUT_SQUARES,   // a two-dimensional block of the format a block of the grid
} k_cut;

typedef struct k_table {
    int n;
    qp_format format;
    qp_engine engine;
    qp_dtype dtype;
    qp_element element;
    qp_grain grain;
    qp_scale scale;
    int row_shift, col_shift; // log2 of the format's block
    bool dynamic;             // block scales come from the data
    bool narrow_range;
    int64_t first_tile[K_TENSORS + 1];
    qp_ktensor t[K_TENSORS];
} k_table;

typedef char k_table_fits[sizeof(k_table) <= K_PARAM_BYTES ? 1 : -1];

static inline int k_log2(int n) {
    int shift = 0;
    while (n >> (shift + 1)) shift++;
    return shift;
}

static inline int64_t k_pieces(int64_t n, int shift) {
    return (n + ((int64_t)1 << shift) - 1) >> shift;
}

static inline int64_t k_n_tiles(const k_table *p, const qp_ktensor *t, k_cut cut) {
    const int64_t units = k_pieces(t->cols, K_UNIT_SHIFT), blocks = k_pieces(t->cols, p->col_shift);
    switch (cut) {
    case K_CUT_ROW_PAIRS:
        return (k_pieces(t->rows, 1) * units + K_THREADS - 1) / K_THREADS;
    case K_CUT_BLOCKS:
        return (t->rows * blocks + K_THREADS - 1) / K_THREADS;
    case K_CUT_WIDE:
        return (t->rows * units + K_THREADS * K_WIDE - 1) / (K_THREADS * K_WIDE);
    case K_CUT_ROWS:
        return t->rows;
    case K_CUT_SQUARES:
        return k_pieces(t->rows, p->row_shift) * blocks;
    default:
        return (t->rows * units + K_THREADS - 1) / K_THREADS;
    }
}

// Takes tensors from 'first' on, as many as fit; p->first_tile[p->n] is the number of blocks.
static inline void k_table_fill(k_table *p, const qp_launch *launch, int first, k_cut cut) {
    const qp_format_row *f = qp_format_get(launch->format);
    int left = launch->n_tensors - first;
    p->n = left < K_TENSORS ? left : K_TENSORS;
    p->format = launch->format;
    p->engine = launch->engine;
    p->dtype = launch->dtype;
    p->element = f->element;
    p->grain = f->grain;
    p->scale = f->scale;
    p->row_shift = k_log2(f->block_rows);
    p->col_shift = k_log2(f->block_cols);
    p->dynamic = qp_format_is_dynamic(launch->format);
    p->narrow_range = launch->narrow_range;
    p->first_tile[0] = 0;
    for (int i = 0; i < p->n; i++) {
        p->t[i] = launch->tensors[first + i];
        p->first_tile[i + 1] = p->first_tile[i] + k_n_tiles(p, &p->t[i], cut);
    }
}

// The tensor that a block works on: the last one whose first tile is not behind it. Empty tensors have no
// tiles.
DEVICE int k_find_tensor(const k_table *p, int64_t tile) {
    int low = 0, high = p->n;
    while (high - low > 1) {
        int mid = (low + high) / 2;
        if (p->first_tile[mid] <= tile)
            low = mid;
        else
            high = mid;
    }
    return low;
}

// Up to 2^shift elements of a row.
typedef struct k_unit {
    const qp_ktensor *t;
    int64_t row, col;
    int n; // elements, 0 = behind the end
} k_unit;

// Piece number 'index' of a tensor whose rows (row groups, for pairs) are cut into pieces of 2^shift.
DEVICE k_unit k_piece_at(const qp_ktensor *t, int64_t index, int64_t rows, int shift) {
    k_unit u = {t, 0, 0, 0};
    int64_t width = (int64_t)1 << shift, per_row = (t->cols + width - 1) >> shift;
    if (index >= rows * per_row) return u;
    int64_t in_row;
    if (((index | per_row) >> 32) == 0) { // a 32-bit division costs a third
        u.row = (uint32_t)index / (uint32_t)per_row;
        in_row = (uint32_t)index % (uint32_t)per_row;
    } else {
        u.row = index / per_row;
        in_row = index % per_row;
    }
    u.col = in_row << shift;
    u.n = t->cols - u.col < width ? (int)(t->cols - u.col) : (int)width;
    return u;
}

DEVICE k_unit k_unit_at(const qp_ktensor *t, int64_t index) {
    return k_piece_at(t, index, t->rows, K_UNIT_SHIFT);
}

// The unit of a thread under K_CUT_UNITS.
DEVICE k_unit k_unit_of(const k_table *p, unsigned block, unsigned thread) {
    int i = k_find_tensor(p, block);
    return k_unit_at(&p->t[i], ((int64_t)block - p->first_tile[i]) * K_THREADS + thread);
}

// The upper row's unit of a thread under K_CUT_ROW_PAIRS.
DEVICE k_unit k_pair_of(const k_table *p, unsigned block, unsigned thread) {
    int i = k_find_tensor(p, block);
    k_unit u = k_piece_at(&p->t[i], ((int64_t)block - p->first_tile[i]) * K_THREADS + thread,
                          (p->t[i].rows + 1) >> 1, K_UNIT_SHIFT);
    u.row *= 2;
    return u;
}

// The block of a thread under K_CUT_BLOCKS. shift is p->col_shift: said as a constant, it unrolls loops.
DEVICE k_unit k_block_of(const k_table *p, unsigned block, unsigned thread, int shift) {
    int i = k_find_tensor(p, block);
    return k_piece_at(&p->t[i], ((int64_t)block - p->first_tile[i]) * K_THREADS + thread, p->t[i].rows,
                      shift);
}

// The unit that begins at element 'at' of a block; n = 0 behind its end.
DEVICE k_unit k_part(const k_unit *u, int at) {
    k_unit v = {u->t, u->row, u->col + at, u->n - at};
    v.n = v.n < 0 ? 0 : v.n > K_UNIT ? K_UNIT : v.n;
    return v;
}

// Number of the block of the format in which a unit lies.
DEVICE int64_t k_block_index(const k_table *p, const k_unit *u) {
    int64_t per_row = (u->t->cols + ((int64_t)1 << p->col_shift) - 1) >> p->col_shift;
    return (u->row >> p->row_shift) * per_row + (u->col >> p->col_shift);
}

// Which amax or scale of the tensor covers a unit.
DEVICE int64_t k_grain_index(const k_table *p, const k_unit *u) {
    if (p->grain == QP_GRAIN_TENSOR) return 0;
    return p->grain == QP_GRAIN_AXIS0 ? u->row : k_block_index(p, u);
}

// Is this the unit that writes the scale of its grain?
DEVICE bool k_grain_begins(const k_table *p, const k_unit *u) {
    if (p->grain == QP_GRAIN_TENSOR) return (u->row | u->col) == 0;
    if (p->grain == QP_GRAIN_AXIS0) return u->col == 0;
    return ((u->row & ((1 << p->row_shift) - 1)) | (u->col & ((1 << p->col_shift) - 1))) == 0;
}

DEVICE void k_load_x(int dtype, const k_unit *u, float *v) {
    k_load(dtype, u->t->x, u->row * u->t->ld + u->col, u->n, v);
}

DEVICE void k_store_y(int dtype, const k_unit *u, const float *v) {
    k_store(dtype, u->t->y, u->row * u->t->cols + u->col, u->n, v);
}

// Codes of a unit, a byte each.
DEVICE void k_store_codes(const k_unit *u, const uint32_t *code) {
    k_store_bytes(u->t->codes + u->row * u->t->cols + u->col, u->n, K_UNIT, code);
}

DEVICE void k_load_codes(const k_unit *u, uint32_t *code) {
    k_load_bytes(u->t->codes + u->row * u->t->cols + u->col, u->n, K_UNIT, code);
}

// Codes of a unit, two a byte; in the last byte of an odd row the partner is that of a zero.
DEVICE void k_store_nibbles(const k_unit *u, bool high_first, const uint32_t *code) {
    uint32_t b[K_UNIT / 2];
    UNROLL for (int j = 0; j < K_UNIT / 2; j++) b[j] =
        high_first ? code[2 * j] << 4 | code[2 * j + 1] : code[2 * j] | code[2 * j + 1] << 4;
    k_store_bytes(u->t->codes + u->row * ((u->t->cols + 1) / 2) + u->col / 2, (u->n + 1) / 2, K_UNIT / 2, b);
}

DEVICE void k_load_nibbles(const k_unit *u, bool high_first, uint32_t *code) {
    uint32_t b[K_UNIT / 2];
    k_load_bytes(u->t->codes + u->row * ((u->t->cols + 1) / 2) + u->col / 2, (u->n + 1) / 2, K_UNIT / 2, b);
    UNROLL for (int j = 0; j < K_UNIT / 2; j++) {
        code[2 * j] = high_first ? b[j] >> 4 : b[j] & 15;
        code[2 * j + 1] = high_first ? b[j] & 15 : b[j] >> 4;
    }
}

// Scales that are images of the launch's type.
DEVICE float k_scale_load(const k_table *p, const qp_ktensor *t, int64_t i) {
    return k_widen(p->dtype,
                   p->dtype == QP_FP32 ? ((const uint32_t *)t->scales)[i] : ((const uint16_t *)t->scales)[i]);
}

DEVICE void k_scale_store(const k_table *p, const qp_ktensor *t, int64_t i, float s) {
    uint32_t u = k_narrow(p->dtype, s);
    if (p->dtype == QP_FP32)
        ((uint32_t *)t->scales)[i] = u;
    else
        ((uint16_t *)t->scales)[i] = (uint16_t)u;
}

#endif
