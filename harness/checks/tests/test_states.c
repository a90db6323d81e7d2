// SPDX-License-Identifier: Apache-2.0
// State checks: equal bits pass, one planted bit fires, and NaN, zero signs and distances are counted as
// promised.
#include "checks/tests/evidence.h"

#include "qp/ref.h"

// A state of two rows of four bf16 values, or whatever dtype and field say about the same bytes.
static qp_state state_of(const char *stage, const char *field, qp_dtype t, int64_t rows, int64_t cols,
                         const void *data) {
    return (qp_state){.stage = stage,
                      .fqn = "l.0.down_proj",
                      .field = field,
                      .rank = 3,
                      .format = QP_NVFP4_STATIC,
                      .dtype = t,
                      .rows = rows,
                      .cols = cols,
                      .n_rows_held = rows,
                      .data = data};
}

static qp_finding compare(const char *check, const qp_state *st, const void *want) {
    qp_compare c = {.got = st, .want = want, .repro = "pipeline"};
    return judge_state(check, &c);
}

static const uint16_t bf16_want[8] = {0x3f80, 0xbf80, 0x0000, 0x7fc0, 0x4000, 0x7f80, 0x0001, 0x3f81};

static const char *const bit_checks[] = {"shard-map",    "amax-exact",    "input-amax", "global-amax",
                                         "bits-forward", "bits-backward", "pack-bits",  "dequant-bits",
                                         "ckpt-same",    "ckpt-other",    "ckpt-back"};

START_TEST(every_bit_check_passes_on_equal_bits_and_fires_on_one_flipped_bit) {
    for (int i = 0; i < QP_COUNT(bit_checks); i++) {
        uint16_t got[8];
        memcpy(got, bf16_want, sizeof got);
        qp_state st = state_of("fakequant", "y", QP_BF16, 2, 4, got);
        qp_finding f = compare(bit_checks[i], &st, bf16_want);
        expect_pass(f, 8);
        ck_assert_int_eq(f.dist[QP_DIST_BINS / 2], 8);
        got[7] ^= 1;
        f = compare(bit_checks[i], &st, bf16_want);
        expect_fail(f, QP_WHY_DIFFERENT);
        ck_assert_int_eq(f.n_diff, 1);
        ck_assert_int_eq(f.max_ulp, 1);
        ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 - 1], 1);
        ck_assert_str_eq(f.want, "3f81");
        ck_assert_str_eq(f.got, "3f80");
        ck_assert_str_eq(f.where, "fakequant l.0.down_proj y rank 3 row 1 col 3");
    }
}
END_TEST

START_TEST(nan_is_one_class_and_no_number) {
    uint16_t got[8];
    memcpy(got, bf16_want, sizeof got);
    got[3] = 0xffff;
    qp_state st = state_of("fakequant", "y", QP_BF16, 2, 4, got);
    expect_pass(compare("bits-forward", &st, bf16_want), 8);
    got[3] = 0x7f80;
    qp_finding f = compare("bits-forward", &st, bf16_want);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_int_eq(f.max_ulp, INT64_MAX);
    ck_assert_int_eq(f.dist[0], 1);
    got[3] = 0x7fc0;
    got[0] = 0x7f81;
    f = compare("bits-forward", &st, bf16_want);
    ck_assert_int_eq(f.max_ulp, INT64_MAX);
    ck_assert_int_eq(f.dist[QP_DIST_BINS - 1], 1);
}
END_TEST

START_TEST(nan_is_one_class_in_every_float_type) {
    static const uint32_t f32_want[2] = {0x7fc00000, 0x3f800000}, f32_got[2] = {0xff800001, 0x3f800000};
    static const uint16_t f16_want[2] = {0x7e00, 0x3c00}, f16_got[2] = {0xfc01, 0x3c00};
    static const uint8_t f8_want[2] = {0x7f, 0x38}, f8_got[2] = {0xff, 0x38};
    qp_state st = state_of("kernel", "y", QP_FP32, 1, 2, f32_got);
    expect_pass(compare("bits-forward", &st, f32_want), 2);
    st = state_of("kernel", "y", QP_FP16, 1, 2, f16_got);
    expect_pass(compare("bits-forward", &st, f16_want), 2);
    st = state_of("kernel", "y", QP_E4M3, 1, 2, f8_got);
    expect_pass(compare("bits-forward", &st, f8_want), 2);
    // Packed bytes have no NaN: 7f and ff are two pairs of codes.
    st = state_of("pack", "weight_packed", QP_U8, 1, 2, f8_got);
    expect_fail(compare("pack-bits", &st, f8_want), QP_WHY_DIFFERENT);
}
END_TEST

