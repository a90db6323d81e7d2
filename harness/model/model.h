// SPDX-License-Identifier: Apache-2.0
// Models and recipes (YAML through libcyaml), layouts, slices and shared groups: what there is to quantize
// and who owns what.
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "core/arena.h"
#include "qp/module.h"

typedef enum qp_names { QP_NAMES_HF, QP_NAMES_MEGATRON } qp_names;

typedef struct qp_model {
    const char *name;
    const char *path;
    int n_layers;         // layers of the whole model
    int n_experts, top_k; // of its moe layers, 0 = none
    int64_t hidden;
    double published_params_b, params_tolerance_b;
    const qp_module *modules; // selected layers, in model order; every expert is a module
    int n_modules;
    int n_selected_layers;
    double params_b;             // sum over the WHOLE model (all parameters), billions
    int64_t quantizable_linears; // in the whole model (HF naming)
} qp_model;

// name: a file of cases/models without ".yaml" (looked up below data_dir), or a path. layers: "all" or
// "moe:1,attn:2": the first N layers of each kind (modules outside the layers, kind "global", come only with
// "all"). Errors (QP_USAGE): file, line, wanted, got; unknown layer kind lists the kinds there are; unknown
// model: the nearest names.
qp_status qp_model_load(const char *name, const char *data_dir, const char *layers, qp_names names,
                        qp_arena *a, qp_model *out, qp_err *err);
// The same from the bytes of a file; path is for messages only.
qp_status qp_model_read(const char *path, const char *text, size_t n_bytes, const char *layers,
                        qp_names names, qp_arena *a, qp_model *out, qp_err *err);

// ---- recipes
// ---------------------------------------------------------------------------------------------------------

typedef enum qp_shared_form {
    QP_SHARED_ABSENT,
    QP_SHARED_NULL,
    QP_SHARED_EMPTY_MAP,
    QP_SHARED_LIST
} qp_shared_form;

typedef struct qp_recipe_entry {
    const char *quantizer_name; // wildcard over the normalized quantizer name
    bool has_enable, enable;
    bool has_cfg;
    qp_qconfig cfg; // replaces all attributes, no merge
    int line;
} qp_recipe_entry;

typedef struct qp_recipe {
    const char *name, *path;
    const qp_recipe_entry *entries;
    int n_entries;
    qp_shared_form
        shared; // absent, null and {} mean the defaults; a list, also an empty one, is taken as it is
    const char *const *patterns; // QP_SHARED_LIST
    int n_patterns;
} qp_recipe;

qp_status qp_recipe_load(const char *name, const char *data_dir, qp_arena *a, qp_recipe *out, qp_err *err);
qp_status qp_recipe_read(const char *path, const char *text, size_t n_bytes, qp_arena *a, qp_recipe *out,
                         qp_err *err);
// "x_weight_quantizers.3.sub" -> "x_weight_quantizer.sub"; also weight_quantizer_3 (E-27) and plural forms.
// out: arena text.
qp_status qp_quantizer_normalize(const char *name, qp_arena *a, const char **out, qp_err *err);
// quantizer: "weight_quantizer" | "input_quantizer". Ordered entries, later wins; an enable-only entry keeps
// the attributes.
void qp_recipe_resolve(const qp_recipe *r, const char *fqn, const char *quantizer, qp_qconfig *out);

// ---- layouts and slices
// ------------------------------------------------------------------------------------------------

int qp_layout_ranks(const qp_layout *l);
qp_coord qp_layout_coord(const qp_layout *l, int rank);
const char *qp_layout_text(const qp_layout *l, char buf[64]); // "tp2 ep4 etp2 dp4"
// Possible for these modules under this recipe? QP_REFUSED with the numbers, *why and *which set.
qp_status qp_layout_check(const qp_layout *l, const qp_model *m, const qp_recipe *r, qp_refusal *why,
                          int *which, qp_err *err);

typedef struct qp_range {
    int64_t begin, count;
} qp_range;
enum { QP_MAX_RANGES = 16 };
// What a rank holds of one module: local rows are the ranges of full rows one after the other; columns are
// one range.
typedef struct qp_slice {
    bool held;
    int n_row_ranges;
    qp_range rows[QP_MAX_RANGES];
    qp_range cols;
    int64_t n_rows, n_cols; // local shape
    int local_expert;       // -1 when not an expert
} qp_slice;
qp_slice qp_slice_of(const qp_module *m, const qp_layout *l, int rank);

// ---- shared groups
// -----------------------------------------------------------------------------------------------------

extern const char *const qp_default_patterns[3]; // q/k/v, gate/up, w1/w3 (pipeline spec B)
typedef struct qp_group {
    const char *parent; // lowest common ancestor of the members' FQNs
    const int *members; // indices into the module array given
    int n_members;
} qp_group;
typedef struct qp_group_list {
    const qp_group *groups;
    int n;
} qp_group_list;
// PCRE2, full match, first matching pattern wins, key = (pattern, captures), at least two enabled members.
// names[i] is what is matched (the pipeline uses local names under sync=modelopt-0.47 replays, global ones
// otherwise).
qp_status qp_groups_find(const char *const *names, const bool *enabled, int n, const char *const *patterns,
                         int n_patterns, qp_arena *a, qp_group_list *out, qp_err *err);
void qp_recipe_patterns(const qp_recipe *r, const char *const **patterns, int *n); // the effective ones
// The same matching as data for the reference (one hit per name).
qp_status qp_pattern_hits(const char *const *names, int n, const char *const *patterns, int n_patterns,
                          qp_arena *a, qp_pattern_hit **out, qp_err *err);

#endif
