// SPDX-License-Identifier: Apache-2.0
// The oracle's amax, global amax, input amax and groups, against plain loops over the full weight.
#include "oracle/tests/tiny.h"

static const char *const O = "l.0.attn.o_proj", *const Q = "l.0.attn.q_proj", *const K = "l.0.attn.k_proj";
static const char AMAX[] = "weight_quantizer._amax", GLOBAL[] = "weight_quantizer._global_amax",
                  INPUT[] = "input_quantizer._amax";

START_TEST(per_tensor_amax_is_local_at_calibrate_and_full_after_the_sync) {
    static const qp_format formats[] = {QP_FP8_E4M3, QP_NVFP4, QP_INT8};
    for (int f = 0; f < QP_COUNT(formats); f++) {
        tiny *t = tiny_new(formats[f]);
        ck_assert_int_eq(qp_weights_peak(t->weights, O, 3, 60, NULL), QP_OK);
        tiny_start(t, QP_SYNC_INVARIANT);
        qp_layout l = tiny_layout(4, 1);
        for (int rank = 0; rank < 4; rank++) {
            ck_assert_uint_eq(tiny_scalar(t, "calibrate", O, AMAX, &l, rank),
                              tiny_max(t, O, 0, TINY_OUT, 16 * rank, 16));
            ck_assert_uint_eq(tiny_scalar(t, "calibrate", Q, AMAX, &l, rank),
                              tiny_max(t, Q, 8 * rank, 8, 0, TINY_IN));
            ck_assert_uint_eq(tiny_scalar(t, "sync", O, AMAX, &l, rank),
                              tiny_max(t, O, 0, TINY_OUT, 0, TINY_IN));
            ck_assert_uint_eq(tiny_scalar(t, "load-other", Q, AMAX, &l, rank),
                              tiny_max(t, Q, 0, TINY_OUT, 0, TINY_IN));
        }
        ck_assert_uint_ne(tiny_scalar(t, "calibrate", O, AMAX, &l, 0),
                          tiny_scalar(t, "sync", O, AMAX, &l, 0));
        tiny_free(t);
    }
}
END_TEST

START_TEST(per_row_amax_covers_the_local_columns_then_the_full_row) {
    tiny *t = tiny_new(QP_INT8_AXIS0);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(2, 1);
    for (int rank = 0; rank < 2; rank++) {
        qp_state st = tiny_state(t, "calibrate", O, AMAX, &l, rank, QP_FP32, TINY_OUT, 1);
        uint32_t *local = tiny_want(t, &st, NULL);
        st.stage = "sync";
        uint32_t *full = tiny_want(t, &st, NULL);
        for (int64_t r = 0; r < TINY_OUT; r++) {
            ck_assert_uint_eq(local[r], tiny_max(t, O, r, 1, 32 * rank, 32));
            ck_assert_uint_eq(full[r], tiny_max(t, O, r, 1, 0, TINY_IN));
        }
        st = tiny_state(t, "sync", Q, AMAX, &l, rank, QP_FP32, 16, 1);
        full = tiny_want(t, &st, NULL);
        for (int64_t r = 0; r < 16; r++)
            ck_assert_uint_eq(full[r], tiny_max(t, Q, 16 * rank + r, 1, 0, TINY_IN));
    }
    tiny_free(t);
}
END_TEST

START_TEST(block_amax_is_that_of_the_rank_s_own_blocks) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(2, 1);
    for (int rank = 0; rank < 2; rank++) {
        qp_state st = tiny_state(t, "sync", O, AMAX, &l, rank, QP_FP32, TINY_OUT, 2);
        uint32_t *want = tiny_want(t, &st, NULL);
        for (int64_t r = 0; r < TINY_OUT; r++)
            for (int64_t b = 0; b < 2; b++)
                ck_assert_uint_eq(want[2 * r + b], tiny_max(t, O, r, 1, 32 * rank + 16 * b, 16));
        static const int64_t ids[] = {5, 31};
        st.row_ids = ids;
        st.n_rows_held = 2;
        want = tiny_want(t, &st, NULL);
        ck_assert_uint_eq(want[3], tiny_max(t, O, 31, 1, 32 * rank + 16, 16));
    }
    tiny_free(t);
}
END_TEST

