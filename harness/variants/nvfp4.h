// SPDX-License-Identifier: Apache-2.0
// Switches of NVFP4 fake-quant. Everything 0 is the rule of numerics 4.3 (dynamic) and 4.4 (static, 4/6).
#ifndef VARIANTS_NVFP4_H
#define VARIANTS_NVFP4_H

#include "variants/family.h"

typedef enum vv_gs { // dynamic: the fp32 second-level scale, fl(ga/2688)
    GS_RIGHT,
    GS_TIMES,
    GS_SIXTH_FIRST,
    GS_448_FIRST,
    GS_BF16,
    GS_POWER,
    GS_1536,
    GS_448,
    GS_CUT,
    GS_BINADE, // ga stale by a power of two
} vv_gs;

typedef enum vv_q { // the quotient that becomes the block scale
    Q_RIGHT,
    Q_SIX_G,       // b / fl(6*g): dynamic
    Q_STATIC,      // fl(b/6) * fl(448/a)
    Q_SIXTH_FIRST, // fl(b/6) / g
    Q_INVERSE,     // b * fl(1/fl(6*g))
    Q_INVERSE_G,   // fl(b/6) * fl(1/g)
    Q_OVER_GA,     // fl(b/ga) * 448
    Q_448_OVER_GA, // b * fl(448/ga)
    Q_TIMES_2688,  // b * fl(fl(2688/ga)*fl(1/6)), TransformerEngine's
    Q_G_FIRST,     // fl(b/g) / 6
    Q_PACK,        // fl(fl(b/6)*m) / fl(ga/6): numerics 4.5
    Q_STEP,        // fl(b/6) / fl(a/448)
    Q_EXACT,       // in double, one rounding
    Q_OF_FOUR,     // amax mapped to 4 in the place of 6
} vv_q;

typedef enum vv_codec { // of the block scale
    SC_E4M3,
    SC_FLUSHED,        // subnormal codes become 0
    SC_READ_AS_NORMAL, // subnormal codes decoded with a hidden bit (numerics 4.8)
    SC_NORMAL_FLOOR,   // nothing between 0 and 2^-6
    SC_MAX_240,
    SC_OVERFLOW_NAN,
    SC_E5M2,
    SC_E8M0_UP,
    SC_UNQUANTIZED,
} vv_codec;

typedef enum vv_sc { SC_RIGHT, SC_RECIPROCAL, SC_CUT } vv_sc;    // static: fl(448/a)
typedef enum vv_sixth { SIXTH_RIGHT, SIXTH_TIMES } vv_sixth;     // division by 6, or times fl(1/6)
typedef enum vv_m46 { M46_RIGHT, M46_MISSED, M46_AFTER } vv_m46; // 448/256: before the division by 6
typedef enum vv_cap { CAP_RIGHT, CAP_NONE, CAP_LIFTED } vv_cap;  // min with 448; lifted: max with 2^-9
typedef enum vv_tiny { TINY_A_RIGHT, TINY_A_STRICT, TINY_A_NONE } vv_tiny; // a <= 2^-24 becomes 1

typedef enum vv_s { // the fp32 block scale: code * g; static: code * fl(1/sc)
    S_RIGHT,
    S_GA_FIRST,       // fl(code*ga) / 2688
    S_OVER_448,       // fl(code/448) * fl(ga/6)
    S_DIVIDE,         // code / sc
    S_STEP,           // code * fl(a/448)
    S_OTHER_SPELLING, // dynamic with the step of static, static with the g of dynamic
    S_EXACT,
} vv_s;

typedef enum vv_threshold {
    TH_RIGHT,
    TH_1E5,    // S below 1e-5 becomes 1: dynamic
    TH_STATIC, // S of 0: zeros; Inf, NaN: 1
    TH_NONE,
    TH_STRICT,
    TH_1E4,
    TH_1E6,
    TH_ZERO_ONLY,
    TH_FLOOR,  // becomes 1e-5
    TH_CODE,   // asked of the code
    TH_ZEROES, // the answer is zero
} vv_threshold;

typedef enum vv_div { DIV_RIGHT, DIV_INVERSE, DIV_TWICE, DIV_G_FIRST, DIV_EXACT, DIV_ONE_OVER } vv_div;
typedef enum vv_back { BACK_RIGHT, BACK_CODE_FIRST, BACK_G_FIRST, BACK_DIVIDE, BACK_BF16 } vv_back;
typedef enum vv_element { EL_RIGHT, EL_MAX_4, EL_INT, EL_NO_HALF, EL_HALF_FLUSHED, EL_TO_EIGHT } vv_element;
typedef enum vv_nan { VV_NAN_RIGHT, VV_NAN_PLUS, VV_NAN_KEPT, VV_NAN_ZERO } vv_nan; // right: -6*S
typedef enum vv_zero {                                                              // right: every zero is +0
    VV_ZERO_RIGHT,
    VV_ZERO_SIGN_BIT, // sign of x
    VV_ZERO_NEGATIVE, // negative x gives -0, -0 gives +0
    VV_ZERO_MINUS,    // every x not above 0 gives -0
} vv_zero;

typedef struct vv_rule {
    vv_gs gs;
    vv_q q;
    vv_sc sc;
    vv_sixth sixth;
    vv_m46 m46;
    vv_tiny tiny;
    vv_cap cap;
    vv_codec codec;
    vv_s s;
    vv_threshold threshold;
    vv_div div;
    vv_element element;
    vv_back back;
    vv_nan nan;
    vv_zero zero;
    vn_tie scale_tie, tie, out_tie;
    vn_via via_ga, via_sc, via_q, via_s, via_e;
    float fallback; // g where ga is not above 0; 0: 1e-12
    bool flush;     // subnormal x read as 0
} vv_rule;

// The answer of numerics 4.3 and 4.4 under a rule (NULL: right).
float vv_answer_dynamic(const void *rule, const qp_vtensor *t, float x, float block_amax);
float vv_answer_static(const void *rule, const qp_vtensor *t, float x, float block_amax);
vn_tie vv_out_tie(const void *rule);

#endif
