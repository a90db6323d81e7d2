// SPDX-License-Identifier: Apache-2.0
// The fp32 and E4M3 block scales of NVFP4: the spelling of fake-quant (numerics 4.3, 4.4) and the one of pack
// (4.5), and the named class of a difference between them. Four-over-six is static with 256 in the place of
// 448; w4a8 is dynamic in blocks of 32 with weight_scale_2 = ga / 448.
#include "ref_internal.h"

ref_nv ref_nv_of(const ref_spec *s) {
    const float ga = ref_float(s->global_amax);
    const qp_engine e = s->engine;
    ref_nv nv = {.engine = e};
    nv.dynamic = s->format == QP_NVFP4 || s->format == QP_NVFP4_W4A8;
    nv.nan_sign = s->engine == QP_ENGINE_TORCH_CPU;
    nv.m = s->format == QP_NVFP4_46 ? 256.0f : 448.0f;

    const float gs = ref_over(e, ga, 2688.0f);
    nv.g = gs > 0.0f ? gs : 1e-12f;
    nv.six_g = 6.0f * nv.g;

    const float spread = ga * (448.0f / nv.m); // 448/m is 1 or 1.75, exactly
    const float amax = ref_over(e, spread, 6.0f);
    nv.tiny_a = amax <= REF_TWO_POW_M24;
    const float a = nv.tiny_a ? 1.0f : amax;
    if (e == QP_ENGINE_TRITON_INTERP || e == QP_ENGINE_TRITON) { // by 2.4: no extension there
        const float reciprocal = 1.0f / a;
        nv.sc = reciprocal * 448.0f;
    } else {
        nv.sc = 448.0f / a;
    }
    nv.inv_sc = 1.0f / nv.sc;

    // 2688 or 1536, exactly; w4a8 keeps 448 and so scale bytes up to 72
    nv.ws2 = ref_over(e, ga, s->format == QP_NVFP4_W4A8 ? 448.0f : 6.0f * nv.m);
    nv.six_ws2 = 6.0f * nv.ws2;
    nv.ga_sixth = ref_over(e, ga, 6.0f);
    return nv;
}

float ref_nv_fake_quotient(const ref_nv *nv, float block_amax) {
    if (nv->dynamic) return block_amax / nv->six_g;
    const float s0 = ref_over(nv->engine, block_amax, 6.0f);
    return s0 * nv->sc;
}

ref_nv_scale ref_nv_fake_scale_at(const ref_nv *nv, float quotient) {
    ref_nv_scale f = {.quotient = quotient};
    if (nv->dynamic) {
        const float capped = f.quotient < 448.0f ? f.quotient : 448.0f; // NaN becomes 448
        f.code = ref_e4m3_encode(ref_image(capped), true);
        f.scale = ref_e4m3_value(f.code) * nv->g;
        f.special = !(f.scale >= 1e-5f); // an absolute threshold
        if (f.special) f.scale = 1.0f;
        return f;
    }
    f.code = ref_e4m3_encode(ref_image(f.quotient), true);
    f.scale = ref_e4m3_value(f.code) * nv->inv_sc;
    f.special = nv->tiny_a;
    return f;
}

ref_nv_scale ref_nv_fake_scale(const ref_nv *nv, float block_amax) {
    return ref_nv_fake_scale_at(nv, ref_nv_fake_quotient(nv, block_amax));
}

ref_nv_scale ref_nv_pack_scale(const ref_nv *nv, float block_amax) {
    ref_nv_scale p = {0};
    if (nv->dynamic) {
        p.quotient = block_amax / nv->six_ws2;
        p.special = p.quotient == 0.0f;
        if (p.special) p.quotient = 1.0f;
    } else {
        float sixth = ref_over(nv->engine, block_amax, 6.0f);
        p.special = sixth == 0.0f;
        if (p.special) sixth = 1.0f;
        const float scaled = sixth * nv->m;
        p.quotient = scaled / nv->ga_sixth;
    }
    float clamped = p.quotient < 0x1p-9f ? 0x1p-9f : p.quotient; // NaN passes through both
    clamped = clamped > 448.0f ? 448.0f : clamped;
    p.code = ref_e4m3_encode(ref_image(clamped), true);
    // The sign of a NaN scale is the processor's (0/0 is negative on x86, as in the recordings of torch-cpu);
    // ieee has none.
    if (!nv->nan_sign && ref_is_nan(ref_image(clamped))) p.code = REF_E4M3_NAN;
    p.scale = ref_e4m3_value(p.code) * nv->ws2;
    return p;
}

