// SPDX-License-Identifier: Apache-2.0
// Lookup of a name in a list of names and patterns. Names cost one hash look per run of segments, however
// long the list; only globs with a * inside and regexes are tried one by one.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "checkpoint/exclude.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

// ---- regexes: their memory lives in the arena
// ------------------------------------------------------------------------------------

static void *arena_malloc(size_t n, void *arena) {
    void *p;
    return qp_arena_get(arena, n, &p, NULL) == QP_OK ? p : NULL;
}

static void arena_free(void *p, void *arena) {
    (void)p, (void)arena;
}

enum { MATCH_STEPS = 100000, MATCH_DEPTH = 1000 }; // a pattern of the file must not stall the audit

static qp_status compile(qp_ck_list *l, qp_ck_item *item, qp_arena *a, const char **why, qp_err *err) {
    int code = 0;
    PCRE2_SIZE at = 0;
    char reason[160] = "";
    if (l->memory == NULL) {
        pcre2_general_context *memory = pcre2_general_context_create(arena_malloc, arena_free, a);
        if (memory == NULL) QP_FAIL(QP_NOMEM, "no memory for regular expressions");
        pcre2_match_context *limits = pcre2_match_context_create(memory);
        if (limits == NULL) QP_FAIL(QP_NOMEM, "no memory for regular expressions");
        pcre2_set_match_limit(limits, MATCH_STEPS);
        pcre2_set_depth_limit(limits, MATCH_DEPTH);
        l->memory = memory;
        l->match_limits = limits;
        l->match_data = pcre2_match_data_create(1, memory);
        if (l->match_data == NULL) QP_FAIL(QP_NOMEM, "no memory for regular expressions");
    }
    pcre2_compile_context *how = pcre2_compile_context_create(l->memory);
    if (how == NULL) QP_FAIL(QP_NOMEM, "no memory for regular expressions");
    item->regex =
        pcre2_compile((PCRE2_SPTR)item->text, item->n, PCRE2_ANCHORED | PCRE2_NEVER_UTF, &code, &at, how);
    if (item->regex != NULL) return QP_OK;
    if (code == PCRE2_ERROR_HEAP_FAILED) QP_FAIL(QP_NOMEM, "no memory for regular expressions");
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    item->broken = true;
    return qp_arena_printf(a, why, err, "%s at offset %zu", reason, (size_t)at);
}

static bool regex_matches(const qp_ck_list *l, const qp_ck_item *item, const char *name, size_t n) {
    // rc 0: it matched, with more captures than kept. A pattern that ran past its limits matches nothing.
    return pcre2_match(item->regex, (PCRE2_SPTR)name, n, 0, 0, l->match_data, l->match_limits) >= 0;
}

// ---- globs
// ----------------------------------------------------------------------------------------------------------------------

static bool glob_whole(const char *p, size_t n_p, const char *s, size_t n) {
    size_t i = 0, k = 0, star = n_p, mark = 0;
    while (k < n) {
        if (i < n_p && p[i] == '*') {
            star = i++;
            mark = k;
        } else if (i < n_p && (p[i] == '?' || p[i] == s[k])) {
            i++, k++;
        } else if (star < n_p) {
            i = star + 1;
            k = ++mark;
        } else {
            return false;
        }
    }
    while (i < n_p && p[i] == '*') i++;
    return i == n_p;
}

enum { LONG_NAME = 4096 }; // no module has a longer one: such names are compared whole

static bool glob_matches(const qp_ck_item *item, const char *name, size_t n) {
    for (size_t end = n; end > (n > LONG_NAME ? n - 1 : 0); end--)
        if ((end == n || name[end] == '.') && glob_whole(item->text, item->n, name, end)) return true;
    return false;
}

// "text*": every name that begins with text.
static bool is_head(const qp_ck_item *item) {
    return item->match == QP_CK_GLOB && item->n > 0 && memchr(item->text, '?', item->n) == NULL &&
           memchr(item->text, '*', item->n) == item->text + item->n - 1;
}

// ---- filling
// --------------------------------------------------------------------------------------------------------------------

qp_status qp_ck_list_add(qp_ck_list *l, qp_ck_item item, qp_arena *a, const char **why, qp_err *err) {
    if (l->n == l->cap) {
        const int cap = l->cap == 0 ? 64 : 2 * l->cap;
        qp_ck_item *more;
        QP_TRY(QP_NEW(a, more, cap));
        if (l->n > 0) memcpy(more, l->items, sizeof *more * (size_t)l->n);
        l->items = more;
        l->cap = cap;
    }
    item.same_as = l->n;
    if (item.match == QP_CK_REGEX) QP_TRY(compile(l, &item, a, why, err));
    l->items[l->n++] = item;
    return QP_OK;
}

static size_t key_length(const qp_ck_item *item) {
    return is_head(item) ? item->n - 1 : item->n;
}

