// SPDX-License-Identifier: Apache-2.0
// Texts of an eval case -> typed values, counts against the shape, answers compared as bits.
#include "cmd/eval.h"

#include "core/text.h"
#include "qp/refcalib.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- looking at a case
// -------------------------------------------------------------------------------------------------------

const eval_value *eval_get(const eval_case *c, const char *name) {
    int k = eval_key_index(c->row, name);
    return k >= 0 ? &c->values[k] : NULL;
}

bool eval_given(const eval_case *c, const char *name) {
    const eval_value *v = eval_get(c, name);
    return v != NULL && v->text != NULL;
}

// E4M3 bytes have two NaN, whose sign is the processor's: they are compared as one.
static qp_dtype bytes_of(const eval_case *c, const eval_key *key) {
    const qp_format_row *f = qp_format_get(c->format);
    if (f == NULL) return QP_U8;
    if (f->element == QP_ELEM_E4M3 && strcmp(key->name, "codes") == 0) return QP_E4M3;
    return f->scale == QP_SCALE_E4M3 && strcmp(key->name, "scales") == 0 ? QP_E4M3 : QP_U8;
}

qp_dtype eval_array_dtype(const eval_case *c, const eval_key *key) {
    switch (key->type) {
    case EVAL_T:
        return c->in;
    case EVAL_O:
        return c->out;
    case EVAL_S:
        return ref_scale_dtype(c->format, c->engine, c->in);
    case EVAL_F32:
        return QP_FP32;
    case EVAL_DEC:
        return QP_I32;
    default:
        return bytes_of(c, key);
    }
}

qp_status eval_array_new(qp_dtype dtype, int64_t n, qp_arena *a, eval_array *out, qp_err *err) {
    *out = (eval_array){.dtype = dtype, .n = n};
    return qp_arena_get(a, (size_t)(n > 0 ? n : 1) * qp_dtype_bytes(dtype), &out->data, err);
}

static bool is_nan(qp_dtype t, uint32_t bits) {
    if (t == QP_E4M3) return (bits & 0x7f) == 0x7f;
    if (t == QP_BF16) return (bits & 0x7fff) > 0x7f80;
    if (t == QP_FP16) return (bits & 0x7fff) > 0x7c00;
    return t == QP_FP32 && (bits & 0x7fffffff) > 0x7f800000;
}

uint32_t eval_array_bits(const eval_array *a, int64_t i) {
    uint32_t bits = 0;
    if (qp_dtype_bytes(a->dtype) == 4) bits = ((const uint32_t *)a->data)[i];
    if (qp_dtype_bytes(a->dtype) == 2) bits = ((const uint16_t *)a->data)[i];
    if (qp_dtype_bytes(a->dtype) == 1) bits = ((const uint8_t *)a->data)[i];
    if (!is_nan(a->dtype, bits)) return bits;
    return ref_from_f32(a->dtype, 0x7fc00000);
}

bool eval_same_bits(qp_dtype t, uint32_t a, uint32_t b) {
    return a == b || (is_nan(t, a) && is_nan(t, b));
}

// Sums of losses depend on their order (numerics 8): the golden vectors' README allows 1e-5 relative.
bool eval_near_bits(uint32_t want, uint32_t got) {
    float w, g;
    memcpy(&w, &want, sizeof w);
    memcpy(&g, &got, sizeof g);
    return eval_same_bits(QP_FP32, want, got) || fabs((double)w - (double)g) <= 1e-5 * fabs((double)w);
}

// ---- counts
// ------------------------------------------------------------------------------------------------------------------

int64_t eval_n_blocks(const eval_case *c) {
    int64_t across = (c->cols + c->block_cols - 1) / c->block_cols;
    return (c->rows + c->block_rows - 1) / c->block_rows * across;
}

static int64_t count_one(const eval_case *c) {
    (void)c;
    return 1;
}

