// SPDX-License-Identifier: Apache-2.0
// The switch: ten instructions on x86-64, ucontext elsewhere; AddressSanitizer is told of every one.
// It leaves by pop and jmp, not by ret: the processor's return stack would mispredict every single time.
#include "simt/fiber.h"

#include <string.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { STAGGER = 448, STAGGER_SLOTS = 16 };

#if defined(__x86_64__)

void simt_swap(void **save_sp, void *load_sp) __asm__("qp_simt_swap");
void simt_first(void) __asm__("qp_simt_first");

__asm__(".text\n"
        ".p2align 4\n"
        ".type qp_simt_swap, @function\n"
        "qp_simt_swap:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  popq %rcx\n"
        "  jmp *%rcx\n"
        ".size qp_simt_swap, .-qp_simt_swap\n"
        ".type qp_simt_first, @function\n"
        "qp_simt_first:\n" // rbx: entry, r12: its argument (simt_fiber_make)
        "  movq %r12, %rdi\n"
        "  call *%rbx\n"
        "  ud2\n"
        ".size qp_simt_first, .-qp_simt_first\n");

static void prepare(simt_fiber *f, char *top, void (*entry)(void *), void *arg) {
    // From low to high what simt_swap pops: r15 r14 r13 r12 rbx rbp, then the address to go to. 'top' is
    // 16-aligned, so that the call in simt_first finds the stack as the ABI wants it.
    uintptr_t frame[7] = {0, 0, 0, (uintptr_t)arg, (uintptr_t)entry, 0, (uintptr_t)simt_first};
    f->sp = top - sizeof frame;
    memcpy(f->sp, frame, sizeof frame);
}

static void swap(simt_fiber *from, simt_fiber *to) {
    simt_swap(&from->sp, to->sp);
}

#else

typedef struct start {
    ucontext_t context;
    void (*entry)(void *);
    void *arg;
} start;

static void first(unsigned high, unsigned low) {
    start *s = (start *)((uintptr_t)high << 16 << 16 | low);
    s->entry(s->arg);
}

// The context lives at the low end of the stack.
static void prepare(simt_fiber *f, char *top, void (*entry)(void *), void *arg) {
    start *s = (start *)f->stack;
    s->entry = entry;
    s->arg = arg;
    getcontext(&s->context);
    s->context.uc_stack.ss_sp = f->stack + sizeof *s;
    s->context.uc_stack.ss_size = (size_t)(top - f->stack) - sizeof *s;
    s->context.uc_link = NULL;
    makecontext(&s->context, (void (*)(void))first, 2, (unsigned)((uintptr_t)s >> 16 >> 16),
                (unsigned)(uintptr_t)s);
    f->sp = &s->context;
}

static void swap(simt_fiber *from, simt_fiber *to) {
    ucontext_t here; // of a thread's own stack; stays valid while that thread waits in swapcontext
    if (from->sp == NULL) from->sp = &here;
    swapcontext(from->sp, to->sp);
    if (from->sp == &here) from->sp = NULL;
}

#endif

void simt_fiber_make(simt_fiber *f, char *stack, unsigned slot, void (*entry)(void *), void *arg) {
    memset(f, 0, sizeof *f);
    f->stack = stack;
    f->bytes = SIMT_STACK_BYTES;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, SIMT_STACK_BYTES); // frames that were left behind
#endif
    uintptr_t top = (uintptr_t)stack + SIMT_STACK_BYTES - slot % STAGGER_SLOTS * STAGGER;
    prepare(f, (char *)(top & ~(uintptr_t)15), entry, arg);
}

void simt_fiber_enter(simt_fiber *from) {
#if defined(__SANITIZE_ADDRESS__)
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &bytes);
    if (from->stack == NULL) { // a thread's own stack is learned when it first leaves it
        from->stack = (char *)(uintptr_t)bottom;
        from->bytes = bytes;
    }
#else
    (void)from;
#endif
}

void simt_fiber_switch(simt_fiber *from, simt_fiber *to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->bytes);
#endif
    swap(from, to);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}
