// SPDX-License-Identifier: Apache-2.0
// NVFP4 codes and scales back to values in the standard order: (scale byte x weight_scale_2) x code
// (numerics 4.5).
#include <string.h>

#include "cpu/work.h"
#include "kernels.h"

static void dequant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    uint8_t nibbles[K_TILE] = {0};
    const k_cpu_ops *ops = k_cpu_now();
    ops->unpack(&t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2], (s->n + 1) / 2, false, nibbles);
    ops->nvfp4_values(nibbles, s->n_blocks, qp_format_get(l->format)->block_cols,
                      (uint8_t *)t->scales + k_scale_at(l->format, t, s->row, s->col), t->weight_scale_2[0],
                      tile);
    k_cpu_store(l, t, s, tile);
}

static void dequant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, dequant_stretch);
}

qp_status k_cpu_dequant_nvfp4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_DEQUANT, k_cpu_dequant_nvfp4, err));
    k_cpu_for_boxes(l, dequant_box);
    return QP_OK;
}
