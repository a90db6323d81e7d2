// SPDX-License-Identifier: Apache-2.0
// The oracle's life: what the recipe decides for every module, then the unsharded truth, once for many
// layouts.
#include <stdlib.h>
#include <string.h>

#include "oracle/truth.h"

bool oracle_is_nvfp4(const qp_qconfig *c) {
    const qp_format_row *f = c->enabled ? qp_format_get(c->format) : NULL;
    return f != NULL && f->element == QP_ELEM_E2M1 && f->has_global;
}

bool oracle_has_block_amax(const qp_qconfig *c) {
    return oracle_is_nvfp4(c) && c->format != QP_NVFP4;
}

typedef struct name_index {
    const char *fqn;
    int index;
} name_index;

static int compare_names(const void *a, const void *b) {
    return strcmp(((const name_index *)a)->fqn, ((const name_index *)b)->fqn);
}

static qp_status sort_names(qp_oracle *o, qp_err *err) {
    name_index *names;
    QP_TRY(QP_NEW(o->arena, names, o->n + 1));
    QP_TRY(QP_NEW(o->arena, o->by_fqn, o->n + 1));
    for (int i = 0; i < o->n; i++) names[i] = (name_index){o->mods[i].module->fqn, i};
    qsort(names, (size_t)o->n, sizeof *names, compare_names);
    for (int i = 0; i < o->n; i++) o->by_fqn[i] = names[i].index;
    return QP_OK;
}

const module_truth *oracle_find(const qp_oracle *o, const char *fqn) {
    int low = 0, high = o->n;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (strcmp(o->mods[o->by_fqn[mid]].module->fqn, fqn) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == o->n) return NULL;
    const module_truth *t = &o->mods[o->by_fqn[low]];
    return strcmp(t->module->fqn, fqn) == 0 ? t : NULL;
}

static qp_status decide(qp_oracle *o, qp_err *err) {
    QP_TRY(QP_NEW(o->arena, o->mods, o->n + 1));
    for (int i = 0; i < o->n; i++) {
        module_truth *t = &o->mods[i];
        t->module = &o->spec.model->modules[i];
        t->dtype = qp_weights_dtype(o->spec.weights, t->module);
        t->weight.format = t->input.format = QP_FORMAT_NONE;
        if (!t->module->quantizable) continue;
        qp_recipe_resolve(o->spec.recipe, t->module->fqn, "weight_quantizer", &t->weight);
        qp_recipe_resolve(o->spec.recipe, t->module->fqn, "input_quantizer", &t->input);
    }
    return sort_names(o, err);
}

qp_status qp_oracle_new(const qp_oracle_spec *spec, qp_oracle **out, qp_err *err) {
    *out = NULL;
    qp_arena *arena = qp_arena_new();
    if (arena == NULL) QP_FAIL(QP_NOMEM, "out of memory for the oracle");
    qp_status status = QP_OK;
    qp_oracle *o = NULL;
    QP_TRY_GOTO(status, QP_NEW(arena, o, 1), out);
    o->arena = arena;
    o->spec = *spec;
    o->n = spec->model->n_modules;
    QP_TRY_GOTO(status, pack_memo_new(o->n, &o->memo, err), out);
    QP_TRY_GOTO(status, decide(o, err), out);
    QP_TRY_GOTO(status, oracle_measure_weights(o, err), out);
    QP_TRY_GOTO(status, oracle_measure_groups(o, err), out);
    QP_TRY_GOTO(status, oracle_measure_tokens(o, err), out);
    *out = o;
out:
    if (status != QP_OK) {
        if (o != NULL) pack_memo_free(o->memo);
        qp_arena_free(arena);
    }
    return status;
}

void qp_oracle_free(qp_oracle *o) {
    if (o == NULL) return;
    pack_memo_free(o->memo);
    qp_arena_free(o->arena);
}
