// SPDX-License-Identifier: Apache-2.0
// Whether a walked header can be true: lengths before anything is read, names, sizes, places; then what was
// tolerated. The order of limits and the arithmetic are those of shapes spec 2.10.
#include "tensor/st_scan.h"
#include "tensor/st_walk.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };
static const uint64_t header_limit = 100000000; // safetensors: N <= 100 MB, checked before anything else
static const char lfs_mark[] = "version https://git-lfs";

const qp_st_dtype qp_st_dtypes[QP_ST_DTYPES] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
};

const qp_st_rule_row qp_st_rules[QP_ST_RULES] = {
    [QP_ST_LEADING_SPACE] = {"leading-space", true, "the header begins with '{'"},
    [QP_ST_PADDING] = {"padding", true, "the header is padded with spaces (0x20) only"},
    [QP_ST_META_NULL] = {"metadata-null", true, "__metadata__ is an object of texts"},
    [QP_ST_META_TWICE] = {"metadata-key-twice", true, "keys are not repeated"},
    [QP_ST_NAME_TWICE] = {"name-twice", true, "keys are not repeated"},
    [QP_ST_ENTRY_LIST] = {"entry-list", true, "an entry is an object"},
    [QP_ST_DTYPE_OBJECT] = {"dtype-object", true, "dtype is a text"},
    [QP_ST_EXTRA_FIELD] = {"extra-field", true, "an entry has dtype, shape and data_offsets, each once"},
    [QP_ST_UNALIGNED] = {"unaligned-data", false, "the data begins at a multiple of 8"},
    [QP_ST_NAME_EMPTY] = {"name-empty", false, "a tensor has a name"},
    [QP_ST_NAME_CONTROL] = {"name-control", false, "a name has no control characters"},
};

#define ENTRY_FAIL(path, e, fmt, ...)                                                                        \
    do {                                                                                                     \
        char shown_[QP_STJ_SHOW];                                                                            \
        qp_stj_show((e)->name, (e)->n_name, shown_);                                                         \
        QP_FAIL(QP_CORRUPT, "%s: byte %u: tensor %s: " fmt, (path), (e)->at, shown_, __VA_ARGS__);           \
    } while (0)

// ---- order
// -----------------------------------------------------------------------------------------------------

static int compare_names(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order != 0 ? order : (n_a > n_b) - (n_a < n_b);
}

static int by_name(const void *a, const void *b) {
    const qp_st_entry *x = *(const qp_st_entry *const *)a, *y = *(const qp_st_entry *const *)b;
    int order = compare_names(x->name, x->n_name, y->name, y->n_name);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b) {
    const qp_st_entry *x = *(const qp_st_entry *const *)a, *y = *(const qp_st_entry *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); // empty tensors first
}

static int compare_texts(const uint8_t *a, const uint8_t *b) {
    for (;;) {
        uint32_t x = qp_stj_point(&a), y = qp_stj_point(&b);
        if (x == QP_STJ_END || y == QP_STJ_END) return (y == QP_STJ_END) - (x == QP_STJ_END);
        if (x != y) return x < y ? -1 : 1;
    }
}

static int by_text(const void *a, const void *b) {
    const uint8_t *x = *(const uint8_t *const *)a, *y = *(const uint8_t *const *)b;
    int order = compare_texts(x, y);
    return order != 0 ? order : (x > y) - (x < y);
}

// Of entries with one name the last counts, as in a map. order keeps the ones that count.
static uint32_t keep_last(qp_st_walk *w, const qp_st_entry **order) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_entries; i++) {
        const qp_st_entry *e = order[i], *next = i + 1 < w->n_entries ? order[i + 1] : NULL;
        if (next == NULL || compare_names(e->name, e->n_name, next->name, next->n_name) != 0) {
            order[n++] = e;
            continue;
        }
        w->entries[e - w->entries].replaced = true;
        qp_st_walk_note(w, QP_ST_NAME_TWICE, w->file + e->at, e->name, e->n_name,
                        "the name again at byte %u, which counts", next->at);
    }
    return n;
}

