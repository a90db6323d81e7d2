// SPDX-License-Identifier: Apache-2.0
// A model file as it stands on disk: rows that repeat over layers and experts. Checked: every row makes sense
// by itself and with the others. What a field means: cases/models/README.md.
#ifndef MODEL_MODEL_DOC_H
#define MODEL_MODEL_DOC_H

#include "model/model.h"
#include "model/yaml.h"

typedef enum row_parallel { ROW_COLUMN, ROW_ROW, ROW_REPLICATED, ROW_EXPERT } row_parallel;
typedef enum row_kind { KIND_ATTN, KIND_MOE, KIND_MLP, KIND_MAMBA, KIND_GLOBAL, KIND_COUNT } row_kind;
extern const char *const qp_kind_names[KIND_COUNT];

typedef struct segment_doc {
    char *name;
    int64_t rows, units;
    bool replicate;
} segment_doc;

typedef struct row_doc {
    char *id, *hf, *megatron, *segment, *layers, *note;
    row_kind kind;
    row_parallel parallel, *etp; // etp: how expert TP splits an expert
    int64_t *shape;
    unsigned shape_count;
    int64_t experts, units, in_units;
    bool replicate, quantizable, bias;
    segment_doc *segments;
    unsigned segments_count;
    // filled by the loader
    row_parallel split; // etp of an expert, else parallel
    int group, line;    // group: index into groups, -1 = global
    int64_t out, in;    // in = product of the dimensions after the first, 1 for a vector
} row_doc;

typedef struct group_doc {
    char *name, *letter;
} group_doc;

typedef struct published_doc {
    double params_b, tolerance_b;
    char *reason;
} published_doc;

typedef struct model_doc {
    char *name, *repo;
    char **sources, **notes;
    unsigned sources_count, notes_count;
    published_doc published;
    int64_t quantizable_linears, hidden, n_layers, top_k;
    char *pattern;
    group_doc *groups;
    unsigned groups_count;
    row_doc *modules;
    unsigned modules_count;
    int64_t n_experts; // filled by the loader
} model_doc;

enum { QP_MAX_FQN = 512 };

// y stays open: strings are in arena a, lines are already taken.
qp_status qp_model_doc_load(qp_yaml *y, qp_arena *a, model_doc *out, qp_err *err);
// Group of a layer.
int qp_model_doc_group(const model_doc *d, int layer);
int64_t qp_model_doc_layers(const model_doc *d,
                            const row_doc *row); // how often the row occurs, experts not counted
int64_t qp_row_copies(const row_doc *row);       // experts, or 1

#endif
