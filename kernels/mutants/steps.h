// SPDX-License-Identifier: Apache-2.0
// The kernel of the mutant plug-in as a table of small steps. The good table answers every op as it should; a
// mutant is the same table with one entry replaced by what a real bug did. No step knows of any mutant.
#ifndef MUTANTS_STEPS_H
#define MUTANTS_STEPS_H

#include "qp/plugin.h"

enum { BLOCK = 16 };

typedef struct steps {
    int64_t (*x_index)(const qp_ktensor *t, int64_t row, int64_t col);
    float (*magnitude)(float x);                           // what amax is the maximum of
    float (*int8)(float x, float amax, bool narrow_range); // one element, numerics 1.2
    float (*fp8)(float x, float amax);                     // one element, numerics 2.3
    float (*quotient)(float x, float scale);               // of an element that fake-quant rounds
    float (*global)(float global_amax);                    // the global amax as the scales use it
    float (*e2m1)(float a);                         // quotient to the nearest E2M1 magnitude, numerics 4.1
    uint8_t (*scale_byte)(float p);                 // clamp and cast of a packed block scale, numerics 4.5
    float (*second_level)(float weight_scale_2);    // the same scale as dequant uses it
    bool (*keeps)(qp_dtype t, float x, float amax); // does the clip mask let the gradient through
    int64_t (*cols_written)(int64_t cols);          // of each output row
    int64_t (*scale_rows)(int64_t rows);            // rows whose block scales are written
    bool (*skips)(const float *x, int n);           // is the output of this block left as it is
    void (*after_block)(const qp_launch *l, const qp_ktensor *t, int64_t row, int64_t col, int n,
                        const float *y);
    float (*element_scale)(uint8_t byte,
                           float p);      // block scale as the element codes see it; p: before the cast
    float (*amax_begin)(float in_output); // what a running maximum starts from
    int scale_width;                      // elements under one dynamic block scale
    int lanes_seen;                       // as many of them as its maximum looks at
    int64_t (*row_end)(const qp_ktensor *t, int64_t row); // the first column that is no more of this row
} steps;

extern const steps good_steps;

qp_status run_steps(const steps *s, const qp_launch *launch, char *msg, size_t msg_bytes);

// A CUDA kernel whose barrier stands in a branch, run thread by thread (barrier.c). Offers AMAX of bf16 per
// tensor.
qp_status run_barrier_in_branch(const qp_launch *launch, char *msg, size_t msg_bytes);

// Numbers (numbers.c): exact widening, RNE narrowing with canonical NaN, and E4M3.
float load(qp_dtype t, const void *base, int64_t i);
void store(qp_dtype t, void *base, int64_t i, float v);
float e4m3_nearest(float v); // RNE on the E4M3 grid continued above 448, sign kept
uint8_t e4m3_byte(float v);  // of a value on that grid; above 448 and NaN: 7f
float e4m3_value(uint8_t byte);

#endif
