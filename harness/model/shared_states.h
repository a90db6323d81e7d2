// SPDX-License-Identifier: Apache-2.0
// The shared_states key of a recipe (pipeline spec B, "Config semantics").
#ifndef MODEL_SHARED_STATES_H
#define MODEL_SHARED_STATES_H

#include "model/model.h"
#include "model/yaml.h"

// Sets shared, patterns and n_patterns of out. Absent, null and {} mean the defaults at every level; a list,
// also an empty one, is taken as it is. Unknown key, wrong type or bad regex: QP_USAGE with file, line and
// for a regex the pattern and the offset.
qp_status qp_shared_states_read(qp_yaml *y, qp_arena *a, qp_recipe *out, qp_err *err);

#endif
