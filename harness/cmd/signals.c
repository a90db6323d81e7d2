// SPDX-License-Identifier: Apache-2.0
// The only mutable globals of the program: a signal handler can reach nothing else. Handlers use write and
// _exit only.
#include "cmd/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_CRASHED = 5, ALT_STACK = 1 << 16 };

static volatile sig_atomic_t interrupted;
static const char *volatile current_line;
static char record_hint[1200];
static char alt_stack[ALT_STACK];

static void say(const char *s) {
    ssize_t ignored = write(STDERR_FILENO, s, strlen(s));
    (void)ignored;
}

static void end_in_case(const char *what) {
    const char *line = current_line;
    say(what);
    say(line != NULL ? line : "(between two cases)");
    say(record_hint);
    _exit(EXIT_CRASHED);
}

static void on_interrupt(int sig) {
    (void)sig;
    if (interrupted) end_in_case("\nquantproof: interrupted twice in case: ");
    interrupted = 1;
    say("\nquantproof: interrupted, the case under way is finished first (again: stop at once)\n");
}

static void on_crash(int sig) {
    (void)sig;
    end_in_case("\nquantproof: crashed in case: ");
}

static void on_alarm(int sig) {
    (void)sig;
    end_in_case("\nquantproof: far past the time limit in case: ");
}

void qp_signals_install(const char *out_dir) {
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    snprintf(record_hint, sizeof record_hint, "\nwhat ran before it is in the record: quantproof report %s\n",
             out_dir);
    stack_t stack = {.ss_sp = alt_stack, .ss_size = sizeof alt_stack};
    sigaltstack(&stack, NULL);
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_flags = SA_RESTART;
    act.sa_handler = on_interrupt;
    sigaction(SIGINT, &act, NULL);
    act.sa_handler = on_alarm;
    sigaction(SIGALRM, &act, NULL);
    act.sa_flags = SA_ONSTACK | SA_RESETHAND;
    act.sa_handler = on_crash;
    for (int i = 0; i < QP_COUNT(crashes); i++) sigaction(crashes[i], &act, NULL);
    signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of the write, not the end of the run
}

// Ranks keep their own time limit; this one is for a kernel that never comes back, so it is well past it.
void qp_signals_case(const char *line, double timeout_s) {
    current_line = line;
    alarm(line != NULL ? (unsigned)(2 * timeout_s) + 60 : 0);
}

bool qp_signals_interrupted(void) {
    return interrupted != 0;
}