static void note_meta_twice(qp_st_walk *w) {
    char shown[QP_STJ_SHOW];
    for (uint32_t i = 1; i < w->n_meta; i++) {
        if (compare_texts(w->meta[i - 1], w->meta[i]) != 0) continue;
        const uint8_t *end = w->meta[i];
        while (qp_stj_point(&end) != QP_STJ_END) continue;
        qp_stj_show(w->meta[i], (size_t)(end - w->meta[i]), shown);
        qp_st_walk_note(w, QP_ST_META_TWICE, w->meta[i] - 1, "", 0, "key \"%s\" of __metadata__ again",
                        shown);
    }
}

// ---- sizes and places
// --------------------------------------------------------------------------------------------

// Multiplied from left to right with a check at each step: [2^40, 2^40, 0] overflows, [0, 2^40, 2^40] does
// not.
static qp_status check_size(const char *path, const qp_st_entry *e, qp_err *err) {
    const qp_st_dtype *type = &qp_st_dtypes[e->dtype];
    uint64_t n = 1, dim, bits;
    for (const uint8_t *p = e->shape; (p = qp_st_next_dim(p, &dim)) != NULL;)
        if (__builtin_mul_overflow(n, dim, &n))
            ENTRY_FAIL(path, e, "%s", "shape: the number of elements overflows 64 bits");
    if (__builtin_mul_overflow(n, (uint64_t)type->bits, &bits))
        ENTRY_FAIL(path, e, "%s", "shape: the number of bits or bytes overflows 64 bits");
    if (bits % 8 != 0)
        ENTRY_FAIL(path, e, "%llu elements of %s (%d bits) are no whole number of bytes",
                   (unsigned long long)n, type->name, type->bits);
    if (e->end - e->begin != bits / 8)
        ENTRY_FAIL(path, e, "shape and dtype %s want %llu bytes, data_offsets give %llu", type->name,
                   (unsigned long long)(bits / 8), (unsigned long long)(e->end - e->begin));
    return QP_OK;
}

// In order of place: the first begins at 0, each where the one before ends, the last ends with the file.
static qp_status check_places(const char *path, const qp_st_scan *s, qp_err *err) {
    uint64_t end = 0;
    char before[QP_STJ_SHOW] = "the begin of the data";
    const qp_st_entry *last = NULL;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        const qp_st_entry *e = s->by_place[i];
        if (e->begin > e->end || e->end > s->n_data)
            ENTRY_FAIL(path, e, "data_offsets [%llu, %llu] wanted within the %llu bytes of data",
                       (unsigned long long)e->begin, (unsigned long long)e->end,
                       (unsigned long long)s->n_data);
        QP_TRY(check_size(path, e, err));
        if (e->begin != end) {
            if (last != NULL) qp_stj_show(last->name, last->n_name, before);
            ENTRY_FAIL(path, e, "data_offsets begin at %llu, wanted %llu (%s %s)",
                       (unsigned long long)e->begin, (unsigned long long)end,
                       e->begin < end ? "overlaps" : "leaves a hole after", before);
        }
        end = e->end;
        last = e;
    }
    if (end == s->n_data) return QP_OK;
    if (last != NULL) qp_stj_show(last->name, last->n_name, before);
    QP_FAIL(QP_CORRUPT, "%s: byte %llu: %llu bytes after the last tensor (%s)", path,
            (unsigned long long)(LENGTH_BYTES + s->n_header + end), (unsigned long long)(s->n_data - end),
            before);
}

// ---- the two walks
// -----------------------------------------------------------------------------------------------

