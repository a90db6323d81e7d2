// SPDX-License-Identifier: Apache-2.0
// Do configs and tensors agree? Finds config-tensors (codes that the config denies, or another scheme than it
// says), exclude-missing (plain weights that the config quantizes) and exclude-unknown (items that name
// nothing).
#include <stdio.h>
#include <string.h>

#include "audit/audit.h"
#include "checkpoint/names.h"
#include "core/text.h"

// ---- findings of many modules: one per kind, the first few modules named
// -------------------------------------------------------------

enum { PAIRS = 64, SHOWN = 3 };

typedef struct pair {
    const char *claimed, *found, *by; // claimed: the scheme's name, or what the config says instead of one
    uint64_t n;
    const qp_ck_module *first[SHOWN];
} pair;

typedef struct pairs {
    pair list[PAIRS]; // the last one takes what is left
    int n;
} pairs;

static void add_pair(pairs *p, const char *claimed, const char *found, const char *by,
                     const qp_ck_module *m) {
    int i = 0;
    while (i < p->n && (strcmp(p->list[i].claimed, claimed) != 0 || strcmp(p->list[i].found, found) != 0))
        i++;
    if (i == PAIRS) i = PAIRS - 1;
    if (i == p->n) p->list[p->n++] = (pair){.claimed = claimed, .found = found, .by = by};
    if (p->list[i].n < SHOWN) p->list[i].first[p->list[i].n] = m;
    p->list[i].n++;
}

static qp_status say_pair(const pair *p, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    qp_text others = {.arena = a};
    QP_TRY(qp_text_add(&others, err, "%s", ""));
    for (uint64_t i = 1; i < p->n && i < SHOWN; i++) {
        const char *shown;
        QP_TRY(qp_ck_show(p->first[i]->name, p->first[i]->n_name, a, &shown, err));
        QP_TRY(qp_text_add(&others, err, "%s %.200s", i == 1 ? "; also" : ",", shown));
    }
    if (p->n > SHOWN) QP_TRY(qp_text_add(&others, err, " and %llu more", (unsigned long long)(p->n - SHOWN)));
    return qp_ck_found(f, QP_CK_CONFIG_TENSORS, p->first[0]->name, p->first[0]->n_name, NULL, err,
                       "tensors are %s, the config says %s%s%s%s%s", p->found, p->claimed,
                       p->by != NULL ? " (" : "", p->by != NULL ? p->by : "", p->by != NULL ? ")" : "",
                       others.s);
}

// ---- one module
// -----------------------------------------------------------------------------------------------------------------

static qp_status plain_module(const qp_ck_module *m, qp_ck_findings *f, qp_err *err) {
    if (!m->linear || m->claim.kind != QP_CK_QUANTIZED) return QP_OK;
    return qp_ck_found(f, QP_CK_EXCLUDE_MISSING, m->name, m->n_name, NULL, err,
                       "plain %s, and no exclude item names it: %s quantizes it",
                       qp_ck_dtype_name(m->part[QP_CK_WEIGHT]), m->claim.by);
}

static void coded_module(const qp_audit *u, const qp_ck_module *m, pairs *p) {
    const char *found = m->scheme != NULL ? m->scheme->name : "codes";
    const qp_ck_dialect d = qp_ck_claims_dialect(u->claims);
    if (m->scheme == NULL && !m->linear) return; // a mask or a table of integers
    switch (m->claim.kind) {
    case QP_CK_QUANTIZED:
        if (m->scheme != NULL && m->claim.scheme != NULL &&
            strcmp(m->scheme->name, m->claim.scheme->name) != 0)
            add_pair(p, m->claim.scheme->name, found, m->claim.by, m);
        break;
    case QP_CK_EXCLUDED:
        add_pair(p, "not quantized", found, m->claim.by, m);
        break;
    case QP_CK_SILENT:
        // A file alone has no config to contradict.
        if (d != QP_CK_UNKNOWN && u->ckpt.config.root != NULL) add_pair(p, "nothing of it", found, NULL, m);
        break;
    case QP_CK_NOT_TARGET:
        break; // more than loaders of that dialect ask for, and no contradiction
    }
}

static qp_status check_modules(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    pairs *p;
    QP_TRY(QP_NEW(a, p, 1));
    for (uint32_t i = 0; i < u->modules.n; i++) {
        const qp_ck_module *m = &u->modules.list[i];
        const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
        if (w == NULL) continue;
        if (qp_ck_is_plain(w))
            QP_TRY(plain_module(m, f, err));
        else
            coded_module(u, m, p);
    }
    for (int i = 0; i < p->n; i++) QP_TRY(say_pair(&p->list[i], a, f, err));
    return QP_OK;
}

// ---- activation order of GPTQ
// -----------------------------------------------------------------------------------------------------------

