// SPDX-License-Identifier: Apache-2.0
// Between st_walk.c (what the header says) and st_scan.c (whether it can be true). Not for other files.
#ifndef TENSOR_ST_WALK_H
#define TENSOR_ST_WALK_H

#include "tensor/st_json.h"
#include "tensor/st_scan.h"

// Walked twice: first to count, then to fill arrays of exactly that size. So nothing is allocated for a
// header that does not parse, and nothing grows.
typedef struct qp_st_walk {
    qp_stj json;
    const uint8_t *file; // byte 0 of the file
    qp_arena *arena;
    qp_err *err;
    qp_status status; // of the arena
    bool filling;
    uint32_t n_entries, n_meta;
    size_t n_text; // bytes of names that are written with escapes
    qp_st_entry *entries;
    const uint8_t **meta;
    char *text;
    bool has_meta;
    const char *name; // of the tensor being read, for messages
    size_t n_name;
    char field[32]; // being read, for messages
    uint64_t n_deviations[QP_ST_RULES];
    qp_st_deviation *deviations;
    int n_kept;
} qp_st_walk;

bool qp_st_walk_header(qp_st_walk *w); // false: json.stop or status says why
void qp_st_walk_note(qp_st_walk *w, qp_st_rule rule, const uint8_t *at, const char *name, size_t n_name,
                     const char *fmt, ...) QP_PRINTF(6, 7);
// From the shape of an entry that was read, or where the last call stopped; NULL at its end.
const uint8_t *qp_st_next_dim(const uint8_t *p, uint64_t *out);

#endif
