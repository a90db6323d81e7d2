// SPDX-License-Identifier: Apache-2.0
// What a record says each rank held against what our rank held, field by field, and the differences against
// the list of a known bug. Compared as text in the record's own form, so that a difference can be read beside
// the file.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/replay.h"
#include "core/text.h"

// ---- places
// --------------------------------------------------------------------------------------------------------------------

static qp_status add_place(replay_result *out, const replay_place *p, qp_err *err) {
    if (out->n_different == out->cap) {
        replay_place *more;
        const int64_t cap = out->cap ? 2 * out->cap : 64;
        QP_TRY(QP_NEW(out->arena, more, cap));
        if (out->n_different) memcpy(more, out->places, sizeof *more * (size_t)out->n_different);
        out->places = more;
        out->cap = cap;
    }
    replay_place *q = &out->places[out->n_different++];
    *q = *p;
    if (p->fqn) QP_TRY(qp_arena_strdup(out->arena, p->fqn, &q->fqn, err)); // a place outlives the run
    return p->quantizer ? qp_arena_strdup(out->arena, p->quantizer, &q->quantizer, err) : QP_OK;
}

// Long texts are cut to the first difference.
static qp_status excerpt(replay_result *out, const char *text, size_t at, const char **cut, qp_err *err) {
    enum { SHOWN = 48 };
    const size_t n = strlen(text), begin = at > 8 ? (at - 8) / 8 * 8 : 0;
    if (n <= SHOWN) return qp_arena_strdup(out->arena, text, cut, err);
    return qp_arena_printf(out->arena, cut, err, "%s%.*s%s (from character %zu of %zu)", begin ? "..." : "",
                           SHOWN, text + begin, begin + SHOWN < n ? "..." : "", begin, n);
}

static qp_status compare_text(replay_result *out, const replay_place *where, const char *want,
                              const char *got, qp_err *err) {
    replay_place p = *where;
    size_t at = 0;
    out->n_compared++;
    if (strcmp(want, got) == 0) return QP_OK;
    while (want[at] && want[at] == got[at]) at++;
    QP_TRY(excerpt(out, want, at, &p.want, err));
    QP_TRY(excerpt(out, got, at, &p.got, err));
    return add_place(out, &p, err);
}

// The record's value as it would be printed; a missing field reads as null.
static qp_status text_of(replay_result *out, const json_t *v, const char **text, qp_err *err) {
    *text = json_is_string(v) ? json_string_value(v) : "null";
    if (!v || json_is_string(v) || json_is_null(v)) return QP_OK;
    char *dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!dump) QP_FAIL(QP_NOMEM, "no memory for a record field");
    const qp_status status = qp_arena_strdup(out->arena, dump, text, err);
    free(dump);
    return status;
}

// ---- quantizers
// ----------------------------------------------------------------------------------------------------------------

static qp_status our_amax(replay_result *out, const replay_state *s, const char **text, qp_err *err) {
    char *hex;
    const int64_t n = s->amax_rows * s->amax_cols;
    *text = "null";
    if (!s->has) return QP_OK;
    QP_TRY(QP_NEW(out->arena, hex, 8 * n + 1));
    for (int64_t i = 0; i < n; i++) snprintf(hex + 8 * i, 9, "%08x", (unsigned)s->images[i]);
    *text = hex;
    return QP_OK;
}

// As upstream stores it: (), [out,1], or one block a row.
static qp_status our_amax_shape(replay_result *out, const replay_state *s, const char **text, qp_err *err) {
    const bool per_row = s->format == QP_NVFP4_STATIC || qp_format_get(s->format)->grain == QP_GRAIN_AXIS0;
    *text = s->has ? "[]" : "null";
    if (!s->has || !per_row) return QP_OK;
    return qp_arena_printf(out->arena, text, err, "[%lld,1]", (long long)(s->amax_rows * s->amax_cols));
}

