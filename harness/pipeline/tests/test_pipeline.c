// SPDX-License-Identifier: Apache-2.0
// The story on small models: amax and global amax against plain loops over the full weights, on several
// layouts; dead experts; both sync policies; rows=N; faults that must surface.
#include "tiny.h"

#include <time.h>

#include "model/model.h"

static const char *const experts = "model.layers.1.block_sparse_moe.experts";

static float expert_group_max(const tiny *t, int e) {
    char fqn[96];
    float max = 0;
    for (int k = 0; k < 2; k++) {
        snprintf(fqn, sizeof fqn, "%s.%d.%s", experts, e, k ? "w3" : "w1");
        const qp_module *m = tiny_module(t, fqn);
        const float one = weight_max(t, m, 0, m->out, 0, m->in);
        max = one > max ? one : max;
    }
    return max;
}

static float group_max(const tiny *t, const char *const *fqns, int n) {
    float max = 0;
    for (int i = 0; i < n; i++) {
        const qp_module *m = tiny_module(t, fqns[i]);
        const float one = weight_max(t, m, 0, m->out, 0, m->in);
        max = one > max ? one : max;
    }
    return max;
}

// The global amax that every rank must hold under sync=invariant, from names alone.
static float wanted_global(const tiny *t, const qp_module *m) {
    static const char *const qkv[] = {"model.layers.2.self_attn.q_proj", "model.layers.2.self_attn.k_proj",
                                      "model.layers.2.self_attn.v_proj"};
    static const char *const shared[] = {"model.layers.1.mlp.shared_expert.gate_proj",
                                         "model.layers.1.mlp.shared_expert.up_proj"};
    const char *last = strrchr(m->fqn, '.');
    if (m->expert >= 0 && (!strcmp(last, ".w1") || !strcmp(last, ".w3")))
        return expert_group_max(t, m->expert);
    for (int i = 0; i < QP_COUNT(qkv); i++)
        if (!strcmp(qkv[i], m->fqn)) return group_max(t, qkv, QP_COUNT(qkv));
    for (int i = 0; i < QP_COUNT(shared); i++)
        if (!strcmp(shared[i], m->fqn)) return group_max(t, shared, QP_COUNT(shared));
    return weight_max(t, m, 0, m->out, 0, m->in);
}

static const char *const layouts[] = {"tp=1 ep=1",       "tp=2 ep=1", "tp=1 ep=4", "tp=4 ep=2",
                                      "tp=2 ep=4 etp=1", "tp=8 ep=1", "tp=2 dp=4"};

START_TEST(global_amax_is_the_maximum_over_the_full_weights_on_every_layout) {
    char line[256];
    snprintf(line, sizeof line, "pipeline model=tiny-moe recipe=nvfp4-static rows=4 tokens=8 %s",
             layouts[_i]);
    tiny *t = tiny_new(line, NULL);
    tiny_run_ok(t);
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (strcmp(k->stage, "promote") != 0) continue;
        ck_assert_msg(!k->missing, "%s is not promoted on rank %d", k->fqn, k->rank);
        const float want = wanted_global(t, tiny_module(t, k->fqn)), got = image_float(kept_image(k, 0));
        ck_assert_msg(got == want, "%s: %s rank %d: %a, wanted %a", layouts[_i], k->fqn, k->rank, (double)got,
                      (double)want);
        n++;
    }
    ck_assert_int_ge(n, 33);
    for (int i = 0; i < t->n_groups; i++)
        ck_assert_msg(t->groups[i].unity, "group below %s", t->groups[i].parent);
    tiny_free(t);
}
END_TEST

START_TEST(every_block_amax_is_the_maximum_of_its_own_block) {
    tiny *t = tiny_new("pipeline model=tiny-moe recipe=nvfp4-static rows=4 tokens=8 tp=4 ep=2", NULL);
    tiny_run_ok(t);
    int64_t n = 0;
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (strcmp(k->stage, "sync") != 0 || strcmp(k->field, "weight_quantizer._amax") != 0 ||
            k->rank % 3 != 0)
            continue;
        const qp_module *m = tiny_module(t, k->fqn);
        const qp_slice s = qp_slice_of(m, &k->layout, k->rank);
        for (int64_t row = 0; row < s.rows[0].count; row += 7)
            for (int64_t b = 0; b < k->cols; b++, n++) {
                const int64_t col = b * 16, width = col + 16 <= s.n_cols ? 16 : s.n_cols - col;
                const float want = weight_max(t, m, s.rows[0].begin + row, 1, s.cols.begin + col, width);
                if (image_float(kept_image(k, row * k->cols + b)) != want)
                    ck_abort_msg("%s rank %d row %lld block %lld", k->fqn, k->rank, (long long)row,
                                 (long long)b);
            }
    }
    ck_assert_int_gt(n, 500);
    tiny_free(t);
}
END_TEST

