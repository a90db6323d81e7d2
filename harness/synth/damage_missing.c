// SPDX-License-Identifier: Apache-2.0
// Damages: tensors that are gone, under another name, or left alone.
#include <string.h>

#include "synth/damage.h"

static bool is_input(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_INPUT;
}

static bool is_scale(const dmg *g, const dmg_tensor *t) {
    return t->role == DMG_SCALE && dmg_codes_live(g, t);
}

static bool is_global(const dmg *g, const dmg_tensor *t) {
    return t->role == DMG_GLOBAL && dmg_part(g, t->module, DMG_SCALE) != NULL;
}

static qp_status drop_one(dmg *g, dmg_takes *takes, bool *fits) {
    dmg_tensor *t = dmg_pick(g, takes);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    dmg_drop(g, t);
    g->where = t->t.name;
    return QP_OK;
}

qp_status dmg_missing_input(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return drop_one(g, is_input, fits);
}

qp_status dmg_missing_scale(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return drop_one(g, is_scale, fits);
}

qp_status dmg_missing_global(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return drop_one(g, is_global, fits);
}

// ---- experts
// ----------------------------------------------------------------------------------------------------------------

static bool is_expert_codes(const dmg *g, const dmg_tensor *t) {
    int prefix;
    (void)g;
    return t->role == DMG_CODES && dmg_expert(t->t.name, &prefix) >= 0;
}

static int experts_beside(const dmg *g, const dmg_tensor *one, int prefix) {
    int most = 0;
    for (int i = 0; i < g->n; i++) {
        int p;
        const int e = dmg_expert(g->list[i].t.name, &p);
        if (e >= most && p == prefix && !memcmp(g->list[i].t.name, one->t.name, (size_t)prefix)) most = e + 1;
    }
    return most;
}

// Drops experts first .. last of the layer that a drawn place names; where: "...experts".
static qp_status drop_experts(dmg *g, bool upper_half, bool *fits, qp_err *err) {
    const dmg_tensor *one = dmg_pick(g, is_expert_codes);
    int prefix = 0;
    *fits = false;
    if (one == NULL) return QP_OK;
    const int drawn = dmg_expert(one->t.name, &prefix), n = experts_beside(g, one, prefix);
    const char *name = one->t.name;
    if (n < 2) return QP_OK;
    for (int i = 0; i < g->n; i++) {
        int p;
        const int e = dmg_expert(g->list[i].t.name, &p);
        const bool hit = upper_half ? e >= n / 2 : e == drawn;
        if (e >= 0 && hit && p == prefix && !memcmp(g->list[i].t.name, name, (size_t)prefix))
            dmg_drop(g, &g->list[i]);
    }
    *fits = true;
    return qp_arena_printf(g->arena, &g->where, err, "%.*s", prefix - 1, name);
}

qp_status dmg_missing_expert(dmg *g, bool *fits, qp_err *err) {
    return drop_experts(g, false, fits, err);
}

// Every rank wrote its local ids: the later half has overwritten nothing and is lost.
qp_status dmg_local_ids(dmg *g, bool *fits, qp_err *err) {
    return drop_experts(g, true, fits, err);
}

// All tensors of one linear of one expert.
qp_status dmg_missing_linear(dmg *g, bool *fits, qp_err *err) {
    const dmg_tensor *one = dmg_pick(g, is_expert_codes);
    int prefix = 0;
    *fits = one != NULL;
    if (one == NULL) return QP_OK;
    const char *module = one->module;
    for (int i = 0; i < g->n; i++)
        if (!strcmp(g->list[i].module, module)) dmg_drop(g, &g->list[i]);
    (void)dmg_expert(module, &prefix);
    return qp_arena_printf(g->arena, &g->where, err, "%.*s", prefix - 1, module);
}

// One expert carries a number beyond the last.
qp_status dmg_expert_gap(dmg *g, bool *fits, qp_err *err) {
    const dmg_tensor *one = dmg_pick(g, is_expert_codes);
    int prefix = 0;
    *fits = one != NULL;
    if (one == NULL) return QP_OK;
    const int drawn = dmg_expert(one->t.name, &prefix), n = experts_beside(g, one, prefix), before = g->n;
    const char *name = one->t.name;
    for (int i = 0; i < before; i++) {
        int p;
        if (dmg_expert(g->list[i].t.name, &p) != drawn || p != prefix) continue;
        if (memcmp(g->list[i].t.name, name, (size_t)prefix) != 0) continue;
        const char *rest = strchr(g->list[i].t.name + prefix, '.'), *renamed;
        QP_TRY(qp_arena_printf(g->arena, &renamed, err, "%.*s%d%s", prefix, name, n + 3, rest));
        dmg_tensor *moved = &g->list[g->n++];
        *moved = g->list[i];
        moved->t.name = renamed;
        moved->t.n_name = (uint32_t)strlen(renamed);
        dmg_drop(g, &g->list[i]);
    }
    return qp_arena_printf(g->arena, &g->where, err, "%.*s", prefix - 1, name);
}

// ---- alone, dropped, misnamed
// ----------------------------------------------------------------------------------------------

// Scales without codes: the weight is dropped.
qp_status dmg_orphan(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_scale);
    (void)err;
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    dmg_drop(g, dmg_part(g, t->module, DMG_CODES));
    g->where = t->module;
    return QP_OK;
}

static bool is_head(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return !strcmp(t->t.name, "lm_head.weight");
}

// An untied weight that shared memory with another one is dropped by address.
qp_status dmg_head_dropped(dmg *g, bool *fits, qp_err *err) {
    const json_t *tied = json_object_get(g->json[DMG_CONFIG], "tie_word_embeddings");
    (void)err;
    *fits = false;
    if (json_is_true(tied)) return QP_OK;
    QP_TRY(drop_one(g, is_head, fits));
    g->where = "lm_head";
    return QP_OK;
}

// weight_scale_2 stored under the name weight_scale.
qp_status dmg_global_as_scale(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *global = dmg_pick(g, is_global), *scale;
    *fits = global != NULL;
    if (global == NULL) return QP_OK;
    scale = dmg_part(g, global->module, DMG_SCALE);
    const syn_tensor taken = global->t;
    if (dmg_edit(g, scale, err) == NULL) return QP_NOMEM;
    const char *name = scale->t.name;
    const uint32_t n_name = scale->t.n_name;
    scale->t = taken;
    scale->t.name = name;
    scale->t.n_name = n_name;
    dmg_drop(g, global);
    g->where = global->module;
    return QP_OK;
}

// ---- KV cache: where is the attention block
// -----------------------------------------------------------------------------------

qp_status dmg_kv_missing_one(dmg *g, bool *fits, qp_err *err) {
    QP_TRY(drop_one(g, dmg_is_kv, fits));
    if (!*fits) return QP_OK;
    const char *at = strstr(g->where, ".self_attn"), *end = at != NULL ? at + strlen(".self_attn") : NULL;
    return end == NULL ? QP_OK
                       : qp_arena_printf(g->arena, &g->where, err, "%.*s", (int)(end - g->where), g->where);
}

qp_status dmg_kv_missing_all(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    *fits = false;
    for (int i = 0; i < g->n; i++) {
        if (!dmg_is_kv(g, &g->list[i])) continue;
        dmg_drop(g, &g->list[i]);
        *fits = true;
    }
    g->where = "";
    return QP_OK;
}
