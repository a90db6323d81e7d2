// SPDX-License-Identifier: Apache-2.0
// compressed-tensors: groups of arguments with targets, and a list of names to ignore (shapes spec 2.3).
#include <string.h>
#include <strings.h>

#include "checkpoint/claims.h"

// ---- arguments of one group
// ------------------------------------------------------------------------------------------------------

typedef struct ct_args { // of `weights` or `input_activations`
    bool there, symmetric, searched, ordered, reordered, dynamic, local, block_given;
    int bits, group_size, block_rows, block_cols;
    const char *type, *strategy, *scale_dtype;
} ct_args;

// true / false, or a word: "local" of dynamic, "group" and others of actorder.
static qp_status flag_or_word(const qp_ck_reading *r, const qp_ck_node *n, const char *key, bool *flag,
                              const char **word, qp_err *err) {
    qp_ck_node v;
    *flag = false;
    *word = NULL;
    QP_TRY(qp_ck_item_get(r, n, key, QP_CK_ANY, &v, err));
    if (v.json == NULL) return QP_OK;
    if (!json_is_boolean(v.json) && !json_is_string(v.json))
        return QP_CK_SAY(r, QP_CK_FILE_FORMAT, n, key, "true, false or a text was wanted");
    *flag = json_is_true(v.json);
    *word = json_string_value(v.json);
    return QP_OK;
}

static qp_status read_block(const qp_ck_reading *r, const qp_ck_node *n, ct_args *args, qp_err *err) {
    qp_ck_node v;
    QP_TRY(qp_ck_item_get(r, n, "block_structure", QP_CK_ANY, &v, err)); // a list, older: "128x128"
    args->block_given = v.json != NULL;
    const json_t *rows = json_array_get(v.json, 0), *cols = json_array_get(v.json, 1);
    if (json_is_string(v.json) && strcmp(json_string_value(v.json), "128x128") == 0)
        args->block_rows = args->block_cols = 128;
    if (json_array_size(v.json) == 2 && json_is_integer(rows) && json_is_integer(cols)) {
        args->block_rows = json_integer_value(rows) == 128 ? 128 : 0;
        args->block_cols = json_integer_value(cols) == 128 ? 128 : 0;
    }
    return QP_OK;
}

static qp_status read_args(const qp_ck_reading *r, const qp_ck_node *group, const char *key, ct_args *args,
                           qp_err *err) {
    qp_ck_node n;
    bool given;
    const char *word, *observer;
    memset(args, 0, sizeof *args);
    args->symmetric = true;
    QP_TRY(qp_ck_item_get(r, group, key, QP_CK_OBJECT, &n, err));
    args->there = n.json != NULL;
    if (!args->there) return QP_OK;
    QP_TRY(qp_ck_whole_get(r, &n, "num_bits", &args->bits, &given, err));
    QP_TRY(qp_ck_whole_get(r, &n, "group_size", &args->group_size, &given, err));
    QP_TRY(qp_ck_bool_get(r, &n, "symmetric", &args->symmetric, &given, err));
    QP_TRY(qp_ck_text_get(r, &n, "type", &args->type, err));
    QP_TRY(qp_ck_text_get(r, &n, "strategy", &args->strategy, err));
    QP_TRY(qp_ck_text_get(r, &n, "scale_dtype", &args->scale_dtype, err));
    QP_TRY(qp_ck_text_get(r, &n, "observer", &observer, err));
    QP_TRY(flag_or_word(r, &n, "dynamic", &args->dynamic, &word, err));
    args->local = word != NULL && strcmp(word, "local") == 0;
    QP_TRY(flag_or_word(r, &n, "actorder", &args->ordered, &word, err));
    args->reordered = args->ordered || (word != NULL && strcasecmp(word, "group") == 0); // with g_idx
    args->ordered |= word != NULL;
    args->searched = observer != NULL && strstr(observer, "minmax") == NULL; // "mse" and the like
    return read_block(r, &n, args, err);
}

// ---- the scheme that they mean
// ----------------------------------------------------------------------------------------------------

// Files before per-group formats, and old names of formats.
static const char *format_of(const char *said, const ct_args *w, const ct_args *in) {
    const bool real = w->type != NULL && strcasecmp(w->type, "float") == 0;
    const bool e8m0 = w->scale_dtype != NULL && strstr(w->scale_dtype, "uint8") != NULL;
    if (said != NULL && strcmp(said, "naive-quantized") == 0 && real) return "float-quantized";
    if (said != NULL && strcmp(said, "mixed-precision") != 0) return said;
    if (real && w->bits == 4) return w->group_size == 16 ? "nvfp4-pack-quantized" : "mxfp4-pack-quantized";
    if (real && w->bits == 6) return "mxfp6-pack-quantized";
    if (real) return e8m0 ? "mxfp8-quantized" : "float-quantized";
    return w->bits == 8 && in->there ? "int-quantized" : "pack-quantized";
}

static bool spread_of(const ct_args *w, qp_ck_spread *out) {
    static const struct {
        const char *strategy;
        qp_ck_spread spread;
    } rows[] = {{"tensor", QP_CK_ONE},
                {"channel", QP_CK_ROW},
                {"group", QP_CK_GROUP},
                {"tensor_group", QP_CK_GROUP},
                {"block", QP_CK_TILE}};
    for (int i = 0; w->strategy != NULL && i < QP_COUNT(rows); i++) {
        if (strcasecmp(w->strategy, rows[i].strategy) != 0) continue;
        *out = rows[i].spread;
        return true;
    }
    *out = w->group_size > 0   ? QP_CK_GROUP
           : w->group_size < 0 ? QP_CK_ROW
                               : QP_CK_ONE; // the package's default
    return w->strategy == NULL;
}