START_TEST(per_tensor_and_per_row_amax_are_reduced_over_the_shards) {
    tiny *t = tiny_new(_i ? "pipeline model=tiny-moe recipe=int8 rows=4 tokens=8 tp=4 ep=2"
                          : "pipeline model=tiny-moe recipe=fp8 rows=4 tokens=8 tp=4 ep=2",
                       NULL);
    tiny_run_ok(t);
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (strcmp(k->stage, "sync") != 0 || strcmp(k->field, "weight_quantizer._amax") != 0) continue;
        const qp_module *m = tiny_module(t, k->fqn);
        const qp_slice s = qp_slice_of(m, &k->layout, k->rank);
        const float want =
            _i ? weight_max(t, m, s.rows[0].begin, 1, 0, m->in) : weight_max(t, m, 0, m->out, 0, m->in);
        ck_assert_msg(image_float(kept_image(k, 0)) == want, "%s rank %d", k->fqn, k->rank);
        n++;
    }
    ck_assert_int_gt(n, 100);
    tiny_free(t);
}
END_TEST

START_TEST(dead_experts_keep_their_own_weight_amax_and_get_the_projections_input_amax) {
    tiny *t = tiny_new("pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static rows=2 tokens=1 ep=2", NULL);
    tiny_run_ok(t);
    uint32_t value = 0;
    int n_missing = 0, n_there = 0;
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (strcmp(k->field, "input_quantizer._amax") != 0 || !strstr(k->fqn, "experts.") ||
            !strstr(k->fqn, ".w2"))
            continue;
        if (strcmp(k->stage, "calibrate") == 0) n_missing += k->missing;
        if (strcmp(k->stage, "sync") != 0) continue;
        ck_assert(!k->missing);
        if (n_there++ == 0) value = kept_image(k, 0);
        ck_assert_uint_eq(kept_image(k, 0), value);
    }
    ck_assert_int_eq(n_missing, 6); // one token reaches two of eight experts
    ck_assert_int_eq(n_there, 8);
    ck_assert_msg(strstr(t->notes, "dead experts"), "%s", t->notes);
    tiny_free(t);
}
END_TEST

START_TEST(without_tokens_only_weights_are_calibrated) {
    tiny *t =
        tiny_new("pipeline model=tiny-moe layers=moe:1 recipe=fp8 rows=2 tokens=0 tp=2 ep=2", "no-tokens");
    tiny_run_ok(t);
    for (int i = 0; i < t->n; i++) {
        const kept *k = &t->states[i];
        if (strcmp(k->field, "input_quantizer._amax") == 0) ck_assert(k->missing);
        if (strcmp(k->field, "weight_quantizer._amax") == 0) ck_assert(!k->missing);
    }
    ck_assert_ptr_nonnull(
        tiny_find(t, "load-other", "model.layers.1.mlp.shared_expert.up_proj", "input_quantizer._amax", 0));
    tiny_free(t);
}
END_TEST

START_TEST(modelopt_leaves_ungrouped_static_weights_local_to_their_tensor_rank) {
    tiny *t = tiny_new("pipeline model=tiny-moe layers=attn:1 recipe=nvfp4-static rows=2 tp=4 "
                       "sync=modelopt-0.47 max_on=rank:2",
                       NULL);
    tiny_run_ok(t);
    uint32_t own[4], group[4];
    for (int r = 0; r < 4; r++) {
        own[r] = kept_image(
            tiny_find(t, "promote", "model.layers.2.self_attn.o_proj", "weight_quantizer._global_amax", r),
            0);
        group[r] = kept_image(
            tiny_find(t, "promote", "model.layers.2.self_attn.q_proj", "weight_quantizer._global_amax", r),
            0);
    }
    ck_assert(own[2] > own[0] && own[2] > own[1] && own[2] > own[3]);
    for (int r = 1; r < 4; r++) ck_assert_uint_eq(group[r], group[0]);
    tiny_free(t);
}
END_TEST

