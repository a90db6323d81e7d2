// SPDX-License-Identifier: Apache-2.0
// The fast scans against one element at a time, on random bytes, odd lengths and unaligned data; the blocks
// behind a scale against the way from element to scale.
#include "audit/dequant.h"
#include "by_hand.h"

enum { ROOM = 4096 + 64 };

static qp_ck_stats fp4_one_by_one(const uint8_t *codes, size_t block_bytes, size_t n, size_t step,
                                  size_t pitch) {
    qp_ck_stats s = qp_stats_none;
    for (size_t b = 0; b < n; b++) {
        bool zero = true, top = false;
        for (size_t i = 0; i < 2 * block_bytes; i++) {
            const unsigned code = codes[b * step + i / 2 * pitch] >> (i % 2 * 4) & 7;
            if (code != 0) zero = false;
            if (code == 7) top = true;
        }
        s.n_blocks++;
        s.n_zero_blocks += zero;
        s.n_top += top;
    }
    return s;
}

static void same_fp4(const qp_ck_stats *got, const qp_ck_stats *want) {
    ck_assert_uint_eq(got->n_blocks, want->n_blocks);
    ck_assert_uint_eq(got->n_zero_blocks, want->n_zero_blocks);
    ck_assert_uint_eq(got->n_top, want->n_top);
}

// Mostly zeros, signs set at random, so that zero blocks and blocks without a top are common.
static void sparse(uint8_t *bytes, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = hand_random(&seed);
        bytes[i] = (uint8_t)((r & 0x88) | (r >> 8 & 31 ? 0 : r >> 16 & 0xff));
    }
}

START_TEST(fp4_blocks_are_counted_as_one_nibble_at_a_time_says) {
    static const size_t sizes[] = {8, 16, 1, 4, 12, 24, 64};
    uint8_t bytes[ROOM];
    bool saw_zero = false, saw_partial = false;
    for (uint64_t seed = 1; seed < 40; seed++)
        for (int k = 0; k < QP_COUNT(sizes); k++) {
            sparse(bytes, sizeof bytes, seed);
            const size_t n = 4096 / sizes[k] - seed % 3;
            const uint8_t *at = bytes + seed % 9; // unaligned
            qp_ck_stats got = qp_stats_none, want = fp4_one_by_one(at, sizes[k], n, sizes[k], 1);
            qp_scan_fp4(at, sizes[k], n, &got);
            same_fp4(&got, &want);
            saw_zero |= sizes[k] == 16 && want.n_zero_blocks > 0;
            saw_partial |= sizes[k] == 16 && want.n_top > 0 && want.n_top < n - want.n_zero_blocks;
        }
    ck_assert(saw_zero && saw_partial);
}
END_TEST

START_TEST(every_nibble_position_and_value_is_seen_in_a_block) {
    for (size_t size = 8; size <= 16; size += 8)
        for (size_t i = 0; i < 2 * size; i++)
            for (unsigned code = 0; code < 16; code++) {
                uint8_t bytes[16] = {0};
                qp_ck_stats s = qp_stats_none;
                bytes[i / 2] = (uint8_t)(code << i % 2 * 4);
                qp_scan_fp4(bytes, size, 1, &s);
                ck_assert_uint_eq(s.n_zero_blocks, code % 8 == 0);
                ck_assert_uint_eq(s.n_top, code % 8 == 7);
            }
}
END_TEST

START_TEST(blocks_that_run_down_columns_are_counted_as_one_nibble_at_a_time_says) {
    enum { PAIR_ROWS = 8 };
    static uint8_t bytes[PAIR_ROWS * 2500];
    static const size_t widths[] = {1, 3, 1023, 1024, 1025, 2500};
    for (int k = 0; k < QP_COUNT(widths); k++) {
        sparse(bytes, sizeof bytes, 7 + (uint64_t)k);
        qp_ck_stats got = qp_stats_none, want = fp4_one_by_one(bytes, PAIR_ROWS, widths[k], 1, widths[k]);
        qp_scan_fp4_columns(bytes, PAIR_ROWS, widths[k], &got);
        same_fp4(&got, &want);
    }
}
END_TEST

