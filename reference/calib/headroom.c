// SPDX-License-Identifier: Apache-2.0
// The NVFP4 activation headroom calibrator (numerics 6.5): a histogram over log2 of block amax, 512 bins from
// 2^-40 to 2^40, and two of its percentiles.
#include <math.h>

#include "calib/calib.h"

enum { BINS = 512 };

// log2 in binary32 from one in double: the quotient is within 2 units of the last place of a double, so the
// float is the nearest one but for values that near a middle; no edge of a bin lies there.
static int bin_of(float amax) {
    const float log2_amax = (float)(log((double)amax) / 0x1.62e42fefa39efp-1);
    const float above = log2_amax + 40.0f, share = above / 80.0f, at = share * 512.0f;
    if (!(at >= 1.0f)) return 0;
    return at < (float)BINS ? (int)at : BINS - 1;
}

// The centre of the bin where the running count, from bin `first` on, reaches the share; target and counts in
// binary32.
static double percentile(const int64_t *counts, int first, double percent) {
    int64_t total = 0, running = 0;
    int bin = 0;
    for (int b = first; b < BINS; b++) total += counts[b];
    const float share = (float)(percent / 100.0), target = share * (float)total;
    for (; bin < BINS - 1; bin++) {
        if (bin >= first) running += counts[bin];
        if ((float)running >= target) break;
    }
    return exp2(-40.0 + ((double)bin + 0.5) / 512.0 * 80.0);
}

bool ref_headroom(qp_dtype dtype, const void *x, int64_t n, int64_t block, uint32_t *amax) {
    int64_t counts[BINS] = {0}, n_blocks = 0;
    for (int64_t i = 0; i < n && block > 0; i += block) {
        const float a = ref_block_amax(dtype, x, i, n - i < block ? n - i : block, true);
        if (!(a < ref_float(REF_F32_INF))) return false;
        if (a == 0.0f) continue;
        counts[bin_of(a)]++;
        n_blocks++;
    }
    if (n_blocks == 0) return false;
    const double upper = percentile(counts, 0, 99.99);
    const double anchor = percentile(counts, bin_of((float)(upper / 1e6)), 1.0);
    const double raised = 16384.0 * anchor;
    *amax = ref_image((float)(raised <= upper ? upper : raised));
    return true;
}
