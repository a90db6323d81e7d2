// SPDX-License-Identifier: Apache-2.0
// The real MXFP4 and MXFP8 tensors of torch (numerics 5.1, 5.2), blocks of 32: the exponent is the ceiling of
// a log2 that was itself rounded to fp32, ties of E2M1 go down.
#include "cpu/tiles/isa.h"

enum { BLOCK = 32 };

// ceil(log2f(d)) for d > 0, finite (numerics 5.0): a few steps above 2^e the rounded log2 is still e. The
// farther e lies from 0, the coarser log2 is.
K_INLINE int32_t ceil_log2(uint32_t d) {
    // A subnormal counts from its own leading bit; only those from 2^-127 up matter, the rest is held there.
    bool subnormal = d < 0x00800000u;
    int32_t e = subnormal ? -127 : (int32_t)(d >> 23) - 127;
    int32_t steps = (int32_t)(subnormal ? (d - 0x400000u) * 2u : d & 0x7fffffu);
    int32_t far = e >= 0 ? e : -1 - e;
    int32_t still = far < 4 ? 0 : far < 8 ? 1 : far < 16 ? 2 : far < 32 ? 5 : far < 64 ? 11 : 22;
    return steps > still ? e + 1 : e;
}

// d = amax / largest, NaN kept. MXFP4: byte and 2^k, the divisor of the elements; a byte that the package's
// cast of Inf or NaN leaves is 0. MXFP8: k is held to -127..127, a NaN counts as 0; byte and 2^-k.
void K_FN(mx_log_scales)(const float *d, int n, qp_element e, uint8_t *bytes, float *powers) {
    for (int b = 0; b < n; b++) {
        uint32_t u = bits(d[b]);
        bool finite = u < 0x7f800000u, infinite = u == 0x7f800000u;
        int32_t k = ceil_log2(finite && u > 0x400000u ? u : 0x400000u); // 2^-127 at least
        if (e == QP_ELEM_E2M1) {
            float power = f32(k == -127 ? 0x00400000u : (uint32_t)(k + 127) << 23);
            bytes[b] = (uint8_t)(finite ? k + 127 : 0);
            powers[b] = finite ? power : d[b];
        } else {
            k = infinite ? 127 : k;
            bytes[b] = (uint8_t)(k + 127);
            powers[b] = f32(k == 127 ? 0x00400000u : (uint32_t)(127 - k) << 23);
        }
    }
}

// How many bounds lie strictly below |z|: a tie goes down, a NaN is 0. The sign bit is set where z is not
// positive, zero and NaN included.
void K_FN(mxfp4_ties_down)(const float *tile, int n_blocks, const float *powers, uint8_t *nibbles) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < BLOCK; j++) {
            float z = tile[b * BLOCK + j] / powers[b], a = f32_abs(z);
            uint32_t c = (a > 0.25f) + (a > 0.75f) + (a > 1.25f) + (a > 1.75f);
            c += (a > 2.5f) + (a > 3.5f) + (a > 5.0f);
            nibbles[b * BLOCK + j] = (uint8_t)(c | (z > 0.0f ? 0u : 8u));
        }
}

void K_FN(mxfp8_clamped)(const float *tile, int n_blocks, const float *powers, uint8_t *codes) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < BLOCK; j++) {
            float z = tile[b * BLOCK + j] * powers[b];
            uint8_t sign = (uint8_t)(bits(z) >> 24 & 0x80u);
            codes[b * BLOCK + j] = (uint8_t)(z == z ? sign | e4m3_code(e4m3_round(z)) : 0x7f);
        }
}
