// SPDX-License-Identifier: Apache-2.0
// NF4 quantize and pack over blocks of 64 (numerics 5.7): the nearest table value of x/amax, even column
// high; the block scales once more as int8 around their given mean, the whole tensor one super-block.
#include <string.h>

#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

// T(s - z)
static float centered(const qp_launch *l, const qp_ktensor *t, int64_t i) {
    return f32_through(l->dtype, t->amax[i] - t->global_amax[0]);
}

// 127 over the largest |T(s - z)|, a NaN wins; each step is rounded to the type.
static float double_scale(const qp_launch *l, const qp_ktensor *t, int64_t n) {
    uint32_t m = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t a = bits(centered(l, t, i)) & 0x7fffffffu;
        m = a > m ? a : m;
    }
    return f32_through(l->dtype, f32_through(l->dtype, 1.0f / f32(m)) * 127.0f);
}

static void second_level(const qp_launch *l, const qp_ktensor *t) {
    int64_t n = k_n_scales(l->format, t);
    float ds = double_scale(l, t, n);
    uint32_t image = f32_canonical(ds);
    memcpy(t->weight_scale_2, &image, sizeof image);
    for (int64_t i = 0; i < n; i++) {
        float r = small_rint(f32_through(l->dtype, centered(l, t, i) * ds));
        r = r > 127.0f ? 127.0f : r;
        r = r < -127.0f ? -127.0f : r;
        ((int8_t *)t->scales_i8)[i] = (int8_t)(r == r ? r : 0.0f); // all scales equal: 0 * Inf is NaN
        k_cpu_now()->store(l->dtype, k_at_mut(l->dtype, t->scales, i), 1, &t->amax[i]);
    }
}

static void quant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    uint8_t nibbles[K_TILE];
    k_cpu_load(l, t, s, tile);
    k_cpu_now()->codes_nf4(tile, s->n_blocks, &t->amax[k_scale_at(l->format, t, s->row, s->col)], l->dtype,
                           l->engine == QP_ENGINE_TORCH_CUDA, nibbles);
    k_cpu_now()->pack(nibbles, (s->n + 1) / 2, true, &t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2]);
}

static void quant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, quant_stretch);
}

qp_status k_cpu_quant_nf4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_QUANT, k_cpu_quant_nf4, err));
    for (int i = 0; i < l->n_tensors; i++) second_level(l, &l->tensors[i]);
    k_cpu_for_boxes(l, quant_box);
    return QP_OK;
}
