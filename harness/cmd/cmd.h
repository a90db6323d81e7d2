// SPDX-License-Identifier: Apache-2.0
// Commands: one file each, listed in table.c. main.c looks the name up, prints the error trail and owns the
// exit code.
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "core/arena.h"

// argv[0] is the command's name. Returns QP_OK with *exit_code set when the command ran to its end (whatever
// it found); a failure status is an error of the call itself: main prints it and exits 2 (USAGE, REFUSED,
// CORRUPT, IO) or 99 (BROKEN, NOMEM).
typedef qp_status (*qp_command_fn)(int argc, char **argv, int *exit_code, qp_err *err);

typedef struct qp_command {
    const char *name, *args, *doc;
    qp_command_fn run;
} qp_command;

extern const qp_command qp_commands[];
extern const int qp_n_commands;

qp_status qp_cmd_list(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_run(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_repro(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_eval(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_replay(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_verify(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_compare(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_doctor(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_mine(int argc, char **argv, int *exit_code, qp_err *err);
qp_status qp_cmd_report(int argc, char **argv, int *exit_code, qp_err *err);

// Folder "cases": ./cases when it is there, else ../cases beside the program's folder. QP_USAGE when neither
// is.
qp_status qp_data_dir(qp_arena *a, const char **out, qp_err *err);

#endif
