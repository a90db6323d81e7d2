// SPDX-License-Identifier: Apache-2.0
// MX quantize over N tensors, a thread per block of 32: a code per element and one E8M0 byte. ieee: the rule
// of fake-quant, ties to even (numerics 5.0). torch-cpu and torch-cuda: the real tensors of MXFP4, whose ties
// go down and whose zeros are negative (5.1), and of MXFP8 (5.2).
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/mx.h"

// What stands beside the codes of a block: the byte, and the number that the elements are multiplied by.
typedef struct scale {
    uint32_t byte;
    float down;
} scale;

DEVICE scale scale_of_exponent(int k) {
    scale s = {(uint32_t)(k + K_E8M0_BIAS), k_pow2(-k)};
    return s;
}

DEVICE scale torch_scale(const k_table *p, uint32_t amax, float largest) {
    const float inverse = p->element == QP_ELEM_E2M1 ? 1.0f / 6.0f : 1.0f / 448.0f;
    float d = p->engine == QP_ENGINE_TORCH_CUDA ? k_f32(amax) * inverse : k_f32(amax) / largest;
    uint32_t u = k_bits(d);
    if (u == 0) return scale_of_exponent(-K_E8M0_BIAS);
    if (u < 0x7f800000u) return scale_of_exponent(k_mx_ceil_log2(u));
    if (p->element == QP_ELEM_E4M3) // clamped to 127; a NaN is not above zero
        return scale_of_exponent(u == 0x7f800000u ? 127 : -K_E8M0_BIAS);
    scale none = {0, k_f32(0x7fc00000u)}; // an exponent that fits no byte: every quotient is 0 or NaN
    return none;
}

// As many as bounds strictly below: a tie goes down. x = 0, a quotient that underflows and NaN have the sign.
DEVICE uint32_t torch_mxfp4(float z) {
    float a = k_abs(z);
    uint32_t n = a > 0.25f;
    n += a > 0.75f, n += a > 1.25f, n += a > 1.75f, n += a > 2.5f, n += a > 3.5f, n += a > 5.0f;
    return n | (z > 0.0f ? 0 : 8);
}

// ieee has the sign of fake-quant, so that codes stand for its values: - for a zero and a NaN (numerics 4.7).
// MXFP8 of torch has that of x.
DEVICE uint32_t code_of(const k_table *p, const k_mx *f, float x, float down) {
    if (p->engine == QP_ENGINE_IEEE) return k_mx_join(f, k_mx_code(f, x * down), !(x > 0.0f));
    if (p->element == QP_ELEM_E2M1) return torch_mxfp4(x * down);
    return k_mx_join(f, k_mx_code(f, x * down), k_bits(x) >> 31 != 0 && x == x);
}

KERNEL(quantize_blocks, k_table, p) {
    k_unit u = k_mx_block_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    float v[K_MX_BLOCK];
    k_mx_load(p->dtype, &u, v);
    const k_mx f = k_mx_of(p->element);
    const bool ieee = p->engine == QP_ENGINE_IEEE;
    const uint32_t amax = k_mx_amax(v, !ieee);
    const scale s =
        ieee ? scale_of_exponent(k_mx_exponent(amax, f.largest)) : torch_scale(p, amax, f.largest);
    ((uint8_t *)u.t->scales)[k_block_index(p, &u)] = (uint8_t)s.byte;
    UNROLL for (int at = 0; at < K_MX_BLOCK; at += K_UNIT) {
        k_unit part = k_part(&u, at);
        uint32_t code[K_UNIT];
        UNROLL for (int j = 0; j < K_UNIT; j++) code[j] = code_of(p, &f, v[at + j], s.down);
        if (p->element == QP_ELEM_E2M1)
            k_store_nibbles(&part, false, code);
        else
            k_store_codes(&part, code);
    }
}

QP_ENTRY(quant_mx) {
    QP_TRY(k_launch_check_own(launch, QP_OP_QUANT, QP_SELF(quant_mx), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_BLOCKS);
        QP_TRY(LAUNCH(quantize_blocks, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
