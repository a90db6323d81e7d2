// SPDX-License-Identifier: Apache-2.0
// One element of an INT or FP8 tensor under a rule of scaled.h.
#include "variants/scaled.h"

static const vs_rule right;

// ---- amax near zero ---------------------------------------------------------------------------------------

static bool is_tiny(const vs_rule *r, const vs_kind *k, float a) {
    const bool inclusive = k->fp8 != (r->tiny == TINY_OTHER_END); // numerics 1.2: strict; 2.3: inclusive
    switch (r->tiny) {
    case TINY_NONE:
    case TINY_EPSILON:
        return false;
    case TINY_ZERO_ONLY:
    case TINY_ZERO_PASS:
        return a == 0.0f;
    case TINY_LARGER:
        return a < 0x1p-20f;
    default:
        return inclusive ? a <= 0x1p-24f : a < 0x1p-24f;
    }
}

typedef enum tiny_answer { BECOMES_ZERO, BECOMES_SIGNED, BECOMES_ONE, BECOMES_X } tiny_answer;

static tiny_answer tiny_answer_of(const vs_rule *r, const vs_kind *k) {
    switch (r->tiny) {
    case TINY_ZERO:
        return BECOMES_ZERO;
    case TINY_SIGNED_ZERO:
        return BECOMES_SIGNED;
    case TINY_ONE:
        return BECOMES_ONE;
    case TINY_PASS:
    case TINY_ZERO_PASS:
        return BECOMES_X;
    default:
        return k->fp8 ? BECOMES_ONE : BECOMES_ZERO;
    }
}

// ---- up: x to the number that is rounded ------------------------------------------------------------------

static float scale_of(const vs_rule *r, float hi, float a) {
    float s = hi / a;
    if (r->up == UP_RECIPROCAL) s = 1.0f / a * hi;
    if (r->up == UP_CUT) s = vn_divide_cut(hi, a);
    if (r->up == UP_POWER) s = vn_binade(s);
    s = vn_pass(s, r->via_scale);
    return r->flush_scale ? vn_flush(s) : s;
}

static float up(const vs_rule *r, float hi, float s, float x, float a) {
    switch (r->up) {
    case UP_STEP:
        return x / vn_pass(a / hi, r->via_scale);
    case UP_STEP_TIMES:
        return x / (a * (1.0f / hi));
    case UP_APPROX:
        return x * (1.0f / (a / hi));
    case UP_RATIO:
        return x / a * hi;
    case UP_PRODUCT:
        return x * hi / a;
    case UP_EXACT:
        return (float)((double)x * (double)hi / (double)a);
    default:
        return x * s;
    }
}

// ---- the level
// ----------------------------------------------------------------------------------------------

static float clip(const vs_kind *k, vs_clip rule, float v) {
    const float more = rule == CLIP_WIDE ? 1.0f : 0.0f, hi = k->hi + more;
    const float lo = rule == CLIP_NARROW ? -k->hi : k->lo - more;
    return v > hi ? hi : v < lo ? lo : v;
}

// The integer that a conversion instruction makes, then its low byte or nibble.
static float wrap(const vs_kind *k, float whole) {
    const double n = (double)k->hi + 1.0; // 128 or 8
    if (!(fabsf(whole) < 0x1p31f)) return 0.0f;
    const double from_low = (double)whole + n;
    return (float)(from_low - 2.0 * n * floor(from_low / (2.0 * n)) - n);
}

static float int_level(const vs_rule *r, const vs_kind *k, float t) {
    if (r->clip == CLIP_NAN_AT_INF && isinf(t)) return NAN;
    if (r->clip == CLIP_BEFORE) t = clip(k, CLIP_RIGHT, t);
    if (isinf(t)) return r->clip == CLIP_NONE ? t : r->clip == CLIP_WRAP ? 0.0f : clip(k, r->clip, t);
    const float whole = copysignf((float)vn_whole(fabs((double)t), r->tie, signbit(t) != 0), t);
    if (r->clip == CLIP_WRAP) return wrap(k, whole);
    return r->clip == CLIP_NONE ? whole : clip(k, r->clip, whole);
}

