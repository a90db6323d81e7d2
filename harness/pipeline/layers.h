// SPDX-License-Identifier: Apache-2.0
// Which layers must be in memory together: those that a shared group joins. Everything else streams one by
// one.
#ifndef PIPELINE_LAYERS_H
#define PIPELINE_LAYERS_H

#include "pipeline/pipeline.h"

typedef struct qp_layer_set {
    int *modules; // indices into model->modules, ascending
    int n_modules;
    int layer; // the lowest layer in it, for names
} qp_layer_set;
qp_status qp_layer_sets(const qp_job *job, qp_arena *a, qp_layer_set **out, int *n, qp_err *err);

#endif
