// SPDX-License-Identifier: Apache-2.0
// Reading one safetensors file: length limits before any allocation, JSON by jansson, every offset checked
// before a pointer is made from it. Not the place for sharded folders (st_set.c).
#include "tensor/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8 };
static const uint64_t header_limit = 100000000; // safetensors: N <= 100 MB, checked before anything else

typedef struct buffer { // the bytes after the header, and whose they are
    const char *path;
    const uint8_t *bytes;
    uint64_t n_bytes;
} buffer;

static qp_status map_file(const char *path, void **map, size_t *n_bytes, qp_err *err) {
    qp_status status = QP_OK;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) QP_FAIL(QP_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0) QP_FAIL_GOTO(status, out, QP_IO, "%s: cannot stat: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) QP_FAIL_GOTO(status, out, QP_IO, "%s: is not a regular file", path);
    if (st.st_size < LENGTH_BYTES)
        QP_FAIL_GOTO(status, out, QP_CORRUPT, "%s: at least 8 bytes wanted, the file has %lld", path,
                     (long long)st.st_size);
    *n_bytes = (size_t)st.st_size;
    *map = mmap(NULL, *n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (*map == MAP_FAILED) {
        *map = NULL;
        QP_FAIL_GOTO(status, out, QP_IO, "%s: cannot map %zu bytes: %s", path, *n_bytes, strerror(errno));
    }
out:
    close(fd);
    return status;
}

static qp_status parse_dtype(const char *path, const char *name, const json_t *v, qp_dtype *out,
                             qp_err *err) {
    if (!json_is_string(v)) QP_FAIL(QP_CORRUPT, "%s: tensor %s: dtype: a text was wanted", path, name);
    for (int t = 0; t < QP_DTYPE_COUNT; t++) {
        if (strcmp(json_string_value(v), qp_dtype_st_name((qp_dtype)t)) != 0) continue;
        *out = (qp_dtype)t;
        return QP_OK;
    }
    QP_FAIL(QP_CORRUPT, "%s: tensor %s: unknown dtype %s (wanted BF16 F16 F32 U8 I8 F8_E4M3 I32 or I64)",
            path, name, json_string_value(v));
}

static bool get_count(const json_t *v, int64_t *out) {
    if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
    *out = json_integer_value(v);
    return true;
}

// Multiplied from left to right with an overflow check at each step, so [2^40, 2^40, 0] is refused like
// elsewhere.
static qp_status parse_shape(const char *path, const json_t *v, qp_st_tensor *t, uint64_t *n_bytes,
                             qp_err *err) {
    if (!json_is_array(v)) QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape: a list was wanted", path, t->name);
    if (json_array_size(v) > QP_ST_MAX_DIMS)
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape: at most %d dimensions wanted, got %zu", path, t->name,
                QP_ST_MAX_DIMS, json_array_size(v));
    t->n_dims = (int)json_array_size(v);
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) {
        if (!get_count(json_array_get(v, (size_t)i), &t->dims[i]))
            QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape[%d]: a whole number >= 0 was wanted", path, t->name, i);
        if (__builtin_mul_overflow(n, (uint64_t)t->dims[i], &n) || n > INT64_MAX)
            QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape: the number of elements overflows", path, t->name);
    }
    if (__builtin_mul_overflow(n, (uint64_t)qp_dtype_bytes(t->dtype), n_bytes) || *n_bytes > INT64_MAX)
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape: the number of bytes overflows", path, t->name);
    return QP_OK;
}

static qp_status parse_entry(const buffer *b, const json_t *v, qp_st_tensor *t, qp_err *err) {
    const char *path = b->path;
    uint64_t n_bytes = 0;
    int64_t begin, end;
    if (!json_is_object(v)) QP_FAIL(QP_CORRUPT, "%s: tensor %s: an object was wanted", path, t->name);
    QP_TRY(parse_dtype(path, t->name, json_object_get(v, "dtype"), &t->dtype, err));
    QP_TRY(parse_shape(path, json_object_get(v, "shape"), t, &n_bytes, err));
    const json_t *range = json_object_get(v, "data_offsets");
    if (!json_is_array(range) || json_array_size(range) != 2 ||
        !get_count(json_array_get(range, 0), &begin) || !get_count(json_array_get(range, 1), &end))
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: data_offsets: two whole numbers >= 0 were wanted", path, t->name);
    if (begin > end || (uint64_t)end > b->n_bytes)
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: data_offsets [%lld, %lld] wanted within the %llu bytes of data",
                path, t->name, (long long)begin, (long long)end, (unsigned long long)b->n_bytes);
    if ((uint64_t)(end - begin) != n_bytes)
        QP_FAIL(QP_CORRUPT, "%s: tensor %s: shape and dtype %s want %llu bytes, data_offsets give %lld", path,
                t->name, qp_dtype_st_name(t->dtype), (unsigned long long)n_bytes, (long long)(end - begin));
    t->data = b->bytes + begin;
    t->n_bytes = (size_t)n_bytes;
    return QP_OK;
}

