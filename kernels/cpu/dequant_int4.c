// SPDX-License-Identifier: Apache-2.0
// INT4 codes back to values (numerics 5.4): (n - 8) over the inverse scale in the type of y; AWQ: code times
// its fp32 step.
#include <string.h>

#include "cpu/work.h"
#include "kernels.h"

enum { BLOCK = 128 };

static void block_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], scale;
    uint8_t nibbles[K_TILE] = {0};
    const k_cpu_ops *ops = k_cpu_now();
    ops->unpack(&t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2], (s->n + 1) / 2, true, nibbles);
    for (int b = 0; b < s->n_blocks; b++) {
        int64_t i = k_scale_at(l->format, t, s->row, s->col) + b;
        ops->load(l->dtype, k_at(l->dtype, t->scales, i), 1, &scale);
        ops->values_int4(nibbles + b * BLOCK, BLOCK, scale, tile + b * BLOCK);
    }
    k_cpu_store(l, t, s, tile);
}

static void awq_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    uint8_t nibbles[K_TILE] = {0};
    const uint8_t *codes = &t->codes[s->row / 2 * t->cols + s->col];
    const int shift = s->row % 2 == 0 ? 0 : 4;
    for (int i = 0; i < s->n; i++) nibbles[i] = (uint8_t)(codes[i] >> shift & 15);
    for (int b = 0; b < s->n_blocks; b++)
        k_cpu_now()->values_awq(nibbles + b * BLOCK, BLOCK,
                                t->scale[k_scale_at(l->format, t, s->row, s->col) + b], tile + b * BLOCK);
    k_cpu_store(l, t, s, tile);
}

static void dequant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, l->format == QP_INT4_AWQ ? awq_stretch : block_stretch);
}

qp_status k_cpu_dequant_int4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_DEQUANT, k_cpu_dequant_int4, err));
    k_cpu_for_boxes(l, dequant_box);
    return QP_OK;
}
