// SPDX-License-Identifier: Apache-2.0
// Modules that loaders fuse, gathered group by group from their share numbers.
#include <stdlib.h>

#include "audit/values.h"

typedef struct entry {
    int share;
    uint32_t module;
} entry;

static int by_share(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->share != y->share) return x->share < y->share ? -1 : 1;
    return (x->module > y->module) - (x->module < y->module);
}

qp_status qp_share_gather(const qp_ck_modules *m, bool singles, qp_arena *a, qp_share_groups *out,
                          qp_err *err) {
    entry *list;
    uint32_t *member, *start, n = 0;
    QP_TRY(QP_NEW(a, list, m->n));
    QP_TRY(QP_NEW(a, member, m->n));
    QP_TRY(QP_NEW(a, start, m->n + 1));
    for (uint32_t i = 0; i < m->n; i++)
        if (singles || m->list[i].share >= 0) list[n++] = (entry){m->list[i].share, i};
    qsort(list, n, sizeof *list, by_share);
    out->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || list[i].share < 0 || list[i].share != list[i - 1].share) start[out->n++] = i;
        member[i] = list[i].module;
    }
    start[out->n] = n;
    out->member = member;
    out->start = start;
    return QP_OK;
}