START_TEST(the_invariant_global_amax_is_that_of_full_weights_on_every_layout) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    ck_assert_int_eq(qp_weights_peak(t->weights, O, 30, 1, NULL), QP_OK);
    qp_weights_boost(t->weights, "gate_proj", 1);
    tiny_start(t, QP_SYNC_INVARIANT);
    uint32_t q = tiny_max(t, Q, 0, TINY_OUT, 0, TINY_IN), k = tiny_max(t, K, 0, TINY_OUT, 0, TINY_IN);
    for (int tp = 1; tp <= 4; tp *= 2)
        for (int ep = 1; ep <= 4; ep *= 2) {
            qp_layout l = tiny_layout(tp, ep);
            for (int rank = 0; rank < tp * ep; rank++) {
                ck_assert_uint_eq(tiny_scalar(t, "promote", Q, GLOBAL, &l, rank), q > k ? q : k);
                ck_assert_uint_eq(tiny_scalar(t, "promote", K, GLOBAL, &l, rank), q > k ? q : k);
                ck_assert_uint_eq(tiny_scalar(t, "promote", O, GLOBAL, &l, rank),
                                  tiny_max(t, O, 0, TINY_OUT, 0, TINY_IN));
                for (int e = 0; e < TINY_EXPERTS; e++) {
                    char gate[64], up[64];
                    snprintf(gate, sizeof gate, "l.0.moe.experts.%d.gate_proj", e);
                    snprintf(up, sizeof up, "l.0.moe.experts.%d.up_proj", e);
                    if (e / (TINY_EXPERTS / ep) != rank / tp) continue;
                    uint32_t a = tiny_max(t, gate, 0, TINY_OUT, 0, TINY_IN),
                             b = tiny_max(t, up, 0, TINY_OUT, 0, TINY_IN);
                    ck_assert_uint_eq(tiny_scalar(t, "promote", up, GLOBAL, &l, rank), a > b ? a : b);
                }
            }
        }
    qp_layout l = tiny_layout(1, 1);
    qp_state early = tiny_state(t, "sync", O, GLOBAL, &l, 0, QP_FP32, 1, 1);
    ck_assert_ptr_null(tiny_want(t, &early, NULL));
    tiny_free(t);
}
END_TEST

START_TEST(under_modelopt_0_47_own_globals_stay_local_and_expert_groups_merge_slot_by_slot) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    qp_weights_boost(t->weights, "gate_proj", 3);
    tiny_start(t, QP_SYNC_MODELOPT_047);
    qp_layout l = tiny_layout(2, 2);
    static const char *const up[] = {"l.0.moe.experts.0.up_proj", "l.0.moe.experts.1.up_proj",
                                     "l.0.moe.experts.2.up_proj", "l.0.moe.experts.3.up_proj"};
    uint32_t group[TINY_EXPERTS];
    for (int e = 0; e < TINY_EXPERTS; e++) {
        char gate[64];
        snprintf(gate, sizeof gate, "l.0.moe.experts.%d.gate_proj", e);
        uint32_t a = tiny_max(t, gate, 0, TINY_OUT, 0, TINY_IN),
                 b = tiny_max(t, up[e], 0, TINY_OUT, 0, TINY_IN);
        group[e] = a > b ? a : b;
    }
    for (int rank = 0; rank < 4; rank++) {
        ck_assert_uint_eq(tiny_scalar(t, "promote", O, GLOBAL, &l, rank),
                          tiny_max(t, O, 0, TINY_OUT, 32 * (rank % 2), 32));
        int e0 = 2 * (rank / 2); // experts e0 and e0+1 live here; slot k pairs experts k and k+2
        for (int slot = 0; slot < 2; slot++) {
            uint32_t merged = group[slot] > group[slot + 2] ? group[slot] : group[slot + 2];
            ck_assert_uint_eq(tiny_scalar(t, "promote", up[e0 + slot], GLOBAL, &l, rank), merged);
        }
        char down[64];
        snprintf(down, sizeof down, "l.0.moe.experts.%d.down_proj", e0);
        ck_assert_uint_eq(tiny_scalar(t, "promote", down, GLOBAL, &l, rank),
                          tiny_max(t, down, 0, TINY_OUT, 32 * (rank % 2), 32));
    }
    ck_assert_uint_eq(tiny_scalar(t, "promote", up[1], GLOBAL, &l, 0), group[3]);
    qp_layout one = tiny_layout(1, 1);
    for (int e = 0; e < TINY_EXPERTS; e++)
        ck_assert_uint_eq(tiny_scalar(t, "promote", up[e], GLOBAL, &one, 0), group[e]);
    tiny_free(t);
}
END_TEST

