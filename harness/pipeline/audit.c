// SPDX-License-Identifier: Apache-2.0
// Is the checkpoint exactly what these layers need? Rank 0 holds every key against the model and the recipe:
// none missing, none unexpected, and the parts of each tile its tensor without a hole and without an overlap
// (I19, I20). The others wait.
#include <stdlib.h>
#include <string.h>

#include "pipeline/checkpoint.h"

typedef struct due { // a key that must be there
    const char *key;
    qp_quantizer *q;
    qp_ckpt_field field;
} due;

static int compare_due(const void *a, const void *b) {
    return strcmp(((const due *)a)->key, ((const due *)b)->key);
}

// The linear as the first rank that holds it sees it, with the slice of the whole weight.
static qp_status whole_linear(qp_rank *r, int index, qp_quantizer *q, qp_err *err) {
    const qp_module *m = &r->job->model->modules[index];
    *q = (qp_quantizer){.module = m, .index = index, .projection = -1, .group = -1};
    for (int rank = 0; rank < qp_layout_ranks(&r->layout); rank++) {
        q->slice = qp_slice_of(m, &r->layout, rank);
        if (q->slice.held) break;
    }
    QP_TRY(qp_name_local(r, q, err));
    q->slice.n_row_ranges = 1;
    q->slice.rows[0] = (qp_range){0, m->out};
    q->slice.cols = (qp_range){0, m->in};
    q->slice.n_rows = m->out;
    q->slice.n_cols = m->in;
    qp_recipe_resolve(r->job->recipe, m->fqn, "weight_quantizer", &q->weight_cfg);
    qp_recipe_resolve(r->job->recipe, m->fqn, "input_quantizer", &q->input_cfg);
    return QP_OK;
}

static qp_status list_due(qp_rank *r, due **out, int *n, qp_err *err) {
    qp_quantizer *q;
    QP_TRY(QP_NEW(r->arena, q, r->n_modules + 1));
    QP_TRY(QP_NEW(r->arena, *out, r->n_modules * QP_CKPT_FIELDS + 1));
    *n = 0;
    for (int i = 0; i < r->n_modules; i++) {
        if (!r->job->model->modules[r->modules[i]].quantizable) continue;
        QP_TRY(whole_linear(r, r->modules[i], &q[i], err));
        for (int f = 0; f < QP_CKPT_FIELDS; f++) {
            if (!qp_ckpt_has(&q[i], (qp_ckpt_field)f)) continue;
            due *d = &(*out)[(*n)++];
            *d = (due){.q = &q[i], .field = (qp_ckpt_field)f};
            QP_TRY(r->stages->checkpoint_key(r, &q[i], qp_ckpt_field_name(d->field), r->arena, &d->key, err));
        }
    }
    qsort(*out, (size_t)*n, sizeof **out, compare_due);
    return QP_OK;
}

typedef struct box { // one run of rows of one part
    qp_range rows, cols;
    const char *file;
} box;

static int compare_boxes(const void *pa, const void *pb) {
    const box *a = pa, *b = pb;
    return a->rows.begin < b->rows.begin ? -1 : a->rows.begin > b->rows.begin;
}

static bool meet(qp_range a, qp_range b) {
    return a.begin < b.begin + b.count && b.begin < a.begin + a.count;
}

static bool inside(const qp_place *p, const box *b) {
    for (int i = 0; i < p->n_rows; i++)
        if (b->rows.begin >= p->rows[i].begin &&
            b->rows.begin + b->rows.count <= p->rows[i].begin + p->rows[i].count)
            return true;
    return false;
}