static bool hashed(const qp_ck_item *item) {
    return !item->broken && (item->match < QP_CK_GLOB || is_head(item));
}

static bool same_key(const qp_ck_item *item, bool head, const char *text, size_t n) {
    return is_head(item) == head && key_length(item) == n && memcmp(item->text, text, n) == 0;
}

// The slot of a text, or the empty one where it belongs.
static size_t slot_of(const qp_ck_list *l, bool head, const char *text, size_t n) {
    size_t at = qp_hash64(text, n, head) & (l->n_slots - 1);
    while (l->slots[at] >= 0 && !same_key(&l->items[l->slots[at]], head, text, n))
        at = (at + 1) & (l->n_slots - 1);
    return at;
}

static int by_length(const void *a, const void *b) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

qp_status qp_ck_list_ready(qp_ck_list *l, qp_arena *a, qp_err *err) {
    for (l->n_slots = 16; l->n_slots < 2 * (size_t)l->n;) l->n_slots *= 2;
    QP_TRY(QP_NEW(a, l->slots, l->n_slots));
    QP_TRY(QP_NEW(a, l->heads, l->n + 1));
    QP_TRY(QP_NEW(a, l->slow, l->n + 1));
    for (size_t i = 0; i < l->n_slots; i++) l->slots[i] = -1;
    for (int i = 0; i < l->n; i++) {
        qp_ck_item *item = &l->items[i];
        if (item->broken) continue;
        if (!hashed(item)) {
            l->slow[l->n_slow++] = i;
            continue;
        }
        l->runs |= item->match == QP_CK_RUN;
        l->belows |= item->match == QP_CK_BELOW;
        const size_t slot = slot_of(l, is_head(item), item->text, key_length(item));
        if (l->slots[slot] >= 0)
            item->same_as = l->slots[slot];
        else
            l->slots[slot] = i;
        if (is_head(item)) l->heads[l->n_heads++] = item->n - 1;
    }
    int kept = 0;
    if (l->n_heads > 1) qsort(l->heads, (size_t)l->n_heads, sizeof *l->heads, by_length);
    for (int i = 0; i < l->n_heads; i++)
        if (i == 0 || l->heads[i] != l->heads[i - 1]) l->heads[kept++] = l->heads[i];
    l->n_heads = kept;
    return QP_OK;
}

// ---- asking
// ---------------------------------------------------------------------------------------------------------------------

typedef struct best {
    int item;
    size_t n;
} best;

static void take(const qp_ck_list *l, bool head, const char *text, size_t n, qp_ck_match least, best *b) {
    const int i = l->slots[slot_of(l, head, text, n)];
    if (i < 0 || (!head && l->items[i].match < least)) return;
    l->items[i].used = true;
    if (b->item >= 0 && b->n >= n) return;
    b->item = i;
    b->n = n;
}

enum { SEGMENTS = 64 }; // of a name; what lies deeper is looked at as one

static void take_runs(const qp_ck_list *l, const char *name, size_t n, best *b) {
    size_t begins[SEGMENTS + 1];
    int k = 0;
    begins[k++] = 0;
    for (size_t i = 0; i < n && k < SEGMENTS; i++)
        if (name[i] == '.') begins[k++] = i + 1;
    for (int first = 0; first < (l->runs ? k : 1); first++) {
        for (int last = first; last < k; last++) {
            const size_t end = last + 1 < k ? begins[last + 1] - 1 : n;
            const qp_ck_match least = first > 0 ? QP_CK_RUN : end < n ? QP_CK_BELOW : QP_CK_EXACT;
            take(l, false, name + begins[first], end - begins[first], least, b);
        }
    }
}

static bool matches(const qp_ck_list *l, const qp_ck_item *item, const char *name, size_t n) {
    return item->match == QP_CK_REGEX ? regex_matches(l, item, name, n) : glob_matches(item, name, n);
}

int qp_ck_list_find(const qp_ck_list *l, const char *name, size_t n) {
    best b = {-1, 0};
    if (l->n == 0) return -1;
    if (l->runs || l->belows)
        take_runs(l, name, n, &b);
    else
        take(l, false, name, n, QP_CK_EXACT, &b);
    for (int i = 0; i < l->n_heads && l->heads[i] <= n; i++) take(l, true, name, l->heads[i], QP_CK_GLOB, &b);
    for (int i = 0; i < l->n_slow; i++) { // a used one is tried only where it could still be the answer
        qp_ck_item *item = &l->items[l->slow[i]];
        if ((item->used && b.item >= 0) || !matches(l, item, name, n)) continue;
        item->used = true;
        if (b.item < 0) b.item = l->slow[i];
    }
    return b.item;
}

bool qp_ck_list_used(const qp_ck_list *l, int i) {
    return l->items[l->items[i].same_as].used;
}
