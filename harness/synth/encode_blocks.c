// SPDX-License-Identifier: Apache-2.0
// Codes in blocks with a scale byte each: NVFP4 of Model Optimizer and compressed-tensors, MX of both and of
// gpt-oss (shapes spec 2.1 to 2.5). Codes and scales are the reference's.
#include <string.h>

#include "qp/ref.h"
#include "synth/parts.h"

typedef struct coded { // one matrix [out, in], packed along `in`
    uint8_t *codes, *scales;
    int64_t row_codes, row_scales; // bytes of a row
} coded;

static qp_status coded_new(syn_job *j, int64_t row_codes, coded *out, qp_err *err) {
    out->row_codes = row_codes;
    out->row_scales = j->mod->in / j->scheme->group;
    QP_TRY(QP_NEW(j->arena, out->codes, j->mod->out * out->row_codes));
    return QP_NEW(j->arena, out->scales, j->mod->out * out->row_scales);
}

static ref_spec spec_of(const syn_job *j, uint32_t global_amax) {
    return (ref_spec){.format = j->scheme->format,
                      .engine = j->scheme->engine,
                      .dtype = QP_BF16,
                      .rows = j->mod->out,
                      .cols = j->mod->in,
                      .block_rows = 1,
                      .block_cols = j->scheme->group,
                      .global_amax = global_amax};
}

// ---- where a static block's amax comes from
// ---------------------------------------------------------------------------------

// The smaller loss of "the largest value becomes 6" and "becomes 4", which is 1.5 times the amax; losses are
// those of fake-quant (numerics 6.2).
static qp_status four_or_six(syn_job *j, const uint16_t *w, uint32_t global_amax, uint32_t *amax,
                             qp_err *err) {
    static const uint32_t multipliers[] = {0x3f800000, 0x3fc00000}; // 1, 1.5
    const int64_t n = j->mod->out * j->mod->in / 16;
    uint32_t *best;
    int32_t *index;
    ref_spec s = spec_of(j, global_amax);
    QP_TRY(QP_NEW(j->arena, best, n));
    QP_TRY(QP_NEW(j->arena, index, n));
    s.engine = QP_ENGINE_TRITON_INTERP;
    s.amax_dtype = QP_FP32;
    s.amax = amax;
    ref_mse(&s, 0, s.rows, w, multipliers, QP_COUNT(multipliers), index, best, NULL);
    memcpy(amax, best, (size_t)n * sizeof *amax);
    return QP_OK;
}

static qp_status searched(syn_job *j, const uint16_t *w, uint32_t global_amax, uint32_t **amax, qp_err *err) {
    const int64_t n = j->mod->out * j->mod->in / 16;
    QP_TRY(QP_NEW(j->arena, *amax, n));
    ref_amax(QP_GRAIN_BLOCK, QP_BF16, j->mod->out, j->mod->in, 1, 16, w, *amax);
    if (j->scheme->search == SYN_MSE) {
        ref_sweep_scales *t;
        QP_TRY(QP_NEW(j->arena, t, 1));
        ref_sweep_scales_of(QP_ENGINE_TORCH_CPU, global_amax, t);
        for (int64_t b = 0; b < n; b++)
            (*amax)[b] = t->amax[ref_sweep_pruned(t, QP_BF16, w + b * 16, 16, NULL)];
    } else {
        QP_TRY(four_or_six(j, w, global_amax, *amax, err));
    }
    return QP_OK;
}

// ---- NVFP4
// --------------------------------------------------------------------------------------------------------------------

static qp_status nvfp4_matrix(syn_job *j, int64_t e, uint32_t global_amax, coded *out, qp_err *err) {
    uint16_t *w;
    uint32_t *amax = NULL;
    QP_TRY(syn_job_weight(j, e, &w, err));
    QP_TRY(coded_new(j, j->mod->in / 2, out, err));
    ref_spec s = spec_of(j, global_amax);
    if (j->scheme->search != SYN_MAX) QP_TRY(searched(j, w, global_amax, &amax, err));
    s.amax = amax;
    ref_quant(&s, 0, s.rows, w, out->codes, out->scales, NULL, NULL);
    if (j->model->o->sin != NULL)
        syn_sin_blocks(j->model, s.rows * s.cols / 16, w, ref_weight_scale_2(&s), out->codes, out->scales);
    return QP_OK;
}

