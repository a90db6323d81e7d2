// SPDX-License-Identifier: Apache-2.0
// Inside of run_case: what the files that run one kind of case share. Nobody but run_case.c, run_kernel.c,
// run_pipeline.c and their helpers includes this.
#ifndef CMD_RUN_ENV_H
#define CMD_RUN_ENV_H

#include "cmd/run_case.h"
#include "cmd/tally.h"

typedef struct qp_pipeline_cache qp_pipeline_cache; // pipeline_cache.h

struct qp_run_env {
    qp_run_settings s;
    qp_pipeline_cache *cache;
    qp_arena *last; // owns the digests of the last case
    qp_digest *digests;
    int64_t n_digests, cap_digests;
};

// One finding that is no check's: why a case was skipped, refused or broken.
void qp_say(qp_case_result *r, qp_arena *a, qp_verdict v, qp_reason why, const char *fmt, ...)
    QP_PRINTF(5, 6);
// The same from a status that a subject, a comm or a file gave while the case ran; where: what was going on.
void qp_say_status(qp_case_result *r, qp_arena *a, qp_status s, const char *where, const char *message);

// The same for what qp_run_case itself returned: the place (disk, folder, file) may be at fault, else the
// harness is broken.
void qp_say_fault(qp_case_result *r, qp_arena *a, qp_status s, const char *message);

qp_status qp_run_kernel(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *r, qp_err *err);
qp_status qp_run_pipeline(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *r, qp_err *err);

// Appends to the digests of the last case; names are kept as they are and must live as long as e->last.
qp_status qp_env_add_digests(qp_run_env *e, const qp_digest *d, int64_t n, qp_err *err);

#endif
