// SPDX-License-Identifier: Apache-2.0
// Bits against bits: every element of a state against what it must be. NaN is one class, +0 and -0 are told
// apart, distances are counted in steps of the type's own value order. Nothing here knows what a value means.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks/list.h"

// What a packed code is, and where its nibble stands.
static element_kind code_kind(const qp_format_row *f) {
    if (f == NULL) return KIND_NIBBLES;
    switch (f->nibbles) {
    case QP_NIBBLES_LOW_FIRST:
        return KIND_NIBBLES;
    case QP_NIBBLES_HIGH_FIRST:
        return KIND_NIBBLES_HIGH;
    case QP_NIBBLES_ROW_PAIRS:
        return KIND_NIBBLES_PAIRS;
    default:
        return f->element == QP_ELEM_INT8   ? KIND_I8
               : f->element == QP_ELEM_E4M3 ? KIND_E4M3
               : f->element == QP_ELEM_E5M2 ? KIND_E5M2
                                            : KIND_SIX;
    }
}

element_kind element_kind_of(const qp_state *st) {
    const qp_format_row *f = qp_format_get(st->format);
    if (strcmp(st->field, "weight_packed") == 0) return code_kind(f);
    bool e8m0 = f != NULL && f->scale == QP_SCALE_E8M0;
    if (strcmp(st->field, "weight_scale") == 0 && qp_dtype_bytes(st->dtype) == 1)
        return e8m0 ? KIND_U8 : KIND_E4M3;
    switch (st->dtype) {
    case QP_BF16:
        return KIND_BF16;
    case QP_FP16:
        return KIND_FP16;
    case QP_FP32:
        return KIND_FP32;
    case QP_E4M3:
        return KIND_E4M3;
    case QP_I8:
        return KIND_I8;
    case QP_I32:
        return KIND_I32;
    case QP_I64:
        return KIND_I64;
    default:
        return KIND_U8;
    }
}

// How the bits of an element order: by sign and magnitude, by two's complement, or as they are. first_nan 0:
// the type has no NaN.
typedef enum kind_order { SIGN_MAGNITUDE, TWOS_COMPLEMENT, PLAIN } kind_order;
typedef struct kind_row {
    int n_bits, n_stored; // significant bits; bits of memory
    kind_order order;
    uint64_t first_nan, nan; // without the sign: the first NaN image, the canonical one
} kind_row;

static kind_row row_of(element_kind k) {
    static const kind_row rows[] = {
        [KIND_BF16] = {16, 16, SIGN_MAGNITUDE, 0x7f81, 0x7fc0},
        [KIND_FP16] = {16, 16, SIGN_MAGNITUDE, 0x7c01, 0x7e00},
        [KIND_FP32] = {32, 32, SIGN_MAGNITUDE, 0x7f800001, 0x7fc00000},
        [KIND_E4M3] = {8, 8, SIGN_MAGNITUDE, 0x7f, 0x7f},
        [KIND_E5M2] = {8, 8, SIGN_MAGNITUDE, 0x7d, 0x7f},
        [KIND_SIX] = {6, 8, SIGN_MAGNITUDE, 0, 0},
        [KIND_NIBBLES] = {4, 4, SIGN_MAGNITUDE, 0, 0},
        [KIND_NIBBLES_HIGH] = {4, 4, PLAIN, 0, 0},
        [KIND_NIBBLES_PAIRS] = {4, 4, TWOS_COMPLEMENT, 0, 0},
        [KIND_I8] = {8, 8, TWOS_COMPLEMENT, 0, 0},
        [KIND_U8] = {8, 8, PLAIN, 0, 0},
        [KIND_I32] = {32, 32, TWOS_COMPLEMENT, 0, 0},
        [KIND_I64] = {64, 64, TWOS_COMPLEMENT, 0, 0},
    };
    return rows[k];
}

static uint64_t magnitude_mask(kind_row r) {
    return ((uint64_t)1 << (r.n_bits - 1)) - 1;
}

bool element_is_nan(element_kind k, uint64_t bits) {
    kind_row r = row_of(k);
    return r.first_nan != 0 && (bits & magnitude_mask(r)) >= r.first_nan;
}

int element_hex_digits(element_kind k) {
    return row_of(k).n_stored / 4;
}

