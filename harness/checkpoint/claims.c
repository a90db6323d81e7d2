// SPDX-License-Identifier: Apache-2.0
// What the configs of a checkpoint say: which of them speaks, in which dialect, and what it claims of a
// module. Top to bottom: find the config, name the dialect, read it, answer.
#include "checkpoint/claims.h"

#include <string.h>
#include <strings.h>

// ---- the config that speaks
// ------------------------------------------------------------------------------------------------------

typedef struct speakers {
    qp_ck_node top;  // config.json
    qp_ck_node cfg;  // the quantization config inside it
    qp_ck_node hf;   // hf_quant_config.json
    qp_ck_node file; // quantize_config.json or quant_config.json
    qp_ck_node mlx;  // `quantization` of config.json
} speakers;

static const char *base_name(const char *path, const char *fallback) {
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return slash != NULL ? slash + 1 : fallback;
}

// At the top, or in the config of the language model of a multimodal one.
static qp_status find_cfg(const qp_ck_reading *r, const qp_ck_node *top, qp_ck_node *out, qp_err *err) {
    static const char *const nested[] = {"text_config", "language_config", "llm_config"};
    QP_TRY(qp_ck_item_get(r, top, "quantization_config", QP_CK_OBJECT, out, err));
    if (out->json == NULL) // its name before 2024
        QP_TRY(qp_ck_item_get(r, top, "compression_config", QP_CK_OBJECT, out, err));
    for (int i = 0; i < QP_COUNT(nested) && out->json == NULL; i++) {
        qp_ck_node inner;
        QP_TRY(qp_ck_item_get(r, top, nested[i], QP_CK_OBJECT, &inner, err));
        QP_TRY(qp_ck_item_get(r, &inner, "quantization_config", QP_CK_OBJECT, out, err));
    }
    return QP_OK;
}

static qp_status find_speakers(const qp_ck_reading *r, const qp_ckpt *c, speakers *s, qp_err *err) {
    s->top = (qp_ck_node){"config.json", "", c->config.root};
    s->hf = (qp_ck_node){"hf_quant_config.json", "", c->hf_quant.root};
    s->file = (qp_ck_node){base_name(c->quantize.path, "quantize_config.json"), "", c->quantize.root};
    QP_TRY(find_cfg(r, &s->top, &s->cfg, err));
    return qp_ck_item_get(r, &s->top, "quantization", QP_CK_OBJECT, &s->mlx, err);
}

// ---- the dialect
// ------------------------------------------------------------------------------------------------------------------

static const struct {
    const char *method;
    qp_ck_dialect dialect;
} methods[] = {{"modelopt", QP_CK_MODELOPT},
               {"modelopt_fp4", QP_CK_MODELOPT},
               {"modelopt_mixed", QP_CK_MODELOPT},
               {"compressed-tensors", QP_CK_COMPRESSED_TENSORS},
               {"compressed_tensors", QP_CK_COMPRESSED_TENSORS},
               {"fp8", QP_CK_FP8},
               {"mxfp4", QP_CK_GPT_OSS},
               {"awq", QP_CK_AWQ},
               {"awq_marlin", QP_CK_AWQ},
               {"gptq", QP_CK_GPTQ},
               {"gptq_marlin", QP_CK_GPTQ},
               {"gptqmodel", QP_CK_GPTQ}};

static const struct { // files without a quant_method: the first key that one of them has
    const char *key;
    qp_ck_dialect dialect;
} keys[] = {{"quant_algo", QP_CK_MODELOPT}, {"config_groups", QP_CK_COMPRESSED_TENSORS},
            {"desc_act", QP_CK_GPTQ},       {"damp_percent", QP_CK_GPTQ},
            {"zero_point", QP_CK_AWQ},      {"w_bit", QP_CK_AWQ},
            {"q_group_size", QP_CK_AWQ},    {"weight_block_size", QP_CK_FP8}};

static bool has_key(const qp_ck_node *n, const char *key) {
    return n->json != NULL && json_object_get(n->json, key) != NULL;
}

