// SPDX-License-Identifier: Apache-2.0
// Types and shapes by pack and spread (shapes spec 2.1 to 2.6).
#include "checkpoint/shape.h"

#include <string.h>

#include "checkpoint/names.h"

#define TYPE(t) (1u << QP_ST_##t)
#define REAL (TYPE(BF16) | TYPE(F16) | TYPE(F32))

static int64_t up(int64_t n, int64_t to) {
    return n / to + (n % to != 0);
}

static bool in_words(const qp_ck_scheme *s) {
    return s->pack == QP_CK_WORDS || s->pack == QP_CK_WORDS_OUT || s->pack == QP_CK_WORDS_IN;
}

// ---- which tensors
// ------------------------------------------------------------------------------------------------------

static qp_ck_need need_if(bool wanted) {
    return wanted ? QP_CK_MUST : QP_CK_NEVER;
}

qp_ck_need qp_ck_needs(const qp_ck_scheme *s, qp_ck_role role, bool linear) {
    const bool words = in_words(s);
    switch (role) {
    case QP_CK_WEIGHT:
    case QP_CK_SCALE:
        return QP_CK_MUST;
    case QP_CK_GLOBAL:
        return need_if(s->global != QP_CK_NO_GLOBAL);
    case QP_CK_INPUT: // a quantized embedding has no input to scale (2.2, NVFP4_FP8_MHA)
        return s->input != QP_CK_INPUT_STATIC ? QP_CK_NEVER : linear ? QP_CK_MUST : QP_CK_MAY;
    case QP_CK_ZERO: // symmetric: some releases write the constant ones
        if (s->dialect != QP_CK_COMPRESSED_TENSORS) return words ? QP_CK_MUST : QP_CK_NEVER;
        if (s->global != QP_CK_NO_GLOBAL || s->element == QP_ELEM_E2M1) return QP_CK_NEVER;
        return s->symmetric ? QP_CK_MAY : QP_CK_MUST;
    case QP_CK_INPUT_ZERO:
        return s->dialect == QP_CK_COMPRESSED_TENSORS && s->input == QP_CK_INPUT_STATIC ? QP_CK_MAY
                                                                                        : QP_CK_NEVER;
    case QP_CK_G_IDX: // compressed-tensors writes it where groups are out of order, and only there
        if (s->act_order) return QP_CK_MUST;
        return words ? QP_CK_MAY : QP_CK_NEVER;
    case QP_CK_WEIGHT_SHAPE:
        return need_if(s->pack == QP_CK_WORDS);
    case QP_CK_PRE_QUANT: // only where it could not be folded into a norm (2.1)
        return s->pre_quant ? QP_CK_MAY : QP_CK_NEVER;
    case QP_CK_LORA_A:
    case QP_CK_LORA_B:
        return need_if(s->lora);
    default: // biases; scales of the KV cache have a rule of their own
        return QP_CK_MAY;
    }
}

unsigned qp_ck_wanted_types(const qp_ck_scheme *s, qp_ck_role role) {
    const bool bf16_scales = s->dialect == QP_CK_COMPRESSED_TENSORS || s->dialect == QP_CK_FP8;
    switch (role) {
    case QP_CK_WEIGHT:
        return s->weight_types;
    case QP_CK_SCALE:
        return s->scale_types;
    case QP_CK_GLOBAL: // BF16 ones are a known defect (2.9, o_proj)
        return TYPE(F32);
    case QP_CK_INPUT: // of the model's type in float- and int-quantized (2.1)
        return bf16_scales && s->global == QP_CK_NO_GLOBAL ? REAL : TYPE(F32);
    case QP_CK_ZERO:
        return in_words(s) ? TYPE(I32) : TYPE(I8) | TYPE(I32) | TYPE(F8_E4M3);
    case QP_CK_INPUT_ZERO:
        return TYPE(I8) | TYPE(I32) | TYPE(F8_E4M3) | REAL;
    case QP_CK_G_IDX:
        return TYPE(I32);
    case QP_CK_WEIGHT_SHAPE:
        return TYPE(I64) | TYPE(I32);
    case QP_CK_K_SCALE:
    case QP_CK_V_SCALE:
        return s->dialect == QP_CK_COMPRESSED_TENSORS ? REAL : TYPE(F32);
    case QP_CK_PRE_QUANT:
    case QP_CK_LORA_A:
    case QP_CK_LORA_B:
    case QP_CK_BIAS:
        return REAL;
    default:
        return 0;
    }
}

