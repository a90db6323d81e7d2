// SPDX-License-Identifier: Apache-2.0
// The pruned sweep against all 126 candidates on 14 families of blocks, more than 10^7 blocks, and lemma 1 of
// reference/calib/PRUNING.md over all 2^23 mantissas of a scale. Planted: the published window, which must be
// found wrong.
#include "tests/exhaustive.h"
#include "tests/lemma.h"
#include "tests/sweep_blocks.h"

enum { CHUNKS = 11300 }; // of BLOCKS_PER_TABLE blocks in each family

static blocks_result whole_family(const blocks_family *f, blocks_searcher *searcher, int chunks) {
    blocks_result total = {0};
#pragma omp parallel for schedule(dynamic)
    for (int c = 0; c < chunks; c++) {
        blocks_result r = {0};
        blocks_compare(f, 0x7175616e74ull, (uint64_t)c, BLOCKS_PER_TABLE, searcher, &r);
#pragma omp critical
        blocks_add(&total, &r);
    }
    return total;
}

static bool window_is_found(void) {
    const blocks_result r = whole_family(&blocks_families[1], blocks_window, 100);
    printf("  planted, the window -3..+7: %s (%llu of %llu blocks, %s)\n",
           r.different > 0 ? "found" : "NOT FOUND", (unsigned long long)r.different,
           (unsigned long long)r.blocks, blocks_families[1].name);
    return r.different > 0;
}

bool exhaustive_sweep(void) {
    const double start = omp_get_wtime();
    blocks_result sum = {0};
    for (int i = 0; i < QP_COUNT(blocks_families); i++) {
        const blocks_family *f = &blocks_families[i];
        const blocks_result r = whole_family(f, ref_sweep_pruned, CHUNKS);
        blocks_add(&sum, &r);
        printf("  %s: %llu blocks, %llu different, %.2f losses a block, at most %d\n", f->name,
               (unsigned long long)r.blocks, (unsigned long long)r.different,
               (double)r.evaluated / (double)r.blocks, r.most);
        if (r.different > 0)
            printf("  first: ga %08x want %d got %d x[0] %08x\n", r.global, r.want, r.got, r.x[0]);
        fflush(stdout);
    }
    const uint64_t lemma = lemma_1_counterexamples();
    printf("pruned sweep: %llu blocks, %llu different, %.2f losses a block, at most %d; lemma 1 on 2^23 "
           "mantissas: "
           "%llu wrong, %.1f s\n",
           (unsigned long long)sum.blocks, (unsigned long long)sum.different,
           (double)sum.evaluated / (double)sum.blocks, sum.most, (unsigned long long)lemma,
           omp_get_wtime() - start);
    return window_is_found() && sum.different == 0 && lemma == 0 && sum.blocks >= 10000000;
}
