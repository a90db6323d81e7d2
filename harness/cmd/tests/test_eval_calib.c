// SPDX-License-Identifier: Apache-2.0
// eval of the calibrators' ops: decimal and fractional keys, losses within their tolerance, histograms that
// say how long they are, traps 8, 15 and 21, refusals.
#include "cmd/tests/eval_run.h"

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
    ck_assert_ptr_nonnull(arena);
}

static void teardown(void) {
    qp_arena_free(arena);
}

static void answers(const char *input, const char *want) {
    outcome o = eval_lines(input, false, NULL, arena);
    ck_assert_msg(strcmp(o.out, want) == 0, "%s\n wanted %s\n    got %s\n%s", input, want, o.out, o.errors);
    done(&o);
}

static void judged(const char *line, bool equal, const char *said) {
    outcome o = eval_lines(line, true, NULL, arena);
    ck_assert_msg(o.totals.equal == equal && o.totals.different == !equal, "%s\n%s%s", line, o.out, o.errors);
    ck_assert_msg(said == NULL || strstr(o.out, said) != NULL, "%s\n wanted %s", o.out, said);
    done(&o);
}

static void refused(const char *line, const char *want) {
    outcome o = eval_lines(line, false, NULL, arena);
    ck_assert_msg(o.totals.refused == 1 && strncmp(o.errors, want, strlen(want)) == 0,
                  "%s\n wanted %s\n    got %s", line, want, o.errors);
    done(&o);
}

// The 39 losses of a tensor of zeros are 39 zeros.
static void zeros_text(char *to, const char *zero) {
    const size_t n = strlen(zero);
    for (int i = 0; i < 39; i++) {
        if (i > 0) *to++ = ',';
        memcpy(to, zero, n + 1);
        to += n;
    }
}

START_TEST(candidates_have_defaults_and_lists_of_their_own) {
    answers("op=candidates kind=four-over-six\n", "values=3f800000,3fc00000\n");
    answers("op=candidates kind=mse n=3\n", "values=3e800000,40080000,40800000\n");
    answers("op=candidates kind=mse start=00000000 stop=3f800000 n=3 linspace=scalar\n",
            "values=00000000,3f000000,3f800000\n");
    // Trap 8: code 03 over 448. The engines that have one list share a line.
    judged("op=candidates kind=mse n=1 values=3e800000\n", true, NULL);
    outcome o = eval_lines("op=candidates kind=fp8-sweep engine=all\n", false, NULL, arena);
    ck_assert_ptr_nonnull(strstr(o.out, "engine=torch-cpu values=36924925,37124925,375b6db7,"));
    ck_assert_ptr_nonnull(strstr(o.out, "engine=torch-cuda values=36924925,37124925,375b6db8,"));
    done(&o);
}
END_TEST

START_TEST(mse_answers_one_index_a_row_in_decimal) {
    char zeros[39 * 9 + 1], line[1024], want[1024];
    zeros_text(zeros, "00000000");
    snprintf(want, sizeof want, "index=0,0 best_amax=3e800000,3f000000 loss=%s,%s\n", zeros, zeros);
    answers("op=mse fmt=int8-axis0 engine=torch-cpu shape=2x2 amax=3f800000,40000000 "
            "x=00000000,00000000,00000000,00000000\n",
            want);
    // Beyond 1e-5, and what is not zero is not within any part of zero.
    snprintf(line, sizeof line, "op=mse fmt=int8 engine=torch-cpu amax=3f800000 x=00000000 index=0 loss=%s\n",
             zeros);
    judged(line, true, NULL);
    line[strlen(line) - 2] = '1';
    judged(line, false, "loss[38]: want 00000001, got 00000000 (1 of 39 differ)");
    snprintf(line, sizeof line, "op=mse fmt=int8 engine=torch-cpu amax=3f800000 x=00000000 index=1\n");
    judged(line, false, "index[0]: want 1, got 0 (1 of 1 differ)");
}
END_TEST

// A row of a bf16 amax: the trial that trap 21 names decides which candidate fits.
START_TEST(mse_of_a_row_rounds_its_trials_as_trap_21_says) {
    // x = amax 3f81 in two rows (one row would be a 0-dim amax); the losses of candidate 5 differ by engine.
    static const char line[] = "op=mse fmt=int8-axis0 engine=%s in=bf16 shape=2x2 amax_dtype=bf16 "
                               "amax=3f810000,3f810000 x=3f3f,3f81,3f3f,3f81\n";
    char input[256];
    outcome o[2];
    for (int e = 0; e < 2; e++) {
        snprintf(input, sizeof input, line, e == 0 ? "torch-cpu" : "torch-cuda");
        o[e] = eval_lines(input, false, NULL, arena);
        ck_assert_ptr_nonnull(strstr(o[e].out, "loss="));
    }
    const char *loss[2] = {strstr(o[0].out, "loss=") + 5 + 5 * 9, strstr(o[1].out, "loss=") + 5 + 5 * 9};
    ck_assert(strncmp(loss[0], loss[1], 8) != 0);
    done(&o[0]);
    done(&o[1]);
}
END_TEST

