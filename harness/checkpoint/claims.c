// SPDX-License-Identifier: Apache-2.0
// placeholder until the reader lands
#include "checkpoint/scheme.h"

struct qp_ck_claims {
    int none;
};
qp_status qp_ck_claims_read(const qp_ckpt *c, qp_arena *a, qp_ck_findings *f, qp_ck_claims **out,
                            qp_err *err) {
    (void)c;
    (void)f;
    return qp_arena_get(a, sizeof **out, out, err);
}
qp_ck_dialect qp_ck_claims_dialect(const qp_ck_claims *k) {
    (void)k;
    return QP_CK_UNKNOWN;
}
