// SPDX-License-Identifier: Apache-2.0
// A stack of its own and a way to jump to it and back: what a CUDA thread needs to wait for others.
// Not a scheduler. Fibers never move between operating system threads.
#ifndef SIMT_FIBER_H
#define SIMT_FIBER_H

#include "qp/base.h"

enum { SIMT_STACK_BYTES = 64 * 1024 };

typedef struct simt_fiber {
    void *sp;    // saved stack pointer (x86-64) or ucontext_t (elsewhere, at the stack's low end)
    char *stack; // SIMT_STACK_BYTES, owned by the caller; for a thread's own stack: set by simt_fiber_enter
    size_t bytes;
    void *fake_stack; // AddressSanitizer
} simt_fiber;

// Prepares 'f' to run entry(arg) on 'stack' at the first switch to it. entry never returns; it switches away.
// slot staggers the stack tops, or all of them would share the same sets of the first-level cache.
void simt_fiber_make(simt_fiber *f, char *stack, unsigned slot, void (*entry)(void *), void *arg);
// First statement of an entry function: 'from' is who switched here first.
void simt_fiber_enter(simt_fiber *from);
void simt_fiber_switch(simt_fiber *from, simt_fiber *to);

#endif
