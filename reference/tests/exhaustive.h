// SPDX-License-Identifier: Apache-2.0
// What the parts of 'make exhaustive' share: one count per part, and a second arithmetic. A quotient or
// product of two floats taken in double and rounded to float once is the IEEE float result (53 >= 2*24 + 2
// bits, so the second rounding is innocent); element codes come from NVIDIA's headers.
#ifndef REF_TESTS_EXHAUSTIVE_H
#define REF_TESTS_EXHAUSTIVE_H

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "qp/ref.h"
#include "tests/witness.h"

typedef struct part {
    uint64_t compared, wrong, ties;
    char first[128]; // what the first wrong one was
} part;

static inline float part_float(uint32_t image) {
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

static inline uint32_t part_image(float f) {
    uint32_t image;
    memcpy(&image, &f, sizeof image);
    return image;
}

static inline float part_div(float a, float b) {
    return (float)((double)a / (double)b);
}

static inline float part_mul(float a, float b) {
    return (float)((double)a * (double)b);
}

static inline void part_add(part *into, const part *from) {
    if (from->wrong > 0 && into->wrong == 0) memcpy(into->first, from->first, sizeof into->first);
    into->compared += from->compared;
    into->wrong += from->wrong;
    into->ties += from->ties;
}

static inline bool part_say(const char *name, const part *p, uint64_t want, double start) {
    printf("%s: %llu compared, %llu different, %llu exact ties, %.1f s\n", name,
           (unsigned long long)p->compared, (unsigned long long)p->wrong, (unsigned long long)p->ties,
           omp_get_wtime() - start);
    if (p->wrong > 0) printf("  first: %s\n", p->first);
    if (p->compared != want) printf("  %llu comparisons were wanted\n", (unsigned long long)want);
    fflush(stdout);
    return p->wrong == 0 && p->compared == want;
}

// Each prints its lines and says whether all was equal and every plant was found.
bool exhaustive_nvfp4(void);  // the factorized proof
bool exhaustive_sweep(void);  // the pruned sweep, 10^7 blocks
bool exhaustive_inputs(void); // every 16-bit input against every scale
bool exhaustive_mx(void);     // the same for the MX formats

#endif
