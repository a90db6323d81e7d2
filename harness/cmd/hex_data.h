// SPDX-License-Identifier: Apache-2.0
// Values given as images: hex=LIST of a case line, or hex=@FILE. A file holds one tensor (a row of all its
// images), or several: a word 'tensor' and a shape RxC before the images of each, so that a set can hold many
// calibrated amax. '#' begins a comment. A file named under cases/ is looked for where the data of this
// checkout is.
#ifndef CMD_HEX_DATA_H
#define CMD_HEX_DATA_H

#include "core/arena.h"
#include "qp/dtype.h"

typedef struct qp_hex_tensor {
    int64_t rows, cols;
    void *x; // [rows, cols] of the type asked for
} qp_hex_tensor;

// Mined sets are part of the tier: one that is gone makes its case SUSPECT, not refused.
#define QP_HARD_FOLDER "cases/hard/"

// QP_IO: the file cannot be read. QP_USAGE: a word that is no image of that type, a shape that its images do
// not fill.
qp_status qp_hex_read(const char *text, qp_dtype t, qp_arena *a, qp_hex_tensor **out, int *n, qp_err *err);
// Does the text name a file of the mined sets that is not there?
bool qp_hex_is_missing(const char *text);

#endif