START_TEST(e4m3_nan_codes_are_counted_wherever_they_stand) {
    static uint8_t bytes[3 * 4096 + 17];
    for (uint64_t seed = 1; seed < 60; seed++) {
        hand_fill(bytes, sizeof bytes, seed);
        for (size_t i = 0; i < sizeof bytes; i++)
            if ((bytes[i] & 0x7f) == 0x7f && bytes[i] / 128 + hand_random(&seed) % 500 != 0) bytes[i] = 0x7e;
        const size_t from = seed % 5, n = sizeof bytes - from - seed % 4100;
        bytes[from + hand_random(&seed) % n] = seed % 2 ? 0x7f : 0xff;
        uint64_t count = 0, first = UINT64_MAX;
        for (size_t i = from; i < from + n; i++) {
            if (bytes[i] != 0x7f && bytes[i] != 0xff) continue;
            if (count++ == 0) first = i + 1000;
        }
        qp_ck_stats s = qp_stats_none;
        qp_scan_e4m3(bytes + from, from + 1000, n, &s);
        ck_assert_uint_eq(s.n_code_nan, count);
        ck_assert_uint_eq(s.first_code_nan, first);
        ck_assert_uint_gt(count, 0);
    }
}
END_TEST

START_TEST(a_lone_nan_code_of_either_sign_is_seen_among_positive_codes) {
    uint8_t bytes[100];
    for (int sign = 0; sign < 2; sign++) {
        qp_ck_stats s = qp_stats_none;
        memset(bytes, 0x11, sizeof bytes);
        bytes[77] = sign ? 0xff : 0x7f;
        qp_scan_e4m3(bytes, 0, sizeof bytes, &s);
        ck_assert_uint_eq(s.n_code_nan, 1);
        ck_assert_uint_eq(s.first_code_nan, 77);
    }
}
END_TEST

// ---- scales -------------------------------------------------------------------------------------

static const qp_st_type scale_types[] = {QP_ST_F8_E4M3, QP_ST_F8_E8M0, QP_ST_U8,
                                         QP_ST_BF16,    QP_ST_F16,     QP_ST_F32};

static qp_ck_stats scales_one_by_one(const qp_ck_tensor *t, uint64_t from, uint64_t n) {
    qp_ck_stats s = qp_stats_none;
    for (uint64_t i = from; i < from + n; i++) {
        const float x = qp_float_of(qp_ck_f32(t, i));
        const bool nan = x != x, zero = x == 0, inf = !nan && x - x != 0, negative = !inf && x < 0;
        uint64_t *const counts[] = {&s.n_nan, &s.n_zero, &s.n_inf, &s.n_negative};
        uint64_t *const firsts[] = {&s.first_nan, &s.first_zero, &s.first_inf, &s.first_negative};
        const bool is[] = {nan, zero, inf, negative};
        s.n_scales++;
        for (int k = 0; k < 4; k++)
            if (is[k] && (*counts[k])++ == 0) *firsts[k] = i;
        if (nan || zero || inf || negative) continue;
        if (s.max_scale == 0 || x > qp_float_of(s.max_scale)) s.max_scale = qp_image_of(x);
        if (s.min_scale == 0 || x < qp_float_of(s.min_scale)) s.min_scale = qp_image_of(x);
    }
    return s;
}

START_TEST(scales_of_every_type_are_counted_as_one_at_a_time_says) {
    static uint8_t bytes[4 * 9000 + 8];
    qp_arena *a = qp_arena_new();
    bool saw[4] = {false};
    for (uint64_t seed = 1; seed < 60; seed++)
        for (int k = 0; k < QP_COUNT(scale_types); k++) {
            const size_t size = (size_t)qp_st_dtypes[scale_types[k]].bits / 8;
            hand_fill(bytes, sizeof bytes, seed);
            // Every other time a sound tensor: no sign, a small exponent, so that the fast path answers.
            for (size_t i = 0; seed % 2 && i < sizeof bytes; i++) bytes[i] = (uint8_t)(bytes[i] % 0x70 + 1);
            if (seed % 5 == 0) memset(bytes + seed, 0, 64);
            qp_ck_tensor *t = hand_tensor(a, "s", scale_types[k], "[9000]", bytes + seed % 4);
            qp_ck_module m = {.part[QP_CK_SCALE] = t}; // no codes: a zero counts as live
            const uint64_t from = seed % 7, n = 9000 - from - seed * 11 % 4500;
            qp_ck_stats got = qp_stats_none, want = scales_one_by_one(t, from, n);
            qp_scan_scales(&m, from, n, &got);
            want.n_zero_live = want.n_zero;
            want.first_zero_live = want.first_zero;
            ck_assert_mem_eq(&got, &want, sizeof got);
            ck_assert_uint_lt(size, 5);
            saw[0] |= want.n_nan > 0, saw[1] |= want.n_inf > 0, saw[2] |= want.n_zero > 0;
            saw[3] |= want.n_negative > 0;
        }
    ck_assert(saw[0] && saw[1] && saw[2] && saw[3]);
    qp_arena_free(a);
}
END_TEST

