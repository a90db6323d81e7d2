// SPDX-License-Identifier: Apache-2.0
// What is written twice on purpose must agree: default patterns against PCRE2, slices, coordinates and
// refusals of every shipped model on many layouts. Here the two sides only meet; neither calls the other.
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "qp/ref.h"

static qp_arena *arena;

static void set_up(void) {
    arena = qp_arena_new();
}

static void tear_down(void) {
    qp_arena_free(arena);
}

// ---- groups --------------------

static const char *const awkward[] = {"q_proj",
                                      "k_proj",
                                      ".v_proj",
                                      ".k_proj",
                                      "a.q_proj",
                                      "a.k_proj",
                                      "a.v_proj",
                                      "a..q_proj",
                                      "a..v_proj",
                                      "a.b.gate_proj",
                                      "a.b.up_proj",
                                      "a.b.down_proj",
                                      "a.b.gate_up_proj",
                                      "a.b.xup_proj",
                                      "a.b.up_projx",
                                      "a.b.Up_proj",
                                      "e.0.w1",
                                      "e.0.w2",
                                      "e.0.w3",
                                      "e.1.w1",
                                      "e.1.w3",
                                      "e.10.w3",
                                      "e.10.w13",
                                      "w1",
                                      "w3",
                                      "w1.w3",
                                      "w1.w1",
                                      "shared_expert_gate",
                                      "shared_expert.gate_proj",
                                      "shared_expert.up_proj",
                                      "",
                                      ".",
                                      "q_proj.",
                                      "a.w1 ",
                                      "layers.0.linear_qkv"};

// Both partitions of the names: the reference's own suffixes, and PCRE2's hits through the reference and
// through the model room.
static void compare_groups(const char *const *names, int n, const bool *enabled) {
    qp_pattern_hit *hits;
    qp_group_list list;
    qp_module *mods;
    int *own, *by_hits, *by_model;
    qp_err e = {0}, *err = &e;
    ck_assert_int_eq(QP_NEW(arena, mods, n), QP_OK);
    ck_assert_int_eq(QP_NEW(arena, own, n), QP_OK);
    ck_assert_int_eq(QP_NEW(arena, by_hits, n), QP_OK);
    ck_assert_int_eq(QP_NEW(arena, by_model, n), QP_OK);
    for (int i = 0; i < n; i++) {
        mods[i] = (qp_module){.fqn = names[i], .expert = -1};
        by_model[i] = -1;
    }
    ck_assert_int_eq(qp_pattern_hits(names, n, qp_default_patterns, 3, arena, &hits, err), QP_OK);
    ck_assert_int_eq(qp_groups_find(names, enabled, n, qp_default_patterns, 3, arena, &list, err), QP_OK);
    for (int g = 0; g < list.n; g++)
        for (int k = 0; k < list.groups[g].n_members; k++)
            by_model[list.groups[g].members[k]] = list.groups[g].members[0];
    ref_groups(mods, enabled, NULL, n, own);
    ref_groups(mods, enabled, hits, n, by_hits);
    for (int i = 0; i < n; i++)
        ck_assert_msg(own[i] == by_hits[i] && own[i] == by_model[i],
                      "'%s': suffixes %d, PCRE2 hits %d, model %d", names[i], own[i], by_hits[i],
                      by_model[i]);
}

START_TEST(default_patterns_by_suffix_equal_pcre2_on_awkward_names) {
    bool enabled[QP_COUNT(awkward)];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < QP_COUNT(awkward); i++) enabled[i] = round == 0 || i % (round + 1) != 0;
        compare_groups(awkward, QP_COUNT(awkward), enabled);
    }
}
END_TEST

// ---- models --------------------

static const char *const models[] = {"nemotron-3-nano-30b-a3b",
                                     "qwen3-30b-a3b",
                                     "mixtral-8x7b",
                                     "llama-3.1-8b",
                                     "qwen2.5-7b",
                                     "tiny-moe",
                                     "tiny-dense"};
static const char *const layers[] = {"moe:1,attn:1,mamba:1", "moe:1,attn:1", "moe:1,attn:1", "attn:1,mlp:1",
                                     "attn:1,mlp:1",         "all",          "all"};

static qp_model load(int i, qp_names names) {
    qp_model m;
    qp_err err = {0};
    qp_status s = qp_model_load(models[i], "cases", layers[i], names, arena, &m, &err);
    ck_assert_msg(s == QP_OK, "%s: %s", models[i], err.msg);
    return m;
}

static int n_checked;

