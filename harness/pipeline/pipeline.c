// SPDX-License-Identifier: Apache-2.0
// The story. Layer by layer, a world of ranks tells it from build to save by the stage table; then fresh
// worlds load what was saved, on the same layout, on another one, and back again. The steps stand in files of
// their own, one per stage.
#include "pipeline/pipeline.h"

#include <string.h>
#include <time.h>

#include "core/file.h"
#include "pipeline/checkpoint.h"
#include "pipeline/layers.h"

typedef struct telling { // one phase of one set of layers
    const qp_job *job;
    const qp_layer_set *layers;
    qp_phase phase;
    qp_layout layout;
    const char *load_dir, *save_dir, *load_stage;
    qp_rank *ranks; // [n_ranks] figures that outlive the rank threads
    qp_pipeline_result *result;
} telling;

// ---- one rank
// ------------------------------------------------------------------------------------------------------------------

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Wall time per stage is rank 0's, which waits for the others wherever they meet.
static void add_time(const telling *t, const qp_rank *r, const char *stage, double seconds) {
    qp_pipeline_result *out = t->result;
    if (r->at.rank != 0) return;
    for (int i = 0; i < out->n_stages; i++)
        if (strcmp(out->stage_names[i], stage) == 0) out->seconds_stage[i] += seconds;
}

static qp_status run_steps(const telling *t, qp_rank *r, qp_err *err) {
    const qp_stage_table *table = r->stages;
    for (int i = 0; i < table->n_steps; i++) {
        const qp_step *s = &table->steps[i];
        const bool saves = strcmp(s->stage, "save") == 0;
        if (!(s->phases & (int)r->phase) || (saves && !r->save_dir)) continue; // no folder: no checkpoint
        const bool last = r->at.rank == qp_layout_ranks(&r->layout) - 1 && r->phase == QP_PHASE_MAIN;
        if (last && table->inject_step && strcmp(table->inject_step, s->name) == 0)
            qp_comm_inject(r->comm, table->inject);
        const double begin = now_s();
        QP_TRY(qp_comm_check(r->comm, err));
        QP_TRY(s->fn(r, err));
        add_time(t, r, s->stage, now_s() - begin);
    }
    return QP_OK;
}

static qp_status tell_rank(qp_comm *c, void *user, qp_err *err) {
    const telling *t = user;
    qp_rank *r = &t->ranks[qp_comm_rank(c)];
    *r = (qp_rank){.job = t->job,
                   .stages = t->job->stages,
                   .comm = c,
                   .layout = t->layout,
                   .at = qp_layout_coord(&t->layout, qp_comm_rank(c)),
                   .phase = t->phase,
                   .arena = qp_arena_new(),
                   .scratch = qp_arena_new(),
                   .modules = t->layers->modules,
                   .n_modules = t->layers->n_modules,
                   .load_dir = t->load_dir,
                   .save_dir = t->save_dir,
                   .load_stage = t->load_stage};
    qp_status status = r->arena && r->scratch ? QP_OK : QP_NOMEM;
    if (status == QP_OK)
        status = run_steps(t, r, err);
    else
        qp_err_set(err, status, __FILE__, __LINE__, "no memory for the arenas of rank %d", r->at.rank);
    if (r->checkpoint) qp_st_set_close(&r->checkpoint->set);
    qp_arena_free(r->arena);
    qp_arena_free(r->scratch);
    return status;
}

// ---- one world
// -----------------------------------------------------------------------------------------------------------------

typedef struct trace_sum { // a rank's collectives over all layers
    qp_trace_ev *entries;
    int n, cap;
} trace_sum;

static qp_status append_traces(qp_pipeline_result *out, trace_sum *sums, const qp_world_result *w,
                               qp_err *err) {
    for (int r = 0; r < w->n_ranks && w->traces; r++) {
        trace_sum *s = &sums[r];
        if (s->n + w->traces[r].n > s->cap) {
            qp_trace_ev *more;
            const int cap = 2 * (s->n + w->traces[r].n);
            QP_TRY(QP_NEW(out->arena, more, cap));
            if (s->n) memcpy(more, s->entries, sizeof *more * (size_t)s->n);
            s->entries = more;
            s->cap = cap;
        }
        if (w->traces[r].n)
            memcpy(s->entries + s->n, w->traces[r].entries, sizeof *s->entries * (size_t)w->traces[r].n);
        s->n += w->traces[r].n;
    }
    return QP_OK;
}

static qp_status run_world(telling *t, qp_arena *a, qp_world_result *world, qp_err *err) {
    const int n = qp_layout_ranks(&t->layout);
    int64_t peak = 0;
    *world = (qp_world_result){.first_failed = -1};
    QP_TRY(QP_NEW(a, t->ranks, n));
    const qp_status status = qp_threads_run(&t->layout, t->job->timeout_s, tell_rank, t, a, world, err);
    for (int r = 0; r < n; r++) {
        peak += (int64_t)t->ranks[r].peak_bytes;
        if (t->phase != QP_PHASE_MAIN) continue;
        t->result->elements += t->ranks[r].elements;
        t->result->elements_run += t->ranks[r].elements_run;
    }
    if (peak > t->result->peak_bytes) t->result->peak_bytes = peak;
    return status;
}

