// SPDX-License-Identifier: Apache-2.0
// From the name of a model or recipe to its file.
#ifndef MODEL_FIND_H
#define MODEL_FIND_H

#include "core/arena.h"

// name: a path (has a '/' or ends in ".yaml"), else DATA_DIR/FOLDER/name.yaml. what: "model" or "recipe", for
// the message. Unknown name (QP_USAGE): the nearest one and all there are.
qp_status qp_data_find(const char *name, const char *data_dir, const char *folder, const char *what,
                       qp_arena *a, const char **path, qp_err *err);

#endif
