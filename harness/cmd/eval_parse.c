// SPDX-License-Identifier: Apache-2.0
// An eval line -> its row of the grammar and the text of every key. What the texts mean is eval_values.c.
#include "cmd/eval.h"

#include "core/text.h"

#include <stdarg.h>
#include <string.h>

enum { MAX_WORDS = 64, MAX_NAMES = 128 };

typedef struct word {
    const char *key, *value;
    size_t column, value_column; // 0 = from the command line
    bool used;
} word;

typedef struct parse {
    eval_place place;
    qp_arena *arena;
    word words[MAX_WORDS];
    int n_words;
    const char *op;
    size_t op_column;
} parse;

// ---- lists of names, for messages
// -------------------------------------------------------------------------------------------

static bool in_list(const char *list, const char *word_text) {
    size_t n = strlen(word_text);
    for (const char *p = list; *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        if (len == n && strncmp(p, word_text, n) == 0) return true;
        p += len;
    }
    return false;
}

static bool add_name(const char **names, int *n, const char *name) {
    for (int i = 0; i < *n; i++)
        if (strcmp(names[i], name) == 0) return false;
    if (*n < MAX_NAMES) names[(*n)++] = name;
    return true;
}

static qp_status near_text(const char *got, const char *const *names, int n, qp_arena *a, const char **out,
                           qp_err *err) {
    const char *near = qp_nearest(got, names, n);
    *out = "";
    if (near != NULL) QP_TRY(qp_arena_printf(a, out, err, " (nearest: %s)", near));
    return QP_OK;
}

static qp_status join(const char *const *names, int n, qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    for (int i = 0; i < n; i++) QP_TRY(qp_text_add(&t, err, "%s%s", i > 0 ? " " : "", names[i]));
    *out = n > 0 ? t.s : "";
    return QP_OK;
}

static qp_status format_names(const char *op, qp_arena *a, const char **names, int *n, qp_err *err) {
    for (int r = 0; r < eval_n_rows; r++) {
        if (strcmp(eval_rows[r].op, op) != 0 || strcmp(eval_rows[r].formats, "-") == 0) continue;
        for (const char *p = eval_rows[r].formats; *p != '\0'; p += strspn(p, " ")) {
            size_t len = strcspn(p, " ");
            const char *name = NULL;
            QP_TRY(qp_arena_printf(a, &name, err, "%.*s", (int)len, p));
            add_name(names, n, name);
            p += len;
        }
    }
    return QP_OK;
}

static qp_status refuse(const parse *p, size_t column, qp_err *err, const char *fmt, ...) QP_PRINTF(4, 5);
static qp_status refuse(const parse *p, size_t column, qp_err *err, const char *fmt, ...) {
    char text[QP_ERR_MSG];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->place.line == 0) QP_FAIL(QP_USAGE, "%s: %s", p->place.name, text);
    if (column == 0) QP_FAIL(QP_USAGE, "%s:%d: command line: %s", p->place.name, p->place.line, text);
    QP_FAIL(QP_USAGE, "%s:%d:%zu: %s", p->place.name, p->place.line, column, text);
}

qp_status eval_refuse(const eval_case *c, size_t column, qp_err *err, const char *fmt, ...) {
    char text[QP_ERR_MSG];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (column == 0) QP_FAIL(QP_USAGE, "%s:%d: command line: %s", c->place.name, c->place.line, text);
    QP_FAIL(QP_USAGE, "%s:%d:%zu: %s", c->place.name, c->place.line, column, text);
}

// ---- words
// -------------------------------------------------------------------------------------------------------------------

static word *find_word(parse *p, const char *key) {
    for (int i = 0; i < p->n_words; i++)
        if (strcmp(p->words[i].key, key) == 0) return &p->words[i];
    return NULL;
}

