// SPDX-License-Identifier: Apache-2.0
// Reads images given as text into tensors.
#include "cmd/hex_data.h"

#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "core/file.h"
#include "core/text.h"

#define GAPS ", \t\r\n"

// The next word and its length; false at the end of the text.
static bool next_word(const char **at, size_t *n) {
    for (;;) {
        *at += strspn(*at, GAPS);
        if (**at != '#') break;
        *at += strcspn(*at, "\n");
    }
    *n = strcspn(*at, GAPS "#");
    return *n > 0;
}

static bool is_word(const char *at, size_t n, const char *word) {
    return n == strlen(word) && strncmp(at, word, n) == 0;
}

static qp_status read_shape(const char *at, size_t n, qp_hex_tensor *t, qp_err *err) {
    char text[48], *cross;
    snprintf(text, sizeof text, "%.*s", (int)n, at);
    cross = strchr(text, 'x');
    bool good = n < sizeof text && cross != NULL;
    if (good) *cross = '\0';
    good = good && qp_parse_i64(text, &t->rows) && qp_parse_i64(cross + 1, &t->cols);
    if (!good || t->rows < 1 || t->cols < 1 || t->rows > INT32_MAX || t->cols > INT32_MAX)
        QP_FAIL(QP_USAGE, "hex: wanted a shape RxC after 'tensor', got '%.*s'", (int)(n < 40 ? n : 40), at);
    return QP_OK;
}

static qp_status path_of(const char *name, qp_arena *a, const char **out, qp_err *err) {
    const char *dir;
    *out = name;
    if (qp_file_exists(name) || strncmp(name, "cases/", 6) != 0) return QP_OK;
    QP_TRY(qp_data_dir(a, &dir, err));
    return qp_arena_printf(a, out, err, "%s/%s", dir, name + strlen("cases/"));
}

bool qp_hex_is_missing(const char *text) {
    if (text[0] != '@' || strncmp(text + 1, QP_HARD_FOLDER, strlen(QP_HARD_FOLDER)) != 0) return false;
    qp_arena *a = qp_arena_new();
    const char *path;
    const bool missing = a != NULL && path_of(text + 1, a, &path, NULL) == QP_OK && !qp_file_exists(path);
    qp_arena_free(a);
    return missing;
}

// ---- tensor by tensor -------------------------------------------------------------------------------------

typedef struct reader {
    qp_dtype type;
    qp_hex_tensor *now;
    int64_t n_values; // of now
    bool has_shape;
} reader;

static qp_status close_tensor(reader *r, qp_err *err) {
    if (!r->has_shape) {
        r->now->rows = 1;
        r->now->cols = r->n_values;
    }
    if (r->now->rows * r->now->cols != r->n_values)
        QP_FAIL(QP_USAGE, "hex: wanted %lld values, got %lld", (long long)(r->now->rows * r->now->cols),
                (long long)r->n_values);
    return QP_OK;
}

// After the word 'tensor': the one before it is complete, the next begins where its values end.
static qp_status open_tensor(reader *r, const char *shape, size_t n, qp_err *err) {
    if (r->has_shape || r->n_values > 0) {
        QP_TRY(close_tensor(r, err));
        r->now[1].x = (char *)r->now->x + (size_t)r->n_values * qp_dtype_bytes(r->type);
        r->now++;
    }
    r->has_shape = true;
    r->n_values = 0;
    return read_shape(shape, n, r->now, err);
}

static qp_status add_image(reader *r, const char *at, size_t n, qp_err *err) {
    const size_t bytes = qp_dtype_bytes(r->type);
    const int digits = (int)(2 * bytes);
    uint64_t v = 0;
    char word[20];
    snprintf(word, sizeof word, "%.*s", (int)n, at);
    if (n != (size_t)digits || !qp_parse_hex(word, digits, &v))
        QP_FAIL(QP_USAGE, "hex: wanted images of %d hex digits, got '%.*s'", digits, (int)(n < 40 ? n : 40),
                at);
    memcpy((char *)r->now->x + (size_t)r->n_values++ * bytes, &v, bytes);
    return QP_OK;
}

static int count_tensors(const char *at) {
    int count = 1;
    for (size_t n; next_word(&at, &n); at += n) count += is_word(at, n, "tensor");
    return count;
}

qp_status qp_hex_read(const char *text, qp_dtype t, qp_arena *a, qp_hex_tensor **out, int *n, qp_err *err) {
    if (text[0] == '@') {
        const char *path;
        char *file;
        size_t n_bytes;
        QP_TRY(path_of(text + 1, a, &path, err));
        QP_TRY(qp_file_read(path, a, &file, &n_bytes, err));
        text = file;
    }
    QP_TRY(QP_NEW(a, *out, count_tensors(text)));
    reader r = {.type = t, .now = *out};
    QP_TRY(qp_arena_get(a, strlen(text) / 2 + 8, &r.now->x, err)); // two digits a byte, and gaps
    for (size_t length; next_word(&text, &length); text += length) {
        if (!is_word(text, length, "tensor")) {
            QP_TRY(add_image(&r, text, length, err));
            continue;
        }
        text += length;
        (void)next_word(&text, &length);
        QP_TRY(open_tensor(&r, text, length, err));
    }
    *n = (int)(r.now - *out) + 1;
    return close_tensor(&r, err);
}
