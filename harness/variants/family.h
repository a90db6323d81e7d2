// SPDX-License-Identifier: Apache-2.0
// Inside variants: what a family of formats brings, and whose amax an element gets.
#ifndef VARIANTS_FAMILY_H
#define VARIANTS_FAMILY_H

#include "variants/num.h"
#include "variants/variants.h"

// How the amax of an element is found. Where it is calibrated, the sins look at the finite values of x.
typedef enum vg_sin {
    VG_RIGHT,
    VG_FIRST_HALF,   // the second half of the grain never looked at
    VG_LAST_MISSED,  // its last element never looked at
    VG_POSITIVE,     // max x in the place of max |x|
    VG_NAN_WINS,     // a NaN element makes the amax NaN
    VG_NAN_DROPS,    // max() whose NaN argument swallows what came before it
    VG_BINADE_DOWN,  // stale by a power of two: 2^floor(log2 amax)
    VG_BINADE_UP,    // 2^ceil(log2 amax)
    VG_ONE_ULP_UP,   // next fp32 number
    VG_ONE_ULP_DOWN, // the one before
    VG_PREVIOUS,     // of the grain before this one
    VG_WHOLE,        // of the whole tensor
    VG_HALF_BLOCK,   // grain of half the width
    VG_DOUBLE_BLOCK, // grain of twice the width
    VG_FLAT,         // blocks counted through the ends of rows
    VG_INF_SKIPPED,  // Inf elements ignored
} vg_sin;

// y[i] becomes the amax that element i is quantized with.
void vg_fill(const qp_vtensor *t, vg_sin sin, float *y);

typedef struct vf_family {
    const qp_variant *rows;
    int n;
    float (*answer)(const void *rule, const qp_vtensor *t, float x, float amax); // fp32, before the store
    vn_tie (*out_tie)(const void *rule);                                         // of the store
} vf_family;

extern const vf_family vf_int, vf_fp8, vf_nvfp4, vf_nvfp4_static, vf_mx;
// What only some formats of a family have.
extern const qp_variant vv_46_rows[], vx_float_rows[], vx_has_nan_rows[], vx_no_nan_rows[], vx_int_rows[];
extern const int vv_n_46_rows, vx_n_float_rows, vx_n_has_nan_rows, vx_n_no_nan_rows, vx_n_int_rows;

#endif