static qp_status our_pair(replay_result *out, int64_t a, int64_t b, const char **text, qp_err *err) {
    return qp_arena_printf(out->arena, text, err, "[%lld,%lld]", (long long)a, (long long)b);
}

static qp_status compare_field(replay_result *out, replay_place at, json_t *q, const char *field,
                               const char *got, qp_err *err) {
    const char *want;
    at.field = field;
    QP_TRY(text_of(out, json_object_get(q, field), &want, err));
    return compare_text(out, &at, want, got, err);
}

// Geometry that the generator and the layout decide; the record has full_shape, rows and cols for sharded
// layers only.
static qp_status compare_shard(replay_result *out, replay_place at, json_t *q, const replay_state *s,
                               qp_err *err) {
    const char *text;
    QP_TRY(qp_arena_printf(out->arena, &text, err, "%016llx", (unsigned long long)s->hash));
    QP_TRY(compare_field(out, at, q, "weight_hash", text, err));
    QP_TRY(compare_field(out, at, q, "gen_name", s->gen_name, err));
    QP_TRY(our_pair(out, s->rows, s->cols, &text, err));
    QP_TRY(compare_field(out, at, q, "shape", text, err));
    if (!json_object_get(q, "full_shape")) return QP_OK;
    QP_TRY(our_pair(out, s->full_rows, s->full_cols, &text, err));
    QP_TRY(compare_field(out, at, q, "full_shape", text, err));
    QP_TRY(compare_field(out, at, q, "parallel", s->column ? "column" : "row", err));
    QP_TRY(our_pair(out, s->row_range.begin, s->row_range.begin + s->row_range.count, &text, err));
    QP_TRY(compare_field(out, at, q, "rows", text, err));
    QP_TRY(our_pair(out, s->col_range.begin, s->col_range.begin + s->col_range.count, &text, err));
    return compare_field(out, at, q, "cols", text, err);
}

// Promoted or not; the class was renamed after 0.45.0.
static qp_status compare_class(replay_result *out, replay_place at, json_t *q, const replay_state *s,
                               qp_err *err) {
    const char *want = json_string_value(json_object_get(q, "class"));
    if (want && strcmp(want, "NVFP4StaticQuantizer") == 0) want = "StaticBlockScaleQuantizer";
    at.field = "class";
    return compare_text(out, &at, want ? want : "null",
                        s->promoted ? "StaticBlockScaleQuantizer" : "TensorQuantizer", err);
}

static qp_status compare_quantizer(replay_result *out, int rank, json_t *q, const replay_state *s,
                                   qp_err *err) {
    const replay_place at = {.rank = rank, .fqn = s->fqn, .quantizer = s->quantizer};
    const char *text;
    if (s->is_weight) {
        QP_TRY(compare_shard(out, at, q, s, err));
        QP_TRY(compare_class(out, at, q, s, err));
        text = "null";
        if (s->promoted) QP_TRY(qp_arena_printf(out->arena, &text, err, "%08x", (unsigned)s->global_amax));
        QP_TRY(compare_field(out, at, q, "global_amax", text, err));
    }
    QP_TRY(our_amax(out, s, &text, err));
    QP_TRY(compare_field(out, at, q, "amax", text, err));
    QP_TRY(our_amax_shape(out, s, &text, err));
    QP_TRY(compare_field(out, at, q, "amax_shape", text, err));
    return compare_field(out, at, q, "amax_dtype", s->has ? s->dtype : "null", err);
}

static const replay_state *find_state(const replay_rank *r, const char *fqn, const char *quantizer) {
    for (int i = 0; i < r->n_states; i++)
        if (strcmp(r->states[i].fqn, fqn) == 0 && strcmp(r->states[i].quantizer, quantizer) == 0)
            return &r->states[i];
    return NULL;
}

// The input of a fused down_proj lies behind a float SiLU and is left out of the records.
static bool is_recorded(const replay_state *s) {
    return strcmp(s->quantizer, "down_proj_input_quantizer") != 0;
}

