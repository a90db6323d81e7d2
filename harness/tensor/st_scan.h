// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file, scanned in bounded memory (64 bytes per entry, names stay in the file).
// Accepts and refuses exactly what the Python package safetensors 0.8 does; what the written format forbids
// (shapes spec 2.10) and that package tolerates is kept as a deviation, and refused when strict.
#ifndef TENSOR_ST_SCAN_H
#define TENSOR_ST_SCAN_H

#include "core/arena.h"

typedef struct qp_st_dtype { // storage types of safetensors 0.8
    const char *name;
    int bits;
} qp_st_dtype;
typedef enum qp_st_type { // the row in qp_st_dtypes
    QP_ST_BOOL,
    QP_ST_F4,
    QP_ST_F6_E2M3,
    QP_ST_F6_E3M2,
    QP_ST_U8,
    QP_ST_I8,
    QP_ST_F8_E5M2,
    QP_ST_F8_E4M3,
    QP_ST_F8_E8M0,
    QP_ST_F8_E4M3FNUZ,
    QP_ST_F8_E5M2FNUZ,
    QP_ST_I16,
    QP_ST_U16,
    QP_ST_F16,
    QP_ST_BF16,
    QP_ST_I32,
    QP_ST_U32,
    QP_ST_F32,
    QP_ST_C64,
    QP_ST_F64,
    QP_ST_I64,
    QP_ST_U64,
    QP_ST_DTYPES
} qp_st_type;
extern const qp_st_dtype qp_st_dtypes[QP_ST_DTYPES];

typedef enum qp_st_rule {
    QP_ST_LEADING_SPACE,
    QP_ST_PADDING,
    QP_ST_META_NULL,
    QP_ST_META_TWICE,
    QP_ST_NAME_TWICE,
    QP_ST_ENTRY_LIST,
    QP_ST_DTYPE_OBJECT,
    QP_ST_EXTRA_FIELD,
    QP_ST_UNALIGNED,
    QP_ST_NAME_EMPTY,
    QP_ST_NAME_CONTROL,
    QP_ST_RULES
} qp_st_rule;

typedef struct qp_st_rule_row {
    const char *id;
    bool written; // a rule of the written format: refused by strict. false: a habit of the official writer
    const char *says;
} qp_st_rule_row;
extern const qp_st_rule_row qp_st_rules[QP_ST_RULES];

typedef struct qp_st_entry {
    const char *name; // n_name bytes, not NUL-terminated, may hold NUL
    const uint8_t *shape;
    uint64_t begin, end; // bytes of the data
    uint32_t n_name, n_dims;
    uint32_t at; // where the entry begins, byte offset in the file
    uint8_t dtype;
    bool replaced; // a later entry has the same name; this one means nothing
} qp_st_entry;

typedef struct qp_st_deviation {
    qp_st_rule rule;
    uint64_t at;      // byte offset in the file
    const char *name; // of the tensor, for messages (control characters escaped, long ones cut); "" if none
    const char *detail;
} qp_st_deviation;

enum { QP_ST_KEPT = 16 }; // deviations kept per rule; all are counted

typedef struct qp_st_scan {
    uint64_t n_header, n_data; // the data begins at byte 8 + n_header
    const uint8_t *data;
    const qp_st_entry *entries; // in the order of the header, replaced ones too
    uint32_t n_entries, n_tensors;
    const qp_st_entry *const *by_name; // n_tensors, by bytes
    const qp_st_entry *const *by_place;
    const uint8_t *const *meta; // n_meta keys of __metadata__ by text; use qp_st_scan_meta
    uint32_t n_meta;
    uint64_t n_deviations[QP_ST_RULES];
    const qp_st_deviation *deviations;
    int n_kept;
} qp_st_scan;

bool qp_st_is_lfs_pointer(const void *bytes, size_t n_bytes); // what git checks out without git-lfs
// Opens (links are followed) and refuses what is no regular file or shorter than 8 bytes.
qp_status qp_st_open_fd(const char *path, int *fd, size_t *n_bytes, qp_err *err);
// The same, mapped. A file that is cut while it is mapped kills the process (SIGBUS) that touches the part
// that is gone: who goes through gigabytes of data reads windows.
qp_status qp_st_map(const char *path, void **map, size_t *n_bytes, qp_err *err);
// n_bytes of an open file from offset on into buf. A file that ends before is QP_IO and names file and byte.
qp_status qp_st_read_window(const char *path, int fd, uint64_t offset, size_t n_bytes, void *buf,
                            qp_err *err);
// bytes: the whole file, which must outlive the result. path: for messages only. Refusals are QP_CORRUPT and
// name file, byte, tensor, wanted and got.
qp_status qp_st_scan_bytes(const char *path, const void *bytes, size_t n_bytes, bool strict, qp_arena *a,
                           qp_st_scan *out, qp_err *err);
const qp_st_entry *qp_st_scan_find(const qp_st_scan *s, const char *name, size_t n_name);
// The first max sizes; returns n_dims.
uint32_t qp_st_entry_dims(const qp_st_entry *e, uint64_t *dims, uint32_t max);
// Value of a key of __metadata__ (the last one, if twice), NUL-terminated; *out NULL when absent.
qp_status qp_st_scan_meta(const qp_st_scan *s, const char *key, qp_arena *a, const char **out, size_t *n,
                          qp_err *err);

#endif
