// SPDX-License-Identifier: Apache-2.0
// The MSE search of an amax multiplier (numerics 6.2): every candidate quantizes the whole grain of one amax,
// through the same door as any other fake-quant; least loss wins.
#include "calib/calib.h"

enum { PIECE = 64 }; // elements quantized at a time; any number gives the same bits

// The elements of one amax: a run of a row, or the whole tensor as one run.
typedef struct grain {
    const void *x;
    int64_t first, n;
    bool
        other_nan; // is another amax of the tensor NaN? It switches a rule off for all of them (numerics 1.3)
} grain;

uint32_t ref_mse_trial(const ref_spec *s, uint32_t amax, uint32_t multiplier) {
    float candidate = ref_float(multiplier);
    const bool dimensioned = !s->amax_0d && s->amax_dtype != QP_FP32;
    if (dimensioned && s->engine == QP_ENGINE_TORCH_CUDA) candidate = ref_as(s->amax_dtype, candidate);
    const float trial = ref_float(amax) * candidate;
    return ref_canonical(dimensioned ? ref_as(s->amax_dtype, trial) : trial);
}

static float loss_of(const ref_spec *s, const grain *g, uint32_t trial) {
    const qp_format_row *f = qp_format_get(s->format);
    // A tensor of two rows, the second of which is never touched: it stands for all other amax.
    const uint32_t amax[2] = {trial, g->other_nan ? REF_F32_NAN : trial};
    ref_spec one = *s;
    ref_sum sum = {0};
    one.dtype = QP_FP32;
    one.amax = amax;
    one.rows = 2;
    for (int64_t i = 0; i < g->n; i += PIECE) {
        uint32_t x[PIECE], y[PIECE];
        one.cols = g->n - i < PIECE ? g->n - i : PIECE;
        if (f->grain == QP_GRAIN_BLOCK) one.block_cols = one.cols; // a piece of a block is one block
        for (int64_t k = 0; k < one.cols; k++) x[k] = ref_load_f32(s->dtype, g->x, g->first + i + k);
        ref_fakequant(&one, 0, 1, x, y, NULL, NULL);
        for (int64_t k = 0; k < one.cols; k++)
            ref_sum_add(&sum, ref_square_error(ref_float(x[k]), ref_float(y[k])));
    }
    return ref_sum_of(&sum);
}

static int search(const ref_spec *s, const grain *g, uint32_t amax, const uint32_t *candidates, int n,
                  uint32_t *loss) {
    int best = 0;
    float least = 0.0f;
    for (int k = 0; k < n; k++) {
        const float l = loss_of(s, g, ref_mse_trial(s, amax, candidates[k]));
        if (loss != NULL) loss[k] = ref_canonical(l);
        if (k > 0 && !ref_loss_wins(false, l, least)) continue;
        least = l;
        best = k;
    }
    return best;
}

void ref_mse(const ref_spec *s, int64_t row0, int64_t n_rows, const void *x, const uint32_t *candidates,
             int n, int32_t *index, uint32_t *best_amax, uint32_t *loss) {
    const ref_grain g = ref_grain_of_spec(s);
    const bool tensor = g.kind == QP_GRAIN_TENSOR;
    bool any_nan = false;
    for (int64_t i = 0; i < ref_grain_count(&g, s->rows); i++) any_nan |= ref_is_nan(s->amax[i]);
    for (int64_t r = 0; r < (tensor ? 1 : n_rows); r++) {
        for (int64_t seg = 0; seg < g.n_segs; seg++) {
            const int64_t left = s->cols - seg * g.width, width = left < g.width ? left : g.width;
            const grain part = {x, r * s->cols + seg * g.width, tensor ? n_rows * s->cols : width, any_nan};
            const int64_t at = r * g.n_segs + seg;
            const uint32_t amax = s->amax[ref_amax_index(&g, row0 + r, seg)];
            const int best = search(s, &part, amax, candidates, n, loss != NULL ? loss + at * n : NULL);
            index[at] = best;
            best_amax[at] = ref_mul(amax, candidates[best]);
        }
    }
}
