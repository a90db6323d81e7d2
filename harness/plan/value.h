// SPDX-License-Identifier: Apache-2.0
// Inside plan: one value of one key, checked and brought into its canonical spelling; rules between keys.
#ifndef PLAN_VALUE_H
#define PLAN_VALUE_H

#include "plan/case.h"

// What was wrong with a value: filled when it is refused.
typedef struct qp_value_fault {
    const char *wanted; // NULL: the value is good
    size_t at;          // offset of the fault in the value
} qp_value_fault;

// *out: canonical spelling in the arena. A bad value is QP_OK with fault->wanted set; a status is memory.
qp_status qp_value_check(const qp_key *key, const char *value, qp_arena *a, const char **out,
                         qp_value_fault *fault, qp_err *err);

// Rules between the keys of one expanded case. *complaint NULL: none broken; else the sentence, and *key the
// one to point at.
qp_status qp_case_rules(const qp_case *c, qp_arena *a, const char **complaint, const char **key, qp_err *err);

#endif
