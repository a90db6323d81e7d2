// SPDX-License-Identifier: Apache-2.0
// Scans of scale and code bytes, a cache-sized piece at a time. Sound positive finite numbers of every type
// here are ordered as their images, so the smallest and the largest image of a piece say whether each one has
// to be looked at; sound checkpoints never leave the fast loops, which the compiler turns into vectors.
#include "audit/values.h"

#if defined(__x86_64__) && !defined(QP_NO_CLONES) && !defined(__clang__)
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONES
#endif

enum { PIECE = 4096 }; // elements

const qp_ck_stats qp_stats_none = {.first_nan = UINT64_MAX,
                                   .first_inf = UINT64_MAX,
                                   .first_negative = UINT64_MAX,
                                   .first_zero = UINT64_MAX,
                                   .first_zero_live = UINT64_MAX,
                                   .first_zero_dead = UINT64_MAX,
                                   .first_code_nan = UINT64_MAX};

static void lower(uint64_t *into, uint64_t value) {
    if (value < *into) *into = value;
}

static void widen(qp_ck_stats *s, uint32_t low, uint32_t high) { // images of positive finite numbers
    if (s->min_scale == 0 || low < s->min_scale) s->min_scale = low;
    if (high > s->max_scale) s->max_scale = high;
}

void qp_stats_merge(qp_ck_stats *into, const qp_ck_stats *part) {
    into->n_scales += part->n_scales;
    into->n_nan += part->n_nan;
    into->n_inf += part->n_inf;
    into->n_negative += part->n_negative;
    into->n_zero += part->n_zero;
    into->n_zero_live += part->n_zero_live;
    into->n_blocks += part->n_blocks;
    into->n_zero_blocks += part->n_zero_blocks;
    into->n_top += part->n_top;
    into->n_code_nan += part->n_code_nan;
    lower(&into->first_nan, part->first_nan);
    lower(&into->first_inf, part->first_inf);
    lower(&into->first_negative, part->first_negative);
    lower(&into->first_zero, part->first_zero);
    lower(&into->first_zero_live, part->first_zero_live);
    lower(&into->first_zero_dead, part->first_zero_dead);
    lower(&into->first_code_nan, part->first_code_nan);
    if (part->max_scale != 0) widen(into, part->min_scale, part->max_scale);
}

// ---- scales -------------------------------------------------------------------------------------

typedef struct range {
    uint32_t low, high;
} range;

#define RANGE_OF(name, type)                                                                                 \
    CLONES static range name(const uint8_t *bytes, size_t n) {                                               \
        type low = (type)-1, high = 0;                                                                       \
        for (size_t i = 0; i < n; i++) {                                                                     \
            type x;                                                                                          \
            memcpy(&x, bytes + i * sizeof x, sizeof x);                                                      \
            low = x < low ? x : low;                                                                         \
            high = x > high ? x : high;                                                                      \
        }                                                                                                    \
        return (range){low, high};                                                                           \
    }
RANGE_OF(range_8, uint8_t)
RANGE_OF(range_16, uint16_t)
RANGE_OF(range_32, uint32_t)

typedef struct scale_type {
    range (*range_of)(const uint8_t *bytes, size_t n);
    size_t n_bytes;
    uint32_t sound_low, sound_high; // images of every positive finite number
} scale_type;

static const scale_type scale_types[QP_ST_DTYPES] = {
    [QP_ST_F8_E4M3] = {range_8, 1, 0x01, 0x7e},
    [QP_ST_F8_E8M0] = {range_8, 1, 0x00, 0xfe}, // byte 0 is 2^-127, not zero
    [QP_ST_U8] = {range_8, 1, 0x00, 0xfe},      // E8M0 as Model Optimizer and gpt-oss store it
    [QP_ST_BF16] = {range_16, 2, 0x0001, 0x7f7f},
    [QP_ST_F16] = {range_16, 2, 0x0001, 0x7bff},
    [QP_ST_F32] = {range_32, 4, 0x00000001, 0x7f7fffff},
};

bool qp_scan_is_scale_type(uint8_t dtype) {
    return dtype < QP_ST_DTYPES && scale_types[dtype].range_of != NULL;
}

static uint32_t f32_of_image(uint8_t dtype, uint32_t image) {
    const uint8_t bytes[4] = {(uint8_t)image, (uint8_t)(image >> 8), (uint8_t)(image >> 16),
                              (uint8_t)(image >> 24)};
    const qp_ck_tensor one = {.data = bytes, .dtype = dtype};
    return qp_ck_f32(&one, 0);
}

static void count_zero(const qp_ck_module *m, uint64_t i, qp_ck_stats *s) {
    s->n_zero++;
    lower(&s->first_zero, i);
    if (qp_block_is_zero(m, i)) {
        lower(&s->first_zero_dead, i);
        return;
    }
    s->n_zero_live++;
    lower(&s->first_zero_live, i);
}

// A sign bit on zero counts as zero: -0 does what 0 does. On any other number it turns the block around.
static void count_one(const qp_ck_module *m, uint64_t i, qp_ck_stats *s) {
    const uint32_t image = qp_ck_f32(m->part[QP_CK_SCALE], i), magnitude = image & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        s->n_nan++;
        lower(&s->first_nan, i);
    } else if (magnitude == 0) {
        count_zero(m, i, s);
    } else if (magnitude == 0x7f800000) { // of either sign
        s->n_inf++;
        lower(&s->first_inf, i);
    } else if (image != magnitude) {
        s->n_negative++;
        lower(&s->first_negative, i);
    } else {
        widen(s, image, image);
    }
}

