// SPDX-License-Identifier: Apache-2.0
// Device, subject and the environment of cases, opened from options: what run and repro have in common.
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "cmd/options.h"
#include "cmd/run_case.h"

typedef struct qp_session {
    qp_device *device; // NULL: named, but not here
    qp_subject *subject;
    qp_run_env *env;
    const char *banner;  // the first output line
    const char *missing; // why there is no device, NULL otherwise
    const char *scratch;
} qp_session;

// A device that is named and not here is no error: cases become SKIP no-device. dump_dir may be NULL.
qp_status qp_session_open(qp_session *s, const qp_cmd_options *o, const char *data_dir, const char *scratch,
                          const char *dump_dir, qp_arena *a, qp_err *err);
// A status of the case becomes its result (a fault of the harness: BROKEN) with its message: the run goes on.
void qp_session_run(qp_session *s, const qp_case *c, qp_arena *a, qp_case_result *out, qp_err *err);
void qp_session_close(qp_session *s); // removes the scratch folder if it is empty

#endif
