// SPDX-License-Identifier: Apache-2.0
// The histogram of magnitudes and how a second batch grows it (numerics 6.4). Counts are whole numbers here;
// torch keeps them in binary32, which is the same below 2^24 a bin.
#include "calib/calib.h"

static uint32_t largest(qp_dtype dtype, const void *x, int64_t n) {
    return ref_image(ref_block_amax(dtype, x, 0, n, true));
}

static float width_of(const uint32_t *edges) {
    return ref_float(edges[1]) - ref_float(edges[0]);
}

static int64_t ceiling(double v) {
    if (!(v < 0x1p62)) return INT64_C(1) << 62;
    const int64_t whole = (int64_t)v;
    return whole + ((double)whole < v);
}

const char *ref_histogram_refuses(qp_dtype dtype, const void *x, int64_t n, int64_t bins, const void *x2,
                                  int64_t n2) {
    const uint32_t max = largest(dtype, x, n);
    if (max >= REF_F32_INF) return "x holds NaN or Inf: torch.histc refuses a range that is not finite";
    if (x2 == NULL) return NULL;
    const uint32_t max2 = largest(dtype, x2, n2);
    if (max2 >= REF_F32_INF) return "x2 holds NaN or Inf: torch.histc refuses a range that is not finite";
    const float step = ref_float(max) / (float)bins;
    if (step == 0.0f && max2 > max) return "x2 has no bins to fall into: those of x have no width";
    return NULL;
}

// torch.histc from 0 to hi; hi = 0 means from -1 to 1, which puts zeros into the middle bin.
static void count(qp_dtype dtype, const void *x, int64_t n, float hi, int64_t bins, int64_t *counts) {
    for (int64_t i = 0; i < n; i++) {
        const float a = ref_float(ref_abs(ref_load_f32(dtype, x, i)));
        if (!(a <= hi)) continue;
        const float scaled = a * (float)bins, at = scaled / hi;
        int64_t bin = at < (float)bins ? (int64_t)at : bins - 1; // the last bin holds hi
        if (hi == 0.0f) bin = bins / 2;
        counts[bin]++;
    }
}

void ref_histogram(qp_dtype dtype, const void *x, int64_t n, int64_t bins, int64_t *counts, uint32_t *edges) {
    const uint32_t max = largest(dtype, x, n);
    memset(counts, 0, sizeof *counts * (size_t)bins);
    count(dtype, x, n, ref_float(max), bins, counts);
    ref_linspace(0, max, bins + 1, true, edges);
}

void ref_histogram_grow(qp_dtype dtype, const void *x2, int64_t n2, int64_t bins, const uint32_t *edges,
                        int64_t *n_counts, int64_t *n_edges) {
    const float max = ref_float(largest(dtype, x2, n2)), width = width_of(edges);
    *n_counts = bins;
    *n_edges = bins + 1;
    if (!(max > ref_float(edges[bins]))) return;
    const float wanted = max / width, end = max + width;
    *n_counts = ceiling(wanted);
    *n_edges = ceiling((double)end / (double)width); // torch.arange counts in double
}

// torch.arange(0, end, width) on a CPU: whole vectors of 16 start at a product of binary32 and add the lane's
// part in double; the rest are plain products.
static void regrow_edges(float width, int64_t n, uint32_t *edges) {
    const int64_t vectors = n / 16 * 16;
    for (int64_t j = 0; j < n; j++) {
        const float plain = width * (float)j, base = width * (float)(j / 8 * 8);
        const double lane = (double)(j % 8) * (double)width;
        edges[j] = ref_image(j < vectors ? (float)((double)base + lane) : plain);
    }
}

void ref_histogram_add(qp_dtype dtype, const void *x2, int64_t n2, int64_t bins, int64_t n_counts,
                       int64_t n_edges, int64_t *counts, uint32_t *edges) {
    const float max = ref_float(largest(dtype, x2, n2));
    for (int64_t b = bins; b < n_counts; b++) counts[b] = 0;
    if (max > ref_float(edges[bins])) regrow_edges(width_of(edges), n_edges, edges);
    count(dtype, x2, n2, ref_float(edges[n_edges - 1]), n_counts, counts);
}
