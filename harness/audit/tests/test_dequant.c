// SPDX-License-Identifier: Apache-2.0
// What stored linears mean, every packing, spread and zero point with numbers worked out on paper from the
// layouts of shapes spec 2.1 to 2.6: codes and bytes are written out, none is computed.
#include "audit/dequant.h"

#include "by_hand.h"

static qp_arena *a;
static qp_ck_module m;
static qp_ck_scheme s;

static void setup(void) {
    a = qp_arena_new();
}

static void teardown(void) {
    qp_arena_free(a);
}

static void linear(qp_ck_scheme scheme, int64_t stack, int64_t out, int64_t in) {
    s = scheme;
    m = hand_module("m", &s, stack, out, in);
}

static void part(qp_ck_role role, qp_st_type type, const char *shape, const void *data) {
    m.part[role] = hand_tensor(a, "m.part", type, shape, data);
}

// Rows [row, row + rows) are these numbers.
static void means(int64_t row, int64_t rows, const double *want) {
    double got[4096];
    ck_assert_int_le(rows * m.in, QP_COUNT(got));
    qp_ck_values(&m, row, rows, got);
    for (int64_t i = 0; i < rows * m.in; i++)
        ck_assert_msg(got[i] == want[i], "row %lld column %lld: %.17g, wanted %.17g",
                      (long long)(row + i / m.in), (long long)(i % m.in), got[i], want[i]);
}

static double at(int64_t row, int64_t col) {
    double got[4096];
    ck_assert_int_le(m.in, QP_COUNT(got));
    qp_ck_values(&m, row, 1, got);
    return got[col];
}

// ---- bytes

START_TEST(a_plain_weight_is_its_numbers) {
    const uint16_t w[] = {0x3f80, 0xc000, 0x3e80, 0x8000}; // BF16 1, -2, 0.25, -0
    m = hand_module("m", NULL, 1, 2, 2);
    part(QP_CK_WEIGHT, QP_ST_BF16, "[2, 2]", w);
    means(0, 2, (double[]){1, -2, 0.25, 0});
}
END_TEST

START_TEST(fp8_bytes_times_one_scale_a_row_or_a_tensor) {
    const uint8_t w[] = {0x38, 0xc0, 0x7e, 0x01}; // 1, -2, 448, 2^-9
    const float one = 0.5f, rows[] = {2.0f, 0.25f};
    linear((qp_ck_scheme){.element = QP_ELEM_E4M3, .bits = 8, .pack = QP_CK_BYTES, .spread = QP_CK_ONE}, 1, 2,
           2);
    part(QP_CK_WEIGHT, QP_ST_F8_E4M3, "[2, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[]", &one);
    means(0, 2, (double[]){0.5, -1, 224, 0.0009765625});
    s.spread = QP_CK_ROW;
    part(QP_CK_SCALE, QP_ST_F32, "[2]", rows);
    means(0, 2, (double[]){2, -4, 112, 0.00048828125});
}
END_TEST

START_TEST(int8_bytes_are_signed_and_the_zero_point_comes_off_before_the_scale) {
    const int8_t w[] = {-128, 127, 5, -3}, zeros[] = {4, -2};
    const uint16_t scales[] = {0x3f00, 0x4000}; // BF16 0.5, 2
    linear((qp_ck_scheme){.element = QP_ELEM_INT8, .bits = 8, .pack = QP_CK_BYTES, .spread = QP_CK_ROW}, 1, 2,
           2);
    part(QP_CK_WEIGHT, QP_ST_I8, "[2, 2]", w);
    part(QP_CK_SCALE, QP_ST_BF16, "[2, 1]", scales);
    means(0, 2, (double[]){-64, 63.5, 10, -6});
    part(QP_CK_ZERO, QP_ST_I8, "[2, 1]", zeros);
    means(0, 2, (double[]){-66, 61.5, 14, -2}); // (-128-4)/2, (127-4)/2, (5+2)2, (-3+2)2
}
END_TEST

// ---- nibbles

