// SPDX-License-Identifier: Apache-2.0
// What every dialect shares of its claims: a scheme by its word, a list of excluded names with its flaws, the
// words of the KV cache.
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "checkpoint/claims.h"

// ---- schemes
// --------------------------------------------------------------------------------------------------------------------

static qp_status by_text(const qp_ck_reading *r, const qp_ck_node *node, const char *key, const char *what,
                         size_t n_what, const char **out, qp_err *err) {
    const char *path, *shown;
    QP_TRY(qp_ck_item_path(r->a, node, key, &path, err));
    QP_TRY(qp_ck_show(what, n_what, r->a, &shown, err));
    return qp_arena_printf(r->a, out, err, "%s %s '%s'", node->file, path, shown);
}

qp_status qp_ck_say_scheme(const qp_ck_reading *r, const qp_ck_node *node, const char *key,
                           const qp_ck_scheme_ask *ask, int *index, qp_err *err) {
    qp_ck_claims *k = r->k;
    if (k->n_schemes == k->cap_schemes) {
        const int cap = k->cap_schemes == 0 ? 16 : 2 * k->cap_schemes;
        struct qp_ck_said *more;
        QP_TRY(QP_NEW(r->a, more, cap));
        if (k->n_schemes > 0) memcpy(more, k->schemes, sizeof *more * (size_t)k->n_schemes);
        k->schemes = more;
        k->cap_schemes = cap;
    }
    struct qp_ck_said *s = &k->schemes[k->n_schemes];
    const char *said = ask->said != NULL ? ask->said : "";
    *index = k->n_schemes++;
    QP_TRY(by_text(r, node, key, said, strlen(said), &s->by, err));
    QP_TRY(qp_ck_scheme_find(ask, r->a, &s->scheme, err));
    if (s->scheme != NULL) return QP_OK;
    if (ask->group_size != 0)
        return QP_CK_SAY(
            r, QP_CK_UNCLASSIFIED, node, key,
            "'%.100s' is no scheme known here in groups of %d: what it quantizes is listed, not judged", said,
            ask->group_size);
    return QP_CK_SAY(r, QP_CK_UNCLASSIFIED, node, key,
                     "'%.100s' is no scheme known here: what it quantizes is listed, not judged", said);
}

// ---- excluded names
// -------------------------------------------------------------------------------------------------------------

static bool has_control(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f) return true;
    return false;
}

// A name that cannot name a module as written. The modules that it was meant for are then silent, and found
// as such (exclude-missing); so the item counts as used.
static qp_status flaw_of(const qp_ck_reading *r, qp_ck_item *item, qp_ck_spelling how, qp_err *err) {
    const char *flaw = NULL;
    if (item->n == 0) flaw = "an empty name";
    if (item->n > 0 && how == QP_CK_SPELL_LOOSE && item->text[item->n - 1] == '.')
        flaw = "ends with a dot: no module's name does"; // shapes spec 2.2, mutant E-104
    if (has_control(item->text, item->n))
        flaw = "holds NUL or control characters: no module's name does"; // Nemotron-H, 0.46.1 and 0.47.0
    if (flaw == NULL) return QP_OK;
    item->used = true;
    return qp_ck_found(
        r->f, QP_CK_EXCLUDE_UNKNOWN, item->text, item->n,
        "loaders do not find the module that was meant, and quantize it or look for its scales", err,
        "%s: %s", item->by, flaw);
}

static void spell(qp_ck_item *item, qp_ck_spelling how) {
    static const char regex[] = "re:";
    const bool star = memchr(item->text, '*', item->n) != NULL || memchr(item->text, '?', item->n) != NULL;
    if (how != QP_CK_SPELL_AWQ && item->n > 3 && memcmp(item->text, regex, 3) == 0) {
        item->match = QP_CK_REGEX;
        item->text += 3;
        item->n -= 3;
    } else if (how == QP_CK_SPELL_EXACT) {
        item->match = QP_CK_EXACT;
    } else if (star && how == QP_CK_SPELL_LOOSE) {
        item->match = QP_CK_GLOB;
    } else {
        item->match = QP_CK_RUN;
        while (how == QP_CK_SPELL_AWQ && item->n > 0 && item->text[item->n - 1] == '.')
            item->n--; // its idiom
    }
}

