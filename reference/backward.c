// SPDX-License-Identifier: Apache-2.0
// The straight-through gradient (numerics 1.5): unchanged, or only where |x| <= amax. Gradient bits are
// copied, not rounded.
#include "ref_internal.h"

// torch compares a 0-dim amax in the type of x, so it is rounded to that type first, on the CPU too; a
// dimensioned one promotes (numerics 0, 1.5).
static uint32_t amax_as_compared(const ref_spec *s, uint32_t amax) {
    if (!ref_is_torch(s->engine)) return amax;
    const uint32_t stored = ref_to_f32(s->amax_dtype, ref_from_f32(s->amax_dtype, amax));
    return s->amax_0d ? ref_to_f32(s->dtype, ref_from_f32(s->dtype, stored)) : stored;
}

// Dynamic NVFP4 has no amax but the global one; MX has none and always passes (numerics 1.5).
static const uint32_t *amax_of(const ref_spec *s, const ref_grain *g, int64_t row, int64_t seg) {
    const qp_format_row *f = qp_format_get(s->format);
    if (f != NULL && f->scale == QP_SCALE_E8M0) return NULL;
    if (s->format == QP_NVFP4) return &s->global_amax;
    return s->amax == NULL ? NULL : &s->amax[ref_amax_index(g, row, seg)];
}

static bool passes(uint32_t x, uint32_t amax) {
    return ref_float(ref_abs(x)) <= ref_float(amax); // NaN on either side: no
}

void ref_backward(const ref_spec *s, qp_bwd bwd, int64_t row0, int64_t n_rows, const void *x,
                  const void *grad, void *g) {
    const size_t size = qp_dtype_bytes(s->dtype);
    const ref_grain grain = ref_grain_of_spec(s);
    for (int64_t r = 0; r < n_rows; r++) {
        for (int64_t seg = 0; seg < grain.n_segs; seg++) {
            const uint32_t *amax = amax_of(s, &grain, row0 + r, seg);
            const bool clip = bwd == QP_BWD_CLIP && amax != NULL;
            const uint32_t bound = clip ? amax_as_compared(s, *amax) : 0;
            for (int64_t c = seg * grain.width; c < s->cols && c < (seg + 1) * grain.width; c++) {
                const int64_t i = r * s->cols + c;
                unsigned char *out = (unsigned char *)g + (size_t)i * size;
                if (!clip || passes(ref_load_f32(s->dtype, x, i), bound))
                    memcpy(out, (const unsigned char *)grad + (size_t)i * size, size);
                else
                    memset(out, 0, size);
            }
        }
    }
}
