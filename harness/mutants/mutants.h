// SPDX-License-Identifier: Apache-2.0
// Real bugs of this field's history, put back in: the same stage table with one entry replaced or moved, a
// variant of the mutant plug-in, or data on which no bug could show. None touches the good code.
#ifndef MUTANTS_MUTANTS_H
#define MUTANTS_MUTANTS_H

#include "pipeline/stages.h"

typedef struct qp_mutant {
    const char *id;     // of the fault catalogue (pipeline spec E), or K-... for kernel sins, D-... for data
    const char *sin;    // promote-before-sync
    const char *source; // where the bug was seen and what was wrong
    const char *check;  // the check that must fire, by name
    const char *also;   // space separated checks that may fire too; '*' = any
    const char *case_line;
    void (*override)(qp_stage_table *t); // NULL: not a stage override
    const char *variant;                 // of the mutant plug-in; NULL: none
    const char *sinful_line;             // data mutant: this case line in the place of case_line; NULL: none
} qp_mutant;

extern const qp_mutant qp_mutants[];
extern const int qp_n_mutants;

// The same function registered again: no finding, no state changed.
void qp_mutant_null(qp_stage_table *t);

#endif
