// SPDX-License-Identifier: Apache-2.0
// Ownership by brute force, held against a dumber definition still: who owns one single element, asked for
// every element.
#include <check.h>
#include <stdlib.h>

#include "qp/ref.h"

static qp_layout layout(int tp, int dp, int ep, int etp) {
    return (qp_layout){.tp = tp, .cp = 1, .pp = 1, .dp = dp, .ep = ep, .etp = etp};
}

static int n_ranks(const qp_layout *l) {
    return l->pp * l->dp * l->cp * l->tp;
}

static const qp_segment qkv[] = {{.name = "q", .rows = 32, .units = 8},
                                 {.name = "k", .rows = 8, .units = 2, .replicate = true},
                                 {.name = "v", .rows = 8, .units = 2, .replicate = true}};
static const qp_segment gate_up[] = {{.name = "gate", .rows = 24}, {.name = "up", .rows = 24}};
static const qp_segment one[] = {{.name = "w", .rows = 24}};

static const qp_module fused_qkv = {.fqn = "l.0.attn.linear_qkv",
                                    .expert = -1,
                                    .out = 48,
                                    .in = 64,
                                    .style = QP_STYLE_COLUMN,
                                    .segments = qkv,
                                    .n_segments = 3,
                                    .quantizable = true};
static const qp_module fused_fc1 = {.fqn = "l.0.mlp.linear_fc1",
                                    .expert = -1,
                                    .out = 48,
                                    .in = 64,
                                    .style = QP_STYLE_COLUMN,
                                    .segments = gate_up,
                                    .n_segments = 2,
                                    .quantizable = true};
static const qp_module down = {.fqn = "l.0.mlp.down_proj",
                               .expert = -1,
                               .out = 24,
                               .in = 64,
                               .style = QP_STYLE_ROW,
                               .segments = one,
                               .n_segments = 1,
                               .quantizable = true};
static const qp_module router = {.fqn = "l.0.mlp.router",
                                 .expert = -1,
                                 .out = 24,
                                 .in = 64,
                                 .style = QP_STYLE_REPLICATED,
                                 .segments = one,
                                 .n_segments = 1,
                                 .quantizable = true};

static qp_module expert(const qp_module *like, int e, int n) {
    qp_module m = *like;
    m.expert = e;
    m.n_experts = n;
    return m;
}

// Does split rank t of 'degree' own full row 'row' of m? Straight from the words of the contract, one element
// at a time.
static bool owns_row(const qp_module *m, int degree, int t, int64_t row) {
    if (m->style != QP_STYLE_COLUMN) return true;
    int s = 0;
    while (row >= m->segments[s].rows) row -= m->segments[s++].rows;
    const qp_segment *g = &m->segments[s];
    if (g->units == 0) return row * degree / g->rows == t;
    int64_t unit = row * g->units / g->rows;
    if (g->units >= degree) return unit * degree / g->units == t;
    return t * g->units / degree == unit;
}

START_TEST(coordinates_count_tp_fastest_and_expert_ranks_of_one_dp_are_neighbours) {
    qp_layout l = {.tp = 2, .cp = 3, .pp = 2, .dp = 4, .ep = 4, .etp = 2};
    for (int r = 0; r < n_ranks(&l); r++) {
        qp_coord c = ref_coord(&l, r);
        ck_assert_int_eq(r, ((c.pp_rank * l.dp + c.dp_rank) * l.cp + c.cp_rank) * l.tp + c.tp_rank);
        int n = l.dp * l.cp * l.tp, i = r % n;
        ck_assert_int_eq(c.ep_rank, i / (n / l.ep));
        ck_assert_int_eq(c.etp_rank, i % (n / l.ep) % l.etp);
        ck_assert_int_eq(c.edp_rank, i % (n / l.ep) / l.etp);
        ck_assert_int_eq(c.rank, r);
    }
    qp_layout dp_is_ep = layout(2, 4, 4, 2);
    for (int r = 0; r < 8; r++)
        ck_assert_int_eq(ref_coord(&dp_is_ep, r).ep_rank, ref_coord(&dp_is_ep, r).dp_rank);
}
END_TEST

