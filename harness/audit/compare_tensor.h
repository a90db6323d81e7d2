// SPDX-License-Identifier: Apache-2.0
// Pieces of compare that its files share: numbers by their order, layouts, one pair of tensors.
#ifndef AUDIT_COMPARE_TENSOR_H
#define AUDIT_COMPARE_TENSOR_H

#include "audit/compare.h"

// What the units of a tensor are, and where a unit lies among all values of its type.
typedef struct qp_cmp_number {
    const char *unit;                // "ulp", "code", "step"
    int bits;                        // 4: two in a byte, the low half first; else whole bytes
    int64_t (*order)(uint64_t bits); // distance of two units = difference of their orders; NULL: bytes only
} qp_cmp_number;
// Of a storage type; codes: the tensor holds codes of this scheme (NULL: it does not).
const qp_cmp_number *qp_cmp_number_of(int st_type, const qp_ck_scheme *codes);
uint64_t qp_cmp_unit(const qp_cmp_number *k, const qp_ck_tensor *t, uint64_t i);

// Layouts, over tensors that hold whole-byte units. All are total: shapes that cannot be so give false.
bool qp_cmp_nibbles_swapped(const qp_ck_tensor *a, const qp_ck_tensor *b);
bool qp_cmp_transposed(const qp_ck_tensor *a, const qp_ck_tensor *b);
bool qp_cmp_padded(const qp_ck_tensor *small, const qp_ck_tensor *big);     // the rest is zero
bool qp_cmp_swizzled(const qp_ck_tensor *plain, const qp_ck_tensor *tiled); // with padding or without
// One rounding in 1/x moves the result by less than an ulp; a second one on the way (x itself was made as a
// quotient on either side) by another: 2 is what the two spellings of one scale can differ by.
enum { QP_CMP_RECIPROCAL_ULP = 2 };
// b = 1/a in fp32, to how many ulp; false: no, or not numbers with a reciprocal. Floats only.
bool qp_cmp_reciprocal(const qp_ck_tensor *a, const qp_ck_tensor *b, uint64_t *max_ulp);
// The same numbers in another float type.
bool qp_cmp_same_values(const qp_ck_tensor *a, const qp_ck_tensor *b);

// One pair under its role (QP_CK_ROLES: none). opposite: the dialects of a and b store 1/x of each other
// here.
qp_status qp_cmp_pair(const qp_ck_tensor *a, const qp_ck_tensor *b, qp_ck_role role,
                      const qp_ck_scheme *scheme, bool opposite, qp_arena *arena, qp_cmp_row *out,
                      qp_err *err);
// Two modules stored in different ways: what both mean, element by element.
qp_status qp_cmp_meaning(const qp_ck_module *a, const qp_ck_module *b, qp_arena *arena, qp_cmp_row *out,
                         qp_err *err);

#endif
