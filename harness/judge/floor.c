// SPDX-License-Identifier: Apache-2.0
// Coverage floors: what the data of a whole run must have reached in one format and dtype before "no
// difference" means anything. Suites run values beyond the calibrated amax too (dist=bits, edge=max,inf), so
// more is within reach than under max calibration. Every decision that is not demanded has its reason beside
// it.
#include <inttypes.h>
#include <stdio.h>

#include "judge/judge.h"

typedef struct range { // of codes or bytes; last < first: none
    int first, last;
} range;

typedef struct element_floor {
    range codes[2];
    const char *not_codes;      // why the other codes are not demanded; NULL: there are none
    const char *not_subnormal;  // why no subnormal code is; NULL: it is
    const char *not_saturation; // why no saturation is; NULL: it is
    int top;                    // exponent of the largest magnitude, which is in (1, 2) * 2^top
} element_floor;

#define NONE                                                                                                 \
    { 1, 0 }
static const char is_integer[] = "integers have no subnormals";

static const element_floor elements[] = {
    // 80 and 8 (-128, -8) need values beyond amax and narrow_range=0
    [QP_ELEM_INT8] = {{{0x00, 0xff}, NONE}, NULL, is_integer, NULL, 6},
    [QP_ELEM_INT4] = {{{0, 15}, NONE}, NULL, is_integer, NULL, 2},
    [QP_ELEM_E4M3] = {{{0x00, 0x7e}, {0x80, 0xfe}}, "7f and ff are NaN: an input of its own", NULL, NULL, 8},
    [QP_ELEM_E5M2] = {{{0x00, 0x7b}, {0x80, 0xfb}},
                      "7c and fc are Inf, which saturation replaces; above them is NaN",
                      NULL,
                      NULL,
                      15},
    [QP_ELEM_E3M2] = {{{0x00, 0x3f}, NONE}, NULL, NULL, NULL, 4},
    [QP_ELEM_E2M3] = {{{0x00, 0x3f}, NONE}, NULL, NULL, NULL, 2},
    [QP_ELEM_E2M1] = {{{0, 15}, NONE}, NULL, NULL, NULL, 2},
    [QP_ELEM_NF4] = {{{0, 15}, NONE},
                     NULL,
                     "a table of values, none of them subnormal",
                     "the nearest of 16 values is always one of them: nothing is clamped",
                     0},
};

// MXINT8 clamps to -127 on both sides (numerics 5.3), so -128 does not exist there.
static const element_floor mxint8 = {
    {{0x00, 0x7f}, {0x81, 0xff}}, "the lowest level is -127", is_integer, NULL, 6};

// E4M3 bytes of block scales: 01 up to what the largest block gets. 00 is not demanded: pack lifts it to 01;
// nor what is above, which only a block beyond the global amax has.
static const struct {
    qp_format format;
    range bytes;
} scale_bytes[] = {
    {QP_NVFP4, {0x01, 0x7e}},
    {QP_NVFP4_STATIC, {0x01, 0x7e}},
    {QP_NVFP4_46, {0x01, 0x78}},   // normaliser 256
    {QP_NVFP4_W4A8, {0x01, 0x69}}, // 448 / 6 rounds to 72
};

// E8M0 bytes that an amax of this type can have: from that of the smallest number, but no less than 00, to
// that of the largest. Largest codes are in (1, 2) * 2^top, so ceil(log2(amax / largest)) is the exponent of
// amax less top for a power of two, and one more for what is nearly the next. Above are bytes that no amax
// has; ff is NaN.
static range e8m0_bytes(int top, qp_dtype t) {
    const int least = t == QP_FP16 ? -24 : t == QP_BF16 ? -133 : -149, most = t == QP_FP16 ? 15 : 127;
    const int first = least - top + 127;
    return (range){first > 0 ? first : 0, most - top + 1 + 127};
}

typedef struct floors {
    uint64_t codes[4], scale_bytes[4];
    bool saturation, subnormal;
    bool scale_tie; // only where scales are coded: E4M3 rounds, E8M0 changes right above fmax * 2^k
} floors;

static void set_range(uint64_t set[4], range r) {
    for (int i = r.first; i <= r.last; i++) set[i / 64] |= (uint64_t)1 << i % 64;
}

static floors floors_of(const qp_format_row *row, qp_dtype t) {
    const bool mx = row->scale == QP_SCALE_E8M0;
    const element_floor *e = mx && row->element == QP_ELEM_INT8 ? &mxint8 : &elements[row->element];
    floors f = {.saturation = e->not_saturation == NULL,
                .subnormal = e->not_subnormal == NULL,
                .scale_tie = mx || row->scale == QP_SCALE_E4M3};
    for (int i = 0; i < 2; i++) set_range(f.codes, e->codes[i]);
    if (mx) set_range(f.scale_bytes, e8m0_bytes(e->top, t));
    for (int i = 0; i < QP_COUNT(scale_bytes); i++)
        if (scale_bytes[i].format == row->id) set_range(f.scale_bytes, scale_bytes[i].bytes);
    return f;
}

// The first bit of want that got lacks, -1 when there is none.
static int first_lacking(const uint64_t want[4], const uint64_t got[4]) {
    for (int i = 0; i < 256; i++)
        if ((want[i / 64] & ~got[i / 64]) >> i % 64 & 1) return i;
    return -1;
}

static int n_lacking(const uint64_t want[4], const uint64_t got[4]) {
    uint64_t left[4];
    for (int i = 0; i < 4; i++) left[i] = want[i] & ~got[i];
    return qp_coverage_bits(left);
}

const char *qp_floor_missed(qp_format f, qp_dtype dtype, const qp_coverage *c, char *buf, size_t n) {
    const qp_format_row *row = qp_format_get(f);
    if (row == NULL) return NULL;
    const floors want = floors_of(row, dtype);
    int code = first_lacking(want.codes, c->codes), scale = first_lacking(want.scale_bytes, c->scale_bytes);
    const struct {
        bool missed;
        const char *what;
    } events[] = {
        {c->n_elems == 0, "any element"},
        {c->n_code_ties == 0, "a tie between two codes"},
        {want.scale_tie && c->n_scale_ties == 0, "a tie between two block scales"},
        {want.saturation && c->n_saturated == 0, "saturation"},
        {want.subnormal && c->n_subnormal == 0, "a subnormal code"},
        {c->n_zero_blocks == 0, "a zero block"},
        {c->n_nan == 0, "a NaN input"},
        {c->n_inf == 0, "an Inf input"},
    };
    if (code >= 0) {
        snprintf(buf, n, "%s %s: %d element codes never reached, the first is %02x", row->name,
                 qp_dtype_name(dtype), n_lacking(want.codes, c->codes), (unsigned)code);
        return buf;
    }
    if (scale >= 0) {
        snprintf(buf, n, "%s %s: %d scale bytes never reached, the first is %02x", row->name,
                 qp_dtype_name(dtype), n_lacking(want.scale_bytes, c->scale_bytes), (unsigned)scale);
        return buf;
    }
    for (int i = 0; i < QP_COUNT(events); i++)
        if (events[i].missed) {
            snprintf(buf, n, "%s %s: never reached %s", row->name, qp_dtype_name(dtype), events[i].what);
            return buf;
        }
    return NULL;
}
