// SPDX-License-Identifier: Apache-2.0
// Layouts: places of ranks, refusals with their numbers, and slices that tile every weight exactly once.
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

static qp_model load(qp_arena *a, const char *name, const char *layers, qp_names names) {
    qp_err err = {0};
    qp_model m;
    ck_assert_msg(qp_model_load(name, "cases", layers, names, a, &m, &err) == QP_OK, "%s: %s", name, err.msg);
    return m;
}

static qp_recipe recipe(qp_arena *a, const char *name) {
    qp_err err = {0};
    qp_recipe r;
    ck_assert_msg(qp_recipe_load(name, "cases", a, &r, &err) == QP_OK, "%s: %s", name, err.msg);
    return r;
}

START_TEST(every_rank_has_its_own_place) {
    static const qp_layout layouts[] = {{1, 1, 1, 1, 1, 1}, {2, 1, 1, 4, 4, 2}, {8, 1, 1, 1, 4, 2},
                                        {2, 3, 2, 5, 5, 3}, {4, 1, 3, 2, 2, 1}, {1, 1, 1, 8, 4, 1},
                                        {2, 2, 2, 2, 2, 2}};
    for (int i = 0; i < QP_COUNT(layouts); i++) {
        const qp_layout *l = &layouts[i];
        int n = l->tp * l->cp * l->dp;
        ck_assert_int_eq(qp_layout_ranks(l), n * l->pp);
        for (int rank = 0; rank < n * l->pp; rank++) {
            qp_coord c = qp_layout_coord(l, rank);
            ck_assert_int_eq(((c.pp_rank * l->dp + c.dp_rank) * l->cp + c.cp_rank) * l->tp + c.tp_rank, rank);
            ck_assert(c.tp_rank < l->tp && c.cp_rank < l->cp && c.dp_rank < l->dp && c.pp_rank < l->pp);
            int replicas = n / (l->ep * l->etp);
            ck_assert_int_eq((c.ep_rank * replicas + c.edp_rank) * l->etp + c.etp_rank, rank % n);
            ck_assert(c.ep_rank < l->ep && c.etp_rank < l->etp && c.edp_rank < replicas);
        }
    }
}
END_TEST

START_TEST(with_dp_equal_ep_and_etp_equal_tp_a_rank_is_ep_times_tp_plus_tp) {
    qp_layout l = {
        .tp = 2, .cp = 1, .pp = 1, .dp = 4, .ep = 4, .etp = 2}; // the placement of the pipeline records
    for (int rank = 0; rank < 8; rank++) {
        qp_coord c = qp_layout_coord(&l, rank);
        ck_assert_int_eq(c.ep_rank, rank / 2);
        ck_assert_int_eq(c.etp_rank, rank % 2);
        ck_assert_int_eq(c.dp_rank, c.ep_rank);
        ck_assert_int_eq(c.tp_rank, c.etp_rank);
    }
    char buf[64];
    ck_assert_str_eq(qp_layout_text(&l, buf), "tp2 ep4 etp2 dp4");
    l.cp = 2;
    l.pp = 3;
    ck_assert_str_eq(qp_layout_text(&l, buf), "tp2 ep4 etp2 dp4 cp2 pp3");
}
END_TEST

// ---- refusals
// -----------------------------------------------------------------------------------------------------------

