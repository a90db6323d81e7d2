// SPDX-License-Identifier: Apache-2.0
// Every scheme against the tables of shapes spec 2.1 and 2.2, written down a second time here; and what an
// ask varies.
#include "checkpoint/scheme.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static qp_arena *arena;

static void setup(void) {
    arena = qp_arena_new();
}

static void teardown(void) {
    qp_arena_free(arena);
}

static const qp_ck_scheme *ask_for(qp_ck_scheme_ask ask) {
    const qp_ck_scheme *s = NULL;
    qp_err err = {0};
    ck_assert_msg(qp_ck_scheme_find(&ask, arena, &s, &err) == QP_OK, "%s", err.msg);
    return s;
}

// ---- the table
// ------------------------------------------------------------------------------------------------------------------

#define MO QP_CK_MODELOPT
#define CT QP_CK_COMPRESSED_TENSORS
#define BIT(t) (1u << QP_ST_##t)
#define MODEL (BIT(BF16) | BIT(F16) | BIT(F32))
#define E8 (BIT(U8) | BIT(F8_E8M0))
enum { MUL = QP_CK_MULTIPLIES, DIV = QP_CK_DIVIDES, STAT = QP_CK_INPUT_STATIC, DYN = QP_CK_INPUT_DYNAMIC };