static qp_status walk_failed(const char *path, const qp_st_walk *w, qp_err *err) {
    const qp_stj *j = &w->json;
    char name[QP_STJ_SHOW] = "", got[QP_STJ_SHOW] = "the end of the header";
    if (w->status != QP_OK) return w->status;
    size_t left = (size_t)(j->end - j->stop);
    if (w->name != NULL) qp_stj_show(w->name, w->n_name, name);
    if (left > 0) qp_stj_show(j->stop, left < 16 ? left : 16, got);
    QP_FAIL(QP_CORRUPT, "%s: byte %llu: header: %s%s%s%s%s%s%s, got %s", path,
            (unsigned long long)(j->stop - w->file), j->syntax ? "bad JSON: " : "",
            w->name != NULL ? "tensor " : "", name, w->name != NULL ? ": " : "", w->field,
            w->field[0] != '\0' ? ": " : "", j->why, got);
}

static qp_status fill(qp_st_walk *w, qp_arena *a, qp_err *err) {
    QP_TRY(QP_NEW(a, w->entries, w->n_entries));
    QP_TRY(QP_NEW(a, w->meta, w->n_meta));
    QP_TRY(QP_NEW(a, w->text, w->n_text));
    QP_TRY(QP_NEW(a, w->deviations, QP_ST_RULES * QP_ST_KEPT));
    w->filling = true;
    w->n_entries = w->n_meta = 0;
    w->has_meta = false;
    w->json.depth = 0;
    return QP_OK;
}

static qp_status walk_twice(const char *path, qp_st_walk *w, qp_arena *a, qp_err *err) {
    const uint8_t *from = w->json.p;
    if (!qp_stj_utf8(&w->json) || !qp_st_walk_header(w)) return walk_failed(path, w, err);
    w->json.p = from;
    QP_TRY(fill(w, a, err));
    if (!qp_st_walk_header(w)) return walk_failed(path, w, err);
    return QP_OK;
}

static qp_status arrange(qp_st_walk *w, qp_arena *a, qp_st_scan *out, qp_err *err) {
    const qp_st_entry **named, **placed;
    QP_TRY(QP_NEW(a, named, w->n_entries));
    QP_TRY(QP_NEW(a, placed, w->n_entries));
    for (uint32_t i = 0; i < w->n_entries; i++) named[i] = &w->entries[i];
    qsort(named, w->n_entries, sizeof *named, by_name);
    out->n_tensors = keep_last(w, named);
    memcpy(placed, named, sizeof *placed * out->n_tensors);
    qsort(placed, out->n_tensors, sizeof *placed, by_place);
    qsort(w->meta, w->n_meta, sizeof *w->meta, by_text);
    note_meta_twice(w);
    out->by_name = named;
    out->by_place = placed;
    out->entries = w->entries;
    out->n_entries = w->n_entries;
    out->meta = w->meta;
    out->n_meta = w->n_meta;
    return QP_OK;
}

static qp_status refuse_written(const char *path, const qp_st_scan *s, qp_err *err) {
    const qp_st_deviation *first = NULL;
    for (int i = 0; i < s->n_kept; i++) {
        const qp_st_deviation *d = &s->deviations[i];
        if (qp_st_rules[d->rule].written && (first == NULL || d->at < first->at)) first = d;
    }
    if (first == NULL) return QP_OK;
    const qp_st_rule_row *rule = &qp_st_rules[first->rule];
    const char *tensor = first->name[0] != '\0' ? "tensor " : "", *colon = first->name[0] != '\0' ? ": " : "";
    QP_FAIL(QP_CORRUPT, "%s: byte %llu: %s%s%s%s: wanted: %s; got: %s", path, (unsigned long long)first->at,
            tensor, first->name, colon, rule->id, rule->says, first->detail);
}

bool qp_st_is_lfs_pointer(const void *bytes, size_t n_bytes) {
    return n_bytes >= sizeof lfs_mark - 1 && memcmp(bytes, lfs_mark, sizeof lfs_mark - 1) == 0;
}

