// SPDX-License-Identifier: Apache-2.0
// Outputs of the ops of a kernel case, and the reference's answers to them, asked part by part on all cores.
#include "cmd/kernel_ops.h"

#include <string.h>

// ---- shapes
// ----------------------------------------------------------------------------------------------------------------

static int64_t code_rows(const qp_format_row *f, int64_t rows) {
    return f->nibbles == QP_NIBBLES_ROW_PAIRS ? (rows + 1) / 2 : rows;
}

static int64_t code_cols(const qp_format_row *f, int64_t cols) {
    bool pairs = f->nibbles == QP_NIBBLES_LOW_FIRST || f->nibbles == QP_NIBBLES_HIGH_FIRST;
    return pairs ? (cols + 1) / 2 : cols;
}

static bool has_second(const qp_format_row *f) {
    return f->has_global || f->element == QP_ELEM_NF4;
}

static qp_dtype scale_dtype(const qp_kernel_case *k, const qp_format_row *f, qp_op op) {
    return f->scale == QP_SCALE_E4M3 ? QP_E4M3 : ref_scale_dtype(k->format, k->engines[op], k->dtype);
}

static int packed_fields(const qp_kernel_case *k, qp_kernel_tensor *t, qp_kernel_field *out) {
    const qp_format_row *f = qp_format_get(k->format);
    int n = 0;
    out[n++] = (qp_kernel_field){"weight_packed", &t->codes, f->element == QP_ELEM_INT8 ? QP_I8 : QP_U8,
                                 code_rows(f, t->rows), code_cols(f, t->cols)};
    if (f->scale != QP_SCALE_GIVEN)
        out[n++] = (qp_kernel_field){"weight_scale", &t->scales, scale_dtype(k, f, QP_OP_QUANT),
                                     t->scale_rows, t->scale_cols};
    if (f->element == QP_ELEM_NF4)
        out[n++] = (qp_kernel_field){"weight_scale_i8", &t->scales_i8, QP_I8, t->scale_rows, t->scale_cols};
    if (has_second(f)) out[n++] = (qp_kernel_field){"weight_scale_2", &t->second, QP_FP32, 1, 1};
    return n;
}

int qp_kernel_fields(const qp_kernel_case *k, qp_kernel_tensor *t, qp_op op,
                     qp_kernel_field out[QP_KERNEL_FIELDS]) {
    switch (op) {
    case QP_OP_AMAX:
        out[0] = (qp_kernel_field){"amax", &t->amax_out, QP_FP32, t->amax_rows, t->amax_cols};
        return 1;
    case QP_OP_FAKEQUANT:
        out[0] = (qp_kernel_field){"y", &t->y, k->dtype, t->rows, t->cols};
        return 1;
    case QP_OP_BACKWARD:
        out[0] = (qp_kernel_field){"grad", &t->g, k->dtype, t->rows, t->cols};
        return 1;
    case QP_OP_DEQUANT:
        out[0] = (qp_kernel_field){"dequant", &t->values, k->dtype, t->rows, t->cols};
        return 1;
    default:
        return packed_fields(k, t, out);
    }
}

static size_t bytes_of(const qp_kernel_field *f) {
    return (size_t)(f->rows * f->cols) * qp_dtype_bytes(f->dtype);
}

qp_status qp_kernel_outputs(const qp_kernel_case *k, qp_op op, qp_arena *a, qp_err *err) {
    for (int i = 0; i < k->n_tensors; i++) {
        qp_kernel_field fields[QP_KERNEL_FIELDS];
        int n = qp_kernel_fields(k, &k->tensors[i], op, fields);
        for (int f = 0; f < n; f++) QP_TRY(qp_arena_get(a, bytes_of(&fields[f]), fields[f].got, err));
    }
    return QP_OK;
}

qp_ktensor qp_kernel_launched(const qp_kernel_case *k, qp_op op, const qp_kernel_tensor *t) {
    const qp_format_row *f = qp_format_get(k->format);
    bool mx = f->scale == QP_SCALE_E8M0, dynamic = qp_format_is_dynamic(k->format);
    qp_ktensor kt = {.rows = t->rows, .cols = t->cols, .ld = t->ld, .x = t->pitched, .grad = t->grad};
    kt.amax = dynamic || mx ? NULL : (const float *)t->amax;
    kt.global_amax = has_second(f) ? (const float *)&t->global_amax : NULL;
    kt.scale = (const float *)t->scale;
    kt.amax_out = t->amax_out;
    kt.codes = t->codes;
    kt.scales = t->scales;
    kt.scales_i8 = t->scales_i8;
    kt.weight_scale_2 = t->second;
    kt.y = op == QP_OP_FAKEQUANT ? t->y : op == QP_OP_BACKWARD ? t->g : t->values;
    return kt;
}

