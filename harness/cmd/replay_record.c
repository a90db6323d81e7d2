// SPDX-License-Identifier: Apache-2.0
// Reads one pipeline record: job, layout, recipe, patterns. The schema is
// reports/schema/pipeline-records.schema.json; what is needed here is checked here, with file, record and
// field in the message.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/replay.h"

enum { MAX_SIZE = 1 << 24 };

static qp_status bad(const replay_record *rec, const char *field, qp_err *err, const char *fmt, ...)
    QP_PRINTF(4, 5);
static qp_status bad(const replay_record *rec, const char *field, qp_err *err, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return qp_err_set(err, QP_CORRUPT, __FILE__, __LINE__, "%s: record %s: %s: %s", rec->file,
                      rec->name ? rec->name : "?", field, text);
}

static const char *json_kind(const json_t *v) {
    static const char *const names[] = {"an object", "an array", "a text", "an integer",
                                        "a number",  "true",     "false",  "null"};
    return v ? names[json_typeof(v)] : "nothing";
}

qp_status replay_text(const replay_record *rec, json_t *from, const char *field, const char **out,
                      qp_err *err) {
    const json_t *v = json_object_get(from, field);
    *out = json_string_value(v);
    if (!*out) return bad(rec, field, err, "a text wanted, got %s", json_kind(v));
    return QP_OK;
}

qp_status replay_int(const replay_record *rec, json_t *from, const char *field, int64_t min, int64_t dflt,
                     int64_t *out, qp_err *err) {
    const json_t *v = json_object_get(from, field);
    *out = dflt;
    if (!v && dflt >= 0) return QP_OK;
    if (!json_is_integer(v)) return bad(rec, field, err, "an integer wanted, got %s", json_kind(v));
    *out = json_integer_value(v);
    if (*out < min)
        return bad(rec, field, err, "at least %lld wanted, got %lld", (long long)min, (long long)*out);
    return QP_OK;
}

qp_status replay_array(const replay_record *rec, json_t *from, const char *field, json_t **out, qp_err *err) {
    *out = json_object_get(from, field);
    if (!json_is_array(*out)) return bad(rec, field, err, "an array wanted, got %s", json_kind(*out));
    return QP_OK;
}

static qp_status read_layout(replay_record *rec, qp_err *err) {
    json_t *l = json_object_get(rec->json, "layout");
    int64_t tp, ep;
    if (!json_is_object(l)) return bad(rec, "layout", err, "an object wanted, got %s", json_kind(l));
    QP_TRY(replay_int(rec, l, "tp", 1, -1, &tp, err));
    QP_TRY(replay_int(rec, l, "ep", 1, -1, &ep, err));
    const json_t *etp = json_object_get(l, "etp");
    if (etp && !json_is_boolean(etp))
        return bad(rec, "layout.etp", err, "true or false wanted, got %s", json_kind(etp));
    if (tp > 4096 || ep > 4096 || tp * ep > 4096)
        return bad(rec, "layout", err, "at most 4096 ranks wanted, got tp %lld ep %lld", (long long)tp,
                   (long long)ep);
    rec->tp = (int)tp;
    rec->ep = (int)ep;
    rec->etp = !etp || json_is_true(etp);
    return QP_OK;
}

static qp_status read_expert_names(replay_record *rec, json_t *m, qp_err *err) {
    json_t *names = json_object_get(m, "expert_names");
    if (rec->kind || rec->fused || rec->experts == 0) return QP_OK;
    if (json_array_size(names) != 3)
        return bad(rec, "model.expert_names", err, "three names wanted, got %s", json_kind(names));
    for (size_t i = 0; i < 3; i++) {
        rec->expert_names[i] = json_string_value(json_array_get(names, i));
        if (!rec->expert_names[i])
            return bad(rec, "model.expert_names", err, "a text wanted, got %s",
                       json_kind(json_array_get(names, i)));
    }
    return QP_OK;
}

// A size of the model: products of two of them stay far from 64 bits.
static qp_status read_size(const replay_record *rec, json_t *m, const char *field, int64_t min, int64_t dflt,
                           int64_t *out, qp_err *err) {
    QP_TRY(replay_int(rec, m, field, min, dflt, out, err));
    if (*out > MAX_SIZE)
        return bad(rec, field, err, "at most %d wanted, got %lld", MAX_SIZE, (long long)*out);
    return QP_OK;
}

