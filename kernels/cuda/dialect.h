// SPDX-License-Identifier: Apache-2.0
// The few words in which the kernels of this folder are written, for nvcc; kernels/simt/shim.h defines the
// same words for a C compiler. A kernel takes ONE struct by value; KERNEL_COOP is one whose threads share
// memory and wait for each other.
#ifndef CUDA_DIALECT_H
#define CUDA_DIALECT_H

#include <cuda_runtime.h>

#include "kernels.h"

#define DEVICE static __device__ __forceinline__
#define K_ALIGNED(n) __align__(n)
#define UNROLL _Pragma("unroll")

// The parameter stays in constant memory (grid constant), so a table of hundreds of tensors costs no copy per
// thread.
#define KERNEL(name, type, p)                                                                                \
    static __device__ void name##_thread(const type *p);                                                     \
    static __global__ void name(const __grid_constant__ type a) {                                            \
        name##_thread(&a);                                                                                   \
    }                                                                                                        \
    static __device__ __forceinline__ void name##_thread(const type *p)
#define KERNEL_COOP(name, type, p) KERNEL(name, type, p)
#define SHARED(T, name, n) __shared__ T name[n]
#define SYNC() __syncthreads()

#define QP_SELF(op) k_cuda_##op
#define QP_ENTRY(op) extern "C" qp_status k_cuda_##op(const qp_launch *launch, qp_err *err)
#define LAUNCH(name, n_blocks, n_threads, launch, args)                                                      \
    k_cuda_start(#name, (const void *)name, (n_blocks), (n_threads), (launch), (void *)(args), err)

DEVICE void k_atomic_max(void *p, uint32_t v) {
    atomicMax((unsigned *)p, v);
}

static qp_status k_cuda_start(const char *name, const void *kernel, int64_t n_blocks, int n_threads,
                              const qp_launch *launch, void *args, qp_err *err) {
    if (n_blocks <= 0) return QP_OK;
    if (n_blocks > 0x7fffffff)
        QP_FAIL(QP_REFUSED, "cuda kernel %s: wanted at most 2147483647 blocks, got %lld", name,
                (long long)n_blocks);
    void *list[1] = {args};
    cudaError_t e = cudaLaunchKernel(kernel, dim3((unsigned)n_blocks), dim3((unsigned)n_threads), list, 0,
                                     (cudaStream_t)launch->stream);
    if (e == cudaSuccess) e = cudaGetLastError();
    if (e == cudaSuccess) return QP_OK;
    qp_status code = QP_BROKEN;
    if (e == cudaErrorInsufficientDriver || e == cudaErrorStubLibrary || e == cudaErrorNoDevice ||
        e == cudaErrorNoKernelImageForDevice)
        code = QP_UNAVAILABLE;
    if (e == cudaErrorMemoryAllocation) code = QP_NOMEM;
    QP_FAIL(code, "cuda kernel %s, %lld blocks of %d threads: %s (%d)", name, (long long)n_blocks, n_threads,
            cudaGetErrorString(e), (int)e);
}

#endif