static const struct {
    const char *model, *layers, *recipe;
    qp_layout l; // tp cp pp dp ep etp
    qp_refusal why;
    const char *want; // part of the message
    qp_names names;
} verdicts[] = {
    {"qwen2.5-7b",
     "all",
     "fp8",
     {8, 1, 1, 1, 1, 8},
     QP_REFUSE_UNITS,
     "layers.0.self_attn.q_proj (segment q) has 28 heads or groups, TP 8",
     QP_NAMES_HF},
    {"qwen2.5-7b",
     "all",
     "fp8",
     {8, 1, 1, 1, 1, 8},
     QP_REFUSE_UNITS,
     "linear_qkv (segment q) has 28",
     QP_NAMES_MEGATRON},
    {"qwen2.5-7b", "all", "fp8", {4, 1, 1, 1, 1, 4}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"qwen2.5-7b", "mlp:1", "nvfp4-static", {8, 1, 1, 1, 1, 8}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b",
     "moe:1",
     "nvfp4-static",
     {8, 1, 1, 1, 1, 8},
     QP_REFUSE_BLOCK,
     "experts.0.down_proj has 1856 columns, 232 a rank under expert TP 8, no multiple of the nvfp4-static "
     "block of 16",
     QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b",
     "moe:1",
     "nvfp4-dynamic",
     {8, 1, 1, 1, 1, 8},
     QP_REFUSE_BLOCK,
     "232 a rank",
     QP_NAMES_MEGATRON},
    {"nemotron-3-nano-30b-a3b", "moe:1", "fp8", {8, 1, 1, 1, 1, 8}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b", "moe:1", "int8", {8, 1, 1, 8, 8, 8}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b",
     "moe:1",
     "nvfp4-static",
     {8, 1, 1, 1, 1, 4},
     QP_REFUSE_NONE,
     "",
     QP_NAMES_HF}, // 464 = 29*16
    {"nemotron-3-nano-30b-a3b", "moe:1", "nvfp4-static", {8, 1, 1, 1, 8, 1}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b",
     "mamba:1",
     "fp8",
     {16, 1, 1, 1, 1, 16},
     QP_REFUSE_UNITS,
     "in_proj (segment B) has 8 heads or groups, TP 16",
     QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b",
     "mamba:1",
     "nvfp4-static",
     {8, 1, 1, 1, 1, 8},
     QP_REFUSE_NONE,
     "",
     QP_NAMES_HF},
    {"nemotron-3-nano-30b-a3b",
     "attn:1",
     "nvfp4-static",
     {32, 1, 1, 1, 1, 32},
     QP_REFUSE_NONE,
     "",
     QP_NAMES_HF}, // 2 KV heads, 16 copies
    {"nemotron-3-nano-30b-a3b",
     "attn:1",
     "fp8",
     {64, 1, 1, 1, 1, 64},
     QP_REFUSE_UNITS,
     "q_proj (segment q) has 32",
     QP_NAMES_HF},
    {"mixtral-8x7b",
     "moe:1",
     "fp8",
     {1, 1, 1, 16, 16, 1},
     QP_REFUSE_EXPERTS,
     "experts.*.w1 is one of 8 experts, EP 16",
     QP_NAMES_HF},
    {"mixtral-8x7b", "moe:1", "fp8", {1, 1, 1, 3, 3, 1}, QP_REFUSE_EXPERTS, "EP 3", QP_NAMES_HF},
    {"mixtral-8x7b", "attn:1", "fp8", {1, 1, 1, 3, 3, 1}, QP_REFUSE_NONE, "", QP_NAMES_HF}, // no expert is
                                                                                            // there
    {"mixtral-8x7b",
     "moe:1",
     "fp8",
     {3, 1, 1, 1, 1, 3},
     QP_REFUSE_ROWS,
     "w1 (segment gate) has 14336 rows, expert TP 3",
     QP_NAMES_HF},
    {"mixtral-8x7b",
     "attn:1",
     "fp8",
     {3, 1, 1, 1, 1, 3},
     QP_REFUSE_UNITS,
     "q_proj (segment q) has 32",
     QP_NAMES_HF},
    {"mixtral-8x7b",
     "moe:1",
     "fp8",
     {2, 1, 1, 1, 2, 2},
     QP_REFUSE_RANKS,
     "2 ranks (dp*cp*tp) are no multiple of 4 (etp*ep)",
     QP_NAMES_HF},
    {"mixtral-8x7b",
     "moe:1",
     "fp8",
     {1, 1, 1, 0, 1, 1},
     QP_REFUSE_RANKS,
     "every degree must be at least 1",
     QP_NAMES_HF},
    {"mixtral-8x7b",
     "moe:1",
     "fp8",
     {1, 1, 33, 1, 1, 1},
     QP_REFUSE_LAYERS,
     "32 layers, fewer than 33",
     QP_NAMES_HF},
    {"mixtral-8x7b", "moe:1", "fp8", {1, 1, 32, 1, 1, 1}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"qwen3-30b-a3b",
     "all",
     "nvfp4-static",
     {8, 1, 1, 8, 8, 8},
     QP_REFUSE_NONE,
     "",
     QP_NAMES_HF}, // 4 KV heads, copied
    {"tiny-dense", "all", "nvfp4-static", {1, 1, 1, 1, 1, 1}, QP_REFUSE_NONE, "", QP_NAMES_HF}, // ragged but
                                                                                                // whole
    {"tiny-dense",
     "all",
     "nvfp4-static",
     {2, 1, 1, 1, 1, 2},
     QP_REFUSE_BLOCK,
     "o_proj has 60 columns, 30 a rank under TP 2",
     QP_NAMES_HF},
    {"tiny-dense", "all", "int8", {4, 1, 1, 1, 1, 4}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"tiny-dense",
     "mlp:1",
     "int8",
     {3, 1, 1, 1, 1, 3},
     QP_REFUSE_ROWS,
     "gate_proj (segment gate) has 148 rows, TP 3",
     QP_NAMES_HF},
    {"tiny-moe", "all", "nvfp4-static", {8, 1, 1, 8, 8, 8}, QP_REFUSE_NONE, "", QP_NAMES_HF},
    {"tiny-moe", "all", "nvfp4-static", {8, 1, 1, 8, 8, 8}, QP_REFUSE_NONE, "", QP_NAMES_MEGATRON},
};

