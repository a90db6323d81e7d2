// SPDX-License-Identifier: Apache-2.0
// The rules by which dialects make codes and scales, in the order in which they are tried, and their global
// scales (shapes spec 2.2 to 2.5; numerics 0, 2.6, 4.5, 5.1 to 5.6).
#include "audit/derive.h"

#include <string.h>

#define D(name) (1u << QP_CK_##name)
#define MO D(MODELOPT)
#define CT D(COMPRESSED_TENSORS)

#define NVFP4(engine, text, format, how, derive, searches)                                                   \
    { QP_AG_NVFP4, MO, QP_NVFP4, text, format, engine, how, derive, true, searches }
#define CPU QP_ENGINE_TORCH_CPU
#define CUDA QP_ENGINE_TORCH_CUDA

// Max-calibrated first: the searches cost more and fit by chance where blocks are few.
const qp_ag_rule qp_ag_rules[] = {
    NVFP4(CPU, "torch-cpu nvfp4 max", QP_NVFP4, 0, qp_ag_derive_nvfp4, false),
    NVFP4(CUDA, "torch-cuda nvfp4 max", QP_NVFP4, 0, qp_ag_derive_nvfp4, false),
    NVFP4(CPU, "torch-cpu nvfp4 static max", QP_NVFP4_STATIC, QP_AG_STATIC, qp_ag_derive_nvfp4, false),
    NVFP4(CUDA, "torch-cuda nvfp4 static max", QP_NVFP4_STATIC, QP_AG_STATIC, qp_ag_derive_nvfp4, false),
    NVFP4(CPU, "torch-cpu nvfp4 4/6", QP_NVFP4_46, QP_AG_STATIC, qp_ag_derive_46, true),
    NVFP4(CUDA, "torch-cuda nvfp4 4/6", QP_NVFP4_46, QP_AG_STATIC, qp_ag_derive_46, true),
    NVFP4(CPU, "torch-cpu nvfp4 4/6, 448 / amax", QP_NVFP4_46, QP_AG_STATIC | QP_AG_EXTENSION,
          qp_ag_derive_46, true),
    NVFP4(CUDA, "torch-cuda nvfp4 4/6, 448 / amax", QP_NVFP4_46, QP_AG_STATIC | QP_AG_EXTENSION,
          qp_ag_derive_46, true),
    NVFP4(CPU, "torch-cpu nvfp4 mse sweep", QP_NVFP4_STATIC, QP_AG_STATIC, qp_ag_derive_sweep, true),
    NVFP4(CUDA, "torch-cuda nvfp4 mse sweep", QP_NVFP4_STATIC, QP_AG_STATIC, qp_ag_derive_sweep, true),
    {QP_AG_NVFP4, MO, QP_NVFP4_W4A8, "torch-cpu nvfp4-w4a8 max", QP_NVFP4_W4A8, CPU, 0, qp_ag_derive_nvfp4,
     true, false},
    {QP_AG_NVFP4, MO, QP_NVFP4_W4A8, "torch-cuda nvfp4-w4a8 max", QP_NVFP4_W4A8, CUDA, 0, qp_ag_derive_nvfp4,
     true, false},
    {QP_AG_NVFP4_CT, CT, QP_NVFP4, "compressed-tensors nvfp4", QP_NVFP4, QP_ENGINE_COMPRESSED_TENSORS, 0,
     qp_ag_derive_ct_nvfp4, true, false},
    {QP_AG_MX, MO, QP_FORMAT_NONE, "torch-cpu mx", QP_FORMAT_NONE, CPU, 0, qp_ag_derive_mx, false, false},
    {QP_AG_MX, MO, QP_FORMAT_NONE, "torch-cuda mx", QP_FORMAT_NONE, CUDA, 0, qp_ag_derive_mx, false, false},
    {QP_AG_MX, CT, QP_FORMAT_NONE, "compressed-tensors mx", QP_FORMAT_NONE, QP_ENGINE_COMPRESSED_TENSORS, 0,
     qp_ag_derive_mx, false, false},
    {QP_AG_MX, 0, QP_FORMAT_NONE, "ieee mx", QP_FORMAT_NONE, QP_ENGINE_IEEE, 0, qp_ag_derive_mx, false,
     false},
    // per tensor the quotient of a 0-dim scale is rounded to the type of the weights (2.2)
    {QP_AG_GIVEN, MO, QP_FP8_EXPORT, "torch-cpu fp8, quotient in the weights' type", QP_FP8_EXPORT, CPU,
     QP_AG_NARROW, qp_ag_derive_given, true, false},
    {QP_AG_GIVEN, MO, QP_FP8_EXPORT, "torch-cuda fp8, quotient in the weights' type", QP_FP8_EXPORT, CUDA,
     QP_AG_NARROW, qp_ag_derive_given, true, false},
    {QP_AG_GIVEN, MO, QP_FORMAT_NONE, "torch-cpu", QP_FORMAT_NONE, CPU, 0, qp_ag_derive_given, true, false},
    {QP_AG_GIVEN, MO, QP_FORMAT_NONE, "torch-cuda", QP_FORMAT_NONE, CUDA, 0, qp_ag_derive_given, true, false},
    {QP_AG_GIVEN, D(FP8), QP_FP8_EXPORT, "deepseek-fp8", QP_FP8_EXPORT, QP_ENGINE_DEEPSEEK_FP8, 0,
     qp_ag_derive_given, true, false},
    // 448 / amax multiplies the weights, its reciprocal is stored
    {QP_AG_GIVEN, D(FP8), QP_FP8_EXPORT, "transformers fp8", QP_FP8_EXPORT, CPU, QP_AG_INVERSE,
     qp_ag_derive_given, false, false},
    {QP_AG_GIVEN, D(FP8), QP_FP8_EXPORT, "torch-cuda", QP_FP8_EXPORT, CUDA, 0, qp_ag_derive_given, true,
     false},
    {QP_AG_INT4_PAIRS, MO, QP_INT4_AWQ, "torch-cpu int4", QP_INT4_AWQ, CPU, 0, qp_ag_derive_given, true,
     false},
    {QP_AG_INT4_PAIRS, MO, QP_INT4_AWQ, "torch-cuda int4", QP_INT4_AWQ, CUDA, 0, qp_ag_derive_given, true,
     false},
    {QP_AG_CT, CT, QP_FORMAT_NONE, "compressed-tensors", QP_FORMAT_NONE, QP_ENGINE_COMPRESSED_TENSORS, 0,
     qp_ag_derive_ct, true, false},
    {QP_AG_CT_ASYM, CT, QP_FORMAT_NONE, "compressed-tensors asymmetric", QP_FORMAT_NONE,
     QP_ENGINE_COMPRESSED_TENSORS, 0, qp_ag_derive_ct_asym, false, false},
};
const int qp_ag_n_rules = QP_COUNT(qp_ag_rules);

