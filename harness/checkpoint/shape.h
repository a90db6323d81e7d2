// SPDX-License-Identifier: Apache-2.0
// What a scheme wants of each tensor of a module, and whether it is so. Shared by the splitter, which tries
// schemes on tensors, and by the rules, which say what is wrong.
#ifndef CHECKPOINT_SHAPE_H
#define CHECKPOINT_SHAPE_H

#include "checkpoint/scheme.h"

typedef enum qp_ck_need { QP_CK_NEVER, QP_CK_MAY, QP_CK_MUST } qp_ck_need;
typedef enum qp_ck_fit {
    QP_CK_FITS, // also: not there and not needed
    QP_CK_ABSENT,
    QP_CK_UNWANTED, // the scheme has no such tensor, or not under this word
    QP_CK_WRONG_TYPE,
    QP_CK_WRONG_SHAPE,
} qp_ck_fit;

typedef struct qp_ck_size { // of a logical weight
    int64_t stack, out, in;
} qp_ck_size;

qp_ck_need qp_ck_needs(const qp_ck_scheme *s, qp_ck_role role, bool linear);
unsigned qp_ck_wanted_types(const qp_ck_scheme *s, qp_ck_role role); // bits 1u << qp_st_type; 0: any
bool qp_ck_type_fits(const qp_ck_scheme *s, qp_ck_role role, const qp_ck_tensor *t);
bool qp_ck_shape_fits(const qp_ck_scheme *s, qp_ck_role role, qp_ck_size z, const qp_ck_tensor *t);
// What the tensors say of the size; weight_shape and g_idx decide where a dense stream leaves it open. false:
// the weight cannot lie so.
bool qp_ck_size_of(const qp_ck_scheme *s, const qp_ck_module *m, qp_ck_size *out);
// The same from the scales: what the weight should have been, when the weight is the wrong one.
bool qp_ck_size_by_scale(const qp_ck_scheme *s, const qp_ck_module *m, qp_ck_size *out);
qp_ck_fit qp_ck_part_fit(const qp_ck_scheme *s, const qp_ck_module *m, qp_ck_role role, qp_ck_size z);
// How a wrong shape differs, as a sentence's end: "padded to 128 rows and 4 columns ...", "transposed" ...;
// "" when nothing is known. weight: codes, packed.
const char *qp_ck_shape_kind(const uint64_t *wanted, uint32_t n, const qp_ck_tensor *got, bool weight);

#endif
