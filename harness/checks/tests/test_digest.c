// SPDX-License-Identifier: Apache-2.0
// Digests: any cut of a tensor gives the same total, any changed or moved element another; and the two checks
// that live on them.
#include "checks/tests/evidence.h"

enum { ROWS = 8, COLS = 32 };

// One full tensor of bf16, no two elements alike.
static void fill(uint16_t *full) {
    for (int i = 0; i < ROWS * COLS; i++) full[i] = (uint16_t)(0x3f00 + i);
}

// Appends the digests of the part [row0, +n_rows) x [col0, +n_cols) of full, as rank holds it.
static void add_part(const uint16_t *full, int rank, int64_t row0, int64_t n_rows, int64_t col0,
                     int64_t n_cols, const int64_t *ids, qp_arena *a, qp_digest *all, int64_t *n) {
    uint16_t part[ROWS * COLS];
    int64_t rows[ROWS], local[ROWS], n_held = 0;
    for (int64_t r = 0; r < n_rows; r++) {
        int64_t row = row0 + r;
        bool held = ids == NULL;
        for (int k = 0; ids != NULL && ids[k] >= 0; k++) held = held || ids[k] == row;
        if (!held) continue;
        memcpy(part + n_held * n_cols, full + row * COLS + col0, sizeof *part * (size_t)n_cols);
        local[n_held] = r;
        rows[n_held++] = row;
    }
    qp_state st = {.stage = "fakequant",
                   .fqn = "m",
                   .field = "y",
                   .rank = rank,
                   .format = QP_FP8_E4M3,
                   .dtype = QP_BF16,
                   .rows = n_rows,
                   .cols = n_cols,
                   .row_ids = ids != NULL ? local : NULL,
                   .n_rows_held = n_held,
                   .data = part};
    qp_digest *d;
    int64_t k;
    ck_assert_int_eq(qp_digest_state(&st, rows, col0, a, &d, &k, NULL), QP_OK);
    for (int64_t i = 0; i < k; i++) all[(*n)++] = d[i];
    qp_digest_sort(all, *n);
}

static qp_finding compare_layouts(const qp_digest *d, int64_t n, const qp_digest *base, int64_t n_base) {
    qp_case_ev ev = {.digests = d, .n_digests = n, .base_digests = base, .n_base_digests = n_base};
    return judge_case("layout-invariance", &ev);
}

static qp_arena *arena;
static uint16_t full[ROWS * COLS];
static qp_digest base[64], got[64];
static int64_t n_base, n_got;

static void set_up(void) {
    arena = qp_arena_new();
    n_base = n_got = 0;
    fill(full);
    add_part(full, 0, 0, ROWS, 0, COLS, NULL, arena, base, &n_base);
}

static void tear_down(void) {
    qp_arena_free(arena);
}

START_TEST(row_digests_of_column_shards_add_up) {
    uint64_t whole = qp_digest_row(full, QP_BF16, COLS, 0, 0);
    uint64_t parts = qp_digest_row(full + 20, QP_BF16, COLS - 20, 20, qp_digest_row(full, QP_BF16, 20, 0, 0));
    ck_assert_uint_eq(whole, parts);
    ck_assert_uint_ne(whole, qp_digest_row(full, QP_BF16, COLS, 1, 0));
    uint16_t nans[2] = {0x7f81, 0xffff}, canonical[2] = {0x7fc0, 0x7fc0};
    ck_assert_uint_eq(qp_digest_row(nans, QP_BF16, 2, 0, 0), qp_digest_row(canonical, QP_BF16, 2, 0, 0));
    uint16_t zeros[2] = {0, 0x8000}, positive[2] = {0, 0};
    ck_assert_uint_ne(qp_digest_row(zeros, QP_BF16, 2, 0, 0), qp_digest_row(positive, QP_BF16, 2, 0, 0));
}
END_TEST

START_TEST(aligned_and_unaligned_rows_of_every_type_give_the_same_sum) {
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32, QP_E4M3, QP_U8, QP_I64};
    unsigned char bytes[257], shifted[257];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)(i * 37 + 11); // NaN images of every type are among them
    memcpy(shifted + 1, bytes, 256);
    for (int t = 0; t < QP_COUNT(types); t++) {
        int64_t n = 256 / (int64_t)qp_dtype_bytes(types[t]) - 1;
        uint64_t sum = qp_digest_row(bytes, types[t], n, 7, 5);
        ck_assert_uint_eq(sum, qp_digest_row(shifted + 1, types[t], n, 7, 5));
        ck_assert_uint_ne(sum, qp_digest_row(bytes, types[t], n, 8, 5));
        bytes[9] ^= 1;
        ck_assert_uint_ne(sum, qp_digest_row(bytes, types[t], n, 7, 5));
        bytes[9] ^= 1;
    }
}
END_TEST

