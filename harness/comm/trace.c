// SPDX-License-Identifier: Apache-2.0
// The record of what a rank issued, in order, whether or not it completed. Never read while its rank runs.
#include <stdio.h>
#include <string.h>

#include "comm/transport.h"

qp_status qp_trace_add(qp_trace *t, const qp_collective *k, uint32_t group_id, qp_err *err) {
    if (!t->last || t->last->n == QP_TRACE_CHUNK) {
        qp_trace_chunk *chunk;
        QP_TRY(QP_NEW(t->arena, chunk, 1));
        if (t->last)
            t->last->next = chunk;
        else
            t->first = chunk;
        t->last = chunk;
    }
    qp_trace_ev *e = &t->last->entries[t->last->n++];
    snprintf(e->group, sizeof e->group, "%s", qp_group_kind_name(k->group));
    snprintf(e->op, sizeof e->op, "%s", k->name);
    snprintf(e->dtype, sizeof e->dtype, "%s", k->dtype);
    e->count = k->count;
    e->group_id = group_id;
    if (k->op == QP_EX_GATHER && strcmp(k->dtype, "flag") == 0) memcpy(&e->flag, k->in, sizeof e->flag);
    t->n++;
    return QP_OK;
}

qp_status qp_trace_collect(const qp_trace *t, int rank, qp_arena *a, qp_rank_trace *out, qp_err *err) {
    qp_trace_ev *entries;
    QP_TRY(QP_NEW(a, entries, t->n > 0 ? t->n : 1));
    int n = 0;
    for (const qp_trace_chunk *c = t->first; c; c = c->next) {
        memcpy(entries + n, c->entries, sizeof *entries * (size_t)c->n);
        n += c->n;
    }
    *out = (qp_rank_trace){.rank = rank, .n = n, .entries = entries};
    return QP_OK;
}
