// SPDX-License-Identifier: Apache-2.0
// Modules made by hand: tensors over bytes of the test, no file. Numbers that do not repeat by themselves.
#ifndef AUDIT_TESTS_BY_HAND_H
#define AUDIT_TESTS_BY_HAND_H

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "audit/values.h"

#define HAND_OK(call)                                                                                        \
    do {                                                                                                     \
        qp_err hand_err = {0}, *err = &hand_err;                                                             \
        ck_assert_msg((call) == QP_OK, "%s", hand_err.msg);                                                  \
    } while (0)

static inline uint64_t hand_random(uint64_t *state) { // splitmix64
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline void hand_fill(uint8_t *bytes, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)hand_random(&seed);
}

// shape: "[2, 3]". data: used in place.
static inline qp_ck_tensor *hand_tensor(qp_arena *a, const char *name, qp_st_type type, const char *shape,
                                        const void *data) {
    qp_err *err = NULL;
    qp_ck_tensor *t;
    qp_st_entry *e;
    ck_assert_int_eq(QP_NEW(a, t, 1), QP_OK);
    ck_assert_int_eq(QP_NEW(a, e, 1), QP_OK);
    e->shape = (const uint8_t *)shape;
    e->dtype = (uint8_t)type;
    e->name = t->name = name;
    e->n_name = t->n_name = (uint32_t)strlen(name);
    uint64_t n = 1, dims[8] = {0};
    const char *p = shape + 1;
    while (*p != ']' && *p != '\0') {
        dims[e->n_dims] = strtoull(p, (char **)&p, 10);
        n *= dims[e->n_dims++];
        while (*p == ',' || *p == ' ') p++;
    }
    memcpy(t->dims, dims, sizeof t->dims);
    t->n_dims = e->n_dims;
    t->entry = e;
    t->dtype = (uint8_t)type;
    t->n_elems = n;
    t->n_bytes = n * (uint64_t)qp_st_dtypes[type].bits / 8;
    e->end = t->n_bytes;
    t->data = data;
    return t;
}

static inline qp_ck_scheme hand_nvfp4(void) {
    return (qp_ck_scheme){.name = "modelopt nvfp4",
                          .said = "NVFP4",
                          .dialect = QP_CK_MODELOPT,
                          .element = QP_ELEM_E2M1,
                          .bits = 4,
                          .group_size = 16,
                          .pack = QP_CK_PAIRS,
                          .spread = QP_CK_GROUP,
                          .global = QP_CK_MULTIPLIES,
                          .input = QP_CK_INPUT_STATIC,
                          .symmetric = true,
                          .shares_weight = true,
                          .shares_input = true,
                          .divisor = 2688.0f};
}

static inline qp_ck_module hand_module(const char *name, const qp_ck_scheme *s, int64_t stack, int64_t out,
                                       int64_t in) {
    return (qp_ck_module){.name = name,
                          .n_name = (uint32_t)strlen(name),
                          .scheme = s,
                          .stack = stack,
                          .out = out,
                          .in = in,
                          .sound = true,
                          .linear = true,
                          .layer = -1,
                          .expert = -1,
                          .share = -1};
}

typedef struct hand_audit {
    qp_arena *a;
    qp_audit u;
} hand_audit;

static inline hand_audit hand_new(qp_ck_module *list, uint32_t n) {
    hand_audit h = {.a = qp_arena_new()};
    qp_ck_findings_init(&h.u.findings, h.a);
    h.u.modules.list = list;
    h.u.modules.n = n;
    return h;
}

static inline void hand_values(hand_audit *h, int threads) {
    const qp_audit_options o = {.threads = threads};
    HAND_OK(qp_pass_values(&o, &h->u, h->a, &h->u.findings, err));
}

// Exactly n findings, each of this rule on this tensor; detail holds the words.
static inline void hand_found(const hand_audit *h, size_t n, qp_ck_rule rule, const char *tensor,
                              const char *words) {
    const qp_ck_findings *f = &h->u.findings;
    for (size_t i = 0; i < f->n && f->n != n; i++)
        fprintf(stderr, "%s %s: %s\n", qp_ck_rules[f->list[i].rule].id, f->list[i].tensor, f->list[i].detail);
    ck_assert_uint_eq(f->n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(qp_ck_rules[f->list[i].rule].id, qp_ck_rules[rule].id);
        ck_assert_str_eq(f->list[i].tensor, tensor);
        ck_assert_msg(strstr(f->list[i].detail, words) != NULL, "'%s' lacks '%s'", f->list[i].detail, words);
        ck_assert(f->list[i].effect[0] != '\0');
    }
}

static inline int hand_main(Suite *s) {
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
