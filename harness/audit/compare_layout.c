// SPDX-License-Identifier: Apache-2.0
// The same bytes in another order: swapped nibbles, a transposed matrix, padding, the 128x4 tiles of block
// scales (shapes spec 2.8), reciprocals.
#include "audit/compare_tensor.h"

#include <stdlib.h>
#include <string.h>

#include "qp/ref.h"
#include "qp/refcalib.h"

bool qp_cmp_nibbles_swapped(const qp_ck_tensor *a, const qp_ck_tensor *b) {
    if (a->n_bytes != b->n_bytes) return false;
    for (uint64_t i = 0; i < a->n_bytes; i++)
        if ((uint8_t)(a->data[i] << 4 | a->data[i] >> 4) != b->data[i]) return false;
    return true;
}

// A tensor as a matrix: the last dimension against all before it.
typedef struct matrix {
    uint64_t rows, cols, unit; // unit: bytes of an element; 0: no whole number of bytes
} matrix;

static matrix matrix_of(const qp_ck_tensor *t) {
    const int bits = qp_st_dtypes[t->dtype].bits;
    matrix m = {1, 1, bits % 8 == 0 ? (uint64_t)bits / 8 : 0};
    if (t->n_dims > QP_CK_DIMS || t->n_elems == 0) return (matrix){0};
    if (t->n_dims > 0) m.cols = t->dims[t->n_dims - 1];
    m.rows = t->n_elems / m.cols;
    return m;
}

bool qp_cmp_transposed(const qp_ck_tensor *a, const qp_ck_tensor *b) {
    const matrix x = matrix_of(a), y = matrix_of(b);
    if (x.unit == 0 || x.unit != y.unit || x.rows * x.cols != y.rows * y.cols) return false;
    if (x.rows <= 1 || x.cols <= 1) return false; // a vector is its own transpose
    const bool named = x.rows == y.cols;          // [r, c] against [c, r]; else bytes laid so under one shape
    if (!named && (x.rows != y.rows || x.cols != y.cols)) return false;
    for (uint64_t r = 0; r < x.rows; r++)
        for (uint64_t c = 0; c < x.cols; c++)
            if (memcmp(a->data + (r * x.cols + c) * x.unit, b->data + (c * x.rows + r) * x.unit, x.unit) != 0)
                return false;
    return true;
}

static bool all_zero(const uint8_t *p, uint64_t n) {
    for (uint64_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

bool qp_cmp_padded(const qp_ck_tensor *small, const qp_ck_tensor *big) {
    const matrix s = matrix_of(small), b = matrix_of(big);
    if (s.unit == 0 || s.unit != b.unit || b.rows < s.rows || b.cols < s.cols) return false;
    if (small->n_bytes >= big->n_bytes) return false;
    const uint64_t n = s.cols * s.unit, wide = b.cols * b.unit;
    for (uint64_t r = 0; r < s.rows; r++) {
        const uint8_t *row = big->data + r * wide;
        if (memcmp(small->data + r * n, row, n) != 0 || !all_zero(row + n, wide - n)) return false;
    }
    return all_zero(big->data + s.rows * wide, (b.rows - s.rows) * wide);
}

bool qp_cmp_swizzled(const qp_ck_tensor *plain, const qp_ck_tensor *tiled) {
    const matrix p = matrix_of(plain);
    if (p.unit != 1 || p.rows > INT32_MAX || p.cols > INT32_MAX) return false;
    const int64_t rows = (int64_t)p.rows, cols = (int64_t)p.cols;
    if ((uint64_t)ref_swizzled_bytes(rows, cols) != tiled->n_bytes) return false;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            if (plain->data[r * cols + c] != tiled->data[ref_swizzled_at(cols, r, c)]) return false;
    return true;
}

// ---- reciprocals
// ------------------------------------------------------------------------------------------------------

static uint64_t apart(uint32_t x, uint32_t y) {
    const qp_cmp_number *f32 = qp_cmp_number_of(QP_ST_F32, NULL);
    return (uint64_t)llabs((long long)(f32->order(x) - f32->order(y)));
}

static bool has_reciprocal(uint32_t f32) { // normal, and 1/x too
    const uint32_t exponent = f32 >> 23 & 0xff;
    return exponent > 1 && exponent < 253;
}

bool qp_cmp_same_values(const qp_ck_tensor *a, const qp_ck_tensor *b) {
    if (!qp_ck_is_float(a) || !qp_ck_is_float(b) || a->n_elems != b->n_elems) return false;
    for (uint64_t i = 0; i < a->n_elems; i++)
        if (qp_ck_f32(a, i) != qp_ck_f32(b, i)) return false;
    return true;
}

bool qp_cmp_reciprocal(const qp_ck_tensor *a, const qp_ck_tensor *b, uint64_t *max_ulp) {
    const uint32_t one = 0x3f800000;
    if (!qp_ck_is_float(a) || !qp_ck_is_float(b) || a->n_elems != b->n_elems || a->n_elems == 0) return false;
    *max_ulp = 0;
    for (uint64_t i = 0; i < a->n_elems; i++) {
        const uint32_t x = qp_ck_f32(a, i), y = qp_ck_f32(b, i);
        if (!has_reciprocal(x) || !has_reciprocal(y)) return false;
        const uint64_t forth = apart(ref_div(one, x), y), back = apart(ref_div(one, y), x);
        const uint64_t d = forth < back ? forth : back;
        if (d > QP_CMP_RECIPROCAL_ULP) return false;
        if (d > *max_ulp) *max_ulp = d;
    }
    return true;
}
