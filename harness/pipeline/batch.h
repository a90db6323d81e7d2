// SPDX-License-Identifier: Apache-2.0
// Grouped launches: linears of one layer that share format, dtype and backward mode go through the subject in
// one launch, as many as the byte budget allows. All experts of a projection share a launch unless they do
// not fit.
#ifndef PIPELINE_BATCH_H
#define PIPELINE_BATCH_H

#include "pipeline/rank.h"

typedef struct qp_batch {
    int *members; // indices into rank->q
    int n;
    qp_ktensor *tensors; // [n], x filled with the sampled rows, amax and global_amax from the quantizer
} qp_batch;

// Calls fn for each batch, with scratch emptied before; bytes_per_element: all buffers of a launch, for the
// budget. wants: which linears take part.
typedef bool (*qp_batch_wants_fn)(const qp_quantizer *q);
typedef qp_status (*qp_batch_fn)(qp_rank *r, qp_batch *b, qp_err *err);
qp_status qp_for_batches(qp_rank *r, qp_batch_wants_fn wants, size_t bytes_per_element, qp_batch_fn fn,
                         qp_err *err);

// Runs op over the batch under guard and hands what the guard saw to the sink.
qp_status qp_batch_run(qp_rank *r, const qp_batch *b, qp_op op, qp_err *err);

#endif
