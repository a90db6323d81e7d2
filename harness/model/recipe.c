// SPDX-License-Identifier: Apache-2.0
// Recipes: which quantizers of a model get which format. Ordered entries, the later one wins; an entry's cfg
// replaces all attributes, an enable-only entry keeps them (pipeline spec A.1). The file format:
// cases/recipes/README.md.
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/text.h"
#include "model/find.h"
#include "model/model.h"
#include "model/shared_states.h"
#include "model/yaml.h"

typedef struct cfg_doc {
    char *format;
    bool narrow_range;
    bool *pass_through_bwd; // NULL: true
} cfg_doc;

typedef struct entry_doc {
    char *quantizer_name;
    bool *enable;
    cfg_doc *cfg;
} entry_doc;

typedef struct recipe_doc {
    char *name, *doc;
    entry_doc *quantizers;
    unsigned quantizers_count;
} recipe_doc;

static const cyaml_schema_field_t cfg_fields[] = {
    CYAML_FIELD_STRING_PTR("format", CYAML_FLAG_DEFAULT, cfg_doc, format, 1, 64),
    CYAML_FIELD_BOOL("narrow_range", CYAML_FLAG_OPTIONAL, cfg_doc, narrow_range),
    CYAML_FIELD_BOOL_PTR("pass_through_bwd", CYAML_FLAG_OPTIONAL, cfg_doc, pass_through_bwd),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t entry_fields[] = {
    CYAML_FIELD_STRING_PTR("quantizer_name", CYAML_FLAG_DEFAULT, entry_doc, quantizer_name, 1, 256),
    CYAML_FIELD_BOOL_PTR("enable", CYAML_FLAG_OPTIONAL, entry_doc, enable),
    CYAML_FIELD_MAPPING_PTR("cfg", CYAML_FLAG_OPTIONAL, entry_doc, cfg, cfg_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t entry_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, entry_doc, entry_fields)};
static const cyaml_schema_field_t recipe_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_DEFAULT, recipe_doc, name, 1, 128),
    CYAML_FIELD_STRING_PTR("doc", CYAML_FLAG_OPTIONAL, recipe_doc, doc, 0, 4096),
    CYAML_FIELD_SEQUENCE("quantizers", CYAML_FLAG_POINTER, recipe_doc, quantizers, &entry_schema, 1, 1024),
    CYAML_FIELD_IGNORE("shared_states", CYAML_FLAG_OPTIONAL), // read from the tree: null, {} and [] differ
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t recipe_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, recipe_doc, recipe_fields)};

