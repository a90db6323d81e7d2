// SPDX-License-Identifier: Apache-2.0
// Damages: wrong numbers in scales, codes and plain tensors.
#include <string.h>

#include "qp/ref.h"
#include "synth/damage.h"

enum { F32_NAN = 0x7fc00000, F32_INF = 0x7f800000, F32_SIGN = (int)0x80000000u };

static bool leaf_is(const dmg_tensor *t, const char *const *words) {
    for (; *words != NULL; words++)
        if (!strcmp(dmg_leaf(t->module), *words)) return true;
    return false;
}

static bool is_up(const dmg_tensor *t) {
    static const char *const words[] = {"up_proj", "w3", NULL};
    return leaf_is(t, words);
}

static bool is_qkv(const dmg_tensor *t) {
    static const char *const words[] = {"q_proj", "k_proj", "v_proj", "q_a_proj", "kv_a_proj_with_mqa", NULL};
    return leaf_is(t, words);
}

static bool up_global(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_GLOBAL && is_up(t);
}

static bool qkv_global(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_GLOBAL && is_qkv(t);
}

static bool shared_input(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_INPUT && (is_up(t) || is_qkv(t));
}

static uint64_t count(const dmg_tensor *t) {
    return t->t.n_bytes * 8 / (uint64_t)qp_st_dtypes[t->t.dtype].bits;
}

// One number of a drawn tensor becomes f(number).
typedef uint32_t change(uint32_t f32);

static qp_status change_one(dmg *g, dmg_tensor *t, change *f, bool *fits, qp_err *err) {
    *fits = t != NULL && count(t) > 0;
    if (!*fits) return QP_OK;
    const uint64_t i = dmg_draw(g, (uint32_t)count(t), 4);
    uint8_t *bytes = dmg_edit(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    dmg_set(t, bytes, i, f(dmg_get(t, i)));
    g->where = t->t.name;
    return QP_OK;
}

static uint32_t larger(uint32_t v) {
    return ref_mul(v, syn_image(1.5f));
}

static uint32_t to_zero(uint32_t v) {
    (void)v;
    return 0;
}

static uint32_t to_nan(uint32_t v) {
    (void)v;
    return F32_NAN;
}

static uint32_t to_inf(uint32_t v) {
    (void)v;
    return F32_INF;
}

static uint32_t to_negative(uint32_t v) {
    return v | 0x80000000u;
}

static uint32_t to_inverse(uint32_t v) {
    return ref_div(syn_image(1.0f), v);
}

static uint32_t to_sixth(uint32_t v) {
    return ref_div(v, syn_image(6.0f));
}

static uint32_t at_least_one(uint32_t v) {
    return syn_float(v) < 1.0f ? syn_image(1.0f) : v;
}

// ---- shared groups: where is the block that the members stand in
// --------------------------------------------------------------

static qp_status change_member(dmg *g, dmg_takes *takes, bool *fits, qp_err *err) {
    QP_TRY(change_one(g, dmg_pick(g, takes), larger, fits, err));
    return *fits ? dmg_parent(g, g->where, &g->where, err) : QP_OK; // the leaf is the suffix
}

static qp_status up_one(dmg *g, bool fits, qp_err *err) { // "layers.0.mlp.up_proj." -> "layers.0.mlp."
    if (!fits) return QP_OK;
    const char *module;
    QP_TRY(qp_arena_printf(g->arena, &module, err, "%.*s", (int)strlen(g->where) - 1, g->where));
    return dmg_parent(g, module, &g->where, err);
}

qp_status dmg_gate_up_global(dmg *g, bool *fits, qp_err *err) {
    QP_TRY(change_member(g, up_global, fits, err));
    return up_one(g, *fits, err);
}

qp_status dmg_qkv_global(dmg *g, bool *fits, qp_err *err) {
    QP_TRY(change_member(g, qkv_global, fits, err));
    return up_one(g, *fits, err);
}

qp_status dmg_input_unequal(dmg *g, bool *fits, qp_err *err) {
    QP_TRY(change_member(g, shared_input, fits, err));
    return up_one(g, *fits, err);
}

// Every global of one block, so that its members stay equal.
static bool is_global(const dmg *g, const dmg_tensor *t) {
    const dmg_tensor *s = dmg_part(g, t->module, DMG_SCALE);
    return t->role == DMG_GLOBAL && s != NULL && dmg_is_block(s);
}

static qp_status change_block(dmg *g, change *f, bool *fits, qp_err *err) {
    const dmg_tensor *one = dmg_pick(g, is_global);
    *fits = one != NULL;
    if (one == NULL) return QP_OK;
    QP_TRY(dmg_parent(g, one->module, &g->where, err));
    for (int i = 0; i < g->n; i++) {
        dmg_tensor *t = &g->list[i];
        if (!is_global(g, t) || strncmp(t->module, g->where, strlen(g->where)) != 0) continue;
        uint8_t *bytes = dmg_edit(g, t, err);
        if (bytes == NULL) return QP_NOMEM;
        dmg_set(t, bytes, 0, f(dmg_get(t, 0)));
    }
    return QP_OK;
}

qp_status dmg_global_inverted(dmg *g, bool *fits, qp_err *err) {
    return change_block(g, to_inverse, fits, err);
}

static uint32_t next(uint32_t v) {
    return v + 1;
}

qp_status dmg_global_ulp(dmg *g, bool *fits, qp_err *err) {
    return change_block(g, next, fits, err);
}

// ---- scales
// ----------------------------------------------------------------------------------------------------------------------

static bool is_float_scale(const dmg *g, const dmg_tensor *t) { // a byte of E8M0 has no zero, sign or Inf
    return t->role == DMG_SCALE && t->t.dtype != QP_ST_U8 && t->t.dtype != QP_ST_F8_E8M0 &&
           dmg_codes_live(g, t);
}

static bool is_wide_scale(const dmg *g, const dmg_tensor *t) { // E4M3 has no Inf
    return is_float_scale(g, t) && t->t.dtype != QP_ST_F8_E4M3;
}

static bool is_scale(const dmg *g, const dmg_tensor *t) {
    return t->role == DMG_SCALE && dmg_codes_live(g, t);
}

qp_status dmg_scale_zero(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, is_float_scale), to_zero, fits, err);
}

