// SPDX-License-Identifier: Apache-2.0
// INT and FP8 fake-quant of a run of elements under one scale.
#include "cpu/tiles/isa.h"

// r = rint(x * s), clamped, divided by s again (numerics 1.2); lo and hi within +-200.
void K_FN(fake_int)(float *tile, int n, float s, float lo, float hi) {
    for (int i = 0; i < n; i++) {
        float r = small_rint(tile[i] * s); // -0 keeps its sign
        r = r > hi ? hi : r;
        r = r < lo ? lo : r;
        tile[i] = r / s;
    }
}

// Rounded to E4M3, times the reciprocal of the scale (numerics 2.3).
void K_FN(fake_fp8)(float *tile, int n, float s, float inverse) {
    for (int i = 0; i < n; i++) {
        float t = tile[i] * s;
        tile[i] = f32_signed(e4m3_round(t), t) * inverse;
    }
}
