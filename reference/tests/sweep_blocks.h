// SPDX-License-Identifier: Apache-2.0
// Blocks that are hard for a pruned sweep: families, each a function of (seed, index). Shared by the default
// test and by 'make exhaustive'.
#ifndef REF_TESTS_SWEEP_BLOCKS_H
#define REF_TESTS_SWEEP_BLOCKS_H

#include <string.h>

#include "qp/refcalib.h"

enum { BLOCKS_PER_TABLE = 64 }; // blocks that share a global amax

typedef struct blocks_rng {
    uint64_t state;
} blocks_rng;

static inline uint64_t blocks_next(blocks_rng *r) { // splitmix64
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline int blocks_below(blocks_rng *r, int n) {
    return (int)(blocks_next(r) % (uint64_t)n);
}

static inline float blocks_unit(blocks_rng *r) { // [0, 1)
    return (float)(blocks_next(r) >> 40) * 0x1p-24f;
}

static inline float blocks_bell(blocks_rng *r) { // near enough to a Gaussian of deviation 1
    float sum = -6.0f;
    for (int i = 0; i < 12; i++) sum += blocks_unit(r);
    return sum;
}

static inline float blocks_float(uint32_t image) {
    float f;
    memcpy(&f, &image, sizeof f);
    return f;
}

static inline uint32_t blocks_image(float f) {
    uint32_t image;
    memcpy(&image, &f, sizeof image);
    return image;
}

static inline float blocks_power(int k) { // 2^k, -126..127
    return blocks_float((uint32_t)(k + 127) << 23);
}

// What a family is given: a global amax of its making and its scales.
typedef struct blocks_table {
    uint32_t global;
    ref_sweep_scales scales;
} blocks_table;

// The size of a block against its tensor: 1 down to 2^-19, which reaches the subnormal scale codes.
static inline float blocks_size(blocks_rng *r, const blocks_table *t) {
    return blocks_float(t->global) * blocks_power(-blocks_below(r, 20)) * (0.5f + 0.5f * blocks_unit(r));
}

static inline float blocks_some_scale(blocks_rng *r, const blocks_table *t) {
    return blocks_float(t->scales.scale[blocks_below(r, REF_SWEEP_CANDIDATES)]);
}

static inline void blocks_gaussian(blocks_rng *r, const blocks_table *t, float *x) {
    const float size = blocks_size(r, t) / 3;
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) x[i] = size * blocks_bell(r);
}

static inline void blocks_constant(blocks_rng *r, const blocks_table *t, float *x) {
    const float size = blocks_size(r, t);
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) x[i] = blocks_below(r, 2) ? size : -size;
}

static inline void blocks_outlier(blocks_rng *r, const blocks_table *t, float *x) {
    const float size = blocks_size(r, t), small = size * blocks_power(-blocks_below(r, 8));
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) x[i] = small * blocks_bell(r) / 3;
    x[blocks_below(r, REF_SWEEP_BLOCK)] = size;
}

static inline void blocks_two_values(blocks_rng *r, const blocks_table *t, float *x) {
    const float a = blocks_size(r, t), b = a * blocks_unit(r);
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) x[i] = blocks_below(r, 2) ? a : b;
}

// Values of E2M1, times a candidate's scale: several scales lose nothing.
static inline void blocks_grid(blocks_rng *r, const blocks_table *t, float *x) {
    static const float grid[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    const float s = blocks_some_scale(r, t);
    const int lowest = blocks_below(r, 8);
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) x[i] = s * grid[lowest + blocks_below(r, 8 - lowest)];
}

// The bounds between E2M1 values, and up to two units of the last place beside them.
static inline void blocks_near_ties(blocks_rng *r, const blocks_table *t, float *x) {
    static const float bounds[] = {0.25f, 0.5f, 0.75f, 1.25f, 1.5f, 1.75f, 2.5f, 3.5f, 5, 6, 7};
    const float s = blocks_some_scale(r, t);
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) {
        const uint32_t image = blocks_image(s * bounds[blocks_below(r, QP_COUNT(bounds))]);
        x[i] = blocks_float(image > 2 ? image + (uint32_t)blocks_below(r, 5) - 2 : image);
    }
}

static inline void blocks_zeros(blocks_rng *r, const blocks_table *t, float *x) {
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) x[i] = blocks_below(r, 2) ? 0.0f : -0.0f;
    if (blocks_below(r, 2)) x[blocks_below(r, REF_SWEEP_BLOCK)] = blocks_size(r, t);
}

static inline void blocks_specials(blocks_rng *r, const blocks_table *t, float *x) {
    static const uint32_t specials[] = {0x7fc00000, 0xffc00001, 0x7f800000, 0xff800000, 0x7f7fffff, 1};
    blocks_gaussian(r, t, x);
    for (int k = blocks_below(r, 3); k >= 0; k--)
        x[blocks_below(r, REF_SWEEP_BLOCK)] = blocks_float(specials[blocks_below(r, QP_COUNT(specials))]);
}

static inline void blocks_subnormals(blocks_rng *r, const blocks_table *t, float *x) {
    (void)t;
    const int bits = 1 + blocks_below(r, 25);
    for (int i = 0; i < REF_SWEEP_BLOCK; i++)
        x[i] = blocks_float((uint32_t)blocks_next(r) & (0x80000000u | ((1u << bits) - 1)));
}

static inline void blocks_any_bits(blocks_rng *r, const blocks_table *t, float *x) {
    const uint32_t like =
        t->global & 0x7f800000u; // the exponents near the global amax, so that losses differ
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) {
        const uint32_t bits = (uint32_t)blocks_next(r), down = (uint32_t)blocks_below(r, 12) << 23;
        x[i] = blocks_float((bits & 0x807fffffu) | (like > down ? like - down : 0));
    }
}

