// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 fake-quant per tensor and per row: times 448/amax, rounded to E4M3, times the reciprocal
// (numerics 2.3).
#include "cpu/clones.h"
#include "cpu/num.h"
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

K_CLONES static void fp8_tile(float *v, int n, float s, float inverse) {
    for (int i = 0; i < n; i++) {
        float t = v[i] * s;
        v[i] = f32_signed(e4m3_round(t), t) * inverse;
    }
}

static void fp8_row(const qp_launch *l, const k_box *b, int64_t row, float amax) {
    const qp_ktensor *t = b->t;
    float tile[K_TILE];
    float a = amax <= f32(0x33800000u) ? 1.0f : amax; // a tiny amax behaves as 1, it does not zero the output
    float s = 448.0f / a, inverse = 1.0f / s;
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
        k_cpu_tile_load(l->dtype, k_at(l->dtype, t->x, row * t->ld + c), n, tile);
        fp8_tile(tile, n, s, inverse);
        k_cpu_tile_store(l->dtype, k_at_mut(l->dtype, t->y, row * t->cols + c), n, tile);
    }
}

static void fp8_box(const qp_launch *l, const k_box *b) {
    bool per_row = l->format == QP_FP8_AXIS0;
    for (int64_t r = b->row0; r < b->row1; r++) fp8_row(l, b, r, b->t->amax[per_row ? r : 0]);
}

qp_status k_cpu_fakequant_fp8(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_FAKEQUANT, err));
    if (l->format != QP_FP8_E4M3 && l->format != QP_FP8_AXIS0)
        QP_FAIL(QP_REFUSED, "k_cpu_fakequant_fp8: wanted fp8-e4m3 or fp8-axis0, got %s",
                qp_format_get(l->format)->name);
    k_cpu_for_boxes(l, fp8_box);
    return QP_OK;
}
