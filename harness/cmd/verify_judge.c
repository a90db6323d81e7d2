// SPDX-License-Identifier: Apache-2.0
// Findings to an exit code: what --allow names is set aside with its reason, the rest is sorted and counted.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verify.h"
#include "core/file.h"
#include "core/text.h"

// ---- --allow
// -------------------------------------------------------------------------------------------------------------

qp_status verify_rule_named(const char *id, const char *from, qp_ck_rule *out, qp_err *err) {
    const char *ids[QP_CK_RULES];
    if (qp_ck_rule_named(id, out)) return QP_OK;
    for (int i = 0; i < QP_CK_RULES; i++) ids[i] = qp_ck_rules[i].id;
    const char *near = qp_nearest(id, ids, QP_CK_RULES);
    QP_FAIL(QP_USAGE, "%s: wanted a rule of 'verify --rules', got '%s'%s%s%s", from, id,
            near != NULL ? ", did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
}

static qp_status make_room(verify_options *o, qp_arena *a, qp_err *err) {
    if (o->n_allows < o->cap_allows) return QP_OK;
    const int cap = o->cap_allows == 0 ? 16 : 2 * o->cap_allows;
    verify_allow *list;
    QP_TRY(QP_NEW(a, list, cap));
    if (o->n_allows > 0) memcpy(list, o->allows, sizeof *list * (size_t)o->n_allows);
    o->allows = list;
    o->cap_allows = cap;
    return QP_OK;
}

static bool is_blank(const char *s) {
    return s[strspn(s, " \t\r")] == '\0';
}

qp_status verify_allow_add(verify_options *o, const char *text, const char *from, qp_arena *a, qp_err *err) {
    const char *first = strchr(text, ':'), *second = first != NULL ? strchr(first + 1, ':') : NULL;
    const char *id;
    if (second == NULL || first == text || second == first + 1 || is_blank(second + 1))
        QP_FAIL(QP_USAGE, "%s: wanted RULE:PATTERN:reason, got '%s'", from, text);
    QP_TRY(make_room(o, a, err));
    verify_allow *allow = &o->allows[o->n_allows];
    *allow = (verify_allow){.from = from};
    QP_TRY(qp_arena_printf(a, &id, err, "%.*s", (int)(first - text), text));
    QP_TRY(verify_rule_named(id, from, &allow->rule, err));
    QP_TRY(qp_arena_printf(a, &allow->pattern, err, "%.*s", (int)(second - first - 1), first + 1));
    QP_TRY(qp_arena_strdup(a, second + 1, &allow->reason, err));
    o->n_allows++;
    return QP_OK;
}

qp_status verify_allow_file(verify_options *o, const char *path, qp_arena *a, qp_err *err) {
    char *text;
    size_t n;
    QP_TRY(qp_file_read(path, a, &text, &n, err));
    if (memchr(text, '\0', n) != NULL) QP_FAIL(QP_USAGE, "%s: text was wanted, it has NUL", path);
    int at = 0;
    for (char *line = text, *next; line != NULL; line = next) {
        const char *from;
        next = strchr(line, '\n');
        if (next != NULL) *next++ = '\0';
        at++;
        line += strspn(line, " \t");
        for (size_t end = strlen(line); end > 0 && strchr(" \t\r", line[end - 1]) != NULL;)
            line[--end] = '\0';
        if (*line == '\0' || *line == '#') continue;
        QP_TRY(qp_arena_printf(a, &from, err, "%s:%d", path, at));
        QP_TRY(verify_allow_add(o, line, from, a, err));
    }
    return QP_OK;
}

// The first that fits gives the reason; the others are not stale for that.
static void set_aside(verify_options *o, qp_ck_finding *f) {
    for (int i = 0; i < o->n_allows; i++) {
        verify_allow *allow = &o->allows[i];
        if (allow->rule != f->rule || !qp_wildcard(allow->pattern, f->tensor)) continue;
        allow->n_hits++;
        if (f->allowed == NULL) f->allowed = allow->reason;
    }
}

// ---- order and verdict
// ---------------------------------------------------------------------------------------------------

static int worst_first(const void *a, const void *b) {
    const qp_ck_finding *x = *(const qp_ck_finding *const *)a, *y = *(const qp_ck_finding *const *)b;
    const int sx = (int)qp_ck_rules[x->rule].severity, sy = (int)qp_ck_rules[y->rule].severity;
    if (sx != sy) return sy - sx;
    if (x->rule != y->rule) return (int)x->rule - (int)y->rule;
    const int order = strverscmp(x->tensor, y->tensor); // layer 2 before layer 10
    return order != 0 ? order : strcmp(x->detail, y->detail);
}

static void sort(const qp_ck_finding **list, size_t n) {
    if (n > 1) qsort(list, n, sizeof *list, worst_first);
}

static qp_status say_verdict(verify_answer *v, qp_arena *a, qp_err *err) {
    const uint64_t errors = v->by_severity[QP_SEV_ERROR], warnings = v->by_severity[QP_SEV_WARNING];
    const qp_audit *u = v->audit;
    const bool nothing = u->judged == 0 || (v->o->audit.against != NULL && u->against.judged == 0);
    v->exit_code = errors > 0 ? 1 : warnings > 0 ? 4 : nothing ? 6 : 0;
    if (errors > 0 || warnings > 0)
        return qp_arena_printf(a, &v->verdict, err, "%s: %" PRIu64 " error%s, %" PRIu64 " warning%s",
                               errors > 0 ? "NOT SOUND" : "DOUBTFUL", errors, errors == 1 ? "" : "s",
                               warnings, warnings == 1 ? "" : "s");
    if (u->judged == 0 && u->unknown > 0)
        return qp_arena_printf(a, &v->verdict, err,
                               "NOTHING JUDGED: %" PRIu64 " linear%s of a scheme that no rule here knows",
                               u->unknown, u->unknown == 1 ? "" : "s");
    if (u->judged == 0)
        return qp_arena_strdup(a, "NOTHING JUDGED: no quantized linear and no scale was found here",
                               &v->verdict, err);
    if (nothing)
        return qp_arena_printf(a, &v->verdict, err,
                               "NOTHING JUDGED against %s: no linear could be derived and matched",
                               v->o->audit.against);
    QP_TRY(qp_arena_printf(a, &v->verdict, err,
                           "sound: %" PRIu64 " linears and scales judged, nothing worse than a note",
                           u->judged));
    if (u->unknown == 0) return QP_OK;
    return qp_arena_printf(a, &v->verdict, err,
                           "%s; NOT JUDGED: %" PRIu64 " linear%s of a scheme that no rule here knows",
                           v->verdict, u->unknown, u->unknown == 1 ? "" : "s");
}

qp_status verify_judge(verify_options *o, qp_audit *u, qp_arena *a, verify_answer *v, qp_err *err) {
    qp_ck_findings *f = &u->findings;
    *v = (verify_answer){.o = o, .audit = u};
    QP_TRY(QP_NEW(a, v->open, f->n + 1));
    QP_TRY(QP_NEW(a, v->allowed, f->n + 1));
    memcpy(v->counts, f->counts, sizeof v->counts);
    for (size_t i = 0; i < f->n; i++) {
        qp_ck_finding *x = &f->list[i];
        set_aside(o, x);
        if (x->allowed == NULL) {
            v->open[v->n_open++] = x;
            continue;
        }
        v->allowed[v->n_allowed++] = x;
        v->allowed_counts[x->rule]++;
        v->counts[x->rule]--;
    }
    sort(v->open, v->n_open);
    sort(v->allowed, v->n_allowed);
    for (int i = 0; i < QP_CK_RULES; i++) v->by_severity[qp_ck_rules[i].severity] += v->counts[i];
    return say_verdict(v, a, err);
}
