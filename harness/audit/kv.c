// SPDX-License-Identifier: Apache-2.0
// Rule kv-scale: the scales of the KV cache come in pairs, in every attention layer alike, as numbers, and
// only when a config asks for them. Their values are looked at elsewhere.
#include <stdlib.h>
#include <string.h>

#include "audit/structure.h"
#include "checkpoint/names.h"

typedef struct attention { // one layer: self_attn, or its k_proj and v_proj
    const char *name;
    uint32_t n;
    const qp_ck_tensor *part[4]; // K_SCALE, V_SCALE, K_BIAS, V_BIAS
    bool direct;                 // the names stand on the attention itself
} attention;

static const struct {
    qp_ck_role role;
    const char *word, *owner, *tensor;
    int twin;
} parts[4] = {{QP_CK_K_SCALE, "k_scale", ".k_proj", ".k_proj.k_scale", 1},
              {QP_CK_V_SCALE, "v_scale", ".v_proj", ".v_proj.v_scale", 0},
              {QP_CK_K_BIAS, "k_bias", ".k_proj", ".k_proj.k_bias", 3},
              {QP_CK_V_BIAS, "v_bias", ".v_proj", ".v_proj.v_bias", 2}};

static const char alone[] = "vLLM takes 1.0 for the one that is missing: keys or values lose their range";

static bool ends(const char *s, uint32_t n, const char *word) {
    const size_t len = strlen(word);
    return n >= len && memcmp(s + n - len, word, len) == 0;
}

static int by_name(const void *a, const void *b) {
    const attention *x = a, *y = b;
    return qp_ck_name_order(x->name, x->n, y->name, y->n);
}

// ---- gathering
// ------------------------------------------------------------------------------------------------------------

static uint32_t add(const qp_ck_module *m, attention *list, uint32_t n) {
    for (int i = 0; i < 4; i++) {
        if (m->part[parts[i].role] == NULL) continue;
        attention x = {.name = m->name, .n = m->n_name, .direct = true};
        if (ends(m->name, m->n_name, parts[i].owner)) {
            x.n -= (uint32_t)strlen(parts[i].owner);
            x.direct = false;
        }
        x.part[i] = m->part[parts[i].role];
        list[n++] = x;
    }
    return n;
}

static uint32_t merge(attention *list, uint32_t n) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || by_name(&list[kept - 1], &list[i]) != 0) {
            list[kept++] = list[i];
            continue;
        }
        for (int p = 0; p < 4; p++)
            if (list[kept - 1].part[p] == NULL) list[kept - 1].part[p] = list[i].part[p];
    }
    return kept;
}

// ---- one layer
// ----------------------------------------------------------------------------------------------------------

static qp_status say_absent(const qp_str *s, const attention *x, int part, const char *text, qp_err *err) {
    const char *name;
    if (s->audit->ckpt.part) return QP_OK;
    QP_TRY(qp_arena_printf(s->arena, &name, err, "%.*s%s%s", (int)x->n, x->name, x->direct ? "." : "",
                           x->direct ? parts[part].word : parts[part].tensor));
    return qp_ck_found(s->findings, QP_CK_KV_SCALE, name, strlen(name), alone, err, "%s", text);
}

static bool is_affine(qp_ck_kv kv) {
    return kv == QP_CK_KV_FP8_AFFINE || kv == QP_CK_KV_NVFP4_AFFINE;
}

static qp_status judge_pairs(const qp_str *s, const attention *x, qp_ck_kv kv, qp_err *err) {
    for (int i = 0; i < 4; i++)
        if (x->part[i] == NULL && x->part[parts[i].twin] != NULL)
            QP_TRY(say_absent(s, x, i, "wanted both of a pair, got the other one alone", err));
    if (is_affine(kv) && x->part[2] == NULL && x->part[3] == NULL)
        QP_TRY(say_absent(s, x, 2, "the config says an affine KV cache: wanted biases, got none", err));
    // Model Optimizer says FP8 of an affine FP8 cache too (2.2); only NVFP4 has a word of its own
    if (kv == QP_CK_KV_NVFP4 && x->part[2] != NULL)
        QP_TRY(qp_ck_found(s->findings, QP_CK_KV_SCALE, x->part[2]->name, x->part[2]->n_name, NULL, err,
                           "the config says no affine KV cache: wanted no bias, got one"));
    return QP_OK;
}

