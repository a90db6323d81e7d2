// SPDX-License-Identifier: Apache-2.0
// Coverage floors: what the data of a whole run must have reached in one format and dtype before "no
// difference" means anything. The floors are what max calibration can reach, with the reason beside every
// decision that it cannot.
#include <inttypes.h>
#include <stdio.h>

#include "judge/judge.h"

typedef struct floors {
    uint64_t codes[4];       // element codes that must have been answers
    uint64_t scale_bytes[4]; // E4M3 block scale bytes that must have been answers
    bool saturation;         // an element above the largest code
    bool subnormal;
    bool scale_tie;
} floors;

static void set_range(uint64_t set[4], int first, int last) {
    for (int i = first; i <= last; i++) set[i / 64] |= (uint64_t)1 << i % 64;
}

static bool has(const uint64_t set[4], int i) {
    return set[i / 64] >> i % 64 & 1;
}

// INT8: -127..127 as bytes. Not -128: |x| <= amax, so x * fl(127/amax) is at most an ulp above 127 and rounds
// to it; for the same reason saturation is not demanded. There are no subnormals among integers.
static floors floors_int8(void) {
    floors f = {0};
    set_range(f.codes, 0x00, 0x7f);
    set_range(f.codes, 0x81, 0xff);
    return f;
}

// E4M3: the 254 codes that are numbers, both zeros among them. Saturation is not demanded: x * fl(448/amax)
// is at most an ulp above 448, whether it gets there depends on amax.
static floors floors_e4m3(void) {
    floors f = {.subnormal = true};
    set_range(f.codes, 0x00, 0x7e);
    set_range(f.codes, 0x80, 0xfe);
    return f;
}

// E2M1: all nibbles; 8 is a negative value that rounds to zero. Scale bytes 01 up to what the largest block
// gets: 448 (7e), or 256 (78) with normaliser 256. Byte 00 is left out (pack lifts it). Saturation happens
// when the block scale rounds down.
static floors floors_nvfp4(qp_format format) {
    floors f = {.saturation = true, .subnormal = true, .scale_tie = true};
    set_range(f.codes, 0, 15);
    set_range(f.scale_bytes, 0x01, format == QP_NVFP4_46 ? 0x78 : 0x7e);
    return f;
}

// The first bit of want that got lacks, -1 when there is none.
static int first_lacking(const uint64_t want[4], const uint64_t got[4]) {
    for (int i = 0; i < 256; i++)
        if (has(want, i) && !has(got, i)) return i;
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
    floors want = {0};
    if (row->element == QP_ELEM_INT8) want = floors_int8();
    if (row->element == QP_ELEM_E4M3) want = floors_e4m3();
    if (row->element == QP_ELEM_E2M1) want = floors_nvfp4(f);
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
