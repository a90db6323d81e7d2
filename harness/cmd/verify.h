// SPDX-License-Identifier: Apache-2.0
// Pieces of quantproof verify: options, what --allow took away, and the answer as text, JSON and JUnit.
#ifndef CMD_VERIFY_H
#define CMD_VERIFY_H

#include "audit/audit.h"

typedef struct verify_allow { // --allow RULE:PATTERN:reason
    qp_ck_rule rule;
    const char *pattern, *reason;
    const char *from; // "--allow" or "FILE:LINE"
    uint64_t n_hits;  // findings that it moved
} verify_allow;

typedef struct verify_options {
    qp_audit_options audit;
    verify_allow *allows;
    int n_allows, cap_allows;
    bool json, statistics, no_progress;
    const char *junit; // NULL: not asked
    uint64_t per_rule; // findings shown per rule, text only
    bool help, rules;
    const char *explain;
} verify_options;

typedef struct verify_answer {
    const verify_options *o;
    const qp_audit *audit;
    const qp_ck_finding **open, **allowed; // worst first, by rule, by name with numbers in their order
    size_t n_open, n_allowed;
    uint64_t counts[QP_CK_RULES], allowed_counts[QP_CK_RULES]; // counts: not allowed, kept or not
    uint64_t by_severity[QP_SEV_ERROR + 1];                    // the same, summed
    int exit_code;
    const char *verdict; // one line
} verify_answer;

extern const char verify_help[];
qp_status verify_parse(int argc, char **argv, qp_arena *a, verify_options *o, qp_err *err);

// One "RULE:PATTERN:reason", or a file of such lines with # comments.
qp_status verify_allow_add(verify_options *o, const char *text, const char *from, qp_arena *a, qp_err *err);
qp_status verify_allow_file(verify_options *o, const char *path, qp_arena *a, qp_err *err);
// The rule of that id; unknown: QP_USAGE with the nearest spelling. from: for the message.
qp_status verify_rule_named(const char *id, const char *from, qp_ck_rule *out, qp_err *err);

// Sorts the findings, moves the allowed ones (u->findings gets their reasons), counts and decides the exit
// code.
qp_status verify_judge(verify_options *o, qp_audit *u, qp_arena *a, verify_answer *out, qp_err *err);

void verify_print_rules(void);
void verify_print_rule(qp_ck_rule rule);
void verify_print_text(const verify_answer *v);
void verify_print_against(const verify_answer *v);
void verify_print_stale(const verify_options *o, bool to_stderr); // --allow that moved nothing
qp_status verify_print_json(const verify_answer *v, qp_arena *a, qp_err *err);
qp_status verify_write_junit(const verify_answer *v, qp_err *err);
// Nothing could be audited: one testcase that says why.
qp_status verify_write_junit_unreadable(const verify_options *o, const char *why, qp_err *err);

#endif
