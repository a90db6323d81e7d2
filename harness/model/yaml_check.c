// SPDX-License-Identifier: Apache-2.0
// Walks a YAML tree along a libcyaml schema. Schemas here are finite and not recursive, so the walk ends on
// any tree.
#include "model/yaml_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum { MAX_WORDS = 64 };

typedef struct place {
    qp_yaml *y;
    char path[256]; // "modules[3].shape"
} place;

static const char *value_of(const yaml_node_t *node) {
    return (const char *)node->data.scalar.value;
}

// ", did you mean 'x'? (known: a b c)"
static const char *hint(const char *word, const char *const *words, int n, char *buf, size_t n_buf) {
    const char *near = qp_nearest(word, words, n);
    size_t at =
        (size_t)snprintf(buf, n_buf, near != NULL ? ", did you mean '%s'? (known:" : " (known:", near);
    for (int i = 0; i < n && at < n_buf; i++) at += (size_t)snprintf(buf + at, n_buf - at, " %s", words[i]);
    if (at < n_buf) snprintf(buf + at, n_buf - at, ")");
    return buf;
}

static qp_status check_int(const place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                           qp_err *err) {
    int64_t v;
    const char *digits = value_of(node) + (value_of(node)[0] == '-');
    bool octal = digits[0] == '0' && digits[1] != 0; // libcyaml would read 010 as 8
    if (octal || !qp_parse_i64(value_of(node), &v))
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a whole number, got '%s'", p->y->path, qp_yaml_line(node),
                p->path, value_of(node));
    int64_t max = schema->data_size >= 8 ? INT64_MAX : ((int64_t)1 << (8 * schema->data_size - 1)) - 1;
    if (v > max || v < -max)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a number up to %lld, got %s", p->y->path, qp_yaml_line(node),
                p->path, (long long)max, value_of(node));
    return QP_OK;
}

static qp_status check_float(const place *p, const yaml_node_t *node, qp_err *err) {
    char *end = NULL;
    errno = 0;
    double v = strtod(value_of(node), &end);
    bool finite = v - v == 0;
    if (end == value_of(node) || *end != 0 || errno != 0 || !finite)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a number, got '%s'", p->y->path, qp_yaml_line(node), p->path,
                value_of(node));
    return QP_OK;
}

static qp_status check_enum(const place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                            qp_err *err) {
    const char *words[MAX_WORDS];
    int n = 0;
    for (uint32_t i = 0; i < schema->enumeration.count && n < MAX_WORDS; i++) {
        words[n++] = schema->enumeration.strings[i].str;
        if (strcmp(schema->enumeration.strings[i].str, value_of(node)) == 0) return QP_OK;
    }
    char buf[512];
    QP_FAIL(QP_USAGE, "%s:%d: %s: wanted one of the known words, got '%s'%s", p->y->path, qp_yaml_line(node),
            p->path, value_of(node), hint(value_of(node), words, n, buf, sizeof buf));
}

static qp_status check_scalar(const place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                              qp_err *err) {
    static const char *const wanted[] = {
        [CYAML_INT] = "a whole number", [CYAML_BOOL] = "true or false", [CYAML_ENUM] = "a word",
        [CYAML_FLOAT] = "a number",     [CYAML_STRING] = "text",
    };
    char buf[80];
    const char *want = (size_t)schema->type < QP_COUNT(wanted) ? wanted[schema->type] : NULL;
    if (want == NULL)
        QP_FAIL(QP_BROKEN, "%s: %s: schema type %d is not checked", p->y->path, p->path, (int)schema->type);
    if (node->type != YAML_SCALAR_NODE || qp_yaml_is_null(node))
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted %s, got %s", p->y->path, qp_yaml_line(node), p->path, want,
                qp_yaml_what(node, buf));
    switch (schema->type) {
    case CYAML_INT:
        return check_int(p, node, schema, err);
    case CYAML_FLOAT:
        return check_float(p, node, err);
    case CYAML_ENUM:
        return check_enum(p, node, schema, err);
    case CYAML_BOOL:
        if (strcmp(value_of(node), "true") != 0 && strcmp(value_of(node), "false") != 0)
            QP_FAIL(QP_USAGE, "%s:%d: %s: wanted true or false, got '%s'", p->y->path, qp_yaml_line(node),
                    p->path, value_of(node));
        return QP_OK;
    default:
        if (strlen(value_of(node)) > schema->string.max || strlen(value_of(node)) < schema->string.min)
            QP_FAIL(QP_USAGE, "%s:%d: %s: wanted text of %u to %u bytes, got %zu", p->y->path,
                    qp_yaml_line(node), p->path, schema->string.min, schema->string.max,
                    strlen(value_of(node)));
        return QP_OK;
    }
}