START_TEST(an_even_column_of_nvfp4_is_the_low_nibble_and_its_global_multiplies_or_divides) {
    // codes of row 0: 1 2 3 4 5 6 7 9 | then zeros; row 1: e at column 1, f at column 16 (second group)
    uint8_t w[2][16] = {{0x21, 0x43, 0x65, 0x97}, {0xe0}};
    const uint8_t scales[] = {0x38, 0x40, 0x48, 0x30}; // E4M3: row 0: 1, 2; row 1: 4, 0.5
    const float global = 0.25f;
    double row0[32] = {0.125, 0.25, 0.375, 0.5, 0.75, 1, 1.5, -0.125}, row1[32] = {0, -4};
    w[0][8] = 0x10; // column 17 of row 0: 0.5
    w[1][8] = 0x0f; // column 16 of row 1: -6
    row0[17] = 0.25;
    row1[16] = -0.75;
    linear(hand_nvfp4(), 1, 2, 32);
    part(QP_CK_WEIGHT, QP_ST_U8, "[2, 16]", w);
    part(QP_CK_SCALE, QP_ST_F8_E4M3, "[2, 2]", scales);
    part(QP_CK_GLOBAL, QP_ST_F32, "[]", &global);
    means(0, 1, row0);
    means(1, 1, row1);
    s.global = QP_CK_DIVIDES;
    ck_assert_double_eq(at(0, 6), 24); // 6 x 1 / 0.25
    ck_assert_double_eq(at(1, 16), -12);
    ck_assert_uint_eq(qp_ck_code(&m, 1, 16), 0xf);
    ck_assert_uint_eq(qp_ck_scale_at(&m, 1, 16), 3);
}
END_TEST

START_TEST(e8m0_bytes_are_powers_of_two) {
    uint8_t w[16] = {0x72}; // 1, 6
    const uint8_t up = 130, least = 0;
    linear(
        (qp_ck_scheme){
            .element = QP_ELEM_E2M1, .bits = 4, .group_size = 32, .pack = QP_CK_PAIRS, .spread = QP_CK_GROUP},
        1, 1, 32);
    part(QP_CK_WEIGHT, QP_ST_U8, "[1, 16]", w);
    part(QP_CK_SCALE, QP_ST_U8, "[1, 1]", &up);
    ck_assert_double_eq(at(0, 0), 8);
    ck_assert_double_eq(at(0, 1), 48);
    part(QP_CK_SCALE, QP_ST_U8, "[1, 1]", &least);
    ck_assert_double_eq(at(0, 0), 0x1p-127);
}
END_TEST

START_TEST(blocks_of_gpt_oss_are_rows_of_pairs_for_each_expert) {
    static uint8_t w[2][2][2][16]; // [experts, rows, in / 32, 16]
    const uint8_t scales[] = {127, 128, 129, 126, 127, 127, 127, 131};
    w[0][0][0][0] = 0xa2;  // columns 0, 1: 1, -1
    w[0][1][1][15] = 0x70; // column 63 of row 1: 6, scale 2^-1
    w[1][1][1][0] = 0x0c;  // expert 1, row 1, column 32: -2, scale 2^4
    linear((qp_ck_scheme){.element = QP_ELEM_E2M1,
                          .bits = 4,
                          .group_size = 32,
                          .pack = QP_CK_BLOCKS,
                          .spread = QP_CK_GROUP},
           2, 2, 64);
    part(QP_CK_WEIGHT, QP_ST_U8, "[2, 2, 2, 16]", w);
    part(QP_CK_SCALE, QP_ST_U8, "[2, 2, 2]", scales);
    ck_assert_double_eq(at(0, 0), 1);
    ck_assert_double_eq(at(0, 1), -1);
    ck_assert_double_eq(at(1, 63), 3);
    ck_assert_double_eq(at(3, 32), -32);
}
END_TEST

START_TEST(rows_of_int4_pair_up_and_a_second_scale_of_w4a8_does_not_multiply) {
    // bytes [out / 2, in]: rows 0 (low) and 1 (high), 2 and 3; two's complement
    const uint8_t w[] = {0x7f, 0x81, 0x2e, 0xd3};
    const float scales[] = {1, 2, 4, 8, 10, 20, 40, 80}, second = 1000.0f; // [4, 2], groups of one column
    linear((qp_ck_scheme){.element = QP_ELEM_INT4,
                          .bits = 4,
                          .group_size = 1,
                          .pack = QP_CK_ROW_PAIRS,
                          .spread = QP_CK_GROUP},
           1, 4, 2);
    part(QP_CK_WEIGHT, QP_ST_U8, "[2, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[4, 2]", scales);
    const double want[] = {-1, 2, 28, -64, -20, 60, 80, -240};
    means(0, 4, want);
    s.global = QP_CK_MULTIPLIES;
    part(QP_CK_GLOBAL, QP_ST_F32, "[]", &second);
    means(0, 4, want);
}
END_TEST

