// SPDX-License-Identifier: Apache-2.0
// What a launch must bring before any kernel touches memory: a refusal names the tensor, the field, wanted
// and got.
#include "kernels.h"

enum {
    NEED_X = 1 << 0,
    NEED_GRAD = 1 << 1,
    NEED_Y = 1 << 2,
    NEED_AMAX = 1 << 3,
    NEED_GLOBAL = 1 << 4,
    NEED_AMAX_OUT = 1 << 5,
    NEED_CODES = 1 << 6,
    NEED_SCALES = 1 << 7,
    NEED_WS2 = 1 << 8,
};

typedef struct field {
    unsigned need;
    const char *name;
    size_t offset;     // in qp_ktensor
    size_t elem_bytes; // 0: of the launch's type
    bool per_tensor;   // one value a tensor, there also when the tensor is empty
} field;

static const field fields[] = {
    {NEED_X, "x", offsetof(qp_ktensor, x), 0, false},
    {NEED_GRAD, "grad", offsetof(qp_ktensor, grad), 0, false},
    {NEED_Y, "y", offsetof(qp_ktensor, y), 0, false},
    {NEED_AMAX, "amax", offsetof(qp_ktensor, amax), 4, false},
    {NEED_GLOBAL, "global_amax", offsetof(qp_ktensor, global_amax), 4, false},
    {NEED_AMAX_OUT, "amax_out", offsetof(qp_ktensor, amax_out), 4, false},
    {NEED_CODES, "codes", offsetof(qp_ktensor, codes), 1, false},
    {NEED_SCALES, "scales", offsetof(qp_ktensor, scales), 1, false},
    {NEED_WS2, "weight_scale_2", offsetof(qp_ktensor, weight_scale_2), 4, true},
};

static bool is_nvfp4(qp_format f) {
    return f == QP_NVFP4 || f == QP_NVFP4_STATIC;
}

static unsigned scale_inputs(qp_format f) {
    if (f == QP_NVFP4) return NEED_GLOBAL;
    if (f == QP_NVFP4_STATIC) return NEED_GLOBAL | NEED_AMAX;
    return NEED_AMAX;
}

static unsigned needs(const qp_launch *l) {
    switch (l->op) {
    case QP_OP_AMAX:
        return NEED_X | NEED_AMAX_OUT;
    case QP_OP_FAKEQUANT:
        return NEED_X | NEED_Y | scale_inputs(l->format);
    case QP_OP_BACKWARD:
        if (l->bwd == QP_BWD_PASS) return NEED_GRAD | NEED_Y;
        // The mask wants the amax of the format's grain; dynamic NVFP4 has only that of the tensor.
        return NEED_X | NEED_GRAD | NEED_Y | (l->format == QP_NVFP4 ? NEED_GLOBAL : NEED_AMAX);
    case QP_OP_QUANT:
        return NEED_X | NEED_CODES | NEED_SCALES | NEED_WS2 | scale_inputs(l->format);
    case QP_OP_DEQUANT:
        return NEED_CODES | NEED_SCALES | NEED_WS2 | NEED_Y;
    default:
        return 0;
    }
}

static const void *field_of(const qp_ktensor *t, const field *f) {
    return *(const void *const *)((const char *)t + f->offset);
}

static qp_status check_tensor(const qp_launch *l, int i, unsigned need, qp_err *err) {
    const qp_ktensor *t = &l->tensors[i];
    if (t->rows < 0 || t->cols < 0 || ((need & NEED_X) && t->ld < t->cols))
        QP_FAIL(QP_REFUSED,
                "%s %s, tensor %d: wanted rows, cols >= 0 and ld >= cols, got rows %lld cols %lld ld %lld",
                qp_op_name(l->op), qp_format_get(l->format)->name, i, (long long)t->rows, (long long)t->cols,
                (long long)t->ld);
    bool empty = t->rows == 0 || t->cols == 0;
    // An amax over the whole tensor exists for an empty one too; per row and per block only where there are
    // some.
    bool one_amax =
        l->op == QP_OP_AMAX && (l->format == QP_NVFP4 || qp_format_get(l->format)->grain == QP_GRAIN_TENSOR);
    for (int k = 0; k < QP_COUNT(fields); k++) {
        const field *f = &fields[k];
        if (!(need & f->need)) continue;
        bool wanted = !empty || f->per_tensor || (f->need == NEED_GLOBAL && (need & NEED_WS2)) ||
                      (f->need == NEED_AMAX_OUT && one_amax);
        const void *p = field_of(t, f);
        size_t align = f->elem_bytes ? f->elem_bytes : qp_dtype_bytes(l->dtype);
        if (wanted && p == NULL)
            QP_FAIL(QP_REFUSED, "%s %s, tensor %d: wanted %s, got NULL", qp_op_name(l->op),
                    qp_format_get(l->format)->name, i, f->name);
        if (p != NULL && (uintptr_t)p % align != 0)
            QP_FAIL(QP_REFUSED, "%s %s, tensor %d: wanted %s aligned to its element of %zu bytes, got %p",
                    qp_op_name(l->op), qp_format_get(l->format)->name, i, f->name, align, p);
    }
    return QP_OK;
}

qp_status k_launch_check(const qp_launch *l, qp_op op, qp_err *err) {
    const qp_format_row *row = qp_format_get(l->format);
    if (row == NULL || !row->kernels)
        QP_FAIL(QP_REFUSED, "built-in kernels have no format %s", row ? row->name : "of that number");
    if (l->op != op) QP_FAIL(QP_REFUSED, "wanted op %s, got %s", qp_op_name(op), qp_op_name(l->op));
    if ((op == QP_OP_QUANT || op == QP_OP_DEQUANT) && !is_nvfp4(l->format))
        QP_FAIL(QP_REFUSED, "%s %s: built-in kernels pack nvfp4 and nvfp4-static only", qp_op_name(op),
                row->name);
    if (l->engine != QP_ENGINE_IEEE)
        QP_FAIL(QP_REFUSED, "%s %s: wanted engine ieee, got %s", qp_op_name(op), row->name,
                qp_engine_name(l->engine));
    if (l->dtype != QP_BF16 && l->dtype != QP_FP16 && l->dtype != QP_FP32)
        QP_FAIL(QP_REFUSED, "%s %s: wanted bf16, fp16 or fp32, got %s", qp_op_name(op), row->name,
                qp_dtype_name(l->dtype));
    if (l->bwd != QP_BWD_PASS && l->bwd != QP_BWD_CLIP)
        QP_FAIL(QP_REFUSED, "%s %s: wanted bwd pass or clip, got %d", qp_op_name(op), row->name, (int)l->bwd);
    if (l->n_tensors < 0 || (l->n_tensors > 0 && l->tensors == NULL))
        QP_FAIL(QP_REFUSED, "%s %s: wanted a table of %d tensors, got %p", qp_op_name(op), row->name,
                l->n_tensors, (const void *)l->tensors);
    unsigned need = needs(l);
    for (int i = 0; i < l->n_tensors; i++) QP_TRY(check_tensor(l, i, need, err));
    return QP_OK;
}