bool qp_ag_rule_fits(const qp_ag_rule *r, const qp_ag_view *v) {
    if (r->family != v->family) return false;
    if (r->dialects != 0 && !(r->dialects >> v->m->scheme->dialect & 1)) return false;
    if (r->how == QP_AG_NARROW && v->m->scheme->spread != QP_CK_ONE) return false;
    if (r->searches && v->tile_cols != REF_SWEEP_BLOCK) return false;
    if (v->family == QP_AG_MX && ref_unsupported(QP_OP_QUANT, v->format, r->engine) != NULL) return false;
    return r->scheme == QP_FORMAT_NONE || r->scheme == v->format;
}

// ---- a window
// ---------------------------------------------------------------------------------------------------------------

int64_t qp_ag_tiles(const qp_ag_window *w) {
    const int64_t rows = (w->n_rows + w->view->tile_rows - 1) / w->view->tile_rows;
    return rows * w->view->scale_cols;
}

ref_spec qp_ag_spec(const qp_ag_window *w) {
    const qp_format own = w->rule->format;
    return (ref_spec){.format = own == QP_FORMAT_NONE ? w->view->format : own,
                      .engine = w->rule->engine,
                      .dtype = w->dtype,
                      .rows = w->n_rows,
                      .cols = w->view->m->in,
                      .block_cols = w->view->tile_cols,
                      .global_amax = w->amax,
                      .amax_dtype = QP_FP32};
}

