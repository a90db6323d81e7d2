// SPDX-License-Identifier: Apache-2.0
// Damages: what the configs say.
#include <string.h>

#include "synth/damage.h"

static json_t *quantization_config(const dmg *g) {
    return json_object_get(g->json[DMG_CONFIG], "quantization_config");
}

static json_t *hf_quantization(const dmg *g) {
    return json_object_get(g->json[DMG_HF_QUANT], "quantization");
}

static json_t *only_group(const dmg *g) {
    json_t *groups = json_object_get(quantization_config(g), "config_groups");
    return json_object_size(groups) == 1 ? json_object_iter_value(json_object_iter(groups)) : NULL;
}

// The exclude lists; both are changed alike.
static int lists_of(dmg *g, json_t *lists[2]) {
    int n = 0;
    json_t *a = json_object_get(hf_quantization(g), "exclude_modules");
    json_t *b = json_object_get(quantization_config(g), "ignore");
    if (json_is_array(a)) lists[n++] = a;
    if (json_is_array(b) && json_object_get(quantization_config(g), "quantized_layers") == NULL)
        lists[n++] = b;
    return n;
}

static void lists_changed(dmg *g) {
    g->json_dirty[DMG_CONFIG] = true;
    g->json_dirty[DMG_HF_QUANT] = g->json[DMG_HF_QUANT] != NULL;
}

static bool is_router(const char *item) {
    return dmg_ends(item, ".gate") || dmg_ends(item, ".router");
}

static bool names_tensor(const dmg *g, const char *module) {
    return dmg_part(g, module, DMG_PLAIN) != NULL;
}

// An item of the first list that names a plain module (routers only, or any), by seed.
static const char *draw_item(dmg *g, json_t *list, bool routers) {
    const size_t n = json_array_size(list), first = dmg_draw(g, (uint32_t)n, 6);
    for (size_t k = 0; k < n; k++) {
        const char *item = json_string_value(json_array_get(list, (first + k) % n));
        if (item != NULL && names_tensor(g, item) && (!routers || is_router(item))) return item;
    }
    return NULL;
}

// Replaces the item in every list; n_with 0: takes it away.
static void replace(json_t *const *lists, int n, const char *item, const char *with, size_t n_with) {
    for (int k = 0; k < n; k++) {
        for (size_t i = 0; i < json_array_size(lists[k]); i++) {
            const char *text = json_string_value(json_array_get(lists[k], i));
            if (text == NULL || strcmp(text, item) != 0) continue;
            if (n_with == 0)
                json_array_remove(lists[k], i);
            else
                json_array_set_new(lists[k], i, json_stringn(with, n_with));
            break;
        }
    }
}

static qp_status edit_item(dmg *g, bool routers, const char *tail, size_t n_tail, bool *fits, qp_err *err) {
    json_t *lists[2];
    char *with;
    const int n = lists_of(g, lists);
    const char *item = n > 0 ? draw_item(g, lists[0], routers) : NULL;
    *fits = item != NULL;
    if (item == NULL) return QP_OK;
    QP_TRY(qp_arena_strdup(g->arena, item, &g->where, err));
    const size_t n_item = strlen(g->where);
    QP_TRY(QP_NEW(g->arena, with, n_item + n_tail + 1));
    memcpy(with, g->where, n_item);
    if (n_tail > 0) memcpy(with + n_item, tail, n_tail);
    replace(lists, n, g->where, with, tail == NULL ? 0 : n_item + n_tail);
    lists_changed(g);
    return QP_OK;
}

qp_status dmg_exclude_router(dmg *g, bool *fits, qp_err *err) {
    // Several groups name what they take: a router is in none of them.
    if (g->json[DMG_HF_QUANT] == NULL && only_group(g) == NULL) return QP_OK;
    return edit_item(g, true, NULL, 0, fits, err);
}

qp_status dmg_exclude_nul(dmg *g, bool *fits, qp_err *err) {
    static const char tail[] = ".\0backbone.pt_name_sentinel";
    return edit_item(g, false, tail, sizeof tail - 1, fits, err);
}

qp_status dmg_exclude_dot(dmg *g, bool *fits, qp_err *err) {
    return edit_item(g, false, ".", 1, fits, err);
}

static qp_status append(dmg *g, const char *item, bool *fits) {
    json_t *lists[2];
    const int n = lists_of(g, lists);
    *fits = n > 0;
    if (n == 0) return QP_OK;
    for (int k = 0; k < n; k++) json_array_append_new(lists[k], json_string(item));
    g->where = item;
    lists_changed(g);
    return QP_OK;
}

static bool is_quantized(const dmg *g, const dmg_tensor *t) {
    return t->role == DMG_CODES && dmg_part(g, t->module, DMG_SCALE) != NULL;
}

qp_status dmg_exclude_quantized(dmg *g, bool *fits, qp_err *err) {
    const dmg_tensor *t = dmg_pick(g, is_quantized);
    (void)err;
    *fits = false;
    return t != NULL ? append(g, t->module, fits) : QP_OK;
}

qp_status dmg_exclude_unknown(dmg *g, bool *fits, qp_err *err) {
    const dmg_tensor *t = dmg_pick(g, is_quantized);
    const char *item;
    *fits = false;
    if (t == NULL) return QP_OK;
    QP_TRY(qp_arena_printf(g->arena, &item, err, "%s_old", t->module));
    return append(g, item, fits);
}

