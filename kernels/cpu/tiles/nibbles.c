// SPDX-License-Identifier: Apache-2.0
// Two 4-bit codes a byte: the even column low, or high (numerics 10).
#include "cpu/tiles/isa.h"

void K_FN(pack)(const uint8_t *nibbles, int n_bytes, bool high_first, uint8_t *out) {
    if (high_first) {
        for (int i = 0; i < n_bytes; i++) out[i] = (uint8_t)(nibbles[2 * i] << 4 | nibbles[2 * i + 1]);
    } else {
        for (int i = 0; i < n_bytes; i++) out[i] = (uint8_t)(nibbles[2 * i] | nibbles[2 * i + 1] << 4);
    }
}

void K_FN(unpack)(const uint8_t *packed, int n_bytes, bool high_first, uint8_t *nibbles) {
    const int even = high_first ? 4 : 0, odd = 4 - even;
    for (int i = 0; i < n_bytes; i++) {
        nibbles[2 * i] = (uint8_t)(packed[i] >> even & 15);
        nibbles[2 * i + 1] = (uint8_t)(packed[i] >> odd & 15);
    }
}
