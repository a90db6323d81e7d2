// SPDX-License-Identifier: Apache-2.0
// Bytes between ranks, and the one reduction that is exact in any order: MAX over uint32 images of |x| (NaN
// images are the largest, so NaN wins on every rank). Every collective is recorded per rank as (group, op,
// count, dtype).
#ifndef COMM_COMM_H
#define COMM_COMM_H

#include "core/arena.h"
#include "qp/evidence.h"
#include "qp/module.h"

typedef enum qp_group_kind {
    QP_GROUP_TP,
    QP_GROUP_DP,
    QP_GROUP_ETP,
    QP_GROUP_EP,
    QP_GROUP_EDP,
    QP_GROUP_PP,
    QP_GROUP_CP,
    QP_GROUP_WORLD,
    QP_GROUP_KINDS
} qp_group_kind;
const char *qp_group_kind_name(qp_group_kind g);

typedef struct qp_comm qp_comm; // one rank's end

int qp_comm_rank(const qp_comm *c); // in the world
int qp_comm_size(const qp_comm *c, qp_group_kind g);
int qp_comm_index(const qp_comm *c, qp_group_kind g); // this rank's place in its group
// A group of one rank issues nothing and records nothing.
// tag: free text of the collective ("amax backbone...."), shown in findings, not compared.
// dtype is the dtype of the reduced state ("bfloat16", "float32"), recorded and compared; images is
// uint32_t[count].
qp_status qp_comm_allreduce_max(qp_comm *c, qp_group_kind g, uint32_t *images, int64_t count,
                                const char *dtype, const char *tag, qp_err *err);
// One flag per rank of the group, in group order; op "flag_gather".
qp_status qp_comm_flag_gather(qp_comm *c, qp_group_kind g, bool flag, bool *flags, const char *tag,
                              qp_err *err);
qp_status qp_comm_allgather(qp_comm *c, qp_group_kind g, const void *in, void *out, int64_t n_bytes,
                            const char *tag, qp_err *err);
qp_status qp_comm_broadcast(qp_comm *c, qp_group_kind g, int root_index, void *bytes, int64_t n_bytes,
                            const char *tag, qp_err *err);
qp_status qp_comm_barrier(qp_comm *c, qp_group_kind g, const char *tag,
                          qp_err *err); // recorded as op "barrier"
// Makes the next collective of this rank fail inside the transport with this status (fault injection for
// E-07). This rank still takes part, so its peers complete; its own memory stays as it was and it gets the
// status.
void qp_comm_inject(qp_comm *c, qp_status status);
// QP_PEER when another rank failed, QP_TIMEOUT past the deadline: long local work asks between its steps.
// Issues nothing.
qp_status qp_comm_check(qp_comm *c, qp_err *err);

typedef qp_status (*qp_rank_fn)(qp_comm *c, void *user, qp_err *err);

typedef struct qp_world_result {
    int n_ranks;
    qp_rank_trace *traces; // [n_ranks]
    qp_status *status;     // [n_ranks] what each rank returned
    int first_failed;      // rank whose failure came first (not QP_PEER), -1 = none
} qp_world_result;

// comm/threads: runs fn once per rank, each in a thread of its own, and joins them all. Returns the first
// failure, by time: QP_COLLECTIVE for a mismatch (names both ranks, both collectives) or for a rank that
// returned while its peers wait, QP_TIMEOUT when timeout_s passed; peers of a failed rank get QP_PEER. Never
// hangs. Traces are valid in every case.
qp_status qp_threads_run(const qp_layout *l, double timeout_s, qp_rank_fn fn, void *user, qp_arena *a,
                         qp_world_result *out, qp_err *err);

#endif
