// SPDX-License-Identifier: Apache-2.0
// Every built-in kernel, one line each and per device. simt is the source of cuda, run on the CPU.
// A cuda row of a build without the toolkit has no function: its cases are skipped with that reason.
#include "kernels.h"

#if QP_HAVE_CUDA
#define CUDA_FN(stem) k_cuda_##stem
#else
#define CUDA_FN(stem) NULL
#endif

#define CPU(stem, variant, op, format)                                                                       \
    { "k_cpu_" #stem variant, QP_DEVICE_CPU, op, format, QP_ENGINE_IEEE, k_cpu_##stem }
#define SIMT(stem, variant, op, format)                                                                      \
    { "k_simt_" #stem variant, QP_DEVICE_SIMT, op, format, QP_ENGINE_IEEE, k_simt_##stem }
#define CUDA(stem, variant, op, format)                                                                      \
    { "k_cuda_" #stem variant, QP_DEVICE_CUDA, op, format, QP_ENGINE_IEEE, CUDA_FN(stem) }

// clang-format off
#define KERNELS_OF(DEVICE)                                                      \
    DEVICE(amax, "_int8", QP_OP_AMAX, QP_INT8),                                 \
    DEVICE(amax, "_int8_axis0", QP_OP_AMAX, QP_INT8_AXIS0),                     \
    DEVICE(amax, "_fp8_e4m3", QP_OP_AMAX, QP_FP8_E4M3),                         \
    DEVICE(amax, "_fp8_axis0", QP_OP_AMAX, QP_FP8_AXIS0),                       \
    DEVICE(amax, "_nvfp4", QP_OP_AMAX, QP_NVFP4),                               \
    DEVICE(amax, "_nvfp4_static", QP_OP_AMAX, QP_NVFP4_STATIC),                 \
    DEVICE(fakequant_int8, "", QP_OP_FAKEQUANT, QP_INT8),                       \
    DEVICE(fakequant_int8, "_axis0", QP_OP_FAKEQUANT, QP_INT8_AXIS0),           \
    DEVICE(fakequant_fp8, "_e4m3", QP_OP_FAKEQUANT, QP_FP8_E4M3),               \
    DEVICE(fakequant_fp8, "_axis0", QP_OP_FAKEQUANT, QP_FP8_AXIS0),             \
    DEVICE(fakequant_nvfp4, "", QP_OP_FAKEQUANT, QP_NVFP4),                     \
    DEVICE(fakequant_nvfp4, "_static", QP_OP_FAKEQUANT, QP_NVFP4_STATIC),       \
    DEVICE(backward, "_int8", QP_OP_BACKWARD, QP_INT8),                         \
    DEVICE(backward, "_int8_axis0", QP_OP_BACKWARD, QP_INT8_AXIS0),             \
    DEVICE(backward, "_fp8_e4m3", QP_OP_BACKWARD, QP_FP8_E4M3),                 \
    DEVICE(backward, "_fp8_axis0", QP_OP_BACKWARD, QP_FP8_AXIS0),               \
    DEVICE(backward, "_nvfp4", QP_OP_BACKWARD, QP_NVFP4),                       \
    DEVICE(backward, "_nvfp4_static", QP_OP_BACKWARD, QP_NVFP4_STATIC),         \
    DEVICE(quant_nvfp4, "", QP_OP_QUANT, QP_NVFP4),                             \
    DEVICE(quant_nvfp4, "_static", QP_OP_QUANT, QP_NVFP4_STATIC),               \
    DEVICE(dequant_nvfp4, "", QP_OP_DEQUANT, QP_NVFP4),                         \
    DEVICE(dequant_nvfp4, "_static", QP_OP_DEQUANT, QP_NVFP4_STATIC)
// clang-format on

const qp_kernel_row qp_kernels[] = {KERNELS_OF(CPU), KERNELS_OF(SIMT), KERNELS_OF(CUDA)};
const int qp_n_kernels = QP_COUNT(qp_kernels);
