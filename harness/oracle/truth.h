// SPDX-License-Identifier: Apache-2.0
// What the oracle keeps: the recipe's decisions and the unsharded amax of every module, small enough for the
// largest layer. Weights themselves are never kept, their rows are made again where an answer needs them.
#ifndef ORACLE_TRUTH_H
#define ORACLE_TRUTH_H

#include "oracle/oracle.h"

typedef struct module_truth {
    const qp_module *module;
    qp_qconfig weight, input;
    qp_dtype dtype;       // of the weight
    uint32_t tensor_amax; // max |w| over the full weight
    uint32_t *row_amax;   // [out]
    void
        *block_amax; // [out * nb] in dtype (exact: an amax is a |w|); only where the block amax is calibrated
    int group;       // index of the first member's module, -1 = ungrouped
    uint32_t group_amax; // max over all members' full weights; own tensor_amax when ungrouped
    const uint32_t
        *token_amax; // [tokens] max |x| of each token over all columns; NULL when the input quantizer is off
} module_truth;

typedef struct pack_memo pack_memo; // memo.c

struct qp_oracle {
    qp_oracle_spec spec;
    pack_memo *memo;
    qp_arena *arena;
    module_truth *mods; // [n] in model order
    int n;
    int *by_fqn;          // [n] indices sorted by FQN
    qp_pattern_hit *hits; // [n] user patterns, NULL = the defaults
    int **routes; // [n_routes] experts of each token: tokens * top_k, one table per layer with experts
    int *route_layers;
    int n_routes;
};

enum { ORACLE_BLOCK = 16 }; // columns of an NVFP4 block (qp_format_row.block_cols of the family)

static inline int64_t oracle_blocks(int64_t cols) {
    return (cols + ORACLE_BLOCK - 1) / ORACLE_BLOCK;
}
bool oracle_is_nvfp4(const qp_qconfig *c);       // has codes and scales to pack
bool oracle_has_block_amax(const qp_qconfig *c); // its block amax is calibrated state (static)
const module_truth *oracle_find(const qp_oracle *o, const char *fqn); // NULL: not in the model

// truth.c
qp_status oracle_measure_weights(qp_oracle *o, qp_err *err);
qp_status oracle_measure_groups(qp_oracle *o, qp_err *err);
// tokens.c
qp_status oracle_measure_tokens(qp_oracle *o, qp_err *err);
// Is there an input amax on this rank at this stage, and which?
qp_status oracle_input_amax(const qp_oracle *o, const module_truth *t, const qp_layout *l, int rank,
                            bool local, bool *has, uint32_t *image, qp_err *err);
// globals.c
uint32_t oracle_local_tensor_amax(const module_truth *t, const qp_layout *l,
                                  int rank); // static block formats only
qp_status oracle_global_amax(const qp_oracle *o, const module_truth *t, const qp_layout *l, int rank,
                             uint32_t *image, qp_err *err);

// The slice of a module that one state is about.
typedef struct view {
    const qp_oracle *o;
    const module_truth *t;
    const qp_state *st;
    int64_t rows, cols;  // local shape of the weight slice
    int64_t col0;        // first full column
    int64_t n_held;      // rows of st->data
    int64_t *global_row; // [n_held]
} view;

// slice.c
qp_status view_make(const qp_oracle *o, const module_truth *t, const qp_state *st, qp_arena *a, view *out,
                    bool *fits, qp_err *err);
// Held rows of the weight, or of a generator tensor of the weight's shape and dtype, over the local columns;
// memory of the caller.
qp_status view_weight(const view *v, void *out, qp_err *err);
void view_generated(const view *v, const qp_gen *g, const char *name, void *out);

// amax.c: the fp32 images of the field weight_quantizer._amax for the held rows.
qp_status view_amax(const view *v, bool local, qp_arena *a, uint32_t **images, int64_t *rows, int64_t *cols,
                    qp_err *err);
void view_amax_shape(const view *v, int64_t *rows, int64_t *cols);
// memo.c: what the reference packs the held rows into; lives as long as the oracle or the arena.
typedef struct packed_answer {
    const uint8_t *codes, *scales; // [n_held, (cols+1)/2], [n_held, nb]
    uint32_t weight_scale_2;
    qp_coverage coverage;
} packed_answer;
qp_status pack_memo_new(int n_modules, pack_memo **out, qp_err *err);
void pack_memo_free(pack_memo *m);
qp_status view_packed(const view *v, qp_arena *a, packed_answer *out, qp_err *err);
// values.c
qp_status view_spec(const view *v, qp_arena *a, ref_spec *out, qp_err *err);
qp_status view_values(const view *v, qp_arena *a, void *want, qp_coverage *cov, qp_err *err);

#endif
