// SPDX-License-Identifier: Apache-2.0
// Rule expert-set: under every `experts` the same projections for exactly the ids 0..E-1, once each. E comes
// from the config, else from the router's rows, else it is the largest id + 1. Stacks count by their size.
#include <stdlib.h>
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

enum { PROJECTIONS = 16, NAMED = 4096 }; // projections of one expert; missing names said per layer

typedef struct expert { // one weight of one expert
    const qp_ck_module *module;
    uint32_t n_parent, rest; // "...experts", and where the projection begins
    int id;
} expert;

static const char *const keys[] = {"num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts",
                                   "num_moe_experts"};
static const char lost[] = "loaders fill what they find: the expert stays uninitialised, or loading stops";
static const char beyond[] = "loaders drop it or index beyond their table";

static int by_place(const void *a, const void *b) {
    const expert *x = a, *y = b;
    const char *xs = x->module->name, *ys = y->module->name;
    const int order = qp_ck_name_order(xs, x->n_parent, ys, y->n_parent);
    if (order != 0) return order;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return qp_ck_name_order(xs + x->rest, x->module->n_name - x->rest, ys + y->rest,
                            y->module->n_name - y->rest);
}

// ---- the config
// -----------------------------------------------------------------------------------------------------------

static bool take_number(const json_t *object, const char *const *names, int n, int64_t *value) {
    for (int i = 0; i < n; i++) {
        const json_t *j = json_object_get(object, names[i]);
        if (!json_is_integer(j)) continue;
        if (*value >= 0 && *value != json_integer_value(j)) return false;
        *value = json_integer_value(j);
    }
    return true;
}

int64_t qp_str_config_number(const qp_ckpt *c, const char *const *names, int n) {
    static const char *const parts[] = {"text_config", "llm_config", "language_config", "language_model"};
    int64_t value = -1;
    if (c->config.root == NULL || !take_number(c->config.root, names, n, &value)) return -1;
    for (int i = 0; i < QP_COUNT(parts) && value < 0; i++)
        if (!take_number(json_object_get(c->config.root, parts[i]), names, n, &value)) return -1;
    return value;
}

// ---- one layer
// ------------------------------------------------------------------------------------------------------------

static const qp_ck_module *router_of(const qp_str *s, const char *name, uint32_t n_parent) {
    static const char *const names[] = {"gate", "router"};
    char path[512];
    const uint32_t n = qp_ck_name_last(name, n_parent);
    for (int i = 0; i < QP_COUNT(names) && n + 8 < sizeof path; i++) {
        memcpy(path, name, n);
        memcpy(path + n, names[i], strlen(names[i]));
        const qp_ck_module *m = qp_ck_module_find(&s->audit->modules, path, n + strlen(names[i]));
        if (m != NULL && m->part[QP_CK_WEIGHT] != NULL && m->part[QP_CK_WEIGHT]->n_dims == 2) return m;
    }
    return NULL;
}

static int64_t wanted_experts(const qp_str *s, const expert *e, uint32_t n) {
    const int64_t said = qp_str_config_number(&s->audit->ckpt, keys, QP_COUNT(keys));
    if (said > 0) return said;
    const qp_ck_module *router = router_of(s, e[0].module->name, e[0].n_parent);
    const int64_t last = (int64_t)e[n - 1].id + 1;
    return router != NULL && (int64_t)router->part[QP_CK_WEIGHT]->dims[0] > last
               ? (int64_t)router->part[QP_CK_WEIGHT]->dims[0]
               : last;
}

typedef struct projection {
    const char *name;
    uint32_t n;
} projection;

static int projection_of(projection *list, int *n, const expert *e) {
    const char *name = e->module->name + e->rest;
    const uint32_t len = e->module->n_name - e->rest;
    for (int i = 0; i < *n; i++)
        if (list[i].n == len && memcmp(list[i].name, name, len) == 0) return i;
    if (*n == PROJECTIONS) return -1;
    list[*n] = (projection){name, len};
    return (*n)++;
}

typedef struct layer {
    const expert *e;
    uint32_t n;
    int64_t wanted;
    projection projections[PROJECTIONS];
    int n_projections;
    uint64_t named, unnamed;
} layer;

