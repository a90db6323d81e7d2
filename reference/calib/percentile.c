// SPDX-License-Identifier: Apache-2.0
// The percentile of a histogram (numerics 6.4): shares and their running sum in double, as numpy has them.
#include "calib/calib.h"

uint32_t ref_percentile(double percentile, int64_t k, const int64_t *counts, const uint32_t *edges) {
    const double wanted = percentile / 100.0;
    int64_t total = 0, bin = 0;
    double share = 0.0;
    for (int64_t i = 0; i < k; i++) total += counts[i];
    for (; bin < k; bin++) {
        share += (double)counts[bin] / (double)total;
        if (!(share < wanted)) break; // no counts at all: 0/0, and the first bin answers
    }
    return edges[bin];
}
