// SPDX-License-Identifier: Apache-2.0
// Is everything there, under the right name, of the right type and shape? Rules missing-scale, orphan-scale,
// dtype, shape per module; experts.c, layers.c, siblings.c, kv.c and loose.c look across modules.
#include "audit/structure.h"

#include <string.h>

#include "checkpoint/names.h"
#include "core/text.h"

static qp_status found(const qp_str *s, qp_ck_rule rule, const qp_ck_tensor *t, const char *effect,
                       qp_err *err, const char *text) {
    return qp_ck_found(s->findings, rule, t->name, t->n_name, effect, err, "%s", text);
}

// ---- missing
// ----------------------------------------------------------------------------------------------------------

static const struct {
    qp_ck_role role;
    const char *effect;
} missing[] = {
    {QP_CK_SCALE, "vLLM allocates the scales uninitialised: garbage, not an error"},
    {QP_CK_GLOBAL, "vLLM allocates NVFP4 scales uninitialised: the whole linear is garbage, not an error"},
    {QP_CK_INPUT, "vLLM allocates the scale uninitialised; MoE loaders reduce it over all experts, so one "
                  "missing value spoils every expert (0 becomes 1/0, NaN logits)"},
    {QP_CK_ZERO, "the loader takes codes for symmetric or reads uninitialised zero points"},
    {QP_CK_G_IDX, "columns in activation order are read with the scales of other groups"},
    {QP_CK_WEIGHT_SHAPE, "loaders cannot tell the columns of the packed words"},
    {QP_CK_LORA_A, "the low-rank part of the weight is lost"},
    {QP_CK_LORA_B, "the low-rank part of the weight is lost"},
};

static const char *effect_of_missing(qp_ck_role role) {
    for (int i = 0; i < QP_COUNT(missing); i++)
        if (missing[i].role == role) return missing[i].effect;
    return NULL;
}

static qp_status say_missing(const qp_str *s, const qp_ck_module *m, qp_ck_role role, qp_err *err) {
    const char *name, *shape, *shown;
    uint32_t n;
    if (s->audit->ckpt.part) return QP_OK;
    QP_TRY(qp_ck_part_name(m, m->scheme, role, s->arena, &name, &n, err));
    QP_TRY(qp_ck_shape_text(m->part[QP_CK_WEIGHT], s->arena, &shape, err));
    QP_TRY(qp_ck_show(m->name, m->n_name, s->arena, &shown, err));
    return qp_ck_found(s->findings, QP_CK_MISSING_SCALE, name, n, effect_of_missing(role), err,
                       "wanted the %s of %s (%s, codes %s %s), got none", qp_ck_role_name(role), shown,
                       m->scheme->name, qp_ck_dtype_name(m->part[QP_CK_WEIGHT]), shape);
}

// ---- orphans
// ----------------------------------------------------------------------------------------------------------

static bool is_scale(qp_ck_role role) {
    return role == QP_CK_SCALE || role == QP_CK_GLOBAL || role == QP_CK_INPUT || role == QP_CK_ZERO ||
           role == QP_CK_INPUT_ZERO || role == QP_CK_G_IDX || role == QP_CK_WEIGHT_SHAPE ||
           role == QP_CK_PRE_QUANT || role == QP_CK_LORA_A || role == QP_CK_LORA_B;
}

// Of a module that no scheme describes: scales without codes, codes without scales.
static qp_status plain_module(const qp_str *s, const qp_ck_module *m, qp_err *err) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    const bool codes = w != NULL && (w->dtype == QP_ST_U8 || w->dtype == QP_ST_I8 || w->dtype == QP_ST_I32 ||
                                     w->dtype == QP_ST_F8_E4M3 || w->dtype == QP_ST_F8_E5M2);
    if (qp_ck_claims_dialect(s->audit->claims) == QP_CK_UNKNOWN) // whatever they are, no rule here holds
        return codes && w->n_dims >= 2
                   ? found(s, QP_CK_UNCLASSIFIED, w, NULL, err, "codes of a scheme that is not known")
                   : QP_OK;
    if (codes && w->n_dims >= 2 && m->part[QP_CK_SCALE] == NULL) {
        const char *name;
        uint32_t n;
        if (s->audit->ckpt.part) return QP_OK;
        QP_TRY(qp_ck_part_name(m, m->claim.scheme, QP_CK_SCALE, s->arena, &name, &n, err));
        return qp_ck_found(s->findings, QP_CK_MISSING_SCALE, name, n, effect_of_missing(QP_CK_SCALE), err,
                           "wanted a scale beside codes of type %s, got none", qp_ck_dtype_name(w));
    }
    if (codes) // scales are there, but no scheme is like this
        return found(s, QP_CK_UNCLASSIFIED, w, NULL, err, "codes and scales of a scheme that is not known");
    for (int role = 0; role < QP_CK_ROLES; role++) {
        const qp_ck_tensor *t = m->part[role];
        if (t == NULL || !is_scale((qp_ck_role)role) || (w == NULL && s->audit->ckpt.part)) continue;
        QP_TRY(qp_ck_found(s->findings, QP_CK_ORPHAN_SCALE, t->name, t->n_name, NULL, err,
                           w == NULL ? "wanted codes beside the %s, got none%s"
                                     : "wanted codes beside the %s, got a weight of type %s",
                           qp_ck_role_name((qp_ck_role)role), w == NULL ? "" : qp_ck_dtype_name(w)));
    }
    return QP_OK;
}

