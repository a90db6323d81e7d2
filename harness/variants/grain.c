// SPDX-License-Identifier: Apache-2.0
// The amax of every element: as calibrated, or found in one of the wrong ways.
#include "variants/family.h"

typedef struct box { // rows r0..r1-1, columns c0..c1-1
    int64_t r0, r1, c0, c1;
} box;

typedef struct grain {
    int64_t height, width; // of a box, before the edges of the tensor cut it
    bool given;            // amax comes calibrated
} grain;

static grain grain_of(const qp_vtensor *t) {
    const qp_format_row *f = qp_format_get(t->format);
    grain g = {t->rows, t->cols, true};
    if (f->grain == QP_GRAIN_AXIS0) g.height = 1;
    if (f->grain == QP_GRAIN_BLOCK || f->grain == QP_GRAIN_BLOCK2D) {
        g.height = f->block_rows;
        g.width = f->block_cols;
    }
    g.given = !(t->format == QP_NVFP4 || f->scale == QP_SCALE_E8M0);
    return g;
}

static bool is_finite(float v) {
    return fabsf(v) <= 3.402823466e38f;
}

typedef struct maximum {
    const qp_vtensor *t;
    vg_sin sin;
    bool given;
    float max;
    bool nan;
} maximum;

static void look(maximum *m, int64_t i) {
    const float x = m->t->x[i], a = m->sin == VG_POSITIVE ? x : fabsf(x);
    if (isnan(x)) {
        m->nan = true;
        if (m->sin == VG_NAN_DROPS) m->max = 0.0f;
        return;
    }
    if (!is_finite(x) && (m->given || m->sin == VG_INF_SKIPPED)) return;
    if (a > m->max) m->max = a;
}

static float max_of_box(const qp_vtensor *t, vg_sin sin, bool given, const box *b) {
    maximum m = {t, sin, given, 0.0f, false};
    const int64_t n = (b->r1 - b->r0) * (b->c1 - b->c0);
    int64_t left = sin == VG_FIRST_HALF ? (n + 1) / 2 : sin == VG_LAST_MISSED && n > 1 ? n - 1 : n;
    for (int64_t r = b->r0; r < b->r1; r++)
        for (int64_t c = b->c0; c < b->c1 && left > 0; c++, left--) look(&m, r * t->cols + c);
    return sin == VG_NAN_WINS && m.nan ? NAN : m.max;
}

static float bend(float a, vg_sin sin) {
    if (!(a > 0.0f) || !is_finite(a)) return a;
    switch (sin) {
    case VG_BINADE_DOWN:
        return vn_binade(a);
    case VG_BINADE_UP:
        return vn_binade(a) == a ? a : 2.0f * vn_binade(a);
    case VG_ONE_ULP_UP:
        return nextafterf(a, INFINITY);
    case VG_ONE_ULP_DOWN:
        return nextafterf(a, 0.0f);
    default:
        return a;
    }
}

static box box_at(const qp_vtensor *t, const grain *g, int64_t r, int64_t c) {
    box b = {r, r + g->height, c, c + g->width};
    if (b.r1 > t->rows) b.r1 = t->rows;
    if (b.c1 > t->cols) b.c1 = t->cols;
    return b;
}

static bool finds_it_itself(vg_sin sin) {
    return sin == VG_FIRST_HALF || sin == VG_LAST_MISSED || sin == VG_POSITIVE || sin == VG_NAN_WINS ||
           sin == VG_NAN_DROPS || sin == VG_HALF_BLOCK || sin == VG_DOUBLE_BLOCK || sin == VG_INF_SKIPPED;
}

// Blocks of the flattened tensor.
static void fill_flat(const qp_vtensor *t, const grain *g, float *y) {
    const int64_t n = t->rows * t->cols;
    for (int64_t first = 0; first < n; first += g->width) {
        maximum m = {t, VG_RIGHT, g->given, 0.0f, false};
        const int64_t end = first + g->width < n ? first + g->width : n;
        for (int64_t i = first; i < end; i++) look(&m, i);
        for (int64_t i = first; i < end; i++) y[i] = m.max;
    }
}

void vg_fill(const qp_vtensor *t, vg_sin sin, float *y) {
    grain g = grain_of(t);
    const int64_t n_across = g.width > 0 ? (t->cols + g.width - 1) / g.width : 0;
    if (sin == VG_FLAT) {
        fill_flat(t, &g, y);
        return;
    }
    if (sin == VG_WHOLE) g = (grain){t->rows, t->cols, g.given};
    if (sin == VG_HALF_BLOCK) g.width = g.width > 1 ? g.width / 2 : 1;
    if (sin == VG_DOUBLE_BLOCK) g.width *= 2;
    const bool search = !g.given || finds_it_itself(sin) || sin == VG_WHOLE;
    float previous = -1.0f;
    for (int64_t r = 0; r < t->rows; r += g.height) {
        for (int64_t c = 0; c < t->cols; c += g.width) {
            const box b = box_at(t, &g, r, c);
            const int64_t index = r / g.height * n_across + c / g.width;
            const float right = search ? max_of_box(t, sin, g.given, &b) : t->amax[index];
            const float a = sin == VG_PREVIOUS && previous >= 0.0f ? previous : bend(right, sin);
            previous = right;
            for (int64_t i = b.r0; i < b.r1; i++)
                for (int64_t j = b.c0; j < b.c1; j++) y[i * t->cols + j] = a;
        }
    }
}
