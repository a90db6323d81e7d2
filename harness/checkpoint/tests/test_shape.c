// SPDX-License-Identifier: Apache-2.0
// Shapes at the edges: odd, ragged, one tile, one group, dense streams. Numbers from shapes spec 1.5, 2.1 to
// 2.6.
#include "checkpoint/shape.h"
#include "checkpoint/tests/tiny_tensors.h"

static const struct {
    qp_ck_pack pack;
    qp_ck_spread spread;
    int bits, group;
    int64_t stack, out, in;
    qp_ck_role role;
    uint32_t n;
    uint64_t dims[QP_CK_DIMS + 1];
} rows[] = {
    // codes
    {QP_CK_BYTES, QP_CK_ONE, 8, 0, 1, 96, 161, QP_CK_WEIGHT, 2, {96, 161}},
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 1, 96, 161, QP_CK_WEIGHT, 2, {96, 81}}, // odd
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 4, 96, 160, QP_CK_WEIGHT, 3, {4, 96, 80}},
    {QP_CK_ROW_PAIRS, QP_CK_GROUP, 4, 128, 1, 97, 256, QP_CK_WEIGHT, 2, {49, 256}},
    {QP_CK_IN_PAIRS, QP_CK_GROUP_T, 4, 16, 4, 512, 256, QP_CK_WEIGHT, 3, {4, 128, 512}},
    {QP_CK_IN_PAIRS, QP_CK_GROUP_T, 4, 16, 1, 512, 256, QP_CK_WEIGHT, 3, {1, 128, 512}}, // a stack of one
    {QP_CK_SIX, QP_CK_GROUP, 6, 32, 1, 96, 160, QP_CK_WEIGHT, 2, {96, 120}},
    {QP_CK_WORDS, QP_CK_GROUP, 3, 128, 1, 96, 384, QP_CK_WEIGHT, 2, {96, 36}}, // I=384: 36 and 72 words
    {QP_CK_WORDS, QP_CK_GROUP, 6, 128, 1, 96, 384, QP_CK_WEIGHT, 2, {96, 72}},
    {QP_CK_WORDS, QP_CK_GROUP, 3, 128, 1, 96, 33, QP_CK_WEIGHT, 2, {96, 4}}, // 99 bits
    {QP_CK_WORDS_OUT, QP_CK_GROUP_T, 4, 128, 1, 160, 384, QP_CK_WEIGHT, 2, {384, 20}},
    {QP_CK_WORDS_IN, QP_CK_GROUP_T, 4, 128, 1, 96, 384, QP_CK_WEIGHT, 2, {48, 96}},
    {QP_CK_BLOCKS, QP_CK_GROUP, 4, 32, 32, 5760, 2880, QP_CK_WEIGHT, 4, {32, 5760, 90, 16}},
    {QP_CK_BYTES, QP_CK_TILE_3D, 8, 0, 4, 512, 256, QP_CK_WEIGHT, 3, {4, 256, 512}}, // turned
    // scales
    {QP_CK_BYTES, QP_CK_ONE, 8, 0, 1, 96, 160, QP_CK_SCALE, 0, {0}},
    {QP_CK_BYTES, QP_CK_ONE, 8, 0, 4, 96, 160, QP_CK_SCALE, 0, {0}},
    {QP_CK_BYTES, QP_CK_ROW, 8, 0, 1, 96, 160, QP_CK_SCALE, 1, {96}},
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 1, 10304, 2688, QP_CK_SCALE, 2, {10304, 168}},
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 1, 96, 161, QP_CK_SCALE, 2, {96, 11}}, // ragged: never by floor
    {QP_CK_BYTES, QP_CK_TILE, 8, 0, 1, 576, 7168, QP_CK_SCALE, 2, {5, 56}},
    {QP_CK_BYTES, QP_CK_TILE, 8, 0, 1, 2688, 1856, QP_CK_SCALE, 2, {21, 15}},
    {QP_CK_BYTES, QP_CK_TILE_4D, 8, 0, 1, 129, 128, QP_CK_SCALE, 4, {2, 1, 1, 1}},
    {QP_CK_BYTES, QP_CK_TILE_4D, 8, 0, 1, 128, 128, QP_CK_SCALE, 0, {0}}, // one tile
    {QP_CK_BYTES, QP_CK_TILE_3D, 8, 0, 4, 512, 256, QP_CK_SCALE, 5, {4, 4, 1, 2, 1}},
    {QP_CK_BYTES, QP_CK_TILE_3D, 8, 0, 4, 128, 128, QP_CK_SCALE, 5, {4, 1, 1, 1, 1}},
    {QP_CK_IN_PAIRS, QP_CK_GROUP_T, 4, 16, 4, 512, 256, QP_CK_SCALE, 3, {4, 16, 512}},
    {QP_CK_WORDS_IN, QP_CK_GROUP_T, 4, -1, 1, 96, 384, QP_CK_SCALE, 2, {1, 96}}, // the whole row
    {QP_CK_BLOCKS, QP_CK_GROUP, 4, 32, 32, 5760, 2880, QP_CK_SCALE, 3, {32, 5760, 90}},
    // zero points
    {QP_CK_WORDS, QP_CK_GROUP, 4, 128, 1, 96, 384, QP_CK_ZERO, 2, {12, 3}}, // along out
    {QP_CK_WORDS, QP_CK_GROUP, 3, 128, 1, 97, 384, QP_CK_ZERO, 2, {10, 3}},
    {QP_CK_WORDS, QP_CK_ROW, 4, 0, 1, 96, 384, QP_CK_ZERO, 2, {12, 1}},
    {QP_CK_WORDS_OUT, QP_CK_GROUP_T, 4, 128, 1, 160, 384, QP_CK_ZERO, 2, {3, 20}},
    {QP_CK_WORDS_IN, QP_CK_GROUP_T, 8, 64, 1, 96, 384, QP_CK_ZERO, 2, {6, 24}},
    {QP_CK_BYTES, QP_CK_ROW, 8, 0, 1, 96, 384, QP_CK_ZERO, 1, {96}},
    // the rest
    {QP_CK_WORDS_IN, QP_CK_GROUP_T, 4, 128, 1, 96, 384, QP_CK_G_IDX, 1, {384}},
    {QP_CK_ROW_PAIRS, QP_CK_GROUP, 4, 128, 1, 96, 384, QP_CK_PRE_QUANT, 1, {384}},
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 1, 96, 160, QP_CK_GLOBAL, 0, {0}},
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 4, 96, 160, QP_CK_INPUT, 0, {0}},
    {QP_CK_WORDS, QP_CK_GROUP, 4, 128, 1, 96, 384, QP_CK_WEIGHT_SHAPE, 1, {2}},
    {QP_CK_PAIRS, QP_CK_GROUP, 4, 16, 4, 96, 160, QP_CK_BIAS, 2, {4, 96}},
};

