// SPDX-License-Identifier: Apache-2.0
// Rule config-tensors for depth: a model of num_hidden_layers N has tensors of each layer 0..N-1 in at least
// one of its stacks. Counting alone misses none of the layers that a lost shard or a wrong slice takes away.
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

enum { DEEPEST = 1 << 16, NAMED = 64 }; // layers of a model; missing ones named

uint32_t qp_str_stack_end(const qp_ck_module *m) {
    int layer, expert;
    for (uint32_t end = 1; end < m->n_name; end++) { // the shortest prefix that holds the number
        if (m->name[end - 1] != '.' || m->name[end] < '0' || m->name[end] > '9') continue;
        uint32_t after = end;
        while (after < m->n_name && m->name[after] != '.') after++;
        qp_ck_name_numbers(m->name, after, &layer, &expert);
        if (layer >= 0) return end;
    }
    return 0;
}

typedef struct stack {
    const qp_ck_module *first;
    uint32_t n_prefix, seen; // bytes of "model.layers."; layers below N
} stack;

static bool is_under(const qp_ck_module *m, const stack *k) {
    return m->n_name > k->n_prefix && memcmp(m->name, k->first->name, k->n_prefix) == 0;
}

// Modules lie in the order of names: those of one stack are neighbours. marks: N places, of this stack where
// they hold its first place + 1: a million stacks of one layer must not clear them a million times.
static stack stack_at(const qp_ck_modules *list, uint32_t *at, int64_t n_layers, uint32_t *marks) {
    const uint32_t mine = *at + 1;
    stack k = {.first = &list->list[*at], .n_prefix = qp_str_stack_end(&list->list[*at])};
    for (; *at < list->n && is_under(&list->list[*at], &k); (*at)++) {
        const int layer = list->list[*at].layer;
        const char *number = list->list[*at].name + k.n_prefix;
        if (number[0] == '0' && list->list[*at].n_name > k.n_prefix + 1 && number[1] != '.') continue; // "01"
        if (layer < 0 || layer >= n_layers || marks[layer] == mine) continue;
        marks[layer] = mine;
        k.seen++;
    }
    return k;
}

static qp_status say_missing(const qp_str *s, const stack *k, int64_t n_layers, const uint32_t *marks,
                             qp_err *err) {
    const int64_t missing = n_layers - (int64_t)k->seen;
    const uint32_t mine = (uint32_t)(k->first - s->audit->modules.list) + 1;
    int64_t named = 0;
    for (int64_t i = 0; i < n_layers && named < NAMED; i++) {
        const char *name;
        if (marks[i] == mine) continue;
        QP_TRY(qp_arena_printf(s->arena, &name, err, "%.*s%lld", (int)k->n_prefix, k->first->name,
                               (long long)i));
        QP_TRY(qp_ck_found(s->findings, QP_CK_CONFIG_TENSORS, name, strlen(name),
                           "loaders stop, or run the layer with weights as they were allocated", err,
                           "num_hidden_layers is %lld: wanted layers 0..%lld, got no tensor of this one "
                           "(%lld missing)",
                           (long long)n_layers, (long long)n_layers - 1, (long long)missing));
        named++;
    }
    return QP_OK;
}

// Neither an adapter nor a draft of a few layers: what embeds its tokens is whole. Pruned architectures say
// by block_configs which layers have nothing in them.
static bool is_whole(const qp_str *s) {
    const qp_ck_modules *list = &s->audit->modules;
    if (s->audit->ckpt.part || json_object_get(s->audit->ckpt.config.root, "block_configs") != NULL)
        return false;
    for (uint32_t i = 0; i < list->n; i++)
        if (list->list[i].layer < 0 && qp_ck_name_is_embedding(list->list[i].name, list->list[i].n_name))
            return true;
    return false;
}

qp_status qp_str_layers(const qp_str *s, qp_err *err) {
    static const char *const keys[] = {"num_hidden_layers"};
    const qp_ck_modules *list = &s->audit->modules;
    const int64_t n_layers = qp_str_config_number(&s->audit->ckpt, keys, QP_COUNT(keys));
    uint32_t *marks;
    stack best = {0};
    if (n_layers < 1 || n_layers > DEEPEST || !is_whole(s)) return QP_OK;
    QP_TRY(QP_NEW(s->arena, marks, (size_t)n_layers));
    for (uint32_t i = 0; i < list->n;) {
        if (list->list[i].layer < 0 || qp_str_stack_end(&list->list[i]) == 0) {
            i++;
            continue;
        }
        const stack k = stack_at(list, &i, n_layers, marks);
        if (k.seen > best.seen) best = k;
    }
    if (best.seen == 0 || (int64_t)best.seen == n_layers) return QP_OK;
    uint32_t again = (uint32_t)(best.first - list->list);
    best = stack_at(list, &again, n_layers, marks); // its marks, later stacks wrote over them
    return say_missing(s, &best, n_layers, marks, err);
}
