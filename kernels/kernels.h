// SPDX-License-Identifier: Apache-2.0
// Every launcher of this folder, by device. table.c lists them; nothing outside kernels/ includes this file.
// A launcher queues or runs one op over all tensors of the launch; what it reads and writes is in
// qp/kernel.h.
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "qp/kernel.h"

QP_BEGIN_C

// What every launcher asks first: op, format and engine (one of its own rows in the table), type, shapes, and
// that each pointer the op needs is there and aligned to its element. QP_REFUSED names the tensor, the field,
// wanted and got. A launch that passes cannot fail on the cpu.
qp_status k_launch_check_own(const qp_launch *launch, qp_op op, qp_kernel_fn own, qp_err *err);

// What op amax answers: the grain of the format, but a dynamic one is calibrated by one value of the tensor.
static inline qp_grain k_amax_grain(qp_format f) {
    return qp_format_is_dynamic(f) ? QP_GRAIN_TENSOR : qp_format_get(f)->grain;
}

#define K_LAUNCHERS(OF)                                                                                      \
    OF(amax)                                                                                                 \
    OF(fakequant_int8)                                                                                       \
    OF(fakequant_fp8)                                                                                        \
    OF(fakequant_nvfp4)                                                                                      \
    OF(fakequant_mx)                                                                                         \
    OF(backward)                                                                                             \
    OF(quant_nvfp4)                                                                                          \
    OF(dequant_nvfp4)                                                                                        \
    OF(quant_mx)                                                                                             \
    OF(dequant_mx)                                                                                           \
    OF(quant_real)                                                                                           \
    OF(dequant_real)                                                                                         \
    OF(quant_int4)                                                                                           \
    OF(dequant_int4)                                                                                         \
    OF(quant_nf4)                                                                                            \
    OF(dequant_nf4)

#define K_DECLARE(stem)                                                                                      \
    qp_status k_cpu_##stem(const qp_launch *launch, qp_err *err);                                            \
    qp_status k_simt_##stem(const qp_launch *launch, qp_err *err);                                           \
    qp_status k_cuda_##stem(const qp_launch *launch, qp_err *err);
K_LAUNCHERS(K_DECLARE)
#undef K_DECLARE

QP_END_C
#endif