START_TEST(every_cut_equals_the_whole_and_replicas_count_once) {
    for (int t = 0; t < 4; t++) add_part(full, t, 2 * t, 2, 0, COLS, NULL, arena, got, &n_got);
    expect_pass(compare_layouts(got, n_got, base, n_base), 1);
    n_got = 0;
    for (int t = 0; t < 2; t++)
        for (int dp = 0; dp < 2; dp++)
            add_part(full, 2 * dp + t, 0, ROWS, 16 * t, 16, NULL, arena, got, &n_got);
    expect_pass(compare_layouts(got, n_got, base, n_base), 1);
}
END_TEST

START_TEST(a_changed_and_a_moved_element_are_seen) {
    full[3 * COLS + 5] ^= 1;
    for (int t = 0; t < 4; t++) add_part(full, t, 2 * t, 2, 0, COLS, NULL, arena, got, &n_got);
    expect_fail(compare_layouts(got, n_got, base, n_base), QP_WHY_DIFFERENT);
    fill(full);
    full[0] = 0x3f01;
    full[1] = 0x3f00;
    n_got = 0;
    add_part(full, 0, 0, ROWS, 0, COLS, NULL, arena, got, &n_got);
    expect_fail(compare_layouts(got, n_got, base, n_base), QP_WHY_DIFFERENT);
    fill(full);
    memcpy(full, full + COLS, sizeof *full * COLS); // row 1 twice
    n_got = 0;
    add_part(full, 0, 0, ROWS, 0, COLS, NULL, arena, got, &n_got);
    expect_fail(compare_layouts(got, n_got, base, n_base), QP_WHY_DIFFERENT);
}
END_TEST

START_TEST(a_difference_outside_the_comparable_runs_is_seen) {
    n_base = 0;
    add_part(full, 0, 0, 2, 0, COLS, NULL, arena, base, &n_base);
    add_part(full, 1, 2, 6, 0, COLS, NULL, arena, base, &n_base);
    full[7 * COLS + 1] ^= 4;
    add_part(full, 0, 0, 2, 0, COLS, NULL, arena, got, &n_got);
    add_part(full, 1, 2, 3, 0, COLS, NULL, arena, got, &n_got);
    add_part(full, 2, 5, 3, 0, COLS, NULL, arena, got, &n_got);
    expect_fail(compare_layouts(got, n_got, base, n_base), QP_WHY_DIFFERENT);
}
END_TEST

START_TEST(as_many_but_other_sampled_rows_are_no_difference) {
    static const int64_t of_base[] = {0, 3, -1}, of_got[] = {0, 5, -1};
    n_base = 0;
    add_part(full, 0, 0, ROWS, 0, COLS, of_base, arena, base, &n_base);
    add_part(full, 0, 0, ROWS, 0, COLS, of_got, arena, got, &n_got);
    expect_pass(compare_layouts(got, n_got, base, n_base), 1);
}
END_TEST

START_TEST(sampled_rows_are_compared_where_both_sides_hold_them_whole) {
    static const int64_t of_base[] = {0, 3, 7, -1}, of_low[] = {0, 3, -1}, of_high[] = {4, 7, -1};
    n_base = 0;
    add_part(full, 0, 0, ROWS, 0, COLS, of_base, arena, base, &n_base);
    add_part(full, 0, 0, 4, 0, COLS, of_low, arena, got, &n_got);
    add_part(full, 1, 4, 4, 0, COLS, of_high, arena, got, &n_got);
    expect_pass(compare_layouts(got, n_got, base, n_base), 3);
    full[7 * COLS] ^= 1;
    n_got = 0;
    add_part(full, 0, 0, 4, 0, COLS, of_low, arena, got, &n_got);
    add_part(full, 1, 4, 4, 0, COLS, of_high, arena, got, &n_got);
    qp_finding f = compare_layouts(got, n_got, base, n_base);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_int_eq(f.n_diff, 1);
    ck_assert_msg(strstr(f.where, "from row 7") != NULL, "%s", f.where);
    // Half a row says nothing about the whole one.
    fill(full);
    n_got = 0;
    add_part(full, 0, 0, ROWS, 0, 16, of_base, arena, got, &n_got);
    f = compare_layouts(got, n_got, base, n_base);
    ck_assert_int_eq(f.verdict, QP_SUSPECT);
    ck_assert_int_eq(f.reason, QP_WHY_NOTHING_JUDGED);
}
END_TEST

START_TEST(nothing_in_common_is_suspect_and_no_base_run_judges_nothing) {
    ck_assert_int_eq(compare_layouts(NULL, 0, base, n_base).verdict, QP_SUSPECT);
    expect_pass(compare_layouts(base, n_base, NULL, 0), 0);
    for (int64_t i = 0; i < n_base; i++) base[i].stage = "calibrate";
    ck_assert_int_eq(compare_layouts(base, n_base, base, n_base).verdict, QP_SUSPECT);
}
END_TEST

static qp_finding judge_replicas(void) {
    qp_case_ev ev = {.digests = got, .n_digests = n_got};
    return judge_case("replica-equal", &ev);
}

