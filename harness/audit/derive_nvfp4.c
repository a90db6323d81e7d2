// SPDX-License-Identifier: Apache-2.0
// NVFP4: dynamic and static block scales, the two searches, and compressed-tensors (numerics 4.5, 6.2, 6.3;
// shapes spec 2.2, 2.3).
#include <string.h>

#include "audit/derive.h"

static void widen(const uint8_t *bytes, int64_t n, uint32_t *images) {
    for (int64_t i = n - 1; i >= 0; i--) images[i] = bytes[i];
}

// Codes under the scales of the file: z = x / fl(D4(scale) * ws2), compressed-tensors x / fl(D4(scale) / g);
// nearest even, the sign by comparison; NaN is 7, there 0.
static void codes_of_given(const qp_ag_window *w) {
    const qp_ag_view *v = w->view;
    const int64_t in = v->m->in, row_bytes = qp_ag_row_bytes(v, 1);
    const uint32_t global = qp_ag_derive_global(v, w->rule, w->dtype, w->amax);
    for (int64_t r = 0; r < w->n_rows; r++) {
        for (int64_t c = 0; c < in; c++) {
            const uint32_t sf = ref_e4m3_decode((uint8_t)w->given[r * v->scale_cols + c / v->tile_cols]);
            const uint32_t scale = v->divides ? ref_div(sf, global) : ref_mul(sf, global);
            const uint32_t z = ref_div(ref_load_f32(w->dtype, w->x, r * in + c), scale);
            const bool nan = (z & 0x7fffffff) > 0x7f800000, negative = z > 0x80000000;
            const uint8_t level = ref_e2m1_encode(z) & 7;
            const uint8_t code = nan ? (v->divides ? 0 : 7) : (uint8_t)(level | (negative ? 8 : 0));
            uint8_t *byte = &w->codes[r * row_bytes + c / 2];
            *byte = c % 2 == 0 ? code : (uint8_t)(*byte | code << 4);
        }
    }
    memcpy(w->scales, w->given, sizeof *w->scales * (size_t)qp_ag_tiles(w));
}

static void quantize(const qp_ag_window *w, const uint32_t *block_amax) {
    ref_spec s = qp_ag_spec(w);
    s.amax = block_amax;
    ref_quant(&s, 0, w->n_rows, w->x, w->codes, w->scales, NULL, NULL);
    widen((const uint8_t *)w->scales, qp_ag_tiles(w), w->scales);
}

void qp_ag_derive_nvfp4(const qp_ag_window *w) {
    uint32_t *amax = w->scratch;
    if (w->given != NULL) {
        codes_of_given(w);
        return;
    }
    if (w->rule->how & QP_AG_STATIC) qp_ag_tile_amax(w, amax);
    quantize(w, amax);
}

void qp_ag_derive_ct_nvfp4(const qp_ag_window *w) {
    qp_ag_derive_nvfp4(w);
}

// ---- searches
// ---------------------------------------------------------------------------------------------------------------

static uint32_t stored_scale(const qp_ag_window *w, int64_t r, int64_t seg) {
    return qp_ag_scale(w->view, w->e, w->row0 + r, seg);
}

// Does the block amax `other` lose no more than `best` under the dynamic spelling of a block scale,
// E4(b / (6 g)) * g (numerics 4.3)? It is an ulp or, at a midpoint, an E4M3 code away from the static one,
// and which of the two the search saw is not in the file. Relative bound of near-ties: numerics 6.3.
static bool loses_no_more(const qp_ag_window *w, int64_t first, int64_t n, uint32_t best, uint32_t other) {
    const uint32_t g = qp_ag_derive_global(w->view, w->rule, w->dtype, w->amax),
                   six_g = ref_mul(0x40c00000, g);
    const uint32_t amax[2] = {best, other};
    double loss[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        const uint32_t scale = ref_mul(ref_e4m3_decode(ref_e4m3_encode(ref_div(amax[k], six_g), true)), g);
        for (int64_t i = first; i < first + n; i++) {
            const uint32_t x = ref_load_f32(w->dtype, w->x, i);
            const float q = qp_ag_number(ref_mul(ref_e2m1_decode(ref_e2m1_encode(ref_div(x, scale))), scale));
            const double d = (double)qp_ag_number(x) - (double)q;
            loss[k] += d * d;
        }
    }
    return loss[1] <= loss[0] * (1 + 20 * 0x1p-24);
}

