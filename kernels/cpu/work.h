// SPDX-License-Identifier: Apache-2.0
// How the cpu kernels share work: every tensor of a launch is cut into boxes, threads take boxes as they
// come. Boxes never overlap, so a kernel needs no lock but for an amax that several boxes share.
#ifndef CPU_WORK_H
#define CPU_WORK_H

#include "cpu/ops.h"
#include "qp/kernel.h"

typedef struct k_box {
    const qp_ktensor *t;
    int64_t row0, row1, col0, col1; // row0 is even, col0 a multiple of every block length
} k_box;

typedef void (*k_box_fn)(const qp_launch *launch, const k_box *box);

// Calls fn on every box of every tensor of the launch that has elements; returns when all are done.
void k_cpu_for_boxes(const qp_launch *launch, k_box_fn fn);

// A stretch of one row that fits a tile. Blocks, the last one maybe short.
typedef struct k_stretch {
    int64_t row, col;
    int n, n_blocks;
} k_stretch;

typedef void (*k_stretch_fn)(const qp_launch *launch, const qp_ktensor *t, const k_stretch *s);

// Calls fn on every stretch of every row of the box.
void k_cpu_for_stretches(const qp_launch *launch, const k_box *box, k_stretch_fn fn);

// x of a stretch into the tile, zeros up to the end of the last block; and the tile into y.
void k_cpu_load(const qp_launch *launch, const qp_ktensor *t, const k_stretch *s, float *tile);
void k_cpu_store(const qp_launch *launch, const qp_ktensor *t, const k_stretch *s, const float *tile);

// Elements of a row that share one scale: a block, or more than a tile holds.
int k_scale_run(qp_format f);
// The number of scales of a tensor, and which one an element has.
int64_t k_n_scales(qp_format f, const qp_ktensor *t);
int64_t k_scale_at(qp_format f, const qp_ktensor *t, int64_t row, int64_t col);

#endif
