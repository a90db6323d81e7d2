// SPDX-License-Identifier: Apache-2.0
// comm/threads: groups by the coordinate rule, exact MAX, and every way in which ranks can miss each other
// ends with a name.
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "comm/comm.h"
#include "model/model.h"

static qp_arena *arena;
static qp_err failure;
static const char *program;

static void set_up(void) {
    arena = qp_arena_new();
    memset(&failure, 0, sizeof failure);
}
static void tear_down(void) {
    qp_arena_free(arena);
}

static qp_status run(qp_layout l, double timeout_s, qp_rank_fn fn, void *user, qp_world_result *out) {
    return qp_threads_run(&l, timeout_s, fn, user, arena, out, &failure);
}

// ---- 64 ranks
// ----------------------------------------------------------------------------------------------------

static qp_status all_groups_reduce(qp_comm *c, void *user, qp_err *err) {
    uint32_t *seen = user; // [rank][kind]
    for (int round = 0; round < 20; round++)
        for (int g = 0; g < QP_GROUP_KINDS; g++) {
            uint32_t images[3] = {(uint32_t)qp_comm_rank(c), 7, (uint32_t)(1000 - qp_comm_rank(c))};
            QP_TRY(qp_comm_allreduce_max(c, (qp_group_kind)g, images, 3, "float32", "rank number", err));
            seen[qp_comm_rank(c) * QP_GROUP_KINDS + g] = images[0];
            if (images[1] != 7)
                return qp_err_set(err, QP_BROKEN, __FILE__, __LINE__, "a constant changed to %u", images[1]);
        }
    return QP_OK;
}

START_TEST(sixty_four_ranks_reduce_in_every_group_and_agree_with_the_coordinates) {
    const qp_layout l = {.tp = 4, .cp = 2, .pp = 2, .dp = 4, .ep = 4, .etp = 2};
    const qp_group_kind kinds[7] = {QP_GROUP_TP,  QP_GROUP_DP, QP_GROUP_ETP, QP_GROUP_EP,
                                    QP_GROUP_EDP, QP_GROUP_PP, QP_GROUP_CP};
    uint32_t *seen = calloc(64 * QP_GROUP_KINDS, sizeof *seen);
    qp_world_result res;
    ck_assert_int_eq(run(l, 60, all_groups_reduce, seen, &res), QP_OK);
    ck_assert_int_eq(res.n_ranks, 64);
    ck_assert_int_eq(res.first_failed, -1);
    for (int r = 0; r < 64; r++) {
        const qp_coord a = qp_layout_coord(&l, r);
        uint32_t want[QP_GROUP_KINDS] = {0};
        for (int o = 0; o < 64; o++) {
            const qp_coord b = qp_layout_coord(&l, o);
            const int n = 32, i = r % n, j = o % n;
            const bool pp = r / n == o / n;
            const bool member[7] = {pp && r / 4 == o / 4,
                                    pp && r % 8 == o % 8,
                                    pp && i / 8 == j / 8 && (i % 8) / 2 == (j % 8) / 2,
                                    pp && i % 8 == j % 8,
                                    pp && i / 8 == j / 8 && i % 2 == j % 2,
                                    i == j,
                                    pp && a.dp_rank == b.dp_rank && r % 4 == o % 4};
            for (int k = 0; k < 7; k++)
                if (member[k] && (uint32_t)o > want[kinds[k]]) want[kinds[k]] = (uint32_t)o;
        }
        want[QP_GROUP_WORLD] = 63;
        for (int g = 0; g < QP_GROUP_KINDS; g++)
            ck_assert_msg(seen[r * QP_GROUP_KINDS + g] == want[g], "rank %d group %s: %u, wanted %u", r,
                          qp_group_kind_name((qp_group_kind)g), seen[r * QP_GROUP_KINDS + g], want[g]);
        ck_assert_int_eq(res.traces[r].n, 20 * QP_GROUP_KINDS);
        ck_assert_str_eq(res.traces[r].entries[0].op, "all_reduce_max");
        ck_assert_int_eq(res.traces[r].entries[0].count, 3);
        ck_assert_uint_eq(res.traces[r].entries[0].group_id, res.traces[r / 4 * 4].entries[0].group_id);
        if (r >= 4) ck_assert_uint_ne(res.traces[r].entries[0].group_id, res.traces[0].entries[0].group_id);
    }
    free(seen);
}
END_TEST

