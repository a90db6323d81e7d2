// SPDX-License-Identifier: Apache-2.0
// Is an output one that an approximate engine may give (numerics 0)? triton divides by div.full, mx-ext by
// div.approx: within 2 ulp of the quotient, not correctly rounded. So the scale of a block is decided once,
// by any quotient within 2 ulp of the true one; then each element by itself given that scale. Where no
// boundary lies that near, every such quotient decides alike and the bits are those of the exact engine:
// products and casts after a decision are IEEE.
#include "ref_internal.h"

typedef struct block {
    const ref_spec *spec;
    int64_t n;
    const void *x, *y;
} block;

// The positive floats first..last, as images.
typedef struct span {
    uint32_t first, last;
} span;

// What a division within 2 ulp may have answered where IEEE answers q.
static span quotients_near(float q) {
    const uint32_t image = ref_image(q), fraction = image & 0x7fffffu;
    if (image == 0 || image >= REF_F32_INF) return (span){image, image}; // exact: 0/x, Inf, NaN; or negative
    const bool shorter_below = image >= 0x01000000u && fraction < 2;     // the steps under a power of two
    const uint32_t down = shorter_below ? 4 - fraction : 2;
    const uint32_t last = image + 2;
    return (span){image > down ? image - down : 0, last < REF_F32_INF ? last : REF_F32_INF};
}

static float loaded(const block *b, const void *from, int64_t i) {
    return ref_float(ref_load_f32(b->spec->dtype, from, i));
}

// NaN as a class, like everywhere.
static bool is_stored(const block *b, int64_t i, uint32_t answer) {
    const qp_dtype t = b->spec->dtype;
    return ref_load_f32(t, b->y, i) == ref_to_f32(t, ref_from_f32(t, answer));
}

// ---- triton: NVFP4 (4.3, 4.4)
// ------------------------------------------------------------------------------------------

static bool nv_element_ok(const block *b, int64_t i, float divisor) {
    const float x = loaded(b, b->x, i), magnitude = ref_float(ref_abs(ref_image(x)));
    const span q = quotients_near(magnitude / divisor);
    for (uint32_t image = q.first; image <= q.last; image++)
        if (is_stored(b, i, ref_image(ref_nv_answer(x, ref_float(image), divisor)))) return true;
    return false;
}

static bool nv_block_ok(const block *b, const ref_nv *nv, float scale) {
    const float divisor = ref_nv_divisor(nv, scale); // static, 0: every answer is 6 * 0
    for (int64_t i = 0; i < b->n; i++)
        if (!nv_element_ok(b, i, divisor)) return false;
    return true;
}

// The static scale comes from the host, whose divisions are IEEE; the dynamic one is decided in the kernel.
static bool triton_ok(const block *b, qp_engine host, float block_amax) {
    ref_spec s = *b->spec;
    s.engine = host;
    const ref_nv nv = ref_nv_of(&s);
    if (!nv.dynamic) return nv_block_ok(b, &nv, ref_nv_fake_scale(&nv, block_amax).scale);
    const float amax = ref_block_amax(s.dtype, b->x, 0, b->n, false);
    const span t = quotients_near(ref_nv_fake_quotient(&nv, amax));
    for (uint32_t image = t.first; image <= t.last; image++)
        if (nv_block_ok(b, &nv, ref_nv_fake_scale_at(&nv, ref_float(image)).scale)) return true;
    return false;
}

// ---- mx-ext (5.0, 4.7): only scales are divided; an element is multiplied, exactly alike everywhere
// -----------------------------

// The extension leaves the sign of zeros and NaN uninitialised (4.7): it is not judged.
static bool mx_element_ok(const block *b, int64_t i, uint32_t answer) {
    const float x = ref_flush(loaded(b, b->x, i));
    const bool signless = x == 0.0f || x != x;
    return is_stored(b, i, answer) || (signless && is_stored(b, i, answer ^ 0x80000000u));
}

static bool mx_block_ok(const block *b, const ref_mx *mx, const ref_mx_scale *scale) {
    for (int64_t i = 0; i < b->n; i++)
        if (!mx_element_ok(b, i, ref_mx_answer(mx, scale, loaded(b, b->x, i), true, NULL))) return false;
    return true;
}

static bool mx_ok(const block *b) {
    const ref_mx *mx = ref_mx_of(b->spec->format);
    const float amax = ref_mx_amax(b->spec, b->x, 0, b->n, true);
    const ref_mx_scale one = ref_mx_scale_of(mx, amax, true);
    if (amax == 0.0f) return mx_block_ok(b, mx, &one);
    const span ratio = quotients_near(amax / mx->max);
    for (uint32_t image = ratio.first; image <= ratio.last; image++) {
        const ref_mx_scale scale = ref_mx_scale_at(ref_float(image), true);
        if (mx_block_ok(b, mx, &scale)) return true;
    }
    return false;
}

static bool ext_block_ok(const block *b, const ref_ext_scale *scale) {
    for (int64_t i = 0; i < b->n; i++)
        if (!mx_element_ok(b, i, ref_ext_answer(scale, loaded(b, b->x, i), NULL))) return false;
    return true;
}

// Two divisions reach the scale: amax/6 decides the code only, 6/global_amax stands in every answer.
static bool ext_ok(const block *b) {
    const float ga = ref_float(b->spec->global_amax), amax = ref_mx_amax(b->spec, b->x, 0, b->n, true);
    if (ref_ext_is_plain(ga, amax)) {
        const ref_ext_scale one = {.scale = 1.0f, .unscale = 1.0f};
        return ext_block_ok(b, &one);
    }
    const span lu = quotients_near(amax / 6.0f), inverse = quotients_near(6.0f / ref_flush(ga));
    for (uint32_t i = inverse.first; i <= inverse.last; i++) {
        for (uint32_t k = lu.first; k <= lu.last; k++) {
            const ref_ext_scale scale = ref_ext_scale_at(ref_float(k), ref_float(i));
            if (ext_block_ok(b, &scale)) return true;
        }
    }
    return false;
}

bool ref_ambiguous_ok(const ref_spec *s, qp_engine host, uint32_t block_amax, int64_t n, const void *x,
                      const void *y) {
    const block b = {s, n, x, y};
    if (ref_unsupported(QP_OP_FAKEQUANT, s->format, s->engine) != NULL) return false;
    if (s->engine == QP_ENGINE_TRITON) return triton_ok(&b, host, ref_float(block_amax));
    if (s->engine != QP_ENGINE_MX_EXT) return false; // the other engines are exact: compare bits
    return s->format == QP_NVFP4 ? ext_ok(&b) : mx_ok(&b);
}