// Where a packed code stands, how its steps count, and what its NaN are, format by format.
START_TEST(packed_codes_are_compared_as_the_row_of_their_format_says) {
    static const struct {
        qp_format format;
        uint8_t want, got; // byte 1 of row 1 of two columns of bytes
        const char *where, *want_hex, *got_hex;
        int64_t distance; // of the one difference; INT64_MAX: no difference
    } rows[] = {
        {QP_NVFP4, 0x12, 0x13, "row 1 col 2", "2", "3", 1},
        {QP_MXFP4, 0x12, 0x92, "row 1 col 3", "1", "9", 2},
        {QP_INT4_BLOCK, 0x12, 0x13, "row 1 col 3", "2", "3", 1}, // the even column high
        {QP_NF4, 0x72, 0x82, "row 1 col 2", "7", "8", 1},        // plain numbers
        {QP_INT4_AWQ, 0x12, 0x13, "row 2 col 1", "2", "3", 1},   // rows 2 and 3
        {QP_INT4_AWQ, 0x7f, 0x70, "row 2 col 1", "f", "0", 1},   // two's complement: -1 and 0
        {QP_INT4_AWQ, 0x12, 0x22, "row 3 col 1", "1", "2", 1},
        {QP_INT8, 0xff, 0x01, "row 1 col 1", "ff", "01", 2}, // -1 and 1
        {QP_FP8_E4M3, 0x81, 0x01, "row 1 col 1", "81", "01", 2},
        {QP_FP8_AXIS0, 0x7f, 0xff, "", "", "", INT64_MAX}, // NaN is one class
        {QP_MXFP8_E5M2, 0x7d, 0xff, "", "", "", INT64_MAX},
        {QP_MXFP8_E5M2, 0x7b, 0x7c, "row 1 col 1", "7b", "7c", 1},
        {QP_MXFP6_E2M3, 0x21, 0x01, "row 1 col 1", "21", "01", 2}, // the sign is bit 5
    };
    for (int i = 0; i < QP_COUNT(rows); i++) {
        uint8_t want[4] = {0, 0, 0, rows[i].want}, got[4] = {0, 0, 0, rows[i].got};
        qp_state st = state_of("kernel", "weight_packed", QP_U8, 2, 2, got);
        st.format = rows[i].format;
        qp_finding f = compare("pack-bits", &st, want);
        ck_assert_msg(f.n_diff == (rows[i].distance != INT64_MAX), "%s: %s", qp_format_get(st.format)->name,
                      f.text);
        if (f.n_diff == 0) continue;
        ck_assert_msg(strstr(f.where, rows[i].where) != NULL, "%s: %s", qp_format_get(st.format)->name,
                      f.where);
        ck_assert_str_eq(f.want, rows[i].want_hex);
        ck_assert_str_eq(f.got, rows[i].got_hex);
        ck_assert_int_eq(f.max_ulp, rows[i].distance);
    }
}
END_TEST