static qp_status nan_on_one(qp_comm *c, void *user, qp_err *err) {
    uint32_t *out = user;
    const float inf = INFINITY;
    uint32_t image = 0x3f800000u + (uint32_t)qp_comm_rank(c);
    if (qp_comm_rank(c) == 2) memcpy(&image, &inf, sizeof image);
    if (qp_comm_rank(c) == 1) image = 0x7fc00000u;
    QP_TRY(qp_comm_allreduce_max(c, QP_GROUP_WORLD, &image, 1, "float32", "nan", err));
    out[qp_comm_rank(c)] = image;
    return QP_OK;
}

START_TEST(a_nan_on_one_rank_wins_on_every_rank_also_over_infinity) {
    uint32_t out[4];
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){4, 1, 1, 1, 1, 4}, 20, nan_on_one, out, &res), QP_OK);
    for (int r = 0; r < 4; r++) ck_assert_uint_eq(out[r], 0x7fc00000u);
}
END_TEST

static qp_status gather_and_broadcast(qp_comm *c, void *user, qp_err *err) {
    bool *ok = user;
    const int me = qp_comm_rank(c);
    bool flags[4];
    uint16_t all[4] = {0}, mine = (uint16_t)(me * 257), word = (uint16_t)(me == 3 ? 99 : 0);
    QP_TRY(qp_comm_flag_gather(c, QP_GROUP_WORLD, me % 2 == 1, flags, "odd", err));
    QP_TRY(qp_comm_allgather(c, QP_GROUP_WORLD, &mine, all, sizeof mine, "words", err));
    QP_TRY(qp_comm_broadcast(c, QP_GROUP_WORLD, 3, &word, sizeof word, "word", err));
    QP_TRY(qp_comm_barrier(c, QP_GROUP_WORLD, "end", err));
    ok[me] = word == 99;
    for (int r = 0; r < 4; r++) ok[me] = ok[me] && flags[r] == (r % 2 == 1) && all[r] == r * 257;
    return QP_OK;
}

START_TEST(gather_and_broadcast_keep_group_order_and_are_recorded) {
    static const char *const ops[4] = {"flag_gather", "all_gather", "broadcast", "barrier"};
    bool ok[4] = {false};
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){4, 1, 1, 1, 1, 4}, 20, gather_and_broadcast, ok, &res), QP_OK);
    for (int r = 0; r < 4; r++) {
        ck_assert(ok[r]);
        ck_assert_int_eq(res.traces[r].n, 4);
        for (int i = 0; i < 4; i++) ck_assert_str_eq(res.traces[r].entries[i].op, ops[i]);
    }
}
END_TEST

static qp_status everything_alone(qp_comm *c, void *user, qp_err *err) {
    uint32_t image = 5;
    bool flag = false;
    (void)user;
    QP_TRY(qp_comm_allreduce_max(c, QP_GROUP_TP, &image, 1, "float32", "alone", err));
    QP_TRY(qp_comm_flag_gather(c, QP_GROUP_EP, true, &flag, "alone", err));
    QP_TRY(qp_comm_barrier(c, QP_GROUP_WORLD, "alone", err));
    return flag && image == 5 ? QP_OK : qp_err_set(err, QP_BROKEN, __FILE__, __LINE__, "changed");
}

START_TEST(a_group_of_one_issues_nothing) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){1, 1, 1, 1, 1, 1}, 20, everything_alone, NULL, &res), QP_OK);
    ck_assert_int_eq(res.traces[0].n, 0);
}
END_TEST

// ---- ranks that miss each other
// -------------------------------------------------------------------------------------

static qp_status other_count_on_rank_2(qp_comm *c, void *user, qp_err *err) {
    uint32_t images[8] = {0};
    (void)user;
    QP_TRY(qp_comm_allreduce_max(c, QP_GROUP_TP, images, qp_comm_rank(c) == 2 ? 8 : 4, "bfloat16",
                                 "amax layers.0.q_proj", err));
    return QP_OK;
}

START_TEST(a_mismatch_names_both_ranks_and_both_collectives) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){4, 1, 1, 1, 1, 4}, 20, other_count_on_rank_2, NULL, &res),
                     QP_COLLECTIVE);
    ck_assert_msg(strstr(failure.msg, "rank 2") && strstr(failure.msg, "8 x bfloat16") &&
                      strstr(failure.msg, "4 x bfloat16") && strstr(failure.msg, "amax layers.0.q_proj"),
                  "%s", failure.msg);
    for (int r = 0; r < 4; r++) ck_assert(res.status[r] == QP_COLLECTIVE || res.status[r] == QP_PEER);
    for (int r = 0; r < 4; r++) ck_assert_int_le(res.traces[r].n, 1);
}
END_TEST

