// SPDX-License-Identifier: Apache-2.0
// Writing one safetensors file, atomically: tensors in the given order, header padded with spaces to 8 bytes.
#include "core/file.h"
#include "tensor/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const size_t header_limit = 100000000;

static qp_status put_new(json_t *into, const char *path, const char *key, json_t *v, qp_err *err) {
    if (json_object_get(into, key) != NULL) {
        json_decref(v);
        QP_FAIL(QP_USAGE, "%s: %s is given twice", path, key);
    }
    if (v == NULL || json_object_set_new(into, key, v) != 0)
        QP_FAIL(QP_USAGE, "%s: '%s' cannot be put into the header (not UTF-8, or no memory)", path, key);
    return QP_OK;
}

// The checks of the reader, before a byte is written.
static qp_status check_size(const char *path, const qp_st_tensor *t, qp_err *err) {
    uint64_t n = qp_dtype_bytes(t->dtype);
    if (n == 0) QP_FAIL(QP_BROKEN, "%s: tensor %s: dtype %d does not exist", path, t->name, (int)t->dtype);
    if (t->n_dims < 0 || t->n_dims > QP_ST_MAX_DIMS)
        QP_FAIL(QP_BROKEN, "%s: tensor %s: %d dimensions, at most %d wanted", path, t->name, t->n_dims,
                QP_ST_MAX_DIMS);
    for (int i = 0; i < t->n_dims; i++)
        if (t->dims[i] < 0 || __builtin_mul_overflow(n, (uint64_t)t->dims[i], &n))
            QP_FAIL(QP_BROKEN, "%s: tensor %s: bad dimension %lld", path, t->name, (long long)t->dims[i]);
    if (n != t->n_bytes)
        QP_FAIL(QP_BROKEN, "%s: tensor %s: shape and dtype %s want %llu bytes, got %zu", path, t->name,
                qp_dtype_st_name(t->dtype), (unsigned long long)n, t->n_bytes);
    return QP_OK;
}

static json_t *entry_of(const qp_st_tensor *t, uint64_t begin) {
    json_t *shape = json_array();
    for (int i = 0; i < t->n_dims; i++) json_array_append_new(shape, json_integer(t->dims[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", qp_dtype_st_name(t->dtype), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)(begin + t->n_bytes));
}

static qp_status fill_header(json_t *root, const char *path, const qp_st_tensor *tensors, int n_tensors,
                             const char *const (*meta)[2], int n_meta, qp_err *err) {
    if (n_meta > 0) {
        json_t *texts = json_object();
        QP_TRY(put_new(root, path, "__metadata__", texts, err));
        for (int i = 0; i < n_meta; i++)
            QP_TRY(put_new(texts, path, meta[i][0], json_string(meta[i][1]), err));
    }
    uint64_t at = 0;
    for (int i = 0; i < n_tensors; i++) {
        QP_TRY(check_size(path, &tensors[i], err));
        if (strcmp(tensors[i].name, "__metadata__") == 0)
            QP_FAIL(QP_USAGE, "%s: no tensor can be named __metadata__", path);
        QP_TRY(put_new(root, path, tensors[i].name, entry_of(&tensors[i], at), err));
        at += tensors[i].n_bytes;
    }
    return QP_OK;
}

static qp_status write_file(qp_atomic_file *f, const char *header, const qp_st_tensor *tensors, int n_tensors,
                            qp_err *err) {
    static const char spaces[8] = "        ";
    uint8_t length[8];
    size_t n = strlen(header), pad = (8 - n % 8) % 8;
    if (n + pad > header_limit)
        QP_FAIL(QP_USAGE, "%s: header length: at most %zu wanted, got %zu", f->path, header_limit, n + pad);
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)(n + pad) >> (8 * i));
    QP_TRY(qp_atomic_write(f, length, sizeof length, err));
    QP_TRY(qp_atomic_write(f, header, n, err));
    QP_TRY(qp_atomic_write(f, spaces, pad, err));
    for (int i = 0; i < n_tensors; i++) QP_TRY(qp_atomic_write(f, tensors[i].data, tensors[i].n_bytes, err));
    return qp_atomic_commit(f, err);
}

qp_status qp_st_write(const char *path, const qp_st_tensor *tensors, int n_tensors,
                      const char *const (*meta)[2], int n_meta, qp_err *err) {
    qp_status status = QP_OK;
    qp_atomic_file f = {.fd = -1};
    char *header = NULL;
    json_t *root = json_object();
    if (root == NULL) QP_FAIL(QP_NOMEM, "%s: no memory for the header", path);
    QP_TRY_GOTO(status, fill_header(root, path, tensors, n_tensors, meta, n_meta, err), out);
    header = json_dumps(root, JSON_COMPACT);
    if (header == NULL) QP_FAIL_GOTO(status, out, QP_NOMEM, "%s: no memory for the header text", path);
    QP_TRY_GOTO(status, qp_atomic_open(&f, path, err), out);
    QP_TRY_GOTO(status, write_file(&f, header, tensors, n_tensors, err), out);
out:
    qp_atomic_abort(&f);
    free(header); // jansson's, not ours to keep
    json_decref(root);
    return status;
}
