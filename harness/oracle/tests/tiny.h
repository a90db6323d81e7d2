// SPDX-License-Identifier: Apache-2.0
// A model small enough to check by hand: one attention (q, k, o) and four experts (gate, up, down), made in
// memory, with an oracle.
#ifndef ORACLE_TESTS_TINY_H
#define ORACLE_TESTS_TINY_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/oracle.h"

enum { TINY_EXPERTS = 4, TINY_MODULES = 3 + 3 * TINY_EXPERTS, TINY_OUT = 32, TINY_IN = 64, TINY_TOKENS = 3 };

typedef struct tiny {
    qp_arena *arena;
    qp_module mods[TINY_MODULES];
    qp_segment segments[TINY_MODULES];
    qp_model model;
    qp_recipe_entry entries[2];
    qp_recipe recipe;
    qp_gen gen;
    qp_weights *weights;
    qp_oracle *oracle;
} tiny;

static inline void tiny_module(tiny *t, int i, const char *fqn, const char *projection, int expert,
                               qp_style style) {
    t->segments[i] = (qp_segment){.name = "w", .gen_name = fqn, .rows = TINY_OUT, .gen_rows = TINY_OUT};
    t->mods[i] = (qp_module){.fqn = fqn,
                             .layer_kind = expert < 0 ? "attn" : "moe",
                             .expert = expert,
                             .n_experts = expert < 0 ? 0 : TINY_EXPERTS,
                             .projection = projection,
                             .out = TINY_OUT,
                             .in = TINY_IN,
                             .style = style,
                             .segments = &t->segments[i],
                             .n_segments = 1,
                             .quantizable = true};
}

static inline int tiny_index(const tiny *t, const char *fqn) {
    for (int i = 0; i < TINY_MODULES; i++)
        if (strcmp(t->mods[i].fqn, fqn) == 0) return i;
    ck_abort_msg("no module %s", fqn);
    return -1;
}

// Weights may be boosted before tiny_start makes the oracle.
static inline tiny *tiny_new(qp_format f) {
    static const char *const dense[] = {"l.0.attn.q_proj", "l.0.attn.k_proj", "l.0.attn.o_proj"};
    static const char *const routed[] = {"gate_proj", "up_proj", "down_proj"};
    tiny *t = calloc(1, sizeof *t);
    t->arena = qp_arena_new();
    for (int i = 0; i < 3; i++)
        tiny_module(t, i, dense[i], dense[i], -1, i < 2 ? QP_STYLE_COLUMN : QP_STYLE_ROW);
    for (int e = 0; e < TINY_EXPERTS; e++)
        for (int p = 0; p < 3; p++) {
            const char *fqn, *projection;
            ck_assert_int_eq(qp_arena_printf(t->arena, &fqn, NULL, "l.0.moe.experts.%d.%s", e, routed[p]),
                             QP_OK);
            ck_assert_int_eq(qp_arena_printf(t->arena, &projection, NULL, "l.0.moe.experts.*.%s", routed[p]),
                             QP_OK);
            tiny_module(t, 3 + 3 * e + p, fqn, projection, e, p < 2 ? QP_STYLE_COLUMN : QP_STYLE_ROW);
        }
    t->model = (qp_model){.name = "tiny",
                          .n_layers = 1,
                          .n_experts = TINY_EXPERTS,
                          .top_k = 1,
                          .modules = t->mods,
                          .n_modules = TINY_MODULES,
                          .n_selected_layers = 1};
    t->entries[0] = (qp_recipe_entry){.quantizer_name = "*weight_quantizer",
                                      .has_enable = true,
                                      .enable = true,
                                      .has_cfg = true,
                                      .cfg = {.enabled = true, .format = f, .clip_backward = true}};
    t->entries[1] = (qp_recipe_entry){.quantizer_name = "*input_quantizer",
                                      .has_enable = true,
                                      .enable = true,
                                      .has_cfg = true,
                                      .cfg = {.enabled = true, .format = QP_FP8_E4M3}};
    t->recipe =
        (qp_recipe){.name = "tiny", .entries = t->entries, .n_entries = 2, .shared = QP_SHARED_ABSENT};
    t->gen =
        (qp_gen){.seed = 5, .dist = QP_DIST_GAUSS, .sigma = 0.02, .format = QP_FORMAT_NONE, .peak_index = -1};
    ck_assert_int_eq(qp_weights_generated(&t->gen, t->arena, &t->weights, NULL), QP_OK);
    return t;
}

static inline void tiny_start(tiny *t, qp_sync sync) {
    qp_err err = {0};
    qp_oracle_spec spec = {&t->model, &t->recipe, sync, TINY_TOKENS, 9, t->weights};
    ck_assert_msg(qp_oracle_new(&spec, &t->oracle, &err) == QP_OK, "%s", err.msg);
}

static inline void tiny_free(tiny *t) {
    qp_oracle_free(t->oracle);
    qp_weights_close(t->weights);
    qp_arena_free(t->arena);
    free(t);
}

// A state of one module on one rank; shape as given, no data.
static inline qp_state tiny_state(const tiny *t, const char *stage, const char *fqn, const char *field,
                                  const qp_layout *l, int rank, qp_dtype type, int64_t rows, int64_t cols) {
    int i = tiny_index(t, fqn);
    return (qp_state){.stage = stage,
                      .fqn = fqn,
                      .field = field,
                      .rank = rank,
                      .module = &t->mods[i],
                      .layout = l,
                      .format = t->entries[0].cfg.format,
                      .dtype = type,
                      .rows = rows,
                      .cols = cols,
                      .n_rows_held = rows};
}

static inline void *tiny_want(const tiny *t, const qp_state *st, qp_coverage *cov) {
    void *want;
    qp_err err = {0};
    ck_assert_msg(qp_oracle_want(t->oracle, st, t->arena, &want, cov, &err) == QP_OK, "%s", err.msg);
    return want;
}

// max |w| of a rectangle of the full weight, by integers: bf16 images of |x| order like the values.
static inline uint32_t tiny_max(const tiny *t, const char *fqn, int64_t row0, int64_t n_rows, int64_t col0,
                                int64_t n_cols) {
    static uint16_t w[TINY_OUT * TINY_IN];
    uint32_t max = 0;
    ck_assert_int_eq(
        qp_weights_slice(t->weights, &t->mods[tiny_index(t, fqn)], row0, n_rows, col0, n_cols, w, NULL),
        QP_OK);
    for (int64_t i = 0; i < n_rows * n_cols; i++)
        if ((w[i] & 0x7fffu) > max) max = w[i] & 0x7fffu;
    return max << 16;
}

static inline uint32_t tiny_scalar(const tiny *t, const char *stage, const char *fqn, const char *field,
                                   const qp_layout *l, int rank) {
    qp_state st = tiny_state(t, stage, fqn, field, l, rank, QP_FP32, 1, 1);
    uint32_t *want = tiny_want(t, &st, NULL);
    ck_assert_msg(want != NULL, "%s %s %s rank %d is not due", stage, fqn, field, rank);
    return *want;
}

static inline qp_layout tiny_layout(int tp, int ep) {
    return (qp_layout){.tp = tp, .cp = 1, .pp = 1, .dp = ep, .ep = ep, .etp = tp};
}

static inline int tiny_run(Suite *s) {
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
