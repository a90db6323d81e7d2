// SPDX-License-Identifier: Apache-2.0
// Model Optimizer: the same facts in hf_quant_config.json and in config.json (shapes spec 2.2). config.json
// speaks first, as loaders have it; the other file fills what it leaves open.
#include <string.h>
#include <strings.h>

#include "checkpoint/claims.h"

typedef struct sides { // where an item may be said: config.json, then hf_quant_config.json
    qp_ck_node cfg, hf;
} sides;

// Releases before 0.35 and hand-written files nest everything under `quantization`, also in config.json.
static qp_status sides_of(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg, sides *s,
                          qp_err *err) {
    qp_ck_node nested;
    QP_TRY(qp_ck_item_get(r, hf, "quantization", QP_CK_OBJECT, &s->hf, err));
    QP_TRY(qp_ck_item_get(r, cfg, "quantization", QP_CK_OBJECT, &nested, err));
    s->cfg = nested.json != NULL ? nested : *cfg;
    return QP_OK;
}

// ---- groups: config_groups of config.json
// ------------------------------------------------------------------------------------------

typedef struct group { // one of config_groups
    qp_ck_node node, targets;
    const char *algo; // said, or meant by its numbers; NULL: neither
    int group_size;
} group;

static const char *algo_of_numbers(const char *type, int weight_bits, bool input, int input_bits) {
    static const struct {
        int weight, input; // bits; 0: no input_activations
        const char *algo;
    } rows[] = {{4, 4, "NVFP4"}, {4, 8, "W4A8_NVFP4_FP8"}, {4, 0, "W4A16_NVFP4"}, {8, 8, "FP8"}};
    if (type == NULL || strcasecmp(type, "float") != 0) return NULL;
    for (int i = 0; i < QP_COUNT(rows); i++)
        if (rows[i].weight == weight_bits && rows[i].input == (input ? input_bits : 0)) return rows[i].algo;
    return NULL;
}

static qp_status group_read(const qp_ck_reading *r, const qp_ck_node *groups, const char *key, group *g,
                            qp_err *err) {
    qp_ck_node weights, input;
    const char *type;
    int bits = 0, input_bits = 0;
    bool given;
    memset(g, 0, sizeof *g);
    QP_TRY(qp_ck_item_get(r, groups, key, QP_CK_OBJECT, &g->node, err));
    QP_TRY(qp_ck_item_get(r, &g->node, "targets", QP_CK_LIST, &g->targets, err));
    QP_TRY(qp_ck_item_get(r, &g->node, "weights", QP_CK_OBJECT, &weights, err));
    QP_TRY(qp_ck_item_get(r, &g->node, "input_activations", QP_CK_OBJECT, &input, err));
    QP_TRY(qp_ck_text_get(r, &g->node, "quant_algo", &g->algo, err));
    QP_TRY(qp_ck_text_get(r, &weights, "type", &type, err));
    QP_TRY(qp_ck_whole_get(r, &weights, "num_bits", &bits, &given, err));
    QP_TRY(qp_ck_whole_get(r, &weights, "group_size", &g->group_size, &given, err));
    QP_TRY(qp_ck_whole_get(r, &input, "num_bits", &input_bits, &given, err));
    if (g->algo == NULL) g->algo = algo_of_numbers(type, bits, input.json != NULL, input_bits);
    return QP_OK;
}

// ---- one scheme of the whole file
// --------------------------------------------------------------------------------------------------

static qp_status first_group(const qp_ck_reading *r, const qp_ck_node *cfg, group *g, qp_err *err) {
    qp_ck_node groups;
    const char *key;
    json_t *v;
    memset(g, 0, sizeof *g);
    QP_TRY(qp_ck_item_get(r, cfg, "config_groups", QP_CK_OBJECT, &groups, err));
    json_object_foreach(groups.json, key, v) return group_read(r, &groups, key, g, err);
    return QP_OK;
}