START_TEST(fused_experts_pair_rows_of_in_and_each_may_have_its_global) {
    // [2 experts, in / 2 = 16, out = 3], scales [2, in / 16 = 2, 3]
    static uint8_t w[2][16][3];
    const uint8_t scales[] = {0x38, 0x40, 0x48, 0x38, 0x38, 0x30, 0x38, 0x38, 0x38, 0x50, 0x38, 0x38};
    const float one = 2.0f, each[] = {2.0f, 0.5f};
    w[0][0][1] = 0x53;  // out 1, in 0: 1.5, in 1: 3; scale 2
    w[0][8][2] = 0x20;  // out 2, in 17: 1; scale of group 1: 0.5
    w[1][15][0] = 0xb0; // expert 1, out 0, in 31: -1.5; scale 8
    s = hand_nvfp4();
    s.pack = QP_CK_IN_PAIRS;
    s.spread = QP_CK_GROUP_T;
    linear(s, 2, 3, 32);
    part(QP_CK_WEIGHT, QP_ST_U8, "[2, 16, 3]", w);
    part(QP_CK_SCALE, QP_ST_F8_E4M3, "[2, 2, 3]", scales);
    part(QP_CK_GLOBAL, QP_ST_F32, "[]", &one);
    ck_assert_double_eq(at(1, 0), 6);
    ck_assert_double_eq(at(1, 1), 12);
    ck_assert_double_eq(at(2, 17), 1);
    ck_assert_double_eq(at(3, 31), -24);
    part(QP_CK_GLOBAL, QP_ST_F32, "[2]", each);
    ck_assert_double_eq(at(1, 1), 12);
    ck_assert_double_eq(at(3, 31), -6);
}
END_TEST

// ---- tiles

static uint8_t big[2 * 256 * 384];

START_TEST(a_tile_is_128_by_128_and_the_last_ones_may_be_cut) {
    const float scales[] = {1, 2, 4, 8, 16, 32}; // [2, 3] of [130, 300]
    memset(big, 0x38, sizeof big);
    linear((qp_ck_scheme){.element = QP_ELEM_E4M3, .bits = 8, .pack = QP_CK_BYTES, .spread = QP_CK_TILE}, 1,
           130, 300);
    part(QP_CK_WEIGHT, QP_ST_F8_E4M3, "[130, 300]", big);
    part(QP_CK_SCALE, QP_ST_F32, "[2, 3]", scales);
    for (int four = 0; four < 2; four++, s.spread = QP_CK_TILE_4D) {
        ck_assert_double_eq(at(127, 127), 1);
        ck_assert_double_eq(at(0, 128), 2);
        ck_assert_double_eq(at(127, 299), 4);
        ck_assert_double_eq(at(128, 127), 8);
        ck_assert_double_eq(at(129, 255), 16);
        ck_assert_double_eq(at(128, 256), 32);
    }
}
END_TEST

START_TEST(tiles_of_fused_experts_are_not_turned_with_their_codes) {
    // codes [2, in 384, out 256]; scales [2, out / 128 = 2, 1, in / 128 = 3, 1]
    const float scales[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};
    memset(big, 0x38, sizeof big);
    big[130 * 256 + 5] = 0x40;               // expert 0, in 130, out 5: 2
    big[384 * 256 + 383 * 256 + 128] = 0xb8; // expert 1, in 383, out 128: -1
    linear((qp_ck_scheme){.element = QP_ELEM_E4M3, .bits = 8, .pack = QP_CK_BYTES, .spread = QP_CK_TILE_3D},
           2, 256, 384);
    part(QP_CK_WEIGHT, QP_ST_F8_E4M3, "[2, 384, 256]", big);
    part(QP_CK_SCALE, QP_ST_F32, "[2, 2, 1, 3, 1]", scales);
    ck_assert_double_eq(at(5, 130), 4);
    ck_assert_double_eq(at(5, 127), 1);
    ck_assert_double_eq(at(128, 300), 32);
    ck_assert_double_eq(at(256 + 128, 383), -2048);
    ck_assert_double_eq(at(256 + 127, 0), 64);
}
END_TEST

// ---- streams

