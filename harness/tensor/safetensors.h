// SPDX-License-Identifier: Apache-2.0
// safetensors files: read (mmap, header checked before use) and write (atomic). Format:
// huggingface/safetensors.
#ifndef TENSOR_SAFETENSORS_H
#define TENSOR_SAFETENSORS_H

#include "core/arena.h"
#include "qp/dtype.h"

enum { QP_ST_MAX_DIMS = 8 };

typedef struct qp_st_tensor {
    const char *name;
    qp_dtype dtype;
    int n_dims;
    int64_t dims[QP_ST_MAX_DIMS];
    const void *data; // reader: into the mapping (may be unaligned!); writer: the caller's bytes
    size_t n_bytes;
} qp_st_tensor;

typedef struct qp_st_file {
    const char *path;
    const qp_st_tensor *tensors; // in the order of the header
    int n_tensors;
    void *map;
    size_t map_bytes;
    const qp_st_tensor *const *by_name; // sorted by name
} qp_st_file;

// Takes what st_scan.h takes, less what a qp_st_tensor cannot say (other dtypes, more dimensions, NUL in a
// name) and what readers take differently (a name twice, an entry as a list, a dtype as an object). Errors
// (QP_CORRUPT) name file, tensor, wanted and got.
qp_status qp_st_open(const char *path, qp_arena *a, qp_st_file *out, qp_err *err);
void qp_st_close(qp_st_file *f);
const qp_st_tensor *qp_st_find(const qp_st_file *f, const char *name);

// Writes path atomically; tensors in the given order; metadata: n_meta key/value pairs (may be 0).
qp_status qp_st_write(const char *path, const qp_st_tensor *tensors, int n_tensors,
                      const char *const (*meta)[2], int n_meta, qp_err *err);

// A folder with model.safetensors, or with *.safetensors and model.safetensors.index.json, or one file: all
// tensors by name.
typedef struct qp_st_set {
    qp_st_file *files;
    int n_files;
} qp_st_set;
qp_status qp_st_set_open(const char *path, qp_arena *a, qp_st_set *out, qp_err *err);
void qp_st_set_close(qp_st_set *s);
const qp_st_tensor *qp_st_set_find(const qp_st_set *s, const char *name,
                                   const char **file); // NULL when absent
// hash of names, dtypes, shapes and bytes, independent of how the set is cut into files
uint64_t qp_st_set_hash(const qp_st_set *s);

#endif