static qp_status whole_scheme(const qp_ck_reading *r, const sides *s, const char *algo, const group *g,
                              const qp_ck_node *from, qp_err *err) {
    qp_ck_scheme_ask ask = {.dialect = QP_CK_MODELOPT, .said = algo};
    bool given;
    QP_TRY(qp_ck_whole_get(r, &s->hf, "group_size", &ask.group_size, &given, err));
    if (g->group_size != 0) ask.group_size = g->group_size;
    QP_TRY(qp_ck_whole_get(r, &s->cfg, "group_size", &ask.group_size, &given, err));
    return qp_ck_say_scheme(r, from, "quant_algo", &ask, &r->k->whole, err);
}

// ---- MIXED_PRECISION
// --------------------------------------------------------------------------------------------------------------

enum { DISTINCT = 32 }; // schemes of one file that are shared; more are made anew
typedef struct distinct {
    struct {
        const char *algo;
        int group_size, index;
    } seen[DISTINCT];
    int n;
} distinct;

static qp_status scheme_of(const qp_ck_reading *r, const qp_ck_node *node, const char *algo, int group_size,
                           distinct *d, int *index, qp_err *err) {
    const qp_ck_scheme_ask ask = {.dialect = QP_CK_MODELOPT, .said = algo, .group_size = group_size};
    for (int i = 0; i < d->n; i++) {
        if (d->seen[i].group_size != group_size || strcmp(d->seen[i].algo, algo) != 0) continue;
        *index = d->seen[i].index;
        return QP_OK;
    }
    QP_TRY(qp_ck_say_scheme(r, node, "", &ask, index, err));
    if (d->n == DISTINCT) return QP_OK;
    d->seen[d->n].algo = algo;
    d->seen[d->n].group_size = group_size;
    d->seen[d->n++].index = *index;
    return QP_OK;
}

static qp_status add_target(const qp_ck_reading *r, const char *name, size_t n, int index, qp_err *err) {
    const qp_ck_item item = {.text = name, .n = n, .match = QP_CK_BELOW, .value = index};
    const char *why = NULL;
    if (memchr(name, '*', n) == NULL) return qp_ck_list_add(&r->k->names, item, r->a, &why, err);
    qp_ck_item glob = item;
    glob.match = QP_CK_GLOB;
    return qp_ck_list_add(&r->k->patterns, glob, r->a, &why, err);
}

static qp_status by_layers(const qp_ck_reading *r, const qp_ck_node *layers, qp_err *err) {
    distinct d = {.n = 0};
    const char *key;
    json_t *v;
    json_object_foreach(layers->json, key, v) {
        qp_ck_node layer;
        const char *algo;
        int group_size = 0, index;
        bool given;
        QP_TRY(qp_ck_item_get(r, layers, key, QP_CK_OBJECT, &layer, err));
        QP_TRY(qp_ck_text_get(r, &layer, "quant_algo", &algo, err));
        QP_TRY(qp_ck_whole_get(r, &layer, "group_size", &group_size, &given, err));
        if (algo == NULL) continue;
        QP_TRY(scheme_of(r, layers, algo, group_size, &d, &index, err));
        QP_TRY(add_target(r, key, strlen(key), index, err));
    }
    return QP_OK;
}

static qp_status by_groups(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err) {
    distinct d = {.n = 0};
    qp_ck_node groups;
    const char *key;
    json_t *v;
    QP_TRY(qp_ck_item_get(r, cfg, "config_groups", QP_CK_OBJECT, &groups, err));
    json_object_foreach(groups.json, key, v) {
        group g;
        size_t i;
        const json_t *t;
        int index;
        QP_TRY(group_read(r, &groups, key, &g, err));
        if (g.algo == NULL) continue;
        QP_TRY(scheme_of(r, &g.node, g.algo, g.group_size, &d, &index, err));
        json_array_foreach(g.targets.json, i, t) {
            if (!json_is_string(t)) continue;
            if (strcmp(json_string_value(t), "Linear") == 0)
                r->k->whole = index;
            else
                QP_TRY(add_target(r, json_string_value(t), json_string_length(t), index, err));
        }
    }
    return QP_OK;
}

static qp_status mixed_schemes(const qp_ck_reading *r, const sides *s, qp_err *err) {
    qp_ck_node cfg, hf;
    QP_TRY(qp_ck_item_get(r, &s->cfg, "quantized_layers", QP_CK_OBJECT, &cfg, err));
    QP_TRY(qp_ck_item_get(r, &s->hf, "quantized_layers", QP_CK_OBJECT, &hf, err));
    if (cfg.json != NULL || hf.json != NULL) return by_layers(r, cfg.json != NULL ? &cfg : &hf, err);
    return by_groups(r, &s->cfg, err);
}

