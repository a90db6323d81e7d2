// SPDX-License-Identifier: Apache-2.0
// What a stored linear means: codes, zero points, scales and global as the numbers that their dialect says
// (shapes spec 2.1 to 2.6). A code has at most 8 significant bits, a block scale 4 (or none, or 24 without a
// global), a global 24: the product is exact in a double. Only a dividing global rounds, once.
#ifndef AUDIT_DEQUANT_H
#define AUDIT_DEQUANT_H

#include "checkpoint/scheme.h"

// Rows [row0, row0 + n_rows) of the logical weight [stack * out, in], row-major. m->sound must hold. NaN
// codes and scales give NaN. m->scheme NULL: a plain float weight. pre_quant_scale and LoRA are not applied.
void qp_ck_values(const qp_ck_module *m, int64_t row0, int64_t n_rows, double *values);
// The code alone: level of INT (zero point not taken off), nibble of E2M1, byte of FP8, six bits of FP6.
uint32_t qp_ck_code(const qp_ck_module *m, int64_t row, int64_t col);
// Which element of the scale tensor belongs to a place.
uint64_t qp_ck_scale_at(const qp_ck_module *m, int64_t row, int64_t col);

#endif