// Fused experts lie transposed: codes [in/2, out], the even row of `in` in the low nibble; scales [in/16,
// out].
static void transpose(const uint8_t *from, int64_t rows, int64_t cols, uint8_t *to) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[c * rows + r] = from[r * cols + c];
}

// Of the weights as they are quantized.
static qp_status pre_quant_amax(syn_job *j, uint32_t *amax, qp_err *err) {
    const syn_module *m = j->model->modules;
    *amax = 0;
    for (int i = 0; i < j->model->n; i++) {
        syn_job member = *j;
        uint16_t *w;
        uint32_t one;
        if (m[i].group != j->mod->group || m[i].in == 0) continue;
        member.mod = &m[i];
        QP_TRY(syn_job_weight(&member, 0, &w, err));
        ref_amax(QP_GRAIN_TENSOR, QP_BF16, m[i].out, m[i].in, 0, 0, w, &one);
        *amax = ref_max_image(*amax, one);
    }
    return QP_OK;
}

static qp_status nvfp4_global(syn_job *j, uint32_t *global_amax, uint32_t *stored, qp_err *err) {
    *global_amax = *stored = 0;
    if (j->plan) return QP_OK;
    QP_TRY(syn_amax(j->model, j->mod, !syn_sins(j->model, "global-of-each-member"), global_amax, err));
    if (syn_pre_quant(j)) QP_TRY(pre_quant_amax(j, global_amax, err));
    const ref_spec s = spec_of(j, *global_amax);
    *stored = ref_weight_scale_2(&s);
    return QP_OK;
}

static qp_status nvfp4_fused(syn_job *j, qp_err *err) {
    const syn_module *m = j->mod;
    const int64_t codes[] = {m->stack, m->in / 2, m->out}, scales[] = {m->stack, m->in / 16, m->out};
    uint8_t *to_codes, *to_scales;
    uint32_t global_amax, stored, *to_global;
    QP_TRY(nvfp4_global(j, &global_amax, &stored, err));
    QP_TRY(syn_part(j, "", QP_ST_U8, 3, codes, &to_codes, err));
    QP_TRY(syn_part(j, "_weight_scale", QP_ST_F8_E4M3, 3, scales, &to_scales, err));
    QP_TRY(syn_part(j, "_weight_scale_2", QP_ST_F32, 0, NULL, &to_global, err));
    for (int64_t e = 0; e < m->stack && !j->plan; e++) {
        coded c;
        QP_TRY(nvfp4_matrix(j, e, global_amax, &c, err));
        transpose(c.codes, m->out, c.row_codes, to_codes + e * m->out * c.row_codes);
        transpose(c.scales, m->out, c.row_scales, to_scales + e * m->out * c.row_scales);
        *to_global = stored;
    }
    return syn_common(j, err);
}

qp_status syn_encode_nvfp4(syn_job *j, qp_err *err) {
    const syn_module *m = j->mod;
    const bool ct = j->scheme->engine == QP_ENGINE_COMPRESSED_TENSORS;
    const int64_t codes[] = {m->out, m->in / 2}, scales[] = {m->out, m->in / j->scheme->group}, one[] = {1};
    uint8_t *to_codes, *to_scales;
    uint32_t global_amax, stored, *to_global;
    if (m->stack > 0) return nvfp4_fused(j, err);
    QP_TRY(nvfp4_global(j, &global_amax, &stored, err));
    QP_TRY(syn_part(j, ct ? ".weight_packed" : ".weight", QP_ST_U8, 2, codes, &to_codes, err));
    QP_TRY(syn_part(j, ".weight_scale", QP_ST_F8_E4M3, 2, scales, &to_scales, err));
    QP_TRY(syn_part(j, ct ? ".weight_global_scale" : ".weight_scale_2", QP_ST_F32, ct ? 1 : 0, one,
                    &to_global, err));
    if (!j->plan) {
        coded c;
        QP_TRY(nvfp4_matrix(j, 0, global_amax, &c, err));
        memcpy(to_codes, c.codes, (size_t)(m->out * c.row_codes));
        memcpy(to_scales, c.scales, (size_t)(m->out * c.row_scales));
        *to_global = stored;
    }
    return syn_common(j, err);
}

