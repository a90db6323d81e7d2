// SPDX-License-Identifier: Apache-2.0
// A checkpoint as it lies on disk: every safetensors file of a folder (or one file), its tensors by name, the
// configs beside them. Opening goes on after a broken shard or index: what is wrong becomes a finding, the
// rest is still there to be audited. Tensors are mapped, never copied.
#ifndef CHECKPOINT_CKPT_H
#define CHECKPOINT_CKPT_H

#include <jansson.h>

#include "checkpoint/finding.h"
#include "tensor/st_scan.h"

enum { QP_CK_DIMS = 4 };

typedef struct qp_ck_tensor {
    const char *name;    // n_name bytes, not NUL-terminated, may hold NUL: print through qp_ck_show
    const uint8_t *data; // n_bytes in the mapping; may be unaligned
    const qp_st_entry *entry;
    uint64_t n_bytes, n_elems;
    uint64_t dims[QP_CK_DIMS]; // the first four; 0 beyond n_dims
    uint32_t n_name, n_dims;
    uint32_t file; // index into qp_ckpt.files
    uint8_t dtype; // qp_st_type
} qp_ck_tensor;

typedef struct qp_ck_file {
    const char *path, *name; // name: without the folder
    void *map;               // NULL: not readable (a finding says why)
    size_t n_bytes;
    qp_st_scan scan;
    struct {
        uint64_t device, inode, mtime_s, mtime_ns;
    } stamp; // when it was mapped
} qp_ck_file;

typedef struct qp_ck_config {
    const char *path; // NULL: the file is not there
    const char *name; // without the folder
    json_t *root;     // an object, or NULL (not there; unreadable: a finding)
} qp_ck_config;

typedef struct qp_ckpt {
    const char *path, *folder; // folder: where the configs are looked for
    qp_ck_file *files;
    int n_files;
    bool part;                   // one file of several, opened alone: what is not in it may lie in another
    const qp_ck_tensor *tensors; // n_tensors, by the bytes of their names; a name in two shards once (and a
    uint32_t n_tensors;          // finding)
    uint64_t n_bytes;            // of their data
    qp_ck_config config;         // config.json
    qp_ck_config hf_quant;       // hf_quant_config.json (Model Optimizer)
    qp_ck_config quantize;       // quantize_config.json (GPTQ) or quant_config.json (AWQ)
    qp_ck_config index;          // model.safetensors.index.json
} qp_ckpt;

// path: a folder, a safetensors file, or an index. QP_CORRUPT / QP_IO only where nothing at all can be read
// as a checkpoint (exit 2): no such path, no safetensors file, a single file that is none.
qp_status qp_ck_open(const char *path, bool strict, qp_arena *a, qp_ck_findings *f, qp_ckpt *out,
                     qp_err *err);
// After the last look at it: a file that is another one by now, or was written to, is a file-format finding.
qp_status qp_ck_check_unchanged(const qp_ckpt *c, qp_ck_findings *f, qp_err *err);
void qp_ck_close(qp_ckpt *c); // unmaps; safe on a zeroed struct
const qp_ck_tensor *qp_ck_find(const qp_ckpt *c, const char *name, size_t n_name);
// A number of a tensor of storage type BF16, F16, F32, F8_E4M3, F8_E8M0 (or U8 read as E8M0 where the caller
// says so): fp32 image. i < n_elems.
uint32_t qp_ck_f32(const qp_ck_tensor *t, uint64_t i);
const char *qp_ck_dtype_name(const qp_ck_tensor *t);
bool qp_ck_is_float(const qp_ck_tensor *t); // F32, BF16, F16
bool qp_ck_is_plain(const qp_ck_tensor *t); // these or F64: no codes
// "[128, 64]"
qp_status qp_ck_shape_text(const qp_ck_tensor *t, qp_arena *a, const char **out, qp_err *err);

#endif
