// SPDX-License-Identifier: Apache-2.0
// NVFP4 quantize and pack: an E4M3 scale byte per block, two codes a byte with the even column low, and the
// fp32 second-level scale (numerics 4.5). A zero block keeps a scale, an underflowing one is lifted to 2^-9.
#include <string.h>

#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

enum { TILE_BLOCKS = K_TILE / 16 };

// What block scales are normalised to: 448, or 256 for four-over-six.
static float room_of(qp_format f) {
    return f == QP_NVFP4_46 ? 256.0f : 448.0f;
}

// The global amax over 6 m; the weights of W4A8 have it over 448. torch on CUDA divides by a number by
// multiplying with its reciprocal (numerics 0).
static float second_scale(const qp_launch *l, float global_amax) {
    float by = l->format == QP_NVFP4_W4A8 ? 448.0f : 6.0f * room_of(l->format);
    return l->engine == QP_ENGINE_TORCH_CUDA ? global_amax * (1.0f / by) : global_amax / by;
}

static void quant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE], amax[TILE_BLOCKS], divisors[TILE_BLOCKS];
    uint8_t nibbles[K_TILE];
    const k_cpu_ops *ops = k_cpu_now();
    const int block = qp_format_get(l->format)->block_cols;
    const bool reciprocal = l->engine == QP_ENGINE_TORCH_CUDA;
    const int64_t at = k_scale_at(l->format, t, s->row, s->col);
    const float global = t->global_amax[0], ws2 = second_scale(l, global);
    uint8_t *scales = (uint8_t *)t->scales + at;
    k_cpu_load(l, t, s, tile);
    if (qp_format_is_dynamic(l->format)) {
        ops->block_max(tile, s->n_blocks, block, true, amax);
        ops->nvfp4_pack_dynamic(amax, s->n_blocks, ws2, scales, divisors);
    } else {
        float sixth = reciprocal ? global * f32(0x3e2aaaabu) : global / 6.0f;
        ops->nvfp4_pack_static(&t->amax[at], s->n_blocks, room_of(l->format), sixth, reciprocal, ws2, scales,
                               divisors);
    }
    ops->nvfp4_codes(tile, s->n_blocks, block, divisors, nibbles);
    ops->pack(nibbles, (s->n + 1) / 2, false, &t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2]);
}

static void quant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, quant_stretch);
}

qp_status k_cpu_quant_nvfp4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_QUANT, k_cpu_quant_nvfp4, err));
    for (int i = 0; i < l->n_tensors; i++) {
        uint32_t image = f32_canonical(second_scale(l, l->tensors[i].global_amax[0]));
        memcpy(l->tensors[i].weight_scale_2, &image, sizeof image);
    }
    k_cpu_for_boxes(l, quant_box);
    return QP_OK;
}
