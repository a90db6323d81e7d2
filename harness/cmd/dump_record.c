// SPDX-License-Identifier: Apache-2.0
// record.json: the schema of the pipeline records, so that another implementation can be held against it. The
// weights come from this project's own generator (named in "generator"), names carry global expert numbers.
// Flag gathers are left out of the collectives: a trace does not keep what each rank answered.
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/dump_state.h"
#include "core/file.h"
#include "core/text.h"

static const char generator[] =
    "quantproof harness/input (Philox4x32-10 keyed by seed and tensor name), global expert numbers; "
    "transformers and torch were not run";

// The last word on calibrated state: promote, or sync for what is never promoted.
static const qp_dump_tensor *last_of(const qp_dump_tensor *t, int n, int rank, const char *fqn,
                                     const char *field) {
    static const char *const stages[] = {"promote", "group", "sync"};
    for (int s = 0; s < QP_COUNT(stages); s++)
        for (int i = 0; i < n; i++)
            if (t[i].rank == rank && strcmp(t[i].stage, stages[s]) == 0 && strcmp(t[i].field, field) == 0 &&
                strcmp(t[i].fqn, fqn) == 0)
                return &t[i];
    return NULL;
}

static json_t *images_json(const qp_dump_tensor *t) {
    if (t == NULL || t->dtype != QP_FP32) return json_null();
    int64_t n = t->rows * t->cols;
    const uint32_t *images = t->data;
    char *hex = malloc((size_t)n * 8 + 1);
    if (hex == NULL) return json_null();
    for (int64_t i = 0; i < n; i++) snprintf(hex + i * 8, 9, "%08" PRIx32, images[i]);
    json_t *j = n > 0 ? json_stringn(hex, (size_t)n * 8) : json_null();
    free(hex);
    return j;
}

// One run of rows per rank is what the schema can say; a slice of several segments (qkv, in_proj) gives its
// local shape only.
static void add_slice(json_t *o, const qp_module *m, const qp_slice *s) {
    json_object_set_new(o, "shape", json_pack("[I, I]", (json_int_t)s->n_rows, (json_int_t)s->n_cols));
    if (s->n_row_ranges != 1 || m->style == QP_STYLE_REPLICATED) return;
    json_object_set_new(o, "full_shape", json_pack("[I, I]", (json_int_t)m->out, (json_int_t)m->in));
    json_object_set_new(o, "parallel", json_string(m->style == QP_STYLE_ROW ? "row" : "column"));
    json_object_set_new(
        o, "rows",
        json_pack("[I, I]", (json_int_t)s->rows[0].begin, (json_int_t)(s->rows[0].begin + s->rows[0].count)));
    json_object_set_new(
        o, "cols",
        json_pack("[I, I]", (json_int_t)s->cols.begin, (json_int_t)(s->cols.begin + s->cols.count)));
}

static json_t *quantizer_json(const qp_job *job, const qp_dump_tensor *all, int n, const qp_dump_tensor *t) {
    bool weight = strcmp(t->field, "weight_quantizer._amax") == 0;
    const qp_dump_tensor *global =
        weight ? last_of(all, n, t->rank, t->fqn, "weight_quantizer._global_amax") : NULL;
    json_t *o = json_object();
    json_object_set_new(o, "fqn", json_string(t->fqn));
    json_object_set_new(o, "quantizer", json_string(weight ? "weight_quantizer" : "input_quantizer"));
    if (weight && t->module != NULL) {
        qp_slice slice = qp_slice_of(t->module, &job->layout, t->rank);
        if (slice.held) add_slice(o, t->module, &slice);
    }
    bool scalar = t->rows * t->cols == 1;
    json_object_set_new(o, "amax_shape",
                        scalar ? json_array() : json_pack("[I, i]", (json_int_t)(t->rows * t->cols), 1));
    json_object_set_new(o, "amax_dtype", json_string(global != NULL ? "float32" : "bfloat16"));
    json_object_set_new(o, "amax", images_json(t));
    if (weight)
        json_object_set_new(o, "class",
                            json_string(global != NULL ? "StaticBlockScaleQuantizer" : "TensorQuantizer"));
    if (weight) json_object_set_new(o, "global_amax", images_json(global));
    return o;
}

static json_t *groups_json(const qp_group_ev *groups, int n, int rank) {
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        if (groups[i].rank != rank) continue;
        char hex[16];
        json_t *members = json_array();
        for (int m = 0; m < groups[i].n_members; m++)
            json_array_append_new(members, json_string(groups[i].members[m]));
        snprintf(hex, sizeof hex, "%08" PRIx32, groups[i].global_amax);
        json_array_append_new(all, json_pack("{s:s, s:o, s:o}", "parent", groups[i].parent, "members",
                                             members, "global_amax",
                                             groups[i].has_global ? json_string(hex) : json_null()));
    }
    return all;
}

