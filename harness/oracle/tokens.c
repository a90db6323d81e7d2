// SPDX-License-Identifier: Apache-2.0
// The truth of activations. The input of a module is the generator tensor "<projection>.input" [tokens, in],
// bf16, gauss sigma 1, seed of the case; all experts of a projection share it and see the tokens that are
// routed to them. Dense modules see every token; before the sync a data parallel rank sees every dp-th one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/truth.h"

static qp_gen input_generator(const qp_oracle *o) {
    return (qp_gen){.seed = o->spec.seed,
                    .dist = QP_DIST_GAUSS,
                    .sigma = 1.0,
                    .format = QP_FORMAT_NONE,
                    .peak_index = -1};
}

// max |x| of one token over columns col0 .. col0 + n_cols - 1 of the input of m.
static qp_status token_amax(const qp_oracle *o, const qp_module *m, const char *name, int64_t token,
                            int64_t col0, int64_t n_cols, uint32_t *image, qp_err *err) {
    qp_gen g = input_generator(o);
    void *x = malloc((size_t)n_cols * qp_dtype_bytes(QP_BF16) + 1);
    if (x == NULL) QP_FAIL(QP_NOMEM, "out of memory for an input row of %s", m->fqn);
    qp_gen_slice(&g, name, o->spec.tokens, m->in, QP_BF16, token, 1, col0, n_cols, x);
    ref_amax(QP_GRAIN_TENSOR, QP_BF16, 1, n_cols, 0, 0, x, image);
    free(x);
    return QP_OK;
}

static const module_truth *same_input(const qp_oracle *o, int i) {
    for (int j = i - 1; j >= 0 && o->mods[j].module->layer == o->mods[i].module->layer; j--)
        if (o->mods[j].token_amax != NULL &&
            strcmp(o->mods[j].module->projection, o->mods[i].module->projection) == 0)
            return &o->mods[j];
    return NULL;
}

static qp_status route_layer(qp_oracle *o, int layer, int n_experts, qp_err *err) {
    for (int i = 0; i < o->n_routes; i++)
        if (o->route_layers[i] == layer) return QP_OK;
    int top_k = o->spec.model->top_k, *experts;
    QP_TRY(QP_NEW(o->arena, experts, o->spec.tokens * top_k + 1));
    for (int64_t t = 0; t < o->spec.tokens; t++)
        qp_gen_route(o->spec.seed, layer, t, n_experts, top_k, experts + t * top_k);
    o->route_layers[o->n_routes] = layer;
    o->routes[o->n_routes++] = experts;
    return QP_OK;
}

qp_status oracle_measure_tokens(qp_oracle *o, qp_err *err) {
    QP_TRY(QP_NEW(o->arena, o->routes, o->n + 1));
    QP_TRY(QP_NEW(o->arena, o->route_layers, o->n + 1));
    for (int i = 0; i < o->n; i++) {
        module_truth *t = &o->mods[i];
        if (!t->input.enabled || o->spec.tokens <= 0) continue;
        if (t->module->expert >= 0) QP_TRY(route_layer(o, t->module->layer, t->module->n_experts, err));
        const module_truth *same = same_input(o, i);
        if (same != NULL) {
            t->token_amax = same->token_amax;
            continue;
        }
        uint32_t *images;
        const char *name;
        QP_TRY(QP_NEW(o->arena, images, o->spec.tokens));
        QP_TRY(qp_arena_printf(o->arena, &name, err, "%s.input", t->module->projection));
        for (int64_t k = 0; k < o->spec.tokens; k++)
            QP_TRY(token_amax(o, t->module, name, k, 0, t->module->in, &images[k], err));
        t->token_amax = images;
    }
    return QP_OK;
}

static bool reaches(const qp_oracle *o, const qp_module *m, int expert, int64_t token) {
    int top_k = o->spec.model->top_k;
    for (int i = 0; i < o->n_routes; i++)
        if (o->route_layers[i] == m->layer)
            for (int k = 0; k < top_k; k++)
                if (o->routes[i][token * top_k + k] == expert) return true;
    return false;
}

// The rank's own tokens and columns.
static qp_status local_amax(const qp_oracle *o, const module_truth *t, const qp_layout *l, int rank,
                            bool *has, uint32_t *image, qp_err *err) {
    const qp_module *m = t->module;
    qp_coord at = ref_coord(l, rank);
    int64_t rows, cols;
    ref_local_shape(m, l, rank, &rows, &cols);
    int64_t col0 = ref_global_col(m, l, rank, 0);
    char name[512];
    snprintf(name, sizeof name, "%s.input", m->projection);
    for (int64_t k = 0; k < o->spec.tokens; k++) {
        if (m->expert >= 0 ? !reaches(o, m, m->expert, k) : k % l->dp != at.dp_rank) continue;
        uint32_t one = t->token_amax[k];
        if (cols != m->in) QP_TRY(token_amax(o, m, name, k, col0, cols, &one, err));
        *image = ref_max_image(*image, one);
        *has = true;
    }
    return QP_OK;
}

// modelopt-0.47: the same slot of every expert rank is merged, whichever experts these are.
static void slot_amax(const qp_oracle *o, const module_truth *t, const qp_layout *l, bool *has,
                      uint32_t *image) {
    const qp_module *m = t->module;
    int per_rank = m->n_experts / l->ep, slot = m->expert % per_rank;
    for (int ep = 0; ep < l->ep; ep++)
        for (int64_t k = 0; k < o->spec.tokens; k++) {
            if (!reaches(o, m, ep * per_rank + slot, k)) continue;
            *image = ref_max_image(*image, t->token_amax[k]);
            *has = true;
        }
}

qp_status oracle_input_amax(const qp_oracle *o, const module_truth *t, const qp_layout *l, int rank,
                            bool local, bool *has, uint32_t *image, qp_err *err) {
    *has = false;
    *image = 0;
    if (t->token_amax == NULL) return QP_OK;
    if (local) return local_amax(o, t, l, rank, has, image, err);
    if (t->module->expert >= 0 && o->spec.sync == QP_SYNC_MODELOPT_047) {
        slot_amax(o, t, l, has, image);
        return QP_OK;
    }
    for (int64_t k = 0; k < o->spec.tokens; k++) *image = ref_max_image(*image, t->token_amax[k]);
    *has = o->spec.tokens > 0;
    return QP_OK;
}
