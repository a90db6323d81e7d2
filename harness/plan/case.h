// SPDX-License-Identifier: Apache-2.0
// The case line: one line of key=value words that fully determines a test. Parsed against a key table per
// kind, expanded (commas multiply out), given a stable id. The canonical line is the identity.
#ifndef PLAN_CASE_H
#define PLAN_CASE_H

#include "core/arena.h"
#include "qp/module.h"

typedef enum qp_key_type {
    QP_KEY_INT, // decimal, range checked; 'words' are allowed beside numbers and read as 0 (rows=all)
    QP_KEY_U64,
    QP_KEY_WORD,   // one of a closed list
    QP_KEY_TEXT,   // free text without spaces
    QP_KEY_SHAPE,  // RxC or NxRxC
    QP_KEY_LAYOUT, // degrees in one word, tp2ep4; 'words' are allowed beside it
    QP_KEY_LAYERS, // all, or KIND:N,...
    QP_KEY_DIST,   // one of 'words', with :NUMBER where it takes one
    QP_KEY_EDGES,  // a set of 'words'; canonical in table order
    QP_KEY_HEX,    // images, or @FILE
    QP_KEY_PLACE,  // rank:N, expert:N or member:NAME
    QP_KEY_TYPE_COUNT
} qp_key_type;

typedef struct qp_key {
    const char *name;
    qp_key_type type;
    const char *dflt;         // NULL: required; "" : absent; "=KEY": the value of that key, per expanded case
    const char *const *words; // closed list, NULL-terminated
    int64_t min, max;         // QP_KEY_INT
    bool list;                // commas do not multiply out, the value is one list (layers=moe:1,attn:1)
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
// Kinds of the product page that do not exist yet: named in the error.
extern const char *const qp_later_kinds[];
extern const int qp_n_later_kinds;
const char *qp_key_type_name(qp_key_type t);

typedef struct qp_case {
    const qp_kind *kind;
    const char *line; // canonical: kind, then given keys in table order (defaults left out), single spaces
    const char *id;   // 12 hex digits of the hash of line
    const char *const *values; // [kind->n_keys], defaults filled in
    const char *origin;        // "FILE:LINE" or "command line"
    const bool *given;         // [kind->n_keys]: stands in the canonical line
} qp_case;

typedef struct qp_case_list {
    qp_case *cases;
    int n;
    int cap; // room in cases[]; owned by plan
} qp_case_list;

// One source line -> cases (expanded), appended to *out (zero it first). Lists that multiply: kinds with
// pipeline key 'etp' default to tp, 'dp' to ep per expansion. An empty line or a comment adds nothing. Errors
// (QP_USAGE): unknown kind or key with the nearest spelling, duplicate key, bad value (wanted, got), with
// origin and column ("ORIGIN:COLUMN: ..."). On an error *out is as it was.
qp_status qp_case_parse(const char *line, const char *origin, qp_arena *a, qp_case_list *out, qp_err *err);
// A suite file: '#' comments, empty lines, '@FILE' includes relative to the file (cycles refused), one case
// line a line. Collects every bad line into bad[] instead of stopping: the other cases still run. A first
// file that cannot be read is QP_IO.
typedef struct qp_bad_line {
    const char *origin, *line, *message;
} qp_bad_line;
typedef struct qp_bad_list {
    qp_bad_line *lines;
    int n, cap;
} qp_bad_list;
qp_status qp_case_file(const char *path, qp_arena *a, qp_case_list *out, qp_bad_line **bad, int *n_bad,
                       qp_err *err);
// The same, appended to a list that is already there.
qp_status qp_case_file_add(const char *path, qp_arena *a, qp_case_list *out, qp_bad_list *bad, qp_err *err);
qp_status qp_bad_add(qp_bad_list *bad, qp_arena *a, const char *origin, const char *line, const char *message,
                     qp_err *err);

// Values of a parsed case. The key must be in the kind's table (a missing one is a harness bug and returns ""
// or 0).
const char *qp_case_text(const qp_case *c, const char *key);
int64_t qp_case_int(const qp_case *c, const char *key);
uint64_t qp_case_u64(const qp_case *c, const char *key);
bool qp_case_has(const qp_case *c, const char *key);   // given or defaulted to something not ""
bool qp_case_given(const qp_case *c, const char *key); // stands in the line and is not the default
bool qp_case_shape(const qp_case *c, const char *key, int64_t dims[3], int *n_dims);
bool qp_case_layout(const qp_case *c,
                    qp_layout *out); // of a pipeline case; false when the kind has no layout
// "tp2ep4" -> degrees; those not named are 0. False when it is no layout word.
bool qp_layout_word(const char *text, qp_layout *out);
// The same with defaults filled in: tp cp pp ep 1, etp = tp, dp = ep.
void qp_layout_fill(qp_layout *l);

#endif
