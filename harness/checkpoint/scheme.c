// SPDX-License-Identifier: Apache-2.0
// Every scheme that a dialect's config can mean (shapes spec 2.1 to 2.6): one row per word, and what an ask
// may vary of it (group size, bits, strategy). Facts of shared scales: what the loaders fuse (2.9).
#include "checkpoint/scheme.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/text.h"

const char *qp_ck_dialect_name(qp_ck_dialect d) {
    static const char *const names[QP_CK_DIALECTS] = {[QP_CK_PLAIN] = "plain",
                                                      [QP_CK_MODELOPT] = "modelopt",
                                                      [QP_CK_COMPRESSED_TENSORS] = "compressed-tensors",
                                                      [QP_CK_FP8] = "deepseek-fp8",
                                                      [QP_CK_GPT_OSS] = "gpt-oss-mxfp4",
                                                      [QP_CK_AWQ] = "awq",
                                                      [QP_CK_GPTQ] = "gptq",
                                                      [QP_CK_UNKNOWN] = "unknown"};
    return (unsigned)d < QP_CK_DIALECTS ? names[d] : "?";
}

#define TYPE(t) (1u << QP_ST_##t)
#define REAL (TYPE(BF16) | TYPE(F16) | TYPE(F32)) // the type of the model, chosen by the writer
#define E8M0 (TYPE(U8) | TYPE(F8_E8M0))           // the byte, and its storage type of newer releases

typedef struct scheme_row {
    const char *short_name; // behind the dialect's; NULL: the word itself
    qp_ck_scheme s;         // said: the word
    bool varies;            // compressed-tensors, AWQ, GPTQ: bits, strategy, symmetry as asked
} scheme_row;

// ---- Model Optimizer (2.2)
// -------------------------------------------------------------------------------------------------------

#define MODELOPT .dialect = QP_CK_MODELOPT, .engine = QP_ENGINE_TORCH_CPU, .symmetric = true
#define MO_FP4                                                                                               \
    MODELOPT, .element = QP_ELEM_E2M1, .bits = 4, .pack = QP_CK_PAIRS, .spread = QP_CK_GROUP,                \
              .weight_types = TYPE(U8)
#define MO_NVFP4                                                                                             \
    MO_FP4, .format = QP_NVFP4, .group_size = 16, .scale_types = TYPE(F8_E4M3), .global = QP_CK_MULTIPLIES,  \
            .input = QP_CK_INPUT_STATIC, .shares_weight = true, .shares_input = true, .divisor = 2688.0f
#define MO_FP8                                                                                               \
    MODELOPT, .element = QP_ELEM_E4M3, .bits = 8, .pack = QP_CK_BYTES, .weight_types = TYPE(F8_E4M3),        \
              .scale_types = TYPE(F32), .derivable = true, .divisor = 448.0f
#define MO_INT8                                                                                              \
    MODELOPT, .format = QP_INT8_EXPORT, .element = QP_ELEM_INT8, .bits = 8, .pack = QP_CK_BYTES,             \
              .spread = QP_CK_ROW, .weight_types = TYPE(I8), .scale_types = TYPE(F32), .divisor = 127.0f
#define MO_INT4                                                                                              \
    MODELOPT, .format = QP_INT4_AWQ, .element = QP_ELEM_INT4, .bits = 4, .group_size = 128,                  \
              .pack = QP_CK_ROW_PAIRS, .spread = QP_CK_GROUP, .weight_types = TYPE(U8),                      \
              .scale_types = TYPE(F32), .pre_quant = true
#define MO_MX MODELOPT, .group_size = 32, .spread = QP_CK_GROUP, .scale_types = E8M0, .derivable = true
#define MO_MXFP4                                                                                             \
    MO_MX, .format = QP_MXFP4, .element = QP_ELEM_E2M1, .bits = 4, .pack = QP_CK_PAIRS,                      \
           .weight_types = TYPE(U8)

// ---- compressed-tensors (2.3)
// ----------------------------------------------------------------------------------------------------

#define CT .dialect = QP_CK_COMPRESSED_TENSORS, .engine = QP_ENGINE_COMPRESSED_TENSORS, .symmetric = true
#define CT_MX                                                                                                \
    CT, .group_size = 32, .spread = QP_CK_GROUP, .scale_types = E8M0, .input = QP_CK_INPUT_DYNAMIC,          \
        .derivable = true