static qp_status other_dtype_on_rank_0(qp_comm *c, void *user, qp_err *err) {
    uint32_t image = 1;
    (void)user;
    return qp_comm_allreduce_max(c, QP_GROUP_DP, &image, 1, qp_comm_rank(c) == 0 ? "bfloat16" : "float32",
                                 "global", err);
}

START_TEST(a_mismatch_of_the_state_dtype_is_found) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){1, 1, 1, 2, 1, 1}, 20, other_dtype_on_rank_0, NULL, &res),
                     QP_COLLECTIVE);
    ck_assert_msg(strstr(failure.msg, "bfloat16") && strstr(failure.msg, "float32"), "%s", failure.msg);
}
END_TEST

static qp_status rank_3_returns(qp_comm *c, void *user, qp_err *err) {
    uint32_t image = 1;
    (void)user;
    if (qp_comm_rank(c) == 3) return QP_OK;
    return qp_comm_allreduce_max(c, QP_GROUP_WORLD, &image, 1, "float32", "amax of expert 7", err);
}

START_TEST(a_rank_that_returns_while_peers_wait_is_named) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){4, 1, 1, 1, 1, 4}, 20, rank_3_returns, NULL, &res), QP_COLLECTIVE);
    ck_assert_msg(strstr(failure.msg, "rank 3 never arrived") && strstr(failure.msg, "amax of expert 7"),
                  "%s", failure.msg);
    ck_assert_int_eq(res.first_failed, 3);
    for (int r = 0; r < 3; r++) ck_assert_int_eq(res.status[r], QP_PEER);
    for (int r = 0; r < 3; r++) ck_assert_int_eq(res.traces[r].n, 1);
    ck_assert_int_eq(res.traces[3].n, 0);
}
END_TEST

static qp_status rank_1_fails(qp_comm *c, void *user, qp_err *err) {
    (void)user;
    if (qp_comm_rank(c) == 1) return qp_err_set(err, QP_IO, __FILE__, __LINE__, "disk of rank 1 is full");
    return qp_comm_barrier(c, QP_GROUP_WORLD, "save", err);
}

START_TEST(a_failing_rank_releases_its_peers_and_its_message_is_the_result) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){8, 1, 1, 8, 8, 8}, 30, rank_1_fails, NULL, &res), QP_IO);
    ck_assert_str_eq(failure.msg, "disk of rank 1 is full");
    ck_assert_int_eq(res.first_failed, 1);
    ck_assert_int_eq(res.status[1], QP_IO);
    for (int r = 0; r < 64; r++) ck_assert(r == 1 || res.status[r] == QP_PEER);
}
END_TEST

static qp_status wait_in_a_circle(qp_comm *c, void *user, qp_err *err) {
    (void)user;
    const bool first = qp_comm_rank(c) == 0 || qp_comm_rank(c) == 3;
    QP_TRY(qp_comm_barrier(c, first ? QP_GROUP_TP : QP_GROUP_DP, "step one", err));
    return qp_comm_barrier(c, first ? QP_GROUP_DP : QP_GROUP_TP, "step two", err);
}

START_TEST(ranks_that_wait_for_each_other_in_different_groups_are_named_at_once) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){2, 1, 1, 2, 1, 2}, 0, wait_in_a_circle, NULL, &res), QP_COLLECTIVE);
    ck_assert_msg(strstr(failure.msg, "wait for each other") && strstr(failure.msg, "over tp") &&
                      strstr(failure.msg, "over dp"),
                  "%s", failure.msg);
}
END_TEST

static qp_status rank_0_sleeps(qp_comm *c, void *user, qp_err *err) {
    (void)user;
    if (qp_comm_rank(c) == 0)
        for (int i = 0; i < 600; i++) {
            usleep(20000);
            QP_TRY(qp_comm_check(c, err));
        }
    return qp_comm_barrier(c, QP_GROUP_WORLD, "after the nap", err);
}

