// SPDX-License-Identifier: Apache-2.0
// MX fake quantization (numerics 5.0-5.3): a power of two per block, then every element by itself.
//
// amax     max of |x| over the block, no larger than FLT_MAX; NaN elements are ignored, so that Inf acts as
//          FLT_MAX and a block of NaN alone as a block of zeros.
// scale    k = ceil(log2(amax / max of the type)) from the bits of the quotient, -127 <= k <= 126; a block
//          of zeros has k = 0.
// element  |x| times 2^-k, to the code (RNE, saturating), times 2^k. Inf saturates. NaN stays NaN in E4M3 and
//          E5M2; it is the largest magnitude in E2M1, E3M2 and E2M3, and 0 in INT8.
// sign     + where x > 0, else - (4.7). So both zeros come out as -0 (trap 15), a NaN that became a number is
//          negative, and a value that rounds to zero keeps its sign.
//
// mx-ext is compiled with fast math: subnormal fp32 inputs and results become zeros of their sign, among them
// 2^-127, so that a block whose quotient is below 2^-126 comes out as zeros. ieee keeps subnormals. Both
// divide by IEEE here; the extension's own division is within 2 ulp, which moves k only where amax is that
// close to max * 2^k.
#include "ref_internal.h"

bool ref_mx_ratio_is_tie(float ratio) {
    const uint32_t image = ref_image(ratio), fraction = image & 0x7fffffu;
    return image >> 23 == 0 ? fraction == 0x400000u : fraction == 0 && image < REF_F32_INF;
}

ref_mx_scale ref_mx_scale_at(float ratio, bool flush) {
    ref_mx_scale s = {.ratio = flush ? ref_flush(ratio) : ratio};
    s.byte = ref_e8m0_encode(ref_image(s.ratio), REF_E8M0_UP, true);
    s.scale = ref_float(ref_e8m0_decode((uint8_t)(2 * REF_E8M0_ONE - s.byte)));
    s.unscale = ref_float(ref_e8m0_decode(s.byte));
    if (flush) s.unscale = ref_flush(s.unscale);
    return s;
}

ref_mx_scale ref_mx_scale_of(const ref_mx *mx, float amax, bool flush) {
    if (amax == 0.0f) return (ref_mx_scale){0.0f, REF_E8M0_ONE, 1.0f, 1.0f};
    return ref_mx_scale_at(amax / mx->max, flush);
}

float ref_mx_amax(const ref_spec *s, const void *x, int64_t first, int64_t n, bool flush) {
    float amax = ref_block_amax(s->dtype, x, first, n, false);
    if (ref_is_inf(ref_image(amax))) amax = REF_FLT_MAX;
    return flush ? ref_flush(amax) : amax;
}

uint8_t ref_mx_signed(const ref_mx *mx, uint8_t code, bool negative) {
    if (!negative) return code;
    return mx->sign != 0 ? (uint8_t)(code | mx->sign) : (uint8_t)-code;
}

uint32_t ref_mx_answer(const ref_mx *mx, const ref_mx_scale *s, float x, bool flush, qp_coverage *cov) {
    if (flush) x = ref_flush(x);
    const float magnitude = ref_float(ref_abs(ref_image(x)));
    float t = magnitude * s->scale;
    if (flush) t = ref_flush(t);
    const uint8_t code = mx->encode(ref_image(t));
    float y = ref_float(mx->decode(code)) * s->unscale;
    if (flush) y = ref_flush(y);
    const bool negative = !(x > 0.0f);
    ref_cover_mx(cov, mx, ref_image(t), ref_mx_signed(mx, code, negative));
    return negative ? ref_image(y) | 0x80000000u : ref_image(y);
}

void ref_fakequant_mx(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, void *y,
                      uint32_t *block_scale, qp_coverage *cov) {
    (void)row0; // nothing here belongs to the whole tensor
    const ref_mx *mx = ref_mx_of(s->format);
    const ref_grain g = ref_grain_of_spec(s);
    const bool flush = s->engine == QP_ENGINE_MX_EXT;
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t first = r * s->cols + seg * g.width;
            const int64_t left = s->cols - seg * g.width, n = left < g.width ? left : g.width;
            const float amax = ref_mx_amax(s, x, first, n, flush);
            const ref_mx_scale scale = ref_mx_scale_of(mx, amax, flush);
            if (block_scale != NULL) block_scale[r * g.n_segs + seg] = ref_image(scale.unscale);
            ref_cover_mx_scale(cov, scale.byte, ref_mx_ratio_is_tie(scale.ratio), amax == 0.0f);
            for (int64_t i = first; i < first + n; i++) {
                const uint32_t in = ref_load_f32(s->dtype, x, i);
                ref_cover_input(cov, in);
                ref_store_f32(s->dtype, y, i, ref_mx_answer(mx, &scale, ref_float(in), flush, cov));
            }
        }
    }
}
