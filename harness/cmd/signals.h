// SPDX-License-Identifier: Apache-2.0
// What a run does when it is interrupted, crashes in a case or hangs in one: the record stays valid and the
// case is named.
#ifndef CMD_SIGNALS_H
#define CMD_SIGNALS_H

#include "qp/base.h"

// SIGINT asks the run to stop after the case under way (a second one ends it at once). SIGSEGV and its like,
// and a case that is far past its time limit, print the case line and end the process with exit code 5.
void qp_signals_install(const char *out_dir);
void qp_signals_case(const char *line, double timeout_s); // NULL: no case is under way
bool qp_signals_interrupted(void);

#endif
