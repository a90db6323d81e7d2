// SPDX-License-Identifier: Apache-2.0
// A checkpoint of a few tensors, and the findings of one pass over it.
#ifndef AUDIT_TESTS_TINY_CKPT_H
#define AUDIT_TESTS_TINY_CKPT_H

#include "audit/audit.h"
#include "checkpoint/tests/tiny_tensors.h"

static inline qp_audit tiny_audit(const tiny *t) {
    return (qp_audit){.ckpt = t->ckpt, .claims = t->claims, .modules = t->modules};
}

static inline void tiny_structure(tiny *t) {
    qp_err err = {0};
    tiny_read(t);
    const qp_audit u = tiny_audit(t);
    ck_assert_msg(qp_pass_structure(&u, t->arena, &t->findings, &err) == QP_OK, "%s", err.msg);
}

// The findings above note, one a line, for messages.
static inline const char *tiny_text(const tiny *t) {
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < t->findings.n && n < sizeof text - 512; i++) {
        const qp_ck_finding *f = &t->findings.list[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "\n  %s %.100s: %.200s", qp_ck_rules[f->rule].id,
                              f->tensor, f->detail);
    }
    return text;
}

static inline int tiny_count(const tiny *t) { // above note
    int n = 0;
    for (size_t i = 0; i < t->findings.n; i++)
        n += qp_ck_rules[t->findings.list[i].rule].severity > QP_SEV_NOTE;
    return n;
}

static inline const qp_ck_finding *tiny_finding(const tiny *t, qp_ck_rule rule, const char *tensor) {
    for (size_t i = 0; i < t->findings.n; i++) {
        const qp_ck_finding *f = &t->findings.list[i];
        if (f->rule == rule && strcmp(f->tensor, tensor) == 0) return f;
    }
    return NULL;
}

#define TINY_WANT(t, rule, tensor)                                                                           \
    ck_assert_msg(tiny_finding((t), (rule), (tensor)) != NULL, "wanted %s at %s, got:%s",                    \
                  qp_ck_rules[rule].id, (tensor), tiny_text(t))
#define TINY_WANT_ONLY(t, rule, tensor)                                                                      \
    do {                                                                                                     \
        TINY_WANT((t), (rule), (tensor));                                                                    \
        ck_assert_msg(tiny_count(t) == 1, "wanted one finding, got:%s", tiny_text(t));                       \
    } while (0)
#define TINY_WANT_CLEAN(t) ck_assert_msg(tiny_count(t) == 0, "wanted none, got:%s", tiny_text(t))

#endif
