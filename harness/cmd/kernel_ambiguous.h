// SPDX-License-Identifier: Apache-2.0
// Approximate engines: which differing blocks of a fake-quant answer the engine may have given.
#ifndef CMD_KERNEL_AMBIGUOUS_H
#define CMD_KERNEL_AMBIGUOUS_H

#include "cmd/kernel_data.h"

// Engines triton and mx-ext divide within 2 ulp. A block of t->y that differs from must, but lies in the
// reference's ambiguity set, is taken over into must; every other block stays as it was. Returns how many
// blocks were taken over. device: where the subject divided (numerics 0).
int64_t qp_kernel_accept(const qp_kernel_case *k, qp_device_kind device, const qp_kernel_tensor *t,
                         void *must);

#endif
