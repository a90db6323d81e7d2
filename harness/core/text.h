// SPDX-License-Identifier: Apache-2.0
// Text helpers that every room shares: bounded building, number parsing, nearest spelling.
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "core/arena.h"

// A growing text in an arena.
typedef struct qp_text {
    qp_arena *arena;
    char *s; // always NUL-terminated once something was added
    size_t n, cap;
} qp_text;

qp_status qp_text_add(qp_text *t, qp_err *err, const char *fmt, ...) QP_PRINTF(3, 4);
qp_status qp_text_add_bytes(qp_text *t, const char *bytes, size_t n, qp_err *err);

// Whole-string parsers: trailing junk, overflow or an empty string is false.
bool qp_parse_i64(const char *s, int64_t *out);
bool qp_parse_u64(const char *s, uint64_t *out);             // decimal or 0x...
bool qp_parse_hex(const char *s, int digits, uint64_t *out); // exactly so many hex digits
bool qp_parse_size(const char *s, uint64_t *out);            // 64M, 2G, 1024

// Edit distance (insert, delete, replace, swap of neighbours); nearest candidate within a third of the word's
// length + 1, NULL if none is near.
int qp_edit_distance(const char *a, const char *b);
const char *qp_nearest(const char *word, const char *const *candidates, int n);
// Match with * and ? over the whole name (case sensitive).
bool qp_wildcard(const char *pattern, const char *name);

#endif
