// SPDX-License-Identifier: Apache-2.0
// Laws of fake-quant that need no oracle: an answer is held against the same subject's answer to a
// transformed input. A table says for every law and format where it holds; where it does not, the hex of a
// counter-example stands beside it.
#ifndef CHECKS_LAWS_H
#define CHECKS_LAWS_H

#include "qp/dtype.h"
#include "qp/finding.h"
#include "qp/format.h"

typedef enum qp_law {
    QP_LAW_IDEMPOTENCE, // quantizing the answer again gives the answer
    QP_LAW_CODES,       // packing the dequantized values again gives the codes
    QP_LAW_ODD,         // of -x: minus the answer
    QP_LAW_SCALING,     // of 2x under twice the amax: twice the answer
    QP_LAW_PERMUTATION, // elements that share a scale in another order: the answers in that order
    QP_LAW_ORDER,       // a larger x never has a smaller answer under the same scale
    QP_LAW_PADDING,     // zeros after a row change nothing and stay zeros
    QP_LAW_COUNT
} qp_law;

// Where a law is not asked of a format, a set.
enum {
    QP_BUT_ZERO_SIGN = 1 << 0, // +0 and -0 count as equal
    QP_BUT_NAN = 1 << 1,       // elements that are NaN
    QP_BUT_BEYOND = 1 << 2,    // elements beyond their amax
    QP_BUT_SMALL = 1 << 3,     // blocks whose amax is below 2^-13 of the global one, but not 0
    QP_BUT_RANGE = 1 << 4,     // amax or answers near an end of their type or an absolute threshold
    QP_BUT_NEVER = 1 << 5,     // the law does not hold
    QP_BUT_COUNT = 6
};

typedef struct qp_law_row {
    const char *name; // of the check
    const char *says;
} qp_law_row;

// One row of values that breaks a law outside of where it holds.
typedef struct qp_law_example {
    qp_law law;
    qp_format format;
    unsigned but; // which exception it is an example of
    qp_dtype dtype;
    int64_t rows, cols; // up to 4 values
    uint32_t x[4];      // images of dtype
    uint32_t amax;      // fp32 image, of every scale; 0 with given false: max calibration
    bool given;
    uint32_t global_amax; // fp32 image, two-level formats
    const char *why;
} qp_law_example;

const qp_law_row *qp_law_get(qp_law law);
// Is the law about an op that the format has (QP_LAW_CODES: quant and dequantize, the others: fake-quant)?
bool qp_law_concerns(qp_law law, qp_format format);
// Where the law is not asked of the format.
unsigned qp_law_exceptions(qp_law law, qp_format format);
const char *qp_law_exception_name(unsigned but);
extern const qp_law_example qp_law_examples[];
extern const int qp_n_law_examples;

// ---- evidence
// --------------------------------------------------------------------------------------------------------------

typedef struct qp_law_ev { // one tensor before and after the transformation of its input
    qp_law law;
    unsigned but; // what is left out, as qp_law_exceptions says
    const char *fqn;
    qp_format format;
    qp_dtype dtype;
    bool narrow_range;
    int64_t rows, cols;
    const void *x;
    const uint32_t *amax; // fp32 images of the calibrated grain; dynamic formats and MX: not read
    uint32_t global_amax;
    const void *y;       // what the subject answered to x; QP_LAW_CODES: a byte per code
    const void *y_after; // to the transformed input; QP_LAW_ORDER: not read
    int64_t cols_after;  // pitch of y_after; QP_LAW_PADDING: more than cols
} qp_law_ev;

// The finding of one law on one tensor.
qp_finding check_law(const qp_law_ev *ev);

// ---- the transformations
// ----------------------------------------------------------------------------------------------------

// Columns of the transformed tensor: padding adds a block, or a few columns where there are none.
int64_t qp_law_cols(qp_law law, qp_format format, int64_t cols);
// x_after [rows, cols_after] from x and, for idempotence, the answer y.
void qp_law_input(const qp_law_ev *ev, void *x_after);
// An fp32 amax as the transformed launch has it.
uint32_t qp_law_amax(qp_law law, uint32_t amax);

#endif
