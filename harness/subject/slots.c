// SPDX-License-Identifier: Apache-2.0
// The buffers of one tensor of a launch, from the table in qp/kernel.h: which fields an op reads and writes,
// and their sizes.
#include "subject/run.h"

#include <string.h>

// Element counts of one tensor's fields. An empty tensor has buffers of no bytes, which are watched like
// others.
enum { NOT_READ = -1 };
typedef struct counts {
    int64_t pitched, plain, amax, amax_out, global, given, codes, scale_bytes, scale_images, scales_i8,
        second;
} counts;

typedef struct field {
    const char *name;
    size_t offset;  // in qp_ktensor
    size_t count;   // offset in counts
    int elem_bytes; // 0: of the launch's dtype
    bool may_shift;
    unsigned in, out; // sets of ops
} field;

#define OP(op) (1u << QP_OP_##op)
#define AT(f, c) #f, offsetof(qp_ktensor, f), offsetof(counts, c)
static const field fields[MAX_SLOTS] = {
    {AT(x, pitched), 0, true, OP(AMAX) | OP(FAKEQUANT) | OP(BACKWARD) | OP(QUANT), 0},
    {AT(grad, plain), 0, true, OP(BACKWARD), 0},
    {AT(amax, amax), 4, false, OP(FAKEQUANT) | OP(BACKWARD) | OP(QUANT), 0},
    {AT(global_amax, global), 4, false, OP(FAKEQUANT) | OP(BACKWARD) | OP(QUANT) | OP(DEQUANT), 0},
    {AT(scale, given), 4, false, OP(QUANT) | OP(DEQUANT), 0},
    {AT(codes, codes), 1, false, OP(DEQUANT), OP(QUANT)},
    {AT(scales, scale_bytes), 1, false, OP(DEQUANT), OP(QUANT)},
    {AT(scales, scale_images), 0, false, OP(DEQUANT), OP(QUANT)},
    {AT(scales_i8, scales_i8), 1, false, OP(DEQUANT), OP(QUANT)},
    {AT(weight_scale_2, second), 4, false, OP(DEQUANT), OP(QUANT)},
    {AT(amax_out, amax_out), 4, false, 0, OP(AMAX)},
    {AT(y, plain), 0, true, 0, OP(FAKEQUANT) | OP(BACKWARD) | OP(DEQUANT)},
};
#undef AT
#undef OP

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// How many values stand for a tensor of this grain.
static int64_t grain_count(const qp_format_row *f, qp_grain grain, int64_t rows, int64_t cols) {
    switch (grain) {
    case QP_GRAIN_AXIS0:
        return rows;
    case QP_GRAIN_BLOCK:
        return rows * ceil_div(cols, f->block_cols);
    case QP_GRAIN_BLOCK2D:
        return ceil_div(rows, f->block_rows) * ceil_div(cols, f->block_cols);
    default:
        return 1;
    }
}

static int64_t code_bytes(const qp_format_row *f, int64_t rows, int64_t cols) {
    switch (f->nibbles) {
    case QP_NIBBLES_NONE:
        return rows * cols;
    case QP_NIBBLES_ROW_PAIRS:
        return ceil_div(rows, 2) * cols;
    default:
        return rows * ceil_div(cols, 2);
    }
}

// Fields that an op of this format does not read although its op does.
static void leave_out(const qp_launch *l, const qp_format_row *f, counts *c) {
    bool nf4 = f->element == QP_ELEM_NF4, mx = f->scale == QP_SCALE_E8M0;
    bool dynamic = qp_format_is_dynamic(l->format);
    if (dynamic || mx || (l->op == QP_OP_QUANT && f->scale == QP_SCALE_GIVEN)) c->amax = NOT_READ;
    if (!nf4 && (!f->has_global || l->op == QP_OP_DEQUANT)) c->global = NOT_READ;
    if (nf4 && l->op == QP_OP_DEQUANT) c->scale_images = NOT_READ; // the int8 ones
    if (l->op != QP_OP_BACKWARD) return;
    if (!dynamic) c->global = NOT_READ; // the mask is of the amax
    if (l->bwd == QP_BWD_PASS || mx) c->amax = c->global = c->pitched = NOT_READ;
}

static counts counts_of(const qp_launch *l, const qp_ktensor *t) {
    const qp_format_row *f = qp_format_get(l->format);
    int64_t rows = t->rows, cols = t->cols, n_grain = grain_count(f, f->grain, rows, cols);
    int64_t n_amax = qp_format_is_dynamic(l->format) ? 1 : n_grain;
    int64_t n_scales = rows > 0 && cols > 0 ? n_grain : 0; // nothing was quantized: no scale
    bool nf4 = f->element == QP_ELEM_NF4, given = f->scale == QP_SCALE_GIVEN;
    bool images = f->scale == QP_SCALE_OF_X;
    counts c = {.pitched = rows > 0 && cols > 0 ? (rows - 1) * t->ld + cols : 0,
                .plain = rows * cols,
                .amax = n_amax,
                .amax_out = n_amax,
                .global = 1,
                .given = given ? n_scales : NOT_READ,
                .codes = code_bytes(f, rows, cols),
                .scale_bytes = given || images ? NOT_READ : n_scales,
                .scale_images = images ? n_scales : NOT_READ,
                .scales_i8 = nf4 ? n_scales : NOT_READ,
                .second = f->has_global || nf4 ? 1 : NOT_READ};
    leave_out(l, f, &c);
    return c;
}

qp_status slots_of(const qp_launch *l, int tensor, slot out[MAX_SLOTS], int *n, qp_err *err) {
    const qp_ktensor *t = &l->tensors[tensor];
    bool reads_x = l->op != QP_OP_DEQUANT;
    if (t->rows < 0 || t->cols < 0 || (reads_x && t->ld < t->cols))
        QP_FAIL(QP_BROKEN, "%s, tensor %d: rows, cols >= 0 and ld >= cols wanted, got %lld x %lld, ld %lld",
                qp_op_name(l->op), tensor, (long long)t->rows, (long long)t->cols, (long long)t->ld);
    counts c = counts_of(l, t);
    *n = 0;
    for (int i = 0; i < MAX_SLOTS; i++) {
        const field *f = &fields[i];
        bool in = (f->in >> l->op & 1) != 0, written = (f->out >> l->op & 1) != 0;
        if (!in && !written) continue;
        slot s = {.tensor = tensor, .field = f->name, .offset = f->offset, .is_output = written};
        int64_t count;
        memcpy(&count, (const char *)&c + f->count, sizeof count);
        memcpy(&s.host, (const char *)t + f->offset, sizeof s.host);
        if (count < 0) continue;
        s.elem_bytes = f->elem_bytes > 0 ? (size_t)f->elem_bytes : qp_dtype_bytes(l->dtype);
        s.n_bytes = (size_t)count * s.elem_bytes;
        s.may_shift = f->may_shift;
        if (s.n_bytes == 0 && s.host == NULL) continue;
        if (s.host == NULL)
            QP_FAIL(QP_BROKEN, "%s %s, tensor %d: %s is missing (%zu bytes)", qp_op_name(l->op),
                    qp_format_get(l->format)->name, tensor, f->name, s.n_bytes);
        out[(*n)++] = s;
    }
    return QP_OK;
}
