// SPDX-License-Identifier: Apache-2.0
// Which (op, format, engine) the reference answers, which inputs an engine itself refuses, and the doors to
// fake-quant, quant and dequant. What is not in a row does not exist.
#include "ref_internal.h"

#define E(name) (1u << QP_ENGINE_##name)
#define TORCH (E(TORCH_CPU) | E(TORCH_CUDA))

// One row per format and family of engines; a format may have several rows, with no (op, engine) twice.
typedef struct ref_row {
    qp_format format;
    unsigned engines[QP_OP_COUNT]; // by op; AMAX is not asked
    ref_fakequant_fn *fakequant;
    ref_quant_fn *quant; // NF4 has a door of its own, ref_quant_nf4
    ref_dequant_fn *dequant;
} ref_row;

#define FAKE(engines)                                                                                        \
    [QP_OP_FAKEQUANT] = (engines), [QP_OP_BACKWARD] = ((engines)&TORCH) | E(IEEE) // the mask has no scale
#define PACK(engines) [QP_OP_QUANT] = (engines), [QP_OP_DEQUANT] = (engines)
#define TRITONS (E(IEEE) | E(TRITON_INTERP) | E(TRITON))

#define INT(format)                                                                                          \
    { format, {FAKE(E(IEEE) | TORCH), PACK(TORCH)}, ref_fakequant_int, ref_quant_real, ref_dequant_real }
#define INT4_FAKE(format)                                                                                    \
    { format, {FAKE(E(IEEE) | TORCH)}, ref_fakequant_int, NULL, NULL }
#define FP8(format)                                                                                          \
    { format, {FAKE(E(IEEE) | TORCH), PACK(TORCH)}, ref_fakequant_fp8, ref_quant_real, ref_dequant_real }
#define EXPORT(format)                                                                                       \
    { format, {PACK(TORCH)}, NULL, ref_quant_real, ref_dequant_real }
#define NVFP4(format)                                                                                        \
    {                                                                                                        \
        format, {FAKE(TRITONS), PACK(E(IEEE) | TORCH)}, ref_fakequant_nvfp4, ref_quant_nvfp4,                \
            ref_dequant_nvfp4                                                                                \
    }
#define MX(format)                                                                                           \
    { format, {FAKE(E(IEEE) | E(MX_EXT)), PACK(E(IEEE))}, ref_fakequant_mx, ref_quant_mx, ref_dequant_mx }
#define MX_REAL(format, engines)                                                                             \
    { format, {PACK(engines)}, NULL, ref_quant_mx, ref_dequant_mx }
#define CT(format)                                                                                           \
    { format, {PACK(E(COMPRESSED_TENSORS))}, NULL, ref_quant_ct, ref_dequant_ct }

static const ref_row table[] = {
    INT(QP_INT8),
    INT(QP_INT8_AXIS0),
    FP8(QP_FP8_E4M3),
    FP8(QP_FP8_AXIS0),
    FP8(QP_FP8_BLOCK2D),
    NVFP4(QP_NVFP4),
    NVFP4(QP_NVFP4_STATIC),
    NVFP4(QP_NVFP4_46),
    INT4_FAKE(QP_INT4),
    INT4_FAKE(QP_INT4_AXIS0),
    {QP_INT4_BLOCK,
     {FAKE(E(IEEE) | TORCH), PACK(TORCH)},
     ref_fakequant_int,
     ref_quant_int4,
     ref_dequant_int4},
    {QP_INT4_AWQ, {PACK(TORCH)}, NULL, ref_quant_awq, ref_dequant_awq},
    EXPORT(QP_INT8_EXPORT),
    EXPORT(QP_FP8_EXPORT),
    {QP_NF4, {PACK(TORCH)}, NULL, NULL, ref_dequant_nf4},
    {QP_NVFP4_W4A8, {PACK(E(IEEE) | TORCH)}, NULL, ref_quant_nvfp4, ref_dequant_nvfp4},
    MX(QP_MXFP4),
    MX(QP_MXFP6_E3M2),
    MX(QP_MXFP6_E2M3),
    MX(QP_MXFP8_E4M3),
    MX(QP_MXFP8_E5M2),
    MX(QP_MXINT8),
    MX_REAL(QP_MXFP4, TORCH | E(COMPRESSED_TENSORS)),
    MX_REAL(QP_MXFP8_E4M3, TORCH | E(COMPRESSED_TENSORS)),
    MX_REAL(QP_MXFP6_E2M3, E(COMPRESSED_TENSORS)),
    {QP_NVFP4, {[QP_OP_FAKEQUANT] = E(MX_EXT)}, ref_fakequant_nvfp4_mx_ext, NULL, NULL},

    CT(QP_INT8),
    CT(QP_INT8_AXIS0),
    CT(QP_FP8_E4M3),
    CT(QP_FP8_AXIS0),
    CT(QP_INT4_BLOCK),
    {QP_NVFP4, {PACK(E(COMPRESSED_TENSORS))}, NULL, ref_quant_ct_nvfp4, ref_dequant_ct_nvfp4},
    {QP_FP8_BLOCK2D, {PACK(E(DEEPSEEK_FP8))}, NULL, ref_quant_deepseek, ref_dequant_deepseek},
};