static qp_status check_tiling(qp_rank *r, const due *d, int first, int n, qp_err *err) {
    const qp_ckpt_part *parts = r->checkpoint->parts;
    qp_place want;
    box *boxes;
    int n_boxes = 0, at = 0;
    int64_t area = 0;
    QP_TRY(qp_place_of(r->job, d->q, d->field, r->scratch, &want, err));
    for (int i = first; i < first + n; i++) n_boxes += parts[i].place.n_rows;
    QP_TRY(QP_NEW(r->scratch, boxes, n_boxes + 1));
    for (int i = first; i < first + n; i++)
        for (int k = 0; k < parts[i].place.n_rows; k++) {
            boxes[at] = (box){parts[i].place.rows[k], parts[i].place.cols, parts[i].file};
            area += boxes[at].rows.count * boxes[at].cols.count;
            if (parts[i].place.full_rows != want.full_rows || parts[i].place.full_cols != want.full_cols ||
                !inside(&want, &boxes[at]))
                QP_FAIL(QP_CORRUPT, "%s: %s: rows %lld..%lld of [%lld, %lld] do not belong into [%lld, %lld]",
                        parts[i].file, d->key, (long long)boxes[at].rows.begin,
                        (long long)(boxes[at].rows.begin + boxes[at].rows.count - 1),
                        (long long)parts[i].place.full_rows, (long long)parts[i].place.full_cols,
                        (long long)want.full_rows, (long long)want.full_cols);
            at++;
        }
    qsort(boxes, (size_t)n_boxes, sizeof *boxes, compare_boxes);
    for (int i = 0; i < n_boxes; i++)
        for (int k = i + 1; k < n_boxes && boxes[k].rows.begin < boxes[i].rows.begin + boxes[i].rows.count;
             k++)
            if (meet(boxes[i].cols, boxes[k].cols))
                QP_FAIL(QP_CORRUPT, "%s: row %lld is written twice, in %s and in %s", d->key,
                        (long long)boxes[k].rows.begin, boxes[i].file, boxes[k].file);
    const int64_t due_area = qp_place_rows(&want) * want.cols.count;
    if (area != due_area)
        QP_FAIL(QP_CORRUPT, "%s: %s has a hole: %lld of %lld elements are there", r->load_dir, d->key,
                (long long)area, (long long)due_area);
    return QP_OK;
}

static qp_status check_due(qp_rank *r, const due *d, qp_err *err) {
    int first;
    const int n = qp_ckpt_find(r->checkpoint, d->key, &first);
    const bool absent = qp_ckpt_absent(r->checkpoint, d->key);
    qp_arena_reset(r->scratch);
    if (n > 0 && absent) QP_FAIL(QP_CORRUPT, "%s: %s is there and marked absent", r->load_dir, d->key);
    if (n > 0) return check_tiling(r, d, first, n, err);
    qp_place want;
    QP_TRY(qp_place_of(r->job, d->q, d->field, r->scratch, &want, err));
    if (!absent && qp_place_rows(&want) > 0) QP_FAIL(QP_CORRUPT, "%s: %s is missing", r->load_dir, d->key);
    return QP_OK;
}

static qp_status audit(qp_rank *r, qp_err *err) {
    due *all;
    int n;
    QP_TRY(list_due(r, &all, &n, err));
    const qp_checkpoint *c = r->checkpoint;
    for (int i = 0; i < c->n_parts; i++) {
        const due key = {.key = c->parts[i].key};
        if (n == 0 || !bsearch(&key, all, (size_t)n, sizeof *all, compare_due))
            QP_FAIL(QP_CORRUPT, "%s: unexpected key %s: no quantizer of these layers has it",
                    c->parts[i].file, c->parts[i].key);
    }
    for (int i = 0; i < n; i++) {
        if (i > 0 && strcmp(all[i].key, all[i - 1].key) == 0)
            QP_FAIL(QP_CORRUPT, "%s: the key %s stands for two linears, %s and %s", r->load_dir, all[i].key,
                    all[i - 1].q->module->fqn, all[i].q->module->fqn);
        QP_TRY(check_due(r, &all[i], err));
    }
    return QP_OK;
}

qp_status qp_step_load_audit(qp_rank *r, qp_err *err) {
    if (r->at.rank == 0) QP_TRY(audit(r, err));
    return qp_comm_barrier(r->comm, QP_GROUP_WORLD, "checkpoint is audited", err);
}
