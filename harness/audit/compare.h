// SPDX-License-Identifier: Apache-2.0
// Two checkpoints or tensor files, tensor by tensor: bytes, codes, ULP, meaning, and the class of a
// difference.
#ifndef AUDIT_COMPARE_H
#define AUDIT_COMPARE_H

#include "audit/audit.h"

typedef enum qp_cmp_class {
    QP_CMP_EQUAL,
    QP_CMP_GLOBAL,     // only the global scale differs
    QP_CMP_SCALES,     // only block scales
    QP_CMP_CODES,      // codes (with or without scales)
    QP_CMP_NIBBLES,    // codes equal after swapping the nibbles of every byte
    QP_CMP_RECIPROCAL, // scales equal 1/x of the other side's, to the ULP named
    QP_CMP_TRANSPOSED,
    QP_CMP_PADDED,
    QP_CMP_SWIZZLED,
    QP_CMP_VALUES,  // unquantized values
    QP_CMP_SHAPE,   // or dtype, nothing above fits
    QP_CMP_MEANING, // other bytes, the same dequantized values
    QP_CMP_ONE_SIDE,
    QP_CMP_CLASSES
} qp_cmp_class;
const char *qp_cmp_class_name(qp_cmp_class c);

typedef struct qp_cmp_row {
    const char *a, *b; // shown names; NULL: not on that side
    qp_cmp_class class;
    uint64_t n_elems, n_differ;
    int64_t first[QP_CK_DIMS]; // first differing element
    int n_first;
    const char *a_bits, *b_bits; // hex of it
    uint64_t max_ulp, max_code_distance;
    const char *detail;
} qp_cmp_row;

enum { QP_CMP_THREADS = 256 };

typedef struct qp_cmp {
    qp_arena *arenas[QP_CMP_THREADS]; // of the texts in rows, one per thread
    qp_cmp_row *rows;                 // different first, then by name; equal ones last
    uint64_t n_rows, n_equal, n_different, n_meaning, n_one_side;
} qp_cmp;

typedef struct qp_cmp_options {
    const char *a, *b, *map; // map: file of "NAME_A NAME_B" lines, # comments; NULL: by name
    int threads;
} qp_cmp_options;

// QP_CORRUPT / QP_IO / QP_USAGE: unreadable (exit 2).
qp_status qp_compare_run(const qp_cmp_options *o, qp_arena *a, qp_cmp *out, qp_err *err);
void qp_compare_close(qp_cmp *c); // also after a failure

#endif