static int64_t count_all(const eval_case *c) {
    return c->rows * c->cols;
}

static int64_t count_rows(const eval_case *c) {
    return c->rows;
}

static int64_t count_halves(const eval_case *c) {
    const qp_format_row *f = qp_format_get(c->format);
    if (f != NULL && f->nibbles == QP_NIBBLES_ROW_PAIRS) return (c->rows + 1) / 2 * c->cols;
    return c->rows * ((c->cols + 1) / 2);
}

static int64_t count_amax(const eval_case *c) {
    const eval_value *axis = eval_get(c, "axis");
    if (eval_given(c, "block")) return eval_n_blocks(c);
    return axis->text != NULL && axis->number == 1 ? c->rows : 1;
}

static int64_t count_candidates(const eval_case *c) {
    (void)c;
    return REF_MSE_CANDIDATES;
}

static int64_t count_row_candidates(const eval_case *c) {
    return c->rows * REF_MSE_CANDIDATES;
}

static int64_t count_bins(const eval_case *c) {
    return eval_get(c, "bins")->number;
}

static int64_t count_edges(const eval_case *c) {
    return eval_get(c, "bins")->number + 1;
}

// A histogram says by itself how long it is: its edges are one more.
static int64_t count_own(const eval_case *c) {
    (void)c;
    return -1;
}

static int64_t count_own_edges(const eval_case *c) {
    return eval_given(c, "counts") ? eval_get(c, "counts")->array.n + 1 : -1;
}

// candidates: the number n of the line; cast-amax: as many as there are scales.
static int64_t count_n(const eval_case *c) {
    const eval_value *n = eval_get(c, "n");
    return n != NULL ? n->number : eval_get(c, "scales")->array.n;
}

static int64_t count_2n(const eval_case *c) {
    return 2 * count_n(c);
}

static int64_t count_16n(const eval_case *c) {
    return 16 * count_n(c);
}

static int64_t count_tiles(const eval_case *c) {
    return ref_swizzled_bytes(c->rows, c->cols);
}

typedef struct count_rule {
    const char *text;
    int64_t (*count)(const eval_case *c);
} count_rule;

static const count_rule count_rules[] = {
    {"", count_one},          {"N", count_all},
    {"R", count_rows},        {"nb", eval_n_blocks},
    {"N/2", count_halves},    {"1, R or nb", count_amax},
    {"39", count_candidates}, {"R*39", count_row_candidates},
    {"bins", count_bins},     {"bins+1", count_edges},
    {"any", count_own},       {"k", count_own},
    {"k+1", count_own_edges}, {"n", count_n},
    {"2n", count_2n},         {"16n", count_16n},
    {"R*C", count_all},       {"padded R*C", count_tiles},
};

bool eval_count_known(const char *count) {
    for (int i = 0; i < QP_COUNT(count_rules); i++)
        if (strcmp(count_rules[i].text, count) == 0) return true;
    return false;
}

int64_t eval_wanted_count(const eval_case *c, const eval_key *key) {
    for (int i = 0; i < QP_COUNT(count_rules); i++)
        if (strcmp(count_rules[i].text, key->count) == 0) return count_rules[i].count(c);
    return -1;
}

// ---- single values
// -------------------------------------------------------------------------------------------------------------

static qp_status convert_word(const eval_case *c, const eval_key *k, eval_value *v, qp_arena *a,
                              qp_err *err) {
    const char *text = v->text != NULL ? v->text : k->dflt;
    qp_text have = {.arena = a};
    v->number = -1;
    for (int i = 0; k->words[i] != NULL; i++) {
        if (strcmp(k->words[i], text) == 0) v->number = i;
        QP_TRY(qp_text_add(&have, err, "%s%s", i > 0 ? " " : "", k->words[i]));
    }
    if (v->number >= 0) return QP_OK;
    return eval_refuse(c, v->column, err, "%s: wanted one of %s, got '%.60s'", k->name, have.s, text);
}

