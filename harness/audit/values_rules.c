// SPDX-License-Identifier: Apache-2.0
// scale-nan, scale-inf, scale-negative, scale-zero and scale-zero-block on what the pass counted, and the
// same on the few numbers beside the block scales (global, input, KV cache, pre-quant), which are read here.
#include "audit/values.h"
#include "core/text.h"

qp_status qp_ck_place(const qp_ck_tensor *t, uint64_t i, qp_arena *a, const char **out, qp_err *err) {
    enum { DIMS = 8 };
    qp_text text = {.arena = a};
    uint64_t dims[DIMS], at[DIMS];
    const uint32_t n = qp_st_entry_dims(t->entry, dims, DIMS);
    *out = "";
    if (t->n_elems <= 1) return QP_OK;
    if (n > DIMS) return qp_arena_printf(a, out, err, "[element %llu]", (unsigned long long)i);
    for (uint32_t k = n; k-- > 0; i /= dims[k] > 0 ? dims[k] : 1) at[k] = dims[k] > 0 ? i % dims[k] : 0;
    for (uint32_t k = 0; k < n; k++)
        QP_TRY(qp_text_add(&text, err, "%s%llu", k > 0 ? ", " : "[", (unsigned long long)at[k]));
    QP_TRY(qp_text_add(&text, err, "] "));
    *out = text.s;
    return QP_OK;
}

typedef struct rules { // what every function here needs
    const qp_audit *u;
    qp_arena *a;
    qp_ck_findings *f;
} rules;

typedef struct fact { // one finding to be
    qp_ck_rule rule;
    uint64_t n, first; // of how many elements, which is the first
    const char *what, *effect;
} fact;

static qp_status say(const rules *r, const qp_ck_tensor *t, const fact *x, qp_err *err) {
    const char *place;
    if (x->n == 0) return QP_OK;
    QP_TRY(qp_ck_place(t, x->first, r->a, &place, err));
    if (t->n_elems == 1) return qp_ck_found(r->f, x->rule, t->name, t->n_name, x->effect, err, "%s", x->what);
    return qp_ck_found(r->f, x->rule, t->name, t->n_name, x->effect, err, "%s%s (%llu of %llu)", place,
                       x->what, (unsigned long long)x->n, (unsigned long long)t->n_elems);
}

// ---- the export of an all-zero weight (shapes spec 2.2) -----------------------------------------

static bool is_zero(const qp_ck_tensor *t) {
    return t != NULL && t->n_elems == 1 && qp_scan_is_scale_type(t->dtype) &&
           (qp_ck_f32(t, 0) & 0x7fffffff) == 0;
}

static bool is_dead_fp4(const qp_ck_module *m, const qp_ck_stats *s) {
    return m->part[QP_CK_SCALE] != NULL && m->part[QP_CK_SCALE]->dtype == QP_ST_F8_E4M3 && s->n_scales > 0 &&
           s->n_nan == s->n_scales && is_zero(m->part[QP_CK_GLOBAL]);
}

static bool is_dead_fp8(const qp_ck_module *m, const qp_ck_stats *s) {
    return m->part[QP_CK_WEIGHT] != NULL && s->n_code_nan > 0 &&
           s->n_code_nan == m->part[QP_CK_WEIGHT]->n_elems && is_zero(m->part[QP_CK_SCALE]);
}

bool qp_is_dead_export(const qp_ck_module *m, const qp_ck_stats *s) {
    return s->scanned && (is_dead_fp4(m, s) || is_dead_fp8(m, s));
}

