// SPDX-License-Identifier: Apache-2.0
// The global amax of a static weight on one rank, and the shared groups as that rank holds them, under both
// sync policies. invariant: over the full weights of all members, whatever the layout. modelopt-0.47
// (pipeline spec A.3): an ungrouped weight keeps the maximum of its own shard; groups are formed per rank,
// and those of routed experts are merged over EP slot by slot.
#include <stdlib.h>
#include <string.h>

#include "oracle/truth.h"

uint32_t oracle_local_tensor_amax(const module_truth *t, const qp_layout *l, int rank) {
    int64_t rows, cols, nb = oracle_blocks(t->module->in);
    ref_local_shape(t->module, l, rank, &rows, &cols);
    int64_t block0 = cols > 0 ? ref_global_col(t->module, l, rank, 0) / ORACLE_BLOCK : 0;
    uint32_t max = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t row = ref_global_row(t->module, l, rank, r);
        for (int64_t b = block0; b < block0 + oracle_blocks(cols); b++)
            max = ref_max_image(max, ref_load_f32(t->dtype, t->block_amax, row * nb + b));
    }
    return max;
}

// The groups that the names held by one rank form among themselves.
typedef struct rank_groups {
    int *modules;  // [n] indices of the modules held
    int *group_of; // [n] by position
    int n;
} rank_groups;

static qp_status group_rank(const qp_oracle *o, const qp_layout *l, int rank, qp_arena *a, rank_groups *out,
                            qp_err *err) {
    qp_module *mods;
    bool *enabled;
    qp_pattern_hit *hits;
    QP_TRY(QP_NEW(a, out->modules, o->n + 1));
    QP_TRY(QP_NEW(a, out->group_of, o->n + 1));
    QP_TRY(QP_NEW(a, mods, o->n + 1));
    QP_TRY(QP_NEW(a, enabled, o->n + 1));
    QP_TRY(QP_NEW(a, hits, o->n + 1));
    out->n = 0;
    for (int i = 0; i < o->n; i++) {
        if (!ref_holds(o->mods[i].module, l, rank)) continue;
        mods[out->n] = *o->mods[i].module;
        enabled[out->n] = o->mods[i].weight.enabled;
        if (o->hits != NULL) hits[out->n] = o->hits[i];
        out->modules[out->n++] = i;
    }
    if (o->spec.sync == QP_SYNC_MODELOPT_047) {
        ref_groups(mods, enabled, o->hits != NULL ? hits : NULL, out->n, out->group_of);
        return QP_OK;
    }
    for (int p = 0; p < out->n; p++) { // the groups of the whole model, as far as they are held
        out->group_of[p] = -1;
        int group = o->mods[out->modules[p]].group;
        for (int q = 0; group >= 0 && q <= p && out->group_of[p] < 0; q++)
            if (o->mods[out->modules[q]].group == group) out->group_of[p] = q;
    }
    return QP_OK;
}

static uint32_t members_amax(const qp_oracle *o, const rank_groups *g, int first) {
    uint32_t max = 0;
    for (int p = first; p < g->n; p++)
        if (g->group_of[p] == first) max = ref_max_image(max, o->mods[g->modules[p]].tensor_amax);
    return max;
}

static bool is_routed(const qp_oracle *o, const rank_groups *g, int first) {
    return o->mods[g->modules[first]].module->expert >= 0;
}

// Which of the rank's routed groups is the one that begins at 'first'?
static int slot_of(const qp_oracle *o, const rank_groups *g, int first) {
    int slot = 0;
    for (int p = 0; p < first; p++) slot += g->group_of[p] == p && is_routed(o, g, p);
    return slot;
}

static int first_of_slot(const qp_oracle *o, const rank_groups *g, int slot) {
    for (int p = 0; p < g->n; p++)
        if (g->group_of[p] == p && is_routed(o, g, p) && slot-- == 0) return p;
    return -1;
}

// A rank of the same pipeline stage that is ep_rank 'ep'; its other coordinates do not matter for what it
// holds.
static int rank_of_ep(const qp_layout *l, int ep) {
    int n = l->dp * l->cp * l->tp;
    for (int r = 0; r < n; r++)
        if (ref_coord(l, r).ep_rank == ep) return r;
    return 0;
}

static qp_status group_amax_047(const qp_oracle *o, const qp_layout *l, const rank_groups *mine, int first,
                                qp_arena *a, uint32_t *image, qp_err *err) {
    *image = members_amax(o, mine, first);
    if (!is_routed(o, mine, first)) return QP_OK;
    int slot = slot_of(o, mine, first);
    for (int ep = 0; ep < l->ep; ep++) {
        rank_groups peer;
        QP_TRY(group_rank(o, l, rank_of_ep(l, ep), a, &peer, err));
        int other = first_of_slot(o, &peer, slot);
        if (other >= 0) *image = ref_max_image(*image, members_amax(o, &peer, other));
    }
    return QP_OK;
}

