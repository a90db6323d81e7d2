// SPDX-License-Identifier: Apache-2.0
// Files of a synthetic checkpoint: safetensors headers as the official writer lays them out (spec 2.10), and
// JSON.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "synth/parts.h"

uint64_t syn_tensor_size(const syn_tensor *t) {
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) n *= t->dims[i];
    return n * (uint64_t)qp_st_dtypes[t->dtype].bits / 8;
}

static int by_size_and_name(const void *pa, const void *pb) {
    const syn_tensor *a = *(syn_tensor *const *)pa, *b = *(syn_tensor *const *)pb;
    const int bits = qp_st_dtypes[b->dtype].bits - qp_st_dtypes[a->dtype].bits;
    if (bits != 0) return bits;
    const uint32_t n = a->n_name < b->n_name ? a->n_name : b->n_name;
    const int c = memcmp(a->name, b->name, n);
    return c != 0 ? c : (a->n_name > b->n_name) - (a->n_name < b->n_name);
}

static qp_status add_name(const syn_tensor *t, qp_text *out, qp_err *err) {
    QP_TRY(qp_text_add(out, err, "\""));
    for (uint32_t i = 0; i < t->n_name; i++) {
        const unsigned char c = (unsigned char)t->name[i];
        if (c < 0x20 || c == '"' || c == '\\')
            QP_TRY(qp_text_add(out, err, "\\u%04x", c));
        else
            QP_TRY(qp_text_add_bytes(out, (const char *)&c, 1, err));
    }
    return qp_text_add(out, err, "\":");
}

static qp_status add_entry(const syn_tensor *t, qp_text *out, qp_err *err) {
    QP_TRY(add_name(t, out, err));
    QP_TRY(qp_text_add(out, err, "{\"dtype\":\"%s\",\"shape\":[",
                       t->dtype_said != NULL ? t->dtype_said : qp_st_dtypes[t->dtype].name));
    for (uint32_t i = 0; i < t->n_dims; i++)
        QP_TRY(qp_text_add(out, err, "%s%llu", i > 0 ? "," : "", (unsigned long long)t->dims[i]));
    return qp_text_add(out, err, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)t->at,
                       (unsigned long long)(t->at + t->n_bytes));
}

qp_status syn_header(syn_tensor **tensors, int n, qp_text *out, uint64_t *n_data, qp_err *err) {
    *n_data = 0;
    qsort(tensors, (size_t)n, sizeof *tensors, by_size_and_name);
    QP_TRY(qp_text_add_bytes(out, "\0\0\0\0\0\0\0\0", 8, err));
    QP_TRY(qp_text_add(out, err, "{\"__metadata__\":{\"format\":\"pt\"}"));
    for (int i = 0; i < n; i++) {
        tensors[i]->at = *n_data;
        *n_data += tensors[i]->n_bytes;
        QP_TRY(qp_text_add(out, err, ","));
        QP_TRY(add_entry(tensors[i], out, err));
    }
    QP_TRY(qp_text_add(out, err, "}"));
    while (out->n % 8 != 0) QP_TRY(qp_text_add(out, err, " "));
    for (int i = 0; i < 8; i++) out->s[i] = (char)((uint64_t)(out->n - 8) >> 8 * i & 255);
    return QP_OK;
}

static bool write_all(int fd, const char *bytes, size_t n) {
    while (n > 0) {
        const ssize_t k = write(fd, bytes, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        bytes += k;
        n -= (size_t)k;
    }
    return true;
}

qp_status syn_write_file(const char *path, const void *head, size_t n_head, const void *body, size_t n_body,
                         qp_err *err) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) QP_FAIL(QP_IO, "cannot write %s: %s", path, strerror(errno));
    const bool good = write_all(fd, head, n_head) && write_all(fd, body, n_body);
    const int why = errno;
    if (close(fd) != 0 || !good) QP_FAIL(QP_IO, "cannot write %s: %s", path, strerror(why));
    return QP_OK;
}

qp_status syn_write_json(const char *folder, const char *name, const json_t *root, qp_arena *a, qp_err *err) {
    const char *path;
    QP_TRY(qp_arena_printf(a, &path, err, "%s/%s", folder, name));
    char *text = json_dumps(root, JSON_INDENT(4));
    if (text == NULL) QP_FAIL(QP_NOMEM, "%s: cannot be written as JSON", path);
    const qp_status status = syn_write_file(path, text, strlen(text), "\n", 1, err);
    free(text);
    return status;
}
