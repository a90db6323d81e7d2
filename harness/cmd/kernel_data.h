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
    int64_t rows, cols, nb;         // nb: blocks in a row, 1 where the format has none
    int64_t scale_rows, scale_cols; // how many scales the grain of the format has
    void *x, *grad;                 // [rows, cols]
    void *pitched;                  // x with a row pitch of ld elements, NaN between the rows; x itself when
    int64_t ld;                     // ld == cols
    int64_t amax_rows, amax_cols;   // how many amax are calibrated
    uint32_t *amax;                 // fp32 images; MX: not read
    uint32_t *scale;                // formats with given scales: amax / largest level
    uint32_t global_amax;           // two-level formats; NF4: the mean of the block scales
    void *amax_out, *y, *g;         // what the subject answered: fp32; of dtype
    void *codes, *scales, *scales_i8; // as the row of the format has them
    void *second;                     // weight_scale_2, or NF4's double scale: one fp32 image
    void *values;                     // dequantized, of dtype
} qp_kernel_tensor;

typedef struct qp_kernel_case {
    const qp_case *c;
    qp_format format;
    qp_engine engines[QP_OP_COUNT]; // that judges each op
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
// Grain of the calibrated amax: that of the format, or the tensor where block scales come from the data.
qp_grain qp_kernel_grain(const qp_kernel_case *k);
// What the reference is asked with for an op of tensor t.
ref_spec qp_kernel_spec(const qp_kernel_case *k, const qp_kernel_tensor *t, qp_op op);
// The words of a case line. QP_USAGE for one that is in no table.
qp_status qp_case_format(const qp_case *c, qp_format *out, qp_err *err);
qp_status qp_case_dtype(const qp_case *c, qp_dtype *out, qp_err *err);
// auto: of each op the first engine that answers it, of ieee and torch-cpu. AMAX has one answer for all.
qp_status qp_case_engines(const qp_case *c, qp_format format, qp_engine out[QP_OP_COUNT], qp_err *err);

#endif
