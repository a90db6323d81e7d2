// SPDX-License-Identifier: Apache-2.0
// Layouts of codes and scales: each is a bijection onto its places, padding is zero, and the orders are those
// of the dialects (numerics 4.6, 10; shapes and checkpoints 2.6).
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "qp/refcalib.h"

typedef struct shape {
    int64_t rows, cols;
} shape;

static const shape shapes[] = {{1, 1},    {1, 16},   {2, 8},  {5, 3},    {8, 8},   {7, 17},   {16, 10},
                               {31, 4},   {32, 4},   {33, 5}, {127, 4},  {128, 4}, {128, 8},  {129, 4},
                               {200, 10}, {256, 12}, {3, 29}, {260, 17}, {1, 33},  {384, 128}};

static uint8_t *bytes(int64_t n) {
    uint8_t *p = malloc((size_t)n);
    ck_assert_ptr_nonnull(p);
    return p;
}

// ---- block scales
// ----------------------------------------------------------------------------------------------

START_TEST(offsets_of_the_128x4_tiles_are_those_of_the_spec) {
    for (int64_t cols = 1; cols < 20; cols++) {
        ck_assert_int_eq(ref_swizzled_at(cols, 1, 0), 16);
        ck_assert_int_eq(ref_swizzled_at(cols, 32, 0), 4);
        ck_assert_int_eq(ref_swizzled_at(cols, 0, 4), 512);
        ck_assert_int_eq(ref_swizzled_at(cols, 128, 0), 128 * ((cols + 3) / 4 * 4));
        ck_assert_int_eq(ref_swizzled_at(cols, 0, 3), 3);
        ck_assert_int_eq(ref_swizzled_at(cols, 127, 3), 511);
    }
    ck_assert_int_eq(ref_swizzled_bytes(200, 10), 256 * 12);
    ck_assert_int_eq(ref_swizzled_bytes(128, 4), 512);
    ck_assert_int_eq(ref_swizzled_bytes(129, 5), 256 * 8);
}
END_TEST

// The same tiles by another road: split both indices, then order the axes row tile, column tile, row % 32,
// row % 128 / 32, column % 4 (shapes and checkpoints 2.8).
static int64_t place_by_axes(int64_t cols, int64_t r, int64_t c) {
    const int64_t sizes[] = {1, (cols + 3) / 4, 32, 4, 4};
    const int64_t index[] = {r / 128, c / 4, r % 32, r % 128 / 32, c % 4};
    int64_t at = 0;
    for (int k = 0; k < 5; k++) at = at * sizes[k] + index[k];
    return at;
}

START_TEST(swizzle_is_a_bijection_and_every_padded_byte_is_zero) {
    for (int s = 0; s < QP_COUNT(shapes); s++) {
        const int64_t rows = shapes[s].rows, cols = shapes[s].cols, n = rows * cols,
                      padded = ref_swizzled_bytes(rows, cols);
        uint8_t *plain = bytes(n), *tiled = bytes(padded), *back = bytes(n), *hit = bytes(padded);
        memset(hit, 0, (size_t)padded);
        memset(tiled, 0xee, (size_t)padded);
        for (int64_t i = 0; i < n; i++) plain[i] = (uint8_t)(1 + i % 255);
        ref_swizzle(rows, cols, plain, tiled);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++) {
                const int64_t at = ref_swizzled_at(cols, r, c);
                ck_assert(at >= 0 && at < padded && at == place_by_axes(cols, r, c));
                ck_assert_uint_eq(hit[at]++, 0);
                ck_assert_uint_eq(tiled[at], plain[r * cols + c]);
            }
        for (int64_t i = 0; i < padded; i++) ck_assert(hit[i] || tiled[i] == 0);
        memset(back, 0xee, (size_t)n);
        ref_unswizzle(rows, cols, tiled, back);
        ck_assert(memcmp(back, plain, (size_t)n) == 0);
        // The other way round: where nothing is padded, swizzle undoes unswizzle.
        if (padded == n) {
            for (int64_t i = 0; i < n; i++) tiled[i] = (uint8_t)(i * 7);
            ref_unswizzle(rows, cols, tiled, back);
            ref_swizzle(rows, cols, back, hit);
            ck_assert(memcmp(hit, tiled, (size_t)n) == 0);
            ck_assert(memcmp(back, tiled, (size_t)n) != 0);
        }
        free(plain);
        free(tiled);
        free(back);
        free(hit);
    }
}
END_TEST

// ---- nibbles
// -----------------------------------------------------------------------------------------------------

