// SPDX-License-Identifier: Apache-2.0
// Doctor's second section: every damage on every synthetic checkpoint that it fits, through the audit that
// verify runs.
#ifndef CMD_DOCTOR_DAMAGE_H
#define CMD_DOCTOR_DAMAGE_H

#include <stdio.h>

#include "synth/synth.h"

typedef struct qp_damage_tally {
    int presets, clean;       // sound checkpoints, and those with nothing above note, judged and derived
    uint64_t linears;         // that --against judged in the sound ones
    int kinds, kinds_found;   // damages that fitted somewhere, and those found everywhere they fitted
    int places, places_found; // (damage, checkpoint) that fit, and those with exactly what was wanted
    int problems;
} qp_damage_tally;

// scratch: a folder to work in. only: one damage by name, NULL: all. out NULL: silent.
qp_status qp_doctor_damages(const char *scratch, const char *only, bool verbose, FILE *out,
                            qp_damage_tally *t, qp_err *err);
// Is word one of the space separated words? "*": any is; NULL: none is.
bool qp_doctor_listed(const char *words, const char *word);

#endif
