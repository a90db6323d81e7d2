// SPDX-License-Identifier: Apache-2.0
// NVFP4 codes and scales back to values in the standard order: (scale byte x weight_scale_2) x code
// (numerics 4.5). Entry 8 of the table is +0.
#include "cpu/clones.h"
#include "cpu/num.h"
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

enum { TILE_BLOCKS = K_TILE / K_BLOCK };

static const float e2m1_values[16] = {0.0f, 0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                      0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

K_CLONES static void unpack(const uint8_t *codes, int n_bytes, float *out) {
    for (int i = 0; i < n_bytes; i++) {
        out[2 * i] = e2m1_values[codes[i] & 15];
        out[2 * i + 1] = e2m1_values[codes[i] >> 4];
    }
}

K_CLONES static void scale_blocks(float *v, int n_blocks, const uint8_t *scales, float ws2) {
    for (int b = 0; b < n_blocks; b++) {
        float s = e4m3_value(scales[b]) * ws2;
        for (int j = 0; j < K_BLOCK; j++) v[b * K_BLOCK + j] = s * v[b * K_BLOCK + j];
    }
}

static void dequant_row(const qp_launch *l, const k_box *b, int64_t row) {
    const qp_ktensor *t = b->t;
    int64_t nb = (t->cols + K_BLOCK - 1) / K_BLOCK, row_bytes = (t->cols + 1) / 2;
    float tile[K_TILE];
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
        int n_blocks = (n + K_BLOCK - 1) / K_BLOCK, n_bytes = (n + 1) / 2;
        unpack(&t->codes[row * row_bytes + c / 2], n_bytes, tile);
        memset(tile + 2 * n_bytes, 0, (size_t)(n_blocks * K_BLOCK - 2 * n_bytes) * sizeof *tile);
        scale_blocks(tile, n_blocks, (uint8_t *)t->scales + row * nb + c / K_BLOCK, t->weight_scale_2[0]);
        k_cpu_tile_store(l->dtype, k_at_mut(l->dtype, t->y, row * t->cols + c), n, tile);
    }
}

static void dequant_box(const qp_launch *l, const k_box *b) {
    for (int64_t r = b->row0; r < b->row1; r++) dequant_row(l, b, r);
}

qp_status k_cpu_dequant_nvfp4(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_DEQUANT, err));
    k_cpu_for_boxes(l, dequant_box);
    return QP_OK;
}
