// SPDX-License-Identifier: Apache-2.0
// The formats, ops and engines: names and geometry only. One row per format; a format is added by one enum
// line and one row. A row with built = false is known by name and counted as skipped, never silently refused.
#ifndef QP_FORMAT_H
#define QP_FORMAT_H

#include "qp/base.h"

typedef enum qp_grain { QP_GRAIN_TENSOR, QP_GRAIN_AXIS0, QP_GRAIN_BLOCK, QP_GRAIN_BLOCK2D } qp_grain;
typedef enum qp_element {
    QP_ELEM_INT8,
    QP_ELEM_INT4,
    QP_ELEM_E4M3,
    QP_ELEM_E2M1,
    QP_ELEM_E5M2,
    QP_ELEM_E3M2,
    QP_ELEM_E2M3,
    QP_ELEM_NF4
} qp_element;
// What stands beside the codes of a packed tensor, one per grain.
typedef enum qp_scale {
    QP_SCALE_OF_X,  // an image in the type of x (numerics 2.6, 5.4-5.7)
    QP_SCALE_GIVEN, // fp32, an input of quant, not an output (exports)
    QP_SCALE_E4M3,  // a byte
    QP_SCALE_E8M0,  // a byte
} qp_scale;
// How 4-bit codes share a byte (numerics 10).
typedef enum qp_nibbles {
    QP_NIBBLES_NONE,       // a byte per code
    QP_NIBBLES_LOW_FIRST,  // even column low
    QP_NIBBLES_HIGH_FIRST, // even column high
    QP_NIBBLES_ROW_PAIRS,  // rows 2i (low) and 2i+1 (high) of one column
} qp_nibbles;

typedef enum qp_format {
    QP_INT8,
    QP_INT8_AXIS0,
    QP_FP8_E4M3,
    QP_FP8_AXIS0,
    QP_FP8_BLOCK2D,
    QP_NVFP4,        // dynamic: E4M3 scale per 16 from the data, fp32 global amax
    QP_NVFP4_STATIC, // calibrated block amax, fp32 global amax
    QP_NVFP4_46,     // static with normaliser 256
    QP_INT4,
    QP_INT4_AXIS0,
    QP_INT4_BLOCK,
    QP_INT4_AWQ,
    QP_INT8_EXPORT,
    QP_FP8_EXPORT,
    QP_MXFP4,
    QP_MXFP6_E3M2,
    QP_MXFP6_E2M3,
    QP_MXFP8_E4M3,
    QP_MXFP8_E5M2,
    QP_MXINT8,
    QP_NF4,
    QP_NVFP4_W4A8,
    QP_FORMAT_COUNT,
    QP_FORMAT_NONE = -1
} qp_format;

typedef struct qp_format_row {
    qp_format id;
    const char *name;
    qp_element element;
    qp_grain grain;
    int block_rows, block_cols; // default block; 0 = not blocked
    bool has_global;            // second-level fp32 scale
    qp_scale scale;             // of the packed form
    qp_nibbles nibbles;
    bool pipeline;         // a recipe may name it: every stage carries it
    bool kernels;          // built-in kernels exist on every device
    const char *reference; // where the rule stands
} qp_format_row;