#define CT_INT8                                                                                              \
    CT, .element = QP_ELEM_INT8, .bits = 8, .group_size = 128, .pack = QP_CK_BYTES, .spread = QP_CK_ROW,     \
        .weight_types = TYPE(I8), .scale_types = REAL, .input = QP_CK_INPUT_DYNAMIC, .derivable = true

// ---- AWQ and GPTQ (2.6)
// ----------------------------------------------------------------------------------------------------------

#define INT4_WORDS                                                                                           \
    .format = QP_FORMAT_NONE, .engine = QP_ENGINE_IEEE, .element = QP_ELEM_INT4, .bits = 4,                  \
    .group_size = 128, .spread = QP_CK_GROUP_T, .weight_types = TYPE(I32), .scale_types = REAL

static const scheme_row rows[] = {
    {"nvfp4", {.said = "NVFP4", MO_NVFP4, .derivable = true}, false},
    {"w4a16-nvfp4",
     {.said = "W4A16_NVFP4",
      MO_FP4,
      .format = QP_NVFP4,
      .group_size = 16,
      .scale_types = TYPE(F8_E4M3),
      .global = QP_CK_MULTIPLIES,
      .shares_weight = true,
      .derivable = true,
      .divisor = 2688.0f},
     false},
    {"w4a8-nvfp4-fp8",
     {.said = "W4A8_NVFP4_FP8",
      MO_FP4,
      .format = QP_NVFP4_W4A8,
      .group_size = 32,
      .scale_types = TYPE(F8_E4M3),
      .global = QP_CK_MULTIPLIES,
      .input = QP_CK_INPUT_STATIC,
      .shares_weight = true,
      .shares_input = true,
      .derivable = true,
      .divisor = 448.0f},
     false},
    {"nvfp4-awq", {.said = "NVFP4_AWQ", MO_NVFP4, .pre_quant = true}, false},
    {"nvfp4-svdquant", {.said = "NVFP4_SVD", MO_NVFP4, .pre_quant = true, .lora = true}, false},
    {"fp8",
     {.said = "FP8",
      MO_FP8,
      .format = QP_FP8_EXPORT,
      .spread = QP_CK_ONE,
      .input = QP_CK_INPUT_STATIC,
      .shares_input = true},
     false},
    {"fp8-per-channel",
     {.said = "FP8_PER_CHANNEL_PER_TOKEN",
      MO_FP8,
      .format = QP_FP8_AXIS0,
      .spread = QP_CK_ROW,
      .input = QP_CK_INPUT_DYNAMIC},
     false},
    {"fp8-2d-block",
     {.said = "fp8_pb_wo",
      MO_FP8,
      .format = QP_FP8_BLOCK2D,
      .spread = QP_CK_TILE_4D,
      .input = QP_CK_INPUT_DYNAMIC},
     false},
    // The same word without any smoothing (INT8_DEFAULT); only its files tell. Likewise W4A16_AWQ below.
    {"int8-smoothquant",
     {.said = "W8A8_SQ_PER_CHANNEL",
      MO_INT8,
      .input = QP_CK_INPUT_STATIC,
      .pre_quant = true,
      .shares_input = true},
     false},
    {"int8-weight-only", {.said = "W8A16", MO_INT8, .derivable = true}, false},
    {"int4-awq", {.said = "W4A16_AWQ", MO_INT4, .divisor = 7.0f}, false},
    {"w4a8-awq",
     {.said = "W4A8_AWQ",
      MO_INT4,
      .global = QP_CK_MULTIPLIES,
      .input = QP_CK_INPUT_STATIC,
      .shares_weight = true,
      .shares_input = true,
      .divisor = 448.0f},
     false},
    {"mxfp4", {.said = "mxfp4", MO_MXFP4}, false},
    {"w4a8-mxfp4-fp8", {.said = "W4A8_MXFP4_FP8", MO_MXFP4, .input = QP_CK_INPUT_DYNAMIC}, false},
    {"mxfp8",
     {.said = "MXFP8",
      MO_MX,
      .format = QP_MXFP8_E4M3,
      .element = QP_ELEM_E4M3,
      .bits = 8,
      .pack = QP_CK_BYTES,
      .weight_types = TYPE(F8_E4M3),
      .input = QP_CK_INPUT_DYNAMIC},
     false},

    {NULL,
     {.said = "nvfp4-pack-quantized",
      CT,
      .format = QP_NVFP4,
      .element = QP_ELEM_E2M1,
      .bits = 4,
      .group_size = 16,
      .pack = QP_CK_PAIRS,
      .spread = QP_CK_GROUP,
      .weight_types = TYPE(U8),
      .scale_types = TYPE(F8_E4M3),
      .global = QP_CK_DIVIDES,
      .input = QP_CK_INPUT_STATIC,
      .shares_weight = true,
      .shares_input = true,
      .derivable = true,
      .divisor = 2688.0f},
     false},
    {NULL,
     {.said = "mxfp4-pack-quantized",
      CT_MX,
      .format = QP_MXFP4,
      .element = QP_ELEM_E2M1,
      .bits = 4,
      .pack = QP_CK_PAIRS,
      .weight_types = TYPE(U8)},
     false},
    {NULL,
     {.said = "mxfp6-pack-quantized",
      CT_MX,
      .format = QP_MXFP6_E2M3,
      .element = QP_ELEM_E2M3,
      .bits = 6,
      .pack = QP_CK_SIX,
      .weight_types = TYPE(U8)},
     false},
    {NULL,
     {.said = "mxfp8-quantized",
      CT_MX,
      .format = QP_MXFP8_E4M3,
      .element = QP_ELEM_E4M3,
      .bits = 8,
      .pack = QP_CK_BYTES,
      .weight_types = TYPE(F8_E4M3)},
     false},
    {NULL,
     {.said = "float-quantized",
      CT,
      .element = QP_ELEM_E4M3,
      .bits = 8,
      .group_size = 128,
      .pack = QP_CK_BYTES,
      .spread = QP_CK_ONE,
      .weight_types = TYPE(F8_E4M3),
      .scale_types = REAL,
      .input = QP_CK_INPUT_DYNAMIC,
      .derivable = true},
     true},
    {NULL, {.said = "int-quantized", CT_INT8}, true},
    {NULL, // int-quantized before compressed-tensors 0.5 (its float twin is asked for as float-quantized)
     {.said = "naive-quantized", CT_INT8},
     true},
    {NULL,
     {.said = "pack-quantized",
      CT,
      .element = QP_ELEM_INT4,
      .bits = 4,
      .group_size = 128,
      .pack = QP_CK_WORDS,
      .spread = QP_CK_GROUP,
      .weight_types = TYPE(I32),
      .scale_types = REAL,
      .derivable = true},
     true},

    // Without weight_block_size the spread ONE is asked for (2.4); the scale is F32 with DeepSeek, BF16 with
    // Qwen.
    {NULL,
     {.said = "fp8",
      .dialect = QP_CK_FP8,
      .format = QP_FP8_BLOCK2D,
      .engine = QP_ENGINE_DEEPSEEK_FP8,
      .element = QP_ELEM_E4M3,
      .bits = 8,
      .pack = QP_CK_BYTES,
      .spread = QP_CK_TILE,
      .weight_types = TYPE(F8_E4M3),
      .scale_types = TYPE(F32) | TYPE(BF16) | TYPE(F8_E8M0),
      .input = QP_CK_INPUT_DYNAMIC,
      .symmetric = true,
      .derivable = true,
      .divisor = 448.0f},
     true},
    {NULL,
     {.said = "mxfp4",
      .dialect = QP_CK_GPT_OSS,
      .format = QP_MXFP4,
      .engine = QP_ENGINE_IEEE,
      .element = QP_ELEM_E2M1,
      .bits = 4,
      .group_size = 32,
      .pack = QP_CK_BLOCKS,
      .spread = QP_CK_GROUP,
      .weight_types = TYPE(U8),
      .scale_types = E8M0,
      .symmetric = true,
      .derivable = true},
     false},
    {NULL, {.said = "awq", .dialect = QP_CK_AWQ, INT4_WORDS, .pack = QP_CK_WORDS_OUT}, true},
    {NULL,
     {.said = "gptq", .dialect = QP_CK_GPTQ, INT4_WORDS, .pack = QP_CK_WORDS_IN, .symmetric = true},
     true},
    {NULL, // zeros stored as they are, not less one (2.6)
     {.said = "gptq_v2", .dialect = QP_CK_GPTQ, INT4_WORDS, .pack = QP_CK_WORDS_IN, .symmetric = true},
     true},
};

