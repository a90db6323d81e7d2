// SPDX-License-Identifier: Apache-2.0
// Stage save: every rank writes its shards into FOLDER.tmp; when all have, rank 0 writes the index and swaps
// the folders. A failure on any rank leaves FOLDER as it was.
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "pipeline/checkpoint.h"

void qp_save_amax_row(const qp_amax *a, int64_t row, uint32_t *out) {
    memcpy(out, a->images + row * a->cols, sizeof *out * (size_t)a->cols);
}

// ---- who writes what
// -------------------------------------------------------------------------------------------------------

static bool holds_rows(const qp_slice *s, qp_range rows) {
    for (int i = 0; i < s->n_row_ranges; i++)
        if (rows.begin >= s->rows[i].begin && rows.begin + rows.count <= s->rows[i].begin + s->rows[i].count)
            return true;
    return false;
}

// Keeps the runs of rows that no lower rank holds too.
static void keep_owned(const qp_rank *r, const qp_quantizer *q, qp_place *p) {
    const bool scalar = p->full_rows == 1 && p->full_cols == 1, split_cols = p->full_cols > 1;
    int kept = 0;
    for (int i = 0; i < p->n_rows; i++) {
        bool mine = true;
        for (int rank = 0; rank < r->at.rank && mine; rank++) {
            const qp_slice s = qp_slice_of(q->module, &r->layout, rank);
            const bool same_cols = !split_cols || s.cols.begin == q->slice.cols.begin;
            if (s.held && (scalar || (same_cols && holds_rows(&s, p->rows[i])))) mine = false;
        }
        if (mine) p->rows[kept++] = p->rows[i];
    }
    p->n_rows = kept;
}

// Place of a local row among the rows that fake-quant and pack ran on.
static int64_t sample_index(const qp_quantizer *q, int64_t local_row) {
    if (!q->sample) return local_row;
    int64_t low = 0, high = q->n_sample;
    while (low < high) {
        const int64_t mid = low + (high - low) / 2;
        if (q->sample[mid] < local_row)
            low = mid + 1;
        else
            high = mid;
    }
    return low < q->n_sample && q->sample[low] == local_row ? low : -1;
}

static qp_status copy_row(const qp_rank *r, const qp_quantizer *q, qp_ckpt_field f, int64_t global_row,
                          const qp_place *p, char *out, qp_err *err) {
    const bool scalar = p->full_rows == 1 && p->full_cols == 1;
    const int64_t local = scalar ? 0 : qp_local_row(q, global_row);
    const size_t n_bytes = (size_t)p->cols.count * qp_dtype_bytes(qp_ckpt_dtype(f));
    const int64_t at = f == QP_CKPT_PACKED || f == QP_CKPT_SCALE ? sample_index(q, local) : local;
    if (at < 0)
        QP_FAIL(QP_BROKEN, "rank %d: row %lld of %s was not packed", r->at.rank, (long long)global_row,
                q->module->fqn);
    void *to = out;
    switch (f) {
    case QP_CKPT_AMAX:
        r->stages->save_amax_row(&q->weight_amax, at, to);
        break;
    case QP_CKPT_INPUT:
        r->stages->save_amax_row(&q->input_amax, 0, to);
        break;
    case QP_CKPT_GLOBAL:
        memcpy(out, &q->global_amax, n_bytes);
        break;
    case QP_CKPT_SCALE_2:
        memcpy(out, &q->weight_scale_2, n_bytes);
        break;
    case QP_CKPT_PACKED:
        memcpy(out, q->codes + (size_t)at * n_bytes, n_bytes);
        break;
    default:
        memcpy(out, q->scales + (size_t)at * n_bytes, n_bytes);
        break;
    }
    return QP_OK;
}

static bool is_there(const qp_quantizer *q, qp_ckpt_field f) {
    switch (f) {
    case QP_CKPT_AMAX:
        return q->weight_amax.has;
    case QP_CKPT_INPUT:
        return q->input_amax.has;
    case QP_CKPT_GLOBAL:
        return q->promoted;
    default:
        return q->packed;
    }
}

