// SPDX-License-Identifier: Apache-2.0
// How the cpu kernels share work: every tensor of a launch is cut into boxes, threads take boxes as they
// come. Boxes never overlap, so a kernel needs no lock but for an amax that several boxes share.
#ifndef CPU_WORK_H
#define CPU_WORK_H

#include "qp/kernel.h"

typedef struct k_box {
    const qp_ktensor *t;
    int64_t row0, row1, col0, col1; // col0 is a multiple of 16
} k_box;

typedef void (*k_box_fn)(const qp_launch *launch, const k_box *box);

// Calls fn on every box of every tensor of the launch that has elements; returns when all are done.
void k_cpu_for_boxes(const qp_launch *launch, k_box_fn fn);

#endif
