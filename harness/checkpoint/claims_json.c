// SPDX-License-Identifier: Apache-2.0
// Items of a config, typed: what is not what it should be becomes a finding that names file and item.
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/claims.h"

static const char *const wanted_names[] = {
    [QP_CK_OBJECT] = "an object",     [QP_CK_LIST] = "a list",        [QP_CK_TEXT] = "a text",
    [QP_CK_WHOLE] = "a whole number", [QP_CK_BOOL] = "true or false", [QP_CK_ANY] = "anything"};

static bool is_wanted(const json_t *j, qp_ck_json wanted) {
    switch (wanted) {
    case QP_CK_OBJECT:
        return json_is_object(j);
    case QP_CK_LIST:
        return json_is_array(j);
    case QP_CK_TEXT:
        return json_is_string(j);
    case QP_CK_WHOLE:
        return json_is_integer(j);
    case QP_CK_BOOL:
        return json_is_boolean(j);
    case QP_CK_ANY:
        return true;
    }
    return false;
}

static const char *type_name(const json_t *j) {
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a broken number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "?";
}

qp_status qp_ck_item_path(qp_arena *a, const qp_ck_node *node, const char *key, const char **out,
                          qp_err *err) {
    const char *shown;
    if (key[0] == '\0') return qp_arena_printf(a, out, err, "%s", node->where);
    QP_TRY(qp_ck_show(key, strlen(key), a, &shown, err));
    return qp_arena_printf(a, out, err, "%s%s%s", node->where,
                           node->where[0] != '\0' && key[0] != '[' ? "." : "", shown);
}

qp_status qp_ck_say(const qp_ck_reading *r, qp_ck_rule rule, const qp_ck_node *node, const char *key,
                    qp_err *err, const char *fmt, ...) {
    const char *path, *name;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0) QP_FAIL(QP_BROKEN, "the text of a finding cannot be formatted");
    QP_TRY(qp_ck_item_path(r->a, node, key, &path, err));
    QP_TRY(qp_arena_printf(r->a, &name, err, "%s%s%s", node->file, path[0] != '\0' ? " " : "", path));
    return qp_ck_found(r->f, rule, name, strlen(name), NULL, err, "%s", text);
}

qp_status qp_ck_item_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, qp_ck_json wanted,
                         qp_ck_node *out, qp_err *err) {
    json_t *j = parent->json != NULL ? json_object_get(parent->json, key) : NULL;
    *out = (qp_ck_node){parent->file, "", NULL};
    if (j == NULL || json_is_null(j)) return QP_OK;
    if (!is_wanted(j, wanted))
        return QP_CK_SAY(r, QP_CK_FILE_FORMAT, parent, key, "%s was wanted, got %s", wanted_names[wanted],
                         type_name(j));
    out->json = j;
    if (wanted > QP_CK_LIST && wanted != QP_CK_ANY) return QP_OK; // nothing below it to name
    return qp_ck_item_path(r->a, parent, key, &out->where, err);
}

qp_status qp_ck_text_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, const char **out,
                         qp_err *err) {
    qp_ck_node n;
    QP_TRY(qp_ck_item_get(r, parent, key, QP_CK_TEXT, &n, err));
    *out = n.json != NULL ? json_string_value(n.json) : NULL;
    return QP_OK;
}

qp_status qp_ck_whole_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, int *out,
                          bool *given, qp_err *err) {
    qp_ck_node n;
    *given = false;
    QP_TRY(qp_ck_item_get(r, parent, key, QP_CK_WHOLE, &n, err));
    if (n.json == NULL) return QP_OK;
    const json_int_t v = json_integer_value(n.json);
    if (v < INT_MIN / 2 || v > INT_MAX / 2)
        return QP_CK_SAY(r, QP_CK_FILE_FORMAT, parent, key, "%lld is no size", (long long)v);
    *out = (int)v;
    *given = true;
    return QP_OK;
}

qp_status qp_ck_bool_get(const qp_ck_reading *r, const qp_ck_node *parent, const char *key, bool *out,
                         bool *given, qp_err *err) {
    qp_ck_node n;
    QP_TRY(qp_ck_item_get(r, parent, key, QP_CK_BOOL, &n, err));
    *given = n.json != NULL;
    if (*given) *out = json_is_true(n.json);
    return QP_OK;
}