static const scheme_row *row_of(qp_ck_dialect d, const char *said) {
    for (int i = 0; i < QP_COUNT(rows); i++)
        if (rows[i].s.dialect == d && strcasecmp(rows[i].s.said, said) == 0) return &rows[i];
    return NULL;
}

// ---- what an ask varies
// ----------------------------------------------------------------------------------------------------------

static const struct { // the reference's format of a strategy of compressed-tensors; other pairs have none
    qp_element element;
    qp_ck_spread spread;
    qp_format format;
} ct_formats[] = {
    {QP_ELEM_E4M3, QP_CK_ONE, QP_FP8_E4M3},     {QP_ELEM_E4M3, QP_CK_ROW, QP_FP8_AXIS0},
    {QP_ELEM_INT8, QP_CK_ONE, QP_INT8},         {QP_ELEM_INT8, QP_CK_ROW, QP_INT8_AXIS0},
    {QP_ELEM_INT4, QP_CK_GROUP, QP_INT4_BLOCK}, {QP_ELEM_INT4, QP_CK_ROW, QP_INT4_BLOCK}, // one block a row
};

static qp_format ct_format(const qp_ck_scheme *s) {
    const bool whole = s->element == QP_ELEM_INT4 ? s->bits == 4 : s->bits == 8;
    for (int i = 0; i < QP_COUNT(ct_formats) && whole && s->symmetric; i++)
        if (ct_formats[i].element == s->element && ct_formats[i].spread == s->spread)
            return ct_formats[i].format;
    return QP_FORMAT_NONE;
}