// One number; one per head where compressed-tensors says so.
static bool is_number(const qp_ck_tensor *t, qp_ck_dialect d) {
    if (t->n_elems == 1 && t->n_dims <= 1) return true;
    return d == QP_CK_COMPRESSED_TENSORS && t->n_dims == 3 && t->dims[1] == 1 && t->dims[2] == 1;
}

static bool is_real(const qp_ck_tensor *t, qp_ck_dialect d) {
    if (t->dtype == QP_ST_F32) return true;
    return d != QP_CK_MODELOPT && (t->dtype == QP_ST_BF16 || t->dtype == QP_ST_F16);
}

static qp_status judge_forms(const qp_str *s, const attention *x, qp_err *err) {
    const qp_ck_dialect d = qp_ck_claims_dialect(s->audit->claims);
    for (int i = 0; i < 2; i++) {
        const qp_ck_tensor *t = x->part[i];
        const char *shape;
        if (t == NULL) continue;
        QP_TRY(qp_ck_shape_text(t, s->arena, &shape, err));
        if (!is_number(t, d))
            QP_TRY(qp_ck_found(s->findings, QP_CK_KV_SCALE, t->name, t->n_name, NULL, err,
                               "wanted one number, [] or [1], got %s", shape));
        if (!is_real(t, d))
            QP_TRY(qp_ck_found(s->findings, QP_CK_DTYPE, t->name, t->n_name, NULL, err,
                               "%s of the KV cache: wanted %s, got %s", parts[i].word,
                               d == QP_CK_MODELOPT ? "F32" : "F32 or BF16 or F16", qp_ck_dtype_name(t)));
    }
    return QP_OK;
}

// self_attn.attn.k_scale is vLLM's own name, self_attn.k_proj.k_scale what exporters write: loaders take
// whichever comes last.
static qp_status judge_names(const qp_str *s, const attention *list, uint32_t n, const attention *x,
                             qp_err *err) {
    static const char inner[] = ".attn";
    if (!x->direct || !ends(x->name, x->n, inner)) return QP_OK;
    const attention key = {.name = x->name, .n = x->n - (uint32_t)strlen(inner)};
    const attention *outer = bsearch(&key, list, n, sizeof *list, by_name);
    for (int i = 0; i < 2 && outer != NULL; i++) {
        const qp_ck_tensor *a = x->part[i], *b = outer->part[i];
        const char *shown;
        if (a == NULL || b == NULL || a->dtype != b->dtype || a->n_elems != 1 || b->n_elems != 1 ||
            memcmp(a->data, b->data, a->n_bytes) == 0)
            continue;
        QP_TRY(qp_ck_show(b->name, b->n_name, s->arena, &shown, err));
        QP_TRY(qp_ck_found(s->findings, QP_CK_KV_SCALE, a->name, a->n_name,
                           "loaders know both names and keep the one that they read last", err,
                           "wanted the number of %.200s, its other name, got another one", shown));
    }
    return QP_OK;
}

// ---- layers without scales among layers with
// --------------------------------------------------------------------------------

static const char *const keepers[] = {".k_proj", ".kv_b_proj", ".qkv_proj"}; // of what a cache holds

static bool has_keeper(const qp_str *s, const attention *x, const char *keeper) {
    char path[512];
    const uint32_t n = (uint32_t)strlen(keeper);
    if (x->n + n > sizeof path) return false;
    memcpy(path, x->name, x->n);
    memcpy(path + x->n, keeper, n);
    const qp_ck_module *m = qp_ck_module_find(&s->audit->modules, path, x->n + n);
    return m != NULL && m->part[QP_CK_WEIGHT] != NULL;
}

