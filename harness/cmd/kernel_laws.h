// SPDX-License-Identifier: Apache-2.0
// The laws on the answers of a kernel case: the same subject is asked again with transformed inputs, and the
// checks hold one answer against the other. No oracle takes part.
#ifndef CMD_KERNEL_LAWS_H
#define CMD_KERNEL_LAWS_H

#include "cmd/kernel_data.h"
#include "cmd/tally.h"

// Answers op for every tensor of k, whose outputs have room: y, or codes and scales.
typedef qp_status (*qp_law_ask_fn)(void *user, qp_kernel_case *k, qp_op op, qp_err *err);

typedef struct qp_law_asked {
    qp_law_ask_fn ask;
    void *user;
    bool bare; // leaves no exception out: what a counter-example breaks
} qp_law_asked;

// has: the ops that ran; their answers are in k. Judges the first rows of every tensor, enough of them for
// what a law can show.
qp_status qp_kernel_laws(const qp_kernel_case *k, const bool has[QP_OP_COUNT], const qp_law_asked *who,
                         qp_tally *tally, qp_err *err);

#endif
