// SPDX-License-Identifier: Apache-2.0
// A mutant in the words of the CUDA sources, run thread by thread by the simt shim: the tree reduction of
// amax.cu with the barrier pulled into the branch of the active half. On a card it may hang or pass by luck;
// here it is a finding.
#include <stdio.h>
#include <string.h>

#include "simt/shim.h"
#include "steps.h"

enum { THREADS = 64 };

typedef struct barrier_args {
    const uint16_t *x;
    int64_t rows, cols, ld;
    uint32_t *out;
} barrier_args;

KERNEL_COOP(amax_barrier_in_branch, barrier_args, p) {
    SHARED(uint32_t, part, THREADS);
    unsigned me = threadIdx.x;
    uint32_t m = 0;
    for (int64_t i = me; i < p->rows * p->cols; i += THREADS) {
        uint32_t a = (uint32_t)(p->x[i / p->cols * p->ld + i % p->cols] & 0x7fff) << 16;
        m = a > m ? a : m;
    }
    part[me] = m;
    SYNC();
    for (unsigned half = THREADS / 2; half > 0; half /= 2)
        if (me < half) {
            if (part[me + half] > part[me]) part[me] = part[me + half];
            SYNC();
        }
    if (me == 0) *p->out = part[0];
}

qp_status run_barrier_in_branch(const qp_launch *launch, char *msg, size_t msg_bytes) {
    qp_err own = {QP_OK}, *err = &own;
    if (launch->op != QP_OP_AMAX || launch->format != QP_INT8 || launch->dtype != QP_BF16) {
        snprintf(msg, msg_bytes, "only amax of int8 in bf16");
        return QP_REFUSED;
    }
    qp_status status = QP_OK;
    for (int i = 0; i < launch->n_tensors && status == QP_OK; i++) {
        const qp_ktensor *t = &launch->tensors[i];
        barrier_args a = {t->x, t->rows, t->cols, t->ld, (uint32_t *)(void *)t->amax_out};
        status = LAUNCH(amax_barrier_in_branch, 1, THREADS, launch, &a);
    }
    snprintf(msg, msg_bytes, "%s", own.msg);
    return status;
}
