// SPDX-License-Identifier: Apache-2.0
// Opens a sound checkpoint, lets one damage edit it, writes what has changed and links the rest.
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/file.h"
#include "synth/damage.h"

static const char *const json_names[DMG_JSONS] = {"config.json", "hf_quant_config.json",
                                                  "quantize_config.json", "model.safetensors.index.json"};

static int by_name(const void *pa, const void *pb) {
    return strcmp(((const dmg_shard *)pa)->name, ((const dmg_shard *)pb)->name);
}

static qp_status list_shards(dmg *g, qp_err *err) {
    enum { MOST = 4096 };
    DIR *dir = opendir(g->from);
    qp_status status = QP_OK;
    if (dir == NULL) QP_FAIL(QP_IO, "cannot read %s: %s", g->from, strerror(errno));
    QP_TRY_GOTO(status, QP_NEW(g->arena, g->shards, MOST), out);
    for (struct dirent *e; (e = readdir(dir)) != NULL && g->n_shards < MOST;)
        if (dmg_ends(e->d_name, ".safetensors"))
            QP_TRY_GOTO(status, qp_arena_strdup(g->arena, e->d_name, &g->shards[g->n_shards++].name, err),
                        out);
    qsort(g->shards, (size_t)g->n_shards, sizeof *g->shards, by_name);
out:
    closedir(dir);
    return status;
}

static qp_status take_tensor(dmg *g, int shard, const qp_st_scan *s, const qp_st_entry *e, qp_err *err) {
    dmg_tensor *d = &g->list[g->n];
    char *name;
    if (e->n_dims > SYN_DIMS || memchr(e->name, 0, e->n_name) != NULL)
        QP_FAIL(QP_REFUSED, "tensor not taken");
    QP_TRY(QP_NEW(g->arena, name, e->n_name + 1));
    memcpy(name, e->name, e->n_name);
    *d = (dmg_tensor){.t = {.name = name,
                            .n_name = e->n_name,
                            .n_dims = e->n_dims,
                            .n_bytes = e->end - e->begin,
                            .dtype = (qp_st_type)e->dtype,
                            .data = s->data + e->begin},
                      .module = name,
                      .shard = shard};
    qp_st_entry_dims(e, d->t.dims, SYN_DIMS);
    g->n++;
    return QP_OK;
}

static qp_status open_all(dmg *g, qp_err *err) {
    qp_st_scan *scans;
    const char *path;
    QP_TRY(list_shards(g, err));
    QP_TRY(QP_NEW(g->arena, scans, g->n_shards + 1));
    for (int k = 0; k < g->n_shards; k++) {
        dmg_shard *s = &g->shards[k];
        QP_TRY(qp_arena_printf(g->arena, &path, err, "%s/%s", g->from, s->name));
        QP_TRY(qp_st_map(path, &s->map, &s->n_bytes, err));
        QP_TRY(qp_st_scan_bytes(path, s->map, s->n_bytes, false, g->arena, &scans[k], err));
        g->cap += (int)scans[k].n_tensors;
    }
    g->cap = g->cap * 2 + 16; // room for what a damage adds
    QP_TRY(QP_NEW(g->arena, g->list, g->cap));
    for (int k = 0; k < g->n_shards; k++)
        for (uint32_t i = 0; i < scans[k].n_tensors; i++)
            QP_TRY(take_tensor(g, k, &scans[k], scans[k].by_name[i], err));
    for (int i = 0; i < DMG_JSONS; i++) {
        QP_TRY(qp_arena_printf(g->arena, &path, err, "%s/%s", g->from, json_names[i]));
        g->json[i] = qp_file_exists(path) ? json_load_file(path, JSON_ALLOW_NUL, NULL) : NULL;
    }
    return dmg_roles(g, err);
}

static void close_all(dmg *g) {
    for (int k = 0; k < g->n_shards; k++)
        if (g->shards[k].map != NULL) munmap(g->shards[k].map, g->shards[k].n_bytes);
    for (int i = 0; i < DMG_JSONS; i++) json_decref(g->json[i]);
}

// ---- writing
// ----------------------------------------------------------------------------------------------------------------

static qp_status write_shard(dmg *g, int k, const char *path, qp_err *err) {
    syn_tensor **list;
    qp_text head = {.arena = g->arena};
    uint64_t n_data;
    uint8_t *body;
    int n = 0;
    QP_TRY(QP_NEW(g->arena, list, g->n + 1));
    for (int i = 0; i < g->n; i++)
        if (g->list[i].shard == k && !g->list[i].dropped) list[n++] = &g->list[i].t;
    QP_TRY(syn_header(list, n, &head, &n_data, err));
    QP_TRY(QP_NEW(g->arena, body, n_data + 1));
    for (int i = 0; i < n; i++)
        if (list[i]->n_bytes > 0) memcpy(body + list[i]->at, list[i]->data, list[i]->n_bytes);
    return syn_write_file(path, head.s, head.n, body, n_data, err);
}

