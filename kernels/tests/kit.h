// SPDX-License-Identifier: Apache-2.0
// What the kernel tests share: ragged launches over host memory with awkward data, guard zones around every
// output, and the comparison of two runs byte by byte. Header only; one instance per test binary.
#ifndef TESTS_KIT_H
#define TESTS_KIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { KIT_TENSORS = 320, KIT_GUARD = 64, KIT_FILL = 0xcd };

typedef struct kit_shape {
    int64_t rows, cols, ld;
} kit_shape;

// Ragged on purpose: empty ones, single elements, tails of 1 and 15, odd columns, several tiles, a long row.
static const kit_shape kit_ragged[] = {{0, 16, 16},     {3, 0, 0},       {1, 1, 1},    {5, 17, 17},
                                       {7, 31, 40},     {2, 16, 16},     {33, 48, 51}, {64, 128, 128},
                                       {3, 2063, 2063}, {1, 5000, 5001}, {9, 15, 15},  {4, 1024, 1024}};

typedef struct kit_side { // the outputs of one run
    unsigned char *base;
    size_t n_bytes;
    qp_ktensor t[KIT_TENSORS];
} kit_side;

typedef struct kit {
    qp_launch launch;
    unsigned char *inputs;
    size_t input_bytes;
    kit_side a, b;
} kit;

static inline uint64_t kit_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint32_t kit_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float kit_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

// Seven kinds of element: ordinary, small, on a half step, any bits at all, special, zero, huge.
static inline uint32_t kit_element(uint64_t h, qp_dtype t) {
    static const uint32_t special32[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x00000001,
                                         0x80000000, 0x7f7fffff, 0x807fffff, 0x3f800000, 0x33800000};
    static const uint16_t special_bf[] = {0x7f80, 0xff80, 0x7fc0, 0xffc1, 0x0001,
                                          0x8000, 0x7f7f, 0x807f, 0x3f80, 0x3380};
    static const uint16_t special_fp[] = {0x7c00, 0xfc00, 0x7e00, 0xfe01, 0x0001,
                                          0x8000, 0x7bff, 0x83ff, 0x3c00, 0x0400};
    uint32_t kind = (uint32_t)(h & 31), any = (uint32_t)(h >> 20);
    if (kind == 31)
        return t == QP_FP32   ? special32[any % 10]
               : t == QP_BF16 ? special_bf[any % 10]
                              : special_fp[any % 10];
    if (kind == 30) return t == QP_FP32 ? (uint32_t)(h >> 8) : any & 0xffff;
    if (kind >= 28) return 0;
    float v = (float)(int32_t)(any % 4001) - 2000.0f;
    v = kind < 12   ? v / 1024.0f
        : kind < 18 ? v / 1048576.0f
        : kind < 26 ? (float)((int32_t)(any % 63) - 31) / 8.0f
                    : v * 4.0f;
    uint32_t u = kit_bits(v);
    if (t == QP_FP32) return u;
    if (t == QP_BF16) return u >> 16;
    uint32_t e = (u >> 23) & 255; // fp16 by truncation; small ones become zero
    return e < 113 ? 0 : ((u >> 16) & 0x8000) | (e - 112) << 10 | ((u >> 13) & 1023);
}

static inline unsigned char *kit_take(unsigned char **at, size_t n_bytes, size_t skew) {
    unsigned char *p = *at + KIT_GUARD + skew; // skew: aligned to the element, to nothing more
    *at += (n_bytes + skew + 2 * KIT_GUARD + 63) / 64 * 64;
    return p;
}

static inline void kit_fill_elements(unsigned char *p, int64_t n, qp_dtype t, uint64_t seed) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t e = kit_element(kit_mix(seed * 1000003u + (uint64_t)i), t);
        memcpy(p + (size_t)i * qp_dtype_bytes(t), &e, qp_dtype_bytes(t));
    }
}

// amax values in the range of the data, and now and then one that the rules treat apart.
static inline void kit_fill_amax(unsigned char *p, int64_t n, uint64_t seed) {
    static const uint32_t apart[] = {0,          0x33800000, 0x337fffff, 0x7f800000,
                                     0x7fc00000, 0x00000001, 0x7f7fffff, 0x33800001};
    for (int64_t i = 0; i < n; i++) {
        uint64_t h = kit_mix(seed * 777767u + (uint64_t)i);
        uint32_t u = kit_bits((float)(1 + (h >> 8) % 40000) / 8192.0f);
        if (h % 16 == 15) u = apart[(h >> 32) % 8];
        memcpy(p + 4 * i, &u, 4);
    }
}

static inline void kit_side_layout(kit_side *s, const kit *k, qp_dtype t, size_t skew) {
    unsigned char *at = s->base;
    size_t w = qp_dtype_bytes(t);
    for (int i = 0; i < k->launch.n_tensors; i++) {
        qp_ktensor *q = &s->t[i];
        int64_t nb = (q->cols + 15) / 16;
        bool dequant = k->launch.op == QP_OP_DEQUANT;
        q->y = kit_take(&at, (size_t)(q->rows * q->cols) * w, skew);
        q->amax_out = (float *)(void *)kit_take(&at, (size_t)(q->rows * nb + q->rows + 1) * 4, 4);
        if (!dequant) {
            q->codes = kit_take(&at, (size_t)(q->rows * ((q->cols + 1) / 2)), 1);
            q->scales = kit_take(&at, (size_t)(q->rows * nb), 1);
            q->weight_scale_2 = (float *)(void *)kit_take(&at, 4, 4);
        }
    }
    s->n_bytes = (size_t)(at - s->base);
}

