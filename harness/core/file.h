// SPDX-License-Identifier: Apache-2.0
// Files: read whole, write atomically (temporary name in the same folder, fsync, rename, fsync of the
// folder). Every error names the path and the errno text.
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include "core/arena.h"

qp_status qp_file_read(const char *path, qp_arena *a, char **out, size_t *n_bytes,
                       qp_err *err); // NUL appended
qp_status qp_file_write_atomic(const char *path, const void *bytes, size_t n_bytes, qp_err *err);
qp_status qp_dir_make(const char *path, qp_err *err);   // like mkdir -p
qp_status qp_dir_remove(const char *path, qp_err *err); // recursively; refuses "/" and ""
bool qp_file_exists(const char *path);

// A file written piece by piece that appears under its name only on commit.
typedef struct qp_atomic_file {
    int fd;
    char path[1024], temp[1100];
} qp_atomic_file;
qp_status qp_atomic_open(qp_atomic_file *f, const char *path, qp_err *err);
qp_status qp_atomic_write(qp_atomic_file *f, const void *bytes, size_t n_bytes,
                          qp_err *err); // handles short writes, ENOSPC, EINTR
qp_status qp_atomic_commit(qp_atomic_file *f, qp_err *err);
void qp_atomic_abort(qp_atomic_file *f); // removes the temporary; safe after a commit

uint64_t qp_hash64(const void *bytes, size_t n_bytes, uint64_t seed); // XXH3

#endif