// Seen on the Hub: desc_act put right by a later commit (shapes spec 2.11).
static qp_status check_order(const qp_audit *u, qp_ck_findings *f, qp_err *err) {
    for (uint32_t i = 0; i < u->modules.n; i++) {
        const qp_ck_module *m = &u->modules.list[i];
        const qp_ck_scheme *said = m->claim.kind == QP_CK_QUANTIZED ? m->claim.scheme : NULL;
        const qp_ck_tensor *g = m->part[QP_CK_G_IDX];
        if (said == NULL || said->dialect != QP_CK_GPTQ || said->act_order || !m->sound || g == NULL)
            continue;
        const int64_t size = m->scheme->group_size > 0 ? m->scheme->group_size : m->in;
        for (int64_t k = 0; k < m->in; k++) {
            int32_t group;
            memcpy(&group, g->data + sizeof group * (size_t)k, sizeof group);
            if (group == k / size) continue;
            QP_TRY(qp_ck_found(f, QP_CK_CONFIG_TENSORS, g->name, g->n_name,
                               "kernels without activation order ignore it: columns get the scales of others",
                               err, "the config says desc_act false: wanted group %lld at [%lld], got %d",
                               (long long)(k / size), (long long)k, group));
            break;
        }
    }
    return QP_OK;
}

// ---- exclude items that name nothing
// --------------------------------------------------------------------------------------------

static const json_t *of_model(const qp_audit *u, const char *key) {
    static const char *const nested[] = {"text_config", "language_config", "llm_config"};
    const json_t *v = json_object_get(u->ckpt.config.root, key);
    for (int i = 0; i < QP_COUNT(nested) && v == NULL; i++)
        v = json_object_get(json_object_get(u->ckpt.config.root, nested[i]), key);
    return v;
}

static bool has(const char *s, size_t n, const char *word) {
    return memmem(s, n, word, strlen(word)) != NULL;
}

// The number behind "layers.", -1: none.
static int64_t layer_of(const char *s, size_t n) {
    static const char word[] = "layers.";
    const char *at = memmem(s, n, word, sizeof word - 1);
    int64_t v = 0;
    if (at == NULL) return -1;
    at += sizeof word - 1;
    if (at == s + n || *at < '0' || *at > '9') return -1;
    for (; at < s + n && *at >= '0' && *at <= '9' && v < INT32_MAX; at++) v = 10 * v + (*at - '0');
    return v;
}

// Why a name without a tensor is sound; NULL: it is not.
static const char *absent_because(const qp_audit *u, const char *s, size_t n) {
    const json_t *layers = of_model(u, "num_hidden_layers");
    const bool ends = has(s, n, "lm_head") || has(s, n, "embed"); // either end of a tied pair
    // transformers writes tie_word_embeddings only where it differs from the class, whose default is true
    if (ends && !json_is_false(of_model(u, "tie_word_embeddings")))
        return "tied embeddings: one tensor for both";
    if (has(s, n, "mtp") || has(s, n, "nextn")) return "a multi-token-prediction layer, left out";
    if (json_is_integer(layers) && layer_of(s, n) >= json_integer_value(layers))
        return "a layer behind the last one (multi-token prediction), left out";
    return NULL;
}

static bool any_unused(const qp_ck_claims *k) {
    for (int i = 0; i < qp_ck_claims_excludes(k); i++) {
        size_t n;
        bool used;
        qp_ck_claims_exclude(k, i, &n, &used);
        if (!used) return true;
    }
    return false;
}

// Items may name a parameter ("e_score_correction_bias") or what holds no weight: every tensor's whole name
// is asked for as well.
static void use_tensor_names(const qp_audit *u) {
    if (!any_unused(u->claims)) return;
    for (uint32_t i = 0; i < u->ckpt.n_tensors; i++)
        qp_ck_claim_of(u->claims, u->ckpt.tensors[i].name, u->ckpt.tensors[i].n_name);
}

static qp_status check_items(const qp_audit *u, qp_ck_findings *f, qp_err *err) {
    if (u->ckpt.part) return QP_OK;
    use_tensor_names(u);
    for (int i = 0; i < qp_ck_claims_excludes(u->claims); i++) {
        size_t n;
        bool used;
        const char *item = qp_ck_claims_exclude(u->claims, i, &n, &used);
        const char *by = qp_ck_claims_exclude_by(u->claims, i);
        if (used) continue;
        const char *why = absent_because(u, item, n);
        if (why != NULL)
            QP_TRY(qp_ck_found(f, QP_CK_TIED_OR_ABSENT, item, n, NULL, err, "%s: %s", by, why));
        else
            QP_TRY(
                qp_ck_found(f, QP_CK_EXCLUDE_UNKNOWN, item, n, NULL, err, "%s: no module has this name", by));
    }
    return QP_OK;
}

// Modules that a config quantizes by name, and that no tensor belongs to.
static qp_status check_names(const qp_audit *u, qp_ck_findings *f, qp_err *err) {
    for (int i = 0; i < qp_ck_claims_names(u->claims) && !u->ckpt.part; i++) {
        size_t n;
        bool used;
        const char *by, *name = qp_ck_claims_name(u->claims, i, &n, &used, &by);
        uint32_t parent, rest;
        int expert; // an absent one is said by expert-set
        if (used || absent_because(u, name, n) != NULL ||
            qp_ck_name_expert(name, (uint32_t)n, &parent, &rest, &expert))
            continue;
        QP_TRY(qp_ck_found(f, QP_CK_CONFIG_TENSORS, name, n, NULL, err,
                           "%s quantizes it by this name: wanted its tensors, got none", by));
    }
    return QP_OK;
}

qp_status qp_pass_config(const qp_audit *u, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    QP_TRY(check_modules(u, a, f, err));
    QP_TRY(check_order(u, f, err));
    QP_TRY(check_items(u, f, err));
    return check_names(u, f, err);
}
