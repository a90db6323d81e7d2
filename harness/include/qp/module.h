// SPDX-License-Identifier: Apache-2.0
// What there is to quantize and who owns which slice: plain data shared by harness/model (which builds it),
// the pipeline (which slices by it) and reference/ (which derives every slice again, by brute force, from
// these fields alone). A module is ONE linear of the model with its global name. Experts are modules of their
// own.
#ifndef QP_MODULE_H
#define QP_MODULE_H

#include "qp/base.h"
#include "qp/dtype.h"
#include "qp/format.h"

QP_BEGIN_C

typedef enum qp_style {
    QP_STYLE_COLUMN,     // rows (out) are split over TP, segment by segment
    QP_STYLE_ROW,        // columns (in) are split over TP
    QP_STYLE_REPLICATED, // every TP rank holds all
} qp_style;

// A run of rows that TP splits on its own. A column module has at least one. A rank's local rows are its
// parts of segment 0, then of segment 1, ... (so they are not one contiguous slice of the full weight).
typedef struct qp_segment {
    const char *name;     // "q", "k", "v", "gate", "up", "z", "x", "B", "C", "dt"
    const char *gen_name; // name of the tensor whose rows these are, for the generator and for weights=PATH
    int64_t rows;         // rows of this segment in the full weight
    int64_t units;        // heads or groups that must stay whole; rows % units == 0; 0 = single rows
    bool replicate;   // KV heads: with more TP ranks than units, each unit is held by tp/units neighbouring
                      // ranks
    int64_t gen_row0; // row of the tensor gen_name at which this segment begins (in_proj: z, x, B, C, dt lie
                      // in one tensor)
    int64_t gen_rows; // rows of the tensor gen_name; its columns are the module's. Both are always filled in
} qp_segment;

typedef struct qp_module {
    const char *fqn;        // global name without ".weight"; the expert number in it is the global one
    const char *layer_kind; // "attn", "moe", "mlp", "mamba", "global"
    int layer;              // -1 outside the layers
    int expert;             // global expert number, -1 = not a routed expert
    int n_experts;          // routed experts of that layer, 0 if not an expert
    const char *projection; // fqn of an expert with the expert number taken out ("...experts.*.up_proj"); the
                            // fqn itself otherwise
    int64_t out, in;        // full shape [out, in]
    qp_style style;         // for an expert: how expert TP splits it
    const qp_segment *segments;
    int n_segments;   // >= 1 for column; 1 for row and replicated (then it names the generator tensor)
    int64_t in_units; // row style: heads in the K dimension that must stay whole, 0 = none
    bool quantizable; // false: router, embedding, head, norm: listed for the parameter count only
} qp_module;

typedef struct qp_layout {
    int tp, cp, pp, dp, ep, etp;
} qp_layout;

// ranks = pp*dp*cp*tp. Dense: rank = ((pp_rank*dp + dp_rank)*cp + cp_rank)*tp + tp_rank.
// Experts use the same n = dp*cp*tp ranks of a pipeline stage, i = rank % n: ep_rank = i / (n/ep), then
// within these etp_rank = (i % (n/ep)) % etp, edp_rank = (i % (n/ep)) / etp. n % (etp*ep) == 0. (EP slowest,
// so that with dp = ep the expert ranks of one dp_rank are neighbours; the pipeline records place them so
// too.)
typedef struct qp_coord {
    int rank, tp_rank, cp_rank, dp_rank, pp_rank, ep_rank, etp_rank, edp_rank;
} qp_coord;

// Why a layout is refused; both sides derive it on their own and must agree.
typedef enum qp_refusal {
    QP_REFUSE_NONE,
    QP_REFUSE_RANKS,   // dp*cp*tp is no multiple of etp*ep, or a degree < 1
    QP_REFUSE_EXPERTS, // n_experts % ep != 0
    QP_REFUSE_UNITS,   // heads or groups cannot be split (or replicated) evenly over TP
    QP_REFUSE_ROWS,    // rows of a segment % tp != 0
    QP_REFUSE_COLS,    // columns % tp != 0
    QP_REFUSE_BLOCK,   // a column shard is no multiple of the block of the module's format
    QP_REFUSE_LAYERS,  // fewer layers than pipeline stages
    QP_REFUSE_COUNT
} qp_refusal;

static inline const char *qp_refusal_name(qp_refusal r) {
    static const char *const names[QP_REFUSE_COUNT] = {"none", "ranks", "experts", "units",
                                                       "rows", "cols",  "block",   "layers"};
    return (unsigned)r < QP_REFUSE_COUNT ? names[r] : "?";
}

// How amax and global amax travel between ranks (product page, section 2).
typedef enum qp_sync { QP_SYNC_INVARIANT, QP_SYNC_MODELOPT_047 } qp_sync;

// What a recipe decided for one quantizer of one module.
typedef struct qp_qconfig {
    bool enabled;
    qp_format format; // QP_FORMAT_NONE when not enabled
    bool narrow_range;
    bool clip_backward; // pass_through_bwd false
} qp_qconfig;

// Which pattern a name matched and what it captured, as data: the reference never runs a regex.
typedef struct qp_pattern_hit {
    int pattern;          // index in the pattern list, -1 = none
    const char *captures; // captured texts joined by byte 1F; an unset capture is byte 1E
} qp_pattern_hit;

QP_END_C
#endif
