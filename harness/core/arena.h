// SPDX-License-Identifier: Apache-2.0
// One arena per case: a pointer lives as long as its arena, nobody frees anything else. Grows in chunks;
// zeroed memory.
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include "qp/status.h"

typedef struct qp_arena qp_arena;

qp_arena *qp_arena_new(void); // NULL when out of memory
void qp_arena_free(qp_arena *a);
void qp_arena_reset(qp_arena *a); // keeps one chunk
size_t qp_arena_used(const qp_arena *a);
// Zeroed, aligned to 64 bytes. Not thread safe: one arena per rank.
qp_status qp_arena_get(qp_arena *a, size_t n_bytes, void *out_ptr, qp_err *err); // out_ptr: T **
qp_status qp_arena_strdup(qp_arena *a, const char *text, const char **out, qp_err *err);
qp_status qp_arena_printf(qp_arena *a, const char **out, qp_err *err, const char *fmt, ...) QP_PRINTF(4, 5);

#define QP_NEW(arena, ptr, count) qp_arena_get((arena), sizeof(*(ptr)) * (size_t)(count), &(ptr), err)

#endif
