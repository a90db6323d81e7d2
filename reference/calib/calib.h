// SPDX-License-Identifier: Apache-2.0
// What the files of reference/calib/ share: the canonical sum of losses and which loss wins (qp/refcalib.h).
#ifndef REF_CALIB_H
#define REF_CALIB_H

#include "qp/refcalib.h"
#include "ref_internal.h"

// A binary counter of partial sums: part[k] is the sum of 2^k terms when bit k of n is set.
typedef struct ref_sum {
    uint64_t n;
    float part[64];
} ref_sum;

static inline void ref_sum_add(ref_sum *s, float term) {
    int k = 0;
    for (; s->n >> k & 1; k++) term = s->part[k] + term;
    s->part[k] = term;
    s->n++;
}

static inline float ref_sum_of(const ref_sum *s) {
    float sum = 0.0f;
    bool any = false;
    for (int k = 0; k < 64; k++) {
        if (!(s->n >> k & 1)) continue;
        sum = any ? s->part[k] + sum : s->part[k];
        any = true;
    }
    return sum;
}

static inline float ref_square_error(float x, float xq) {
    const float d = x - xq;
    return d * d;
}

// Canonical loss of candidate k on a block of images, zeros behind it.
uint32_t ref_sweep_loss_of(const ref_sweep_scales *t, int k, const uint32_t x[REF_SWEEP_BLOCK]);

// Does a loss take the place of the best one so far, both seen in the order of the candidates?
static inline bool ref_loss_wins(bool triton, float loss, float best) {
    if (triton) return loss < best;
    if (best != best) return false;
    return loss < best || loss != loss;
}

// fl(a * b + c) with one rounding, for finite values: numerics 6.2's FMA without libm.
float ref_fma(float a, float b, float c);

#endif
