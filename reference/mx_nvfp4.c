// SPDX-License-Identifier: Apache-2.0
// NVFP4 fake quantization of the MX extension (numerics 4.7): fp32 steps flush subnormals, double steps are
// IEEE, the element is multiplied by the reciprocal of its scale. Divisions of fp32 are IEEE here; the
// extension's are within 2 ulp. Zeros and NaN have the sign of mx.c.
#include "ref_internal.h"

static bool is_invalid(float amax) {
    return amax == 0.0f || ref_abs(ref_image(amax)) >= REF_F32_INF;
}

bool ref_ext_is_plain(float global_amax, float block_amax) {
    return is_invalid(ref_flush(global_amax)) || is_invalid(block_amax);
}

ref_ext_scale ref_ext_scale_at(float lu, float inverse) {
    ref_ext_scale s = {0};
    const double t = 448.0 * (double)inverse; // exact; 6 / ga of a finite ga is never subnormal
    const double scaled = (double)ref_flush(lu) * t;
    s.quotient = (float)scaled; // a subnormal one is code 0, flushed or not
    s.code = ref_e4m3_encode(ref_image(s.quotient), true);
    const double unscale = (double)ref_e4m3_value(s.code) / t;
    const double scale = 1.0 / unscale; // code 0: Inf
    s.unscale = ref_flush((float)unscale);
    s.scale = (float)scale;
    return s;
}

static ref_ext_scale scale_of(float global_amax, float block_amax) {
    if (ref_ext_is_plain(global_amax, block_amax)) return (ref_ext_scale){1.0f, 1.0f, 1.0f, 0x38};
    return ref_ext_scale_at(block_amax / 6.0f, 6.0f / ref_flush(global_amax));
}

uint32_t ref_ext_answer(const ref_ext_scale *s, float x, qp_coverage *cov) {
    x = ref_flush(x);
    const float magnitude = ref_float(ref_abs(ref_image(x)));
    const float t = ref_flush(magnitude * s->scale); // 0 * Inf is NaN, which is 6
    const uint8_t code = ref_e2m1_encode(ref_abs(ref_image(t)));
    const float y = ref_flush(ref_e2m1_magnitude(code) * s->unscale);
    const bool negative = !(x > 0.0f);
    ref_cover_e2m1(cov, ref_image(t), (uint8_t)(code | (negative ? 8 : 0)));
    return negative ? ref_image(y) | 0x80000000u : ref_image(y);
}

void ref_fakequant_nvfp4_mx_ext(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                                uint32_t *block_scale, qp_coverage *cov) {
    (void)row0;
    const ref_grain g = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t first = r * s->cols + seg * g.width;
            const int64_t left = s->cols - seg * g.width, n = left < g.width ? left : g.width;
            const float amax = ref_mx_amax(s, x, first, n, true);
            const ref_ext_scale scale = scale_of(ref_float(s->global_amax), amax);
            if (block_scale != NULL) block_scale[r * g.n_segs + seg] = ref_canonical(scale.unscale);
            ref_cover_scale(cov, ref_image(scale.quotient), scale.code, amax == 0.0f);
            for (int64_t i = first; i < first + n; i++) {
                const uint32_t in = ref_load_f32(s->dtype, x, i);
                ref_cover_input(cov, in);
                ref_store_f32(s->dtype, y, i, ref_ext_answer(&scale, ref_float(in), cov));
            }
        }
    }
}
