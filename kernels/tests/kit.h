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

// Bytes of one tensor's fields, from the format's row.
typedef struct kit_sizes {
    int64_t n_scales, n_amax; // one value a grain; what op amax answers
    int64_t codes, scales, scales_i8;
    bool second; // weight_scale_2
} kit_sizes;

static inline int64_t kit_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline kit_sizes kit_sizes_of(qp_format format, qp_dtype t, int64_t rows, int64_t cols) {
    const qp_format_row *f = qp_format_get(format);
    int64_t nb = f->block_cols > 0 ? kit_div(cols, f->block_cols) : 0;
    const int64_t grains[] = {[QP_GRAIN_TENSOR] = 1,
                              [QP_GRAIN_AXIS0] = rows,
                              [QP_GRAIN_BLOCK] = rows * nb,
                              [QP_GRAIN_BLOCK2D] = f->block_rows > 0 ? kit_div(rows, f->block_rows) * nb : 0};
    const int64_t codes[] = {[QP_NIBBLES_NONE] = rows * cols,
                             [QP_NIBBLES_LOW_FIRST] = rows * kit_div(cols, 2),
                             [QP_NIBBLES_HIGH_FIRST] = rows * kit_div(cols, 2),
                             [QP_NIBBLES_ROW_PAIRS] = kit_div(rows, 2) * cols};
    const bool nf4 = f->element == QP_ELEM_NF4, empty = rows == 0 || cols == 0;
    kit_sizes s = {.n_scales = empty && f->grain > QP_GRAIN_AXIS0 ? 0 : grains[f->grain],
                   .codes = codes[f->nibbles],
                   .second = f->has_global || nf4};
    s.n_amax = qp_format_is_dynamic(format) ? 1 : s.n_scales;
    int64_t width = f->scale == QP_SCALE_GIVEN  ? 0
                    : f->scale == QP_SCALE_OF_X ? (int64_t)qp_dtype_bytes(t)
                                                : 1;
    s.scales = empty ? 0 : s.n_scales * width;
    s.scales_i8 = nf4 ? s.n_scales : 0;
    return s;
}

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

// amax values in the range of the data, and now and then one that the rules treat apart; all of the type t.
static inline void kit_fill_amax(unsigned char *p, int64_t n, qp_dtype t, uint64_t seed) {
    static const uint32_t apart[] = {0,          0x33800000, 0x337fffff, 0x7f800000,
                                     0x7fc00000, 0x00000001, 0x7f7fffff, 0x33800001};
    for (int64_t i = 0; i < n; i++) {
        uint64_t h = kit_mix(seed * 777767u + (uint64_t)i);
        uint32_t u = kit_bits((float)(1 + (h >> 8) % 40000) / 8192.0f);
        if (h % 16 == 15) u = apart[(h >> 32) % 8];
        if (t == QP_BF16) u &= 0xffff0000u;
        if (t == QP_FP16)
            u = u == 0x7f7fffff ? 0x477fe000u : u < 0x7f800000u && u < 0x38800000u ? 0 : u & 0xffffe000u;
        memcpy(p + 4 * i, &u, 4);
    }
}

static inline void kit_fill_bytes(unsigned char *p, int64_t n, uint64_t seed) {
    for (int64_t i = 0; i < n; i++) p[i] = (unsigned char)kit_mix(seed * 31337u + (uint64_t)i);
}

static inline void kit_side_layout(kit_side *s, const kit *k, size_t skew) {
    unsigned char *at = s->base;
    size_t w = qp_dtype_bytes(k->launch.dtype);
    for (int i = 0; i < k->launch.n_tensors; i++) {
        qp_ktensor *q = &s->t[i];
        kit_sizes n = kit_sizes_of(k->launch.format, k->launch.dtype, q->rows, q->cols);
        q->y = kit_take(&at, (size_t)(q->rows * q->cols) * w, skew);
        q->amax_out = (float *)(void *)kit_take(&at, (size_t)n.n_amax * 4, 4);
        if (k->launch.op == QP_OP_DEQUANT) continue; // those are inputs
        q->codes = kit_take(&at, (size_t)n.codes, 1);
        q->scales = kit_take(&at, (size_t)n.scales, w);
        q->scales_i8 = kit_take(&at, (size_t)n.scales_i8, 1);
        q->weight_scale_2 = (float *)(void *)kit_take(&at, 4, 4);
    }
    s->n_bytes = (size_t)(at - s->base);
}