static qp_status convert_number(const eval_case *c, const eval_key *k, eval_value *v, qp_err *err) {
    const char *text = v->text != NULL ? v->text : k->dflt;
    if (text[0] == '\0') return QP_OK;
    if (strspn(text, "0123456789") == strlen(text) && qp_parse_i64(text, &v->number) &&
        v->number <= INT32_MAX)
        return QP_OK;
    return eval_refuse(c, v->column, err, "%s: wanted a decimal number 0..2147483647, got '%.60s'", k->name,
                       text);
}

// Digits, and a point with more digits.
static qp_status convert_fraction(const eval_case *c, const eval_key *k, eval_value *v, qp_err *err) {
    const char *text = v->text != NULL ? v->text : k->dflt;
    const size_t whole = strspn(text, "0123456789"), point = text[whole] == '.';
    const size_t part = point ? strspn(text + whole + 1, "0123456789") : 0;
    v->fraction = strtod(text, NULL);
    if (whole > 0 && part >= point && whole + point + part == strlen(text) && isfinite(v->fraction))
        return QP_OK;
    return eval_refuse(c, v->column, err, "%s: wanted a decimal fraction, got '%.60s'", k->name, text);
}

static qp_status convert_pair(const eval_case *c, const eval_key *k, const eval_value *v, qp_arena *a,
                              int64_t *first, int64_t *second, qp_err *err) {
    const char *text = v->text != NULL ? v->text : k->dflt, *by = strchr(text, 'x'), *front = NULL;
    QP_TRY(qp_arena_printf(a, &front, err, "%.*s", (int)(by != NULL ? by - text : 0), text));
    if (by != NULL && strspn(front, "0123456789") == strlen(front) &&
        strspn(by + 1, "0123456789") == strlen(by + 1) && qp_parse_i64(front, first) &&
        qp_parse_i64(by + 1, second) && *first >= 1 && *second >= 1 && *first <= INT32_MAX &&
        *second <= INT32_MAX)
        return QP_OK;
    return eval_refuse(c, v->column, err, "%s: wanted RxC, each 1..2147483647, got '%.60s'", k->name, text);
}

// ---- arrays
// ---------------------------------------------------------------------------------------------------------------------

// The item after the one that ends at p: past one comma, or past a run of spaces (plain words). NULL: there
// is none.
static const char *next_item(const char *p) {
    if (*p == ',') return p + 1;
    p += strspn(p, " ");
    return *p != '\0' ? p : NULL;
}

static int64_t count_items(const char *text) {
    int64_t n = 0;
    for (const char *p = text; p != NULL; p = next_item(p + strcspn(p, ", "))) n++;
    return n;
}

static int hex_digit(char ch) {
    if (ch >= '0' && ch <= '9') return ch - '0';
    if (ch >= 'a' && ch <= 'f') return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F') return ch - 'A' + 10;
    return -1;
}

static void put(const eval_array *a, int64_t i, uint32_t bits) {
    if (qp_dtype_bytes(a->dtype) == 4) ((uint32_t *)a->data)[i] = bits;
    if (qp_dtype_bytes(a->dtype) == 2) ((uint16_t *)a->data)[i] = (uint16_t)bits;
    if (qp_dtype_bytes(a->dtype) == 1) ((uint8_t *)a->data)[i] = (uint8_t)bits;
}

// How many digits of p are an item of type t; 0: p is none.
static int take_hex(qp_dtype t, const char *p, uint32_t *bits) {
    int digits = 2 * (int)qp_dtype_bytes(t), n = 0;
    *bits = 0;
    for (; n < digits && hex_digit(p[n]) >= 0; n++) *bits = *bits << 4 | (uint32_t)hex_digit(p[n]);
    return n == digits && strchr(", ", p[n]) != NULL ? n : 0;
}

