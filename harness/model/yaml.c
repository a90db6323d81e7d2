// SPDX-License-Identifier: Apache-2.0
// Parses a YAML text and hands it to libcyaml with memory from the arena. The check that makes readable
// errors: yaml_check.c.
#include "model/yaml.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "model/yaml_check.h"

static qp_status parse_document(qp_yaml *y, yaml_parser_t *parser, qp_err *err) {
    yaml_parser_set_input_string(parser, (const unsigned char *)y->text, y->n_bytes);
    if (!yaml_parser_load(parser, &y->doc))
        QP_FAIL(QP_USAGE, "%s:%zu: not YAML: %s%s%s (column %zu)", y->path, parser->problem_mark.line + 1,
                parser->problem != NULL ? parser->problem : "unreadable", parser->context != NULL ? ", " : "",
                parser->context != NULL ? parser->context : "", parser->problem_mark.column + 1);
    y->has_doc = true;
    if (qp_yaml_root(y) == NULL)
        QP_FAIL(QP_USAGE, "%s:1: wanted a YAML document, got an empty file", y->path);
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second))
        QP_FAIL(QP_USAGE, "%s:%zu: not YAML: %s", y->path, parser->problem_mark.line + 1,
                parser->problem != NULL ? parser->problem : "unreadable");
    yaml_node_t *more = yaml_document_get_root_node(&second);
    int line = more != NULL ? qp_yaml_line(more) : 0;
    yaml_document_delete(&second);
    if (line > 0) QP_FAIL(QP_USAGE, "%s:%d: wanted one YAML document, got a second one", y->path, line);
    return QP_OK;
}

// A quoted text may hold \0: everything behind it would be lost to C strings.
static qp_status refuse_nul(const qp_yaml *y, qp_err *err) {
    for (const yaml_node_t *n = y->doc.nodes.start; n < y->doc.nodes.top; n++)
        if (n->type == YAML_SCALAR_NODE &&
            strlen((const char *)n->data.scalar.value) != n->data.scalar.length)
            QP_FAIL(QP_USAGE, "%s:%d: wanted text without NUL, got '%s' and a NUL behind it", y->path,
                    qp_yaml_line(n), (const char *)n->data.scalar.value);
    return QP_OK;
}

qp_status qp_yaml_open(qp_yaml *y, const char *path, const char *text, size_t n_bytes, qp_err *err) {
    *y = (qp_yaml){.path = path, .text = text, .n_bytes = n_bytes};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) QP_FAIL(QP_NOMEM, "%s: no memory for the YAML parser", path);
    qp_status status = parse_document(y, &parser, err);
    yaml_parser_delete(&parser);
    if (status == QP_OK) status = refuse_nul(y, err);
    if (status != QP_OK) qp_yaml_close(y);
    return status;
}

void qp_yaml_close(qp_yaml *y) {
    if (y->has_doc) yaml_document_delete(&y->doc);
    y->has_doc = false;
}

yaml_node_t *qp_yaml_root(qp_yaml *y) {
    return yaml_document_get_root_node(&y->doc);
}

yaml_node_t *qp_yaml_get(qp_yaml *y, const yaml_node_t *map, const char *key) {
    if (map == NULL || map->type != YAML_MAPPING_NODE) return NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        yaml_node_t *k = yaml_document_get_node(&y->doc, p->key);
        if (k->type == YAML_SCALAR_NODE && strcmp((const char *)k->data.scalar.value, key) == 0)
            return yaml_document_get_node(&y->doc, p->value);
    }
    return NULL;
}

yaml_node_t *qp_yaml_item(qp_yaml *y, const yaml_node_t *seq, int i) {
    if (seq == NULL || seq->type != YAML_SEQUENCE_NODE || i < 0) return NULL;
    yaml_node_item_t *item = seq->data.sequence.items.start + i;
    return item < seq->data.sequence.items.top ? yaml_document_get_node(&y->doc, *item) : NULL;
}

int qp_yaml_line(const yaml_node_t *node) {
    return node != NULL ? (int)node->start_mark.line + 1 : 0;
}

bool qp_yaml_is_null(const yaml_node_t *node) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (node == NULL || node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (int i = 0; i < QP_COUNT(nulls); i++)
        if (strcmp((const char *)node->data.scalar.value, nulls[i]) == 0) return true;
    return false;
}

const char *qp_yaml_what(const yaml_node_t *node, char buf[80]) {
    if (node == NULL) return "nothing";
    if (node->type == YAML_MAPPING_NODE) return "a mapping";
    if (node->type == YAML_SEQUENCE_NODE) return "a list";
    if (qp_yaml_is_null(node)) return "null";
    snprintf(buf, 80, "'%.60s'", (const char *)node->data.scalar.value);
    return buf;
}

// ---- libcyaml
// ---------------------------------------------------------------------------------------------------------

// libcyaml resizes and frees; an arena does neither. The size in front lets a block grow by copying.
enum { BLOCK_HEAD = 16 };

static void *arena_mem(void *ctx, void *ptr, size_t n_bytes) {
    if (n_bytes == 0) return NULL;
    size_t old = 0;
    if (ptr != NULL) memcpy(&old, (char *)ptr - BLOCK_HEAD, sizeof old);
    if (ptr != NULL && n_bytes <= old) return ptr;
    char *block = NULL;
    if (qp_arena_get(ctx, n_bytes + BLOCK_HEAD, &block, NULL) != QP_OK) return NULL;
    memcpy(block, &n_bytes, sizeof n_bytes);
    if (ptr != NULL) memcpy(block + BLOCK_HEAD, ptr, old);
    return block + BLOCK_HEAD;
}

typedef struct log_text {
    char s[512];
    size_t n;
} log_text;

static void keep_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args) {
    log_text *log = ctx;
    if (level < CYAML_LOG_WARNING || log->n + 1 >= sizeof log->s) return;
    int n = vsnprintf(log->s + log->n, sizeof log->s - log->n, fmt, args);
    if (n > 0) log->n += (size_t)n < sizeof log->s - log->n ? (size_t)n : sizeof log->s - log->n - 1;
    for (size_t i = 0; i < log->n; i++)
        if (log->s[i] == '\n') log->s[i] = ' ';
}

qp_status qp_yaml_load(qp_yaml *y, const cyaml_schema_value_t *schema, qp_arena *a, void *out, qp_err *err) {
    QP_TRY(qp_yaml_check(y, schema, err));
    log_text log = {.n = 0};
    cyaml_config_t config = {.log_fn = keep_log,
                             .log_ctx = &log,
                             .mem_fn = arena_mem,
                             .mem_ctx = a,
                             .log_level = CYAML_LOG_WARNING,
                             .flags = CYAML_CFG_NO_ALIAS};
    cyaml_schema_value_t top = *schema;
    top.flags = (enum cyaml_flag)(top.flags | CYAML_FLAG_POINTER);
    void *loaded = NULL;
    cyaml_err_t code = cyaml_load_data((const uint8_t *)y->text, y->n_bytes, &config, &top, &loaded, NULL);
    if (code == CYAML_ERR_OOM) QP_FAIL(QP_NOMEM, "%s: no memory to load it", y->path);
    if (code != CYAML_OK) QP_FAIL(QP_USAGE, "%s: %s: %s", y->path, cyaml_strerror(code), log.s);
    memcpy(out, loaded, schema->data_size);
    return QP_OK;
}
