// SPDX-License-Identifier: Apache-2.0
// The conversions under test beside their witness, one row each, for the strided test and the exhaustive
// program.
#ifndef REF_TESTS_CODECS_H
#define REF_TESTS_CODECS_H

#include "qp/ref.h"
#include "tests/witness.h"

enum { CODEC_BATCH = 1 << 14 };

typedef struct codec_row {
    const char *name;
    void (*witness)(const uint32_t *in, uint16_t *out, int64_t n);
    uint16_t (*ours)(uint32_t f32);
    uint16_t nan_mask,
        nan_min;      // an answer is NaN where (bits & nan_mask) >= nan_min: NaN is compared as a class
    uint32_t planted; // input of the wrong code that must be found
} codec_row;

static uint16_t codec_e4m3(uint32_t f32) {
    return ref_e4m3_encode(f32, true);
}

static uint16_t codec_e4m3_nosat(uint32_t f32) {
    return ref_e4m3_encode(f32, false);
}

static uint16_t codec_e5m2(uint32_t f32) {
    return ref_e5m2_encode(f32, true);
}

static uint16_t codec_e5m2_nosat(uint32_t f32) {
    return ref_e5m2_encode(f32, false);
}

// A type without NaN makes it the largest magnitude. The header drops its sign, ours keeps it.
static uint16_t without_nan_sign(uint32_t f32, uint8_t code, uint8_t magnitude) {
    return (f32 & 0x7fffffffu) > 0x7f800000u ? code & magnitude : code;
}

static uint16_t codec_e3m2(uint32_t f32) {
    return without_nan_sign(f32, ref_e3m2_encode(f32), 31);
}

static uint16_t codec_e2m3(uint32_t f32) {
    return without_nan_sign(f32, ref_e2m3_encode(f32), 31);
}

static uint16_t codec_e2m1(uint32_t f32) {
    return without_nan_sign(f32, ref_e2m1_encode(f32), 7);
}

static uint16_t codec_e8m0_down(uint32_t f32) {
    return ref_e8m0_encode(f32, REF_E8M0_DOWN, true);
}

static uint16_t codec_e8m0_down_nosat(uint32_t f32) {
    return ref_e8m0_encode(f32, REF_E8M0_DOWN, false);
}

static uint16_t codec_e8m0_up(uint32_t f32) {
    return ref_e8m0_encode(f32, REF_E8M0_UP, true);
}

static uint16_t codec_e8m0_up_nosat(uint32_t f32) {
    return ref_e8m0_encode(f32, REF_E8M0_UP, false);
}

static uint16_t codec_bf16(uint32_t f32) {
    return (uint16_t)ref_from_f32(QP_BF16, f32);
}

static uint16_t codec_fp16(uint32_t f32) {
    return (uint16_t)ref_from_f32(QP_FP16, f32);
}

static const codec_row codecs[] = {
    {"e4m3 saturating", witness_e4m3, codec_e4m3, 0x7f, 0x7f, 0x3f8ccccd},
    {"e4m3 not saturating", witness_e4m3_nosat, codec_e4m3_nosat, 0x7f, 0x7f, 0xc3e80000},
    {"e5m2 saturating", witness_e5m2, codec_e5m2, 0x7f, 0x7d, 0xc7700000},
    {"e5m2 not saturating", witness_e5m2_nosat, codec_e5m2_nosat, 0x7f, 0x7d, 0x476fffff},
    {"e3m2", witness_e3m2, codec_e3m2, 0, 1, 0x3d000001},
    {"e2m3", witness_e2m3, codec_e2m3, 0, 1, 0xc0e80000},
    {"e2m1", witness_e2m1, codec_e2m1, 0, 1, 0xbf400000},
    {"e8m0 toward zero, saturating", witness_e8m0_down, codec_e8m0_down, 0, 1, 0x7f800000},
    {"e8m0 toward zero, not saturating", witness_e8m0_down_nosat, codec_e8m0_down_nosat, 0, 1, 0x00400000},
    {"e8m0 toward +Inf, saturating", witness_e8m0_up, codec_e8m0_up, 0, 1, 0x00400001},
    {"e8m0 toward +Inf, not saturating", witness_e8m0_up_nosat, codec_e8m0_up_nosat, 0, 1, 0x7f000001},
    {"bf16", witness_bf16, codec_bf16, 0x7fff, 0x7f81, 0x00000001},
    {"fp16", witness_fp16, codec_fp16, 0x7fff, 0x7c01, 0x477fefff},
};

typedef struct codec_result {
    uint64_t compared, wrong;
    uint32_t input; // of the first wrong one
    uint16_t want, got;
} codec_result;

// Compares n inputs first, first+stride, ...; planted: the input at which our answer gets one bit wrong
// (NULL: none).
static void codec_compare(const codec_row *c, uint64_t first, uint64_t stride, uint64_t n,
                          const uint32_t *planted, codec_result *r) {
    uint32_t in[CODEC_BATCH];
    uint16_t want[CODEC_BATCH];
    for (uint64_t done = 0; done < n; done += CODEC_BATCH) {
        const int64_t m = n - done < CODEC_BATCH ? (int64_t)(n - done) : CODEC_BATCH;
        for (int64_t i = 0; i < m; i++) in[i] = (uint32_t)(first + (done + (uint64_t)i) * stride);
        c->witness(in, want, m);
        for (int64_t i = 0; i < m; i++) {
            uint16_t got = c->ours(in[i]);
            if (planted != NULL && in[i] == *planted) got ^= 1;
            const bool both_nan = (want[i] & c->nan_mask) >= c->nan_min && (got & c->nan_mask) >= c->nan_min;
            if (got == want[i] || both_nan) continue;
            if (r->wrong++ > 0) continue;
            r->input = in[i];
            r->want = want[i];
            r->got = got;
        }
        r->compared += (uint64_t)m;
    }
}

#endif
