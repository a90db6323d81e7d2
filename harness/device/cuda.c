// SPDX-License-Identifier: Apache-2.0
// CUDA cards, through the runtime API. Without a toolkit at build time this file only says so. Each call sets
// the device, since rank threads share it; kernels of other rooms do the launching.
#include "device/host.h"

#if QP_HAVE_CUDA

#include <cuda_runtime_api.h>
#include <stdio.h>

static qp_status fail(cudaError_t rc, const char *what, const char *name, qp_err *err) {
    // A sticky error stays until the process ends; the rest must not be seen by the next call.
    (void)cudaGetLastError();
    qp_status code = rc == cudaErrorMemoryAllocation ? QP_NOMEM : QP_BROKEN;
    QP_FAIL(code, "%s: %s: %s (%s, %d)", name, what, cudaGetErrorString(rc), cudaGetErrorName(rc), (int)rc);
}

#define CUDA_TRY(call, what, d)                                                                              \
    do {                                                                                                     \
        cudaError_t cuda_try_rc_ = (call);                                                                   \
        if (cuda_try_rc_ != cudaSuccess) return fail(cuda_try_rc_, what, (d)->name, err);                    \
    } while (0)

static qp_status take(qp_device *d, size_t n_bytes, void **out, qp_err *err) {
    CUDA_TRY(cudaSetDevice(d->index), "cudaSetDevice", d);
    CUDA_TRY(cudaMalloc(out, n_bytes == 0 ? 1 : n_bytes), "cudaMalloc", d);
    return QP_OK;
}

static void release(qp_device *d, void *p) {
    if (p == NULL || cudaSetDevice(d->index) != cudaSuccess) return;
    (void)cudaFree(p);
}

static qp_status put(qp_device *d, void *dst, const void *host, size_t n_bytes, qp_err *err) {
    CUDA_TRY(cudaSetDevice(d->index), "cudaSetDevice", d);
    CUDA_TRY(cudaMemcpy(dst, host, n_bytes, cudaMemcpyHostToDevice), "copy to the device", d);
    return QP_OK;
}

static qp_status get(qp_device *d, void *host, const void *src, size_t n_bytes, qp_err *err) {
    CUDA_TRY(cudaSetDevice(d->index), "cudaSetDevice", d);
    CUDA_TRY(cudaMemcpy(host, src, n_bytes, cudaMemcpyDeviceToHost), "copy from the device", d);
    return QP_OK;
}

static qp_status fill(qp_device *d, void *dst, uint8_t byte, size_t n_bytes, qp_err *err) {
    CUDA_TRY(cudaSetDevice(d->index), "cudaSetDevice", d);
    CUDA_TRY(cudaMemset(dst, byte, n_bytes), "fill", d);
    return QP_OK;
}

static qp_status wait_for(qp_device *d, qp_err *err) {
    CUDA_TRY(cudaSetDevice(d->index), "cudaSetDevice", d);
    CUDA_TRY(cudaGetLastError(), "launch", d);
    CUDA_TRY(cudaDeviceSynchronize(), "wait", d);
    return QP_OK;
}

// Results that mean "no GPU here" (platform notes): no or too old driver (35, 34 for a stub library), no
// device (100).
static bool means_absent(cudaError_t rc) {
    return rc == cudaErrorInsufficientDriver || rc == cudaErrorStubLibrary || rc == cudaErrorNoDevice;
}

qp_status cuda_device_count(int *n, qp_err *err) {
    *n = 0;
    cudaError_t rc = cudaGetDeviceCount(n);
    if (rc != cudaSuccess) (void)cudaGetLastError();
    if (means_absent(rc)) QP_FAIL(QP_UNAVAILABLE, "%s", cudaGetErrorString(rc));
    if (rc != cudaSuccess)
        QP_FAIL(QP_BROKEN, "cudaGetDeviceCount: %s (%s, %d)", cudaGetErrorString(rc), cudaGetErrorName(rc),
                (int)rc);
    if (*n <= 0) QP_FAIL(QP_UNAVAILABLE, "the driver lists no device");
    return QP_OK;
}

qp_status cuda_device_fill(qp_device *d, int index, qp_err *err) {
    int n, driver = 0, runtime = 0;
    struct cudaDeviceProp p;
    QP_TRY(cuda_device_count(&n, err));
    snprintf(d->name, sizeof d->name, "cuda:%d", index);
    if (index >= n)
        QP_FAIL(QP_UNAVAILABLE, "cuda:%d: there are %d devices, cuda:0 to cuda:%d", index, n, n - 1);
    d->kind = QP_DEVICE_CUDA;
    d->index = index;
    d->alloc = take;
    d->release = release;
    d->put = put;
    d->get = get;
    d->fill = fill;
    d->wait = wait_for;
    CUDA_TRY(cudaSetDevice(index), "cudaSetDevice", d);
    CUDA_TRY(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties", d);
    CUDA_TRY(cudaDriverGetVersion(&driver), "cudaDriverGetVersion", d);
    CUDA_TRY(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion", d);
    snprintf(d->name, sizeof d->name, "%.*s", (int)sizeof d->name - 1, p.name);
    snprintf(d->detail, sizeof d->detail,
             "sm_%d%d, %d multiprocessors, %llu MiB, driver %d.%d, runtime %d.%d", p.major, p.minor,
             p.multiProcessorCount, (unsigned long long)(p.totalGlobalMem >> 20), driver / 1000,
             driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    return QP_OK;
}

#else

qp_status cuda_device_count(int *n, qp_err *err) {
    *n = 0;
    QP_FAIL(QP_UNAVAILABLE, "built without the CUDA toolkit");
}

qp_status cuda_device_fill(qp_device *d, int index, qp_err *err) {
    (void)d;
    (void)index;
    int n;
    return cuda_device_count(&n, err);
}

#endif