static qp_ck_dialect dialect_of(const speakers *s, const char *method) {
    for (int i = 0; method != NULL && i < QP_COUNT(methods); i++)
        if (strcasecmp(method, methods[i].method) == 0) return methods[i].dialect;
    if (method != NULL) return QP_CK_UNKNOWN;
    if (s->cfg.json == NULL && has_key(&s->hf, "quantization")) return QP_CK_MODELOPT;
    for (int i = 0; i < QP_COUNT(keys); i++)
        if (has_key(&s->cfg, keys[i].key) || has_key(&s->file, keys[i].key)) return keys[i].dialect;
    if (has_key(&s->hf, "quantization")) return QP_CK_MODELOPT;
    return s->cfg.json != NULL || s->mlx.json != NULL ? QP_CK_UNKNOWN : QP_CK_PLAIN;
}

static qp_status say_unknown(const qp_ck_reading *r, const speakers *s, const char *method, qp_err *err) {
    const bool mlx = s->mlx.json != NULL && method == NULL;
    QP_TRY(qp_arena_printf(r->a, &r->k->said, err, "%.100s",
                           method != NULL ? method
                           : mlx          ? "mlx"
                                          : "a quantization without a method"));
    return QP_CK_SAY(r, QP_CK_UNCLASSIFIED, mlx ? &s->mlx : &s->cfg, "",
                     "'%s' is no dialect known here: its tensors are listed, not judged", r->k->said);
}

// Two configs for one set of weights: one of them is stale.
static qp_status check_speakers(const qp_ck_reading *r, const speakers *s, const char *method, qp_err *err) {
    if (s->mlx.json != NULL && s->cfg.json != NULL && !json_equal(s->mlx.json, s->cfg.json))
        QP_TRY(QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, &s->mlx, "",
                         "an mlx quantization beside a quantization_config of '%.60s': one of them is stale",
                         method != NULL ? method : "no method"));
    if (has_key(&s->hf, "quantization") && r->k->dialect != QP_CK_MODELOPT)
        QP_TRY(QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, &s->hf, "",
                         "a config of Model Optimizer beside a quantization_config of '%.60s'",
                         method != NULL ? method : "no method"));
    return QP_OK;
}

// ---- reading
// ---------------------------------------------------------------------------------------------------------------------

static qp_status read_dialect(const qp_ck_reading *r, const speakers *s, const char *method, qp_err *err) {
    switch (r->k->dialect) {
    case QP_CK_MODELOPT:
        return qp_ck_read_modelopt(r, &s->hf, &s->cfg, err);
    case QP_CK_COMPRESSED_TENSORS:
        return qp_ck_read_compressed_tensors(r, &s->cfg, err);
    case QP_CK_FP8:
        return qp_ck_read_fp8(r, &s->cfg, err);
    case QP_CK_GPT_OSS:
        return qp_ck_read_mxfp4(r, &s->cfg, err);
    case QP_CK_AWQ:
        return qp_ck_read_awq(r, &s->cfg, &s->file, err);
    case QP_CK_GPTQ:
        return qp_ck_read_gptq(r, &s->cfg, &s->file, err);
    case QP_CK_UNKNOWN:
        return say_unknown(r, s, method, err);
    case QP_CK_PLAIN:
    case QP_CK_DIALECTS:
        break;
    }
    return QP_OK;
}

qp_status qp_ck_claims_read(const qp_ckpt *c, qp_arena *a, qp_ck_findings *f, qp_ck_claims **out,
                            qp_err *err) {
    const char *method;
    speakers s;
    qp_ck_claims *k;
    QP_TRY(QP_NEW(a, k, 1));
    const qp_ck_reading r = {a, f, k};
    *out = k;
    k->whole = -1;
    k->said = "not quantized";
    k->producer = "";
    QP_TRY(find_speakers(&r, c, &s, err));
    QP_TRY(qp_ck_text_get(&r, &s.cfg, "quant_method", &method, err));
    if (method == NULL) QP_TRY(qp_ck_text_get(&r, &s.file, "quant_method", &method, err));
    k->dialect = dialect_of(&s, method);
    QP_TRY(check_speakers(&r, &s, method, err));
    QP_TRY(read_dialect(&r, &s, method, err));
    QP_TRY(qp_ck_list_ready(&k->excludes, a, err));
    QP_TRY(qp_ck_list_ready(&k->names, a, err));
    return qp_ck_list_ready(&k->patterns, a, err);
}

