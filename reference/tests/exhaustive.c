// SPDX-License-Identifier: Apache-2.0
// make exhaustive: all 2^32 fp32 images of every conversion against NVIDIA's host functions, and one planted
// wrong code per conversion that the same comparison must report; then the parts of exhaustive.h. Exit 1 on a
// difference or a plant not found; 77 without the toolkit's headers.
#include <omp.h>
#include <stdio.h>

#if QP_HAVE_WITNESS
#include "tests/codecs.h"
#include "tests/exhaustive.h"

enum { CHUNKS = 4096 };

static codec_result all_floats(const codec_row *c) {
    codec_result total = {0};
#pragma omp parallel for schedule(dynamic)
    for (int k = 0; k < CHUNKS; k++) {
        const uint64_t n = (UINT64_C(1) << 32) / CHUNKS;
        codec_result r = {0};
        codec_compare(c, (uint64_t)k * n, 1, n, NULL, &r);
#pragma omp critical
        {
            if (r.wrong > 0 && total.wrong == 0) {
                total.input = r.input;
                total.want = r.want;
                total.got = r.got;
            }
            total.wrong += r.wrong;
            total.compared += r.compared;
        }
    }
    return total;
}

// The chunk that holds the planted input, by the same comparison: exactly one difference, at that input.
static bool plant_is_found(const codec_row *c, uint32_t planted) {
    const uint64_t n = (UINT64_C(1) << 32) / CHUNKS;
    codec_result r = {0};
    codec_compare(c, planted / n * n, 1, n, &planted, &r);
    const bool found = r.wrong == 1 && r.input == planted;
    printf("  planted at %08x: %s (want %x, got %x)\n", planted, found ? "found" : "NOT FOUND", r.want,
           r.got);
    return found;
}

int main(void) {
    bool good = true;
    const double begin = omp_get_wtime();
    printf("all 2^32 fp32 images, %d threads\n", omp_get_max_threads());
    for (int i = 0; i < QP_COUNT(codecs); i++) {
        const double start = omp_get_wtime();
        const codec_result r = all_floats(&codecs[i]);
        printf("%s: %llu compared, %llu different, %.1f s\n", codecs[i].name, (unsigned long long)r.compared,
               (unsigned long long)r.wrong, omp_get_wtime() - start);
        if (r.wrong > 0) printf("  first: input %08x want %x got %x\n", r.input, r.want, r.got);
        good &= r.wrong == 0 && r.compared == UINT64_C(1) << 32;
        good &= plant_is_found(&codecs[i], codecs[i].planted);
        fflush(stdout);
    }
    good &= exhaustive_inputs();
    good &= exhaustive_mx();
    good &= exhaustive_nvfp4();
    good &= exhaustive_sweep();
    printf("exhaustive: %d conversions, inputs, scales and sweeps %s, %.1f s\n", QP_COUNT(codecs),
           good ? "equal" : "DIFFERENT", omp_get_wtime() - begin);
    return good ? 0 : 1;
}
#else
int main(void) {
    printf("SKIP exhaustive: no CUDA toolkit headers, so no witness\n");
    return 77;
}
#endif
