// SPDX-License-Identifier: Apache-2.0
// One case from line to result: the glue between plan, pipeline, oracle, checks and judge. run, repro and
// doctor all use it.
#ifndef CMD_RUN_CASE_H
#define CMD_RUN_CASE_H

#include "checks/checks.h"
#include "judge/judge.h"
#include "oracle/oracle.h"
#include "pipeline/pipeline.h"

// What cases of one run share. Holds caches: the oracle of the last (model, layers, recipe, seed ...), the
// digests of its TP1 EP1 base run; both are reused by the next case that has the same key.
typedef struct qp_run_env qp_run_env;

typedef struct qp_run_settings {
    const char *data_dir, *scratch; // scratch: a folder of this run, removed at the end
    qp_device *device;
    qp_subject *subject;
    double timeout_s;                    // per case
    uint64_t mem_max;                    // bytes, 0 = no limit: a case above it is SKIP with the numbers
    const struct qp_stage_table *stages; // NULL: the good ones (doctor passes a mutant's)
    const char *switched_off; // space separated names of checks that are not run (doctor), NULL = none
    const char *dump_dir;     // repro --dump DIR, NULL = none
    const char *inject;       // "flip:ELEMENT": one output bit of every kernel launch is flipped; NULL = none
} qp_run_settings;

qp_status qp_run_env_new(const qp_run_settings *s, qp_run_env **out, qp_err *err);
void qp_run_env_free(qp_run_env *e);
// Never fails for what the case does: refusals, crashes of a rank, missing devices are results. A status is a
// harness fault.
qp_status qp_run_case(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *out, qp_err *err);
// All state digests of the last pipeline or kernel case (sorted), for "is this mutant live?".
void qp_run_digests(const qp_run_env *e, const qp_digest **digests, int64_t *n);

#endif
