// SPDX-License-Identifier: Apache-2.0
// Reads shared_states: {weight_global_amax: {patterns: [...]}} from the tree, because absent, null, {} and []
// are four answers.
#include "model/shared_states.h"

#include <string.h>

#include "core/text.h"
#include "model/patterns.h"

// One level of mapping with one known key. *form: absent, null, {} as found; QP_SHARED_LIST: *value is the
// value of the key.
static qp_status step_into(qp_yaml *y, yaml_node_t *node, const char *where, const char *key,
                           qp_shared_form *form, yaml_node_t **value, qp_err *err) {
    char buf[80];
    *form = node == NULL ? QP_SHARED_ABSENT : QP_SHARED_NULL;
    if (node == NULL || qp_yaml_is_null(node)) return QP_OK;
    if (node->type != YAML_MAPPING_NODE)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a mapping, got %s", y->path, qp_yaml_line(node), where,
                qp_yaml_what(node, buf));
    *form = QP_SHARED_EMPTY_MAP;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        yaml_node_t *k = yaml_document_get_node(&y->doc, p->key);
        const char *word = k->type == YAML_SCALAR_NODE ? (const char *)k->data.scalar.value : "?";
        if (strcmp(word, key) != 0) {
            const char *near = qp_nearest(word, &key, 1);
            QP_FAIL(QP_USAGE, "%s:%d: %s: unknown key '%s'%s%s%s (known: %s)", y->path, qp_yaml_line(k),
                    where, word, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "", key);
        }
        if (*form == QP_SHARED_LIST)
            QP_FAIL(QP_USAGE, "%s:%d: %s: key '%s' is there twice", y->path, qp_yaml_line(k), where, key);
        *form = QP_SHARED_LIST;
        *value = yaml_document_get_node(&y->doc, p->value);
    }
    return QP_OK;
}

static qp_status read_patterns(qp_yaml *y, const yaml_node_t *list, qp_arena *a, qp_recipe *out,
                               qp_err *err) {
    char buf[80];
    if (list->type != YAML_SEQUENCE_NODE)
        QP_FAIL(QP_USAGE, "%s:%d: shared_states.weight_global_amax.patterns: wanted a list, got %s", y->path,
                qp_yaml_line(list), qp_yaml_what(list, buf));
    int n = (int)(list->data.sequence.items.top - list->data.sequence.items.start);
    const char **patterns = NULL;
    QP_TRY(QP_NEW(a, patterns, n > 0 ? n : 1));
    for (int i = 0; i < n; i++) {
        const yaml_node_t *item = qp_yaml_item(y, list, i);
        if (item->type != YAML_SCALAR_NODE || qp_yaml_is_null(item))
            QP_FAIL(QP_USAGE, "%s:%d: patterns[%d]: wanted a regular expression, got %s", y->path,
                    qp_yaml_line(item), i, qp_yaml_what(item, buf));
        QP_TRY(qp_arena_strdup(a, (const char *)item->data.scalar.value, &patterns[i], err));
        if (qp_pattern_check(patterns[i], err) != QP_OK) {
            qp_err_prefix(err, "%s:%d: shared_states.weight_global_amax.patterns[%d]", y->path,
                          qp_yaml_line(item), i);
            return QP_USAGE;
        }
    }
    out->patterns = patterns;
    out->n_patterns = n;
    return QP_OK;
}

qp_status qp_shared_states_read(qp_yaml *y, qp_arena *a, qp_recipe *out, qp_err *err) {
    static const char *const levels[][2] = {{"shared_states", "weight_global_amax"},
                                            {"shared_states.weight_global_amax", "patterns"}};
    yaml_node_t *node = qp_yaml_get(y, qp_yaml_root(y), "shared_states");
    for (int i = 0; i < QP_COUNT(levels); i++) {
        QP_TRY(step_into(y, node, levels[i][0], levels[i][1], &out->shared, &node, err));
        if (out->shared != QP_SHARED_LIST) return QP_OK;
    }
    if (qp_yaml_is_null(node)) {
        out->shared = QP_SHARED_NULL;
        return QP_OK;
    }
    return read_patterns(y, node, a, out, err);
}
