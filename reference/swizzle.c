// SPDX-License-Identifier: Apache-2.0
// Where packed codes and block scales lie: nibble orders of the dialects (numerics 10; shapes and checkpoints
// 2.6) and the 128x4 tiles of block scales (numerics 4.6). Places only, no arithmetic on values.
#include "qp/refcalib.h"
#include "ref_internal.h"

static int64_t up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

// ---- nibbles
// -------------------------------------------------------------------------------------------------------

static int64_t at_low_first(int64_t cols, int64_t r, int64_t c) {
    return r * up(cols, 2) + c;
}

static int64_t at_high_first(int64_t cols, int64_t r, int64_t c) {
    return r * up(cols, 2) + (c ^ 1);
}

static int64_t at_row_pairs(int64_t cols, int64_t r, int64_t c) {
    return (r / 2 * cols + c) * 2 + r % 2;
}

// 0 2 4 6 1 3 5 7: even columns fill the low half of a word, odd ones the high half.
static int64_t at_awq_word(int64_t cols, int64_t r, int64_t c) {
    const int64_t in_word = c % 2 * 4 + c % 8 / 2;
    return r * up(cols, 8) + c / 8 * 8 + in_word;
}

static int64_t at_gptq_word(int64_t cols, int64_t r, int64_t c) {
    return (r / 8 * cols + c) * 8 + r % 8;
}

typedef struct order_row {
    int64_t (*at)(int64_t cols, int64_t r, int64_t c);
    int64_t row_unit, col_unit; // rows and cols are padded to these
} order_row;

static const order_row orders[REF_NIBBLES_COUNT] = {
    [REF_NIBBLES_LOW_FIRST] = {at_low_first, 1, 2}, [REF_NIBBLES_HIGH_FIRST] = {at_high_first, 1, 2},
    [REF_NIBBLES_ROW_PAIRS] = {at_row_pairs, 2, 1}, [REF_NIBBLES_AWQ_WORD] = {at_awq_word, 1, 8},
    [REF_NIBBLES_GPTQ_WORD] = {at_gptq_word, 8, 1},
};

int64_t ref_nibble_bytes(ref_nibbles order, int64_t rows, int64_t cols) {
    return up(rows, orders[order].row_unit) * up(cols, orders[order].col_unit) / 2;
}

int64_t ref_nibble_at(ref_nibbles order, int64_t cols, int64_t r, int64_t c) {
    return orders[order].at(cols, r, c);
}

void ref_nibbles_pack(ref_nibbles order, int64_t rows, int64_t cols, const uint8_t *codes, uint8_t *packed) {
    memset(packed, 0, (size_t)ref_nibble_bytes(order, rows, cols));
    for (int64_t i = 0; i < rows * cols; i++) {
        const int64_t at = ref_nibble_at(order, cols, i / cols, i % cols);
        packed[at / 2] |= (uint8_t)((codes[i] & 15) << (at % 2 * 4));
    }
}

void ref_nibbles_unpack(ref_nibbles order, int64_t rows, int64_t cols, const uint8_t *packed,
                        uint8_t *codes) {
    for (int64_t i = 0; i < rows * cols; i++) {
        const int64_t at = ref_nibble_at(order, cols, i / cols, i % cols);
        codes[i] = packed[at / 2] >> (at % 2 * 4) & 15;
    }
}

// ---- block scales
// --------------------------------------------------------------------------------------------------

enum { TILE_ROWS = 128, TILE_COLS = 4, TILE_BYTES = TILE_ROWS * TILE_COLS };

int64_t ref_swizzled_bytes(int64_t rows, int64_t cols) {
    return up(rows, TILE_ROWS) * up(cols, TILE_COLS);
}

int64_t ref_swizzled_at(int64_t cols, int64_t r, int64_t c) {
    const int64_t tiles_across = up(cols, TILE_COLS) / TILE_COLS;
    const int64_t tile = r / TILE_ROWS * tiles_across + c / TILE_COLS;
    return tile * TILE_BYTES + r % 32 * 16 + r % TILE_ROWS / 32 * 4 + c % TILE_COLS;
}

void ref_swizzle(int64_t rows, int64_t cols, const uint8_t *plain, uint8_t *tiled) {
    memset(tiled, 0, (size_t)ref_swizzled_bytes(rows, cols));
    for (int64_t i = 0; i < rows * cols; i++) tiled[ref_swizzled_at(cols, i / cols, i % cols)] = plain[i];
}

void ref_unswizzle(int64_t rows, int64_t cols, const uint8_t *tiled, uint8_t *plain) {
    for (int64_t i = 0; i < rows * cols; i++) plain[i] = tiled[ref_swizzled_at(cols, i / cols, i % cols)];
}
