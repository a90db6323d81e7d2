// SPDX-License-Identifier: Apache-2.0
// The collectives every transport shares: a group of one issues nothing, every other call is recorded before
// it is made, and an injected fault makes one call fail on this rank alone. Moves no bytes itself.
#include <string.h>

#include "comm/transport.h"

int qp_comm_rank(const qp_comm *c) {
    return c->rank;
}
int qp_comm_size(const qp_comm *c, qp_group_kind g) {
    return c->groups[g].n;
}
int qp_comm_index(const qp_comm *c, qp_group_kind g) {
    return c->groups[g].index;
}
void qp_comm_inject(qp_comm *c, qp_status status) {
    c->injected = status;
}
qp_status qp_comm_check(qp_comm *c, qp_err *err) {
    return c->check(c, err);
}

static qp_status issue(qp_comm *c, qp_collective *k, qp_err *err) {
    const qp_status injected = c->injected;
    c->injected = QP_OK;
    k->deliver = injected == QP_OK;
    QP_TRY(qp_trace_add(&c->trace, k, c->groups[k->group].id, err));
    QP_TRY(c->exchange(c, k, err));
    if (injected != QP_OK)
        QP_FAIL(injected, "rank %d: %s over %s (%s, %lld x %s) failed in the transport (injected %s)",
                c->rank, k->name, qp_group_kind_name(k->group), k->tag, (long long)k->count, k->dtype,
                qp_status_name(injected));
    return QP_OK;
}

qp_status qp_comm_allreduce_max(qp_comm *c, qp_group_kind g, uint32_t *images, int64_t count,
                                const char *dtype, const char *tag, qp_err *err) {
    if (c->groups[g].n == 1) return QP_OK;
    qp_collective k = {
        .op = QP_EX_MAX, .group = g, .name = "all_reduce_max", .count = count, .dtype = dtype, .tag = tag};
    k.in = images;
    k.out = images;
    return issue(c, &k, err);
}

qp_status qp_comm_flag_gather(qp_comm *c, qp_group_kind g, bool flag, bool *flags, const char *tag,
                              qp_err *err) {
    if (c->groups[g].n == 1) {
        flags[0] = flag;
        return QP_OK;
    }
    qp_collective k = {
        .op = QP_EX_GATHER, .group = g, .name = "flag_gather", .count = 1, .dtype = "flag", .tag = tag};
    k.in = &flag;
    k.out = flags;
    return issue(c, &k, err);
}

qp_status qp_comm_allgather(qp_comm *c, qp_group_kind g, const void *in, void *out, int64_t n_bytes,
                            const char *tag, qp_err *err) {
    if (c->groups[g].n == 1) {
        memcpy(out, in, (size_t)n_bytes);
        return QP_OK;
    }
    qp_collective k = {
        .op = QP_EX_GATHER, .group = g, .name = "all_gather", .count = n_bytes, .dtype = "uint8", .tag = tag};
    k.in = in;
    k.out = out;
    return issue(c, &k, err);
}

qp_status qp_comm_broadcast(qp_comm *c, qp_group_kind g, int root_index, void *bytes, int64_t n_bytes,
                            const char *tag, qp_err *err) {
    if (root_index < 0 || root_index >= c->groups[g].n)
        QP_FAIL(QP_BROKEN, "rank %d: broadcast over %s (%s) from index %d of %d", c->rank,
                qp_group_kind_name(g), tag, root_index, c->groups[g].n);
    if (c->groups[g].n == 1) return QP_OK;
    qp_collective k = {.op = QP_EX_BROADCAST,
                       .group = g,
                       .name = "broadcast",
                       .count = n_bytes,
                       .dtype = "uint8",
                       .tag = tag};
    k.root = root_index;
    k.in = bytes;
    k.out = bytes;
    return issue(c, &k, err);
}

qp_status qp_comm_barrier(qp_comm *c, qp_group_kind g, const char *tag, qp_err *err) {
    if (c->groups[g].n == 1) return QP_OK;
    qp_collective k = {
        .op = QP_EX_BARRIER, .group = g, .name = "barrier", .count = 0, .dtype = "-", .tag = tag};
    return issue(c, &k, err);
}
