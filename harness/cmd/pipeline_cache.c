// SPDX-License-Identifier: Apache-2.0
// The key holds every word of a case line that the unsharded truth depends on, and nothing else: layouts
// share an entry.
#include "cmd/pipeline_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

qp_status qp_pipeline_cache_new(qp_pipeline_cache **out, qp_err *err) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) QP_FAIL(QP_NOMEM, "pipeline cache: out of memory");
    return QP_OK;
}

static void empty(qp_pipeline_cache *p) {
    qp_oracle_free(p->oracle);
    if (p->key != NULL && p->job.weights != NULL) qp_weights_close((qp_weights *)p->job.weights);
    qp_arena_free(p->arena);
    qp_arena_free(p->base_arena);
    *p = (qp_pipeline_cache){0};
}

void qp_pipeline_cache_free(qp_pipeline_cache *p) {
    if (p == NULL) return;
    empty(p);
    free(p);
}

// max_on=rank:N puts the peak into that rank's slice, so there the weights depend on the layout too.
static qp_status key_of(const qp_case *c, qp_arena *a, const char **key, qp_err *err) {
    static const char *const words[] = {"model",  "layers",  "names",  "recipe", "sync",
                                        "tokens", "weights", "max_on", "seed"};
    static const char *const degrees[] = {"tp", "cp", "pp", "ep", "etp", "dp"};
    qp_text t = {.arena = a};
    for (int i = 0; i < QP_COUNT(words); i++)
        QP_TRY(qp_text_add(&t, err, "%s=%s ", words[i], qp_case_text(c, words[i])));
    bool by_rank = strncmp(qp_case_text(c, "max_on"), "rank:", 5) == 0;
    for (int i = 0; by_rank && i < QP_COUNT(degrees); i++)
        QP_TRY(qp_text_add(&t, err, "%s=%s ", degrees[i], qp_case_text(c, degrees[i])));
    *key = t.s;
    return QP_OK;
}

static qp_status make_entry(qp_pipeline_cache *p, const qp_case *c, const char *key, const char *data_dir,
                            qp_subject *subject, qp_err *err) {
    empty(p);
    p->arena = qp_arena_new();
    if (p->arena == NULL) QP_FAIL(QP_NOMEM, "pipeline cache: out of memory");
    QP_TRY(qp_job_make(c, data_dir, subject, p->arena, &p->job, err));
    p->model = *p->job.model;
    p->recipe = *p->job.recipe;
    QP_TRY(qp_arena_strdup(p->arena, key, &p->key, err));
    return QP_OK;
}

qp_status qp_pipeline_cache_take(qp_pipeline_cache *p, const qp_case *c, const char *data_dir,
                                 qp_subject *subject, qp_arena *a, qp_job *job, qp_err *err) {
    const char *key;
    QP_TRY(key_of(c, a, &key, err));
    if (p->key != NULL && strcmp(p->key, key) == 0) {
        // The case's own job for its layout, rows and load layout; its copy of the weights is closed again.
        QP_TRY(qp_job_make(c, data_dir, subject, a, job, err));
        qp_weights_close((qp_weights *)job->weights);
    } else {
        QP_TRY(make_entry(p, c, key, data_dir, subject, err));
        *job = p->job;
    }
    job->model = &p->model;
    job->recipe = &p->recipe;
    job->weights = p->job.weights;
    job->repro = c->line;
    return QP_OK;
}

qp_status qp_pipeline_cache_oracle(qp_pipeline_cache *p, qp_err *err) {
    if (p->oracle != NULL) return QP_OK;
    qp_oracle_spec spec = {.model = &p->model,
                           .recipe = &p->recipe,
                           .sync = p->job.sync,
                           .tokens = p->job.tokens,
                           .seed = p->job.seed,
                           .weights = p->job.weights};
    return qp_oracle_new(&spec, &p->oracle, err);
}

static void base_key(int64_t rows, char buf[32]) {
    snprintf(buf, 32, "rows=%" PRId64, rows);
}

bool qp_pipeline_cache_has_base(const qp_pipeline_cache *p, int64_t rows) {
    char key[32];
    base_key(rows, key);
    return p->base_key != NULL && strcmp(p->base_key, key) == 0;
}

qp_status qp_pipeline_cache_set_base(qp_pipeline_cache *p, int64_t rows, const qp_digest *d, int64_t n,
                                     qp_err *err) {
    char key[32];
    base_key(rows, key);
    qp_arena_free(p->base_arena);
    p->base_key = NULL;
    p->base_arena = qp_arena_new();
    if (p->base_arena == NULL) QP_FAIL(QP_NOMEM, "digests of the one-rank run: out of memory");
    QP_TRY(QP_NEW(p->base_arena, p->base, n + 1));
    if (n > 0) memcpy(p->base, d, sizeof *d * (size_t)n);
    p->n_base = n;
    return qp_arena_strdup(p->base_arena, key, &p->base_key, err);
}
