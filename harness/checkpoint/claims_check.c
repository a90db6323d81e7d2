// SPDX-License-Identifier: Apache-2.0
// hf_quant_config.json against config.json: the same facts twice, so that they can contradict each other; and
// the keys that loaders refuse to go without (shapes spec 2.9).
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "checkpoint/claims.h"
#include "core/text.h"

// Types were judged when the items were read; here what has the wrong one is not there.
static const char *text_of(const qp_ck_node *n, const char *key) {
    return n->json != NULL ? json_string_value(json_object_get(n->json, key)) : NULL;
}

static json_t *object_of(const qp_ck_node *n, const char *key) {
    json_t *j = n->json != NULL ? json_object_get(n->json, key) : NULL;
    return json_is_object(j) ? j : NULL;
}

// ---- algorithm, group size, KV cache
// ------------------------------------------------------------------------------------------------

static qp_status check_algo(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                            qp_err *err) {
    const char *a = text_of(hf, "quant_algo"), *b = text_of(cfg, "quant_algo");
    if (a == NULL || b == NULL || strcasecmp(a, b) == 0) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, hf, "quant_algo", "'%.100s' here, '%.100s' in %s", a, b,
                     cfg->file);
}

static qp_status check_group_size(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                                  qp_err *err) {
    const char *key;
    json_t *group, *a = json_object_get(hf->json, "group_size"), *groups = object_of(cfg, "config_groups");
    if (!json_is_integer(a)) return QP_OK;
    json_object_foreach(groups, key, group) {
        const json_t *b = json_object_get(json_object_get(group, "weights"), "group_size");
        if (!json_is_integer(b) || json_equal(a, b)) continue;
        return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, hf, "group_size",
                         "%lld here, %lld in %s %s.config_groups.%.60s", (long long)json_integer_value(a),
                         (long long)json_integer_value(b), cfg->file, cfg->where, key);
    }
    return QP_OK;
}

static const char *kv_name(qp_ck_kv kv) {
    static const char *const names[] = {[QP_CK_KV_NONE] = "none",
                                        [QP_CK_KV_FP8] = "FP8",
                                        [QP_CK_KV_NVFP4] = "NVFP4",
                                        [QP_CK_KV_FP8_AFFINE] = "FP8_AFFINE",
                                        [QP_CK_KV_NVFP4_AFFINE] = "NVFP4_AFFINE",
                                        [QP_CK_KV_UNKNOWN] = "another one"};
    return names[kv];
}

// An object of arguments cannot say affine.
static qp_ck_kv plain_kv(qp_ck_kv kv) {
    return kv == QP_CK_KV_FP8_AFFINE ? QP_CK_KV_FP8 : kv == QP_CK_KV_NVFP4_AFFINE ? QP_CK_KV_NVFP4 : kv;
}

static qp_status check_kv(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg, qp_err *err) {
    qp_ck_kv a = QP_CK_KV_NONE, b = QP_CK_KV_NONE;
    const char *text = text_of(hf, "kv_cache_quant_algo");
    if (text != NULL) qp_ck_kv_named(text, &a);
    text = text_of(cfg, "kv_cache_quant_algo");
    if (text == NULL) text = text_of(cfg, "kv_cache_scheme");
    if (text != NULL)
        qp_ck_kv_named(text, &b);
    else if (object_of(cfg, "kv_cache_scheme") != NULL)
        b = plain_kv(r->k->kv); // as read: config.json speaks first
    if (text == NULL) a = plain_kv(a);
    if (a == b) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, hf, "kv_cache_quant_algo", "KV cache: %s here, %s in %s",
                     kv_name(a), kv_name(b), cfg->file);
}

// ---- excluded names
// -------------------------------------------------------------------------------------------------------------

static int by_bytes(const void *a, const void *b) {
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    const size_t n = json_string_length(x), m = json_string_length(y);
    const int order = memcmp(json_string_value(x), json_string_value(y), n < m ? n : m);
    return order != 0 ? order : (n > m) - (n < m);
}

// The texts of a list, sorted, each once.
static qp_status texts_of(const qp_ck_reading *r, json_t *list, json_t ***out, size_t *n, qp_err *err) {
    size_t i, kept = 0;
    json_t *v;
    *n = 0;
    QP_TRY(QP_NEW(r->a, *out, json_array_size(list) + 1));
    json_array_foreach(list, i, v) if (json_is_string(v))(*out)[(*n)++] = v;
    if (*n > 1) qsort(*out, *n, sizeof **out, by_bytes);
    for (i = 0; i < *n; i++)
        if (kept == 0 || by_bytes(&(*out)[kept - 1], &(*out)[i]) != 0) (*out)[kept++] = (*out)[i];
    *n = kept;
    return QP_OK;
}

enum { SHOWN = 3 }; // names of a difference

typedef struct difference {
    size_t n;
    qp_text text;
} difference;

static qp_status differ(const qp_ck_reading *r, difference *d, const json_t *name, qp_err *err) {
    const char *shown;
    if (d->n++ >= SHOWN) return QP_OK;
    QP_TRY(qp_ck_show(json_string_value(name), json_string_length(name), r->a, &shown, err));
    return qp_text_add(&d->text, err, "%s'%.200s'", d->n > 1 ? ", " : "", shown);
}

