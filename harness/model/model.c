// SPDX-License-Identifier: Apache-2.0
// A model from its file: totals over the whole model, and the modules of the selected layers under one of two
// namings.
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/text.h"
#include "model/find.h"
#include "model/model_doc.h"

static qp_status count_whole(qp_yaml *y, const model_doc *d, qp_model *out, qp_err *err) {
    double params = 0; // exact: far below 2^53
    int64_t linears = 0;
    for (unsigned i = 0; i < d->modules_count; i++) {
        const row_doc *r = &d->modules[i];
        int64_t copies = qp_model_doc_layers(d, r) * qp_row_copies(r);
        params += (double)copies * (double)(r->out * r->in + (r->bias ? r->out : 0));
        linears += r->quantizable ? copies : 0;
    }
    out->params_b = params / 1e9;
    out->quantizable_linears = linears;
    yaml_node_t *root = qp_yaml_root(y);
    if (linears != d->quantizable_linears)
        QP_FAIL(QP_USAGE, "%s:%d: quantizable_linears: the file says %lld, its modules are %lld", y->path,
                qp_yaml_line(qp_yaml_get(y, root, "quantizable_linears")), (long long)d->quantizable_linears,
                (long long)linears);
    double off = out->params_b - d->published.params_b;
    if (off > d->published.tolerance_b || -off > d->published.tolerance_b)
        QP_FAIL(QP_USAGE,
                "%s:%d: published: the modules have %.9f B parameters, published are %.9f B with a tolerance "
                "of %.9f B",
                y->path, qp_yaml_line(qp_yaml_get(y, root, "published")), out->params_b,
                d->published.params_b, d->published.tolerance_b);
    return QP_OK;
}

// ---- selection
// --------------------------------------------------------------------------------------------------------

// How many layers of each kind are wanted: -1 = all.
typedef struct selection {
    bool all;
    int64_t want[KIND_COUNT];
} selection;

static bool has_kind(const model_doc *d, int layer, int kind) {
    int group = qp_model_doc_group(d, layer);
    for (unsigned i = 0; i < d->modules_count; i++)
        if (d->modules[i].group == group && (int)d->modules[i].kind == kind) return true;
    return false;
}

static int64_t layers_of_kind(const model_doc *d, int kind) {
    int64_t n = 0;
    for (int i = 0; i < d->n_layers; i++) n += has_kind(d, i, kind);
    return n;
}

// One "kind:N".
static qp_status select_kind(const model_doc *d, const char *word, selection *s, qp_err *err) {
    const char *colon = strchr(word, ':');
    char name[64];
    int64_t n = 0;
    if (colon == NULL || colon - word >= (int)sizeof name || !qp_parse_i64(colon + 1, &n) || n < 1)
        QP_FAIL(QP_USAGE, "layers: wanted all or KIND:N with N at least 1, got '%s'", word);
    memcpy(name, word, (size_t)(colon - word));
    name[colon - word] = 0;
    const char *there[KIND_COUNT];
    int n_there = 0, kind = -1;
    for (int k = 0; k < KIND_GLOBAL; k++) {
        if (layers_of_kind(d, k) == 0) continue;
        there[n_there++] = qp_kind_names[k];
        if (strcmp(name, qp_kind_names[k]) == 0) kind = k;
    }
    if (kind < 0) {
        char list[64];
        size_t at = 0;
        for (int k = 0; k < n_there; k++)
            at += (size_t)snprintf(list + at, sizeof list - at, " %s", there[k]);
        const char *near = qp_nearest(name, there, n_there);
        QP_FAIL(QP_USAGE, "layers: %s has no layers of kind '%s'%s%s%s (there are:%s)", d->name, name,
                near != NULL ? ", did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "",
                list);
    }
    if (s->want[kind] != 0) QP_FAIL(QP_USAGE, "layers: kind '%s' is there twice", name);
    if (n > layers_of_kind(d, kind))
        QP_FAIL(QP_USAGE, "layers: %s has %lld layers of kind %s, got %s", d->name,
                (long long)layers_of_kind(d, kind), name, word);
    s->want[kind] = n;
    return QP_OK;
}

static qp_status select_layers(const model_doc *d, const char *layers, selection *s, qp_err *err) {
    *s = (selection){.all = strcmp(layers, "all") == 0};
    if (s->all) return QP_OK;
    for (const char *at = layers;; at++) {
        char word[128];
        size_t n = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        QP_TRY(select_kind(d, word, s, err));
        at += n;
        if (*at == 0) return QP_OK;
    }
}

// ---- modules
// --------------------------------------------------------------------------------------------------------------

