// SPDX-License-Identifier: Apache-2.0
// The story: build, shard, calibrate, sync, group, promote, fakequant, pack, checkpoint - SPMD over ranks,
// layer by layer. The stages are a table of functions; a mutant is the same table with one entry replaced.
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include "comm/comm.h"
#include "input/gen.h"
#include "model/model.h"
#include "plan/case.h"
#include "qp/evidence.h"
#include "subject/subject.h"

// Where evidence goes. Called from rank threads at the same time, in stage order per rank: implementations
// lock what they share.
typedef struct qp_sink {
    void *user;
    qp_status (*state)(void *user, const qp_state *st, qp_err *err); // data is valid during the call only
    void (*group)(void *user, const qp_group_ev *ev);
    void (*guard)(void *user, const qp_guard_ev *ev, int rank);
    void (*note)(void *user, int rank, const char *stage, const char *text); // e.g. "dead experts: 3, 17"
} qp_sink;

// A pipeline case made concrete (harness/pipeline/job.c builds it from a case line).
typedef struct qp_job {
    const char *repro; // case line
    const qp_model *model;
    const qp_recipe *recipe;
    qp_layout layout;
    qp_layout load_layout; // the other layout of the checkpoint stage; tp == 0: none is possible
    qp_sync sync;
    qp_names names;
    int64_t tokens;
    int64_t rows; // 0 = all
    uint64_t seed;
    const qp_weights *weights;
    qp_subject *subject;
    const char *scratch; // folder for checkpoints, owned by the caller; NULL: no checkpoint stages
    double timeout_s;
    const struct qp_stage_table *stages; // qp_stages_default or a mutant's
    qp_sink sink;
} qp_job;

typedef struct qp_pipeline_result {
    qp_world_result world;          // of the last layer's main run; traces cover every layer
    qp_world_result load_world;     // of the other layout
    int64_t elements, elements_run; // fake-quantized: whole, and actually run (rows=N)
    int64_t peak_bytes;             // largest sum of rank arenas over the layers
    double seconds_stage[16];       // wall time per stage, index = stage order of qp_stages_default
    qp_arena *arena; // owns traces; the caller frees it with qp_arena_free, also after a failure
    int n_stages;    // entries of seconds_stage that are used
    const char *stage_names[16];
} qp_pipeline_result;

// Runs every layer. Failures of ranks come back as the status with the first failing rank's message; out is
// valid then too. Layers that a shared group joins run together; everything else streams, one layer in memory
// at a time.
qp_status qp_pipeline_run(const qp_job *job, qp_pipeline_result *out, qp_err *err);

// Parses and loads what the case line names. data_dir: folder "cases". The layout is NOT checked
// (qp_layout_check does).
qp_status qp_job_make(const qp_case *c, const char *data_dir, qp_subject *subject, qp_arena *a, qp_job *out,
                      qp_err *err);

#endif
