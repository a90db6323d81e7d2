// SPDX-License-Identifier: Apache-2.0
// MX fake-quant over blocks of 32: a power of two from the largest element that is a number, then every
// element to its type and back (numerics 5.0).
#include "cpu/work.h"
#include "kernels.h"

enum { BLOCK = 32, TILE_BLOCKS = K_TILE / BLOCK };

static void mx_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], most[TILE_BLOCKS], up[TILE_BLOCKS], down[TILE_BLOCKS];
    uint8_t scales[TILE_BLOCKS];
    const qp_element e = qp_format_get(l->format)->element;
    const k_cpu_ops *ops = k_cpu_now();
    k_cpu_load(l, t, s, tile);
    ops->block_max(tile, s->n_blocks, BLOCK, false, most);
    ops->mx_scales(most, s->n_blocks, e, scales);
    ops->mx_powers(scales, s->n_blocks, 0.0f, up, down);
    ops->mx_fake(tile, s->n_blocks, e, up, down);
    k_cpu_store(l, t, s, tile);
}

static void mx_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, mx_stretch);
}

qp_status k_cpu_fakequant_mx(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_FAKEQUANT, k_cpu_fakequant_mx, err));
    k_cpu_for_boxes(l, mx_box);
    return QP_OK;
}
