// SPDX-License-Identifier: Apache-2.0
// The handler asks /proc/self/maps which file lies at the address: no table of mappings to keep, and any
// thread may fault. It uses open, read, write and _exit only, all async-signal-safe.
#include "cmd/mapped.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_UNREADABLE = 2, LINE_BYTES = 4608 }; // a line of maps: numbers and at most PATH_MAX

static const char *volatile who = "";
static atomic_flag telling = ATOMIC_FLAG_INIT;

static void say_bytes(const char *s, size_t n) {
    while (n > 0) {
        const ssize_t wrote = write(STDERR_FILENO, s, n);
        if (wrote <= 0) return;
        s += wrote;
        n -= (size_t)wrote;
    }
}

static void say(const char *s) {
    say_bytes(s, strlen(s));
}

static void say_number(uint64_t v) {
    char digits[24];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    say_bytes(digits + at, sizeof digits - at);
}

static uint64_t hex(const char **p) {
    uint64_t v = 0;
    for (;; (*p)++) {
        const char c = **p;
        const int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0) return v;
        v = v << 4 | (uint64_t)d;
    }
}

// "BEGIN-END PERMS OFFSET DEV INODE   PATH": says path and byte when the address lies in it and it has one.
static bool say_line(const char *line, uint64_t address) {
    const char *p = line;
    const uint64_t begin = hex(&p);
    p += *p == '-';
    const uint64_t end = hex(&p);
    if (address < begin || address >= end) return false;
    const char *path = strchr(p, '/');
    p += *p == ' ';
    while (*p != ' ' && *p != '\0') p++; // permissions
    p += *p == ' ';
    const uint64_t offset = hex(&p);
    if (path == NULL) return false;
    say(path);
    say(": byte ");
    say_number(offset + (address - begin));
    return true;
}

static bool say_file(uint64_t address) {
    char line[LINE_BYTES], c;
    size_t n = 0;
    bool found = false;
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !found && read(fd, &c, 1) == 1) { // byte by byte: this is the end of the program
        if (c != '\n') {
            if (n + 1 < sizeof line) line[n++] = c;
            continue;
        }
        line[n] = '\0';
        n = 0;
        found = say_line(line, address);
    }
    return found;
}

static void on_bus_error(int sig, siginfo_t *info, void *context) {
    (void)context;
    while (atomic_flag_test_and_set(&telling)) pause(); // another thread is telling already
    say(who);
    say(": IO: ");
    if (!say_file((uint64_t)(uintptr_t)info->si_addr)) {
        say("bus error outside of every file\n");
        signal(sig, SIG_DFL);
        return; // faults again and dies of it
    }
    say(": cut short, or not readable, while it was being read: run again when nothing writes to it\n");
    _exit(EXIT_UNREADABLE);
}

void qp_mapped_guard(const char *program) {
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_sigaction = on_bus_error;
    act.sa_flags = SA_SIGINFO;
    who = program;
    sigaction(SIGBUS, &act, NULL);
}
