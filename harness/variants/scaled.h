// SPDX-License-Identifier: Apache-2.0
// Switches of the formats with one fp32 scale per amax: INT and FP8. Everything 0 is the rule of numerics 1.2
// (INT) and 2.3 (FP8); a variant sets one.
#ifndef VARIANTS_SCALED_H
#define VARIANTS_SCALED_H

#include "variants/family.h"

typedef enum vs_up { // how t, the number that is rounded, comes from x
    UP_RIGHT,        // x * fl(hi/a)
    UP_RECIPROCAL,   // x * fl(fl(1/a)*hi)
    UP_CUT,          // x * the scale rounded towards zero
    UP_POWER,        // x * the power of two below hi/a
    UP_STEP,         // x / fl(a/hi)
    UP_STEP_TIMES,   // x / fl(a*fl(1/hi))
    UP_APPROX,       // x * fl(1/fl(a/hi))
    UP_RATIO,        // fl(x/a) * hi
    UP_PRODUCT,      // fl(x*hi) / a
    UP_EXACT,        // rounded once: x*hi/a in double
} vs_up;

typedef enum vs_down { // how the answer comes from the level
    DOWN_RIGHT,        // INT: level / s; FP8: level * fl(1/s)
    DOWN_DIVIDE,       // level / s
    DOWN_INVERSE,      // level * fl(1/s)
    DOWN_STEP,         // level * fl(a/hi)
    DOWN_STEP_TIMES,   // level * fl(a*fl(1/hi))
    DOWN_RATIO,        // fl(level/hi) * a
    DOWN_PRODUCT,      // fl(level*a) / hi
    DOWN_EXACT,        // level*a/hi in double
    DOWN_BF16,         // level and step in bf16
} vs_down;

typedef enum vs_tiny { // what happens to amax near 0
    TINY_RIGHT,        // INT: below 2^-24 the answer is +0; FP8: up to 2^-24 amax becomes 1
    TINY_OTHER_END,    // the comparison with 2^-24 the other way at equality
    TINY_NONE,         // no rule
    TINY_ZERO_ONLY,    // the rule for amax 0 only
    TINY_LARGER,       // 2^-20
    TINY_ZERO,         // the answer is +0
    TINY_SIGNED_ZERO,  // the answer is x*0: sign, NaN and Inf stay visible
    TINY_ONE,          // amax becomes 1
    TINY_PASS,         // x unchanged
    TINY_ZERO_PASS,    // x unchanged, for amax 0 only
    TINY_EPSILON,      // no rule, but 2^-24 added to every amax
} vs_tiny;

typedef enum vs_clip {
    CLIP_RIGHT,  // INT: -hi-1 .. hi after rounding; FP8: to 448
    CLIP_NARROW, // INT: -hi .. hi
    CLIP_WIDE,   // INT: one more on either end
    CLIP_WRAP,   // INT: the low bits of the integer
    CLIP_NONE,   // INT: none; FP8: overflow to NaN
    CLIP_BEFORE, // before rounding
    CLIP_NAN_AT_INF,
} vs_clip;

typedef enum vs_nan { NAN_KEPT, NAN_TO_ZERO, NAN_TO_MAX, NAN_TO_MIN } vs_nan;

typedef enum vs_codec {   // FP8 elements
    CODEC_RIGHT,          // E4M3, bias 7
    CODEC_FLUSHED,        // subnormal codes become 0
    CODEC_NO_SUBNORMALS,  // magnitudes below 2^-6 rounded to 0 or 2^-6
    CODEC_READ_AS_NORMAL, // subnormal codes decoded as if they had a hidden bit (numerics 4.8)
    CODEC_BIAS_8,         // fnuz: 2^-10 steps, up to 240
    CODEC_MAX_240,        // the largest code of the fnuz variant
    CODEC_TOP_UNUSED,     // 416: the code below NaN's not used
    CODEC_TOP_TAKEN,      // 480: NaN's code used as a number
    CODEC_E5M2,           // the other 8-bit type
    CODEC_E3M4,
} vs_codec;

typedef struct vs_rule {
    vs_up up;
    vs_down down;
    vs_tiny tiny;
    vs_clip clip;
    vs_nan nan;
    vs_codec codec;
    vn_tie tie, out_tie;
    vn_via via_amax, via_scale, via_quotient, via_answer;
    float hi;       // 0: that of the format
    bool one_more;  // INT: scale of 2^(n-1) in the place of 2^(n-1)-1
    bool zero_lost; // -0 becomes +0
    bool flush_x, flush_scale, flush_answer;
} vs_rule;

// hi: 127, 7 or 448; lo: the lowest level.
typedef struct vs_kind {
    float hi, lo;
    bool fp8;
} vs_kind;

float vs_answer(const vs_rule *r, const vs_kind *k, float x, float amax);
vn_tie vs_out_tie(const void *rule);

#endif