// ---- what the answer must be
// ---------------------------------------------------------------------------------------------

enum { MAX_PARTS = 64, PART_ELEMS = 1 << 14 };

// Rows, or pairs of rows where two share their codes, are independent in every format but those of
// two-dimensional blocks and the one super-block of NF4, which is packed as a whole.
typedef struct cut {
    int n;
    int64_t step;
} cut;

static cut cut_of(const qp_kernel_case *k, qp_op op, const qp_kernel_tensor *t) {
    const qp_format_row *f = qp_format_get(k->format);
    cut c = {1, f->nibbles == QP_NIBBLES_ROW_PAIRS ? 2 : 1};
    if (f->grain == QP_GRAIN_BLOCK2D || (f->element == QP_ELEM_NF4 && op == QP_OP_QUANT)) return c;
    int64_t n = t->rows * t->cols / PART_ELEMS + 1, units = (t->rows + c.step - 1) / c.step;
    if (n > MAX_PARTS) n = MAX_PARTS; // small tensors are not worth waking threads for
    c.n = (int)(units < n ? units : n);
    return c;
}

// First scale of a row, in scales; 0 where rows do not have scales of their own.
static int64_t first_scale(const qp_format_row *f, const qp_kernel_tensor *t, int64_t row) {
    return f->grain == QP_GRAIN_TENSOR || f->grain == QP_GRAIN_BLOCK2D ? 0 : row * t->scale_cols;
}

static void quant_part(const qp_kernel_case *k, const ref_spec *s, const qp_kernel_tensor *t,
                       const qp_kernel_want *w, int64_t row0, int64_t n, qp_coverage *cov) {
    const qp_format_row *f = qp_format_get(k->format);
    const char *x = (const char *)t->x + (size_t)(row0 * t->cols) * qp_dtype_bytes(k->dtype);
    uint8_t *codes = (uint8_t *)w->parts[0] + code_rows(f, row0) * code_cols(f, t->cols);
    if (f->element == QP_ELEM_NF4) {
        uint32_t double_scale = 0;
        ref_quant_nf4(s, x, codes, w->parts[1], w->parts[2], &double_scale, NULL, cov);
        *(uint32_t *)w->parts[3] = ref_load_f32(k->dtype, &double_scale, 0);
        return;
    }
    size_t size = qp_dtype_bytes(scale_dtype(k, f, QP_OP_QUANT));
    char spare[8]; // every part answers the one scale of a tensor
    char *scales = f->scale == QP_SCALE_GIVEN ? NULL : w->parts[1];
    if (scales != NULL && f->grain == QP_GRAIN_TENSOR && row0 > 0) scales = spare;
    if (scales != NULL) scales += (size_t)first_scale(f, t, row0) * size;
    ref_quant(s, row0, n, x, codes, scales, NULL, cov);
}

static void dequant_part(const qp_kernel_case *k, ref_spec *s, const qp_kernel_tensor *t, char *values,
                         int64_t row0, int64_t n) {
    const qp_format_row *f = qp_format_get(k->format);
    bool nf4 = f->element == QP_ELEM_NF4;
    size_t size = nf4 ? 1 : qp_dtype_bytes(scale_dtype(k, f, QP_OP_DEQUANT));
    int64_t first = first_scale(f, t, row0);
    const uint8_t *codes = (const uint8_t *)t->codes + code_rows(f, row0) * code_cols(f, t->cols);
    const char *scales = nf4 ? t->scales_i8 : t->scales;
    if (s->scale != NULL) s->scale += first;
    if (scales != NULL) scales += (size_t)first * size;
    ref_dequant(s, k->dtype, n, codes, scales, t->second != NULL ? *(const uint32_t *)t->second : 0, values);
}

static void part(const qp_kernel_case *k, qp_op op, const qp_kernel_tensor *t, const qp_kernel_want *w,
                 int64_t row0, int64_t n, qp_coverage *cov) {
    ref_spec s = qp_kernel_spec(k, t, op);
    size_t at = (size_t)(row0 * t->cols) * qp_dtype_bytes(k->dtype);
    const char *x = (const char *)t->x + at;
    char *out = (char *)w->parts[0] + (op == QP_OP_QUANT ? 0 : at);
    switch (op) {
    case QP_OP_FAKEQUANT:
        ref_fakequant(&s, row0, n, x, out, NULL, cov);
        break;
    case QP_OP_BACKWARD:
        ref_backward(&s, k->bwd, row0, n, x, (const char *)t->grad + at, out);
        break;
    case QP_OP_QUANT:
        quant_part(k, &s, t, w, row0, n, cov);
        break;
    case QP_OP_DEQUANT:
        dequant_part(k, &s, t, out, row0, n);
        break;
    default:
        break;
    }
}

