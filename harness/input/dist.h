// SPDX-License-Identifier: Apache-2.0
// What the files of the generator share: one run of consecutive elements of one row, as words, fp32 images or
// stored bits.
#ifndef INPUT_DIST_H
#define INPUT_DIST_H

#include "input/gen.h"
#include "input/philox.h"

enum { RUN_MAX = 1024 }; // elements made at a time

// A run: columns col .. col+n-1 of one row of the full tensor.
typedef struct run {
    const qp_gen *gen;
    const char *name;
    int64_t rows, cols, row, col;
    int n;
    qp_dtype dtype;
    const uint32_t *words; // main stream, one per element
    const uint32_t *aux;   // second stream, only for distributions that ask for it
} run;

// record.c
typedef struct record_key {
    uint64_t base, peak_index;
    uint32_t tilt, block_mask, peak; // peak: bf16 image
} record_key;
record_key record_key_of(uint64_t seed, const char *name, bool wide, int64_t numel);
void record_fill(const record_key *k, uint64_t first, int n, uint32_t *f32);

// grid.c: quantized and ties, straight to stored bits
void grid_fill(const run *r, void *out);
float grid_max(qp_format f); // the tensor's maximum before scale_pow2

// edges.c
int edge_row_exponent(const qp_gen *g, int64_t row); // QP_EDGE_SPREAD
void edges_apply(const run *r, void *out);

#endif
