// SPDX-License-Identifier: Apache-2.0
// fp32 to bf16 and fp16 by integers, round to nearest even, for the generator only: kernels and reference
// have their own.
#ifndef INPUT_NARROW_H
#define INPUT_NARROW_H

#include "qp/dtype.h"

// Three clones where the machine has ELF ifuncs and no sanitizer is in the way.
#if defined(__x86_64__) && !defined(QP_NO_CLONES) && !defined(__clang__)
#define QP_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define QP_CLONES
#endif

bool narrow_is_float(qp_dtype t); // bf16, fp16, fp32
// n fp32 images to out in type t. A finite value beyond fp16 becomes its largest finite value.
void narrow_all(qp_dtype t, const uint32_t *f32, int n, void *out);
uint32_t narrow_one(qp_dtype t, uint32_t f32);
uint32_t widen_one(qp_dtype t, uint32_t bits); // exact
uint32_t bits_load(qp_dtype t, const void *base, int64_t i);
void bits_store(qp_dtype t, void *base, int64_t i, uint32_t bits);

static inline float float_of(uint32_t image) {
    union {
        uint32_t u;
        float f;
    } x = {image};
    return x.f;
}

static inline uint32_t image_of(float value) {
    union {
        float f;
        uint32_t u;
    } x = {value};
    return x.u;
}

// 2^e as a float, e in -126 .. 127.
static inline float pow2(int e) {
    return float_of((uint32_t)(e + 127) << 23);
}

#endif