// ---- answers
// ---------------------------------------------------------------------------------------------------------------------

qp_ck_dialect qp_ck_claims_dialect(const qp_ck_claims *k) {
    return k->dialect;
}

const char *qp_ck_claims_said(const qp_ck_claims *k) {
    return k->said;
}

const char *qp_ck_claims_producer(const qp_ck_claims *k) {
    return k->producer;
}

qp_ck_kv qp_ck_claims_kv(const qp_ck_claims *k) {
    return k->kv;
}

static bool has_number(const char *name, size_t n) {
    for (size_t i = 0, begin = 0, digits = 0; i <= n; i++) {
        if (i < n && name[i] != '.') {
            digits += name[i] >= '0' && name[i] <= '9';
            continue;
        }
        if (i > begin && digits == i - begin) return true;
        begin = i + 1;
        digits = 0;
    }
    return false;
}

static bool never(const qp_ck_claims *k, const char *module, size_t n) {
    return (k->not_targets >> qp_ck_kind_of(module, n) & 1) != 0 ||
           (k->only != NULL && !qp_ck_has_segment(module, n, k->only)) ||
           (k->only_in_layers && !has_number(module, n));
}

static qp_ck_claim claim_by(const qp_ck_claims *k, int scheme) {
    const struct qp_ck_said *s = &k->schemes[scheme];
    return (qp_ck_claim){s->excluded ? QP_CK_EXCLUDED : QP_CK_QUANTIZED, s->excluded ? NULL : s->scheme,
                         s->by};
}

// What is named is meant, whatever it is; patterns and "everything" mean only what a loader quantizes.
qp_ck_claim qp_ck_claim_of(const qp_ck_claims *k, const char *module, size_t n) {
    int i = qp_ck_list_find(&k->excludes, module, n);
    if (i >= 0) return (qp_ck_claim){QP_CK_EXCLUDED, NULL, k->excludes.items[i].by};
    if (k->patterns_first && (i = qp_ck_list_find(&k->patterns, module, n)) >= 0)
        return claim_by(k, k->patterns.items[i].value);
    i = qp_ck_list_find(&k->names, module, n);
    if (i >= 0) return claim_by(k, k->names.items[i].value);
    if (never(k, module, n)) return (qp_ck_claim){QP_CK_NOT_TARGET, NULL, NULL};
    i = qp_ck_list_find(&k->patterns, module, n);
    if (i >= 0) return claim_by(k, k->patterns.items[i].value);
    if (k->whole >= 0) return claim_by(k, k->whole);
    return (qp_ck_claim){QP_CK_SILENT, NULL, NULL};
}

int qp_ck_claims_excludes(const qp_ck_claims *k) {
    return k->excludes.n;
}

const char *qp_ck_claims_exclude(const qp_ck_claims *k, int i, size_t *n, bool *used) {
    enum { MARK = 3 }; // "re:" stands before the pattern
    const qp_ck_item *item = &k->excludes.items[i];
    const size_t mark = item->match == QP_CK_REGEX ? MARK : 0;
    *n = item->n + mark;
    *used = qp_ck_list_used(&k->excludes, i);
    return item->text - mark;
}

const char *qp_ck_claims_exclude_by(const qp_ck_claims *k, int i) {
    return k->excludes.items[i].by;
}

int qp_ck_claims_names(const qp_ck_claims *k) {
    return k->names.n;
}

const char *qp_ck_claims_name(const qp_ck_claims *k, int i, size_t *n, bool *used, const char **by) {
    const qp_ck_item *item = &k->names.items[i];
    *n = item->n;
    *used = qp_ck_list_used(&k->names, i) || k->schemes[item->value].excluded;
    *by = k->schemes[item->value].by;
    return item->text;
}
