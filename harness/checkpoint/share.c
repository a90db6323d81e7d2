// SPDX-License-Identifier: Apache-2.0
// Which modules loaders fuse into one (shapes spec 2.2, 2.9): siblings under one parent.
#include "checkpoint/share.h"

#include <stdlib.h>
#include <string.h>

#include "checkpoint/names.h"

static const struct {
    int fused; // one number per fused linear
    const char *name;
} members[] = {
    {1, "q_proj"},   {1, "k_proj"},
    {1, "v_proj"},   {2, "gate_proj"},
    {2, "up_proj"},  {3, "w1"},
    {3, "w3"}, // Mixtral: gate and up
    {4, "q_a_proj"}, {4, "kv_a_proj_with_mqa"},
};

typedef struct sibling {
    qp_ck_module *module;
    uint32_t n_parent;
    int fused;
} sibling;

static int fused_of(const qp_ck_module *m, uint32_t *n_parent) {
    const uint32_t last = qp_ck_name_last(m->name, m->n_name), n = m->n_name - last;
    *n_parent = last;
    for (int i = 0; i < QP_COUNT(members); i++)
        if (strlen(members[i].name) == n && memcmp(m->name + last, members[i].name, n) == 0)
            return members[i].fused;
    return 0;
}

static int by_parent(const void *a, const void *b) {
    const sibling *x = a, *y = b;
    const int order = qp_ck_name_order(x->module->name, x->n_parent, y->module->name, y->n_parent);
    return order != 0 ? order : x->fused - y->fused;
}

qp_status qp_ck_share_number(qp_ck_module *list, uint32_t n, qp_arena *a, qp_err *err) {
    sibling *s;
    uint32_t n_siblings = 0, n_parent;
    for (uint32_t i = 0; i < n; i++) n_siblings += fused_of(&list[i], &n_parent) != 0;
    QP_TRY(QP_NEW(a, s, n_siblings));
    for (uint32_t i = 0, at = 0; i < n; i++) {
        list[i].share = -1;
        const int fused = fused_of(&list[i], &n_parent);
        if (fused != 0 && list[i].part[QP_CK_WEIGHT] != NULL)
            s[at++] = (sibling){&list[i], n_parent, fused};
        else if (fused != 0)
            n_siblings--;
    }
    qsort(s, n_siblings, sizeof *s, by_parent);
    int number = 0;
    for (uint32_t i = 0, end; i < n_siblings; i = end) {
        for (end = i + 1; end < n_siblings && by_parent(&s[i], &s[end]) == 0; end++) continue;
        if (end - i < 2) continue; // nothing to fuse with
        for (uint32_t j = i; j < end; j++) s[j].module->share = number;
        number++;
    }
    return QP_OK;
}
