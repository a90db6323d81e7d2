// SPDX-License-Identifier: Apache-2.0
// Cuts the selected modules into sets of layers that run together (layers.h).
#include "pipeline/layers.h"

static int root_of(int *parent, int i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

// slot[i]: number of module i's layer in order of first appearance.
static qp_status number_layers(const qp_model *m, qp_arena *a, int **slot, int *n, qp_err *err) {
    QP_TRY(QP_NEW(a, *slot, m->n_modules + 1));
    int *layer_of;
    QP_TRY(QP_NEW(a, layer_of, m->n_modules + 1));
    *n = 0;
    for (int i = 0; i < m->n_modules; i++) {
        int s = *n;
        while (s > 0 && layer_of[s - 1] != m->modules[i].layer) s--;
        if (s == 0) {
            layer_of[(*n)++] = m->modules[i].layer;
            s = *n;
        }
        (*slot)[i] = s - 1;
    }
    return QP_OK;
}

static qp_status join_groups(const qp_job *job, const int *slot, int *parent, qp_arena *a, qp_err *err) {
    const qp_model *m = job->model;
    const char *const *patterns;
    const char **names;
    bool *enabled;
    int n_patterns;
    qp_group_list list;
    QP_TRY(QP_NEW(a, names, m->n_modules + 1));
    QP_TRY(QP_NEW(a, enabled, m->n_modules + 1));
    for (int i = 0; i < m->n_modules; i++) {
        qp_qconfig cfg = {0};
        if (m->modules[i].quantizable)
            qp_recipe_resolve(job->recipe, m->modules[i].fqn, "weight_quantizer", &cfg);
        names[i] = m->modules[i].fqn;
        enabled[i] = cfg.enabled;
    }
    qp_recipe_patterns(job->recipe, &patterns, &n_patterns);
    QP_TRY(qp_groups_find(names, enabled, m->n_modules, patterns, n_patterns, a, &list, err));
    for (int g = 0; g < list.n; g++)
        for (int k = 1; k < list.groups[g].n_members; k++)
            parent[root_of(parent, slot[list.groups[g].members[k]])] =
                root_of(parent, slot[list.groups[g].members[0]]);
    return QP_OK;
}

qp_status qp_layer_sets(const qp_job *job, qp_arena *a, qp_layer_set **out, int *n, qp_err *err) {
    const qp_model *m = job->model;
    int *slot, *parent, *set_of, n_slots;
    QP_TRY(number_layers(m, a, &slot, &n_slots, err));
    QP_TRY(QP_NEW(a, parent, n_slots + 1));
    QP_TRY(QP_NEW(a, set_of, n_slots + 1));
    for (int s = 0; s < n_slots; s++) parent[s] = s;
    QP_TRY(join_groups(job, slot, parent, a, err));
    QP_TRY(QP_NEW(a, *out, n_slots + 1));
    *n = 0;
    for (int i = 0; i < m->n_modules; i++) {
        const int root = root_of(parent, slot[i]);
        if (set_of[root] == 0) {
            QP_TRY(QP_NEW(a, (*out)[*n].modules, m->n_modules - i));
            (*out)[*n].layer = m->modules[i].layer;
            set_of[root] = ++*n;
        }
        qp_layer_set *s = &(*out)[set_of[root] - 1];
        s->modules[s->n_modules++] = i;
    }
    return QP_OK;
}
