// SPDX-License-Identifier: Apache-2.0
// INT8 and FP8 tensors, a byte a code: the scale is amax over 127 or 448 in the type of x, or a given fp32
// one (numerics 2.6, 5.5, 5.6).
#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

static bool is_given(qp_format f) {
    return qp_format_get(f)->scale == QP_SCALE_GIVEN;
}

// torch on CUDA divides by a number by multiplying with its reciprocal (numerics 0).
static float scale_of(const qp_launch *l, const qp_ktensor *t, int64_t i) {
    if (is_given(l->format)) return t->scale[i];
    const float largest = qp_format_get(l->format)->element == QP_ELEM_INT8 ? 127.0f : 448.0f;
    bool cuda = l->engine == QP_ENGINE_TORCH_CUDA;
    return f32_through(l->dtype, cuda ? t->amax[i] * (1.0f / largest) : t->amax[i] / largest);
}

static void quant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    const int run = k_scale_run(l->format);
    const qp_dtype rounded = is_given(l->format) ? QP_FP32 : l->dtype;
    const k_cpu_ops *ops = k_cpu_now();
    k_cpu_load(l, t, s, tile);
    for (int i = 0; i < s->n; i += run) {
        int n = s->n - i < run ? s->n - i : run;
        float scale = scale_of(l, t, k_scale_at(l->format, t, s->row, s->col + i));
        uint8_t *codes = &t->codes[s->row * t->cols + s->col + i];
        if (qp_format_get(l->format)->element == QP_ELEM_INT8)
            ops->codes_int8(tile + i, n, scale, rounded, codes);
        else
            ops->codes_fp8(tile + i, n, scale, rounded, codes);
    }
}

static void quant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, quant_stretch);
}

qp_status k_cpu_quant_real(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_QUANT, k_cpu_quant_real, err));
    for (int i = 0; i < l->n_tensors && !is_given(l->format); i++) {
        const qp_ktensor *t = &l->tensors[i];
        for (int64_t k = 0; t->rows * t->cols > 0 && k < k_n_scales(l->format, t); k++) {
            float scale = scale_of(l, t, k);
            k_cpu_now()->store(l->dtype, k_at_mut(l->dtype, t->scales, k), 1, &scale);
        }
    }
    k_cpu_for_boxes(l, quant_box);
    return QP_OK;
}
