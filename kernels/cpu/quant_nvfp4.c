// SPDX-License-Identifier: Apache-2.0
// NVFP4 quantize and pack: an E4M3 scale byte per block of 16, two codes a byte with the even column low, and
// the fp32 second-level scale (numerics 4.5, true divisions). A zero block keeps a scale, an underflowing one
// is lifted to 2^-9.
#include "cpu/clones.h"
#include "cpu/num.h"
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

enum { TILE_BLOCKS = K_TILE / K_BLOCK };

// One block maximum as torch has it: NaN wins.
K_CLONES static void block_amax(const float *tile, int n_blocks, float *out) {
    for (int b = 0; b < n_blocks; b++) {
        uint32_t m = 0;
        for (int j = 0; j < K_BLOCK; j++) {
            uint32_t a = bits(tile[b * K_BLOCK + j]) & 0x7fffffffu;
            m = a > m ? a : m;
        }
        out[b] = f32(m);
    }
}

// p = the wanted scale before the clamp; out: byte, and the fp32 divisor of the elements.
K_INLINE void finish_scale(float p, float ws2, uint8_t *code, float *divisor) {
    p = p < 0.001953125f ? 0.001953125f : p; // 2^-9, the smallest E4M3; NaN passes both
    p = p > 448.0f ? 448.0f : p;
    float r = e4m3_round(p);
    *code = e4m3_code(r);
    *divisor = r * ws2;
}

K_CLONES static void dynamic_scales(const float *b, int n, float ws2, uint8_t *codes, float *divisors) {
    float six_ws2 = 6.0f * ws2;
    for (int i = 0; i < n; i++) {
        float p = b[i] / six_ws2;
        p = p == 0.0f ? 1.0f : p;
        finish_scale(p, ws2, &codes[i], &divisors[i]);
    }
}

K_CLONES static void static_scales(const float *b, int n, float global_amax, float ws2, uint8_t *codes,
                                   float *divisors) {
    float sixth = global_amax / 6.0f;
    for (int i = 0; i < n; i++) {
        float p = b[i] / 6.0f;
        p = p == 0.0f ? 1.0f : p;
        finish_scale(p * 448.0f / sixth, ws2, &codes[i], &divisors[i]);
    }
}

K_CLONES static void code_blocks(const float *x, int n_blocks, const float *divisors, uint8_t *nibbles) {
    for (int b = 0; b < n_blocks; b++)
        for (int j = 0; j < K_BLOCK; j++) {
            float z = x[b * K_BLOCK + j] / divisors[b];
            uint8_t sign = z < 0.0f ? 8 : 0; // -0 and NaN are positive
            nibbles[b * K_BLOCK + j] = (uint8_t)(sign | e2m1_code(e2m1_round(f32_abs(z))));
        }
}

K_CLONES static void pack_pairs(const uint8_t *nibbles, int n_bytes, uint8_t *out) {
    for (int i = 0; i < n_bytes; i++) out[i] = (uint8_t)(nibbles[2 * i] | nibbles[2 * i + 1] << 4);
}

static void quant_row(const qp_launch *l, const k_box *b, int64_t row) {
    const qp_ktensor *t = b->t;
    int64_t nb = (t->cols + K_BLOCK - 1) / K_BLOCK, row_bytes = (t->cols + 1) / 2;
    float ws2 = t->global_amax[0] / 2688.0f;
    float tile[K_TILE], amax[TILE_BLOCKS], divisors[TILE_BLOCKS];
    uint8_t nibbles[K_TILE];
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
        int n_blocks = (n + K_BLOCK - 1) / K_BLOCK;
        k_cpu_tile_load(l->dtype, k_at(l->dtype, t->x, row * t->ld + c), n, tile);
        memset(tile + n, 0, (size_t)(n_blocks * K_BLOCK - n) * sizeof *tile);
        uint8_t *scales = (uint8_t *)t->scales + row * nb + c / K_BLOCK;
        if (l->format == QP_NVFP4) {
            block_amax(tile, n_blocks, amax);
            dynamic_scales(amax, n_blocks, ws2, scales, divisors);
        } else {
            static_scales(&t->amax[row * nb + c / K_BLOCK], n_blocks, t->global_amax[0], ws2, scales,
                          divisors);
        }
        code_blocks(tile, n_blocks, divisors, nibbles);
        pack_pairs(nibbles, (n + 1) / 2, &t->codes[row * row_bytes + c / 2]);
    }
}

static void quant_box(const qp_launch *l, const k_box *b) {
    for (int64_t r = b->row0; r < b->row1; r++) quant_row(l, b, r);
}

qp_status k_cpu_quant_nvfp4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_QUANT, err));
    for (int i = 0; i < l->n_tensors; i++) {
        float ws2 = l->tensors[i].global_amax[0] / 2688.0f;
        uint32_t image = f32_canonical(ws2);
        memcpy(l->tensors[i].weight_scale_2, &image, sizeof image);
    }
    k_cpu_for_boxes(l, quant_box);
    return QP_OK;
}