// The reference's own question looks at every candidate: asked only where two losses are near at all. A
// filter, ten times as wide as what it must let through (losses are within 1e-5 of each other in any order of
// the sum, numerics 8); the reference decides.
static bool is_near_tie(const qp_ag_window *w, const ref_sweep_scales *t, int64_t first, int n, int best,
                        int stored) {
    const char *x = (const char *)w->x + first * (int64_t)qp_dtype_bytes(w->dtype);
    const float least = qp_ag_number(ref_sweep_loss(t, best, w->dtype, x, n));
    const float other = qp_ag_number(ref_sweep_loss(t, stored, w->dtype, x, n));
    if (other > least * (1 + 1e-4f)) return false;
    return ref_sweep_tie_ok(t, w->dtype, x, n, stored) ||
           loses_no_more(w, first, n, t->amax[best], t->amax[stored]);
}

// The byte of candidate k is k + 1: the round trip through E4M3 changes none (numerics 6.3).
void qp_ag_derive_sweep(const qp_ag_window *w) {
    const qp_ag_view *v = w->view;
    const int64_t in = v->m->in, elem = (int64_t)qp_dtype_bytes(w->dtype);
    uint32_t *amax = w->scratch;
    ref_sweep_scales t;
    if (w->given != NULL) {
        codes_of_given(w);
        return;
    }
    ref_sweep_scales_of(w->rule->engine, w->amax, &t);
    for (int64_t r = 0; r < w->n_rows; r++) {
        for (int64_t seg = 0; seg < v->scale_cols; seg++) {
            const int64_t col0 = seg * REF_SWEEP_BLOCK, left = in - col0;
            const int n = left < REF_SWEEP_BLOCK ? (int)left : REF_SWEEP_BLOCK;
            const char *x = (const char *)w->x + (r * in + col0) * elem;
            int k = ref_sweep_pruned(&t, w->dtype, x, n, NULL);
            const int stored = (int)stored_scale(w, r, seg) - 1;
            const bool other = stored != k && stored >= 0 && stored < REF_SWEEP_CANDIDATES;
            w->near_ties[r * v->scale_cols + seg] = other && is_near_tie(w, &t, r * in + col0, n, k, stored);
            if (w->near_ties[r * v->scale_cols + seg]) k = stored;
            amax[r * v->scale_cols + seg] = t.amax[k];
        }
    }
    quantize(w, amax);
}

static bool other_46(const qp_ag_window *w, int64_t tile, uint32_t amax, int index) {
    const qp_ag_view *v = w->view;
    const int64_t c0 = tile % v->scale_cols * REF_SWEEP_BLOCK, left = v->m->in - c0;
    const uint32_t both[2] = {ref_mul(amax, REF_46_START), ref_mul(amax, REF_46_STOP)};
    return loses_no_more(w, tile / v->scale_cols * v->m->in + c0,
                         left < REF_SWEEP_BLOCK ? left : REF_SWEEP_BLOCK, both[index], both[1 - index]);
}

// amax / 6 or amax / 4: the multipliers 1 and 1.5 (numerics 6.2). The losses are those of fake-quant, which
// no torch engine answers. Losses within 20 * 2^-24 of each other are a near-tie, as in the sweep.
void qp_ag_derive_46(const qp_ag_window *w) {
    static const uint32_t multipliers[2] = {REF_46_START, REF_46_STOP};
    const int64_t n = qp_ag_tiles(w);
    uint32_t *amax = w->scratch, *best = amax + n, *loss = best + n;
    int32_t *index = (int32_t *)(loss + 2 * n);
    ref_spec s = qp_ag_spec(w);
    if (w->given != NULL) {
        codes_of_given(w);
        return;
    }
    qp_ag_tile_amax(w, amax);
    s.amax = amax;
    // fake-quant divides 448 by the amax, or multiplies by its reciprocal (numerics 4.4)
    s.engine = w->rule->how & QP_AG_EXTENSION ? QP_ENGINE_IEEE : QP_ENGINE_TRITON_INTERP;
    ref_mse(&s, 0, w->n_rows, w->x, multipliers, 2, index, best, loss);
    quantize(w, best);
    for (int64_t i = 0; i < n; i++) {
        const float a = qp_ag_number(loss[2 * i]), b = qp_ag_number(loss[2 * i + 1]);
        const uint32_t stored = stored_scale(w, i / w->view->scale_cols, i % w->view->scale_cols);
        const float apart = a > b ? a - b : b - a, least = a < b ? a : b;
        const bool other = stored != w->scales[i];
        w->near_ties[i] = other && (apart <= 20 * 0x1p-24f * least || other_46(w, i, amax[i], index[i]));
        if (w->near_ties[i]) best[i] = ref_mul(amax[i], multipliers[1 - index[i]]);
    }
    quantize(w, best);
}
