// SPDX-License-Identifier: Apache-2.0
// What the pipeline's tests share: a job on a small model, and a sink that keeps every state in the
// coordinates of the full tensor, so that any two ranks, layouts or stages that disagree about one element
// are found.
#ifndef PIPELINE_TESTS_TINY_H
#define PIPELINE_TESTS_TINY_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "pipeline/stages.h"

typedef struct kept { // one state as one rank showed it
    char stage[16], fqn[96], field[40];
    int rank;
    qp_layout layout;
    int64_t rows, cols, n_held;
    int64_t *row_ids; // NULL = all
    bool missing;
    qp_dtype dtype;
    qp_format format;
    unsigned char *data;
} kept;

typedef struct kept_group {
    char parent[96], first[96];
    int rank, n_members;
    bool has_global, unity;
    uint32_t global_amax;
} kept_group;

typedef struct tiny {
    qp_arena *arena;
    qp_job job;
    qp_stage_table table; // job.stages points here
    qp_pipeline_result result;
    qp_err failure;
    pthread_mutex_t lock;
    kept *states;
    int n, cap;
    kept_group groups[512];
    int n_groups, n_guards, n_guard_hits;
    char notes[512];
} tiny;

static inline qp_status keep_state(void *user, const qp_state *st, qp_err *err) {
    tiny *t = user;
    (void)err;
    pthread_mutex_lock(&t->lock);
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 1024;
        t->states = realloc(t->states, sizeof *t->states * (size_t)t->cap);
    }
    kept *k = &t->states[t->n++];
    *k = (kept){.rank = st->rank,
                .layout = *st->layout,
                .rows = st->rows,
                .cols = st->cols,
                .n_held = st->n_rows_held};
    k->dtype = st->dtype;
    k->format = st->format;
    snprintf(k->stage, sizeof k->stage, "%s", st->stage);
    snprintf(k->fqn, sizeof k->fqn, "%s", st->fqn);
    snprintf(k->field, sizeof k->field, "%s", st->field);
    const size_t n_bytes = (size_t)(st->n_rows_held * st->cols) * qp_dtype_bytes(st->dtype);
    k->missing = st->data == NULL;
    k->data = malloc(n_bytes + 1);
    if (st->data) memcpy(k->data, st->data, n_bytes);
    if (st->row_ids) {
        k->row_ids = malloc(sizeof *k->row_ids * (size_t)(st->n_rows_held + 1));
        memcpy(k->row_ids, st->row_ids, sizeof *k->row_ids * (size_t)st->n_rows_held);
    }
    pthread_mutex_unlock(&t->lock);
    return QP_OK;
}

static inline void keep_group(void *user, const qp_group_ev *ev) {
    tiny *t = user;
    pthread_mutex_lock(&t->lock);
    if (t->n_groups < QP_COUNT(t->groups)) {
        kept_group *g = &t->groups[t->n_groups++];
        *g = (kept_group){
            .rank = ev->rank, .n_members = ev->n_members, .has_global = ev->has_global, .unity = true};
        g->global_amax = ev->global_amax;
        snprintf(g->parent, sizeof g->parent, "%s", ev->parent);
        snprintf(g->first, sizeof g->first, "%s", ev->members[0]);
        for (int i = 0; i < ev->n_members && ev->member_global_amax; i++)
            g->unity = g->unity && ev->member_global_amax[i] == ev->global_amax;
    }
    pthread_mutex_unlock(&t->lock);
}

static inline void keep_guard(void *user, const qp_guard_ev *ev, int rank) {
    tiny *t = user;
    (void)rank;
    pthread_mutex_lock(&t->lock);
    t->n_guards++;
    t->n_guard_hits += ev->guard_bytes_hit != 0 || ev->input_bytes_changed != 0 || ev->unwritten != 0 ||
                       ev->repeat_diff != 0;
    pthread_mutex_unlock(&t->lock);
}

static inline void keep_note(void *user, int rank, const char *stage, const char *text) {
    tiny *t = user;
    pthread_mutex_lock(&t->lock);
    snprintf(t->notes, sizeof t->notes, "rank %d %s %s", rank, stage, text);
    pthread_mutex_unlock(&t->lock);
}