bool qp_ck_type_fits(const qp_ck_scheme *s, qp_ck_role role, const qp_ck_tensor *t) {
    const unsigned types = qp_ck_wanted_types(s, role);
    return types == 0 || (types >> t->dtype & 1) != 0;
}

// ---- which shape
// --------------------------------------------------------------------------------------------------------

typedef struct shape {
    uint64_t *dims;
    uint32_t n;
} shape;

static void add(shape *s, int64_t d) {
    s->dims[s->n++] = (uint64_t)d;
}

static bool weight_shape(const qp_ck_scheme *s, qp_ck_size z, shape *w) {
    const int64_t b = s->bits;
    switch (s->pack) {
    case QP_CK_BYTES:
        add(w, s->spread == QP_CK_TILE_3D ? z.in : z.out);
        add(w, s->spread == QP_CK_TILE_3D ? z.out : z.in);
        return true;
    case QP_CK_PAIRS:
        add(w, z.out);
        add(w, up(z.in, 2));
        return true;
    case QP_CK_ROW_PAIRS:
        add(w, up(z.out, 2));
        add(w, z.in);
        return true;
    case QP_CK_IN_PAIRS:
        add(w, up(z.in, 2));
        add(w, z.out);
        return true;
    case QP_CK_SIX:
        add(w, z.out);
        add(w, up(z.in * 6, 8));
        return true;
    case QP_CK_WORDS:
        add(w, z.out);
        add(w, up(z.in * b, 32));
        return true;
    case QP_CK_WORDS_OUT:
        add(w, z.in);
        add(w, up(z.out * b, 32));
        return true;
    case QP_CK_WORDS_IN:
        add(w, up(z.in * b, 32));
        add(w, z.out);
        return true;
    case QP_CK_BLOCKS:
        add(w, z.out);
        add(w, up(z.in, 32));
        add(w, 16);
        return true;
    }
    return false;
}

static int64_t groups(const qp_ck_scheme *s, int64_t in) {
    return s->group_size > 0 ? up(in, s->group_size) : 1;
}

enum { TILE = 128 };

static bool scale_shape(const qp_ck_scheme *s, qp_ck_size z, shape *w) {
    const int64_t rows = up(z.out, TILE), cols = up(z.in, TILE);
    switch (s->spread) {
    case QP_CK_ONE:
        return true;
    case QP_CK_ROW:
        add(w, z.out);
        if (s->dialect == QP_CK_COMPRESSED_TENSORS) add(w, 1);
        return true;
    case QP_CK_GROUP:
        add(w, z.out);
        add(w, groups(s, z.in));
        return true;
    case QP_CK_TILE:
        add(w, rows);
        add(w, cols);
        return true;
    case QP_CK_TILE_4D:
    case QP_CK_TILE_3D:
        if (s->spread == QP_CK_TILE_4D && z.stack == 1 && rows == 1 && cols == 1) return true; // collapses
        add(w, rows);
        add(w, 1);
        add(w, cols);
        add(w, 1);
        return true;
    case QP_CK_GROUP_T:
        add(w, groups(s, z.in));
        add(w, z.out);
        return true;
    }
    return false;
}

static bool zero_shape(const qp_ck_scheme *s, qp_ck_size z, shape *w) {
    switch (s->pack) {
    case QP_CK_WORDS: // packed along out (2.1)
        add(w, up(z.out * s->bits, 32));
        add(w, s->spread == QP_CK_GROUP ? groups(s, z.in) : 1);
        return true;
    case QP_CK_WORDS_OUT:
    case QP_CK_WORDS_IN:
        add(w, groups(s, z.in));
        add(w, up(z.out * s->bits, 32));
        return true;
    default:
        return scale_shape(s, z, w);
    }
}

