// SPDX-License-Identifier: Apache-2.0
// As much of JSON Schema as the schemas of reports/ use: type, enum, required, properties,
// additionalProperties, items, minimum, allOf, $ref to $defs. For tests only.
#ifndef CMD_TESTS_JSON_SCHEMA_H
#define CMD_TESTS_JSON_SCHEMA_H

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static inline bool schema_is_type(const json_t *v, const char *type) {
    return (strcmp(type, "object") == 0 && json_is_object(v)) ||
           (strcmp(type, "array") == 0 && json_is_array(v)) ||
           (strcmp(type, "string") == 0 && json_is_string(v)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(v)) ||
           (strcmp(type, "number") == 0 && json_is_number(v)) ||
           (strcmp(type, "null") == 0 && json_is_null(v));
}

static inline bool schema_type_fits(const json_t *v, const json_t *type) {
    const json_t *one;
    size_t i;
    if (json_is_string(type)) return schema_is_type(v, json_string_value(type));
    json_array_foreach(type, i, one) if (schema_is_type(v, json_string_value(one))) return true;
    return false;
}

static inline void schema_check(json_t *root, json_t *schema, json_t *v, const char *where);

static inline void schema_check_object(json_t *root, json_t *schema, json_t *v, const char *where) {
    json_t *more = json_object_get(schema, "additionalProperties"), *one, *name;
    const char *key;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, name)
        ck_assert_msg(json_object_get(v, json_string_value(name)) != NULL, "%s: %s is missing", where,
                      json_string_value(name));
    json_object_foreach(v, key, one) {
        json_t *of = json_object_get(json_object_get(schema, "properties"), key);
        ck_assert_msg(of != NULL || !json_is_false(more), "%s: nobody knows %s", where, key);
        if (of == NULL && json_is_object(more)) of = more;
        if (of != NULL) schema_check(root, of, one, key);
    }
}

static inline void schema_check(json_t *root, json_t *schema, json_t *v, const char *where) {
    json_t *type = json_object_get(schema, "type"), *words = json_object_get(schema, "enum"), *one;
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    size_t i;
    bool found = words == NULL;
    if (ref != NULL) {
        ck_assert(strncmp(ref, "#/$defs/", 8) == 0);
        json_t *def = json_object_get(json_object_get(root, "$defs"), ref + 8);
        ck_assert_msg(def != NULL, "%s: no %s", where, ref);
        schema_check(root, def, v, where);
    }
    json_array_foreach(json_object_get(schema, "allOf"), i, one) schema_check(root, one, v, where);
    ck_assert_msg(type == NULL || schema_type_fits(v, type), "%s: has another type", where);
    json_array_foreach(words, i, one) found = found || json_equal(one, v);
    ck_assert_msg(found, "%s: no word of the list", where);
    if (json_object_get(schema, "minimum") != NULL)
        ck_assert_msg(json_number_value(v) >= json_number_value(json_object_get(schema, "minimum")),
                      "%s: too small", where);
    if (json_is_object(v)) schema_check_object(root, schema, v, where);
    json_array_foreach(v, i, one) if (json_object_get(schema, "items") != NULL)
        schema_check(root, json_object_get(schema, "items"), one, where);
}

static inline void schema_file_check(const char *path, json_t *v) {
    json_error_t at;
    json_t *schema = json_load_file(path, 0, &at);
    ck_assert_msg(schema != NULL, "%s: %s", path, at.text);
    schema_check(schema, schema, v, "the object");
    json_decref(schema);
}

#endif