static qp_status add_word(parse *p, const char *key, const char *value, size_t column, size_t value_column,
                          qp_err *err) {
    const word *before = find_word(p, key);
    if (before != NULL)
        return refuse(p, column, err, "key '%.60s' stands twice (first at column %zu)", key, before->column);
    if (p->n_words == MAX_WORDS) return refuse(p, column, err, "more than %d words with '='", MAX_WORDS);
    p->words[p->n_words++] =
        (word){.key = key, .value = value, .column = column, .value_column = value_column};
    return QP_OK;
}

static bool is_space(char ch) {
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

// A copy of line[begin, end).
static qp_status cut(const char *line, size_t begin, size_t end, qp_arena *a, const char **out, qp_err *err) {
    char *copy = NULL;
    QP_TRY(qp_arena_get(a, end - begin + 1, &copy, err));
    memcpy(copy, line + begin, end - begin);
    *out = copy;
    return QP_OK;
}

static qp_status find_end(const parse *p, const char *line, size_t n, size_t *end, size_t *eq, qp_err *err) {
    size_t i = *end;
    for (*eq = n; i < n && !is_space(line[i]) && line[i] != '#'; i++) {
        unsigned char ch = (unsigned char)line[i];
        if (ch < 0x20 || ch == 0x7f) return refuse(p, i + 1, err, "control character 0x%02x", ch);
        if (ch == '=' && *eq == n) *eq = i;
    }
    *end = i;
    return QP_OK;
}

// Plain words are x: the stretch of the line from the first of them to the last, with words of other keys
// between them blanked out, so that a place in the text is still a column of the line.
static qp_status split(parse *p, char *line, size_t n, bool *empty, qp_err *err) {
    size_t x_begin = n, x_end = n;
    *empty = true;
    for (size_t i = 0; i < n && line[i] != '#';) {
        if (is_space(line[i])) {
            line[i++] = ' ';
            continue;
        }
        *empty = false;
        size_t begin = i, eq = n;
        QP_TRY(find_end(p, line, n, &i, &eq, err));
        if (eq == n) {
            if (x_begin == n) x_begin = begin;
            x_end = i;
            continue;
        }
        const char *key = NULL, *value = NULL;
        QP_TRY(cut(line, begin, eq, p->arena, &key, err));
        QP_TRY(cut(line, eq + 1, i, p->arena, &value, err));
        QP_TRY(add_word(p, key, value, begin + 1, eq + 2, err));
        memset(line + begin, ' ', i - begin);
    }
    if (x_begin == n) return QP_OK;
    if (find_word(p, "x") != NULL)
        return refuse(p, x_begin + 1, err, "values without a key, and x= beside them");
    line[x_end] = '\0';
    return add_word(p, "x", line + x_begin, x_begin + 1, x_begin + 1, err);
}

// A key of the line overrides the command line; a key of the command line that the line's row lacks is left
// out later.
static qp_status add_defaults(parse *p, const eval_defaults *d, qp_err *err) {
    for (int i = 0; i < d->n; i++) {
        if (find_word(p, d->names[i]) != NULL) continue;
        QP_TRY(add_word(p, d->names[i], d->values[i], 0, 0, err));
    }
    return QP_OK;
}

// ---- the row
// -------------------------------------------------------------------------------------------------------------------

static qp_status refuse_op(const parse *p, qp_err *err) {
    const char *names[MAX_NAMES], *all = NULL, *near = NULL;
    int n = 0;
    for (int r = 0; r < eval_n_rows; r++) add_name(names, &n, eval_rows[r].op);
    QP_TRY(join(names, n, p->arena, &all, err));
    if (p->op == NULL)
        return refuse(p, 1, err, "no op: neither in the line nor on the command line; ops: %s", all);
    QP_TRY(near_text(p->op, names, n, p->arena, &near, err));
    return refuse(p, p->op_column, err, "unknown op '%s'%s; ops: %s", p->op, near, all);
}

static qp_status refuse_format(const parse *p, const word *fmt, qp_err *err) {
    const char *names[MAX_NAMES], *every[MAX_NAMES], *all = NULL, *near = NULL;
    int n = 0, n_every = 0;
    QP_TRY(format_names(p->op, p->arena, names, &n, err));
    QP_TRY(join(names, n, p->arena, &all, err));
    if (fmt == NULL)
        return refuse(p, p->op_column > 0 ? p->op_column : 1, err, "op %s wants fmt=; formats: %s", p->op,
                      all);
    for (int r = 0; r < eval_n_rows; r++)
        QP_TRY(format_names(eval_rows[r].op, p->arena, every, &n_every, err));
    for (int i = 0; i < n_every; i++)
        if (strcmp(every[i], fmt->value) == 0)
            return refuse(p, fmt->value_column, err, "op %s has no format %s; formats: %s", p->op, fmt->value,
                          all);
    QP_TRY(near_text(fmt->value, names, n, p->arena, &near, err));
    return refuse(p, fmt->value_column, err, "unknown format '%.60s'%s; formats of op %s: %s", fmt->value,
                  near, p->op, all);
}

static qp_status refuse_kind(const parse *p, const word *kind, qp_err *err) {
    const char *names[MAX_NAMES], *all = NULL;
    int n = 0;
    for (int r = 0; r < eval_n_rows; r++)
        if (strcmp(eval_rows[r].op, p->op) == 0) add_name(names, &n, eval_rows[r].kind);
    QP_TRY(join(names, n, p->arena, &all, err));
    if (kind == NULL)
        return refuse(p, p->op_column > 0 ? p->op_column : 1, err, "op %s wants kind=, one of %s", p->op,
                      all);
    return refuse(p, kind->value_column, err, "kind: wanted one of %s, got '%.60s'", all, kind->value);
}

static qp_status find_row(parse *p, eval_case *c, qp_err *err) {
    word *fmt = find_word(p, "fmt"), *kind = find_word(p, "kind");
    bool op_known = false, formatless = false, kinds = false;
    for (int r = 0; p->op != NULL && r < eval_n_rows && c->row == NULL; r++) {
        const eval_row *row = &eval_rows[r];
        if (strcmp(row->op, p->op) != 0) continue;
        op_known = true;
        formatless = strcmp(row->formats, "-") == 0;
        kinds = row->kind != NULL;
        bool fits = formatless || (fmt != NULL && in_list(row->formats, fmt->value));
        if (fits && kinds) fits = kind != NULL && strcmp(kind->value, row->kind) == 0;
        if (fits) c->row = row;
    }
    if (!op_known) return refuse_op(p, err);
    if (c->row == NULL && kinds) return refuse_kind(p, kind, err);
    if (c->row == NULL) return refuse_format(p, fmt, err);
    c->fmt = "";
    c->format = QP_FORMAT_NONE;
    if (formatless || fmt == NULL) return QP_OK;
    fmt->used = true;
    c->fmt = fmt->value;
    for (int f = 0; f < QP_FORMAT_COUNT; f++)
        if (strcmp(qp_format_get((qp_format)f)->name, c->fmt) == 0) c->format = (qp_format)f;
    return QP_OK;
}

// ---- the engine
// ------------------------------------------------------------------------------------------------------------------

static qp_status engines_of(const eval_row *row, qp_arena *a, const char **out, qp_err *err) {
    const char *names[QP_ENGINE_COUNT];
    int n = 0;
    for (int e = 0; e < QP_ENGINE_COUNT; e++)
        if (row->engines >> e & 1) names[n++] = qp_engine_name((qp_engine)e);
    return join(names, n, a, out, err);
}

static qp_status find_engine(parse *p, eval_case *c, qp_err *err) {
    word *w = find_word(p, "engine");
    c->engine = QP_ENGINE_IEEE;
    if (c->row->engines == 0 || (w != NULL && strcmp(w->value, "all") == 0)) {
        c->all_engines = c->row->engines != 0;
        if (w != NULL) w->used = c->row->engines != 0;
        return QP_OK;
    }
    const char *names[QP_ENGINE_COUNT + 1], *near = NULL, *have = NULL;
    int n = 0;
    QP_TRY(engines_of(c->row, p->arena, &have, err));
    if (w != NULL) {
        w->used = true;
        c->engine_column = w->value_column;
        c->engine = QP_ENGINE_COUNT;
        for (int e = 0; e < QP_ENGINE_COUNT; e++) {
            names[n++] = qp_engine_name((qp_engine)e);
            if (strcmp(w->value, names[e]) == 0) c->engine = (qp_engine)e;
        }
        names[n++] = "all";
    }
    if (c->engine == QP_ENGINE_COUNT) {
        QP_TRY(near_text(w->value, names, n, p->arena, &near, err));
        return refuse(p, w->value_column, err, "unknown engine '%.60s'%s; engines of op %s %s: %s", w->value,
                      near, p->op, c->fmt, have);
    }
    if (c->row->engines >> c->engine & 1) return QP_OK;
    size_t column = w != NULL ? w->value_column : p->op_column > 0 ? p->op_column : 1;
    return refuse(p, column, err, "op %s %s has no answer under engine %s%s; engines: %s", p->op, c->fmt,
                  qp_engine_name(c->engine), w == NULL ? " (the default)" : "", have);
}

// ---- keys
// ------------------------------------------------------------------------------------------------------------------------

int eval_key_index(const eval_row *row, const char *name) {
    for (int k = 0; k < row->n_keys; k++)
        if (strcmp(row->keys[k].name, name) == 0) return k;
    return -1;
}

static const char *gap(const eval_case *c) {
    return c->fmt[0] != '\0' ? " " : "";
}

static qp_status refuse_key(const parse *p, const eval_case *c, const word *w, qp_err *err) {
    const char *names[MAX_NAMES], *all = NULL, *near = NULL;
    int n = 0;
    for (int k = 0; k < c->row->n_keys; k++) add_name(names, &n, c->row->keys[k].name);
    if (c->row->engines != 0) add_name(names, &n, "engine");
    QP_TRY(join(names, n, p->arena, &all, err));
    QP_TRY(near_text(w->key, names, n, p->arena, &near, err));
    return refuse(p, w->column, err, "unknown key '%.60s' of op %s%s%s%s; keys: %s", w->key, p->op, gap(c),
                  c->fmt, near, all);
}

static qp_status take_keys(parse *p, eval_case *c, qp_err *err) {
    for (int i = 0; i < p->n_words; i++) {
        word *w = &p->words[i];
        int k = eval_key_index(c->row, w->key);
        if (k >= 0 && c->row->keys[k].answer && w->column == 0)
            continue; // the command line gives inputs, not answers
        if (k >= 0) c->values[k] = (eval_value){.text = w->value, .column = w->value_column};
        if (k < 0 && !w->used && w->column > 0) return refuse_key(p, c, w, err);
        if (k >= 0 && w->value[0] == '\0')
            return refuse(p, w->value_column, err, "%s: wanted a value, got ''", w->key);
    }
    for (int k = 0; k < c->row->n_keys; k++)
        if (!c->row->keys[k].answer && c->row->keys[k].dflt == NULL && c->values[k].text == NULL)
            return refuse(p, p->op_column > 0 ? p->op_column : 1, err, "op %s%s%s wants %s=", p->op, gap(c),
                          c->fmt, c->row->keys[k].name);
    return QP_OK;
}

static qp_status take_line(parse *p, char *line, size_t n, const eval_defaults *d, eval_case *c, bool *empty,
                           qp_err *err) {
    QP_TRY(split(p, line, n, empty, err));
    if (*empty) return QP_OK;
    QP_TRY(add_defaults(p, d, err));
    word *op = find_word(p, "op");
    p->op = op != NULL ? op->value : d->op;
    p->op_column = op != NULL ? op->value_column : 0;
    if (op != NULL) op->used = true;
    QP_TRY(find_row(p, c, err));
    QP_TRY(find_engine(p, c, err));
    QP_TRY(take_keys(p, c, err));
    const eval_value *group = eval_get(c, "group");
    c->group = group != NULL ? group->text : NULL;
    return QP_OK;
}

qp_status eval_parse(const char *line, size_t n, eval_place place, const eval_defaults *d, qp_arena *a,
                     eval_case *out, eval_state *state, const char **message, qp_err *err) {
    parse p = {.place = place, .arena = a};
    char *copy = NULL, *own = NULL;
    bool empty = false;
    *out = (eval_case){.place = place};
    QP_TRY(qp_arena_get(a, n + 1, &copy, err));
    QP_TRY(qp_arena_get(a, n + 1, &own, err));
    if (n > 0) memcpy(copy, line, n);
    if (n > 0) memcpy(own, line, n);
    out->line = own;
    qp_err fault = {0};
    qp_status s = take_line(&p, copy, n, d, out, &empty, &fault);
    if (s == QP_USAGE) {
        *state = EVAL_REFUSED;
        return qp_arena_strdup(a, fault.msg, message, err);
    }
    if (s != QP_OK) {
        if (err != NULL) *err = fault;
        return s;
    }
    *state = empty ? EVAL_EMPTY : EVAL_GOOD;
    if (empty || out->all_engines) return QP_OK;
    QP_TRY(eval_not_built(out, out->engine, a, message, err));
    if (*message != NULL) *state = EVAL_SKIPPED;
    return QP_OK;
}

// ---- the command line's own words
// ---------------------------------------------------------------------------------------------

qp_status eval_defaults_add(eval_defaults *d, const char *text, qp_arena *a, qp_err *err) {
    const char *eq = strchr(text, '='), *names[MAX_NAMES], *key = NULL, *near = NULL;
    int n = 0;
    QP_TRY(qp_arena_printf(a, &key, err, "%.*s", (int)(eq - text), text));
    if (strcmp(key, "op") == 0) {
        d->op = eq + 1;
        return QP_OK;
    }
    add_name(names, &n, "fmt");
    add_name(names, &n, "engine");
    for (int r = 0; r < eval_n_rows; r++)
        for (int k = 0; k < eval_rows[r].n_keys; k++) add_name(names, &n, eval_rows[r].keys[k].name);
    bool known = false;
    for (int i = 0; i < n; i++) known = known || strcmp(names[i], key) == 0;
    QP_TRY(near_text(key, names, n, a, &near, err));
    if (!known) QP_FAIL(QP_USAGE, "command line: unknown key '%s'%s", key, near);
    for (int i = 0; i < d->n; i++)
        if (strcmp(d->names[i], key) == 0) QP_FAIL(QP_USAGE, "command line: key '%s' stands twice", key);
    if (d->n == QP_COUNT(d->names)) QP_FAIL(QP_USAGE, "command line: more than %d keys", QP_COUNT(d->names));
    d->names[d->n] = key;
    d->values[d->n++] = eq + 1;
    return QP_OK;
}

static bool op_is_known(const char *op) {
    for (int r = 0; r < eval_n_rows; r++)
        if (strcmp(eval_rows[r].op, op) == 0) return true;
    return false;
}

// Only what no line could repair: an unknown op or format, a key that the row of both lacks.
qp_status eval_defaults_check(const eval_defaults *d, qp_arena *a, qp_err *err) {
    parse p = {.place = {"command line", 0}, .arena = a, .op = d->op};
    eval_case c = {0};
    for (int i = 0; i < d->n; i++)
        QP_TRY(add_word(&p, d->names[i], d->values[i], (size_t)i + 1, (size_t)i + 1, err));
    if (d->op == NULL) return QP_OK;
    bool line_decides = find_word(&p, "fmt") == NULL && find_word(&p, "kind") == NULL && op_is_known(d->op);
    qp_err ignored = {0};
    qp_status s = find_row(&p, &c, line_decides ? &ignored : err);
    if (s == QP_USAGE && line_decides) return QP_OK;
    QP_TRY(s);
    if (find_word(&p, "engine") != NULL) QP_TRY(find_engine(&p, &c, err));
    for (int i = 0; i < p.n_words; i++)
        if (!p.words[i].used && eval_key_index(c.row, p.words[i].key) < 0)
            return refuse_key(&p, &c, &p.words[i], err);
    return QP_OK;
}