START_TEST(block_scales_are_bytes_of_their_own_kind_or_images) {
    uint8_t want[2] = {0x7f, 0x38}, got[2] = {0xff, 0x38};
    qp_state st = state_of("kernel", "weight_scale", QP_E4M3, 1, 2, got);
    expect_pass(compare("pack-bits", &st, want), 2); // NaN of either sign
    st.format = QP_MXFP4;
    st.dtype = QP_U8;
    expect_fail(compare("pack-bits", &st, want), QP_WHY_DIFFERENT); // E8M0: 2^0, and its one NaN
    uint16_t image_want[2] = {0x3f80, 0x7fc0}, image_got[2] = {0x3f81, 0x7fff};
    st = state_of("kernel", "weight_scale", QP_BF16, 1, 2, image_got);
    st.format = QP_INT8;
    ck_assert_int_eq(compare("pack-bits", &st, image_want).n_diff, 1);
    st = state_of("kernel", "weight_scale_i8", QP_I8, 1, 2, got);
    st.format = QP_NF4;
    qp_finding f = compare("pack-bits", &st, want);
    ck_assert_int_eq(f.n_diff, 1);
    ck_assert_int_eq(f.max_ulp, 128); // 127 and -1
}
END_TEST

START_TEST(zeros_of_both_signs_differ_at_distance_zero) {
    static const uint16_t want[2] = {0x0000, 0x3f80}, got[2] = {0x8000, 0x3f80};
    qp_state st = state_of("fakequant", "y", QP_BF16, 1, 2, got);
    qp_finding f = compare("bits-forward", &st, want);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_int_eq(f.max_ulp, 0);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2], 2);
}
END_TEST

START_TEST(distance_crosses_zero_in_value_order) {
    static const uint16_t want[3] = {0x8001, 0x0003, 0xc000}, got[3] = {0x0001, 0x8002, 0x4000};
    qp_state st = state_of("fakequant", "y", QP_BF16, 1, 3, got);
    qp_finding f = compare("bits-forward", &st, want);
    ck_assert_int_eq(f.n_diff, 3);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 + 2], 1);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 - 5], 1);
    ck_assert_int_eq(f.dist[QP_DIST_BINS - 1], 1);
    ck_assert_int_eq(f.max_ulp, 0x8000);
}
END_TEST

START_TEST(packed_codes_are_judged_nibble_by_nibble_in_value_order) {
    static const uint8_t want[2] = {0x21, 0x9f}, got[2] = {0x31, 0x1f};
    qp_state st = state_of("pack", "weight_packed", QP_U8, 1, 2, got);
    qp_finding f = compare("pack-bits", &st, want);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_int_eq(f.n_judged, 4);
    ck_assert_int_eq(f.n_diff, 2);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 + 1], 1); // code 2 -> 3
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 + 2], 1); // -0.5 -> +0.5 is two codes
    ck_assert_str_eq(f.want, "2");
    ck_assert_str_eq(f.got, "3");
}
END_TEST

START_TEST(swapped_nibbles_are_seen) {
    static const uint8_t want[2] = {0x21, 0x43}, got[2] = {0x12, 0x34};
    qp_state st = state_of("pack", "weight_packed", QP_U8, 1, 2, got);
    ck_assert_int_eq(compare("pack-bits", &st, want).n_diff, 4);
}
END_TEST

START_TEST(scale_bytes_are_e4m3_codes) {
    static const uint8_t want[2] = {0x38, 0x7e}, got[2] = {0x39, 0x7f};
    qp_state st = state_of("pack", "weight_scale", QP_U8, 1, 2, got);
    qp_finding f = compare("pack-bits", &st, want);
    ck_assert_int_eq(f.n_diff, 2);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 + 1], 1);
    ck_assert_int_eq(f.max_ulp, INT64_MAX);
}
END_TEST

START_TEST(integers_have_integer_distances) {
    static const int8_t want[2] = {-128, 5}, got[2] = {-127, 3};
    qp_state st = state_of("kernel", "y", QP_I8, 1, 2, got);
    qp_finding f = compare("bits-forward", &st, want);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 + 1], 1);
    ck_assert_int_eq(f.dist[QP_DIST_BINS / 2 - 2], 1);
}
END_TEST

START_TEST(rows_that_are_held_are_named_by_their_local_number) {
    static const int64_t ids[2] = {5, 17};
    uint16_t got[8];
    memcpy(got, bf16_want, sizeof got);
    got[4] = 0;
    qp_state st = state_of("fakequant", "y", QP_BF16, 32, 4, got);
    st.row_ids = ids;
    st.n_rows_held = 2;
    qp_finding f = compare("bits-forward", &st, bf16_want);
    ck_assert_int_eq(f.n_judged, 8);
    ck_assert_str_eq(f.where, "fakequant l.0.down_proj y rank 3 row 17 col 0");
}
END_TEST