START_TEST(replicas_must_be_equal_shards_need_not) {
    for (int dp = 0; dp < 2; dp++)
        for (int t = 0; t < 2; t++) add_part(full, 2 * dp + t, 4 * t, 4, 0, COLS, NULL, arena, got, &n_got);
    expect_pass(judge_replicas(), 2);
    n_got = 0;
    for (int dp = 0; dp < 2; dp++)
        for (int t = 0; t < 2; t++) {
            if (dp == 1 && t == 1) full[5 * COLS] ^= 0x8000;
            add_part(full, 2 * dp + t, 4 * t, 4, 0, COLS, NULL, arena, got, &n_got);
        }
    qp_finding f = judge_replicas();
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_int_eq(f.n_diff, 1);
    ck_assert_msg(strstr(f.where, "ranks 1 and 3") != NULL, "%s", f.where);
    for (int64_t i = 0; i < n_got; i++) got[i].stage = "calibrate";
    expect_pass(judge_replicas(), 0);
}
END_TEST

START_TEST(scalars_are_one_part_wherever_they_are_held) {
    static const uint32_t same = 0x3f800000, other = 0x3f800001;
    static const char *const fields[] = {"weight_quantizer._global_amax", "input_quantizer._amax",
                                         "weight_scale_2", "weight_quantizer._amax"};
    for (int i = 0; i < QP_COUNT(fields); i++)
        for (int planted = 0; planted < 2; planted++) {
            n_got = 0;
            for (int rank = 0; rank < 2; rank++) {
                qp_state st = {.stage = "sync",
                               .fqn = "m",
                               .field = fields[i],
                               .rank = rank,
                               .format = QP_NVFP4,
                               .dtype = QP_FP32,
                               .rows = 1,
                               .cols = 1,
                               .n_rows_held = 1,
                               .data = rank == 1 && planted ? &other : &same};
                qp_digest *d;
                int64_t k;
                ck_assert_int_eq(qp_digest_state(&st, NULL, 64 * rank, arena, &d, &k, NULL), QP_OK);
                ck_assert_int_eq(k, 1);
                got[n_got++] = *d;
            }
            ck_assert_int_eq(judge_replicas().verdict, planted ? QP_FAILED : QP_PASS);
        }
}
END_TEST

START_TEST(runs_end_at_segments_so_that_replicated_heads_count_once) {
    static const qp_segment segments[] = {{.name = "q", .rows = 4},
                                          {.name = "k", .rows = 2, .units = 1, .replicate = true}};
    static const qp_module m = {.fqn = "m", .out = 6, .in = COLS, .segments = segments, .n_segments = 2};
    static const int64_t rank0[] = {0, 1, 4, 5}, rank1[] = {2, 3, 4, 5}, whole[] = {0, 1, 2, 3, 4, 5};
    static const int64_t *const rows[] = {rank0, rank1, whole};
    qp_digest *d[3];
    int64_t n[3];
    for (int i = 0; i < 3; i++) {
        uint16_t part[ROWS * COLS];
        int64_t n_rows = i < 2 ? 4 : 6;
        for (int64_t r = 0; r < n_rows; r++)
            memcpy(part + r * COLS, full + rows[i][r] * COLS, sizeof *part * COLS);
        qp_state st = {.stage = "shard",
                       .fqn = "m",
                       .field = "weight",
                       .rank = i,
                       .module = &m,
                       .dtype = QP_BF16,
                       .rows = n_rows,
                       .cols = COLS,
                       .n_rows_held = n_rows,
                       .data = part};
        ck_assert_int_eq(qp_digest_state(&st, rows[i], 0, arena, &d[i], &n[i], NULL), QP_OK);
        ck_assert_int_eq(n[i], 2);
    }
    for (int64_t i = 0; i < 2; i++) got[i] = d[0][i], got[2 + i] = d[1][i];
    qp_digest_sort(got, 4);
    qp_digest_sort(d[2], 2);
    expect_pass(compare_layouts(got, 4, d[2], 2), 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("checks: digests");
    TCase *t = tcase_create("digests");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, row_digests_of_column_shards_add_up);
    tcase_add_test(t, aligned_and_unaligned_rows_of_every_type_give_the_same_sum);
    tcase_add_test(t, every_cut_equals_the_whole_and_replicas_count_once);
    tcase_add_test(t, a_changed_and_a_moved_element_are_seen);
    tcase_add_test(t, a_difference_outside_the_comparable_runs_is_seen);
    tcase_add_test(t, as_many_but_other_sampled_rows_are_no_difference);
    tcase_add_test(t, sampled_rows_are_compared_where_both_sides_hold_them_whole);
    tcase_add_test(t, nothing_in_common_is_suspect_and_no_base_run_judges_nothing);
    tcase_add_test(t, replicas_must_be_equal_shards_need_not);
    tcase_add_test(t, scalars_are_one_part_wherever_they_are_held);
    tcase_add_test(t, runs_end_at_segments_so_that_replicated_heads_count_once);
    suite_add_tcase(s, t);
    return run_suite(s);
}
