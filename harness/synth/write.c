// SPDX-License-Identifier: Apache-2.0
// Writes a sound checkpoint: what every module becomes is planned first (names, types, shapes), then module
// after module is quantized and put in its place, so that memory holds one module, however large the whole.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "qp/ref.h"
#include "synth/parts.h"

typedef struct planned {
    syn_job job;
    int shard;
} planned;

typedef struct shard_out {
    char *path;
    const char *name;
    int fd;
    uint64_t data0; // where the data begins in the file
} shard_out;

typedef struct writer {
    const syn_recipe *recipe;
    const syn_model *model;
    const char *folder;
    bool original;
    qp_arena *arena;
    planned *plan;
    shard_out *shards;
    int n_shards;
    uint64_t n_bytes;
} writer;

// The scales of a quantized KV cache hang on k_proj and v_proj.
static qp_status kv_scale(const writer *w, syn_job *j, qp_err *err) {
    const char *name = j->mod->name;
    const bool k = strstr(name, ".k_proj") != NULL, v = strstr(name, ".v_proj") != NULL;
    uint32_t *to;
    if (w->original || w->recipe->kv == NULL || !(k || v)) return QP_OK;
    QP_TRY(syn_part(j, k ? ".k_scale" : ".v_scale", QP_ST_F32, 0, NULL, &to, err));
    const float amax = syn_input_amax(w->model, j->mod), scale = amax / 448.0f;
    if (!j->plan) *to = syn_image(scale);
    return QP_OK;
}

static qp_status encode(const writer *w, syn_job *j, qp_err *err) {
    QP_TRY(j->scheme != NULL ? j->scheme->encode(j, err) : syn_encode_plain(j, err));
    return kv_scale(w, j, err);
}

static qp_status plan_all(writer *w, qp_err *err) {
    const syn_model *m = w->model;
    uint64_t so_far = 0;
    QP_TRY(QP_NEW(w->arena, w->plan, m->n));
    for (int i = 0; i < m->n; i++) {
        const syn_part_rule *rule = w->original ? NULL : syn_rule_of(w->recipe, &m->modules[i]);
        w->plan[i].job = (syn_job){.model = m,
                                   .mod = &m->modules[i],
                                   .scheme = rule != NULL ? rule->scheme : NULL,
                                   .plan = true,
                                   .arena = w->arena};
        QP_TRY(encode(w, &w->plan[i].job, err));
        for (int k = 0; k < w->plan[i].job.n; k++) w->n_bytes += w->plan[i].job.parts[k].n_bytes;
    }
    for (int i = 0; i < m->n; i++) {
        w->plan[i].shard = (int)(so_far * (uint64_t)w->n_shards / (w->n_bytes + 1));
        for (int k = 0; k < w->plan[i].job.n; k++) so_far += w->plan[i].job.parts[k].n_bytes;
    }
    return QP_OK;
}

static qp_status put(const shard_out *s, const void *bytes, size_t n, uint64_t at, qp_err *err) {
    const char *from = bytes;
    while (n > 0) {
        const ssize_t k = pwrite(s->fd, from, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) QP_FAIL(QP_IO, "cannot write %s: %s", s->path, strerror(errno));
        from += k;
        at += (uint64_t)k;
        n -= (size_t)k;
    }
    return QP_OK;
}

static qp_status open_shard(writer *w, int k, qp_err *err) {
    shard_out *s = &w->shards[k];
    syn_tensor **list;
    int n = 0;
    uint64_t n_data;
    qp_text header = {.arena = w->arena};
    const char *path;
    if (w->n_shards == 1)
        s->name = "model.safetensors";
    else
        QP_TRY(
            qp_arena_printf(w->arena, &s->name, err, "model-%05d-of-%05d.safetensors", k + 1, w->n_shards));
    QP_TRY(qp_arena_printf(w->arena, &path, err, "%s/%s", w->folder, s->name));
    s->path = (char *)path;
    QP_TRY(QP_NEW(w->arena, list, w->model->n * SYN_PARTS));
    for (int i = 0; i < w->model->n; i++)
        for (int p = 0; p < w->plan[i].job.n && w->plan[i].shard == k; p++)
            list[n++] = &w->plan[i].job.parts[p];
    QP_TRY(syn_header(list, n, &header, &n_data, err));
    s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (s->fd < 0) QP_FAIL(QP_IO, "cannot write %s: %s", path, strerror(errno));
    s->data0 = header.n;
    if (ftruncate(s->fd, (off_t)(header.n + n_data)) != 0)
        QP_FAIL(QP_IO, "cannot make %s %llu bytes long: %s", path, (unsigned long long)(header.n + n_data),
                strerror(errno));
    return put(s, header.s, header.n, 0, err);
}