// ---- one set of layers
// ---------------------------------------------------------------------------------------------------------

typedef struct folders {
    const char *first, *second; // saved by the main world; saved again under the other layout
} folders;

static qp_status name_folders(const qp_job *job, const qp_layer_set *layers, qp_arena *a, folders *f,
                              qp_err *err) {
    *f = (folders){0};
    if (!job->scratch) return QP_OK;
    QP_TRY(qp_dir_make(job->scratch, err));
    QP_TRY(qp_arena_printf(a, &f->first, err, "%s/layer%d", job->scratch, layers->layer));
    return qp_arena_printf(a, &f->second, err, "%s/layer%d-other", job->scratch, layers->layer);
}

// After a success the whole checkpoint goes, so that the next layer's does not fill the disk. After a failure
// only what was left half written goes; what was committed stays for whoever looks into it.
static void remove_folders(const folders *f, bool committed, qp_arena *a) {
    const char *const names[2] = {f->first, f->second};
    for (int i = 0; i < 2 && f->first; i++) {
        const char *temp;
        if (committed) qp_dir_remove(names[i], NULL);
        if (qp_arena_printf(a, &temp, NULL, "%s.tmp", names[i]) == QP_OK) qp_dir_remove(temp, NULL);
    }
}

static qp_status tell_loads(telling *t, const folders *f, qp_arena *a, qp_err *err) {
    const qp_job *job = t->job;
    qp_world_result world;
    t->phase = QP_PHASE_SAME;
    t->load_dir = f->first;
    t->save_dir = NULL;
    t->load_stage = "load-same";
    QP_TRY(run_world(t, a, &world, err));
    if (job->load_layout.tp == 0) return QP_OK;
    t->phase = QP_PHASE_OTHER;
    t->layout = job->load_layout;
    t->save_dir = f->second;
    t->load_stage = "load-other";
    QP_TRY(run_world(t, t->result->arena, &t->result->load_world, err));
    t->phase = QP_PHASE_BACK;
    t->layout = job->layout;
    t->load_dir = f->second;
    t->save_dir = NULL;
    t->load_stage = "load-back";
    return run_world(t, a, &world, err);
}

static bool has_stage(const qp_stage_table *table, const char *stage) {
    for (int i = 0; i < table->n_steps; i++)
        if (strcmp(table->steps[i].stage, stage) == 0) return true;
    return false;
}

static qp_status tell_layers(const qp_job *job, const qp_layer_set *layers, qp_pipeline_result *out,
                             trace_sum *sums, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (!a) QP_FAIL(QP_NOMEM, "no memory for layer %d", layers->layer);
    folders f = {0};
    telling t = {.job = job, .layers = layers, .phase = QP_PHASE_MAIN, .layout = job->layout, .result = out};
    qp_status status = QP_OK;
    QP_TRY_GOTO(status, name_folders(job, layers, a, &f, err), out);
    t.save_dir = f.first;
    status = run_world(&t, out->arena, &out->world, err);
    const qp_status appended = append_traces(out, sums, &out->world, err);
    QP_TRY_GOTO(status, status != QP_OK ? status : appended, out);
    if (f.first && has_stage(job->stages, "save")) QP_TRY_GOTO(status, tell_loads(&t, &f, a, err), out);
out:
    remove_folders(&f, status == QP_OK, a);
    qp_arena_free(a);
    return status;
}

// ---- all of it
// -----------------------------------------------------------------------------------------------------------------

static void name_stages(const qp_stage_table *table, qp_pipeline_result *out) {
    for (int i = 0; i < table->n_steps && out->n_stages < QP_COUNT(out->stage_names); i++) {
        int k = 0;
        while (k < out->n_stages && strcmp(out->stage_names[k], table->steps[i].stage) != 0) k++;
        if (k == out->n_stages) out->stage_names[out->n_stages++] = table->steps[i].stage;
    }
}

qp_status qp_pipeline_run(const qp_job *job, qp_pipeline_result *out, qp_err *err) {
    qp_layer_set *sets;
    trace_sum *sums;
    int n_sets;
    const int n_ranks = qp_layout_ranks(&job->layout);
    memset(out, 0, sizeof *out);
    out->world.first_failed = out->load_world.first_failed = -1;
    out->arena = qp_arena_new();
    if (!out->arena) QP_FAIL(QP_NOMEM, "no memory for the pipeline");
    name_stages(&qp_stages_default, out);
    QP_TRY(qp_layer_sets(job, out->arena, &sets, &n_sets, err));
    QP_TRY(QP_NEW(out->arena, sums, n_ranks));
    qp_status status = QP_OK;
    for (int i = 0; i < n_sets && status == QP_OK; i++) {
        status = tell_layers(job, &sets[i], out, sums, err);
        if (status != QP_OK) qp_err_prefix(err, "layer %d", sets[i].layer);
    }
    for (int r = 0; r < out->world.n_ranks && out->world.traces; r++)
        out->world.traces[r] = (qp_rank_trace){.rank = r, .n = sums[r].n, .entries = sums[r].entries};
    return status;
}
