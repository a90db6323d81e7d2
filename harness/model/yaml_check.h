// SPDX-License-Identifier: Apache-2.0
// A YAML tree held against a libcyaml schema, with errors for people: "FILE:LINE: PLACE: wanted ..., got
// ...", the nearest spelling of an unknown key or word, and the list of those there are.
#ifndef MODEL_YAML_CHECK_H
#define MODEL_YAML_CHECK_H

#include "model/yaml.h"

// Types: mapping, sequence, string, enum, int, bool (true or false only), float, and ignored values.
qp_status qp_yaml_check(qp_yaml *y, const cyaml_schema_value_t *schema, qp_err *err);

#endif