qp_status oracle_global_amax(const qp_oracle *o, const module_truth *t, const qp_layout *l, int rank,
                             uint32_t *image, qp_err *err) {
    *image = t->group_amax;
    if (o->spec.sync == QP_SYNC_INVARIANT) return QP_OK;
    if (t->group < 0) {
        *image = oracle_local_tensor_amax(t, l, rank);
        return QP_OK;
    }
    qp_arena *scratch = qp_arena_new();
    if (scratch == NULL) QP_FAIL(QP_NOMEM, "out of memory for the groups of a rank");
    qp_status status = QP_OK;
    rank_groups mine;
    QP_TRY_GOTO(status, group_rank(o, l, rank, scratch, &mine, err), out);
    int index = (int)(t - o->mods);
    for (int p = 0; p < mine.n; p++) {
        if (mine.modules[p] != index) continue;
        if (mine.group_of[p] < 0)
            *image = oracle_local_tensor_amax(t, l, rank); // its partners live on other ranks
        else
            QP_TRY_GOTO(status, group_amax_047(o, l, &mine, mine.group_of[p], scratch, image, err), out);
    }
out:
    qp_arena_free(scratch);
    return status;
}

// ---- groups as evidence --------------------

static bool is_number(const char *begin, const char *end) {
    for (const char *c = begin; c < end; c++)
        if (*c < '0' || *c > '9') return false;
    return begin < end;
}

static const char *component_end(const char *s) {
    while (*s != 0 && *s != '.') s++;
    return s;
}

// Lowest common ancestor of the members' names by whole components; a list (whose child is a bare number) is
// no parent.
static qp_status find_parent(const char *const *names, int n_names, qp_arena *a, const char **out,
                             qp_err *err) {
    const char *first = names[0];
    size_t length = 0, begin = 0; // of the ancestor so far; of the component looked at
    for (;;) {
        const char *end = component_end(first + begin);
        if (*end == 0) break; // the member itself
        size_t n = (size_t)(end - first) + 1;
        bool shared = true;
        for (int i = 1; i < n_names; i++) shared = shared && strncmp(first, names[i], n) == 0;
        if (!shared) break;
        length = n - 1;
        begin = n;
    }
    while (length > 0 && is_number(first + length + 1, component_end(first + length + 1))) {
        while (length > 0 && first[length - 1] != '.') length--;
        if (length > 0) length--;
    }
    return qp_arena_printf(a, out, err, "%.*s", (int)length, first);
}

// Under modelopt-0.47 a rank knows its experts by their local number only, and so the parent of a group.
static qp_status rank_name(const qp_oracle *o, const qp_module *m, const qp_layout *l, qp_arena *a,
                           const char **out, qp_err *err) {
    const char *star = strchr(m->projection, '*');
    *out = m->fqn;
    if (o->spec.sync == QP_SYNC_INVARIANT || m->expert < 0 || star == NULL) return QP_OK;
    return qp_arena_printf(a, out, err, "%.*s%d%s", (int)(star - m->projection), m->projection,
                           m->expert % (m->n_experts / l->ep), star + 1);
}

static int compare_groups(const void *pa, const void *pb) {
    const qp_group_ev *a = pa, *b = pb;
    int c = strcmp(a->parent, b->parent);
    return c != 0 ? c : strcmp(a->members[0], b->members[0]);
}

static qp_status describe(const qp_oracle *o, const qp_layout *l, const rank_groups *g, int first, int rank,
                          qp_arena *a, qp_group_ev *out, qp_err *err) {
    const char **names, **local_names;
    uint32_t *values;
    QP_TRY(QP_NEW(a, names, g->n));
    QP_TRY(QP_NEW(a, local_names, g->n));
    QP_TRY(QP_NEW(a, values, g->n));
    *out = (qp_group_ev){.rank = rank, .members = names, .member_global_amax = values};
    const module_truth *t = &o->mods[g->modules[first]];
    out->has_global = oracle_has_block_amax(&t->weight);
    if (out->has_global) QP_TRY(oracle_global_amax(o, t, l, rank, &out->global_amax, err));
    for (int p = first; p < g->n; p++) {
        if (g->group_of[p] != first) continue;
        const qp_module *m = o->mods[g->modules[p]].module;
        QP_TRY(rank_name(o, m, l, a, &local_names[out->n_members], err));
        values[out->n_members] = out->global_amax;
        names[out->n_members++] = m->fqn;
    }
    return find_parent(local_names, out->n_members, a, &out->parent, err);
}

qp_status qp_oracle_groups(qp_oracle *o, const qp_layout *l, int rank, qp_arena *a, qp_group_ev **out,
                           int *n_out, qp_err *err) {
    rank_groups mine;
    *n_out = 0;
    QP_TRY(group_rank(o, l, rank, a, &mine, err));
    int n = 0;
    for (int p = 0; p < mine.n; p++) n += mine.group_of[p] == p;
    QP_TRY(QP_NEW(a, *out, n + 1));
    for (int p = 0; p < mine.n; p++)
        if (mine.group_of[p] == p) QP_TRY(describe(o, l, &mine, p, rank, a, &(*out)[(*n_out)++], err));
    if (n > 1) qsort(*out, (size_t)n, sizeof **out, compare_groups);
    return QP_OK;
}