static inline uint32_t blocks_ordinary_global(blocks_rng *r) {
    return blocks_image((0.5f + blocks_unit(r)) * blocks_power(blocks_below(r, 17) - 8));
}

// Any exponent at all, and what is no amax: zero, subnormal, Inf, NaN, negative.
static inline uint32_t blocks_extreme_global(blocks_rng *r) {
    static const uint32_t odd[] = {0,          1,          0x00400000, 0x33c00000,
                                   0x7f7fffff, 0x7f800000, 0x7fc00000, 0xbf800000};
    if (blocks_below(r, 4) == 0) return odd[blocks_below(r, QP_COUNT(odd))];
    return (uint32_t)blocks_next(r) & 0x7fffffffu;
}

typedef struct blocks_family {
    const char *name;
    void (*fill)(blocks_rng *r, const blocks_table *t, float *x);
    uint32_t (*global)(blocks_rng *r);
} blocks_family;

static const blocks_family blocks_families[] = {
    {"gaussian", blocks_gaussian, blocks_ordinary_global},
    {"constant magnitude", blocks_constant, blocks_ordinary_global},
    {"one outlier", blocks_outlier, blocks_ordinary_global},
    {"two values", blocks_two_values, blocks_ordinary_global},
    {"grid points", blocks_grid, blocks_ordinary_global},
    {"near ties", blocks_near_ties, blocks_ordinary_global},
    {"zeros", blocks_zeros, blocks_ordinary_global},
    {"NaN, Inf, ends of fp32", blocks_specials, blocks_ordinary_global},
    {"subnormal values", blocks_subnormals, blocks_ordinary_global},
    {"any bits", blocks_any_bits, blocks_ordinary_global},
    {"any global amax, gaussian", blocks_gaussian, blocks_extreme_global},
    {"any global amax, grid", blocks_grid, blocks_extreme_global},
    {"any global amax, any bits", blocks_any_bits, blocks_extreme_global},
    {"any global amax, subnormal", blocks_subnormals, blocks_extreme_global},
};

typedef int blocks_searcher(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n, int *evaluated);

typedef struct blocks_result {
    uint64_t blocks, different, evaluated;
    int most;
    uint32_t global, x[REF_SWEEP_BLOCK]; // of the first difference, as fp32
    int want, got;
} blocks_result;

// One chunk of blocks that share a global amax: the search under test against all 126.
static inline void blocks_compare(const blocks_family *f, uint64_t seed, uint64_t chunk, int n,
                                  blocks_searcher *searcher, blocks_result *sum) {
    static const qp_engine engines[] = {QP_ENGINE_TORCH_CPU, QP_ENGINE_TORCH_CUDA, QP_ENGINE_TRITON_INTERP};
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32};
    blocks_rng r = {seed ^ chunk * UINT64_C(0xd1342543de82ef95)};
    blocks_table t = {.global = f->global(&r)};
    ref_sweep_scales_of(engines[chunk % 3], t.global, &t.scales);
    for (int b = 0; b < n; b++) {
        float wide[REF_SWEEP_BLOCK];
        uint32_t x[REF_SWEEP_BLOCK];
        const qp_dtype type = types[blocks_below(&r, 3)];
        int evaluated = 0;
        f->fill(&r, &t, wide);
        for (int i = 0; i < REF_SWEEP_BLOCK; i++) ref_store_f32(type, x, i, blocks_image(wide[i]));
        const int want = ref_sweep(&t.scales, type, x, REF_SWEEP_BLOCK);
        const int got = searcher(&t.scales, type, x, REF_SWEEP_BLOCK, &evaluated);
        sum->blocks++;
        sum->evaluated += (uint64_t)evaluated;
        sum->most = evaluated > sum->most ? evaluated : sum->most;
        if (want == got) continue;
        if (sum->different++ > 0) continue;
        sum->global = t.global;
        sum->want = want;
        sum->got = got;
        for (int i = 0; i < REF_SWEEP_BLOCK; i++) sum->x[i] = ref_load_f32(type, x, i);
    }
}

static inline void blocks_add(blocks_result *into, const blocks_result *from) {
    const blocks_result before = *into;
    if (before.different == 0) *into = *from; // takes the first difference along
    into->blocks = before.blocks + from->blocks;
    into->different = before.different + from->different;
    into->evaluated = before.evaluated + from->evaluated;
    into->most = before.most > from->most ? before.most : from->most;
}

// The published window: candidates -3 .. +7 around the code nearest to amax / 6 (arXiv 2606.07618). Not the
// law: PRUNING.md says where it fails.
static inline int blocks_window(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n,
                                int *evaluated) {
    float amax = 0, least = 0;
    int centre = 0, best = -1;
    for (int i = 0; i < n; i++) {
        const float a = blocks_float(ref_load_f32(dtype, x, i) & 0x7fffffffu);
        amax = a > amax ? a : amax;
    }
    for (int k = 1; k < REF_SWEEP_CANDIDATES; k++) {
        const double want = (double)amax / 6, here = blocks_float(t->scale[k]),
                     before = blocks_float(t->scale[k - 1]);
        if (here - want < want - before) centre = k; // nearer than all before it
    }
    *evaluated = 0;
    for (int k = centre > 3 ? centre - 3 : 0; k <= centre + 7 && k < REF_SWEEP_CANDIDATES; k++) {
        const float loss = blocks_float(ref_sweep_loss(t, k, dtype, x, n));
        ++*evaluated;
        if (best >= 0 && !(loss < least)) continue;
        best = k;
        least = loss;
    }
    return best;
}

#endif