static vn_grid grid_of(const vs_rule *r) {
    vn_grid g = {3, -6, 448.0f};
    switch (r->codec) {
    case CODEC_BIAS_8:
        return (vn_grid){3, -7, 240.0f};
    case CODEC_E5M2:
        return (vn_grid){2, -14, 57344.0f};
    case CODEC_E3M4:
        return (vn_grid){4, -2, 15.5f};
    case CODEC_MAX_240:
        g.max = 240.0f;
        return g;
    case CODEC_TOP_UNUSED:
        g.max = 416.0f;
        return g;
    case CODEC_TOP_TAKEN:
        g.max = 480.0f;
        return g;
    default:
        return g;
    }
}

static double read_back(vs_codec codec, double m) {
    if (m >= 0x1p-6 || m == 0.0) return m;
    if (codec == CODEC_FLUSHED) return 0.0;
    return codec == CODEC_READ_AS_NORMAL ? 0x1p-7 + m / 2.0 : m; // 1.mmm * 2^-7
}

static float fp8_level(const vs_rule *r, float t) {
    const vn_grid g = grid_of(r);
    if (r->clip == CLIP_NAN_AT_INF && isinf(t)) return NAN;
    if (isinf(t)) return r->clip == CLIP_NONE ? NAN : copysignf(g.max, t);
    double m = vn_to_grid(fabs((double)t), &g, r->tie, signbit(t) != 0);
    if (r->codec == CODEC_NO_SUBNORMALS && fabsf(t) < 0x1p-6f) m = fabsf(t) > 0x1p-7f ? 0x1p-6 : 0.0;
    if (m > (double)g.max && r->clip == CLIP_NONE) return NAN;
    if (m > (double)g.max) m = (double)g.max;
    return copysignf((float)read_back(r->codec, m), t);
}

static float level(const vs_rule *r, const vs_kind *k, float t) {
    if (isnan(t)) {
        switch (r->nan) {
        case NAN_TO_ZERO:
            return 0.0f;
        case NAN_TO_MAX:
            return k->hi;
        case NAN_TO_MIN:
            return k->lo;
        default:
            return t;
        }
    }
    const float v = k->fp8 ? fp8_level(r, t) : int_level(r, k, t);
    return r->zero_lost && v == 0.0f ? 0.0f : v;
}

// ---- down: the level to the answer ------------------------------------------------------------------------

static float down(const vs_rule *r, const vs_kind *k, float hi, float s, float v, float a) {
    switch (r->down) {
    case DOWN_DIVIDE:
        return v / s;
    case DOWN_INVERSE:
        return v * (1.0f / s);
    case DOWN_STEP:
        return v * vn_pass(a / hi, r->via_scale);
    case DOWN_STEP_TIMES:
        return v * (a * (1.0f / hi));
    case DOWN_RATIO:
        return v / hi * a;
    case DOWN_PRODUCT:
        return v * a / hi;
    case DOWN_EXACT:
        return (float)((double)v * (double)a / (double)hi);
    case DOWN_BF16:
        return vn_pass(v, VN_BF16) * vn_pass(a / hi, VN_BF16);
    default:
        return k->fp8 ? v * (1.0f / s) : v / s;
    }
}

float vs_answer(const vs_rule *rule, const vs_kind *k, float x, float amax) {
    const vs_rule *r = rule != NULL ? rule : &right;
    const float hi = r->hi > 0.0f ? r->hi : k->hi;
    float a = vn_pass(amax, r->via_amax);
    if (r->flush_x) x = vn_flush(x) == 0.0f ? 0.0f : x;
    if (r->tiny == TINY_EPSILON) a = a + 0x1p-24f;
    if (is_tiny(r, k, a)) {
        const tiny_answer t = tiny_answer_of(r, k);
        if (t == BECOMES_ZERO) return 0.0f;
        if (t == BECOMES_SIGNED) return x * 0.0f;
        if (t == BECOMES_X) return x;
        a = 1.0f;
    }
    const float s = scale_of(r, hi, a);
    const float t = vn_pass(up(r, hi, s, x, a), r->via_quotient);
    const float y = vn_pass(down(r, k, hi, s, level(r, k, t), a), r->via_answer);
    return r->flush_answer ? vn_flush(y) : y;
}

vn_tie vs_out_tie(const void *rule) {
    return rule != NULL ? ((const vs_rule *)rule)->out_tie : VN_EVEN;
}
