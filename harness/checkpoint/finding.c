// SPDX-License-Identifier: Apache-2.0
// Findings of an audit: kept in one list, counted per rule. Names are made printable here, once.
#include "checkpoint/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"

const char *qp_severity_name(qp_severity s) {
    static const char *const names[] = {"note", "warning", "error"};
    return (unsigned)s < QP_COUNT(names) ? names[s] : "?";
}

bool qp_ck_rule_named(const char *id, qp_ck_rule *out) {
    for (int i = 0; i < QP_CK_RULES; i++) {
        if (strcmp(qp_ck_rules[i].id, id) != 0) continue;
        *out = (qp_ck_rule)i;
        return true;
    }
    return false;
}

void qp_ck_findings_init(qp_ck_findings *f, qp_arena *a) {
    memset(f, 0, sizeof *f);
    f->arena = a;
}

// ---- printable names
// -----------------------------------------------------------------------------------------------------

enum { SHOWN_BYTES = 256, DETAIL_BYTES = 1 << 16 }; // longer: this many bytes and the length

// Bytes of the UTF-8 sequence at s that is well-formed (no overlong form, no surrogate), 0 otherwise.
static size_t utf8_length(const uint8_t *s, size_t n) {
    if (s[0] < 0x80) return 1;
    const size_t len = s[0] >= 0xf0 && s[0] <= 0xf4   ? 4
                       : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                       : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                                                      : 0;
    if (len == 0 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return len;
}

static qp_status show_one(qp_text *t, const uint8_t *s, size_t left, size_t *used, qp_err *err) {
    const size_t len = utf8_length(s, left);
    *used = len == 0 ? 1 : len;
    if (len == 0) return qp_text_add(t, err, "\\x%02x", s[0]);
    const bool c1 = len == 2 && s[0] == 0xc2 && s[1] < 0xa0;
    if (s[0] < 0x20 || s[0] == 0x7f) return qp_text_add(t, err, "\\u%04x", s[0]);
    if (c1) return qp_text_add(t, err, "\\u%04x", s[1]);
    return qp_text_add_bytes(t, (const char *)s, len, err);
}

static bool is_printable(const char *bytes, size_t n) { // ASCII that needs no escape: nearly every name
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)bytes[i] < 0x20 || (uint8_t)bytes[i] > 0x7e) return false;
    return true;
}

static qp_status show(const char *bytes, size_t n, size_t most, qp_arena *a, const char **out, qp_err *err) {
    qp_text t = {.arena = a};
    const size_t end = n > most ? most : n;
    if (end == n && is_printable(bytes, n)) return qp_arena_printf(a, out, err, "%.*s", (int)n, bytes);
    QP_TRY(qp_text_add(&t, err, "%s", ""));
    for (size_t i = 0, used; i < end; i += used)
        QP_TRY(show_one(&t, (const uint8_t *)bytes + i, n - i, &used, err));
    if (end < n) QP_TRY(qp_text_add(&t, err, "... (%zu bytes)", n));
    *out = t.s;
    return QP_OK;
}

qp_status qp_ck_show(const char *bytes, size_t n, qp_arena *a, const char **out, qp_err *err) {
    return show(bytes, n, SHOWN_BYTES, a, out, err);
}

// ---- the list
// ------------------------------------------------------------------------------------------------------------

static qp_status make_room(qp_ck_findings *f, qp_err *err) {
    if (f->n < f->cap) return QP_OK;
    const size_t cap = f->cap == 0 ? 64 : 2 * f->cap;
    qp_ck_finding *list;
    QP_TRY(QP_NEW(f->arena, list, cap));
    if (f->n > 0) memcpy(list, f->list, sizeof *list * f->n);
    f->list = list;
    f->cap = cap;
    return QP_OK;
}

qp_status qp_ck_found(qp_ck_findings *f, qp_ck_rule rule, const char *name, size_t n_name, const char *effect,
                      qp_err *err, const char *fmt, ...) {
    if (f->counts[rule]++ >= QP_CK_KEPT) return QP_OK;
    char small[1024], *text = small;
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0) QP_FAIL(QP_BROKEN, "finding %s: its text cannot be formatted", qp_ck_rules[rule].id);
    QP_TRY(make_room(f, err));
    qp_ck_finding *x = &f->list[f->n];
    x->rule = rule;
    if ((size_t)n >= sizeof small) {
        QP_TRY(QP_NEW(f->arena, text, (size_t)n + 1));
        va_start(args, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    QP_TRY(show(text, (size_t)n, DETAIL_BYTES, f->arena, &x->detail, err)); // it may quote a file
    QP_TRY(qp_ck_show(name, n_name, f->arena, &x->tensor, err));
    x->effect = effect != NULL ? effect : qp_ck_rules[rule].effect;
    f->n++;
    return QP_OK;
}