static int take_decimal(const char *p, uint32_t *bits) {
    uint64_t value = 0;
    int n = 0;
    for (; p[n] >= '0' && p[n] <= '9' && value <= INT32_MAX; n++) value = 10 * value + (uint64_t)(p[n] - '0');
    *bits = (uint32_t)value;
    return n > 0 && value <= INT32_MAX && strchr(", ", p[n]) != NULL ? n : 0;
}

static qp_status convert_array(const eval_case *c, const eval_key *k, eval_value *v, qp_arena *a,
                               qp_err *err) {
    qp_dtype t = eval_array_dtype(c, k);
    QP_TRY(eval_array_new(t, count_items(v->text), a, &v->array, err));
    const char *p = v->text, *wanted = NULL;
    for (int64_t i = 0; i < v->array.n; i++) {
        uint32_t bits = 0;
        int n = t == QP_I32 ? take_decimal(p, &bits) : take_hex(t, p, &bits);
        if (n == 0) {
            size_t column = v->column > 0 ? v->column + (size_t)(p - v->text) : 0;
            int len = (int)strcspn(p, ", ");
            QP_TRY(qp_arena_printf(a, &wanted, err, "%d hex digits (%s)", 2 * (int)qp_dtype_bytes(t),
                                   qp_dtype_name(t)));
            return eval_refuse(c, column, err, "%s[%lld]: wanted %s, got '%.*s'", k->name, (long long)i,
                               t == QP_I32 ? "a decimal number 0..2147483647" : wanted, len < 40 ? len : 40,
                               p);
        }
        put(&v->array, i, bits);
        p = next_item(p + n);
    }
    return QP_OK;
}

static bool is_array(const eval_key *k) {
    return k->type == EVAL_T || k->type == EVAL_O || k->type == EVAL_S || k->type == EVAL_F32 ||
           k->type == EVAL_U8 || (k->type == EVAL_DEC && (k->answer || k->count[0] != '\0'));
}

static qp_status check_count(const eval_case *c, const eval_key *k, const eval_value *v, qp_err *err) {
    int64_t want = eval_wanted_count(c, k);
    if (want < 0 || v->array.n == want) return QP_OK;
    return eval_refuse(c, v->column, err, "%s: wanted %lld value%s (%s of %lldx%lld%s), got %lld", k->name,
                       (long long)want, want == 1 ? "" : "s", k->count[0] != '\0' ? k->count : "1",
                       (long long)c->rows, (long long)c->cols, strcmp(k->count, "nb") == 0 ? ", blocks" : "",
                       (long long)v->array.n);
}

// ---- the whole case
// --------------------------------------------------------------------------------------------------------------

static qp_dtype dtype_of(const eval_case *c, const char *key) {
    static const qp_dtype types[] = {QP_BF16, QP_FP16, QP_FP32}; // order of the table's words
    const eval_value *v = eval_get(c, key);
    return v != NULL ? types[v->number] : QP_FP32;
}

static qp_status convert_scalars(eval_case *c, qp_arena *a, qp_err *err) {
    c->rows = c->cols = 0;
    c->block_rows = c->block_cols = 1;
    for (int i = 0; i < c->row->n_keys; i++) {
        const eval_key *k = &c->row->keys[i];
        eval_value *v = &c->values[i];
        if (k->answer || is_array(k)) continue;
        if (k->type == EVAL_FRACTION) QP_TRY(convert_fraction(c, k, v, err));
        if (k->type == EVAL_WORD) QP_TRY(convert_word(c, k, v, a, err));
        if (k->type == EVAL_DEC) QP_TRY(convert_number(c, k, v, err));
        if (k->type == EVAL_BLOCK2D) QP_TRY(convert_pair(c, k, v, a, &c->block_rows, &c->block_cols, err));
        if (k->type == EVAL_SHAPE && v->text != NULL)
            QP_TRY(convert_pair(c, k, v, a, &c->rows, &c->cols, err));
    }
    c->in = dtype_of(c, "in");
    c->out = dtype_of(c, "out");
    return QP_OK;
}

