// SPDX-License-Identifier: Apache-2.0
// The options that run and repro share, from the command line into one struct; each is echoed in the record.
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "core/arena.h"
#include "plan/select.h"

typedef enum qp_when { QP_WHEN_AUTO, QP_WHEN_ALWAYS, QP_WHEN_NEVER } qp_when;

typedef struct qp_cmd_options {
    qp_selection select;
    const char *device, *subject, *comm;
    const char *isa;  // of the cpu kernels; NULL: the best here
    const char *seed; // NULL: as the lines say
    double timeout_s;
    uint64_t mem_max; // bytes, 0 = no limit
    bool require_device;
    const char *out, *junit; // NULL: not given
    int64_t repeat;
    const char *inject; // flip:ELEMENT
    const char *dump;   // repro
    int verbosity;      // -1 -q, 0, 1 -v
    qp_when color, progress;
    bool help;
} qp_cmd_options;

// argv[0] is the command. QP_USAGE: unknown option with the nearest spelling, a bad value (wanted, got).
qp_status qp_options_parse(int argc, char **argv, bool repro, qp_arena *a, qp_cmd_options *out, qp_err *err);
extern const char qp_options_help[];
// Option name and value, for the record.
enum { QP_N_ECHOED = 15 };
qp_status qp_options_echo(const qp_cmd_options *o, qp_arena *a, const char *echo[QP_N_ECHOED][2],
                          qp_err *err);

#endif