static const struct {
    qp_ck_dialect dialect;
    const char *said, *name;
    int bits, group;
    qp_ck_pack pack;
    qp_ck_spread spread;
    unsigned weight, scale;
    int global, input;
    bool pre_quant, lora, derivable, shares_weight, shares_input;
    float divisor;
    int format, engine;
} rows[] = {
    {MO, "NVFP4", "modelopt nvfp4", 4, 16, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F8_E4M3), MUL, STAT, 0, 0,
     1, 1, 1, 2688, QP_NVFP4, QP_ENGINE_TORCH_CPU},
    {MO, "W4A16_NVFP4", "modelopt w4a16-nvfp4", 4, 16, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F8_E4M3), MUL,
     0, 0, 0, 1, 1, 0, 2688, QP_NVFP4, QP_ENGINE_TORCH_CPU},
    {MO, "W4A8_NVFP4_FP8", "modelopt w4a8-nvfp4-fp8", 4, 32, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F8_E4M3),
     MUL, STAT, 0, 0, 1, 1, 1, 448, QP_NVFP4_W4A8, QP_ENGINE_TORCH_CPU},
    {MO, "NVFP4_AWQ", "modelopt nvfp4-awq", 4, 16, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F8_E4M3), MUL, STAT,
     1, 0, 0, 1, 1, 2688, QP_NVFP4, QP_ENGINE_TORCH_CPU},
    {MO, "NVFP4_SVD", "modelopt nvfp4-svdquant", 4, 16, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F8_E4M3), MUL,
     STAT, 1, 1, 0, 1, 1, 2688, QP_NVFP4, QP_ENGINE_TORCH_CPU},
    {MO, "FP8", "modelopt fp8", 8, 0, QP_CK_BYTES, QP_CK_ONE, BIT(F8_E4M3), BIT(F32), 0, STAT, 0, 0, 1, 0, 1,
     448, QP_FP8_EXPORT, QP_ENGINE_TORCH_CPU},
    {MO, "FP8_PER_CHANNEL_PER_TOKEN", "modelopt fp8-per-channel", 8, 0, QP_CK_BYTES, QP_CK_ROW, BIT(F8_E4M3),
     BIT(F32), 0, DYN, 0, 0, 1, 0, 0, 448, QP_FP8_AXIS0, QP_ENGINE_TORCH_CPU},
    {MO, "fp8_pb_wo", "modelopt fp8-2d-block", 8, 0, QP_CK_BYTES, QP_CK_TILE_4D, BIT(F8_E4M3), BIT(F32), 0,
     DYN, 0, 0, 1, 0, 0, 448, QP_FP8_BLOCK2D, QP_ENGINE_TORCH_CPU},
    {MO, "FP8_PB_WO", "modelopt fp8-2d-block", 8, 0, QP_CK_BYTES, QP_CK_TILE_4D, BIT(F8_E4M3), BIT(F32), 0,
     DYN, 0, 0, 1, 0, 0, 448, QP_FP8_BLOCK2D, QP_ENGINE_TORCH_CPU},
    {MO, "W8A8_SQ_PER_CHANNEL", "modelopt int8-smoothquant", 8, 0, QP_CK_BYTES, QP_CK_ROW, BIT(I8), BIT(F32),
     0, STAT, 1, 0, 0, 0, 1, 127, QP_INT8_EXPORT, QP_ENGINE_TORCH_CPU},
    {MO, "W8A16", "modelopt int8-weight-only", 8, 0, QP_CK_BYTES, QP_CK_ROW, BIT(I8), BIT(F32), 0, 0, 0, 0, 1,
     0, 0, 127, QP_INT8_EXPORT, QP_ENGINE_TORCH_CPU},
    {MO, "W4A16_AWQ", "modelopt int4-awq", 4, 128, QP_CK_ROW_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F32), 0, 0, 1,
     0, 0, 0, 0, 7, QP_INT4_AWQ, QP_ENGINE_TORCH_CPU},
    {MO, "W4A8_AWQ", "modelopt w4a8-awq", 4, 128, QP_CK_ROW_PAIRS, QP_CK_GROUP, BIT(U8), BIT(F32), MUL, STAT,
     1, 0, 0, 1, 1, 448, QP_INT4_AWQ, QP_ENGINE_TORCH_CPU},
    {MO, "mxfp4", "modelopt mxfp4", 4, 32, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), E8, 0, 0, 0, 0, 1, 0, 0, 0,
     QP_MXFP4, QP_ENGINE_TORCH_CPU},
    {MO, "W4A8_MXFP4_FP8", "modelopt w4a8-mxfp4-fp8", 4, 32, QP_CK_PAIRS, QP_CK_GROUP, BIT(U8), E8, 0, DYN, 0,
     0, 1, 0, 0, 0, QP_MXFP4, QP_ENGINE_TORCH_CPU},
    {MO, "MXFP8", "modelopt mxfp8", 8, 32, QP_CK_BYTES, QP_CK_GROUP, BIT(F8_E4M3), E8, 0, DYN, 0, 0, 1, 0, 0,
     0, QP_MXFP8_E4M3, QP_ENGINE_TORCH_CPU},
    {CT, "nvfp4-pack-quantized", "compressed-tensors nvfp4-pack-quantized", 4, 16, QP_CK_PAIRS, QP_CK_GROUP,
     BIT(U8), BIT(F8_E4M3), DIV, STAT, 0, 0, 1, 1, 1, 2688, QP_NVFP4, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "mxfp4-pack-quantized", "compressed-tensors mxfp4-pack-quantized", 4, 32, QP_CK_PAIRS, QP_CK_GROUP,
     BIT(U8), E8, 0, DYN, 0, 0, 1, 0, 0, 0, QP_MXFP4, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "mxfp6-pack-quantized", "compressed-tensors mxfp6-pack-quantized", 6, 32, QP_CK_SIX, QP_CK_GROUP,
     BIT(U8), E8, 0, DYN, 0, 0, 1, 0, 0, 0, QP_MXFP6_E2M3, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "mxfp8-quantized", "compressed-tensors mxfp8-quantized", 8, 32, QP_CK_BYTES, QP_CK_GROUP,
     BIT(F8_E4M3), E8, 0, DYN, 0, 0, 1, 0, 0, 0, QP_MXFP8_E4M3, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "float-quantized", "compressed-tensors float-quantized tensor", 8, 0, QP_CK_BYTES, QP_CK_ONE,
     BIT(F8_E4M3), MODEL, 0, DYN, 0, 0, 1, 0, 0, 448, QP_FP8_E4M3, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "int-quantized", "compressed-tensors int-quantized int8 channel", 8, 0, QP_CK_BYTES, QP_CK_ROW,
     BIT(I8), MODEL, 0, DYN, 0, 0, 1, 0, 0, 127.5f, QP_INT8_AXIS0, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "naive-quantized", "compressed-tensors naive-quantized int8 channel", 8, 0, QP_CK_BYTES, QP_CK_ROW,
     BIT(I8), MODEL, 0, DYN, 0, 0, 1, 0, 0, 127.5f, QP_INT8_AXIS0, QP_ENGINE_COMPRESSED_TENSORS},
    {CT, "pack-quantized", "compressed-tensors pack-quantized int4 g128", 4, 128, QP_CK_WORDS, QP_CK_GROUP,
     BIT(I32), MODEL, 0, 0, 0, 0, 1, 0, 0, 7.5f, QP_INT4_BLOCK, QP_ENGINE_COMPRESSED_TENSORS},
    {QP_CK_FP8, "fp8", "deepseek-fp8 block", 8, 0, QP_CK_BYTES, QP_CK_TILE, BIT(F8_E4M3),
     BIT(F32) | BIT(BF16) | BIT(F8_E8M0), 0, DYN, 0, 0, 1, 0, 0, 448, QP_FP8_BLOCK2D, QP_ENGINE_DEEPSEEK_FP8},
    {QP_CK_GPT_OSS, "mxfp4", "gpt-oss-mxfp4", 4, 32, QP_CK_BLOCKS, QP_CK_GROUP, BIT(U8), E8, 0, 0, 0, 0, 1, 0,
     0, 0, QP_MXFP4, QP_ENGINE_IEEE},
    {QP_CK_AWQ, "awq", "awq int4 g128", 4, 128, QP_CK_WORDS_OUT, QP_CK_GROUP_T, BIT(I32), MODEL, 0, 0, 0, 0,
     0, 0, 0, 0, QP_FORMAT_NONE, QP_ENGINE_IEEE},
    {QP_CK_GPTQ, "gptq", "gptq int4 g128", 4, 128, QP_CK_WORDS_IN, QP_CK_GROUP_T, BIT(I32), MODEL, 0, 0, 0, 0,
     0, 0, 0, 0, QP_FORMAT_NONE, QP_ENGINE_IEEE},
    {QP_CK_GPTQ, "gptq_v2", "gptq_v2 int4 g128", 4, 128, QP_CK_WORDS_IN, QP_CK_GROUP_T, BIT(I32), MODEL, 0, 0,
     0, 0, 0, 0, 0, 0, QP_FORMAT_NONE, QP_ENGINE_IEEE},
};

