// SPDX-License-Identifier: Apache-2.0
// Stage load: strict, into a fresh model, under this phase's layout. What a rank needs is put together from
// the parts of all files; nothing is ever computed again from the weights (I22).
#include <stdlib.h>
#include <string.h>

#include "pipeline/checkpoint.h"
#include "pipeline/show.h"

// ---- open
// ----------------------------------------------------------------------------------------------------------------------

static bool ends_with(const char *s, const char *end, size_t *stem) {
    const size_t n = strlen(s), k = strlen(end);
    *stem = n >= k ? n - k : 0;
    return n >= k && strcmp(s + n - k, end) == 0;
}

static int64_t word_at(const qp_st_tensor *t, int64_t i) { // the mapping may be unaligned
    int64_t w;
    memcpy(&w, (const char *)t->data + (size_t)i * sizeof w, sizeof w);
    return w;
}

static qp_status read_place(const qp_st_file *f, const qp_st_tensor *t, qp_arena *a, qp_place *p,
                            qp_err *err) {
    const char *name;
    QP_TRY(qp_arena_printf(a, &name, err, "%s.place", t->name));
    const qp_st_tensor *w = qp_st_find(f, name);
    if (!w) QP_FAIL(QP_CORRUPT, "%s: %s is a part of a tensor, but %s is missing", f->path, t->name, name);
    const int64_t n = w->n_dims == 1 && w->dtype == QP_I64 ? w->dims[0] : 0;
    if (n < 6 || n % 2 != 0) QP_FAIL(QP_CORRUPT, "%s: %s: I64 with 4 + 2n words wanted", f->path, name);
    QP_TRY(QP_NEW(a, p->rows, n / 2 - 2));
    p->full_rows = word_at(w, 0);
    p->full_cols = word_at(w, 1);
    p->cols = (qp_range){word_at(w, 2), word_at(w, 3)};
    bool ok = p->full_rows > 0 && p->cols.begin >= 0 && p->cols.count > 0 &&
              p->cols.count <= p->full_cols - p->cols.begin;
    for (p->n_rows = 0; p->n_rows < n / 2 - 2; p->n_rows++) {
        const qp_range rows = {word_at(w, 4 + 2 * p->n_rows), word_at(w, 5 + 2 * p->n_rows)};
        ok = ok && rows.begin >= 0 && rows.count > 0 && rows.count <= p->full_rows - rows.begin;
        p->rows[p->n_rows] = rows;
    }
    if (!ok)
        QP_FAIL(QP_CORRUPT, "%s: %s: a place outside [%lld, %lld]", f->path, name, (long long)p->full_rows,
                (long long)p->full_cols);
    if (t->n_dims != 2 || t->dims[0] != qp_place_rows(p) || t->dims[1] != p->cols.count)
        QP_FAIL(QP_CORRUPT, "%s: %s: shape [%lld, %lld] wanted by %s, got [%lld, %lld]", f->path, t->name,
                (long long)qp_place_rows(p), (long long)p->cols.count, name, (long long)t->dims[0],
                (long long)(t->n_dims > 1 ? t->dims[1] : 1));
    return QP_OK;
}

static qp_status read_part(const qp_st_file *f, const qp_st_tensor *t, qp_arena *a, qp_ckpt_part *out,
                           qp_err *err) {
    const char *hash = strchr(t->name, '#');
    *out = (qp_ckpt_part){.key = t->name, .file = f->path, .tensor = t};
    if (hash) {
        QP_TRY(qp_arena_printf(a, &out->key, err, "%.*s", (int)(hash - t->name), t->name));
        return read_place(f, t, a, &out->place, err);
    }
    const int64_t rows = t->n_dims >= 1 ? t->dims[0] : 1, cols = t->n_dims == 2 ? t->dims[1] : 1;
    if (t->n_dims > 2)
        QP_FAIL(QP_CORRUPT, "%s: %s: at most 2 dimensions wanted, got %d", f->path, t->name, t->n_dims);
    QP_TRY(QP_NEW(a, out->place.rows, 1));
    out->place.rows[0] = (qp_range){0, rows};
    out->place.n_rows = 1;
    out->place.cols = (qp_range){0, cols};
    out->place.full_rows = rows;
    out->place.full_cols = cols;
    return QP_OK;
}

