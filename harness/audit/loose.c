// SPDX-License-Identifier: Apache-2.0
// Tensors outside of every module, and weights that a config implies without a tensor.
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

static bool is_scale(qp_ck_role role) {
    return role != QP_CK_WEIGHT && role != QP_CK_BIAS && role != QP_CK_K_BIAS && role != QP_CK_V_BIAS;
}

static qp_status loose_one(const qp_str *s, const qp_ck_tensor *t, qp_err *err) {
    qp_ck_name name;
    const char *shape, *taken = "";
    QP_TRY(qp_ck_shape_text(t, s->arena, &shape, err));
    if (qp_ck_name_split(t->name, t->n_name, t->n_dims, &name)) { // its place is taken
        const qp_ck_module *m = qp_ck_module_find(&s->audit->modules, name.module, name.n);
        if (m != NULL && m->part[name.role] != NULL)
            QP_TRY(qp_ck_show(m->part[name.role]->name, m->part[name.role]->n_name, s->arena, &taken, err));
        return qp_ck_found(s->findings, is_scale(name.role) ? QP_CK_ORPHAN_SCALE : QP_CK_UNCLASSIFIED,
                           t->name, t->n_name, NULL, err, "wanted one %s, got this %s %s beside %s",
                           qp_ck_role_name(name.role), qp_ck_dtype_name(t), shape, taken);
    }
    if (qp_ck_name_is_parameter(t->name, t->n_name)) return QP_OK;
    return qp_ck_found(s->findings, QP_CK_UNCLASSIFIED, t->name, t->n_name, NULL, err,
                       "%s %s: no role is known for this name", qp_ck_dtype_name(t), shape);
}

// A head by any of the names that models give it.
static bool is_head(const qp_ck_module *m) {
    static const char *const names[] = {"lm_head", "output", "output_layer", "embed_out", "head", "lm_heads"};
    const uint32_t last = qp_ck_name_last(m->name, m->n_name), n = m->n_name - last;
    for (int i = 0; i < QP_COUNT(names) && m->part[QP_CK_WEIGHT] != NULL; i++)
        if (strlen(names[i]) == n && memcmp(m->name + last, names[i], n) == 0) return true;
    return false;
}

static bool is_causal(const json_t *config) {
    const json_t *list = json_object_get(config, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    return name != NULL && strstr(name, "ForCausalLM") != NULL;
}

static const qp_ck_module *embedding_like(const qp_ck_modules *list, const qp_ck_tensor *w) {
    for (uint32_t i = 0; i < list->n; i++) {
        const qp_ck_module *m = &list->list[i];
        const qp_ck_tensor *e = m->part[QP_CK_WEIGHT];
        if (e == NULL || m->layer >= 0 || !qp_ck_name_is_embedding(m->name, m->n_name)) continue;
        if (e->dtype == w->dtype && e->n_dims == 2 && memcmp(e->dims, w->dims, sizeof e->dims) == 0) return m;
    }
    return NULL;
}

// Loaders drop a tied head and use the embedding: one with other bytes was untied by whoever wrote it.
static qp_status tied_head(const qp_str *s, const qp_ck_module *head, qp_err *err) {
    const qp_ck_tensor *w = head->part[QP_CK_WEIGHT];
    const qp_ck_module *e = w->n_dims == 2 ? embedding_like(&s->audit->modules, w) : NULL;
    const char *shown;
    if (head->layer >= 0 || e == NULL || e->part[QP_CK_SCALE] != NULL || head->part[QP_CK_SCALE] != NULL ||
        memcmp(w->data, e->part[QP_CK_WEIGHT]->data, w->n_bytes) == 0)
        return QP_OK;
    QP_TRY(qp_ck_show(e->name, e->n_name, s->arena, &shown, err));
    return qp_ck_found(s->findings, QP_CK_CONFIG_TENSORS, w->name, w->n_name,
                       "loaders that tie drop these weights and answer with the embedding instead", err,
                       "config.json says tie_word_embeddings true: wanted the bytes of %.200s, got others",
                       shown);
}

// A head without a tensor: tied, or lost (a writer that drops tensors at one address).
static qp_status head(const qp_str *s, qp_err *err) {
    static const char name[] = "lm_head.weight";
    const json_t *config = s->audit->ckpt.config.root;
    const json_t *tie = json_object_get(config, "tie_word_embeddings");
    bool embedding = false;
    if (tie == NULL) tie = json_object_get(json_object_get(config, "text_config"), "tie_word_embeddings");
    if (!json_is_boolean(tie) || s->audit->ckpt.part) return QP_OK;
    for (uint32_t i = 0; i < s->audit->modules.n; i++) {
        const qp_ck_module *m = &s->audit->modules.list[i];
        if (is_head(m)) return json_is_true(tie) ? tied_head(s, m, err) : QP_OK;
        embedding = embedding || qp_ck_name_is_embedding(m->name, m->n_name);
    }
    if (json_is_true(tie))
        return qp_ck_found(s->findings, QP_CK_TIED_OR_ABSENT, name, strlen(name), NULL, err,
                           "no tensor: config.json ties it to the embedding");
    if (!embedding || !is_causal(config)) return QP_OK; // no whole model lies here
    return qp_ck_found(s->findings, QP_CK_CONFIG_TENSORS, name, strlen(name),
                       "transformers makes up a random head and warns; vLLM stops or leaves it uninitialised",
                       err, "config.json says tie_word_embeddings false: wanted a head, got none");
}

qp_status qp_str_loose(const qp_str *s, qp_err *err) {
    for (uint32_t i = 0; i < s->audit->modules.n_loose; i++)
        QP_TRY(loose_one(s, s->audit->modules.loose[i], err));
    return head(s, err);
}
