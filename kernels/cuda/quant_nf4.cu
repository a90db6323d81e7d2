// SPDX-License-Identifier: Apache-2.0
// NF4 quantize over N tensors (numerics 5.7): the nearest of sixteen values of x / amax, even column in the
// high nibble; and the block scales once more as int8 around their given mean, the whole tensor being one
// super-block: a block of the grid finds the largest distance from the mean, a second launch rounds.
#ifndef QP_SIMT
#include "cuda/dialect.h"
#endif
#include "cuda/nf4.h"

#include <math.h>

// Nearest value; a tie goes to the lower index, a NaN has index 0. torch on a CPU has the table in bf16 and
// rounds the difference to the type of x.
DEVICE uint32_t nearest(const k_table *p, float u) {
    const bool fp32 = p->engine == QP_ENGINE_TORCH_CUDA;
    uint32_t index = 0;
    float least = 0.0f;
    UNROLL for (int i = 0; i < K_NF4_CODES; i++) {
        float d = k_abs(fp32 ? k_nf4_fp32(i) - u : k_round(p->dtype, u - k_nf4_bf16(i)));
        bool nearer = i == 0 || d < least;
        least = nearer ? d : least;
        index = nearer ? (uint32_t)i : index;
    }
    return index;
}

KERNEL(pack_units, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0) return;
    const int64_t i = k_grain_index(p, &u);
    const float amax = k_round(p->dtype, u.t->amax[i]);
    float v[K_UNIT];
    uint32_t code[K_UNIT];
    k_load_x(p->dtype, &u, v);
    UNROLL for (int j = 0; j < K_UNIT; j++) code[j] = nearest(p, k_round(p->dtype, v[j] / amax));
    k_store_nibbles(&u, true, code);
    if (k_grain_begins(p, &u)) k_scale_store(p, u.t, i, amax);
}

DEVICE int64_t n_blocks_of(const k_table *p, const qp_ktensor *t) {
    return t->rows * ((t->cols + ((int64_t)1 << p->col_shift) - 1) >> p->col_shift);
}

// T(scale - mean)
DEVICE float centred(const k_table *p, const qp_ktensor *t, int64_t i) {
    return k_round(p->dtype, k_round(p->dtype, t->amax[i]) - k_round(p->dtype, t->global_amax[0]));
}

KERNEL_COOP(double_scale, k_table, p) {
    SHARED(uint32_t, part, K_THREADS);
    unsigned me = threadIdx.x;
    const qp_ktensor *t = &p->t[blockIdx.x];
    uint32_t m = 0;
    for (int64_t i = me; i < n_blocks_of(p, t); i += K_THREADS) {
        uint32_t a = k_bits(centred(p, t, i)) & 0x7fffffffu;
        m = a > m ? a : m; // as integers a NaN wins
    }
    part[me] = m;
    SYNC();
    for (unsigned half = K_THREADS / 2; half > 0; half /= 2) {
        if (me < half && part[me + half] > part[me]) part[me] = part[me + half];
        SYNC();
    }
    if (me != 0) return;
    float s = k_round(p->dtype, k_round(p->dtype, 1.0f / k_f32(part[0])) * 127.0f);
    t->weight_scale_2[0] = k_f32(k_narrow(QP_FP32, s));
}

// Scales that are all equal give 0 * Inf, and that the code 0.
KERNEL(scale_codes, k_table, p) {
    k_unit u = k_unit_of(p, blockIdx.x, threadIdx.x);
    if (u.n == 0 || !k_grain_begins(p, &u)) return;
    const int64_t i = k_grain_index(p, &u);
    float q = rintf(k_round(p->dtype, centred(p, u.t, i) * u.t->weight_scale_2[0]));
    ((uint8_t *)u.t->scales_i8)[i] = (uint8_t)k_int_code(k_clamp(q, -127.0f, 127.0f));
}

QP_ENTRY(quant_nf4) {
    QP_TRY(k_launch_check_own(launch, QP_OP_QUANT, QP_SELF(quant_nf4), err));
    k_table p;
    for (int first = 0; first < launch->n_tensors; first += p.n) {
        k_table_fill(&p, launch, first, K_CUT_UNITS);
        QP_TRY(LAUNCH(pack_units, p.first_tile[p.n], K_THREADS, launch, &p));
        QP_TRY(LAUNCH(double_scale, p.n, K_THREADS, launch, &p));
        QP_TRY(LAUNCH(scale_codes, p.first_tile[p.n], K_THREADS, launch, &p));
    }
    return QP_OK;
}
