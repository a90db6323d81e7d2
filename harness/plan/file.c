// SPDX-License-Identifier: Apache-2.0
// Suite files: one case line a line, '#' comments, '@FILE' includes relative to the file that names them.
// A bad line is collected and the rest goes on; only a first file that cannot be read stops.
#include "plan/case.h"

#include "core/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

// The files being read, innermost first: an include of one of them is a cycle.
typedef struct open_file {
    const char *real;
    const struct open_file *outer;
} open_file;

// Files that include each other twice are no cycle, but double with every level.
enum { MAX_INCLUDES = 1000 };

typedef struct reader {
    qp_arena *arena;
    qp_case_list *cases;
    qp_bad_list *bad;
    int n_included;
} reader;

qp_status qp_bad_add(qp_bad_list *bad, qp_arena *a, const char *origin, const char *line, const char *message,
                     qp_err *err) {
    if (bad->n == bad->cap) {
        int cap = bad->cap > 0 ? bad->cap * 2 : 16;
        qp_bad_line *bigger = NULL;
        QP_TRY(QP_NEW(a, bigger, cap));
        if (bad->n > 0) memcpy(bigger, bad->lines, sizeof *bigger * (size_t)bad->n);
        bad->lines = bigger;
        bad->cap = cap;
    }
    qp_bad_line *b = &bad->lines[bad->n];
    QP_TRY(qp_arena_strdup(a, origin, &b->origin, err));
    QP_TRY(qp_arena_strdup(a, line, &b->line, err));
    QP_TRY(qp_arena_strdup(a, message, &b->message, err));
    bad->n++;
    return QP_OK;
}

// The path that identifies a file: symbolic links and .. resolved; the path itself when that is not possible.
static qp_status real_path(const char *path, qp_arena *a, const char **out, qp_err *err) {
    char real[PATH_MAX];
    return qp_arena_strdup(a, realpath(path, real) != NULL ? real : path, out, err);
}

static qp_status read_file(reader *r, const char *path, const open_file *outer, qp_err *err);

static qp_status include(reader *r, const char *path, const char *name, const char *origin,
                         const open_file *self, qp_err *err) {
    const char *target = name, *real = NULL;
    const char *slash = strrchr(path, '/');
    if (name[0] == '\0') QP_FAIL(QP_USAGE, "%s:1: wanted @FILE, got '@' alone", origin);
    if (name[0] != '/' && slash != NULL)
        QP_TRY(qp_arena_printf(r->arena, &target, err, "%.*s/%s", (int)(slash - path), path, name));
    QP_TRY(real_path(target, r->arena, &real, err));
    for (const open_file *f = self; f != NULL; f = f->outer)
        if (strcmp(f->real, real) == 0)
            QP_FAIL(QP_USAGE, "%s:1: include cycle: %s is being read already", origin, target);
    if (r->n_included++ >= MAX_INCLUDES)
        QP_FAIL(QP_USAGE, "%s:1: more than %d includes", origin, MAX_INCLUDES);
    qp_status s = read_file(r, target, self, err);
    if (s == QP_IO) qp_err_prefix(err, "%s:1", origin);
    return s;
}

static qp_status take_line(reader *r, const char *path, const char *line, int number, const open_file *self,
                           qp_err *err) {
    const char *origin = NULL;
    QP_TRY(qp_arena_printf(r->arena, &origin, err, "%s:%d", path, number));
    const char *text = line + strspn(line, " \t");
    qp_err own = {0};
    qp_status s;
    if (text[0] == '@') {
        const char *name = NULL;
        size_t n = strcspn(text + 1, "#");
        while (n > 0 && strchr(" \t\r", text[n]) != NULL) n--;
        QP_TRY(qp_arena_printf(r->arena, &name, err, "%.*s", (int)n, text + 1));
        s = include(r, path, name, origin, self, &own);
    } else {
        s = qp_case_parse(line, origin, r->arena, r->cases, &own);
    }
    if (s == QP_OK) return QP_OK;
    if (s == QP_USAGE || s == QP_IO) return qp_bad_add(r->bad, r->arena, origin, line, own.msg, err);
    if (err != NULL) *err = own;
    return s;
}

// A NUL byte would hide the rest of its line.
static qp_status refuse_nul(reader *r, const char *path, const char *line, int number, qp_err *err) {
    const char *origin = NULL, *message = NULL;
    QP_TRY(qp_arena_printf(r->arena, &origin, err, "%s:%d", path, number));
    QP_TRY(qp_arena_printf(r->arena, &message, err, "%s:%zu: NUL byte in a case line", origin,
                           strlen(line) + 1));
    return qp_bad_add(r->bad, r->arena, origin, line, message, err);
}

static qp_status read_file(reader *r, const char *path, const open_file *outer, qp_err *err) {
    char *text = NULL;
    size_t n_bytes = 0;
    open_file self = {.outer = outer};
    QP_TRY(qp_file_read(path, r->arena, &text, &n_bytes, err));
    QP_TRY(real_path(path, r->arena, &self.real, err));
    int number = 1;
    for (char *line = text, *end = text + n_bytes; line < end; number++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL) stop = end;
        *stop = '\0';
        QP_TRY(memchr(line, '\0', (size_t)(stop - line)) != NULL
                   ? refuse_nul(r, path, line, number, err)
                   : take_line(r, path, line, number, &self, err));
        line = stop + 1;
    }
    return QP_OK;
}

qp_status qp_case_file_add(const char *path, qp_arena *a, qp_case_list *out, qp_bad_list *bad, qp_err *err) {
    reader r = {.arena = a, .cases = out, .bad = bad};
    return read_file(&r, path, NULL, err);
}

qp_status qp_case_file(const char *path, qp_arena *a, qp_case_list *out, qp_bad_line **bad, int *n_bad,
                       qp_err *err) {
    qp_bad_list list = {0};
    QP_TRY(qp_case_file_add(path, a, out, &list, err));
    *bad = list.lines;
    *n_bad = list.n;
    return QP_OK;
}
