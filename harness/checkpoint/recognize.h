// SPDX-License-Identifier: Apache-2.0
// The scheme of one module: what is claimed where the tensors bear it out, else what the tensors are alone.
#ifndef CHECKPOINT_RECOGNIZE_H
#define CHECKPOINT_RECOGNIZE_H

#include "checkpoint/shape.h"

enum { QP_CK_CANDIDATES = 64 }; // room for

typedef struct qp_ck_known { // a scheme once asked for
    uint64_t key;
    const qp_ck_scheme *scheme;
} qp_ck_known;

typedef struct qp_ck_recognizer {
    qp_arena *arena;
    qp_ck_dialect first; // whose schemes are tried first
    qp_ck_known *known;
    int n_known, cap;
    const qp_ck_scheme *last;                    // that fitted
    const qp_ck_scheme *plain[QP_CK_CANDIDATES]; // as asked for without numbers
} qp_ck_recognizer;

// The claimed scheme as a stack of experts keeps it: Model Optimizer turns some of them (2.2).
qp_status qp_ck_scheme_for_stack(qp_ck_recognizer *r, const qp_ck_scheme *s, const qp_ck_module *m,
                                 const qp_ck_scheme **out, qp_err *err);
// The scheme that every tensor of the module fits. lax: some may be missing. *out NULL: none.
qp_status qp_ck_recognize(qp_ck_recognizer *r, const qp_ck_module *m, bool lax, const qp_ck_scheme **out,
                          qp_err *err);
// Do all tensors that are there fit?
bool qp_ck_parts_fit(const qp_ck_scheme *s, const qp_ck_module *m, bool lax);

#endif