START_TEST(a_loss_is_compared_within_1e_5_and_its_winner_exactly) {
#define BLOCK                                                                                                \
    "op=sweep fmt=nvfp4-static engine=torch-cpu in=bf16 global_amax=402d0000 "                               \
    "x=bfb6,bfcd,be91,be8e,3e5b,bf55,3f8a,3f6d,bf92,3fe8,3f55,3f37,3ee5,bf76,3ee5,c010 "
    judged(BLOCK "index=123 best_amax=40144925 loss=3e46a86d\n", true, NULL);
    judged(BLOCK "loss=3e46a8e0\n", true, NULL);                                  // 8.8e-6
    judged(BLOCK "loss=3e46a8f8\n", false, "loss[0]: want 3e46a8f8, got 3e46a8"); // 1.07e-5
    judged(BLOCK "best_amax=40144926\n", false, "best_amax[0]: want 40144926, got 40144925");
    judged(BLOCK "index=122\n", false, "index[0]: want 122, got 123");
    // Trap 15: a zero block takes code 01. Triton's rule: a NaN never wins, so nothing does, and index 0
    // answers.
    answers("op=sweep fmt=nvfp4-static engine=torch-cuda global_amax=3f800000 x=00000000,80000000\n",
            "index=0 best_amax=36924925 loss=00000000\n");
    answers("op=sweep fmt=nvfp4-static engine=triton global_amax=3f800000 x=3f800000,7fc00000\n",
            "index=0 best_amax=36924925 loss=7fc00000\n");
}
END_TEST

START_TEST(histograms_answer_counts_in_decimal_and_their_own_length) {
    answers("op=histogram bins=4 x=3f800000,3e800000,be800001,00000000\n",
            "counts=1,2,0,1 edges=00000000,3e800000,3f000000,3f400000,3f800000\n");
    answers("op=histogram2 bins=2 x=3f800000 x2=40000000,3e800000,3f800000\n",
            "counts=1,1,1,1 edges=00000000,3f000000,3f800000,3fc00000,40000000\n");
    judged("op=histogram2 bins=2 x=3f800000 x2=40000000 counts=0,1,0,1\n", true, NULL);
    judged("op=histogram2 bins=2 x=3f800000 x2=40000000 counts=0,0,2\n", false,
           "counts: want 3 values, got 4");
    judged("op=histogram2 bins=2 x=3f800000 x2=40000000 edges=00000000,3f000000\n", false,
           "edges: want 2 values, got 5");
    // Rounding gives the range one edge more than the bins have: both lengths are their own.
    judged("op=histogram2 bins=3 x=3f800000 x2=40400001 counts=0,0,1,0,0,0,0,0,1 "
           "edges=00000000,3eaaaaab,3f2aaaab,3f800000,3faaaaab,3fd55556,40000000,40155556,402aaaab,40400000,"
           "40555556\n",
           true, NULL);
    judged("op=histogram bins=2 x=3f800000 counts=0,2\n", false, "counts[1]: want 2, got 1 (1 of 2 differ)");
    answers("op=percentile percentile=50 counts=5,0,3,2 edges=00000000,00000001,00000002,00000003,00000004\n",
            "amax=00000000\n");
    answers("op=percentile counts=5,0,3,2 edges=00000000,00000001,00000002,00000003,00000004\n",
            "amax=00000003\n");
    answers("op=entropy num_bits=2 start_bin=1 counts=7,5,5,3,3,0 "
            "edges=00000000,00000001,00000002,00000003,00000004,00000005,00000006\n",
            "amax=00000006\n");
}
END_TEST

START_TEST(headroom_cast_amax_and_swizzle_answer) {
    answers("op=headroom x=bf800000\n", "amax=46871f62\n");
    answers("op=cast-amax scales=7f,00 "
            "codes=00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,"
            "00,00,00,00,00,40\n",
            "global_amax=41280000 block_amax=40c00000,40c00000,00800000,00800000\n");
    outcome o = eval_lines("op=swizzle shape=2x1 x=38,39\n", false, NULL, arena);
    ck_assert_int_eq((int)strlen(o.out), 2 + 512 * 3);
    ck_assert(strncmp(o.out, "y=38,00,", 8) == 0 && strncmp(o.out + 2 + 16 * 3, "39,00,", 6) == 0);
    done(&o);
}
END_TEST

