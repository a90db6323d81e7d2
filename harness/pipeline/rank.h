// SPDX-License-Identifier: Apache-2.0
// What one rank holds while the story runs: quantizers with their calibrated state, shared groups, packed
// tensors. Steps read and write this and talk through comm; everything here lives in the rank's arena and
// dies with the layer.
#ifndef PIPELINE_RANK_H
#define PIPELINE_RANK_H

#include "pipeline/pipeline.h"

// Which run of the steps this is. The checkpoint is loaded into fresh models: each phase is a world of its
// own.
typedef enum qp_phase {
    QP_PHASE_MAIN = 1,  // calibrate to pack, then save
    QP_PHASE_SAME = 2,  // load-same: fresh model, same layout
    QP_PHASE_OTHER = 4, // load-other: fresh model, job->load_layout; saved again under that layout
    QP_PHASE_BACK = 8,  // load-back: that second checkpoint under the first layout
    QP_PHASE_LOADS = QP_PHASE_SAME | QP_PHASE_OTHER | QP_PHASE_BACK,
    QP_PHASE_ALL = 15,
} qp_phase;

// Calibrated amax of one quantizer: fp32 images, geometry by format: [1,1] per tensor (int8, fp8, dynamic
// nvfp4, every input), [rows,1] axis0, [rows,nb] static blocks of 16 columns (the last one may be short).
// Values of this rank.
typedef struct qp_amax {
    bool enabled;
    qp_format format;
    bool has; // false: never calibrated, images are zero
    int64_t rows, cols;
    uint32_t *images;
    const char
        *dtype; // as collectives record it: "bfloat16" of the weight until promotion makes it "float32"
} qp_amax;

// One linear of the layer as this rank holds it: its weight slice, its weight quantizer and its input
// quantizer.
typedef struct qp_quantizer {
    const qp_module *module;
    int index; // of module in job->model->modules
    qp_slice slice;
    const char *local_name; // FQN with the local expert number, what upstream's rank sees
    qp_qconfig weight_cfg, input_cfg;
    qp_dtype dtype; // of the weight
    void *weight;   // [slice.n_rows, slice.n_cols], NULL when the weight quantizer is off or in a load phase
    qp_amax weight_amax, input_amax;
    int64_t n_tokens; // tokens that reached this linear on this rank (0 = dead expert)
    int projection;   // routed experts: number of the projection on this rank, -1 otherwise
    bool fused;       // weight of a fused-experts container (replay): in no group, never reduced by
                      // sync=modelopt-0.47

    int group;                // index in rank->groups, -1 = ungrouped
    uint32_t own_global_amax; // ungrouped: MAX over this weight as the sync policy reduces it
    bool promoted;
    uint32_t global_amax; // valid when promoted

    int64_t *sample; // local rows that fake-quant and pack run on, ascending; NULL = all
    int64_t n_sample;
    uint8_t *codes, *scales; // pack: [n_sample, (cols+1)/2] and [n_sample, nb], E4M3 bytes in canonical order
    uint32_t weight_scale_2;
    bool packed;
} qp_quantizer;

// A shared group. members are the quantizers held here; a group can have members on other expert ranks only.
typedef struct qp_rank_group {
    const char *parent;
    int n_members;
    int *members;  // indices into rank->q
    bool experts;  // some members are routed experts
    bool dense;    // some members are not
    bool spans_ep; // members live on several expert ranks (a pattern that joins experts)
    bool has_global;
    uint32_t global_amax; // fp32 image, MAX over the members' amax, then over ranks
} qp_rank_group;

// A running maximum that the quantizers of a rank share one after the other: reset, collect, take.
typedef struct qp_calibrator {
    int64_t rows, cols; // geometry of the amax being collected
    uint32_t *images;
    int64_t capacity;
    bool seen;
} qp_calibrator;

struct qp_stage_table;
struct qp_checkpoint;

typedef struct qp_rank {
    const qp_job *job;
    const struct qp_stage_table *stages;
    qp_comm *comm;
    qp_layout layout; // of this phase
    qp_coord at;
    qp_phase phase;
    qp_arena *arena;    // the layer's state
    qp_arena *scratch;  // emptied after every use
    const int *modules; // indices into job->model->modules of the layers that run together
    int n_modules;
    qp_quantizer *q; // [n_q] the modules held here, in model order
    int n_q;
    int n_projections;
    const char *const *patterns; // of shared groups, chosen by step choose_patterns
    int n_patterns;
    qp_rank_group *groups;
    int n_groups;
    qp_calibrator calibrator;
    const char *load_dir, *save_dir, *load_stage; // checkpoint folders and evidence stage of this phase
    struct qp_checkpoint *checkpoint;             // opened by step load_open
    int64_t elements, elements_run;
    size_t peak_bytes;
} qp_rank;

// ---- small things that steps share (rank.c, amax.c)
// --------------------------------------------------------------------

static inline int64_t qp_blocks(int64_t cols) {
    return (cols + 15) / 16;
}
static inline bool qp_is_static(const qp_quantizer *q) {
    return q->weight_cfg.enabled && q->weight_cfg.format == QP_NVFP4_STATIC;
}
bool qp_is_nvfp4(const qp_quantizer *q);                           // has codes and block scales to pack
qp_group_kind qp_tp_of(const qp_quantizer *q);                     // tp, or etp for a routed expert
qp_group_kind qp_dp_of(const qp_quantizer *q);                     // dp, or edp
qp_status qp_name_local(qp_rank *r, qp_quantizer *q, qp_err *err); // fills local_name from the slice
void qp_rank_note_memory(qp_rank *r); // after the largest use of scratch in a step

// MAX of fp32 images of |x|: as integers, a NaN image is the largest.
uint32_t qp_image_max(const uint32_t *images, int64_t n);
// Geometry of an amax of this format over [rows, cols].
void qp_amax_geometry(qp_format f, int64_t rows, int64_t cols, int64_t *amax_rows, int64_t *amax_cols);
// max |x| over n elements as an fp32 image; NaN anywhere gives 7fc00000.
uint32_t qp_abs_max(qp_dtype t, const void *x, int64_t n);
void qp_calibrator_reset(qp_calibrator *c); // the good one, table entry calibrator_reset
// Points the calibrator at a new geometry (allocates), then collects x [rows, cols] into the running maximum.
qp_status qp_calibrator_shape(qp_rank *r, qp_format f, int64_t rows, int64_t cols, qp_err *err);
void qp_calibrator_collect(qp_calibrator *c, qp_dtype t, const void *x, int64_t rows, int64_t cols);
qp_status qp_calibrate_weight(qp_rank *r, qp_quantizer *q,
                              qp_err *err); // reset, collect the whole slice, take

// Rows of a module that rows=N takes on every layout: the N whose hash is smallest. ascending global rows; N
// = 0: none listed.
qp_status qp_sample_global(const qp_job *job, const qp_module *m, qp_arena *a, int64_t **rows, int64_t *n,
                           qp_err *err);
int64_t qp_global_row(const qp_quantizer *q, int64_t local_row);
int64_t qp_local_row(const qp_quantizer *q, int64_t global_row); // -1 = not held here

#endif