START_TEST(a_scheme_wants_this_shape) {
    const qp_ck_scheme s = {.dialect = QP_CK_MODELOPT,
                            .pack = rows[_i].pack,
                            .spread = rows[_i].spread,
                            .bits = rows[_i].bits,
                            .group_size = rows[_i].group};
    uint64_t dims[QP_CK_DIMS + 1];
    uint32_t n = 99;
    ck_assert(qp_ck_wanted_shape(&s, rows[_i].role, rows[_i].stack, rows[_i].out, rows[_i].in, dims, &n));
    ck_assert_uint_eq(n, rows[_i].n);
    for (uint32_t i = 0; i < n; i++) ck_assert_uint_eq(dims[i], rows[_i].dims[i]);
}
END_TEST

START_TEST(the_low_rank_parts_and_cache_biases_have_no_fixed_shape) {
    const qp_ck_scheme s = {.pack = QP_CK_PAIRS, .spread = QP_CK_GROUP, .bits = 4, .group_size = 16};
    static const qp_ck_role free_roles[] = {QP_CK_LORA_A, QP_CK_LORA_B, QP_CK_K_BIAS, QP_CK_V_BIAS};
    uint64_t dims[QP_CK_DIMS + 1];
    uint32_t n;
    for (int i = 0; i < QP_COUNT(free_roles); i++)
        ck_assert(!qp_ck_wanted_shape(&s, free_roles[i], 1, 96, 160, dims, &n));
}
END_TEST

