// SPDX-License-Identifier: Apache-2.0
// The audit of a checkpoint: passes over what room checkpoint has opened, each adding findings. audit.c reads
// top to bottom: open, claims, modules, structure, config, values, shared groups, inventory, against.
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include "checkpoint/scheme.h"

// What one module's scales and codes hold (values.c). Indices are elements of the tensor named.
typedef struct qp_ck_stats {
    bool scanned;
    uint64_t n_scales, n_nan, n_inf, n_negative, n_zero;       // of the block, row or tensor scales
    uint64_t first_nan, first_inf, first_negative, first_zero; // meaningless where the count is 0
    uint64_t n_zero_live, first_zero_live;                     // scale 0, codes not all zero
    uint64_t first_zero_dead;            // scale 0 and all codes zero: n_zero - n_zero_live
    uint64_t n_blocks, n_zero_blocks;    // FP4 blocks; those whose codes are all zero
    uint64_t n_top;                      // FP4 blocks holding a code of magnitude 6
    uint64_t n_code_nan, first_code_nan; // E4M3 codes 7f and ff
    uint32_t min_scale, max_scale; // fp32 images of the smallest and largest positive finite scale; 0: none
    // fp32 image: largest scale x global x highest code, a bound of |weight|; 0: unknown
    uint32_t implied_max;
} qp_ck_stats;

typedef struct qp_ck_inventory {
    struct {
        const char *scheme;
        uint64_t n;
    } by_scheme[32];
    int n_schemes;
    uint64_t linears, quantized, excluded, plain, missing_scale, unclassified;
    // quantized: by a scheme; excluded: by name; plain: left in BF16 without being excluded
} qp_ck_inventory;

typedef struct qp_against_row { // one linear of --against
    const qp_ck_module *module;
    const char *original;       // name in the original checkpoint; NULL: unmatched
    const char *skipped;        // why it was not judged; NULL: it was
    const char *engine;         // the one that fits, or the nearest
    uint64_t n_codes, n_scales; // compared
    uint64_t codes_differ, scales_differ, globals_differ, near_ties;
    double distance; // relative root of sum (dequantized - original)^2 over sum original^2
    // NVFP4 in blocks of 16: sum of squared differences over the least one that any E4M3 block scales have at
    // this global scale, of QP_AGAINST_SAMPLE blocks; 0: not asked, or that least one is 0
    double loss_ratio;
    const char *class; // of a difference: "one code", "nibble swap", "swizzle", "scale bytes" ...
} qp_against_row;

enum { QP_AGAINST_SAMPLE = 512 }; // blocks of each linear whose loss is looked at; fewer: all of them

typedef struct qp_against {
    qp_against_row *rows;
    uint32_t n_rows;
    const char *engine; // that fits every judged linear; "" when none does
    uint64_t judged, underivable, unmatched, mismatched, plain_equal, plain_different;
    struct {
        uint64_t linears; // that have a loss_ratio
        double mean, worst;
        const qp_ck_module *worst_at;
    } loss;
} qp_against;

typedef struct qp_audit_options {
    const char *path, *against; // against NULL: not asked
    bool strict;                // written rules of safetensors: tolerated-format becomes file-format
    int threads;                // 0: one per core
    // Called from one thread about ten times a second; NULL: nobody looks.
    void (*progress)(void *ctx, const char *pass, uint64_t done_bytes, uint64_t all_bytes);
    void *progress_ctx;
} qp_audit_options;

typedef struct qp_audit {
    qp_ckpt ckpt;
    qp_ck_claims *claims;
    qp_ck_modules modules;
    qp_ck_stats *stats; // one per module
    qp_ck_findings findings;
    qp_ck_inventory inventory;
    qp_against against;
    uint64_t judged;  // linears and scales that a rule could have failed; 0 is exit 6
    uint64_t unknown; // linears of a scheme or dialect that no rule here knows
} qp_audit;

// QP_CORRUPT, QP_IO: nothing to audit there (exit 2). Everything else is a finding. Close after use, also
// after a failure.
qp_status qp_audit_run(const qp_audit_options *o, qp_arena *a, qp_audit *out, qp_err *err);
void qp_audit_close(qp_audit *u);

// The passes, in the order of audit.c. Each file says which rules it finds.
qp_status qp_pass_structure(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err); // missing-scale
// orphan-scale dtype shape unclassified tied-or-absent kv-scale expert-set; config-tensors where whole
// layers, linears or heads are not there
qp_status qp_pass_config(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err); // config-tensors
// exclude-missing exclude-unknown
qp_status qp_pass_values(const qp_audit_options *o, qp_audit *u, qp_arena *a, qp_ck_findings *f,
                         qp_err *err); // fills stats; scale-* block-stats reciprocal
qp_status qp_pass_shared(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err); // shared-*
qp_status qp_pass_inventory(const qp_audit *u, qp_ck_inventory *out, qp_err *err);
qp_status
qp_pass_against(const qp_audit_options *o, qp_audit *u, qp_arena *a, qp_ck_findings *f,
                qp_err *err); // fills against; codes-differ scales-differ global-differs bytes-differ

// Work stealing: calls `work` once for every item in [0, n_items) from `threads` threads (0: one per core).
// Items are taken in their order: put the largest first. The caller's thread is thread 0. A failure stops the
// rest; that of the lowest item is returned.
typedef qp_status (*qp_work_fn)(void *ctx, int thread, uint64_t item, qp_err *err);
qp_status qp_work_run(uint64_t n_items, int threads, qp_work_fn work, void *ctx, qp_err *err);
int qp_work_threads(int asked); // 0: cores this process may use

#endif
