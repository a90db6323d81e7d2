// SPDX-License-Identifier: Apache-2.0
// A checkpoint folder: which files belong to it, mapped and scanned, and the configs beside them.
#include "checkpoint/open.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char default_index[] = "model.safetensors.index.json";
static const char single_name[] = "model.safetensors";

// ---- one file
// ------------------------------------------------------------------------------------------------------------

static qp_status take_deviations(const qp_ck_file *file, qp_ck_findings *f, qp_err *err) {
    uint64_t kept[QP_ST_RULES] = {0};
    for (int i = 0; i < file->scan.n_kept; i++) {
        const qp_st_deviation *d = &file->scan.deviations[i];
        const qp_st_rule_row *rule = &qp_st_rules[d->rule];
        kept[d->rule]++;
        QP_TRY(qp_ck_found(f, rule->written ? QP_CK_TOLERATED_FORMAT : QP_CK_STATISTICS, file->name,
                           strlen(file->name), NULL, err, "%s: byte %llu%s%s: %s%s%s", rule->id,
                           (unsigned long long)d->at, d->name[0] != '\0' ? ": tensor " : "", d->name,
                           rule->says, d->detail != NULL ? ": " : "", d->detail != NULL ? d->detail : ""));
    }
    for (int i = 0; i < QP_ST_RULES; i++) {
        const uint64_t more = file->scan.n_deviations[i] - kept[i];
        if (more == 0) continue;
        QP_TRY(qp_ck_found(f, qp_st_rules[i].written ? QP_CK_TOLERATED_FORMAT : QP_CK_STATISTICS, file->name,
                           strlen(file->name), NULL, err, "%s: %llu more", qp_st_rules[i].id,
                           (unsigned long long)more));
    }
    return QP_OK;
}

static int stamp(qp_ck_file *file) {
    struct stat st;
    if (stat(file->path, &st) != 0) return errno;
    file->stamp.device = st.st_dev;
    file->stamp.inode = st.st_ino;
    file->stamp.mtime_s = (uint64_t)st.st_mtim.tv_sec;
    file->stamp.mtime_ns = (uint64_t)st.st_mtim.tv_nsec;
    return 0;
}

qp_status qp_ck_check_unchanged(const qp_ckpt *c, qp_ck_findings *f, qp_err *err) {
    for (int i = 0; i < c->n_files; i++) {
        qp_ck_file now = {.path = c->files[i].path};
        const char *name = c->files[i].name;
        if (c->files[i].map == NULL) continue;
        const int why = stamp(&now);
        if (why != 0)
            QP_TRY(qp_ck_found(f, QP_CK_FILE_FORMAT, name, strlen(name), NULL, err,
                               "went away while it was read: %s", strerror(why)));
        else if (memcmp(&now.stamp, &c->files[i].stamp, sizeof now.stamp) != 0)
            QP_TRY(qp_ck_found(f, QP_CK_FILE_FORMAT, name, strlen(name), NULL, err,
                               "was written while it was read: what is said of it may be of neither state"));
    }
    return QP_OK;
}

qp_status qp_ck_file_add(qp_ckpt *c, const char *name, bool strict, qp_arena *a, qp_ck_findings *f,
                         qp_err *err) {
    qp_ck_file *file = &c->files[c->n_files++];
    qp_err why = {0};
    memset(file, 0, sizeof *file);
    QP_TRY(qp_arena_strdup(a, name, &file->name, err));
    QP_TRY(qp_arena_printf(a, &file->path, err, "%s/%s", c->folder, name));
    const int no_stat = stamp(file);
    if (no_stat != 0)
        return qp_ck_found(f, QP_CK_FILE_FORMAT, name, strlen(name), NULL, err, "%s: cannot stat: %s",
                           file->path, strerror(no_stat));
    qp_status status = qp_st_map(file->path, &file->map, &file->n_bytes, &why);
    if (status == QP_OK) {
        status = qp_st_scan_bytes(name, file->map, file->n_bytes, strict, a, &file->scan, &why);
        if (status == QP_OK) return take_deviations(file, f, err);
        munmap(file->map, file->n_bytes);
        file->map = NULL;
    }
    if (status == QP_NOMEM) QP_FAIL(QP_NOMEM, "%s", why.msg);
    return qp_ck_found(f, QP_CK_FILE_FORMAT, name, strlen(name), NULL, err, "%s", why.msg);
}

// ---- which files
// ----------------------------------------------------------------------------------------------------------

typedef struct name_list {
    const char **names;
    size_t n, cap;
} name_list;

