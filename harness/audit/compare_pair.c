// SPDX-License-Identifier: Apache-2.0
// One pair of tensors: equal, or how far apart, where first, and what kind of difference it is.
#include "audit/compare_tensor.h"

#include <stdlib.h>
#include <string.h>

const char *qp_cmp_class_name(qp_cmp_class c) {
    static const char *const names[QP_CMP_CLASSES] = {
        "equal",  "global-scale", "block-scales", "codes", "nibble-swap",  "reciprocal", "transposed",
        "padded", "swizzled",     "values",       "shape", "same-meaning", "one-side"};
    return (unsigned)c < QP_CMP_CLASSES ? names[c] : "?";
}

// [] and [1], [O] and [O, 1]: the same elements in the same order.
static bool same_elements(const qp_ck_tensor *a, const qp_ck_tensor *b) {
    const uint64_t last_a = a->n_dims > 0 ? a->dims[a->n_dims - 1] : 1;
    const uint64_t last_b = b->n_dims > 0 ? b->dims[b->n_dims - 1] : 1;
    return a->dtype == b->dtype && a->n_elems == b->n_elems &&
           (last_a == last_b || last_a == 1 || last_b == 1);
}

static bool same_shape(const qp_ck_tensor *a, const qp_ck_tensor *b) {
    return a->dtype == b->dtype && a->n_dims == b->n_dims && a->n_elems == b->n_elems &&
           memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

// ---- distances
// ---------------------------------------------------------------------------------------------------------

enum { CHUNK = 1 << 14 }; // bytes compared at once before any unit is looked at; a multiple of every unit

static qp_status note_first(const qp_cmp_number *k, const qp_ck_tensor *a, const qp_ck_tensor *b, uint64_t i,
                            qp_arena *arena, qp_cmp_row *out, qp_err *err) {
    const int digits = k->bits == 4 ? 1 : k->bits / 4;
    uint64_t element = k->bits == 4 ? i / 2 : i * (uint64_t)k->bits / (uint64_t)qp_st_dtypes[a->dtype].bits;
    if (a->n_dims <= QP_CK_DIMS) {
        out->n_first = (int)a->n_dims;
        for (int d = out->n_first - 1; d >= 0; d--) {
            out->first[d] = (int64_t)(element % a->dims[d]);
            element /= a->dims[d];
        }
    }
    const char *half = k->bits != 4 ? "" : i % 2 == 0 ? " (low half)" : " (high half)";
    QP_TRY(qp_arena_printf(arena, &out->a_bits, err, "%0*llx%s", digits,
                           (unsigned long long)qp_cmp_unit(k, a, i), half));
    return qp_arena_printf(arena, &out->b_bits, err, "%0*llx", digits,
                           (unsigned long long)qp_cmp_unit(k, b, i));
}

static void count_units(const qp_cmp_number *k, const qp_ck_tensor *a, const qp_ck_tensor *b, uint64_t from,
                        uint64_t to, qp_cmp_row *out, uint64_t *first) {
    uint64_t most = 0;
    for (uint64_t i = from; i < to; i++) {
        const uint64_t x = qp_cmp_unit(k, a, i), y = qp_cmp_unit(k, b, i);
        if (x == y) continue;
        if (out->n_differ++ == 0) *first = i;
        if (k->order == NULL) continue;
        const uint64_t d = (uint64_t)llabs((long long)(k->order(x) - k->order(y)));
        if (d > most) most = d;
    }
    uint64_t *far = strcmp(k->unit, "code") == 0 ? &out->max_code_distance : &out->max_ulp;
    if (most > *far) *far = most;
}

static qp_status measure(const qp_cmp_number *k, const qp_ck_tensor *a, const qp_ck_tensor *b,
                         qp_arena *arena, qp_cmp_row *out, qp_err *err) {
    uint64_t first = 0;
    out->n_elems = a->n_bytes * 8 / (uint64_t)k->bits;
    for (uint64_t at = 0; at < a->n_bytes; at += CHUNK) {
        const uint64_t n = a->n_bytes - at < CHUNK ? a->n_bytes - at : CHUNK;
        if (memcmp(a->data + at, b->data + at, n) == 0) continue;
        count_units(k, a, b, at * 8 / (uint64_t)k->bits, (at + n) * 8 / (uint64_t)k->bits, out, &first);
    }
    return out->n_differ == 0 ? QP_OK : note_first(k, a, b, first, arena, out, err);
}

// ---- classes
// -----------------------------------------------------------------------------------------------------------

static qp_cmp_class class_of_role(qp_ck_role role) {
    switch (role) {
    case QP_CK_WEIGHT:
        return QP_CMP_CODES;
    case QP_CK_SCALE:
        return QP_CMP_SCALES;
    case QP_CK_GLOBAL:
        return QP_CMP_GLOBAL;
    default:
        return QP_CMP_VALUES;
    }
}

static bool is_scale(qp_ck_role role) {
    return role == QP_CK_SCALE || role == QP_CK_GLOBAL || role == QP_CK_INPUT || role == QP_CK_K_SCALE ||
           role == QP_CK_V_SCALE;
}

// The same bytes elsewhere? From the narrowest claim to the widest.
static bool other_layout(const qp_ck_tensor *a, const qp_ck_tensor *b, qp_ck_role role, bool nibbles,
                         qp_cmp_class *out) {
    if (nibbles && qp_cmp_nibbles_swapped(a, b))
        *out = QP_CMP_NIBBLES;
    else if (qp_cmp_transposed(a, b))
        *out = QP_CMP_TRANSPOSED;
    else if (role == QP_CK_SCALE && (qp_cmp_swizzled(a, b) || qp_cmp_swizzled(b, a)))
        *out = QP_CMP_SWIZZLED;
    else if (qp_cmp_padded(a, b) || qp_cmp_padded(b, a))
        *out = QP_CMP_PADDED;
    else
        return false;
    return true;
}

static qp_status say_shapes(const qp_ck_tensor *a, const qp_ck_tensor *b, qp_arena *arena, qp_cmp_row *out,
                            qp_err *err) {
    const char *left, *right;
    QP_TRY(qp_ck_shape_text(a, arena, &left, err));
    QP_TRY(qp_ck_shape_text(b, arena, &right, err));
    return qp_arena_printf(arena, &out->detail, err, "%s %s against %s %s", qp_ck_dtype_name(a), left,
                           qp_ck_dtype_name(b), right);
}

// The same numbers: only the shape's spelling, the float type, or (between dialects) the direction differs.
static qp_status same_meaning(const qp_ck_tensor *a, const qp_ck_tensor *b, bool opposite, qp_arena *arena,
                              qp_cmp_row *out, qp_err *err) {
    uint64_t ulp;
    if (!same_shape(a, b) &&
        ((a->n_bytes == b->n_bytes && a->dtype == b->dtype && memcmp(a->data, b->data, a->n_bytes) == 0) ||
         qp_cmp_same_values(a, b)))
        out->class = QP_CMP_MEANING;
    if (!opposite || !qp_cmp_reciprocal(a, b, &ulp)) return QP_OK;
    out->class = QP_CMP_MEANING;
    out->max_ulp = ulp;
    return qp_arena_printf(arena, &out->detail, err, "1/x of the other, to %llu ulp",
                           (unsigned long long)ulp);
}

static qp_cmp_class class_of(const qp_ck_tensor *a, const qp_ck_tensor *b, qp_ck_role role, bool codes,
                             bool nibbles, qp_cmp_row *out) {
    qp_cmp_class layout;
    uint64_t ulp;
    if (is_scale(role) && qp_cmp_reciprocal(a, b, &ulp)) {
        out->max_ulp = ulp;
        return QP_CMP_RECIPROCAL;
    }
    if (other_layout(a, b, role, nibbles, &layout)) return layout;
    if (!same_elements(a, b)) return QP_CMP_SHAPE;
    return role == QP_CK_WEIGHT && !codes ? QP_CMP_VALUES : class_of_role(role);
}

static double value_of(const qp_ck_tensor *t) {
    const uint32_t bits = qp_ck_f32(t, 0);
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

// ULP between a number and a reciprocal say nothing: how far 1/x is.
static qp_status say_opposite(const qp_ck_tensor *a, const qp_ck_tensor *b, qp_arena *arena, qp_cmp_row *out,
                              qp_err *err) {
    if (!qp_ck_is_float(a) || !qp_ck_is_float(b) || a->n_elems != 1 || b->n_elems != 1) return QP_OK;
    out->max_ulp = 0;
    return qp_arena_printf(arena, &out->detail, err, "1/A is %.9g, B is %.9g: %.6g of it", 1.0 / value_of(a),
                           value_of(b), value_of(a) * value_of(b));
}

qp_status qp_cmp_pair(const qp_ck_tensor *a, const qp_ck_tensor *b, qp_ck_role role,
                      const qp_ck_scheme *scheme, bool opposite, qp_arena *arena, qp_cmp_row *out,
                      qp_err *err) {
    const bool codes = role == QP_CK_WEIGHT && scheme != NULL;
    const qp_cmp_number *k = qp_cmp_number_of(a->dtype, codes ? scheme : NULL);
    out->n_elems = a->n_elems;
    if (!same_shape(a, b)) QP_TRY(say_shapes(a, b, arena, out, err));
    if (same_elements(a, b)) QP_TRY(measure(k, a, b, arena, out, err));
    if (same_shape(a, b) && out->n_differ == 0) return QP_OK; // QP_CMP_EQUAL
    QP_TRY(same_meaning(a, b, opposite, arena, out, err));
    if (out->class == QP_CMP_MEANING) return QP_OK;
    out->class = class_of(a, b, role, codes, codes && k->bits == 4, out);
    return opposite ? say_opposite(a, b, arena, out, err) : QP_OK;
}
