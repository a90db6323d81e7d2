// SPDX-License-Identifier: Apache-2.0
// How one launch covers N tensors: the table travels by value, each tensor is cut into tiles, tile b of all
// of them is block b of the grid, and a block finds its tensor by binary search. A unit is 16 elements of one
// row, for one thread.
#ifndef CUDA_TILES_H
#define CUDA_TILES_H

#include "cuda/num.h"
#include "qp/kernel.h"

// 224 tensors keep the parameter at 28,696 bytes, below the 32,764 a kernel may take; more tensors are more
// launches.
enum { K_TENSORS = 224, K_THREADS = 256, K_WIDE = 4 };

typedef enum k_cut {
    K_CUT_UNITS, // a unit a thread
    K_CUT_WIDE,  // K_WIDE units a thread, for a reduction over the tensor
    K_CUT_ROWS,  // a row a block
} k_cut;

typedef struct k_table {
    int n;
    qp_format format;
    qp_dtype dtype;
    bool narrow_range;
    int64_t first_tile[K_TENSORS + 1];
    qp_ktensor t[K_TENSORS];
} k_table;

static inline int64_t k_n_units(const qp_ktensor *t) {
    return t->rows * ((t->cols + K_UNIT - 1) / K_UNIT);
}

// Takes tensors from 'first' on, as many as fit; p->first_tile[p->n] is the number of blocks.
static inline void k_table_fill(k_table *p, const qp_launch *launch, int first, k_cut cut) {
    int left = launch->n_tensors - first;
    p->n = left < K_TENSORS ? left : K_TENSORS;
    p->format = launch->format;
    p->dtype = launch->dtype;
    p->narrow_range = launch->narrow_range;
    p->first_tile[0] = 0;
    int64_t per_tile = cut == K_CUT_WIDE ? K_THREADS * K_WIDE : K_THREADS;
    for (int i = 0; i < p->n; i++) {
        p->t[i] = launch->tensors[first + i];
        int64_t tiles = cut == K_CUT_ROWS ? p->t[i].rows : (k_n_units(&p->t[i]) + per_tile - 1) / per_tile;
        p->first_tile[i + 1] = p->first_tile[i] + tiles;
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

typedef struct k_unit {
    const qp_ktensor *t;
    int64_t row, col, block; // block: row * blocks of a row + block in the row
    int n;                   // elements, 0 = behind the end
} k_unit;

DEVICE k_unit k_unit_at(const qp_ktensor *t, int64_t index) {
    k_unit u = {t, 0, 0, index, 0};
    int64_t per_row = (t->cols + K_UNIT - 1) / K_UNIT;
    if (index >= t->rows * per_row) return u;
    int64_t in_row;
    if (((index | per_row) >> 32) == 0) { // a 32-bit division costs a third
        u.row = (uint32_t)index / (uint32_t)per_row;
        in_row = (uint32_t)index % (uint32_t)per_row;
    } else {
        u.row = index / per_row;
        in_row = index % per_row;
    }
    u.col = in_row * K_UNIT;
    u.n = t->cols - u.col < K_UNIT ? (int)(t->cols - u.col) : K_UNIT;
    return u;
}

// The unit of a thread under K_CUT_UNITS.
DEVICE k_unit k_unit_of(const k_table *p, unsigned block, unsigned thread) {
    int i = k_find_tensor(p, block);
    return k_unit_at(&p->t[i], ((int64_t)block - p->first_tile[i]) * K_THREADS + thread);
}

#endif
