// SPDX-License-Identifier: Apache-2.0
// Which (op, format, engine) the reference answers, which inputs an engine itself refuses, and the door to
// fake-quant.
#include "ref_internal.h"

typedef enum family { FAMILY_INT8, FAMILY_FP8, FAMILY_NVFP4, FAMILY_NONE } family;

static family family_of(qp_format f) {
    switch (f) {
    case QP_INT8:
    case QP_INT8_AXIS0:
        return FAMILY_INT8;
    case QP_FP8_E4M3:
    case QP_FP8_AXIS0:
    case QP_FP8_BLOCK2D:
        return FAMILY_FP8;
    case QP_NVFP4:
    case QP_NVFP4_STATIC:
    case QP_NVFP4_46:
        return FAMILY_NVFP4;
    default:
        return FAMILY_NONE;
    }
}

enum { IEEE = 1 << QP_ENGINE_IEEE, TORCH = 1 << QP_ENGINE_TORCH_CPU, INTERP = 1 << QP_ENGINE_TRITON_INTERP };

typedef struct support_row {
    qp_op op;
    family family;
    unsigned engines;  // bit per qp_engine
    const char *other; // what is said of every other engine
} support_row;

static const support_row support[] = {
    {QP_OP_FAKEQUANT, FAMILY_INT8, IEEE | TORCH,
     "INT8 fake-quant exists under the engines ieee and torch-cpu"},
    {QP_OP_FAKEQUANT, FAMILY_FP8, IEEE | TORCH, "FP8 fake-quant exists under the engines ieee and torch-cpu"},
    {QP_OP_FAKEQUANT, FAMILY_NVFP4, IEEE | INTERP,
     "NVFP4 fake-quant exists under the engines ieee and triton-interp"},
    {QP_OP_BACKWARD, FAMILY_INT8, IEEE | TORCH, "INT8 backward exists under the engines ieee and torch-cpu"},
    {QP_OP_BACKWARD, FAMILY_FP8, IEEE | TORCH, "FP8 backward exists under the engines ieee and torch-cpu"},
    {QP_OP_BACKWARD, FAMILY_NVFP4, IEEE, "NVFP4 backward exists under the engine ieee"},
    {QP_OP_QUANT, FAMILY_INT8, 0,
     "INT8 real tensors belong to the engine torch-cpu, which is not built yet; ieee has no rule"},
    {QP_OP_QUANT, FAMILY_FP8, 0,
     "FP8 real tensors belong to the engine torch-cpu, which is not built yet; ieee has no rule"},
    {QP_OP_QUANT, FAMILY_NVFP4, IEEE | TORCH, "NVFP4 quant exists under the engines ieee and torch-cpu"},
    {QP_OP_DEQUANT, FAMILY_INT8, 0,
     "INT8 real tensors belong to the engine torch-cpu, which is not built yet; ieee has no rule"},
    {QP_OP_DEQUANT, FAMILY_FP8, 0,
     "FP8 real tensors belong to the engine torch-cpu, which is not built yet; ieee has no rule"},
    {QP_OP_DEQUANT, FAMILY_NVFP4, IEEE | TORCH, "NVFP4 dequant exists under the engines ieee and torch-cpu"},
};

const char *ref_unsupported(qp_op op, qp_format format, qp_engine engine) {
    if (op == QP_OP_AMAX) return NULL; // one answer for every engine and format
    const family f = family_of(format);
    for (int i = 0; i < QP_COUNT(support); i++) {
        if (support[i].op != op || support[i].family != f) continue;
        const bool known = (unsigned)engine < QP_ENGINE_COUNT;
        return known && (support[i].engines >> engine & 1) ? NULL : support[i].other;
    }
    return "this format is not built yet under any engine";
}

// torch decides by minimum: NaN makes it NaN, which is not below zero.
static bool minimum_is_negative(qp_dtype t, const void *x, int64_t n, bool nan_hides) {
    bool negative = false;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t v = ref_load_f32(t, x, i);
        if (nan_hides && ref_is_nan(v)) return false;
        negative |= ref_float(v) < 0.0f;
    }
    return negative;
}

const char *ref_refuses(const ref_spec *s, const void *x) {
    if (family_of(s->format) != FAMILY_INT8) return NULL;
    const bool torch = s->engine == QP_ENGINE_TORCH_CPU; // raises; ieee follows a kernel that asserts
    const int64_t n_amax = s->format == QP_INT8_AXIS0 ? s->rows : 1;
    for (int64_t i = 0; s->amax != NULL && !torch && i < n_amax; i++)
        if (ref_is_nan(s->amax[i])) return "amax is NaN: INT8 under ieee refuses it (device assert)";
    if (s->amax != NULL && minimum_is_negative(QP_FP32, s->amax, n_amax, torch))
        return torch ? "amax is negative: INT8 under torch-cpu raises ValueError"
                     : "amax is negative: INT8 under ieee refuses it (device assert)";
    if (s->is_unsigned && x != NULL && minimum_is_negative(s->dtype, x, s->rows * s->cols, torch))
        return torch ? "x has a negative value and the format is unsigned: torch-cpu raises TypeError"
                     : "x has a negative value and the format is unsigned: ieee refuses it (device assert)";
    return NULL;
}

void ref_fakequant(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                   uint32_t *block_scale, qp_coverage *cov) {
    switch (family_of(s->format)) {
    case FAMILY_INT8:
        ref_fakequant_int8(s, row0, n_rows, x, y, cov);
        return;
    case FAMILY_FP8:
        ref_fakequant_fp8(s, row0, n_rows, x, y, cov);
        return;
    case FAMILY_NVFP4:
        ref_fakequant_nvfp4(s, row0, n_rows, x, y, block_scale, cov);
        return;
    // Not built: NaN in every float type, so that nothing stale can pass for an answer.
    case FAMILY_NONE:
        memset(y, 0xff, (size_t)(n_rows * s->cols) * qp_dtype_bytes(s->dtype));
        return;
    }
}
