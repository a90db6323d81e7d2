// SPDX-License-Identifier: Apache-2.0
// Which variants a format has: those of its family, then those of its grain. And one tensor through one of
// them.
#include "variants/family.h"

#define A(name, sin, how)                                                                                    \
    { name, sin, how, NULL }

static const qp_variant axis0_rows[] = {
    A("amax-of-row-before", "1.4: row r takes the amax of row r-1", VG_PREVIOUS),
    A("amax-of-tensor", "1.4: one amax for all rows", VG_WHOLE),
};

static const qp_variant block_rows[] = {
    A("amax-of-block-before", "10: a block takes the amax of the one before", VG_PREVIOUS),
    A("amax-of-tensor", "10: one amax for all blocks", VG_WHOLE),
    A("half-blocks", "10: blocks of half the width", VG_HALF_BLOCK),
    A("double-blocks", "4.2: blocks of twice the width", VG_DOUBLE_BLOCK),
    A("blocks-through-rows", "4.3: blocks counted through the ends of rows", VG_FLAT),
};

typedef struct list {
    const qp_variant *rows;
    int n;
} list;

static const vf_family *family_of(qp_format f) {
    switch (f) {
    case QP_INT8:
    case QP_INT8_AXIS0:
    case QP_INT4:
    case QP_INT4_AXIS0:
    case QP_INT4_BLOCK:
        return &vf_int;
    case QP_FP8_E4M3:
    case QP_FP8_AXIS0:
    case QP_FP8_BLOCK2D:
        return &vf_fp8;
    case QP_NVFP4:
        return &vf_nvfp4;
    case QP_NVFP4_STATIC:
    case QP_NVFP4_46:
        return &vf_nvfp4_static;
    case QP_MXFP4:
    case QP_MXFP6_E3M2:
    case QP_MXFP6_E2M3:
    case QP_MXFP8_E4M3:
    case QP_MXFP8_E5M2:
    case QP_MXINT8:
        return &vf_mx;
    default:
        return NULL;
    }
}

enum { N_LISTS = 4 };

static void lists_of(qp_format f, list out[N_LISTS]) {
    const vf_family *family = family_of(f);
    memset(out, 0, sizeof *out * N_LISTS);
    if (family == NULL) return;
    out[0] = (list){family->rows, family->n};
    const qp_element e = qp_format_get(f)->element;
    if (f == QP_NVFP4_46) out[1] = (list){vv_46_rows, vv_n_46_rows};
    if (family == &vf_mx) {
        const bool has_nan = e == QP_ELEM_E4M3 || e == QP_ELEM_E5M2;
        out[1] =
            has_nan ? (list){vx_has_nan_rows, vx_n_has_nan_rows} : (list){vx_no_nan_rows, vx_n_no_nan_rows};
        out[2] = (list){vx_float_rows, vx_n_float_rows};
        if (e == QP_ELEM_INT8) {
            out[1] = (list){vx_int_rows, vx_n_int_rows};
            out[2] = (list){NULL, 0};
        }
    }
    const qp_grain grain = qp_format_get(f)->grain;
    if (grain == QP_GRAIN_AXIS0) out[3] = (list){axis0_rows, QP_COUNT(axis0_rows)};
    if (grain == QP_GRAIN_BLOCK || grain == QP_GRAIN_BLOCK2D)
        out[3] = (list){block_rows, QP_COUNT(block_rows)};
}

int qp_n_variants(qp_format f) {
    list lists[N_LISTS];
    lists_of(f, lists);
    return lists[0].n + lists[1].n + lists[2].n + lists[3].n;
}

const qp_variant *qp_variant_at(qp_format f, int i) {
    list lists[N_LISTS];
    lists_of(f, lists);
    for (int l = 0; l < N_LISTS; i -= lists[l].n, l++)
        if (i < lists[l].n) return &lists[l].rows[i];
    return NULL;
}

void qp_variant_fakequant(const qp_variant *v, const qp_vtensor *t, float *y) {
    const vf_family *family = family_of(t->format);
    if (family == NULL) return;
    const vn_tie tie = family->out_tie(v->rule);
    vg_fill(t, (vg_sin)v->amax, y); // y holds the amax of each element until its answer takes the place
    for (int64_t i = 0; i < t->rows * t->cols; i++)
        y[i] = vn_narrow(t->dtype, family->answer(v->rule, t, t->x[i], y[i]), tie);
}