static qp_status write_parts(const writer *w, const planned *p, const syn_job *full, qp_err *err) {
    if (full->n != p->job.n)
        QP_FAIL(QP_BROKEN, "%s: %d tensors planned, %d made", full->mod->name, p->job.n, full->n);
    for (int k = 0; k < full->n; k++)
        QP_TRY(put(&w->shards[p->shard], full->parts[k].data, full->parts[k].n_bytes,
                   w->shards[p->shard].data0 + p->job.parts[k].at, err));
    return QP_OK;
}

// Layers that repeat are quantized once: of the first modules so far, the one with the same weights; -1.
static int same_before(const writer *w, int i, const int *firsts, int n_firsts) {
    const syn_module *m = w->model->modules;
    for (int k = 0; k < n_firsts && w->model->o->repeat; k++)
        if (!strcmp(m[firsts[k]].weights, m[i].weights) && !strcmp(m[firsts[k]].suffix, m[i].suffix))
            return firsts[k];
    return -1;
}

static qp_status write_all(writer *w, qp_err *err) {
    const int n = w->model->n;
    int *firsts, n_firsts = 0;
    syn_job *kept; // of first ones, when layers repeat
    QP_TRY(QP_NEW(w->arena, firsts, n));
    QP_TRY(QP_NEW(w->arena, kept, n));
    qp_arena *own = qp_arena_new();
    qp_status status = QP_OK;
    if (own == NULL) QP_FAIL(QP_NOMEM, "no memory");
    for (int i = 0; i < n; i++) {
        int first = same_before(w, i, firsts, n_firsts);
        if (first < 0) {
            syn_job full = w->plan[i].job;
            full.plan = false;
            full.n = 0;
            full.arena = w->model->o->repeat ? w->arena : own;
            QP_TRY_GOTO(status, encode(w, &full, err), out);
            kept[i] = full;
            first = firsts[n_firsts++] = i;
        }
        QP_TRY_GOTO(status, write_parts(w, &w->plan[i], &kept[first], err), out);
        if (!w->model->o->repeat) qp_arena_reset(own);
    }
out:
    qp_arena_free(own);
    return status;
}

static qp_status write_index(const writer *w, qp_err *err) {
    json_t *map = json_object();
    for (int i = 0; i < w->model->n; i++)
        for (int k = 0; k < w->plan[i].job.n; k++)
            json_object_set_new(map, w->plan[i].job.parts[k].name,
                                json_string(w->shards[w->plan[i].shard].name));
    json_t *root =
        json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)w->n_bytes, "weight_map", map);
    const qp_status status = syn_write_json(w->folder, "model.safetensors.index.json", root, w->arena, err);
    json_decref(root);
    return status;
}

static qp_status write_folder(const syn_recipe *r, const syn_model *m, const char *folder, bool original,
                              qp_arena *a, qp_err *err) {
    writer w = {.recipe = r, .model = m, .folder = folder, .original = original, .arena = a};
    qp_status status = QP_OK;
    w.n_shards = m->o->shards > 1 ? m->o->shards : 1;
    QP_TRY(qp_dir_make(folder, err));
    QP_TRY(QP_NEW(a, w.shards, w.n_shards));
    for (int k = 0; k < w.n_shards; k++) w.shards[k].fd = -1;
    QP_TRY(plan_all(&w, err));
    for (int k = 0; k < w.n_shards; k++) QP_TRY_GOTO(status, open_shard(&w, k, err), out);
    QP_TRY_GOTO(status, write_all(&w, err), out);
    if (w.n_shards > 1) QP_TRY_GOTO(status, write_index(&w, err), out);
    QP_TRY_GOTO(status, syn_write_configs(r, m, folder, original, a, err), out);
out:
    for (int k = 0; k < w.n_shards; k++)
        if (w.shards[k].fd >= 0) close(w.shards[k].fd);
    return status;
}

qp_status qp_synth_write(const qp_synth_options *o, qp_arena *a, qp_err *err) {
    const syn_recipe *r = syn_recipe_named(o->preset);
    qp_synth_options asked = *o;
    syn_model m;
    if (r == NULL) QP_FAIL(QP_USAGE, "synthetic checkpoint: there is no preset '%s'", o->preset);
    for (int i = 0; o->sin != NULL; i++) {
        if (i == qp_n_synth_sins || strcmp(o->preset, "modelopt-nvfp4") != 0)
            QP_FAIL(QP_USAGE, "synthetic checkpoint: preset %s has no sin '%s'", o->preset, o->sin);
        if (!strcmp(qp_synth_sins[i].name, o->sin)) break;
    }
    if (asked.hidden == 0) asked.hidden = 256;
    if (asked.layers == 0) asked.layers = 2;
    if (asked.experts == 0) asked.experts = 4;
    if (r->style == SYN_GPT_OSS || r->style == SYN_MIXTRAL) asked.moe = true;
    QP_TRY(syn_model_build(&asked, r->style, a, &m, err));
    QP_TRY(write_folder(r, &m, o->folder, false, a, err));
    return o->original != NULL ? write_folder(r, &m, o->original, true, a, err) : QP_OK;
}