static qp_status check_node(place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                            qp_err *err);

// Checks below "path.key" or "path[i]" and takes the step back.
static qp_status check_step(place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                            const char *key, int index, qp_err *err) {
    size_t n = strlen(p->path);
    if (key != NULL)
        snprintf(p->path + n, sizeof p->path - n, n > 0 ? ".%s" : "%s", key);
    else
        snprintf(p->path + n, sizeof p->path - n, "[%d]", index);
    qp_status status = check_node(p, node, schema, err);
    p->path[n] = 0;
    return status;
}

static const char *spot(const place *p) {
    return p->path[0] != 0 ? p->path : "top level";
}

static qp_status check_key(const place *p, const yaml_node_t *map, const yaml_node_pair_t *pair,
                           const cyaml_schema_field_t *fields, const cyaml_schema_field_t **found,
                           qp_err *err) {
    yaml_document_t *doc = &p->y->doc;
    const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
    char buf[512];
    if (key->type != YAML_SCALAR_NODE)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a word as key, got %s", p->y->path, qp_yaml_line(key), spot(p),
                qp_yaml_what(key, buf));
    for (const yaml_node_pair_t *q = map->data.mapping.pairs.start; q < pair; q++) {
        const yaml_node_t *other = yaml_document_get_node(doc, q->key);
        if (strcmp(value_of(other), value_of(key)) == 0)
            QP_FAIL(QP_USAGE, "%s:%d: %s: key '%s' is there twice, first on line %d", p->y->path,
                    qp_yaml_line(key), spot(p), value_of(key), qp_yaml_line(other));
    }
    const char *words[MAX_WORDS];
    int n = 0;
    for (*found = fields; (*found)->key != NULL; (*found)++) {
        if (strcmp((*found)->key, value_of(key)) == 0) return QP_OK;
        if (n < MAX_WORDS) words[n++] = (*found)->key;
    }
    QP_FAIL(QP_USAGE, "%s:%d: %s: unknown key '%s'%s", p->y->path, qp_yaml_line(key), spot(p), value_of(key),
            hint(value_of(key), words, n, buf, sizeof buf));
}

static qp_status check_mapping(place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                               qp_err *err) {
    char buf[80];
    if (node->type != YAML_MAPPING_NODE)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a mapping, got %s", p->y->path, qp_yaml_line(node), spot(p),
                qp_yaml_what(node, buf));
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
         pair++) {
        const cyaml_schema_field_t *field = schema->mapping.fields;
        QP_TRY(check_key(p, node, pair, schema->mapping.fields, &field, err));
        const yaml_node_t *value = yaml_document_get_node(&p->y->doc, pair->value);
        QP_TRY(check_step(p, value, &field->value, field->key, 0, err));
    }
    for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key != NULL; f++)
        if (!(f->value.flags & CYAML_FLAG_OPTIONAL) && qp_yaml_get(p->y, node, f->key) == NULL)
            QP_FAIL(QP_USAGE, "%s:%d: %s: wanted the key '%s', it is not there", p->y->path,
                    qp_yaml_line(node), spot(p), f->key);
    return QP_OK;
}

static qp_status check_sequence(place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                                qp_err *err) {
    char buf[80];
    if (node->type != YAML_SEQUENCE_NODE)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted a list, got %s", p->y->path, qp_yaml_line(node), spot(p),
                qp_yaml_what(node, buf));
    uint32_t n = (uint32_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (n < schema->sequence.min || n > schema->sequence.max)
        QP_FAIL(QP_USAGE, "%s:%d: %s: wanted %s%u entries, got %u", p->y->path, qp_yaml_line(node), spot(p),
                n < schema->sequence.min ? "at least " : "at most ",
                n < schema->sequence.min ? schema->sequence.min : schema->sequence.max, n);
    for (uint32_t i = 0; i < n; i++)
        QP_TRY(check_step(p, qp_yaml_item(p->y, node, (int)i), schema->sequence.entry, NULL, (int)i, err));
    return QP_OK;
}

static qp_status check_node(place *p, const yaml_node_t *node, const cyaml_schema_value_t *schema,
                            qp_err *err) {
    switch (schema->type) {
    case CYAML_MAPPING:
        return check_mapping(p, node, schema, err);
    case CYAML_SEQUENCE:
        return check_sequence(p, node, schema, err);
    case CYAML_IGNORE:
        return QP_OK;
    default:
        return check_scalar(p, node, schema, err);
    }
}

qp_status qp_yaml_check(qp_yaml *y, const cyaml_schema_value_t *schema, qp_err *err) {
    place p = {.y = y, .path = ""};
    return check_node(&p, qp_yaml_root(y), schema, err);
}
