// SPDX-License-Identifier: Apache-2.0
// An implementation under test: built-in kernels on a device, or a plug-in. One way to run a launch, always
// under guard: outputs between guard zones and poisoned (twice, with different poison), inputs compared after
// the run, a second run compared.
#ifndef SUBJECT_SUBJECT_H
#define SUBJECT_SUBJECT_H

#include "device/device.h"
#include "qp/evidence.h"
#include "qp/plugin.h"

typedef struct qp_subject qp_subject;

// spec: "builtin" | "FILE.so" | "FILE.so:VARIANT". dev: where built-in kernels run (a plug-in names its own
// device kind).
qp_status qp_subject_open(const char *spec, qp_device *dev, qp_arena *a, qp_subject **out, qp_err *err);
void qp_subject_close(qp_subject *s);
const char *qp_subject_name(const qp_subject *s); // for the record
qp_device *qp_subject_device(qp_subject *s);
// QP_OK if (op, format, engine, dtype) is there; QP_UNAVAILABLE / QP_REFUSED with the reason otherwise.
qp_status qp_subject_offers(const qp_subject *s, qp_op op, qp_format format, qp_engine engine, qp_dtype dtype,
                            qp_err *err);

typedef struct qp_run_options {
    bool guard;          // guard zones, poison, input check
    bool repeat;         // second run with other poison, compared
    uint64_t order_seed; // simt thread order
    int misalign;        // extra bytes in front of x, y, grad (a multiple of the element size), 0..63
} qp_run_options;

// Runs one launch over N tensors. All pointers in launch->tensors are HOST memory: inputs are copied in,
// outputs copied out. Sizes follow from op, format, dtype, rows, cols, ld (kernel.h). Thread safe: rank
// threads share a subject. guard may be NULL when options.guard and repeat are false. The return status is
// about the run; what the guard saw is evidence.
qp_status qp_subject_run(qp_subject *s, const qp_launch *launch, const qp_run_options *options,
                         qp_guard_ev *guard, qp_err *err);

#endif
