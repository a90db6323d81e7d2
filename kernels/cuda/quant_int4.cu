// SPDX-License-Identifier: Apache-2.0
// INT4 packs over N tensors (numerics 5.4). Blocks of 128: the inverse scale 7 / amax and every step in the
// type of x, offset by 8, even column in the high nibble; a CPU rounds ties to even, the CUDA kernel away
// from zero after the offset. AWQ: a given fp32 scale, two's complement, two rows a byte.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/tiles.h"

#include <math.h>

// u = T(x * s). A NaN has no code: a CPU's cast gives 0, the CUDA kernel's min and max drop it.
DEVICE uint32_t on_cpu(float u) {
    return u == u ? (uint32_t)(k_clamp(rintf(u), -8.0f, 7.0f) + 8.0f) : 0;
}

DEVICE uint32_t on_cuda(int dtype, float u) {
    u = u < 7.0f ? u : 7.0f;
    u = u > -8.0f ? u : -8.0f;
    float v = k_round(dtype, u + 8.0f);
    uint32_t whole = (uint32_t)v; // v >= 0
    return v - (float)whole >= 0.5f ? whole + 1 : whole;
}

KERNEL(pack_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const int64_t i = k_grain_index(p, &u);
    const float amax = k_round(p->dtype, u.t->amax[i]);
    const float s = k_round(p->dtype, k_round(p->dtype, 1.0f / amax) * 7.0f); // as torch has 7 / tensor
    float v[K_UNIT];
    uint32_t code[K_UNIT];
    k_load_x(p->dtype, &u, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) {
        float scaled = k_round(p->dtype, v[j] * s);
        code[j] = p->engine == QP_ENGINE_TORCH_CUDA ? on_cuda(p->dtype, scaled) : on_cpu(scaled);
    }
    k_store_nibbles(&u, true, code);
    if (k_grain_begins(p, &u)) k_scale_store(p, u.t, i, s);
}

DEVICE void awq_codes(const k_table *p, const k_unit *u, uint32_t *code) {
    const float s = u->t->scale[k_grain_index(p, u)];
    float v[K_UNIT];
    k_load_x(p->dtype, u, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) code[j] = k_int_code(k_clamp(rintf(v[j] / s), -8.0f, 7.0f)) & 15;
}

// Bytes [rows / 2, cols]: the even row low. A last odd row has no partner: 0.
KERNEL(pack_row_pairs, k_table, p) {
    k_unit u = k_pair_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    uint32_t code[K_UNIT], other[K_UNIT] = {0};
    awq_codes(p, &u, code);
    k_unit next = {u.t, u.row + 1, u.col, u.n};
    if (next.row < u.t->rows) awq_codes(p, &next, other);
    UNROLL for (int j = 0; j < K_UNIT; j++) code[j] |= other[j] << 4;
    k_store_bytes(u.t->codes + (u.row >> 1) * u.t->cols + u.col, u.n, K_UNIT, code);
}

QP_ENTRY(quant_int4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_QUANT, QP_SELF(quant_int4), err));
    const bool awq = launch->format == QP_INT4_AWQ;
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, awq ? K_CUT_ROW_PAIRS : K_CUT_UNITS);
        if (awq)
            QP_TRY(LAUNCH(pack_row_pairs, p.first_tile[p.n], K_THREADS, launch, &p));
        else
            QP_TRY(LAUNCH(pack_units, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
