// SPDX-License-Identifier: Apache-2.0
// Switches of MX fake-quant. Everything 0 is the rule of numerics 5.0-5.3 with IEEE division.
#ifndef VARIANTS_MX_H
#define VARIANTS_MX_H

#include "variants/family.h"

typedef enum vx_ratio { // amax / max of the type
    RATIO_RIGHT,
    RATIO_TIMES,          // amax * fl(1/max)
    RATIO_BF16,           // rounded to bf16
    RATIO_CUT,            // rounded towards zero
    RATIO_FLUSHED,        // a subnormal one becomes 0
    RATIO_POWER,          // of the power of two below max
    RATIO_NEXT_POWER,     // of the power of two above max
    RATIO_SECOND_LARGEST, // of the value below max
} vx_ratio;

typedef enum vx_round { // the exponent of the scale: up
    ROUND_RIGHT,
    ROUND_FLOOR,       // down
    ROUND_OCP,         // floor(log2 amax) - exponent of max
    ROUND_NEAREST,     // at 1.5
    ROUND_LOG_NEAREST, // at sqrt(2)
    ROUND_CARRY,       // down, up from 1.75: compressed-tensors
    ROUND_NEXT,        // up, also from a power of two
    ROUND_LOG2F,       // ceil of a log2 rounded to fp32
    ROUND_LOOSE,       // up, but not within 2^-20 of a power of two
    ROUND_ONE_MORE,    // one above
} vx_round;

typedef enum vx_sub { SUB_RIGHT, SUB_FLUSHED, SUB_NONE, SUB_READ_AS_NORMAL } vx_sub;
typedef enum vx_over { OVERFLOW_RIGHT, OVERFLOW_NAN, OVERFLOW_ONE_MORE } vx_over;
typedef enum vx_nan { VX_NAN_RIGHT, VX_NAN_KEPT, VX_NAN_ZERO, VX_NAN_PLUS, VX_NAN_MAX } vx_nan;
typedef enum vx_sign { // right: + where x > 0, else -
    SIGN_RIGHT,
    SIGN_OF_X,
    SIGN_BELOW,    // - where x < 0
    SIGN_OF_LEVEL, // the same, and zeros are +0
} vx_sign;

typedef struct vx_rule {
    vx_ratio ratio;
    vx_round round;
    vx_sub subnormal;
    vx_over overflow;
    vx_nan nan;
    vx_sign sign;
    vn_tie tie, out_tie;
    vn_via via;
    enum { INF_RIGHT, INF_SCALE_ONE, INF_SCALE_NAN } inf; // right: amax FLT_MAX
    enum { NAN_AMAX_NAN, NAN_AMAX_ONE } nan_amax;         // where a sin lets NaN into the amax
    enum { ZERO_BLOCK_RIGHT, ZERO_BLOCK_SMALLEST } zero_block;
    int lowest; // exponent, 0: -127
    bool divide, flush_x, flush_amax, flush_scale, flush_answer;
} vx_rule;

float vx_answer(const void *rule, const qp_vtensor *t, float x, float block_amax);
vn_tie vx_out_tie(const void *rule);

#endif
