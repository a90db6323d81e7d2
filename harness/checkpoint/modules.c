// SPDX-License-Identifier: Apache-2.0
// placeholder until the splitter lands
#include "checkpoint/scheme.h"

qp_status qp_ck_modules_build(const qp_ckpt *c, const qp_ck_claims *k, qp_arena *a, qp_ck_modules *out,
                              qp_err *err) {
    (void)c;
    (void)k;
    (void)a;
    (void)out;
    (void)err;
    return QP_OK;
}