// What a packed tensor holds, as inputs: any bytes, and scales like amax.
static inline void kit_fill_packed(unsigned char **at, const kit *k, qp_ktensor *q, uint64_t seed) {
    qp_dtype t = k->launch.dtype;
    kit_sizes n = kit_sizes_of(k->launch.format, t, q->rows, q->cols);
    q->codes = kit_take(at, (size_t)n.codes, 1);
    q->scales = kit_take(at, (size_t)n.scales, qp_dtype_bytes(t));
    q->scales_i8 = kit_take(at, (size_t)n.scales_i8, 1);
    q->weight_scale_2 = (float *)(void *)kit_take(at, 4, 4);
    kit_fill_bytes(q->codes, n.codes, seed);
    kit_fill_bytes(q->scales_i8, n.scales_i8, seed + 4);
    if (qp_format_get(k->launch.format)->scale == QP_SCALE_OF_X)
        kit_fill_elements(q->scales, n.scales > 0 ? n.n_scales : 0, t, seed + 9);
    else
        kit_fill_bytes(q->scales, n.scales, seed + 9);
    kit_fill_amax((unsigned char *)q->weight_scale_2, 1, k->launch.format == QP_NF4 ? t : QP_FP32, seed + 11);
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
        total += (size_t)(shapes[i].rows * (shapes[i].ld + 4 * shapes[i].cols + 64)) * 4 + 16384;
    k->inputs = aligned_alloc(64, (total + 63) / 64 * 64);
    k->a.base = aligned_alloc(64, (total + 63) / 64 * 64);
    k->b.base = aligned_alloc(64, (total + 63) / 64 * 64);
    ck_assert(k->inputs != NULL && k->a.base != NULL && k->b.base != NULL);
    memset(k->inputs, 0, total);
    // The amax of a real tensor is of its type (numerics 2.6); calibrated ones are fp32.
    const qp_dtype amax_type = op == QP_OP_QUANT && qp_format_get(f)->scale == QP_SCALE_OF_X ? t : QP_FP32;
    unsigned char *at = k->inputs;
    for (int i = 0; i < n; i++) {
        qp_ktensor *q = &k->a.t[i];
        int64_t rows = shapes[i].rows, cols = shapes[i].cols, ld = shapes[i].ld;
        kit_sizes sizes = kit_sizes_of(f, t, rows, cols);
        *q = (qp_ktensor){.rows = rows, .cols = cols, .ld = ld};
        unsigned char *x = kit_take(&at, (size_t)(rows * ld) * w, skew);
        unsigned char *grad = kit_take(&at, (size_t)(rows * cols) * w, skew);
        unsigned char *amax = kit_take(&at, (size_t)sizes.n_scales * 4, 4);
        unsigned char *scale = kit_take(&at, (size_t)sizes.n_scales * 4, 4);
        unsigned char *global = kit_take(&at, 4, 4);
        kit_fill_elements(x, rows * ld, t, seed + (uint64_t)i);
        kit_fill_elements(grad, rows * cols, t, seed + 1000 + (uint64_t)i);
        kit_fill_amax(amax, sizes.n_scales, amax_type, seed + (uint64_t)i);
        kit_fill_amax(scale, sizes.n_scales, QP_FP32, seed + 3 + (uint64_t)i);
        kit_fill_amax(global, 1, f == QP_NF4 ? t : QP_FP32, seed + 5 + (uint64_t)i);
        q->x = x;
        q->grad = grad;
        q->amax = (const float *)(const void *)amax;
        q->scale = (const float *)(const void *)scale;
        q->global_amax = (const float *)(const void *)global;
        if (op == QP_OP_DEQUANT) kit_fill_packed(&at, k, q, seed + (uint64_t)i);
        k->b.t[i] = *q;
    }
    k->input_bytes = (size_t)(at - k->inputs);
    ck_assert(k->input_bytes <= total);
    kit_side_layout(&k->a, k, skew);
    kit_side_layout(&k->b, k, skew);
    ck_assert(k->a.n_bytes <= total);
    return k;
}

// For one row of the table: with its engine.
static inline kit *kit_of(const qp_kernel_row *row, qp_dtype t, const kit_shape *shapes, int n,
                          int skew_elems, uint64_t seed) {
    kit *k = kit_new(row->op, row->format, t, shapes, n, skew_elems, seed);
    k->launch.engine = row->engine;
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

// Which output a byte belongs to.
static inline const char *kit_place(const kit *k, int64_t byte) {
    static char text[64];
    for (int i = 0; i < k->launch.n_tensors; i++) {
        const qp_ktensor *q = &k->a.t[i];
        const struct {
            const char *name;
            const void *p;
        } f[] = {{"y", q->y},           {"amax_out", q->amax_out},   {"codes", q->codes},
                 {"scales", q->scales}, {"scales_i8", q->scales_i8}, {"weight_scale_2", q->weight_scale_2}};
        for (int j = 0; j < QP_COUNT(f); j++) {
            int64_t at = (const unsigned char *)f[j].p - k->a.base;
            if (at >= 0 && at <= byte)
                snprintf(text, sizeof text, "tensor %d %s byte %lld", i, f[j].name, (long long)(byte - at));
        }
    }
    return text;
}

// The kernel of any engine: one function serves them all.
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
