// SPDX-License-Identifier: Apache-2.0
// One case: which runner, how long it took, what its verdict is. What cases of one run share lives in
// qp_run_env.
#include "cmd/run_case.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/pipeline_cache.h"
#include "cmd/run_env.h"
#include "plan/cost.h"

void qp_say(qp_case_result *r, qp_arena *a, qp_verdict v, qp_reason why, const char *fmt, ...) {
    qp_finding f = {.check = "case",
                    .verdict = v,
                    .reason = why,
                    .n_judged = v == QP_SKIP ? 0 : 1,
                    .n_diff = v == QP_SKIP ? 0 : 1};
    va_list args;
    va_start(args, fmt);
    vsnprintf(f.text, sizeof f.text, fmt, args);
    va_end(args);
    qp_result_add(r, &f, a, NULL);
}

// What a status of the thing under test means for its case. USAGE, CORRUPT and IO are faults of what the line
// names (model, recipe, weights, disk): exit 2 like any other bad input, and the next case still runs.
void qp_say_status(qp_case_result *r, qp_arena *a, qp_status s, const char *where, const char *message) {
    static const struct {
        qp_verdict verdict;
        qp_reason reason;
    } rows[QP_STATUS_COUNT] = {
        [QP_OK] = {QP_PASS, QP_WHY_OK},
        [QP_USAGE] = {QP_FAILED, QP_WHY_REFUSED},
        [QP_REFUSED] = {QP_FAILED, QP_WHY_REFUSED},
        [QP_CORRUPT] = {QP_FAILED, QP_WHY_REFUSED},
        [QP_IO] = {QP_FAILED, QP_WHY_REFUSED},
        [QP_NOMEM] = {QP_SKIP, QP_WHY_TOO_BIG},
        [QP_UNAVAILABLE] = {QP_SKIP, QP_WHY_NO_DEVICE},
        [QP_TIMEOUT] = {QP_FAILED, QP_WHY_TIMEOUT},
        [QP_COLLECTIVE] = {QP_FAILED, QP_WHY_COLLECTIVE},
        [QP_PEER] = {QP_FAILED, QP_WHY_COLLECTIVE},
        [QP_BROKEN] = {QP_VERDICT_BROKEN, QP_WHY_ORACLE},
    };
    if (s == QP_OK || (unsigned)s >= QP_STATUS_COUNT) return;
    qp_say(r, a, rows[s].verdict, rows[s].reason, "%s: %s: %s", where, qp_status_name(s), message);
}

void qp_say_fault(qp_case_result *r, qp_arena *a, qp_status s, const char *message) {
    bool outside = s == QP_USAGE || s == QP_REFUSED || s == QP_CORRUPT || s == QP_IO;
    if (outside)
        qp_say_status(r, a, s, "case", message);
    else
        qp_say(r, a, QP_VERDICT_BROKEN, QP_WHY_ORACLE, "%s: %s", qp_status_name(s), message);
}

qp_status qp_env_add_digests(qp_run_env *e, const qp_digest *d, int64_t n, qp_err *err) {
    if (n == 0) return QP_OK;
    if (e->n_digests + n > e->cap_digests) {
        int64_t cap = e->cap_digests * 2 + n + 1024;
        qp_digest *bigger;
        QP_TRY(QP_NEW(e->last, bigger, cap));
        if (e->n_digests > 0) memcpy(bigger, e->digests, sizeof *bigger * (size_t)e->n_digests);
        e->digests = bigger;
        e->cap_digests = cap;
    }
    memcpy(e->digests + e->n_digests, d, sizeof *d * (size_t)n);
    e->n_digests += n;
    return QP_OK;
}

qp_status qp_run_env_new(const qp_run_settings *s, qp_run_env **out, qp_err *err) {
    qp_run_env *e = calloc(1, sizeof *e);
    if (e == NULL) QP_FAIL(QP_NOMEM, "run: out of memory");
    e->s = *s;
    e->last = qp_arena_new();
    qp_status status = e->last != NULL ? qp_pipeline_cache_new(&e->cache, err)
                                       : qp_err_set(err, QP_NOMEM, __FILE__, __LINE__, "run: out of memory");
    if (status != QP_OK) {
        qp_run_env_free(e);
        return status;
    }
    *out = e;
    return QP_OK;
}

void qp_run_env_free(qp_run_env *e) {
    if (e == NULL) return;
    qp_pipeline_cache_free(e->cache);
    qp_arena_free(e->last);
    free(e);
}

void qp_run_digests(const qp_run_env *e, const qp_digest **digests, int64_t *n) {
    *digests = e->digests;
    *n = e->n_digests;
}

static bool is_too_big(const qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *r) {
    qp_cost_cache *models;
    qp_cost cost = {0};
    if (e->s.mem_max == 0) return false;
    qp_status s = qp_cost_cache_new(a, &models, NULL);
    if (s == QP_OK) s = qp_case_cost(c, e->s.data_dir, models, a, &cost, NULL);
    if (s != QP_OK || (uint64_t)cost.bytes <= e->s.mem_max)
        return false; // a line that names nothing real is refused by its runner
    qp_say(r, a, QP_SKIP, QP_WHY_TOO_BIG, "needs about %.1f MiB, --mem-max allows %.1f MiB",
           (double)cost.bytes / (1 << 20), (double)e->s.mem_max / (1 << 20));
    return true;
}

static qp_status run(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *out, qp_err *err) {
    bool pipeline = strcmp(c->kind->name, "pipeline") == 0;
    if (e->s.subject == NULL) {
        qp_say(out, a, QP_SKIP, QP_WHY_NO_DEVICE, "the device is not here");
        return QP_OK;
    }
    if (is_too_big(e, c, a, out)) return QP_OK;
    return pipeline ? qp_run_pipeline(e, c, a, out, err) : qp_run_kernel(e, c, a, out, err);
}

qp_status qp_run_case(qp_run_env *e, const qp_case *c, qp_arena *a, qp_case_result *out, qp_err *err) {
    struct timespec begin, end;
    *out = (qp_case_result){
        .line = c->line, .id = c->id, .origin = c->origin, .format = QP_FORMAT_NONE, .rows_fraction = 1};
    out->device = e->s.device != NULL ? e->s.device->name : "none";
    out->subject = e->s.subject != NULL ? qp_subject_name(e->s.subject) : "none";
    out->text = "";
    qp_arena_reset(e->last);
    e->digests = NULL;
    e->n_digests = e->cap_digests = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    QP_TRY(run(e, c, a, out, err));
    clock_gettime(CLOCK_MONOTONIC, &end);
    qp_digest_sort(e->digests, e->n_digests);
    out->seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    qp_result_close(out);
    return QP_OK;
}