// ---- one rank's file
// -------------------------------------------------------------------------------------------------------

typedef struct shard_list {
    qp_st_tensor *tensors;
    int n;
} shard_list;

static qp_status add_absent(qp_rank *r, shard_list *l, const char *key, qp_err *err) {
    int64_t *mark;
    qp_st_tensor *t = &l->tensors[l->n++];
    QP_TRY(QP_NEW(r->scratch, mark, 1));
    *mark = r->at.rank;
    *t = (qp_st_tensor){.dtype = QP_I64, .n_dims = 1, .dims = {1}, .data = mark, .n_bytes = sizeof *mark};
    return qp_arena_printf(r->scratch, &t->name, err, "%s.absent", key);
}

static qp_status add_place(qp_rank *r, shard_list *l, const char *name, const qp_place *p, qp_err *err) {
    const int n = 4 + 2 * p->n_rows;
    int64_t *words;
    qp_st_tensor *t = &l->tensors[l->n++];
    QP_TRY(QP_NEW(r->scratch, words, n));
    words[0] = p->full_rows;
    words[1] = p->full_cols;
    words[2] = p->cols.begin;
    words[3] = p->cols.count;
    for (int i = 0; i < p->n_rows; i++) {
        words[4 + 2 * i] = p->rows[i].begin;
        words[5 + 2 * i] = p->rows[i].count;
    }
    *t = (qp_st_tensor){
        .dtype = QP_I64, .n_dims = 1, .dims = {n}, .data = words, .n_bytes = sizeof *words * (size_t)n};
    return qp_arena_printf(r->scratch, &t->name, err, "%s.place", name);
}

static qp_status add_field(qp_rank *r, const qp_quantizer *q, qp_ckpt_field f, shard_list *l, qp_err *err) {
    qp_place p;
    const char *key;
    QP_TRY(qp_place_of(r->job, q, f, r->scratch, &p, err));
    QP_TRY(r->stages->checkpoint_key(r, q, qp_ckpt_field_name(f), r->scratch, &key, err));
    keep_owned(r, q, &p);
    const int64_t n_rows = qp_place_rows(&p);
    if (n_rows == 0) return QP_OK;
    if (!is_there(q, f)) return add_absent(r, l, key, err);
    const bool scalar = p.full_rows == 1 && p.full_cols == 1;
    const bool whole = n_rows == p.full_rows && p.cols.count == p.full_cols;
    const size_t row_bytes = (size_t)p.cols.count * qp_dtype_bytes(qp_ckpt_dtype(f));
    char *data;
    QP_TRY(QP_NEW(r->scratch, data, row_bytes * (size_t)n_rows));
    int64_t at = 0;
    for (int i = 0; i < p.n_rows; i++)
        for (int64_t k = 0; k < p.rows[i].count; k++)
            QP_TRY(copy_row(r, q, f, p.rows[i].begin + k, &p, data + row_bytes * (size_t)at++, err));
    qp_st_tensor *t = &l->tensors[l->n++];
    *t = (qp_st_tensor){.name = key, .dtype = qp_ckpt_dtype(f), .n_dims = scalar ? 1 : 2, .data = data};
    t->dims[0] = n_rows;
    t->dims[1] = p.cols.count;
    t->n_bytes = row_bytes * (size_t)n_rows;
    if (whole) return QP_OK;
    QP_TRY(qp_arena_printf(r->scratch, &t->name, err, "%s#%d", key, r->at.rank));
    return add_place(r, l, t->name, &p, err);
}