qp_status qp_ck_excludes_add(const qp_ck_reading *r, const qp_ck_node *list, qp_ck_spelling how,
                             qp_err *err) {
    size_t i;
    const json_t *v;
    json_array_foreach(list->json, i, v) {
        char key[32];
        const char *why = NULL;
        snprintf(key, sizeof key, "[%zu]", i);
        if (!json_is_string(v)) {
            QP_TRY(QP_CK_SAY(r, QP_CK_FILE_FORMAT, list, key, "a text was wanted"));
            continue;
        }
        qp_ck_item item = {.text = json_string_value(v), .n = json_string_length(v)};
        QP_TRY(by_text(r, list, key, item.text, item.n, &item.by, err));
        QP_TRY(flaw_of(r, &item, how, err));
        spell(&item, how);
        QP_TRY(qp_ck_list_add(&r->k->excludes, item, r->a, &why, err));
        if (why != NULL)
            QP_TRY(QP_CK_SAY(r, QP_CK_CONFIG_TENSORS, list, key, "'%.200s' is no regular expression: %s",
                             item.text, why));
    }
    return QP_OK;
}

// ---- the KV cache
// ---------------------------------------------------------------------------------------------------------------

bool qp_ck_kv_named(const char *text, qp_ck_kv *out) {
    static const struct {
        const char *name;
        qp_ck_kv kv;
    } names[] = {{"FP8", QP_CK_KV_FP8},
                 {"NVFP4", QP_CK_KV_NVFP4},
                 {"FP8_AFFINE", QP_CK_KV_FP8_AFFINE},
                 {"NVFP4_AFFINE", QP_CK_KV_NVFP4_AFFINE},
                 {"none", QP_CK_KV_NONE}};
    for (int i = 0; i < QP_COUNT(names); i++) {
        if (strcasecmp(text, names[i].name) != 0) continue;
        *out = names[i].kv;
        return true;
    }
    *out = QP_CK_KV_UNKNOWN;
    return false;
}

qp_status qp_ck_read_kv_scheme(const qp_ck_reading *r, const qp_ck_node *cfg, qp_ck_kv *out, bool *given,
                               qp_err *err) {
    qp_ck_node n;
    int bits = 0;
    bool has_bits, has_dynamic, dynamic = false;
    const char *type;
    QP_TRY(qp_ck_item_get(r, cfg, "kv_cache_scheme", QP_CK_ANY, &n, err));
    *given = n.json != NULL;
    if (n.json == NULL) return QP_OK;
    if (json_is_string(n.json)) {
        qp_ck_kv_named(json_string_value(n.json), out);
        return QP_OK;
    }
    if (!json_is_object(n.json))
        return QP_CK_SAY(r, QP_CK_FILE_FORMAT, cfg, "kv_cache_scheme", "an object or a text was wanted");
    QP_TRY(qp_ck_whole_get(r, &n, "num_bits", &bits, &has_bits, err));
    QP_TRY(qp_ck_text_get(r, &n, "type", &type, err));
    QP_TRY(qp_ck_bool_get(r, &n, "dynamic", &dynamic, &has_dynamic, err));
    const bool real = type != NULL && strcasecmp(type, "float") == 0;
    *out = real && bits == 8 ? QP_CK_KV_FP8 : real && bits == 4 ? QP_CK_KV_NVFP4 : QP_CK_KV_UNKNOWN;
    if (dynamic) *out = QP_CK_KV_NONE; // scales are computed while serving, none are stored
    return QP_OK;
}