static inline const qp_format_row *qp_format_get(qp_format f) {
    static const qp_format_row rows[QP_FORMAT_COUNT] = {
        {QP_INT8, "int8", QP_ELEM_INT8, QP_GRAIN_TENSOR, 0, 0, false, QP_SCALE_OF_X, QP_NIBBLES_NONE, true,
         true, "numerics 1"},
        {QP_INT8_AXIS0, "int8-axis0", QP_ELEM_INT8, QP_GRAIN_AXIS0, 0, 0, false, QP_SCALE_OF_X,
         QP_NIBBLES_NONE, true, true, "numerics 1"},
        {QP_FP8_E4M3, "fp8-e4m3", QP_ELEM_E4M3, QP_GRAIN_TENSOR, 0, 0, false, QP_SCALE_OF_X, QP_NIBBLES_NONE,
         true, true, "numerics 2"},
        {QP_FP8_AXIS0, "fp8-axis0", QP_ELEM_E4M3, QP_GRAIN_AXIS0, 0, 0, false, QP_SCALE_OF_X, QP_NIBBLES_NONE,
         true, true, "numerics 2"},
        {QP_FP8_BLOCK2D, "fp8-block2d", QP_ELEM_E4M3, QP_GRAIN_BLOCK2D, 128, 128, false, QP_SCALE_OF_X,
         QP_NIBBLES_NONE, true, true, "numerics 5.6"},
        {QP_NVFP4, "nvfp4", QP_ELEM_E2M1, QP_GRAIN_BLOCK, 1, 16, true, QP_SCALE_E4M3, QP_NIBBLES_LOW_FIRST,
         true, true, "numerics 4.3, 4.5"},
        {QP_NVFP4_STATIC, "nvfp4-static", QP_ELEM_E2M1, QP_GRAIN_BLOCK, 1, 16, true, QP_SCALE_E4M3,
         QP_NIBBLES_LOW_FIRST, true, true, "numerics 4.4, 4.5"},
        {QP_NVFP4_46, "nvfp4-46", QP_ELEM_E2M1, QP_GRAIN_BLOCK, 1, 16, true, QP_SCALE_E4M3,
         QP_NIBBLES_LOW_FIRST, true, true, "numerics 4.4, 4.5"},
        {QP_INT4, "int4", QP_ELEM_INT4, QP_GRAIN_TENSOR, 0, 0, false, QP_SCALE_OF_X, QP_NIBBLES_NONE, false,
         true, "numerics 1"},
        {QP_INT4_AXIS0, "int4-axis0", QP_ELEM_INT4, QP_GRAIN_AXIS0, 0, 0, false, QP_SCALE_OF_X,
         QP_NIBBLES_NONE, false, true, "numerics 1"},
        {QP_INT4_BLOCK, "int4-block", QP_ELEM_INT4, QP_GRAIN_BLOCK, 1, 128, false, QP_SCALE_OF_X,
         QP_NIBBLES_HIGH_FIRST, false, true, "numerics 5.4"},
        {QP_INT4_AWQ, "int4-awq", QP_ELEM_INT4, QP_GRAIN_BLOCK, 1, 128, false, QP_SCALE_GIVEN,
         QP_NIBBLES_ROW_PAIRS, false, true, "numerics 5.4"},
        {QP_INT8_EXPORT, "int8-export", QP_ELEM_INT8, QP_GRAIN_AXIS0, 0, 0, false, QP_SCALE_GIVEN,
         QP_NIBBLES_NONE, false, true, "numerics 2.6"},
        {QP_FP8_EXPORT, "fp8-export", QP_ELEM_E4M3, QP_GRAIN_TENSOR, 0, 0, false, QP_SCALE_GIVEN,
         QP_NIBBLES_NONE, false, true, "numerics 2.6"},
        {QP_MXFP4, "mxfp4", QP_ELEM_E2M1, QP_GRAIN_BLOCK, 1, 32, false, QP_SCALE_E8M0, QP_NIBBLES_LOW_FIRST,
         false, true, "numerics 5.1"},
        {QP_MXFP6_E3M2, "mxfp6-e3m2", QP_ELEM_E3M2, QP_GRAIN_BLOCK, 1, 32, false, QP_SCALE_E8M0,
         QP_NIBBLES_NONE, false, true, "numerics 5.3"},
        {QP_MXFP6_E2M3, "mxfp6-e2m3", QP_ELEM_E2M3, QP_GRAIN_BLOCK, 1, 32, false, QP_SCALE_E8M0,
         QP_NIBBLES_NONE, false, true, "numerics 5.3"},
        {QP_MXFP8_E4M3, "mxfp8-e4m3", QP_ELEM_E4M3, QP_GRAIN_BLOCK, 1, 32, false, QP_SCALE_E8M0,
         QP_NIBBLES_NONE, false, true, "numerics 5.2"},
        {QP_MXFP8_E5M2, "mxfp8-e5m2", QP_ELEM_E5M2, QP_GRAIN_BLOCK, 1, 32, false, QP_SCALE_E8M0,
         QP_NIBBLES_NONE, false, true, "numerics 5.2"},
        {QP_MXINT8, "mxint8", QP_ELEM_INT8, QP_GRAIN_BLOCK, 1, 32, false, QP_SCALE_E8M0, QP_NIBBLES_NONE,
         false, true, "numerics 5.3"},
        {QP_NF4, "nf4", QP_ELEM_NF4, QP_GRAIN_BLOCK, 1, 64, false, QP_SCALE_OF_X, QP_NIBBLES_HIGH_FIRST,
         false, true, "numerics 5.7"},
        {QP_NVFP4_W4A8, "nvfp4-w4a8", QP_ELEM_E2M1, QP_GRAIN_BLOCK, 1, 32, true, QP_SCALE_E4M3,
         QP_NIBBLES_LOW_FIRST, false, true, "numerics 4.5"},
    };
    return (unsigned)f < QP_FORMAT_COUNT ? &rows[f] : NULL;
}

// Are the block scales of this format made of the data of each launch, and only a global amax calibrated?
// Then its amax is that of the tensor.
static inline bool qp_format_is_dynamic(qp_format f) {
    return f == QP_NVFP4 || f == QP_NVFP4_W4A8;
}

typedef enum qp_op {
    QP_OP_AMAX,      // x -> max |x| over tensor, row or block
    QP_OP_FAKEQUANT, // x -> y in the type of x
    QP_OP_BACKWARD,  // x, grad -> g
    QP_OP_QUANT,     // x -> codes, scales, weight_scale_2
    QP_OP_DEQUANT,   // codes, scales, weight_scale_2 -> y
    QP_OP_COUNT
} qp_op;

static inline const char *qp_op_name(qp_op op) {
    static const char *const names[QP_OP_COUNT] = {"amax", "fakequant", "backward", "quant", "dequant"};
    return (unsigned)op < QP_OP_COUNT ? names[op] : "?";
}

// The arithmetic path that an answer follows (numerics 0; product page, section 5).
typedef enum qp_engine {
    QP_ENGINE_IEEE,
    QP_ENGINE_TORCH_CPU,
    QP_ENGINE_TRITON_INTERP,
    QP_ENGINE_TORCH_CUDA,
    QP_ENGINE_MX_EXT,
    QP_ENGINE_TRITON,
    QP_ENGINE_COMPRESSED_TENSORS,
    QP_ENGINE_DEEPSEEK_FP8,
    QP_ENGINE_COUNT
} qp_engine;

static inline const char *qp_engine_name(qp_engine e) {
    static const char *const names[QP_ENGINE_COUNT] = {
        "ieee",   "torch-cpu", "triton-interp",      "torch-cuda",
        "mx-ext", "triton",    "compressed-tensors", "deepseek-fp8"};
    return (unsigned)e < QP_ENGINE_COUNT ? names[e] : "?";
}

#endif
