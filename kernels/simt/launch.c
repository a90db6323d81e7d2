// SPDX-License-Identifier: Apache-2.0
// A grid on the CPU: blocks spread over OpenMP threads. Blocks of a CUDA grid are independent, so their order
// is free; it follows the same seed as the threads'.
#include <stdlib.h>
#include <string.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "simt/block.h"

static QP_UNUSED int threads_for(int64_t n_blocks) { // unused where OpenMP is off, and its pragmas with it
#if defined(_OPENMP)
    int most = omp_get_max_threads();
    return n_blocks < most ? (int)n_blocks : most;
#else
    (void)n_blocks;
    return 1;
#endif
}

static unsigned block_at(int64_t i, int64_t n, uint64_t seed) {
    if (seed == 0) return (unsigned)i;
    if (seed == 1) return (unsigned)(n - 1 - i);
    return (unsigned)((uint64_t)(i + (int64_t)(seed % (uint64_t)n)) % (uint64_t)n); // a rotation
}

static void run_plain(const simt_kernel *k, int64_t n_blocks, unsigned n_threads, uint64_t seed,
                      const void *args) {
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads_for(n_blocks))
    for (int64_t i = 0; i < n_blocks; i++) {
        unsigned block = block_at(i, n_blocks, seed);
        uint16_t order[SIMT_MAX_THREADS];
        if (seed != 0) simt_order(order, n_threads, seed, block, 0);
        k->all(args, block, (unsigned)n_blocks, n_threads, seed != 0 ? order : NULL);
    }
}

static simt_block *block_new(const simt_kernel *k, int64_t n_blocks, unsigned n_threads, uint64_t seed,
                             const void *args) {
    simt_block *b = aligned_alloc(64, (sizeof *b + 63) / 64 * 64);
    if (b == NULL) return NULL;
    memset(b, 0, offsetof(simt_block, shared));
    b->kernel = k;
    b->args = args;
    b->n_blocks = (unsigned)n_blocks;
    b->n_threads = n_threads;
    b->order_seed = seed;
    b->stacks = malloc((size_t)n_threads * SIMT_STACK_BYTES);
    if (b->stacks != NULL) return b;
    free(b);
    return NULL;
}

static void block_free(simt_block *b) {
    if (b == NULL) return;
    free(b->stacks);
    free(b);
}

// The first finding (or lack of memory) wins; the other threads stop at their next block.
static qp_status run_coop(const simt_kernel *k, int64_t n_blocks, unsigned n_threads, uint64_t seed,
                          const void *args, qp_err *err) {
    qp_status status = QP_OK;
#pragma omp parallel num_threads(threads_for(n_blocks))
    {
        simt_block *b = block_new(k, n_blocks, n_threads, seed, args);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < n_blocks; i++) {
            qp_status seen;
#pragma omp atomic read
            seen = status;
            if (seen != QP_OK) continue;
            bool good = b != NULL && simt_block_run(b, block_at(i, n_blocks, seed));
            if (good) continue;
#pragma omp critical(simt_first_finding)
            if (status == QP_OK) {
                qp_status code = b ? QP_CORRUPT : QP_NOMEM;
                qp_err_set(err, code, __FILE__, __LINE__, "%s",
                           b ? b->finding : "no memory for the stacks of a simt block");
#pragma omp atomic write
                status = code;
            }
        }
        block_free(b);
    }
    return status;
}

qp_status simt_launch(const simt_kernel *k, int64_t n_blocks, int n_threads, uint64_t order_seed,
                      const void *args, qp_err *err) {
#if defined(__SANITIZE_THREAD__)
    QP_FAIL(QP_UNAVAILABLE, "simt is skipped under ThreadSanitizer");
#endif
    if (k->abi != SIMT_ABI)
        QP_FAIL(QP_BROKEN, "kernel was compiled for simt ABI %d, the runtime has %d", k->abi, (int)SIMT_ABI);
    if (n_threads < 1 || n_threads > SIMT_MAX_THREADS || n_blocks > 0x7fffffff)
        QP_FAIL(QP_REFUSED,
                "simt kernel %s: wanted 1..%d threads and at most 2147483647 blocks, got %d and %lld",
                k->name, (int)SIMT_MAX_THREADS, n_threads, (long long)n_blocks);
    if (n_blocks <= 0) return QP_OK;
    if (k->one != NULL) return run_coop(k, n_blocks, (unsigned)n_threads, order_seed, args, err);
    run_plain(k, n_blocks, (unsigned)n_threads, order_seed, args);
    return QP_OK;
}
