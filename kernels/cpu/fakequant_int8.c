// SPDX-License-Identifier: Apache-2.0
// INT8 fake-quant per tensor and per row: r = rint(x * (127 / amax)), clamped, divided by the scale again
// (numerics 1.2).
#include "cpu/clones.h"
#include "cpu/num.h"
#include "cpu/tile.h"
#include "cpu/work.h"
#include "kernels.h"

K_CLONES static void int8_tile(float *v, int n, float s, float lo) {
    for (int i = 0; i < n; i++) {
        float t = v[i] * s;
        float a = f32_abs(t);
        a = a > 200.0f ? 200.0f : a;                            // beyond both clamps; NaN passes
        float r = f32_signed((a + 8388608.0f) - 8388608.0f, t); // rint by the ulp of 2^23; -0 keeps its sign
        r = r > 127.0f ? 127.0f : r;
        r = r < lo ? lo : r;
        v[i] = r / s;
    }
}

static void int8_row(const qp_launch *l, const k_box *b, int64_t row, float amax) {
    const qp_ktensor *t = b->t;
    float tile[K_TILE];
    float lo = l->narrow_range ? -127.0f : -128.0f;
    bool tiny = amax < f32(0x33800000u); // 2^-24; strict: numerics 1.2
    for (int64_t c = b->col0; c < b->col1; c += K_TILE) {
        int n = (int)(b->col1 - c < K_TILE ? b->col1 - c : K_TILE);
        if (tiny) {
            memset(tile, 0, (size_t)n * sizeof *tile);
        } else {
            k_cpu_tile_load(l->dtype, k_at(l->dtype, t->x, row * t->ld + c), n, tile);
            int8_tile(tile, n, 127.0f / amax, lo);
        }
        k_cpu_tile_store(l->dtype, k_at_mut(l->dtype, t->y, row * t->cols + c), n, tile);
    }
}

static void int8_box(const qp_launch *l, const k_box *b) {
    bool per_row = l->format == QP_INT8_AXIS0;
    for (int64_t r = b->row0; r < b->row1; r++) int8_row(l, b, r, b->t->amax[per_row ? r : 0]);
}

qp_status k_cpu_fakequant_int8(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check(l, QP_OP_FAKEQUANT, err));
    if (l->format != QP_INT8 && l->format != QP_INT8_AXIS0)
        QP_FAIL(QP_REFUSED, "k_cpu_fakequant_int8: wanted int8 or int8-axis0, got %s",
                qp_format_get(l->format)->name);
    k_cpu_for_boxes(l, int8_box);
    return QP_OK;
}