void qp_scan_scales(const qp_ck_module *m, uint64_t from, uint64_t n, qp_ck_stats *s) {
    const qp_ck_tensor *t = m->part[QP_CK_SCALE];
    const scale_type *type = &scale_types[t->dtype];
    s->n_scales += n;
    for (uint64_t end = from + n; from < end; from += PIECE) {
        const size_t piece = end - from < PIECE ? (size_t)(end - from) : PIECE;
        const range r = type->range_of(t->data + from * type->n_bytes, piece);
        if (r.low >= type->sound_low && r.high <= type->sound_high)
            widen(s, f32_of_image(t->dtype, r.low), f32_of_image(t->dtype, r.high));
        else
            for (size_t i = 0; i < piece; i++) count_one(m, from + i, s);
    }
}

// ---- FP4 codes: sign in bit 3 of a nibble, 7 is magnitude 6 -------------------------------------

static const uint64_t magnitudes = 0x7777777777777777, ones = 0x1111111111111111;

static inline uint64_t load(const uint8_t *bytes) {
    uint64_t x;
    memcpy(&x, bytes, sizeof x);
    return x;
}

static inline uint64_t tops(uint64_t x) { // 1 in every nibble whose magnitude is 7
    return x & x >> 1 & x >> 2 & ones;
}

CLONES static void fp4_of_8(const uint8_t *codes, size_t n, uint64_t *zero, uint64_t *top) {
    uint64_t n_zero = 0, n_top = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t x = load(codes + 8 * i);
        n_zero += (x & magnitudes) == 0;
        n_top += tops(x) != 0;
    }
    *zero += n_zero;
    *top += n_top;
}

CLONES static void fp4_of_16(const uint8_t *codes, size_t n, uint64_t *zero, uint64_t *top) {
    uint64_t n_zero = 0, n_top = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t x = load(codes + 16 * i), y = load(codes + 16 * i + 8);
        n_zero += ((x | y) & magnitudes) == 0;
        n_top += (tops(x) | tops(y)) != 0;
    }
    *zero += n_zero;
    *top += n_top;
}

// Any other block: a ragged tail, groups that no package writes today.
static void fp4_of_any(const uint8_t *codes, size_t block_bytes, size_t n, uint64_t *zero, uint64_t *top) {
    for (size_t i = 0; i < n; i++, codes += block_bytes) {
        uint64_t any = 0, tip = 0;
        for (size_t at = 0; at < block_bytes; at += 8) {
            uint8_t padded[8] = {0};
            memcpy(padded, codes + at, block_bytes - at < 8 ? block_bytes - at : 8);
            any |= load(padded) & magnitudes;
            tip |= tops(load(padded));
        }
        *zero += any == 0;
        *top += tip != 0;
    }
}

void qp_scan_fp4(const uint8_t *codes, size_t block_bytes, size_t n, qp_ck_stats *s) {
    s->n_blocks += n;
    if (block_bytes == 8)
        fp4_of_8(codes, n, &s->n_zero_blocks, &s->n_top);
    else if (block_bytes == 16)
        fp4_of_16(codes, n, &s->n_zero_blocks, &s->n_top);
    else
        fp4_of_any(codes, block_bytes, n, &s->n_zero_blocks, &s->n_top);
}

enum { STRIP = 1024 }; // columns

CLONES static void fp4_strip(const uint8_t *codes, size_t pair_rows, size_t pitch, size_t n, uint64_t *zero,
                             uint64_t *top) {
    uint8_t any[STRIP] = {0}, tip[STRIP] = {0};
    for (size_t r = 0; r < pair_rows; r++, codes += pitch)
        for (size_t c = 0; c < n; c++) {
            const uint8_t x = codes[c];
            any[c] |= x & 0x77;
            tip[c] |= x & x >> 1 & x >> 2 & 0x11;
        }
    for (size_t c = 0; c < n; c++) {
        *zero += any[c] == 0;
        *top += tip[c] != 0;
    }
}

void qp_scan_fp4_columns(const uint8_t *codes, size_t pair_rows, size_t n_cols, qp_ck_stats *s) {
    s->n_blocks += n_cols;
    for (size_t c = 0; c < n_cols; c += STRIP)
        fp4_strip(codes + c, pair_rows, n_cols, n_cols - c < STRIP ? n_cols - c : STRIP, &s->n_zero_blocks,
                  &s->n_top);
}

// ---- E4M3 codes ---------------------------------------------------------------------------------

CLONES static bool any_nan(const uint8_t *codes, size_t n) {
    uint8_t seen = 0;
    for (size_t i = 0; i < n; i++) seen |= (uint8_t)((codes[i] & 0x7f) + 1); // bit 7 only from 7f
    return seen & 0x80;
}

void qp_scan_e4m3(const uint8_t *codes, uint64_t from, size_t n, qp_ck_stats *s) {
    for (size_t at = 0; at < n; at += PIECE) {
        const size_t piece = n - at < PIECE ? n - at : PIECE;
        if (!any_nan(codes + at, piece)) continue;
        for (size_t i = at; i < at + piece; i++) {
            if ((codes[i] & 0x7f) != 0x7f) continue;
            s->n_code_nan++;
            lower(&s->first_code_nan, from + i);
        }
    }
}