static qp_status check_metadata(const char *path, json_t *meta, qp_err *err) {
    const char *key;
    json_t *v;
    if (json_is_null(meta)) return QP_OK; // accepted by the reference implementation
    if (!json_is_object(meta)) QP_FAIL(QP_CORRUPT, "%s: __metadata__: an object of texts was wanted", path);
    json_object_foreach(meta, key, v) if (!json_is_string(v))
        QP_FAIL(QP_CORRUPT, "%s: __metadata__.%s: a text was wanted", path, key);
    return QP_OK;
}

static int by_place(const void *a, const void *b) {
    const qp_st_tensor *x = *(const qp_st_tensor *const *)a, *y = *(const qp_st_tensor *const *)b;
    const char *px = x->data, *py = y->data;
    if (px != py) return px < py ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes); // empty tensors first
}

static int by_text(const void *a, const void *b) {
    return strcmp((*(const qp_st_tensor *const *)a)->name, (*(const qp_st_tensor *const *)b)->name);
}

// Sorted by place, every tensor begins where the one before ends, the first at 0, and the last ends with the
// file.
static qp_status check_places(const buffer *b, const qp_st_tensor **sorted, int n, qp_err *err) {
    qsort(sorted, (size_t)n, sizeof *sorted, by_place);
    const uint8_t *end = b->bytes;
    const char *before = "the begin of the data";
    for (int i = 0; i < n; i++) {
        const uint8_t *begin = sorted[i]->data;
        if (begin != end)
            QP_FAIL(QP_CORRUPT, "%s: tensor %s: data_offsets begin at %lld, wanted %lld (%s %s)", b->path,
                    sorted[i]->name, (long long)(begin - b->bytes), (long long)(end - b->bytes),
                    begin < end ? "overlaps" : "leaves a hole after", before);
        end = begin + sorted[i]->n_bytes;
        before = sorted[i]->name;
    }
    if (end != b->bytes + b->n_bytes)
        QP_FAIL(QP_CORRUPT, "%s: %lld bytes after the last tensor (%s)", b->path,
                (long long)(b->bytes + b->n_bytes - end), before);
    return QP_OK;
}

static qp_status parse_tensors(const buffer *b, json_t *root, qp_arena *a, qp_st_file *out, qp_err *err) {
    qp_st_tensor *tensors;
    const char *key;
    json_t *v;
    QP_TRY(QP_NEW(a, tensors, json_object_size(root)));
    int n = 0;
    json_object_foreach(root, key, v) {
        if (strcmp(key, "__metadata__") == 0) {
            QP_TRY(check_metadata(b->path, v, err));
            continue;
        }
        QP_TRY(qp_arena_strdup(a, key, &tensors[n].name, err));
        QP_TRY(parse_entry(b, v, &tensors[n], err));
        n++;
    }
    const qp_st_tensor **sorted;
    QP_TRY(QP_NEW(a, sorted, n));
    for (int i = 0; i < n; i++) sorted[i] = &tensors[i];
    QP_TRY(check_places(b, sorted, n, err));
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    out->by_name = sorted;
    out->tensors = tensors;
    out->n_tensors = n;
    return QP_OK;
}

static qp_status parse_file(const uint8_t *bytes, size_t n_bytes, qp_arena *a, qp_st_file *out, qp_err *err) {
    const char *path = out->path;
    uint64_t n_header = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) n_header = n_header << 8 | bytes[i];
    if (n_header > header_limit)
        QP_FAIL(QP_CORRUPT, "%s: header length: at most %llu wanted, got %llu", path,
                (unsigned long long)header_limit, (unsigned long long)n_header);
    if (n_header > n_bytes - LENGTH_BYTES)
        QP_FAIL(QP_CORRUPT, "%s: header length %llu, but only %zu bytes follow", path,
                (unsigned long long)n_header, n_bytes - LENGTH_BYTES);
    json_error_t at;
    json_t *root =
        json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)n_header, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL)
        QP_FAIL(QP_CORRUPT, "%s: header: bad JSON at byte %d: %s", path, LENGTH_BYTES + at.position, at.text);
    qp_status status = QP_OK;
    buffer b = {path, bytes + LENGTH_BYTES + n_header, n_bytes - LENGTH_BYTES - n_header};
    if (!json_is_object(root))
        QP_FAIL_GOTO(status, out, QP_CORRUPT, "%s: header: a JSON object was wanted", path);
    QP_TRY_GOTO(status, parse_tensors(&b, root, a, out, err), out);
out:
    json_decref(root);
    return status;
}

qp_status qp_st_open(const char *path, qp_arena *a, qp_st_file *out, qp_err *err) {
    memset(out, 0, sizeof *out);
    QP_TRY(qp_arena_strdup(a, path, &out->path, err));
    QP_TRY(map_file(path, &out->map, &out->map_bytes, err));
    qp_status status = parse_file(out->map, out->map_bytes, a, out, err);
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
