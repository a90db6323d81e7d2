// SPDX-License-Identifier: Apache-2.0
// Where a record comes from: a fixed list of facts about program, machine and device. Nothing of the
// environment.
#ifndef CMD_PROVENANCE_H
#define CMD_PROVENANCE_H

#include "cmd/options.h"
#include "device/device.h"
#include "report/report.h"

// "2026-09-01T12:34:56Z"
qp_status qp_utc_now(qp_arena *a, const char **out, qp_err *err);
qp_status qp_provenance_make(int argc, char **argv, const qp_cmd_options *o, const qp_device *device,
                             qp_arena *a, qp_provenance *out, qp_err *err);

#endif