static qp_status scheme_of(const qp_ck_reading *r, const qp_ck_node *group, const char *format,
                           const ct_args *w, const ct_args *in, int *index, qp_err *err) {
    qp_ck_scheme_ask ask = {.dialect = QP_CK_COMPRESSED_TENSORS,
                            .said = format_of(format, w, in),
                            .bits = w->bits,
                            .group_size = w->group_size > 0 ? w->group_size : 0,
                            .spread_given = true,
                            .asymmetric = !w->symmetric,
                            .act_order = w->reordered,
                            .input_static = in->there && !in->dynamic,
                            .input_none = !in->there};
    const bool nvfp4 = strcmp(ask.said, "nvfp4-pack-quantized") == 0;
    if (nvfp4 && in->dynamic) ask.input_none = true; // no global scale of the input is stored
    if (!nvfp4 && in->local) ask.input_static = false;
    const bool known = spread_of(w, &ask.spread);
    const bool square =
        ask.spread != QP_CK_TILE || !w->block_given || (w->block_rows == 128 && w->block_cols == 128);
    if (!known || !square) ask.said = w->strategy; // listed under the word that is not understood
    QP_TRY(qp_ck_say_scheme(r, group, "", &ask, index, err));
    struct qp_ck_said *s = &r->k->schemes[*index];
    if (s->scheme == NULL || (!w->searched && !w->ordered)) return QP_OK;
    qp_ck_scheme *searched; // scales or codes that the weights alone do not give
    QP_TRY(QP_NEW(r->a, searched, 1));
    *searched = *s->scheme;
    searched->derivable = false;
    s->scheme = searched;
    return QP_OK;
}

// ---- targets
// ---------------------------------------------------------------------------------------------------------------------

static qp_status add_target(const qp_ck_reading *r, const qp_ck_node *list, const json_t *t, int index,
                            qp_err *err) {
    qp_ck_item item = {
        .text = json_string_value(t), .n = json_string_length(t), .match = QP_CK_EXACT, .value = index};
    const char *why = NULL;
    if (strcmp(item.text, "Linear") == 0) {
        r->k->whole = index;
        return QP_OK;
    }
    if (item.n <= 3 || memcmp(item.text, "re:", 3) != 0)
        return qp_ck_list_add(&r->k->names, item, r->a, &why, err);
    item.match = QP_CK_REGEX;
    item.text += 3;
    item.n -= 3;
    QP_TRY(qp_ck_list_add(&r->k->patterns, item, r->a, &why, err));
    if (why == NULL) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, list, "", "'%.200s' is no regular expression: %s", item.text,
                     why);
}

static qp_status read_group(const qp_ck_reading *r, const qp_ck_node *groups, const char *key,
                            const char *format, qp_err *err) {
    qp_ck_node group, targets;
    ct_args weights, input;
    const char *own;
    int index;
    size_t i;
    const json_t *t;
    QP_TRY(qp_ck_item_get(r, groups, key, QP_CK_OBJECT, &group, err));
    QP_TRY(qp_ck_item_get(r, &group, "targets", QP_CK_LIST, &targets, err));
    QP_TRY(qp_ck_text_get(r, &group, "format", &own, err));
    QP_TRY(read_args(r, &group, "weights", &weights, err));
    QP_TRY(read_args(r, &group, "input_activations", &input, err));
    if (!weights.there) return QP_OK; // activations or KV cache only
    QP_TRY(scheme_of(r, &group, own != NULL ? own : format, &weights, &input, &index, err));
    json_array_foreach(targets.json, i, t) {
        if (json_is_string(t))
            QP_TRY(add_target(r, &targets, t, index, err));
        else
            QP_TRY(QP_CK_SAY(r, QP_CK_FILE_FORMAT, &targets, "", "a list of texts was wanted"));
    }
    return QP_OK;
}

qp_status qp_ck_read_compressed_tensors(const qp_ck_reading *r, const qp_ck_node *cfg, qp_err *err) {
    qp_ck_node groups, ignore;
    const char *format, *version, *key;
    bool given;
    json_t *v;
    r->k->not_targets =
        1u << QP_CK_KIND_NORM | 1u << QP_CK_KIND_EMBEDDING | 1u << QP_CK_KIND_CONV | 1u << QP_CK_KIND_STATE;
    QP_TRY(qp_ck_text_get(r, cfg, "format", &format, err));
    QP_TRY(qp_ck_text_get(r, cfg, "version", &version, err));
    QP_TRY(qp_ck_item_get(r, cfg, "ignore", QP_CK_LIST, &ignore, err));
    QP_TRY(qp_ck_item_get(r, cfg, "config_groups", QP_CK_OBJECT, &groups, err));
    QP_TRY(qp_arena_printf(r->a, &r->k->producer, err, "compressed-tensors%s%.60s",
                           version != NULL ? " " : "", version != NULL ? version : ""));
    QP_TRY(qp_arena_printf(r->a, &r->k->said, err, "%.60s (%s)", format != NULL ? format : "no format",
                           r->k->producer));
    QP_TRY(qp_ck_excludes_add(r, &ignore, QP_CK_SPELL_EXACT, err));
    json_object_foreach(groups.json, key, v) QP_TRY(read_group(r, &groups, key, format, err));
    return qp_ck_read_kv_scheme(r, cfg, &r->k->kv, &given, err);
}
