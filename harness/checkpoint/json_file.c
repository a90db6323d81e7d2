// SPDX-License-Identifier: Apache-2.0
// A config file as JSON, the way the Python loaders read it.
#include "checkpoint/open.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"

enum { MAX_CONFIG_BYTES = 256 << 20 }; // an index of a million tensors stays below it

// The json module of Python writes and reads NaN, Infinity and -Infinity (time_step_limit of Mamba models);
// JSON has no such words. Nothing that the audit looks at is one of them: nulls of the same length.
static void blank_words(char *s, size_t n) {
    bool in_text = false;
    for (size_t i = 0; i < n; i++) {
        if (in_text) {
            if (s[i] == '\\')
                i++; // what is escaped ends no text
            else
                in_text = s[i] != '"';
            continue;
        }
        in_text = s[i] == '"';
        const bool minus = i > 0 && s[i - 1] == '-';
        if (s[i] == 'N' && !minus && n - i >= 3 && memcmp(s + i, "NaN", 3) == 0) memcpy(s + i, "0  ", 3);
        if (s[i] != 'I' || n - i < 8 || memcmp(s + i, "Infinity", 8) != 0) continue;
        memcpy(s + i, "null    ", 8);
        if (minus) s[i - 1] = ' ';
    }
}

// Found under the file's name, like a shard: what --allow says of it holds wherever the folder lies.
static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

#define UNREADABLE(...)                                                                                      \
    qp_ck_found(f, QP_CK_FILE_FORMAT, base_name(path), strlen(base_name(path)), NULL, err, __VA_ARGS__)

static qp_status parse(const char *path, char *text, size_t n, qp_ck_findings *f, qp_ck_config *out,
                       qp_err *err) {
    json_error_t at;
    if (qp_st_is_lfs_pointer(text, n))
        return UNREADABLE("a Git LFS pointer, not the file it points to: run git lfs pull");
    blank_words(text, n);
    json_t *root = json_loadb(text, n, JSON_ALLOW_NUL, &at);
    if (root == NULL) return UNREADABLE("line %d column %d: bad JSON: %s", at.line, at.column, at.text);
    if (json_is_object(root)) {
        out->root = root;
        return QP_OK;
    }
    json_decref(root);
    return UNREADABLE("an object was wanted");
}

enum { ABSENT = -1 };

// 0, errno, or ABSENT: a link that leads nowhere is there.
static int stat_or_absent(const char *path, struct stat *st) {
    if (stat(path, st) == 0) return 0;
    if (errno != ENOENT || lstat(path, st) == 0) return errno;
    return errno == ENOENT ? ABSENT : errno;
}

qp_status qp_ck_config_read(const char *path, qp_arena *a, qp_ck_findings *f, qp_ck_config *out,
                            qp_err *err) {
    struct stat st;
    char *text;
    size_t n;
    qp_err read_err = {0};
    memset(out, 0, sizeof *out);
    const int why = stat_or_absent(path, &st);
    if (why == ABSENT) return QP_OK;
    out->path = path;
    out->name = base_name(path);
    if (why != 0) return UNREADABLE("%s: cannot stat: %s", path, strerror(why));
    if (!S_ISREG(st.st_mode)) return UNREADABLE("is not a regular file");
    if (st.st_size > MAX_CONFIG_BYTES)
        return UNREADABLE("at most %d bytes wanted, the file has %lld", MAX_CONFIG_BYTES,
                          (long long)st.st_size);
    const qp_status status = qp_file_read(path, a, &text, &n, &read_err);
    if (status == QP_NOMEM) QP_FAIL(QP_NOMEM, "%s", read_err.msg);
    if (status != QP_OK) return UNREADABLE("%s", read_err.msg);
    return parse(path, text, n, f, out, err);
}
