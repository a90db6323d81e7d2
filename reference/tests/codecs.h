// SPDX-License-Identifier: Apache-2.0
// The five conversions under test beside their witness, one row each, for the strided test and the exhaustive
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
        nan_min; // an answer is NaN where (bits & nan_mask) >= nan_min: NaN is compared as a class
} codec_row;

static uint16_t codec_e4m3(uint32_t f32) {
    return ref_e4m3_encode(f32, true);
}

static uint16_t codec_e4m3_nosat(uint32_t f32) {
    return ref_e4m3_encode(f32, false);
}

// E2M1 has no NaN: a NaN becomes the largest magnitude. The header drops its sign, ours keeps it; both are 7
// here.
static uint16_t codec_e2m1(uint32_t f32) {
    const bool nan = (f32 & 0x7fffffffu) > 0x7f800000u;
    return ref_e2m1_encode(f32) & (nan ? 7 : 15);
}

static uint16_t codec_bf16(uint32_t f32) {
    return (uint16_t)ref_from_f32(QP_BF16, f32);
}

static uint16_t codec_fp16(uint32_t f32) {
    return (uint16_t)ref_from_f32(QP_FP16, f32);
}

static const codec_row codecs[] = {
    {"e4m3 saturating", witness_e4m3, codec_e4m3, 0x7f, 0x7f},
    {"e4m3 not saturating", witness_e4m3_nosat, codec_e4m3_nosat, 0x7f, 0x7f},
    {"e2m1", witness_e2m1, codec_e2m1, 0, 1},
    {"bf16", witness_bf16, codec_bf16, 0x7fff, 0x7f81},
    {"fp16", witness_fp16, codec_fp16, 0x7fff, 0x7c01},
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
