// SPDX-License-Identifier: Apache-2.0
// What kind of difference it is: by the tally alone, then by deriving the linear again in the ways that go
// wrong (numerics 4.5; shapes spec 2.2, 2.8).
#include <string.h>

#include "audit/against_pass.h"
#include "qp/refcalib.h"

typedef struct asked {
    const qp_ag_linear *l;
    const qp_ag_trial *t;
    const qp_ag_scratch_room *room;
    qp_arena *a;
} asked;

// Calls `holds` for every window; false as soon as one answers so.
typedef bool (*window_test)(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx);

static bool every_window(const asked *q, window_test holds, void *ctx) {
    const qp_ag_linear *l = q->l;
    for (int64_t e = 0; e < l->m->stack; e++) {
        for (int64_t row = 0; row < l->m->out; row += l->window_rows) {
            const int64_t left = l->m->out - row, n = left < l->window_rows ? left : l->window_rows;
            const qp_ag_item item = {(qp_ag_linear *)l, e, row, n};
            qp_ag_window w;
            qp_ag_window_of(&item, q->t, q->room, &w);
            q->t->rule->derive(&w);
            if (!holds(q, &w, qp_ag_codes(&l->view, e, row, n, q->room->got), ctx)) return false;
        }
    }
    return true;
}

static bool is_nvfp4(const qp_ag_linear *l) {
    return l->view.family == QP_AG_NVFP4 || l->view.family == QP_AG_NVFP4_CT;
}

// ---- block scales
// ------------------------------------------------------------------------------------------------------------

typedef struct grid {
    uint8_t *bytes; // derived scales of expert 0
} grid;

static bool keep_scales(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx) {
    const grid *g = ctx;
    const int64_t cols = w->view->scale_cols;
    (void)q, (void)got;
    if (w->e > 0) return false; // one expert is enough
    for (int64_t i = 0; i < w->n_rows * cols; i++) g->bytes[w->row0 * cols + i] = (uint8_t)w->scales[i];
    return true;
}

static bool derived_scales(const asked *q, grid *g, qp_err *err) {
    const qp_ag_view *v = &q->l->view;
    if (!v->scale_bytes || v->tile_rows != 1) return false;
    if (QP_NEW(q->a, g->bytes, v->scale_rows * v->scale_cols) != QP_OK) return false;
    every_window(q, keep_scales, g);
    return true;
}

// The same bytes in tiles of 128 x 4: no size changes where rows and columns are multiples of those.
static bool is_swizzled(const asked *q, qp_err *err) {
    const qp_ag_view *v = &q->l->view;
    const int64_t rows = v->scale_rows, cols = v->scale_cols;
    grid g = {0};
    if (rows % 128 != 0 || cols % 4 != 0 || !derived_scales(q, &g, err)) return false;
    const uint8_t *got = v->m->part[QP_CK_SCALE]->data;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            if (got[ref_swizzled_at(cols, r, c)] != g.bytes[r * cols + c]) return false;
    return true;
}

static bool scales_transposed(const asked *q, qp_err *err) {
    const qp_ag_view *v = &q->l->view;
    const int64_t rows = v->scale_rows, cols = v->scale_cols;
    grid g = {0};
    if (v->m->scheme->spread != QP_CK_GROUP || !derived_scales(q, &g, err)) return false;
    const uint8_t *got = v->m->part[QP_CK_SCALE]->data;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            if (got[c * rows + r] != g.bytes[r * cols + c]) return false;
    return true;
}

static uint32_t block_amax(const qp_ag_window *w, int64_t r, int64_t tc) {
    const qp_ag_view *v = w->view;
    const int64_t c0 = tc * v->tile_cols, left = v->m->in - c0;
    const int64_t n = left < v->tile_cols ? left : v->tile_cols;
    const char *x = (const char *)w->x + (r * v->m->in + c0) * (int64_t)qp_dtype_bytes(w->dtype);
    uint32_t amax;
    ref_amax(QP_GRAIN_TENSOR, w->dtype, 1, n, 0, 0, x, &amax);
    return amax;
}

enum { SIX = 0x40c00000 };

// amax / 6 / s2: two roundings in the place of the product's one and a quotient (2.2).
static bool divided_twice(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx) {
    const qp_ag_view *v = w->view;
    const uint32_t s2 = qp_ag_global(v);
    (void)q, (void)got, (void)ctx;
    for (int64_t i = 0; i < w->n_rows * v->scale_cols; i++) {
        const uint32_t stored = qp_ag_scale(v, w->e, w->row0 + i / v->scale_cols, i % v->scale_cols);
        if (stored == w->scales[i]) continue;
        const uint32_t amax = block_amax(w, i / v->scale_cols, i % v->scale_cols);
        if (ref_e4m3_encode(ref_div(ref_div(amax, SIX), s2), true) != stored) return false;
    }
    return true;
}

// ---- codes
// -------------------------------------------------------------------------------------------------------------------