START_TEST(four_codes_of_six_bits_lie_in_three_bytes) {
    // E2M3 codes 1, 2, 3, 63: 000001 | 000010 | 000011 | 111111 from the lowest bit: 81 30 fc
    uint8_t w[2][24] = {{0x81, 0x30, 0xfc}};
    const uint8_t scales[] = {130, 127};
    w[1][23] = 0x20; // column 31: 001000, the least normal
    linear(
        (qp_ck_scheme){
            .element = QP_ELEM_E2M3, .bits = 6, .group_size = 32, .pack = QP_CK_SIX, .spread = QP_CK_GROUP},
        1, 2, 32);
    part(QP_CK_WEIGHT, QP_ST_U8, "[2, 24]", w);
    part(QP_CK_SCALE, QP_ST_U8, "[2, 1]", scales);
    const double want[32] = {1, 2, 3, -60}; // 1/8, 2/8, 3/8, -7.5 of 8
    means(0, 1, want);
    ck_assert_double_eq(at(1, 31), 1);
    ck_assert_uint_eq(qp_ck_code(&m, 0, 3), 63);
}
END_TEST

START_TEST(words_of_compressed_tensors_hold_code_plus_half_the_range) {
    // 4 bits, codes 8 9 a 7 0 f 8 8 of columns 0..7, 1 of column 8
    const uint32_t w[] = {0x88f07a98, 0x00000001};
    const float scale = 2.0f;
    linear((qp_ck_scheme){.element = QP_ELEM_INT4, .bits = 4, .pack = QP_CK_WORDS, .spread = QP_CK_ROW}, 1, 1,
           9);
    part(QP_CK_WEIGHT, QP_ST_I32, "[1, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 1]", &scale);
    means(0, 1, (double[]){0, 2, 4, -2, -16, 14, 0, 0, -14});
}
END_TEST

START_TEST(three_bits_run_across_words) {
    // codes 7 at column 10 (bits 30..32) and 5 at column 11 (bits 33..35); the others 0
    const uint32_t w[] = {0xc0000000, 0x0000000b};
    const float scale = 1.0f;
    linear((qp_ck_scheme){.element = QP_ELEM_INT4, .bits = 3, .pack = QP_CK_WORDS, .spread = QP_CK_ROW}, 1, 1,
           12);
    part(QP_CK_WEIGHT, QP_ST_I32, "[1, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 1]", &scale);
    means(0, 1, (double[]){-4, -4, -4, -4, -4, -4, -4, -4, -4, -4, 3, 1});
}
END_TEST

START_TEST(six_bits_run_across_words) {
    // code 0x2d at column 5: bits 30..35, its lowest two in word 0; code 1 at column 6: bits 36..41
    const uint32_t w[] = {0x40000000, 0x0000001b};
    const float scale = 1.0f;
    linear((qp_ck_scheme){.element = QP_ELEM_INT8, .bits = 6, .pack = QP_CK_WORDS, .spread = QP_CK_ROW}, 1, 1,
           7);
    part(QP_CK_WEIGHT, QP_ST_I32, "[1, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 1]", &scale);
    means(0, 1, (double[]){-32, -32, -32, -32, -32, 13, -31});
}
END_TEST

START_TEST(zero_points_of_compressed_tensors_are_packed_along_out) {
    // [2, 16], groups of 8: zeros I32 [1, 2], row 0 in nibble 0, row 1 in nibble 1, offset like the codes
    const uint32_t w[] = {0x33333333, 0x33333333, 0x99999999, 0x99999999}, zeros[] = {0x00000051, 0x000000a4};
    const float scales[] = {1, 2, 4, 8};
    double want[32];
    linear(
        (qp_ck_scheme){
            .element = QP_ELEM_INT4, .bits = 4, .group_size = 8, .pack = QP_CK_WORDS, .spread = QP_CK_GROUP},
        1, 2, 16);
    part(QP_CK_WEIGHT, QP_ST_I32, "[2, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[2, 2]", scales);
    part(QP_CK_ZERO, QP_ST_I32, "[1, 2]", zeros);
    for (int c = 0; c < 8; c++) want[c] = 2, want[8 + c] = -2, want[16 + c] = 16, want[24 + c] = -8;
    means(0, 2, want); // (3-1)1, (3-4)2, (9-5)4, (9-10)8
}
END_TEST

