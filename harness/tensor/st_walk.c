// SPDX-License-Identifier: Apache-2.0
// Walking the header of a safetensors file: entries, fields, __metadata__. Types are checked here, sizes and
// places in st_scan.c. Entry fields are taken as the Python package takes them (shapes spec 2.10): in any
// order, each once, others ignored; also as a list of the three, and the dtype also as {"NAME": null}.
#include "tensor/st_walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef enum field_id { DTYPE, SHAPE, OFFSETS, FIELDS } field_id;

static bool read_dtype(qp_st_walk *w, qp_st_entry *e);
static bool read_shape(qp_st_walk *w, qp_st_entry *e);
static bool read_offsets(qp_st_walk *w, qp_st_entry *e);

static const struct {
    const char *name, *kind;
    bool (*read)(qp_st_walk *w, qp_st_entry *e);
} fields[FIELDS] = {
    {"dtype", "a text was wanted", read_dtype},
    {"shape", "a list was wanted", read_shape},
    {"data_offsets", "two whole numbers >= 0 were wanted", read_offsets},
};

void qp_st_walk_note(qp_st_walk *w, qp_st_rule rule, const uint8_t *at, const char *name, size_t n_name,
                     const char *fmt, ...) {
    char detail[QP_STJ_SHOW + 80], shown[QP_STJ_SHOW];
    if (!w->filling || w->n_deviations[rule]++ >= QP_ST_KEPT || w->status != QP_OK) return;
    qp_st_deviation *d = &w->deviations[w->n_kept];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    qp_stj_show(name, n_name, shown);
    w->status = qp_arena_strdup(w->arena, shown, &d->name, w->err);
    if (w->status == QP_OK) w->status = qp_arena_strdup(w->arena, detail, &d->detail, w->err);
    if (w->status != QP_OK) return;
    d->rule = rule;
    d->at = (uint64_t)(at - w->file);
    w->n_kept++;
}

// ---- fields
// --------------------------------------------------------------------------------------------------

static bool dtype_named(qp_st_walk *w, qp_stj_text text, qp_st_entry *e) {
    char shown[QP_STJ_SHOW];
    for (int i = 0; i < QP_ST_DTYPES; i++) {
        if (!qp_stj_is(text, qp_st_dtypes[i].name)) continue;
        e->dtype = (uint8_t)i;
        return true;
    }
    qp_stj_show(text.s, text.n, shown);
    return qp_stj_fail(&w->json, text.s, "unknown dtype %s", shown);
}

static bool dtype_object(qp_st_walk *w, qp_st_entry *e) {
    qp_stj *j = &w->json;
    const uint8_t *from = j->p;
    qp_stj_text text;
    bool first = true;
    if (!qp_stj_open(j, '{')) return false;
    if (!qp_stj_next(j, '}', &first)) return qp_stj_fail(j, from, "a text was wanted");
    if (!qp_stj_key(j, &text) || !dtype_named(w, text, e)) return false;
    if (!qp_stj_at(j, 'n')) return qp_stj_fail(j, j->p, "null was wanted after the name of a dtype");
    if (!qp_stj_null(j)) return false;
    if (qp_stj_next(j, '}', &first)) return qp_stj_fail(j, from, "a text was wanted");
    qp_st_walk_note(w, QP_ST_DTYPE_OBJECT, from, w->name, w->n_name, "{\"%s\": null} instead of \"%s\"",
                    qp_st_dtypes[e->dtype].name, qp_st_dtypes[e->dtype].name);
    return j->stop == NULL;
}

static bool read_dtype(qp_st_walk *w, qp_st_entry *e) {
    qp_stj_text text;
    if (qp_stj_at(&w->json, '{')) return dtype_object(w, e);
    return qp_stj_string(&w->json, &text) && dtype_named(w, text, e);
}

static bool read_count(qp_stj *j, const char *kind, uint64_t *out) {
    const uint8_t *from = j->p;
    qp_stj_number number;
    if (from == j->end || (*from != '-' && (*from < '0' || *from > '9')))
        return qp_stj_fail(j, from, "%s", kind);
    if (!qp_stj_number_at(j, &number)) return false;
    *out = number.value;
    return number.whole || qp_stj_fail(j, from, "%s", kind);
}

static bool read_shape(qp_st_walk *w, qp_st_entry *e) {
    uint64_t size;
    e->shape = w->json.p;
    if (!qp_stj_open(&w->json, '[')) return false;
    for (bool first = true; qp_stj_next(&w->json, ']', &first); e->n_dims++) {
        const uint8_t *from = w->json.p;
        if (read_count(&w->json, "a whole number below 2^64 was wanted", &size)) continue;
        if (w->json.stop == from) snprintf(w->field, sizeof w->field, "shape[%u]", e->n_dims);
        return false;
    }
    return w->json.stop == NULL;
}