START_TEST(a_layout_is_refused_for_the_right_reason_with_the_numbers) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, verdicts[_i].model, verdicts[_i].layers, verdicts[_i].names);
    qp_recipe r = recipe(a, verdicts[_i].recipe);
    qp_refusal why = QP_REFUSE_COUNT;
    int which = -2;
    qp_err err = {0};
    qp_status s = qp_layout_check(&verdicts[_i].l, &m, &r, &why, &which, &err);
    ck_assert_msg(why == verdicts[_i].why, "%s: wanted %s, got %s: %s", verdicts[_i].model,
                  qp_refusal_name(verdicts[_i].why), qp_refusal_name(why), err.msg);
    ck_assert_int_eq(s, why == QP_REFUSE_NONE ? QP_OK : QP_REFUSED);
    ck_assert_msg(strstr(err.msg, verdicts[_i].want) != NULL, "wanted '%s' in: %s", verdicts[_i].want,
                  err.msg);
    bool of_module = why != QP_REFUSE_NONE && why != QP_REFUSE_RANKS && why != QP_REFUSE_LAYERS;
    ck_assert_int_eq(which >= 0, of_module);
    if (of_module) ck_assert(strstr(err.msg, m.name) == err.msg);
    qp_arena_free(a);
}
END_TEST

START_TEST(tiny_moe_runs_nvfp4_on_every_tp_and_ep_up_to_8) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "tiny-moe", "all", QP_NAMES_HF);
    qp_recipe r = recipe(a, "nvfp4-static-gate");
    for (int tp = 1; tp <= 8; tp *= 2)
        for (int ep = 1; ep <= 8; ep *= 2) {
            qp_layout l = {tp, 1, 1, ep, ep, tp};
            qp_refusal why;
            int which;
            qp_err err = {0};
            ck_assert_msg(qp_layout_check(&l, &m, &r, &why, &which, &err) == QP_OK, "%s", err.msg);
        }
    qp_arena_free(a);
}
END_TEST

START_TEST(modules_that_are_not_quantizable_never_refuse) {
    qp_module odd = {.fqn = "router",
                     .projection = "router",
                     .layer_kind = "moe",
                     .expert = -1,
                     .out = 7,
                     .in = 5,
                     .style = QP_STYLE_COLUMN,
                     .n_segments = 1,
                     .segments =
                         &(qp_segment){.name = "rows", .gen_name = "router", .rows = 7, .gen_rows = 7}};
    qp_model m = {.name = "m", .n_layers = 1, .modules = &odd, .n_modules = 1};
    qp_recipe r = {.name = "none"};
    qp_layout l = {2, 1, 1, 1, 1, 2};
    qp_refusal why;
    int which;
    qp_err err = {0};
    ck_assert_int_eq(qp_layout_check(&l, &m, &r, &why, &which, &err), QP_OK);
    odd.quantizable = true;
    ck_assert_int_eq(qp_layout_check(&l, &m, &r, &why, &which, &err), QP_REFUSED);
    ck_assert_int_eq(why, QP_REFUSE_ROWS);
    ck_assert_int_eq(which, 0);
}
END_TEST

// ---- slices
// -----------------------------------------------------------------------------------------------------------------

// Counts how often each element of m is held by the ranks that must hold it once: one replica of everything
// else.
static void count_elements(const qp_module *m, const qp_layout *l, uint8_t *count) {
    for (int rank = 0; rank < qp_layout_ranks(l); rank++) {
        qp_coord c = qp_layout_coord(l, rank);
        bool first = m->expert >= 0 ? c.edp_rank == 0 : c.dp_rank == 0 && c.cp_rank == 0;
        if (!first || c.pp_rank != 0) continue;
        qp_slice s = qp_slice_of(m, l, rank);
        if (!s.held) continue;
        int64_t rows = 0;
        for (int i = 0; i < s.n_row_ranges; i++) {
            rows += s.rows[i].count;
            ck_assert(s.rows[i].begin >= 0 && s.rows[i].begin + s.rows[i].count <= m->out);
            ck_assert(s.cols.begin >= 0 && s.cols.begin + s.cols.count <= m->in);
            for (int64_t r = s.rows[i].begin; r < s.rows[i].begin + s.rows[i].count; r++)
                for (int64_t k = s.cols.begin; k < s.cols.begin + s.cols.count; k++) count[r * m->in + k]++;
        }
        ck_assert_int_eq(rows, s.n_rows);
        ck_assert_int_eq(s.cols.count, s.n_cols);
    }
}