START_TEST(columns_ordered_by_activation_take_the_scale_of_their_group) {
    const uint32_t w[] = {0x99999999};
    const int32_t groups[] = {1, 0, 0, 1, 1, 0, 0, 1};
    const float scales[] = {1, 10};
    linear(
        (qp_ck_scheme){
            .element = QP_ELEM_INT4, .bits = 4, .group_size = 4, .pack = QP_CK_WORDS, .spread = QP_CK_GROUP},
        1, 1, 8);
    part(QP_CK_WEIGHT, QP_ST_I32, "[1, 1]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 2]", scales);
    means(0, 1, (double[]){1, 1, 1, 1, 10, 10, 10, 10});
    part(QP_CK_G_IDX, QP_ST_I32, "[8]", groups);
    means(0, 1, (double[]){10, 1, 1, 10, 10, 1, 1, 10});
}
END_TEST

// ---- AWQ and GPTQ

START_TEST(nibbles_of_awq_are_outs_0_2_4_6_1_3_5_7_and_the_zero_is_true) {
    // in = 2: nibbles of word 0 from the lowest: 1 2 3 4 5 6 7 8 belong to out 0 2 4 6 1 3 5 7
    const uint32_t w[] = {0x87654321, 0xffffffff}, zeros = 0x00000021; // zero of out 0: 1, of out 2: 2
    const uint16_t scales[] = {0x3c00, 0x3c00, 0x4000, 0x3c00,
                               0x3c00, 0x3c00, 0x3c00, 0x3800}; // FP16 1, 2, 0.5
    linear((qp_ck_scheme){.element = QP_ELEM_INT4,
                          .bits = 4,
                          .group_size = 2,
                          .pack = QP_CK_WORDS_OUT,
                          .spread = QP_CK_GROUP_T},
           1, 8, 2);
    part(QP_CK_WEIGHT, QP_ST_I32, "[2, 1]", w);
    part(QP_CK_SCALE, QP_ST_F16, "[1, 8]", scales);
    part(QP_CK_ZERO, QP_ST_I32, "[1, 1]", &zeros);
    means(0, 8, (double[]){0, 14, 5, 15, 0, 26, 6, 15, 3, 15, 7, 15, 4, 15, 4, 7.5});
}
END_TEST

static void gptq(const char *said, uint32_t zeros) {
    // in = 8, out = 2 of a word of zeros: qweight [1, 2], nibble c is column c
    static const uint32_t w[] = {0x76543210, 0xfedcba98};
    static const float scales[] = {1, 2};
    static uint32_t stored;
    stored = zeros;
    linear((qp_ck_scheme){.said = said,
                          .element = QP_ELEM_INT4,
                          .bits = 4,
                          .group_size = -1,
                          .pack = QP_CK_WORDS_IN,
                          .spread = QP_CK_GROUP_T},
           1, 2, 8);
    part(QP_CK_WEIGHT, QP_ST_I32, "[1, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 2]", scales);
    part(QP_CK_ZERO, QP_ST_I32, "[1, 1]", &stored);
}

START_TEST(gptq_stores_the_zero_less_one_and_v2_as_it_is) {
    gptq("gptq", 0x00000027); // 7 + 1 = 8, 2 + 1 = 3
    means(0, 2, (double[]){-8, -7, -6, -5, -4, -3, -2, -1, 10, 12, 14, 16, 18, 20, 22, 24});
    gptq("gptq_v2", 0x00000027);
    means(0, 2, (double[]){-7, -6, -5, -4, -3, -2, -1, 0, 12, 14, 16, 18, 20, 22, 24, 26});
}
END_TEST

START_TEST(a_stored_zero_of_15_is_16_in_v1_and_never_0) {
    // auto_gptq adds one to the code taken out, without a wrap; gptqmodel to whole words, which would carry
    gptq("gptq", 0x0000000f);
    ck_assert_double_eq(at(0, 0), -16);
    ck_assert_double_eq(at(0, 7), -9);
    ck_assert_double_eq(at(1, 0), 14); // stored 0: zero 1, the neighbour does not carry into it
    gptq("gptq_v2", 0x0000000f);
    ck_assert_double_eq(at(0, 0), -15);
}
END_TEST

START_TEST(groups_of_gptq_follow_g_idx_in_scales_and_zeros) {
    const uint32_t zeros[] = {0x00000000, 0x00000099}; // groups 0 and 1, v1: 1 and 10
    const int32_t groups[] = {1, 0, 1, 0, 0, 1, 0, 1};
    const float scales[] = {1, 2, 100, 200};
    gptq("gptq", 0);
    s.group_size = 4;
    part(QP_CK_SCALE, QP_ST_F32, "[2, 2]", scales);
    part(QP_CK_ZERO, QP_ST_I32, "[2, 1]", zeros);
    part(QP_CK_G_IDX, QP_ST_I32, "[8]", groups);
    means(0, 2, (double[]){-1000, 0, -800, 2, 3, -500, 5, -300, -400, 16, 0, 20, 22, 600, 26, 1000});
}
END_TEST

