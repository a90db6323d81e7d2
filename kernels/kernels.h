// SPDX-License-Identifier: Apache-2.0
// Every launcher of this folder, by device. table.c lists them; nothing outside kernels/ includes this file.
// A launcher queues or runs one op over all tensors of the launch; what it reads and writes is in
// qp/kernel.h.
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "qp/kernel.h"

QP_BEGIN_C

// What every launcher asks first: op, engine, type, shapes, and that each pointer the op needs is there and
// aligned to its element. QP_REFUSED names the tensor, the field, wanted and got. A launch that passes cannot
// fail on the cpu.
qp_status k_launch_check(const qp_launch *launch, qp_op op, qp_err *err);

qp_status k_cpu_amax(const qp_launch *launch, qp_err *err);
qp_status k_cpu_fakequant_int8(const qp_launch *launch, qp_err *err);
qp_status k_cpu_fakequant_fp8(const qp_launch *launch, qp_err *err);
qp_status k_cpu_fakequant_nvfp4(const qp_launch *launch, qp_err *err);
qp_status k_cpu_backward(const qp_launch *launch, qp_err *err);
qp_status k_cpu_quant_nvfp4(const qp_launch *launch, qp_err *err);
qp_status k_cpu_dequant_nvfp4(const qp_launch *launch, qp_err *err);

qp_status k_simt_amax(const qp_launch *launch, qp_err *err);
qp_status k_simt_fakequant_int8(const qp_launch *launch, qp_err *err);
qp_status k_simt_fakequant_fp8(const qp_launch *launch, qp_err *err);
qp_status k_simt_fakequant_nvfp4(const qp_launch *launch, qp_err *err);
qp_status k_simt_backward(const qp_launch *launch, qp_err *err);
qp_status k_simt_quant_nvfp4(const qp_launch *launch, qp_err *err);
qp_status k_simt_dequant_nvfp4(const qp_launch *launch, qp_err *err);

qp_status k_cuda_amax(const qp_launch *launch, qp_err *err);
qp_status k_cuda_fakequant_int8(const qp_launch *launch, qp_err *err);
qp_status k_cuda_fakequant_fp8(const qp_launch *launch, qp_err *err);
qp_status k_cuda_fakequant_nvfp4(const qp_launch *launch, qp_err *err);
qp_status k_cuda_backward(const qp_launch *launch, qp_err *err);
qp_status k_cuda_quant_nvfp4(const qp_launch *launch, qp_err *err);
qp_status k_cuda_dequant_nvfp4(const qp_launch *launch, qp_err *err);

QP_END_C
#endif
