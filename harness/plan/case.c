// SPDX-License-Identifier: Apache-2.0
// The case line: words -> checked values -> every combination -> canonical line and id. Not here: files
// (file.c), what a single value may be (value.c), rules between keys (rules.c).
#include "plan/value.h"

#include "core/file.h"
#include "core/text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_CASES_A_LINE = 100000 };

// One key of the line under way: its alternatives (comma list), or one default.
typedef struct slot {
    const char **alts;
    int n_alts;
    size_t column; // of the word, 1-based; 0 = not given
    size_t *alt_columns;
} slot;

typedef struct parse {
    const char *line, *origin;
    qp_arena *arena;
    const qp_kind *kind;
    size_t kind_column;
    slot *slots;
} parse;

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// ---- words
// ---------------------------------------------------------------------------------------------------------------

static qp_status find_kind(parse *p, const char *word, size_t column, qp_err *err) {
    const char *names[16];
    qp_text have = {.arena = p->arena};
    for (int i = 0; i < qp_n_kinds; i++) {
        if (strcmp(qp_kinds[i].name, word) == 0) {
            p->kind = &qp_kinds[i];
            p->kind_column = column;
            return QP_OK;
        }
        if (i < QP_COUNT(names)) names[i] = qp_kinds[i].name;
        QP_TRY(qp_text_add(&have, err, "%s%s", i > 0 ? " " : "", qp_kinds[i].name));
    }
    for (int i = 0; i < qp_n_later_kinds; i++)
        if (strcmp(qp_later_kinds[i], word) == 0)
            QP_FAIL(QP_USAGE, "%s:%zu: kind '%s' is known but not built yet; kinds: %s", p->origin, column,
                    word, have.s);
    const char *near = qp_nearest(word, names, qp_n_kinds < QP_COUNT(names) ? qp_n_kinds : QP_COUNT(names));
    QP_FAIL(QP_USAGE, "%s:%zu: unknown kind '%s'%s%s%s; kinds: %s", p->origin, column, word,
            near != NULL ? " (nearest: " : "", near != NULL ? near : "", near != NULL ? ")" : "", have.s);
}

static qp_status find_key(const parse *p, const char *name, size_t column, int *out, qp_err *err) {
    const char *names[64];
    int n = 0;
    for (int i = 0; i < p->kind->n_keys; i++) {
        if (strcmp(p->kind->keys[i].name, name) == 0) {
            *out = i;
            return QP_OK;
        }
        if (n < QP_COUNT(names)) names[n++] = p->kind->keys[i].name;
    }
    const char *near = qp_nearest(name, names, n);
    if (near != NULL)
        QP_FAIL(QP_USAGE, "%s:%zu: unknown key '%s' of kind %s (nearest: %s)", p->origin, column, name,
                p->kind->name, near);
    QP_FAIL(QP_USAGE, "%s:%zu: unknown key '%s' of kind %s ('quantproof list --keys' lists them)", p->origin,
            column, name, p->kind->name);
}

static qp_status check_value(const parse *p, const qp_key *k, const char *value, size_t column,
                             const char **out, qp_err *err) {
    qp_value_fault fault;
    QP_TRY(qp_value_check(k, value, p->arena, out, &fault, err));
    if (fault.wanted == NULL) return QP_OK;
    const char *got = value + fault.at;
    int n = k->list ? (int)strcspn(got, ",") : (int)strlen(got);
    QP_FAIL(QP_USAGE, "%s:%zu: %s: wanted %s, got '%.*s'", p->origin, column + fault.at, k->name,
            fault.wanted, n > 80 ? 80 : n, got);
}

// The value of one word: a list key has one alternative, any other as many as commas make.
static qp_status take_values(parse *p, int key, char *value, size_t column, qp_err *err) {
    const qp_key *k = &p->kind->keys[key];
    slot *s = &p->slots[key];
    int n = 1;
    for (const char *c = value; !k->list && *c != '\0'; c++) n += *c == ',';
    if (n > MAX_CASES_A_LINE)
        QP_FAIL(QP_USAGE, "%s:%zu: more than %d cases in one line", p->origin, column, MAX_CASES_A_LINE);
    QP_TRY(QP_NEW(p->arena, s->alts, n));
    QP_TRY(QP_NEW(p->arena, s->alt_columns, n));
    char *at = value;
    for (int i = 0; i < n; i++) {
        size_t len = k->list ? strlen(at) : strcspn(at, ",");
        at[len] = '\0';
        s->alt_columns[i] = column + (size_t)(at - value);
        QP_TRY(check_value(p, k, at, s->alt_columns[i], &s->alts[i], err));
        for (int j = 0; j < i; j++)
            if (strcmp(s->alts[i], s->alts[j]) == 0)
                QP_FAIL(QP_USAGE, "%s:%zu: %s: '%s' stands twice in the list", p->origin, s->alt_columns[i],
                        k->name, s->alts[i]);
        at += len + 1;
    }
    s->n_alts = n;
    return QP_OK;
}

