// SPDX-License-Identifier: Apache-2.0
// A tile is a short run of one row, held as fp32 in the first-level cache: load, compute, store.
#ifndef CPU_TILE_H
#define CPU_TILE_H

#include "qp/kernel.h"

enum { K_TILE = 1024 }; // elements; 64 NVFP4 blocks

// Exact. src is aligned to its element only.
void k_cpu_tile_load(qp_dtype t, const void *src, int n, float *tile);
// RNE to the type, NaN canonical.
void k_cpu_tile_store(qp_dtype t, void *dst, int n, const float *tile);
// max over |bits| in the type itself, as an fp32 image; a NaN anywhere gives 7fc00000.
uint32_t k_cpu_tile_amax(qp_dtype t, const void *src, int n);
// max |x| of each block of 16 (the last one may be short), NaN elements left out.
void k_cpu_tile_block_max(const float *tile, int n, float *block_max);

static inline const void *k_at(qp_dtype t, const void *base, int64_t i) {
    return (const char *)base + i * (int64_t)qp_dtype_bytes(t);
}

static inline void *k_at_mut(qp_dtype t, void *base, int64_t i) {
    return (char *)base + i * (int64_t)qp_dtype_bytes(t);
}

#endif
