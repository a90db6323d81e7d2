// SPDX-License-Identifier: Apache-2.0
// The tile functions: every loop over elements that the cpu kernels have. The files of tiles/ are compiled
// once per instruction set, under names that end in _base, _v3 or _v4; isa.c chooses one table of them.
#ifndef CPU_OPS_H
#define CPU_OPS_H

#include "qp/kernel.h"

enum { K_TILE = 1024 }; // elements of a tile: a multiple of every block length

// A tile is a short run of one row, held as fp32 in the first-level cache: load, compute, store. Blocked
// functions want whole blocks: the caller pads the tile with zeros.
// n, n_blocks, block: elements, blocks, elements of a block (16, 32, 64, 128).
// nibbles: one 4-bit code a byte.
// t of a rounding function: the type that a quotient or product is rounded to before the code is formed
// (numerics 2.6, 5.4, 5.5, 5.7); fp32: not rounded.
#define K_CPU_OPS(OP)                                                                                        \
    /* memory.c: exact; RNE to the type with canonical NaN; max |bits| as an fp32 image, NaN gives 7fc00000; \
       of blocks, NaN elements left out or winning */                                                        \
    OP(void, load, (qp_dtype t, const void *src, int n, float *tile))                                        \
    OP(void, store, (qp_dtype t, void *dst, int n, const float *tile))                                       \
    OP(uint32_t, amax, (qp_dtype t, const void *src, int n))                                                 \
    OP(void, block_max, (const float *tile, int n_blocks, int block, bool nan_wins, float *out))             \
    /* clip.c: grad where |x| <= amax, else 0; elements of 2 or 4 bytes */                                   \
    OP(void, clip, (const float *x, const void *grad, void *y, int n, size_t bytes, float amax))             \
    /* nibbles.c */                                                                                          \
    OP(void, pack, (const uint8_t *nibbles, int n_bytes, bool high_first, uint8_t *out))                     \
    OP(void, unpack, (const uint8_t *bytes, int n_bytes, bool high_first, uint8_t *nibbles))                 \
    /* fake.c: INT and FP8 fake-quant in place; one scale for the run */                                     \
    OP(void, fake_int, (float *tile, int n, float s, float lo, float hi))                                    \
    OP(void, fake_fp8, (float *tile, int n, float s, float inverse))                                         \
    /* real.c: a byte a code, one scale for the run */                                                       \
    OP(void, codes_int8, (const float *tile, int n, float scale, qp_dtype t, uint8_t *codes))                \
    OP(void, codes_fp8, (const float *tile, int n, float scale, qp_dtype t, uint8_t *codes))                 \
    OP(void, values_int8, (const uint8_t *codes, int n, float scale, float *tile))                           \
    OP(void, values_fp8, (const uint8_t *codes, int n, float scale, float *tile))                            \
    /* int4.c: offset-binary and two's complement nibbles, one scale for the run */                          \
    OP(void, codes_int4, (const float *tile, int n, float s, qp_dtype t, bool half_away, uint8_t *nibbles))  \
    OP(void, codes_awq, (const float *tile, int n, float scale, uint8_t *nibbles))                           \
    OP(void, values_int4, (const uint8_t *nibbles, int n, float s, float *tile))                             \
    OP(void, values_awq, (const uint8_t *nibbles, int n, float scale, float *tile))                          \
    /* nvfp4.c: block scales of fake-quant (divide, multiply), of pack (byte, divisor), elements */          \
    OP(void, nvfp4_dynamic, (const float *block_max, int n, float g, float *divide, float *multiply))        \
    OP(void, nvfp4_static, (const float *block_amax, int n, float a, float *divide, float *multiply))        \
    OP(void, nvfp4_fake, (float *tile, int n_blocks, const float *divide, const float *multiply))            \
    OP(void, nvfp4_pack_dynamic, (const float *b, int n, float ws2, uint8_t *codes, float *divisors))        \
    OP(void, nvfp4_pack_static,                                                                              \
       (const float *b, int n, float m, float sixth, bool reciprocal, float ws2, uint8_t *codes,             \
        float *divisors))                                                                                    \
    OP(void, nvfp4_codes, (const float *tile, int n_blocks, int block, const float *divisors, uint8_t *out)) \
    OP(void, nvfp4_values,                                                                                   \
       (const uint8_t *nibbles, int n_blocks, int block, const uint8_t *scales, float ws2, float *tile))     \
    /* mx.c: blocks of 32; e: the element; up = 2^k, down = 2^-k */                                          \
    OP(void, mx_scales, (const float *block_max, int n, qp_element e, uint8_t *bytes))                       \
    OP(void, mx_powers, (const uint8_t *bytes, int n, float most, float *up, float *down))                   \
    OP(void, mx_fake, (float *tile, int n_blocks, qp_element e, const float *up, const float *down))         \
    OP(void, mx_codes, (const float *tile, int n_blocks, qp_element e, const float *down, uint8_t *codes))   \
    OP(void, mx_values, (const uint8_t *codes, int n_blocks, qp_element e, const float *up, float *tile))    \
    /* mx_torch.c: the real-quant tensors; d = amax / fmax */                                                \
    OP(void, mx_log_scales, (const float *d, int n, qp_element e, uint8_t *bytes, float *powers))            \
    OP(void, mxfp4_ties_down, (const float *tile, int n_blocks, const float *powers, uint8_t *nibbles))      \
    OP(void, mxfp8_clamped, (const float *tile, int n_blocks, const float *powers, uint8_t *codes))          \
    /* nf4.c: blocks of 64 */                                                                                \
    OP(void, codes_nf4,                                                                                      \
       (const float *tile, int n_blocks, const float *amax, qp_dtype t, bool cuda, uint8_t *nibbles))        \
    OP(void, values_nf4, (const uint8_t *nibbles, int n_blocks, const float *scales, bool cuda, float *tile))

#define K_OP(type, name, args) type(*name) args;
typedef struct k_cpu_ops {
    K_CPU_OPS(K_OP)
} k_cpu_ops;
#undef K_OP

// The table that this launch runs with: forced, or the best that the processor has.
const k_cpu_ops *k_cpu_now(void);

static inline const void *k_at(qp_dtype t, const void *base, int64_t i) {
    return (const char *)base + i * (int64_t)qp_dtype_bytes(t);
}

static inline void *k_at_mut(qp_dtype t, void *base, int64_t i) {
    return (char *)base + i * (int64_t)qp_dtype_bytes(t);
}

#endif