// 1-D blocks: of any length for amax and INT4; NVFP4 has one length, MX three (numerics 4.2).
static qp_status take_block(eval_case *c, qp_err *err) {
    int k = eval_key_index(c->row, "block");
    if (k < 0 || c->row->keys[k].type != EVAL_DEC ||
        (c->row->keys[k].dflt[0] == '\0' && c->values[k].text == NULL))
        return QP_OK;
    int64_t n = c->values[k].number;
    const qp_format_row *f = qp_format_get(c->format);
    if (n < 1)
        return eval_refuse(c, c->values[k].column, err, "block: wanted 1 or more, got %lld", (long long)n);
    if (f != NULL && f->element == QP_ELEM_E2M1 && f->has_global && n != f->block_cols)
        return eval_refuse(c, c->values[k].column, err, "block: %s has blocks of %d, got %lld", f->name,
                           f->block_cols, (long long)n);
    if (f != NULL && f->scale == QP_SCALE_E8M0 && n != 8 && n != 16 && n != 32)
        return eval_refuse(c, c->values[k].column, err, "block: %s has blocks of 8, 16 or 32, got %lld",
                           f->name, (long long)n);
    c->block_cols = n;
    return QP_OK;
}

// Without shape= the values are one row. dequant has no x: one or two codes a byte, as the format packs.
static void take_shape(eval_case *c) {
    const eval_value *x = eval_get(c, "x"), *codes = eval_get(c, "codes");
    const qp_format_row *f = qp_format_get(c->format);
    if (c->rows > 0) return;
    c->rows = 1;
    if (x != NULL) c->cols = x->array.n;
    if (x == NULL && codes != NULL && f != NULL)
        c->cols = f->nibbles != QP_NIBBLES_NONE ? 2 * codes->array.n : codes->array.n;
}

qp_status eval_convert(eval_case *c, qp_arena *a, qp_err *err) {
    QP_TRY(convert_scalars(c, a, err));
    QP_TRY(take_block(c, err));
    for (int i = 0; i < c->row->n_keys; i++)
        if (is_array(&c->row->keys[i]) && c->values[i].text != NULL)
            QP_TRY(convert_array(c, &c->row->keys[i], &c->values[i], a, err));
    take_shape(c);
    if (eval_given(c, "axis") && eval_given(c, "block"))
        return eval_refuse(c, eval_get(c, "block")->column, err, "axis= and block=: one of the two");
    for (int i = 0; i < c->row->n_keys; i++)
        if (is_array(&c->row->keys[i]) && c->values[i].text != NULL)
            QP_TRY(check_count(c, &c->row->keys[i], &c->values[i], err));
    return QP_OK;
}

// ---- built or later
// ----------------------------------------------------------------------------------------------------------------

static bool built(const eval_case *c, qp_engine engine) {
    if (c->row->answer == NULL) return false;
    if (c->row->ref_op < 0) return c->row->built >> engine & 1;
    return c->row->ref_op == QP_OP_AMAX || ref_unsupported((qp_op)c->row->ref_op, c->format, engine) == NULL;
}

qp_status eval_not_built(const eval_case *c, qp_engine engine, qp_arena *a, const char **label, qp_err *err) {
    *label = NULL;
    if (built(c, engine)) return QP_OK;
    const eval_value *source = eval_get(c, "source");
    const char *who = c->row->engines != 0   ? qp_engine_name(engine)
                      : c->row->kind != NULL ? c->row->kind
                                             : "";
    if (source != NULL && source->text != NULL) who = source->text;
    return qp_arena_printf(a, label, err, "%s%s%s%s%s%s", c->row->op, c->fmt[0] != '\0' ? " " : "", c->fmt,
                           who[0] != '\0' ? " (" : "", who, who[0] != '\0' ? ")" : "");
}