bool qp_ck_wanted_shape(const qp_ck_scheme *s, qp_ck_role role, int64_t stack, int64_t out, int64_t in,
                        uint64_t *dims, uint32_t *n_dims) {
    const qp_ck_size z = {stack, out, in};
    const bool stacks =
        role == QP_CK_WEIGHT || role == QP_CK_SCALE || role == QP_CK_ZERO || role == QP_CK_BIAS;
    const bool always = s->pack == QP_CK_IN_PAIRS || s->pack == QP_CK_BLOCKS || s->spread == QP_CK_TILE_3D;
    const bool one = s->spread == QP_CK_ONE && (role == QP_CK_SCALE || role == QP_CK_ZERO);
    shape w = {dims, 0};
    bool known = true;
    if (stacks && !one && (stack > 1 || always)) add(&w, stack);
    switch (role) {
    case QP_CK_WEIGHT:
        known = weight_shape(s, z, &w);
        break;
    case QP_CK_SCALE:
        known = scale_shape(s, z, &w);
        break;
    case QP_CK_ZERO:
        known = zero_shape(s, z, &w);
        break;
    case QP_CK_GLOBAL: // compressed-tensors [1], the others [] (2.3); both are taken
    case QP_CK_INPUT:
        if (s->dialect == QP_CK_COMPRESSED_TENSORS) add(&w, 1);
        break;
    case QP_CK_INPUT_ZERO:
    case QP_CK_K_SCALE:
    case QP_CK_V_SCALE:
        break;
    case QP_CK_G_IDX:
    case QP_CK_PRE_QUANT:
        add(&w, in);
        break;
    case QP_CK_WEIGHT_SHAPE:
        add(&w, 2);
        break;
    case QP_CK_BIAS:
        add(&w, out);
        break;
    default:
        known = false;
    }
    *n_dims = w.n;
    return known;
}

// ---- what else is the same
// --------------------------------------------------------------------------------------------------

static bool same(const uint64_t *a, uint32_t n_a, const uint64_t *b, uint32_t n_b) {
    return n_a == n_b && memcmp(a, b, sizeof *a * n_a) == 0;
}

static uint32_t without_tail(const uint64_t *dims, uint32_t n) {
    while (n > 0 && dims[n - 1] == 1) n--;
    return n;
}

// [], [1], and one per expert of a stack.
static bool is_scalar(const qp_ck_tensor *t, const uint64_t *dims, int64_t stack) {
    if (t->n_dims <= 1 && t->n_elems == 1) return true;
    return stack > 1 && t->n_elems == (uint64_t)stack && dims[0] == (uint64_t)stack;
}

bool qp_ck_shape_fits(const qp_ck_scheme *s, qp_ck_role role, qp_ck_size z, const qp_ck_tensor *t) {
    uint64_t wanted[QP_CK_DIMS + 1], got[QP_CK_DIMS + 1];
    uint32_t n;
    if (role == QP_CK_LORA_A) return t->n_dims == 2 && t->dims[1] == (uint64_t)z.in;
    if (role == QP_CK_LORA_B) return t->n_dims == 2 && t->dims[0] == (uint64_t)z.out;
    if (!qp_ck_wanted_shape(s, role, z.stack, z.out, z.in, wanted, &n)) return true;
    if (t->n_dims > QP_CK_DIMS + 1) return false;
    const uint32_t n_got = qp_st_entry_dims(t->entry, got, QP_CK_DIMS + 1);
    if (same(wanted, n, got, n_got)) return true;
    switch (role) {
    case QP_CK_GLOBAL:
    case QP_CK_INPUT:
    case QP_CK_INPUT_ZERO:
        return is_scalar(t, got, z.stack);
    case QP_CK_SCALE:
    case QP_CK_ZERO:
        if (s->pack == QP_CK_WORDS && role == QP_CK_ZERO) break;
        if (s->spread == QP_CK_ONE) return is_scalar(t, got, z.stack);
        if (s->spread == QP_CK_ROW)
            return n_got > 0 && same(wanted, without_tail(wanted, n), got, without_tail(got, n_got));
        if (s->spread == QP_CK_TILE_4D && n == 0) return t->n_elems == 1; // not collapsed
        break;
    case QP_CK_WEIGHT_SHAPE: // of a stack: three numbers
        return t->n_dims == 1 && t->n_elems == 3 && z.stack > 1;
    case QP_CK_BIAS: // codes of a stack may lie turned where their scheme does not say so
        return z.stack > 1 && n_got == 2 && got[0] == (uint64_t)z.stack && got[1] == (uint64_t)z.in;
    default:
        break;
    }
    return z.stack == 1 && n_got == n + 1 && got[0] == 1 && same(wanted, n, got + 1, n_got - 1);
}

// ---- sizes
// ------------------------------------------------------------------------------------------------------------------

// The numbers of weight_shape: out and in.
static bool said_shape(const qp_ck_tensor *t, int64_t said[2]) {
    if (t == NULL || t->n_elems < 2 || t->n_elems > 3) return false;
    for (uint64_t i = 0; i < 2; i++) {
        const uint64_t at = t->n_elems - 2 + i;
        int32_t word;
        if (t->dtype == QP_ST_I64)
            memcpy(&said[i], t->data + 8 * at, sizeof said[i]);
        else if (t->dtype == QP_ST_I32)
            memcpy(&word, t->data + 4 * at, sizeof word), said[i] = word;
        else
            return false;
    }
    return true;
}

