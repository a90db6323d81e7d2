// SPDX-License-Identifier: Apache-2.0
// The buffers of one tensor of a launch, from the table in qp/kernel.h: which fields an op reads and writes,
// and their sizes.
#include "subject/run.h"

#include <string.h>

// Element counts of one tensor's fields. An empty tensor has buffers of no bytes, which are watched like
// others.
enum { NOT_READ = -1 };
typedef struct counts {
    int64_t pitched, plain, amax, amax_out, one, codes, scales;
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
    {AT(global_amax, one), 4, false, OP(FAKEQUANT) | OP(BACKWARD) | OP(QUANT), 0},
    {AT(codes, codes), 1, false, OP(DEQUANT), OP(QUANT)},
    {AT(scales, scales), 1, false, OP(DEQUANT), OP(QUANT)},
    {AT(weight_scale_2, one), 4, false, OP(DEQUANT), OP(QUANT)},
    {AT(amax_out, amax_out), 4, false, 0, OP(AMAX)},
    {AT(y, plain), 0, true, 0, OP(FAKEQUANT) | OP(BACKWARD) | OP(DEQUANT)},
};
#undef AT
#undef OP

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static counts counts_of(const qp_launch *l, const qp_ktensor *t) {
    const qp_format_row *f = qp_format_get(l->format);
    int64_t rows = t->rows, cols = t->cols, block = f->block_cols > 0 ? f->block_cols : 16;
    int64_t nb = ceil_div(cols, block), grain = 1;
    // Dynamic NVFP4 is calibrated by one value of the whole tensor, although it is quantized in blocks.
    bool tensor = f->grain == QP_GRAIN_TENSOR || l->format == QP_NVFP4;
    if (!tensor && f->grain == QP_GRAIN_AXIS0) grain = rows;
    if (!tensor && f->grain == QP_GRAIN_BLOCK) grain = rows * nb;
    if (!tensor && f->grain == QP_GRAIN_BLOCK2D) grain = ceil_div(rows, f->block_rows) * nb;
    counts c = {.plain = rows * cols, .amax = grain, .amax_out = grain, .one = f->has_global ? 1 : NOT_READ};
    c.pitched = rows > 0 && cols > 0 ? (rows - 1) * t->ld + cols : 0;
    c.codes = rows * ceil_div(cols, 2);
    c.scales = rows * nb;
    if (l->format == QP_NVFP4) c.amax = NOT_READ;
    if (l->op == QP_OP_BACKWARD && l->format == QP_NVFP4_STATIC)
        c.one = NOT_READ; // its mask is the block amax
    if (l->op == QP_OP_BACKWARD && l->bwd == QP_BWD_PASS) c.amax = c.one = c.pitched = NOT_READ;
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
