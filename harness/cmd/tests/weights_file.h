// SPDX-License-Identifier: Apache-2.0
// A safetensors file with the weights of some layers of tiny-moe, sound or spoiled in one way. For tests of
// weights=PATH.
#ifndef CMD_TESTS_WEIGHTS_FILE_H
#define CMD_TESTS_WEIGHTS_FILE_H

#include "cmd/tests/cli.h"
#include "input/gen.h"
#include "model/model.h"
#include "tensor/safetensors.h"

enum { WEIGHTS_MAX = 128 };

typedef struct weights_file {
    qp_model model;
    qp_st_tensor t[WEIGHTS_MAX];
    int n;
} weights_file;

static inline int weights_find(const weights_file *w, const char *ending) {
    for (int i = 0; i < w->n; i++) {
        size_t n = strlen(w->t[i].name), k = strlen(ending);
        if (n >= k && strcmp(w->t[i].name + n - k, ending) == 0) return i;
    }
    return -1;
}

static inline void weights_add(weights_file *w, const qp_module *m, const qp_segment *s, uint64_t seed,
                               qp_arena *a) {
    const char *name = cli_text(a, "%s.weight", s->gen_name);
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->t[i].name, name) == 0) return; // segments of one tensor
    ck_assert_int_lt(w->n, WEIGHTS_MAX);
    qp_st_tensor *t = &w->t[w->n++];
    *t = (qp_st_tensor){.name = name, .dtype = QP_BF16, .n_dims = 2, .dims = {s->gen_rows, m->in}};
    t->n_bytes = (size_t)(s->gen_rows * m->in) * 2;
    void *data;
    ck_assert(qp_arena_get(a, t->n_bytes, &data, NULL) == QP_OK);
    qp_gen g = qp_gen_make(seed, QP_DIST_HEAVY);
    qp_gen_slice(&g, name, s->gen_rows, m->in, QP_BF16, 0, s->gen_rows, 0, m->in, data);
    t->data = data;
}

static inline weights_file weights_make(const char *layers, uint64_t seed, qp_arena *a) {
    weights_file w = {.n = 0};
    qp_err err = {0};
    ck_assert_msg(qp_model_load("tiny-moe", "cases", layers, QP_NAMES_HF, a, &w.model, &err) == QP_OK, "%s",
                  err.msg);
    for (int i = 0; i < w.model.n_modules; i++)
        for (int s = 0; s < w.model.modules[i].n_segments; s++)
            weights_add(&w, &w.model.modules[i], &w.model.modules[i].segments[s], seed, a);
    ck_assert_int_gt(w.n, 0);
    return w;
}

static inline void weights_write(const weights_file *w, const char *path) {
    qp_err err = {0};
    ck_assert_msg(qp_st_write(path, w->t, w->n, NULL, 0, &err) == QP_OK, "%s", err.msg);
}

#endif