// Columns of a stream of b-bit codes in n words: as said, else as many as the groups want, else all that fit.
static int64_t stream_columns(const qp_ck_scheme *s, const qp_ck_module *m, int64_t words, int64_t rows) {
    const qp_ck_tensor *scale = m->part[QP_CK_SCALE];
    const int64_t all = words * 32 / s->bits;
    int64_t said[2];
    if (said_shape(m->part[QP_CK_WEIGHT_SHAPE], said) && said[0] == rows && said[1] > 0 && said[1] <= all &&
        up(said[1] * s->bits, 32) == words)
        return said[1];
    if (s->group_size > 0 && scale != NULL && scale->n_dims >= 2) {
        const uint64_t n =
            s->spread == QP_CK_GROUP_T ? scale->dims[scale->n_dims - 2] : scale->dims[scale->n_dims - 1];
        const int64_t in = n <= (uint64_t)all ? (int64_t)n * s->group_size : 0;
        if (in > 0 && in <= all && up(in * s->bits, 32) == words) return in;
    }
    return all;
}

static int64_t indexed_columns(const qp_ck_scheme *s, const qp_ck_module *m, int64_t words) {
    const qp_ck_tensor *g = m->part[QP_CK_G_IDX];
    if (g != NULL && g->n_dims == 1 && g->dims[0] < (uint64_t)words * 32 &&
        up((int64_t)g->dims[0] * s->bits, 32) == words)
        return (int64_t)g->dims[0];
    return stream_columns(s, m, words, -1);
}

bool qp_ck_size_of(const qp_ck_scheme *s, const qp_ck_module *m, qp_ck_size *out) {
    const qp_ck_tensor *w = m->part[QP_CK_WEIGHT];
    const uint32_t base = s->pack == QP_CK_BLOCKS ? 3 : 2;
    const bool always = s->pack == QP_CK_IN_PAIRS || s->pack == QP_CK_BLOCKS || s->spread == QP_CK_TILE_3D;
    if (w == NULL || w->n_bytes == 0 || w->n_dims < base + always || w->n_dims > base + 1) return false;
    const uint64_t *d = w->dims + (w->n_dims - base);
    const int64_t rows = (int64_t)d[0], cols = (int64_t)d[1]; // below 2^63: the bytes are there
    *out = (qp_ck_size){w->n_dims > base ? (int64_t)w->dims[0] : 1, rows, cols};
    switch (s->pack) {
    case QP_CK_BYTES:
        if (s->spread == QP_CK_TILE_3D) *out = (qp_ck_size){out->stack, cols, rows};
        return true;
    case QP_CK_PAIRS:
        out->in = 2 * cols;
        return true;
    case QP_CK_ROW_PAIRS:
        out->out = 2 * rows;
        return true;
    case QP_CK_IN_PAIRS:
        *out = (qp_ck_size){out->stack, cols, 2 * rows};
        return true;
    case QP_CK_SIX:
        out->in = cols / 3 * 4;
        return cols % 3 == 0;
    case QP_CK_WORDS:
        out->in = s->bits > 0 ? stream_columns(s, m, cols, rows) : 0;
        return out->in > 0;
    case QP_CK_WORDS_OUT:
        *out = (qp_ck_size){out->stack, s->bits > 0 ? cols * 32 / s->bits : 0, rows};
        return out->out > 0;
    case QP_CK_WORDS_IN:
        *out = (qp_ck_size){out->stack, cols, s->bits > 0 ? indexed_columns(s, m, rows) : 0};
        return out->in > 0;
    case QP_CK_BLOCKS:
        out->in = 32 * cols;
        return d[2] == 16;
    }
    return false;
}

bool qp_ck_size_by_scale(const qp_ck_scheme *s, const qp_ck_module *m, qp_ck_size *out) {
    const qp_ck_tensor *t = m->part[QP_CK_SCALE];
    if (t == NULL || t->n_dims < 2 || t->n_bytes == 0 || s->group_size <= 0) return false;
    const int64_t a = (int64_t)t->dims[t->n_dims - 2], b = (int64_t)t->dims[t->n_dims - 1];
    const int64_t stack = t->n_dims == 3 ? (int64_t)t->dims[0] : 1;
    if (s->spread == QP_CK_GROUP)
        *out = (qp_ck_size){stack, a, b * s->group_size};
    else if (s->spread == QP_CK_GROUP_T)
        *out = (qp_ck_size){stack, b, a * s->group_size};
    else
        return false;
    return t->n_dims <= 3;
}

