// SPDX-License-Identifier: Apache-2.0
// NVFP4 fake-quant over blocks of 16: dynamic (scale from the data and the global amax, numerics 4.3), static
// and four-over-six (from the calibrated block amax, 4.4). Three passes over a tile of 64 blocks: maxima,
// scales, elements.
#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

enum { TILE_BLOCKS = K_TILE / 16 };

static void dynamic_scales(const qp_ktensor *t, const float *tile, int n_blocks, float *divide,
                           float *multiply) {
    float block_max[TILE_BLOCKS], gs = t->global_amax[0] / 2688.0f;
    k_cpu_now()->block_max(tile, n_blocks, 16, false, block_max);
    k_cpu_now()->nvfp4_dynamic(block_max, n_blocks, gs > 0.0f ? gs : 1e-12f, divide, multiply);
}

static void static_scales(const qp_launch *l, const qp_ktensor *t, const k_stretch *s, float *divide,
                          float *multiply) {
    float room = l->format == QP_NVFP4_46 ? 1.75f : 1.0f; // 448 / m
    float sixth = t->global_amax[0] * room / 6.0f;
    float a = sixth <= f32(0x33800000u) ? 1.0f : sixth;
    k_cpu_now()->nvfp4_static(&t->amax[k_scale_at(l->format, t, s->row, s->col)], s->n_blocks, a, divide,
                              multiply);
}

static void nvfp4_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], divide[TILE_BLOCKS], multiply[TILE_BLOCKS];
    k_cpu_load(l, t, s, tile);
    if (qp_format_is_dynamic(l->format))
        dynamic_scales(t, tile, s->n_blocks, divide, multiply);
    else
        static_scales(l, t, s, divide, multiply);
    k_cpu_now()->nvfp4_fake(tile, s->n_blocks, divide, multiply);
    k_cpu_store(l, t, s, tile);
}

static void nvfp4_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, nvfp4_stretch);
}

qp_status k_cpu_fakequant_nvfp4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_FAKEQUANT, k_cpu_fakequant_nvfp4, err));
    k_cpu_for_boxes(l, nvfp4_box);
    return QP_OK;
}