static qp_status compare_quantizers(const replay_record *rec, replay_result *out, int rank, json_t *list,
                                    const replay_rank *r, qp_err *err) {
    bool *seen;
    QP_TRY(QP_NEW(out->arena, seen, r->n_states + 1));
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *q = json_array_get(list, i);
        replay_place at = {.rank = rank, .field = "quantizer"};
        QP_TRY(replay_text(rec, q, "fqn", &at.fqn, err));
        QP_TRY(replay_text(rec, q, "quantizer", &at.quantizer, err));
        const replay_state *s = find_state(r, at.fqn, at.quantizer);
        if (!s) {
            QP_TRY(compare_text(out, &at, "recorded", "not there", err));
            continue;
        }
        seen[s - r->states] = true;
        QP_TRY(compare_quantizer(out, rank, q, s, err));
    }
    for (int i = 0; i < r->n_states; i++) {
        const replay_state *s = &r->states[i];
        const replay_place at = {
            .rank = rank, .fqn = s->fqn, .quantizer = s->quantizer, .field = "quantizer"};
        if (!seen[i] && is_recorded(s)) QP_TRY(compare_text(out, &at, "not there", "calibrated", err));
    }
    return QP_OK;
}

// ---- groups and collectives
// ----------------------------------------------------------------------------------------------------

static qp_status compare_groups(replay_result *out, int rank, json_t *list, const replay_rank *r,
                                qp_err *err) {
    const replay_place at = {.rank = rank, .field = "groups"};
    qp_text want = {.arena = out->arena}, got = {.arena = out->arena};
    const char *text;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *g = json_array_get(list, i), *members = json_object_get(g, "members");
        QP_TRY(text_of(out, json_object_get(g, "parent"), &text, err));
        QP_TRY(qp_text_add(&want, err, "%s(", text));
        for (size_t m = 0; m < json_array_size(members); m++) {
            QP_TRY(text_of(out, json_array_get(members, m), &text, err));
            QP_TRY(qp_text_add(&want, err, " %s", text));
        }
        QP_TRY(text_of(out, json_object_get(g, "global_amax"), &text, err));
        QP_TRY(qp_text_add(&want, err, " )=%s ", text));
    }
    for (int i = 0; i < r->n_groups; i++) {
        const replay_group *g = &r->groups[i];
        QP_TRY(qp_text_add(&got, err, "%s(", g->parent));
        for (int m = 0; m < g->n_members; m++) QP_TRY(qp_text_add(&got, err, " %s", g->members[m]));
        QP_TRY(g->has_global ? qp_text_add(&got, err, " )=%08x ", (unsigned)g->global_amax)
                             : qp_text_add(&got, err, " )=null "));
    }
    return compare_text(out, &at, want.n ? want.s : "", got.n ? got.s : "", err);
}

// Our groups in the recorder's words: dense linears have dp = ep there, experts ep and tp; it gives experts
// no data parallel group, so our reductions over their identical replicas have no counterpart.
static const char *recorded_group(const char *ours) {
    static const char *const names[][2] = {{"tp", "tp"}, {"etp", "tp"}, {"dp", "ep"}, {"ep", "ep"}};
    for (int i = 0; i < QP_COUNT(names); i++)
        if (strcmp(names[i][0], ours) == 0) return names[i][1];
    return NULL;
}

static qp_status compare_collectives(replay_result *out, int rank, json_t *list, const qp_rank_trace *t,
                                     qp_err *err) {
    const replay_place at = {.rank = rank, .field = "collectives"};
    qp_text want = {.arena = out->arena}, got = {.arena = out->arena};
    const char *text;
    for (size_t i = 0; i < json_array_size(list); i++) {
        QP_TRY(text_of(out, json_array_get(list, i), &text, err));
        QP_TRY(qp_text_add(&want, err, "%s ", text));
    }
    for (int i = 0; t && i < t->n; i++) {
        const qp_trace_ev *e = &t->entries[i];
        const char *group = recorded_group(e->group);
        if (!group) continue;
        if (strcmp(e->op, "flag_gather") == 0)
            QP_TRY(qp_text_add(&got, err, "all_gather_object:%s:%s ", group, e->flag ? "True" : "False"));
        else
            QP_TRY(qp_text_add(&got, err, "%s:%s:%lld:%s ", e->op, group, (long long)e->count, e->dtype));
    }
    return compare_text(out, &at, want.n ? want.s : "", got.n ? got.s : "", err);
}

