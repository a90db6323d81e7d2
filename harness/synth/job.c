// SPDX-License-Identifier: Apache-2.0
// One module becomes its tensors: what every scheme shares (plain weights, input scales, pre_quant_scale,
// LoRA). Shapes spec 2.1 to 2.3.
#include <string.h>

#include "input/gen.h"
#include "qp/ref.h"
#include "synth/parts.h"

qp_status syn_part(syn_job *j, const char *suffix, qp_st_type t, uint32_t n_dims, const int64_t *dims,
                   void *data, qp_err *err) {
    if (j->n == SYN_PARTS) QP_FAIL(QP_BROKEN, "%s has more than %d tensors", j->mod->name, SYN_PARTS);
    syn_tensor *p = &j->parts[j->n++];
    *p = (syn_tensor){.dtype = t, .n_dims = n_dims};
    for (uint32_t i = 0; i < n_dims; i++) p->dims[i] = (uint64_t)dims[i];
    p->n_bytes = syn_tensor_size(p);
    QP_TRY(qp_arena_printf(j->arena, &p->name, err, "%s%s", j->mod->name, suffix));
    p->n_name = (uint32_t)strlen(p->name);
    uint8_t *bytes = NULL;
    if (!j->plan) QP_TRY(QP_NEW(j->arena, bytes, p->n_bytes));
    p->data = bytes;
    memcpy(data, &bytes, sizeof bytes);
    return QP_OK;
}

// [out, in], a vector [out] or [stack, out], fused experts [stack, in, out].
qp_status syn_encode_plain(syn_job *j, qp_err *err) {
    const syn_module *m = j->mod;
    const int64_t cols = m->in > 0 ? m->in : 1, stack = m->stack > 0 ? m->stack : 1;
    const int64_t fused[] = {m->stack, m->in, m->out}, vectors[] = {m->stack, m->out};
    const int64_t matrix[] = {m->out, m->in};
    uint16_t *to, *w = NULL;
    if (m->stack > 0)
        QP_TRY(m->in > 0 ? syn_part(j, m->suffix, QP_ST_BF16, 3, fused, &to, err)
                         : syn_part(j, m->suffix, QP_ST_BF16, 2, vectors, &to, err));
    else
        QP_TRY(syn_part(j, m->suffix, QP_ST_BF16, m->in > 0 ? 2 : 1, matrix, &to, err));
    if (j->plan) return QP_OK;
    QP_TRY(QP_NEW(j->arena, w, m->out * cols));
    for (int64_t e = 0; e < stack; e++) {
        syn_weight(j->model, m, e, w);
        uint16_t *base = to + e * m->out * cols;
        for (int64_t r = 0; r < m->out; r++)
            for (int64_t c = 0; c < cols; c++)
                base[m->stack > 0 && m->in > 0 ? c * m->out + r : r * cols + c] = w[r * cols + c];
    }
    return QP_OK;
}

bool syn_pre_quant(const syn_job *j) {
    const bool o = strstr(j->mod->name, ".o_proj") != NULL;
    return j->scheme->pre_quant_all || (j->scheme->pre_quant_some && j->mod->folds) ||
           (j->scheme->pre_quant_o && o);
}

// A power of two per input channel, so that taking it out of the weight is exact; members of a group share
// their input, and so this.
static int pre_quant_exponent(const syn_job *j, int64_t col) {
    return (int)(syn_random(j->model, "pre-quant", (uint64_t)j->mod->group << 32 | (uint64_t)col) % 3) - 1;
}

qp_status syn_job_weight(syn_job *j, int64_t e, uint16_t **out, qp_err *err) {
    const syn_module *m = j->mod;
    uint16_t *w;
    QP_TRY(QP_NEW(j->arena, w, m->out * m->in));
    syn_weight(j->model, m, e, w);
    *out = w;
    if (!syn_pre_quant(j)) return QP_OK;
    for (int64_t c = 0; c < m->in; c++) {
        const int k = pre_quant_exponent(j, c);
        const float factor = k < 0 ? 2.0f : k > 0 ? 0.5f : 1.0f;
        for (int64_t r = 0; r < m->out; r++) {
            const float scaled = syn_float(syn_bf16(w[r * m->in + c])) * factor;
            w[r * m->in + c] = (uint16_t)ref_from_f32(QP_BF16, syn_image(scaled));
        }
    }
    return QP_OK;
}

static qp_status input_scale(syn_job *j, qp_err *err) {
    const syn_scheme *s = j->scheme;
    const int64_t one[] = {1};
    const float amax = syn_input_amax(j->model, j->mod), direct = amax / s->input_divisor;
    const float divides = s->input_divisor / amax;
    uint32_t *f32;
    uint16_t *bf16;
    switch (s->input) {
    case SYN_NO_INPUT:
        return QP_OK;
    case SYN_INPUT_F32:
        QP_TRY(
            syn_part(j, j->mod->stack > 0 ? "_input_scale" : ".input_scale", QP_ST_F32, 0, NULL, &f32, err));
        if (!j->plan) *f32 = syn_image(direct);
        return QP_OK;
    case SYN_INPUT_DIVIDES:
        QP_TRY(syn_part(j, ".input_global_scale", QP_ST_F32, 1, one, &f32, err));
        if (!j->plan) *f32 = syn_image(divides);
        return QP_OK;
    case SYN_INPUT_BF16:
        QP_TRY(syn_part(j, ".input_scale", QP_ST_BF16, 1, one, &bf16, err));
        if (!j->plan) *bf16 = (uint16_t)ref_from_f32(QP_BF16, syn_image(direct));
        return QP_OK;
    }
    return QP_OK;
}

static qp_status pre_quant_scale(syn_job *j, qp_err *err) {
    static const uint16_t half = 0x3f00, one = 0x3f80, two = 0x4000;
    const int64_t dims[] = {j->mod->in};
    uint16_t *to;
    QP_TRY(syn_part(j, ".pre_quant_scale", QP_ST_BF16, 1, dims, &to, err));
    for (int64_t c = 0; c < j->mod->in && !j->plan; c++) {
        const int k = pre_quant_exponent(j, c);
        to[c] = k < 0 ? half : k > 0 ? two : one;
    }
    return QP_OK;
}

enum { LORA_RANK = 32 };

static qp_status lora(syn_job *j, qp_err *err) {
    const syn_module *m = j->mod;
    const int64_t a[] = {LORA_RANK, m->in}, b[] = {m->out, LORA_RANK};
    uint16_t *to;
    qp_gen g = qp_gen_make(j->model->o->seed ^ 0x4c6f5241u, QP_DIST_GAUSS);
    g.sigma = 0.001;
    QP_TRY(syn_part(j, ".weight_quantizer._svdquant_lora_a", QP_ST_BF16, 2, a, &to, err));
    if (!j->plan) qp_gen_slice(&g, m->weights, a[0], a[1], QP_BF16, 0, a[0], 0, a[1], to);
    QP_TRY(syn_part(j, ".weight_quantizer._svdquant_lora_b", QP_ST_BF16, 2, b, &to, err));
    if (!j->plan) qp_gen_slice(&g, m->weights, b[0], b[1], QP_BF16, 0, b[0], 0, b[1], to);
    return QP_OK;
}

qp_status syn_common(syn_job *j, qp_err *err) {
    QP_TRY(input_scale(j, err));
    if (syn_pre_quant(j)) QP_TRY(pre_quant_scale(j, err));
    return j->scheme->lora ? lora(j, err) : QP_OK;
}
