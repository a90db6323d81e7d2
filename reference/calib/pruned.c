// SPDX-License-Identifier: Apache-2.0
// The sweep of sweep.c from about a dozen losses per block, with the same index. Why nothing that could win
// is left out: PRUNING.md; the lemmas named here stand there.
#include "calib/calib.h"

enum { N = REF_SWEEP_CANDIDATES };

typedef struct search {
    const ref_sweep_scales *t;
    uint32_t x[REF_SWEEP_BLOCK];
    int evaluated, best;
    float least;
} search;

static void look(search *s, int k) {
    const float loss = ref_float(ref_sweep_loss_of(s->t, k, s->x));
    const bool first = s->evaluated++ == 0;
    if (!first && !(loss < s->least) && !(loss == s->least && k < s->best)) return;
    s->least = loss;
    s->best = k;
}

// The same scale as the candidate before: the same loss, later.
static bool repeats(const ref_sweep_scales *t, int k) {
    return k > 0 && t->scale[k] == t->scale[k - 1];
}

// Lemma 1: half this scale is a candidate too and no quotient reaches 7 under it, so it loses no more.
static bool is_doubled(const ref_sweep_scales *t, int k, float amax) {
    if (t->half[k] == N) return false;
    const float quotient = amax / ref_float(t->scale[t->half[k]]);
    return quotient < 7.0f;
}

// Lemma 2: the largest element alone loses this much, and more under every smaller scale.
static float clipped(const ref_sweep_scales *t, int k, float amax) {
    const float top = 6.0f * ref_float(t->scale[k]);
    return ref_square_error(amax, top);
}

// Every scale once, in order, by the rule of the engine: for scales that are not regular.
static int all_distinct(search *s) {
    s->least = ref_float(REF_F32_INF);
    for (int k = 0; k < N; k++) {
        if (repeats(s->t, k)) continue;
        const float loss = ref_float(ref_sweep_loss_of(s->t, k, s->x));
        const bool wins =
            s->evaluated++ == 0 && !s->t->triton ? true : ref_loss_wins(s->t->triton, loss, s->least);
        if (!wins) continue;
        s->least = loss;
        s->best = k;
    }
    return s->best;
}

static int regular(search *s, float amax) {
    const ref_sweep_scales *t = s->t;
    int middle = 0; // the first candidate that clips nothing
    while (middle < N && 6.0f * ref_float(t->scale[middle]) < amax) middle++;
    for (int k = middle; k < N; k++) {
        if (!repeats(t, k) && !is_doubled(t, k, amax)) look(s, k);
        const float quotient = amax / ref_float(t->scale[k]);
        if (quotient <= 0.25f) break; // lemma 3: from here on every element becomes zero
    }
    for (int k = middle - 1; k >= 0; k--) {
        if (s->evaluated > 0 && clipped(t, k, amax) > s->least) break;
        if (!repeats(t, k)) look(s, k);
    }
    return s->best;
}

int ref_sweep_pruned(const ref_sweep_scales *t, qp_dtype dtype, const void *x, int n, int *evaluated) {
    search s = {.t = t};
    const float amax = ref_block_amax(dtype, x, 0, n, true);
    ref_load_run(dtype, x, 0, n, s.x);
    int best = 0; // lemma 4: a block with NaN or Inf loses the same under every regular scale
    if (!t->regular)
        best = all_distinct(&s);
    else if (amax < ref_float(REF_F32_INF))
        best = regular(&s, amax);
    if (evaluated != NULL) *evaluated = s.evaluated;
    return best;
}