#define SAME(field, value)                                                                                   \
    ck_assert_msg((int64_t)(s->field) == (int64_t)(value), "%s: " #field " is %lld", s->name,                \
                  (long long)s->field)

START_TEST(every_scheme_is_what_the_files_of_its_writer_hold) {
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const qp_ck_scheme *s = ask_for((qp_ck_scheme_ask){.dialect = rows[i].dialect, .said = rows[i].said});
        ck_assert_msg(s != NULL, "%s is not there", rows[i].said);
        ck_assert_str_eq(s->name, rows[i].name);
        ck_assert(strcasecmp(s->said, rows[i].said) == 0);
        SAME(dialect, rows[i].dialect);
        SAME(bits, rows[i].bits);
        SAME(group_size, rows[i].group);
        SAME(pack, rows[i].pack);
        SAME(spread, rows[i].spread);
        SAME(weight_types, rows[i].weight);
        SAME(scale_types, rows[i].scale);
        SAME(global, rows[i].global);
        SAME(input, rows[i].input);
        SAME(pre_quant, rows[i].pre_quant);
        SAME(lora, rows[i].lora);
        SAME(derivable, rows[i].derivable);
        SAME(shares_weight, rows[i].shares_weight);
        SAME(shares_input, rows[i].shares_input);
        SAME(format, rows[i].format);
        SAME(engine, rows[i].engine);
        ck_assert_msg(s->divisor == rows[i].divisor, "%s: divisor", s->name);
        ck_assert(s->symmetric == (rows[i].dialect != QP_CK_AWQ) && !s->act_order);
    }
}
END_TEST

