// SPDX-License-Identifier: Apache-2.0
// A device moves bytes, launches and waits; it never computes. cpu and simt use host memory, cuda the card's.
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include "core/arena.h"
#include "qp/kernel.h"

typedef struct qp_device qp_device;
struct qp_device {
    qp_device_kind kind;
    int index;        // cuda:N
    char name[128];   // "cpu (x86-64-v4, 2 threads)", "NVIDIA H200"
    char detail[256]; // provenance: ISA, driver, what was loaded
    qp_status (*alloc)(qp_device *d, size_t n_bytes, void **out, qp_err *err); // 256-byte aligned
    void (*release)(qp_device *d, void *p);
    qp_status (*put)(qp_device *d, void *dst, const void *host, size_t n_bytes, qp_err *err);
    qp_status (*get)(qp_device *d, void *host, const void *src, size_t n_bytes, qp_err *err);
    qp_status (*fill)(qp_device *d, void *dst, uint8_t byte, size_t n_bytes, qp_err *err);
    qp_status (*wait)(qp_device *d, qp_err *err); // reports asynchronous failures
    void *impl;
};

// spec: "auto" | "cpu" | "simt" | "cuda" | "cuda:N". auto = cuda when there is one, else cpu. QP_USAGE:
// unknown word (nearest spelling); QP_UNAVAILABLE: named but not here, with the reason (no toolkit at build,
// no driver, no device).
qp_status qp_device_open(const char *spec, qp_arena *a, qp_device **out, qp_err *err);
void qp_device_close(qp_device *d);
// "device cpu (no GPU: CUDA driver version is insufficient); no MPI, no NCCL in this build": the first output
// line.
const char *qp_device_banner(const qp_device *d, char *buf, size_t n);

#endif