START_TEST(modelopt_refuses_experts_that_are_calibrated_on_some_ranks_only) {
    tiny *t = tiny_new(
        "pipeline model=tiny-moe layers=moe:1 recipe=fp8 rows=2 tokens=1 ep=4 sync=modelopt-0.47", NULL);
    ck_assert_int_eq(tiny_run(t), QP_REFUSED);
    ck_assert_msg(strstr(t->failure.msg, "input quantizer of"), "%s", t->failure.msg);
    tiny_free(t);
}
END_TEST

START_TEST(sampled_rows_hold_the_same_bits_as_the_run_over_all_rows) {
    tiny *all = tiny_new("pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static tokens=8", NULL);
    tiny *some = tiny_new("pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static tokens=8 rows=3", NULL);
    static const char *const fields[] = {"y", "grad", "weight_packed", "weight_scale", "dequant"};
    static const char *const stages[] = {"fakequant", "fakequant", "pack", "pack", "pack"};
    const char *fqn = "model.layers.1.block_sparse_moe.experts.5.w2";
    tiny_run_ok(all);
    tiny_run_ok(some);
    for (int f = 0; f < QP_COUNT(fields); f++) {
        const kept *a = tiny_find(all, stages[f], fqn, fields[f], 0),
                   *b = tiny_find(some, stages[f], fqn, fields[f], 0);
        ck_assert(a && b && !a->row_ids && b->row_ids);
        ck_assert_int_ge(b->n_held, 4);
        ck_assert_int_le(b->n_held, 6);
        ck_assert_int_eq(b->row_ids[0], 0);
        ck_assert_int_eq(b->row_ids[b->n_held - 1], b->rows - 1);
        const size_t row = (size_t)a->cols * qp_dtype_bytes(a->dtype);
        for (int64_t i = 0; i < b->n_held; i++)
            ck_assert_msg(memcmp(a->data + row * (size_t)b->row_ids[i], b->data + row * (size_t)i, row) == 0,
                          "%s", fields[f]);
    }
    ck_assert_int_lt(some->result.elements_run, some->result.elements);
    ck_assert_int_eq(all->result.elements_run, all->result.elements);
    ck_assert_int_gt(all->n_guards, 0);
    tiny_free(all);
    tiny_free(some);
}
END_TEST

START_TEST(sixty_four_ranks_tell_the_whole_story) {
    tiny *t = tiny_new(
        "pipeline model=tiny-moe layers=moe:1 recipe=nvfp4-static tokens=8 rows=2 tp=8 ep=8 load=tp4ep8",
        "ranks64");
    tiny_run_ok(t);
    ck_assert_int_eq(t->result.world.n_ranks, 64);
    ck_assert_int_eq(t->result.load_world.n_ranks, 32);
    for (int r = 0; r < 64; r++) {
        ck_assert_int_eq(t->result.world.status[r], QP_OK);
        ck_assert_int_eq(t->result.world.traces[r].n, t->result.world.traces[0].n);
        ck_assert_int_gt(t->result.world.traces[r].n, 20);
    }
    ck_assert_ptr_nonnull(
        tiny_find(t, "load-back", "model.layers.1.mlp.shared_expert.up_proj", "weight_packed", 63));
    tiny_free(t);
}
END_TEST

START_TEST(a_failing_collective_surfaces_with_its_step) {
    tiny *t = tiny_new("pipeline model=tiny-moe layers=attn:1 recipe=nvfp4-static rows=2 tp=4", NULL);
    t->table.inject_step = "sync_groups";
    t->table.inject = QP_IO;
    ck_assert_int_eq(tiny_run(t), QP_IO);
    ck_assert_msg(strstr(t->failure.msg, "injected") && strstr(t->failure.msg, "layer 2"), "%s",
                  t->failure.msg);
    ck_assert_int_eq(t->result.world.first_failed, 3);
    ck_assert_int_gt(t->result.world.traces[3].n, 0);
    tiny_free(t);
}
END_TEST

static qp_status only_rank_1_reduces(qp_rank *r, qp_err *err) {
    return r->at.rank == 1 ? QP_OK : qp_step_sync_amax_tp(r, err);
}

START_TEST(a_rank_that_skips_a_step_is_named_and_nothing_hangs) {
    tiny *t = tiny_new("pipeline model=tiny-moe layers=attn:1 recipe=fp8 rows=2 tp=4", NULL);
    ck_assert(qp_stage_replace(&t->table, "sync_amax_tp", only_rank_1_reduces));
    ck_assert_int_eq(tiny_run(t), QP_COLLECTIVE);
    ck_assert_msg(strstr(t->failure.msg, "rank 1"), "%s", t->failure.msg);
    tiny_free(t);
}
END_TEST