// The records know two groups: tp (dense and expert alike) and ep, which is also the data parallel group of
// dense modules.
static json_t *collectives_json(const qp_rank_trace *trace) {
    json_t *all = json_array();
    for (int i = 0; i < trace->n; i++) {
        const qp_trace_ev *e = &trace->entries[i];
        if (strcmp(e->op, "all_reduce_max") != 0) continue;
        bool tp = strcmp(e->group, "tp") == 0 || strcmp(e->group, "etp") == 0;
        char line[96];
        snprintf(line, sizeof line, "all_reduce_max:%s:%" PRId64 ":%s", tp ? "tp" : "ep", e->count, e->dtype);
        json_array_append_new(all, json_string(line));
    }
    return all;
}

static json_t *rank_json(const qp_job *job, int rank, const qp_dump_tensor *t, int n,
                         const qp_group_ev *groups, int n_groups, const qp_rank_trace *trace) {
    qp_coord at = qp_layout_coord(&job->layout, rank);
    json_t *quantizers = json_array();
    for (int i = 0; i < n; i++) {
        bool weight = strcmp(t[i].field, "weight_quantizer._amax") == 0,
             input = strcmp(t[i].field, "input_quantizer._amax") == 0;
        if (t[i].rank != rank || !(weight || input) || strcmp(t[i].stage, "sync") != 0) continue;
        const qp_dump_tensor *final = last_of(t, n, rank, t[i].fqn, t[i].field);
        json_array_append_new(quantizers, quantizer_json(job, t, n, final != NULL ? final : &t[i]));
    }
    json_t *o =
        json_pack("{s:i, s:i, s:i, s:o, s:o}", "rank", rank, "tp_rank", at.tp_rank, "ep_rank", at.ep_rank,
                  "groups", groups_json(groups, n_groups, rank), "quantizers", quantizers);
    if (trace != NULL) json_object_set_new(o, "collectives", collectives_json(trace));
    return o;
}

static json_t *patterns_json(const qp_recipe *r) {
    if (r->shared != QP_SHARED_LIST) return json_string("default");
    json_t *all = json_array();
    for (int i = 0; i < r->n_patterns; i++) json_array_append_new(all, json_string(r->patterns[i]));
    return all;
}

// The recipe names that the schema knows; ours have the same for the four recipes of this release.
static const char *recipe_word(const qp_recipe *r) {
    return strstr(r->name, "int8") != NULL ? "int8-axis0" : r->name;
}

static json_t *record_json(const qp_job *job, const qp_dump_tensor *t, int n, const qp_group_ev *groups,
                           int n_groups, const qp_rank_trace *traces, int n_traces) {
    json_t *ranks = json_array();
    int n_ranks = qp_layout_ranks(&job->layout);
    for (int r = 0; r < n_ranks; r++)
        json_array_append_new(ranks,
                              rank_json(job, r, t, n, groups, n_groups, r < n_traces ? &traces[r] : NULL));
    char name[64];
    snprintf(name, sizeof name, "quantproof-%016" PRIx64, qp_hash64(job->repro, strlen(job->repro), 0));
    json_t *model = json_pack(
        "{s:I, s:i, s:i, s:i, s:i, s:I, s:I, s:s}", "hidden", (json_int_t)job->model->hidden, "inter", 0,
        "moe_inter", 0, "kv", 1, "experts", job->model->n_experts, "tokens",
        (json_int_t)(job->tokens > 0 ? job->tokens : 1), "seed", (json_int_t)job->seed, "profile", "narrow");
    return json_pack("{s:s, s:s, s:n, s:o, s:s, s:[s], s:{s:i, s:i, s:b}, s:o, s:o, s:s, s:s}", "name", name,
                     "release", "0.47.0", "known_bug", "model", model, "recipe", recipe_word(job->recipe),
                     "algorithms", "max", "layout", "tp", job->layout.tp, "ep", job->layout.ep, "etp",
                     job->layout.etp > 1, "shared_patterns", patterns_json(job->recipe), "ranks", ranks,
                     "transformers", "0.0.0", "torch", "0.0.0");
}

qp_status qp_dump_record(const qp_job *job, const qp_dump_tensor *t, int n, const qp_group_ev *groups,
                         int n_groups, const qp_rank_trace *traces, int n_traces, const char *path,
                         qp_err *err) {
    char note[1024];
    snprintf(note, sizeof note, "%s; sync=%s; case: %s", "written by quantproof",
             job->sync == QP_SYNC_INVARIANT ? "invariant" : "modelopt-0.47", job->repro);
    json_t *record = record_json(job, t, n, groups, n_groups, traces, n_traces);
    json_t *file = json_pack("{s:s, s:s, s:s, s:s, s:[o]}", "format", "quantproof-pipeline-golden-1",
                             "release", "0.47.0", "generator", generator, "note", note, "records", record);
    char *text = file != NULL ? json_dumps(file, JSON_INDENT(1)) : NULL;
    json_decref(file);
    if (text == NULL) QP_FAIL(QP_NOMEM, "%s: the record could not be made", path);
    qp_status s = qp_file_write_atomic(path, text, strlen(text), err);
    free(text);
    return s;
}
