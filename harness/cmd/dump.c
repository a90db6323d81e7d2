// SPDX-License-Identifier: Apache-2.0
// Keeps a copy of every state that is shown, then writes one safetensors file per stage and rank, and the
// groups as JSON.
#include "cmd/dump.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/dump_state.h"
#include "core/file.h"
#include "tensor/safetensors.h"

struct qp_dump {
    qp_arena *arena;
    pthread_mutex_t lock;
    const char *dir;
    qp_dump_tensor *tensors;
    int n, cap;
};

qp_status qp_dump_new(const char *dir, qp_dump **out, qp_err *err) {
    qp_dump *d = calloc(1, sizeof *d);
    if (d == NULL || (d->arena = qp_arena_new()) == NULL) {
        free(d);
        QP_FAIL(QP_NOMEM, "dump to %s: out of memory", dir);
    }
    pthread_mutex_init(&d->lock, NULL);
    d->dir = dir;
    *out = d;
    return QP_OK;
}

void qp_dump_free(qp_dump *d) {
    if (d == NULL) return;
    pthread_mutex_destroy(&d->lock);
    qp_arena_free(d->arena);
    free(d);
}

// ---- keeping
// -----------------------------------------------------------------------------------------------------------------

// The fake-quantized weight stands where the weight stood; a gradient and a dequantized pack get names of
// their own.
static const char *key_of(const char *field) {
    static const char *const renamed[][2] = {
        {"y", "weight"}, {"grad", "weight.grad"}, {"dequant", "weight_dequant"}};
    for (int i = 0; i < QP_COUNT(renamed); i++)
        if (strcmp(field, renamed[i][0]) == 0) return renamed[i][1];
    return field;
}

static qp_status push(qp_dump *d, qp_dump_tensor t, qp_err *err) {
    if (d->n == d->cap) {
        int cap = d->cap == 0 ? 256 : d->cap * 2;
        qp_dump_tensor *bigger;
        QP_TRY(QP_NEW(d->arena, bigger, cap));
        if (d->n > 0) memcpy(bigger, d->tensors, sizeof *bigger * (size_t)d->n);
        d->tensors = bigger;
        d->cap = cap;
    }
    t.order = d->n;
    d->tensors[d->n++] = t;
    return QP_OK;
}

static qp_status keep(qp_dump *d, const qp_state *st, qp_err *err) {
    qp_dump_tensor t = {.rank = st->rank,
                        .dtype = st->dtype,
                        .rows = st->n_rows_held,
                        .cols = st->cols,
                        .module = st->module,
                        .format = st->format};
    size_t n_bytes = (size_t)(st->n_rows_held * st->cols) * qp_dtype_bytes(st->dtype);
    void *copy;
    QP_TRY(qp_arena_strdup(d->arena, st->stage, &t.stage, err));
    QP_TRY(qp_arena_strdup(d->arena, st->fqn, &t.fqn, err));
    QP_TRY(qp_arena_strdup(d->arena, st->field, &t.field, err));
    QP_TRY(qp_arena_printf(d->arena, &t.name, err, "%s.%s", st->fqn, key_of(st->field)));
    QP_TRY(qp_arena_get(d->arena, n_bytes, &copy, err));
    if (n_bytes > 0) memcpy(copy, st->data, n_bytes);
    t.data = copy;
    QP_TRY(push(d, t, err));
    if (st->row_ids == NULL) return QP_OK;
    int64_t *ids; // rows=N: which local rows these are
    QP_TRY(QP_NEW(d->arena, ids, st->n_rows_held + 1));
    memcpy(ids, st->row_ids, sizeof *ids * (size_t)st->n_rows_held);
    QP_TRY(qp_arena_printf(d->arena, &t.name, err, "%s.%s.rows", st->fqn, key_of(st->field)));
    t.field = "rows";
    t.dtype = QP_I64;
    t.cols = 1;
    t.data = ids;
    return push(d, t, err);
}

qp_status qp_dump_state(qp_dump *d, const qp_state *st, qp_err *err) {
    if (st->data == NULL) return QP_OK;
    pthread_mutex_lock(&d->lock);
    qp_status s = keep(d, st, err);
    pthread_mutex_unlock(&d->lock);
    return s;
}

// ---- writing
// -----------------------------------------------------------------------------------------------------------------

static int compare_tensors(const void *pa, const void *pb) {
    const qp_dump_tensor *a = pa, *b = pb;
    int c = strcmp(a->stage, b->stage);
    if (c == 0) c = a->rank < b->rank ? -1 : a->rank > b->rank;
    if (c == 0) c = strcmp(a->name, b->name);
    return c != 0 ? c : a->order < b->order ? -1 : a->order > b->order;
}