static qp_status parse_format(const char *path, int line, const char *word, qp_format *out, qp_err *err) {
    const char *names[QP_FORMAT_COUNT];
    for (int f = 0; f < QP_FORMAT_COUNT; f++) {
        const qp_format_row *row = qp_format_get((qp_format)f);
        names[f] = row->name;
        if (strcmp(row->name, word) != 0) continue;
        if (!row->pipeline)
            QP_FAIL(QP_USAGE, "%s:%d: format '%s' is no format that the pipeline carries", path, line, word);
        *out = row->id;
        return QP_OK;
    }
    const char *near = qp_nearest(word, names, QP_FORMAT_COUNT);
    char list[400];
    size_t n = 0;
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        if (qp_format_get((qp_format)f)->pipeline && n + strlen(names[f]) + 2 < sizeof list) {
            list[n++] = ' ';
            memcpy(list + n, names[f], strlen(names[f]) + 1);
            n += strlen(names[f]);
        }
    QP_FAIL(QP_USAGE, "%s:%d: unknown format '%s'%s%s%s (known:%s)", path, line, word,
            near != NULL ? ", did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "", list);
}

static qp_status make_entry(qp_yaml *y, const yaml_node_t *node, const entry_doc *d, qp_recipe_entry *e,
                            qp_err *err) {
    *e = (qp_recipe_entry){
        .quantizer_name = d->quantizer_name, .line = qp_yaml_line(node), .cfg.format = QP_FORMAT_NONE};
    e->has_enable = d->enable != NULL;
    e->enable = d->enable != NULL && *d->enable;
    e->has_cfg = d->cfg != NULL;
    if (!e->has_enable && !e->has_cfg)
        QP_FAIL(QP_USAGE, "%s:%d: entry '%s': wanted enable or cfg, got neither", y->path, e->line,
                e->quantizer_name);
    if (!e->has_cfg) return QP_OK;
    int line = qp_yaml_line(qp_yaml_get(y, qp_yaml_get(y, node, "cfg"), "format"));
    QP_TRY(parse_format(y->path, line, d->cfg->format, &e->cfg.format, err));
    e->cfg.enabled = !e->has_enable || e->enable;
    e->cfg.narrow_range = d->cfg->narrow_range;
    e->cfg.clip_backward = d->cfg->pass_through_bwd != NULL && !*d->cfg->pass_through_bwd;
    if (e->cfg.narrow_range && qp_format_get(e->cfg.format)->element != QP_ELEM_INT8)
        QP_FAIL(QP_USAGE, "%s:%d: narrow_range is for integer formats, got %s", y->path, line,
                d->cfg->format);
    return QP_OK;
}

static qp_status fill_recipe(qp_yaml *y, qp_arena *a, qp_recipe *out, qp_err *err) {
    recipe_doc d;
    QP_TRY(qp_yaml_load(y, &recipe_schema, a, &d, err));
    qp_recipe_entry *entries = NULL;
    QP_TRY(QP_NEW(a, entries, d.quantizers_count));
    yaml_node_t *list = qp_yaml_get(y, qp_yaml_root(y), "quantizers");
    for (unsigned i = 0; i < d.quantizers_count; i++)
        QP_TRY(make_entry(y, qp_yaml_item(y, list, (int)i), &d.quantizers[i], &entries[i], err));
    *out = (qp_recipe){
        .name = d.name, .path = y->path, .entries = entries, .n_entries = (int)d.quantizers_count};
    return qp_shared_states_read(y, a, out, err);
}

qp_status qp_recipe_read(const char *path, const char *text, size_t n_bytes, qp_arena *a, qp_recipe *out,
                         qp_err *err) {
    qp_yaml y;
    QP_TRY(qp_yaml_open(&y, path, text, n_bytes, err));
    qp_status status = fill_recipe(&y, a, out, err);
    qp_yaml_close(&y);
    if (status != QP_OK) qp_err_trail(err, __FILE__, __LINE__);
    return status;
}

qp_status qp_recipe_load(const char *name, const char *data_dir, qp_arena *a, qp_recipe *out, qp_err *err) {
    const char *path;
    char *text;
    size_t n_bytes;
    QP_TRY(qp_data_find(name, data_dir, "recipes", "recipe", a, &path, err));
    QP_TRY(qp_file_read(path, a, &text, &n_bytes, err));
    return qp_recipe_read(path, text, n_bytes, a, out, err);
}

// ---- names
// ------------------------------------------------------------------------------------------------------------

// Length of "weight_quantizer" or "input_quantizer" at s, 0 = neither.
static size_t kind_length(const char *s) {
    static const char *const kinds[] = {"weight_quantizer", "input_quantizer"};
    for (int k = 0; k < QP_COUNT(kinds); k++)
        if (strncmp(s, kinds[k], strlen(kinds[k])) == 0) return strlen(kinds[k]);
    return 0;
}

// Bytes after a kind that fold away: an optional plural s, then "." or "_" (E-27: grouped quantizers of one
// release are named with "_"), then digits up to a dot or the end. 0 = nothing folds.
static size_t index_length(const char *s) {
    size_t n = s[0] == 's';
    if (s[n] != '.' && s[n] != '_') return 0;
    size_t digits = strspn(s + n + 1, "0123456789"), end = n + 1 + digits;
    return digits > 0 && (s[end] == 0 || s[end] == '.') ? end : 0;
}

static void normalize(const char *name, char *out) {
    size_t n = 0;
    while (*name != 0) {
        size_t kind = kind_length(name);
        if (kind == 0) {
            out[n++] = *name++;
            continue;
        }
        memcpy(out + n, name, kind);
        n += kind;
        name += kind + index_length(name + kind);
    }
    out[n] = 0;
}

qp_status qp_quantizer_normalize(const char *name, qp_arena *a, const char **out, qp_err *err) {
    char *text = NULL;
    QP_TRY(qp_arena_get(a, strlen(name) + 1, &text, err));
    normalize(name, text);
    *out = text;
    return QP_OK;
}

enum { MAX_NAME = 1024 }; // the loader refuses longer module names

void qp_recipe_resolve(const qp_recipe *r, const char *fqn, const char *quantizer, qp_qconfig *out) {
    static const qp_qconfig off = {.enabled = false, .format = QP_FORMAT_NONE};
    char full[MAX_NAME], name[MAX_NAME];
    qp_qconfig now = off;
    *out = off;
    int n = snprintf(full, sizeof full, "%s.%s", fqn, quantizer);
    if (n < 0 || n >= MAX_NAME) return;
    normalize(full, name);
    for (int i = 0; i < r->n_entries; i++) {
        const qp_recipe_entry *e = &r->entries[i];
        if (!qp_wildcard(e->quantizer_name, name)) continue;
        if (e->has_cfg)
            now = e->cfg;
        else
            now.enabled = e->enable;
    }
    if (now.enabled && now.format != QP_FORMAT_NONE) *out = now;
}
