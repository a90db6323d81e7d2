// SPDX-License-Identifier: Apache-2.0
// The index of a sharded checkpoint against its shards. Nothing outside the folder is ever opened.
#include "checkpoint/open.h"

#include <stdlib.h>
#include <string.h>

#define FOUND(name, n, ...) qp_ck_found(f, QP_CK_INDEX_SHARDS, (name), (n), NULL, err, __VA_ARGS__)

static bool is_plain_name(const char *s, size_t n) {
    return n > 0 && s[0] != '.' && memchr(s, '/', n) == NULL && memchr(s, '\0', n) == NULL;
}

qp_status qp_ck_index_map(const qp_ckpt *c, qp_arena *a, qp_ck_findings *f, json_t **out, qp_err *err) {
    json_t *map = json_object_get(c->index.root, "weight_map"), *v;
    const char *name, *shown;
    const char *path = c->index.name;
    *out = NULL;
    if (!json_is_object(map)) return FOUND(path, strlen(path), "weight_map: an object was wanted");
    void *next;
    json_object_foreach_safe(map, next, name, v) {
        if (!json_is_string(v)) {
            const char *got =
                json_is_array(v) ? "a list (an inverted map, file -> names?)" : "something else";
            QP_TRY(FOUND(path, strlen(path), "weight_map: a file name for '%.200s' was wanted, got %s", name,
                         got));
            json_object_del(map, name);
        } else if (!is_plain_name(json_string_value(v), json_string_length(v))) {
            QP_TRY(qp_ck_show(json_string_value(v), json_string_length(v), a, &shown, err));
            QP_TRY(FOUND(name, strlen(name), "the index puts it into '%s': a plain file name was wanted",
                         shown));
            json_object_del(map, name);
        }
    }
    *out = map;
    return QP_OK;
}

static int by_name(const void *name, const void *file) {
    return strcmp(name, ((const qp_ck_file *)file)->name);
}

static const qp_ck_file *file_named(const qp_ckpt *c, const char *name) { // files lie in the order of names
    return bsearch(name, c->files, (size_t)c->n_files, sizeof *c->files, by_name);
}

// A name with NUL cannot be a key here: no index entry.
static qp_status said_of(json_t *map, const qp_ck_tensor *t, qp_arena *a, const char **out, qp_err *err) {
    char small[512], *key = small;
    *out = NULL;
    if (memchr(t->name, '\0', t->n_name) != NULL) return QP_OK;
    if (t->n_name >= sizeof small) QP_TRY(QP_NEW(a, key, t->n_name + 1));
    memcpy(key, t->name, t->n_name);
    key[t->n_name] = '\0';
    *out = json_string_value(json_object_get(map, key));
    return QP_OK;
}

static qp_status check_shards(const qp_ckpt *c, json_t *map, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    for (uint32_t i = 0; i < c->n_tensors; i++) {
        const qp_ck_tensor *t = &c->tensors[i];
        const char *holder = c->files[t->file].name;
        const char *said;
        QP_TRY(said_of(map, t, a, &said, err));
        if (said == NULL)
            QP_TRY(FOUND(t->name, t->n_name, "is in %s, and not in the index", holder));
        else if (strcmp(said, holder) != 0)
            QP_TRY(FOUND(t->name, t->n_name, "is in %s, the index says %s", holder, said));
    }
    return QP_OK;
}

static qp_status check_names(const qp_ckpt *c, json_t *map, qp_ck_findings *f, qp_err *err) {
    const char *name;
    json_t *v;
    json_object_foreach(map, name, v) {
        const qp_ck_file *file = file_named(c, json_string_value(v));
        if (file == NULL || file->map == NULL || qp_ck_find(c, name, strlen(name)) != NULL) continue;
        QP_TRY(FOUND(name, strlen(name), "the index says %s, it is in no shard", json_string_value(v)));
    }
    return QP_OK;
}

// Only device maps use it: the loaders do not mind.
static qp_status check_total(const qp_ckpt *c, qp_ck_findings *f, qp_err *err) {
    json_t *total = json_object_get(json_object_get(c->index.root, "metadata"), "total_size");
    if (!json_is_number(total) || json_number_value(total) == (double)c->n_bytes) return QP_OK;
    for (int i = 0; i < c->n_files; i++)
        if (c->files[i].map == NULL) return QP_OK;
    return qp_ck_found(f, QP_CK_TOLERATED_FORMAT, c->index.name, strlen(c->index.name), NULL, err,
                       "metadata.total_size: %llu wanted (the bytes of all tensors), got %.0f",
                       (unsigned long long)c->n_bytes, json_number_value(total));
}

qp_status qp_ck_index_check(const qp_ckpt *c, json_t *map, qp_arena *a, qp_ck_findings *f, qp_err *err) {
    QP_TRY(check_shards(c, map, a, f, err));
    QP_TRY(check_names(c, map, f, err));
    return check_total(c, f, err);
}