static qp_status too_slow(qp_rank *r, qp_err *err) {
    (void)err;
    if (r->at.rank == 0) {
        const struct timespec nap = {0, 600000000};
        nanosleep(&nap, NULL);
    }
    return QP_OK;
}

START_TEST(the_time_limit_of_a_case_ends_it_between_two_steps) {
    tiny *t = tiny_new("pipeline model=tiny-moe layers=attn:1 recipe=fp8 rows=2 tp=2", NULL);
    ck_assert(qp_stage_replace(&t->table, "choose_patterns", too_slow));
    t->job.timeout_s = 0.2;
    ck_assert_int_eq(tiny_run(t), QP_TIMEOUT);
    tiny_free(t);
}
END_TEST

START_TEST(a_group_over_several_layers_keeps_them_together) {
    static const char *const one[] = {".*\\.(?:q_proj|gate_proj|in_proj)"};
    tiny *t = tiny_new("pipeline model=tiny-moe recipe=nvfp4-static rows=2 tokens=8 tp=2", NULL);
    qp_recipe recipe = *t->job.recipe;
    recipe.shared = QP_SHARED_LIST;
    recipe.patterns = one;
    recipe.n_patterns = 1;
    t->job.recipe = &recipe;
    tiny_run_ok(t);
    ck_assert_int_eq(t->n_groups, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(t->groups[i].n_members, 3);
        ck_assert_str_eq(t->groups[i].parent, "model");
        ck_assert(t->groups[i].unity && t->groups[i].has_global);
    }
    ck_assert_uint_eq(t->groups[0].global_amax, t->groups[1].global_amax);
    tiny_free(t);
}
END_TEST

START_TEST(the_stage_table_can_be_edited_by_name) {
    qp_stage_table t = qp_stages_default;
    const int n = t.n_steps;
    const qp_step extra = {"pack", "extra", qp_step_promote, QP_PHASE_MAIN};
    ck_assert_str_eq(t.steps[n - 1].name, "commit_again");
    ck_assert(qp_stage_move_before(&t, "promote", "sync_flags"));
    ck_assert(qp_stage_find(&t, "promote") + 1 == qp_stage_find(&t, "sync_flags"));
    ck_assert(qp_stage_move_after(&t, "promote", "dequant"));
    ck_assert(qp_stage_find(&t, "dequant") + 1 == qp_stage_find(&t, "promote"));
    ck_assert(qp_stage_insert_after(&t, "dequant", extra));
    ck_assert(qp_stage_find(&t, "dequant") + 1 == qp_stage_find(&t, "extra"));
    ck_assert_int_eq(t.n_steps, n + 1);
    ck_assert(qp_stage_remove(&t, "extra"));
    ck_assert(!qp_stage_remove(&t, "extra") && !qp_stage_replace(&t, "no such step", qp_step_promote));
    ck_assert(!qp_stage_move_before(&t, "promote", "no such step"));
    ck_assert_int_eq(t.n_steps, n);
    ck_assert(qp_stage_truncate(&t, "show_sync"));
    ck_assert_str_eq(t.steps[t.n_steps - 1].name, "show_sync");
}
END_TEST

int main(void) {
    Suite *s = suite_create("pipeline");
    TCase *t = tcase_create("story");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, global_amax_is_the_maximum_over_the_full_weights_on_every_layout, 0,
                        QP_COUNT(layouts));
    tcase_add_test(t, every_block_amax_is_the_maximum_of_its_own_block);
    tcase_add_loop_test(t, per_tensor_and_per_row_amax_are_reduced_over_the_shards, 0, 2);
    tcase_add_test(t, dead_experts_keep_their_own_weight_amax_and_get_the_projections_input_amax);
    tcase_add_test(t, without_tokens_only_weights_are_calibrated);
    tcase_add_test(t, modelopt_leaves_ungrouped_static_weights_local_to_their_tensor_rank);
    tcase_add_test(t, modelopt_refuses_experts_that_are_calibrated_on_some_ranks_only);
    tcase_add_test(t, sampled_rows_hold_the_same_bits_as_the_run_over_all_rows);
    tcase_add_test(t, sixty_four_ranks_tell_the_whole_story);
    tcase_add_test(t, a_failing_collective_surfaces_with_its_step);
    tcase_add_test(t, a_rank_that_skips_a_step_is_named_and_nothing_hangs);
    tcase_add_test(t, the_time_limit_of_a_case_ends_it_between_two_steps);
    tcase_add_test(t, a_group_over_several_layers_keeps_them_together);
    tcase_add_test(t, the_stage_table_can_be_edited_by_name);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
