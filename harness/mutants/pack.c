// SPDX-License-Identifier: Apache-2.0
// Sins of packing.
#include <string.h>

#include "mutants/list.h"

// E-42: block scales are stored in the 128x4 layout of the matrix units (numerics spec 4.6) without a word;
// where rows and columns already fill whole tiles the byte count is the same and nothing complains. Bytes
// that padding would need are dropped.
static void swizzle(const uint8_t *packed, int64_t rows, int64_t nb, uint8_t *stored) {
    const int64_t padded = (nb + 3) / 4 * 4;
    memset(stored, 0, (size_t)(rows * nb));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < nb; c++) {
            const int64_t at =
                ((r / 128) * (padded / 4) + c / 4) * 512 + (r % 32) * 16 + ((r % 128) / 32) * 4 + c % 4;
            if (at < rows * nb) stored[at] = packed[r * nb + c];
        }
}

void mut_scales_swizzled(qp_stage_table *t) {
    t->store_scales = swizzle;
}

// E-83: the scales of the first expert serve every expert of the projection.
static qp_status scales_of_expert_0(qp_rank *r, qp_err *err) {
    QP_TRY(qp_step_pack_quant(r, err));
    for (int i = 0; i < r->n_q; i++) {
        qp_quantizer *q = &r->q[i];
        const qp_quantizer *first = NULL;
        for (int k = 0; k < r->n_q && !first && q->projection >= 0; k++)
            if (r->q[k].projection == q->projection && r->q[k].packed) first = &r->q[k];
        if (!first || first == q || !q->packed) continue;
        const int64_t nb = qp_blocks(q->slice.n_cols),
                      n = q->n_sample < first->n_sample ? q->n_sample : first->n_sample;
        q->weight_scale_2 = first->weight_scale_2;
        memcpy(q->scales, first->scales, (size_t)(n * nb));
    }
    return QP_OK;
}

void mut_scales_of_expert_0(qp_stage_table *t) {
    qp_stage_replace(t, "pack_quant", scales_of_expert_0);
}