uint32_t ref_weight_scale_2(const ref_spec *s) {
    if (s->engine == QP_ENGINE_COMPRESSED_TENSORS) return ref_ct_global_scale(s);
    const ref_nv nv = ref_nv_of(s);
    return ref_canonical(nv.ws2);
}

// Distance of two non-negative finite floats in steps of the last place.
static uint32_t steps(float a, float b) {
    const uint32_t x = ref_image(a), y = ref_image(b);
    return x > y ? x - y : y - x;
}

// Each rounding moves a value by at most one step of the last place; the counts are those of the formulas
// above. torch-cuda divides by a number in two roundings.
enum {
    ROUNDINGS_FAKE_QUOTIENT = 6, // b/6; ga*1.75, /6, reciprocal, *448; product
    ROUNDINGS_PACK_QUOTIENT = 4, // b/6, *m; ga/6; quotient
    NUMBERS_IN_QUOTIENTS = 4,
    ROUNDINGS_FAKE_SCALE = 6, // ga*1.75, /6, reciprocal, *448; reciprocal; product
    ROUNDINGS_PACK_SCALE = 2, // ga/2688; product
    NUMBERS_IN_SCALES = 2,
};

static bool at_midpoint(const ref_nv *nv, const ref_nv_scale *f, const ref_nv_scale *p) {
    const int apart = (int)f->code - (int)p->code;
    const uint32_t more = nv->engine == QP_ENGINE_TORCH_CUDA ? NUMBERS_IN_QUOTIENTS : 0;
    return (apart == 1 || apart == -1) &&
           steps(f->quotient, p->quotient) <= ROUNDINGS_FAKE_QUOTIENT + ROUNDINGS_PACK_QUOTIENT + more;
}

static bool same_code(const ref_nv *nv, const ref_nv_scale *f, const ref_nv_scale *p) {
    const uint32_t more = nv->engine == QP_ENGINE_TORCH_CUDA ? NUMBERS_IN_SCALES : 0;
    return f->code == p->code &&
           steps(f->scale, p->scale) <= ROUNDINGS_FAKE_SCALE + ROUNDINGS_PACK_SCALE + more;
}

static bool is_normal(float v) {
    const uint32_t e = ref_abs(ref_image(v)) >> 23;
    return e != 0 && e != 255;
}

// Near the ends of fp32 one spelling overflows or loses bits before the other does.
static bool left_range(const ref_nv *nv, const ref_nv_scale *f, const ref_nv_scale *p) {
    const float values[] = {nv->sc, nv->inv_sc, nv->ws2, f->quotient, f->scale, p->quotient, p->scale};
    for (int i = 0; i < QP_COUNT(values); i++)
        if (!is_normal(values[i])) return true;
    return false;
}

ref_scale_class ref_compare_scales(const ref_spec *s, uint32_t block_amax, uint8_t *pack_byte,
                                   uint32_t *fake_scale, uint32_t *pack_scale) {
    const ref_nv nv = ref_nv_of(s);
    const float b = ref_float(block_amax);
    const ref_nv_scale f = ref_nv_fake_scale(&nv, b), p = ref_nv_pack_scale(&nv, b);
    const uint32_t fake = ref_canonical(f.scale), pack = ref_canonical(p.scale);
    if (pack_byte != NULL) *pack_byte = p.code;
    if (fake_scale != NULL) *fake_scale = fake;
    if (pack_scale != NULL) *pack_scale = pack;
    if (fake == pack) return REF_SCALE_SAME;
    if (p.special) return REF_SCALE_ZERO_BLOCK;
    if (f.code == 0 && p.code == 1 && p.quotient < 0x1p-9f) return REF_SCALE_LIFTED;
    if (f.special) return REF_SCALE_TINY;
    if (same_code(&nv, &f, &p)) return REF_SCALE_ULP;
    if (at_midpoint(&nv, &f, &p)) return REF_SCALE_MIDPOINT;
    if (left_range(&nv, &f, &p)) return REF_SCALE_RANGE;
    return REF_SCALE_UNEXPLAINED;
}
