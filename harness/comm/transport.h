// SPDX-License-Identifier: Apache-2.0
// What comm/comm.c and a transport (comm/threads.c) agree on: one rank's end, one collective, one exchange
// function. comm.c checks, records and injects; a transport only brings the ranks of a group together and
// moves bytes.
#ifndef COMM_TRANSPORT_H
#define COMM_TRANSPORT_H

#include "comm/comm.h"

typedef enum qp_exchange_op { QP_EX_MAX, QP_EX_GATHER, QP_EX_BROADCAST, QP_EX_BARRIER } qp_exchange_op;

typedef struct qp_collective {
    qp_exchange_op op;
    qp_group_kind group;
    const char *name; // as recorded: all_reduce_max all_gather broadcast flag_gather barrier
    int64_t count;
    const char *dtype;
    const char *tag;
    int root; // broadcast: index in the group; 0 otherwise
    const void
        *in;   // max: uint32_t[count], the same memory as out; gather: count bytes; broadcast: root's bytes
    void *out; // gather: group size times count bytes
    bool deliver; // false: this rank takes part but its out stays as it was (fault injection)
} qp_collective;

// One group as one of its members sees it. ranks are world ranks in ascending order of the group's
// coordinate.
typedef struct qp_group_view {
    int n, index;
    const int *ranks;
    uint32_t id; // same on all members of that very group, different between groups
} qp_group_view;

// The members of rank's group of each kind, from the coordinate rule of qp/module.h.
qp_status qp_groups_of(const qp_layout *l, int rank, qp_arena *a, qp_group_view views[QP_GROUP_KINDS],
                       qp_err *err);

// A rank's recorded collectives; written by that rank alone, read after it has ended.
enum { QP_TRACE_CHUNK = 256 };
typedef struct qp_trace_chunk {
    struct qp_trace_chunk *next;
    int n;
    qp_trace_ev entries[QP_TRACE_CHUNK];
} qp_trace_chunk;
typedef struct qp_trace {
    qp_arena *arena; // the rank's own
    qp_trace_chunk *first, *last;
    int n;
} qp_trace;
qp_status qp_trace_add(qp_trace *t, const qp_collective *k, uint32_t group_id, qp_err *err);
qp_status qp_trace_collect(const qp_trace *t, int rank, qp_arena *a, qp_rank_trace *out, qp_err *err);

struct qp_comm {
    int rank;
    qp_group_view groups[QP_GROUP_KINDS];
    qp_trace trace;
    qp_status injected;
    qp_status (*exchange)(qp_comm *c, const qp_collective *k, qp_err *err);
    qp_status (*check)(qp_comm *c, qp_err *err);
    void *impl;
};

#endif
