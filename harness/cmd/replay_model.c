// SPDX-License-Identifier: Apache-2.0
// The record's model rebuilt from its sizes alone, never from the recorded quantizers: linears in the order
// in which the real model lists them. Weights of fused experts are one module per expert here, with the
// container's name beside them.
#include <string.h>

#include "cmd/replay.h"

typedef struct builder {
    replay_record *rec;
    qp_arena *arena;
    qp_module *modules;
    replay_linear *linears;
    int n, cap;
    int layer;
} builder;

typedef struct linear_spec {
    const char *fqn, *projection;
    int64_t out, in;
    qp_style style;
    int expert, n_experts;
} linear_spec;

static qp_status add(builder *b, const linear_spec *s, qp_err *err) {
    qp_segment *seg;
    if (b->n == b->cap) QP_FAIL(QP_BROKEN, "more than %d linears", b->cap);
    QP_TRY(QP_NEW(b->arena, seg, 1));
    *seg = (qp_segment){.name = "w", .gen_name = s->fqn, .rows = s->out, .gen_rows = s->out};
    b->linears[b->n] = (replay_linear){.gen_name = s->fqn};
    b->modules[b->n++] = (qp_module){.fqn = s->fqn,
                                     .layer_kind = s->expert >= 0 ? "moe" : "attn",
                                     .layer = b->layer,
                                     .expert = s->expert,
                                     .n_experts = s->n_experts,
                                     .projection = s->projection,
                                     .out = s->out,
                                     .in = s->in,
                                     .style = s->style,
                                     .segments = seg,
                                     .n_segments = 1,
                                     .quantizable = true};
    return QP_OK;
}

static qp_status add_dense(builder *b, const char *parent, const char *child, int64_t out, int64_t in,
                           qp_style style, qp_err *err) {
    linear_spec s = {.out = out, .in = in, .style = style, .expert = -1};
    QP_TRY(qp_arena_printf(b->arena, &s.fqn, err, "%s.%s", parent, child));
    s.projection = s.fqn;
    return add(b, &s, err);
}

static qp_status add_mlp(builder *b, const char *parent, int64_t inter, qp_err *err) {
    QP_TRY(add_dense(b, parent, "gate_proj", inter, b->rec->hidden, QP_STYLE_COLUMN, err));
    QP_TRY(add_dense(b, parent, "up_proj", inter, b->rec->hidden, QP_STYLE_COLUMN, err));
    return add_dense(b, parent, "down_proj", b->rec->hidden, inter, QP_STYLE_ROW, err);
}

static qp_status add_attention(builder *b, const char *parent, int64_t q, int64_t kv, qp_err *err) {
    const int64_t h = b->rec->hidden;
    QP_TRY(add_dense(b, parent, "q_proj", q, h, QP_STYLE_COLUMN, err));
    QP_TRY(add_dense(b, parent, "k_proj", kv, h, QP_STYLE_COLUMN, err));
    QP_TRY(add_dense(b, parent, "v_proj", kv, h, QP_STYLE_COLUMN, err));
    return add_dense(b, parent, "o_proj", h, q, QP_STYLE_ROW, err);
}

// Experts that EP does not divide are dropped by the recorder: it builds experts / ep of them per rank.
static int experts_of(const replay_record *rec) {
    return (int)(rec->experts / rec->ep * rec->ep);
}

static qp_status add_experts(builder *b, const char *parent, const char *const *names, const bool *row,
                             int64_t inter, qp_err *err) {
    const int n = experts_of(b->rec);
    for (int e = 0; e < n; e++)
        for (int k = 0; k < 3; k++) {
            linear_spec s = {.out = row[k] ? b->rec->hidden : inter,
                             .in = row[k] ? inter : b->rec->hidden,
                             .style = row[k] ? QP_STYLE_ROW : QP_STYLE_COLUMN,
                             .expert = e,
                             .n_experts = n};
            QP_TRY(qp_arena_printf(b->arena, &s.fqn, err, "%s.%d.%s", parent, e, names[k]));
            QP_TRY(qp_arena_printf(b->arena, &s.projection, err, "%s.*.%s", parent, names[k]));
            QP_TRY(add(b, &s, err));
        }
    return QP_OK;
}

// [E, 2I, H] and [E, H, I]; the container never splits an expert over TP.
static qp_status add_fused(builder *b, const char *container, int64_t inter, qp_err *err) {
    static const char *const parts[2] = {"gate_up_proj", "down_proj"};
    const int n = experts_of(b->rec);
    for (int p = 0; p < 2; p++)
        for (int e = 0; e < n; e++) {
            linear_spec s = {.out = p == 0 ? 2 * inter : b->rec->hidden,
                             .in = p == 0 ? b->rec->hidden : inter,
                             .style = p == 0 ? QP_STYLE_COLUMN : QP_STYLE_ROW,
                             .expert = e,
                             .n_experts = n};
            QP_TRY(qp_arena_printf(b->arena, &s.fqn, err, "%s.%s.%d", container, parts[p], e));
            QP_TRY(qp_arena_printf(b->arena, &s.projection, err, "%s.%s.*", container, parts[p]));
            QP_TRY(add(b, &s, err));
            b->linears[b->n - 1].container = container;
            b->linears[b->n - 1].part = parts[p];
        }
    return QP_OK;
}