static qp_status say_unwanted(const qp_str *s, const qp_ck_module *m, qp_ck_role role, qp_err *err) {
    const qp_ck_tensor *t = m->part[role];
    const bool word = qp_ck_needs(m->scheme, role, m->linear) != QP_CK_NEVER;
    return qp_ck_found(s->findings, is_scale(role) ? QP_CK_ORPHAN_SCALE : QP_CK_UNCLASSIFIED, t->name,
                       t->n_name, NULL, err, "wanted %s for %s, got a %s%s",
                       word ? "another name" : "no such tensor", m->scheme->name, qp_ck_role_name(role),
                       word ? " under a name of another dialect" : "");
}

// ---- types and shapes
// -----------------------------------------------------------------------------------------------------

static qp_status types_text(unsigned types, qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    for (int i = 0; i < QP_ST_DTYPES; i++)
        if (types >> i & 1) QP_TRY(qp_text_add(&t, err, "%s%s", t.n > 0 ? " or " : "", qp_st_dtypes[i].name));
    *out = t.s;
    return QP_OK;
}

static qp_status say_type(const qp_str *s, const qp_ck_module *m, qp_ck_role role, qp_err *err) {
    static const char global[] =
        "TensorRT-LLM and vLLM reinterpret or round a scale of another type: every product is off";
    const qp_ck_tensor *t = m->part[role];
    const char *types;
    QP_TRY(types_text(qp_ck_wanted_types(m->scheme, role), s->arena, &types, err));
    return qp_ck_found(s->findings, QP_CK_DTYPE, t->name, t->n_name, role == QP_CK_GLOBAL ? global : NULL,
                       err, "%s of %s: wanted %s, got %s", qp_ck_role_name(role), m->scheme->name, types,
                       qp_ck_dtype_name(t));
}

static qp_status dims_text(const uint64_t *dims, uint32_t n, qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "["));
    for (uint32_t i = 0; i < n; i++)
        QP_TRY(qp_text_add(&t, err, "%s%llu", i > 0 ? ", " : "", (unsigned long long)dims[i]));
    QP_TRY(qp_text_add(&t, err, "]"));
    *out = t.s;
    return QP_OK;
}

static qp_status say_shape(const qp_str *s, const qp_ck_module *m, qp_ck_role role, qp_ck_size z,
                           qp_err *err) {
    const qp_ck_tensor *t = m->part[role];
    uint64_t dims[QP_CK_DIMS + 1];
    uint32_t n = 0;
    const char *wanted, *got;
    QP_TRY(qp_ck_shape_text(t, s->arena, &got, err));
    if (z.out <= 0 || z.in <= 0)
        return qp_ck_found(s->findings, QP_CK_SHAPE, t->name, t->n_name, NULL, err,
                           "%s: no weight can lie as %s", m->scheme->name, got);
    if (role == QP_CK_WEIGHT_SHAPE && qp_ck_shape_fits(m->scheme, role, z, t))
        return qp_ck_found(s->findings, QP_CK_SHAPE, t->name, t->n_name, NULL, err,
                           "its numbers: wanted %lld and %lld as the codes lie, got others", (long long)z.out,
                           (long long)z.in);
    if (!qp_ck_wanted_shape(m->scheme, role, z.stack, z.out, z.in, dims, &n)) { // the low-rank parts
        const bool b = role == QP_CK_LORA_B, rank = b && qp_ck_shape_fits(m->scheme, role, z, t);
        const uint64_t rows = (uint64_t)(b ? z.out : z.in);
        return qp_ck_found(s->findings, QP_CK_SHAPE, t->name, t->n_name, NULL, err, "wanted %llu %s, got %s",
                           (unsigned long long)(rank ? m->part[QP_CK_LORA_A]->dims[0] : rows),
                           !b     ? "columns"
                           : rank ? "columns as the other part has rows"
                                  : "rows",
                           got);
    }
    QP_TRY(dims_text(dims, n, s->arena, &wanted, err));
    return qp_ck_found(s->findings, QP_CK_SHAPE, t->name, t->n_name, NULL, err,
                       "%s of %s: wanted %s, got %s%s", qp_ck_role_name(role), m->scheme->name, wanted, got,
                       qp_ck_shape_kind(dims, n, t, role == QP_CK_WEIGHT));
}