// The largest |x| of tokens 'mask' over the given columns, straight from the generator.
static uint32_t input_max(const char *projection, unsigned mask, int64_t col0, int64_t n_cols) {
    qp_gen g = {.seed = 9, .dist = QP_DIST_GAUSS, .sigma = 1.0, .format = QP_FORMAT_NONE, .peak_index = -1};
    uint16_t x[TINY_TOKENS * TINY_IN];
    char name[80];
    uint32_t max = 0;
    snprintf(name, sizeof name, "%s.input", projection);
    qp_gen_slice(&g, name, TINY_TOKENS, TINY_IN, QP_BF16, 0, TINY_TOKENS, 0, TINY_IN, x);
    for (int token = 0; token < TINY_TOKENS; token++)
        for (int64_t c = col0; (mask >> token & 1) && c < col0 + n_cols; c++)
            if ((x[token * TINY_IN + c] & 0x7fffu) > max) max = x[token * TINY_IN + c] & 0x7fffu;
    return max << 16;
}

START_TEST(dense_inputs_see_the_tokens_and_columns_of_the_rank_then_all) {
    tiny *t = tiny_new(QP_FP8_E4M3);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(2, 2);
    for (int rank = 0; rank < 4; rank++) {
        unsigned mine = rank / 2 == 0 ? 5 : 2; // tokens 0 and 2, or 1
        ck_assert_uint_eq(tiny_scalar(t, "calibrate", O, INPUT, &l, rank),
                          input_max(O, mine, 32 * (rank % 2), 32));
        ck_assert_uint_eq(tiny_scalar(t, "calibrate", Q, INPUT, &l, rank), input_max(Q, mine, 0, TINY_IN));
        ck_assert_uint_eq(tiny_scalar(t, "sync", O, INPUT, &l, rank), input_max(O, 7, 0, TINY_IN));
    }
    qp_layout many = tiny_layout(1, 4);
    qp_state st = tiny_state(t, "calibrate", Q, INPUT, &many, 3, QP_FP32, 1, 1);
    ck_assert_ptr_null(tiny_want(t, &st, NULL)); // three tokens, rank 3 of 4 sees none
    tiny_free(t);
}
END_TEST

START_TEST(expert_inputs_follow_the_router_and_dead_experts_have_none_before_the_sync) {
    tiny *t = tiny_new(QP_FP8_E4M3);
    unsigned tokens_of[TINY_EXPERTS] = {0};
    for (int token = 0; token < TINY_TOKENS; token++) {
        int expert;
        qp_gen_route(9, 0, token, TINY_EXPERTS, 1, &expert);
        tokens_of[expert] |= 1u << token;
    }
    qp_layout l = tiny_layout(1, 2);
    static const char projection[] = "l.0.moe.experts.*.up_proj";
    for (int sync = 0; sync < 2; sync++) {
        tiny_start(t, sync == 0 ? QP_SYNC_INVARIANT : QP_SYNC_MODELOPT_047);
        int dead = 0;
        for (int e = 0; e < TINY_EXPERTS; e++) {
            char up[64];
            snprintf(up, sizeof up, "l.0.moe.experts.%d.up_proj", e);
            qp_state st = tiny_state(t, "calibrate", up, INPUT, &l, e / 2, QP_FP32, 1, 1);
            uint32_t *want = tiny_want(t, &st, NULL);
            dead += want == NULL;
            ck_assert_int_eq(want != NULL, tokens_of[e] != 0);
            if (want != NULL) ck_assert_uint_eq(*want, input_max(projection, tokens_of[e], 0, TINY_IN));
            unsigned merged = sync == 0 ? 7 : tokens_of[e % 2] | tokens_of[e % 2 + 2];
            st.stage = "sync";
            want = tiny_want(t, &st, NULL);
            ck_assert_int_eq(want != NULL, merged != 0);
            if (want != NULL) ck_assert_uint_eq(*want, input_max(projection, merged, 0, TINY_IN));
            st.rank = 1 - e / 2;
            ck_assert_ptr_null(tiny_want(t, &st, NULL)); // the expert lives on the other rank
        }
        ck_assert_int_gt(dead, 0);
        qp_oracle_free(t->oracle);
        t->oracle = NULL;
    }
    tiny_free(t);
}
END_TEST

