// SPDX-License-Identifier: Apache-2.0
// What the files of this room share: the kinds behind qp_device_open. A probe says in words why a kind is not
// here.
#ifndef DEVICE_HOST_H
#define DEVICE_HOST_H

#include "device/device.h"

// cpu.c: cpu and simt, both in host memory.
qp_status host_device_fill(qp_device *d, qp_device_kind kind, qp_err *err);
// cuda.c: QP_UNAVAILABLE with the reason when there is no GPU or no toolkit was there at build time;
// QP_BROKEN for the rest.
qp_status cuda_device_count(int *n, qp_err *err);
qp_status cuda_device_fill(qp_device *d, int index, qp_err *err);

#endif
