// SPDX-License-Identifier: Apache-2.0
// One safetensors file as tensors of the harness's own types: the header by st_scan.c, then what a
// qp_st_tensor cannot say is refused. Not the place for sharded folders (st_set.c).
#include "tensor/safetensors.h"
#include "tensor/st_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

qp_status qp_st_open_fd(const char *path, int *fd, size_t *n_bytes, qp_err *err) {
    qp_status status = QP_OK;
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe must not block
    if (*fd < 0) QP_FAIL(QP_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(*fd, &st) != 0) QP_FAIL_GOTO(status, out, QP_IO, "%s: cannot stat: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) QP_FAIL_GOTO(status, out, QP_IO, "%s: is not a regular file", path);
    if (st.st_size < 8)
        QP_FAIL_GOTO(status, out, QP_CORRUPT, "%s: at least 8 bytes wanted, the file has %lld", path,
                     (long long)st.st_size);
    *n_bytes = (size_t)st.st_size;
    return QP_OK;
out:
    close(*fd);
    *fd = -1;
    return status;
}

qp_status qp_st_map(const char *path, void **map, size_t *n_bytes, qp_err *err) {
    int fd;
    QP_TRY(qp_st_open_fd(path, &fd, n_bytes, err));
    *map = mmap(NULL, *n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    int why = errno;
    close(fd);
    if (*map != MAP_FAILED) return QP_OK;
    *map = NULL;
    QP_FAIL(QP_IO, "%s: cannot map %zu bytes: %s", path, *n_bytes, strerror(why));
}

qp_status qp_st_read_window(const char *path, int fd, uint64_t offset, size_t n_bytes, void *buf,
                            qp_err *err) {
    for (size_t done = 0; done < n_bytes;) {
        const unsigned long long at = offset + done;
        ssize_t got = pread(fd, (char *)buf + done, n_bytes - done, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) QP_FAIL(QP_IO, "%s: byte %llu: cannot read: %s", path, at, strerror(errno));
        if (got == 0)
            QP_FAIL(QP_IO, "%s: byte %llu: the file ends here, %zu more bytes wanted: it was cut meanwhile",
                    path, at, n_bytes - done);
        done += (size_t)got;
    }
    return QP_OK;
}

static bool dtype_of(const char *name, qp_dtype *out) {
    for (int t = 0; t < QP_DTYPE_COUNT; t++) {
        if (strcmp(name, qp_dtype_st_name((qp_dtype)t)) != 0) continue;
        *out = (qp_dtype)t;
        return true;
    }
    return false;
}

static qp_status take_shape(const char *path, const qp_st_entry *e, qp_st_tensor *t, qp_err *err) {
    uint64_t dims[QP_ST_MAX_DIMS];
    if (qp_st_entry_dims(e, dims, QP_ST_MAX_DIMS) > QP_ST_MAX_DIMS)
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape: at most %d dimensions wanted, got %u", path, t->name,
                QP_ST_MAX_DIMS, e->n_dims);
    t->n_dims = (int)e->n_dims;
    for (int i = 0; i < t->n_dims; i++) {
        if (dims[i] > INT64_MAX)
            QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape[%d]: below 2^63 wanted, got %llu", path, t->name, i,
                    (unsigned long long)dims[i]);
        t->dims[i] = (int64_t)dims[i];
    }
    return QP_OK;
}

static qp_status take_entry(const char *path, const qp_st_scan *s, const qp_st_entry *e, char *name,
                            qp_st_tensor *t, qp_err *err) {
    const char *dtype = qp_st_dtypes[e->dtype].name;
    memcpy(name, e->name, e->n_name);
    t->name = name;
    if (memchr(name, '\0', e->n_name) != NULL)
        QP_FAIL(QP_CORRUPT, "%s: byte %u: tensor %s: a name without NUL was wanted", path, e->at, name);
    if (!dtype_of(dtype, &t->dtype))
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: unknown dtype %s (wanted BF16 F16 F32 U8 I8 F8_E4M3 I32 or I64)",
                path, name, dtype);
    QP_TRY(take_shape(path, e, t, err));
    t->data = s->data + e->begin;
    t->n_bytes = (size_t)(e->end - e->begin);
    return QP_OK;
}

// One file must mean one thing here: what later readers may take differently is refused.
static qp_status refuse_ambiguous(const char *path, const qp_st_scan *s, qp_err *err) {
    for (int i = 0; i < s->n_kept; i++) {
        const qp_st_deviation *d = &s->deviations[i];
        if (d->rule != QP_ST_NAME_TWICE && d->rule != QP_ST_ENTRY_LIST && d->rule != QP_ST_DTYPE_OBJECT)
            continue;
        const qp_st_rule_row *rule = &qp_st_rules[d->rule];
        QP_FAIL(QP_CORRUPT, "%s: byte %llu: tensor %s: %s: wanted: %s; got: %s", path,
                (unsigned long long)d->at, d->name, rule->id, rule->says, d->detail);
    }
    return QP_OK;
}

static int by_text(const void *a, const void *b) {
    return strcmp((*(const qp_st_tensor *const *)a)->name, (*(const qp_st_tensor *const *)b)->name);
}

static qp_status take_all(const qp_st_scan *s, qp_arena *a, qp_st_file *out, qp_err *err) {
    qp_st_tensor *tensors;
    const qp_st_tensor **sorted;
    char *names;
    size_t n_names = 0;
    for (uint32_t i = 0; i < s->n_entries; i++) n_names += s->entries[i].n_name + 1u;
    QP_TRY(QP_NEW(a, tensors, s->n_entries));
    QP_TRY(QP_NEW(a, sorted, s->n_entries));
    QP_TRY(QP_NEW(a, names, n_names));
    for (uint32_t i = 0; i < s->n_entries; i++) {
        QP_TRY(take_entry(out->path, s, &s->entries[i], names, &tensors[i], err));
        names += s->entries[i].n_name + 1u;
        sorted[i] = &tensors[i];
    }
    qsort(sorted, s->n_entries, sizeof *sorted, by_text);
    out->by_name = sorted;
    out->tensors = tensors;
    out->n_tensors = (int)s->n_entries;
    return QP_OK;
}

static qp_status read_mapped(qp_arena *a, qp_st_file *out, qp_err *err) {
    qp_st_scan scan;
    QP_TRY(qp_st_scan_bytes(out->path, out->map, out->map_bytes, false, a, &scan, err));
    QP_TRY(refuse_ambiguous(out->path, &scan, err));
    return take_all(&scan, a, out, err);
}

qp_status qp_st_open(const char *path, qp_arena *a, qp_st_file *out, qp_err *err) {
    memset(out, 0, sizeof *out);
    QP_TRY(qp_arena_strdup(a, path, &out->path, err));
    QP_TRY(qp_st_map(path, &out->map, &out->map_bytes, err));
    qp_status status = read_mapped(a, out, err);
    if (status != QP_OK) qp_st_close(out);
    return status;
}

void qp_st_close(qp_st_file *f) {
    if (f->map != NULL) munmap(f->map, f->map_bytes);
    f->map = NULL;
    f->tensors = NULL;
    f->n_tensors = 0;
}

const qp_st_tensor *qp_st_find(const qp_st_file *f, const char *name) {
    const qp_st_tensor key = {.name = name}, *want = &key;
    if (f->n_tensors == 0) return NULL;
    const qp_st_tensor *const *hit = bsearch(&want, f->by_name, (size_t)f->n_tensors, sizeof want, by_text);
    return hit == NULL ? NULL : *hit;
}
