// SPDX-License-Identifier: Apache-2.0
// Names and sizes of storage types. What their bits mean is written in reference/ and kernels/, each for
// itself.
#ifndef QP_DTYPE_H
#define QP_DTYPE_H

#include "qp/base.h"

typedef enum qp_dtype {
    QP_BF16,
    QP_FP16,
    QP_FP32,
    QP_U8, // packed nibbles, bytes
    QP_I8,
    QP_E4M3, // one byte
    QP_I32,
    QP_I64,
    QP_DTYPE_COUNT
} qp_dtype;

static inline size_t qp_dtype_bytes(qp_dtype t) {
    static const size_t bytes[QP_DTYPE_COUNT] = {2, 2, 4, 1, 1, 1, 4, 8};
    return (unsigned)t < QP_DTYPE_COUNT ? bytes[t] : 0;
}

static inline const char *qp_dtype_name(qp_dtype t) {
    static const char *const names[QP_DTYPE_COUNT] = {"bf16", "fp16", "fp32", "u8",
                                                      "i8",   "e4m3", "i32",  "i64"};
    return (unsigned)t < QP_DTYPE_COUNT ? names[t] : "?";
}

// The name safetensors headers use ("BF16", "F32", "F8_E4M3" ...).
static inline const char *qp_dtype_st_name(qp_dtype t) {
    static const char *const names[QP_DTYPE_COUNT] = {"BF16", "F16",     "F32", "U8",
                                                      "I8",   "F8_E4M3", "I32", "I64"};
    return (unsigned)t < QP_DTYPE_COUNT ? names[t] : "?";
}

#endif
