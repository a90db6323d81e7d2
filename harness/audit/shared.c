// SPDX-License-Identifier: Apache-2.0
// placeholder until the pass lands
#include "audit/audit.h"

qp_status qp_pass_shared(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    (void)u;
    (void)a;
    (void)f;
    (void)err;
    return QP_OK;
}
