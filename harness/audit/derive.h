// SPDX-License-Identifier: Apache-2.0
// What the files derive*.c share.
#ifndef AUDIT_DERIVE_H
#define AUDIT_DERIVE_H

#include "audit/against.h"
#include "qp/refcalib.h"

enum { QP_AG_STATIC = 1, QP_AG_NARROW = 2, QP_AG_EXTENSION = 4, QP_AG_INVERSE = 8 }; // bits of qp_ag_rule.how
#define QP_AG_ONE 0x3f800000u

int64_t qp_ag_tiles(const qp_ag_window *w);
ref_spec qp_ag_spec(const qp_ag_window *w); // rows are those of the window
void qp_ag_tile_amax(const qp_ag_window *w, uint32_t *amax);
uint32_t qp_ag_over(qp_engine e, uint32_t amax, float divisor);
uint32_t qp_ag_ct_scale(const qp_ag_view *v, qp_dtype dtype, uint32_t amax); // of one tile, an fp32 image

#endif
