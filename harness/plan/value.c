// SPDX-License-Identifier: Apache-2.0
// One value of one key: is it what the key's type allows, and how is it spelled canonically (so equal cases
// have equal ids). Says what was wanted; the parser adds the place. Not here: rules between keys (rules.c).
#include "plan/value.h"

#include "core/text.h"

#include <ctype.h>
#include <string.h>

static qp_status wants_words(const qp_key *k, const char *front, const char *got, size_t got_n, qp_arena *a,
                             const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    QP_TRY(qp_text_add(&t, err, "%s", front));
    int n = 0;
    for (; k->words != NULL && k->words[n] != NULL; n++)
        QP_TRY(qp_text_add(&t, err, "%s%s", n > 0 ? " " : "", k->words[n]));
    const char *word = NULL;
    QP_TRY(qp_arena_printf(a, &word, err, "%.*s", (int)got_n, got));
    const char *near = n > 0 ? qp_nearest(word, k->words, n) : NULL;
    if (near != NULL) QP_TRY(qp_text_add(&t, err, " (nearest: %s)", near));
    *out = t.s;
    return QP_OK;
}

static bool is_word(const qp_key *k, const char *v, size_t n) {
    for (int i = 0; k->words != NULL && k->words[i] != NULL; i++)
        if (strlen(k->words[i]) == n && strncmp(k->words[i], v, n) == 0) return true;
    return false;
}

// Digits only: a sign, a space or a 0x is no canonical number of a case line.
static bool plain_digits(const char *v) {
    return v[0] != '\0' && strspn(v, "0123456789") == strlen(v);
}

static qp_status check_int(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                           qp_err *err) {
    if (is_word(k, v, strlen(v))) return qp_arena_strdup(a, v, out, err);
    int64_t n = 0;
    if (plain_digits(v) && qp_parse_i64(v, &n) && n >= k->min && n <= k->max)
        return qp_arena_printf(a, out, err, "%lld", (long long)n);
    const char *front = NULL;
    QP_TRY(k->max == INT64_MAX ? qp_arena_printf(a, &front, err, "a number from %lld%s", (long long)k->min,
                                                 k->words != NULL ? ", or " : "")
                               : qp_arena_printf(a, &front, err, "a number %lld..%lld%s", (long long)k->min,
                                                 (long long)k->max, k->words != NULL ? ", or " : ""));
    return wants_words(k, front, v, strlen(v), a, &f->wanted, err);
}

static qp_status check_u64(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                           qp_err *err) {
    (void)k;
    uint64_t n = 0;
    bool hex = v[0] == '0' && (v[1] == 'x' || v[1] == 'X');
    if ((plain_digits(v) || hex) && qp_parse_u64(v, &n))
        return qp_arena_printf(a, out, err, "%llu", (unsigned long long)n);
    f->wanted = "a number 0..18446744073709551615, decimal or 0x";
    return QP_OK;
}

static qp_status check_word(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                            qp_err *err) {
    if (is_word(k, v, strlen(v))) return qp_arena_strdup(a, v, out, err);
    return wants_words(k, "one of ", v, strlen(v), a, &f->wanted, err);
}

static qp_status check_text(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                            qp_err *err) {
    (void)k;
    (void)f;
    return qp_arena_strdup(a, v, out, err);
}

static qp_status check_shape(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                             qp_err *err) {
    (void)k;
    qp_text t = {.arena = a};
    int dims = 0;
    for (const char *p = v;; dims++) {
        size_t n = strcspn(p, "x");
        const char *word = NULL;
        int64_t d = 0;
        QP_TRY(qp_arena_printf(a, &word, err, "%.*s", (int)n, p));
        if (dims == 3 || !plain_digits(word) || !qp_parse_i64(word, &d) || d < 1 || d > INT32_MAX) {
            f->wanted = "RxC or NxRxC, each 1..2147483647";
            f->at = (size_t)(p - v);
            return QP_OK;
        }
        QP_TRY(qp_text_add(&t, err, "%s%lld", dims > 0 ? "x" : "", (long long)d));
        if (p[n] == '\0') break;
        p += n + 1;
    }
    if (dims < 1) f->wanted = "RxC or NxRxC, each 1..2147483647";
    *out = t.s;
    return QP_OK;
}

static qp_status check_layout(const qp_key *k, const char *v, qp_arena *a, const char **out,
                              qp_value_fault *f, qp_err *err) {
    qp_layout l;
    if (is_word(k, v, strlen(v)) || qp_layout_word(v, &l)) return qp_arena_strdup(a, v, out, err);
    f->wanted = "degrees in one word, such as tp2ep4 (of tp cp pp ep etp dp, each once), or auto";
    return QP_OK;
}