static bool read_offsets(qp_st_walk *w, qp_st_entry *e) {
    qp_stj *j = &w->json;
    const char *kind = fields[OFFSETS].kind;
    const uint8_t *from = j->p;
    uint64_t *const ends[2] = {&e->begin, &e->end};
    bool first = true;
    if (!qp_stj_open(j, '[')) return false;
    for (int i = 0; i < 2; i++)
        if (!qp_stj_next(j, ']', &first) || !read_count(j, kind, ends[i]))
            return qp_stj_fail(j, from, "%s", kind);
    if (qp_stj_next(j, ']', &first)) return qp_stj_fail(j, j->p, "%s, and no third", kind);
    return j->stop == NULL;
}

// ---- entries
// -------------------------------------------------------------------------------------------------

static bool read_field(qp_st_walk *w, field_id id, qp_st_entry *e) {
    static const char opens[FIELDS] = {'"', '[', '['};
    qp_stj *j = &w->json;
    snprintf(w->field, sizeof w->field, "%s", fields[id].name);
    if (!qp_stj_at(j, opens[id]) && !(id == DTYPE && qp_stj_at(j, '{')))
        return qp_stj_fail(j, j->p, "%s", fields[id].kind);
    if (!fields[id].read(w, e)) return false;
    w->field[0] = '\0';
    return true;
}

static field_id field_named(qp_stj_text key) {
    int id = 0;
    while (id < FIELDS && !qp_stj_is(key, fields[id].name)) id++;
    return (field_id)id;
}

static bool skip_extra(qp_st_walk *w, qp_stj_text key) {
    char shown[QP_STJ_SHOW];
    if (w->filling) {
        qp_stj_show(key.s, key.n, shown);
        qp_st_walk_note(w, QP_ST_EXTRA_FIELD, key.s - 1, w->name, w->n_name, "field \"%s\"", shown);
    }
    return qp_stj_skip(&w->json);
}

static bool entry_as_object(qp_st_walk *w, qp_st_entry *e) {
    qp_stj *j = &w->json;
    const uint8_t *from = j->p;
    bool seen[FIELDS] = {false};
    qp_stj_text key;
    if (!qp_stj_open(j, '{')) return false;
    for (bool first = true; qp_stj_next(j, '}', &first);) {
        if (!qp_stj_key(j, &key)) return false;
        field_id id = field_named(key);
        if (id == FIELDS) {
            if (!skip_extra(w, key)) return false;
            continue;
        }
        if (seen[id])
            return qp_stj_fail(j, key.s - 1, "%s was wanted once, here it is again", fields[id].name);
        seen[id] = true;
        if (!read_field(w, id, e)) return false;
    }
    for (int id = 0; id < FIELDS && j->stop == NULL; id++)
        if (!seen[id])
            return qp_stj_fail(j, from, "%s: %s, the field is missing", fields[id].name, fields[id].kind);
    return j->stop == NULL;
}

static bool entry_as_list(qp_st_walk *w, qp_st_entry *e) {
    qp_stj *j = &w->json;
    const uint8_t *from = j->p;
    bool first = true;
    if (!qp_stj_open(j, '[')) return false;
    for (int id = 0; id < FIELDS; id++) {
        if (!qp_stj_next(j, ']', &first))
            return qp_stj_fail(j, from, "%s: %s, the list ends before it", fields[id].name, fields[id].kind);
        if (!read_field(w, (field_id)id, e)) return false;
    }
    if (qp_stj_next(j, ']', &first))
        return qp_stj_fail(j, j->p, "a list of three was wanted, this is a fourth");
    qp_st_walk_note(w, QP_ST_ENTRY_LIST, from, w->name, w->n_name, "a list instead of an object");
    return j->stop == NULL;
}

static void take_name(qp_st_walk *w, qp_stj_text key) {
    w->name = (const char *)key.s;
    w->n_name = key.n;
    if (!key.escaped) return;
    if (w->filling) {
        w->name = w->text;
        w->n_name = qp_stj_decode(key, w->text);
        w->text += w->n_name;
    } else {
        w->n_text += qp_stj_decode(key, NULL);
    }
}

