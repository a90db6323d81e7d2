// SPDX-License-Identifier: Apache-2.0
// What a launch must bring before any kernel touches memory: a refusal names the tensor, the field, wanted
// and got.
#include <stdio.h>
#include <string.h>

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
    NEED_SCALE = 1 << 9,
    NEED_SCALES_I8 = 1 << 10,
};

typedef struct field {
    unsigned need;
    const char *name;
    size_t offset;   // in qp_ktensor
    bool per_tensor; // one value a tensor, there also when the tensor is empty
} field;

static const field fields[] = {
    {NEED_X, "x", offsetof(qp_ktensor, x), false},
    {NEED_GRAD, "grad", offsetof(qp_ktensor, grad), false},
    {NEED_Y, "y", offsetof(qp_ktensor, y), false},
    {NEED_AMAX, "amax", offsetof(qp_ktensor, amax), false},
    {NEED_GLOBAL, "global_amax", offsetof(qp_ktensor, global_amax), false},
    {NEED_AMAX_OUT, "amax_out", offsetof(qp_ktensor, amax_out), false},
    {NEED_CODES, "codes", offsetof(qp_ktensor, codes), false},
    {NEED_SCALES, "scales", offsetof(qp_ktensor, scales), false},
    {NEED_WS2, "weight_scale_2", offsetof(qp_ktensor, weight_scale_2), true},
    {NEED_SCALE, "scale", offsetof(qp_ktensor, scale), false},
    {NEED_SCALES_I8, "scales_i8", offsetof(qp_ktensor, scales_i8), false},
};

static size_t bytes_of(const qp_launch *l, const field *f) {
    if (f->need & (NEED_X | NEED_GRAD | NEED_Y)) return qp_dtype_bytes(l->dtype);
    if (f->need & (NEED_CODES | NEED_SCALES_I8)) return 1;
    if (f->need & NEED_SCALES)
        return qp_format_get(l->format)->scale == QP_SCALE_OF_X ? qp_dtype_bytes(l->dtype) : 1;
    return sizeof(float);
}

// What the scale of a format is made of, beside the data.
static unsigned scale_inputs(const qp_format_row *f) {
    if (f->scale == QP_SCALE_E8M0) return 0;
    if (f->scale == QP_SCALE_GIVEN) return NEED_SCALE;
    unsigned global = f->has_global ? NEED_GLOBAL : 0;
    return qp_format_is_dynamic(f->id) ? global : global | NEED_AMAX;
}

static unsigned needs(const qp_launch *l) {
    const qp_format_row *f = qp_format_get(l->format);
    const bool nf4 = f->element == QP_ELEM_NF4, given = f->scale == QP_SCALE_GIVEN;
    // The second-level scale; NF4's comes with int8 scales and a zero point (numerics 5.7).
    const unsigned second = nf4 ? NEED_WS2 | NEED_SCALES_I8 | NEED_GLOBAL : f->has_global ? NEED_WS2 : 0;
    switch (l->op) {
    case QP_OP_AMAX:
        return NEED_X | NEED_AMAX_OUT;
    case QP_OP_FAKEQUANT:
        return NEED_X | NEED_Y | scale_inputs(f);
    case QP_OP_BACKWARD:
        if (l->bwd == QP_BWD_PASS || f->scale == QP_SCALE_E8M0) return NEED_GRAD | NEED_Y;
        // The mask wants the amax of the format's grain; a dynamic format has only that of the tensor.
        return NEED_X | NEED_GRAD | NEED_Y | (qp_format_is_dynamic(f->id) ? NEED_GLOBAL : NEED_AMAX);
    case QP_OP_QUANT:
        return NEED_X | NEED_CODES | (given ? 0 : NEED_SCALES) | second | scale_inputs(f);
    case QP_OP_DEQUANT:
        return NEED_CODES | NEED_Y | (given ? NEED_SCALE : nf4 ? 0 : NEED_SCALES) | second;
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
    bool one_amax = l->op == QP_OP_AMAX && k_amax_grain(l->format) == QP_GRAIN_TENSOR;
    for (int k = 0; k < QP_COUNT(fields); k++) {
        const field *f = &fields[k];
        if (!(need & f->need)) continue;
        bool wanted = !empty || f->per_tensor || (f->need == NEED_GLOBAL && (need & NEED_WS2)) ||
                      (f->need == NEED_AMAX_OUT && one_amax);
        const void *p = field_of(t, f);
        size_t align = bytes_of(l, f);
        if (wanted && p == NULL)
            QP_FAIL(QP_REFUSED, "%s %s, tensor %d: wanted %s, got NULL", qp_op_name(l->op),
                    qp_format_get(l->format)->name, i, f->name);
        if (p != NULL && (uintptr_t)p % align != 0)
            QP_FAIL(QP_REFUSED, "%s %s, tensor %d: wanted %s aligned to its element of %zu bytes, got %p",
                    qp_op_name(l->op), qp_format_get(l->format)->name, i, f->name, align, p);
    }
    return QP_OK;
}

// Which formats and engines a launcher has is what its rows in the table say.
static qp_status check_row(const qp_launch *l, qp_kernel_fn own, qp_err *err) {
    const char *op = qp_op_name(l->op), *format = qp_format_get(l->format)->name, *name = "?";
    char engines[96] = "";
    for (int i = 0; i < qp_n_kernels; i++) {
        const qp_kernel_row *r = &qp_kernels[i];
        if (r->fn != own) continue;
        name = r->name;
        if (r->op != l->op || r->format != l->format) continue;
        if (r->engine == l->engine) return QP_OK;
        const char *engine = qp_engine_name(r->engine);
        size_t n = strlen(engines);
        if (strstr(engines, engine) == NULL)
            snprintf(engines + n, sizeof engines - n, "%s%s", n > 0 ? ", " : "", engine);
    }
    if (engines[0] == '\0') QP_FAIL(QP_REFUSED, "%s %s: not in the rows of %s", op, format, name);
    QP_FAIL(QP_REFUSED, "%s %s: wanted engine %s, got %s", op, format, engines, qp_engine_name(l->engine));
}

qp_status k_launch_check_own(const qp_launch *l, qp_op op, qp_kernel_fn own, qp_err *err) {
    const qp_format_row *row = qp_format_get(l->format);
    if (row == NULL) QP_FAIL(QP_REFUSED, "there is no format of number %d", (int)l->format);
    if (l->op != op) QP_FAIL(QP_REFUSED, "wanted op %s, got %s", qp_op_name(op), qp_op_name(l->op));
    QP_TRY(check_row(l, own, err));
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
