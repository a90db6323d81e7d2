// SPDX-License-Identifier: Apache-2.0
// The clip mask of the straight-through backward, compared in fp32 (numerics 1.5): the gradient's bits are
// copied, never computed with.
#include "cpu/tiles/isa.h"

// The gradient is read whatever the mask says: a loop without branches.
static void clip_16(const float *x, const uint16_t *grad, uint16_t *y, int n, float amax) {
    for (int i = 0; i < n; i++) {
        uint16_t g = grad[i];
        y[i] = f32_abs(x[i]) <= amax ? g : 0;
    }
}

static void clip_32(const float *x, const uint32_t *grad, uint32_t *y, int n, float amax) {
    for (int i = 0; i < n; i++) {
        uint32_t g = grad[i];
        y[i] = f32_abs(x[i]) <= amax ? g : 0;
    }
}

void K_FN(clip)(const float *x, const void *grad, void *y, int n, size_t n_bytes, float amax) {
    if (n_bytes == 4)
        clip_32(x, grad, y, n, amax);
    else
        clip_16(x, grad, y, n, amax);
}