// x / (fp32 scale before it became E4M3): codes that the stored scale does not belong to. That scale is amax
// / 6, or goes through the quotient and back.
static bool unrounded(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx) {
    const qp_ag_view *v = w->view;
    const uint32_t s2 = qp_ag_global(v);
    (void)q, (void)ctx;
    for (int64_t r = 0; r < w->n_rows; r++) {
        for (int64_t tc = 0; tc < v->scale_cols; tc++) {
            const uint32_t amax = block_amax(w, r, tc), sixth = ref_div(amax, SIX);
            const uint32_t back = ref_mul(ref_div(amax, ref_mul(SIX, s2)), s2);
            for (int64_t c = tc * v->tile_cols; c < (tc + 1) * v->tile_cols && c < v->m->in; c++) {
                const uint32_t x = ref_load_f32(w->dtype, w->x, r * v->m->in + c);
                const uint8_t stored = qp_ag_code(v, got, r, c) & 7;
                if ((ref_e2m1_encode(ref_div(x, sixth)) & 7) != stored &&
                    (ref_e2m1_encode(ref_div(x, back)) & 7) != stored)
                    return false;
            }
        }
    }
    return true;
}

// Model Optimizer's stacks of FP8 tiles: codes made with the scale that lies at the transposed place.
static bool other_tile(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx) {
    const qp_ag_view *v = w->view;
    const qp_ck_tensor *s = v->m->part[QP_CK_SCALE];
    qp_ag_window again = *w;
    (void)ctx;
    for (int64_t r = 0; r * v->tile_rows < w->n_rows; r++) {
        const int64_t tile = w->row0 / v->tile_rows + r;
        for (int64_t c = 0; c < v->scale_cols; c++)
            q->room->given[r * v->scale_cols + c] =
                qp_ck_f32(s, (uint64_t)((w->e * v->scale_cols + c) * v->scale_rows + tile));
    }
    again.given = q->room->given;
    again.codes = q->room->other;
    w->rule->derive(&again);
    return memcmp(got, again.codes, (size_t)qp_ag_row_bytes(v, w->n_rows)) == 0;
}

typedef struct square {
    uint8_t *want;
} square;

static bool keep_codes(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx) {
    const square *s = ctx;
    const int64_t in = w->view->m->in;
    (void)q, (void)got;
    for (int64_t r = 0; r < w->n_rows; r++)
        for (int64_t c = 0; c < in; c++)
            s->want[(w->row0 + r) * in + c] = qp_ag_code(w->view, w->codes, r, c);
    return true;
}

static bool is_transposed_in(const asked *q, const qp_ag_window *w, const uint8_t *got, void *ctx) {
    const square *s = ctx;
    const int64_t in = w->view->m->in;
    (void)q;
    for (int64_t r = 0; r < w->n_rows; r++)
        for (int64_t c = 0; c < in; c++)
            if (!qp_ag_same_code(w->view, s->want[c * in + w->row0 + r], qp_ag_code(w->view, got, r, c)))
                return false;
    return true;
}

static bool codes_transposed(const asked *q, qp_err *err) {
    enum { MOST = 1 << 13 }; // 64 MiB of codes; larger ones go unnamed
    const qp_ck_module *m = q->l->m;
    square s;
    if (m->stack != 1 || m->out != m->in || m->in > MOST) return false;
    if (QP_NEW(q->a, s.want, m->out * m->in) != QP_OK) return false;
    every_window(q, keep_codes, &s);
    return every_window(q, is_transposed_in, &s);
}

// ---- the name
// ----------------------------------------------------------------------------------------------------------------

const char *qp_ag_class(const qp_ag_linear *l, const qp_ag_scratch_room *room, qp_arena *a, qp_err *err) {
    const qp_ag_tally *t = &l->tally;
    const asked q = {l, &l->trials[l->at], room, a};
    const uint64_t scales = t->scales_differ + t->chosen;
    if (t->codes_differ == 0 && scales == 0) return "global scale";
    if (t->codes_differ == 1 && scales == 0) return "one code";
    if (t->codes_differ == 0 && scales == 1)
        return !l->view.scale_bytes  ? "one scale"
               : t->scale_steps == 1 ? "one scale, off by one"
                                     : "one scale byte";
    if (t->codes_differ > 1 && scales == 0 && t->swap_differ == 0 && l->view.layout != QP_AG_CODE_BYTES)
        return "nibble swap";
    if (scales > 1 && is_swizzled(&q, err)) return "swizzle: block scales in tiles of 128 x 4";
    if (scales > 1 && scales_transposed(&q, err)) return "scales transposed";
    if (scales > 0 && l->view.family == QP_AG_NVFP4 && every_window(&q, divided_twice, NULL))
        return "block scales are amax / 6 / s2";
    if (t->codes_differ > 1 && codes_transposed(&q, err)) return "codes transposed";
    if (t->codes_differ > 0 && scales == 0 && is_nvfp4(l) && every_window(&q, unrounded, NULL))
        return "codes follow from block scales before they were rounded";
    if (l->m->scheme->spread == QP_CK_TILE_3D && every_window(&q, other_tile, NULL))
        return "codes follow from the scales of other tiles";
    if (t->chosen > 0 && t->scales_differ == 0) return "another choice of scales";
    if (t->codes_differ == 0) return "scales";
    return scales > 0 ? "codes and scales" : "codes";
}