static qp_status add_name(name_list *l, const char *name, qp_arena *a, qp_err *err) {
    if (l->n == l->cap) {
        const size_t cap = l->cap == 0 ? 16 : 2 * l->cap;
        const char **more;
        QP_TRY(QP_NEW(a, more, cap));
        if (l->n > 0) memcpy(more, l->names, sizeof *more * l->n);
        l->names = more;
        l->cap = cap;
    }
    return qp_arena_strdup(a, name, &l->names[l->n++], err);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool in_list(const name_list *l, const char *name) {
    return l->n > 0 && bsearch(&name, l->names, l->n, sizeof *l->names, by_text) != NULL;
}

static bool ends_with(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static qp_status list_folder(const char *folder, qp_arena *a, name_list *out, qp_err *err) {
    qp_status status = QP_OK;
    DIR *d = opendir(folder);
    if (d == NULL) QP_FAIL(QP_IO, "%s: cannot open: %s", folder, strerror(errno));
    for (struct dirent *e; errno = 0, (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && ends_with(e->d_name, ".safetensors")) // hidden: loaders do not see them
            QP_TRY_GOTO(status, add_name(out, e->d_name, a, err), out);
    if (errno != 0) QP_FAIL_GOTO(status, out, QP_IO, "%s: cannot list: %s", folder, strerror(errno));
out:
    closedir(d);
    if (out->n > 1) qsort(out->names, out->n, sizeof *out->names, by_text);
    return status;
}

// The files that the index names, each once, those on disk first.
static qp_status named_by_index(const char *index_name, json_t *map, const name_list *on_disk, qp_arena *a,
                                qp_ck_findings *f, name_list *out, qp_err *err) {
    const char *name;
    json_t *v;
    name_list all = {0};
    json_object_foreach(map, name, v) QP_TRY(add_name(&all, json_string_value(v), a, err));
    if (all.n > 1) qsort(all.names, all.n, sizeof *all.names, by_text);
    for (size_t i = 0; i < all.n; i++) {
        if (i > 0 && strcmp(all.names[i], all.names[i - 1]) == 0) continue;
        if (in_list(on_disk, all.names[i]) || !ends_with(all.names[i], ".safetensors"))
            QP_TRY(add_name(out, all.names[i], a, err));
        else
            QP_TRY(qp_ck_found(f, QP_CK_INDEX_SHARDS, all.names[i], strlen(all.names[i]), NULL, err,
                               "%s names this file, it is not there", index_name));
    }
    for (size_t i = 0; i < on_disk->n; i++)
        if (!in_list(out, on_disk->names[i]))
            QP_TRY(qp_ck_found(f, QP_CK_LEFTOVER_FILE, on_disk->names[i], strlen(on_disk->names[i]), NULL,
                               err, "%s does not name it: no loader opens it", index_name));
    return QP_OK;
}

// Without an index: model.safetensors alone where it is, else every file.
static qp_status named_by_folder(bool has_index, const name_list *on_disk, qp_arena *a, qp_ck_findings *f,
                                 name_list *out, qp_err *err) {
    const bool single = in_list(on_disk, single_name);
    for (size_t i = 0; i < on_disk->n; i++) {
        const char *name = on_disk->names[i];
        if (!single || strcmp(name, single_name) == 0)
            QP_TRY(add_name(out, name, a, err));
        else
            QP_TRY(qp_ck_found(f, QP_CK_LEFTOVER_FILE, name, strlen(name), NULL, err,
                               "%s is the checkpoint: no loader opens this one", single_name));
    }
    if (!single && !has_index && out->n > 1)
        QP_TRY(qp_ck_found(f, QP_CK_INDEX_SHARDS, default_index, strlen(default_index), NULL, err,
                           "missing beside %zu shards", out->n));
    return QP_OK;
}

// ---- the folder
// -----------------------------------------------------------------------------------------------------------

static qp_status read_config(const qp_ckpt *c, const char *name, qp_arena *a, qp_ck_findings *f,
                             qp_ck_config *out, qp_err *err) {
    const char *path;
    QP_TRY(qp_arena_printf(a, &path, err, "%s/%s", c->folder, name));
    return qp_ck_config_read(path, a, f, out, err);
}

static qp_status read_configs(qp_ckpt *c, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    QP_TRY(read_config(c, "config.json", a, f, &c->config, err));
    QP_TRY(read_config(c, "hf_quant_config.json", a, f, &c->hf_quant, err));
    QP_TRY(read_config(c, "quantize_config.json", a, f, &c->quantize, err));
    if (c->quantize.path == NULL) QP_TRY(read_config(c, "quant_config.json", a, f, &c->quantize, err));
    return QP_OK;
}

static qp_status open_folder(qp_ckpt *c, const char *index_name, bool strict, qp_arena *a, qp_ck_findings *f,
                             qp_err *err) {
    name_list on_disk = {0}, files = {0};
    json_t *map = NULL;
    QP_TRY(list_folder(c->folder, a, &on_disk, err));
    QP_TRY(read_configs(c, a, f, err));
    QP_TRY(read_config(c, index_name, a, f, &c->index, err));
    if (c->index.root != NULL) QP_TRY(qp_ck_index_map(c, a, f, &map, err));
    if (map != NULL && json_object_size(map) > 0)
        QP_TRY(named_by_index(index_name, map, &on_disk, a, f, &files, err));
    else
        QP_TRY(named_by_folder(c->index.path != NULL, &on_disk, a, f, &files, err));
    if (files.n == 0) QP_FAIL(QP_CORRUPT, "%s: no safetensors file here", c->path);
    QP_TRY(QP_NEW(a, c->files, files.n));
    for (size_t i = 0; i < files.n; i++) QP_TRY(qp_ck_file_add(c, files.names[i], strict, a, f, err));
    QP_TRY(qp_ck_tensors_gather(c, a, f, err));
    if (map != NULL && json_object_size(map) > 0) QP_TRY(qp_ck_index_check(c, map, a, f, err));
    return QP_OK;
}

// "...-00002-of-00007.safetensors"
static bool is_numbered_shard(const char *name) {
    static const char of[] = "-of-";
    const char *at = NULL;
    for (const char *p = name; (p = strstr(p, of)) != NULL; p++) at = p;
    if (at == NULL || at == name || at[-1] < '0' || at[-1] > '9') return false;
    char *end;
    const unsigned long long of_how_many = strtoull(at + sizeof of - 1, &end, 10);
    return of_how_many > 1 && strcmp(end, ".safetensors") == 0;
}

// Numbered by its name, or beside an index that puts tensors into this file and into others.
static qp_status find_part(qp_ckpt *c, const char *name, qp_arena *a, qp_err *err) {
    qp_ck_findings unsaid; // of an index that nobody asked for
    qp_ck_config index;
    const char *tensor;
    json_t *v;
    bool here = false, elsewhere = false;
    qp_ck_findings_init(&unsaid, a);
    QP_TRY(read_config(c, default_index, a, &unsaid, &index, err));
    json_object_foreach(json_object_get(index.root, "weight_map"), tensor, v) {
        const char *file = json_string_value(v);
        if (file == NULL) continue;
        here = here || strcmp(file, name) == 0;
        elsewhere = elsewhere || strcmp(file, name) != 0;
    }
    json_decref(index.root);
    c->part = is_numbered_shard(name) || (here && elsewhere);
    return QP_OK;
}

static qp_status open_file(qp_ckpt *c, const char *name, bool strict, qp_arena *a, qp_ck_findings *f,
                           qp_err *err) {
    QP_TRY(QP_NEW(a, c->files, 1));
    QP_TRY(read_configs(c, a, f, err));
    QP_TRY(qp_ck_file_add(c, name, strict, a, f, err));
    if (c->files[0].map == NULL) QP_FAIL(QP_CORRUPT, "%s", f->list[f->n - 1].detail);
    QP_TRY(find_part(c, name, a, err));
    return qp_ck_tensors_gather(c, a, f, err);
}

qp_status qp_ck_open(const char *path, bool strict, qp_arena *a, qp_ck_findings *f, qp_ckpt *c, qp_err *err) {
    struct stat st;
    memset(c, 0, sizeof *c);
    QP_TRY(qp_arena_strdup(a, path, &c->path, err));
    if (stat(path, &st) != 0) QP_FAIL(QP_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        c->folder = c->path;
        return open_folder(c, default_index, strict, a, f, err);
    }
    const char *slash = strrchr(path, '/');
    const int n_folder = slash == NULL ? 0 : slash == path ? 1 : (int)(slash - path);
    QP_TRY(
        qp_arena_printf(a, &c->folder, err, "%.*s", n_folder > 0 ? n_folder : 1, n_folder > 0 ? path : "."));
    const char *name = slash == NULL ? path : slash + 1;
    if (ends_with(name, ".index.json")) return open_folder(c, name, strict, a, f, err);
    return open_file(c, name, strict, a, f, err);
}

void qp_ck_close(qp_ckpt *c) {
    for (int i = 0; i < c->n_files; i++)
        if (c->files[i].map != NULL) munmap(c->files[i].map, c->files[i].n_bytes);
    json_t *roots[] = {c->config.root, c->hf_quant.root, c->quantize.root, c->index.root};
    for (size_t i = 0; i < QP_COUNT(roots); i++) json_decref(roots[i]);
    memset(c, 0, sizeof *c);
}
