// SPDX-License-Identifier: Apache-2.0
// Elements and memory of a case before it runs. Layers stream, so a pipeline case needs what its largest
// layer needs.
#include "plan/cost.h"

#include "model/model.h"

#include <string.h>

// Bytes a held element costs while a layer is under way. Kernel case: x, gradient, and both outputs twice
// (repeat run) and once more from the reference, at the width of the type. Pipeline: weight, fake-quantized
// weight and gradient in bf16, codes and scales of pack, one copy of each for the digest.
enum { KERNEL_COPIES = 8, PIPELINE_BYTES = 12 };

typedef struct size_of_model {
    const char *key;
    int64_t elements;        // quantizable, selected layers
    int64_t *dense, *expert; // per layer number + 1 (0 = outside the layers)
    int n_layers;
    struct size_of_model *next;
} size_of_model;

struct qp_cost_cache {
    size_of_model *first;
};

qp_status qp_cost_cache_new(qp_arena *a, qp_cost_cache **out, qp_err *err) {
    return QP_NEW(a, *out, 1);
}

static qp_status measure(const qp_case *c, const char *data_dir, qp_cost_cache *cache, qp_arena *a,
                         const size_of_model **out, qp_err *err) {
    const char *key = NULL;
    const char *model = qp_case_text(c, "model"), *layers = qp_case_text(c, "layers"),
               *names = qp_case_text(c, "names");
    QP_TRY(qp_arena_printf(a, &key, err, "%s %s %s", model, layers, names));
    for (const size_of_model *s = cache->first; s != NULL; s = s->next)
        if (strcmp(s->key, key) == 0) {
            *out = s;
            return QP_OK;
        }
    qp_model m;
    qp_names spelling = strcmp(names, "megatron") == 0 ? QP_NAMES_MEGATRON : QP_NAMES_HF;
    QP_TRY(qp_model_load(model, data_dir, layers, spelling, a, &m, err));
    size_of_model *s = NULL;
    QP_TRY(QP_NEW(a, s, 1));
    for (int i = 0; i < m.n_modules; i++)
        if (m.modules[i].layer + 2 > s->n_layers) s->n_layers = m.modules[i].layer + 2;
    QP_TRY(QP_NEW(a, s->dense, s->n_layers + 1));
    QP_TRY(QP_NEW(a, s->expert, s->n_layers + 1));
    for (int i = 0; i < m.n_modules; i++) {
        const qp_module *mod = &m.modules[i];
        if (!mod->quantizable) continue;
        s->elements += mod->out * mod->in;
        (mod->expert >= 0 ? s->expert : s->dense)[mod->layer + 1] += mod->out * mod->in;
    }
    s->key = key;
    s->next = cache->first;
    cache->first = s;
    *out = s;
    return QP_OK;
}

static void pipeline_cost(const qp_case *c, const size_of_model *s, qp_cost *out) {
    qp_layout l;
    (void)qp_case_layout(c, &l);
    int64_t stage = (int64_t)l.dp * l.cp * l.tp;
    int64_t expert_copies = stage / ((int64_t)l.etp * l.ep), dense_copies = stage / l.tp;
    int64_t largest = 0;
    for (int i = 0; i < s->n_layers; i++) {
        int64_t held = s->dense[i] * dense_copies + s->expert[i] * (expert_copies > 0 ? expert_copies : 1);
        if (held > largest) largest = held;
    }
    *out =
        (qp_cost){.elements = s->elements, .bytes = largest * PIPELINE_BYTES, .ranks = (int)(stage * l.pp)};
}

qp_status qp_case_cost(const qp_case *c, const char *data_dir, qp_cost_cache *cache, qp_arena *a,
                       qp_cost *out, qp_err *err) {
    if (strcmp(c->kind->name, "pipeline") == 0) {
        const size_of_model *s = NULL;
        QP_TRY(measure(c, data_dir, cache, a, &s, err));
        pipeline_cost(c, s, out);
        return QP_OK;
    }
    int64_t dims[3] = {1, 1, 1};
    int n = 0;
    const char *hex = qp_case_text(c, "hex");
    bool own_row = hex[0] != '\0' && !qp_case_given(c, "shape");
    if (!own_row && !qp_case_shape(c, "shape", dims, &n)) return QP_OK;
    if (own_row)
        for (const char *p = hex; *p != '\0'; p++) dims[0] += *p == ',';
    *out = (qp_cost){.elements = dims[0] * dims[1] * dims[2], .ranks = 1};
    out->bytes = out->elements * KERNEL_COPIES * (strcmp(qp_case_text(c, "in"), "fp32") == 0 ? 4 : 2);
    return QP_OK;
}
