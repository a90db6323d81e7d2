// SPDX-License-Identifier: Apache-2.0
// One small tensor quantized, dequantized or fake-quantized by a simt kernel: what the rule tests ask.
#ifndef TESTS_ASK_H
#define TESTS_ASK_H

#include "tests/kit.h"

enum { MOST = 96 };

typedef struct packed {
    uint8_t codes[MOST], scales[MOST], scales_i8[4];
    float second;
} packed;

typedef struct question {
    qp_format format;
    qp_engine engine;
    qp_dtype dtype;
    int rows, cols;
    float amax[4], scale[4], global;
} question;

static inline void answer(const question *q, qp_op op, const void *x, void *y, packed *pack) {
    qp_ktensor t = {.rows = q->rows,
                    .cols = q->cols,
                    .ld = q->cols,
                    .x = x,
                    .y = y,
                    .amax = q->amax,
                    .scale = q->scale,
                    .global_amax = &q->global,
                    .codes = pack->codes,
                    .scales = pack->scales,
                    .scales_i8 = pack->scales_i8,
                    .weight_scale_2 = &pack->second};
    qp_launch l = {
        .op = op, .format = q->format, .engine = q->engine, .dtype = q->dtype, .n_tensors = 1, .tensors = &t};
    qp_err err = {0};
    qp_kernel_fn fn = kit_kernel(QP_DEVICE_SIMT, op, q->format);
    ck_assert(fn != NULL);
    ck_assert_msg(fn(&l, &err) == QP_OK, "%s", err.msg);
}

static inline packed quantize(const question *q, const void *x) {
    packed p;
    memset(&p, 0xee, sizeof p);
    float none[MOST];
    answer(q, QP_OP_QUANT, x, none, &p);
    return p;
}

static inline uint8_t scale_byte(const question *q, const uint32_t *x) {
    return quantize(q, x).scales[0];
}

static inline void expect_bytes(const uint8_t *got, const uint8_t *want, int n) {
    for (int i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i], "byte %d: got %02x, want %02x", i, (unsigned)got[i],
                      (unsigned)want[i]);
}

static inline uint32_t half_word(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

#define SIMT_OR_RETURN(name)                                                                                 \
    if (kit_no_simt(name)) return

#endif
