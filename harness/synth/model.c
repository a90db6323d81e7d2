// SPDX-License-Identifier: Apache-2.0
// The models that synthetic checkpoints hold: names and shapes as the families write them (shapes spec 1, 2.2
// and 2.5), weights from the counter generator. Members of a group differ in range, as real ones do.
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "input/gen.h"
#include "qp/ref.h"
#include "synth/parts.h"

float syn_float(uint32_t image) {
    float v;
    memcpy(&v, &image, sizeof v);
    return v;
}

uint32_t syn_image(float v) {
    uint32_t image;
    memcpy(&image, &v, sizeof image);
    return image;
}

typedef struct builder {
    syn_model *model;
    qp_arena *arena;
    int cap, layer, group; // layer -1: outside of the layers; group: the next free number
} builder;

static qp_status grow(builder *b, qp_err *err) {
    syn_module *bigger;
    if (b->model->n < b->cap) return QP_OK;
    b->cap = b->cap == 0 ? 64 : 2 * b->cap;
    QP_TRY(QP_NEW(b->arena, bigger, b->cap));
    if (b->model->n > 0) memcpy(bigger, b->model->modules, (size_t)b->model->n * sizeof *bigger);
    b->model->modules = bigger;
    return QP_OK;
}

// group: -1 a group of its own, else the number that its members share.
static qp_status add(builder *b, syn_kind kind, const char *name, const char *suffix, int64_t stack,
                     int64_t out, int64_t in, int group, qp_err *err) {
    QP_TRY(grow(b, err));
    syn_module *m = &b->model->modules[b->model->n++];
    *m = (syn_module){.name = name,
                      .suffix = suffix,
                      .weights = name,
                      .kind = kind,
                      .stack = stack,
                      .out = out,
                      .in = in,
                      .group = group >= 0 ? group : b->group++};
    const char *dot = strrchr(name, '.');
    const char *last = dot != NULL ? dot + 1 : name;
    m->folds = !strcmp(last, "o_proj") || !strcmp(last, "down_proj");
    if (b->layer < 0) return QP_OK;
    QP_TRY(qp_arena_printf(b->arena, &m->name, err, "model.layers.%d.%s", b->layer, name));
    if (!b->model->o->repeat) m->weights = m->name;
    return QP_OK;
}

static qp_status norm(builder *b, const char *name, int64_t n, qp_err *err) {
    return add(b, SYN_PLAIN, name, ".weight", 0, n, 0, -1, err);
}

static qp_status attention(builder *b, int64_t h, qp_err *err) {
    const int group = b->group++;
    if (b->model->style == SYN_DEEPSEEK) {
        const int64_t rank = h / 2;
        QP_TRY(add(b, SYN_ATTN, "self_attn.q_a_proj", ".weight", 0, rank, h, group, err));
        QP_TRY(add(b, SYN_ATTN, "self_attn.kv_a_proj_with_mqa", ".weight", 0, rank + 32, h, group, err));
        QP_TRY(norm(b, "self_attn.q_a_layernorm", rank, err));
        QP_TRY(norm(b, "self_attn.kv_a_layernorm", rank, err));
        QP_TRY(add(b, SYN_ATTN, "self_attn.q_b_proj", ".weight", 0, h, rank, -1, err));
        QP_TRY(add(b, SYN_ATTN, "self_attn.kv_b_proj", ".weight", 0, h + 128, rank, -1, err));
    } else {
        QP_TRY(add(b, SYN_ATTN, "self_attn.q_proj", ".weight", 0, h, h, group, err));
        QP_TRY(add(b, SYN_ATTN, "self_attn.k_proj", ".weight", 0, h / 4, h, group, err));
        QP_TRY(add(b, SYN_ATTN, "self_attn.v_proj", ".weight", 0, h / 4, h, group, err));
    }
    return add(b, SYN_ATTN, "self_attn.o_proj", ".weight", 0, h, h, -1, err);
}

// prefix.gate_proj and so on; names: those three words.
static qp_status mlp(builder *b, syn_kind kind, const char *prefix, const char *const names[3], int64_t inter,
                     int64_t h, qp_err *err) {
    const int group = b->group++;
    const char *name;
    for (int i = 0; i < 3; i++) {
        QP_TRY(qp_arena_printf(b->arena, &name, err, "%s.%s", prefix, names[i]));
        QP_TRY(
            add(b, kind, name, ".weight", 0, i < 2 ? inter : h, i < 2 ? h : inter, i < 2 ? group : -1, err));
        b->model->modules[b->model->n - 1].folds = i == 2;
    }
    return QP_OK;
}

static const char *const gate_up_down[] = {"gate_proj", "up_proj", "down_proj"}, *const w132[] = {"w1", "w3",
                                                                                                  "w2"};

static qp_status fused_experts(builder *b, int64_t h, int64_t n, qp_err *err) {
    QP_TRY(add(b, SYN_ROUTER, "mlp.router", ".weight", 0, n, h, -1, err));
    QP_TRY(add(b, SYN_PLAIN, "mlp.router", ".bias", 0, n, 0, -1, err));
    QP_TRY(add(b, SYN_EXPERT, "mlp.experts.gate_up_proj", "", n, 2 * h, h, -1, err));
    QP_TRY(add(b, SYN_PLAIN, "mlp.experts.gate_up_proj", "_bias", n, 2 * h, 0, -1, err));
    QP_TRY(add(b, SYN_EXPERT, "mlp.experts.down_proj", "", n, h, h, -1, err));
    return add(b, SYN_PLAIN, "mlp.experts.down_proj", "_bias", n, h, 0, -1, err);
}