// The same name but for its numbers.
static bool alike(const char *a, uint32_t n_a, const char *b, uint32_t n_b) {
    uint32_t i = 0, j = 0;
    while (i < n_a && j < n_b) {
        const bool x = a[i] >= '0' && a[i] <= '9', y = b[j] >= '0' && b[j] <= '9';
        if (x != y || (!x && a[i] != b[j])) return false;
        if (!x) {
            i++, j++;
            continue;
        }
        while (i < n_a && a[i] >= '0' && a[i] <= '9') i++;
        while (j < n_b && b[j] >= '0' && b[j] <= '9') j++;
    }
    return i == n_a && j == n_b;
}

static qp_status judge_rest(const qp_str *s, const attention *list, uint32_t n, const char *keeper,
                            qp_err *err) {
    static const char *const depth[] = {"num_hidden_layers"};
    const int64_t layers = qp_str_config_number(&s->audit->ckpt, depth, 1);
    const qp_ck_modules *modules = &s->audit->modules;
    const attention *model = NULL;
    for (uint32_t i = 0; i < n && model == NULL; i++)
        if (list[i].part[0] != NULL && has_keeper(s, &list[i], keeper)) model = &list[i];
    for (uint32_t i = 0; i < modules->n && model != NULL; i++) {
        const qp_ck_module *m = &modules->list[i];
        if (m->part[QP_CK_WEIGHT] == NULL || !ends(m->name, m->n_name, keeper)) continue;
        if (layers > 0 && m->layer >= layers) continue; // MTP
        const attention x = {m->name, m->n_name - (uint32_t)strlen(keeper), {0}, model->direct};
        if (!alike(x.name, x.n, model->name, model->n)) continue;
        if (bsearch(&x, list, n, sizeof *list, by_name) != NULL) continue;
        QP_TRY(say_absent(s, &x, 0, "wanted K and V scales as in the other layers, got none", err));
    }
    return QP_OK;
}

qp_status qp_str_kv(const qp_str *s, qp_err *err) {
    const qp_ck_modules *modules = &s->audit->modules;
    const qp_ck_kv kv = qp_ck_claims_kv(s->audit->claims);
    const bool silent = s->audit->ckpt.config.root == NULL && s->audit->ckpt.hf_quant.root == NULL;
    attention *list;
    uint32_t n = 0;
    for (uint32_t i = 0; i < modules->n; i++)
        for (int p = 0; p < 4; p++) n += modules->list[i].part[parts[p].role] != NULL;
    QP_TRY(QP_NEW(s->arena, list, n));
    n = 0;
    for (uint32_t i = 0; i < modules->n; i++) n = add(&modules->list[i], list, n);
    qsort(list, n, sizeof *list, by_name);
    n = merge(list, n);
    for (uint32_t i = 0; i < n; i++) {
        const attention *x = &list[i];
        const qp_ck_tensor *first = x->part[0] != NULL ? x->part[0] : x->part[1];
        QP_TRY(judge_forms(s, x, err));
        QP_TRY(judge_pairs(s, x, kv, err));
        QP_TRY(judge_names(s, list, n, x, err));
        if (kv == QP_CK_KV_NONE && !silent && first != NULL)
            QP_TRY(qp_ck_found(s->findings, QP_CK_KV_SCALE, first->name, first->n_name,
                               "loaders keep the cache in the model's type and ignore the scale, or stop",
                               err, "no config asks for a quantized KV cache: wanted no scale, got one"));
    }
    for (int i = 0; i < QP_COUNT(keepers); i++) QP_TRY(judge_rest(s, list, n, keepers[i], err));
    if (n > 0 || kv == QP_CK_KV_NONE || kv == QP_CK_KV_UNKNOWN || s->audit->ckpt.part) return QP_OK;
    return qp_ck_found(s->findings, QP_CK_KV_SCALE, "kv_cache", strlen("kv_cache"),
                       "vLLM takes 1.0 for every scale of the cache, with a warning only", err,
                       "the config asks for a quantized KV cache: wanted its scales, got none");
}
