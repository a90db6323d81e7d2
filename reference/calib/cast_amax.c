// SPDX-License-Identifier: Apache-2.0
// MXFP4 -> NVFP4 (numerics 7, cast helper): the amax that turn E8M0 scales into E4M3 scales without a loss
// where their range allows it.
#include "calib/calib.h"

enum { BLOCK_BYTES = 16, E4M3_KMIN = -9, E4M3_KMAX = 8 }; // 2^k is an E4M3 value for these k

static int largest_exponent(int64_t n, const uint8_t *scales, int none) {
    int max = 0;
    for (int64_t i = 0; i < n; i++) max = scales[i] > max ? scales[i] : max;
    return max > 0 ? max - 127 : none;
}

// 2^(byte - 127); 255 is 2^128 here, that is Inf.
static float power_of(uint8_t byte) {
    return ref_float(byte > 0 ? (uint32_t)byte << 23 : 0x00400000u);
}

static float largest_nibble(const uint8_t *codes) {
    uint32_t max = 0;
    for (int i = 0; i < BLOCK_BYTES; i++) {
        const uint32_t low = codes[i] & 7u, high = codes[i] >> 4 & 7u;
        max = low > max ? low : max;
        max = high > max ? high : max;
    }
    return ref_e2m1_magnitude(max);
}

// 2688 * 2^(kmax - 8) in double, rounded once; kmax is -126 at least.
static uint32_t global_of(int kmax) {
    const uint64_t image = (uint64_t)(1023 + kmax - E4M3_KMAX) << 52;
    double power;
    memcpy(&power, &image, sizeof power);
    return ref_image((float)(2688.0 * power));
}

void ref_cast_amax(int64_t n, const uint8_t *scales, const uint8_t *codes, uint32_t *global_amax,
                   uint32_t *block_amax) {
    // A tensor of zero bytes only: the one helper takes kmax 0, the other -127.
    const int kmax = largest_exponent(n, scales, -127);
    *global_amax = global_of(largest_exponent(n, scales, 0));
    for (int64_t i = 0; i < n; i++) {
        const int from_m = scales[i] - 127 - (kmax - E4M3_KMAX);
        const bool in_range = from_m >= E4M3_KMIN && from_m <= E4M3_KMAX;
        const float top = in_range ? 6.0f : largest_nibble(codes + i * BLOCK_BYTES);
        const float amax = top * power_of(scales[i]);
        block_amax[2 * i] = block_amax[2 * i + 1] = ref_canonical(amax);
    }
}
