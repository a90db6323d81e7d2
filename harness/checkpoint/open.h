// SPDX-License-Identifier: Apache-2.0
// Pieces of opening that the files of this room share.
#ifndef CHECKPOINT_OPEN_H
#define CHECKPOINT_OPEN_H

#include "checkpoint/ckpt.h"

// JSON as Python reads it: NaN and Infinity stand for null, a repeated key keeps its last value. Absent: all
// NULL, no finding. Unreadable, no JSON, no object: a file-format finding, root NULL.
qp_status qp_ck_config_read(const char *path, qp_arena *a, qp_ck_findings *f, qp_ck_config *out, qp_err *err);
// Maps and scans one file of the folder into the next place of c->files; what is wrong becomes a finding.
qp_status qp_ck_file_add(qp_ckpt *c, const char *name, bool strict, qp_arena *a, qp_ck_findings *f,
                         qp_err *err);
// weight_map of the index, an object of texts that are plain file names; NULL when it is none (a finding).
qp_status qp_ck_index_map(const qp_ckpt *c, qp_arena *a, qp_ck_findings *f, json_t **map, qp_err *err);
// Index and shards against each other, both ways, and the sum of the sizes.
qp_status qp_ck_index_check(const qp_ckpt *c, json_t *map, qp_arena *a, qp_ck_findings *f, qp_err *err);
// c->tensors from the files that were readable; a name in two of them is kept once (and a finding).
qp_status qp_ck_tensors_gather(qp_ckpt *c, qp_arena *a, qp_ck_findings *f, qp_err *err);

#endif