void qp_ag_tile_amax(const qp_ag_window *w, uint32_t *amax) {
    const qp_ag_view *v = w->view;
    if (v->m->scheme->spread == QP_CK_ONE) {
        amax[0] = w->amax;
        return;
    }
    ref_amax(QP_GRAIN_BLOCK2D, w->dtype, w->n_rows, v->m->in, v->tile_rows, v->tile_cols, w->x, amax);
}

size_t qp_ag_scratch(int64_t rows, int64_t in) {
    // tiles hold 16 elements or more, and every row has at least one: amax, another amax, index, two losses
    const size_t tiles = (size_t)rows * (size_t)((in + 15) / 16);
    return tiles * (5 * sizeof(uint32_t));
}

// ---- the global scale
// ----------------------------------------------------------------------------------------------------------

// amax / divisor as the engine divides a tensor by a number (numerics 0).
uint32_t qp_ag_over(qp_engine e, uint32_t amax, float divisor) {
    uint32_t d;
    memcpy(&d, &divisor, sizeof d);
    if (e == QP_ENGINE_TORCH_CUDA) return ref_mul(amax, ref_div(QP_AG_ONE, d));
    return ref_div(amax, d);
}

bool qp_ag_needs_amax(const qp_ag_view *v) {
    return v->family == QP_AG_NVFP4 || v->family == QP_AG_NVFP4_CT ||
           (v->family != QP_AG_NONE && v->m->scheme->spread == QP_CK_ONE);
}

uint32_t qp_ag_derive_global(const qp_ag_view *v, const qp_ag_rule *r, qp_dtype dtype, uint32_t amax) {
    if (v->family == QP_AG_NVFP4 || v->family == QP_AG_NVFP4_CT) {
        const ref_spec s = {.format = r->format, .engine = r->engine, .dtype = dtype, .global_amax = amax};
        return ref_weight_scale_2(&s);
    }
    if (v->family != QP_AG_GIVEN) return qp_ag_ct_scale(v, dtype, amax);
    return qp_ag_over(r->engine, amax, v->divisor);
}

// The way back is a product; a few steps of the last place around it are tried.
bool qp_ag_amax_behind(const qp_ag_view *v, const qp_ag_rule *r, qp_dtype dtype, uint32_t global,
                       uint32_t *amax) {
    enum { AROUND = 8 };
    const float divisor = r->format == QP_NVFP4_46      ? 1536.0f
                          : v->family == QP_AG_NVFP4_CT ? 2688.0f
                                                        : v->divisor;
    uint32_t d;
    memcpy(&d, &divisor, sizeof d);
    const uint32_t middle = v->divides ? ref_div(d, global) : ref_mul(d, global);
    if ((middle & 0x7fffffff) <= AROUND || (middle & 0x7f800000) == 0x7f800000) return false;
    // compressed-tensors divides in the type of the weights: steps of that type
    const uint32_t step = v->divides && dtype == QP_BF16   ? 1u << 16
                          : v->divides && dtype == QP_FP16 ? 1u << 13
                                                           : 1;
    for (uint32_t i = 0; i <= 2 * AROUND; i++) {
        const uint32_t steps = (i + 1) / 2 * step, near = i % 2 == 1 ? middle - steps : middle + steps;
        const uint32_t a = step > 1 ? ref_to_f32(dtype, ref_from_f32(dtype, near)) : near;
        if (qp_ag_derive_global(v, r, dtype, a) != global) continue;
        *amax = a;
        return true;
    }
    return false;
}