static qp_status experts(builder *b, int64_t h, int64_t n, qp_err *err) {
    const bool mixtral = b->model->style == SYN_MIXTRAL;
    const int64_t inter = (h / 2 + 127) / 128 * 128;
    const char *prefix;
    if (b->model->style == SYN_GPT_OSS) return fused_experts(b, h, n, err);
    QP_TRY(add(b, SYN_ROUTER, mixtral ? "block_sparse_moe.gate" : "mlp.gate", ".weight", 0, n, h, -1, err));
    for (int64_t e = 0; e < n; e++) {
        QP_TRY(qp_arena_printf(b->arena, &prefix, err, "%s.experts.%lld",
                               mixtral ? "block_sparse_moe" : "mlp", (long long)e));
        QP_TRY(mlp(b, SYN_EXPERT, prefix, mixtral ? w132 : gate_up_down, inter, h, err));
    }
    if (mixtral) return QP_OK;
    return mlp(b, SYN_MLP, "mlp.shared_experts", gate_up_down, inter, h, err);
}

qp_status syn_model_build(const qp_synth_options *o, syn_style style, qp_arena *a, syn_model *out,
                          qp_err *err) {
    const int64_t h = o->hidden, vocab = h;
    *out = (syn_model){.style = style, .o = o};
    builder b = {.model = out, .arena = a, .layer = -1};
    if (h < 128 || h % 128 != 0)
        QP_FAIL(QP_USAGE, "synthetic checkpoint: hidden must be a multiple of 128, got %lld", (long long)h);
    QP_TRY(add(&b, SYN_EMBED, "model.embed_tokens", ".weight", 0, vocab, h, -1, err));
    for (b.layer = 0; b.layer < o->layers; b.layer++) {
        const bool moe = o->moe && (b.layer > 0 || o->layers == 1 || style == SYN_GPT_OSS);
        QP_TRY(norm(&b, "input_layernorm", h, err));
        QP_TRY(attention(&b, h, err));
        QP_TRY(norm(&b, "post_attention_layernorm", h, err));
        if (moe)
            QP_TRY(experts(&b, h, o->experts, err));
        else
            QP_TRY(mlp(&b, SYN_MLP, "mlp", gate_up_down, h + 128, h, err));
    }
    b.layer = -1;
    QP_TRY(norm(&b, "model.norm", h, err));
    if (o->tied) return QP_OK;
    return add(&b, SYN_HEAD, "lm_head", ".weight", 0, vocab, h, -1, err);
}

bool syn_is_linear(const syn_module *m) {
    return m->in > 0 && m->kind != SYN_EMBED && m->kind != SYN_PLAIN;
}

// ---- weights
// ----------------------------------------------------------------------------------------------------------

uint32_t syn_random(const syn_model *m, const char *what, uint64_t i) {
    return (uint32_t)qp_gen_u64(m->o->seed, what, i);
}

// Ranges within a factor of 4 of each other, norms around 1.
void syn_weight(const syn_model *m, const syn_module *mod, int64_t e, uint16_t *out) {
    const int64_t cols = mod->in > 0 ? mod->in : 1;
    qp_gen g = qp_gen_make(m->o->seed + (uint64_t)e * 1000003u, QP_DIST_GAUSS);
    g.sigma = 0.008 * (1.0 + 3.0 * (syn_random(m, mod->weights, 0) % 1024) / 1024.0);
    qp_gen_slice(&g, mod->weights, mod->out, cols, QP_BF16, 0, mod->out, 0, cols, out);
    if (mod->kind != SYN_PLAIN || strstr(mod->suffix, "bias") != NULL) return;
    for (int64_t i = 0; i < mod->out; i++)
        out[i] = (uint16_t)ref_from_f32(QP_BF16, syn_image(1.0f + syn_float(syn_bf16(out[i]))));
}

static qp_status amax_of(const syn_model *m, const syn_module *mod, uint32_t *amax, qp_err *err) {
    const int64_t n = mod->out * mod->in, stack = mod->stack > 0 ? mod->stack : 1;
    uint16_t *w = malloc((size_t)n * sizeof *w);
    if (w == NULL) QP_FAIL(QP_NOMEM, "no memory for %s", mod->name);
    for (int64_t e = 0; e < stack; e++) {
        syn_weight(m, mod, e, w);
        for (int64_t i = 0; i < n; i++) {
            const uint32_t magnitude = syn_bf16(w[i]) & 0x7fffffffu;
            if (magnitude > *amax) *amax = magnitude;
        }
    }
    free(w);
    return QP_OK;
}

qp_status syn_amax(const syn_model *m, const syn_module *mod, bool group, uint32_t *amax, qp_err *err) {
    *amax = 0;
    if (!group) return amax_of(m, mod, amax, err);
    // Members stand close to each other.
    const int at = (int)(mod - m->modules);
    for (int i = at > 8 ? at - 8 : 0; i < m->n && i < at + 8; i++)
        if (m->modules[i].group == mod->group && m->modules[i].in > 0)
            QP_TRY(amax_of(m, &m->modules[i], amax, err));
    return QP_OK;
}

float syn_input_amax(const syn_model *m, const syn_module *mod) {
    const uint32_t u = syn_random(m, "input", (uint64_t)mod->group) % 4096;
    return 1.0f + (float)u / 512.0f;
}
