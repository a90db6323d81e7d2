// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 (Salmon et al., SC 2011) over tiles of 64 words, laid out so that compilers vectorize it. A
// test holds it bit-equal to Random123. One 32-bit word per element of a tensor and stream.
#ifndef INPUT_PHILOX_H
#define INPUT_PHILOX_H

#include "qp/base.h"

enum { PHILOX_TILE = 64, PHILOX_LANES = 16 };

// Streams of one tensor name never meet: the stream number is part of the counter.
enum { STREAM_MAIN = 0, STREAM_AUX = 1, STREAM_BLOCK = 2, STREAM_U64 = 3, STREAM_ROUTE = 4 };

typedef struct philox_key {
    uint32_t seed[2]; // key words
    uint32_t name[2]; // counter words 2 and 3: hash of the tensor name
    uint32_t stream;  // upper 4 bits of counter word 1
} philox_key;

philox_key philox_key_of(uint64_t seed, const char *name, uint32_t stream);
// One block of four words for counter (28 + 32 bits).
void philox_block(const philox_key *k, uint64_t counter, uint32_t out[4]);
// Words of elements 64*first_tile .. 64*(first_tile + n_tiles) - 1. Element i has word (i / 16) % 4 of
// counter i/64*16 + i%16.
void philox_tiles(const philox_key *k, uint64_t first_tile, int n_tiles, uint32_t *out);

#endif
