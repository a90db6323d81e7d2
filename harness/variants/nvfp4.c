// SPDX-License-Identifier: Apache-2.0
// One element of an NVFP4 tensor under a rule of nvfp4.h: dynamic (numerics 4.3), static and four-over-six
// (4.4).
#include "variants/nvfp4.h"

static const vv_rule right;

// ---- per tensor: the second-level scale -------------------------------------------------------------------

static float second_level(const vv_rule *r, float ga) {
    switch (r->gs) {
    case GS_TIMES:
        return ga * (1.0f / 2688.0f);
    case GS_SIXTH_FIRST:
        return ga / 6.0f / 448.0f;
    case GS_448_FIRST:
        return ga / 448.0f / 6.0f;
    case GS_BF16:
        return vn_pass(ga / 2688.0f, VN_BF16);
    case GS_POWER:
        return vn_binade(ga / 2688.0f);
    case GS_1536:
        return ga / 1536.0f;
    case GS_448:
        return ga / 448.0f;
    case GS_CUT:
        return vn_divide_cut(ga, 2688.0f);
    case GS_BINADE:
        return vn_binade(ga) / 2688.0f;
    default:
        return ga / 2688.0f;
    }
}

typedef struct level2 {
    float ga, g;      // dynamic; also what dequantizing multiplies with
    float sc, inv, a; // static: fl(448/a), its inverse, amax of the block scales
    float six_ga;     // fl(ga/6)
    float m;          // 448 or 256
} level2;

static level2 level2_of(const vv_rule *r, qp_format f, float ga) {
    level2 l = {.ga = ga, .m = f == QP_NVFP4_46 && r->m46 != M46_MISSED ? 256.0f : 448.0f};
    const float gs = second_level(r, ga);
    l.g = gs > 0.0f ? gs : r->fallback > 0.0f ? r->fallback : 1e-12f;
    l.six_ga = r->sixth == SIXTH_TIMES ? ga * (1.0f / 6.0f) : ga / 6.0f;
    const float spread = r->m46 == M46_AFTER ? l.six_ga * (448.0f / l.m) : ga * (448.0f / l.m);
    float a = r->m46 == M46_AFTER ? spread : r->sixth == SIXTH_TIMES ? spread * (1.0f / 6.0f) : spread / 6.0f;
    if (!(r->tiny == TINY_A_NONE) && (r->tiny == TINY_A_STRICT ? a < 0x1p-24f : a <= 0x1p-24f)) a = 1.0f;
    l.a = a;
    l.sc = r->sc == SC_RECIPROCAL ? 1.0f / a * 448.0f
           : r->sc == SC_CUT      ? vn_divide_cut(448.0f, a)
                                  : 448.0f / a;
    l.sc = vn_pass(l.sc, r->via_sc);
    l.inv = 1.0f / l.sc;
    return l;
}

// ---- per block: quotient, code, scale ---------------------------------------------------------------------

static float quotient(const vv_rule *r, bool dynamic, const level2 *l, float b) {
    const float s0 = r->sixth == SIXTH_TIMES ? b * (1.0f / 6.0f) : b / 6.0f;
    switch (r->q != Q_RIGHT ? r->q : dynamic ? Q_SIX_G : Q_STATIC) {
    case Q_STATIC:
        return s0 * l->sc;
    case Q_SIXTH_FIRST:
        return s0 / l->g;
    case Q_INVERSE:
        return b * (1.0f / (6.0f * l->g));
    case Q_INVERSE_G:
        return s0 * (1.0f / l->g);
    case Q_OVER_GA:
        return b / l->ga * 448.0f;
    case Q_448_OVER_GA:
        return b * (448.0f / l->ga);
    case Q_TIMES_2688:
        return b * (2688.0f / l->ga * (1.0f / 6.0f));
    case Q_G_FIRST:
        return b / l->g / 6.0f;
    case Q_PACK:
        return s0 * l->m / l->six_ga;
    case Q_STEP:
        return s0 / (l->a / 448.0f);
    case Q_EXACT:
        return (float)((double)b * (double)l->m / (double)l->ga);
    case Q_OF_FOUR:
        return b / (4.0f * l->g);
    default:
        return b / (6.0f * l->g);
    }
}