START_TEST(minus_zero_is_a_zero_and_minus_infinity_an_infinity) {
    static const uint32_t images[] = {0x80000000, 0xff800000, 0xffc00000, 0xbf800000};
    qp_arena *a = qp_arena_new();
    qp_ck_module m = {.part[QP_CK_SCALE] = hand_tensor(a, "s", QP_ST_F32, "[4]", images)};
    qp_ck_stats s = qp_stats_none;
    qp_scan_scales(&m, 0, 4, &s);
    ck_assert_uint_eq(s.n_zero, 1);
    ck_assert_uint_eq(s.first_zero, 0);
    ck_assert_uint_eq(s.n_inf, 1);
    ck_assert_uint_eq(s.first_inf, 1);
    ck_assert_uint_eq(s.n_nan, 1);
    ck_assert_uint_eq(s.first_nan, 2);
    ck_assert_uint_eq(s.n_negative, 1);
    ck_assert_uint_eq(s.first_negative, 3);
    qp_arena_free(a);
}
END_TEST

// Images next to the sound range, one at a time among ones: the fast path must let none through.
static const struct edge {
    qp_st_type type;
    uint32_t one, image;
    size_t nan, inf, zero, negative;
} edges[] = {
    {QP_ST_F8_E4M3, 0x38, 0x7f, 1, 0, 0, 0},
    {QP_ST_F8_E4M3, 0x38, 0x00, 0, 0, 1, 0},
    {QP_ST_F8_E4M3, 0x38, 0x81, 0, 0, 0, 1},
    {QP_ST_F8_E4M3, 0x38, 0x7e, 0, 0, 0, 0},
    {QP_ST_U8, 0x7f, 0xff, 1, 0, 0, 0},
    {QP_ST_F8_E8M0, 0x7f, 0xff, 1, 0, 0, 0},
    {QP_ST_BF16, 0x3f80, 0x7f80, 0, 1, 0, 0},
    {QP_ST_BF16, 0x3f80, 0x7f81, 1, 0, 0, 0},
    {QP_ST_BF16, 0x3f80, 0x0000, 0, 0, 1, 0},
    {QP_ST_BF16, 0x3f80, 0x8001, 0, 0, 0, 1},
    {QP_ST_F16, 0x3c00, 0x7c00, 0, 1, 0, 0},
    {QP_ST_F16, 0x3c00, 0x7c01, 1, 0, 0, 0},
    {QP_ST_F16, 0x3c00, 0x7bff, 0, 0, 0, 0},
    {QP_ST_F32, 0x3f800000, 0x7f800000, 0, 1, 0, 0},
    {QP_ST_F32, 0x3f800000, 0x7f800001, 1, 0, 0, 0},
    {QP_ST_F32, 0x3f800000, 0x00000000, 0, 0, 1, 0},
    {QP_ST_F32, 0x3f800000, 0x80000001, 0, 0, 0, 1},
};

START_TEST(one_bad_scale_among_sound_ones_is_seen) {
    const struct edge *e = &edges[_i];
    const size_t size = (size_t)qp_st_dtypes[e->type].bits / 8;
    uint8_t bytes[50 * 4];
    for (size_t i = 0; i < 50; i++) memcpy(bytes + i * size, i == 31 ? &e->image : &e->one, size);
    qp_arena *a = qp_arena_new();
    qp_ck_module m = {.part[QP_CK_SCALE] = hand_tensor(a, "s", e->type, "[50]", bytes)};
    qp_ck_stats s = qp_stats_none;
    qp_scan_scales(&m, 0, 50, &s);
    ck_assert_uint_eq(s.n_nan, e->nan);
    ck_assert_uint_eq(s.n_inf, e->inf);
    ck_assert_uint_eq(s.n_zero, e->zero);
    ck_assert_uint_eq(s.n_negative, e->negative);
    qp_arena_free(a);
}
END_TEST

