// SPDX-License-Identifier: Apache-2.0
// What a tensor is by its name, and where a damage can strike: one place of all that fit, drawn by seed.
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "input/gen.h"
#include "qp/ref.h"
#include "synth/damage.h"

static const struct {
    const char *suffix;
    dmg_role role;
} suffixes[] = {
    {".weight_packed", DMG_CODES},
    {".qweight", DMG_CODES},
    {"_blocks", DMG_CODES},
    {".weight_scale_2", DMG_GLOBAL},
    {"_weight_scale_2", DMG_GLOBAL},
    {".weight_global_scale", DMG_GLOBAL},
    {".weight_scale_inv", DMG_SCALE},
    {".weight_scale", DMG_SCALE},
    {"_weight_scale", DMG_SCALE},
    {"_scales", DMG_SCALE},
    {".scales", DMG_SCALE},
    {".input_global_scale", DMG_INPUT},
    {".input_scale", DMG_INPUT},
    {"_input_scale", DMG_INPUT},
    {".k_scale", DMG_K},
    {".v_scale", DMG_V},
    {".weight_zero_point", DMG_OTHER},
    {".weight_shape", DMG_OTHER},
    {".qzeros", DMG_OTHER},
    {".g_idx", DMG_OTHER},
    {".pre_quant_scale", DMG_OTHER},
    {".weight_quantizer._svdquant_lora_a", DMG_OTHER},
    {".weight_quantizer._svdquant_lora_b", DMG_OTHER},
    {".bias", DMG_PLAIN},
    {"_bias", DMG_PLAIN},
    {".weight", DMG_PLAIN}, // codes, where a scale stands beside it
};

bool dmg_ends(const char *text, const char *end) {
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

static int module_order(const void *pa, const void *pb) {
    return strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

qp_status dmg_roles(dmg *g, qp_err *err) {
    const char **scaled;
    int n_scaled = 0;
    QP_TRY(QP_NEW(g->arena, scaled, g->n + 1));
    for (int i = 0; i < g->n; i++) {
        dmg_tensor *t = &g->list[i];
        for (int k = 0; k < QP_COUNT(suffixes); k++) {
            if (!dmg_ends(t->t.name, suffixes[k].suffix)) continue;
            t->role = suffixes[k].role;
            const int n = (int)(t->t.n_name - strlen(suffixes[k].suffix));
            QP_TRY(qp_arena_printf(g->arena, &t->module, err, "%.*s", n, t->t.name));
            break;
        }
        if (t->role == DMG_SCALE) scaled[n_scaled++] = t->module;
    }
    qsort(scaled, (size_t)n_scaled, sizeof *scaled, module_order);
    for (int i = 0; i < g->n; i++) { // X.weight beside X.weight_scale, or X beside X_weight_scale
        dmg_tensor *t = &g->list[i];
        if (t->role != DMG_PLAIN || dmg_ends(t->t.name, "bias")) continue;
        if (bsearch(&t->module, scaled, (size_t)n_scaled, sizeof *scaled, module_order) != NULL)
            t->role = DMG_CODES;
    }
    return QP_OK;
}

uint32_t dmg_draw(const dmg *g, uint32_t n, uint64_t salt) {
    return n == 0 ? 0 : (uint32_t)(qp_gen_u64(g->seed, "damage", salt) % n);
}

dmg_tensor *dmg_pick(const dmg *g, dmg_takes *takes) {
    uint32_t n = 0;
    for (int i = 0; i < g->n; i++) n += takes(g, &g->list[i]);
    uint32_t left = dmg_draw(g, n, 1);
    for (int i = 0; i < g->n && n > 0; i++)
        if (takes(g, &g->list[i]) && left-- == 0) return &g->list[i];
    return NULL;
}

dmg_tensor *dmg_part(const dmg *g, const char *module, dmg_role role) {
    for (int i = 0; i < g->n; i++)
        if (g->list[i].role == role && !g->list[i].dropped && !strcmp(g->list[i].module, module))
            return &g->list[i];
    return NULL;
}

const char *dmg_leaf(const char *module) {
    const char *dot = strrchr(module, '.');
    return dot != NULL ? dot + 1 : module;
}

qp_status dmg_parent(const dmg *g, const char *module, const char **out, qp_err *err) {
    return qp_arena_printf(g->arena, out, err, "%.*s", (int)(dmg_leaf(module) - module), module);
}

int dmg_expert(const char *name, int *prefix) {
    static const char key[] = ".experts.";
    const char *at = strstr(name, key);
    if (at == NULL) return -1;
    const char *digits = at + sizeof key - 1;
    char *end;
    const long e = strtol(digits, &end, 10);
    *prefix = (int)(digits - name);
    return end > digits && *end == '.' ? (int)e : -1;
}

bool dmg_is_kv(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_K || t->role == DMG_V;
}

bool dmg_is_block(const dmg_tensor *t) {
    return t->role == DMG_SCALE && t->t.n_dims >= 2 &&
           (t->t.dtype == QP_ST_F8_E4M3 || t->t.dtype == QP_ST_U8 || t->t.dtype == QP_ST_F8_E8M0);
}

bool dmg_codes_live(const dmg *g, const dmg_tensor *scale) {
    const dmg_tensor *codes = dmg_part(g, scale->module, DMG_CODES);
    return codes != NULL && codes->t.n_bytes > 0;
}

uint8_t *dmg_edit(dmg *g, dmg_tensor *t, qp_err *err) {
    uint8_t *copy = NULL;
    if (qp_arena_get(g->arena, t->t.n_bytes + 1, &copy, err) != QP_OK) return NULL;
    memcpy(copy, t->t.data, t->t.n_bytes);
    t->t.data = copy;
    g->shards[t->shard].dirty = true;
    return copy;
}

void dmg_drop(dmg *g, dmg_tensor *t) {
    t->dropped = true;
    g->shards[t->shard].dirty = true;
}

static qp_dtype type_of(const dmg_tensor *t) {
    switch (t->t.dtype) {
    case QP_ST_BF16:
        return QP_BF16;
    case QP_ST_F16:
        return QP_FP16;
    case QP_ST_F8_E4M3:
        return QP_E4M3;
    default:
        return QP_FP32;
    }
}

uint32_t dmg_get(const dmg_tensor *t, uint64_t i) {
    uint32_t bits = 0;
    const size_t n = qp_dtype_bytes(type_of(t));
    memcpy(&bits, (const uint8_t *)t->t.data + i * n, n); // the mapping may be unaligned; little-endian
    return ref_to_f32(type_of(t), bits);
}

void dmg_set(dmg_tensor *t, uint8_t *bytes, uint64_t i, uint32_t f32) {
    const qp_dtype type = type_of(t);
    const uint32_t bits = type == QP_E4M3 ? ref_e4m3_encode(f32, false) : ref_from_f32(type, f32);
    const size_t n = qp_dtype_bytes(type);
    memcpy(bytes + i * n, &bits, n);
}
