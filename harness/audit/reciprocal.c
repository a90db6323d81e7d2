// SPDX-License-Identifier: Apache-2.0
// reciprocal: a scale stored the other way round is told by the size of what it means (E-119). Weights live
// well inside 2^-20..2^10; activations have outliers, so their window is wider (2^-20..2^17, beyond the range
// of fp16) and only gross inversions show.
#include <math.h>

#include "audit/values.h"

typedef struct bounds {
    double low, high;
} bounds;
static const bounds of_weights = {0x1p-20, 0x1p10}, of_inputs = {0x1p-20, 0x1p17};

static bool inside(bounds b, double x) {
    return x >= b.low && x <= b.high;
}

float qp_highest_code(const qp_ck_scheme *s) {
    static const float highest[] = {[QP_ELEM_E4M3] = 448.0f, [QP_ELEM_E2M1] = 6.0f, [QP_ELEM_E5M2] = 57344.0f,
                                    [QP_ELEM_E3M2] = 28.0f,  [QP_ELEM_E2M3] = 7.5f, [QP_ELEM_NF4] = 1.0f};
    if (s->element != QP_ELEM_INT8 && s->element != QP_ELEM_INT4) return highest[s->element];
    if (s->bits < 2 || s->bits > 8) return 0.0f;
    return (float)((1 << (s->symmetric ? s->bits - 1 : s->bits)) - 1);
}

// Smallest and largest of a few numbers; false unless all are positive and finite (else another rule speaks).
static bool extent(const qp_ck_tensor *t, double *low, double *high) {
    *low = INFINITY;
    *high = 0;
    if (t->n_elems == 0 || (t->dtype != QP_ST_F32 && t->dtype != QP_ST_BF16 && t->dtype != QP_ST_F16))
        return false;
    for (uint64_t i = 0; i < t->n_elems; i++) {
        const double x = (double)qp_float_of(qp_ck_f32(t, i));
        if (!(x > 0) || !isfinite(x)) return false;
        *low = fmin(*low, x);
        *high = fmax(*high, x);
    }
    return true;
}

double qp_implied_max(const qp_ck_module *m, const qp_ck_stats *s, bool inverted) {
    double low, high;
    if (m->scheme == NULL || s->max_scale == 0) return 0;
    const double code = (double)qp_highest_code(m->scheme), top = (double)qp_float_of(s->max_scale);
    if (m->scheme->global == QP_CK_NO_GLOBAL)
        return inverted ? code / (double)qp_float_of(s->min_scale) : code * top;
    if (m->part[QP_CK_GLOBAL] == NULL || !extent(m->part[QP_CK_GLOBAL], &low, &high)) return 0;
    const bool multiplies = (m->scheme->global == QP_CK_MULTIPLIES) != inverted;
    const double global = multiplies ? high : 1.0 / low;
    // W4A8 AWQ: group scales are whole (amax of the group / 7), the global is the amax again, over 448.
    if (m->scheme->element == QP_ELEM_INT4) return (double)m->scheme->divisor * global;
    return code * top * global;
}

static qp_status judge_weight(const qp_ck_module *m, const qp_ck_stats *s, qp_ck_findings *f, qp_err *err) {
    const double here = qp_implied_max(m, s, false), there = qp_implied_max(m, s, true);
    if (!s->scanned || here == 0 || inside(of_weights, here) || !inside(of_weights, there)) return QP_OK;
    const bool global = m->scheme->global != QP_CK_NO_GLOBAL;
    const qp_ck_tensor *t = m->part[global ? QP_CK_GLOBAL : QP_CK_SCALE];
    return qp_ck_found(
        f, QP_CK_RECIPROCAL, t->name, t->n_name, NULL, err,
        "means weights up to %.3g as it stands, %.3g as its reciprocal: this dialect's scales %s", here,
        there, m->scheme->global == QP_CK_DIVIDES ? "divide" : "multiply");
}

// What the amax of activations was divided by (shapes spec 2.1): 2688 where they become NVFP4, 448 where FP8,
// 127 where INT8.
static double input_divisor(const qp_ck_scheme *s) {
    if (s->element == QP_ELEM_INT8) return 127;
    return s->element == QP_ELEM_E2M1 && s->divisor > 448 ? 2688 : 448;
}

static qp_status judge_input(const qp_ck_module *m, qp_ck_findings *f, qp_err *err) {
    const qp_ck_tensor *t = m->part[QP_CK_INPUT];
    double low, high;
    if (m->scheme == NULL || !m->sound || t == NULL || !extent(t, &low, &high)) return QP_OK;
    const double d = input_divisor(m->scheme), times = d * high, over = d / low;
    const bool divides = m->scheme->global == QP_CK_DIVIDES;
    const double here = divides ? over : times, there = divides ? times : over;
    if (inside(of_inputs, here) || !inside(of_inputs, there)) return QP_OK;
    return qp_ck_found(
        f, QP_CK_RECIPROCAL, t->name, t->n_name,
        "all activations are off by the square of the scale: they saturate or vanish", err,
        "means activations up to %.3g as it stands, %.3g as its reciprocal: this dialect's scales "
        "%s",
        here, there, divides ? "divide" : "multiply");
}

qp_status qp_rules_reciprocal(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    (void)a;
    for (uint32_t i = 0; i < u->modules.n; i++) {
        QP_TRY(judge_weight(&u->modules.list[i], &u->stats[i], f, err));
        QP_TRY(judge_input(&u->modules.list[i], f, err));
    }
    return QP_OK;
}
