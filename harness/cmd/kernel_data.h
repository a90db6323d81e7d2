// SPDX-License-Identifier: Apache-2.0
// A kernel case made concrete: its tensors, their inputs and the calibration state that the ops take as
// given.
#ifndef CMD_KERNEL_DATA_H
#define CMD_KERNEL_DATA_H

#include "plan/case.h"
#include "qp/kernel.h"
#include "qp/ref.h"

typedef struct qp_kernel_tensor {
    const char *name;
    int64_t rows, cols, nb; // nb: blocks of 16 a row
    void *x, *grad;         // [rows, cols]
    void *pitched; // x with a row pitch of ld elements, NaN between the rows; x itself when ld == cols
    int64_t ld;
    uint32_t *amax; // fp32 images, as the format's grain has it; dynamic NVFP4: one, the global one
    int64_t n_amax;
    uint32_t global_amax; // NVFP4
    // what the subject answered
    void *y, *g, *values;
    uint32_t *amax_out;
    uint8_t *codes, *scales;
    uint32_t weight_scale_2;
} qp_kernel_tensor;

typedef struct qp_kernel_case {
    const qp_case *c;
    qp_format format;
    qp_engine engine;
    qp_dtype dtype;
    bool narrow_range;
    qp_bwd bwd;
    int64_t misalign; // elements
    qp_kernel_tensor *tensors;
    int n_tensors;
    int64_t n_elems;
    bool has_edge;
} qp_kernel_case;

// Generates (or reads hex=) the inputs and calibrates with the REFERENCE, whose amax is judged by itself as
// op amax. The calibration leaves NaN and Inf out; edges max, inf, nan are run on but not calibrated on, so
// that values above amax exist; edges amax, amax+ulp take the generator's nominal amax; dist=bits takes amax
// near 1, since its own maximum would round all else to zero.
qp_status qp_kernel_data(const qp_case *c, qp_arena *a, qp_kernel_case *out, qp_err *err);
// Grain of the calibrated amax: that of the format, but dynamic NVFP4 calibrates one global amax.
qp_grain qp_kernel_grain(const qp_kernel_case *k);
// What the reference is asked with for tensor t.
ref_spec qp_kernel_spec(const qp_kernel_case *k, const qp_kernel_tensor *t);
// The words of a case line. QP_USAGE for one that is in no table.
qp_status qp_case_format(const qp_case *c, qp_format *out, qp_err *err);
qp_status qp_case_dtype(const qp_case *c, qp_dtype *out, qp_err *err);
qp_status qp_case_engine(const qp_case *c, qp_engine *out, qp_err *err);

#endif
