// SPDX-License-Identifier: Apache-2.0
// Which decisions of a format the data of a run exercised. Filled by the reference while it answers; merged
// by addition and OR. A comparison on data that never reached a decision proves nothing about it (verdict
// SUSPECT).
#ifndef QP_COVERAGE_H
#define QP_COVERAGE_H

#include "qp/base.h"

typedef struct qp_coverage {
    uint64_t n_elems;
    uint64_t codes[4]; // bit c: element code c was the answer (INT8: two's complement byte; E4M3: byte; E2M1:
                       // nibble)
    uint64_t scale_bytes[4]; // bit s: E4M3 block scale byte s was the answer (two-level formats only)
    uint64_t n_code_ties;    // quotient exactly between two codes
    uint64_t n_scale_ties;   // block scale quotient exactly between two E4M3 values
    uint64_t n_saturated;    // magnitude above the largest code before clamping
    uint64_t n_subnormal;    // answers in the subnormal range of the element code (E4M3, E2M1 code 1)
    uint64_t n_zero_blocks;  // blocks (or rows, or tensors) whose amax is 0
    uint64_t n_nan, n_inf;   // inputs
} qp_coverage;

static inline void qp_coverage_merge(qp_coverage *into, const qp_coverage *from) {
    for (int i = 0; i < 4; i++) {
        into->codes[i] |= from->codes[i];
        into->scale_bytes[i] |= from->scale_bytes[i];
    }
    into->n_elems += from->n_elems;
    into->n_code_ties += from->n_code_ties;
    into->n_scale_ties += from->n_scale_ties;
    into->n_saturated += from->n_saturated;
    into->n_subnormal += from->n_subnormal;
    into->n_zero_blocks += from->n_zero_blocks;
    into->n_nan += from->n_nan;
    into->n_inf += from->n_inf;
}

static inline int qp_coverage_bits(const uint64_t set[4]) {
    int n = 0;
    for (int i = 0; i < 4; i++)
        for (uint64_t b = set[i]; b != 0; b &= b - 1) n++;
    return n;
}

#endif
