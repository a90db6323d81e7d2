// SPDX-License-Identifier: Apache-2.0
// quantproof: a command's name to its function; prints the error trail and owns the exit code. Nothing else.
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "core/text.h"

static void usage(FILE *to) {
    fprintf(to, "usage: quantproof COMMAND ...\n\n");
    for (int i = 0; i < qp_n_commands; i++)
        fprintf(to, "  %-8s %-28s %s\n", qp_commands[i].name, qp_commands[i].args, qp_commands[i].doc);
    fprintf(to, "\n'quantproof COMMAND --help' tells the options. Exit codes: 0 all judged and passed, 1 a "
                "difference, 2 usage or an\n"
                "unexpected refusal, 4 the data could not have shown a bug, 5 crash, time-out or required "
                "device missing,\n"
                "6 nothing judged, 77 only skips of a named device, 99 the harness itself is broken.\n");
}

static const qp_command *find(const char *name) {
    for (int i = 0; i < qp_n_commands; i++)
        if (strcmp(qp_commands[i].name, name) == 0) return &qp_commands[i];
    return NULL;
}

static int unknown(const char *name) {
    const char *names[64];
    int n = qp_n_commands < QP_COUNT(names) ? qp_n_commands : QP_COUNT(names);
    for (int i = 0; i < n; i++) names[i] = qp_commands[i].name;
    const char *near = qp_nearest(name, names, n);
    fprintf(stderr, "quantproof: unknown command '%s'", name);
    if (near != NULL) fprintf(stderr, ", did you mean '%s'?", near);
    fprintf(stderr, "\n");
    usage(stderr);
    return 2;
}

// A layer's slices are gigabytes that one case frees and the next wants again. Given back to the system,
// every page would be faulted and cleared anew, which on a virtual machine costs more than all the
// arithmetic; so the heap keeps them (one heap for all threads).
static void keep_memory(void) {
    (void)mallopt(M_MMAP_MAX, 0);
    (void)mallopt(M_TRIM_THRESHOLD, -1); // never
    (void)mallopt(M_ARENA_MAX, 1);
}

int main(int argc, char **argv) {
    keep_memory();
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0;
    if (help && argc == 2) {
        usage(stdout);
        return 0;
    }
    const qp_command *command = find(argv[1]);
    if (command == NULL) return unknown(argv[1]);
    qp_err err = {0};
    int exit_code = 0;
    qp_status status = command->run(argc - 1, argv + 1, &exit_code, &err);
    if (status == QP_OK) return exit_code;
    fprintf(stderr, "quantproof %s: %s: %s\n", command->name, qp_status_name(status), err.msg);
    bool ours = status == QP_BROKEN || status == QP_NOMEM || status == QP_PEER;
    for (int i = 0; ours && i < err.n_trail; i++)
        fprintf(stderr, "  at %s:%d\n", err.trail[i].file, err.trail[i].line);
    return ours ? 99 : 2;
}