// ---- the rest
// --------------------------------------------------------------------------------------------------------------------

static qp_status read_excludes(const qp_ck_reading *r, const sides *s, qp_err *err) {
    qp_ck_node list;
    QP_TRY(qp_ck_item_get(r, &s->cfg, "ignore", QP_CK_LIST, &list, err));
    if (list.json == NULL) QP_TRY(qp_ck_item_get(r, &s->cfg, "exclude_modules", QP_CK_LIST, &list, err));
    if (list.json == NULL) QP_TRY(qp_ck_item_get(r, &s->hf, "exclude_modules", QP_CK_LIST, &list, err));
    return qp_ck_excludes_add(r, &list, QP_CK_SPELL_LOOSE, err);
}

static qp_status read_kv(const qp_ck_reading *r, const sides *s, qp_err *err) {
    const char *text;
    bool given;
    QP_TRY(qp_ck_text_get(r, &s->hf, "kv_cache_quant_algo", &text, err));
    if (text != NULL) qp_ck_kv_named(text, &r->k->kv);
    QP_TRY(qp_ck_text_get(r, &s->cfg, "kv_cache_quant_algo", &text, err));
    if (text != NULL) qp_ck_kv_named(text, &r->k->kv);
    return qp_ck_read_kv_scheme(r, &s->cfg, &r->k->kv, &given, err);
}

static qp_status read_producer(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                               const char *algo, qp_err *err) {
    qp_ck_node producer;
    const char *name, *version;
    QP_TRY(qp_ck_item_get(r, cfg, "producer", QP_CK_OBJECT, &producer, err));
    if (producer.json == NULL) QP_TRY(qp_ck_item_get(r, hf, "producer", QP_CK_OBJECT, &producer, err));
    QP_TRY(qp_ck_text_get(r, &producer, "name", &name, err));
    QP_TRY(qp_ck_text_get(r, &producer, "version", &version, err));
    if (name != NULL)
        QP_TRY(qp_arena_printf(r->a, &r->k->producer, err, "%.60s%s%.60s", name, version != NULL ? " " : "",
                               version != NULL ? version : ""));
    const bool own = name == NULL || strcmp(name, "modelopt") == 0;
    return qp_arena_printf(r->a, &r->k->said, err, "%.60s (%.60s%s%.60s)",
                           algo != NULL ? algo : "no algorithm", own ? "Model Optimizer" : name,
                           version != NULL ? " " : "", version != NULL ? version : "");
}

qp_status qp_ck_read_modelopt(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                              qp_err *err) {
    sides s;
    const char *algo;
    group g = {.algo = NULL};
    r->k->not_targets =
        1u << QP_CK_KIND_NORM | 1u << QP_CK_KIND_EMBEDDING | 1u << QP_CK_KIND_CONV | 1u << QP_CK_KIND_STATE;
    QP_TRY(sides_of(r, hf, cfg, &s, err));
    const qp_ck_node *from = &s.cfg;
    QP_TRY(qp_ck_text_get(r, &s.cfg, "quant_algo", &algo, err));
    if (algo == NULL) {
        QP_TRY(qp_ck_text_get(r, &s.hf, "quant_algo", &algo, err));
        from = &s.hf;
    }
    const bool mixed = algo != NULL && strcasecmp(algo, "MIXED_PRECISION") == 0;
    if (!mixed) QP_TRY(first_group(r, &s.cfg, &g, err));
    if (algo == NULL) algo = g.algo;
    QP_TRY(read_producer(r, hf, cfg, algo, err));
    QP_TRY(read_excludes(r, &s, err));
    QP_TRY(read_kv(r, &s, err));
    if (mixed)
        QP_TRY(mixed_schemes(r, &s, err));
    else if (algo != NULL)
        QP_TRY(whole_scheme(r, &s, algo, &g, from, err));
    return qp_ck_check_modelopt(r, &s.hf, &s.cfg, err);
}
