// SPDX-License-Identifier: Apache-2.0
// Real bugs of this field's history, put back in: the same stage table with one entry replaced, or a variant of the mutant plug-in.
#ifndef MUTANTS_MUTANTS_H
#define MUTANTS_MUTANTS_H

#include "pipeline/pipeline.h"

typedef struct qp_mutant {
    const char *id;       // E-01, E-02-tp, K-tail ...
    const char *sin;      // promote-before-sync
    const char *source;   // catalogue line: PR, what was wrong
    const char *check;    // the check that must fire, by name
    const char *also;     // space separated checks that may fire too
    const char *case_line;
    const char *plugin_variant; // NULL: a stage override
    void (*override)(struct qp_stage_table *table); // replaces one entry
} qp_mutant;

extern const qp_mutant qp_mutants[];
extern const int qp_n_mutants;

#endif
