// SPDX-License-Identifier: Apache-2.0
// Looks a model or recipe up by name and lists what there is when it is not there.
#include "model/find.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/text.h"

enum { MAX_FILES = 256 };

static bool is_yaml(const char *name) {
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".yaml") == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static qp_status list_names(const char *dir, qp_arena *a, const char **names, int *n, qp_err *err) {
    DIR *d = opendir(dir);
    if (d == NULL) QP_FAIL(QP_USAGE, "%s: %s", dir, strerror(errno));
    qp_status status = QP_OK;
    for (struct dirent *e = readdir(d); e != NULL && status == QP_OK && *n < MAX_FILES; e = readdir(d))
        if (is_yaml(e->d_name))
            status = qp_arena_printf(a, &names[(*n)++], err, "%.*s", (int)strlen(e->d_name) - 5, e->d_name);
    closedir(d);
    if (status == QP_OK) qsort(names, (size_t)*n, sizeof *names, by_name);
    return status;
}

qp_status qp_data_find(const char *name, const char *data_dir, const char *folder, const char *what,
                       qp_arena *a, const char **path, qp_err *err) {
    bool is_path = strchr(name, '/') != NULL || is_yaml(name);
    if (is_path)
        QP_TRY(qp_arena_strdup(a, name, path, err));
    else
        QP_TRY(qp_arena_printf(a, path, err, "%s/%s/%s.yaml", data_dir, folder, name));
    if (qp_file_exists(*path)) return QP_OK;
    if (is_path) QP_FAIL(QP_USAGE, "%s file %s: not there", what, name);
    const char *dir, *names[MAX_FILES];
    int n = 0;
    QP_TRY(qp_arena_printf(a, &dir, err, "%s/%s", data_dir, folder));
    QP_TRY(list_names(dir, a, names, &n, err));
    const char *near = qp_nearest(name, names, n);
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "unknown %s '%s'", what, name));
    if (near != NULL) QP_TRY(qp_text_add(&t, err, ", did you mean '%s'?", near));
    QP_TRY(qp_text_add(&t, err, " In %s there are:", dir));
    for (int i = 0; i < n; i++) QP_TRY(qp_text_add(&t, err, " %s", names[i]));
    QP_FAIL(QP_USAGE, "%s", t.s);
}
