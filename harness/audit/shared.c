// SPDX-License-Identifier: Apache-2.0
// shared-weight-scale and shared-input-scale: what loaders fuse must carry the same global and input scale,
// bit for bit (shapes spec 2.9; E-115, E-116, E-118). The effect says, with numbers, what the loader of the
// dialect does with the difference. A member without its scale is missing-scale, not judged here.
#include <math.h>

#include "audit/values.h"

typedef struct member {
    const qp_ck_module *m;
    const qp_ck_tensor *t;
    uint32_t image;
    double value; // as a multiplier
} member;

enum { MEMBERS = 64, NOTE_FROM = 8 }; // of one group; unequal groups before they are summed up in a note

typedef struct law { // one of the two rules
    qp_ck_rule rule;
    qp_ck_role role;
    const char *what;
    bool (*applies)(const qp_ck_scheme *s);
    qp_status (*effect)(const member *all, int n, const member *odd, qp_arena *a, const char **out,
                        qp_err *err);
} law;

typedef struct tally {
    uint64_t groups, unequal;
    double worst; // largest over smallest
    const char *first;
    uint32_t n_first;
} tally;

// ---- what a loader makes of it ------------------------------------------------------------------

static double largest(const member *all, int n) {
    double x = 0;
    for (int i = 0; i < n; i++) x = fmax(x, all[i].value);
    return x;
}

static double smallest(const member *all, int n) {
    double x = INFINITY;
    for (int i = 0; i < n; i++) x = fmin(x, all[i].value);
    return x;
}

static qp_status weight_effect_moe(const member *all, const member *odd, double top, qp_arena *a,
                                   const char **out, qp_err *err) {
    const double taken = all[0].value;
    return qp_arena_printf(a, out, err,
                           "vLLM and SGLang MoE use the scale of the first half (gate, %.9g) for both: the "
                           "other half is off by %.3gx; TensorRT-LLM takes the max (%.9g) for both",
                           taken, odd->value != taken ? taken / odd->value : taken / smallest(all, 2), top);
}

static qp_status weight_effect(const member *all, int n, const member *odd, qp_arena *a, const char **out,
                               qp_err *err) {
    const double top = largest(all, n), low = smallest(all, n);
    if (odd->m->expert >= 0 && n == 2) return weight_effect_moe(all, odd, top, a, out, err);
    if (odd->m->scheme->global == QP_CK_DIVIDES)
        return qp_arena_printf(a, out, err,
                               "vLLM takes the max of the stored reciprocals, that is the smallest scale, "
                               "without rescaling blocks: the member with the largest comes out too small by "
                               "%.3gx",
                               top / low);
    return odd->value < top
               ? qp_arena_printf(a, out, err,
                                 "vLLM and SGLang take the max (%.9g) without rescaling blocks: this member "
                                 "comes out too large by %.3gx; TensorRT-LLM asserts equality and stops",
                                 top, top / odd->value)
               : qp_arena_printf(a, out, err,
                                 "vLLM and SGLang take this one, the max, for all without rescaling blocks: "
                                 "the other members come out too large by up to %.3gx; TensorRT-LLM asserts "
                                 "equality and stops",
                                 top / low);
}

static qp_status input_effect(const member *all, int n, const member *odd, qp_arena *a, const char **out,
                              qp_err *err) {
    const double top = largest(all, n), low = smallest(all, n);
    if (odd->m->scheme->global == QP_CK_DIVIDES)
        return qp_arena_printf(a, out, err,
                               "vLLM takes the max of the stored reciprocals, that is the smallest range: "
                               "activations beyond it saturate, by up to %.3gx",
                               top / low);
    return qp_arena_printf(a, out, err,
                           "TensorRT-LLM asserts equality and stops; vLLM and SGLang take the max (%.9g), up "
                           "to %.3gx coarser than one of the members was calibrated for",
                           top, top / low);
}

// ---- the rule -----------------------------------------------------------------------------------

static bool shares_weight(const qp_ck_scheme *s) {
    return s->shares_weight;
}

static bool shares_input(const qp_ck_scheme *s) {
    return s->shares_input;
}

static const law laws[] = {
    {QP_CK_SHARED_WEIGHT_SCALE, QP_CK_GLOBAL, "global scale", shares_weight, weight_effect},
    {QP_CK_SHARED_INPUT_SCALE, QP_CK_INPUT, "input scale", shares_input, input_effect},
};