static bool same_size(qp_ck_size a, qp_ck_size b) {
    return a.stack == b.stack && a.out == b.out && a.in == b.in;
}

static int wrong_shapes(const qp_ck_module *m, qp_ck_size z) {
    int n = 0;
    for (int role = 0; role < QP_CK_ROLES; role++)
        n += qp_ck_part_fit(m->scheme, m, (qp_ck_role)role, z) == QP_CK_WRONG_SHAPE;
    return n;
}

static const char *kind_of(const qp_ck_module *m, qp_ck_role role, qp_ck_size z) {
    uint64_t dims[QP_CK_DIMS + 1];
    uint32_t n;
    if (!qp_ck_wanted_shape(m->scheme, role, z.stack, z.out, z.in, dims, &n)) return "";
    return qp_ck_shape_kind(dims, n, m->part[role], role == QP_CK_WEIGHT);
}

// Codes and scales that do not fit each other: which of them is wrong? Another layer's module of the same
// name tells; without one, the side whose difference has a name.
static void judge_size(const qp_str *s, const qp_ck_module *m, qp_ck_size *z) {
    qp_ck_size other;
    const bool lies = qp_ck_size_of(m->scheme, m, z);
    if (!lies) *z = (qp_ck_size){0};
    if (lies && wrong_shapes(m, *z) == 0) return;
    if (qp_str_peer(s, m, &other)) {
        if (!lies || wrong_shapes(m, other) <= wrong_shapes(m, *z)) *z = other;
        return;
    }
    if (!qp_ck_size_by_scale(m->scheme, m, &other) || same_size(*z, other)) return;
    if (!lies || (kind_of(m, QP_CK_SCALE, *z)[0] == '\0' && kind_of(m, QP_CK_WEIGHT, other)[0] != '\0'))
        *z = other;
}

qp_status qp_str_module(const qp_str *s, const qp_ck_module *m, qp_err *err) {
    qp_ck_size z;
    if (m->scheme == NULL) return plain_module(s, m, err);
    judge_size(s, m, &z);
    for (int i = 0; i < QP_CK_ROLES; i++) {
        const qp_ck_role role = (qp_ck_role)i;
        switch (qp_ck_part_fit(m->scheme, m, role, z)) {
        case QP_CK_ABSENT:
            QP_TRY(say_missing(s, m, role, err));
            break;
        case QP_CK_UNWANTED:
            QP_TRY(say_unwanted(s, m, role, err));
            break;
        case QP_CK_WRONG_TYPE:
            QP_TRY(say_type(s, m, role, err));
            break;
        case QP_CK_WRONG_SHAPE:
            QP_TRY(say_shape(s, m, role, z, err));
            break;
        case QP_CK_FITS:
            break;
        }
    }
    return QP_OK;
}

static qp_status say_part(const qp_str *s, qp_err *err) {
    const char *name = s->audit->ckpt.files[0].name;
    return qp_ck_found(s->findings, QP_CK_STATISTICS, name, strlen(name), NULL, err,
                       "one shard of several: what is not in it was not missed. Verify the folder for that");
}

qp_status qp_pass_structure(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    const qp_str s = {u, a, f};
    if (u->ckpt.part) QP_TRY(say_part(&s, err));
    for (uint32_t i = 0; i < u->modules.n; i++) QP_TRY(qp_str_module(&s, &u->modules.list[i], err));
    QP_TRY(qp_str_experts(&s, err));
    QP_TRY(qp_str_layers(&s, err));
    QP_TRY(qp_str_siblings(&s, err));
    QP_TRY(qp_str_kv(&s, err));
    return qp_str_loose(&s, err);
}
