// SPDX-License-Identifier: Apache-2.0
// Files and folders. A file appears under its name whole or not at all; every error names the path and the
// errno text.
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static ssize_t read_some(int fd, char *into, size_t n_bytes) {
    ssize_t got;
    do got = read(fd, into, n_bytes);
    while (got < 0 && errno == EINTR);
    return got;
}

// Pipes and devices have no size: grow until the end. A regular file ends at its size unless it grows
// meanwhile.
static qp_status read_all(int fd, const char *path, qp_arena *a, char **out, size_t *n_bytes, qp_err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) QP_FAIL(QP_IO, "%s: cannot stat: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) QP_FAIL(QP_IO, "%s: is a folder, a file was wanted", path);
    size_t cap = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, n = 0;
    char *text;
    QP_TRY(qp_arena_get(a, cap + 1, &text, err));
    for (;;) {
        if (n == cap) {
            char *more;
            QP_TRY(qp_arena_get(a, cap * 2 + 1, &more, err));
            memcpy(more, text, n);
            text = more;
            cap *= 2;
        }
        ssize_t got = read_some(fd, text + n, cap - n);
        if (got < 0) QP_FAIL(QP_IO, "%s: cannot read: %s", path, strerror(errno));
        if (got == 0) break;
        n += (size_t)got;
    }
    text[n] = '\0';
    *out = text;
    if (n_bytes != NULL) *n_bytes = n;
    return QP_OK;
}

qp_status qp_file_read(const char *path, qp_arena *a, char **out, size_t *n_bytes, qp_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) QP_FAIL(QP_IO, "%s: cannot open: %s", path, strerror(errno));
    qp_status status = read_all(fd, path, a, out, n_bytes, err);
    close(fd);
    return status;
}

bool qp_file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

// ---- atomic files
// ----------------------------------------------------------------------------------------------------

// The folder that holds path, as text that open() takes.
static void parent_of(const char *path, char *folder, size_t n) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        snprintf(folder, n, ".");
    else
        snprintf(folder, n, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

qp_status qp_atomic_open(qp_atomic_file *f, const char *path, qp_err *err) {
    f->fd = -1;
    f->path[0] = f->temp[0] = '\0';
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof f->path)
        QP_FAIL(QP_USAGE, "%.80s...: a file name of 1 to %zu bytes was wanted, got %zu", path,
                sizeof f->path - 1, n);
    memcpy(f->path, path, n + 1);
    // O_EXCL and a counter: two writers of one path, also threads of one process, never share a temporary.
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(f->temp, sizeof f->temp, "%s.%ld.%d.tmp", path, (long)getpid(), attempt);
        f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0) return QP_OK;
        if (errno != EEXIST) break;
    }
    int e = errno;
    f->temp[0] = '\0';
    QP_FAIL(QP_IO, "%s: cannot create: %s", path, strerror(e));
}