static void compare_with_definition(const qp_module *m, const qp_layout *l) {
    for (int rank = 0; rank < n_ranks(l); rank++) {
        qp_coord c = ref_coord(l, rank);
        int degree = m->expert >= 0 ? l->etp : l->tp, t = m->expert >= 0 ? c.etp_rank : c.tp_rank;
        bool held = m->expert < 0 || m->expert * l->ep / m->n_experts == c.ep_rank;
        ck_assert_int_eq(ref_holds(m, l, rank), held);
        int64_t rows, cols, local = 0;
        ref_local_shape(m, l, rank, &rows, &cols);
        for (int64_t row = 0; held && row < m->out; row++)
            if (owns_row(m, degree, t, row)) ck_assert_int_eq(ref_global_row(m, l, rank, local++), row);
        ck_assert_int_eq(rows, local);
        ck_assert_int_eq(ref_global_row(m, l, rank, local), -1);
        ck_assert_int_eq(ref_global_row(m, l, rank, -1), -1);
        local = 0;
        for (int64_t col = 0; held && col < m->in; col++)
            if (m->style != QP_STYLE_ROW || col * degree / m->in == t)
                ck_assert_int_eq(ref_global_col(m, l, rank, local++), col);
        ck_assert_int_eq(cols, local);
        ck_assert_int_eq(ref_global_col(m, l, rank, local), -1);
    }
}

START_TEST(every_rank_of_every_layout_holds_what_the_definition_gives_it) {
    static const qp_module *const mods[] = {&fused_qkv, &fused_fc1, &down, &router};
    static const int degrees[] = {1, 2, 4, 8};
    for (int i = 0; i < QP_COUNT(mods); i++)
        for (int t = 0; t < 4; t++)
            for (int dp = 1; dp <= 2; dp++) {
                qp_layout l = layout(degrees[t], dp, 1, degrees[t]);
                compare_with_definition(mods[i], &l);
            }
}
END_TEST

START_TEST(experts_live_on_contiguous_ep_ranks_and_are_split_by_expert_tp) {
    for (int ep = 1; ep <= 4; ep *= 2)
        for (int etp = 1; etp <= 4; etp *= 2)
            for (int e = 0; e < 8; e++) {
                qp_layout l = layout(4, ep, ep, etp);
                qp_module up = expert(&fused_fc1, e, 8), dn = expert(&down, e, 8);
                compare_with_definition(&up, &l);
                compare_with_definition(&dn, &l);
            }
}
END_TEST

START_TEST(kv_heads_are_replicated_to_neighbouring_ranks) {
    qp_layout l = layout(8, 1, 1, 8);
    for (int rank = 0; rank < 8; rank++) {
        int64_t rows, cols;
        ref_local_shape(&fused_qkv, &l, rank, &rows, &cols);
        ck_assert_int_eq(rows, 4 + 4 + 4);
        ck_assert_int_eq(ref_global_row(&fused_qkv, &l, rank, 0), 4 * rank);
        ck_assert_int_eq(ref_global_row(&fused_qkv, &l, rank, 4), 32 + (rank < 4 ? 0 : 4));
        ck_assert_int_eq(ref_global_row(&fused_qkv, &l, rank, 8), 40 + (rank < 4 ? 0 : 4));
    }
}
END_TEST

START_TEST(pipeline_ranks_are_replicas) {
    qp_layout flat = layout(2, 2, 1, 2), deep = flat;
    deep.pp = 3;
    for (int rank = 0; rank < n_ranks(&deep); rank++)
        for (int64_t r = 0; r < 24; r++)
            ck_assert_int_eq(ref_global_row(&fused_fc1, &deep, rank, r),
                             ref_global_row(&fused_fc1, &flat, rank % 4, r));
}
END_TEST

