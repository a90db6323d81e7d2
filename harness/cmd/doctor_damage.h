// SPDX-License-Identifier: Apache-2.0
// Doctor's second section: every damage on every synthetic checkpoint that it fits, through the audit that
// verify runs.
#ifndef CMD_DOCTOR_DAMAGE_H
#define CMD_DOCTOR_DAMAGE_H

#include <stdio.h>

#include "synth/synth.h"

typedef struct qp_damage_tally {
    int checkpoints, real, clean; // sound ones, those of real packages, those with nothing above note
    uint64_t linears;             // that --against judged in the sound ones
    int kinds, kinds_found;       // damages that fitted somewhere, and those found everywhere they fitted
    int places, places_found;     // (damage, checkpoint) that fit, and those with exactly what was wanted
    int problems;
} qp_damage_tally;

typedef struct qp_doctor_sound { // a checkpoint that must have nothing above note
    const char *name, *dialect, *folder, *original;
    bool real, derivable; // real: derivable where --against judges every quantized linear
} qp_doctor_sound;

// The sound ones of DATA_DIR/checkpoints/expect.json, which real packages wrote.
qp_status qp_doctor_real(const char *data_dir, qp_arena *a, qp_doctor_sound **out, int *n, qp_err *err);
// scratch: a folder to work in. data_dir NULL: the presets alone. only: one damage by name, NULL: all. out
// NULL: silent.
qp_status qp_doctor_damages(const char *scratch, const char *data_dir, const char *only, bool verbose,
                            FILE *out, qp_damage_tally *t, qp_err *err);
// Is word one of the space separated words? "*": any is; NULL: none is.
bool qp_doctor_listed(const char *words, const char *word);

#endif
