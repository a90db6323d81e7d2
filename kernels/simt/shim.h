// SPDX-License-Identifier: Apache-2.0
// Put in front of a kernels/cuda/*.cu, this header makes a C compiler accept it: the words of cuda/dialect.h,
// with every CUDA thread a call. Barrier-free kernels are a loop over the block's threads; KERNEL_COOP ones
// get a fiber per waiting thread.
#ifndef SIMT_SHIM_H
#define SIMT_SHIM_H

#include "kernels.h"

// Changes with every struct and signature below: a launch of other words than the runtime's is refused, it
// does not hang.
enum { SIMT_ABI = 1, SIMT_MAX_THREADS = 1024 };

typedef struct simt_dim {
    unsigned x;
} simt_dim;

typedef struct simt_block simt_block; // one running block of a cooperative kernel (runtime.c)

typedef struct simt_kernel {
    int abi;
    const char *name;
    // A barrier-free kernel: all n threads of a block, in this order (NULL: forward).
    void (*all)(const void *args, unsigned block, unsigned n_blocks, unsigned n, const uint16_t *order);
    // A cooperative kernel: one thread, on a fiber.
    void (*one)(const void *args, unsigned block, unsigned n_blocks, unsigned n, unsigned thread,
                simt_block *simt);
} simt_kernel;

// Runs the grid, blocks spread over OpenMP threads. order_seed: 0 forward, 1 reverse, else shuffled (threads
// and blocks). QP_CORRUPT, message "simt: ...": the kernel itself is at fault (divergent barrier, write
// outside a shared array). QP_UNAVAILABLE under ThreadSanitizer, which does not know the fibers.
qp_status simt_launch(const simt_kernel *k, int64_t n_blocks, int n_threads, uint64_t order_seed,
                      const void *args, qp_err *err);
// All threads of the block must come here, to this very line.
void simt_barrier(simt_block *b, unsigned thread, int line);
// The block's array of that name, poisoned when the block begins, guard words around it.
void *simt_shared(simt_block *b, const char *name, size_t n_bytes);

#define DEVICE static inline __attribute__((always_inline, unused))
#define UNROLL
#define K_ALIGNED(n) __attribute__((may_alias, aligned(n)))

#define SIMT_COORDINATES                                                                                     \
    simt_dim threadIdx QP_UNUSED, simt_dim blockIdx QP_UNUSED, simt_dim blockDim QP_UNUSED,                  \
        simt_dim gridDim QP_UNUSED

#define KERNEL(name, type, p)                                                                                \
    DEVICE void name##_thread(const type *p, SIMT_COORDINATES);                                              \
    static void name##_all(const void *args, unsigned block, unsigned n_blocks, unsigned n,                  \
                           const uint16_t *order) {                                                          \
        simt_dim b = {block}, bd = {n}, gd = {n_blocks};                                                     \
        for (unsigned i = 0; i < n; i++) {                                                                   \
            simt_dim t = {order ? order[i] : i};                                                             \
            name##_thread((const type *)args, t, b, bd, gd);                                                 \
        }                                                                                                    \
    }                                                                                                        \
    static const simt_kernel name = {SIMT_ABI, #name, name##_all, NULL};                                     \
    DEVICE void name##_thread(const type *p, SIMT_COORDINATES)

#define KERNEL_COOP(name, type, p)                                                                           \
    DEVICE void name##_thread(const type *p, SIMT_COORDINATES, simt_block *simt QP_UNUSED);                  \
    static void name##_one(const void *args, unsigned block, unsigned n_blocks, unsigned n, unsigned thread, \
                           simt_block *simt) {                                                               \
        simt_dim t = {thread}, b = {block}, bd = {n}, gd = {n_blocks};                                       \
        name##_thread((const type *)args, t, b, bd, gd, simt);                                               \
    }                                                                                                        \
    static const simt_kernel name = {SIMT_ABI, #name, NULL, name##_one};                                     \
    DEVICE void name##_thread(const type *p, SIMT_COORDINATES, simt_block *simt QP_UNUSED)

#define SHARED(T, name, n) T *const name = (T *)simt_shared(simt, #name, sizeof(T) * (size_t)(n))
#define SYNC() simt_barrier(simt, threadIdx.x, __LINE__)

#define QP_SELF(op) k_simt_##op
#define QP_ENTRY(op) qp_status k_simt_##op(const qp_launch *launch, qp_err *err)
#define LAUNCH(name, n_blocks, n_threads, launch, args)                                                      \
    simt_launch(&name, (n_blocks), (n_threads), (launch)->order_seed, (args), err)

DEVICE void k_atomic_max(void *p, uint32_t v) {
    typedef uint32_t __attribute__((may_alias)) word;
    word *w = (word *)p;
    word seen = __atomic_load_n(w, __ATOMIC_RELAXED);
    while (v > seen && !__atomic_compare_exchange_n(w, &seen, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

#endif
