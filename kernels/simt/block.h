// SPDX-License-Identifier: Apache-2.0
// One block of a cooperative kernel at work: its threads, its barrier, its shared memory. One per OpenMP
// thread, used for block after block. Not the grid (launch.c).
#ifndef SIMT_BLOCK_H
#define SIMT_BLOCK_H

#include "simt/fiber.h"
#include "simt/shim.h"

enum { SIMT_SHARED_BYTES = 48 * 1024, SIMT_SHARED_ARRAYS = 16, SIMT_GUARD_BYTES = 256, SIMT_FINDING = 256 };

struct simt_block {
    const simt_kernel *kernel;
    const void *args;
    unsigned block, n_blocks, n_threads;
    uint64_t order_seed;

    uint16_t order[SIMT_MAX_THREADS];    // threads in the order of this phase (a phase ends at a barrier)
    uint16_t fiber_of[SIMT_MAX_THREADS]; // the fiber that a waiting thread keeps
    unsigned phase, cursor;              // place in order
    unsigned arrived, done;              // threads at the barrier; threads that ended
    unsigned current;                    // the thread that runs
    unsigned running, n_fibers;          // its fiber; fibers in use
    int line;                            // of the barrier this phase waits at

    simt_fiber main;
    simt_fiber fibers[SIMT_MAX_THREADS];
    char *stacks; // n_threads * SIMT_STACK_BYTES, owned by launch.c

    struct {
        const char *name;
        size_t offset, n_bytes;
    } arrays[SIMT_SHARED_ARRAYS];
    int n_arrays;
    size_t shared_used;
    _Alignas(64) unsigned char shared[SIMT_SHARED_BYTES];

    char finding[SIMT_FINDING]; // "" = none
};

// Runs block 'block' to its end. False: b->finding says what the kernel did.
bool simt_block_run(simt_block *b, unsigned block);
// Thread order of one phase: 0 forward, 1 reverse, else shuffled by (seed, block, phase).
void simt_order(uint16_t *order, unsigned n, uint64_t seed, unsigned block, unsigned phase);

#endif