static void note_name(qp_st_walk *w, const uint8_t *at) {
    size_t i = 0;
    if (w->n_name == 0) qp_st_walk_note(w, QP_ST_NAME_EMPTY, at, w->name, 0, "the name is empty");
    while (i < w->n_name && (uint8_t)w->name[i] >= 0x20 && w->name[i] != 0x7f) i++;
    if (i < w->n_name)
        qp_st_walk_note(w, QP_ST_NAME_CONTROL, at, w->name, w->n_name, "byte 0x%02x at place %zu of the name",
                        (uint8_t)w->name[i], i);
}

static bool read_entry(qp_st_walk *w, qp_stj_text key) {
    qp_st_entry e = {.at = (uint32_t)(key.s - 1 - w->file)};
    take_name(w, key);
    if (w->filling) note_name(w, key.s - 1);
    bool list = qp_stj_at(&w->json, '[');
    if (!list && !qp_stj_at(&w->json, '{')) return qp_stj_fail(&w->json, w->json.p, "an object was wanted");
    if (!(list ? entry_as_list(w, &e) : entry_as_object(w, &e))) return false;
    e.name = w->name;
    e.n_name = (uint32_t)w->n_name;
    if (w->filling) w->entries[w->n_entries] = e;
    w->n_entries++;
    w->name = NULL;
    return w->status == QP_OK;
}

// ---- __metadata__ and the root
// -------------------------------------------------------------------------------

static bool read_pair(qp_st_walk *w) {
    qp_stj_text key, value;
    char shown[QP_STJ_SHOW];
    if (!qp_stj_key(&w->json, &key)) return false;
    if (!qp_stj_at(&w->json, '"')) {
        qp_stj_show(key.s, key.n, shown);
        return qp_stj_fail(&w->json, w->json.p, "__metadata__.%s: a text was wanted", shown);
    }
    if (!qp_stj_string(&w->json, &value)) return false;
    if (w->filling) w->meta[w->n_meta] = key.s;
    w->n_meta++;
    return true;
}

static bool read_meta(qp_st_walk *w, const uint8_t *at) {
    qp_stj *j = &w->json;
    if (w->has_meta) return qp_stj_fail(j, at, "__metadata__ was wanted once, here it is again");
    w->has_meta = true;
    if (qp_stj_at(j, 'n')) {
        qp_st_walk_note(w, QP_ST_META_NULL, j->p, "", 0, "__metadata__ is null");
        return qp_stj_null(j);
    }
    if (!qp_stj_at(j, '{')) return qp_stj_fail(j, j->p, "__metadata__: an object of texts was wanted");
    if (!qp_stj_open(j, '{')) return false;
    for (bool first = true; qp_stj_next(j, '}', &first);)
        if (!read_pair(w)) return false;
    return j->stop == NULL;
}

static void note_padding(qp_st_walk *w, const uint8_t *from) {
    for (const uint8_t *p = from; p < w->json.end; p++) {
        if (*p == ' ') continue;
        qp_st_walk_note(w, QP_ST_PADDING, p, "", 0, "byte 0x%02x after the header's '}'", *p);
        return;
    }
}

bool qp_st_walk_header(qp_st_walk *w) {
    qp_stj *j = &w->json;
    const uint8_t *from = j->p;
    qp_stj_text key;
    qp_stj_space(j);
    if (j->p != from) qp_st_walk_note(w, QP_ST_LEADING_SPACE, from, "", 0, "byte 0x%02x before '{'", *from);
    if (j->p < j->end && (*j->p == '[' || *j->p == '"'))
        return qp_stj_fail(j, j->p, "a JSON object was wanted");
    if (!qp_stj_open(j, '{')) return false;
    for (bool first = true; qp_stj_next(j, '}', &first);) {
        if (!qp_stj_key(j, &key)) return false;
        bool meta = qp_stj_is(key, "__metadata__");
        if (!(meta ? read_meta(w, key.s - 1) : read_entry(w, key))) return false;
    }
    if (j->stop != NULL) return false;
    note_padding(w, j->p);
    qp_stj_space(j);
    if (j->p == j->end) return w->status == QP_OK;
    j->syntax = true;
    return qp_stj_fail(j, j->p, "the end of the header was wanted");
}

// Only over a shape that was read: '[', digits, ',', spaces, ']'.
const uint8_t *qp_st_next_dim(const uint8_t *p, uint64_t *out) {
    while (*p != ']' && (*p < '0' || *p > '9')) p++;
    if (*p == ']') return NULL;
    for (*out = 0; *p >= '0' && *p <= '9'; p++) *out = *out * 10 + (uint64_t)(*p - '0');
    return p;
}
