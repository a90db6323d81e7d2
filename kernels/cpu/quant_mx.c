// SPDX-License-Identifier: Apache-2.0
// MX quantize: an E8M0 byte per block of 32, a byte a code, or, for MXFP4, two codes a byte with the even
// column low. ieee has the rules of fake-quant (numerics 5.0), torch those of its real tensors (5.1, 5.2).
#include "cpu/num.h"
#include "cpu/work.h"
#include "kernels.h"

enum { BLOCK = 32, TILE_BLOCKS = K_TILE / BLOCK };

static void codes_ieee(const float *tile, int n_blocks, qp_element e, uint8_t *scales, uint8_t *codes) {
    float most[TILE_BLOCKS], up[TILE_BLOCKS], down[TILE_BLOCKS];
    const k_cpu_ops *ops = k_cpu_now();
    ops->block_max(tile, n_blocks, BLOCK, false, most);
    ops->mx_scales(most, n_blocks, e, scales);
    ops->mx_powers(scales, n_blocks, 0.0f, up, down);
    ops->mx_codes(tile, n_blocks, e, down, codes);
}

// amax over 6 or 448; on CUDA by the reciprocal (numerics 0).
static void codes_torch(const float *tile, int n_blocks, qp_element e, bool cuda, uint8_t *scales,
                        uint8_t *codes) {
    float d[TILE_BLOCKS], powers[TILE_BLOCKS];
    const float largest = e == QP_ELEM_E2M1 ? 6.0f : 448.0f;
    const k_cpu_ops *ops = k_cpu_now();
    ops->block_max(tile, n_blocks, BLOCK, true, d);
    for (int b = 0; b < n_blocks; b++) d[b] = cuda ? d[b] * (1.0f / largest) : d[b] / largest;
    ops->mx_log_scales(d, n_blocks, e, scales, powers);
    if (e == QP_ELEM_E2M1)
        ops->mxfp4_ties_down(tile, n_blocks, powers, codes);
    else
        ops->mxfp8_clamped(tile, n_blocks, powers, codes);
}

static void quant_stretch(const qp_launch *l, const qp_ktensor *t, const k_stretch *s) {
    float tile[K_TILE];
    uint8_t codes[K_TILE];
    const qp_element e = qp_format_get(l->format)->element;
    uint8_t *scales = (uint8_t *)t->scales + k_scale_at(l->format, t, s->row, s->col);
    k_cpu_load(l, t, s, tile);
    if (l->engine == QP_ENGINE_IEEE)
        codes_ieee(tile, s->n_blocks, e, scales, codes);
    else
        codes_torch(tile, s->n_blocks, e, l->engine == QP_ENGINE_TORCH_CUDA, scales, codes);
    if (e == QP_ELEM_E2M1)
        k_cpu_now()->pack(codes, (s->n + 1) / 2, false, &t->codes[s->row * ((t->cols + 1) / 2) + s->col / 2]);
    else
        memcpy(&t->codes[s->row * t->cols + s->col], codes, (size_t)s->n);
}

static void quant_box(const qp_launch *l, const k_box *b) {
    k_cpu_for_stretches(l, b, quant_stretch);
}

qp_status k_cpu_quant_mx(const qp_launch *l, qp_err *err) {
    QP_TRY(k_launch_check_own(l, QP_OP_QUANT, k_cpu_quant_mx, err));
    k_cpu_for_boxes(l, quant_box);
    return QP_OK;
}
