// SPDX-License-Identifier: Apache-2.0
// What a case will cost, before it runs: elements it quantizes and memory it needs. An estimate, on the high
// side.
#ifndef PLAN_COST_H
#define PLAN_COST_H

#include "plan/case.h"

typedef struct qp_cost {
    int64_t elements; // of all tensors once, unsharded
    int64_t bytes;    // most memory at one time
    int ranks;        // 1 outside pipeline cases
} qp_cost;

typedef struct qp_cost_cache qp_cost_cache; // models already loaded; in the arena
qp_status qp_cost_cache_new(qp_arena *a, qp_cost_cache **out, qp_err *err);
// Loads the model of a pipeline case (QP_USAGE, QP_IO when it cannot be).
qp_status qp_case_cost(const qp_case *c, const char *data_dir, qp_cost_cache *cache, qp_arena *a,
                       qp_cost *out, qp_err *err);

#endif