static qp_status take_word(parse *p, char *word, size_t column, qp_err *err) {
    if (p->kind == NULL) {
        QP_TRY(find_kind(p, word, column, err));
        return QP_NEW(p->arena, p->slots, p->kind->n_keys);
    }
    char *eq = strchr(word, '=');
    if (eq == NULL)
        QP_FAIL(QP_USAGE, "%s:%zu: wanted key=value, got '%.80s' (kind %s)", p->origin, column, word,
                p->kind->name);
    *eq = '\0';
    int key = 0;
    QP_TRY(find_key(p, word, column, &key, err));
    if (p->slots[key].column != 0)
        QP_FAIL(QP_USAGE, "%s:%zu: key '%s' stands twice (first at column %zu)", p->origin, column, word,
                p->slots[key].column);
    p->slots[key].column = column;
    return take_values(p, key, eq + 1, column + (size_t)(eq + 1 - word), err);
}

static qp_status take_line(parse *p, qp_err *err) {
    for (size_t i = 0; p->line[i] != '\0';) {
        unsigned char c = (unsigned char)p->line[i];
        if (is_space((char)c)) {
            i++;
            continue;
        }
        if (c == '#') break;
        size_t n = 0;
        while (p->line[i + n] != '\0' && !is_space(p->line[i + n])) {
            unsigned char d = (unsigned char)p->line[i + n];
            if (d < 0x20 || d == 0x7f)
                QP_FAIL(QP_USAGE, "%s:%zu: control character 0x%02x in a case line", p->origin, i + n + 1, d);
            n++;
        }
        char *word = NULL;
        QP_TRY(qp_arena_get(p->arena, n + 1, &word, err));
        memcpy(word, p->line + i, n);
        QP_TRY(take_word(p, word, i + 1, err));
        i += n;
    }
    return QP_OK;
}

// ---- expansion
// -----------------------------------------------------------------------------------------------------------

static int key_index(const qp_kind *kind, const char *name) {
    for (int i = 0; i < kind->n_keys; i++)
        if (strcmp(kind->keys[i].name, name) == 0) return i;
    return -1;
}

static const char *default_of(const qp_kind *kind, int key, const char *const *values) {
    const char *d = kind->keys[key].dflt;
    if (d == NULL) return "";
    if (d[0] != '=') return d;
    int other = key_index(kind, d + 1);
    return other >= 0 ? values[other] : "";
}

// pick[k]: which alternative of key k.
static qp_status build_case(const parse *p, const int *pick, qp_case *out, qp_err *err) {
    const qp_kind *kind = p->kind;
    const char **values = NULL;
    bool *given = NULL;
    QP_TRY(QP_NEW(p->arena, values, kind->n_keys));
    QP_TRY(QP_NEW(p->arena, given, kind->n_keys));
    for (int k = 0; k < kind->n_keys; k++)
        if (p->slots[k].n_alts > 0) values[k] = p->slots[k].alts[pick[k]];
    qp_text line = {.arena = p->arena};
    QP_TRY(qp_text_add(&line, err, "%s", kind->name));
    for (int k = 0; k < kind->n_keys; k++) {
        const char *dflt = default_of(kind, k, values);
        given[k] = values[k] != NULL && (kind->keys[k].dflt == NULL || strcmp(values[k], dflt) != 0);
        if (values[k] == NULL) values[k] = dflt;
        if (given[k]) QP_TRY(qp_text_add(&line, err, " %s=%s", kind->keys[k].name, values[k]));
    }
    *out = (qp_case){.kind = kind, .line = line.s, .values = values, .origin = p->origin, .given = given};
    uint64_t hash = qp_hash64(line.s, line.n, 0);
    QP_TRY(qp_arena_printf(p->arena, &out->id, err, "%012llx", (unsigned long long)(hash >> 16)));
    const char *complaint = NULL, *key = NULL;
    QP_TRY(qp_case_rules(out, p->arena, &complaint, &key, err));
    if (complaint == NULL) return QP_OK;
    int k = key_index(kind, key);
    size_t column = k >= 0 && p->slots[k].column > 0 ? p->slots[k].alt_columns[pick[k]] : p->kind_column;
    QP_FAIL(QP_USAGE, "%s:%zu: %s", p->origin, column, complaint);
}

