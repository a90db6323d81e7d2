// SPDX-License-Identifier: Apache-2.0
// Threads of one block on lazy fibers: one runner fiber takes thread after thread; only a thread that waits
// keeps its fiber, and a new runner goes on. A barrier costs one switch, straight to the next thread. When a
// phase is over, all threads must be at the same barrier, or all at the end: anything else is a finding,
// never a hang.
#include "simt/block.h"

#include <stdio.h>
#include <string.h>

enum { POISON = 0xa5, GUARD = 0x5a, END = 0x7fffffff };

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void simt_order(uint16_t *order, unsigned n, uint64_t seed, unsigned block, unsigned phase) {
    for (unsigned i = 0; i < n; i++) order[i] = (uint16_t)(seed == 1 ? n - 1 - i : i);
    if (seed < 2) return;
    uint64_t state = mix(seed ^ mix(((uint64_t)block << 32) + phase));
    for (unsigned i = n; i > 1; i--) {
        state = mix(state);
        unsigned j = (unsigned)((state >> 32) * i >> 32);
        uint16_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

static void note(simt_block *b, const char *what, unsigned x, unsigned y, int line) {
    if (b->finding[0] != 0) return;
    snprintf(b->finding, sizeof b->finding, "simt: kernel %s, block %u: ", b->kernel->name, b->block);
    size_t n = strlen(b->finding);
    if (line == 0)
        snprintf(b->finding + n, sizeof b->finding - n, "%s", what);
    else
        snprintf(b->finding + n, sizeof b->finding - n, "%s: %u of %u threads at line %d", what, x, y, line);
}

// The next thread of the block, or END when it is over or cannot go on.
static unsigned next_thread(simt_block *b) {
    if (b->finding[0] != 0) return END;
    if (b->cursor < b->n_threads) return b->order[b->cursor++];
    if (b->done == b->n_threads) return END;
    if (b->arrived < b->n_threads) {
        note(b, "divergent barrier, the others have ended", b->arrived, b->n_threads, b->line);
        return END;
    }
    b->phase++;
    b->arrived = 0;
    b->line = 0;
    if (b->order_seed > 1) simt_order(b->order, b->n_threads, b->order_seed, b->block, b->phase);
    b->cursor = 1;
    return b->order[0];
}

static void runner(void *arg);

// From the running fiber to thread t, which either waits on a fiber of its own or has not begun.
static void go_to(simt_block *b, simt_fiber *me, unsigned t) {
    simt_fiber *to = &b->main;
    if (t != END) {
        b->current = t;
        if (b->phase == 0) {
            b->running = b->n_fibers++;
            to = &b->fibers[b->running];
            simt_fiber_make(to, b->stacks + (size_t)b->running * SIMT_STACK_BYTES, b->running, runner, b);
        } else {
            b->running = b->fiber_of[t];
            to = &b->fibers[b->running];
        }
    }
    if (to != me) simt_fiber_switch(me, to);
}

static void runner(void *arg) {
    simt_block *b = arg;
    simt_fiber_enter(&b->main);
    for (;;) {
        b->kernel->one(b->args, b->block, b->n_blocks, b->n_threads, b->current, b);
        b->done++;
        unsigned t = next_thread(b);
        if (t != END && b->phase == 0)
            b->current = t; // no one waits for this fiber: it takes the next thread itself
        else
            go_to(b, &b->fibers[b->running], t);
    }
}

void simt_barrier(simt_block *b, unsigned thread, int line) {
    if (b->line == 0) b->line = line;
    if (b->line != line) {
        note(b, "threads wait at different barriers", b->arrived, b->n_threads, b->line);
    }
    b->arrived++;
    b->fiber_of[thread] = (uint16_t)b->running;
    simt_fiber *me = &b->fibers[b->running];
    go_to(b, me, next_thread(b));
}

void *simt_shared(simt_block *b, const char *name, size_t n_bytes) {
    for (int i = 0; i < b->n_arrays; i++)
        if (b->arrays[i].name == name) return b->shared + b->arrays[i].offset;
    size_t padded = (n_bytes + 15) / 16 * 16, offset = b->shared_used + SIMT_GUARD_BYTES;
    if (b->n_arrays == SIMT_SHARED_ARRAYS || offset + padded + SIMT_GUARD_BYTES > SIMT_SHARED_BYTES) {
        note(b, "more shared memory than a block has", 0, 0, 0);
        go_to(b, &b->fibers[b->running], END); // does not come back
    }
    memset(b->shared + b->shared_used, GUARD, SIMT_GUARD_BYTES);
    memset(b->shared + offset, POISON, n_bytes);
    memset(b->shared + offset + n_bytes, GUARD, padded - n_bytes + SIMT_GUARD_BYTES);
    b->arrays[b->n_arrays].name = name;
    b->arrays[b->n_arrays].offset = offset;
    b->arrays[b->n_arrays].n_bytes = n_bytes;
    b->n_arrays++;
    b->shared_used = offset + padded; // the guard behind is the one before the next array
    return b->shared + offset;
}

static bool guard_whole(const simt_block *b, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (b->shared[i] != GUARD) return false;
    return true;
}

static void check_guards(simt_block *b) {
    for (int i = 0; i < b->n_arrays; i++) {
        size_t begin = b->arrays[i].offset, end = begin + b->arrays[i].n_bytes;
        size_t padded = (end + 15) / 16 * 16;
        if (!guard_whole(b, begin - SIMT_GUARD_BYTES, begin) ||
            !guard_whole(b, end, padded + SIMT_GUARD_BYTES)) {
            char what[96];
            snprintf(what, sizeof what, "write outside shared array %s of %zu bytes", b->arrays[i].name,
                     b->arrays[i].n_bytes);
            note(b, what, 0, 0, 0);
        }
    }
}

bool simt_block_run(simt_block *b, unsigned block) {
    b->block = block;
    b->phase = b->cursor = b->arrived = b->done = b->n_fibers = 0;
    b->line = b->n_arrays = 0;
    b->shared_used = 0;
    b->finding[0] = 0;
    simt_order(b->order, b->n_threads, b->order_seed, block, 0);
    go_to(b, &b->main, next_thread(b));
    check_guards(b);
    return b->finding[0] == 0;
}