typedef struct builder {
    const model_doc *d;
    qp_names names;
    qp_arena *a;
    qp_module *modules; // room for every copy of every selected row
    int n;
} builder;

// Puts the layer and the expert number (or "*") into a name.
static qp_status fill_name(builder *b, const row_doc *r, const char *name, int layer, int expert, bool star,
                           const char **out, qp_err *err) {
    qp_text t = {.arena = b->a};
    for (const char *at = name; *at != 0;) {
        if (strncmp(at, "{i}", 3) == 0 || strncmp(at, "{e}", 3) == 0) {
            bool is_expert = at[1] == 'e';
            if (is_expert && star)
                QP_TRY(qp_text_add(&t, err, "*"));
            else
                QP_TRY(qp_text_add(&t, err, "%d", is_expert ? expert : layer));
            at += 3;
            continue;
        }
        size_t n = strcspn(at + 1, "{") + 1;
        QP_TRY(qp_text_add_bytes(&t, at, n, err));
        at += n;
    }
    if (t.n >= QP_MAX_FQN)
        QP_FAIL(QP_USAGE, "%s: %s: name longer than %d bytes", b->d->name, r->id, QP_MAX_FQN);
    *out = t.s;
    return QP_OK;
}

// The segments of one row, as many as it has in the file or one for all of it. gen_name: the HF name, under
// both namings.
static qp_status add_segments(builder *b, const row_doc *r, const char *gen_name, qp_module *m, qp_err *err) {
    int n_new = r->segments_count > 0 ? (int)r->segments_count : 1;
    if (m->n_segments + n_new > QP_MAX_RANGES)
        QP_FAIL(QP_USAGE, "%s: %s has more than %d segments", b->d->name, m->fqn, QP_MAX_RANGES);
    qp_segment *all = NULL;
    QP_TRY(QP_NEW(b->a, all, m->n_segments + n_new));
    if (m->n_segments > 0) memcpy(all, m->segments, (size_t)m->n_segments * sizeof *all);
    int64_t row0 = 0;
    for (int i = 0; i < n_new; i++) {
        const segment_doc *s = r->segments_count > 0 ? &r->segments[i] : NULL;
        qp_segment *to = &all[m->n_segments + i];
        *to = (qp_segment){.name = r->segment != NULL ? r->segment : "rows",
                           .rows = r->out,
                           .units = r->units,
                           .replicate = r->replicate};
        if (s != NULL)
            *to =
                (qp_segment){.name = s->name, .rows = s->rows, .units = s->units, .replicate = s->replicate};
        to->gen_name = gen_name;
        to->gen_row0 = row0;
        to->gen_rows = r->out;
        row0 += to->rows;
    }
    m->segments = all;
    m->n_segments += n_new;
    return QP_OK;
}

// Megatron keeps q/k/v and gate/up in one parameter: such a row becomes further segments of the module before
// it.
static bool joins_previous(const builder *b, const row_doc *r, const row_doc *before) {
    return b->names == QP_NAMES_MEGATRON && before != NULL && r->megatron != NULL &&
           before->megatron != NULL && strcmp(r->megatron, before->megatron) == 0;
}

static qp_status add_row(builder *b, const row_doc *r, const row_doc *before, int layer, int expert,
                         qp_err *err) {
    static const qp_style styles[] = {
        [ROW_COLUMN] = QP_STYLE_COLUMN, [ROW_ROW] = QP_STYLE_ROW, [ROW_REPLICATED] = QP_STYLE_REPLICATED};
    const char *gen_name, *name = r->hf;
    QP_TRY(fill_name(b, r, r->hf, layer, expert, false, &gen_name, err));
    if (joins_previous(b, r, before)) {
        qp_module *m = &b->modules[b->n - 1];
        m->out += r->out;
        return add_segments(b, r, gen_name, m, err);
    }
    if (b->names == QP_NAMES_MEGATRON && r->megatron != NULL) name = r->megatron;
    qp_module *m = &b->modules[b->n++];
    *m = (qp_module){.layer_kind = qp_kind_names[r->kind],
                     .layer = layer,
                     .expert = expert,
                     .out = r->out,
                     .in = r->in,
                     .style = styles[r->split],
                     .in_units = r->in_units,
                     .quantizable = r->quantizable,
                     .n_experts = expert >= 0 ? (int)r->experts : 0};
    QP_TRY(fill_name(b, r, name, layer, expert, false, &m->fqn, err));
    QP_TRY(fill_name(b, r, name, layer, expert, true, &m->projection, err));
    return add_segments(b, r, gen_name, m, err);
}