// Builds inputs and two sets of outputs for the shapes. skew_elems: how far x, grad and y are from 64-byte
// alignment.
static inline kit *kit_new(qp_op op, qp_format f, qp_dtype t, const kit_shape *shapes, int n, int skew_elems,
                           uint64_t seed) {
    kit *k = calloc(1, sizeof *k);
    ck_assert_ptr_nonnull(k);
    k->launch = (qp_launch){.op = op, .format = f, .dtype = t, .n_tensors = n};
    size_t total = 0, w = qp_dtype_bytes(t), skew = (size_t)skew_elems * w;
    for (int i = 0; i < n; i++)
        total += (size_t)(shapes[i].rows * (shapes[i].ld + 2 * shapes[i].cols + 64)) * 4 + 16384;
    k->inputs = aligned_alloc(64, (total + 63) / 64 * 64);
    k->a.base = aligned_alloc(64, (total + 63) / 64 * 64);
    k->b.base = aligned_alloc(64, (total + 63) / 64 * 64);
    ck_assert(k->inputs != NULL && k->a.base != NULL && k->b.base != NULL);
    memset(k->inputs, 0, total);
    unsigned char *at = k->inputs;
    for (int i = 0; i < n; i++) {
        qp_ktensor *q = &k->a.t[i];
        int64_t rows = shapes[i].rows, cols = shapes[i].cols, ld = shapes[i].ld, nb = (cols + 15) / 16;
        *q = (qp_ktensor){.rows = rows, .cols = cols, .ld = ld};
        unsigned char *x = kit_take(&at, (size_t)(rows * ld) * w, skew);
        unsigned char *grad = kit_take(&at, (size_t)(rows * cols) * w, skew);
        unsigned char *amax = kit_take(&at, (size_t)(rows * nb + rows + 1) * 4, 4);
        unsigned char *global = kit_take(&at, 4, 4);
        kit_fill_elements(x, rows * ld, t, seed + (uint64_t)i);
        kit_fill_elements(grad, rows * cols, t, seed + 1000 + (uint64_t)i);
        kit_fill_amax(amax, rows * nb + rows + 1, seed + (uint64_t)i);
        kit_fill_amax(global, 1, seed + 5 + (uint64_t)i);
        q->x = x;
        q->grad = grad;
        q->amax = (const float *)(const void *)amax;
        q->global_amax = (const float *)(const void *)global;
        if (op == QP_OP_DEQUANT) {
            q->codes = kit_take(&at, (size_t)(rows * ((cols + 1) / 2)), 1);
            q->scales = kit_take(&at, (size_t)(rows * nb), 1);
            q->weight_scale_2 = (float *)(void *)kit_take(&at, 4, 4);
            for (int64_t j = 0; j < rows * ((cols + 1) / 2); j++)
                q->codes[j] = (uint8_t)kit_mix(seed + (uint64_t)j);
            for (int64_t j = 0; j < rows * nb; j++)
                ((uint8_t *)q->scales)[j] = (uint8_t)kit_mix(seed + 9 + (uint64_t)j);
            kit_fill_amax((unsigned char *)q->weight_scale_2, 1, seed + 11 + (uint64_t)i);
        }
        k->b.t[i] = *q;
    }
    k->input_bytes = (size_t)(at - k->inputs);
    kit_side_layout(&k->a, k, t, skew);
    kit_side_layout(&k->b, k, t, skew);
    return k;
}

static inline void kit_free(kit *k) {
    free(k->inputs);
    free(k->a.base);
    free(k->b.base);
    free(k);
}

// Runs fn into one side, whose bytes begin as fill; checks that the inputs stay as they are.
static inline qp_status kit_run(kit *k, kit_side *s, qp_kernel_fn fn, uint64_t order_seed, int fill,
                                qp_err *err) {
    memset(s->base, fill, s->n_bytes);
    unsigned char *before = malloc(k->input_bytes);
    ck_assert_ptr_nonnull(before);
    memcpy(before, k->inputs, k->input_bytes);
    qp_launch l = k->launch;
    l.tensors = s->t;
    l.order_seed = order_seed;
    qp_err_clear(err);
    qp_status status = fn(&l, err);
    ck_assert_msg(memcmp(before, k->inputs, k->input_bytes) == 0, "inputs changed");
    free(before);
    return status;
}

// First byte in which the sides differ, -1 if none.
static inline int64_t kit_difference(const kit *k) {
    for (size_t i = 0; i < k->a.n_bytes; i++)
        if (k->a.base[i] != k->b.base[i]) return (int64_t)i;
    return -1;
}

static inline qp_kernel_fn kit_kernel(qp_device_kind device, qp_op op, qp_format f) {
    for (int i = 0; i < qp_n_kernels; i++)
        if (qp_kernels[i].device == device && qp_kernels[i].op == op && qp_kernels[i].format == f)
            return qp_kernels[i].fn;
    return NULL;
}

static inline bool kit_no_simt(const char *test) {
#if defined(__SANITIZE_THREAD__)
    printf("SKIP %s: simt does not run under ThreadSanitizer\n", test);
    return true;
#else
    (void)test;
    return false;
#endif
}

static inline int kit_main(Suite *s) {
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