// A static scale of activations is written as one number; members of a fused group saw the same input.
static void vary_input(const qp_ck_scheme_ask *ask, qp_ck_scheme *s) {
    if (ask->input_none || s->input == QP_CK_INPUT_NONE) {
        s->input = ask->input_static ? QP_CK_INPUT_STATIC : QP_CK_INPUT_NONE;
    } else if (ask->input_static) {
        s->input = QP_CK_INPUT_STATIC;
    }
    s->shares_input = s->input == QP_CK_INPUT_STATIC;
}

static void vary_numbers(const qp_ck_scheme_ask *ask, qp_ck_scheme *s) {
    if (ask->bits != 0) s->bits = ask->bits;
    if (s->element != QP_ELEM_E4M3) s->element = s->bits <= 4 ? QP_ELEM_INT4 : QP_ELEM_INT8;
    s->symmetric = s->dialect == QP_CK_AWQ ? false : !ask->asymmetric;
    s->act_order = ask->act_order;
    if (s->dialect == QP_CK_COMPRESSED_TENSORS) {
        // codes ordered by activation are GPTQ's: the weights alone do not give them
        s->derivable = s->symmetric && !s->act_order;
        s->format = ct_format(s);
        // half of highest - lowest (reference: the rule of compressed-tensors)
        s->divisor = s->element == QP_ELEM_E4M3 ? 448.0f : 0.5f * (float)((1u << (s->bits & 15)) - 1);
    }
    if (s->dialect == QP_CK_FP8 && s->spread == QP_CK_ONE) {
        s->format = QP_FP8_EXPORT;
        s->engine = QP_ENGINE_TORCH_CPU;
    }
}

static bool grouped(qp_ck_spread s) {
    return s == QP_CK_GROUP || s == QP_CK_GROUP_T;
}

// Fused experts of Model Optimizer lie transposed: packed along `in`, scales too (2.2).
static void vary_spread(const qp_ck_scheme_ask *ask, const scheme_row *row, qp_ck_scheme *s) {
    if (!ask->spread_given) return;
    if (row->varies) {
        s->spread = ask->spread;
    } else if (s->pack == QP_CK_PAIRS && ask->spread == QP_CK_GROUP_T) {
        s->pack = QP_CK_IN_PAIRS;
        s->spread = QP_CK_GROUP_T;
    } else if (s->spread == QP_CK_TILE_4D && ask->spread == QP_CK_TILE_3D) {
        s->spread = QP_CK_TILE_3D;
    }
}

