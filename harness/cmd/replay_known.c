// SPDX-License-Identifier: Apache-2.0
// Records of old releases: known_bug_fields lists every place where they are wrong. A replay must differ
// exactly there.
#include <string.h>

#include "cmd/replay.h"

// Fields that a replay computes; search results are left out on both sides.
static bool is_computed(const char *field) {
    static const char *const fields[] = {"groups",     "collectives", "error", "class",
                                         "amax_shape", "amax_dtype",  "amax",  "global_amax"};
    for (int i = 0; i < QP_COUNT(fields); i++)
        if (strcmp(fields[i], field) == 0) return true;
    return false;
}

static bool same_name(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static bool same_place(const replay_place *a, const replay_place *b) {
    return a->rank == b->rank && same_name(a->fqn, b->fqn) && same_name(a->quantizer, b->quantizer) &&
           strcmp(a->field, b->field) == 0;
}

static qp_status read_place(const replay_record *rec, json_t *v, replay_place *p, qp_err *err) {
    int64_t rank;
    *p = (replay_place){0};
    QP_TRY(replay_int(rec, v, "rank", 0, -1, &rank, err));
    QP_TRY(replay_text(rec, v, "field", &p->field, err));
    p->rank = (int)rank;
    p->fqn = json_string_value(json_object_get(v, "fqn"));
    p->quantizer = json_string_value(json_object_get(v, "quantizer"));
    return QP_OK;
}

qp_status replay_known_bug(const replay_record *rec, replay_result *res, int *n_listed, qp_err *err) {
    json_t *list;
    replay_place *left;
    bool *explained;
    int64_t n_left = 0;
    *n_listed = 0;
    QP_TRY(replay_array(rec, rec->json, "known_bug_fields", &list, err));
    QP_TRY(QP_NEW(res->arena, explained, res->n_different + 1));
    QP_TRY(QP_NEW(res->arena, left, res->n_different + (int64_t)json_array_size(list) + 1));
    for (size_t i = 0; i < json_array_size(list); i++) {
        replay_place p;
        bool found = false;
        QP_TRY(read_place(rec, json_array_get(list, i), &p, err));
        if (!is_computed(p.field)) continue;
        ++*n_listed;
        for (int64_t k = 0; k < res->n_different; k++)
            if (same_place(&p, &res->places[k])) found = explained[k] = true;
        p.want = "a difference (known bug)";
        p.got = "none";
        if (!found) left[n_left++] = p;
    }
    for (int64_t k = 0; k < res->n_different; k++)
        if (!explained[k]) left[n_left++] = res->places[k];
    res->places = left;
    res->n_different = n_left;
    res->cap = n_left;
    return QP_OK;
}