static int compare_parts(const void *pa, const void *pb) {
    const qp_ckpt_part *a = pa, *b = pb;
    const int c = strcmp(a->key, b->key);
    return c != 0 ? c : strcmp(a->file, b->file);
}
static int compare_keys(const void *pa, const void *pb) {
    return strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

static qp_status read_parts(qp_rank *r, qp_checkpoint *c, qp_err *err) {
    int n = 0;
    for (int i = 0; i < c->set.n_files; i++) n += c->set.files[i].n_tensors;
    QP_TRY(QP_NEW(r->arena, c->parts, n + 1));
    QP_TRY(QP_NEW(r->arena, c->absent, n + 1));
    for (int i = 0; i < c->set.n_files; i++)
        for (int k = 0; k < c->set.files[i].n_tensors; k++) {
            const qp_st_tensor *t = &c->set.files[i].tensors[k];
            size_t stem;
            if (ends_with(t->name, ".place", &stem)) continue;
            if (ends_with(t->name, ".absent", &stem))
                QP_TRY(qp_arena_printf(r->arena, &c->absent[c->n_absent++], err, "%.*s", (int)stem, t->name));
            else
                QP_TRY(read_part(&c->set.files[i], t, r->arena, &c->parts[c->n_parts++], err));
        }
    qsort(c->parts, (size_t)c->n_parts, sizeof *c->parts, compare_parts);
    qsort(c->absent, (size_t)c->n_absent, sizeof *c->absent, compare_keys);
    return QP_OK;
}

qp_status qp_step_load_open(qp_rank *r, qp_err *err) {
    QP_TRY(QP_NEW(r->arena, r->checkpoint, 1));
    r->checkpoint->folder = r->load_dir;
    QP_TRY(qp_st_set_open(r->load_dir, r->arena, &r->checkpoint->set, err));
    return read_parts(r, r->checkpoint, err);
}

int qp_ckpt_find(const qp_checkpoint *c, const char *key, int *first) {
    int low = 0, high = c->n_parts, n = 0;
    while (low < high) {
        const int mid = low + (high - low) / 2;
        if (strcmp(c->parts[mid].key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *first = low;
    while (low + n < c->n_parts && strcmp(c->parts[low + n].key, key) == 0) n++;
    return n;
}

bool qp_ckpt_absent(const qp_checkpoint *c, const char *key) {
    return c->n_absent > 0 &&
           bsearch(&key, c->absent, (size_t)c->n_absent, sizeof *c->absent, compare_keys) != NULL;
}

// ---- fill
// ----------------------------------------------------------------------------------------------------------------------

void qp_load_narrow(const qp_rank *r, const qp_quantizer *q, const char *field, qp_place *place) {
    (void)r, (void)q, (void)field, (void)place; // the rank's own place is what it loads
}

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// Copies what part and want have in common into out [rows of want, want->cols.count]; returns the elements
// copied.
static int64_t copy_common(const qp_ckpt_part *part, const qp_place *want, char *out) {
    const size_t size = qp_dtype_bytes(part->tensor->dtype);
    const int64_t col0 = max64(part->place.cols.begin, want->cols.begin);
    const int64_t col1 =
        min64(part->place.cols.begin + part->place.cols.count, want->cols.begin + want->cols.count);
    int64_t n = 0, to = 0;
    if (col0 >= col1) return 0;
    for (int w = 0; w < want->n_rows; to += want->rows[w++].count) {
        int64_t from = 0;
        for (int p = 0; p < part->place.n_rows; from += part->place.rows[p++].count) {
            const qp_range pr = part->place.rows[p], wr = want->rows[w];
            const int64_t row0 = max64(pr.begin, wr.begin),
                          row1 = min64(pr.begin + pr.count, wr.begin + wr.count);
            for (int64_t row = row0; row < row1; row++) {
                const int64_t src =
                    (from + row - pr.begin) * part->place.cols.count + col0 - part->place.cols.begin;
                const int64_t dst = (to + row - wr.begin) * want->cols.count + col0 - want->cols.begin;
                memcpy(out + (size_t)dst * size, (const char *)part->tensor->data + (size_t)src * size,
                       (size_t)(col1 - col0) * size);
                n += col1 - col0;
            }
        }
    }
    return n;
}

// data: [rows of the rank's place, cols]; *there = false when the checkpoint says that the quantizer had
// none.
static qp_status load_field(qp_rank *r, const qp_quantizer *q, qp_ckpt_field f, qp_place *place, void *data,
                            bool *there, qp_err *err) {
    const char *key, *field = qp_ckpt_field_name(f);
    int first;
    const int64_t n_want = qp_place_rows(place) * place->cols.count;
    QP_TRY(r->stages->checkpoint_key(r, q, field, r->scratch, &key, err));
    const int n = qp_ckpt_find(r->checkpoint, key, &first);
    *there = n > 0 || n_want == 0;
    if (*there == false && qp_ckpt_absent(r->checkpoint, key)) return QP_OK;
    if (*there == false)
        QP_FAIL(QP_CORRUPT, "%s: %s is missing (needed by rank %d)", r->load_dir, key, r->at.rank);
    r->stages->load_narrow(r, q, field, place);
    int64_t got = 0;
    for (int i = first; i < first + n; i++) {
        const qp_ckpt_part *part = &r->checkpoint->parts[i];
        if (part->tensor->dtype != qp_ckpt_dtype(f) || part->place.full_rows != place->full_rows ||
            part->place.full_cols != place->full_cols)
            QP_FAIL(QP_CORRUPT, "%s: %s: %s [%lld, %lld] wanted, got %s [%lld, %lld]", part->file, key,
                    qp_dtype_st_name(qp_ckpt_dtype(f)), (long long)place->full_rows,
                    (long long)place->full_cols, qp_dtype_st_name(part->tensor->dtype),
                    (long long)part->place.full_rows, (long long)part->place.full_cols);
        got += copy_common(part, place, data);
    }
    if (got < n_want)
        QP_FAIL(QP_CORRUPT, "%s: %s has a hole: rank %d found %lld of the %lld elements that it needs",
                r->load_dir, key, r->at.rank, (long long)got, (long long)n_want);
    return QP_OK;
}

static qp_status load_amax(qp_rank *r, qp_quantizer *q, qp_err *err) {
    qp_place p;
    if (qp_ckpt_has(q, QP_CKPT_AMAX)) {
        QP_TRY(qp_place_of(r->job, q, QP_CKPT_AMAX, r->scratch, &p, err));
        QP_TRY(load_field(r, q, QP_CKPT_AMAX, &p, q->weight_amax.images, &q->weight_amax.has, err));
    }
    if (qp_ckpt_has(q, QP_CKPT_INPUT)) {
        QP_TRY(qp_place_of(r->job, q, QP_CKPT_INPUT, r->scratch, &p, err));
        QP_TRY(load_field(r, q, QP_CKPT_INPUT, &p, q->input_amax.images, &q->input_amax.has, err));
    }
    if (!qp_ckpt_has(q, QP_CKPT_GLOBAL)) return QP_OK;
    QP_TRY(qp_place_of(r->job, q, QP_CKPT_GLOBAL, r->scratch, &p, err));
    QP_TRY(load_field(r, q, QP_CKPT_GLOBAL, &p, &q->global_amax, &q->promoted, err));
    if (q->promoted) q->weight_amax.dtype = "float32";
    return QP_OK;
}

static qp_status load_packed(qp_rank *r, qp_quantizer *q, qp_err *err) {
    qp_place codes, scales, scalar;
    bool there[3];
    QP_TRY(qp_place_of(r->job, q, QP_CKPT_PACKED, r->scratch, &codes, err));
    QP_TRY(qp_place_of(r->job, q, QP_CKPT_SCALE, r->scratch, &scales, err));
    QP_TRY(qp_place_of(r->job, q, QP_CKPT_SCALE_2, r->scratch, &scalar, err));
    q->n_sample = qp_place_rows(&codes);
    QP_TRY(QP_NEW(r->arena, q->codes, q->n_sample * codes.cols.count + 1));
    QP_TRY(QP_NEW(r->arena, q->scales, q->n_sample * scales.cols.count + 1));
    if (r->job->rows > 0) {
        int64_t at = 0;
        QP_TRY(QP_NEW(r->arena, q->sample, q->n_sample + 1));
        for (int i = 0; i < codes.n_rows; i++)
            for (int64_t k = 0; k < codes.rows[i].count; k++)
                q->sample[at++] = qp_local_row(q, codes.rows[i].begin + k);
    }
    QP_TRY(load_field(r, q, QP_CKPT_PACKED, &codes, q->codes, &there[0], err));
    QP_TRY(load_field(r, q, QP_CKPT_SCALE, &scales, q->scales, &there[1], err));
    QP_TRY(load_field(r, q, QP_CKPT_SCALE_2, &scalar, &q->weight_scale_2, &there[2], err));
    q->packed = there[0] && there[1] && there[2];
    return QP_OK;
}

qp_status qp_step_load_state(qp_rank *r, qp_err *err) {
    for (int i = 0; i < r->n_q; i++) {
        qp_arena_reset(r->scratch);
        QP_TRY(load_amax(r, &r->q[i], err));
        if (qp_is_nvfp4(&r->q[i])) QP_TRY(load_packed(r, &r->q[i], err));
    }
    qp_rank_note_memory(r);
    return QP_OK;
}

qp_status qp_step_show_load(qp_rank *r, qp_err *err) {
    QP_TRY(qp_show_amax(r, r->load_stage, err));
    for (int i = 0; i < r->n_q; i++) {
        const qp_quantizer *q = &r->q[i];
        if (qp_is_static(q))
            QP_TRY(qp_show(r, q, r->load_stage, "weight_quantizer._global_amax", QP_FP32, 1, 1, NULL, 1,
                           q->promoted ? &q->global_amax : NULL, err));
        if (qp_is_nvfp4(q)) QP_TRY(qp_show_packed(r, q, r->load_stage, err));
    }
    return QP_OK;
}
