// SPDX-License-Identifier: Apache-2.0
// What the audit of a checkpoint says: rules by id, findings by rule. One list per audit, filled by one
// thread.
#ifndef CHECKPOINT_FINDING_H
#define CHECKPOINT_FINDING_H

#include "core/arena.h"

typedef enum qp_severity { QP_SEV_NOTE, QP_SEV_WARNING, QP_SEV_ERROR } qp_severity;

typedef enum qp_ck_rule { // product page, section 6; the order of the lists there
    QP_CK_MISSING_SCALE,
    QP_CK_ORPHAN_SCALE,
    QP_CK_EXPERT_SET,
    QP_CK_INDEX_SHARDS,
    QP_CK_FILE_FORMAT,
    QP_CK_DTYPE,
    QP_CK_SHAPE,
    QP_CK_SCALE_NAN,
    QP_CK_SCALE_INF,
    QP_CK_SCALE_ZERO,
    QP_CK_SCALE_NEGATIVE,
    QP_CK_SHARED_WEIGHT_SCALE,
    QP_CK_SHARED_INPUT_SCALE,
    QP_CK_KV_SCALE,
    QP_CK_CONFIG_TENSORS,
    QP_CK_CODES_DIFFER,   // --against
    QP_CK_SCALES_DIFFER,  // --against
    QP_CK_GLOBAL_DIFFERS, // --against
    QP_CK_BYTES_DIFFER,   // --against: a tensor left unquantized is not the original
    QP_CK_RECIPROCAL,
    QP_CK_EXCLUDE_MISSING,
    QP_CK_EXCLUDE_UNKNOWN,
    QP_CK_SCALE_ZERO_BLOCK,
    QP_CK_BLOCK_STATS,
    QP_CK_TOLERATED_FORMAT,
    QP_CK_UNCLASSIFIED,
    QP_CK_LEFTOVER_FILE,
    QP_CK_TIED_OR_ABSENT,
    QP_CK_STATISTICS,
    QP_CK_RULES
} qp_ck_rule;

typedef struct qp_ck_rule_row {
    qp_ck_rule rule;
    const char *id;
    qp_severity severity;
    const char *says;   // one line: what holds in a sound checkpoint
    const char *why;    // --explain: the history, with sources
    const char *effect; // what a loader does with it, unless a finding knows better
} qp_ck_rule_row;
extern const qp_ck_rule_row qp_ck_rules[QP_CK_RULES]; // rule_table.c, in the order of the enum
bool qp_ck_rule_named(const char *id, qp_ck_rule *out);
const char *qp_severity_name(qp_severity s);

typedef struct qp_ck_finding {
    qp_ck_rule rule;
    const char *tensor; // tensor, module, file or config item; control characters escaped (NUL as \u0000)
    const char *detail; // wanted and got, with the first element where there is one
    const char *effect;
    const char *allowed; // the reason given by --allow; NULL: not allowed
} qp_ck_finding;

enum { QP_CK_KEPT = 100000 }; // findings kept per rule; all are counted

typedef struct qp_ck_findings {
    qp_arena *arena;
    qp_ck_finding *list;
    size_t n, cap;
    uint64_t counts[QP_CK_RULES];
} qp_ck_findings;

void qp_ck_findings_init(qp_ck_findings *f, qp_arena *a);
// name: n_name bytes, may hold NUL and control characters. effect NULL: that of the rule.
qp_status qp_ck_found(qp_ck_findings *f, qp_ck_rule rule, const char *name, size_t n_name, const char *effect,
                      qp_err *err, const char *fmt, ...) QP_PRINTF(7, 8);
// Bytes as printable UTF-8: control characters as \u00XX, bytes that are no UTF-8 as \xXX, long ones cut.
qp_status qp_ck_show(const char *bytes, size_t n, qp_arena *a, const char **out, qp_err *err);

#endif
