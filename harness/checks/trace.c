// SPDX-License-Identifier: Apache-2.0
// Collectives (I21): all ranks of one group issue the same ordered list of (op, count, dtype), whatever their
// data.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"

static bool in_group(const qp_trace_ev *e, const qp_trace_ev *like) {
    return e->group_id == like->group_id && strcmp(e->group, like->group) == 0;
}

static bool same_collective(const qp_trace_ev *a, const qp_trace_ev *b) {
    return strcmp(a->op, b->op) == 0 && a->count == b->count && strcmp(a->dtype, b->dtype) == 0;
}

// The next entry of the trace in that very group, from *i on; NULL at the end. *i is left behind it.
static const qp_trace_ev *next_in(const qp_rank_trace *t, const qp_trace_ev *like, int *i) {
    while (*i < t->n) {
        const qp_trace_ev *e = &t->entries[(*i)++];
        if (in_group(e, like)) return e;
    }
    return NULL;
}

// The first entry of each group that the trace uses. A rank is in one group of each kind, so there are few.
enum { MAX_GROUPS = 16 };
static int list_groups(const qp_rank_trace *t, const qp_trace_ev *first[MAX_GROUPS]) {
    int n = 0;
    for (int i = 0; i < t->n && n < MAX_GROUPS; i++) {
        int g = 0;
        while (g < n && !in_group(&t->entries[i], first[g])) g++;
        if (g == n) first[n++] = &t->entries[i];
    }
    return n;
}

static void describe(const qp_trace_ev *e, char *buf, size_t n) {
    if (e == NULL)
        snprintf(buf, n, "nothing");
    else
        snprintf(buf, n, "%s %" PRId64 " %s", e->op, e->count, e->dtype);
}

static void compare_pair(qp_finding *f, const qp_rank_trace *a, const qp_rank_trace *b,
                         const qp_trace_ev *like) {
    int i = 0, j = 0;
    for (int64_t step = 0;; step++) {
        const qp_trace_ev *x = next_in(a, like, &i), *y = next_in(b, like, &j);
        if (x == NULL && y == NULL) return;
        f->n_judged++;
        if (x != NULL && y != NULL && same_collective(x, y)) continue;
        if (f->n_diff++ > 0) return;
        snprintf(f->where, sizeof f->where, "group %s collective %" PRId64 " ranks %d and %d", like->group,
                 step, a->rank, b->rank);
        describe(x, f->want, sizeof f->want);
        describe(y, f->got, sizeof f->got);
        finding_fail(f, QP_FAILED, QP_WHY_COLLECTIVE, "%s: rank %d issues %s, rank %d issues %s", f->where,
                     a->rank, f->want, b->rank, f->got);
        return;
    }
}

// Every rank is in exactly one group of each kind, so a kind that one rank uses and another never does is a
// hole.
static void compare_kinds(qp_finding *f, const qp_rank_trace *a, const qp_rank_trace *b) {
    const qp_trace_ev *of_a[MAX_GROUPS], *of_b[MAX_GROUPS];
    int n_a = list_groups(a, of_a), n_b = list_groups(b, of_b);
    for (int i = 0; i < n_a; i++) {
        int j = 0;
        while (j < n_b && strcmp(of_a[i]->group, of_b[j]->group) != 0) j++;
        if (j < n_b) continue;
        f->n_judged++;
        if (f->n_diff++ > 0) return;
        snprintf(f->where, sizeof f->where, "group %s ranks %d and %d", of_a[i]->group, a->rank, b->rank);
        finding_fail(f, QP_FAILED, QP_WHY_COLLECTIVE,
                     "rank %d issues collectives over its %s group, rank %d none at all", a->rank,
                     of_a[i]->group, b->rank);
        return;
    }
}

// The next rank that is in this very group: members are compared in a chain.
static const qp_rank_trace *next_member(const qp_case_ev *ev, int after, const qp_trace_ev *like) {
    for (int b = after + 1; b < ev->n_ranks; b++) {
        const qp_trace_ev *first[MAX_GROUPS];
        int n = list_groups(&ev->traces[b], first);
        for (int g = 0; g < n; g++)
            if (in_group(first[g], like)) return &ev->traces[b];
    }
    return NULL;
}

qp_finding check_collective_trace(const qp_case_ev *ev) {
    qp_finding f = finding_new("collective-trace");
    for (int a = 0; a < ev->n_ranks; a++) {
        const qp_trace_ev *first[MAX_GROUPS];
        int n = list_groups(&ev->traces[a], first);
        for (int g = 0; g < n; g++) {
            const qp_rank_trace *peer = next_member(ev, a, first[g]);
            if (peer != NULL) compare_pair(&f, &ev->traces[a], peer, first[g]);
        }
        if (a == 0) continue;
        compare_kinds(&f, &ev->traces[0], &ev->traces[a]);
        compare_kinds(&f, &ev->traces[a], &ev->traces[0]);
    }
    return f;
}