START_TEST(what_no_calibrator_answers_is_refused_with_its_column) {
    static const struct {
        const char *line, *want;
    } cases[] = {
        {"op=candidates kind=fp8-sweep n=12\n", "t:1:32: n: wanted 126..126, got 12"},
        {"op=candidates kind=mse n=0\n", "t:1:26: n: wanted 1..16777216, got 0"},
        {"op=candidates kind=mse n=2 values=3e800000\n", "t:1:35: values: wanted 2 values (n of "},
        {"op=mse fmt=int8 engine=torch-cpu amax=bf800000 x=3f800000\n", "t:1:39: amax is negative"},
        {"op=mse fmt=int8 engine=torch-cpu x=3f800000 index=x\n",
         "t:1:51: index[0]: wanted a decimal number"},
        {"op=mse fmt=int8 x=3f800000\n", "t:1:4: op mse int8 has no answer under engine ieee"},
        {"op=sweep fmt=nvfp4-static engine=triton in=bf16 global_amax=3f800000 "
         "x=0,1\n",
         "t:1:72: x[0]: wanted 4 hex digits (bf16), got '0'"},
        {"op=sweep fmt=nvfp4-static engine=triton in=bf16 global_amax=3f800000 "
         "x=3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80,3f80\n",
         "t:1:72: x: wanted one block of 16 values, got 17"},
        {"op=histogram bins=0 x=3f800000\n", "t:1:19: bins: wanted 1..16777215, got 0"},
        {"op=histogram bins=4 x=7fc00000\n", "t:1:23: x holds NaN or Inf"},
        {"op=histogram bins=4 x=3f800000 counts=0,0,0\n", "t:1:39: counts: wanted 4 values (bins of "},
        {"op=histogram2 bins=4 x=3f800000 x2=7f800000\n", "t:1:36: x2 holds NaN or Inf"},
        {"op=histogram2 bins=4 x=00000000 x2=3f800000\n", "t:1:36: x2 has no bins to fall into"},
        {"op=histogram2 bins=4 x=3f800000 x2=7f000000\n", "t:1:36: x2: the histogram would grow beyond"},
        {"op=percentile percentile=100.5 counts=1 edges=00000000,3f800000\n",
         "t:1:26: percentile: wanted 0..100"},
        {"op=percentile percentile=1. counts=1 edges=00000000,3f800000\n",
         "t:1:26: percentile: wanted a decimal fraction"},
        {"op=percentile percentile=-1 counts=1 edges=00000000,3f800000\n",
         "t:1:26: percentile: wanted a decimal fraction"},
        {"op=percentile counts=1,2147483648 edges=00000000\n",
         "t:1:24: counts[1]: wanted a decimal number 0..2147483647"},
        {"op=percentile counts=1,1f edges=00000000\n",
         "t:1:24: counts[1]: wanted a decimal number 0..2147483647, got '1f'"},
        {"op=percentile counts=1,2 edges=00000000,3f800000\n", "t:1:32: edges: wanted 3 values (k+1 of "},
        {"op=entropy counts=1 start_bin=1 edges=00000000,3f800000\n",
         "t:1:19: counts: wanted 2 bins or more"},
        {"op=entropy counts=1,2 edges=00000000,3f800000,40000000\n",
         "t:1: command line: start_bin: wanted 1..2, got 128"},
        {"op=entropy counts=1,2 start_bin=1 stride=0 edges=00000000,3f800000,40000000\n",
         "t:1:42: stride: wanted 1..16777216, got 0"},
        {"op=headroom x=00000000\n", "t:1:15: x: nothing but zeros"},
        {"op=headroom x=7f800000\n", "t:1:15: x: nothing but zeros, or NaN or Inf"},
        {"op=cast-amax scales=7f codes=00\n", "t:1:30: codes: wanted 16 values (16n of "},
        {"op=swizzle shape=2x1 x=38\n", "t:1:24: x: wanted 2 values (R*C of 2x1)"},
        {"op=swizzle shape=1x1 x=38 y=38\n", "t:1:29: y: wanted 512 values (padded R*C of 1x1)"},
    };
    for (int i = 0; i < QP_COUNT(cases); i++) refused(cases[i].line, cases[i].want);
}
END_TEST

int main(void) {
    Suite *s = suite_create("eval_calib");
    TCase *t = tcase_create("eval_calib");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, candidates_have_defaults_and_lists_of_their_own);
    tcase_add_test(t, mse_answers_one_index_a_row_in_decimal);
    tcase_add_test(t, mse_of_a_row_rounds_its_trials_as_trap_21_says);
    tcase_add_test(t, a_loss_is_compared_within_1e_5_and_its_winner_exactly);
    tcase_add_test(t, histograms_answer_counts_in_decimal_and_their_own_length);
    tcase_add_test(t, headroom_cast_amax_and_swizzle_answer);
    tcase_add_test(t, what_no_calibrator_answers_is_refused_with_its_column);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
