// SPDX-License-Identifier: Apache-2.0
// Stage group: shared groups (pipeline spec B) and their one global amax. Groups are found on global names
// over all linears of the layers, so that every rank knows a group whose members live elsewhere; under
// sync=modelopt-0.47 on the names that the rank sees.
#include <stdlib.h>
#include <string.h>

#include "pipeline/stages.h"

qp_status qp_step_clear_groups(qp_rank *r, qp_err *err) {
    (void)err;
    r->groups = NULL;
    r->n_groups = 0;
    for (int i = 0; i < r->n_q; i++) r->q[i].group = -1;
    return QP_OK;
}

// What can be in a group, in model order: held[i] is the quantizer here or -1.
typedef struct candidates {
    const char **names;
    bool *enabled;
    const qp_module **modules;
    int *held;
    int n;
} candidates;

static qp_status list_held(qp_rank *r, candidates *c, qp_err *err) {
    (void)err;
    for (int i = 0; i < r->n_q; i++) {
        if (r->q[i].fused) continue;
        c->names[c->n] = r->q[i].local_name;
        c->enabled[c->n] = r->q[i].weight_cfg.enabled;
        c->modules[c->n] = r->q[i].module;
        c->held[c->n++] = i;
    }
    return QP_OK;
}

static qp_status list_all(qp_rank *r, candidates *c, qp_err *err) {
    int next = 0; // r->q is a subsequence of the modules
    (void)err;
    for (int i = 0; i < r->n_modules; i++) {
        const qp_module *m = &r->job->model->modules[r->modules[i]];
        const bool here = next < r->n_q && r->q[next].module == m;
        if (m->quantizable && !(here && r->q[next].fused)) {
            qp_qconfig cfg;
            qp_recipe_resolve(r->job->recipe, m->fqn, "weight_quantizer", &cfg);
            c->names[c->n] = m->fqn;
            c->enabled[c->n] = cfg.enabled;
            c->modules[c->n] = m;
            c->held[c->n++] = here ? next : -1;
        }
        next += here;
    }
    return QP_OK;
}

static bool is_index(const char *s) {
    const size_t n = strspn(s, "0123456789");
    return n > 0 && (s[n] == 0 || s[n] == '.');
}

// Where the group hangs on this rank: the lowest common ancestor of the members held here, past lists (whose
// children are numbers).
static qp_status held_parent(qp_rank *r, qp_rank_group *g, qp_err *err) {
    const char *first = r->q[g->members[0]].module->fqn;
    size_t common = 0;
    for (size_t end = 0; first[end]; end++) {
        bool all = first[end] == '.';
        for (int k = 1; k < g->n_members && all; k++)
            all = strncmp(first, r->q[g->members[k]].module->fqn, end + 1) == 0;
        if (all) common = end;
    }
    while (common > 0 && is_index(first + common + 1)) {
        while (common > 0 && first[common - 1] != '.') common--;
        if (common > 0) common--;
    }
    return qp_arena_printf(r->arena, &g->parent, err, "%.*s", (int)common, first);
}

static int ep_rank_of(const qp_module *m, int ep) {
    return m->expert / (m->n_experts / ep);
}

static qp_status attach(qp_rank *r, const candidates *c, const qp_group *from, qp_rank_group *g,
                        qp_err *err) {
    int first_ep = -1;
    g->parent = from->parent;
    QP_TRY(QP_NEW(r->arena, g->members, from->n_members));
    for (int k = 0; k < from->n_members; k++) {
        const int i = from->members[k];
        const qp_module *m = c->modules[i];
        if (m->expert >= 0) {
            const int ep = ep_rank_of(m, r->layout.ep);
            g->spans_ep = g->spans_ep || (first_ep >= 0 && first_ep != ep);
            first_ep = ep;
            g->experts = true;
        } else {
            g->dense = true;
        }
        if (c->held[i] < 0) continue;
        g->members[g->n_members++] = c->held[i];
    }
    g->spans_ep = g->spans_ep || (g->experts && g->dense && r->layout.ep > 1);
    if (g->n_members > 0 && g->n_members < from->n_members) QP_TRY(held_parent(r, g, err));
    return QP_OK;
}

