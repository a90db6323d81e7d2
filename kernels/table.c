// SPDX-License-Identifier: Apache-2.0
// Every built-in kernel, one line each and per device. simt is the source of cuda, run on the CPU.
// A cuda row of a build without the toolkit has no function: its cases are skipped with that reason.
#include "kernels.h"

#if QP_HAVE_CUDA
#define CUDA_FN(stem) k_cuda_##stem
#else
#define CUDA_FN(stem) NULL
#endif

#define CPU(stem, variant, op, format, engine)                                                               \
    { "k_cpu_" #stem variant, QP_DEVICE_CPU, op, format, QP_ENGINE_##engine, k_cpu_##stem }
#define SIMT(stem, variant, op, format, engine)                                                              \
    { "k_simt_" #stem variant, QP_DEVICE_SIMT, op, format, QP_ENGINE_##engine, k_simt_##stem }
#define CUDA(stem, variant, op, format, engine)                                                              \
    { "k_cuda_" #stem variant, QP_DEVICE_CUDA, op, format, QP_ENGINE_##engine, CUDA_FN(stem) }

// clang-format off
#define KERNELS_OF(DEVICE)                                                                      \
    DEVICE(amax, "_int8", QP_OP_AMAX, QP_INT8, IEEE),                                           \
    DEVICE(amax, "_int8_axis0", QP_OP_AMAX, QP_INT8_AXIS0, IEEE),                               \
    DEVICE(amax, "_fp8_e4m3", QP_OP_AMAX, QP_FP8_E4M3, IEEE),                                   \
    DEVICE(amax, "_fp8_axis0", QP_OP_AMAX, QP_FP8_AXIS0, IEEE),                                 \
    DEVICE(amax, "_fp8_block2d", QP_OP_AMAX, QP_FP8_BLOCK2D, IEEE),                             \
    DEVICE(amax, "_nvfp4", QP_OP_AMAX, QP_NVFP4, IEEE),                                         \
    DEVICE(amax, "_nvfp4_static", QP_OP_AMAX, QP_NVFP4_STATIC, IEEE),                           \
    DEVICE(amax, "_nvfp4_46", QP_OP_AMAX, QP_NVFP4_46, IEEE),                                   \
    DEVICE(amax, "_int4", QP_OP_AMAX, QP_INT4, IEEE),                                           \
    DEVICE(amax, "_int4_axis0", QP_OP_AMAX, QP_INT4_AXIS0, IEEE),                               \
    DEVICE(amax, "_int4_block", QP_OP_AMAX, QP_INT4_BLOCK, IEEE),                               \
    DEVICE(amax, "_int4_awq", QP_OP_AMAX, QP_INT4_AWQ, IEEE),                                   \
    DEVICE(amax, "_int8_export", QP_OP_AMAX, QP_INT8_EXPORT, IEEE),                             \
    DEVICE(amax, "_fp8_export", QP_OP_AMAX, QP_FP8_EXPORT, IEEE),                               \
    DEVICE(amax, "_mxfp4", QP_OP_AMAX, QP_MXFP4, IEEE),                                         \
    DEVICE(amax, "_mxfp6_e3m2", QP_OP_AMAX, QP_MXFP6_E3M2, IEEE),                               \
    DEVICE(amax, "_mxfp6_e2m3", QP_OP_AMAX, QP_MXFP6_E2M3, IEEE),                               \
    DEVICE(amax, "_mxfp8_e4m3", QP_OP_AMAX, QP_MXFP8_E4M3, IEEE),                               \
    DEVICE(amax, "_mxfp8_e5m2", QP_OP_AMAX, QP_MXFP8_E5M2, IEEE),                               \
    DEVICE(amax, "_mxint8", QP_OP_AMAX, QP_MXINT8, IEEE),                                       \
    DEVICE(amax, "_nf4", QP_OP_AMAX, QP_NF4, IEEE),                                             \
    DEVICE(amax, "_nvfp4_w4a8", QP_OP_AMAX, QP_NVFP4_W4A8, IEEE),                               \
    DEVICE(fakequant_int8, "", QP_OP_FAKEQUANT, QP_INT8, IEEE),                                 \
    DEVICE(fakequant_int8, "_axis0", QP_OP_FAKEQUANT, QP_INT8_AXIS0, IEEE),                     \
    DEVICE(fakequant_int8, "_int4", QP_OP_FAKEQUANT, QP_INT4, IEEE),                            \
    DEVICE(fakequant_int8, "_int4_axis0", QP_OP_FAKEQUANT, QP_INT4_AXIS0, IEEE),                \
    DEVICE(fakequant_int8, "_int4_block", QP_OP_FAKEQUANT, QP_INT4_BLOCK, IEEE),                \
    DEVICE(fakequant_fp8, "_e4m3", QP_OP_FAKEQUANT, QP_FP8_E4M3, IEEE),                         \
    DEVICE(fakequant_fp8, "_axis0", QP_OP_FAKEQUANT, QP_FP8_AXIS0, IEEE),                       \
    DEVICE(fakequant_fp8, "_block2d", QP_OP_FAKEQUANT, QP_FP8_BLOCK2D, IEEE),                   \
    DEVICE(fakequant_nvfp4, "", QP_OP_FAKEQUANT, QP_NVFP4, IEEE),                               \
    DEVICE(fakequant_nvfp4, "_static", QP_OP_FAKEQUANT, QP_NVFP4_STATIC, IEEE),                 \
    DEVICE(fakequant_nvfp4, "_46", QP_OP_FAKEQUANT, QP_NVFP4_46, IEEE),                         \
    DEVICE(fakequant_mx, "_mxfp4", QP_OP_FAKEQUANT, QP_MXFP4, IEEE),                            \
    DEVICE(fakequant_mx, "_mxfp6_e3m2", QP_OP_FAKEQUANT, QP_MXFP6_E3M2, IEEE),                  \
    DEVICE(fakequant_mx, "_mxfp6_e2m3", QP_OP_FAKEQUANT, QP_MXFP6_E2M3, IEEE),                  \
    DEVICE(fakequant_mx, "_mxfp8_e4m3", QP_OP_FAKEQUANT, QP_MXFP8_E4M3, IEEE),                  \
    DEVICE(fakequant_mx, "_mxfp8_e5m2", QP_OP_FAKEQUANT, QP_MXFP8_E5M2, IEEE),                  \
    DEVICE(fakequant_mx, "_mxint8", QP_OP_FAKEQUANT, QP_MXINT8, IEEE),                          \
    DEVICE(backward, "_int8", QP_OP_BACKWARD, QP_INT8, IEEE),                                   \
    DEVICE(backward, "_int8_axis0", QP_OP_BACKWARD, QP_INT8_AXIS0, IEEE),                       \
    DEVICE(backward, "_fp8_e4m3", QP_OP_BACKWARD, QP_FP8_E4M3, IEEE),                           \
    DEVICE(backward, "_fp8_axis0", QP_OP_BACKWARD, QP_FP8_AXIS0, IEEE),                         \
    DEVICE(backward, "_fp8_block2d", QP_OP_BACKWARD, QP_FP8_BLOCK2D, IEEE),                     \
    DEVICE(backward, "_nvfp4", QP_OP_BACKWARD, QP_NVFP4, IEEE),                                 \
    DEVICE(backward, "_nvfp4_static", QP_OP_BACKWARD, QP_NVFP4_STATIC, IEEE),                   \
    DEVICE(backward, "_nvfp4_46", QP_OP_BACKWARD, QP_NVFP4_46, IEEE),                           \
    DEVICE(backward, "_int4", QP_OP_BACKWARD, QP_INT4, IEEE),                                   \
    DEVICE(backward, "_int4_axis0", QP_OP_BACKWARD, QP_INT4_AXIS0, IEEE),                       \
    DEVICE(backward, "_int4_block", QP_OP_BACKWARD, QP_INT4_BLOCK, IEEE),                       \
    DEVICE(backward, "_mxfp4", QP_OP_BACKWARD, QP_MXFP4, IEEE),                                 \
    DEVICE(backward, "_mxfp6_e3m2", QP_OP_BACKWARD, QP_MXFP6_E3M2, IEEE),                       \
    DEVICE(backward, "_mxfp6_e2m3", QP_OP_BACKWARD, QP_MXFP6_E2M3, IEEE),                       \
    DEVICE(backward, "_mxfp8_e4m3", QP_OP_BACKWARD, QP_MXFP8_E4M3, IEEE),                       \
    DEVICE(backward, "_mxfp8_e5m2", QP_OP_BACKWARD, QP_MXFP8_E5M2, IEEE),                       \
    DEVICE(backward, "_mxint8", QP_OP_BACKWARD, QP_MXINT8, IEEE),                               \
    DEVICE(quant_nvfp4, "", QP_OP_QUANT, QP_NVFP4, IEEE),                                       \
    DEVICE(quant_nvfp4, "_torch_cpu", QP_OP_QUANT, QP_NVFP4, TORCH_CPU),                        \
    DEVICE(quant_nvfp4, "_torch_cuda", QP_OP_QUANT, QP_NVFP4, TORCH_CUDA),                      \
    DEVICE(quant_nvfp4, "_static", QP_OP_QUANT, QP_NVFP4_STATIC, IEEE),                         \
    DEVICE(quant_nvfp4, "_static_torch_cpu", QP_OP_QUANT, QP_NVFP4_STATIC, TORCH_CPU),          \
    DEVICE(quant_nvfp4, "_static_torch_cuda", QP_OP_QUANT, QP_NVFP4_STATIC, TORCH_CUDA),        \
    DEVICE(quant_nvfp4, "_46", QP_OP_QUANT, QP_NVFP4_46, IEEE),                                 \
    DEVICE(quant_nvfp4, "_46_torch_cpu", QP_OP_QUANT, QP_NVFP4_46, TORCH_CPU),                  \
    DEVICE(quant_nvfp4, "_46_torch_cuda", QP_OP_QUANT, QP_NVFP4_46, TORCH_CUDA),                \
    DEVICE(quant_nvfp4, "_w4a8", QP_OP_QUANT, QP_NVFP4_W4A8, IEEE),                             \
    DEVICE(quant_nvfp4, "_w4a8_torch_cpu", QP_OP_QUANT, QP_NVFP4_W4A8, TORCH_CPU),              \
    DEVICE(quant_nvfp4, "_w4a8_torch_cuda", QP_OP_QUANT, QP_NVFP4_W4A8, TORCH_CUDA),            \
    DEVICE(quant_mx, "_mxfp4", QP_OP_QUANT, QP_MXFP4, IEEE),                                    \
    DEVICE(quant_mx, "_mxfp4_torch_cpu", QP_OP_QUANT, QP_MXFP4, TORCH_CPU),                     \
    DEVICE(quant_mx, "_mxfp4_torch_cuda", QP_OP_QUANT, QP_MXFP4, TORCH_CUDA),                   \
    DEVICE(quant_mx, "_mxfp6_e3m2", QP_OP_QUANT, QP_MXFP6_E3M2, IEEE),                          \
    DEVICE(quant_mx, "_mxfp6_e2m3", QP_OP_QUANT, QP_MXFP6_E2M3, IEEE),                          \
    DEVICE(quant_mx, "_mxfp8_e4m3", QP_OP_QUANT, QP_MXFP8_E4M3, IEEE),                          \
    DEVICE(quant_mx, "_mxfp8_e4m3_torch_cpu", QP_OP_QUANT, QP_MXFP8_E4M3, TORCH_CPU),           \
    DEVICE(quant_mx, "_mxfp8_e4m3_torch_cuda", QP_OP_QUANT, QP_MXFP8_E4M3, TORCH_CUDA),         \
    DEVICE(quant_mx, "_mxfp8_e5m2", QP_OP_QUANT, QP_MXFP8_E5M2, IEEE),                          \
    DEVICE(quant_mx, "_mxint8", QP_OP_QUANT, QP_MXINT8, IEEE),                                  \
    DEVICE(quant_real, "_int8_torch_cpu", QP_OP_QUANT, QP_INT8, TORCH_CPU),                     \
    DEVICE(quant_real, "_int8_torch_cuda", QP_OP_QUANT, QP_INT8, TORCH_CUDA),                   \
    DEVICE(quant_real, "_int8_axis0_torch_cpu", QP_OP_QUANT, QP_INT8_AXIS0, TORCH_CPU),         \
    DEVICE(quant_real, "_int8_axis0_torch_cuda", QP_OP_QUANT, QP_INT8_AXIS0, TORCH_CUDA),       \
    DEVICE(quant_real, "_fp8_e4m3_torch_cpu", QP_OP_QUANT, QP_FP8_E4M3, TORCH_CPU),             \
    DEVICE(quant_real, "_fp8_e4m3_torch_cuda", QP_OP_QUANT, QP_FP8_E4M3, TORCH_CUDA),           \
    DEVICE(quant_real, "_fp8_axis0_torch_cpu", QP_OP_QUANT, QP_FP8_AXIS0, TORCH_CPU),           \
    DEVICE(quant_real, "_fp8_axis0_torch_cuda", QP_OP_QUANT, QP_FP8_AXIS0, TORCH_CUDA),         \
    DEVICE(quant_real, "_fp8_block2d_torch_cpu", QP_OP_QUANT, QP_FP8_BLOCK2D, TORCH_CPU),       \
    DEVICE(quant_real, "_fp8_block2d_torch_cuda", QP_OP_QUANT, QP_FP8_BLOCK2D, TORCH_CUDA),     \
    DEVICE(quant_real, "_int8_export_torch_cpu", QP_OP_QUANT, QP_INT8_EXPORT, TORCH_CPU),       \
    DEVICE(quant_real, "_int8_export_torch_cuda", QP_OP_QUANT, QP_INT8_EXPORT, TORCH_CUDA),     \
    DEVICE(quant_real, "_fp8_export_torch_cpu", QP_OP_QUANT, QP_FP8_EXPORT, TORCH_CPU),         \
    DEVICE(quant_real, "_fp8_export_torch_cuda", QP_OP_QUANT, QP_FP8_EXPORT, TORCH_CUDA),       \
    DEVICE(quant_int4, "_int4_block_torch_cpu", QP_OP_QUANT, QP_INT4_BLOCK, TORCH_CPU),         \
    DEVICE(quant_int4, "_int4_block_torch_cuda", QP_OP_QUANT, QP_INT4_BLOCK, TORCH_CUDA),       \
    DEVICE(quant_int4, "_int4_awq_torch_cpu", QP_OP_QUANT, QP_INT4_AWQ, TORCH_CPU),             \
    DEVICE(quant_int4, "_int4_awq_torch_cuda", QP_OP_QUANT, QP_INT4_AWQ, TORCH_CUDA),           \
    DEVICE(quant_nf4, "_torch_cpu", QP_OP_QUANT, QP_NF4, TORCH_CPU),                            \
    DEVICE(quant_nf4, "_torch_cuda", QP_OP_QUANT, QP_NF4, TORCH_CUDA),                          \
    DEVICE(dequant_nvfp4, "", QP_OP_DEQUANT, QP_NVFP4, IEEE),                                   \
    DEVICE(dequant_nvfp4, "_torch_cpu", QP_OP_DEQUANT, QP_NVFP4, TORCH_CPU),                    \
    DEVICE(dequant_nvfp4, "_torch_cuda", QP_OP_DEQUANT, QP_NVFP4, TORCH_CUDA),                  \
    DEVICE(dequant_nvfp4, "_static", QP_OP_DEQUANT, QP_NVFP4_STATIC, IEEE),                     \
    DEVICE(dequant_nvfp4, "_static_torch_cpu", QP_OP_DEQUANT, QP_NVFP4_STATIC, TORCH_CPU),      \
    DEVICE(dequant_nvfp4, "_static_torch_cuda", QP_OP_DEQUANT, QP_NVFP4_STATIC, TORCH_CUDA),    \
    DEVICE(dequant_nvfp4, "_46", QP_OP_DEQUANT, QP_NVFP4_46, IEEE),                             \
    DEVICE(dequant_nvfp4, "_46_torch_cpu", QP_OP_DEQUANT, QP_NVFP4_46, TORCH_CPU),              \
    DEVICE(dequant_nvfp4, "_46_torch_cuda", QP_OP_DEQUANT, QP_NVFP4_46, TORCH_CUDA),            \
    DEVICE(dequant_nvfp4, "_w4a8", QP_OP_DEQUANT, QP_NVFP4_W4A8, IEEE),                         \
    DEVICE(dequant_nvfp4, "_w4a8_torch_cpu", QP_OP_DEQUANT, QP_NVFP4_W4A8, TORCH_CPU),          \
    DEVICE(dequant_nvfp4, "_w4a8_torch_cuda", QP_OP_DEQUANT, QP_NVFP4_W4A8, TORCH_CUDA),        \
    DEVICE(dequant_mx, "_mxfp4", QP_OP_DEQUANT, QP_MXFP4, IEEE),                                \
    DEVICE(dequant_mx, "_mxfp4_torch_cpu", QP_OP_DEQUANT, QP_MXFP4, TORCH_CPU),                 \
    DEVICE(dequant_mx, "_mxfp4_torch_cuda", QP_OP_DEQUANT, QP_MXFP4, TORCH_CUDA),               \
    DEVICE(dequant_mx, "_mxfp6_e3m2", QP_OP_DEQUANT, QP_MXFP6_E3M2, IEEE),                      \
    DEVICE(dequant_mx, "_mxfp6_e2m3", QP_OP_DEQUANT, QP_MXFP6_E2M3, IEEE),                      \
    DEVICE(dequant_mx, "_mxfp8_e4m3", QP_OP_DEQUANT, QP_MXFP8_E4M3, IEEE),                      \
    DEVICE(dequant_mx, "_mxfp8_e4m3_torch_cpu", QP_OP_DEQUANT, QP_MXFP8_E4M3, TORCH_CPU),       \
    DEVICE(dequant_mx, "_mxfp8_e4m3_torch_cuda", QP_OP_DEQUANT, QP_MXFP8_E4M3, TORCH_CUDA),     \
    DEVICE(dequant_mx, "_mxfp8_e5m2", QP_OP_DEQUANT, QP_MXFP8_E5M2, IEEE),                      \
    DEVICE(dequant_mx, "_mxint8", QP_OP_DEQUANT, QP_MXINT8, IEEE),                              \
    DEVICE(dequant_real, "_int8_torch_cpu", QP_OP_DEQUANT, QP_INT8, TORCH_CPU),                 \
    DEVICE(dequant_real, "_int8_torch_cuda", QP_OP_DEQUANT, QP_INT8, TORCH_CUDA),               \
    DEVICE(dequant_real, "_int8_axis0_torch_cpu", QP_OP_DEQUANT, QP_INT8_AXIS0, TORCH_CPU),     \
    DEVICE(dequant_real, "_int8_axis0_torch_cuda", QP_OP_DEQUANT, QP_INT8_AXIS0, TORCH_CUDA),   \
    DEVICE(dequant_real, "_fp8_e4m3_torch_cpu", QP_OP_DEQUANT, QP_FP8_E4M3, TORCH_CPU),         \
    DEVICE(dequant_real, "_fp8_e4m3_torch_cuda", QP_OP_DEQUANT, QP_FP8_E4M3, TORCH_CUDA),       \
    DEVICE(dequant_real, "_fp8_axis0_torch_cpu", QP_OP_DEQUANT, QP_FP8_AXIS0, TORCH_CPU),       \
    DEVICE(dequant_real, "_fp8_axis0_torch_cuda", QP_OP_DEQUANT, QP_FP8_AXIS0, TORCH_CUDA),     \
    DEVICE(dequant_real, "_fp8_block2d_torch_cpu", QP_OP_DEQUANT, QP_FP8_BLOCK2D, TORCH_CPU),   \
    DEVICE(dequant_real, "_fp8_block2d_torch_cuda", QP_OP_DEQUANT, QP_FP8_BLOCK2D, TORCH_CUDA), \
    DEVICE(dequant_real, "_int8_export_torch_cpu", QP_OP_DEQUANT, QP_INT8_EXPORT, TORCH_CPU),   \
    DEVICE(dequant_real, "_int8_export_torch_cuda", QP_OP_DEQUANT, QP_INT8_EXPORT, TORCH_CUDA), \
    DEVICE(dequant_real, "_fp8_export_torch_cpu", QP_OP_DEQUANT, QP_FP8_EXPORT, TORCH_CPU),     \
    DEVICE(dequant_real, "_fp8_export_torch_cuda", QP_OP_DEQUANT, QP_FP8_EXPORT, TORCH_CUDA),   \
    DEVICE(dequant_int4, "_int4_block_torch_cpu", QP_OP_DEQUANT, QP_INT4_BLOCK, TORCH_CPU),     \
    DEVICE(dequant_int4, "_int4_block_torch_cuda", QP_OP_DEQUANT, QP_INT4_BLOCK, TORCH_CUDA),   \
    DEVICE(dequant_int4, "_int4_awq_torch_cpu", QP_OP_DEQUANT, QP_INT4_AWQ, TORCH_CPU),         \
    DEVICE(dequant_int4, "_int4_awq_torch_cuda", QP_OP_DEQUANT, QP_INT4_AWQ, TORCH_CUDA),       \
    DEVICE(dequant_nf4, "_torch_cpu", QP_OP_DEQUANT, QP_NF4, TORCH_CPU),                        \
    DEVICE(dequant_nf4, "_torch_cuda", QP_OP_DEQUANT, QP_NF4, TORCH_CUDA)
// clang-format on

const qp_kernel_row qp_kernels[] = {KERNELS_OF(CPU), KERNELS_OF(SIMT), KERNELS_OF(CUDA)};
const int qp_n_kernels = QP_COUNT(qp_kernels);
