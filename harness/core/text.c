// SPDX-License-Identifier: Apache-2.0
// Growing texts, whole-string number parsers, edit distance and wildcards. No locale, no allocation outside
// the arena.
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static qp_status reserve(qp_text *t, size_t extra, qp_err *err) {
    if (extra >= SIZE_MAX / 4 - t->n) QP_FAIL(QP_NOMEM, "text: %zu more bytes after %zu", extra, t->n);
    size_t need = t->n + extra + 1;
    if (need <= t->cap) return QP_OK;
    size_t cap = t->cap < 64 ? 64 : t->cap;
    while (cap < need) cap *= 2;
    char *s;
    QP_TRY(qp_arena_get(t->arena, cap, &s, err));
    if (t->n > 0) memcpy(s, t->s, t->n);
    t->s = s;
    t->cap = cap;
    return QP_OK;
}

qp_status qp_text_add(qp_text *t, qp_err *err, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) QP_FAIL(QP_BROKEN, "bad format %s", fmt);
    QP_TRY(reserve(t, (size_t)n, err));
    va_start(ap, fmt);
    vsnprintf(t->s + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
    return QP_OK;
}

qp_status qp_text_add_bytes(qp_text *t, const char *bytes, size_t n, qp_err *err) {
    QP_TRY(reserve(t, n, err));
    if (n > 0) memcpy(t->s + t->n, bytes, n);
    t->n += n;
    t->s[t->n] = '\0';
    return QP_OK;
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

static bool parse_digits(const char *s, unsigned base, uint64_t *out) {
    uint64_t v = 0;
    if (*s == '\0') return false;
    for (; *s != '\0'; s++) {
        unsigned d = (unsigned)digit_value(*s);
        if (d >= base || v > (UINT64_MAX - d) / base) return false;
        v = v * base + d;
    }
    *out = v;
    return true;
}

bool qp_parse_u64(const char *s, uint64_t *out) {
    if (s == NULL) return false;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) return parse_digits(s + 2, 16, out);
    return parse_digits(s, 10, out);
}

bool qp_parse_i64(const char *s, int64_t *out) {
    if (s == NULL) return false;
    bool negative = *s == '-';
    uint64_t mag, limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (!parse_digits(s + (negative || *s == '+' ? 1 : 0), 10, &mag) || mag > limit) return false;
    *out = negative ? (int64_t)(0 - mag) : (int64_t)mag;
    return true;
}

bool qp_parse_hex(const char *s, int digits, uint64_t *out) {
    if (s == NULL || digits < 1 || digits > 16 || strlen(s) != (size_t)digits) return false;
    return parse_digits(s, 16, out);
}

bool qp_parse_size(const char *s, uint64_t *out) {
    static const char units[] = "KMGT";
    if (s == NULL || *s == '\0') return false;
    char number[32];
    size_t n = strlen(s);
    const char *unit = strchr(units, s[n - 1]);
    if (unit != NULL) n--;
    if (n == 0 || n >= sizeof number) return false;
    memcpy(number, s, n);
    number[n] = '\0';
    int shift = unit == NULL ? 0 : 10 * (int)(unit - units + 1);
    uint64_t v;
    if (!parse_digits(number, 10, &v) || v > UINT64_MAX >> shift) return false;
    *out = v << shift;
    return true;
}

enum { MAX_WORD = 255 }; // longer words are compared by their first MAX_WORD bytes

static int smaller(int a, int b) {
    return a < b ? a : b;
}

// Optimal string alignment: a swap of two neighbours counts as one edit, since that is how words are
// mistyped.
int qp_edit_distance(const char *a, const char *b) {
    int rows[3][MAX_WORD + 1], na = (int)strnlen(a, MAX_WORD), nb = (int)strnlen(b, MAX_WORD);
    for (int j = 0; j <= nb; j++) rows[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            now[j] = smaller(last[j - 1] + (a[i - 1] != b[j - 1]), 1 + smaller(last[j], now[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) now[j] = smaller(now[j], before[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *qp_nearest(const char *word, const char *const *candidates, int n) {
    const char *best = NULL;
    int best_distance = (int)strlen(word) / 3 + 2;
    for (int i = 0; i < n; i++) {
        int d = qp_edit_distance(word, candidates[i]);
        if (d >= best_distance) continue;
        best_distance = d;
        best = candidates[i];
    }
    return best;
}

// After a mismatch only the last '*' needs to swallow one more byte: linear memory, no recursion.
bool qp_wildcard(const char *pattern, const char *name) {
    const char *star = NULL, *resume = NULL;
    while (*name != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == '\0';
}