// The tensor that a law compares: per-tensor schemes without a global scale have it in the weight scale.
static const qp_ck_tensor *compared(const qp_ck_module *m, const law *l) {
    if (m->scheme == NULL || !l->applies(m->scheme)) return NULL;
    const bool only = l->role == QP_CK_GLOBAL && m->scheme->global == QP_CK_NO_GLOBAL;
    const qp_ck_tensor *t = m->part[only ? QP_CK_SCALE : l->role];
    if (t == NULL || t->n_elems != 1) return NULL;
    return t->dtype == QP_ST_F32 || t->dtype == QP_ST_BF16 || t->dtype == QP_ST_F16 ? t : NULL;
}

// Members of one scheme only: those of another are fused with nothing.
static int gather(const qp_audit *u, const uint32_t *index, uint32_t n, const law *l, member *out) {
    int k = 0;
    for (uint32_t i = 0; i < n && k < MEMBERS; i++) {
        const qp_ck_module *m = &u->modules.list[index[i]];
        const qp_ck_tensor *t = compared(m, l);
        if (t == NULL || (k > 0 && strcmp(m->scheme->name, out[0].m->scheme->name) != 0)) continue;
        const uint32_t image = qp_ck_f32(t, 0);
        const double stored = (double)qp_float_of(image);
        const bool divides = m->scheme->global == QP_CK_DIVIDES;
        out[k++] = (member){m, t, image, divides ? 1.0 / stored : stored};
    }
    return k;
}

static int votes(const member *all, int n, int i) {
    int k = 0;
    for (int j = 0; j < n; j++) k += all[j].image == all[i].image;
    return k;
}

// What the odd ones are measured against: the commonest value, the first of equals.
static const member *usual(const member *all, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (votes(all, n, i) > votes(all, n, best)) best = i;
    return &all[best];
}

static qp_status judge(const member *all, int n, const law *l, qp_arena *a, tally *t, qp_ck_findings *f,
                       qp_err *err) {
    const member *norm = usual(all, n);
    bool unequal = false;
    for (int i = 0; i < n; i++) {
        const member *x = &all[i];
        const char *effect, *twin;
        if (x->image == norm->image) continue;
        unequal = true;
        QP_TRY(l->effect(all, n, x, a, &effect, err));
        QP_TRY(qp_ck_show(norm->t->name, norm->t->n_name, a, &twin, err));
        QP_TRY(qp_ck_found(f, l->rule, x->t->name, x->t->n_name, effect, err,
                           "%s %08x (%.9g) is not that of %s, %08x (%.9g): %.3gx", l->what, x->image,
                           (double)qp_float_of(x->image), twin, norm->image, (double)qp_float_of(norm->image),
                           fmax(x->value, norm->value) / fmin(x->value, norm->value)));
    }
    t->groups++;
    if (!unequal) return QP_OK;
    if (t->unequal++ == 0) t->first = all[0].t->name, t->n_first = all[0].t->n_name;
    t->worst = fmax(t->worst, largest(all, n) / smallest(all, n));
    return QP_OK;
}

static qp_status apply(const law *l, const qp_audit *u, const qp_share_groups *g, qp_arena *a,
                       qp_ck_findings *f, qp_err *err) {
    tally t = {0};
    for (uint32_t i = 0; i < g->n; i++) {
        member all[MEMBERS];
        const int n = gather(u, g->member + g->start[i], g->start[i + 1] - g->start[i], l, all);
        if (n > 1) QP_TRY(judge(all, n, l, a, &t, f, err));
    }
    if (t.unequal <= NOTE_FROM) return QP_OK;
    return qp_ck_found(f, QP_CK_STATISTICS, t.first, t.n_first, "", err,
                       "%s unequal in %llu of %llu fused groups (%.1f %%), up to %.3gx", l->what,
                       (unsigned long long)t.unequal, (unsigned long long)t.groups,
                       100.0 * (double)t.unequal / (double)t.groups, t.worst);
}

qp_status qp_pass_shared(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    qp_share_groups groups;
    QP_TRY(qp_share_gather(&u->modules, false, a, &groups, err));
    for (int i = 0; i < QP_COUNT(laws); i++) QP_TRY(apply(&laws[i], u, &groups, a, f, err));
    return QP_OK;
}