START_TEST(the_element_has_the_format_of_the_reference) {
    for (int i = 0; i < QP_COUNT(rows); i++) {
        const qp_ck_scheme *s = ask_for((qp_ck_scheme_ask){.dialect = rows[i].dialect, .said = rows[i].said});
        if (s->format != QP_FORMAT_NONE)
            SAME(element, qp_format_get(s->format)->element);
        else
            SAME(element, QP_ELEM_INT4);
    }
}
END_TEST

// ---- what an ask varies
// ----------------------------------------------------------------------------------------------------------

START_TEST(an_unknown_word_or_size_has_no_scheme) {
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = MO, .said = "NVFP5"}));
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = CT, .said = "NVFP4"}));
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = CT, .said = "marlin-24"}));
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = MO}));
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = CT, .said = "pack-quantized", .bits = 9}));
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = CT, .said = "pack-quantized", .bits = -4}));
    ck_assert_ptr_null(ask_for((qp_ck_scheme_ask){.dialect = QP_CK_GPTQ, .said = "gptq", .group_size = -2}));
}
END_TEST

START_TEST(awq_has_4_bits_and_gptq_no_5_6_or_7) {
    for (int bits = 2; bits <= 8; bits++) {
        const bool gptq = bits <= 4 || bits == 8; // others lie in planes, not in one stream
        ck_assert_int_eq(
            ask_for((qp_ck_scheme_ask){.dialect = QP_CK_GPTQ, .said = "gptq", .bits = bits}) != NULL, gptq);
        ck_assert_int_eq(ask_for((qp_ck_scheme_ask){.dialect = QP_CK_AWQ, .said = "awq", .bits = bits}) !=
                             NULL,
                         bits == 4);
        ck_assert_ptr_nonnull(
            ask_for((qp_ck_scheme_ask){.dialect = CT, .said = "pack-quantized", .bits = bits}));
    }
}
END_TEST

START_TEST(a_group_size_of_its_own_is_kept_and_named) {
    const qp_ck_scheme *s =
        ask_for((qp_ck_scheme_ask){.dialect = MO, .said = "W4A16_NVFP4", .group_size = 32});
    SAME(group_size, 32);
    ck_assert_str_eq(s->name, "modelopt w4a16-nvfp4 g32");
    s = ask_for((qp_ck_scheme_ask){.dialect = MO, .said = "NVFP4", .group_size = 16});
    ck_assert_str_eq(s->name, "modelopt nvfp4"); // the default is not repeated
    s = ask_for((qp_ck_scheme_ask){.dialect = MO, .said = "FP8", .group_size = 16});
    SAME(group_size, 0); // one scale has no groups
    s = ask_for((qp_ck_scheme_ask){.dialect = QP_CK_GPTQ, .said = "gptq", .group_size = -1});
    SAME(group_size, -1);
    ck_assert_str_eq(s->name, "gptq int4 g-1");
}
END_TEST

START_TEST(fused_experts_lie_transposed) {
    qp_ck_scheme_ask ask = {.dialect = MO, .said = "NVFP4", .spread_given = true, .spread = QP_CK_GROUP_T};
    const qp_ck_scheme *s = ask_for(ask);
    SAME(pack, QP_CK_IN_PAIRS);
    SAME(spread, QP_CK_GROUP_T);
    ck_assert_str_eq(s->name, "modelopt nvfp4 stacked");
    ask.said = "fp8_pb_wo";
    ask.spread = QP_CK_TILE_3D;
    s = ask_for(ask);
    SAME(spread, QP_CK_TILE_3D);
    SAME(pack, QP_CK_BYTES);
    ask.said = "FP8";
    ck_assert_str_eq(ask_for(ask)->name, "modelopt fp8"); // one scale: nothing to transpose
}
END_TEST

static const qp_ck_scheme *ct(const char *said, int bits, qp_ck_spread spread) {
    return ask_for((qp_ck_scheme_ask){
        .dialect = CT, .said = said, .bits = bits, .spread = spread, .spread_given = true, .group_size = 64});
}

