// SPDX-License-Identifier: Apache-2.0
// Pipeline records of another implementation, rebuilt and compared: what the files of 'replay' share. Every
// field of a record that is read has a typed getter whose error names file, record and field.
#ifndef CMD_REPLAY_H
#define CMD_REPLAY_H

#include <jansson.h>

#include "pipeline/stages.h"

// What the record's model is, beyond qp_module: one per module of the rebuilt model.
typedef struct replay_linear {
    const char *gen_name;
    const char *container; // fused experts: FQN of the module that holds all experts in one tensor; NULL = a
                           // linear of its own
    const char *part;      // fused experts: "gate_up_proj" or "down_proj"
} replay_linear;

typedef struct replay_record {
    const char *file, *name, *release, *recipe;
    json_t *json;
    const char *kind; // NULL: one synthetic layer
    bool fused, etp, wide;
    int tp, ep, transformers;
    int64_t hidden, inter, moe_inter, kv, heads, kv_heads, layers, experts, tokens;
    uint64_t seed;
    const char *expert_names[3];
    bool any_routed;         // fused: some local expert sees tokens
    qp_format weight, input; // input QP_FORMAT_NONE = no input quantizers
    bool known_format;
    qp_model model;
    replay_linear *linears; // [model.n_modules]
    qp_recipe quant;
} replay_record;

// Reads everything but the ranks and builds model and recipe (replay_record.c, replay_model.c).
qp_status replay_read(const char *file, json_t *json, qp_arena *a, replay_record *out, qp_err *err);
qp_status replay_build_model(replay_record *rec, qp_arena *a, qp_err *err);
// Typed getters; what: "records[NAME].FIELD" goes into the message.
qp_status replay_text(const replay_record *rec, json_t *from, const char *field, const char **out,
                      qp_err *err);
qp_status replay_int(const replay_record *rec, json_t *from, const char *field, int64_t min, int64_t dflt,
                     int64_t *out,
                     qp_err *err); // dflt < 0: required
qp_status replay_array(const replay_record *rec, json_t *from, const char *field, json_t **out, qp_err *err);

// One quantizer as our rank held it, in the record's own words.
typedef struct replay_state {
    const char *fqn, *quantizer; // local FQN and quantizer name as recorded
    const char *global_fqn;
    const char *gen_name;
    bool is_weight, promoted, has;
    bool column;
    int64_t rows, cols, full_rows, full_cols; // weights
    qp_range row_range, col_range;
    uint64_t hash;
    int64_t amax_rows, amax_cols;
    qp_format format;
    const char *dtype;
    uint32_t *images, global_amax;
} replay_state;

typedef struct replay_group {
    const char *parent;
    const char **members;
    int n_members;
    bool has_global;
    uint32_t global_amax;
} replay_group;

typedef struct replay_rank {
    qp_arena *arena; // written by the rank's thread alone
    replay_state *states;
    int n_states;
    replay_group *groups;
    int n_groups;
} replay_rank;

typedef struct replay_run {
    const replay_record *rec;
    int n_ranks;
    replay_rank *ranks;
    qp_rank_trace *traces;
    qp_arena *trace_arena;
} replay_run;
// Runs our pipeline on the record's layout from build to promote. Free with replay_run_free, also after a
// failure.
qp_status replay_pipeline(const replay_record *rec, qp_sync sync, qp_arena *a, replay_run *out, qp_err *err);
void replay_run_free(replay_run *run);

typedef struct replay_place { // one difference
    int rank;
    const char *fqn, *quantizer; // NULL for groups, collectives, error
    const char *field, *want, *got;
} replay_place;

typedef struct replay_result {
    int64_t n_compared, n_different;
    replay_place *places;
    int64_t cap;
    qp_arena *arena;
} replay_result;
// Adds what differs between the record's ranks and run (sync=modelopt-0.47).
qp_status replay_compare(const replay_record *rec, const replay_run *run, replay_result *out, qp_err *err);
// Adds what differs from the record's invariant_global_amax, where it has one.
qp_status replay_compare_invariant(const replay_record *rec, const replay_run *run, replay_result *out,
                                   qp_err *err);
// A record of an old release: do the differences equal known_bug_fields? Differences that are listed are
// taken out of places; listed ones that do not differ are put in. n_listed: those of fields that are computed
// here.
qp_status replay_known_bug(const replay_record *rec, replay_result *res, int *n_listed, qp_err *err);

#endif
