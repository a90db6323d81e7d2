// SPDX-License-Identifier: Apache-2.0
// Ten rounds over 16 counters at a time. Compiled for the baseline ISA on purpose: gcc 12 turns the widening
// products into the native 32x32 -> 64 multiplication there, and into slower 64-bit emulation with AVX2.
#include "input/philox.h"

#include "core/file.h"

#include <string.h>

enum { ROUNDS = 10 };
static const uint32_t m0 = 0xD2511F53u, m1 = 0xCD9E8D57u; // multipliers
static const uint32_t w0 = 0x9E3779B9u, w1 = 0xBB67AE85u; // key schedule

philox_key philox_key_of(uint64_t seed, const char *name, uint32_t stream) {
    uint64_t h = qp_hash64(name, strlen(name), 0);
    return (philox_key){{(uint32_t)seed, (uint32_t)(seed >> 32)}, {(uint32_t)h, (uint32_t)(h >> 32)}, stream};
}

static uint32_t upper_word(const philox_key *k, uint64_t counter) {
    return ((uint32_t)(counter >> 32) & 0x0fffffffu) | k->stream << 28;
}

void philox_block(const philox_key *k, uint64_t counter, uint32_t out[4]) {
    uint32_t a = (uint32_t)counter, b = upper_word(k, counter), c = k->name[0], d = k->name[1];
    uint32_t k0 = k->seed[0], k1 = k->seed[1];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t p = (uint64_t)m0 * a, q = (uint64_t)m1 * c;
        a = (uint32_t)(q >> 32) ^ b ^ k0;
        c = (uint32_t)(p >> 32) ^ d ^ k1;
        b = (uint32_t)q;
        d = (uint32_t)p;
        k0 += w0;
        k1 += w1;
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

// A tile's 16 counters share their upper word: 16 divides 2^32.
static void fill_tile(const philox_key *k, uint64_t tile, uint32_t *out) {
    uint32_t a[PHILOX_LANES], b[PHILOX_LANES], c[PHILOX_LANES], d[PHILOX_LANES];
    uint64_t base = tile * PHILOX_LANES;
    uint32_t low = (uint32_t)base, high = upper_word(k, base), k0 = k->seed[0], k1 = k->seed[1];
#pragma omp simd
    for (int i = 0; i < PHILOX_LANES; i++) {
        a[i] = low + (uint32_t)i;
        b[i] = high;
        c[i] = k->name[0];
        d[i] = k->name[1];
    }
    for (int r = 0; r < ROUNDS; r++) {
#pragma omp simd
        for (int i = 0; i < PHILOX_LANES; i++) {
            uint64_t p = (uint64_t)m0 * a[i], q = (uint64_t)m1 * c[i];
            a[i] = (uint32_t)(q >> 32) ^ b[i] ^ k0;
            c[i] = (uint32_t)(p >> 32) ^ d[i] ^ k1;
            b[i] = (uint32_t)q;
            d[i] = (uint32_t)p;
        }
        k0 += w0;
        k1 += w1;
    }
#pragma omp simd
    for (int i = 0; i < PHILOX_LANES; i++) {
        out[i] = a[i];
        out[PHILOX_LANES + i] = b[i];
        out[2 * PHILOX_LANES + i] = c[i];
        out[3 * PHILOX_LANES + i] = d[i];
    }
}

void philox_tiles(const philox_key *k, uint64_t first_tile, int n_tiles, uint32_t *out) {
    for (int t = 0; t < n_tiles; t++) fill_tile(k, first_tile + (uint64_t)t, out + t * PHILOX_TILE);
}
