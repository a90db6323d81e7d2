// SPDX-License-Identifier: Apache-2.0
// The entropy calibrator (numerics 6.4): for every number of bins kept, the divergence between the histogram
// clipped there and its quantized self; the last of the smallest wins. All in double.
#include <math.h>

#include "calib/calib.h"

typedef struct histogram {
    int64_t k;
    const int64_t *counts;
    double levels; // 2^(num_bits - 1 + unsigned)
} histogram;

// The calibrator overwrites bin 0 by bin 1 before it looks.
static int64_t count_at(const histogram *h, int64_t bin) {
    return h->counts[bin == 0 ? 1 : bin];
}

// First bin that belongs to a level above `level`, of the first kept bins.
static int64_t level_end(const histogram *h, int64_t kept, int64_t level, int64_t bin) {
    const double step = (double)kept / h->levels;
    const bool last = (double)(level + 1) >= h->levels;
    const double bound = last ? (double)kept : (double)(level + 1) * step;
    while (bin < kept && (double)bin < bound) bin++;
    return bin;
}

// What each bin of [first, end) that holds anything gets: the mean of those of its level.
static double level_mean(const histogram *h, int64_t first, int64_t end) {
    double sum = 0.0;
    int64_t n = 0;
    for (int64_t b = first; b < end; b++) {
        sum += (double)count_at(h, b);
        n += count_at(h, b) != 0;
    }
    return n > 0 ? sum / (double)n : 0.0;
}

// p * log(p / q); 0 where p is 0, Inf where q alone is.
static double term(double p, double q) {
    if (p != p || q != q) return p + q;
    if (p == 0.0) return 0.0;
    if (q == 0.0) return (double)ref_float(REF_F32_INF);
    return p * log(p / q);
}

typedef struct pass {
    double sum_q, divergence;
} pass;

// Once over the kept bins; the divergence needs the sum of the quantized side first (NULL: it is wanted).
static pass over_bins(const histogram *h, int64_t kept, int64_t total, int64_t tail, const double *sum_q) {
    pass p = {0.0, 0.0};
    int64_t bin = 0;
    for (int64_t level = 0; bin < kept; level++) {
        const int64_t end = level_end(h, kept, level, bin);
        const double mean = level_mean(h, bin, end);
        for (; bin < end; bin++) {
            const int64_t count = count_at(h, bin);
            const double quantized = count != 0 ? mean : 0.0;
            const int64_t clipped = count + (bin == kept - 1 ? tail : 0);
            p.sum_q += quantized;
            if (sum_q == NULL) continue;
            p.divergence += term((double)clipped / (double)total, quantized / *sum_q);
        }
    }
    return p;
}

uint32_t ref_entropy(int num_bits, bool is_unsigned, int64_t stride, int64_t start_bin, int64_t k,
                     const int64_t *counts, const uint32_t *edges) {
    const histogram h = {k, counts, (double)(INT64_C(1) << (num_bits - 1 + is_unsigned))};
    int64_t total = 0, below = 0, summed = 0, best_bin = start_bin;
    double best = 0.0;
    for (int64_t b = 0; b < k; b++) total += count_at(&h, b);
    for (int64_t kept = start_bin; kept <= k; kept += stride) {
        for (; summed < kept; summed++) below += count_at(&h, summed);
        const double sum_q = over_bins(&h, kept, total, total - below, NULL).sum_q;
        const double d = over_bins(&h, kept, total, total - below, &sum_q).divergence;
        const bool wins =
            kept == start_bin || d != d || (best == best && d <= best); // NaN is numpy's smallest
        if (!wins) continue;
        best = d;
        best_bin = kept;
    }
    return edges[best_bin];
}
