// SPDX-License-Identifier: Apache-2.0
// NVFP4 fake-quant over blocks of 16: dynamic (scale from the data and the global amax, numerics 4.3) and
// static (from the calibrated block amax, numerics 4.4). Three passes over a tile of 64 blocks: maxima,
// scales, elements.
#include "cpu/clones.h"
#include "cpu/num.h"
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

enum { TILE_BLOCKS = K_TILE / K_BLOCK };

typedef struct block_scale {
    float divide[TILE_BLOCKS],
        multiply[TILE_BLOCKS]; // the same but for a zero scale: divide by 1, multiply by 0
} block_scale;

K_CLONES static void dynamic_scales(const float *block_max, int n, float global_amax, block_scale *out) {
    float gs = global_amax / 2688.0f;
    float g = gs > 0.0f ? gs : 1e-12f;
    float six_g = 6.0f * g;
    for (int b = 0; b < n; b++) {
        float t = block_max[b] / six_g;
        t = t < 448.0f ? t : 448.0f; // drops NaN
        float s = e4m3_round(t) * g;
        s = s >= 1e-5f ? s : 1.0f;
        out->divide[b] = s;
        out->multiply[b] = s;
    }
}

K_CLONES static void static_scales(const float *block_amax, int n, float global_amax, block_scale *out) {
    float sixth = global_amax / 6.0f;
    float a = sixth <= f32(0x33800000u) ? 1.0f : sixth;
    float s = 448.0f / a, inverse = 1.0f / s;
    for (int b = 0; b < n; b++) {
        float t = block_amax[b] / 6.0f * s;
        float scale = f32_signed(e4m3_round(t), t) * inverse;
        bool usable = f32_abs(scale) < f32(0x7f800000u); // neither NaN nor Inf
        float d = usable ? scale : 1.0f;
        out->multiply[b] = d == 0.0f ? 0.0f : d;
        out->divide[b] = d == 0.0f ? 1.0f : d;
    }
}

K_CLONES static void quantize_blocks(float *v, int n, const block_scale *s) {
    for (int b = 0; b < n; b++)
        for (int j = 0; j < K_BLOCK; j++) {
            float x = v[b * K_BLOCK + j];
            float y = e2m1_round(f32_abs(x) / s->divide[b]) * s->multiply[b];
            v[b * K_BLOCK + j] =
                x >= 0.0f ? y : 0.0f - y; // 0 - y, so that a zero is +0 and a NaN is -6 scales
        }
}

static void nvfp4_row(const qp_launch *l, const k_box *b, int64_t row) {
    const qp_ktensor *t = b->t;
    int64_t nb = (t->cols + K_BLOCK - 1) / K_BLOCK;
    float tile[K_TILE], block_max[TILE_BLOCKS];
    block_scale scale;
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
        int n_blocks = (n + K_BLOCK - 1) / K_BLOCK;
        k_cpu_tile_load(l->dtype, k_at(l->dtype, t->x, row * t->ld + c), n, tile);
        memset(tile + n, 0, (size_t)(n_blocks * K_BLOCK - n) * sizeof *tile);
        if (l->format == QP_NVFP4) {
            k_cpu_tile_block_max(tile, n, block_max);
            dynamic_scales(block_max, n_blocks, t->global_amax[0], &scale);
        } else {
            static_scales(&t->amax[row * nb + c / K_BLOCK], n_blocks, t->global_amax[0], &scale);
        }
        quantize_blocks(tile, n_blocks, &scale);
        k_cpu_tile_store(l->dtype, k_at_mut(l->dtype, t->y, row * t->cols + c), n, tile);
    }
}

static void nvfp4_box(const qp_launch *l, const k_box *b) {
    for (int64_t r = b->row0; r < b->row1; r++) nvfp4_row(l, b, r);
}

qp_status k_cpu_fakequant_nvfp4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_FAKEQUANT, err));
    if (l->format != QP_NVFP4 && l->format != QP_NVFP4_STATIC)
        QP_FAIL(QP_REFUSED, "k_cpu_fakequant_nvfp4: wanted nvfp4 or nvfp4-static, got %s",
                qp_format_get(l->format)->name);
    k_cpu_for_boxes(l, nvfp4_box);
    return QP_OK;
}