// ---- what loaders take for the same
// ----------------------------------------------------------------------------------------

static const struct {
    qp_ck_spread spread;
    int64_t stack;
    qp_ck_role role;
    int n;
    int64_t dims[3];
    bool fits;
} takes[] = {
    {QP_CK_GROUP, 1, QP_CK_GLOBAL, 0, {0}, true},        {QP_CK_GROUP, 1, QP_CK_GLOBAL, 1, {1}, true},
    {QP_CK_GROUP, 1, QP_CK_GLOBAL, 1, {2}, false},       {QP_CK_GROUP, 1, QP_CK_GLOBAL, 2, {1, 1}, false},
    {QP_CK_GROUP, 4, QP_CK_GLOBAL, 1, {4}, true},        {QP_CK_GROUP, 4, QP_CK_INPUT, 2, {4, 1}, true},
    {QP_CK_GROUP, 4, QP_CK_INPUT, 1, {3}, false},        {QP_CK_ONE, 1, QP_CK_SCALE, 1, {1}, true},
    {QP_CK_ONE, 1, QP_CK_SCALE, 1, {96}, false},         {QP_CK_ROW, 1, QP_CK_SCALE, 2, {96, 1}, true},
    {QP_CK_ROW, 1, QP_CK_SCALE, 1, {96}, true},          {QP_CK_ROW, 1, QP_CK_SCALE, 2, {1, 96}, false},
    {QP_CK_ROW, 1, QP_CK_SCALE, 0, {0}, false},          {QP_CK_GROUP, 1, QP_CK_SCALE, 2, {96, 10}, true},
    {QP_CK_GROUP, 1, QP_CK_SCALE, 3, {1, 96, 10}, true}, {QP_CK_GROUP, 1, QP_CK_SCALE, 2, {10, 96}, false},
    {QP_CK_GROUP, 4, QP_CK_BIAS, 2, {4, 160}, true},     {QP_CK_GROUP, 4, QP_CK_BIAS, 2, {4, 161}, false},
};

START_TEST(other_shapes_of_the_same_numbers_are_taken_and_no_more) {
    const qp_ck_scheme s = {.dialect = QP_CK_MODELOPT,
                            .pack = takes[_i].spread == QP_CK_GROUP ? QP_CK_PAIRS : QP_CK_BYTES,
                            .spread = takes[_i].spread,
                            .bits = 4,
                            .group_size = 16};
    const qp_ck_size z = {takes[_i].stack, 96, 160};
    tiny *t = tiny_new();
    tiny_add(t, "x", QP_ST_F32, takes[_i].n, takes[_i].dims);
    tiny_read(t);
    ck_assert_int_eq(qp_ck_shape_fits(&s, takes[_i].role, z, &t->ckpt.tensors[0]), takes[_i].fits);
    tiny_close(t);
    free(t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("shape");
    TCase *c = tcase_create("shape");
    tcase_add_loop_test(c, a_scheme_wants_this_shape, 0, QP_COUNT(rows));
    tcase_add_test(c, the_low_rank_parts_and_cache_biases_have_no_fixed_shape);
    tcase_add_loop_test(c, other_shapes_of_the_same_numbers_are_taken_and_no_more, 0, QP_COUNT(takes));
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
