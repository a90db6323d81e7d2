// SPDX-License-Identifier: Apache-2.0
// A checkpoint as a set of safetensors files: one file, a folder with model.safetensors, or a folder with an
// index. The index and the files must say the same; nothing outside the folder is ever opened.
#include "core/file.h"
#include "tensor/safetensors.h"
#include "tensor/st_scan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

static qp_status open_one(const char *path, qp_arena *a, qp_st_set *out, qp_err *err) {
    QP_TRY(QP_NEW(a, out->files, 1));
    QP_TRY(qp_st_open(path, a, &out->files[0], err));
    out->n_files = 1;
    return QP_OK;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static qp_st_file *file_named(qp_st_set *s, const char *name) {
    for (int i = 0; i < s->n_files; i++)
        if (strcmp(base_name(s->files[i].path), name) == 0) return &s->files[i];
    return NULL;
}

static qp_status open_shards(const char *folder, const char *index, json_t *map, qp_arena *a, qp_st_set *out,
                             qp_err *err) {
    const char *name, *path;
    json_t *v;
    QP_TRY(QP_NEW(a, out->files, json_object_size(map)));
    json_object_foreach(map, name, v) {
        const char *file = json_string_value(v);
        if (file == NULL) QP_FAIL(QP_CORRUPT, "%s: weight_map.%s: a file name was wanted", index, name);
        if (file[0] == '\0' || file[0] == '.' || strchr(file, '/') != NULL)
            QP_FAIL(QP_CORRUPT, "%s: weight_map.%s: a plain file name was wanted, got '%s'", index, name,
                    file);
        if (file_named(out, file) != NULL) continue;
        QP_TRY(qp_arena_printf(a, &path, err, "%s/%s", folder, file));
        if (!qp_file_exists(path))
            QP_FAIL(QP_CORRUPT, "%s: missing, but %s says that it holds %s", path, index, name);
        QP_TRY(qp_st_open(path, a, &out->files[out->n_files], err));
        out->n_files++;
    }
    return QP_OK;
}

typedef struct named_tensor {
    const char *name, *file;
} named_tensor;

static int by_name(const void *a, const void *b) {
    return strcmp(((const named_tensor *)a)->name, ((const named_tensor *)b)->name);
}

// Every tensor of every file is in the index under that file, once; and the index names nothing else.
static qp_status check_index(const char *index, json_t *map, const qp_st_set *s, qp_arena *a, qp_err *err) {
    named_tensor *all;
    size_t n = 0, total = 0;
    for (int i = 0; i < s->n_files; i++) total += (size_t)s->files[i].n_tensors;
    QP_TRY(QP_NEW(a, all, total));
    for (int i = 0; i < s->n_files; i++)
        for (int j = 0; j < s->files[i].n_tensors; j++)
            all[n++] = (named_tensor){s->files[i].tensors[j].name, s->files[i].path};
    qsort(all, n, sizeof *all, by_name);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(all[i].name, all[i - 1].name) == 0)
            QP_FAIL(QP_CORRUPT, "%s: tensor %s is also in %s", all[i].file, all[i].name, all[i - 1].file);
        const char *file = json_string_value(json_object_get(map, all[i].name));
        if (file == NULL) QP_FAIL(QP_CORRUPT, "%s: tensor %s is not in %s", all[i].file, all[i].name, index);
        if (strcmp(file, base_name(all[i].file)) != 0)
            QP_FAIL(QP_CORRUPT, "%s: tensor %s: %s says %s", all[i].file, all[i].name, index, file);
    }
    const char *name;
    json_t *v;
    json_object_foreach(map, name, v) {
        const named_tensor key = {name, NULL};
        if (n == 0 || bsearch(&key, all, n, sizeof *all, by_name) == NULL)
            QP_FAIL(QP_CORRUPT, "%s: tensor %s: missing from %s", index, name, json_string_value(v));
    }
    return QP_OK;
}

static qp_status open_index(const char *folder, const char *index, qp_arena *a, qp_st_set *out, qp_err *err) {
    char *text;
    size_t n = 0;
    json_error_t at;
    QP_TRY(qp_file_read(index, a, &text, &n, err));
    if (qp_st_is_lfs_pointer(text, n))
        QP_FAIL(QP_CORRUPT, "%s: a Git LFS pointer, not the file it points to", index);
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL) QP_FAIL(QP_CORRUPT, "%s:%d:%d: bad JSON: %s", index, at.line, at.column, at.text);
    qp_status status = QP_OK;
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map))
        QP_FAIL_GOTO(status, out, QP_CORRUPT, "%s: weight_map: an object was wanted", index);
    QP_TRY_GOTO(status, open_shards(folder, index, map, a, out, err), out);
    QP_TRY_GOTO(status, check_index(index, map, out, a, err), out);
out:
    json_decref(root);
    return status;
}

qp_status qp_st_set_open(const char *path, qp_arena *a, qp_st_set *out, qp_err *err) {
    struct stat st;
    const char *single, *index;
    memset(out, 0, sizeof *out);
    if (stat(path, &st) != 0) QP_FAIL(QP_IO, "%s: no such file or folder", path);
    if (!S_ISDIR(st.st_mode)) return open_one(path, a, out, err);
    QP_TRY(qp_arena_printf(a, &single, err, "%s/%s", path, single_name));
    QP_TRY(qp_arena_printf(a, &index, err, "%s/%s", path, index_name));
    qp_status status;
    if (qp_file_exists(index))
        status = open_index(path, index, a, out, err);
    else if (qp_file_exists(single))
        status = open_one(single, a, out, err);
    else
        QP_FAIL(QP_CORRUPT, "%s: neither %s nor %s is there", path, index_name, single_name);
    if (status != QP_OK) qp_st_set_close(out);
    return status;
}

void qp_st_set_close(qp_st_set *s) {
    for (int i = 0; i < s->n_files; i++) qp_st_close(&s->files[i]);
    s->n_files = 0;
}

const qp_st_tensor *qp_st_set_find(const qp_st_set *s, const char *name, const char **file) {
    for (int i = 0; i < s->n_files; i++) {
        const qp_st_tensor *t = qp_st_find(&s->files[i], name);
        if (t == NULL) continue;
        if (file != NULL) *file = s->files[i].path;
        return t;
    }
    return NULL;
}

// A sum over tensors does not depend on their order, so neither on the files they are in.
uint64_t qp_st_set_hash(const qp_st_set *s) {
    uint64_t sum = 0;
    for (int i = 0; i < s->n_files; i++) {
        for (int j = 0; j < s->files[i].n_tensors; j++) {
            const qp_st_tensor *t = &s->files[i].tensors[j];
            uint64_t h = qp_hash64(t->data, t->n_bytes, 0);
            const char *dtype = qp_dtype_st_name(t->dtype);
            h = qp_hash64(t->dims, sizeof t->dims[0] * (size_t)t->n_dims, h);
            h = qp_hash64(dtype, strlen(dtype), h);
            sum += qp_hash64(t->name, strlen(t->name), h);
        }
    }
    return sum;
}
