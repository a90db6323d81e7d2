// SPDX-License-Identifier: Apache-2.0
// quantproof verify: audits a checkpoint on disk. placeholder until the command lands
#include "audit/audit.h"
#include "cmd/cmd.h"

#include <stdio.h>

qp_status qp_cmd_verify(int argc, char **argv, int *exit_code, qp_err *err) {
    static qp_audit u;
    qp_arena *a = qp_arena_new();
    const qp_audit_options o = {.path = argc > 1 ? argv[1] : ""};
    QP_TRY(qp_audit_run(&o, a, &u, err));
    for (size_t i = 0; i < u.findings.n; i++) {
        const qp_ck_finding *f = &u.findings.list[i];
        printf("%-8s %s  %s  %s\n", qp_severity_name(qp_ck_rules[f->rule].severity), f->tensor,
               qp_ck_rules[f->rule].id, f->detail);
    }
    printf("%u tensors, %d files, %u modules\n", u.ckpt.n_tensors, u.ckpt.n_files, u.modules.n);
    qp_audit_close(&u);
    qp_arena_free(a);
    *exit_code = 0;
    return QP_OK;
}