static float e4m3(const vv_rule *r, float t) {
    vn_grid g = {3, -6, 448.0f};
    if (r->codec == SC_MAX_240) g.max = 240.0f;
    if (r->codec == SC_E5M2) g = (vn_grid){2, -14, 57344.0f};
    if (r->codec == SC_UNQUANTIZED) return t;
    if (r->codec == SC_E8M0_UP) return vn_binade(t) == t || !(t > 0.0f) ? t : 2.0f * vn_binade(t);
    if (isnan(t)) return t;
    if (t > 3e38f) return r->codec == SC_OVERFLOW_NAN ? NAN : g.max;
    double v = vn_to_grid((double)t, &g, r->scale_tie, false);
    if (v > (double)g.max) v = r->codec == SC_OVERFLOW_NAN ? (double)NAN : (double)g.max;
    const bool subnormal = v > 0.0 && v < 0x1p-6;
    if (subnormal && r->codec == SC_FLUSHED) v = 0.0;
    if (subnormal && r->codec == SC_READ_AS_NORMAL) v = 0x1p-7 + v / 2.0;
    if (subnormal && r->codec == SC_NORMAL_FLOOR) v = 0x1p-6;
    return (float)v;
}

static float scale_code(const vv_rule *r, bool dynamic, float t) {
    t = vn_pass(t, r->via_q);
    if (dynamic && r->cap != CAP_NONE) t = t < 448.0f ? t : 448.0f; // NaN becomes 448
    if (r->cap == CAP_LIFTED && t < 0x1p-9f) t = 0x1p-9f;
    return e4m3(r, t);
}

static float scale_of(const vv_rule *r, bool dynamic, const level2 *l, float code) {
    float s = code * (dynamic ? l->g : l->inv);
    switch (r->s) {
    case S_GA_FIRST:
        s = code * l->ga / 2688.0f;
        break;
    case S_OVER_448:
        s = code / 448.0f * (l->ga / 6.0f);
        break;
    case S_DIVIDE:
        s = code / l->sc;
        break;
    case S_STEP:
        s = code * (l->a / 448.0f);
        break;
    case S_OTHER_SPELLING:
        s = code * (dynamic ? l->a / 448.0f : l->g);
        break;
    case S_EXACT:
        s = (float)((double)code * (double)l->ga / (6.0 * (double)l->m));
        break;
    default:
        break;
    }
    return vn_pass(s, r->via_s);
}

// The 1e-5 rule of the dynamic kernel. *zero: the answer is zero instead.
static float threshold(const vv_rule *r, bool dynamic, float s, float code, bool *zero) {
    const vv_threshold rule = r->threshold != TH_RIGHT ? r->threshold : dynamic ? TH_1E5 : TH_STATIC;
    *zero = false;
    switch (rule) {
    case TH_NONE:
        return s;
    case TH_STRICT:
        return s > 1e-5f ? s : 1.0f;
    case TH_1E4:
        return s >= 1e-4f ? s : 1.0f;
    case TH_1E6:
        return s >= 1e-6f ? s : 1.0f;
    case TH_ZERO_ONLY:
        return s > 0.0f ? s : 1.0f;
    case TH_FLOOR:
        return s >= 1e-5f ? s : 1e-5f;
    case TH_CODE:
        return code >= 1e-5f ? s : 1.0f;
    case TH_ZEROES:
        *zero = !(s >= 1e-5f);
        return s;
    case TH_STATIC:
        *zero = s == 0.0f;
        return isfinite(s) ? s : 1.0f;
    default:
        return s >= 1e-5f ? s : 1.0f;
    }
}