static qp_status say_differences(const qp_ck_reading *r, const qp_ck_node *hf, const char *file,
                                 difference *here, difference *there, qp_err *err) {
    if (here->n + there->n == 0) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, hf, "exclude_modules",
                     "not the list of %s: %zu name%s only here (%s%s), %zu only there (%s%s)", file, here->n,
                     here->n == 1 ? "" : "s", here->n > 0 ? here->text.s : "none",
                     here->n > SHOWN ? ", ..." : "", there->n, there->n > 0 ? there->text.s : "none",
                     there->n > SHOWN ? ", ..." : "");
}

static qp_status check_excludes(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                                qp_err *err) {
    json_t *a = json_object_get(hf->json, "exclude_modules"), *b = json_object_get(cfg->json, "ignore");
    json_t **x, **y;
    size_t n, m, i = 0, j = 0;
    difference here = {.text = {.arena = r->a}}, there = here;
    if (b == NULL) b = json_object_get(cfg->json, "exclude_modules");
    QP_TRY(texts_of(r, a, &x, &n, err));
    QP_TRY(texts_of(r, b, &y, &m, err));
    while (i < n || j < m) {
        const int order = i == n ? 1 : j == m ? -1 : by_bytes(&x[i], &y[j]);
        if (order < 0) QP_TRY(differ(r, &here, x[i], err));
        if (order > 0) QP_TRY(differ(r, &there, y[j], err));
        i += order <= 0;
        j += order >= 0;
    }
    return say_differences(r, hf, cfg->file, &here, &there, err);
}

// ---- layers of MIXED_PRECISION
// ------------------------------------------------------------------------------------------------------

static bool same_item(const json_t *a, const json_t *b, const char *key) {
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return (x == NULL && y == NULL) || json_equal(x, y);
}

static qp_status check_layers(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                              qp_err *err) {
    json_t *a = object_of(hf, "quantized_layers"), *b = object_of(cfg, "quantized_layers"), *v;
    const char *key, *first = NULL;
    size_t n = 0;
    if (a == NULL || b == NULL) return QP_OK;
    json_object_foreach(a, key, v) {
        const json_t *other = json_object_get(b, key);
        if (other != NULL && same_item(v, other, "quant_algo") && same_item(v, other, "group_size")) continue;
        if (n++ == 0) first = key;
    }
    json_object_foreach(b, key, v) {
        if (json_object_get(a, key) != NULL) continue;
        if (n++ == 0) first = key;
    }
    if (n == 0) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, hf, "quantized_layers",
                     "%zu module%s said otherwise in %s, the first is '%.200s'", n, n == 1 ? "" : "s",
                     cfg->file, first);
}

// ---- what loaders require
// -------------------------------------------------------------------------------------------------------------

static qp_status require(const qp_ck_reading *r, const qp_ck_node *hf, const char *key, const char *algo,
                         qp_err *err) {
    if (json_object_get(hf->json, key) != NULL) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, hf, key, "missing: vLLM refuses a %.60s file without it", algo);
}

// Keys that vLLM wants of hf_quant_config.json, which it reads where config.json says nothing.
static qp_status check_required(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                                qp_err *err) {
    const char *algo = text_of(hf, "quant_algo");
    if (algo == NULL || cfg->json != NULL) return QP_OK;
    const bool nvfp4 = strcasecmp(algo, "NVFP4") == 0;
    if (!nvfp4 && strcasecmp(algo, "MXFP8") != 0) return QP_OK;
    if (nvfp4) QP_TRY(require(r, hf, "group_size", algo, err));
    QP_TRY(require(r, hf, "kv_cache_quant_algo", algo, err));
    return require(r, hf, "exclude_modules", algo, err);
}

static qp_status check_mixed(const qp_ck_reading *r, const qp_ck_node *n, qp_err *err) {
    const char *algo = text_of(n, "quant_algo");
    if (algo == NULL || strcasecmp(algo, "MIXED_PRECISION") != 0) return QP_OK;
    if (json_object_size(object_of(n, "quantized_layers")) > 0) return QP_OK;
    return QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, n, "quantized_layers",
                     "missing or empty: loaders refuse MIXED_PRECISION without it");
}

qp_status qp_ck_check_modelopt(const qp_ck_reading *r, const qp_ck_node *hf, const qp_ck_node *cfg,
                               qp_err *err) {
    const bool mixed =
        text_of(hf, "quant_algo") != NULL && strcasecmp(text_of(hf, "quant_algo"), "MIXED_PRECISION") == 0;
    QP_TRY(check_required(r, hf, cfg, err));
    QP_TRY(check_mixed(r, hf, err));
    QP_TRY(check_mixed(r, cfg, err));
    if (hf->json == NULL || cfg->json == NULL) return QP_OK;
    QP_TRY(check_algo(r, hf, cfg, err));
    if (!mixed) QP_TRY(check_group_size(r, hf, cfg, err));
    QP_TRY(check_kv(r, hf, cfg, err));
    QP_TRY(check_layers(r, hf, cfg, err));
    return check_excludes(r, hf, cfg, err);
}