// The rows of one layer (or the global ones) in file order; a run of expert rows is repeated expert by
// expert.
static qp_status add_layer(builder *b, int group, int layer, const bool kinds[KIND_COUNT], qp_err *err) {
    const row_doc *rows = b->d->modules, *before = NULL;
    int n_rows = (int)b->d->modules_count;
    for (int i = 0; i < n_rows;) {
        int end = i + 1;
        bool experts = rows[i].parallel == ROW_EXPERT;
        while (experts && end < n_rows && rows[end].parallel == ROW_EXPERT &&
               rows[end].group == rows[i].group)
            end++;
        for (int e = 0; e < (experts ? (int)rows[i].experts : 1); e++) {
            if (experts) before = NULL; // the last row of one expert never joins the first of the next
            for (int k = i; k < end; k++) {
                if (rows[k].group != group || !kinds[rows[k].kind]) continue;
                QP_TRY(add_row(b, &rows[k], before, layer, experts ? e : -1, err));
                before = &rows[k];
            }
        }
        i = end;
    }
    return QP_OK;
}

// Ten times the largest model there is (61 layers of 384 experts); they take about 500 MB.
enum { MAX_MODULES = 1 << 20 };

static qp_status build_modules(const model_doc *d, const selection *s, qp_names names, qp_arena *a,
                               qp_model *out, qp_err *err) {
    builder b = {.d = d, .names = names, .a = a};
    int64_t room = 0;
    for (unsigned i = 0; i < d->modules_count; i++)
        room +=
            qp_row_copies(&d->modules[i]) * (s->all ? qp_model_doc_layers(d, &d->modules[i]) : d->n_layers);
    if (room > MAX_MODULES)
        QP_FAIL(QP_USAGE, "%s: wanted at most %d modules, got %lld", d->name, MAX_MODULES, (long long)room);
    QP_TRY(QP_NEW(a, b.modules, room));
    int64_t seen[KIND_COUNT] = {0};
    for (int layer = 0; layer < d->n_layers; layer++) {
        bool kinds[KIND_COUNT], any = false;
        for (int k = 0; k < KIND_COUNT; k++) {
            kinds[k] = k != KIND_GLOBAL && has_kind(d, layer, k) && (s->all || seen[k] < s->want[k]);
            seen[k] += kinds[k];
            any = any || kinds[k];
        }
        if (!any) continue;
        out->n_selected_layers++;
        QP_TRY(add_layer(&b, qp_model_doc_group(d, layer), layer, kinds, err));
    }
    static const bool global_only[KIND_COUNT] = {[KIND_GLOBAL] = true};
    if (s->all) QP_TRY(add_layer(&b, -1, -1, global_only, err));
    out->modules = b.modules;
    out->n_modules = b.n;
    return QP_OK;
}

static qp_status fill_model(qp_yaml *y, const char *layers, qp_names names, qp_arena *a, qp_model *out,
                            qp_err *err) {
    model_doc d;
    selection s;
    QP_TRY(qp_model_doc_load(y, a, &d, err));
    *out = (qp_model){.name = d.name,
                      .path = y->path,
                      .n_layers = (int)d.n_layers,
                      .n_experts = (int)d.n_experts,
                      .top_k = (int)d.top_k,
                      .hidden = d.hidden,
                      .published_params_b = d.published.params_b,
                      .params_tolerance_b = d.published.tolerance_b};
    QP_TRY(count_whole(y, &d, out, err));
    QP_TRY(select_layers(&d, layers, &s, err));
    qp_status status = build_modules(&d, &s, names, a, out, err);
    if (status != QP_OK) qp_err_prefix(err, "%s", y->path);
    return status;
}

qp_status qp_model_read(const char *path, const char *text, size_t n_bytes, const char *layers,
                        qp_names names, qp_arena *a, qp_model *out, qp_err *err) {
    qp_yaml y;
    QP_TRY(qp_yaml_open(&y, path, text, n_bytes, err));
    qp_status status = fill_model(&y, layers, names, a, out, err);
    qp_yaml_close(&y);
    if (status != QP_OK) qp_err_trail(err, __FILE__, __LINE__);
    return status;
}

qp_status qp_model_load(const char *name, const char *data_dir, const char *layers, qp_names names,
                        qp_arena *a, qp_model *out, qp_err *err) {
    const char *path;
    char *text;
    size_t n_bytes;
    QP_TRY(qp_data_find(name, data_dir, "models", "model", a, &path, err));
    QP_TRY(qp_file_read(path, a, &text, &n_bytes, err));
    return qp_model_read(path, text, n_bytes, layers, names, a, out, err);
}
