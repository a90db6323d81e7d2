// SPDX-License-Identifier: Apache-2.0
// The sweep over all FP8 scales of an NVFP4 block (numerics 6.3): the scale that each candidate means, the
// loss it has, the first winner of all 126.
#include "calib/calib.h"

// ---- the scales of one global amax
// --------------------------------------------------------------------------------

// The reference path: a static fake-quant of numerics 4.4, and what its kernel does with a scale that cannot
// divide. On a CPU the block scale goes through the eager FP8 formula, as under the Triton interpreter.
static float static_scale(const ref_nv *nv, float amax) {
    const float s = ref_nv_fake_scale(nv, amax).scale;
    return ref_abs(ref_image(s)) < REF_F32_INF ? s : 1.0f; // 0 stays: the block becomes zero
}

// The fused kernel: no round trip through E4M3.
static float triton_scale(float amax) {
    const float s = amax / 6.0f;
    return s == 0.0f ? 1.0f : s;
}

static bool never_fall(const uint32_t *scale) {
    for (int k = 0; k < REF_SWEEP_CANDIDATES; k++) {
        const float six = 6.0f * ref_float(scale[k]);
        if (scale[k] >> 31 || !(ref_image(six) < REF_F32_INF)) return false;
        if (k > 0 && scale[k] < scale[k - 1]) return false;
    }
    return true;
}

static int half_of(const uint32_t *scale, int k) {
    const float s = ref_float(scale[k]);
    for (int j = 0; j < k; j++) {
        const float twice = 2.0f * ref_float(scale[j]);
        if (twice == s) return j;
    }
    return REF_SWEEP_CANDIDATES;
}

void ref_sweep_scales_of(qp_engine engine, uint32_t global_amax, ref_sweep_scales *out) {
    const bool triton = engine == QP_ENGINE_TRITON_INTERP || engine == QP_ENGINE_TRITON;
    const ref_spec spec = {.format = QP_NVFP4_STATIC,
                           .engine = engine == QP_ENGINE_TORCH_CPU ? QP_ENGINE_TRITON_INTERP : engine,
                           .global_amax = global_amax};
    const ref_nv nv = ref_nv_of(&spec);
    uint32_t candidate[REF_SWEEP_CANDIDATES];
    ref_sweep_candidates(engine, candidate);
    out->triton = triton;
    for (int k = 0; k < REF_SWEEP_CANDIDATES; k++) {
        out->amax[k] = ref_mul(global_amax, candidate[k]);
        const float amax = ref_float(out->amax[k]);
        out->scale[k] = ref_canonical(triton ? triton_scale(amax) : static_scale(&nv, amax));
    }
    out->regular = never_fall(out->scale);
    for (int k = 0; k < REF_SWEEP_CANDIDATES; k++) out->half[k] = (uint8_t)half_of(out->scale, k);
}

// ---- losses
// --------------------------------------------------------------------------------------------------------

// Of |x|: the sign of an element mirrors its quotient, its code and its difference (numerics 4.1), and NaN
// stays NaN. The 16 terms are added as the perfect binary tree of neighbours.
static float loss_of(uint32_t scale_image, const uint32_t *x) {
    const float scale = ref_float(scale_image);
    uint32_t code[REF_SWEEP_BLOCK];
    float a[REF_SWEEP_BLOCK], q[REF_SWEEP_BLOCK], y[REF_SWEEP_BLOCK], term[REF_SWEEP_BLOCK];
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) a[i] = ref_float(ref_abs(x[i]));
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) q[i] = a[i] / scale;
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) code[i] = ref_e2m1_chain(q[i]);
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) code[i] = q[i] != q[i] ? REF_E2M1_MAX : code[i];
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) y[i] = ref_e2m1_magnitude(code[i]) * scale;
    if (ref_abs(scale_image) == 0) memset(y, 0, sizeof y); // every element becomes +0
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) term[i] = ref_square_error(a[i], y[i]);
    for (int n = REF_SWEEP_BLOCK / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) term[i] = term[2 * i] + term[2 * i + 1];
    return term[0];
}

uint32_t ref_sweep_loss_of(const ref_sweep_scales *t, int k, const uint32_t x[REF_SWEEP_BLOCK]) {
    return ref_canonical(loss_of(t->scale[k], x));
}

uint32_t ref_sweep_loss(const ref_sweep_scales *t, int k, qp_dtype dtype, const void *x, int n) {
    uint32_t in[REF_SWEEP_BLOCK];
    ref_load_run(dtype, x, 0, n, in);
    return ref_sweep_loss_of(t, k, in);
}

int ref_sweep(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n) {
    uint32_t in[REF_SWEEP_BLOCK];
    int best = 0;
    ref_load_run(dtype, x, 0, n, in);
    float least = t->triton ? ref_float(REF_F32_INF) : loss_of(t->scale[0], in);
    for (int k = t->triton ? 0 : 1; k < REF_SWEEP_CANDIDATES; k++) {
        const float loss = loss_of(t->scale[k], in);
        if (!ref_loss_wins(t->triton, loss, least)) continue;
        least = loss;
        best = k;
    }
    return best;
}

// ---- judging others
// ------------------------------------------------------------------------------------------------

// q*S is exact in double, the difference, the square and the sum round at 2^-53: far below what is allowed.
static double loss_in_double(uint32_t scale, const uint32_t *x) {
    const double s = ref_float(scale);
    double sum = 0;
    for (int i = 0; i < REF_SWEEP_BLOCK; i++) {
        const uint32_t a = ref_abs(x[i]), quotient = ref_div(a, scale);
        const double q = s > 0 ? ref_e2m1_magnitude(ref_e2m1_encode(quotient)) : 0.0;
        const double d = (double)ref_float(a) - q * s;
        sum += d * d;
    }
    return sum;
}

bool ref_sweep_tie_ok(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n, int index) {
    uint32_t in[REF_SWEEP_BLOCK];
    if (index < 0 || index >= REF_SWEEP_CANDIDATES) return false;
    if (index == ref_sweep(t, dtype, x, n)) return true;
    ref_load_run(dtype, x, 0, n, in);
    double least = loss_in_double(t->scale[0], in);
    for (int k = 1; k < REF_SWEEP_CANDIDATES; k++) {
        const double loss = loss_in_double(t->scale[k], in);
        if (loss < least) least = loss;
    }
    const double theirs = loss_in_double(t->scale[index], in);
    // No overflow: squares of floats are far inside double. So Inf and NaN come from the block itself.
    return theirs < 0x1p1023 && theirs <= least * (1.0 + 20 * 0x1p-24);
}