static qp_status grow(qp_case_list *list, int more, qp_arena *a, qp_err *err) {
    if (list->n + more <= list->cap) return QP_OK;
    int cap = list->cap * 2 > list->n + more ? list->cap * 2 : list->n + more;
    qp_case *bigger = NULL;
    QP_TRY(QP_NEW(a, bigger, cap));
    if (list->n > 0) memcpy(bigger, list->cases, sizeof *bigger * (size_t)list->n);
    list->cases = bigger;
    list->cap = cap;
    return QP_OK;
}

// Keys in table order, the first one slowest.
static qp_status expand(const parse *p, qp_case_list *out, qp_err *err) {
    int64_t total = 1;
    for (int k = 0; k < p->kind->n_keys; k++) {
        const qp_key *key = &p->kind->keys[k];
        if (p->slots[k].n_alts == 0 && key->dflt == NULL)
            QP_FAIL(QP_USAGE, "%s:%zu: kind %s wants key '%s' (%s)", p->origin, p->kind_column, p->kind->name,
                    key->name, key->doc);
        if (p->slots[k].n_alts > 0) total *= p->slots[k].n_alts;
        if (total > MAX_CASES_A_LINE)
            QP_FAIL(QP_USAGE, "%s:%zu: more than %d cases in one line", p->origin, p->slots[k].column,
                    MAX_CASES_A_LINE);
    }
    int *pick = NULL;
    QP_TRY(QP_NEW(p->arena, pick, p->kind->n_keys));
    QP_TRY(grow(out, (int)total, p->arena, err));
    int before = out->n;
    for (int64_t i = 0; i < total; i++) {
        int64_t rest = i;
        for (int k = p->kind->n_keys - 1; k >= 0; k--) {
            int n = p->slots[k].n_alts > 0 ? p->slots[k].n_alts : 1;
            pick[k] = (int)(rest % n);
            rest /= n;
        }
        qp_status s = build_case(p, pick, &out->cases[out->n], err);
        if (s != QP_OK) {
            out->n = before;
            return s;
        }
        out->n++;
    }
    return QP_OK;
}

qp_status qp_case_parse(const char *line, const char *origin, qp_arena *a, qp_case_list *out, qp_err *err) {
    parse p = {.line = line, .arena = a};
    QP_TRY(qp_arena_strdup(a, origin, &p.origin, err));
    QP_TRY(take_line(&p, err));
    if (p.kind == NULL) return QP_OK;
    QP_TRY(expand(&p, out, err));
    return QP_OK;
}

// ---- values of a parsed case
// -----------------------------------------------------------------------------------------------

const char *qp_case_text(const qp_case *c, const char *key) {
    int k = key_index(c->kind, key);
    return k >= 0 ? c->values[k] : "";
}

int64_t qp_case_int(const qp_case *c, const char *key) {
    int64_t n = 0;
    return qp_parse_i64(qp_case_text(c, key), &n) ? n : 0;
}

uint64_t qp_case_u64(const qp_case *c, const char *key) {
    uint64_t n = 0;
    return qp_parse_u64(qp_case_text(c, key), &n) ? n : 0;
}

bool qp_case_has(const qp_case *c, const char *key) {
    return qp_case_text(c, key)[0] != '\0';
}

bool qp_case_given(const qp_case *c, const char *key) {
    int k = key_index(c->kind, key);
    return k >= 0 && c->given[k];
}

bool qp_case_shape(const qp_case *c, const char *key, int64_t dims[3], int *n_dims) {
    const char *text = qp_case_text(c, key);
    int n = 0;
    for (const char *p = text; *p != '\0' && n < 3; n++) {
        dims[n] = 0;
        while (*p >= '0' && *p <= '9') dims[n] = dims[n] * 10 + (*p++ - '0');
        if (*p == 'x') p++;
    }
    *n_dims = n;
    return n > 0;
}
