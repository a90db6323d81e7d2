// SPDX-License-Identifier: Apache-2.0
// Inside the pass over values: scans of bytes (values_scan.c), blocks behind a scale (values_block.c), and
// the rules on what was counted (values_rules.c, block_stats.c, reciprocal.c). share.c serves shared.c too.
#ifndef AUDIT_VALUES_H
#define AUDIT_VALUES_H

#include <string.h>

#include "audit/audit.h"

// ---- values_scan.c: each adds to *s what lies in [from, from + n) of a tensor
// ------------------------------- A scan of part of a tensor starts from this; merging is commutative, so
// threads do not show.
extern const qp_ck_stats qp_stats_none;
void qp_stats_merge(qp_ck_stats *into, const qp_ck_stats *part);

bool qp_scan_is_scale_type(uint8_t dtype); // one that qp_ck_f32 reads
// Scales [from, from + n) of m. Blocks behind zero scales are looked at.
void qp_scan_scales(const qp_ck_module *m, uint64_t from, uint64_t n, qp_ck_stats *s);
// n FP4 blocks of block_bytes each, one after another.
void qp_scan_fp4(const uint8_t *codes, size_t block_bytes, size_t n, qp_ck_stats *s);
// n_cols FP4 blocks side by side: pair_rows rows of n_cols bytes, a block is a column (QP_CK_IN_PAIRS).
void qp_scan_fp4_columns(const uint8_t *codes, size_t pair_rows, size_t n_cols, qp_ck_stats *s);
// n E4M3 codes, the first of which is element `from` of its tensor.
void qp_scan_e4m3(const uint8_t *codes, uint64_t from, size_t n, qp_ck_stats *s);

// ---- values_block.c
// ----------------------------------------------------------------------------------------- Do all codes
// under element i of m's scale tensor mean zero? (All equal, where a zero point shifts them.) False where
// that cannot be told.
bool qp_block_is_zero(const qp_ck_module *m, uint64_t i);

// ---- rules --------------------------------------------------------------------------------------
qp_status qp_rules_scales(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err);      // scale-*
qp_status qp_rules_block_stats(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err); // block-stats
qp_status qp_rules_reciprocal(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err);  // reciprocal
// Does a zero global or tensor scale belong to the known export of an all-zero weight (shapes spec 2.2)? Then
// one finding says it all.
bool qp_is_dead_export(const qp_ck_module *m, const qp_ck_stats *s);
// Highest magnitude of a code: 6, 448, 127 ...; 0: unknown.
float qp_highest_code(const qp_ck_scheme *s);
// |weight| that the largest scale and the highest code mean, the global taken as stored or as its reciprocal.
double qp_implied_max(const qp_ck_module *m, const qp_ck_stats *s, bool inverted);
// "[3, 5]"; "" for a tensor of one element.
qp_status qp_ck_place(const qp_ck_tensor *t, uint64_t i, qp_arena *a, const char **out, qp_err *err);

// ---- share.c: groups that loaders fuse ----------------------------------------------------------
typedef struct qp_share_groups {
    const uint32_t *member; // indices of modules, group after group, by name inside a group
    const uint32_t *start;  // n + 1 positions in member
    uint32_t n;
} qp_share_groups;
// singles: modules outside any group count as groups of one.
qp_status qp_share_gather(const qp_ck_modules *m, bool singles, qp_arena *a, qp_share_groups *out,
                          qp_err *err);

static inline float qp_float_of(uint32_t image) {
    float x;
    memcpy(&x, &image, sizeof x);
    return x;
}

static inline uint32_t qp_image_of(float x) {
    uint32_t image;
    memcpy(&image, &x, sizeof image);
    return image;
}

#endif
