// SPDX-License-Identifier: Apache-2.0
// Two spellings of one block scale, numerics 4.3-4.5: where fake-quant and dequant(pack) differ, the
// reference says whether the two scales may differ there, and why.
#include "cmd/kernel_pack.h"

#include <string.h>

enum { BLOCK = 16, PARALLEL_BLOCKS = 1 << 11 };

static bool same_bits(qp_dtype t, const void *a, const void *b, int64_t i) {
    uint32_t x = ref_load_f32(t, a, i), y = ref_load_f32(t, b, i);
    bool x_nan = (x & 0x7fffffffu) > 0x7f800000u, y_nan = (y & 0x7fffffffu) > 0x7f800000u;
    return x_nan || y_nan ? x_nan == y_nan : x == y;
}

static bool all_finite(qp_dtype t, const void *x, int64_t begin, int64_t n) {
    for (int64_t i = begin; i < begin + n; i++)
        if ((ref_load_f32(t, x, i) & 0x7fffffffu) >= 0x7f800000u) return false;
    return true;
}

static void count_block(const qp_kernel_case *k, const qp_kernel_tensor *t, int64_t row, int64_t block,
                        int64_t *counts) {
    int64_t begin = row * t->cols + block * BLOCK, left = t->cols - block * BLOCK,
            n = left < BLOCK ? left : BLOCK;
    if (!all_finite(k->dtype, t->x, begin, n)) return;
    size_t size = qp_dtype_bytes(k->dtype);
    const char *x = (const char *)t->x + (size_t)begin * size,
               *values = (const char *)t->values + (size_t)begin * size;
    uint32_t block_amax = 0, fake_scale, pack_scale;
    uint8_t byte;
    if (k->format == QP_NVFP4)
        ref_amax(QP_GRAIN_TENSOR, k->dtype, 1, n, 1, BLOCK, x, &block_amax);
    else
        block_amax = t->amax[row * t->nb + block];
    ref_spec s = qp_kernel_spec(k, t, QP_OP_QUANT);
    ref_scale_class class = ref_compare_scales(&s, block_amax, &byte, &fake_scale, &pack_scale);
    unsigned char own[BLOCK * 4];
    ref_fakequant_given_scale(k->dtype, 1, n, &pack_scale, x, own);
    bool explained = true, differs = false;
    for (int64_t i = 0; i < n; i++) {
        explained = explained && same_bits(k->dtype, own, values, i);
        differs = differs || !same_bits(k->dtype, t->y, t->values, begin + i);
    }
    if (!explained || (differs && class == REF_SCALE_SAME))
        counts[REF_SCALE_UNEXPLAINED]++;
    else if (differs)
        counts[class]++;
    else
        counts[REF_SCALE_SAME]++;
}

void qp_kernel_pack_classes(const qp_kernel_case *k, const qp_kernel_tensor *t,
                            int64_t counts[REF_SCALE_CLASS_COUNT]) {
    memset(counts, 0, sizeof *counts * REF_SCALE_CLASS_COUNT);
    int64_t sums[REF_SCALE_CLASS_COUNT] = {0};
#pragma omp parallel for schedule(static) reduction(+ : sums[:REF_SCALE_CLASS_COUNT]) if (t->rows * t->nb > PARALLEL_BLOCKS)
    for (int64_t row = 0; row < t->rows; row++)
        for (int64_t block = 0; block < t->nb; block++) count_block(k, t, row, block, sums);
    memcpy(counts, sums, sizeof sums);
}