// ---- MX
// -----------------------------------------------------------------------------------------------------------------------

// Four codes of 6 bits in three bytes, the first in the lowest bits.
static void pack_six(const uint8_t *codes, int64_t n, uint8_t *to) {
    for (int64_t i = 0; i < n; i += 4, to += 3) {
        const uint32_t word = codes[i] | (uint32_t)codes[i + 1] << 6 | (uint32_t)codes[i + 2] << 12 |
                              (uint32_t)codes[i + 3] << 18;
        for (int k = 0; k < 3; k++) to[k] = (uint8_t)(word >> 8 * k);
    }
}

static qp_status mx_matrix(syn_job *j, int64_t e, coded *out, qp_err *err) {
    const bool four = j->scheme->bits == 4;
    uint16_t *w;
    QP_TRY(syn_job_weight(j, e, &w, err));
    QP_TRY(coded_new(j, four ? j->mod->in / 2 : j->mod->in, out, err));
    const ref_spec s = spec_of(j, 0);
    ref_quant(&s, 0, s.rows, w, out->codes, out->scales, NULL, NULL);
    return QP_OK;
}

// gpt-oss: blocks [E, out, in/32, 16] and scales [E, out, in/32].
static qp_status mx_fused(syn_job *j, qp_err *err) {
    const syn_module *m = j->mod;
    const int64_t blocks[] = {m->stack, m->out, m->in / 32, 16}, scales[] = {m->stack, m->out, m->in / 32};
    uint8_t *to_codes, *to_scales;
    QP_TRY(syn_part(j, "_blocks", QP_ST_U8, 4, blocks, &to_codes, err));
    QP_TRY(syn_part(j, "_scales", QP_ST_U8, 3, scales, &to_scales, err));
    for (int64_t e = 0; e < m->stack && !j->plan; e++) {
        coded c;
        QP_TRY(mx_matrix(j, e, &c, err));
        memcpy(to_codes + e * m->out * c.row_codes, c.codes, (size_t)(m->out * c.row_codes));
        memcpy(to_scales + e * m->out * c.row_scales, c.scales, (size_t)(m->out * c.row_scales));
    }
    return QP_OK;
}

qp_status syn_encode_mx(syn_job *j, qp_err *err) {
    const syn_module *m = j->mod;
    const int bits = j->scheme->bits;
    const bool packed = bits < 8 && j->scheme->engine == QP_ENGINE_COMPRESSED_TENSORS;
    const int64_t codes[] = {m->out, m->in * bits / 8}, scales[] = {m->out, m->in / 32};
    uint8_t *to_codes, *to_scales;
    coded c;
    if (m->stack > 0) return mx_fused(j, err);
    QP_TRY(syn_part(j, packed ? ".weight_packed" : ".weight", bits == 8 ? QP_ST_F8_E4M3 : QP_ST_U8, 2, codes,
                    &to_codes, err));
    QP_TRY(syn_part(j, ".weight_scale", QP_ST_U8, 2, scales, &to_scales, err));
    if (j->plan) return QP_OK;
    QP_TRY(mx_matrix(j, 0, &c, err));
    memcpy(to_scales, c.scales, (size_t)(m->out * c.row_scales));
    if (bits == 6)
        pack_six(c.codes, m->out * m->in, to_codes);
    else
        memcpy(to_codes, c.codes, (size_t)(m->out * c.row_codes));
    return QP_OK;
}