// line: a pipeline case. The scratch folder is below QP_BUILD; it is removed by tiny_free.
static inline tiny *tiny_new(const char *line, const char *folder) {
    tiny *t = calloc(1, sizeof *t);
    qp_case_list cases = {0};
    qp_device *dev;
    qp_subject *subject;
    const char *build = getenv("QP_BUILD");
    t->arena = qp_arena_new();
    pthread_mutex_init(&t->lock, NULL);
    ck_assert_msg(qp_case_parse(line, "test", t->arena, &cases, &t->failure) == QP_OK, "%s", t->failure.msg);
    ck_assert_int_eq(cases.n, 1);
    ck_assert_msg(qp_device_open("cpu", t->arena, &dev, &t->failure) == QP_OK, "%s", t->failure.msg);
    ck_assert_msg(qp_subject_open("builtin", dev, t->arena, &subject, &t->failure) == QP_OK, "%s",
                  t->failure.msg);
    ck_assert_msg(qp_job_make(&cases.cases[0], "cases", subject, t->arena, &t->job, &t->failure) == QP_OK,
                  "%s", t->failure.msg);
    t->table = qp_stages_default;
    t->job.stages = &t->table;
    t->job.timeout_s = 120;
    t->job.sink = (qp_sink){t, keep_state, keep_group, keep_guard, keep_note};
    if (folder) {
        ck_assert(qp_arena_printf(t->arena, &t->job.scratch, NULL, "%s/tmp/pipeline-%s",
                                  build ? build : "build", folder) == QP_OK);
        ck_assert(qp_dir_remove(t->job.scratch, NULL) == QP_OK);
    }
    return t;
}

static inline qp_status tiny_run(tiny *t) {
    memset(&t->failure, 0, sizeof t->failure);
    return qp_pipeline_run(&t->job, &t->result, &t->failure);
}

static inline void tiny_run_ok(tiny *t) {
    const qp_status s = tiny_run(t);
    ck_assert_msg(s == QP_OK, "%s: %s", qp_status_name(s), t->failure.msg);
    ck_assert_int_gt(t->n, 0);
    ck_assert_int_eq(t->n_guard_hits, 0);
}

static inline void tiny_free(tiny *t) {
    for (int i = 0; i < t->n; i++) {
        free(t->states[i].data);
        free(t->states[i].row_ids);
    }
    free(t->states);
    if (t->job.scratch) qp_dir_remove(t->job.scratch, NULL);
    qp_arena_free(t->result.arena);
    qp_subject_close(t->job.subject);
    qp_arena_free(t->arena);
    free(t);
}

static inline const kept *tiny_find(const tiny *t, const char *stage, const char *fqn, const char *field,
                                    int rank) {
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (k->rank == rank && !strcmp(k->stage, stage) && !strcmp(k->fqn, fqn) && !strcmp(k->field, field))
            return k;
    }
    return NULL;
}

static inline uint32_t kept_image(const kept *k, int64_t i) {
    uint32_t v;
    memcpy(&v, k->data + 4 * (size_t)i, sizeof v);
    return v;
}

static inline const qp_module *tiny_module(const tiny *t, const char *fqn) {
    for (int i = 0; i < t->job.model->n_modules; i++)
        if (!strcmp(t->job.model->modules[i].fqn, fqn)) return &t->job.model->modules[i];
    ck_abort_msg("no module %s", fqn);
    return NULL;
}

// max |w| over a rectangle of the full weight, by floats; the test's own loop.
static inline float weight_max(const tiny *t, const qp_module *m, int64_t row0, int64_t n_rows, int64_t col0,
                               int64_t n_cols) {
    uint16_t *w = malloc(sizeof *w * (size_t)(n_rows * n_cols));
    float max = 0;
    if (qp_weights_slice(t->job.weights, m, row0, n_rows, col0, n_cols, w, NULL) != QP_OK)
        ck_abort_msg("%s", m->fqn);
    for (int64_t i = 0; i < n_rows * n_cols; i++) {
        const uint32_t image = (uint32_t)w[i] << 16;
        float f;
        memcpy(&f, &image, sizeof f);
        if (f < 0) f = -f;
        if (f > max) max = f;
    }
    free(w);
    return max;
}

static inline float image_float(uint32_t image) {
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

#endif