qp_status qp_step_save_shards(qp_rank *r, qp_err *err) {
    shard_list l = {0};
    const char *temp, *path;
    char rank[16], layout[64];
    qp_arena_reset(r->scratch);
    QP_TRY(QP_NEW(r->scratch, l.tensors, 2 * QP_CKPT_FIELDS * r->n_q + 1));
    for (int i = 0; i < r->n_q; i++)
        for (int f = 0; f < QP_CKPT_FIELDS; f++)
            if (qp_ckpt_has(&r->q[i], (qp_ckpt_field)f))
                QP_TRY(add_field(r, &r->q[i], (qp_ckpt_field)f, &l, err));
    QP_TRY(qp_arena_printf(r->scratch, &temp, err, "%s.tmp", r->save_dir));
    QP_TRY(qp_arena_printf(r->scratch, &path, err, "%s/model-rank%05d.safetensors", temp, r->at.rank));
    if (r->at.rank == 0) {
        QP_TRY(qp_dir_remove(temp, err));
        QP_TRY(qp_dir_make(temp, err));
    }
    QP_TRY(qp_comm_barrier(r->comm, QP_GROUP_WORLD, "checkpoint folder is there", err));
    snprintf(rank, sizeof rank, "%d", r->at.rank);
    const char *const meta[][2] = {
        {"format", "quantproof-shards-1"}, {"rank", rank}, {"layout", qp_layout_text(&r->layout, layout)}};
    qp_rank_note_memory(r);
    return l.n == 0 ? QP_OK : qp_st_write(path, l.tensors, l.n, meta, QP_COUNT(meta), err);
}

// ---- the commit
// --------------------------------------------------------------------------------------------------------------

static qp_status index_file(qp_rank *r, const char *temp, int rank, json_t *map, qp_err *err) {
    const char *path, *name;
    qp_st_file f;
    QP_TRY(qp_arena_printf(r->scratch, &name, err, "model-rank%05d.safetensors", rank));
    QP_TRY(qp_arena_printf(r->scratch, &path, err, "%s/%s", temp, name));
    if (!qp_file_exists(path)) return QP_OK;
    QP_TRY(qp_st_open(path, r->scratch, &f, err));
    bool ok = true;
    for (int i = 0; i < f.n_tensors; i++)
        ok = ok && json_object_set_new(map, f.tensors[i].name, json_string(name)) == 0;
    qp_st_close(&f);
    if (!ok) QP_FAIL(QP_NOMEM, "%s: no memory for the index", path);
    return QP_OK;
}

static qp_status write_index(qp_rank *r, const char *temp, qp_err *err) {
    const char *path;
    char *text = NULL;
    json_t *map = json_object(),
           *root = json_pack("{s:{s:s},s:O}", "metadata", "format", "quantproof-shards-1", "weight_map", map);
    qp_status status = QP_OK;
    QP_TRY_GOTO(status, qp_arena_printf(r->scratch, &path, err, "%s/model.safetensors.index.json", temp),
                out);
    for (int rank = 0; rank < qp_layout_ranks(&r->layout); rank++)
        QP_TRY_GOTO(status, index_file(r, temp, rank, map, err), out);
    text = json_dumps(root, JSON_INDENT(1));
    if (!text) QP_FAIL_GOTO(status, out, QP_NOMEM, "%s: no memory for the index", path);
    QP_TRY_GOTO(status, qp_file_write_atomic(path, text, strlen(text), err), out);
out:
    free(text);
    json_decref(root);
    json_decref(map);
    return status;
}

static qp_status rename_folder(const char *from, const char *to, qp_err *err) {
    if (rename(from, to) != 0) QP_FAIL(QP_IO, "%s: cannot be renamed to %s: %s", from, to, strerror(errno));
    return QP_OK;
}

static qp_status commit(qp_rank *r, qp_err *err) {
    const char *temp, *old;
    qp_arena_reset(r->scratch);
    QP_TRY(qp_arena_printf(r->scratch, &temp, err, "%s.tmp", r->save_dir));
    QP_TRY(qp_arena_printf(r->scratch, &old, err, "%s.old", r->save_dir));
    QP_TRY(write_index(r, temp, err));
    QP_TRY(qp_dir_remove(old, err));
    if (qp_file_exists(r->save_dir)) QP_TRY(rename_folder(r->save_dir, old, err));
    QP_TRY(rename_folder(temp, r->save_dir, err));
    return qp_dir_remove(old, err);
}

qp_status qp_step_save_commit(qp_rank *r, qp_err *err) {
    QP_TRY(qp_comm_barrier(r->comm, QP_GROUP_WORLD, "all shards are written", err));
    if (r->at.rank == 0) QP_TRY(commit(r, err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "checkpoint is committed", err);
}
