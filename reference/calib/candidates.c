// SPDX-License-Identifier: Apache-2.0
// The candidate lists of numerics 6.2 and 6.3: linspace with and without FMA, E4M3 codes over 448.
#include "calib/calib.h"

// The product of two floats is exact in double (48 of 53 bits). The sum of that product and c is not: it is
// rounded to odd there, that is, when it is inexact the last bit is made 1, so that it can be mistaken for
// neither a float nor the middle between two. Rounding it to float then rounds the exact value once: 53 bits
// are 24 and two more.
float ref_fma(float a, float b, float c) {
    const double p = (double)a * (double)b, z = (double)c;
    double sum = p + z;
    const double back = sum - p, lost = (p - (sum - back)) + (z - back); // Knuth's two-sum: exact
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if ((lost > 0.0 || lost < 0.0) && (bits & 1) == 0) {
        bits += (lost > 0.0) == (sum > 0.0) ? 1u : UINT64_MAX; // one step towards the exact value
        memcpy(&sum, &bits, sizeof sum);
    }
    return (float)sum;
}

static float point(float from, float step, float i, bool fma) {
    if (fma) return ref_fma(step, i, from);
    const float way = step * i;
    return from + way;
}

void ref_linspace(uint32_t start, uint32_t stop, int64_t n, bool fma, uint32_t *out) {
    const float first = ref_float(start), last = ref_float(stop);
    const float width = last - first, step = n > 1 ? width / (float)(n - 1) : 0.0f;
    for (int64_t i = 0; i < n; i++) {
        const float v = n == 1 || i < n / 2 ? point(first, step, (float)i, fma)
                                            : point(last, -step, (float)(n - 1 - i), fma);
        out[i] = ref_canonical(v);
    }
}

void ref_sweep_candidates(qp_engine engine, uint32_t *out) {
    for (int k = 0; k < REF_SWEEP_CANDIDATES; k++)
        out[k] = ref_image(ref_over(engine, ref_e4m3_value((uint8_t)(k + 1)), 448.0f));
}
