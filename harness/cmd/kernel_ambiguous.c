// SPDX-License-Identifier: Apache-2.0
// The ambiguity set, block by block. The reference decides; nothing here knows a boundary.
#include "cmd/kernel_ambiguous.h"

#include <string.h>

static bool is_approximate(qp_engine e) {
    return e == QP_ENGINE_TRITON || e == QP_ENGINE_MX_EXT;
}

int64_t qp_kernel_accept(const qp_kernel_case *k, qp_device_kind device, const qp_kernel_tensor *t,
                         void *must) {
    const qp_engine engine = k->engines[QP_OP_FAKEQUANT];
    if (!is_approximate(engine)) return 0;
    const qp_engine host = device == QP_DEVICE_CUDA ? QP_ENGINE_TORCH_CUDA : QP_ENGINE_TRITON_INTERP;
    const size_t size = qp_dtype_bytes(k->dtype);
    const int width = qp_format_get(k->format)->block_cols;
    const ref_spec s = qp_kernel_spec(k, t, QP_OP_FAKEQUANT);
    const bool has_blocks = t->amax_rows * t->amax_cols == t->rows * t->nb && s.format != QP_NVFP4;
    int64_t n_accepted = 0;
    for (int64_t row = 0; row < t->rows; row++)
        for (int64_t b = 0; b < t->nb; b++) {
            const int64_t left = t->cols - b * width, n = left < width ? left : width;
            const size_t at = (size_t)(row * t->cols + b * width) * size, n_bytes = (size_t)n * size;
            if (memcmp((char *)must + at, (const char *)t->y + at, n_bytes) == 0) continue;
            const uint32_t amax = has_blocks ? t->amax[row * t->nb + b] : 0;
            if (!ref_ambiguous_ok(&s, host, amax, n, (const char *)t->x + at, (const char *)t->y + at))
                continue;
            memcpy((char *)must + at, (const char *)t->y + at, n_bytes);
            n_accepted++;
        }
    return n_accepted;
}
