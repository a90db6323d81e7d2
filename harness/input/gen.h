// SPDX-License-Identifier: Apache-2.0
// Inputs: Philox4x32-10 keyed by (seed, tensor name), indexed by GLOBAL element index, so that any rank of
// any layout makes its own slice and every layout sees the same values. Integers only; at most one exactly
// rounded operation at the end.
#ifndef INPUT_GEN_H
#define INPUT_GEN_H

#include "core/arena.h"
#include "qp/dtype.h"
#include "qp/module.h"

typedef enum qp_dist {
    QP_DIST_GAUSS,     // sum of bytes of a word, scaled by sigma
    QP_DIST_HEAVY,     // gauss times 2^k with geometric k
    QP_DIST_OUTLIERS,  // gauss, one column in 64 scaled by 2^6
    QP_DIST_BITS,      // uniform bit patterns (NaN and Inf included)
    QP_DIST_QUANTIZED, // values already on the format's grid
    QP_DIST_TIES,      // values at and one ulp beside midpoints of the format's grid
    QP_DIST_ZEROS,
    QP_DIST_RECORD, // splitmix64 generator of the pipeline records (profile narrow or wide)
    QP_DIST_COUNT
} qp_dist;

typedef enum qp_edge { // mixed into the data at fixed global places; a set, bit i = edge i
    QP_EDGE_ZERO_BLOCK,
    QP_EDGE_SUBNORMAL,
    QP_EDGE_NEG_ZERO,
    QP_EDGE_NAN,
    QP_EDGE_INF,
    QP_EDGE_MAX,
    QP_EDGE_AMAX,
    QP_EDGE_AMAX_ULP, // amax + 1 ulp and - 1 ulp
    QP_EDGE_SPREAD,   // rows scaled over 2^-6 .. 2^6
    QP_EDGE_COUNT
} qp_edge;
extern const char *const qp_dist_names[QP_DIST_COUNT];
extern const char *const qp_edge_names[QP_EDGE_COUNT];

typedef struct qp_gen {
    uint64_t seed;
    qp_dist dist;
    double sigma;     // gauss, heavy, outliers
    qp_format format; // quantized, ties
    uint32_t edges;
    bool record_wide;  // QP_DIST_RECORD
    double scale_pow2; // n: whole tensor times 2^n (exact), 0 = as it is: one expert, one sibling holding the
                       // maximum
    int64_t peak_index; // global element that gets the largest value of the tensor, -1 = none
} qp_gen;

// A generator with sigma 0.02, no edges, no peak: set fields of this one, so that peak_index is never 0 by
// accident.
qp_gen qp_gen_make(uint64_t seed, qp_dist dist);

// out [n_rows, n_cols] contiguous: the slice row0.., col0.. of the full [rows, cols] tensor 'name'.
// Deterministic in (gen, name, global index, dtype); any cutting into slices gives the same values.
void qp_gen_slice(const qp_gen *g, const char *name, int64_t rows, int64_t cols, qp_dtype dtype, int64_t row0,
                  int64_t n_rows, int64_t col0, int64_t n_cols, void *out);
// bf16, fp16 and fp32 take every distribution (a value beyond fp16 becomes its largest finite one); every
// other dtype takes the low bits of the word, whatever the distribution (zeros stay zeros). Where the edges
// sit: edges.c. fp32 image of what the edges call amax, exact in bf16 and fp16: 3.5 sigma (just above the
// largest gauss value); for quantized and ties the tensor's own maximum (127, 448 or 2688 times 2^n); 2^-2
// for record, else 1; all times 2^scale_pow2.
uint32_t qp_gen_nominal_amax(const qp_gen *g);
uint64_t qp_gen_u64(uint64_t seed, const char *name, uint64_t index); // routing and row choice

// Parse "gauss:0.02" "heavy" "record:wide" ... and "nan,inf,..." (QP_USAGE with the nearest spelling). The
// number is sigma. Only the fields that the text names are set: begin with qp_gen_make. "" is no edge.
qp_status qp_gen_parse_dist(const char *text, qp_gen *g, qp_err *err);
qp_status qp_gen_parse_edges(const char *text, qp_gen *g, qp_err *err);

// Where the weights of a model come from: a generator, or a safetensors set (weights=PATH; by the names
// "<gen_name>.weight" or
// "<gen_name>" of each segment, else "<fqn>.weight" or "<fqn>" for the whole module).
typedef struct qp_weights qp_weights;
qp_status qp_weights_generated(const qp_gen *g, qp_arena *a, qp_weights **out, qp_err *err);
qp_status qp_weights_open(const char *path, qp_arena *a, qp_weights **out, qp_err *err);
void qp_weights_close(qp_weights *w);
qp_dtype qp_weights_dtype(const qp_weights *w, const qp_module *m);
const char *
qp_weights_describe(const qp_weights *w); // for the record: dist and seed, or path and content hash
// A rectangle of the FULL weight of module m in full-weight rows (segments laid one after the other as in
// m->segments). QP_CORRUPT when the file lacks the tensor or its shape differs (names, wanted, got).
qp_status qp_weights_slice(const qp_weights *w, const qp_module *m, int64_t row0, int64_t n_rows,
                           int64_t col0, int64_t n_cols, void *out, qp_err *err);
// max_on=expert:3 | member:up_proj | rank:5 : multiplies that module (rank: a peak inside that rank's slice
// is placed by the caller through qp_weights_peak) by 2^4. Applied by name, so every layout sees the same.
// fqn_suffix: end of the module's FQN, or of one segment's gen_name or name, NULL = any; expert: global
// number, -1 = any; what is given must all match. Nothing given: no effect.
void qp_weights_boost(qp_weights *w, const char *fqn_suffix, int expert);
// A peak element for one module (max_on=rank): fqn's element [row, col] becomes the largest value. Generated
// weights only.
qp_status qp_weights_peak(qp_weights *w, const char *fqn, int64_t row, int64_t col, qp_err *err);
// The routing: the k experts of token t (distinct, ascending) of n; deterministic in (seed, layer).
void qp_gen_route(uint64_t seed, int layer, int64_t token, int n_experts, int top_k, int *experts);

#endif
