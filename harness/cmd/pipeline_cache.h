// SPDX-License-Identifier: Apache-2.0
// What neighbouring pipeline cases share: the model with its weights, the oracle's unsharded truth, the
// digests of the one-rank run. One entry, of the last key; suites put cases of one key side by side.
#ifndef CMD_PIPELINE_CACHE_H
#define CMD_PIPELINE_CACHE_H

#include "checks/checks.h"
#include "oracle/oracle.h"
#include "pipeline/pipeline.h"

typedef struct qp_pipeline_cache {
    qp_arena *arena; // model, recipe, key
    const char *key; // NULL: empty
    qp_job job;      // of the case that made the entry; model, recipe and weights are what is shared
    qp_model model;
    qp_recipe recipe;
    qp_oracle *oracle; // NULL until asked for
    qp_arena *base_arena;
    const char *base_key;
    qp_digest *base; // sorted
    int64_t n_base;
} qp_pipeline_cache;

qp_status qp_pipeline_cache_new(qp_pipeline_cache **out, qp_err *err);
void qp_pipeline_cache_free(qp_pipeline_cache *p);
// Points p at the entry of this case: kept when the key is the same, made anew (job by qp_job_make)
// otherwise. *job is the case's own job with the shared model, recipe and weights in it; what differs between
// the two lives in a.
qp_status qp_pipeline_cache_take(qp_pipeline_cache *p, const qp_case *c, const char *data_dir,
                                 qp_subject *subject, qp_arena *a, qp_job *job, qp_err *err);
qp_status qp_pipeline_cache_oracle(qp_pipeline_cache *p, qp_err *err);
// The digests of the one-rank run of this entry under rows=N: kept, or NULL.
bool qp_pipeline_cache_has_base(const qp_pipeline_cache *p, int64_t rows);
// Copies sorted digests in; the names must live as long as the entry (they are the model's, or literals).
qp_status qp_pipeline_cache_set_base(qp_pipeline_cache *p, int64_t rows, const qp_digest *d, int64_t n,
                                     qp_err *err);

#endif
