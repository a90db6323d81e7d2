// SPDX-License-Identifier: Apache-2.0
// Damages: the right numbers in another type, shape or order.
#include <string.h>

#include "qp/ref.h"
#include "synth/damage.h"

static bool is_f32_global(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_GLOBAL && t->t.dtype == QP_ST_F32;
}

static bool is_e4m3_block(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return dmg_is_block(t) && t->t.dtype == QP_ST_F8_E4M3;
}

static bool is_block(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return dmg_is_block(t) && t->t.n_dims == 2;
}

// What the tensor holds from now on: n_bytes zeroed bytes in the shape that t->t has.
static uint8_t *refill(dmg *g, dmg_tensor *t, qp_err *err) {
    uint8_t *bytes = NULL;
    t->t.n_bytes = syn_tensor_size(&t->t);
    if (qp_arena_get(g->arena, t->t.n_bytes + 1, &bytes, err) != QP_OK) return NULL;
    t->t.data = bytes;
    g->shards[t->shard].dirty = true;
    return bytes;
}

static qp_status retype(dmg *g, dmg_takes *takes, qp_st_type to, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, takes);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    const dmg_tensor was = *t;
    t->t.dtype = to;
    uint8_t *bytes = refill(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    const uint64_t n = t->t.n_bytes * 8 / (uint64_t)qp_st_dtypes[to].bits;
    for (uint64_t i = 0; i < n; i++) dmg_set(t, bytes, i, dmg_get(&was, i));
    g->where = t->t.name;
    return QP_OK;
}

qp_status dmg_global_bf16(dmg *g, bool *fits, qp_err *err) {
    return retype(g, is_f32_global, QP_ST_BF16, fits, err);
}

qp_status dmg_scales_f32(dmg *g, bool *fits, qp_err *err) {
    return retype(g, is_e4m3_block, QP_ST_F32, fits, err);
}

static bool is_u8_codes(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_CODES && t->t.dtype == QP_ST_U8;
}

qp_status dmg_weight_i8(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_u8_codes);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    t->t.dtype = QP_ST_I8;
    g->where = t->t.name;
    return dmg_edit(g, t, err) != NULL ? QP_OK : QP_NOMEM;
}

static bool is_codes(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_CODES;
}

// A dtype that no reader knows: lower case.
qp_status dmg_dtype_word(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_codes);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    t->t.dtype_said = "f8_e4m3fn";
    g->where = g->shards[t->shard].name;
    return dmg_edit(g, t, err) != NULL ? QP_OK : QP_NOMEM;
}

// ---- scales
// ---------------------------------------------------------------------------------------------------------------------

static uint64_t up(uint64_t n, uint64_t step) {
    return (n + step - 1) / step * step;
}

static bool pads(const dmg *g, const dmg_tensor *t) {
    return is_block(g, t) && (t->t.dims[0] % 128 != 0 || t->t.dims[1] % 4 != 0);
}

// Rows up to 128, columns up to 4, in kernel order or not.
static qp_status pad(dmg *g, bool swizzle, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, pads);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    const uint8_t *from = t->t.data;
    const uint64_t rows = t->t.dims[0], cols = t->t.dims[1];
    t->t.dims[0] = up(rows, 128);
    t->t.dims[1] = up(cols, 4);
    uint8_t *to = refill(g, t, err);
    if (to == NULL) return QP_NOMEM;
    if (swizzle)
        ref_swizzle((int64_t)rows, (int64_t)cols, from, to);
    else
        for (uint64_t r = 0; r < rows; r++) memcpy(to + r * t->t.dims[1], from + r * cols, cols);
    g->where = t->t.name;
    return QP_OK;
}

qp_status dmg_scales_padded(dmg *g, bool *fits, qp_err *err) {
    return pad(g, false, fits, err);
}

qp_status dmg_scales_swizzled(dmg *g, bool *fits, qp_err *err) {
    return pad(g, true, fits, err);
}

static bool swizzles_in_place(const dmg *g, const dmg_tensor *t) {
    return is_block(g, t) && t->t.dims[0] % 128 == 0 && t->t.dims[1] % 4 == 0;
}