static qp_status dead_export(const rules *r, const qp_ck_module *m, const qp_ck_stats *s, qp_err *err) {
    const bool fp4 = is_dead_fp4(m, s);
    const qp_ck_tensor *t = m->part[fp4 ? QP_CK_SCALE : QP_CK_WEIGHT];
    return qp_ck_found(
        r->f, QP_CK_SCALE_NAN, t->name, t->n_name,
        "every weight of this layer is NaN instead of 0: the first token through it makes the logits NaN",
        err,
        "all %llu %s are NaN (first byte %02x) and the %s scale is 0: the all-zero weight (dead or padded "
        "expert) as Model Optimizer 0.44 to 0.47 exports it",
        (unsigned long long)t->n_elems, fp4 ? "block scales" : "codes", t->data[0],
        fp4 ? "global" : "weight");
}

// ---- block, row and tensor scales, E4M3 codes ---------------------------------------------------

// E4M3 has one NaN per sign: 7f is what a cast without saturation makes of 464 and above, ff what 0/0 gives.
static const char *nan_text(const qp_ck_tensor *t, uint64_t i) {
    if (t->dtype != QP_ST_F8_E4M3) return "is NaN";
    return t->data[i] == 0x7f
               ? "is NaN (byte 7f: an E4M3 cast without saturation leaves it for 464 and above)"
               : "is NaN (byte ff)";
}

static qp_status weight_scales(const rules *r, const qp_ck_module *m, const qp_ck_stats *s, qp_err *err) {
    const qp_ck_tensor *t = m->part[QP_CK_SCALE];
    const char *sign = t->dtype != QP_ST_F8_E4M3
                           ? NULL
                           : "kernels that read block scales as unsigned E4M3 have no such number; in others "
                             "the block changes its sign";
    const fact facts[] = {
        {QP_CK_SCALE_NAN, s->n_nan, s->first_nan, s->n_nan > 0 ? nan_text(t, s->first_nan) : "", NULL},
        {QP_CK_SCALE_INF, s->n_inf, s->first_inf, "is infinite", NULL},
        {QP_CK_SCALE_NEGATIVE, s->n_negative, s->first_negative, "is negative", sign},
        {QP_CK_SCALE_ZERO, s->n_zero_live, s->first_zero_live, "is zero and its codes are not", NULL},
        {QP_CK_SCALE_ZERO_BLOCK, s->n_zero - s->n_zero_live, s->first_zero_dead,
         "is zero, as all its codes are: exporters write a positive scale there", NULL},
    };
    for (int i = 0; i < QP_COUNT(facts); i++) QP_TRY(say(r, t, &facts[i], err));
    return QP_OK;
}

static qp_status codes(const rules *r, const qp_ck_module *m, const qp_ck_stats *s, qp_err *err) {
    const fact nan = {QP_CK_SCALE_NAN, s->n_code_nan, s->first_code_nan, "of the codes is NaN",
                      "the weight itself is NaN there: so is every output of its row"};
    return say(r, m->part[QP_CK_WEIGHT], &nan, err);
}

// ---- the numbers beside them --------------------------------------------------------------------

static const struct beside {
    qp_ck_role role;
    bool signed_or_zero; // may be
    const char *zero_effect;
} besides[] = {
    {QP_CK_GLOBAL, false, NULL},
    {QP_CK_INPUT, false,
     "activations are divided by it: 1/0 is infinite and 0 x inf is NaN, so the first token through this "
     "layer makes the logits NaN (vLLM #45212, #54444: dead experts)"},
    {QP_CK_K_SCALE, false, "keys are divided by it: infinite, and NaN in the attention scores"},
    {QP_CK_V_SCALE, false, "values are divided by it: infinite, and NaN behind the attention"},
    {QP_CK_PRE_QUANT, true, NULL},
    {QP_CK_K_BIAS, true, NULL},
    {QP_CK_V_BIAS, true, NULL},
};

typedef struct counts {
    uint64_t n[4], first[4]; // NaN, Inf, negative, zero
} counts;

static void count(counts *c, int which, uint64_t i) {
    if (c->n[which]++ == 0) c->first[which] = i;
}