static qp_refusal refusal(qp_layout l, int n_layers, const qp_module *m, qp_format f, int *which) {
    qp_qconfig cfg = {.enabled = f != QP_FORMAT_NONE, .format = f};
    return ref_layout_refusal(&l, n_layers, m, &cfg, 1, which);
}

START_TEST(each_reason_of_refusal_is_found) {
    int which;
    qp_module many = expert(&fused_fc1, 0, 6);
    ck_assert_int_eq(refusal(layout(2, 1, 1, 2), 4, &fused_fc1, QP_INT8, &which), QP_REFUSE_NONE);
    ck_assert_int_eq(which, -1);
    ck_assert_int_eq(refusal(layout(0, 1, 1, 1), 4, &fused_fc1, QP_INT8, &which), QP_REFUSE_RANKS);
    ck_assert_int_eq(refusal(layout(2, 1, 4, 1), 4, &many, QP_INT8, &which), QP_REFUSE_RANKS);
    ck_assert_int_eq(which, -1);
    ck_assert_int_eq(refusal(layout(1, 4, 4, 1), 4, &many, QP_INT8, &which), QP_REFUSE_EXPERTS);
    ck_assert_int_eq(which, 0);
    ck_assert_int_eq(refusal(layout(3, 1, 1, 3), 4, &fused_qkv, QP_INT8, &which), QP_REFUSE_UNITS);
    ck_assert_int_eq(refusal(layout(16, 1, 1, 16), 4, &fused_qkv, QP_INT8, &which), QP_REFUSE_UNITS);
    ck_assert_int_eq(refusal(layout(5, 1, 1, 5), 4, &fused_fc1, QP_INT8, &which), QP_REFUSE_ROWS);
    ck_assert_int_eq(refusal(layout(5, 1, 1, 5), 4, &down, QP_INT8, &which), QP_REFUSE_COLS);
    qp_layout deep = layout(1, 1, 1, 1);
    deep.pp = 5;
    ck_assert_int_eq(refusal(deep, 4, &down, QP_INT8, &which), QP_REFUSE_LAYERS);
    ck_assert_int_eq(refusal(deep, 5, &down, QP_INT8, &which), QP_REFUSE_NONE);
}
END_TEST

// nano's expert down_proj over TP 8: 1856 / 8 = 232 columns, which is no multiple of 16 (product page,
// section 2).
START_TEST(a_column_shard_must_hold_whole_blocks_only_for_block_formats) {
    static const qp_segment rows[] = {{.name = "down", .rows = 2688}};
    qp_module nano = {.fqn = "b.0.e.0.down_proj",
                      .expert = 0,
                      .n_experts = 128,
                      .out = 2688,
                      .in = 1856,
                      .style = QP_STYLE_ROW,
                      .segments = rows,
                      .n_segments = 1,
                      .quantizable = true};
    int which;
    ck_assert_int_eq(refusal(layout(8, 1, 1, 8), 4, &nano, QP_NVFP4_STATIC, &which), QP_REFUSE_BLOCK);
    ck_assert_int_eq(refusal(layout(8, 1, 1, 8), 4, &nano, QP_NVFP4, &which), QP_REFUSE_BLOCK);
    ck_assert_int_eq(refusal(layout(8, 1, 1, 8), 4, &nano, QP_FP8_E4M3, &which), QP_REFUSE_NONE);
    ck_assert_int_eq(refusal(layout(8, 1, 1, 8), 4, &nano, QP_FORMAT_NONE, &which), QP_REFUSE_NONE);
    ck_assert_int_eq(refusal(layout(4, 1, 1, 4), 4, &nano, QP_NVFP4_STATIC, &which), QP_REFUSE_NONE);
    ck_assert_int_eq(refusal(layout(8, 1, 1, 1), 4, &nano, QP_NVFP4_STATIC, &which), QP_REFUSE_NONE);
    nano.in = 1850;
    ck_assert_int_eq(refusal(layout(1, 1, 1, 1), 4, &nano, QP_NVFP4_STATIC, &which), QP_REFUSE_NONE);
}
END_TEST