static void compare_slice(const qp_module *m, const qp_layout *l, int rank) {
    qp_slice s = qp_slice_of(m, l, rank);
    ck_assert_int_eq(s.held, ref_holds(m, l, rank));
    if (!s.held) return;
    int64_t rows, cols, local = 0;
    ref_local_shape(m, l, rank, &rows, &cols);
    ck_assert_msg(rows == s.n_rows && cols == s.n_cols, "%s rank %d", m->fqn, rank);
    ck_assert_int_eq(ref_global_col(m, l, rank, 0), s.cols.begin);
    ck_assert_int_eq(ref_global_col(m, l, rank, cols - 1), s.cols.begin + s.cols.count - 1);
    for (int r = 0; r < s.n_row_ranges; r++) { // the ends of every range, and that the next row is elsewhere
        if (s.rows[r].count == 0) continue;
        ck_assert_int_eq(ref_global_row(m, l, rank, local), s.rows[r].begin);
        local += s.rows[r].count;
        ck_assert_int_eq(ref_global_row(m, l, rank, local - 1), s.rows[r].begin + s.rows[r].count - 1);
        n_checked++;
    }
    ck_assert_int_eq(local, rows);
}

static void compare_layout(const qp_model *m, const qp_layout *l, const qp_recipe *recipe,
                           const qp_qconfig *weights) {
    qp_err err = {0};
    qp_refusal got = QP_REFUSE_NONE;
    int which = -1, which_ref = -1;
    qp_status s = qp_layout_check(l, m, recipe, &got, &which, &err);
    qp_refusal want = ref_layout_refusal(l, m->n_layers, m->modules, weights, m->n_modules, &which_ref);
    char text[64];
    ck_assert_msg(got == want && which == which_ref, "%s %s: %s module %d, reference %s module %d", m->name,
                  qp_layout_text(l, text), qp_refusal_name(got), which, qp_refusal_name(want), which_ref);
    ck_assert_int_eq(s, want == QP_REFUSE_NONE ? QP_OK : QP_REFUSED);
    if (want != QP_REFUSE_NONE) return;
    int n = qp_layout_ranks(l);
    for (int rank = 0; rank < n; rank++) {
        qp_coord a = qp_layout_coord(l, rank), b = ref_coord(l, rank);
        ck_assert_mem_eq(&a, &b, sizeof a);
        for (int i = 0; i < m->n_modules; i++)
            if (m->modules[i].quantizable) compare_slice(&m->modules[i], l, rank);
    }
}

START_TEST(slices_coordinates_and_refusals_agree_on_every_shipped_model) {
    static const char *const recipes[] = {"nvfp4-static", "fp8"};
    static const qp_names spellings[] = {QP_NAMES_HF, QP_NAMES_MEGATRON};
    n_checked = 0;
    for (int r = 0; r < QP_COUNT(recipes); r++)
        for (int k = 0; k < QP_COUNT(spellings); k++) {
            qp_model m = load(_i, spellings[k]);
            qp_recipe recipe;
            qp_qconfig *weights;
            qp_err e = {0}, *err = &e;
            ck_assert_int_eq(qp_recipe_load(recipes[r], "cases", arena, &recipe, err), QP_OK);
            ck_assert_int_eq(QP_NEW(arena, weights, m.n_modules), QP_OK);
            for (int i = 0; i < m.n_modules; i++)
                qp_recipe_resolve(&recipe, m.modules[i].fqn, "weight_quantizer", &weights[i]);
            for (int tp = 1; tp <= 8; tp *= 2)
                for (int ep = 1; ep <= 8; ep *= 4)
                    for (int etp = 1; etp <= tp; etp *= 4) {
                        qp_layout l = {.tp = tp, .cp = 1, .pp = 1, .dp = ep, .ep = ep, .etp = etp};
                        compare_layout(&m, &l, &recipe, weights);
                    }
            static const qp_layout odd[] = {{3, 1, 1, 1, 1, 3},   {2, 2, 2, 2, 1, 2}, {1, 1, 99, 1, 1, 1},
                                            {2, 1, 1, 1, 4, 1},   {0, 1, 1, 1, 1, 1}, {7, 1, 1, 1, 1, 7},
                                            {16, 1, 1, 1, 1, 16}, {1, 1, 1, 3, 3, 1}};
            for (int i = 0; i < QP_COUNT(odd); i++) compare_layout(&m, &odd[i], &recipe, weights);
        }
    ck_assert_int_gt(n_checked, 30);
}
END_TEST

START_TEST(default_groups_agree_on_every_shipped_model) {
    qp_model m = load(_i, QP_NAMES_HF);
    const char **names;
    bool *enabled;
    qp_err *err = NULL;
    ck_assert_int_eq(QP_NEW(arena, names, m.n_modules), QP_OK);
    ck_assert_int_eq(QP_NEW(arena, enabled, m.n_modules), QP_OK);
    for (int i = 0; i < m.n_modules; i++) {
        names[i] = m.modules[i].fqn;
        enabled[i] = m.modules[i].quantizable;
    }
    compare_groups(names, m.n_modules, enabled);
}
END_TEST

int main(void) {
    Suite *s = suite_create("oracle: both sides");
    TCase *t = tcase_create("sides");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, default_patterns_by_suffix_equal_pcre2_on_awkward_names);
    tcase_add_loop_test(t, slices_coordinates_and_refusals_agree_on_every_shipped_model, 0, QP_COUNT(models));
    tcase_add_loop_test(t, default_groups_agree_on_every_shipped_model, 0, QP_COUNT(models));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
