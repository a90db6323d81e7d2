// SPDX-License-Identifier: Apache-2.0
// Damages: files, shards and the index.
#include <string.h>

#include "synth/damage.h"

static qp_status do_file(dmg *g, dmg_file what, bool *fits) {
    *fits = g->n_shards > 0;
    g->file = what;
    g->victim = (int)dmg_draw(g, (uint32_t)g->n_shards, 2);
    if (*fits) g->where = g->shards[g->victim].name;
    return QP_OK;
}

qp_status dmg_truncated(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return do_file(g, DMG_TRUNCATE, fits);
}

qp_status dmg_trailing(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return do_file(g, DMG_TRAIL, fits);
}

static bool several(const dmg *g) {
    return g->n_shards > 1 && g->json[DMG_INDEX] != NULL;
}

// A folder whose only file is a pointer holds nothing to audit.
qp_status dmg_lfs(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return several(g) ? do_file(g, DMG_LFS, fits) : QP_OK;
}

qp_status dmg_shard_missing(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return several(g) ? do_file(g, DMG_DELETE, fits) : QP_OK;
}

qp_status dmg_shard_renamed(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    return several(g) ? do_file(g, DMG_RENAME, fits) : QP_OK;
}

static dmg_tensor *any(dmg *g) {
    return &g->list[dmg_draw(g, (uint32_t)g->n, 3)];
}

static json_t *weight_map(dmg *g) {
    g->keep_index = g->json_dirty[DMG_INDEX] = true;
    return json_object_get(g->json[DMG_INDEX], "weight_map");
}

qp_status dmg_index_other_shard(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    *fits = several(g);
    if (!*fits) return QP_OK;
    const dmg_tensor *t = any(g);
    g->where = t->t.name;
    json_object_set_new(weight_map(g), t->t.name, json_string(g->shards[(t->shard + 1) % g->n_shards].name));
    return QP_OK;
}

qp_status dmg_index_lacks(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    *fits = several(g);
    if (!*fits) return QP_OK;
    g->where = any(g)->t.name;
    json_object_del(weight_map(g), g->where);
    return QP_OK;
}

// The index still lists a tensor of an earlier layout.
qp_status dmg_index_more(dmg *g, bool *fits, qp_err *err) {
    *fits = several(g);
    if (!*fits) return QP_OK;
    const dmg_tensor *t = any(g);
    QP_TRY(qp_arena_printf(g->arena, &g->where, err, "%s.act_scale", t->module));
    json_object_set_new(weight_map(g), g->where, json_string(g->shards[t->shard].name));
    return QP_OK;
}

qp_status dmg_duplicate(dmg *g, bool *fits, qp_err *err) {
    (void)err;
    *fits = several(g);
    if (!*fits) return QP_OK;
    const dmg_tensor *t = any(g);
    dmg_tensor *twin = &g->list[g->n++];
    *twin = *t;
    twin->shard = (t->shard + 1) % g->n_shards;
    g->shards[twin->shard].dirty = true;
    g->keep_index = true;
    g->where = t->t.name;
    return QP_OK;
}
