// SPDX-License-Identifier: Apache-2.0
// Shared groups as the ranks hold them against the groups that the names and patterns demand (I7, I4).
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"

static int compare_key(const qp_group_ev *a, const qp_group_ev *b) {
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    return strcmp(a->parent, b->parent);
}

static bool same_members(const qp_group_ev *a, const qp_group_ev *b) {
    if (a->n_members != b->n_members) return false;
    for (int i = 0; i < a->n_members; i++)
        if (strcmp(a->members[i], b->members[i]) != 0) return false;
    return true;
}

static void place(qp_finding *f, const qp_group_ev *g) {
    if (f->n_diff == 1)
        snprintf(f->where, sizeof f->where, "group %s rank %d first member %s", g->parent, g->rank,
                 g->n_members > 0 ? g->members[0] : "(none)");
}

// One parent may own several groups (q/k/v and gate/up of one block): equal keys are a run, matched by
// members.
static int run_end(const qp_group_ev *g, int n, int i) {
    int end = i + 1;
    while (end < n && compare_key(&g[i], &g[end]) == 0) end++;
    return end;
}

static const qp_group_ev *find_members(const qp_group_ev *g, int begin, int end, const qp_group_ev *like) {
    for (int i = begin; i < end; i++)
        if (same_members(&g[i], like)) return &g[i];
    return NULL;
}

static void report_odd(qp_finding *f, const qp_group_ev *g, bool wanted) {
    f->n_diff++;
    place(f, g);
    finding_fail(f, QP_FAILED, wanted ? QP_WHY_MISSING : QP_WHY_UNEXPECTED,
                 wanted ? "the group of %d members below %s (first %s) is missing on rank %d"
                        : "a group of %d members below %s (first %s) should not be there on rank %d",
                 g->n_members, g->parent, g->n_members > 0 ? g->members[0] : "(none)", g->rank);
}

qp_finding check_group_members(const qp_case_ev *ev) {
    qp_finding f = finding_new("group-members");
    int i = 0, j = 0;
    while (i < ev->n_groups || j < ev->n_want_groups) {
        int order = i >= ev->n_groups        ? 1
                    : j >= ev->n_want_groups ? -1
                                             : compare_key(&ev->groups[i], &ev->want_groups[j]);
        int got_end = order <= 0 ? run_end(ev->groups, ev->n_groups, i) : i;
        int want_end = order >= 0 ? run_end(ev->want_groups, ev->n_want_groups, j) : j;
        for (int w = j; w < want_end; w++) {
            f.n_judged++;
            if (find_members(ev->groups, i, got_end, &ev->want_groups[w]) == NULL)
                report_odd(&f, &ev->want_groups[w], true);
        }
        for (int g = i; g < got_end; g++)
            if (find_members(ev->want_groups, j, want_end, &ev->groups[g]) == NULL) {
                f.n_judged++;
                report_odd(&f, &ev->groups[g], false);
            }
        i = got_end;
        j = want_end;
    }
    return f;
}

static const qp_group_ev *want_of(const qp_case_ev *ev, const qp_group_ev *g) {
    for (int i = 0; i < ev->n_want_groups; i++)
        if (compare_key(&ev->want_groups[i], g) == 0 && same_members(&ev->want_groups[i], g))
            return &ev->want_groups[i];
    return NULL;
}

static void report_value(qp_finding *f, const qp_group_ev *g, const char *who, uint32_t want, uint32_t got) {
    f->n_diff++;
    place(f, g);
    if (f->n_diff == 1) {
        snprintf(f->want, sizeof f->want, "%08" PRIx32, want);
        snprintf(f->got, sizeof f->got, "%08" PRIx32, got);
    }
    finding_fail(f, QP_FAILED, QP_WHY_DIFFERENT,
                 "rank %d holds global amax %08" PRIx32 " for %s of the group below %s, want %08" PRIx32,
                 g->rank, got, who, g->parent, want);
}

static bool same_value(uint32_t a, uint32_t b) {
    return element_is_nan(KIND_FP32, a) ? element_is_nan(KIND_FP32, b) : a == b;
}

qp_finding check_group_unity(const qp_case_ev *ev) {
    qp_finding f = finding_new("group-unity");
    for (int i = 0; i < ev->n_groups; i++) {
        const qp_group_ev *g = &ev->groups[i];
        const qp_group_ev *w = want_of(ev, g);
        if (!g->has_global && (w == NULL || !w->has_global)) continue;
        f.n_judged++;
        if (w != NULL && w->has_global && !g->has_global) {
            f.n_diff++;
            place(&f, g);
            finding_fail(&f, QP_FAILED, QP_WHY_MISSING, "the group below %s has no global amax on rank %d",
                         g->parent, g->rank);
            continue;
        }
        uint32_t law = w != NULL && w->has_global ? w->global_amax : g->global_amax;
        if (!same_value(law, g->global_amax)) report_value(&f, g, "the state", law, g->global_amax);
        if (g->member_global_amax == NULL) continue;
        for (int m = 0; m < g->n_members; m++)
            if (!same_value(law, g->member_global_amax[m]))
                report_value(&f, g, g->members[m], law, g->member_global_amax[m]);
    }
    return f;
}