static qp_status build_layer(builder *b, qp_err *err) {
    const replay_record *rec = b->rec;
    const bool row[3] = {false, false, true};
    QP_TRY(add_attention(b, "layer.self_attn", rec->hidden, rec->kv, err));
    if (rec->inter > 0) QP_TRY(add_mlp(b, "layer.mlp", rec->inter, err));
    if (rec->experts == 0) return QP_OK;
    if (rec->fused) return add_fused(b, "layer.mlp.experts", rec->moe_inter, err);
    return add_experts(b, "layer.experts", rec->expert_names, row, rec->moe_inter, err);
}

// Hugging Face: transformers 4 has a linear per expert, transformers 5 fused experts.
static qp_status build_hf_experts(builder *b, const char *layer, qp_err *err) {
    static const char *const gate_up_down[3] = {"gate_proj", "up_proj", "down_proj"}, *const w123[3] = {
                                                                                          "w1", "w2", "w3"};
    const bool last[3] = {false, false, true}, middle[3] = {false, true, false};
    const replay_record *rec = b->rec;
    const bool mixtral = strcmp(rec->kind, "mixtral") == 0, fused = rec->transformers >= 5;
    const int64_t inter = mixtral ? rec->inter : rec->moe_inter;
    const char *experts, *shared;
    QP_TRY(qp_arena_printf(b->arena, &experts, err, "%s.%s.experts", layer,
                           mixtral && !fused ? "block_sparse_moe" : "mlp"));
    if (fused)
        QP_TRY(add_fused(b, experts, inter, err));
    else
        QP_TRY(add_experts(b, experts, mixtral ? w123 : gate_up_down, mixtral ? middle : last, inter, err));
    if (strcmp(rec->kind, "qwen2moe") != 0) return QP_OK;
    QP_TRY(qp_arena_printf(b->arena, &shared, err, "%s.mlp.shared_expert", layer));
    return add_mlp(b, shared, rec->moe_inter, err);
}

static qp_status build_hf(builder *b, qp_err *err) {
    const replay_record *rec = b->rec;
    const int64_t head = rec->hidden / rec->heads;
    for (b->layer = 0; b->layer < rec->layers; b->layer++) {
        const char *layer, *attn, *mlp;
        QP_TRY(qp_arena_printf(b->arena, &layer, err, "model.layers.%d", b->layer));
        QP_TRY(qp_arena_printf(b->arena, &attn, err, "%s.self_attn", layer));
        QP_TRY(qp_arena_printf(b->arena, &mlp, err, "%s.mlp", layer));
        QP_TRY(add_attention(b, attn, rec->heads * head, rec->kv_heads * head, err));
        if (strcmp(rec->kind, "llama") == 0)
            QP_TRY(add_mlp(b, mlp, rec->inter, err));
        else
            QP_TRY(build_hf_experts(b, layer, err));
    }
    return QP_OK;
}

enum { MAX_LINEARS = 1 << 18 }; // about 200 MB

qp_status replay_build_model(replay_record *rec, qp_arena *a, qp_err *err) {
    static const char *const kinds[] = {"llama", "qwen3moe", "qwen2moe", "mixtral"};
    builder b = {.rec = rec, .arena = a};
    bool known = !rec->kind;
    for (int i = 0; i < QP_COUNT(kinds) && !known; i++) known = strcmp(kinds[i], rec->kind) == 0;
    if (!known)
        QP_FAIL(QP_CORRUPT, "%s: record %s: model.kind: llama, qwen3moe, qwen2moe or mixtral wanted, got %s",
                rec->file, rec->name, rec->kind);
    const int64_t per_layer = 10 + 3 * rec->experts, layers = rec->kind ? rec->layers : 1;
    if (per_layer * layers > MAX_LINEARS)
        QP_FAIL(QP_CORRUPT, "%s: record %s: model: %lld linears are too many", rec->file, rec->name,
                (long long)(per_layer * layers));
    b.cap = (int)(per_layer * layers);
    QP_TRY(QP_NEW(a, b.modules, b.cap));
    QP_TRY(QP_NEW(a, b.linears, b.cap));
    QP_TRY(rec->kind ? build_hf(&b, err) : build_layer(&b, err));
    rec->linears = b.linears;
    rec->model = (qp_model){.name = rec->name,
                            .path = rec->file,
                            .n_layers = (int)layers,
                            .n_selected_layers = (int)layers,
                            .n_experts = rec->experts > 0 ? experts_of(rec) : 0,
                            .hidden = rec->hidden,
                            .modules = b.modules,
                            .n_modules = b.n};
    return QP_OK;
}
