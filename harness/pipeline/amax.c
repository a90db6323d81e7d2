// SPDX-License-Identifier: Apache-2.0
// max |x| as integers: the magnitude bits of a float order like the float, and NaN lies above infinity. No
// float arithmetic.
#include <string.h>

#include "pipeline/rank.h"
#include "pipeline/stages.h"

enum { F32_INF = 0x7f800000, F32_NAN = 0x7fc00000 };

static uint32_t widen_fp16(uint32_t m) { // magnitude bits of an fp16 -> fp32 image, exact
    const uint32_t e = m >> 10, f = m & 0x3ff;
    if (e == 31) return f ? F32_NAN : F32_INF;
    if (e > 0) return (e + 112) << 23 | f << 13;
    if (f == 0) return 0;
    int shift = 0;
    while (!(f << shift & 0x400)) shift++;
    return (uint32_t)(113 - shift) << 23 | (f << shift & 0x3ff) << 13;
}

static uint32_t widen(qp_dtype t, uint32_t m) {
    const uint32_t image = t == QP_BF16 ? m << 16 : t == QP_FP16 ? widen_fp16(m) : m;
    return image > F32_INF ? F32_NAN : image;
}

static uint32_t max16(const uint16_t *x, int64_t n) {
    uint16_t m = 0;
#pragma omp simd reduction(max : m)
    for (int64_t i = 0; i < n; i++) {
        const uint16_t v = x[i] & 0x7fff;
        m = v > m ? v : m;
    }
    return m;
}

static uint32_t max32(const uint32_t *x, int64_t n) {
    uint32_t m = 0;
#pragma omp simd reduction(max : m)
    for (int64_t i = 0; i < n; i++) {
        const uint32_t v = x[i] & 0x7fffffff;
        m = v > m ? v : m;
    }
    return m;
}

uint32_t qp_abs_max(qp_dtype t, const void *x, int64_t n) {
    return widen(t, t == QP_FP32 ? max32(x, n) : max16(x, n));
}

uint32_t qp_image_max(const uint32_t *images, int64_t n) {
    uint32_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (images[i] > m) m = images[i];
    return m;
}

void qp_amax_geometry(qp_format f, int64_t rows, int64_t cols, int64_t *amax_rows, int64_t *amax_cols) {
    const qp_format_row *row = qp_format_get(f);
    const bool per_row = row && (row->grain == QP_GRAIN_AXIS0 || f == QP_NVFP4_STATIC);
    *amax_rows = per_row ? rows : 1;
    *amax_cols = f == QP_NVFP4_STATIC ? qp_blocks(cols) : 1;
}

void qp_calibrator_reset(qp_calibrator *c) {
    memset(c->images, 0, sizeof *c->images * (size_t)(c->rows * c->cols));
    c->seen = false;
}

qp_status qp_calibrator_shape(qp_rank *r, qp_format f, int64_t rows, int64_t cols, qp_err *err) {
    qp_calibrator *c = &r->calibrator;
    qp_amax_geometry(f, rows, cols, &c->rows, &c->cols);
    if (c->rows * c->cols > c->capacity) {
        uint32_t *old = c->images;
        QP_TRY(QP_NEW(r->arena, c->images, c->rows * c->cols));
        if (old) memcpy(c->images, old, sizeof *old * (size_t)c->capacity);
        c->capacity = c->rows * c->cols;
    }
    return QP_OK;
}

static void lift(uint32_t *image, uint32_t v) {
    if (v > *image) *image = v;
}

enum { PARALLEL_ELEMENTS = 1 << 20 }; // below this a thread team costs more than it gives

static uint32_t tensor_max(qp_dtype t, const char *x, int64_t rows, int64_t cols) {
    const size_t row_bytes = (size_t)cols * qp_dtype_bytes(t);
    uint32_t m = 0;
    if (rows * cols < PARALLEL_ELEMENTS) return qp_abs_max(t, x, rows * cols);
#pragma omp parallel for reduction(max : m)
    for (int64_t i = 0; i < rows; i++) {
        const uint32_t one = qp_abs_max(t, x + row_bytes * (size_t)i, cols);
        m = one > m ? one : m;
    }
    return m;
}

// width: weight columns that share one image.
static void collect_row(qp_calibrator *c, qp_dtype t, const char *row, int64_t cols, int64_t width,
                        uint32_t *images) {
    const size_t size = qp_dtype_bytes(t);
    for (int64_t b = 0; b < c->cols; b++) {
        const int64_t begin = b * width;
        lift(&images[b],
             qp_abs_max(t, row + (size_t)begin * size, begin + width <= cols ? width : cols - begin));
    }
}

void qp_calibrator_collect(qp_calibrator *c, qp_dtype t, const void *x, int64_t rows, int64_t cols) {
    const size_t row_bytes = (size_t)cols * qp_dtype_bytes(t);
    const int64_t width = c->cols == 1 ? cols : 16;
    const char *p = x;
    c->seen = c->seen || rows * cols > 0;
    if (c->rows * c->cols == 1) {
        lift(&c->images[0], tensor_max(t, p, rows, cols));
        return;
    }
    if (rows * cols < PARALLEL_ELEMENTS) {
        for (int64_t i = 0; i < rows; i++)
            collect_row(c, t, p + row_bytes * (size_t)i, cols, width, c->images + i * c->cols);
        return;
    }
#pragma omp parallel for
    for (int64_t i = 0; i < rows; i++)
        collect_row(c, t, p + row_bytes * (size_t)i, cols, width, c->images + i * c->cols);
}

qp_status qp_calibrate_weight(qp_rank *r, qp_quantizer *q, qp_err *err) {
    qp_calibrator *c = &r->calibrator;
    QP_TRY(qp_calibrator_shape(r, q->weight_amax.format, q->slice.n_rows, q->slice.n_cols, err));
    r->stages->calibrator_reset(c);
    qp_calibrator_collect(c, q->dtype, q->weight, q->slice.n_rows, q->slice.n_cols);
    memcpy(q->weight_amax.images, c->images, sizeof *c->images * (size_t)(c->rows * c->cols));
    q->weight_amax.has = c->seen;
    return QP_OK;
}