START_TEST(gptq_of_three_bits_runs_down_the_words_of_a_column) {
    // in = 32: three words a column. out 1: code 6 at input 10 (bits 30..32), code 3 at input 21
    // (bits 63..65)
    const uint32_t w[] = {0, 0x80000000, 0, 0x80000001, 0, 0x00000001}, zeros[] = {0, 0};
    const float scales[] = {1, 1};
    double want[32];
    for (int c = 0; c < 32; c++) want[c] = 0;
    want[10] = 6, want[21] = 3;
    linear((qp_ck_scheme){.said = "gptq_v2",
                          .element = QP_ELEM_INT4,
                          .bits = 3,
                          .group_size = -1,
                          .pack = QP_CK_WORDS_IN,
                          .spread = QP_CK_GROUP_T},
           1, 2, 32);
    part(QP_CK_WEIGHT, QP_ST_I32, "[3, 2]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 2]", scales);
    part(QP_CK_ZERO, QP_ST_I32, "[1, 1]", zeros);
    means(1, 1, want);
}
END_TEST

START_TEST(eight_bits_of_gptq_are_bytes_of_a_column) {
    const uint32_t w[] = {0xff800100}, zeros = 0x0000007f; // v1: 128
    const float scale = 0.5f;
    linear((qp_ck_scheme){.said = "gptq",
                          .element = QP_ELEM_INT8,
                          .bits = 8,
                          .group_size = -1,
                          .pack = QP_CK_WORDS_IN,
                          .spread = QP_CK_GROUP_T},
           1, 1, 4);
    part(QP_CK_WEIGHT, QP_ST_I32, "[1, 1]", w);
    part(QP_CK_SCALE, QP_ST_F32, "[1, 1]", &scale);
    part(QP_CK_ZERO, QP_ST_I32, "[1, 1]", &zeros);
    means(0, 1, (double[]){-64, -63.5, 0, 63.5});
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dequant");
    TCase *t = tcase_create("dequant");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_plain_weight_is_its_numbers);
    tcase_add_test(t, fp8_bytes_times_one_scale_a_row_or_a_tensor);
    tcase_add_test(t, int8_bytes_are_signed_and_the_zero_point_comes_off_before_the_scale);
    tcase_add_test(t, an_even_column_of_nvfp4_is_the_low_nibble_and_its_global_multiplies_or_divides);
    tcase_add_test(t, e8m0_bytes_are_powers_of_two);
    tcase_add_test(t, blocks_of_gpt_oss_are_rows_of_pairs_for_each_expert);
    tcase_add_test(t, rows_of_int4_pair_up_and_a_second_scale_of_w4a8_does_not_multiply);
    tcase_add_test(t, fused_experts_pair_rows_of_in_and_each_may_have_its_global);
    tcase_add_test(t, a_tile_is_128_by_128_and_the_last_ones_may_be_cut);
    tcase_add_test(t, tiles_of_fused_experts_are_not_turned_with_their_codes);
    tcase_add_test(t, four_codes_of_six_bits_lie_in_three_bytes);
    tcase_add_test(t, words_of_compressed_tensors_hold_code_plus_half_the_range);
    tcase_add_test(t, three_bits_run_across_words);
    tcase_add_test(t, six_bits_run_across_words);
    tcase_add_test(t, zero_points_of_compressed_tensors_are_packed_along_out);
    tcase_add_test(t, columns_ordered_by_activation_take_the_scale_of_their_group);
    tcase_add_test(t, nibbles_of_awq_are_outs_0_2_4_6_1_3_5_7_and_the_zero_is_true);
    tcase_add_test(t, gptq_stores_the_zero_less_one_and_v2_as_it_is);
    tcase_add_test(t, a_stored_zero_of_15_is_16_in_v1_and_never_0);
    tcase_add_test(t, groups_of_gptq_follow_g_idx_in_scales_and_zeros);
    tcase_add_test(t, gptq_of_three_bits_runs_down_the_words_of_a_column);
    tcase_add_test(t, eight_bits_of_gptq_are_bytes_of_a_column);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
