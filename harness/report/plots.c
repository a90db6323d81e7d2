// SPDX-License-Identifier: Apache-2.0
// Three plots by gnuplot: signed code distance, layout x stage, time per case. This file writes the numbers
// and a short script that sets a few names and loads the template (reports/templates/*.gp), where all of the
// drawing is. Data and script stay beside the SVG.
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "report/log.h"

extern char **environ;

enum { MAX_CURVES = 24, MAX_BARS = 40 };

// gnuplot's single quotes: '' stands for one quote, nothing else is special.
static qp_status quoted(qp_text *t, const char *s, qp_err *err) {
    QP_TRY(qp_text_add(t, err, "'"));
    for (; *s != '\0'; s++) QP_TRY(qp_text_add(t, err, *s == '\'' ? "''" : "%c", *s));
    return qp_text_add(t, err, "'");
}

static qp_status assign(qp_text *script, const char *name, const char *path, qp_err *err) {
    QP_TRY(qp_text_add(script, err, "%s = ", name));
    QP_TRY(quoted(script, path, err));
    return qp_text_add(script, err, "\n");
}

// ---- data
// ----------------------------------------------------------------------------------------------------------------

static qp_status histogram_data(const qp_log *log, qp_text *data, qp_text *script, qp_err *err) {
    const char *names[MAX_CURVES];
    int64_t sums[MAX_CURVES][QP_DIST_BINS] = {{0}};
    int n = 0;
    for (int i = 0; i < log->n_cases; i++)
        for (int k = 0; k < log->cases[i].n_findings; k++) {
            const qp_finding *f = &log->cases[i].findings[k];
            bool any = false;
            for (int b = 0; b < QP_DIST_BINS; b++) any = any || f->dist[b] != 0;
            if (!any || f->check == NULL) continue;
            int at = 0;
            while (at < n && strcmp(names[at], f->check) != 0) at++;
            if (at == MAX_CURVES) continue;
            if (at == n) names[n++] = f->check;
            for (int b = 0; b < QP_DIST_BINS; b++) sums[at][b] += f->dist[b];
        }
    QP_TRY(qp_text_add(data, err, "distance"));
    for (int i = 0; i < n; i++) QP_TRY(qp_text_add(data, err, " %s", names[i]));
    for (int b = 0; b < QP_DIST_BINS; b++) {
        QP_TRY(qp_text_add(data, err, "\n%d", b - QP_DIST_BINS / 2));
        for (int i = 0; i < n; i++) QP_TRY(qp_text_add(data, err, " %lld", (long long)sums[i][b]));
    }
    QP_TRY(qp_text_add(data, err, "\n"));
    return qp_text_add(script, err, "curves = %d\n", n);
}

typedef struct name_list {
    const char **names;
    int n;
} name_list;

static qp_status find_or_add(name_list *l, const char *name, qp_arena *a, int *at, qp_err *err) {
    for (*at = 0; *at < l->n; (*at)++)
        if (strcmp(l->names[*at], name) == 0) return QP_OK;
    QP_TRY(qp_arena_strdup(a, name, &l->names[l->n++], err));
    return QP_OK;
}

static qp_status tics(qp_text *script, const char *axis, const name_list *l, qp_err *err) {
    QP_TRY(qp_text_add(script, err, "set %stics (", axis));
    for (int i = 0; i < l->n; i++) {
        QP_TRY(quoted(script, l->names[i], err));
        QP_TRY(qp_text_add(script, err, " %d%s", i, i + 1 < l->n ? ", " : ""));
    }
    return qp_text_add(script, err, ")\n");
}

// Cells: 0 nothing compared, 1 all equal, 2 something differed.
static qp_status matrix_data(const qp_log *log, qp_arena *a, qp_text *data, qp_text *script, qp_err *err) {
    name_list layouts = {0}, stages = {0};
    size_t n_stages = 0;
    for (int i = 0; i < log->n_cases; i++) n_stages += (size_t)log->cases[i].n_stages;
    QP_TRY(QP_NEW(a, layouts.names, log->n_cases + 1));
    QP_TRY(QP_NEW(a, stages.names, n_stages + 1));
    char layout[128];
    int row, column;
    for (int i = 0; i < log->n_cases; i++) {
        const qp_case_result *c = &log->cases[i];
        if (c->n_stages == 0 || !qp_line_layout(c->line, layout, sizeof layout)) continue;
        QP_TRY(find_or_add(&layouts, layout, a, &row, err));
        for (int s = 0; s < c->n_stages; s++)
            QP_TRY(find_or_add(&stages, c->stages[s].stage, a, &column, err));
    }
    int *cells;
    QP_TRY(QP_NEW(a, cells, layouts.n * stages.n + 1));
    for (int i = 0; i < log->n_cases; i++) {
        const qp_case_result *c = &log->cases[i];
        if (c->n_stages == 0 || !qp_line_layout(c->line, layout, sizeof layout)) continue;
        QP_TRY(find_or_add(&layouts, layout, a, &row, err));
        for (int s = 0; s < c->n_stages; s++) {
            if (c->stages[s].n_judged == 0 && c->stages[s].n_diff == 0) continue;
            QP_TRY(find_or_add(&stages, c->stages[s].stage, a, &column, err));
            int *cell = &cells[row * stages.n + column], now = c->stages[s].n_diff != 0 ? 2 : 1;
            if (now > *cell) *cell = now;
        }
    }
    for (row = 0; row < layouts.n; row++)
        for (column = 0; column < stages.n; column++)
            QP_TRY(qp_text_add(data, err, "%d %d %d\n", column, row, cells[row * stages.n + column]));
    if (stages.n > 0) QP_TRY(tics(script, "x", &stages, err));
    if (layouts.n > 0) QP_TRY(tics(script, "y", &layouts, err));
    return qp_text_add(script, err, "columns = %d\nrows = %d\n", stages.n, layouts.n);
}