uint64_t element_bits(element_kind k, const void *base, int64_t i) {
    const unsigned char *p = base;
    kind_row r = row_of(k);
    uint64_t bits = 0;
    if (r.n_stored == 4)
        bits = (p[i / 2] >> ((i + (k == KIND_NIBBLES_HIGH)) % 2 * 4)) & 15;
    else
        memcpy(&bits, p + i * (r.n_stored / 8),
               (size_t)r.n_stored / 8); // little-endian hosts only, as the file format is
    return element_is_nan(k, bits) ? r.nan : bits;
}

// The place of a number in the value order of its type.
static int64_t order_of(element_kind k, uint64_t bits) {
    kind_row r = row_of(k);
    uint64_t sign = (uint64_t)1 << (r.n_bits - 1);
    if (r.order == PLAIN) return (int64_t)bits;
    if (r.order == TWOS_COMPLEMENT) return (int64_t)((bits ^ sign) - sign);
    int64_t magnitude = (int64_t)(bits & magnitude_mask(r));
    return (bits & sign) != 0 ? -magnitude : magnitude;
}

int64_t element_distance(element_kind k, uint64_t want, uint64_t got) {
    int64_t w = order_of(k, want), g = order_of(k, got), d;
    return __builtin_sub_overflow(g, w, &d) ? INT64_MAX : d;
}

static int bin_of(int64_t distance) {
    int64_t half = QP_DIST_BINS / 2;
    return (int)(distance < -half ? 0 : distance > half ? 2 * half : distance + half);
}

// One differing element: counts it and keeps the first.
static void count_difference(qp_finding *f, const qp_compare *c, element_kind k, int64_t held_row,
                             int64_t col, uint64_t want, uint64_t got) {
    bool want_nan = element_is_nan(k, want), got_nan = element_is_nan(k, got);
    int64_t d = want_nan || got_nan ? (want_nan ? INT64_MIN : INT64_MAX) : element_distance(k, want, got);
    int64_t size = d == INT64_MIN ? INT64_MAX : d < 0 ? -d : d;
    f->n_diff++;
    f->dist[bin_of(d)]++;
    if (size > f->max_ulp) f->max_ulp = size;
    if (f->n_diff > 1) return;
    const qp_state *st = c->got;
    char place[160];
    finding_where(st, place, sizeof place);
    int64_t row = st->row_ids != NULL ? st->row_ids[held_row] : held_row;
    if (k == KIND_NIBBLES_PAIRS) { // a byte holds two rows of one column
        row = 2 * row + col % 2;
        col /= 2;
    }
    snprintf(f->where, sizeof f->where, "%s row %" PRId64 " col %" PRId64, place, row, col);
    snprintf(f->want, sizeof f->want, "%0*" PRIx64, element_hex_digits(k), want);
    snprintf(f->got, sizeof f->got, "%0*" PRIx64, element_hex_digits(k), got);
}

qp_finding compare_state(const qp_compare *c, const char *check) {
    const qp_state *st = c->got;
    qp_finding f = finding_new(check);
    if (st->data == NULL || c->want == NULL) return f;
    element_kind k = element_kind_of(st);
    int64_t per_row = row_of(k).n_stored == 4 ? st->cols * 2 : st->cols;
    size_t pitch = (size_t)st->cols * qp_dtype_bytes(st->dtype);
    for (int64_t r = 0; r < st->n_rows_held; r++) {
        const unsigned char *got = (const unsigned char *)st->data + (size_t)r * pitch;
        const unsigned char *want = (const unsigned char *)c->want + (size_t)r * pitch;
        f.n_judged += per_row;
        if (memcmp(got, want, pitch) == 0) {
            f.dist[QP_DIST_BINS / 2] += per_row;
            continue;
        }
        for (int64_t i = 0; i < per_row; i++) {
            uint64_t w = element_bits(k, want, i), g = element_bits(k, got, i);
            if (w == g)
                f.dist[QP_DIST_BINS / 2]++;
            else
                count_difference(&f, c, k, r, i, w, g);
        }
    }
    if (f.n_diff > 0)
        finding_fail(&f, QP_FAILED, QP_WHY_DIFFERENT,
                     "%" PRId64 " of %" PRId64 " elements differ; the first is %s: want %s, got %s", f.n_diff,
                     f.n_judged, f.where, f.want, f.got);
    return f;
}