qp_status qp_atomic_write(qp_atomic_file *f, const void *bytes, size_t n_bytes, qp_err *err) {
    const char *p = bytes;
    size_t left = n_bytes;
    if (f->fd < 0) QP_FAIL(QP_BROKEN, "%s: write to a file that is not open", f->path);
    while (left > 0) {
        ssize_t put = write(f->fd, p, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            QP_FAIL(QP_IO, "%s: cannot write (%zu of %zu bytes left): %s", f->path, left, n_bytes,
                    strerror(errno));
        if (put == 0) QP_FAIL(QP_IO, "%s: the system took 0 of %zu bytes", f->path, left);
        p += put;
        left -= (size_t)put;
    }
    return QP_OK;
}

// The rename is only durable once the folder itself is on disk.
static qp_status sync_folder(const char *path, qp_err *err) {
    char folder[1024];
    parent_of(path, folder, sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) QP_FAIL(QP_IO, "%s: cannot open the folder: %s", folder, strerror(errno));
    int rc = fsync(fd), e = errno;
    close(fd);
    // Some file systems do not sync folders at all and say EINVAL: nothing more can be done there.
    if (rc != 0 && e != EINVAL) QP_FAIL(QP_IO, "%s: cannot sync the folder: %s", folder, strerror(e));
    return QP_OK;
}

static qp_status finish(qp_atomic_file *f, qp_err *err) {
    if (f->fd < 0) QP_FAIL(QP_BROKEN, "%s: commit of a file that is not open", f->path);
    if (fsync(f->fd) != 0) QP_FAIL(QP_IO, "%s: cannot sync: %s", f->path, strerror(errno));
    int rc = close(f->fd), e = errno;
    f->fd = -1;
    if (rc != 0) QP_FAIL(QP_IO, "%s: cannot close: %s", f->path, strerror(e));
    if (rename(f->temp, f->path) != 0)
        QP_FAIL(QP_IO, "%s: cannot rename %s: %s", f->path, f->temp, strerror(errno));
    f->temp[0] = '\0';
    return sync_folder(f->path, err);
}

qp_status qp_atomic_commit(qp_atomic_file *f, qp_err *err) {
    qp_status status = finish(f, err);
    qp_atomic_abort(f);
    return status;
}

void qp_atomic_abort(qp_atomic_file *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    if (f->temp[0] != '\0') unlink(f->temp);
    f->temp[0] = '\0';
}

qp_status qp_file_write_atomic(const char *path, const void *bytes, size_t n_bytes, qp_err *err) {
    qp_atomic_file f;
    qp_status status = QP_OK;
    QP_TRY(qp_atomic_open(&f, path, err));
    QP_TRY_GOTO(status, qp_atomic_write(&f, bytes, n_bytes, err), out);
    QP_TRY_GOTO(status, qp_atomic_commit(&f, err), out);
out:
    qp_atomic_abort(&f);
    return status;
}

// ---- folders
// ---------------------------------------------------------------------------------------------------------

qp_status qp_dir_make(const char *path, qp_err *err) {
    char part[4096];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        QP_FAIL(QP_USAGE, "a folder name of 1 to 4095 bytes was wanted, got %zu", n);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) == 0 || errno == EEXIST) continue;
        QP_FAIL(QP_IO, "%s: cannot make the folder: %s", part, strerror(errno));
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) QP_FAIL(QP_IO, "%s: is not a folder", path);
    return QP_OK;
}

static qp_status remove_tree(int at, const char *name, const char *path, qp_err *err);

static qp_status remove_entries(DIR *dir, const char *path, qp_err *err) {
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        QP_TRY(remove_tree(dirfd(dir), entry->d_name, path, err));
    }
    return QP_OK;
}

// path: the folder that was asked for, for messages. Links are removed, never followed.
static qp_status remove_tree(int at, const char *name, const char *path, qp_err *err) {
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT) return QP_OK;
    if (errno != EISDIR && errno != EPERM)
        QP_FAIL(QP_IO, "%s: cannot remove %s: %s", path, name, strerror(errno));
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) QP_FAIL(QP_IO, "%s: cannot open folder %s: %s", path, name, strerror(errno));
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int e = errno;
        close(fd);
        QP_FAIL(QP_IO, "%s: cannot read folder %s: %s", path, name, strerror(e));
    }
    qp_status status = remove_entries(dir, path, err);
    closedir(dir);
    if (status != QP_OK) return status;
    if (unlinkat(at, name, AT_REMOVEDIR) != 0)
        QP_FAIL(QP_IO, "%s: cannot remove folder %s: %s", path, name, strerror(errno));
    return QP_OK;
}

qp_status qp_dir_remove(const char *path, qp_err *err) {
    size_t n = strlen(path);
    char clean[4096];
    if (n >= sizeof clean) QP_FAIL(QP_USAGE, "a folder name of at most 4095 bytes was wanted, got %zu", n);
    while (n > 0 && path[n - 1] == '/') n--;
    memcpy(clean, path, n);
    clean[n] = '\0';
    const char *last = strrchr(clean, '/');
    last = last == NULL ? clean : last + 1;
    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        QP_FAIL(QP_USAGE, "'%s': will not be removed", path);
    return remove_tree(AT_FDCWD, clean, path, err);
}

uint64_t qp_hash64(const void *bytes, size_t n_bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, n_bytes, seed);
}