static qp_status times_data(const qp_log *log, qp_arena *a, qp_text *data, qp_text *script, qp_err *err) {
    bool *used;
    int n = log->n_cases < MAX_BARS ? log->n_cases : MAX_BARS;
    QP_TRY(QP_NEW(a, used, log->n_cases + 1));
    name_list ids = {0};
    QP_TRY(QP_NEW(a, ids.names, n + 1));
    for (int bar = 0; bar < n; bar++) {
        int best = -1;
        for (int i = 0; i < log->n_cases; i++)
            if (!used[i] && (best < 0 || log->cases[i].seconds > log->cases[best].seconds)) best = i;
        used[best] = true;
        const char *line = log->cases[best].line != NULL ? log->cases[best].line : "";
        QP_TRY(qp_arena_printf(a, &ids.names[ids.n++], err, "%.90s%s", line, strlen(line) > 90 ? "..." : ""));
        QP_TRY(qp_text_add(data, err, "%d %.6f\n", bar, log->cases[best].seconds));
    }
    if (n > 0) QP_TRY(tics(script, "y", &ids, err));
    return qp_text_add(script, err, "bars = %d\n", n);
}

// ---- gnuplot
// -------------------------------------------------------------------------------------------------------------

// No shell in between; what gnuplot says goes to plots/gnuplot.log. *note set when there is no gnuplot or it
// failed.
static qp_status run_gnuplot(const char *script, const char *log_path, qp_arena *a, const char **note,
                             qp_err *err) {
    char *script_copy;
    QP_TRY(qp_arena_get(a, strlen(script) + 1, &script_copy, err));
    memcpy(script_copy, script, strlen(script));
    char program[] = "gnuplot";
    char *const argv[] = {program, script_copy, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    int rc = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == ENOENT) {
        *note = "no plots: gnuplot is not installed (the numbers are in plots/*.dat; 'quantproof report DIR' "
                "draws them later)";
        return QP_OK;
    }
    if (rc != 0)
        return qp_arena_printf(a, note, err, "no plots: gnuplot could not be started: %s", strerror(rc));
    int wait_status = 0;
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return QP_OK;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 127)
        *note = "no plots: gnuplot is not installed (the numbers are in plots/*.dat; 'quantproof report DIR' "
                "draws them later)";
    else
        return qp_arena_printf(a, note, err,
                               "no plot from %s: gnuplot failed (status %d), see plots/gnuplot.log", script,
                               wait_status);
    return QP_OK;
}

typedef qp_status (*plot_fn)(const qp_log *log, qp_arena *a, qp_text *data, qp_text *script, qp_err *err);

static qp_status histogram_plot(const qp_log *log, qp_arena *a QP_UNUSED, qp_text *data, qp_text *script,
                                qp_err *err) {
    return histogram_data(log, data, script, err);
}

qp_status qp_write_plots(const qp_log *log, const char *dir, const char *templates, qp_arena *a,
                         const char **note, qp_err *err) {
    static const struct {
        const char *name;
        plot_fn fill;
    } plots[] = {{"histogram", histogram_plot}, {"matrix", matrix_data}, {"times", times_data}};
    const char *folder, *gnuplot_log;
    *note = NULL;
    QP_TRY(qp_arena_printf(a, &folder, err, "%s/plots", dir));
    QP_TRY(qp_arena_printf(a, &gnuplot_log, err, "%s/gnuplot.log", folder));
    QP_TRY(qp_dir_make(folder, err));
    for (int i = 0; i < QP_COUNT(plots); i++) {
        const char *data_path, *script_path, *svg, *template;
        QP_TRY(qp_arena_printf(a, &data_path, err, "%s/%s.dat", folder, plots[i].name));
        QP_TRY(qp_arena_printf(a, &script_path, err, "%s/%s.gp", folder, plots[i].name));
        QP_TRY(qp_arena_printf(a, &svg, err, "%s/%s.svg", folder, plots[i].name));
        QP_TRY(qp_arena_printf(a, &template, err, "%s/%s.gp", templates, plots[i].name));
        qp_text data = {.arena = a}, script = {.arena = a};
        QP_TRY(assign(&script, "data", data_path, err));
        QP_TRY(assign(&script, "svg", svg, err));
        QP_TRY(plots[i].fill(log, a, &data, &script, err));
        QP_TRY(qp_text_add(&script, err, "load "));
        QP_TRY(quoted(&script, template, err));
        QP_TRY(qp_text_add(&script, err, "\n"));
        QP_TRY(qp_file_write_atomic(data_path, data.n > 0 ? data.s : "", data.n, err));
        QP_TRY(qp_file_write_atomic(script_path, script.s, script.n, err));
        if (*note == NULL) QP_TRY(run_gnuplot(script_path, gnuplot_log, a, note, err));
    }
    return QP_OK;
}
