// SPDX-License-Identifier: Apache-2.0
// cpu and simt: host memory, nothing to wait for. Says which instruction set the vector kernels run with.
#include "device/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 256, HUGE_PAGE = 2 << 20 };

static qp_status take(qp_device *d, size_t n_bytes, void **out, qp_err *err) {
    if (n_bytes > SIZE_MAX - HUGE_PAGE) QP_FAIL(QP_NOMEM, "%s: a request of %zu bytes", d->name, n_bytes);
    // Large buffers live for one launch: without huge pages most of a guarded run is page faults.
    bool large = n_bytes >= 2 * (size_t)HUGE_PAGE;
    size_t align = large ? HUGE_PAGE : ALIGN, need = n_bytes / align * align + align; // never 0
    *out = aligned_alloc(align, need);
    if (*out == NULL) QP_FAIL(QP_NOMEM, "%s: no memory for %zu bytes", d->name, n_bytes);
    if (large) (void)madvise(*out, need, MADV_HUGEPAGE); // only a wish
    return QP_OK;
}

static void release(qp_device *d, void *p) {
    (void)d;
    free(p);
}

static qp_status copy(qp_device *d, void *dst, const void *src, size_t n_bytes, qp_err *err) {
    (void)d;
    (void)err;
    if (n_bytes > 0) memcpy(dst, src, n_bytes);
    return QP_OK;
}

static qp_status fill(qp_device *d, void *dst, uint8_t byte, size_t n_bytes, qp_err *err) {
    (void)d;
    (void)err;
    if (n_bytes > 0) memset(dst, byte, n_bytes);
    return QP_OK;
}

static qp_status wait_for(qp_device *d, qp_err *err) {
    (void)d;
    (void)err;
    return QP_OK;
}

static int threads(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

qp_status host_device_fill(qp_device *d, qp_device_kind kind, qp_err *err) {
    (void)err;
    d->kind = kind;
    d->index = 0;
    d->alloc = take;
    d->release = release;
    d->put = copy;
    d->get = copy;
    d->fill = fill;
    d->wait = wait_for;
    if (kind == QP_DEVICE_CPU) {
        snprintf(d->name, sizeof d->name, "cpu (%s, %d threads)", qp_cpu_isa(), threads());
        snprintf(d->detail, sizeof d->detail, "host memory, isa %s, threads %d", qp_cpu_isa(), threads());
    } else {
        snprintf(d->name, sizeof d->name, "simt (CUDA source, thread by thread on the CPU)");
        snprintf(d->detail, sizeof d->detail, "host memory, one thread a launch");
    }
    return QP_OK;
}