START_TEST(heads_in_the_k_dimension_stay_whole) {
    qp_module o = down;
    o.in_units = 4;
    int which;
    ck_assert_int_eq(refusal(layout(8, 1, 1, 8), 4, &o, QP_INT8, &which), QP_REFUSE_UNITS);
    ck_assert_int_eq(refusal(layout(4, 1, 1, 4), 4, &o, QP_INT8, &which), QP_REFUSE_NONE);
}
END_TEST

START_TEST(the_first_module_and_the_first_reason_win_and_unquantizable_modules_are_left_out) {
    qp_module mods[] = {expert(&fused_qkv, 0, 5), down, fused_fc1};
    qp_qconfig cfg[3] = {
        {.enabled = true, .format = QP_INT8}, {.enabled = true, .format = QP_INT8}, {.enabled = false}};
    qp_layout l = {.tp = 5, .cp = 1, .pp = 1, .dp = 2, .ep = 2, .etp = 5};
    int which;
    ck_assert_int_eq(ref_layout_refusal(&l, 1, mods, cfg, 3, &which), QP_REFUSE_EXPERTS);
    ck_assert_int_eq(which, 0);
    mods[0].n_experts = 6;
    ck_assert_int_eq(ref_layout_refusal(&l, 1, mods, cfg, 3, &which), QP_REFUSE_UNITS);
    mods[0].quantizable = false;
    ck_assert_int_eq(ref_layout_refusal(&l, 1, mods, cfg, 3, &which), QP_REFUSE_COLS);
    ck_assert_int_eq(which, 1);
    mods[1].quantizable = false;
    ck_assert_int_eq(ref_layout_refusal(&l, 1, mods, NULL, 3, NULL), QP_REFUSE_ROWS);
    l.pp = 2;
    ck_assert_int_eq(ref_layout_refusal(&l, 1, mods, cfg, 3, &which), QP_REFUSE_LAYERS);
    l.etp = 3;
    ck_assert_int_eq(ref_layout_refusal(&l, 1, mods, cfg, 3, &which), QP_REFUSE_RANKS);
}
END_TEST

START_TEST(the_larger_image_wins_and_nan_wins_over_infinity) {
    ck_assert_uint_eq(ref_max_image(0x3f800000, 0x3f800001), 0x3f800001);
    ck_assert_uint_eq(ref_max_image(0xc0000000, 0x3f800000), 0x40000000);
    ck_assert_uint_eq(ref_max_image(0x00000001, 0x80000000), 0x00000001);
    ck_assert_uint_eq(ref_max_image(0x7f800000, 0x7f7fffff), 0x7f800000);
    ck_assert_uint_eq(ref_max_image(0x7f800000, 0xff800001), 0x7fc00000);
    ck_assert_uint_eq(ref_max_image(0x7fffffff, 0), 0x7fc00000);
}
END_TEST

int main(void) {
    Suite *s = suite_create("reference: layout");
    TCase *t = tcase_create("layout");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, coordinates_count_tp_fastest_and_expert_ranks_of_one_dp_are_neighbours);
    tcase_add_test(t, every_rank_of_every_layout_holds_what_the_definition_gives_it);
    tcase_add_test(t, experts_live_on_contiguous_ep_ranks_and_are_split_by_expert_tp);
    tcase_add_test(t, kv_heads_are_replicated_to_neighbouring_ranks);
    tcase_add_test(t, pipeline_ranks_are_replicas);
    tcase_add_test(t, each_reason_of_refusal_is_found);
    tcase_add_test(t, a_column_shard_must_hold_whole_blocks_only_for_block_formats);
    tcase_add_test(t, heads_in_the_k_dimension_stay_whole);
    tcase_add_test(t, the_first_module_and_the_first_reason_win_and_unquantizable_modules_are_left_out);
    tcase_add_test(t, the_larger_image_wins_and_nan_wins_over_infinity);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
