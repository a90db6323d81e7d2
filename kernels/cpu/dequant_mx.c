// SPDX-License-Identifier: Apache-2.0
// MX codes and E8M0 bytes back to values: code times a power of two (numerics 5.1, 5.2). Nibble 8 is -0;
// byte ff is NaN, but Inf where torch computes 2^128.
#include <string.h>

#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

enum { BLOCK = 32, TILE_BLOCKS = K_TILE / BLOCK };

static void dequant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], up[TILE_BLOCKS], down[TILE_BLOCKS];
    uint8_t codes[K_TILE] = {0};
    const k_cpu_ops *ops = k_cpu_now();
    const qp_element e = qp_format_get(l->format)->element;
    if (e == QP_ELEM_E2M1)
        ops->unpack(&t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2], (s->n + 1) / 2, false, codes);
    else
        memcpy(codes, &t->codes[s->row * t->cols + s->col], (size_t)s->n);
    ops->mx_powers((uint8_t *)t->scales + k_scale_at(l->format, t, s->row, s->col), s->n_blocks,
                   f32(l->engine == QP_ENGINE_IEEE ? 0x7fc00000u : 0x7f800000u), up, down);
    ops->mx_values(codes, s->n_blocks, e, up, tile);
    k_cpu_store(l, t, s, tile);
}

static void dequant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, dequant_stretch);
}

qp_status k_cpu_dequant_mx(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_DEQUANT, k_cpu_dequant_mx, err));
    k_cpu_for_boxes(l, dequant_box);
    return QP_OK;
}
