// SPDX-License-Identifier: Apache-2.0
// Searches all bf16 inputs for one that tells a variant from the reference. What is gone through:
//
// INT, FP8   every finite amax >= 0, each with all 65,536 x.
// MX         every finite amax >= 0 of a block, each with NaN and every x that leaves it the amax.
// NVFP4      scales: every global amax, each with every block amax up to it, x the block amax and the largest
//            subnormal, the answer kept in fp32: from 6 times the scale the scale can be read, so that equal
//            answers are equal scales.
//            elements: the 128 global amax of an octave, each with every block amax of the 22 octaves below
//            (all codes, and 0), each with x of 7 octaves below that (smaller ones round to zero), NaN and
//            zeros. Three octaves: around 1, where the 1e-5 rule takes over, and above it. In between, all
//            steps scale by powers of two exactly.
#include <string.h>

#include "cmd/mine.h"

enum { N_FINITE = 0x7f80, N_IMAGES = 65536, NAN_IMAGE = 0x7fc0, OCTAVE = 128 };

typedef struct search {
    const qp_mine *m;
    qp_mine_mask claimed;
    int64_t n_inputs;
    qp_mine_mask refuted;
} search;

// One step of a search: number i, its own arena. Counts into *part.
typedef qp_status (*step_fn)(const search *s, int64_t i, qp_arena *a, search *part, qp_err *err);

static uint32_t widened(int64_t bf16) {
    return (uint32_t)bf16 << 16;
}

static qp_status look(const search *s, qp_dtype answer, const qp_mine_tensor *t, const uint32_t *amax,
                      qp_arena *a, search *part, qp_err *err) {
    qp_mine m = *s->m;
    qp_mine_mask told;
    m.dtype = answer;
    QP_TRY(qp_mine_judge_at(&m, t, amax, s->claimed, a, NULL, &told, err));
    part->refuted = qp_mask_or(part->refuted, told);
    part->n_inputs += t->rows * t->cols;
    return QP_OK;
}

static qp_status all_x(const search *s, int64_t i, qp_arena *a, search *part, qp_err *err) {
    qp_mine_tensor t = {1, N_IMAGES, NULL};
    const uint32_t amax = widened(i);
    QP_TRY(QP_NEW(a, t.x, N_IMAGES));
    for (int64_t x = 0; x < N_IMAGES; x++) t.x[x] = widened(x);
    return look(s, s->m->dtype, &t, &amax, a, part, err);
}

// Blocks that lead with the amax, filled from a list of images.
static qp_status blocks(int64_t width, int64_t lead, const uint32_t *x, int64_t n, bool global, int64_t ga,
                        qp_arena *a, qp_mine_tensor *t, qp_err *err) {
    const int64_t room = width - 1, rows = (n + room - 1) / room;
    *t = (qp_mine_tensor){rows + global, width, NULL};
    QP_TRY(QP_NEW(a, t->x, t->rows * width));
    for (int64_t r = 0; r < rows; r++) t->x[r * width] = widened(lead);
    for (int64_t i = 0; i < n; i++) t->x[i / room * width + 1 + i % room] = x[i];
    if (global) t->x[rows * width] = widened(ga);
    return QP_OK;
}

static qp_status all_below(const search *s, int64_t i, qp_arena *a, search *part, qp_err *err) {
    uint32_t *x;
    int64_t n = 0;
    qp_mine_tensor t;
    QP_TRY(QP_NEW(a, x, N_IMAGES + 1));
    x[n++] = widened(NAN_IMAGE);
    for (int64_t v = 0; v <= i; v++) {
        x[n++] = widened(v);
        x[n++] = widened(v | 0x8000);
    }
    QP_TRY(blocks(qp_format_get(s->m->format)->block_cols, i, x, n, false, 0, a, &t, err));
    return look(s, s->m->dtype, &t, NULL, a, part, err);
}

static qp_status all_scales(const search *s, int64_t i, qp_arena *a, search *part, qp_err *err) {
    const int64_t ga = i, subnormal = 0x7f;
    qp_mine_tensor t = {ga + 2, 2, NULL};
    QP_TRY(QP_NEW(a, t.x, t.rows * 2));
    for (int64_t b = 0; b <= ga; b++) {
        t.x[2 * b] = widened(b);
        t.x[2 * b + 1] = b > subnormal ? widened(subnormal | 0x8000) : 0;
    }
    t.x[2 * (ga + 1)] = widened(ga);
    return look(s, QP_FP32, &t, NULL, a, part, err);
}

enum { BLOCK_OCTAVES = 22, X_OCTAVES = 7, N_OCTAVES = 3 };

static qp_status some_elements(const search *s, int64_t i, qp_arena *a, search *part, qp_err *err) {
    static const int octaves[N_OCTAVES] = {0, -13, 12};
    const int64_t ga = (127 + octaves[i / OCTAVE]) * OCTAVE + i % OCTAVE;
    uint32_t *x;
    QP_TRY(QP_NEW(a, x, 2 * (X_OCTAVES * OCTAVE + 2)));
    for (int64_t b = ga - BLOCK_OCTAVES * OCTAVE; b <= ga; b++) {
        qp_arena *own = qp_arena_new();
        if (own == NULL) QP_FAIL(QP_NOMEM, "mine: out of memory");
        qp_mine_tensor t;
        int64_t n = 0;
        x[n++] = widened(NAN_IMAGE);
        x[n++] = widened(0x8000);
        for (int64_t v = b - X_OCTAVES * OCTAVE; v <= b; v++) {
            x[n++] = widened(v);
            x[n++] = widened(v | 0x8000);
        }
        qp_status status = blocks(16, b, x, n, true, ga, own, &t, err);
        if (status == QP_OK) status = look(s, s->m->dtype, &t, NULL, own, part, err);
        qp_arena_free(own);
        QP_TRY(status);
    }
    return QP_OK;
}

static qp_status run(search *s, step_fn step, int64_t n, int64_t every, qp_err *err) {
    qp_status worst = QP_OK;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < n; i += every) {
        qp_err own = {0};
        search part = {0};
        qp_arena *a = qp_arena_new();
        const qp_status status = a != NULL ? step(s, i, a, &part, &own) : QP_NOMEM;
        qp_arena_free(a);
#pragma omp critical
        {
            s->n_inputs += part.n_inputs;
            s->refuted = qp_mask_or(s->refuted, part.refuted);
            if (status != QP_OK && worst == QP_OK)
                worst = qp_err_set(err, status, __FILE__, __LINE__, "%s", own.msg);
        }
    }
    return worst;
}

qp_status qp_mine_prove(const qp_mine *m, qp_mine_mask claimed, int64_t step, int64_t *n_inputs,
                        qp_mine_mask *refuted, qp_err *err) {
    const qp_format_row *f = qp_format_get(m->format);
    search s = {.m = m, .claimed = claimed};
    if (m->dtype != QP_BF16) QP_FAIL(QP_USAGE, "--prove: only bf16 has few enough inputs");
    if (f->has_global) {
        QP_TRY(run(&s, all_scales, N_FINITE, step, err));
        QP_TRY(run(&s, some_elements, N_OCTAVES * OCTAVE, step, err));
    } else {
        QP_TRY(run(&s, f->scale == QP_SCALE_E8M0 ? all_below : all_x, N_FINITE, step, err));
    }
    *n_inputs = s.n_inputs;
    *refuted = s.refuted;
    return QP_OK;
}
