// SPDX-License-Identifier: Apache-2.0
// A mapped file that is cut short, or whose disk fails, while it is read: SIGBUS. It must end with the name
// of the file and exit 2, not as a crash.
#ifndef CMD_MAPPED_H
#define CMD_MAPPED_H

void qp_mapped_guard(const char *program); // program: for the message; must live on

#endif