// ---- one tensor
// ---------------------------------------------------------------------------------------------------------------

static bool word_fits(const qp_ck_scheme *s, const qp_ck_tensor *t) {
    qp_ck_name name;
    if (!qp_ck_name_split(t->name, t->n_name, t->n_dims, &name) || name.suffix == NULL) return true;
    return (name.suffix->dialects >> s->dialect & 1) != 0;
}

qp_ck_fit qp_ck_part_fit(const qp_ck_scheme *s, const qp_ck_module *m, qp_ck_role role, qp_ck_size z) {
    const qp_ck_tensor *t = m->part[role];
    const qp_ck_need need = qp_ck_needs(s, role, m->linear);
    int64_t said[2];
    if (t == NULL) return need == QP_CK_MUST ? QP_CK_ABSENT : QP_CK_FITS;
    if (need == QP_CK_NEVER || !word_fits(s, t)) return QP_CK_UNWANTED;
    if (role == QP_CK_K_SCALE || role == QP_CK_V_SCALE) return QP_CK_FITS; // kv-scale looks at those
    if (!qp_ck_type_fits(s, role, t)) return QP_CK_WRONG_TYPE;
    if (z.out <= 0 || z.in <= 0) return role == QP_CK_WEIGHT ? QP_CK_WRONG_SHAPE : QP_CK_FITS;
    if (!qp_ck_shape_fits(s, role, z, t)) return QP_CK_WRONG_SHAPE;
    const qp_ck_tensor *lora = m->part[QP_CK_LORA_A]; // of one rank
    if (role == QP_CK_LORA_B && lora != NULL && lora->dims[0] != t->dims[1]) return QP_CK_WRONG_SHAPE;
    if (role == QP_CK_WEIGHT_SHAPE && (!said_shape(t, said) || said[0] != z.out || said[1] != z.in))
        return QP_CK_WRONG_SHAPE;
    return QP_CK_FITS;
}

// ---- in words
// -----------------------------------------------------------------------------------------------------------------

static uint64_t round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

static bool is_padded(const uint64_t *w, const uint64_t *g, uint32_t n, uint32_t n_got, uint64_t n_elems) {
    if (n < 2) return false;
    const uint64_t rows = round_up(w[n - 2], 128), cols = round_up(w[n - 1], 4);
    if (rows == w[n - 2] && cols == w[n - 1]) return false;
    if (n_got == 1) return n_elems == rows * cols; // as a flat buffer
    return n_got == n && (g[n - 2] == rows || g[n - 2] == w[n - 2]) && g[n - 1] == cols;
}

static bool is_part(uint64_t wanted, uint64_t got) {
    return got > 0 && (wanted == 2 * got || wanted == 4 * got || wanted == 8 * got);
}

const char *qp_ck_shape_kind(const uint64_t *w, uint32_t n, const qp_ck_tensor *t, bool weight) {
    uint64_t g[QP_CK_DIMS + 1] = {0};
    const uint32_t n_got = qp_st_entry_dims(t->entry, g, QP_CK_DIMS + 1);
    if (n_got > QP_CK_DIMS + 1) return "";
    if (is_padded(w, g, n, n_got, t->n_elems))
        return ": padded to 128 rows and 4 columns, the swizzled layout of a kernel";
    if (n < 2 || n_got != n) {
        const uint64_t all = n >= 1 ? w[0] * (n >= 2 ? w[1] : 1) * (n >= 3 ? w[2] : 1) : 1;
        return t->n_elems == all ? ": the elements without their dimensions" : "";
    }
    const uint64_t wr = w[n - 2], wc = w[n - 1], gr = g[n - 2], gc = g[n - 1];
    if (wr == gc && wc == gr) return ": transposed";
    if (weight && gr * gc == wr * wc && (gr == 2 * wr || wr == 2 * gr || gr == 8 * wr || wr == 8 * gr))
        return ": packed along the wrong axis";
    if ((gr == wr && gc + 1 == wc) || (gc == wc && gr + 1 == wr)) return ": the last part of a block is lost";
    if (gc == wc && is_part(wr, gr)) return ": some of the rows, as one rank holds them";
    if (gr == wr && is_part(wc, gc)) return ": some of the columns, as one rank holds them";
    if (gr * gc == wr * wc) return ": as many elements in another shape";
    return "";
}
