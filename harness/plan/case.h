// SPDX-License-Identifier: Apache-2.0
// The case line: one line of key=value words that fully determines a test. Parsed against a key table per kind,
// expanded (commas multiply out), given a stable id. The canonical line is the identity.
#ifndef PLAN_CASE_H
#define PLAN_CASE_H

#include "core/arena.h"

typedef enum qp_key_type {
    QP_KEY_INT,    // decimal, range checked
    QP_KEY_U64,
    QP_KEY_WORD,   // one of a closed list
    QP_KEY_TEXT,   // free text without spaces
    QP_KEY_SHAPE,  // RxC or NxRxC
} qp_key_type;

typedef struct qp_key {
    const char *name;
    qp_key_type type;
    const char *dflt;              // NULL: required; "" : absent
    const char *const *words;      // QP_KEY_WORD: NULL-terminated
    int64_t min, max;              // QP_KEY_INT
    bool list;                     // commas do not multiply out, the value is one list (layers=moe:1,attn:1)
    const char *doc;
} qp_key;

typedef struct qp_kind {
    const char *name; // pipeline quant grouped amax ste
    const char *doc;
    const qp_key *keys;
    int n_keys;
} qp_kind;

extern const qp_kind qp_kinds[]; // plan/keys.c, what 'list --keys' prints
extern const int qp_n_kinds;

typedef struct qp_case {
    const qp_kind *kind;
    const char *line;          // canonical: kind, then given keys in table order (defaults left out), single spaces
    const char *id;            // 12 hex digits of the hash of line
    const char *const *values; // [kind->n_keys], defaults filled in
    const char *origin;        // "FILE:LINE" or "command line"
} qp_case;

typedef struct qp_case_list {
    qp_case *cases;
    int n;
} qp_case_list;

// One source line -> cases (expanded). Lists that multiply: kinds with pipeline key 'etp' default to tp, 'dp' to ep per expansion.
// Errors (QP_USAGE): unknown kind or key with the nearest spelling, duplicate key, bad value (wanted, got), with origin and column.
qp_status qp_case_parse(const char *line, const char *origin, qp_arena *a, qp_case_list *out, qp_err *err);
// A suite file: '#' comments, empty lines, '@FILE' includes relative to the file (cycles refused), one case line a line.
// Collects every bad line into bad[] instead of stopping: the other cases still run.
typedef struct qp_bad_line {
    const char *origin, *line, *message;
} qp_bad_line;
qp_status qp_case_file(const char *path, qp_arena *a, qp_case_list *out, qp_bad_line **bad, int *n_bad, qp_err *err);

// Values of a parsed case. The key must be in the kind's table (a missing one is a harness bug and returns "" or 0).
const char *qp_case_text(const qp_case *c, const char *key);
int64_t qp_case_int(const qp_case *c, const char *key);
uint64_t qp_case_u64(const qp_case *c, const char *key);
bool qp_case_has(const qp_case *c, const char *key); // given or defaulted to something not ""
bool qp_case_shape(const qp_case *c, const char *key, int64_t dims[3], int *n_dims);

#endif
