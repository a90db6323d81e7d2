// SPDX-License-Identifier: Apache-2.0
// The generator of the golden pipeline records (pipeline records page, "Weights (exact)"): splitmix64
// finaliser over a counter.
#include "input/dist.h"

static const uint64_t golden = 0x9E3779B97F4A7C15u;

static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

record_key record_key_of(uint64_t seed, const char *name, bool wide, int64_t numel) {
    uint64_t h = 0xCBF29CE484222325u;
    for (const char *p = name; *p != '\0'; p++) h = (h ^ (uint8_t)*p) * 0x100000001B3u;
    record_key k;
    k.base = mix(h + seed * golden);
    uint64_t t = mix(k.base ^ 0x5851F42D4C957F2Du);
    k.tilt = (uint32_t)t & (wide ? 7u : 3u);
    k.block_mask = wide ? 15u : 3u;
    k.peak_index = numel > 0 ? (t >> 8) % (uint64_t)numel : 0;
    k.peak = (uint32_t)((t >> 63) << 15 | (uint64_t)(125 - k.tilt) << 7 | (t >> 48 & 127));
    return k;
}

static uint32_t element(const record_key *k, uint64_t i) {
    uint64_t z = mix(k->base + (i + 1) * golden), y = mix(~k->base + (i / 16 + 1) * golden);
    uint32_t step = (uint32_t)__builtin_ctz(((uint32_t)z & 0xffu) | 0x100u);
    uint32_t mag = (123 - k->tilt - ((uint32_t)y & k->block_mask) - step) << 7 | (uint32_t)(z >> 56 & 127);
    if (step == 8 || (y >> 32 & 63) == 0) mag = 0;
    return (uint32_t)(z >> 63) << 15 | mag;
}

void record_fill(const record_key *k, uint64_t first, int n, uint32_t *f32) {
    for (int i = 0; i < n; i++) f32[i] = element(k, first + (uint64_t)i) << 16;
    if (k->peak_index >= first && k->peak_index - first < (uint64_t)n)
        f32[k->peak_index - first] = k->peak << 16;
}
