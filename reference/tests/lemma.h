// SPDX-License-Identifier: Apache-2.0
// Lemma 1 of reference/calib/PRUNING.md, its only step that needs rounding, tried for every mantissa of a
// scale: 1.5 times the scale, rounded, is nowhere further from a value than the neighbour that twice the
// scale offers.
#ifndef REF_TESTS_LEMMA_H
#define REF_TESTS_LEMMA_H

#include <math.h>

#include "tests/sweep_blocks.h"

// Is |a - fl(1.5 s)| at most |a - other|, as computed?
static inline bool lemma_nearer(float a, float s, float other) {
    const float middle = 1.5f * s, d1 = a - middle, d2 = a - other;
    return fabsf(d1) <= fabsf(d2);
}

// The worst values of each side are those nearest to the bound: 1.25 s from above (against s) and 1.75 s from
// below (against 2 s). PRUNING.md says why these two are enough.
static inline uint64_t lemma_1_counterexamples(void) {
    uint64_t wrong = 0;
    for (uint32_t m = 0; m < 1u << 23; m++) {
        const float s = blocks_float(0x3f800000u | m);
        uint32_t low = blocks_image(1.25f * s) - 2, high = blocks_image(1.75f * s) + 2;
        while (!(blocks_float(low) / s > 1.25f)) low++;
        while (!(blocks_float(high) / s < 1.75f)) high--;
        wrong += !lemma_nearer(blocks_float(low), s, s) + !lemma_nearer(blocks_float(high), s, 2.0f * s);
    }
    return wrong;
}

#endif
