// SPDX-License-Identifier: Apache-2.0
// What there is: linears by scheme, excluded by name, plain without being excluded, with a scale missing, and
// tensors that nothing explains.
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

static void count_scheme(qp_ck_inventory *v, const char *name) {
    const int last = QP_COUNT(v->by_scheme) - 1;
    int i = 0;
    while (i < v->n_schemes && strcmp(v->by_scheme[i].scheme, name) != 0) i++;
    if (i > last) i = last; // more schemes than rows share the last one
    if (i == v->n_schemes) {
        v->by_scheme[i].scheme = i == last ? "others" : name;
        v->n_schemes++;
    }
    v->by_scheme[i].n++;
}

static bool misses(const qp_audit *u, const qp_ck_module *m) {
    const qp_ck_size none = {0};
    if (u->ckpt.part) return false;
    for (int role = 0; role < QP_CK_ROLES; role++)
        if (qp_ck_part_fit(m->scheme, m, (qp_ck_role)role, none) == QP_CK_ABSENT) return true;
    return false;
}

// Codes without any scheme count as missing their scale, not as plain.
static void count_module(const qp_audit *u, qp_ck_inventory *v, const qp_ck_module *m) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    if (w == NULL || (m->scheme == NULL && (!m->linear || m->claim.kind == QP_CK_NOT_TARGET))) return;
    v->linears++;
    if (m->scheme != NULL) {
        v->quantized++;
        count_scheme(v, m->scheme->name);
        v->missing_scale += misses(u, m);
    } else if (!m->sound) {
        v->missing_scale++;
    } else if (m->claim.kind == QP_CK_EXCLUDED) {
        v->excluded++;
    } else {
        v->plain++;
    }
}

qp_status qp_pass_inventory(const qp_audit *u, qp_ck_inventory *out, qp_err *err) {
    (void)err;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < u->modules.n; i++) count_module(u, out, &u->modules.list[i]);
    for (uint32_t i = 0; i < u->modules.n_loose; i++) {
        const qp_ck_tensor *t = u->modules.loose[i];
        out->unclassified += !qp_ck_name_is_parameter(t->name, t->n_name);
    }
    return QP_OK;
}