// ---- per element
// --------------------------------------------------------------------------------------------

static float divide(const vv_rule *r, const level2 *l, float code, float a, float s) {
    switch (r->div) {
    case DIV_INVERSE:
        return a * (1.0f / s);
    case DIV_TWICE:
        return a / code / l->g;
    case DIV_G_FIRST:
        return a / l->g / code;
    case DIV_EXACT:
        return (float)((double)a / (double)s);
    case DIV_ONE_OVER:
        return a * (1.0f / l->g) / code;
    default:
        return a / s;
    }
}

static float e2m1(const vv_rule *r, float q) {
    static const float uniform[] = {0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
    vn_grid g = {1, 0, 6.0f};
    if (isnan(q)) return 6.0f;
    if (r->element == EL_MAX_4) g.max = 4.0f;
    if (r->element == EL_INT) return q >= 6.0f ? 6.0f : uniform[(int)vn_whole((double)q, r->tie, false)];
    if (q > 1e30f) return r->element == EL_TO_EIGHT ? 8.0f : g.max;
    double v = vn_to_grid((double)q, &g, r->tie, false);
    if (r->element == EL_NO_HALF && v < 1.0) v = q > 0.5f ? 1.0 : 0.0;
    if (r->element == EL_HALF_FLUSHED && v < 1.0) v = 0.0;
    if (r->element == EL_TO_EIGHT) return v > 8.0 ? 8.0f : (float)v;
    return v > (double)g.max ? g.max : (float)v;
}

static float back(const vv_rule *r, const level2 *l, float code, float v, float s) {
    switch (r->back) {
    case BACK_CODE_FIRST:
        return v * code * l->g;
    case BACK_G_FIRST:
        return v * l->g * code;
    case BACK_DIVIDE:
        return v / (1.0f / s);
    case BACK_BF16:
        return v * vn_pass(s, VN_BF16);
    default:
        return v * s;
    }
}

static float sign(const vv_rule *r, float x, float y) {
    if (isnan(x)) {
        switch (r->nan) {
        case VV_NAN_KEPT:
            return x;
        case VV_NAN_PLUS:
            return y;
        case VV_NAN_ZERO:
            return 0.0f;
        default:
            return 0.0f - y;
        }
    }
    if (r->zero == VV_ZERO_SIGN_BIT) return signbit(x) ? -y : y;
    if (r->zero == VV_ZERO_NEGATIVE) return x < 0.0f ? -y : y;
    if (r->zero == VV_ZERO_MINUS) return x > 0.0f ? y : -y; // numerics 4.7: 0 is not above 0
    return x >= 0.0f ? y : 0.0f - y;
}

static float answer(bool dynamic, const void *rule, const qp_vtensor *t, float x, float b) {
    const vv_rule *r = rule != NULL ? rule : &right;
    const level2 l = level2_of(r, t->format, vn_pass(t->global_amax, r->via_ga));
    const float code = scale_code(r, dynamic, quotient(r, dynamic, &l, b));
    bool zero;
    const float s = threshold(r, dynamic, scale_of(r, dynamic, &l, code), code, &zero);
    if (zero) return 0.0f;
    if (r->flush && fabsf(x) < 0x1p-126f) x = 0.0f;
    const float q = vn_pass(divide(r, &l, code, fabsf(x), s), r->via_e);
    return sign(r, x, back(r, &l, code, e2m1(r, q), s));
}

float vv_answer_dynamic(const void *rule, const qp_vtensor *t, float x, float b) {
    return answer(true, rule, t, x, b);
}

float vv_answer_static(const void *rule, const qp_vtensor *t, float x, float b) {
    return answer(false, rule, t, x, b);
}

vn_tie vv_out_tie(const void *rule) {
    return rule != NULL ? ((const vv_rule *)rule)->out_tie : VN_EVEN;
}