static qp_status check_lengths(const char *path, const uint8_t *bytes, size_t n_bytes, qp_st_scan *out,
                               qp_err *err) {
    if (qp_st_is_lfs_pointer(bytes, n_bytes))
        QP_FAIL(QP_CORRUPT, "%s: a Git LFS pointer, not the file it points to ('git lfs pull' fetches it)",
                path);
    if (n_bytes < LENGTH_BYTES)
        QP_FAIL(QP_CORRUPT, "%s: at least 8 bytes wanted, the file has %zu", path, n_bytes);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) out->n_header = out->n_header << 8 | bytes[i];
    if (out->n_header > header_limit)
        QP_FAIL(QP_CORRUPT, "%s: header length: at most %llu wanted, got %llu", path,
                (unsigned long long)header_limit, (unsigned long long)out->n_header);
    if (out->n_header > n_bytes - LENGTH_BYTES)
        QP_FAIL(QP_CORRUPT, "%s: header length %llu, but only %zu bytes follow", path,
                (unsigned long long)out->n_header, n_bytes - LENGTH_BYTES);
    out->data = bytes + LENGTH_BYTES + out->n_header;
    out->n_data = n_bytes - LENGTH_BYTES - out->n_header;
    return QP_OK;
}

qp_status qp_st_scan_bytes(const char *path, const void *bytes, size_t n_bytes, bool strict, qp_arena *a,
                           qp_st_scan *out, qp_err *err) {
    memset(out, 0, sizeof *out);
    QP_TRY(check_lengths(path, bytes, n_bytes, out, err));
    const uint8_t *file = bytes;
    qp_st_walk w = {
        .json = {.p = file + LENGTH_BYTES, .end = out->data}, .file = file, .arena = a, .err = err};
    QP_TRY(walk_twice(path, &w, a, err));
    QP_TRY(arrange(&w, a, out, err));
    QP_TRY(check_places(path, out, err));
    if (out->n_header % 8 != 0)
        qp_st_walk_note(&w, QP_ST_UNALIGNED, file, "", 0, "the data begins at byte %llu",
                        (unsigned long long)(LENGTH_BYTES + out->n_header));
    QP_TRY(w.status);
    memcpy(out->n_deviations, w.n_deviations, sizeof out->n_deviations);
    out->deviations = w.deviations;
    out->n_kept = w.n_kept;
    return strict ? refuse_written(path, out, err) : QP_OK;
}

// ---- questions
// -----------------------------------------------------------------------------------------------------

const qp_st_entry *qp_st_scan_find(const qp_st_scan *s, const char *name, size_t n_name) {
    uint32_t low = 0, high = s->n_tensors;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const qp_st_entry *e = s->by_name[middle];
        int order = compare_names(name, n_name, e->name, e->n_name);
        if (order == 0) return e;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

uint32_t qp_st_entry_dims(const qp_st_entry *e, uint64_t *dims, uint32_t max) {
    const uint8_t *p = e->shape;
    for (uint32_t i = 0; i < e->n_dims && i < max; i++) p = qp_st_next_dim(p, &dims[i]);
    return e->n_dims;
}

qp_status qp_st_scan_meta(const qp_st_scan *s, const char *key, qp_arena *a, const char **out, size_t *n,
                          qp_err *err) {
    *out = NULL;
    for (uint32_t i = s->n_meta; i > 0; i--) {
        const qp_stj_text text = {.s = s->meta[i - 1]};
        if (!qp_stj_is(text, key)) continue;
        const uint8_t *p = text.s;
        char *value;
        while (qp_stj_point(&p) != QP_STJ_END) continue;
        do p++;
        while (*p != '"'); // the closing quote, spaces, the colon, spaces
        const qp_stj_text found = {.s = p + 1};
        *n = qp_stj_decode(found, NULL);
        QP_TRY(qp_arena_get(a, *n + 1, &value, err));
        qp_stj_decode(found, value);
        *out = value;
        return QP_OK;
    }
    return QP_OK;
}
