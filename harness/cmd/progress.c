// SPDX-License-Identifier: Apache-2.0
// Progress goes to stderr: a rewritten line on a terminal (done/total, time left, current case), elsewhere a
// short line now and then.
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cmd/show.h"

enum { PLAIN_EVERY_S = 10 };

double qp_seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

qp_progress qp_progress_start(const qp_cmd_options *o, int total) {
    qp_progress p = {.total = total, .started = qp_seconds_now()};
    bool on = o->verbosity >= 0 && o->progress != QP_WHEN_NEVER, terminal = isatty(STDERR_FILENO) != 0;
    p.line = on && (terminal || o->progress == QP_WHEN_ALWAYS);
    p.plain = on && !p.line;
    p.shown = p.started;
    return p;
}

static int columns(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 100;
}

void qp_progress_put(const char *text) {
    fprintf(stderr, "\r\033[K%.*s", columns() - 1, text);
    fflush(stderr);
}

void qp_progress_case(qp_progress *p, const char *line) {
    double now = qp_seconds_now(), spent = now - p->started;
    if (p->plain && now - p->shown >= PLAIN_EVERY_S) {
        fprintf(stderr, "%d/%d done, %d red, %.0f s: %s\n", p->done, p->total, p->red, spent, line);
        p->shown = now;
    }
    if (!p->line) return;
    char text[512], left[32] = "";
    if (p->done > 0) snprintf(left, sizeof left, ", %.0f s left", spent / p->done * (p->total - p->done));
    snprintf(text, sizeof text, "[%d/%d]%s %s", p->done, p->total, left, line);
    qp_progress_put(text);
}

void qp_progress_done(qp_progress *p, const qp_case_result *r) {
    p->done++;
    p->red += r->verdict >= QP_SUSPECT;
}

void qp_progress_clear(qp_progress *p) {
    if (!p->line) return;
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
}