START_TEST(strategies_of_compressed_tensors_choose_the_format) {
    static const struct {
        const char *said;
        int bits;
        qp_ck_spread spread;
        int format, element;
        float divisor;
    } cases[] = {
        {"float-quantized", 8, QP_CK_ONE, QP_FP8_E4M3, QP_ELEM_E4M3, 448},
        {"float-quantized", 8, QP_CK_ROW, QP_FP8_AXIS0, QP_ELEM_E4M3, 448},
        {"float-quantized", 8, QP_CK_GROUP, QP_FORMAT_NONE, QP_ELEM_E4M3, 448},
        {"float-quantized", 8, QP_CK_TILE, QP_FORMAT_NONE, QP_ELEM_E4M3, 448},
        {"int-quantized", 8, QP_CK_ONE, QP_INT8, QP_ELEM_INT8, 127.5f},
        {"int-quantized", 8, QP_CK_ROW, QP_INT8_AXIS0, QP_ELEM_INT8, 127.5f},
        {"int-quantized", 4, QP_CK_GROUP, QP_INT4_BLOCK, QP_ELEM_INT4, 7.5f},
        {"pack-quantized", 4, QP_CK_ROW, QP_INT4_BLOCK, QP_ELEM_INT4, 7.5f},
        {"pack-quantized", 8, QP_CK_GROUP, QP_FORMAT_NONE, QP_ELEM_INT8, 127.5f},
        {"pack-quantized", 3, QP_CK_GROUP, QP_FORMAT_NONE, QP_ELEM_INT4, 3.5f},
        {"pack-quantized", 6, QP_CK_GROUP, QP_FORMAT_NONE, QP_ELEM_INT8, 31.5f},
    };
    for (int i = 0; i < QP_COUNT(cases); i++) {
        const qp_ck_scheme *s = ct(cases[i].said, cases[i].bits, cases[i].spread);
        SAME(format, cases[i].format);
        SAME(element, cases[i].element);
        SAME(bits, cases[i].bits);
        SAME(spread, cases[i].spread);
        SAME(group_size, cases[i].spread == QP_CK_GROUP ? 64 : 0);
        ck_assert_msg(s->divisor == cases[i].divisor, "%s: divisor %g", s->name, (double)s->divisor);
        SAME(derivable, true);
    }
}
END_TEST

START_TEST(names_tell_everything_that_varies) {
    ck_assert_str_eq(ct("pack-quantized", 3, QP_CK_GROUP)->name,
                     "compressed-tensors pack-quantized int3 g64");
    ck_assert_str_eq(ct("float-quantized", 8, QP_CK_TILE)->name, "compressed-tensors float-quantized block");
    qp_ck_scheme_ask ask = {.dialect = CT, .said = "pack-quantized", .asymmetric = true, .act_order = true};
    ck_assert_str_eq(ask_for(ask)->name, "compressed-tensors pack-quantized int4 g128 asymmetric act-order");
    ask = (qp_ck_scheme_ask){.dialect = CT, .said = "float-quantized", .input_static = true};
    ck_assert_str_eq(ask_for(ask)->name, "compressed-tensors float-quantized tensor static");
    ask = (qp_ck_scheme_ask){.dialect = CT, .said = "nvfp4-pack-quantized", .input_none = true};
    ck_assert_str_eq(ask_for(ask)->name, "compressed-tensors nvfp4-pack-quantized weight-only");
    ask = (qp_ck_scheme_ask){
        .dialect = QP_CK_GPTQ, .said = "gptq", .bits = 8, .asymmetric = true, .act_order = true};
    ck_assert_str_eq(ask_for(ask)->name, "gptq int8 g128 asymmetric act-order");
}
END_TEST

START_TEST(asymmetric_and_reordered_codes_do_not_follow_from_the_weights) {
    qp_ck_scheme_ask ask = {.dialect = CT, .said = "pack-quantized", .asymmetric = true};
    const qp_ck_scheme *s = ask_for(ask);
    SAME(symmetric, false);
    SAME(derivable, false);
    SAME(format, QP_FORMAT_NONE);
    ask = (qp_ck_scheme_ask){.dialect = CT, .said = "pack-quantized", .act_order = true};
    s = ask_for(ask);
    SAME(act_order, true);
    SAME(derivable, false);
}
END_TEST

