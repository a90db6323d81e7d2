// SPDX-License-Identifier: Apache-2.0
// Two linears that are stored in different ways: their values, as both dialects say them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audit/compare_tensor.h"
#include "audit/dequant.h"

static uint32_t image(double v) { // one rounding to fp32, for bits and ULP
    const float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

typedef struct sums {
    double difference, original; // of squares
} sums;

static qp_status note_value(int64_t r, int64_t c, const qp_ck_module *a, uint32_t x, uint32_t y,
                            qp_arena *arena, qp_cmp_row *out, qp_err *err) {
    const bool stacked = a->stack > 1;
    out->n_first = stacked ? 3 : 2;
    out->first[0] = r / a->out;
    out->first[stacked] = r % a->out;
    out->first[1 + stacked] = c;
    QP_TRY(qp_arena_printf(arena, &out->a_bits, err, "%08x", x));
    return qp_arena_printf(arena, &out->b_bits, err, "%08x", y);
}

static qp_status judge_row(const qp_ck_module *a, int64_t r, const double *x, const double *y, sums *s,
                           qp_arena *arena, qp_cmp_row *out, qp_err *err) {
    const qp_cmp_number *f32 = qp_cmp_number_of(QP_ST_F32, NULL);
    for (int64_t c = 0; c < a->in; c++) {
        const uint32_t p = image(x[c]), q = image(y[c]);
        const double d = x[c] - y[c];
        s->difference += d * d;
        s->original += y[c] * y[c];
        const bool zeros = ((p | q) & 0x7fffffff) == 0; // some packages read code -0 as 0
        if (p == q || zeros || (isnan(x[c]) && isnan(y[c]))) continue;
        if (out->n_differ++ == 0) QP_TRY(note_value(r, c, a, p, q, arena, out, err));
        const uint64_t ulp = (uint64_t)llabs((long long)(f32->order(p) - f32->order(q)));
        if (ulp > out->max_ulp) out->max_ulp = ulp;
    }
    return QP_OK;
}

// Is one side's global scale the reciprocal of the other's? Then 1/x was rounded on one of them.
static bool opposite(const qp_ck_scheme *a, const qp_ck_scheme *b) {
    return a != NULL && b != NULL && a->global != b->global && a->global != QP_CK_NO_GLOBAL &&
           b->global != QP_CK_NO_GLOBAL;
}

qp_status qp_cmp_meaning(const qp_ck_module *a, const qp_ck_module *b, qp_arena *arena, qp_cmp_row *out,
                         qp_err *err) {
    const char *x_name = a->scheme != NULL ? a->scheme->name : "plain",
               *y_name = b->scheme != NULL ? b->scheme->name : "plain";
    sums s = {0};
    double *x, *y;
    if (a->stack != b->stack || a->out != b->out || a->in != b->in) {
        out->class = QP_CMP_SHAPE;
        return qp_arena_printf(arena, &out->detail, err,
                               "%lld x [%lld, %lld] (%s) against %lld x [%lld, %lld] (%s)",
                               (long long)a->stack, (long long)a->out, (long long)a->in, x_name,
                               (long long)b->stack, (long long)b->out, (long long)b->in, y_name);
    }
    out->n_elems = (uint64_t)(a->stack * a->out * a->in);
    QP_TRY(QP_NEW(arena, x, a->in));
    QP_TRY(QP_NEW(arena, y, a->in));
    for (int64_t r = 0; r < a->stack * a->out; r++) {
        qp_ck_values(a, r, 1, x);
        qp_ck_values(b, r, 1, y);
        QP_TRY(judge_row(a, r, x, y, &s, arena, out, err));
    }
    const bool near = opposite(a->scheme, b->scheme) && out->max_ulp <= QP_CMP_RECIPROCAL_ULP;
    out->class = out->n_differ == 0 || near ? QP_CMP_MEANING : QP_CMP_VALUES;
    return qp_arena_printf(arena, &out->detail, err, "%s against %s, relative distance %.3g", x_name, y_name,
                           s.original > 0     ? sqrt(s.difference / s.original)
                           : s.difference > 0 ? INFINITY
                                              : 0.0);
}