START_TEST(the_time_limit_ends_a_wait_and_says_who_is_missing) {
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){2, 1, 1, 1, 1, 2}, 0.3, rank_0_sleeps, NULL, &res), QP_TIMEOUT);
    ck_assert_msg(strstr(failure.msg, "0.3 s"), "%s", failure.msg);
    ck_assert(res.status[0] == QP_PEER || res.status[0] == QP_TIMEOUT);
    ck_assert(res.status[1] == QP_PEER || res.status[1] == QP_TIMEOUT);
    ck_assert_int_eq(res.traces[1].n, 1);
}
END_TEST

static qp_status injected_on_rank_1(qp_comm *c, void *user, qp_err *err) {
    uint32_t *out = user;
    uint32_t image = 10u + (uint32_t)qp_comm_rank(c);
    if (qp_comm_rank(c) == 0) qp_comm_inject(c, QP_IO);
    const qp_status s = qp_comm_allreduce_max(c, QP_GROUP_WORLD, &image, 1, "float32", "amax", err);
    out[qp_comm_rank(c)] = image;
    return s;
}

START_TEST(an_injected_fault_fails_on_its_rank_only_and_leaves_its_value_unreduced) {
    uint32_t out[2];
    qp_world_result res;
    ck_assert_int_eq(run((qp_layout){2, 1, 1, 1, 1, 2}, 20, injected_on_rank_1, out, &res), QP_IO);
    ck_assert_uint_eq(out[0], 10);
    ck_assert_uint_eq(out[1], 11);
    ck_assert_int_eq(res.status[0], QP_IO);
    ck_assert_int_eq(res.status[1], QP_OK);
    ck_assert_msg(strstr(failure.msg, "injected"), "%s", failure.msg);
}
END_TEST

// ---- the thread sanitizer must see a race when there is one
// ------------------------------------------------------------

static qp_status race(qp_comm *c, void *user, qp_err *err) {
    int *counter = user;
    (void)c, (void)err;
    for (int i = 0; i < 1000; i++) *(volatile int *)counter += 1;
    return QP_OK;
}

static int planted_race(void) {
    int counter = 0;
    qp_world_result res;
    set_up();
    const qp_status s = run((qp_layout){4, 1, 1, 1, 1, 4}, 20, race, &counter, &res);
    tear_down();
    return s == QP_OK ? 0 : 1;
}

START_TEST(a_planted_race_is_reported_by_the_thread_sanitizer) {
#ifdef __SANITIZE_THREAD__
    char command[1100], line[512];
    bool reported = false;
    snprintf(command, sizeof command, "'%s' planted-race 2>&1", program);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    while (fgets(line, sizeof line, p)) reported = reported || strstr(line, "ThreadSanitizer: data race");
    const int rc = pclose(p);
    ck_assert_msg(reported, "no report of the planted race (exit %d)", WEXITSTATUS(rc));
    ck_assert_int_ne(WEXITSTATUS(rc), 0);
#else
    (void)program;
    printf("SKIP a_planted_race_is_reported_by_the_thread_sanitizer: built without -fsanitize=thread\n");
#endif
}
END_TEST

int main(int argc, char **argv) {
    program = argv[0];
    if (argc == 2 && !strcmp(argv[1], "planted-race")) return planted_race();
    Suite *s = suite_create("comm/threads");
    TCase *t = tcase_create("threads");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, sixty_four_ranks_reduce_in_every_group_and_agree_with_the_coordinates);
    tcase_add_test(t, a_nan_on_one_rank_wins_on_every_rank_also_over_infinity);
    tcase_add_test(t, gather_and_broadcast_keep_group_order_and_are_recorded);
    tcase_add_test(t, a_group_of_one_issues_nothing);
    tcase_add_test(t, a_mismatch_names_both_ranks_and_both_collectives);
    tcase_add_test(t, a_mismatch_of_the_state_dtype_is_found);
    tcase_add_test(t, a_rank_that_returns_while_peers_wait_is_named);
    tcase_add_test(t, a_failing_rank_releases_its_peers_and_its_message_is_the_result);
    tcase_add_test(t, ranks_that_wait_for_each_other_in_different_groups_are_named_at_once);
    tcase_add_test(t, the_time_limit_ends_a_wait_and_says_who_is_missing);
    tcase_add_test(t, an_injected_fault_fails_on_its_rank_only_and_leaves_its_value_unreduced);
    tcase_add_test(t, a_planted_race_is_reported_by_the_thread_sanitizer);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
