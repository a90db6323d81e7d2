// SPDX-License-Identifier: Apache-2.0
// What the files of this room share: a subject as the runner sees it, and the buffers of one launch.
#ifndef SUBJECT_RUN_H
#define SUBJECT_RUN_H

#include "subject/subject.h"

#include <pthread.h>

struct qp_subject {
    qp_device *dev;          // where its pointers live
    bool own_dev;            // opened here because the plug-in wants another kind
    const qp_plugin *plugin; // NULL: built-in kernels
    const qp_plugin_variant *variant;
    void *library;
    const char *name;
    pthread_mutex_t lock; // guards texts
    qp_arena *texts;      // findings: live as long as the subject
};

// One pass through the subject's own function. *what: kernel or variant name, alive as long as the subject.
qp_status subject_launch(qp_subject *s, const qp_launch *launch, const char **what, qp_err *err);
// What a plug-in says about itself against the headers of this build; QP_USAGE.
qp_status subject_check_plugin(const char *path, const qp_plugin *p, qp_err *err);
const char *subject_text(qp_subject *s, const char *fmt, ...)
    QP_PRINTF(2, 3); // kept copy; NULL when out of memory

// ---- slots.c: which buffers an op has and how large they are
// -----------------------------------------------------------

typedef struct slot {
    int tensor;
    const char *field; // "x", "amax_out" ...
    size_t offset;     // of the pointer in qp_ktensor
    void *host;        // the caller's memory; only read when !is_output
    size_t n_bytes, elem_bytes;
    bool is_output, may_shift; // shifted by options.misalign
    uint8_t *at;               // place on the device
    size_t before, after;      // guard bytes on both sides
} slot;

enum { MAX_SLOTS = 12 }; // per tensor
// QP_BROKEN when a pointer that the op needs is NULL or a shape is impossible.
qp_status slots_of(const qp_launch *launch, int tensor, slot out[MAX_SLOTS], int *n, qp_err *err);

#endif