// p NULL: the whole expert.
static qp_status say_lost(const qp_str *s, layer *l, int64_t id, const projection *p, qp_err *err) {
    const expert *e = &l->e[0];
    const char *name;
    if (l->named >= NAMED) {
        l->unnamed++;
        return QP_OK;
    }
    l->named++;
    QP_TRY(qp_arena_printf(s->arena, &name, err, "%.*s.%lld%s%.*s", (int)e->n_parent, e->module->name,
                           (long long)id, p != NULL ? "." : "", p != NULL ? (int)p->n : 0,
                           p != NULL ? p->name : ""));
    return qp_ck_found(s->findings, QP_CK_EXPERT_SET, name, strlen(name), lost, err,
                       "wanted experts 0..%lld, each with %d projections; got %s of expert %lld",
                       (long long)l->wanted - 1, l->n_projections, p != NULL ? "no such weight" : "nothing",
                       (long long)id);
}

static qp_status judge_expert(const qp_str *s, layer *l, int64_t id, unsigned seen, qp_err *err) {
    if (seen == 0) return say_lost(s, l, id, NULL, err);
    for (int i = 0; i < l->n_projections; i++)
        if ((seen >> i & 1) == 0) QP_TRY(say_lost(s, l, id, &l->projections[i], err));
    return QP_OK;
}

static bool is_padded(const expert *e) { // experts.03
    const uint32_t at = e->n_parent + 1;
    const char *name = e->module->name;
    return at + 1 < e->module->n_name && name[at] == '0' && name[at + 1] != '.';
}

static qp_status say_padded(const qp_str *s, const expert *e, qp_err *err) {
    return qp_ck_found(s->findings, QP_CK_EXPERT_SET, e->module->name, e->module->n_name, lost, err,
                       "the number has a leading zero: wanted experts.%d, the name that loaders look for",
                       e->id);
}

static qp_status say_beyond(const qp_str *s, const layer *l, const expert *e, qp_err *err) {
    return qp_ck_found(s->findings, QP_CK_EXPERT_SET, e->module->name, e->module->n_name, beyond, err,
                       "wanted experts 0..%lld, got expert %d", (long long)l->wanted - 1, e->id);
}

static qp_status judge_layer(const qp_str *s, layer *l, qp_err *err) {
    for (uint32_t i = 0; i < l->n; i++) projection_of(l->projections, &l->n_projections, &l->e[i]);
    l->wanted = wanted_experts(s, l->e, l->n);
    if (s->audit->ckpt.part) l->named = NAMED; // the others may lie in another shard
    uint32_t at = 0;
    for (int64_t id = 0; id < l->wanted; id++) {
        unsigned seen = 0;
        const int64_t next = at < l->n && l->e[at].id < l->wanted ? l->e[at].id : l->wanted;
        if (l->named >= NAMED && next > id) { // enough was said: on to the next one that is there
            l->unnamed += (uint64_t)(next - id);
            id = next - 1;
            continue;
        }
        for (; at < l->n && l->e[at].id == id; at++) {
            const int p = projection_of(l->projections, &l->n_projections, &l->e[at]);
            if (p >= 0 && (seen >> p & 1) != 0) // experts.1 and experts.01
                QP_TRY(qp_ck_found(s->findings, QP_CK_EXPERT_SET, l->e[at].module->name,
                                   l->e[at].module->n_name, NULL, err,
                                   "wanted expert %lld once, got it twice", (long long)id));
            if (is_padded(&l->e[at])) QP_TRY(say_padded(s, &l->e[at], err));
            if (p >= 0) seen |= 1u << p;
        }
        QP_TRY(judge_expert(s, l, id, seen, err));
    }
    for (; at < l->n; at++) QP_TRY(say_beyond(s, l, &l->e[at], err));
    if (l->unnamed == 0 || s->audit->ckpt.part) return QP_OK;
    return qp_ck_found(s->findings, QP_CK_EXPERT_SET, l->e[0].module->name, l->e[0].n_parent, lost, err,
                       "%llu more are not there", (unsigned long long)l->unnamed);
}

// ---- stacks, and layers without any expert
// -------------------------------------------------------------------------------

static bool under_experts(const qp_ck_module *m) {
    const uint32_t last = qp_ck_name_last(m->name, m->n_name);
    return last >= 8 && memcmp(m->name + last - 8, "experts.", 8) == 0 &&
           (last == 8 || m->name[last - 9] == '.');
}