qp_status dmg_scale_negative(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, is_float_scale), to_negative, fits, err);
}

qp_status dmg_scale_inf(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, is_wide_scale), to_inf, fits, err);
}

qp_status dmg_scale_nan(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_scale);
    if (t == NULL || t->t.dtype != QP_ST_U8) return change_one(g, t, to_nan, fits, err);
    uint8_t *bytes = dmg_edit(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    bytes[dmg_draw(g, (uint32_t)t->t.n_bytes, 4)] = 0xff;
    g->where = t->t.name;
    *fits = true;
    return QP_OK;
}

static bool any_global(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_GLOBAL;
}

static bool any_input(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_INPUT;
}

qp_status dmg_global_zero(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, any_global), to_zero, fits, err);
}

qp_status dmg_global_nan(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, any_global), to_nan, fits, err);
}

qp_status dmg_global_inf(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, any_global), to_inf, fits, err);
}

qp_status dmg_global_negative(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, any_global), to_negative, fits, err);
}

qp_status dmg_input_zero(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, any_input), to_zero, fits, err);
}

qp_status dmg_input_nan(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, any_input), to_nan, fits, err);
}

// One step of a scale byte. Wider types take four ulps: an amax divided by a number and multiplied by its
// reciprocal are one ulp apart, and a file may follow either.
qp_status dmg_scale_step(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_scale);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    uint8_t *bytes = dmg_edit(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    const size_t n = (size_t)qp_st_dtypes[t->t.dtype].bits / 8;
    uint8_t *at = bytes + dmg_draw(g, (uint32_t)count(t), 4) * n;
    *at ^= n == 1 ? 1 : 4;
    if (n == 1 && (*at & 0x7f) == 0x7f) *at ^= 3; // 7e became NaN: take 7c
    g->where = t->t.name;
    return QP_OK;
}

static bool is_fp8_tensor(const dmg *g, const dmg_tensor *t) {
    const dmg_tensor *codes = dmg_part(g, t->module, DMG_CODES);
    return is_wide_scale(g, t) && count(t) == 1 && codes->t.dtype == QP_ST_F8_E4M3;
}

// The global of an NVFP4 tensor (amax / 2688) used as the scale of an FP8 one (amax / 448).
qp_status dmg_fp8_sixth(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, is_fp8_tensor), to_sixth, fits, err);
}

static bool is_small_kv(const dmg *g, const dmg_tensor *t) {
    return dmg_is_kv(g, t) && syn_float(dmg_get(t, 0)) < 1.0f;
}

qp_status dmg_kv_clamped(dmg *g, bool *fits, qp_err *err) {
    return change_one(g, dmg_pick(g, is_small_kv), at_least_one, fits, err);
}

static bool up_scale(const dmg *g, const dmg_tensor *t) {
    return dmg_is_block(t) && is_up(t) && dmg_codes_live(g, t);
}

// The first half of a flat list of block scales is not gate's: both get the other's.
qp_status dmg_halves_swapped(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *up = dmg_pick(g, up_scale), *gate;
    const char *parent, *module;
    *fits = up != NULL;
    if (up == NULL) return QP_OK;
    QP_TRY(dmg_parent(g, up->module, &parent, err));
    QP_TRY(qp_arena_printf(g->arena, &module, err, "%s%s", parent,
                           !strcmp(dmg_leaf(up->module), "w3") ? "w1" : "gate_proj"));
    gate = dmg_part(g, module, DMG_SCALE);
    *fits = gate != NULL && gate->t.n_bytes == up->t.n_bytes;
    if (!*fits) return QP_OK;
    const void *data = gate->t.data;
    gate->t.data = up->t.data;
    up->t.data = data;
    g->shards[gate->shard].dirty = g->shards[up->shard].dirty = true;
    g->where = parent;
    return QP_OK;
}

