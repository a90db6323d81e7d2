// SPDX-License-Identifier: Apache-2.0
// The parts of --against: where the original of a linear lies (source), what its stored codes and scales are
// (view), and what the reference makes of the original under one rule (derive). Private to the pass.
#ifndef AUDIT_AGAINST_H
#define AUDIT_AGAINST_H

#include <string.h>

#include "audit/audit.h"
#include "qp/ref.h"

static inline float qp_ag_number(uint32_t image) { // of binary32
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

// ---- the original: some rows of the linear in one tensor
// ---------------------------------------------------------------------

typedef struct qp_ag_piece {
    const qp_ck_tensor *tensor;
    int64_t row0, n_rows; // rows of the linear, those of expert e begin at e * out
    uint64_t first;       // element of (row0, column 0)
    int64_t row_step, col_step;
} qp_ag_piece;

typedef struct qp_ag_source {
    qp_ag_piece *pieces; // by row0, without gaps
    int64_t n_pieces;
    qp_dtype dtype;
    const char *shown; // name of the first tensor, printable
    const char *how;   // "same name", "rows of a stack", "transposed" ...
} qp_ag_source;

enum { QP_AG_SOURCES = 6 };
// Every way in which the other checkpoint may hold the weight [stack, out, in] of this name, the plainest
// first; 0: none. More than one where the sizes leave it open whether a stack is transposed or its halves
// interleaved.
typedef struct qp_ag_wanted {
    const char *name; // of the module
    uint32_t n_name;
    int64_t stack, out, in;
} qp_ag_wanted;
qp_status qp_ag_sources(const qp_ckpt *other, const qp_ag_wanted *w, qp_arena *a, qp_ag_source *out, int *n,
                        qp_err *err);
// Any other tensor by its own name or by the rewrites of the table; NULL: not there.
const qp_ck_tensor *qp_ag_tensor(const qp_ckpt *other, const char *name, uint32_t n_name);
// n rows from row0 as a contiguous matrix: in place where they lie so, else gathered into buffer. The rows
// must lie in one expert.
const void *qp_ag_rows(const qp_ag_source *s, int64_t in, int64_t row0, int64_t n, void *buffer);
// The same of n elements of one row.
const void *qp_ag_run(const qp_ag_source *s, int64_t row, int64_t col, int64_t n, void *buffer);

// ---- what is stored
// --------------------------------------------------------------------------------------------------------

typedef enum qp_ag_family { // how codes and scales follow from the weights; derive_*.c
    QP_AG_NONE,             // nothing here derives it: dequantized distance only
    QP_AG_NVFP4,            // block scale E4M3 times a global scale
    QP_AG_NVFP4_CT,         // the global scale divides
    QP_AG_MX,               // E8M0
    QP_AG_GIVEN,            // fp32 scales amax / divisor, codes from the scale: FP8 and INT8 exports
    QP_AG_INT4_PAIRS,       // the same in pairs of rows
    QP_AG_CT,               // scales in the type of the weights
    QP_AG_CT_ASYM,          // and zero points
    QP_AG_FAMILIES
} qp_ag_family;

typedef enum qp_ag_layout { // of codes in a window, as the reference packs them
    QP_AG_CODE_BYTES,
    QP_AG_CODE_NIBBLES,   // even column low
    QP_AG_CODE_ROW_PAIRS, // even row low
} qp_ag_layout;

typedef struct qp_ag_view {
    const qp_ck_module *m;
    qp_ag_family family;
    qp_format format; // of the reference; QP_FORMAT_NONE
    qp_ag_layout layout;
    int64_t tile_rows, tile_cols; // one scale covers so many (tile_rows: whole experts count as out)
    int64_t scale_rows, scale_cols;
    bool scale_bytes, divides;
    float divisor; // of the amax behind a scale or the global one; 0: not used
} qp_ag_view;

// What scheme and parts say; family QP_AG_NONE with a reason where nothing can be derived.
void qp_ag_view_of(const qp_ck_module *m, qp_ag_view *out, const char **why_not);
int64_t qp_ag_row_bytes(const qp_ag_view *v, int64_t rows); // codes of so many rows in v->layout
// Codes of n rows of expert e from row0 (even in pairs) in v->layout, in place or in buffer.
const uint8_t *qp_ag_codes(const qp_ag_view *v, int64_t e, int64_t row0, int64_t n, uint8_t *buffer);
uint8_t qp_ag_code(const qp_ag_view *v, const uint8_t *codes, int64_t row, int64_t col); // of a window
// Index of the stored scale of a tile; its image: a byte as it is (v->scale_bytes), else fp32.
uint64_t qp_ag_scale_at(const qp_ag_view *v, int64_t e, int64_t tile_row, int64_t tile_col);
uint32_t qp_ag_scale(const qp_ag_view *v, int64_t e, int64_t tile_row, int64_t tile_col);
uint32_t qp_ag_global(const qp_ag_view *v); // fp32 image, 1.0 where the scheme has none
int qp_ag_zero(const qp_ag_view *v, int64_t e, int64_t row, int64_t tile_col); // 0 where there is none
// What is stored means (level - zero) * scale, in fp32: for distances, not for bits.
float qp_ag_level(const qp_ag_view *v, uint8_t code);
float qp_ag_scale_value(const qp_ag_view *v, uint32_t image); // with the global scale in it

// ---- what the reference makes of it
// ---------------------------------------------------------------------------------------

typedef struct qp_ag_rule qp_ag_rule;

typedef struct qp_ag_window {
    const qp_ag_view *view;
    const qp_ag_rule *rule;
    qp_dtype dtype;
    int64_t e, row0, n_rows; // of the expert; whole tiles, even in pairs
    const void *x;           // [n_rows, in]
    uint32_t amax;           // that the global (or only) scale follows from
    // Scales to take instead of derived ones, images as in qp_ag_scale; NULL: derive. Only where the rule
    // can.
    const uint32_t *given;
    uint8_t *codes;     // out, in view->layout
    uint32_t *scales;   // out, images, one per tile of the window
    int32_t *zeros;     // out, QP_AG_CT_ASYM
    uint8_t *near_ties; // out, per tile: a search could as well have taken the stored scale
    double *wide;       // for a row of x
    void *scratch;      // qp_ag_scratch bytes
} qp_ag_window;

struct qp_ag_rule {
    qp_ag_family family;
    unsigned dialects; // bits of qp_ck_dialect
    qp_format scheme;  // QP_FORMAT_NONE: every format of the family
    const char *name;
    qp_format format; // what the reference is asked for; QP_FORMAT_NONE: that of the view
    qp_engine engine;
    int how; // of the family's own
    void (*derive)(const qp_ag_window *w);
    bool takes_given, searches;
};
extern const qp_ag_rule qp_ag_rules[];
extern const int qp_ag_n_rules;
bool qp_ag_rule_fits(const qp_ag_rule *r, const qp_ag_view *v);

void qp_ag_derive_nvfp4(const qp_ag_window *w);
void qp_ag_derive_sweep(const qp_ag_window *w);
void qp_ag_derive_46(const qp_ag_window *w);
void qp_ag_derive_ct_nvfp4(const qp_ag_window *w);
void qp_ag_derive_mx(const qp_ag_window *w);
void qp_ag_derive_given(const qp_ag_window *w);
void qp_ag_derive_ct(const qp_ag_window *w);
void qp_ag_derive_ct_asym(const qp_ag_window *w);
size_t qp_ag_scratch(int64_t rows, int64_t in); // for windows of so many rows

bool qp_ag_needs_amax(const qp_ag_view *v); // of the whole tensor
uint32_t qp_ag_derive_global(const qp_ag_view *v, const qp_ag_rule *r, qp_dtype dtype,
                             uint32_t amax); // image of the stored kind
// An amax that the rule turns into this global; false: none does.
bool qp_ag_amax_behind(const qp_ag_view *v, const qp_ag_rule *r, qp_dtype dtype, uint32_t global,
                       uint32_t *amax);
bool qp_ag_same_code(const qp_ag_view *v, uint8_t a, uint8_t b); // NaN as a class
bool qp_ag_same_scale(const qp_ag_view *v, uint32_t a, uint32_t b);

#endif
