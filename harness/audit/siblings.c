// SPDX-License-Identifier: Apache-2.0
// Rule config-tensors for the members of one layer: where the same block of three layers or more has a
// projection and a single layer's has all its others but not this one, it was lost. Blocks of another kind
// (Mamba beside attention, dense beside experts) have other members and are not compared; architectures that
// leave projections out say so for more than one layer, or by block_configs.
#include <stdlib.h>
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

static const char *const words[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                    "gate_proj", "up_proj", "down_proj"};
enum { MASKS = 1 << QP_COUNT(words), OTHERS = 3 }; // layers that must have what one lacks

typedef struct block { // "model.layers.7.self_attn": prefix "model.layers.", rest ".self_attn"
    const qp_ck_module *module;
    uint32_t n, n_prefix, at_rest;
    unsigned mask; // bits of words that lie below it
} block;

static unsigned bit_of(const qp_ck_module *m, uint32_t last) {
    for (int i = 0; i < QP_COUNT(words); i++)
        if (strlen(words[i]) == m->n_name - last && memcmp(m->name + last, words[i], m->n_name - last) == 0)
            return 1u << i;
    return 0;
}

static bool take(const qp_ck_module *m, block *out) {
    const uint32_t last = qp_ck_name_last(m->name, m->n_name);
    const unsigned bit = bit_of(m, last);
    if (bit == 0 || m->part[QP_CK_WEIGHT] == NULL || m->layer < 0 || m->expert >= 0) return false;
    *out = (block){.module = m, .n = last > 0 ? last - 1 : 0, .n_prefix = qp_str_stack_end(m), .mask = bit};
    out->at_rest = out->n_prefix;
    while (out->at_rest < out->n && m->name[out->at_rest] != '.') out->at_rest++;
    return out->n_prefix > 0 && out->n_prefix < out->n;
}

static int by_kind(const block *x, const block *y) {
    const char *a = x->module->name, *b = y->module->name;
    const int order = qp_ck_name_order(a, x->n_prefix, b, y->n_prefix);
    return order != 0
               ? order
               : qp_ck_name_order(a + x->at_rest, x->n - x->at_rest, b + y->at_rest, y->n - y->at_rest);
}

static int by_kind_and_layer(const void *a, const void *b) {
    const block *x = a, *y = b;
    const int order = by_kind(x, y);
    return order != 0 ? order : (x->module->layer > y->module->layer) - (x->module->layer < y->module->layer);
}

static uint32_t merge(block *list, uint32_t n) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept > 0 && by_kind_and_layer(&list[kept - 1], &list[i]) == 0)
            list[kept - 1].mask |= list[i].mask;
        else
            list[kept++] = list[i];
    }
    return kept;
}

static qp_status say_lost(const qp_str *s, const block *b, int word, uint32_t others, qp_err *err) {
    const char *name;
    QP_TRY(qp_arena_printf(s->arena, &name, err, "%.*s.%s", (int)b->n, b->module->name, words[word]));
    return qp_ck_found(s->findings, QP_CK_CONFIG_TENSORS, name, strlen(name),
                       "loaders stop, or run the linear with weights as they were allocated", err,
                       "%u other layers have this linear beside the ones that this layer has: wanted its "
                       "tensors, got none",
                       others);
}

// list[0 .. n): one kind of block, a layer each.
static qp_status judge_kind(const qp_str *s, const block *list, uint32_t n, qp_err *err) {
    uint32_t counts[MASKS] = {0};
    for (uint32_t i = 0; i < n; i++) counts[list[i].mask]++;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned mine = list[i].mask;
        unsigned whole = mine;
        if (counts[mine] != 1) continue;
        for (unsigned m = 0; m < MASKS; m++)
            if ((m & mine) == mine && m != mine && counts[m] >= OTHERS && counts[m] > counts[whole])
                whole = m;
        for (int w = 0; w < QP_COUNT(words); w++)
            if (((whole & ~mine) >> w & 1) != 0) QP_TRY(say_lost(s, &list[i], w, counts[whole], err));
    }
    return QP_OK;
}

qp_status qp_str_siblings(const qp_str *s, qp_err *err) {
    const qp_ck_modules *modules = &s->audit->modules;
    block *list, one;
    uint32_t n = 0;
    if (s->audit->ckpt.part || json_object_get(s->audit->ckpt.config.root, "block_configs") != NULL)
        return QP_OK;
    for (uint32_t i = 0; i < modules->n; i++) n += take(&modules->list[i], &one);
    QP_TRY(QP_NEW(s->arena, list, n));
    n = 0;
    for (uint32_t i = 0; i < modules->n; i++)
        if (take(&modules->list[i], &one)) list[n++] = one;
    qsort(list, n, sizeof *list, by_kind_and_layer);
    n = merge(list, n);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && by_kind(&list[i], &list[end]) == 0; end++) continue;
        QP_TRY(judge_kind(s, list + i, end - i, err));
    }
    return QP_OK;
}