// A hard link, or a copy where there can be none: nothing writes into either folder again.
static qp_status carry(const dmg *g, const char *name, qp_err *err) {
    const char *from, *to;
    char *bytes;
    size_t n;
    QP_TRY(qp_arena_printf(g->arena, &from, err, "%s/%s", g->from, name));
    QP_TRY(qp_arena_printf(g->arena, &to, err, "%s/%s", g->to, name));
    if (link(from, to) == 0) return QP_OK;
    QP_TRY(qp_file_read(from, g->arena, &bytes, &n, err));
    return syn_write_file(to, bytes, n, NULL, 0, err);
}

static qp_status do_to_file(const dmg *g, const char *path, qp_err *err) {
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\n"
                              "oid sha256:4f2d1d0d4c3b5f0c2a53f5d3c4b3b5d1e8a7c6b5a4938271605f4e3d2c1b0a99\n"
                              "size 123456789\n";
    static const char trail[] = "PK\3\4 not a tensor";
    const char *renamed;
    char *bytes;
    size_t n;
    switch (g->file) {
    case DMG_NOTHING:
        return QP_OK;
    case DMG_DELETE:
        return unlink(path) == 0 ? QP_OK : QP_IO;
    case DMG_RENAME:
        QP_TRY(qp_arena_printf(g->arena, &renamed, err, "%s/renamed-%s", g->to, g->shards[g->victim].name));
        return rename(path, renamed) == 0 ? QP_OK : QP_IO;
    default:
        break;
    }
    QP_TRY(qp_file_read(path, g->arena, &bytes, &n, err));
    if (unlink(path) != 0) QP_FAIL(QP_IO, "cannot remove %s: %s", path, strerror(errno));
    if (g->file == DMG_LFS) return syn_write_file(path, lfs, sizeof lfs - 1, NULL, 0, err);
    if (g->file == DMG_TRUNCATE) return syn_write_file(path, bytes, n - 1 - dmg_draw(g, 64, 5), NULL, 0, err);
    return syn_write_file(path, bytes, n, trail, sizeof trail - 1, err);
}

static void index_update(dmg *g) {
    json_t *map = json_object_get(g->json[DMG_INDEX], "weight_map");
    json_t *size = json_object_get(json_object_get(g->json[DMG_INDEX], "metadata"), "total_size");
    json_int_t n_bytes = 0;
    if (map == NULL || g->keep_index) return;
    for (int i = 0; i < g->n; i++) n_bytes += g->list[i].dropped ? 0 : (json_int_t)g->list[i].t.n_bytes;
    if (size != NULL && json_integer_value(size) != n_bytes) {
        json_integer_set(size, n_bytes);
        g->json_dirty[DMG_INDEX] = true;
    }
    for (int i = 0; i < g->n; i++) {
        const dmg_tensor *t = &g->list[i];
        const json_t *was = json_object_get(map, t->t.name);
        if (t->dropped ? was == NULL
                       : was != NULL && !strcmp(json_string_value(was), g->shards[t->shard].name))
            continue;
        if (t->dropped)
            json_object_del(map, t->t.name);
        else
            json_object_set_new(map, t->t.name, json_string(g->shards[t->shard].name));
        g->json_dirty[DMG_INDEX] = true;
    }
}

static qp_status write_all(dmg *g, qp_err *err) {
    const char *path;
    QP_TRY(qp_dir_make(g->to, err));
    for (int k = 0; k < g->n_shards; k++) {
        QP_TRY(qp_arena_printf(g->arena, &path, err, "%s/%s", g->to, g->shards[k].name));
        QP_TRY(g->shards[k].dirty ? write_shard(g, k, path, err) : carry(g, g->shards[k].name, err));
        if (k == g->victim && do_to_file(g, path, err) != QP_OK) QP_FAIL(QP_IO, "cannot damage %s", path);
    }
    index_update(g);
    for (int i = 0; i < DMG_JSONS; i++)
        if (g->json[i] != NULL)
            QP_TRY(g->json_dirty[i] ? syn_write_json(g->to, json_names[i], g->json[i], g->arena, err)
                                    : carry(g, json_names[i], err));
    return QP_OK;
}

qp_status qp_damage_apply(const qp_damage *d, const char *from, const char *to, uint64_t seed, qp_arena *a,
                          bool *fits, const char **where, qp_err *err) {
    dmg g = {.arena = a, .seed = seed, .from = from, .to = to};
    qp_status status = QP_OK;
    *fits = false;
    *where = "";
    QP_TRY_GOTO(status, open_all(&g, err), out);
    QP_TRY_GOTO(status, dmg_fn_of(d)(&g, fits, err), out);
    if (!*fits) goto out;
    QP_TRY_GOTO(status, write_all(&g, err), out);
    QP_TRY_GOTO(status, qp_arena_strdup(a, g.where != NULL ? g.where : "", where, err), out);
out:
    close_all(&g);
    return status;
}