qp_status dmg_swizzle_same(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, swizzles_in_place);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    const uint8_t *from = t->t.data;
    uint8_t *to = refill(g, t, err);
    if (to == NULL) return QP_NOMEM;
    ref_swizzle((int64_t)t->t.dims[0], (int64_t)t->t.dims[1], from, to);
    g->where = t->t.name;
    return QP_OK;
}

static bool is_matrix_scale(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_SCALE && t->t.n_dims == 2 && t->t.dims[0] != t->t.dims[1] && t->t.dims[1] > 1;
}

qp_status dmg_scales_transposed(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_matrix_scale);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    const uint8_t *from = t->t.data;
    const uint64_t rows = t->t.dims[0], cols = t->t.dims[1];
    const uint64_t n = (uint64_t)qp_st_dtypes[t->t.dtype].bits / 8;
    t->t.dims[0] = cols;
    t->t.dims[1] = rows;
    uint8_t *to = refill(g, t, err);
    if (to == NULL) return QP_NOMEM;
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < cols; c++) memcpy(to + (c * rows + r) * n, from + (r * cols + c) * n, n);
    g->where = t->t.name;
    return QP_OK;
}

// The first rows or columns of a matrix.
static qp_status cut(dmg *g, dmg_tensor *t, uint64_t rows, uint64_t cols, qp_err *err) {
    const uint8_t *from = t->t.data;
    const uint64_t n = (uint64_t)qp_st_dtypes[t->t.dtype].bits / 8, was = t->t.dims[1];
    t->t.dims[0] = rows;
    t->t.dims[1] = cols;
    uint8_t *to = refill(g, t, err);
    if (to == NULL) return QP_NOMEM;
    for (uint64_t r = 0; r < rows; r++) memcpy(to + r * cols * n, from + r * was * n, cols * n);
    return QP_OK;
}

// A padded tail counted by floor.
qp_status dmg_scales_floor(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_block);
    *fits = t != NULL && t->t.dims[1] > 1;
    if (!*fits) return QP_OK;
    g->where = t->t.name;
    return cut(g, t, t->t.dims[0], t->t.dims[1] - 1, err);
}

// ---- codes
// -----------------------------------------------------------------------------------------------------------------------

static bool is_matrix_codes(const dmg *g, const dmg_tensor *t) {
    return t->role == DMG_CODES && t->t.n_dims == 2 && t->t.dims[0] % 2 == 0 &&
           dmg_part(g, t->module, DMG_SCALE) != NULL && !dmg_ends(t->t.name, ".qweight");
}

static bool is_packed_codes(const dmg *g, const dmg_tensor *t) {
    return is_matrix_codes(g, t) && t->t.dtype == QP_ST_U8 && t->t.dims[0] != 2 * t->t.dims[1];
}

// [O, I/2] stored as [O/2, I]: packed along the wrong axis.
qp_status dmg_packed_axis(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_packed_codes);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    t->t.dims[0] /= 2;
    t->t.dims[1] *= 2;
    g->where = t->module;
    return dmg_edit(g, t, err) != NULL ? QP_OK : QP_NOMEM;
}

// The codes of one rank's rows beside the scales of the whole.
qp_status dmg_half_rows(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_matrix_codes);
    const dmg_tensor *s = t != NULL ? dmg_part(g, t->module, DMG_SCALE) : NULL;
    *fits = s != NULL && s->t.n_dims > 0 && s->t.dims[0] > 1; // a scale per tensor fits any rows
    if (!*fits) return QP_OK;
    g->where = t->t.name;
    return cut(g, t, t->t.dims[0] / 2, t->t.dims[1], err);
}

static bool is_row_scaled(const dmg *g, const dmg_tensor *t) {
    const dmg_tensor *s = dmg_part(g, t->module, DMG_SCALE);
    return is_matrix_codes(g, t) && s != NULL && s->t.n_dims == 2 && s->t.dims[0] == t->t.dims[0] &&
           dmg_part(g, t->module, DMG_OTHER) == NULL;
}

// Codes and scales of one rank's rows: consistent in itself.
qp_status dmg_half_linear(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_row_scaled), *s;
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    s = dmg_part(g, t->module, DMG_SCALE);
    g->where = t->module;
    QP_TRY(cut(g, t, t->t.dims[0] / 2, t->t.dims[1], err));
    return cut(g, s, s->t.dims[0] / 2, s->t.dims[1], err);
}
