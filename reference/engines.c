// SPDX-License-Identifier: Apache-2.0
// Which (op, format, engine) the reference answers, which inputs an engine itself refuses, and the doors to
// fake-quant, quant and dequant. One row per format; what is not in its row does not exist.
#include "ref_internal.h"

#define E(name) (1u << QP_ENGINE_##name)
#define TORCH (E(TORCH_CPU) | E(TORCH_CUDA))

typedef struct ref_row {
    qp_format format;
    unsigned engines[QP_OP_COUNT]; // by op; AMAX is not asked
    ref_fakequant_fn *fakequant;
    ref_quant_fn *quant;
    ref_dequant_fn *dequant;
} ref_row;

#define FAKE(engines)                                                                                        \
    [QP_OP_FAKEQUANT] = (engines), [QP_OP_BACKWARD] = ((engines)&TORCH) | E(IEEE) // the mask has no scale
#define PACK(engines) [QP_OP_QUANT] = (engines), [QP_OP_DEQUANT] = (engines)

static const ref_row table[] = {
    {QP_INT8, {FAKE(E(IEEE) | E(TORCH_CPU))}, ref_fakequant_int8, NULL, NULL},
    {QP_INT8_AXIS0, {FAKE(E(IEEE) | E(TORCH_CPU))}, ref_fakequant_int8, NULL, NULL},
    {QP_FP8_E4M3, {FAKE(E(IEEE) | E(TORCH_CPU))}, ref_fakequant_fp8, NULL, NULL},
    {QP_FP8_AXIS0, {FAKE(E(IEEE) | E(TORCH_CPU))}, ref_fakequant_fp8, NULL, NULL},
    {QP_FP8_BLOCK2D, {FAKE(E(IEEE) | E(TORCH_CPU))}, ref_fakequant_fp8, NULL, NULL},
    {QP_NVFP4,
     {FAKE(E(IEEE) | E(TRITON_INTERP)), PACK(E(IEEE) | E(TORCH_CPU))},
     ref_fakequant_nvfp4,
     ref_quant_nvfp4,
     ref_dequant_nvfp4},
    {QP_NVFP4_STATIC,
     {FAKE(E(IEEE) | E(TRITON_INTERP)), PACK(E(IEEE) | E(TORCH_CPU))},
     ref_fakequant_nvfp4,
     ref_quant_nvfp4,
     ref_dequant_nvfp4},
    {QP_NVFP4_46,
     {FAKE(E(IEEE) | E(TRITON_INTERP)), PACK(E(IEEE) | E(TORCH_CPU))},
     ref_fakequant_nvfp4,
     ref_quant_nvfp4,
     ref_dequant_nvfp4},
};

static const ref_row *row_of(qp_format f) {
    for (int i = 0; i < QP_COUNT(table); i++)
        if (table[i].format == f) return &table[i];
    return NULL;
}

unsigned ref_engines(qp_op op, qp_format format) {
    if (op == QP_OP_AMAX) return (1u << QP_ENGINE_COUNT) - 1;
    const ref_row *row = row_of(format);
    return row != NULL && (unsigned)op < QP_OP_COUNT ? row->engines[op] : 0;
}

// This room links no libc but memcpy and memset.
typedef struct sentence {
    char *to, *end;
} sentence;

static void say(sentence *s, const char *text) {
    while (*text != '\0' && s->to < s->end) *s->to++ = *text++;
    *s->to = '\0';
}

const char *ref_unsupported(qp_op op, qp_format format, qp_engine engine) {
    static _Thread_local char why[256];
    const qp_format_row *f = qp_format_get(format);
    const unsigned have = ref_engines(op, format);
    if ((unsigned)engine < QP_ENGINE_COUNT && (have >> engine & 1)) return NULL;
    sentence s = {why, why + sizeof why - 1};
    say(&s, f != NULL ? f->name : "?");
    say(&s, " ");
    say(&s, qp_op_name(op));
    say(&s, have == 0 ? " exists under no engine" : " exists under the engines");
    for (int e = 0; e < QP_ENGINE_COUNT; e++) {
        if (!(have >> e & 1)) continue;
        say(&s, " ");
        say(&s, qp_engine_name((qp_engine)e));
    }
    return why;
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

static bool is_plain_int(qp_format f) {
    return f == QP_INT8 || f == QP_INT8_AXIS0 || f == QP_INT4 || f == QP_INT4_AXIS0;
}

const char *ref_refuses(const ref_spec *s, const void *x) {
    if (!is_plain_int(s->format)) return NULL;
    const bool torch = s->engine != QP_ENGINE_IEEE; // raises; ieee follows a kernel that asserts
    const bool rows = s->format == QP_INT8_AXIS0 || s->format == QP_INT4_AXIS0;
    const int64_t n_amax = rows ? s->rows : 1;
    for (int64_t i = 0; s->amax != NULL && !torch && i < n_amax; i++)
        if (ref_is_nan(s->amax[i])) return "amax is NaN: INT under ieee refuses it (device assert)";
    if (s->amax != NULL && minimum_is_negative(QP_FP32, s->amax, n_amax, torch))
        return torch ? "amax is negative: INT under torch raises ValueError"
                     : "amax is negative: INT under ieee refuses it (device assert)";
    if (s->is_unsigned && x != NULL && minimum_is_negative(s->dtype, x, s->rows * s->cols, torch))
        return torch ? "x has a negative value and the format is unsigned: torch raises TypeError"
                     : "x has a negative value and the format is unsigned: ieee refuses it (device assert)";
    return NULL;
}

void ref_fakequant(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                   uint32_t *block_scale, qp_coverage *cov) {
    const ref_row *row = row_of(s->format);
    // Asked for what does not exist: NaN in every float type, so that nothing stale can pass for an answer.
    if (row == NULL || row->fakequant == NULL)
        memset(y, 0xff, (size_t)(n_rows * s->cols) * qp_dtype_bytes(s->dtype));
    else
        row->fakequant(s, row0, n_rows, x, y, block_scale, cov);
}

void ref_quant(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes, void *scales,
               void *values, qp_coverage *cov) {
    const ref_row *row = row_of(s->format);
    if (row == NULL || row->quant == NULL) return;
    row->quant(s, row0, n_rows, x, codes, scales, values, cov);
}

void ref_dequant(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes, const void *scales,
                 uint32_t weight_scale_2, void *values) {
    const ref_row *row = row_of(s->format);
    if (row == NULL || row->dequant == NULL)
        memset(values, 0xff, (size_t)(n_rows * s->cols) * qp_dtype_bytes(out));
    else
        row->dequant(s, out, n_rows, codes, scales, weight_scale_2, values);
}