START_TEST(kernel_states_have_no_rank_in_their_place) {
    static const uint32_t want = 0x3f800000, got = 0x3f800001;
    qp_state st = state_of("kernel", "y", QP_FP32, 1, 1, &got);
    st.rank = -1;
    ck_assert_str_eq(compare("bits-forward", &st, &want).where, "kernel l.0.down_proj y row 0 col 0");
}
END_TEST

START_TEST(a_missing_state_fires_the_presence_checks_and_judges_nothing_elsewhere) {
    static const char *const presence[] = {"quantizers-complete", "ckpt-keys"};
    qp_state st = state_of("calibrate", "weight_quantizer._amax", QP_FP32, 1, 1, NULL);
    for (int i = 0; i < QP_COUNT(presence); i++) {
        st.data = NULL;
        expect_fail(compare(presence[i], &st, bf16_want), QP_WHY_MISSING);
        st.data = bf16_want;
        expect_fail(compare(presence[i], &st, NULL), QP_WHY_UNEXPECTED);
        expect_pass(compare(presence[i], &st, bf16_want), 1);
        st.data = NULL;
        expect_pass(compare(presence[i], &st, NULL), 0);
    }
    for (int i = 0; i < QP_COUNT(bit_checks); i++) expect_pass(compare(bit_checks[i], &st, bf16_want), 0);
}
END_TEST

START_TEST(pack_against_fakequant_names_every_class_and_fails_on_what_none_explains) {
    int64_t counts[REF_SCALE_CLASS_COUNT] = {10, 20, 30, 4, 5, 6, 0};
    qp_state st = state_of("pack", QP_FIELD_PACK_CLASSES, QP_I64, 1, REF_SCALE_CLASS_COUNT, counts);
    qp_finding f = compare("pack-fakequant", &st, NULL);
    expect_pass(f, 75);
    static const char *const said[] = {"same 10",      "ulp 20", "midpoint 30",  "lifted 4",
                                       "zero-block 5", "tiny 6", "unexplained 0"};
    for (int i = 0; i < QP_COUNT(said); i++)
        ck_assert_msg(strstr(f.text, said[i]) != NULL, "%s not in %s", said[i], f.text);
    counts[REF_SCALE_UNEXPLAINED] = 2;
    f = compare("pack-fakequant", &st, NULL);
    expect_fail(f, QP_WHY_DIFFERENT);
    ck_assert_int_eq(f.n_diff, 2);
    st.data = NULL;
    expect_pass(compare("pack-fakequant", &st, NULL), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("checks: states");
    TCase *t = tcase_create("states");
    tcase_add_test(t, every_bit_check_passes_on_equal_bits_and_fires_on_one_flipped_bit);
    tcase_add_test(t, nan_is_one_class_and_no_number);
    tcase_add_test(t, nan_is_one_class_in_every_float_type);
    tcase_add_test(t, packed_codes_are_compared_as_the_row_of_their_format_says);
    tcase_add_test(t, block_scales_are_bytes_of_their_own_kind_or_images);
    tcase_add_test(t, zeros_of_both_signs_differ_at_distance_zero);
    tcase_add_test(t, distance_crosses_zero_in_value_order);
    tcase_add_test(t, packed_codes_are_judged_nibble_by_nibble_in_value_order);
    tcase_add_test(t, swapped_nibbles_are_seen);
    tcase_add_test(t, scale_bytes_are_e4m3_codes);
    tcase_add_test(t, integers_have_integer_distances);
    tcase_add_test(t, rows_that_are_held_are_named_by_their_local_number);
    tcase_add_test(t, kernel_states_have_no_rank_in_their_place);
    tcase_add_test(t, a_missing_state_fires_the_presence_checks_and_judges_nothing_elsewhere);
    tcase_add_test(t, pack_against_fakequant_names_every_class_and_fails_on_what_none_explains);
    suite_add_tcase(s, t);
    return run_suite(s);
}
