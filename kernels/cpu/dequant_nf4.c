// SPDX-License-Identifier: Apache-2.0
// NF4 codes back to values (numerics 5.7): the block scale from its int8, the double scale and the mean, each
// step in the type; table value times scale.
#include <string.h>

#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

enum { TILE_BLOCKS = K_TILE / 64 };

// T(T(q / ds) + z); on CUDA bf16 takes part in the product.
static float scale_of(const qp_launch *l, const qp_ktensor *t, int64_t i) {
    float q = (float)((const int8_t *)t->scales_i8)[i];
    float s = f32_through(l->dtype, f32_through(l->dtype, q / t->weight_scale_2[0]) + t->global_amax[0]);
    return l->engine == QP_ENGINE_TORCH_CUDA ? f32_through(QP_BF16, s) : s;
}

static void dequant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], scales[TILE_BLOCKS];
    uint8_t nibbles[K_TILE] = {0};
    const k_cpu_ops *ops = k_cpu_now();
    for (int b = 0; b < s->n_blocks; b++)
        scales[b] = scale_of(l, t, k_scale_at(l->format, t, s->row, s->col) + b);
    ops->unpack(&t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2], (s->n + 1) / 2, true, nibbles);
    ops->values_nf4(nibbles, s->n_blocks, scales, l->engine == QP_ENGINE_TORCH_CUDA, tile);
    k_cpu_store(l, t, s, tile);
}

static void dequant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, dequant_stretch);
}

qp_status k_cpu_dequant_nf4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_DEQUANT, k_cpu_dequant_nf4, err));
    k_cpu_for_boxes(l, dequant_box);
    return QP_OK;
}
