// SPDX-License-Identifier: Apache-2.0
// Running one line sick or healthy for doctor: the subject, the stage table and the switched-off check are
// what varies.
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include "cmd/run_case.h"
#include "mutants/mutants.h"

typedef struct qp_doctor {
    qp_arena *arena;
    qp_device *device;
    const char *data_dir, *scratch, *plugin; // plugin: path of the mutant plug-in beside the program
    bool verbose;
} qp_doctor;

typedef struct qp_doctor_run {
    qp_case_result result;
    const qp_digest *digests; // copied into the arena given
    int64_t n_digests;
} qp_doctor_run;

qp_status qp_doctor_open(qp_doctor *d, qp_err *err);
void qp_doctor_close(qp_doctor *d);
// The case of a mutant as it should run: good stages, and for a kernel sin the variant 'good' of the same
// plug-in.
qp_status qp_doctor_clean(qp_doctor *d, const qp_mutant *m, qp_arena *a, qp_doctor_run *out, qp_err *err);
// With the sin in. off: a check that is switched off, or NULL.
qp_status qp_doctor_sick(qp_doctor *d, const qp_mutant *m, const char *off, qp_arena *a, qp_doctor_run *out,
                         qp_err *err);
// Any line: stages NULL = the good ones.
qp_status qp_doctor_line(qp_doctor *d, const char *line, const qp_stage_table *stages, const char *off,
                         qp_arena *a, qp_doctor_run *out, qp_err *err);
// Rows of states that are in one and not in the other, or differ. Both sorted.
int64_t qp_digests_changed(const qp_digest *a, int64_t n_a, const qp_digest *b, int64_t n_b);

#endif
