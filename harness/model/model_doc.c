// SPDX-License-Identifier: Apache-2.0
// The schema of a model file, and what a schema cannot say: names with {i} and {e}, segments that add up,
// heads that divide.
#include "model/model_doc.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

const char *const qp_kind_names[KIND_COUNT] = {"attn", "moe", "mlp", "mamba", "global"};

static const cyaml_strval_t kind_words[] = {{"attn", KIND_ATTN},
                                            {"moe", KIND_MOE},
                                            {"mlp", KIND_MLP},
                                            {"mamba", KIND_MAMBA},
                                            {"global", KIND_GLOBAL}};
static const cyaml_strval_t parallel_words[] = {
    {"column", ROW_COLUMN}, {"row", ROW_ROW}, {"replicated", ROW_REPLICATED}, {"expert", ROW_EXPERT}};

enum { MAX_LAYERS = 4096, MAX_ELEMENTS_LOG2 = 48 }; // elements: 2^24 * 2^24, so that sums stay exact
enum { MUST = CYAML_FLAG_DEFAULT, MAY = CYAML_FLAG_OPTIONAL, LIST = CYAML_FLAG_POINTER };

static const cyaml_schema_field_t segment_fields[] = {
    CYAML_FIELD_STRING_PTR("name", MUST, segment_doc, name, 1, 32),
    CYAML_FIELD_INT("rows", MUST, segment_doc, rows),
    CYAML_FIELD_INT("units", MAY, segment_doc, units),
    CYAML_FIELD_BOOL("replicate", MAY, segment_doc, replicate),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t segment_schema = {CYAML_VALUE_MAPPING(MUST, segment_doc, segment_fields)};
static const cyaml_schema_value_t dim_schema = {CYAML_VALUE_INT(MUST, int64_t)};
static const cyaml_schema_value_t text_schema = {CYAML_VALUE_STRING(LIST, char, 0, 4096)};

static const cyaml_schema_field_t row_fields[] = {
    CYAML_FIELD_STRING_PTR("id", MUST, row_doc, id, 1, 128),
    CYAML_FIELD_STRING_PTR("hf", MUST, row_doc, hf, 1, 256),
    CYAML_FIELD_STRING_PTR("megatron", MAY, row_doc, megatron, 1, 256),
    CYAML_FIELD_STRING_PTR("segment", MAY, row_doc, segment, 1, 32),
    CYAML_FIELD_SEQUENCE("shape", LIST, row_doc, shape, &dim_schema, 1, 3),
    CYAML_FIELD_STRING_PTR("layers", MUST, row_doc, layers, 1, 64),
    CYAML_FIELD_ENUM("kind", CYAML_FLAG_STRICT, row_doc, kind, kind_words, QP_COUNT(kind_words)),
    CYAML_FIELD_ENUM("parallel", CYAML_FLAG_STRICT, row_doc, parallel, parallel_words,
                     QP_COUNT(parallel_words)),
    CYAML_FIELD_ENUM_PTR("etp", CYAML_FLAG_STRICT | MAY, row_doc, etp, parallel_words, 2), // column or row
    CYAML_FIELD_INT("experts", MAY, row_doc, experts),
    CYAML_FIELD_INT("units", MAY, row_doc, units),
    CYAML_FIELD_INT("in_units", MAY, row_doc, in_units),
    CYAML_FIELD_BOOL("replicate", MAY, row_doc, replicate),
    CYAML_FIELD_SEQUENCE("segments", LIST | MAY, row_doc, segments, &segment_schema, 1, QP_MAX_RANGES),
    CYAML_FIELD_BOOL("quantizable", MAY, row_doc, quantizable),
    CYAML_FIELD_BOOL("bias", MAY, row_doc, bias),
    CYAML_FIELD_STRING_PTR("note", MAY, row_doc, note, 0, 4096),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t row_schema = {CYAML_VALUE_MAPPING(MUST, row_doc, row_fields)};
static const cyaml_schema_field_t group_fields[] = {
    CYAML_FIELD_STRING_PTR("name", MUST, group_doc, name, 1, 64),
    CYAML_FIELD_STRING_PTR("letter", MAY, group_doc, letter, 1, 1),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t group_schema = {CYAML_VALUE_MAPPING(MUST, group_doc, group_fields)};
static const cyaml_schema_field_t published_fields[] = {
    CYAML_FIELD_FLOAT("params_b", MUST, published_doc, params_b),
    CYAML_FIELD_FLOAT("tolerance_b", MUST, published_doc, tolerance_b),
    CYAML_FIELD_STRING_PTR("reason", MUST, published_doc, reason, 1, 4096),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t model_fields[] = {
    CYAML_FIELD_STRING_PTR("name", MUST, model_doc, name, 1, 128),
    CYAML_FIELD_STRING_PTR("repo", MAY, model_doc, repo, 0, 256),
    CYAML_FIELD_SEQUENCE("sources", LIST, model_doc, sources, &text_schema, 1, 64),
    CYAML_FIELD_SEQUENCE("notes", LIST | MAY, model_doc, notes, &text_schema, 0, 64),
    CYAML_FIELD_MAPPING("published", MUST, model_doc, published, published_fields),
    CYAML_FIELD_INT("quantizable_linears", MUST, model_doc, quantizable_linears),
    CYAML_FIELD_INT("hidden", MUST, model_doc, hidden),
    CYAML_FIELD_INT("n_layers", MUST, model_doc, n_layers),
    CYAML_FIELD_INT("top_k", MAY, model_doc, top_k),
    CYAML_FIELD_STRING_PTR("pattern", MAY, model_doc, pattern, 1, MAX_LAYERS),
    CYAML_FIELD_SEQUENCE("groups", LIST, model_doc, groups, &group_schema, 1, 16),
    CYAML_FIELD_SEQUENCE("modules", LIST, model_doc, modules, &row_schema, 1, 256),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t model_schema = {CYAML_VALUE_MAPPING(MUST, model_doc, model_fields)};

int64_t qp_row_copies(const row_doc *row) {
    return row->parallel == ROW_EXPERT ? row->experts : 1;
}

int qp_model_doc_group(const model_doc *d, int layer) {
    if (d->pattern == NULL) return 0;
    for (int g = 0; g < (int)d->groups_count; g++)
        if (d->groups[g].letter[0] == d->pattern[layer]) return g;
    return -1;
}

int64_t qp_model_doc_layers(const model_doc *d, const row_doc *row) {
    if (row->group < 0) return 1;
    int64_t n = 0;
    for (int i = 0; i < d->n_layers; i++) n += qp_model_doc_group(d, i) == row->group;
    return n;
}

// ---- the head of the file
// ---------------------------------------------------------------------------------------------

static qp_status check_pattern(qp_yaml *y, const model_doc *d, qp_err *err) {
    int line = qp_yaml_line(qp_yaml_get(y, qp_yaml_root(y), "pattern"));
    if (d->pattern == NULL) {
        if (d->groups_count == 1) return QP_OK;
        QP_FAIL(QP_USAGE, "%s: without pattern wanted one group of layers, got %u", y->path, d->groups_count);
    }
    for (unsigned g = 0; g < d->groups_count; g++)
        if (d->groups[g].letter == NULL)
            QP_FAIL(QP_USAGE, "%s:%d: groups[%u] '%s': wanted a letter, since there is a pattern", y->path,
                    line, g, d->groups[g].name);
    if ((int64_t)strlen(d->pattern) != d->n_layers)
        QP_FAIL(QP_USAGE, "%s:%d: pattern: wanted %lld letters (n_layers), got %zu", y->path, line,
                (long long)d->n_layers, strlen(d->pattern));
    for (int i = 0; i < d->n_layers; i++)
        if (qp_model_doc_group(d, i) < 0)
            QP_FAIL(QP_USAGE, "%s:%d: pattern: letter '%c' of layer %d belongs to no group", y->path, line,
                    d->pattern[i], i);
    return QP_OK;
}

static qp_status check_head(qp_yaml *y, const model_doc *d, qp_err *err) {
    const struct {
        const char *key;
        int64_t value, min, max;
    } numbers[] = {{"hidden", d->hidden, 1, INT32_MAX},
                   {"n_layers", d->n_layers, 1, MAX_LAYERS},
                   {"top_k", d->top_k, 0, INT32_MAX},
                   {"quantizable_linears", d->quantizable_linears, 0, INT32_MAX}};
    for (int i = 0; i < QP_COUNT(numbers); i++)
        if (numbers[i].value < numbers[i].min || numbers[i].value > numbers[i].max)
            QP_FAIL(QP_USAGE, "%s:%d: %s: wanted %lld to %lld, got %lld", y->path,
                    qp_yaml_line(qp_yaml_get(y, qp_yaml_root(y), numbers[i].key)), numbers[i].key,
                    (long long)numbers[i].min, (long long)numbers[i].max, (long long)numbers[i].value);
    return check_pattern(y, d, err);
}

// ---- one row
// ------------------------------------------------------------------------------------------------------------

static int count_text(const char *s, const char *part) {
    int n = 0;
    for (const char *at = strstr(s, part); at != NULL; at = strstr(at + 1, part)) n++;
    return n;
}

static qp_status check_name(const char *path, const row_doc *r, const char *key, const char *name,
                            qp_err *err) {
    int want_i = r->group >= 0, want_e = r->parallel == ROW_EXPERT;
    int i = count_text(name, "{i}"), e = count_text(name, "{e}"), braces = count_text(name, "{");
    if (i != want_i || e != want_e || braces != i + e)
        QP_FAIL(QP_USAGE, "%s:%d: %s: %s: wanted %s{i} and %s{e} in it, got '%s'", path, r->line, r->id, key,
                want_i ? "one " : "no ", want_e ? "one " : "no ", name);
    if (name[0] == '.' || name[strlen(name) - 1] == '.' || strstr(name, "..") != NULL)
        QP_FAIL(QP_USAGE, "%s:%d: %s: %s: wanted words between dots, got '%s'", path, r->line, r->id, key,
                name);
    return QP_OK;
}

static qp_status check_layers(const char *path, const model_doc *d, row_doc *r, qp_err *err) {
    const char *words[32];
    int n = 0;
    r->group = -1;
    bool found = strcmp(r->layers, "global") == 0;
    for (unsigned g = 0; g < d->groups_count; g++) {
        words[n++] = d->groups[g].name;
        if (strcmp(r->layers, d->groups[g].name) != 0) continue;
        r->group = (int)g;
        found = true;
    }
    words[n++] = "global";
    const char *near = qp_nearest(r->layers, words, n);
    if (!found)
        QP_FAIL(QP_USAGE, "%s:%d: %s: layers: wanted the name of a group or global, got '%s'%s%s%s", path,
                r->line, r->id, r->layers, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                near != NULL ? "'?" : "");
    if ((r->group < 0) != (r->kind == KIND_GLOBAL))
        QP_FAIL(QP_USAGE, "%s:%d: %s: kind global goes with layers global, got kind %s with layers %s", path,
                r->line, r->id, qp_kind_names[r->kind], r->layers);
    return QP_OK;
}

static qp_status check_shape(const char *path, row_doc *r, qp_err *err) {
    r->out = r->shape[0];
    r->in = 1;
    for (unsigned i = 0; i < r->shape_count; i++) {
        if (r->shape[i] < 1 || r->shape[i] > (int64_t)1 << 31)
            QP_FAIL(QP_USAGE, "%s:%d: %s: shape[%u]: wanted 1 or more, got %lld", path, r->line, r->id, i,
                    (long long)r->shape[i]);
        if (i > 0) r->in *= r->shape[i]; // at most 2^62
    }
    if (r->in > ((int64_t)1 << MAX_ELEMENTS_LOG2) / r->out)
        QP_FAIL(QP_USAGE, "%s:%d: %s: shape: wanted at most 2^%d elements", path, r->line, r->id,
                MAX_ELEMENTS_LOG2);
    if (r->quantizable && r->shape_count != 2)
        QP_FAIL(QP_USAGE, "%s:%d: %s: a quantizable module wants shape [out, in], got %u dimensions", path,
                r->line, r->id, r->shape_count);
    return QP_OK;
}

// units heads in n rows or columns.
static qp_status check_units(const char *path, const row_doc *r, const char *what, int64_t n, int64_t units,
                             qp_err *err) {
    if (units < 0 || (units > 0 && n % units != 0))
        QP_FAIL(QP_USAGE, "%s:%d: %s: %s: wanted units that divide %lld, got %lld", path, r->line, r->id,
                what, (long long)n, (long long)units);
    return QP_OK;
}

static qp_status check_segments(const char *path, const row_doc *r, qp_err *err) {
    int64_t sum = 0;
    for (unsigned i = 0; i < r->segments_count; i++) {
        const segment_doc *s = &r->segments[i];
        if (s->rows < 1)
            QP_FAIL(QP_USAGE, "%s:%d: %s: segment %s: wanted 1 row or more, got %lld", path, r->line, r->id,
                    s->name, (long long)s->rows);
        QP_TRY(check_units(path, r, s->name, s->rows, s->units, err));
        sum += s->rows;
    }
    if (r->segments_count > 0 && sum != r->out)
        QP_FAIL(QP_USAGE, "%s:%d: %s: segments: wanted %lld rows together (shape), got %lld", path, r->line,
                r->id, (long long)r->out, (long long)sum);
    if (r->segments_count > 0 && (r->units != 0 || r->replicate || r->segment != NULL))
        QP_FAIL(QP_USAGE, "%s:%d: %s: units, replicate and segment belong to the entries of segments", path,
                r->line, r->id);
    return QP_OK;
}

static qp_status check_parallel(const char *path, row_doc *r, qp_err *err) {
    if ((r->parallel == ROW_EXPERT) != (r->etp != NULL))
        QP_FAIL(QP_USAGE,
                "%s:%d: %s: wanted etp (column or row) with parallel expert and only there, got it %s", path,
                r->line, r->id, r->etp != NULL ? "elsewhere" : "nowhere");
    r->split = r->etp != NULL ? *r->etp : r->parallel;
    if ((r->parallel == ROW_EXPERT) != (r->experts > 0) || r->experts > 1 << 20)
        QP_FAIL(QP_USAGE,
                "%s:%d: %s: wanted experts (1 or more) with parallel expert and only there, got %lld", path,
                r->line, r->id, (long long)r->experts);
    if (r->split != ROW_COLUMN && (r->units != 0 || r->replicate || r->segments_count > 0))
        QP_FAIL(QP_USAGE, "%s:%d: %s: units, replicate and segments are for column parallel rows", path,
                r->line, r->id);
    if (r->split != ROW_ROW && r->in_units != 0)
        QP_FAIL(QP_USAGE, "%s:%d: %s: in_units is for row parallel modules", path, r->line, r->id);
    if (r->replicate && r->units == 0)
        QP_FAIL(QP_USAGE, "%s:%d: %s: replicate wants units (the heads that are replicated)", path, r->line,
                r->id);
    QP_TRY(check_units(path, r, "units", r->out, r->units, err));
    QP_TRY(check_units(path, r, "in_units", r->in, r->in_units, err));
    return check_segments(path, r, err);
}

// ---- rows together
// --------------------------------------------------------------------------------------------------------

static qp_status check_against(const char *path, const row_doc *r, const row_doc *before, bool follows,
                               qp_err *err) {
    if (r->group != before->group) return QP_OK;
    if (strcmp(r->hf, before->hf) == 0)
        QP_FAIL(QP_USAGE, "%s:%d: %s: '%s' is there twice, first on line %d", path, r->line, r->id, r->hf,
                before->line);
    if (r->megatron == NULL || before->megatron == NULL || strcmp(r->megatron, before->megatron) != 0)
        return QP_OK;
    if (!follows)
        QP_FAIL(QP_USAGE, "%s:%d: %s: rows of one Megatron module (%s) must follow each other", path, r->line,
                r->id, r->megatron);
    if (r->in != before->in || r->parallel != before->parallel || r->experts != before->experts ||
        r->kind != before->kind || r->quantizable != before->quantizable || r->split != ROW_COLUMN ||
        before->split != ROW_COLUMN)
        QP_FAIL(QP_USAGE,
                "%s:%d: %s: wanted the columns, kind and (column) parallel style of line %d, with which it "
                "is fused in %s",
                path, r->line, r->id, before->line, r->megatron);
    return QP_OK;
}

static qp_status check_rows(qp_yaml *y, model_doc *d, qp_err *err) {
    yaml_node_t *list = qp_yaml_get(y, qp_yaml_root(y), "modules");
    for (unsigned i = 0; i < d->modules_count; i++) {
        row_doc *r = &d->modules[i];
        r->line = qp_yaml_line(qp_yaml_item(y, list, (int)i));
        QP_TRY(check_layers(y->path, d, r, err));
        QP_TRY(check_shape(y->path, r, err));
        QP_TRY(check_parallel(y->path, r, err));
        QP_TRY(check_name(y->path, r, "hf", r->hf, err));
        if (r->megatron != NULL) QP_TRY(check_name(y->path, r, "megatron", r->megatron, err));
        bool follows = i > 0 && r->megatron != NULL && r[-1].megatron != NULL &&
                       strcmp(r->megatron, r[-1].megatron) == 0;
        for (unsigned k = 0; k < i; k++) QP_TRY(check_against(y->path, r, &d->modules[k], follows, err));
        if (r->experts > 0 && d->n_experts > 0 && r->experts != d->n_experts)
            QP_FAIL(QP_USAGE, "%s:%d: %s: wanted %lld experts as in the rows before, got %lld", y->path,
                    r->line, r->id, (long long)d->n_experts, (long long)r->experts);
        if (r->experts > 0) d->n_experts = r->experts;
    }
    if ((d->top_k > 0) != (d->n_experts > 0) || d->top_k > d->n_experts)
        QP_FAIL(QP_USAGE, "%s: top_k: wanted 1 to %lld (experts), got %lld", y->path, (long long)d->n_experts,
                (long long)d->top_k);
    return QP_OK;
}

qp_status qp_model_doc_load(qp_yaml *y, qp_arena *a, model_doc *out, qp_err *err) {
    QP_TRY(qp_yaml_load(y, &model_schema, a, out, err));
    QP_TRY(check_head(y, out, err));
    return check_rows(y, out, err);
}
