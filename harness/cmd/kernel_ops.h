// SPDX-License-Identifier: Apache-2.0
// The ops of a kernel case as data: which outputs each has, in the shapes and types of the format's row, and
// what the reference says they must be.
#ifndef CMD_KERNEL_OPS_H
#define CMD_KERNEL_OPS_H

#include "cmd/kernel_data.h"

typedef struct qp_kernel_field {
    const char *name; // as the checks know it
    void **got;       // where the tensor keeps the subject's answer
    qp_dtype dtype;
    int64_t rows, cols; // in elements of dtype
} qp_kernel_field;

enum { QP_KERNEL_FIELDS = 4 };

// The outputs of an op in the order in which they are compared; returns how many.
int qp_kernel_fields(const qp_kernel_case *k, qp_kernel_tensor *t, qp_op op,
                     qp_kernel_field out[QP_KERNEL_FIELDS]);
// Room for the subject's answers.
qp_status qp_kernel_outputs(const qp_kernel_case *k, qp_op op, qp_arena *a, qp_err *err);
// The tensor as a launch of that op has it.
qp_ktensor qp_kernel_launched(const qp_kernel_case *k, qp_op op, const qp_kernel_tensor *t);

typedef struct qp_kernel_want {
    void *parts[QP_KERNEL_FIELDS]; // one array per output
} qp_kernel_want;

// What the op must answer for t. DEQUANT takes the codes that the subject itself packed, so a wrong pack is
// not counted again. cov: what the answer exercised.
qp_status qp_kernel_wanted(const qp_kernel_case *k, qp_op op, const qp_kernel_tensor *t, qp_arena *a,
                           qp_kernel_want *out, qp_coverage *cov, qp_err *err);
// The element code of (row, col) of packed codes: a byte, or a nibble.
uint8_t qp_kernel_code(const qp_format_row *f, const uint8_t *codes, int64_t cols, int64_t row, int64_t col);
// Flips the lowest bit of answer number 'element', counted over all tensors of the launch.
void qp_kernel_flip(const qp_kernel_case *k, qp_op op, uint64_t element);

#endif
