// SPDX-License-Identifier: Apache-2.0
// From a word to a device, and the first line of every output: which device, why, and what this build or
// machine lacks.
#include "core/text.h"
#include "device/host.h"

#include <stdio.h>
#include <string.h>

// What the banner needs beside the device itself. Lives in the arena of qp_device_open.
typedef struct around {
    char gpu[200]; // "" = used, else why there is none, or that it is not used
} around;

typedef struct request {
    bool automatic;
    qp_device_kind kind;
    int index;
} request;

static qp_status parse(const char *spec, request *out, qp_err *err) {
    static const char *const words[] = {"auto", "cpu", "simt", "cuda"};
    *out = (request){0};
    int64_t index = 0;
    char word[32];
    size_t n = strcspn(spec, ":"), kept = n < sizeof word ? n : sizeof word - 1;
    memcpy(word, spec, kept);
    word[kept] = '\0';
    int i = 0;
    while (i < QP_COUNT(words) && strcmp(word, words[i]) != 0) i++;
    if (i == QP_COUNT(words)) {
        const char *near = qp_nearest(word, words, QP_COUNT(words));
        if (near != NULL) QP_FAIL(QP_USAGE, "unknown device '%s': did you mean '%s'?", spec, near);
        QP_FAIL(QP_USAGE, "unknown device '%s' (auto, cpu, simt, cuda or cuda:N wanted)", spec);
    }
    if (spec[n] == ':') {
        if (i != 3 || !qp_parse_i64(spec + n + 1, &index) || index < 0 || index > 1023)
            QP_FAIL(QP_USAGE, "device '%s': cuda:N with N from 0 to 1023 wanted", spec);
    }
    *out = (request){.automatic = i == 0, .kind = (qp_device_kind)(i == 0 ? 0 : i - 1), .index = (int)index};
    return QP_OK;
}

// Fills 'gpu' and says whether a GPU is here; only a broken driver is an error.
static qp_status look_for_gpu(around *a, bool *found, qp_err *err) {
    qp_err why = {0};
    int n = 0;
    qp_status status = cuda_device_count(&n, &why);
    *found = status == QP_OK;
    if (status == QP_OK)
        snprintf(a->gpu, sizeof a->gpu, "%d GPU%s here, not used", n, n == 1 ? "" : "s");
    else
        snprintf(a->gpu, sizeof a->gpu, "no GPU: %.180s", why.msg);
    if (status == QP_OK || status == QP_UNAVAILABLE) return QP_OK;
    QP_FAIL(status, "%s", why.msg);
}

qp_status qp_device_open(const char *spec, qp_arena *a, qp_device **out, qp_err *err) {
    request want;
    qp_device *d;
    around *around_it;
    QP_TRY(parse(spec, &want, err));
    QP_TRY(QP_NEW(a, d, 1));
    QP_TRY(QP_NEW(a, around_it, 1));
    d->impl = around_it;
    bool gpu = false;
    // A named host device does not depend on the state of a driver.
    qp_status looked = look_for_gpu(around_it, &gpu, want.automatic ? err : NULL);
    if (want.automatic && looked != QP_OK) return looked;
    if (want.automatic) want.kind = gpu ? QP_DEVICE_CUDA : QP_DEVICE_CPU;
    if (want.kind == QP_DEVICE_CUDA) {
        qp_status status = cuda_device_fill(d, want.index, err);
        if (status != QP_OK) qp_err_prefix(err, "device %s", spec);
        QP_TRY(status);
        around_it->gpu[0] = '\0';
    } else {
        QP_TRY(host_device_fill(d, want.kind, err));
    }
    *out = d;
    return QP_OK;
}

void qp_device_close(qp_device *d) {
    // Memory of the device is released by whoever took it; the arena owns the rest. A last look for late
    // failures.
    if (d != NULL && d->wait != NULL) (void)d->wait(d, NULL);
}

const char *qp_device_banner(const qp_device *d, char *buf, size_t n) {
    const around *a = d->impl;
    if (d->kind == QP_DEVICE_CUDA)
        snprintf(buf, n, "device cuda:%d %s (%s); no MPI, no NCCL in this build", d->index, d->name,
                 d->detail);
    else
        snprintf(buf, n, "device %s (%s); no MPI, no NCCL in this build", d->name, a->gpu);
    return buf;
}
