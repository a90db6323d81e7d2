// SPDX-License-Identifier: Apache-2.0
// One element of an MX tensor under a rule: numerics 5.0-5.3 with IEEE division and subnormals kept.
#include "variants/mx.h"

static const vx_rule right;

typedef struct kind {
    vn_grid grid; // INT8 too: whole steps up to 127
    int emax;     // exponent of its largest value
    bool nan;     // has a NaN
} kind;

static kind kind_of(qp_format f) {
    switch (f) {
    case QP_MXFP4:
        return (kind){{1, 0, 6.0f}, 2, false};
    case QP_MXFP6_E3M2:
        return (kind){{2, -2, 28.0f}, 4, false};
    case QP_MXFP6_E2M3:
        return (kind){{3, 0, 7.5f}, 2, false};
    case QP_MXFP8_E4M3:
        return (kind){{3, -6, 448.0f}, 8, true};
    case QP_MXFP8_E5M2:
        return (kind){{2, -14, 57344.0f}, 15, true};
    default:
        return (kind){{7, 7, 127.0f}, 6, false};
    }
}

// ---- the scale: 2^k
// -------------------------------------------------------------------------------------------

static float ratio_of(const vx_rule *r, const kind *k, float amax) {
    switch (r->ratio) {
    case RATIO_TIMES:
        return amax * (1.0f / k->grid.max);
    case RATIO_BF16:
        return vn_pass(amax / k->grid.max, VN_BF16);
    case RATIO_CUT:
        return vn_divide_cut(amax, k->grid.max);
    case RATIO_FLUSHED:
        return vn_flush(amax / k->grid.max);
    case RATIO_POWER:
        return amax / vn_binade(k->grid.max);
    case RATIO_NEXT_POWER:
        return amax / (2.0f * vn_binade(k->grid.max));
    case RATIO_SECOND_LARGEST:
        return amax / (k->grid.max - (float)vn_pow2(vn_exponent((double)k->grid.max) - k->grid.mant));
    default:
        return amax / k->grid.max;
    }
}

// Exponent of ratio (above 0) under the rounding of the rule.
static int exponent_of(const vx_rule *r, const kind *k, float ratio, float amax) {
    const int e = vn_exponent((double)ratio);
    const double m = (double)ratio / vn_pow2(e); // 1 <= m < 2
    switch (r->round) {
    case ROUND_FLOOR:
        return e;
    case ROUND_OCP:
        return vn_exponent((double)amax) - k->emax;
    case ROUND_NEAREST:
        return e + (m >= 1.5);
    case ROUND_LOG_NEAREST:
        return e + (m > 0x1.6a09e667f3bcdp0);
    case ROUND_CARRY:
        return e + (m >= 1.75);
    case ROUND_NEXT:
        return e + 1;
    case ROUND_LOG2F:
        return (int)ceilf((float)log2((double)ratio));
    case ROUND_LOOSE:
        return e + (m > 1.0 + 0x1p-20);
    case ROUND_ONE_MORE:
        return e + (m > 1.0) + 1;
    default:
        return e + (m > 1.0);
    }
}

static double scale_of(const vx_rule *r, const kind *k, float amax) {
    if (isnan(amax)) return r->nan_amax == NAN_AMAX_ONE ? 1.0 : (double)NAN;
    if (isinf(amax) && r->inf == INF_SCALE_ONE) return 1.0;
    if (isinf(amax) && r->inf == INF_SCALE_NAN) return (double)NAN;
    if (isinf(amax)) amax = 3.402823466e38f;
    if (r->flush_amax) amax = vn_flush(amax);
    const float ratio = amax == 0.0f ? 0.0f : ratio_of(r, k, amax);
    if (ratio == 0.0f) return amax == 0.0f && r->zero_block != ZERO_BLOCK_SMALLEST ? 1.0 : 0x1p-127;
    const int lowest = r->lowest != 0 ? r->lowest : -127, e = exponent_of(r, k, ratio, amax);
    return vn_pow2(e < lowest ? lowest : e);
}

// ---- the element
// ------------------------------------------------------------------------------------------------

static float level(const vx_rule *r, const kind *k, float t, bool negative) {
    const double max = (double)k->grid.max, unit = vn_pow2(k->grid.emin);
    const float beyond = r->overflow == OVERFLOW_ONE_MORE ? k->grid.max + 1.0f : k->grid.max;
    if (isinf(t) || isnan(t)) return r->overflow == OVERFLOW_NAN ? NAN : beyond;
    double v = vn_to_grid((double)t, &k->grid, r->tie, negative);
    if (v < unit && r->subnormal == SUB_FLUSHED) v = 0.0;
    if (v < unit && r->subnormal == SUB_NONE) v = (double)t > unit / 2.0 ? unit : 0.0;
    if (v < unit && v > 0.0 && r->subnormal == SUB_READ_AS_NORMAL) v = unit / 2.0 + v / 2.0;
    if (v > max && r->overflow == OVERFLOW_NAN) return NAN;
    return v > max ? beyond : (float)v;
}

static float nan_answer(const vx_rule *r, const kind *k, double scale) {
    const float top = (float)((double)k->grid.max * scale);
    switch (r->nan) {
    case VX_NAN_KEPT:
        return NAN;
    case VX_NAN_ZERO:
        return -0.0f;
    case VX_NAN_PLUS:
        return top;
    case VX_NAN_MAX:
        return -top;
    default:
        return k->nan ? NAN : k->grid.emin == 7 ? -0.0f : -top; // INT8: 0, as a conversion to integer gives
    }
}

float vx_answer(const void *rule, const qp_vtensor *tensor, float x, float amax) {
    const vx_rule *r = rule != NULL ? rule : &right;
    const kind k = kind_of(tensor->format);
    const double scale = scale_of(r, &k, amax);
    if (isnan(scale)) return NAN;
    if (isnan(x)) return nan_answer(r, &k, scale);
    if (r->flush_x) x = vn_flush(x);
    float t = r->divide ? fabsf(x) / (float)scale : fabsf(x) * (float)(1.0 / scale);
    t = vn_pass(t, r->via);
    if (isinf(x)) t = INFINITY;
    const float unscale = r->flush_scale ? vn_flush((float)scale) : (float)scale;
    float y = level(r, &k, t, x < 0.0f) * unscale;
    if (r->flush_answer) y = vn_flush(y);
    const bool negative = r->sign == SIGN_OF_X       ? signbit(x) != 0
                          : r->sign == SIGN_BELOW    ? x < 0.0f
                          : r->sign == SIGN_OF_LEVEL ? x < 0.0f && y != 0.0f
                                                     : !(x > 0.0f);
    return negative ? -y : y;
}

vn_tie vx_out_tie(const void *rule) {
    return rule != NULL ? ((const vx_rule *)rule)->out_tie : VN_EVEN;
}