static qp_status check_layers(const qp_key *k, const char *v, qp_arena *a, const char **out,
                              qp_value_fault *f, qp_err *err) {
    (void)k;
    if (strcmp(v, "all") == 0) return qp_arena_strdup(a, v, out, err);
    for (const char *p = v;;) {
        size_t n = strcspn(p, ","), name = strcspn(p, ":,");
        const char *number = NULL;
        int64_t count = 0;
        if (name < n) QP_TRY(qp_arena_printf(a, &number, err, "%.*s", (int)(n - name - 1), p + name + 1));
        if (name == 0 || name >= n || !plain_digits(number) || !qp_parse_i64(number, &count) || count < 1) {
            f->wanted = "all, or KIND:N with commas, such as moe:1,attn:1, N from 1";
            f->at = (size_t)(p - v);
            return QP_OK;
        }
        for (const char *q = v; q < p; q += strcspn(q, ",") + 1)
            if (strncmp(q, p, name + 1) == 0) {
                f->wanted = "each kind of layer once";
                f->at = (size_t)(p - v);
                return QP_OK;
            }
        if (p[n] == '\0') break;
        p += n + 1;
    }
    return qp_arena_strdup(a, v, out, err);
}

// NUMBER of gauss:NUMBER: digits with at most one point; what it means is the generator's business.
static bool plain_decimal(const char *v) {
    size_t a = strspn(v, "0123456789");
    size_t b = v[a] == '.' ? strspn(v + a + 1, "0123456789") : 0;
    return a + b > 0 && v[a + b + (v[a] == '.')] == '\0';
}

static qp_status check_dist(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                            qp_err *err) {
    size_t n = strcspn(v, ":");
    if (!is_word(k, v, n)) return wants_words(k, "one of ", v, n, a, &f->wanted, err);
    bool scaled =
        strncmp(v, "gauss", n) == 0 || strncmp(v, "heavy", n) == 0 || strncmp(v, "outliers", n) == 0;
    if (v[n] == ':' && (!scaled || !plain_decimal(v + n + 1))) {
        f->wanted = scaled ? "a decimal number such as 0.02 after the colon"
                           : "no colon: only gauss, heavy, outliers take :SIGMA";
        f->at = n + 1;
        return QP_OK;
    }
    return qp_arena_strdup(a, v, out, err);
}

static qp_status check_edges(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                             qp_err *err) {
    uint32_t set = 0;
    for (const char *p = v;;) {
        size_t n = strcspn(p, ",");
        int i = 0;
        while (k->words[i] != NULL && (strlen(k->words[i]) != n || strncmp(k->words[i], p, n) != 0)) i++;
        f->at = (size_t)(p - v);
        if (k->words[i] == NULL) return wants_words(k, "a list of ", p, n, a, &f->wanted, err);
        if (set >> i & 1) {
            f->wanted = "each edge once";
            return QP_OK;
        }
        set |= 1u << i;
        if (p[n] == '\0') break;
        p += n + 1;
    }
    qp_text t = {.arena = a};
    for (int i = 0; k->words[i] != NULL; i++)
        if (set >> i & 1) QP_TRY(qp_text_add(&t, err, "%s%s", t.n > 0 ? "," : "", k->words[i]));
    *out = t.s;
    return QP_OK;
}

static qp_status check_hex(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                           qp_err *err) {
    (void)k;
    if (v[0] == '@' && v[1] != '\0') return qp_arena_strdup(a, v, out, err);
    char *low = NULL;
    size_t total = strlen(v);
    QP_TRY(qp_arena_get(a, total + 1, &low, err));
    for (size_t i = 0; i < total; i++) low[i] = (char)tolower((unsigned char)v[i]);
    for (const char *p = v;;) {
        size_t n = strcspn(p, ",");
        if ((n != 4 && n != 8) || strspn(p, "0123456789abcdefABCDEF") < n) {
            f->wanted = "images of 4 or 8 hex digits with commas, or @FILE";
            f->at = (size_t)(p - v);
            return QP_OK;
        }
        if (p[n] == '\0') break;
        p += n + 1;
    }
    *out = low;
    return QP_OK;
}

static qp_status check_place(const qp_key *k, const char *v, qp_arena *a, const char **out, qp_value_fault *f,
                             qp_err *err) {
    (void)k;
    size_t n = strcspn(v, ":");
    int64_t number = 0;
    bool numbered = (n == 4 && strncmp(v, "rank", n) == 0) || (n == 6 && strncmp(v, "expert", n) == 0);
    bool named = n == 6 && strncmp(v, "member", n) == 0;
    bool good = v[n] == ':' && ((numbered && plain_digits(v + n + 1) && qp_parse_i64(v + n + 1, &number)) ||
                                (named && v[n + 1] != '\0'));
    if (good && numbered) return qp_arena_printf(a, out, err, "%.*s:%lld", (int)n, v, (long long)number);
    if (good) return qp_arena_strdup(a, v, out, err);
    f->wanted = "rank:N, expert:N or member:NAME";
    return QP_OK;
}

qp_status qp_value_check(const qp_key *key, const char *value, qp_arena *a, const char **out,
                         qp_value_fault *fault, qp_err *err) {
    static qp_status (*const check[QP_KEY_TYPE_COUNT])(const qp_key *, const char *, qp_arena *,
                                                       const char **, qp_value_fault *, qp_err *) = {
        check_int,    check_u64,  check_word,  check_text, check_shape, check_layout,
        check_layers, check_dist, check_edges, check_hex,  check_place};
    *fault = (qp_value_fault){0};
    if (value[0] == '\0') {
        fault->wanted = "a value";
        return QP_OK;
    }
    QP_TRY(check[key->type](key, value, a, out, fault, err));
    return QP_OK;
}
