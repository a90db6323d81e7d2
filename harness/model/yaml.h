// SPDX-License-Identifier: Apache-2.0
// One YAML file, twice: as libyaml's node tree, which knows lines and tells null, {} and [] apart, and as C
// structs through libcyaml. The libcyaml schema is the one description of a file; the tree is checked against
// it first, because libcyaml names neither what it wanted nor the nearest spelling, and takes any word but
// "false" for true.
#ifndef MODEL_YAML_H
#define MODEL_YAML_H

#include <cyaml/cyaml.h>
#include <yaml.h>

#include "core/arena.h"

typedef struct qp_yaml {
    const char *path; // for messages
    const char *text;
    size_t n_bytes;
    yaml_document_t doc;
    bool has_doc;
} qp_yaml;

// Exactly one document that is not empty, without NUL in its texts. path: for messages. text must outlive y.
// Errors (QP_USAGE): "PATH:LINE: ...".
qp_status qp_yaml_open(qp_yaml *y, const char *path, const char *text, size_t n_bytes, qp_err *err);
void qp_yaml_close(qp_yaml *y);

// Checks the tree against schema, then fills *out (a struct of the schema's top mapping, in arena a).
qp_status qp_yaml_load(qp_yaml *y, const cyaml_schema_value_t *schema, qp_arena *a, void *out, qp_err *err);

yaml_node_t *qp_yaml_root(qp_yaml *y);
yaml_node_t *qp_yaml_get(qp_yaml *y, const yaml_node_t *map, const char *key); // NULL when absent
yaml_node_t *qp_yaml_item(qp_yaml *y, const yaml_node_t *seq, int i);
int qp_yaml_line(const yaml_node_t *node);     // from 1
bool qp_yaml_is_null(const yaml_node_t *node); // a plain null, ~ or nothing
const char *qp_yaml_what(const yaml_node_t *node,
                         char buf[80]); // "a list", "null", "'text'": what was found there

#endif