static const ref_row *row_of(qp_op op, qp_format f, qp_engine e) {
    if ((unsigned)op >= QP_OP_COUNT || (unsigned)e >= QP_ENGINE_COUNT) return NULL;
    for (int i = 0; i < QP_COUNT(table); i++)
        if (table[i].format == f && (table[i].engines[op] >> e & 1)) return &table[i];
    return NULL;
}

unsigned ref_engines(qp_op op, qp_format format) {
    if (op == QP_OP_AMAX) return (1u << QP_ENGINE_COUNT) - 1;
    unsigned engines = 0;
    for (int i = 0; i < QP_COUNT(table); i++)
        if (table[i].format == format && (unsigned)op < QP_OP_COUNT) engines |= table[i].engines[op];
    return engines;
}

qp_dtype ref_scale_dtype(qp_format format, qp_engine engine, qp_dtype x) {
    const qp_format_row *f = qp_format_get(format);
    if (f == NULL || f->scale == QP_SCALE_E4M3 || f->scale == QP_SCALE_E8M0) return QP_U8;
    return f->scale == QP_SCALE_GIVEN || engine == QP_ENGINE_DEEPSEEK_FP8 ? QP_FP32 : x;
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

// The formats of section 1; exports and AWQ take a scale.
static bool is_fake_int(qp_format f) {
    return f == QP_INT8 || f == QP_INT8_AXIS0 || f == QP_INT4 || f == QP_INT4_AXIS0 || f == QP_INT4_BLOCK;
}

const char *ref_refuses(const ref_spec *s, const void *x) {
    if (!is_fake_int(s->format)) return NULL;
    const bool torch = s->engine != QP_ENGINE_IEEE; // raises; ieee follows a kernel that asserts
    const ref_grain g = ref_grain_of_spec(s);
    const int64_t n_amax = ref_grain_count(&g, s->rows);
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
    const ref_row *row = row_of(QP_OP_FAKEQUANT, s->format, s->engine);
    // Asked for what does not exist: NaN in every float type, so that nothing stale can pass for an answer.
    if (row == NULL || row->fakequant == NULL)
        memset(y, 0xff, (size_t)(n_rows * s->cols) * qp_dtype_bytes(s->dtype));
    else
        row->fakequant(s, row0, n_rows, x, y, block_scale, cov);
}

void ref_quant(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, uint8_t *codes, void *scales,
               void *values, qp_coverage *cov) {
    const ref_row *row = row_of(QP_OP_QUANT, s->format, s->engine);
    if (row == NULL || row->quant == NULL) return;
    row->quant(s, row0, n_rows, x, codes, scales, values, cov);
}

void ref_dequant(const ref_spec *s, qp_dtype out, int64_t n_rows, const uint8_t *codes, const void *scales,
                 uint32_t weight_scale_2, void *values) {
    const ref_row *row = row_of(QP_OP_DEQUANT, s->format, s->engine);
    if (row == NULL || row->dequant == NULL)
        memset(values, 0xff, (size_t)(n_rows * s->cols) * qp_dtype_bytes(out));
    else
        row->dequant(s, out, n_rows, codes, scales, weight_scale_2, values);
}
