// SPDX-License-Identifier: Apache-2.0
// INT4 quantize and pack over blocks of 128 (numerics 5.4): offset-binary with the inverse scale 7/amax in
// the type of x, even column high; and the AWQ export, two's complement with a given fp32 step, two rows a
// byte.
#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

enum { BLOCK = 128 };

// Each of both steps is rounded to the type.
static float inverse_scale(qp_dtype t, float amax) {
    return f32_through(t, f32_through(t, 1.0f / amax) * 7.0f);
}

static void block_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    uint8_t nibbles[K_TILE];
    const k_cpu_ops *ops = k_cpu_now();
    k_cpu_load(l, t, s, tile);
    for (int b = 0; b < s->n_blocks; b++) {
        int64_t i = k_scale_at(l->format, t, s->row, s->col) + b;
        float scale = inverse_scale(l->dtype, t->amax[i]);
        ops->store(l->dtype, k_at_mut(l->dtype, t->scales, i), 1, &scale);
        ops->codes_int4(tile + b * BLOCK, BLOCK, scale, l->dtype, l->engine == QP_ENGINE_TORCH_CUDA,
                        nibbles + b * BLOCK);
    }
    ops->pack(nibbles, (s->n + 1) / 2, true, &t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2]);
}

static void awq_nibbles(const qp_launch *l, const qp_ktensor *t, const k_stretch *s, uint8_t *nibbles) {
    float tile[K_TILE];
    k_cpu_load(l, t, s, tile);
    for (int b = 0; b < s->n_blocks; b++)
        k_cpu_now()->codes_awq(tile + b * BLOCK, BLOCK,
                               t->scale[k_scale_at(l->format, t, s->row, s->col) + b], nibbles + b * BLOCK);
}

// An even row and the one below it; a last odd row has no partner.
static void awq_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    uint8_t low[K_TILE] = {0}, high[K_TILE] = {0};
    k_stretch below = *s;
    if (s->row % 2 != 0) return;
    below.row = s->row + 1;
    awq_nibbles(l, t, s, low);
    if (below.row < t->rows) awq_nibbles(l, t, &below, high);
    uint8_t *codes = &t->codes[s->row / 2 * t->cols + s->col];
    for (int i = 0; i < s->n; i++) codes[i] = (uint8_t)(low[i] | high[i] << 4);
}

static void quant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, l->format == QP_INT4_AWQ ? awq_stretch : block_stretch);
}

qp_status k_cpu_quant_int4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_QUANT, k_cpu_quant_int4, err));
    k_cpu_for_boxes(l, quant_box);
    return QP_OK;
}