// Upstream walks the module tree from the root: a parent before what lies below it, siblings in model order.
typedef struct order {
    int first_below; // first candidate whose name lies below the parent
    size_t depth;
    int first_member, group;
} order;

static int compare_order(const void *pa, const void *pb) {
    const order *a = pa, *b = pb;
    if (a->first_below != b->first_below) return a->first_below < b->first_below ? -1 : 1;
    if (a->depth != b->depth) return a->depth < b->depth ? -1 : 1;
    return a->first_member < b->first_member ? -1 : a->first_member > b->first_member;
}

static bool lies_below(const char *name, const char *parent) {
    const size_t n = strlen(parent);
    return n == 0 || (strncmp(name, parent, n) == 0 && name[n] == '.');
}

static qp_status sort_groups(const candidates *c, const qp_group_list *list, qp_arena *a, order **out,
                             qp_err *err) {
    QP_TRY(QP_NEW(a, *out, list->n > 0 ? list->n : 1));
    for (int g = 0; g < list->n; g++) {
        order *o = &(*out)[g];
        *o = (order){
            .depth = strlen(list->groups[g].parent), .first_member = list->groups[g].members[0], .group = g};
        while (o->first_below < c->n && !lies_below(c->names[o->first_below], list->groups[g].parent))
            o->first_below++;
    }
    qsort(*out, (size_t)list->n, sizeof **out, compare_order);
    return QP_OK;
}

// Attaches the groups that the rank's patterns give. A linear that an earlier attach left in a group keeps it
// when it is in no new one; step clear_groups is what forgets (E-06).
qp_status qp_step_find_groups(qp_rank *r, qp_err *err) {
    candidates c = {0};
    qp_group_list list;
    order *sorted;
    const int n_max = r->n_modules > 0 ? r->n_modules : 1;
    qp_arena_reset(r->scratch);
    QP_TRY(QP_NEW(r->scratch, c.names, n_max));
    QP_TRY(QP_NEW(r->scratch, c.enabled, n_max));
    QP_TRY(QP_NEW(r->scratch, c.modules, n_max));
    QP_TRY(QP_NEW(r->scratch, c.held, n_max));
    QP_TRY(r->job->sync == QP_SYNC_INVARIANT ? list_all(r, &c, err) : list_held(r, &c, err));
    QP_TRY(qp_groups_find(c.names, c.enabled, c.n, r->patterns, r->n_patterns, r->arena, &list, err));
    QP_TRY(sort_groups(&c, &list, r->scratch, &sorted, err));
    qp_rank_group *groups;
    QP_TRY(QP_NEW(r->arena, groups, r->n_groups + list.n + 1));
    if (r->n_groups) memcpy(groups, r->groups, sizeof *groups * (size_t)r->n_groups);
    for (int g = 0; g < list.n; g++) {
        const int at = r->n_groups + g;
        QP_TRY(attach(r, &c, &list.groups[sorted[g].group], &groups[at], err));
        for (int k = 0; k < groups[at].n_members; k++) r->q[groups[at].members[k]].group = at;
    }
    r->groups = groups;
    r->n_groups += list.n;
    return QP_OK;
}

qp_status qp_step_populate_groups(qp_rank *r, qp_err *err) {
    (void)err;
    for (int i = 0; i < r->n_groups; i++) {
        qp_rank_group *g = &r->groups[i];
        g->global_amax = 0;
        g->has_global = g->spans_ep;
        for (int k = 0; k < g->n_members; k++) {
            const qp_amax *a = &r->q[g->members[k]].weight_amax;
            if (!a->has) continue;
            const uint32_t m = qp_image_max(a->images, a->rows * a->cols);
            if (m > g->global_amax) g->global_amax = m;
            g->has_global = true;
        }
    }
    return QP_OK;
}

qp_status qp_step_sync_groups(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_groups; i++) {
        QP_TRY(r->stages->sync_group_ep(r, &r->groups[i], err));
        QP_TRY(r->stages->sync_group_tp(r, &r->groups[i], err));
    }
    return QP_OK;
}

qp_status qp_step_populate_own(qp_rank *r, qp_err *err) {
    (void)err;
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        if (qp_is_static(q) && q->group < 0)
            q->own_global_amax =
                qp_image_max(q->weight_amax.images, q->weight_amax.rows * q->weight_amax.cols);
    }
    return QP_OK;
}