static qp_status read_model(replay_record *rec, qp_err *err) {
    json_t *m = json_object_get(rec->json, "model");
    const char *profile;
    int64_t seed, fused;
    if (!json_is_object(m)) return bad(rec, "model", err, "an object wanted, got %s", json_kind(m));
    rec->kind = json_string_value(json_object_get(m, "kind"));
    const int64_t need = rec->kind ? -1 : 0,
                  need_layer = rec->kind ? 0 : -1; // what the other form does not have may be absent
    QP_TRY(read_size(rec, m, "hidden", 1, -1, &rec->hidden, err));
    QP_TRY(read_size(rec, m, "inter", 0, -1, &rec->inter, err));
    QP_TRY(read_size(rec, m, "moe_inter", 0, need_layer, &rec->moe_inter, err));
    QP_TRY(read_size(rec, m, "kv", 1, need_layer, &rec->kv, err));
    QP_TRY(read_size(rec, m, "heads", 1, need, &rec->heads, err));
    QP_TRY(read_size(rec, m, "kv_heads", 1, need, &rec->kv_heads, err));
    QP_TRY(read_size(rec, m, "layers", 1, need, &rec->layers, err));
    QP_TRY(read_size(rec, m, "experts", 0, need_layer, &rec->experts, err));
    QP_TRY(read_size(rec, m, "tokens", 1, need_layer, &rec->tokens, err));
    if (rec->kind && (rec->heads > rec->hidden || rec->kv_heads > rec->heads))
        return bad(rec, "model.heads", err, "kv_heads <= heads <= hidden wanted, got %lld, %lld and %lld",
                   (long long)rec->kv_heads, (long long)rec->heads, (long long)rec->hidden);
    QP_TRY(replay_int(rec, m, "fused", 0, 0, &fused, err));
    QP_TRY(replay_int(rec, m, "seed", 0, -1, &seed, err));
    QP_TRY(replay_text(rec, m, "profile", &profile, err));
    if (strcmp(profile, "narrow") != 0 && strcmp(profile, "wide") != 0)
        return bad(rec, "model.profile", err, "narrow or wide wanted, got %s", profile);
    rec->seed = (uint64_t)seed;
    rec->wide = strcmp(profile, "wide") == 0;
    rec->fused = fused != 0;
    rec->any_routed = json_array_size(json_object_get(m, "routed_local")) > 0;
    return read_expert_names(rec, m, err);
}

static qp_status read_recipe(replay_record *rec, qp_err *err) {
    static const struct {
        const char *name;
        qp_format weight, input;
    } known[] = {
        {"nvfp4-static", QP_NVFP4_STATIC, QP_FORMAT_NONE},
        {"nvfp4-dynamic", QP_NVFP4, QP_NVFP4},
        {"fp8", QP_FP8_E4M3, QP_FP8_E4M3},
        {"int8-axis0", QP_INT8_AXIS0, QP_FP8_E4M3},
    };
    QP_TRY(replay_text(rec, rec->json, "recipe", &rec->recipe, err));
    for (int i = 0; i < QP_COUNT(known); i++) {
        if (strcmp(known[i].name, rec->recipe) != 0) continue;
        rec->known_format = true;
        rec->weight = known[i].weight;
        rec->input = rec->kind ? QP_FORMAT_NONE
                               : known[i].input; // whole models are recorded with weight quantizers only
    }
    return QP_OK;
}

static qp_status build_recipe(replay_record *rec, qp_arena *a, qp_err *err) {
    qp_recipe_entry *e;
    QP_TRY(QP_NEW(a, e, 3));
    e[0] = (qp_recipe_entry){.quantizer_name = "*", .has_enable = true};
    e[1] = (qp_recipe_entry){
        .quantizer_name = "*weight_quantizer", .has_cfg = true, .has_enable = true, .enable = true};
    e[1].cfg = (qp_qconfig){.enabled = true, .format = rec->weight};
    e[2] = (qp_recipe_entry){
        .quantizer_name = "*input_quantizer", .has_cfg = true, .has_enable = true, .enable = true};
    e[2].cfg = (qp_qconfig){.enabled = true, .format = rec->input};
    rec->quant.name = rec->recipe;
    rec->quant.entries = e;
    rec->quant.n_entries = rec->input == QP_FORMAT_NONE ? 2 : 3;
    return QP_OK;
}

static qp_status read_patterns(replay_record *rec, qp_arena *a, qp_err *err) {
    json_t *p = json_object_get(rec->json, "shared_patterns");
    const char **list;
    if (json_is_string(p) && strcmp(json_string_value(p), "default") == 0) {
        rec->quant.shared = QP_SHARED_ABSENT;
        return QP_OK;
    }
    if (!json_is_array(p))
        return bad(rec, "shared_patterns", err, "\"default\" or an array wanted, got %s", json_kind(p));
    QP_TRY(QP_NEW(a, list, json_array_size(p) + 1));
    for (size_t i = 0; i < json_array_size(p); i++) {
        list[i] = json_string_value(json_array_get(p, i));
        if (!list[i])
            return bad(rec, "shared_patterns", err, "a text wanted, got %s", json_kind(json_array_get(p, i)));
    }
    rec->quant.shared = QP_SHARED_LIST;
    rec->quant.patterns = list;
    rec->quant.n_patterns = (int)json_array_size(p);
    return QP_OK;
}

qp_status replay_read(const char *file, json_t *json, qp_arena *a, replay_record *out, qp_err *err) {
    const char *version;
    *out = (replay_record){.file = file, .json = json, .weight = QP_FORMAT_NONE, .input = QP_FORMAT_NONE};
    if (!json_is_object(json)) return bad(out, "records", err, "an object wanted, got %s", json_kind(json));
    QP_TRY(replay_text(out, json, "name", &out->name, err));
    QP_TRY(replay_text(out, json, "release", &out->release, err));
    QP_TRY(replay_text(out, json, "transformers", &version, err));
    out->transformers = version[0] >= '0' && version[0] <= '9' ? version[0] - '0' : 0;
    QP_TRY(read_layout(out, err));
    QP_TRY(read_model(out, err));
    QP_TRY(read_recipe(out, err));
    QP_TRY(build_recipe(out, a, err));
    QP_TRY(read_patterns(out, a, err));
    return replay_build_model(out, a, err);
}
