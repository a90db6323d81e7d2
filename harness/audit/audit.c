// SPDX-License-Identifier: Apache-2.0
// The audit of one checkpoint, top to bottom.
#include "audit/audit.h"

#include <string.h>

// Nothing here says how a loader would read it: what holds of its tensors may mean nothing.
static bool is_unknown(const qp_audit *u, const qp_ck_module *m) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    const bool plain = w == NULL || qp_ck_is_plain(w);
    return qp_ck_claims_dialect(u->claims) == QP_CK_UNKNOWN ||
           (m->claim.kind == QP_CK_QUANTIZED && m->claim.scheme == NULL) ||
           (m->scheme == NULL && m->linear && !plain);
}

// Quantized linears, whether by their tensors or by the config's word, and every scale that is there.
static void count_judged(qp_audit *u) {
    static const qp_ck_role scales[] = {QP_CK_SCALE, QP_CK_GLOBAL, QP_CK_INPUT, QP_CK_K_SCALE, QP_CK_V_SCALE};
    for (uint32_t i = 0; i < u->modules.n; i++) {
        const qp_ck_module *x = &u->modules.list[i];
        if (is_unknown(u, x)) {
            u->unknown += x->linear;
            continue;
        }
        u->judged += x->scheme != NULL || (x->linear && x->claim.kind == QP_CK_QUANTIZED);
        for (int k = 0; k < QP_COUNT(scales); k++) u->judged += x->part[scales[k]] != NULL;
    }
}

qp_status qp_audit_run(const qp_audit_options *o, qp_arena *a, qp_audit *u, qp_err *err) {
    qp_ck_findings *f = &u->findings;
    memset(u, 0, sizeof *u);
    qp_ck_findings_init(f, a);
    QP_TRY(qp_ck_open(o->path, o->strict, a, f, &u->ckpt, err));           // which files, which tensors
    QP_TRY(qp_ck_claims_read(&u->ckpt, a, f, &u->claims, err));            // what the configs say
    QP_TRY(qp_ck_modules_build(&u->ckpt, u->claims, a, &u->modules, err)); // what the tensors are
    QP_TRY(qp_pass_structure(u, a, f, err)); // is everything there, of the right type and shape
    QP_TRY(qp_pass_config(u, a, f, err));    // do configs and tensors agree
    QP_TRY(qp_pass_values(o, u, a, f, err)); // every scale and code read once
    QP_TRY(qp_pass_shared(u, a, f, err));    // what loaders fuse is equal
    QP_TRY(qp_pass_inventory(u, &u->inventory, err));
    count_judged(u);
    if (o->against != NULL) QP_TRY(qp_pass_against(o, u, a, f, err)); // the original weights, quantized again
    return qp_ck_check_unchanged(&u->ckpt, f, err);
}

void qp_audit_close(qp_audit *u) {
    qp_ck_close(&u->ckpt);
}