// How often TP ranks hold row r of m: 1, copies of a KV head, or all of a replicated module.
static int want_copies(const qp_module *m, const qp_layout *l, int64_t row) {
    int degree = m->expert >= 0 ? l->etp : l->tp;
    if (m->style == QP_STYLE_REPLICATED) return degree;
    if (m->style == QP_STYLE_ROW) return 1;
    for (int i = 0; i < m->n_segments; i++) {
        const qp_segment *s = &m->segments[i];
        if (row < s->rows) return s->replicate && s->units < degree ? degree / (int)s->units : 1;
        row -= s->rows;
    }
    return 0;
}

START_TEST(slices_tile_every_weight_exactly_once) {
    static const qp_layout layouts[] = {{1, 1, 1, 1, 1, 1}, {2, 1, 1, 1, 1, 2}, {4, 1, 1, 1, 1, 4},
                                        {8, 1, 1, 1, 1, 8}, {1, 1, 1, 2, 2, 1}, {2, 1, 1, 2, 2, 2},
                                        {2, 1, 1, 4, 4, 2}, {4, 1, 1, 8, 8, 4}, {8, 1, 1, 1, 8, 1},
                                        {8, 1, 1, 1, 2, 4}, {4, 2, 2, 2, 4, 2}, {2, 2, 3, 4, 4, 2}};
    qp_arena *a = qp_arena_new();
    static const char *const models[] = {"tiny-moe", "tiny-dense"};
    int tiled = 0;
    for (int names = 0; names < 2; names++)
        for (int i = 0; i < QP_COUNT(models) * QP_COUNT(layouts); i++) {
            const qp_layout *l = &layouts[i / QP_COUNT(models)];
            qp_model m = load(a, models[i % QP_COUNT(models)], "all", (qp_names)names);
            qp_recipe r = recipe(a, "fp8");
            qp_refusal why;
            int which;
            qp_err err = {0};
            if (qp_layout_check(l, &m, &r, &why, &which, &err) != QP_OK) continue;
            for (int k = 0; k < m.n_modules; k++) {
                const qp_module *mod = &m.modules[k];
                if (!mod->quantizable) continue;
                uint8_t *count = NULL;
                ck_assert(qp_arena_get(a, (size_t)(mod->out * mod->in), &count, NULL) == QP_OK);
                count_elements(mod, l, count);
                int64_t bad = -1;
                for (int64_t e = 0; e < mod->out * mod->in && bad < 0; e++)
                    if (count[e] != want_copies(mod, l, e / mod->in)) bad = e;
                ck_assert_msg(bad < 0, "%s element %lld: held %d times", mod->fqn, (long long)bad,
                              bad < 0 ? 0 : count[bad]);
                tiled++;
            }
            qp_arena_reset(a);
        }
    ck_assert_int_gt(tiled, 500);
    qp_arena_free(a);
}
END_TEST

START_TEST(replicas_hold_the_same_slice) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "tiny-moe", "all", QP_NAMES_HF);
    qp_layout l = {.tp = 2, .cp = 2, .pp = 2, .dp = 4, .ep = 2, .etp = 2}; // 4 replicas of each expert
    for (int k = 0; k < m.n_modules; k++) {
        int holders = 0;
        bool same_slices = true;
        for (int rank = 0; rank < qp_layout_ranks(&l); rank++) {
            qp_coord c = qp_layout_coord(&l, rank);
            qp_slice s = qp_slice_of(&m.modules[k], &l, rank);
            holders += s.held;
            for (int other = 0; other < rank; other++) {
                qp_coord o = qp_layout_coord(&l, other);
                bool same = m.modules[k].expert >= 0 ? c.ep_rank == o.ep_rank && c.etp_rank == o.etp_rank
                                                     : c.tp_rank == o.tp_rank;
                if (!same) continue;
                qp_slice t = qp_slice_of(&m.modules[k], &l, other);
                same_slices = same_slices && memcmp(&s, &t, sizeof s) == 0;
            }
        }
        ck_assert_msg(same_slices, "%s", m.modules[k].fqn);
        ck_assert_int_eq(holders, m.modules[k].expert >= 0 ? 16 : 32);
    }
    qp_arena_free(a);
}
END_TEST