// ---- the name says everything that varies
// ------------------------------------------------------------------------------------------

static const char *spread_name(const qp_ck_scheme *s) {
    static const char *const names[] = {
        [QP_CK_ONE] = "tensor", [QP_CK_ROW] = "channel", [QP_CK_TILE] = "block"};
    return (unsigned)s->spread < (unsigned)QP_COUNT(names) && names[s->spread] != NULL ? names[s->spread]
                                                                                       : "";
}

static qp_status name_of(const scheme_row *row, qp_ck_scheme *s, qp_arena *a, qp_err *err) {
    qp_text t = {.arena = a};
    const char *word = row->short_name != NULL ? row->short_name : s->said;
    if (strcmp(qp_ck_dialect_name(s->dialect), word) == 0 || s->dialect == QP_CK_GPTQ ||
        s->dialect == QP_CK_FP8 || s->dialect == QP_CK_GPT_OSS) {
        QP_TRY(qp_text_add(&t, err, "%s", s->dialect == QP_CK_GPTQ ? word : qp_ck_dialect_name(s->dialect)));
    } else {
        QP_TRY(qp_text_add(&t, err, "%s %s", qp_ck_dialect_name(s->dialect), word));
    }
    const bool integer = s->element == QP_ELEM_INT8 || s->element == QP_ELEM_INT4;
    if (row->varies && integer) QP_TRY(qp_text_add(&t, err, " int%d", s->bits));
    if (grouped(s->spread) && (row->varies || s->group_size != row->s.group_size))
        QP_TRY(qp_text_add(&t, err, " g%d", s->group_size));
    if (row->varies && spread_name(s)[0] != '\0') QP_TRY(qp_text_add(&t, err, " %s", spread_name(s)));
    if (s->pack == QP_CK_IN_PAIRS || s->spread == QP_CK_TILE_3D) QP_TRY(qp_text_add(&t, err, " stacked"));
    if (row->varies && integer && !s->symmetric && s->dialect != QP_CK_AWQ)
        QP_TRY(qp_text_add(&t, err, " asymmetric"));
    if (s->act_order) QP_TRY(qp_text_add(&t, err, " act-order"));
    if (s->dialect == QP_CK_COMPRESSED_TENSORS && s->input != row->s.input)
        QP_TRY(qp_text_add(&t, err, s->input == QP_CK_INPUT_STATIC ? " static" : " weight-only"));
    if (s->dialect == QP_CK_FP8 && s->input == QP_CK_INPUT_STATIC) QP_TRY(qp_text_add(&t, err, " static"));
    s->name = t.s;
    return QP_OK;
}

// Other widths of these two are stored in other ways: gptqmodel splits 5, 6 and 7 bits into planes.
static bool has_width(const qp_ck_scheme_ask *ask) {
    static const unsigned awq = 1u << 4, gptq = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 8;
    if (ask->bits <= 0 || ask->bits > 8 || (ask->dialect != QP_CK_AWQ && ask->dialect != QP_CK_GPTQ))
        return true;
    return ((ask->dialect == QP_CK_AWQ ? awq : gptq) >> ask->bits & 1) != 0;
}

qp_status qp_ck_scheme_find(const qp_ck_scheme_ask *ask, qp_arena *a, const qp_ck_scheme **out, qp_err *err) {
    const scheme_row *row = ask->said != NULL ? row_of(ask->dialect, ask->said) : NULL;
    qp_ck_scheme *s;
    *out = NULL;
    if (row == NULL || !has_width(ask) || ask->bits < 0 || ask->bits > 8 || ask->group_size < -1)
        return QP_OK;
    QP_TRY(QP_NEW(a, s, 1));
    *s = row->s;
    vary_spread(ask, row, s);
    if (ask->group_size != 0) s->group_size = ask->group_size;
    if (!grouped(s->spread)) s->group_size = 0;
    if (row->varies) vary_numbers(ask, s);
    if (s->dialect == QP_CK_COMPRESSED_TENSORS || s->dialect == QP_CK_FP8) vary_input(ask, s);
    QP_TRY(name_of(row, s, a, err));
    *out = s;
    return QP_OK;
}
