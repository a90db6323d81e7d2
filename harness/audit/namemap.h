// SPDX-License-Identifier: Apache-2.0
// Names of one weight in two checkpoints: prefixes, blocks and leaves that exporters rename, and weights that
// one side fuses.
#ifndef AUDIT_NAMEMAP_H
#define AUDIT_NAMEMAP_H

#include "checkpoint/ckpt.h"

enum { QP_NM_NAME = 512, QP_NM_PARTS = 3 };

// Calls `found` with every spelling of name (of a module or tensor) until it answers true.
typedef bool (*qp_nm_try)(void *ctx, const char *name, size_t n);
bool qp_nm_spellings(const char *name, size_t n, qp_nm_try found, void *ctx);

typedef struct qp_nm_fusion {
    const char *fused;
    int n;
    const char *parts[QP_NM_PARTS]; // rows in this order
} qp_nm_fusion;
extern const qp_nm_fusion qp_nm_fusions[];
extern const int qp_nm_n_fusions;

// "PATH.experts.7.gate_proj" -> path "PATH.experts", expert 7, leaf "gate_proj". expert -1: no such number,
// path is all before the leaf.
typedef struct qp_nm_split {
    const char *path, *leaf;
    int n_path, n_leaf;
    int64_t expert;
} qp_nm_split;
qp_nm_split qp_nm_split_of(const char *name, size_t n);

#endif