START_TEST(kv_heads_are_copied_to_neighbouring_ranks) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "nemotron-3-nano-30b-a3b", "attn:1", QP_NAMES_MEGATRON);
    const qp_module *qkv = &m.modules[0];
    ck_assert_str_eq(qkv->fqn, "decoder.layers.5.self_attention.linear_qkv");
    qp_layout l = {.tp = 8, .cp = 1, .pp = 1, .dp = 1, .ep = 1, .etp = 8};
    for (int t = 0; t < 8; t++) {
        qp_slice s = qp_slice_of(qkv, &l, t);
        ck_assert_int_eq(s.n_row_ranges, 3);
        ck_assert_int_eq(s.rows[0].begin, t * 512);
        ck_assert_int_eq(s.rows[0].count, 512);
        ck_assert_int_eq(s.rows[1].begin, 4096 + t / 4 * 128);
        ck_assert_int_eq(s.rows[1].count, 128);
        ck_assert_int_eq(s.rows[2].begin, 4352 + t / 4 * 128);
        ck_assert_int_eq(s.rows[2].count, 128);
        ck_assert_int_eq(s.n_rows, 512 + 128 + 128);
        ck_assert_int_eq(s.n_cols, 2688);
    }
    qp_arena_free(a);
}
END_TEST

START_TEST(in_proj_is_cut_segment_by_segment) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "nemotron-3-nano-30b-a3b", "mamba:1", QP_NAMES_HF);
    qp_layout l = {.tp = 8, .cp = 1, .pp = 1, .dp = 1, .ep = 1, .etp = 8};
    qp_slice s = qp_slice_of(&m.modules[0], &l, 3);
    static const qp_range want[] = {
        {3 * 512, 512}, {4096 + 3 * 512, 512}, {8192 + 3 * 128, 128}, {9216 + 3 * 128, 128}, {10240 + 24, 8}};
    ck_assert_int_eq(s.n_row_ranges, 5);
    ck_assert_int_eq(s.n_rows, 1288); // shapes spec: local [1288, 2688]
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(s.rows[i].begin, want[i].begin);
        ck_assert_int_eq(s.rows[i].count, want[i].count);
    }
    qp_arena_free(a);
}
END_TEST

START_TEST(experts_lie_in_contiguous_blocks_over_ep) {
    qp_arena *a = qp_arena_new();
    qp_model m = load(a, "nemotron-3-nano-30b-a3b", "moe:1", QP_NAMES_HF);
    qp_layout l = {.tp = 2, .cp = 1, .pp = 1, .dp = 4, .ep = 4, .etp = 2};
    for (int rank = 0; rank < 8; rank++) {
        int held = 0, last = -1;
        for (int k = 0; k < m.n_modules; k++) {
            const qp_module *mod = &m.modules[k];
            qp_slice s = qp_slice_of(mod, &l, rank);
            if (mod->expert < 0) {
                ck_assert(s.held && s.local_expert == -1);
                continue;
            }
            ck_assert_int_eq(s.held, mod->expert / 32 == rank / 2);
            if (!s.held) continue;
            ck_assert_int_eq(s.local_expert, mod->expert % 32);
            ck_assert_int_ge(s.local_expert, last);
            last = s.local_expert;
            held++;
            ck_assert_int_eq(mod->style == QP_STYLE_ROW ? s.n_cols : s.n_rows, 928);
        }
        ck_assert_int_eq(held, 64);
    }
    qp_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("layouts");
    TCase *t = tcase_create("layouts");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, every_rank_has_its_own_place);
    tcase_add_test(t, with_dp_equal_ep_and_etp_equal_tp_a_rank_is_ep_times_tp_plus_tp);
    tcase_add_loop_test(t, a_layout_is_refused_for_the_right_reason_with_the_numbers, 0, QP_COUNT(verdicts));
    tcase_add_test(t, tiny_moe_runs_nvfp4_on_every_tp_and_ep_up_to_8);
    tcase_add_test(t, modules_that_are_not_quantizable_never_refuse);
    tcase_add_test(t, slices_tile_every_weight_exactly_once);
    tcase_add_test(t, replicas_hold_the_same_slice);
    tcase_add_test(t, kv_heads_are_copied_to_neighbouring_ranks);
    tcase_add_test(t, in_proj_is_cut_segment_by_segment);
    tcase_add_test(t, experts_lie_in_contiguous_blocks_over_ep);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