START_TEST(groups_of_a_rank_are_the_held_ones_with_parent_members_and_value) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(1, 2);
    qp_group_ev *g;
    int n;
    ck_assert_int_eq(qp_oracle_groups(t->oracle, &l, 1, t->arena, &g, &n, NULL), QP_OK);
    ck_assert_int_eq(n, 3);
    ck_assert_str_eq(g[0].parent, "l.0.attn");
    ck_assert_int_eq(g[0].n_members, 2);
    ck_assert_str_eq(g[0].members[1], K);
    ck_assert_str_eq(g[1].parent, "l.0.moe.experts.2");
    ck_assert_str_eq(g[2].parent, "l.0.moe.experts.3");
    ck_assert_str_eq(g[2].members[0], "l.0.moe.experts.3.gate_proj");
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(g[i].rank, 1);
        ck_assert(g[i].has_global);
        for (int m = 0; m < g[i].n_members; m++)
            ck_assert_uint_eq(g[i].member_global_amax[m], g[i].global_amax);
        ck_assert_uint_eq(g[i].global_amax, tiny_scalar(t, "promote", g[i].members[0], GLOBAL, &l, 1));
    }
    tiny_free(t);
}
END_TEST

START_TEST(under_modelopt_0_47_a_parent_has_the_local_expert_number_and_members_the_global_one) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    tiny_start(t, QP_SYNC_MODELOPT_047);
    qp_layout l = tiny_layout(1, 2);
    qp_group_ev *g;
    int n;
    ck_assert_int_eq(qp_oracle_groups(t->oracle, &l, 1, t->arena, &g, &n, NULL), QP_OK);
    ck_assert_int_eq(n, 3);
    ck_assert_str_eq(g[1].parent, "l.0.moe.experts.0");
    ck_assert_str_eq(g[1].members[0], "l.0.moe.experts.2.gate_proj");
    tiny_free(t);
}
END_TEST

START_TEST(user_patterns_replace_the_defaults_and_an_empty_list_gives_no_group) {
    tiny *t = tiny_new(QP_NVFP4_STATIC);
    static const char *const joined[] = {"(.*)\\.experts\\.\\d+\\.up_proj"};
    t->recipe.shared = QP_SHARED_LIST;
    t->recipe.patterns = joined;
    t->recipe.n_patterns = 1;
    tiny_start(t, QP_SYNC_INVARIANT);
    qp_layout l = tiny_layout(1, 1);
    qp_group_ev *g;
    int n;
    ck_assert_int_eq(qp_oracle_groups(t->oracle, &l, 0, t->arena, &g, &n, NULL), QP_OK);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(g[0].n_members, TINY_EXPERTS);
    ck_assert_str_eq(g[0].parent, "l.0.moe"); // a list of experts is no parent
    qp_oracle_free(t->oracle);
    t->recipe.n_patterns = 0;
    tiny_start(t, QP_SYNC_INVARIANT);
    ck_assert_int_eq(qp_oracle_groups(t->oracle, &l, 0, t->arena, &g, &n, NULL), QP_OK);
    ck_assert_int_eq(n, 0);
    ck_assert_uint_eq(tiny_scalar(t, "promote", Q, GLOBAL, &l, 0), tiny_max(t, Q, 0, TINY_OUT, 0, TINY_IN));
    tiny_free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("oracle: amax");
    TCase *t = tcase_create("amax");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, per_tensor_amax_is_local_at_calibrate_and_full_after_the_sync);
    tcase_add_test(t, per_row_amax_covers_the_local_columns_then_the_full_row);
    tcase_add_test(t, block_amax_is_that_of_the_rank_s_own_blocks);
    tcase_add_test(t, the_invariant_global_amax_is_that_of_full_weights_on_every_layout);
    tcase_add_test(t, under_modelopt_0_47_own_globals_stay_local_and_expert_groups_merge_slot_by_slot);
    tcase_add_test(t, dense_inputs_see_the_tokens_and_columns_of_the_rank_then_all);
    tcase_add_test(t, expert_inputs_follow_the_router_and_dead_experts_have_none_before_the_sync);
    tcase_add_test(t, groups_of_a_rank_are_the_held_ones_with_parent_members_and_value);
    tcase_add_test(t, under_modelopt_0_47_a_parent_has_the_local_expert_number_and_members_the_global_one);
    tcase_add_test(t, user_patterns_replace_the_defaults_and_an_empty_list_gives_no_group);
    suite_add_tcase(s, t);
    return tiny_run(s);
}