START_TEST(a_static_input_scale_is_shared_and_no_other_one_is) {
    qp_ck_scheme_ask ask = {.dialect = CT, .said = "float-quantized", .input_static = true};
    const qp_ck_scheme *s = ask_for(ask);
    SAME(input, QP_CK_INPUT_STATIC);
    SAME(shares_input, true);
    SAME(shares_weight, false);
    ask = (qp_ck_scheme_ask){.dialect = CT, .said = "nvfp4-pack-quantized", .input_none = true};
    s = ask_for(ask);
    SAME(input, QP_CK_INPUT_NONE);
    SAME(shares_input, false);
    SAME(shares_weight, true);
    ask = (qp_ck_scheme_ask){.dialect = CT, .said = "mxfp8-quantized", .input_none = true};
    s = ask_for(ask);
    SAME(input, QP_CK_INPUT_NONE);
}
END_TEST

START_TEST(fp8_without_blocks_has_one_scale) {
    qp_ck_scheme_ask ask = {.dialect = QP_CK_FP8, .said = "fp8", .spread_given = true, .spread = QP_CK_ONE};
    const qp_ck_scheme *s = ask_for(ask);
    SAME(spread, QP_CK_ONE);
    SAME(format, QP_FP8_EXPORT);
    SAME(input, QP_CK_INPUT_DYNAMIC);
    ck_assert_str_eq(s->name, "deepseek-fp8 tensor");
    ask.input_static = true;
    s = ask_for(ask);
    SAME(input, QP_CK_INPUT_STATIC);
    SAME(shares_input, true);
    ck_assert_str_eq(s->name, "deepseek-fp8 tensor static");
}
END_TEST

START_TEST(equal_asks_give_equal_names) {
    const qp_ck_scheme_ask ask = {.dialect = CT, .said = "pack-quantized", .bits = 8, .group_size = 32};
    const qp_ck_scheme *a = ask_for(ask), *b = ask_for(ask);
    ck_assert_str_eq(a->name, b->name);
    ck_assert(a->bits == b->bits && a->group_size == b->group_size && a->spread == b->spread);
}
END_TEST

START_TEST(every_dialect_has_a_name_of_its_own) {
    for (int i = 0; i < QP_CK_DIALECTS; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(qp_ck_dialect_name((qp_ck_dialect)i), qp_ck_dialect_name((qp_ck_dialect)j));
    ck_assert_str_eq(qp_ck_dialect_name(QP_CK_COMPRESSED_TENSORS), "compressed-tensors");
    ck_assert_str_eq(qp_ck_dialect_name(QP_CK_DIALECTS), "?");
}
END_TEST

int main(void) {
    Suite *s = suite_create("scheme");
    TCase *tc = tcase_create("scheme");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_scheme_is_what_the_files_of_its_writer_hold);
    tcase_add_test(tc, the_element_has_the_format_of_the_reference);
    tcase_add_test(tc, an_unknown_word_or_size_has_no_scheme);
    tcase_add_test(tc, awq_has_4_bits_and_gptq_no_5_6_or_7);
    tcase_add_test(tc, a_group_size_of_its_own_is_kept_and_named);
    tcase_add_test(tc, fused_experts_lie_transposed);
    tcase_add_test(tc, strategies_of_compressed_tensors_choose_the_format);
    tcase_add_test(tc, names_tell_everything_that_varies);
    tcase_add_test(tc, asymmetric_and_reordered_codes_do_not_follow_from_the_weights);
    tcase_add_test(tc, a_static_input_scale_is_shared_and_no_other_one_is);
    tcase_add_test(tc, fp8_without_blocks_has_one_scale);
    tcase_add_test(tc, equal_asks_give_equal_names);
    tcase_add_test(tc, every_dialect_has_a_name_of_its_own);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