// A state shown twice (two steps of one stage) is written once, as it was last.
static int without_repeats(qp_dump_tensor *t, int n) {
    int kept = 0;
    for (int i = 0; i < n; i++) {
        bool again = i + 1 < n && strcmp(t[i].stage, t[i + 1].stage) == 0 && t[i].rank == t[i + 1].rank &&
                     strcmp(t[i].name, t[i + 1].name) == 0;
        if (!again) t[kept++] = t[i];
    }
    return kept;
}

static qp_status write_rank(const qp_dump *d, const qp_dump_tensor *t, int n, qp_arena *a, qp_err *err) {
    qp_st_tensor *out;
    const char *dir, *path;
    QP_TRY(QP_NEW(a, out, n));
    QP_TRY(qp_arena_printf(a, &dir, err, "%s/%s", d->dir, t[0].stage));
    QP_TRY(qp_arena_printf(a, &path, err, "%s/rank%d.safetensors", dir, t[0].rank));
    QP_TRY(qp_dir_make(dir, err));
    for (int i = 0; i < n; i++) {
        out[i] = (qp_st_tensor){.name = t[i].name,
                                .dtype = t[i].dtype,
                                .n_dims = 2,
                                .dims = {t[i].rows, t[i].cols},
                                .data = t[i].data};
        out[i].n_bytes = (size_t)(t[i].rows * t[i].cols) * qp_dtype_bytes(t[i].dtype);
        if (t[i].rows == 1 && t[i].cols == 1) out[i].n_dims = 0; // a scalar, as Model Optimizer stores it
    }
    return qp_st_write(path, out, n, NULL, 0, err);
}

static qp_status write_groups(const qp_dump *d, const qp_group_ev *groups, int n, qp_arena *a, qp_err *err) {
    const char *path;
    char hex[16];
    QP_TRY(qp_arena_printf(a, &path, err, "%s/groups.json", d->dir));
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        const qp_group_ev *g = &groups[i];
        json_t *members = json_array(), *globals = json_array();
        for (int m = 0; m < g->n_members; m++) {
            json_array_append_new(members, json_string(g->members[m]));
            if (g->member_global_amax == NULL) continue;
            snprintf(hex, sizeof hex, "%08" PRIx32, g->member_global_amax[m]);
            json_array_append_new(globals, json_string(hex));
        }
        snprintf(hex, sizeof hex, "%08" PRIx32, g->global_amax);
        json_array_append_new(all, json_pack("{s:i, s:s, s:o, s:o, s:o}", "rank", g->rank, "parent",
                                             g->parent, "members", members, "global_amax",
                                             g->has_global ? json_string(hex) : json_null(),
                                             "member_global_amax", globals));
    }
    char *text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    if (text == NULL) QP_FAIL(QP_NOMEM, "%s: out of memory", path);
    qp_status s = qp_file_write_atomic(path, text, strlen(text), err);
    free(text);
    return s;
}

static qp_status write_all(qp_dump *d, const qp_job *job, const qp_group_ev *groups, int n_groups,
                           const qp_rank_trace *traces, int n_traces, qp_arena *a, qp_err *err) {
    const char *path;
    QP_TRY(qp_dir_make(d->dir, err));
    if (d->n > 1) qsort(d->tensors, (size_t)d->n, sizeof *d->tensors, compare_tensors);
    d->n = without_repeats(d->tensors, d->n);
    for (int i = 0; i < d->n;) {
        int end = i + 1;
        while (end < d->n && d->tensors[end].rank == d->tensors[i].rank &&
               strcmp(d->tensors[end].stage, d->tensors[i].stage) == 0)
            end++;
        QP_TRY(write_rank(d, d->tensors + i, end - i, a, err));
        i = end;
    }
    QP_TRY(write_groups(d, groups, n_groups, a, err));
    QP_TRY(qp_arena_printf(a, &path, err, "%s/record.json", d->dir));
    return qp_dump_record(job, d->tensors, d->n, groups, n_groups, traces, n_traces, path, err);
}

qp_status qp_dump_write(qp_dump *d, const qp_job *job, const qp_group_ev *groups, int n_groups,
                        const qp_rank_trace *traces, int n_traces, qp_err *err) {
    qp_arena *a = qp_arena_new();
    if (a == NULL) QP_FAIL(QP_NOMEM, "dump to %s: out of memory", d->dir);
    qp_status s = write_all(d, job, groups, n_groups, traces, n_traces, a, err);
    qp_arena_free(a);
    return s;
}
