// SPDX-License-Identifier: Apache-2.0
// The two policies by which amax travels between ranks (product page, section 2): one struct of functions
// each.
#ifndef PIPELINE_SYNC_H
#define PIPELINE_SYNC_H

#include "pipeline/rank.h"

typedef struct qp_sync_policy {
    qp_status (*flags)(qp_rank *r, qp_err *err);
    qp_status (*dp)(qp_rank *r, qp_err *err);
    qp_status (*ep)(qp_rank *r, qp_err *err);
    qp_status (*tp)(qp_rank *r, qp_err *err);
    qp_status (*own_tp)(qp_rank *r, qp_err *err); // global amax of ungrouped static weights over their shards
    qp_status (*group_ep)(qp_rank *r, qp_rank_group *g, qp_err *err);
    qp_status (*group_tp)(qp_rank *r, qp_rank_group *g, qp_err *err);
} qp_sync_policy;

extern const qp_sync_policy qp_sync_invariant;    // sync_invariant.c
extern const qp_sync_policy qp_sync_modelopt_047; // sync_modelopt.c

// MAX over group g of an amax as it stands, recorded under its dtype.
qp_status qp_sync_amax(qp_rank *r, qp_group_kind g, const qp_quantizer *q, qp_amax *a, qp_err *err);
qp_status qp_sync_global(qp_rank *r, qp_group_kind g, uint32_t *image, const char *what, qp_err *err);

#endif