START_TEST(every_nibble_order_is_a_bijection_and_padding_is_zero) {
    for (int o = 0; o < REF_NIBBLES_COUNT; o++)
        for (int s = 0; s < QP_COUNT(shapes); s++) {
            const ref_nibbles order = (ref_nibbles)o;
            const int64_t rows = shapes[s].rows, cols = shapes[s].cols, n = rows * cols,
                          size = ref_nibble_bytes(order, rows, cols);
            uint8_t *codes = bytes(n), *packed = bytes(size), *back = bytes(n), *hit = bytes(2 * size);
            memset(hit, 0, 2 * (size_t)size);
            memset(packed, 0xee, (size_t)size);
            for (int64_t i = 0; i < n; i++) codes[i] = (uint8_t)(1 + i % 15);
            ref_nibbles_pack(order, rows, cols, codes, packed);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < cols; c++) {
                    const int64_t at = ref_nibble_at(order, cols, r, c);
                    ck_assert(at >= 0 && at < 2 * size);
                    ck_assert_uint_eq(hit[at]++, 0);
                    ck_assert_uint_eq(packed[at / 2] >> (at % 2 * 4) & 15, codes[r * cols + c]);
                }
            for (int64_t i = 0; i < 2 * size; i++)
                ck_assert(hit[i] || (packed[i / 2] >> (i % 2 * 4) & 15) == 0);
            ref_nibbles_unpack(order, rows, cols, packed, back);
            ck_assert(memcmp(back, codes, (size_t)n) == 0);
            free(codes);
            free(packed);
            free(back);
            free(hit);
        }
}
END_TEST

START_TEST(the_bytes_of_each_dialect_by_hand) {
    static const uint8_t row[8] = {0, 1, 2, 3, 4, 5, 6, 7}, two_rows[4] = {1, 2, 3, 4};
    static const uint8_t low[] = {0x10, 0x32, 0x54, 0x76}, high[] = {0x01, 0x23, 0x45, 0x67},
                         pairs[] = {0x31, 0x42}, awq[] = {0x20, 0x64, 0x31, 0x75};
    uint8_t packed[8];
    ref_nibbles_pack(REF_NIBBLES_LOW_FIRST, 1, 8, row, packed);
    ck_assert(memcmp(packed, low, 4) == 0);
    ref_nibbles_pack(REF_NIBBLES_HIGH_FIRST, 1, 8, row, packed);
    ck_assert(memcmp(packed, high, 4) == 0);
    ref_nibbles_pack(REF_NIBBLES_ROW_PAIRS, 2, 2, two_rows, packed);
    ck_assert(memcmp(packed, pairs, 2) == 0);
    ref_nibbles_pack(REF_NIBBLES_AWQ_WORD, 1, 8, row, packed);
    ck_assert(memcmp(packed, awq, 4) == 0); // columns 0 2 4 6 1 3 5 7 from the low end
    ref_nibbles_pack(REF_NIBBLES_GPTQ_WORD, 8, 1, row, packed);
    ck_assert(memcmp(packed, low, 4) == 0); // one column: rows 0..7 from the low end
    // Two columns: the words of one row of words stand side by side.
    static const uint8_t columns[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
    static const uint8_t words[] = {0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};
    ref_nibbles_pack(REF_NIBBLES_GPTQ_WORD, 8, 2, columns, packed);
    ck_assert(memcmp(packed, words, 8) == 0);
}
END_TEST

// The order that a format's row names is the one its packed tensors have: codes unpacked by it, times the
// scale, are the values.
START_TEST(packed_nvfp4_unpacks_low_first_into_its_values) {
    enum { ROWS = 3, COLS = 23, BLOCKS = 2 };
    float x[ROWS * COLS], values[ROWS * COLS];
    uint8_t packed[ROWS * 12], scales[ROWS * BLOCKS], codes[ROWS * COLS];
    const ref_spec s = {
        .format = QP_NVFP4, .dtype = QP_FP32, .rows = ROWS, .cols = COLS, .global_amax = 0x40400000};
    for (int i = 0; i < ROWS * COLS; i++) x[i] = (float)(i * 37 % 61 - 30) / 10;
    ref_quant(&s, 0, ROWS, x, packed, scales, values, NULL);
    ck_assert(qp_format_get(QP_NVFP4)->nibbles == QP_NIBBLES_LOW_FIRST);
    ref_nibbles_unpack(REF_NIBBLES_LOW_FIRST, ROWS, COLS, packed, codes);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++) {
            const uint32_t scale =
                ref_mul(ref_e4m3_decode(scales[r * BLOCKS + c / 16]), ref_weight_scale_2(&s));
            uint32_t want = ref_mul(ref_e2m1_decode(codes[r * COLS + c]), scale), got;
            memcpy(&got, &values[r * COLS + c], sizeof got);
            ck_assert_uint_eq(got & 0x7fffffffu, want & 0x7fffffffu);
            ck_assert(got == want || (want & 0x7fffffffu) == 0);
        }
}
END_TEST

int main(void) {
    Suite *s = suite_create("swizzle");
    TCase *t = tcase_create("swizzle");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, offsets_of_the_128x4_tiles_are_those_of_the_spec);
    tcase_add_test(t, swizzle_is_a_bijection_and_every_padded_byte_is_zero);
    tcase_add_test(t, every_nibble_order_is_a_bijection_and_padding_is_zero);
    tcase_add_test(t, the_bytes_of_each_dialect_by_hand);
    tcase_add_test(t, packed_nvfp4_unpacks_low_first_into_its_values);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