static counts count_numbers(const qp_ck_tensor *t) {
    counts c = {0};
    for (uint64_t i = 0; i < t->n_elems; i++) {
        const uint32_t image = qp_ck_f32(t, i), magnitude = image & 0x7fffffff;
        if (magnitude > 0x7f800000)
            count(&c, 0, i);
        else if (magnitude == 0x7f800000)
            count(&c, 1, i);
        else if (magnitude == 0)
            count(&c, 3, i);
        else if (image != magnitude)
            count(&c, 2, i);
    }
    return c;
}

static qp_status numbers(const rules *r, const qp_ck_module *m, const qp_ck_stats *s, const struct beside *b,
                         qp_err *err) {
    const qp_ck_tensor *t = m->part[b->role];
    if (t == NULL || !qp_ck_is_float(t) || (t->n_elems > 1 && m->scheme != NULL && !m->sound)) return QP_OK;
    const counts c = count_numbers(t);
    // A zero global over nothing but zero blocks loses nothing.
    const bool dead = b->role == QP_CK_GLOBAL && s->n_blocks > 0 && s->n_zero_blocks == s->n_blocks;
    const fact facts[] = {
        {QP_CK_SCALE_NAN, c.n[0], c.first[0], "is NaN", NULL},
        {QP_CK_SCALE_INF, c.n[1], c.first[1], "is infinite", NULL},
        {QP_CK_SCALE_NEGATIVE, b->signed_or_zero ? 0 : c.n[2], c.first[2], "is negative", NULL},
        {dead ? QP_CK_SCALE_ZERO_BLOCK : QP_CK_SCALE_ZERO, b->signed_or_zero ? 0 : c.n[3], c.first[3],
         dead ? "is zero, as all codes are" : "is zero", b->zero_effect},
    };
    for (int i = 0; i < QP_COUNT(facts); i++) QP_TRY(say(r, t, &facts[i], err));
    return QP_OK;
}

// ---- KV cache scales of exactly 1 ---------------------------------------------------------------

// amax/448 is never exactly 1 by chance: a clamp from below (Model Optimizer before 0.43, E-113) or a default
// that no calibration replaced. Sound to load, so a note.
static qp_status clamped(const rules *r, qp_err *err) {
    static const qp_ck_role roles[] = {QP_CK_K_SCALE, QP_CK_V_SCALE};
    const qp_ck_tensor *first = NULL;
    unsigned long long n = 0, all = 0;
    for (uint32_t i = 0; i < r->u->modules.n; i++)
        for (int k = 0; k < QP_COUNT(roles); k++) {
            const qp_ck_tensor *t = r->u->modules.list[i].part[roles[k]];
            if (t == NULL || t->n_elems != 1 || !qp_ck_is_float(t)) continue;
            all++;
            if (qp_ck_f32(t, 0) != 0x3f800000) continue;
            if (n++ == 0) first = t;
        }
    if (n == 0) return QP_OK;
    return qp_ck_found(
        r->f, QP_CK_STATISTICS, first->name, first->n_name,
        "a cache that needs less is quantized more coarsely than it could be", err,
        "is exactly 1.0, as are %llu of %llu KV cache scales: never calibrated, or clamped from "
        "below (Model Optimizer before 0.43)",
        n, all);
}

qp_status qp_rules_scales(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    const rules r = {u, a, f};
    for (uint32_t i = 0; i < u->modules.n; i++) {
        const qp_ck_module *m = &u->modules.list[i];
        const qp_ck_stats *s = &u->stats[i];
        const bool dead = qp_is_dead_export(m, s);
        if (dead) QP_TRY(dead_export(&r, m, s, err));
        if (!dead && s->n_scales > 0) QP_TRY(weight_scales(&r, m, s, err));
        if (!dead && s->n_code_nan > 0) QP_TRY(codes(&r, m, s, err));
        for (int k = dead ? 1 : 0; k < QP_COUNT(besides); k++) // row 0 is the global, said already
            QP_TRY(numbers(&r, m, s, &besides[k], err));
    }
    return clamped(&r, err);
}
