// SPDX-License-Identifier: Apache-2.0
// The sixteen values of NF4, four digits as upstream has them, in fp32 or rounded to bf16 (numerics 5.7).
#ifndef CUDA_NF4_H
#define CUDA_NF4_H

#include "cuda/tiles.h"

enum { K_NF4_CODES = 16 };

// i is a constant in an unrolled loop, or the table would live in local memory.
DEVICE float k_nf4_fp32(int i) {
    const float lut[K_NF4_CODES] = {-1.0f,    -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f,
                                    -0.0911f, 0.0f,     0.0796f,  0.1609f,  0.2461f,  0.3379f,
                                    0.4407f,  0.5626f,  0.7230f,  1.0f};
    return lut[i];
}

DEVICE float k_nf4_bf16(int i) {
    return k_round(QP_BF16, k_nf4_fp32(i));
}

#endif
