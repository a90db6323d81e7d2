// SPDX-License-Identifier: Apache-2.0
// Sharded checkpoints of quantizer state, as save.c writes and load.c reads them.
//
// A folder: model-rank00000.safetensors ... (ranks that own nothing write no file) and
// model.safetensors.index.json. Keys: global FQN + "." + field, under Model Optimizer's names. A tensor that
// is whole bears its key. A part of one is named "KEY#RANK" and has a companion "KEY#RANK.place", I64: full
// rows, full cols, first col, number of cols, then (first row, number of rows) of each run of rows; data is
// these rows one after the other. A quantizer without amax: "KEY.absent", I64 [1]. Every part is written
// once, by the lowest rank that holds it. With rows=N, weight_packed and weight_scale hold the N rows that
// every layout samples. The folder appears under its name only when all ranks have written; an older one
// stays until then.
#ifndef PIPELINE_CHECKPOINT_H
#define PIPELINE_CHECKPOINT_H

#include "pipeline/stages.h"
#include "tensor/safetensors.h"

typedef enum qp_ckpt_field {
    QP_CKPT_AMAX,
    QP_CKPT_GLOBAL,
    QP_CKPT_INPUT,
    QP_CKPT_PACKED,
    QP_CKPT_SCALE,
    QP_CKPT_SCALE_2,
    QP_CKPT_FIELDS
} qp_ckpt_field;

const char *qp_ckpt_field_name(qp_ckpt_field f);
qp_dtype qp_ckpt_dtype(qp_ckpt_field f);
// Does this linear have the field by its recipe?
bool qp_ckpt_has(const qp_quantizer *q, qp_ckpt_field f);
// The part of the field's full tensor that q's slice covers (with rows=N: of the common rows). In arena a.
qp_status qp_place_of(const qp_job *job, const qp_quantizer *q, qp_ckpt_field f, qp_arena *a, qp_place *out,
                      qp_err *err);
int64_t qp_place_rows(const qp_place *p);
// Runs of neighbouring rows from ascending rows.
qp_status qp_rows_to_ranges(const int64_t *rows, int64_t n, qp_arena *a, qp_place *out, qp_err *err);

// A part as it lies in a file.
typedef struct qp_ckpt_part {
    const char *key, *file;
    const qp_st_tensor *tensor;
    qp_place place;
} qp_ckpt_part;
typedef struct qp_checkpoint {
    qp_st_set set;
    qp_ckpt_part *parts; // sorted by key, then first row and column
    int n_parts;
    const char **absent; // sorted keys
    int n_absent;
    const char *folder;
} qp_checkpoint;
// Parts of a key: [*first, *first + n). 0 when there are none.
int qp_ckpt_find(const qp_checkpoint *c, const char *key, int *first);
bool qp_ckpt_absent(const qp_checkpoint *c, const char *key);

#endif