// ---- ranks
// ---------------------------------------------------------------------------------------------------------------------

qp_status replay_compare(const replay_record *rec, const replay_run *run, replay_result *out, qp_err *err) {
    json_t *ranks, *list;
    QP_TRY(replay_array(rec, rec->json, "ranks", &ranks, err));
    if (json_array_size(ranks) != (size_t)run->n_ranks && !json_object_get(json_array_get(ranks, 0), "error"))
        QP_FAIL(QP_CORRUPT, "%s: record %s: ranks: %d wanted (tp %d, ep %d), got %zu", rec->file, rec->name,
                run->n_ranks, rec->tp, rec->ep, json_array_size(ranks));
    for (size_t i = 0; i < json_array_size(ranks); i++) {
        json_t *r = json_array_get(ranks, i);
        int64_t rank;
        QP_TRY(replay_int(rec, r, "rank", 0, -1, &rank, err));
        const replay_place refused = {.rank = (int)rank, .field = "error"};
        const char *message = json_string_value(json_object_get(r, "error"));
        QP_TRY(compare_text(out, &refused, message ? message : "none", "none", err));
        if (message) continue;
        if (rank >= run->n_ranks)
            QP_FAIL(QP_CORRUPT, "%s: record %s: ranks[%zu].rank: below %d wanted (tp %d, ep %d), got %lld",
                    rec->file, rec->name, i, run->n_ranks, rec->tp, rec->ep, (long long)rank);
        QP_TRY(replay_array(rec, r, "groups", &list, err));
        QP_TRY(compare_groups(out, (int)rank, list, &run->ranks[rank], err));
        list = json_object_get(r, "collectives");
        if (list)
            QP_TRY(compare_collectives(out, (int)rank, list, run->traces ? &run->traces[rank] : NULL, err));
        QP_TRY(replay_array(rec, r, "quantizers", &list, err));
        QP_TRY(compare_quantizers(rec, out, (int)rank, list, &run->ranks[rank], err));
    }
    return QP_OK;
}

qp_status replay_compare_invariant(const replay_record *rec, const replay_run *run, replay_result *out,
                                   qp_err *err) {
    json_t *truth = json_object_get(rec->json, "invariant_global_amax");
    const char *name, *want, *got;
    json_t *v;
    json_object_foreach(truth, name, v) {
        bool held = false;
        QP_TRY(text_of(out, v, &want, err));
        for (int r = 0; r < run->n_ranks; r++)
            for (int i = 0; i < run->ranks[r].n_states; i++) {
                const replay_state *s = &run->ranks[r].states[i];
                if (!s->is_weight || strcmp(s->global_fqn, name) != 0) continue;
                const replay_place at = {.rank = r,
                                         .fqn = s->global_fqn,
                                         .quantizer = s->quantizer,
                                         .field = "invariant_global_amax"};
                held = true;
                got = "null";
                if (s->promoted)
                    QP_TRY(qp_arena_printf(out->arena, &got, err, "%08x", (unsigned)s->global_amax));
                QP_TRY(compare_text(out, &at, want, got, err));
            }
        const replay_place nowhere = {
            .rank = -1, .fqn = name, .quantizer = "weight_quantizer", .field = "invariant_global_amax"};
        if (!held) QP_TRY(compare_text(out, &nowhere, want, "held by no rank", err));
    }
    return QP_OK;
}