START_TEST(byte_0_of_e8m0_is_a_small_scale_and_not_zero) {
    static const uint8_t bytes[] = {0, 127, 254, 255};
    qp_arena *a = qp_arena_new();
    qp_ck_module m = {.part[QP_CK_SCALE] = hand_tensor(a, "s", QP_ST_U8, "[4]", bytes)};
    qp_ck_stats s = qp_stats_none;
    qp_scan_scales(&m, 0, 3, &s);
    ck_assert_uint_eq(s.n_zero + s.n_nan, 0);
    ck_assert(qp_float_of(s.min_scale) == 0x1p-127f && qp_float_of(s.max_scale) == 0x1p127f);
    qp_scan_scales(&m, 3, 1, &s);
    ck_assert_uint_eq(s.n_nan, 1);
    qp_arena_free(a);
}
END_TEST

// ---- blocks behind a scale ----------------------------------------------------------------------

static const struct place {
    const char *what;
    qp_element element;
    int bits, group;
    qp_ck_pack pack;
    qp_ck_spread spread;
    int64_t stack, out, in;
    const char *scales; // shape
    uint8_t zero;       // byte of zero codes
    bool g_idx;
} places[] = {
    {"nvfp4", QP_ELEM_E2M1, 4, 16, QP_CK_PAIRS, QP_CK_GROUP, 1, 6, 64, "[6, 4]", 0x80, false},
    {"ragged groups", QP_ELEM_E2M1, 4, 16, QP_CK_PAIRS, QP_CK_GROUP, 1, 6, 40, "[6, 3]", 0x08, false},
    {"gpt-oss", QP_ELEM_E2M1, 4, 32, QP_CK_BLOCKS, QP_CK_GROUP, 2, 4, 64, "[2, 4, 2]", 0, false},
    {"fused nvfp4", QP_ELEM_E2M1, 4, 16, QP_CK_IN_PAIRS, QP_CK_GROUP_T, 2, 8, 32, "[2, 2, 8]", 0, false},
    {"fp8 tensor", QP_ELEM_E4M3, 8, 0, QP_CK_BYTES, QP_CK_ONE, 1, 8, 32, "[]", 0x80, false},
    {"int8 rows", QP_ELEM_INT8, 8, 0, QP_CK_BYTES, QP_CK_ROW, 1, 8, 32, "[8]", 0, false},
    {"fp8 tiles", QP_ELEM_E4M3, 8, 128, QP_CK_BYTES, QP_CK_TILE, 1, 130, 300, "[2, 3]", 0, false},
    {"fp8 4-d", QP_ELEM_E4M3, 8, 0, QP_CK_BYTES, QP_CK_TILE_4D, 1, 130, 300, "[2, 1, 3, 1]", 0, false},
    {"fused tiles", QP_ELEM_E4M3, 8, 0, QP_CK_BYTES, QP_CK_TILE_3D, 2, 130, 300, "[2, 3, 1, 2, 1]", 0, false},
    {"mxfp6", QP_ELEM_E2M3, 6, 32, QP_CK_SIX, QP_CK_GROUP, 1, 4, 64, "[4, 2]", 0, false},
    {"row pairs", QP_ELEM_INT4, 4, 16, QP_CK_ROW_PAIRS, QP_CK_GROUP, 1, 4, 32, "[4, 2]", 0, false},
    {"int4 words", QP_ELEM_INT4, 4, 32, QP_CK_WORDS, QP_CK_GROUP, 1, 4, 64, "[4, 2]", 0x88, false},
    {"int8 words", QP_ELEM_INT8, 8, 32, QP_CK_WORDS, QP_CK_GROUP, 1, 4, 64, "[4, 2]", 0x80, false},
    {"gptq", QP_ELEM_INT4, 4, 16, QP_CK_WORDS_IN, QP_CK_GROUP_T, 1, 8, 32, "[2, 8]", 0x88, false},
    {"gptq act order", QP_ELEM_INT4, 4, 16, QP_CK_WORDS_IN, QP_CK_GROUP_T, 1, 8, 32, "[2, 8]", 0x88, true},
    {"awq", QP_ELEM_INT4, 4, 16, QP_CK_WORDS_OUT, QP_CK_GROUP_T, 1, 8, 32, "[2, 8]", 0x88, false},
};

// Which scales cover a code that is not zero: element by element, the other way round than qp_block_is_zero.
static void live_scales(const qp_ck_module *m, unsigned zero, bool *live) {
    for (int64_t r = 0; r < m->stack * m->out; r++)
        for (int64_t c = 0; c < m->in; c++) {
            const unsigned code = qp_ck_code(m, r, c);
            const unsigned mask = m->scheme->element == QP_ELEM_E2M1   ? 7
                                  : m->scheme->element == QP_ELEM_E4M3 ? 0x7f
                                  : m->scheme->element == QP_ELEM_E2M3 ? 0x1f
                                                                       : 0xff;
            if ((code & mask) != (zero & mask)) live[qp_ck_scale_at(m, r, c)] = true;
        }
}