// ---- another scheme
// -------------------------------------------------------------------------------------------------------------

static const char *another_algo(const json_t *quant_algo) {
    static const char *const bytes[] = {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "fp8_pb_wo", "MXFP8"};
    const char *now = json_string_value(quant_algo);
    for (int i = 0; i < QP_COUNT(bytes); i++)
        if (now != NULL && !strcmp(now, bytes[i])) return "NVFP4";
    return "FP8";
}

static qp_status modelopt_scheme(dmg *g, bool both, bool *fits) {
    json_t *hf = hf_quantization(g), *q = quantization_config(g);
    json_t *algo = json_object_get(hf, "quant_algo");
    *fits = algo != NULL && json_object_get(hf, "quantized_layers") == NULL && q != NULL;
    if (!*fits) return QP_OK;
    const char *to = another_algo(algo);
    if (both) {
        json_object_set_new(q, "quant_algo", json_string(to));
        json_object_del(q, "config_groups");
    }
    json_object_set_new(hf, "quant_algo", json_string(to));
    if (!strcmp(to, "NVFP4")) json_object_set_new(hf, "group_size", json_integer(16));
    g->json_dirty[DMG_HF_QUANT] = true;
    g->json_dirty[DMG_CONFIG] = both;
    return QP_OK;
}

static qp_status ct_scheme(dmg *g, bool *fits) {
    json_t *q = quantization_config(g), *group = only_group(g);
    const char *format = json_string_value(json_object_get(q, "format"));
    *fits = format != NULL && group != NULL;
    if (!*fits) return QP_OK;
    const bool is_int = !strcmp(format, "int-quantized");
    const char *to = is_int ? "float-quantized" : "int-quantized";
    json_object_set_new(q, "format", json_string(to));
    json_object_set_new(group, "format", json_string(to));
    json_object_set_new(group, "weights",
                        json_pack("{s:i, s:s, s:s, s:b, s:b}", "num_bits", 8, "type",
                                  is_int ? "float" : "int", "strategy", "channel", "symmetric", 1, "dynamic",
                                  0));
    g->json_dirty[DMG_CONFIG] = true;
    return QP_OK;
}

static qp_status bits_scheme(dmg *g, bool *fits) { // AWQ, GPTQ
    json_t *q = quantization_config(g);
    *fits = json_object_get(q, "bits") != NULL;
    if (!*fits) return QP_OK;
    const json_int_t other = json_integer_value(json_object_get(q, "bits")) == 8 ? 4 : 8;
    json_object_set_new(q, "bits", json_integer(other));
    if (g->json[DMG_QUANTIZE] != NULL)
        json_object_set_new(g->json[DMG_QUANTIZE], "bits", json_integer(other));
    g->json_dirty[DMG_CONFIG] = true;
    g->json_dirty[DMG_QUANTIZE] = g->json[DMG_QUANTIZE] != NULL;
    return QP_OK;
}

qp_status dmg_config_scheme(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    g->where = "";
    if (g->json[DMG_HF_QUANT] != NULL) return modelopt_scheme(g, true, fits);
    if (only_group(g) != NULL) return ct_scheme(g, fits);
    return bits_scheme(g, fits);
}

qp_status dmg_config_contradicts(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    g->where = "quant_config.json";
    *fits = false;
    return g->json[DMG_HF_QUANT] != NULL ? modelopt_scheme(g, false, fits) : QP_OK;
}

// Every group_size of every config becomes another one.
static bool other_sizes(json_t *v) {
    bool any = false;
    const char *key;
    json_t *item;
    json_object_foreach(v, key, item) {
        if (!strcmp(key, "group_size") && json_integer_value(item) > 0) {
            const json_int_t now = json_integer_value(item);
            json_integer_set(item, now == 16 ? 32 : now == 32 ? 16 : now / 2);
            any = true;
        } else if (json_is_object(item)) {
            any |= other_sizes(item) && strcmp(key, "input_activations") != 0; // no tensor shows theirs
        }
    }
    return any;
}

qp_status dmg_config_group(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    *fits = false;
    g->where = "";
    for (int i = 0; i < DMG_INDEX; i++) {
        if (g->json[i] == NULL || !other_sizes(g->json[i])) continue;
        g->json_dirty[i] = true;
        *fits = true;
    }
    return QP_OK;
}

// The configs promise a quantized cache that no tensor belongs to.
qp_status dmg_kv_config(dmg *g, bool *fits, qp_err *err) {
    json_t *hf = hf_quantization(g), *q = quantization_config(g);
    (void)err;
    *fits = hf != NULL && q != NULL && dmg_pick(g, dmg_is_kv) == NULL;
    if (!*fits) return QP_OK;
    json_object_set_new(hf, "kv_cache_quant_algo", json_string("FP8"));
    json_object_set_new(q, "kv_cache_scheme",
                        json_pack("{s:b, s:i, s:s}", "dynamic", 0, "num_bits", 8, "type", "float"));
    g->json_dirty[DMG_CONFIG] = g->json_dirty[DMG_HF_QUANT] = true;
    g->where = "";
    return QP_OK;
}