static qp_status judge_stack(const qp_str *s, const qp_ck_module *m, int64_t wanted, qp_err *err) {
    if (wanted <= 0 || m->stack <= 0 || m->part[QP_CK_WEIGHT]->n_dims < 3 || m->stack == wanted) return QP_OK;
    return qp_ck_found(s->findings, QP_CK_EXPERT_SET, m->part[QP_CK_WEIGHT]->name,
                       m->part[QP_CK_WEIGHT]->n_name, lost, err, "wanted a stack of %lld experts, got %lld",
                       (long long)wanted, (long long)m->stack);
}

// Is there a module whose name begins so? The list is in the order of names.
static bool any_under(const qp_ck_modules *m, const char *prefix, uint32_t n) {
    uint32_t low = 0, high = m->n;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (qp_ck_name_order(m->list[mid].name, m->list[mid].n_name, prefix, n) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->n && m->list[low].n_name >= n && memcmp(m->list[low].name, prefix, n) == 0;
}

// 1: its experts are beside it; 0: they are not; -1: no router.
static int router_state(const qp_str *s, const qp_ck_module *m, int64_t wanted) {
    const uint32_t last = qp_ck_name_last(m->name, m->n_name), n = m->n_name - last;
    const bool named = (n == 4 && memcmp(m->name + last, "gate", 4) == 0) ||
                       (n == 6 && memcmp(m->name + last, "router", 6) == 0);
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    char path[512];
    if (!named || w == NULL || w->n_dims != 2 || (int64_t)w->dims[0] != wanted || last + 8 > sizeof path)
        return -1;
    memcpy(path, m->name, last);
    memcpy(path + last, "experts.", 8);
    return any_under(&s->audit->modules, path, last + 8);
}

// By name, or as stacks under any other one. Shared experts are no routed ones.
static bool any_experts(const qp_ck_modules *list) {
    static const char word[] = "expert", shared[] = "shared_";
    const size_t before = sizeof shared - 1;
    for (uint32_t i = 0; i < list->n; i++) {
        const qp_ck_module *m = &list->list[i];
        const char *at = memmem(m->name, m->n_name, word, sizeof word - 1);
        if (m->linear && m->part[QP_CK_WEIGHT]->n_dims > 2) return true;
        if (at == NULL) continue;
        if (at < m->name + before || memcmp(at - before, shared, before) != 0) return true;
    }
    return false;
}

static qp_status judge_routers(const qp_str *s, int64_t wanted, qp_err *err) {
    const qp_ck_modules *list = &s->audit->modules;
    bool beside = false; // do experts of this model lie beside their router at all?
    for (uint32_t i = 0; i < list->n && !beside; i++) beside = router_state(s, &list->list[i], wanted) == 1;
    if (!beside && any_experts(list)) return QP_OK; // they lie elsewhere in this architecture
    for (uint32_t i = 0; i < list->n; i++) {
        const qp_ck_module *m = &list->list[i];
        if (router_state(s, m, wanted) != 0) continue;
        QP_TRY(qp_ck_found(s->findings, QP_CK_EXPERT_SET, m->name, m->n_name, lost, err,
                           "a router of %lld experts: wanted experts beside it, got none",
                           (long long)wanted));
    }
    return QP_OK;
}

qp_status qp_str_experts(const qp_str *s, qp_err *err) {
    const qp_ck_modules *list = &s->audit->modules;
    const int64_t said = qp_str_config_number(&s->audit->ckpt, keys, QP_COUNT(keys));
    uint32_t n = 0, parent, rest;
    int id;
    expert *e;
    for (uint32_t i = 0; i < list->n; i++) n += list->list[i].expert >= 0;
    QP_TRY(QP_NEW(s->arena, e, n));
    n = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        const qp_ck_module *m = &list->list[i];
        if (m->part[QP_CK_WEIGHT] == NULL) continue;
        if (m->expert < 0 && under_experts(m)) QP_TRY(judge_stack(s, m, said, err));
        if (m->expert >= 0 && qp_ck_name_expert(m->name, m->n_name, &parent, &rest, &id))
            e[n++] = (expert){m, parent, rest, id};
    }
    qsort(e, n, sizeof *e, by_place);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && qp_ck_name_order(e[i].module->name, e[i].n_parent, e[end].module->name,
                                                      e[end].n_parent) == 0;)
            end++;
        layer l = {.e = &e[i], .n = end - i};
        QP_TRY(judge_layer(s, &l, err));
    }
    return said > 1 && !s->audit->ckpt.part ? judge_routers(s, said, err) : QP_OK;
}