START_TEST(a_scale_covers_exactly_the_codes_that_use_it) {
    const struct place *p = &places[_i];
    static uint8_t codes[2 * 130 * 300], scales[4 * 64];
    static int32_t g_idx[32];
    qp_arena *a = qp_arena_new();
    const size_t n_codes = (size_t)(p->stack * p->out * p->in * p->bits / 8);
    for (int i = 0; i < 32; i++) g_idx[i] = i % 2;
    qp_ck_scheme s = {.element = p->element,
                      .bits = p->bits,
                      .group_size = p->group,
                      .pack = p->pack,
                      .spread = p->spread,
                      .symmetric = true};
    qp_ck_module m = hand_module("m", &s, p->stack, p->out, p->in);
    m.part[QP_CK_SCALE] = hand_tensor(a, "m.scale", QP_ST_F32, p->scales, scales);
    qp_ck_tensor *w = hand_tensor(a, "m.weight", QP_ST_U8, "[0]", codes);
    w->n_bytes = n_codes;
    m.part[QP_CK_WEIGHT] = w;
    if (p->g_idx) m.part[QP_CK_G_IDX] = hand_tensor(a, "m.g_idx", QP_ST_I32, "[32]", g_idx);
    const unsigned zero = p->pack == QP_CK_WORDS || p->pack == QP_CK_WORDS_IN || p->pack == QP_CK_WORDS_OUT
                              ? 1u << (p->bits - 1)
                              : 0;
    uint64_t seed = 5;
    for (int round = 0; round < 40; round++) {
        bool live[64] = {false};
        memset(codes, p->zero, n_codes);
        for (int k = 0; k < round % 4; k++) codes[hand_random(&seed) % n_codes] ^= 0x12;
        live_scales(&m, zero, live);
        for (uint64_t i = 0; i < m.part[QP_CK_SCALE]->n_elems; i++)
            ck_assert_msg(qp_block_is_zero(&m, i) == !live[i], "%s: scale %d", p->what, (int)i);
    }
    qp_arena_free(a);
}
END_TEST

START_TEST(with_a_zero_point_one_code_throughout_may_mean_zero) {
    static uint8_t codes[16], scales[8];
    qp_arena *a = qp_arena_new();
    qp_ck_scheme s = {.element = QP_ELEM_INT8, .bits = 8, .pack = QP_CK_BYTES, .spread = QP_CK_ROW};
    qp_ck_module m = hand_module("m", &s, 1, 2, 8);
    m.part[QP_CK_SCALE] = hand_tensor(a, "m.scale", QP_ST_F32, "[2]", scales);
    m.part[QP_CK_WEIGHT] = hand_tensor(a, "m.weight", QP_ST_I8, "[2, 8]", codes);
    memset(codes, 5, sizeof codes);
    codes[13] = 6;
    ck_assert(qp_block_is_zero(&m, 0));
    ck_assert(!qp_block_is_zero(&m, 1));
    s.symmetric = true;
    ck_assert(!qp_block_is_zero(&m, 0));
    qp_arena_free(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("values_scan");
    TCase *t = tcase_create("scans");
    tcase_add_test(t, fp4_blocks_are_counted_as_one_nibble_at_a_time_says);
    tcase_add_test(t, every_nibble_position_and_value_is_seen_in_a_block);
    tcase_add_test(t, blocks_that_run_down_columns_are_counted_as_one_nibble_at_a_time_says);
    tcase_add_test(t, e4m3_nan_codes_are_counted_wherever_they_stand);
    tcase_add_test(t, scales_of_every_type_are_counted_as_one_at_a_time_says);
    tcase_add_test(t, minus_zero_is_a_zero_and_minus_infinity_an_infinity);
    tcase_add_test(t, a_lone_nan_code_of_either_sign_is_seen_among_positive_codes);
    tcase_add_loop_test(t, one_bad_scale_among_sound_ones_is_seen, 0, QP_COUNT(edges));
    tcase_add_test(t, byte_0_of_e8m0_is_a_small_scale_and_not_zero);
    tcase_add_loop_test(t, a_scale_covers_exactly_the_codes_that_use_it, 0, QP_COUNT(places));
    tcase_add_test(t, with_a_zero_point_one_code_throughout_may_mean_zero);
    suite_add_tcase(s, t);
    return hand_main(s);
}