static void wanted_amax(const qp_kernel_case *k, const qp_kernel_tensor *t, uint32_t *out) {
    const qp_format_row *f = qp_format_get(k->format);
    if (t->rows > 0 && t->cols > 0)
        ref_amax(qp_kernel_grain(k), k->dtype, t->rows, t->cols, f->block_rows, f->block_cols, t->x, out);
}

qp_status qp_kernel_wanted(const qp_kernel_case *k, qp_op op, const qp_kernel_tensor *t, qp_arena *a,
                           qp_kernel_want *out, qp_coverage *cov, qp_err *err) {
    qp_kernel_tensor shape = *t;
    qp_kernel_field fields[QP_KERNEL_FIELDS];
    int n_fields = qp_kernel_fields(k, &shape, op, fields);
    *out = (qp_kernel_want){{0}};
    for (int f = 0; f < n_fields; f++) QP_TRY(qp_arena_get(a, bytes_of(&fields[f]), &out->parts[f], err));
    if (op == QP_OP_AMAX) {
        wanted_amax(k, t, out->parts[0]);
        return QP_OK;
    }
    if (op == QP_OP_QUANT && qp_format_get(k->format)->has_global) {
        ref_spec s = qp_kernel_spec(k, t, op);
        *(uint32_t *)out->parts[n_fields - 1] = ref_weight_scale_2(&s);
    }
    qp_coverage seen[MAX_PARTS];
    memset(seen, 0, sizeof seen);
    cut c = cut_of(k, op, t);
    int64_t units = (t->rows + c.step - 1) / c.step;
#pragma omp parallel for schedule(dynamic, 1) if (c.n > 1)
    for (int p = 0; p < c.n; p++) {
        int64_t begin = units * p / c.n * c.step, end = units * (p + 1) / c.n * c.step;
        if (end > t->rows) end = t->rows;
        part(k, op, t, out, begin, end - begin, &seen[p]);
    }
    for (int p = 0; p < c.n; p++) qp_coverage_merge(cov, &seen[p]);
    return QP_OK;
}

// ---- single codes, and a planted fault
// ----------------------------------------------------------------------------------------------------

typedef struct code_place {
    int64_t byte;
    int shift; // 4: the high nibble
} code_place;

static code_place place_of(const qp_format_row *f, int64_t cols, int64_t row, int64_t col) {
    int64_t pitch = code_cols(f, cols);
    switch (f->nibbles) {
    case QP_NIBBLES_LOW_FIRST:
        return (code_place){row * pitch + col / 2, col % 2 == 0 ? 0 : 4};
    case QP_NIBBLES_HIGH_FIRST:
        return (code_place){row * pitch + col / 2, col % 2 == 0 ? 4 : 0};
    case QP_NIBBLES_ROW_PAIRS:
        return (code_place){row / 2 * pitch + col, row % 2 == 0 ? 0 : 4};
    default:
        return (code_place){row * pitch + col, 0};
    }
}

uint8_t qp_kernel_code(const qp_format_row *f, const uint8_t *codes, int64_t cols, int64_t row, int64_t col) {
    code_place p = place_of(f, cols, row, col);
    return f->nibbles == QP_NIBBLES_NONE ? codes[p.byte] : codes[p.byte] >> p.shift & 15;
}

void qp_kernel_flip(const qp_kernel_case *k, qp_op op, uint64_t element) {
    const qp_format_row *f = qp_format_get(k->format);
    for (int i = 0; i < k->n_tensors; i++) {
        qp_kernel_tensor *t = &k->tensors[i];
        qp_kernel_field fields[QP_KERNEL_FIELDS];
        (void)qp_kernel_fields(k, t, op, fields);
        uint64_t n = (uint64_t)(op == QP_OP_QUANT ? t->rows * t->cols : fields[0].rows * fields[0].cols);
        if (element >= n) {
            element -= n;
            continue;
        }
        uint8_t *got = *fields[0].got;
        if (op == QP_OP_QUANT) {
            code_place p = place_of(f, t->cols, (int64_t)element / t->cols, (int64_t)element % t->cols);
            got[p.byte] ^= (uint8_t)(1 << p.shift);
        } else {
            got[element * qp_dtype_bytes(fields[0].dtype)] ^= 1;
        }
        return;
    }
}