// ---- codes
// -----------------------------------------------------------------------------------------------------------------------

static bool is_codes(const dmg *g, const dmg_tensor *t) {
    return t->role == DMG_CODES && dmg_part(g, t->module, DMG_SCALE) != NULL;
}

// The lowest bit of one code.
qp_status dmg_code_flip(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_codes);
    *fits = t != NULL && t->t.n_bytes > 0;
    if (!*fits) return QP_OK;
    uint8_t *bytes = dmg_edit(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    uint64_t i = dmg_draw(g, (uint32_t)t->t.n_bytes, 4);
    while (t->t.dtype == QP_ST_F8_E4M3 && (bytes[i] & 0x7f) >= 0x7e) i = (i + 1) % t->t.n_bytes;
    bytes[i] ^= 1;
    g->where = t->t.name;
    return QP_OK;
}

static bool is_nibbles(const dmg *g, const dmg_tensor *t) {
    const dmg_tensor *s = dmg_part(g, t->module, DMG_SCALE);
    return t->role == DMG_CODES && t->t.dtype == QP_ST_U8 && s != NULL &&
           t->t.n_bytes % 2 == 0; // MXFP6 has none, but any byte of it changes its codes as well
}

qp_status dmg_nibble_swap(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_nibbles);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    uint8_t *bytes = dmg_edit(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    for (uint64_t i = 0; i < t->t.n_bytes; i++) bytes[i] = (uint8_t)(bytes[i] << 4 | bytes[i] >> 4);
    g->where = t->t.name;
    return QP_OK;
}

static bool is_fp4(const dmg *g, const dmg_tensor *t) {
    const dmg_tensor *s = dmg_part(g, t->module, DMG_SCALE);
    return t->role == DMG_CODES && t->t.dtype == QP_ST_U8 && s != NULL && s->t.dtype == QP_ST_F8_E4M3;
}

// Magnitudes 4 and 6 become 3, in every member of one block.
qp_status dmg_codes_low(dmg *g, bool *fits, qp_err *err) {
    const dmg_tensor *one = dmg_pick(g, is_fp4);
    *fits = one != NULL;
    if (one == NULL) return QP_OK;
    QP_TRY(dmg_parent(g, one->module, &g->where, err));
    for (int i = 0; i < g->n; i++) {
        dmg_tensor *t = &g->list[i];
        if (!is_fp4(g, t) || strncmp(t->module, g->where, strlen(g->where)) != 0) continue;
        uint8_t *bytes = dmg_edit(g, t, err);
        if (bytes == NULL) return QP_NOMEM;
        for (uint64_t k = 0; k < t->t.n_bytes; k++) {
            if ((bytes[k] & 0x07) >= 0x06) bytes[k] = (uint8_t)((bytes[k] & 0xf8) | 0x05);
            if ((bytes[k] & 0x70) >= 0x60) bytes[k] = (uint8_t)((bytes[k] & 0x8f) | 0x50);
        }
    }
    return QP_OK;
}

// An expert that no calibration touched: all codes and block scales zero.
qp_status dmg_zero_linear(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_fp4);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    dmg_tensor *s = dmg_part(g, t->module, DMG_SCALE);
    uint8_t *codes = dmg_edit(g, t, err), *scales = dmg_edit(g, s, err);
    if (codes == NULL || scales == NULL) return QP_NOMEM;
    memset(codes, 0, t->t.n_bytes);
    memset(scales, 0, s->t.n_bytes);
    g->where = t->module;
    return QP_OK;
}

// What the exporter made of an all-zero weight: 0 / 0.
qp_status dmg_all_ff(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_fp4);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    dmg_tensor *s = dmg_part(g, t->module, DMG_SCALE), *global = dmg_part(g, t->module, DMG_GLOBAL);
    *fits = global != NULL;
    if (global == NULL) return QP_OK;
    uint8_t *codes = dmg_edit(g, t, err), *scales = dmg_edit(g, s, err), *g2 = dmg_edit(g, global, err);
    if (codes == NULL || scales == NULL || g2 == NULL) return QP_NOMEM;
    memset(codes, 0x77, t->t.n_bytes);
    memset(scales, 0xff, s->t.n_bytes);
    memset(g2, 0, global->t.n_bytes);
    g->where = t->module;
    return QP_OK;
}

static bool is_plain_matrix(const dmg *g, const dmg_tensor *t) {
    (void)g;
    return t->role == DMG_PLAIN && t->t.dtype == QP_ST_BF16 && t->t.n_dims == 2;
}

qp_status dmg_plain_bit(dmg *g, bool *fits, qp_err *err) {
    dmg_tensor *t = dmg_pick(g, is_plain_matrix);
    *fits = t != NULL;
    if (t == NULL) return QP_OK;
    uint8_t *bytes = dmg_edit(g, t, err);
    if (bytes == NULL) return QP_NOMEM;
    bytes[2 * dmg_draw(g, (uint32_t)count(t), 4)] ^= 1;
    g->where = t->t.name;
    return QP_OK;
}
